import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.coordinates.interpolation import interpolated


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 30), st.integers(1, 4))
def test_every_column_is_as_numpy_interpolates_it(seed, rows, knots, columns):
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, 20, size=(knots, columns)) / 4.0, axis=0)  # some knots are equal
    heights = np.sort(rng.normal(size=(knots, columns)), axis=0)
    values = rng.integers(-4, 90, size=(rows, columns)) / 16.0
    found = interpolated(values, at, heights)
    assert found.shape == values.shape
    for column in range(columns):
        expected = np.interp(values[:, column], at[:, column], heights[:, column])
        np.testing.assert_array_equal(found[:, column], expected)
