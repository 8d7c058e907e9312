import numpy as np
import pytest
from scipy.stats import rankdata

from oddshot.mapping.coordinates.tails import BINS, Tails

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(120, 4)) * [1, 10, 0.1, 3]


def coordinate(block: Tails, values: np.ndarray, name: str) -> np.ndarray:
    return values[:, block.names.index(name)]


def fitted(see, typical, new=None):
    block = Tails()
    reference, seen = see(typical, new)
    return block, block.fit(reference, RNG), seen, reference


def test_tails_are_sums_of_two_sided_tail_probabilities(see):
    block, found, _, _ = fitted(see, ROWS)
    below = (rankdata(ROWS, axis=0) - 0.5) / len(ROWS)
    decades = -np.log10(2 * np.minimum(below, 1 - below))
    ordered = np.sort(decades, axis=1)[:, ::-1]
    for name, expected in (
        ("tail_sum", ordered.sum(axis=1)),
        ("tail_max", ordered[:, 0]),
        ("tail_top3", ordered[:, :3].sum(axis=1)),
    ):
        np.testing.assert_allclose(coordinate(block, found, name), expected, atol=1e-5)


def test_bins_are_log_densities_of_histograms(see):
    block, found, new, reference = fitted(see, ROWS, RNG.normal(size=(20, 4)) * [2, 20, 0.2, 6])
    for rows, values in ((reference.typical, found), (new, block.transform(new))):
        surprise = np.zeros((len(rows), 4))
        for column in range(4):
            points = reference.typical.standard[:, column]
            low, high = np.quantile(points, (0.001, 0.999))
            edges = np.linspace(low, high, BINS + 1)
            places = np.searchsorted(edges, points, side="right")  # 0 and BINS + 1 are outside
            for row, value in enumerate(rows.standard[:, column]):
                inside = (places == np.searchsorted(edges, value, side="right")).sum()
                surprise[row, column] = -np.log((inside + 0.3) / (120 + 0.3 * (BINS + 2)))
        np.testing.assert_allclose(
            coordinate(block, values, "bin_sum"), surprise.sum(axis=1), atol=1e-6
        )
        np.testing.assert_allclose(
            coordinate(block, values, "bin_max"), surprise.max(axis=1), atol=1e-6
        )


def test_far_is_the_robust_distance_from_the_middle(see):
    block, found, _, reference = fitted(see, ROWS)
    z = np.abs(reference.typical.standard.astype(float))
    np.testing.assert_allclose(coordinate(block, found, "far_max"), z.max(axis=1))
    np.testing.assert_allclose(coordinate(block, found, "far_norm"), np.log1p((z**2).sum(axis=1)))


def test_both_tails_are_alike(see):
    symmetric = np.r_[ROWS, -ROWS]
    block, found, _, _ = fitted(see, symmetric)
    for name in ("tail_sum", "tail_max", "far_norm"):
        values = coordinate(block, found, name)
        np.testing.assert_allclose(values[:120], values[120:], atol=1e-5)


def test_an_empty_gap_is_odd_though_no_tail_is(see):
    block, typical, new, _ = fitted(see, np.r_[ROWS - 40, ROWS + 40], np.zeros((1, 4)))
    middle = block.transform(new)
    assert coordinate(block, middle, "bin_sum") > coordinate(block, typical, "bin_sum").max()
    assert coordinate(block, middle, "tail_sum") < np.median(coordinate(block, typical, "tail_sum"))


@pytest.mark.parametrize("typical", [np.ones((10, 2)), ROWS[:1], ROWS[:2, :1]])
def test_few_and_constant_rows(see, typical):
    block, found, new, _ = fitted(see, typical, np.r_[typical, typical + 1e3])
    assert np.isfinite(found).all()
    values = block.transform(new)
    assert np.isfinite(values).all()
    same, far = coordinate(block, values, "far_norm").reshape(2, -1)
    assert (far > same).all()
