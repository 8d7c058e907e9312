import numpy as np
import pytest

from oddshot.mapping.coordinates.nearest import AT_ONCE, CELLS, GROUP, LARGE, SPARE, Nearest

RNG = np.random.default_rng(0)


def single(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def exhaustive(points, rows, most, own=None):
    """All distances, sorted by five decimals and then by place."""
    squares = ((rows[:, None].astype(float) - points[None].astype(float)) ** 2).sum(axis=2)
    distances = np.sqrt(squares)
    if own is not None:
        distances[np.arange(len(rows)), own] = np.inf
    places = np.argsort(np.round(distances, 5), axis=1, kind="stable")[:, :most]
    return np.sort(distances, axis=1)[:, :most], places


@pytest.mark.parametrize("count", [2, 30, 500])
@pytest.mark.parametrize("width", [1, 4, 60])
def test_it_finds_what_an_exhaustive_search_finds(count, width):
    points, rows = single(count, width), single(150, width)
    most = min(50, count - 1)
    distances, places = Nearest(points, most).search(rows)
    expected = exhaustive(points, rows, most)
    np.testing.assert_allclose(distances, expected[0], rtol=1e-5, atol=1e-6)
    assert (places == expected[1]).mean() > 0.999  # but for rows that are equally near


@pytest.mark.parametrize("width", [1, 4])
def test_a_row_among_the_points_does_not_find_itself(width):
    points = single(200, width)
    own = np.arange(200)
    distances, places = Nearest(points, 10).search(points, own)
    expected = exhaustive(points, points, 10, own)
    assert not (places == own[:, None]).any()
    np.testing.assert_allclose(distances, expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beyond", [0, 1, 3])
def test_groups_of_points_leave_no_neighbour_out(beyond):
    most = 10
    points = single(LARGE * GROUP * (most + SPARE) + beyond, 3)
    points[1::2] = points[:-1:2][: len(points) // 2] + 1e-3  # the nearest stand side by side
    rows, own = points[:150], np.arange(150)
    for distances, places, expected in (
        (*Nearest(points, most).search(rows), exhaustive(points, rows, most)),
        (*Nearest(points, most).search(rows, own), exhaustive(points, rows, most, own)),
    ):
        np.testing.assert_allclose(distances, expected[0], rtol=1e-5, atol=1e-6)
        assert (places == expected[1]).mean() > 0.999


def test_where_many_are_equally_near_the_first_places_count():
    points = np.repeat(np.round(single(6, 2)), 100, axis=0)[RNG.permutation(600)]
    rows = np.round(single(40, 2))
    nearest = Nearest(points, 20)
    distances, places = nearest.search(rows)
    expected = exhaustive(points, rows, 20)
    np.testing.assert_allclose(distances, expected[0], atol=1e-6)
    np.testing.assert_array_equal(places, expected[1])
    with_itself = nearest.search(points[:50], np.arange(50))[1]
    np.testing.assert_array_equal(
        with_itself, exhaustive(points, points[:50], 20, np.arange(50))[1]
    )


def test_rounding_in_single_precision_leaves_no_neighbour_out():
    """Far from the origin products lose the digits that tell the points apart."""
    points = (1e4 + single(300, 3)).astype(np.float32)
    rows = (1e4 + single(40, 3)).astype(np.float32)
    distances, _ = Nearest(points, 5).search(rows)
    np.testing.assert_allclose(distances, exhaustive(points, rows, 5)[0], rtol=1e-5)


def test_more_points_than_a_place_has_bits_to_spare():
    points, rows = single(70_000, 2), single(20, 2)
    distances, places = Nearest(points, 5).search(rows)
    expected = exhaustive(points, rows, 5)
    np.testing.assert_allclose(distances, expected[0], atol=1e-6)
    assert (places == expected[1]).mean() > 0.9


@pytest.mark.parametrize("count", [400, 3000])
def test_a_row_finds_the_same_alone_and_in_company(count):
    points = single(count, 5)
    nearest = Nearest(points, 50)
    block = max(AT_ONCE, CELLS // count)
    rows = single(2 * block + 3, 5)
    distances, places = nearest.search(rows)
    for row in (0, block, 2 * block + 2):
        alone = nearest.search(rows[row : row + 1])
        np.testing.assert_array_equal(alone[0][0], distances[row])
        np.testing.assert_array_equal(alone[1][0], places[row])


def test_no_row_finds_nothing():
    distances, places = Nearest(single(SPARE, 2), 3).search(single(0, 2))
    assert distances.shape == places.shape == (0, 3)
