import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.encoding.limits import LARGEST, limits_of, one_differs, order_statistic

NUMBERS = st.lists(st.floats(-1e6, 1e6), max_size=20)


@given(NUMBERS, st.integers(0, 20))
def test_unwritten_zeros_stand_where_sorting_puts_them(values, zeros):
    ordered, written = np.sort(values), np.sort([*values, *[0.0] * zeros])
    for k in range(-len(written), len(written)):
        assert order_statistic(ordered, zeros, k) == written[k]


@given(NUMBERS, st.integers(0, 20))
def test_limits_of_unwritten_zeros_are_those_of_written_ones(values, zeros):
    written = np.sort([*values, *[0.0] * zeros])
    np.testing.assert_allclose(limits_of(np.sort(values), zeros), limits_of(written, 0))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_the_median_lies_between_the_limits_and_all_is_finite(values):
    fill, low, high, below, above = limits_of(np.sort(values), 0)
    assert low <= below <= fill <= above <= high
    assert -LARGEST <= low <= high <= LARGEST


def test_extremes_are_moved_out_by_the_range():
    assert limits_of(np.array([1.0, 2.0, 3.0, 5.0]), 0)[3:] == (-3.0, 9.0)


def test_a_constant_has_limits_a_step_away():
    assert limits_of(np.full(4, 7.0), 0)[3:] == (6.0, 8.0)
    assert limits_of(np.empty(0), 0) == (0.0, -1.0, 1.0, -1.0, 1.0)


def _slow_one_differs(values):
    return len(values) >= 3 and any(
        len({*values[:i], *values[i + 1 :]}) == 1 and values[i] not in values[:i] + values[i + 1 :]
        for i in range(len(values))
    )


@given(st.lists(st.sampled_from([-1.0, 0.0, 2.0]), max_size=6), st.integers(0, 3))
def test_one_differs_as_a_loop_over_the_rows_says(values, zeros):
    expected = _slow_one_differs([*values, *[0.0] * zeros])
    assert one_differs(np.sort(values), zeros, 0) == expected


def test_a_cell_that_is_not_finite_differs_from_others_that_are_equal():
    assert one_differs(np.full(4, 3.0), 0, 1)
    assert not one_differs(np.array([3.0, 3.0, 4.0]), 0, 1)
    assert not one_differs(np.full(4, 3.0), 0, 2)
