import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import IsolationForest

from oddshot.mapping.coordinates.isolation import SAMPLES, TREES, Isolation

ROWS = np.random.default_rng(0).normal(size=(300, 3))
NEW = np.random.default_rng(1).normal(size=(100, 3)) * 2


@pytest.mark.parametrize("count", [2, 5, 300])
def test_depths_are_those_behind_scikit_learns_scores(see, count):
    reference, new = see(ROWS[:count], NEW)
    block = Isolation()
    typical, found = block.fit(reference, np.random.default_rng(5)), block.transform(new)
    forest = IsolationForest(
        n_estimators=TREES,
        max_samples=min(SAMPLES, count),
        random_state=int(np.random.default_rng(5).integers(2**31)),
    ).fit(reference.typical.standard)
    for views, values in ((reference.typical, typical), (new, found)):
        scores = forest.score_samples(views.standard)  # -2 ** (-depth / expected depth)
        assert values.shape == (len(scores), 1)
        order = np.argsort(values[:, 0])
        assert (np.diff(-scores[order]) >= -1e-9).all()
        if count > 2:
            ratios = np.log2(-scores) / values[:, 0]
            np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)


def test_far_rows_are_isolated_early(see):
    reference, far = see(ROWS, ROWS + 6)
    block = Isolation()
    typical = block.fit(reference, np.random.default_rng(0))
    assert np.median(block.transform(far)) > np.quantile(typical, 0.95)


def test_the_generator_decides_and_many_trees_agree(see):
    reference, new = see(ROWS, NEW)
    first, again, other = (Isolation() for _ in range(3))
    for block, seed in ((first, 0), (again, 0), (other, 1)):
        block.fit(reference, np.random.default_rng(seed))
    np.testing.assert_array_equal(first.transform(new), again.transform(new))
    assert not np.array_equal(first.transform(new), other.transform(new))
    assert spearmanr(first.transform(new), other.transform(new)).statistic > 0.9


def test_leaves_hold_rows_that_are_never_told_apart(see):
    reference, _ = see(ROWS)
    block = Isolation()
    block.fit(reference, np.random.default_rng(0))
    points = reference.typical.standard
    leaves = block.leaves(np.r_[points[:5], points[:5]])
    assert leaves.shape == (10, TREES)
    np.testing.assert_array_equal(leaves[:5], leaves[5:])
    near, far = (np.mean(leaves[0] == block.leaves(points[:1] + step)[0]) for step in (1e-6, 2.0))
    assert near > 0.99
    assert far < 0.5


@pytest.mark.parametrize("rows", [ROWS[:1], np.ones((20, 2))], ids=["one row", "constant"])
def test_rows_that_cannot_be_split_have_one_depth(see, rows):
    reference, new = see(rows, rows + 1)
    block = Isolation()
    values = np.r_[block.fit(reference, np.random.default_rng(0)), block.transform(new)]
    np.testing.assert_allclose(values, values[0, 0])
