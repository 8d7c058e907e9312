import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from oddshot.mapping.distances import median, squared_distances


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 4), st.data())
def test_it_is_the_sum_of_squared_differences(n, m, width, data):
    values = st.floats(-100, 100, width=32)
    a = data.draw(nps.arrays(np.float64, (n, width), elements=values))
    b = data.draw(nps.arrays(np.float64, (m, width), elements=values))
    expected = [[sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) for q in b] for p in a]
    found = squared_distances(a, b)
    np.testing.assert_allclose(found, np.reshape(expected, (n, m)), atol=1e-9)
    assert (found >= 0).all()  # rounding must not leave a root without a value


@given(nps.arrays(np.float32, nps.array_shapes(max_dims=2), elements=st.floats(0, 100, width=32)))
def test_the_median_is_that_of_numpy(values):
    before = values.copy()
    assert median(values) == float(np.median(values))
    np.testing.assert_array_equal(values, before)
