import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.cells.distinct import distinct_values, nested_type, occurrences


@given(st.lists(st.sampled_from(["a", "b", 3, None, float("nan")]), min_size=1))
def test_codes_lead_back_to_the_cells_and_count_them(cells):
    codes, distinct = distinct_values(pd.Series(cells, dtype=object))
    counts = occurrences(codes)
    for cell, code in zip(cells, codes, strict=True):
        if pd.isna(cell):
            assert code == -1
        else:
            assert distinct[code] == cell
            assert counts[code] == cells.count(cell)
    assert len(distinct) == len({cell for cell in cells if not pd.isna(cell)})


def test_cells_that_cannot_be_hashed_go_by_what_they_look_like():
    codes, distinct = distinct_values(pd.Series([[1, 2], None, [3], [1, 2]]))
    assert codes.tolist() == [0, -1, 1, 0]
    assert list(distinct) == ["[1, 2]", "[3]"]


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        (["a", [1]], "list"),
        (["a", None, {"b": 1}], "dict"),
        ([1, np.zeros(2)], "ndarray"),
        (["a", 1, None], None),
    ],
)
def test_the_first_nested_cell_names_its_type(cells, name):
    assert nested_type(pd.Series(cells, dtype=object)) == name


def test_numbers_are_never_nested():
    assert nested_type(pd.Series([1.0, 2.0])) is None
