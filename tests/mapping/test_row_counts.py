import numpy as np
import pytest

from oddshot.mapping.row_counts import RowCounts, are_usual
from oddshot.mapping.row_places import checksums

ROWS = np.random.default_rng(0).integers(0, 40, size=(3000, 3)).astype(float)


def test_counts_are_those_of_the_rows():
    kinds, counts = np.unique(ROWS[:2000], axis=0, return_counts=True)
    found = RowCounts(checksums(kinds), counts.astype(float))
    there = [(ROWS[:2000] == row).all(axis=1).sum() for row in ROWS]
    assert found.of(ROWS).tolist() == there
    assert found.total == 2000
    less = found.without(ROWS[:5])
    assert not less.of(ROWS[:5]).any()
    assert less.of(ROWS).sum() < found.of(ROWS).sum()
    again = RowCounts.restored(found.state())
    assert again.of(ROWS).tolist() == there


def test_damaged_counts_are_refused():
    arrays = RowCounts(checksums(ROWS[:3]), np.ones(3)).state()
    with pytest.raises(ValueError, match="3 checksums of rows and 2 counts"):
        RowCounts.restored(arrays | {"counts": arrays["counts"][:2]})


def test_no_more_than_a_tenth_are_always_drawn():
    counts = np.random.default_rng(0).pareto(0.5, 5000) + 1
    assert 0 < are_usual(counts, counts.sum(), 512).sum() <= 51
