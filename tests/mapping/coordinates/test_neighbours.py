import numpy as np
import pytest

from oddshot.mapping.coordinates.neighbours import (
    DENSITY_SCALES,
    SCALES,
    SUBSET_SIZES,
    Neighbours,
    Subsets,
)
from oddshot.mapping.coordinates.spaces import NAMES

SUBSETS = 32


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)) * [1, 3, 0.2]


def nearest(point: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distances, and whose they are."""
    distances = np.array([np.sqrt(((point - other) ** 2).sum()) for other in others])
    return np.sort(distances), np.argsort(distances, kind="stable")


def slow_neighbours(typical: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of typical rows, each compared with the others, and of new rows."""
    count = len(typical)
    most = min(max(SCALES), count - 1)
    alone = [nearest(typical[i], np.delete(typical, i, axis=0)) for i in range(count)]
    whose = [[j + (j >= i) for j in found[1]] for i, found in enumerate(alone)]
    floor = 1e-3 * np.median([found[0][most - 1] for found in alone])

    def log(distances: np.ndarray, scale: int) -> float:
        return np.log(distances[min(scale, most) - 1] + floor)

    def coordinates(distances: np.ndarray, ids: list[int]) -> list[float]:
        profile = [log(distances, scale) for scale in SCALES]
        for scale in DENSITY_SCALES:
            theirs = [log(alone[j][0], scale) for j in ids[: min(scale, most)]]
            profile.append(log(distances, scale) - np.mean(theirs))
        return profile

    own = [coordinates(found[0], ids) for found, ids in zip(alone, whose, strict=True)]
    theirs = [coordinates(*nearest(point, typical)) for point in new]
    return np.array(own), np.array(theirs)


@pytest.mark.parametrize("count", [2, 4, 15, 70])
def test_neighbours_match_a_loop(see, count):
    reference, new = see(rows(count), rows(8, seed=1))
    block = Neighbours()
    found = block.fit(reference, np.random.default_rng(0)), block.transform(new)
    width = len(SCALES) + len(DENSITY_SCALES)
    for place, space in enumerate(NAMES):
        expected = slow_neighbours(
            *(v.named()[space].astype(np.float64) for v in (reference.typical, new))
        )
        part = slice(place * width, (place + 1) * width)
        for mine, slow in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine[:, part], slow, atol=1e-5)
        assert all(space in name for name in block.names[part])


def test_the_local_ratio_is_near_0_inside_and_high_between_clusters_of_two_densities(see):
    rng = np.random.default_rng(0)
    tight, loose = rng.normal(size=(100, 2)) * 0.05, rng.normal(size=(100, 2)) + 8
    block = Neighbours()
    reference, new = see(np.r_[tight, loose], np.array([[0.6, 0.6], [8.0, 8.0]]))
    typical = block.fit(reference, rng)
    lof = block.names.index("lof20_standard")
    assert abs(np.median(typical[:, lof])) < 0.1
    beside, inside = block.transform(new)[:, lof]
    assert beside > np.quantile(typical[:, lof], 0.99)
    assert inside < 0.3


def test_copies_have_a_finite_distance(see):
    reference, new = see(np.repeat(rows(4), 10, axis=0), rows(4))
    block = Neighbours()
    for values in (block.fit(reference, np.random.default_rng(0)), block.transform(new)):
        assert np.isfinite(values).all()
        nearest_copy = values[:, block.names.index("knn1_standard")]
        np.testing.assert_allclose(nearest_copy, nearest_copy[0], atol=1e-6)


def test_one_typical_row_says_nothing_of_itself(see):
    reference, new = see(rows(1), rows(1) + np.array([[0.0], [5.0]]))
    block = Neighbours()
    assert (block.fit(reference, np.random.default_rng(0)) == 0).all()
    same, far = block.transform(new)
    assert far[block.names.index("knn1_standard")] > same[block.names.index("knn1_standard")]


def test_the_log_has_the_floor_of_its_space(see):
    reference, _ = see(rows(40))
    block = Neighbours()
    found = block.fit(reference, np.random.default_rng(0))
    own = np.linalg.norm(
        reference.typical.standard[:, None].astype(float) - reference.typical.standard[None], axis=2
    )
    np.fill_diagonal(own, np.inf)
    expected = block.log("standard", own.min(axis=1))
    np.testing.assert_allclose(found[:, block.names.index("knn1_standard")], expected, atol=1e-5)


def slow_subsets(typical: np.ndarray, new: np.ndarray, seed: int) -> tuple[list, list]:
    count = len(typical)
    size = min(max(SUBSET_SIZES), count)
    rng = np.random.default_rng(seed)
    subsets = [rng.permutation(count)[:size] for _ in range(SUBSETS)]
    drawn = np.concatenate(subsets)
    squares = np.array([[((a - typical[j]) ** 2).sum() for j in drawn] for a in typical])
    middle = np.median(squares)
    floor = 1e-3 * np.sqrt(middle)
    width = np.median([np.sort(row)[min(20, len(row) - 1)] for row in squares]) or middle

    def coordinates(point: np.ndarray, own: int) -> list[float]:
        out = []
        for most in SUBSET_SIZES:
            logs = []
            for subset in subsets:
                others = [j for j in subset[:most] if j != own]
                if others:
                    logs.append(np.log(nearest(point, typical[others])[0][0] + floor))
            out.append(np.mean(logs))
        kernel = sum(
            np.exp(-0.5 * ((point - typical[j]) ** 2).sum() / width) for j in drawn if j != own
        )
        return [*out, -np.log(kernel / len(drawn) + 1e-12)]

    return [coordinates(p, i) for i, p in enumerate(typical)], [coordinates(p, -1) for p in new]


@pytest.mark.parametrize("count", [3, 60])
def test_subsets_match_a_loop(see, count):
    reference, new = see(rows(count), rows(3, seed=1))
    block = Subsets()
    found = block.fit(reference, np.random.default_rng(7)), block.transform(new)
    points = (v.standard.astype(np.float64) for v in (reference.typical, new))
    for mine, slow in zip(found, slow_subsets(*points, seed=7), strict=True):
        np.testing.assert_allclose(mine[:, : len(SUBSET_SIZES) + 1], slow, atol=1e-6)


def test_subsets_do_not_hide_a_cluster_of_anomalies(see):
    """Of two hundred rows a clump of ten hides from its own five nearest neighbours."""
    rng = np.random.default_rng(0)
    clump = 6 + 0.01 * rng.normal(size=(10, 2))
    reference, _ = see(np.r_[rng.normal(size=(190, 2)), clump])
    near, few = Neighbours(), Subsets()
    knn = near.fit(reference, rng)[:, near.names.index("knn5_standard")]
    subset = few.fit(reference, rng)[:, few.names.index("subset8_standard")]
    assert knn[-10:].max() < np.median(knn)
    assert subset[-10:].min() > np.quantile(subset[:190], 0.95)


def test_a_row_upon_a_drawn_one_is_judged_alike_alone_and_in_company(see):
    """Its distance of 0 is a rounding error, which depends on the rows beside it."""
    typical = np.random.default_rng(0).integers(0, 2, size=(120, 3)).astype(float)
    reference, new = see(typical, typical[:40] * 1.0001)
    block = Subsets()
    block.fit(reference, np.random.default_rng(0))
    together = block.transform(new)
    for at in range(40):
        np.testing.assert_allclose(block.transform(new[at : at + 1])[0], together[at], atol=1e-9)
