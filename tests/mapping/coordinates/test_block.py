"""What holds for every label-free block (`Block`)."""

import numpy as np
import pytest

from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.isolation import Isolation
from oddshot.mapping.coordinates.neighbours import Neighbours, Subsets
from oddshot.mapping.coordinates.shape import Ellipsoids
from oddshot.mapping.coordinates.spaces import Spaces
from oddshot.mapping.coordinates.tails import Tails
from oddshot.mapping.mapping import LABEL_FREE

BLOCKS = (Neighbours, Subsets, Tails, Ellipsoids, Isolation)
BLOB = np.random.default_rng(0).normal(size=(150, 4))
BLOB[:, 3] += 0.8 * BLOB[:, 0]

each_block = pytest.mark.parametrize("make", BLOCKS)


def fitted(make, see, typical, new):
    block = make()
    reference, seen = see(typical, new)
    return block.fit(reference, np.random.default_rng(0)), block.transform(seen), block


def test_the_reference_knows_its_width(see):
    reference, _ = see(BLOB)
    assert reference.width == 4
    wide = np.random.default_rng(0).normal(size=(20, 250))
    spaces = Spaces().fit(wide)
    assert Reference(spaces.view(wide), spaces.view(wide[:0])).width == 19


def test_the_blocks_name_all_label_free_coordinates_once():
    names = [name for block in BLOCKS for name in block.names]
    assert tuple(names) == LABEL_FREE
    assert len(set(names)) == len(names)


@each_block
def test_values_have_a_column_a_name_and_are_finite(make, see):
    typical, new, block = fitted(make, see, BLOB, BLOB * 100)
    assert typical.shape == new.shape == (150, len(block.names))
    assert np.isfinite(typical).all()
    assert np.isfinite(new).all()


@each_block
def test_far_rows_are_odder_by_every_coordinate(make, see):
    directions = np.random.default_rng(1).choice([-1.0, 1.0], size=(40, 4))
    typical, far, block = fitted(make, see, BLOB, 7 * directions)
    low = np.quantile(far, 0.1, axis=0)
    for name, value, high in zip(block.names, low, np.quantile(typical, 0.9, axis=0), strict=True):
        assert value >= high, name


@each_block
def test_a_row_is_judged_alone(make, see):
    _, whole, block = fitted(make, see, BLOB, BLOB[:9] * 1.5)
    _, views = see(BLOB, BLOB[:9] * 1.5)
    alone = [block.transform(views[[row]]) for row in range(4)]
    np.testing.assert_allclose(np.concatenate(alone), whole[:4], rtol=1e-6, atol=1e-6)


@each_block
def test_a_row_in_its_own_place_is_seen_as_it_was_there(make, see):
    rows = np.concatenate([BLOB, 5 * BLOB[:3]])
    typical, _, block = fitted(make, see, rows, rows)
    _, views = see(rows, rows)
    found = block.transform(views, np.arange(len(rows)))
    np.testing.assert_allclose(found, typical, rtol=1e-5, atol=1e-5)


@each_block
def test_known_anomalies_are_not_looked_at(make, see):
    results = []
    for known in (BLOB[:0], BLOB[:5] + 9):
        reference, new = see(BLOB, BLOB[:9] * 1.5, known)
        block = make()
        results.append((block.fit(reference, np.random.default_rng(0)), block.transform(new)))
    for without, with_known in zip(*results, strict=True):
        np.testing.assert_array_equal(without, with_known)


@each_block
def test_new_rows_of_the_same_kind_look_like_typical_ones(make, see):
    """What leaving a row out is for: a fresh row must not look odd for being fresh."""
    rng = np.random.default_rng(2)
    typical, new, block = fitted(make, see, rng.normal(size=(600, 4)), rng.normal(size=(600, 4)))
    for name, own, fresh in zip(block.names, typical.T, new.T, strict=True):
        share = np.mean(fresh > np.quantile(own, 0.9))
        assert 0.05 < share < 0.16, name  # standard deviation 0.017
