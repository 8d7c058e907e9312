import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from oddshot.mapping.coordinates.distances import median, parted, settle_close, squared_distances


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 4), st.data())
def test_it_is_the_sum_of_squared_differences(n, m, width, data):
    values = st.floats(-100, 100, width=32)
    a = data.draw(nps.arrays(np.float64, (n, width), elements=values))
    b = data.draw(nps.arrays(np.float64, (m, width), elements=values))
    expected = [[sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) for q in b] for p in a]
    found = squared_distances(a, b)
    np.testing.assert_allclose(found, np.reshape(expected, (n, m)), atol=1e-9)
    assert (found >= 0).all()  # rounding must not leave a root without a value


@given(st.integers(1, 5), st.integers(1, 300), st.integers(0, 2**31))
def test_close_rows_are_as_far_apart_as_their_differences_say(n, width, seed):
    generator = np.random.default_rng(seed)
    b = 100 + generator.normal(size=(n, width))
    a = b[generator.permutation(n)] + 1e-9 * generator.integers(0, 2, size=(n, 1))
    squares = squared_distances(a, b)
    settle_close(squares, a, b)
    expected = ((a[:, None] - b) ** 2).sum(axis=2)
    np.testing.assert_allclose(squares, expected, rtol=1e-6)
    alone = squared_distances(a[:1], b)
    settle_close(alone, a[:1], b)
    np.testing.assert_allclose(alone, squares[:1], rtol=1e-6)


@given(nps.arrays(np.float32, nps.array_shapes(max_dims=2), elements=st.floats(0, 100, width=32)))
def test_the_median_is_that_of_numpy(values):
    before = values.copy()
    assert median(values) == float(np.median(values))
    np.testing.assert_array_equal(values, before)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 1))
def test_one_place_of_many_is_that_of_a_sort(seed, width, repeated):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((5, width)) < repeated, 0.0, rng.random((5, width)))
    place = int(rng.integers(width))
    np.testing.assert_array_equal(
        parted(values, place, 1)[:, place], np.sort(values, axis=1)[:, place]
    )
    whole = parted(values, place, None)
    assert whole[place] == np.sort(values, axis=None)[place]
    assert whole[:place].max(initial=0) <= whole[place]
