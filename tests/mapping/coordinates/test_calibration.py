import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from oddshot.mapping.coordinates.calibration import FLAT, GRID, CoordinateScale, unsquashed

eighths = st.integers(-80, 80).map(lambda n: n / 8)
columns = nps.arrays(np.float64, st.tuples(st.integers(1, 60), st.just(1)), elements=eighths)


def counted(reference: np.ndarray, value: float) -> float:
    above, equal = (reference > value).sum(), (reference == value).sum()
    return -np.log10((above + equal / 2 + 0.5) / (len(reference) + 1))


def assert_counted(values: np.ndarray, rtol: float = 1e-6) -> None:
    decades = CoordinateScale().fit(values).apply(values)[:, :, 0]
    for found, column in zip(decades.T, values.T, strict=True):
        np.testing.assert_allclose(found, [counted(column, v) for v in column], rtol=rtol)


@given(columns)
def test_decades_are_counted(values):
    assert_counted(values)


def test_columns_do_not_see_each_other():
    values = np.random.default_rng(0).normal(size=(GRID, 3)) * [1, 1e-6, 1e6]
    assert_counted(values)
    whole = CoordinateScale().fit(values).apply(values)
    np.testing.assert_array_equal(
        CoordinateScale().fit(values[:, 1:2]).apply(values[:, 1:2]), whole[:, 1:2]
    )


def test_many_rows_are_counted_on_a_grid_and_one_by_one_in_the_upper_tail():
    values = np.random.default_rng(0).exponential(size=(4096, 1))
    decades = CoordinateScale().fit(values).apply(values)[:, 0, 0]
    expected = np.array([counted(values[:, 0], v) for v in values[:, 0]])
    np.testing.assert_allclose(10**-decades, 10**-expected, atol=1 / GRID)
    top = np.argsort(values[:, 0])[-GRID // 4 :]
    np.testing.assert_allclose(decades[top], expected[top], rtol=1e-6)


def test_decades_stop_at_the_ends_of_the_reference():
    scale = CoordinateScale().fit(np.arange(99.0)[:, None])
    low, high = scale.apply(np.array([[-1e9], [1e9]]))[:, 0, 0]
    assert high == pytest.approx(2.0)  # a reference of 99 cannot show more than 1 in 100
    assert low == pytest.approx(-np.log10(0.99), abs=1e-6)


@given(columns, nps.arrays(np.float64, (20, 1), elements=eighths))
def test_both_channels_rise_with_the_value(reference, values):
    found = CoordinateScale().fit(reference).apply(np.sort(values, axis=0))[:, 0]
    steps = np.diff(np.sort(values[:, 0]))
    assert (np.diff(found, axis=0) >= 0).all()
    assert (np.diff(found[:, 1])[steps > 0] > 0).all()
    assert (np.diff(found, axis=0)[steps == 0] == 0).all()


def test_the_second_channel_is_a_squashed_robust_z():
    values = np.random.default_rng(0).normal(size=(301, 2))
    middle, high = np.quantile(values, (0.5, 0.9), axis=0)
    new = np.random.default_rng(1).normal(size=(50, 2)) * 5
    found = CoordinateScale().fit(values).apply(new)[:, :, 1]
    np.testing.assert_allclose(found, np.arcsinh((new - middle) / (high - middle)), atol=1e-6)


@given(columns, st.sampled_from([0.125, 16.0]), st.integers(-50, 50))
def test_the_unit_of_a_coordinate_does_not_matter(reference, unit, shift):
    if np.ptp(reference) == 0:
        return  # a single value has no unit of its own
    new = np.linspace(-10, 10, 9)[:, None]
    expected = CoordinateScale().fit(reference).apply(new)
    found = CoordinateScale().fit(reference * unit + shift).apply(new * unit + shift)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rounding_errors_tie():
    values = np.repeat(np.arange(50.0), 2)[:, None]
    noisy = values + np.tile([0, 1e-12], 50)[:, None]
    np.testing.assert_array_equal(
        CoordinateScale().fit(noisy).apply(noisy)[:, :, 0],
        CoordinateScale().fit(values).apply(values)[:, :, 0],
    )


@pytest.mark.parametrize(
    "reference",
    [np.zeros(1), np.full(30, 7.0), np.r_[np.zeros(99), 1.0], np.r_[np.zeros(9), 1e100]],
    ids=["one row", "constant", "one odd value", "a huge value"],
)
def test_references_without_spread_give_finite_values_in_order(reference):
    new = np.array([-1e6, 0, 0.5, 7.0, 1e6])[:, None]
    found = CoordinateScale().fit(reference[:, None]).apply(new)[:, 0]
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=0) >= 0).all()


@pytest.mark.parametrize("noise", [0.0, 1e-6])
def test_where_the_reference_has_no_spread_the_coordinate_has_its_own_unit(noise):
    reference = 3 + noise * np.random.default_rng(0).normal(size=(30, 1))
    new = np.array([[2.0], [3.0], [4.5]])
    found = CoordinateScale(flat=FLAT).fit(reference).apply(new)[:, 0, 1]
    np.testing.assert_allclose(found, np.arcsinh([-1, 0, 1.5]), atol=1e-5)
    assert CoordinateScale().fit(reference).apply(new)[2, 0, 1] > 13  # any difference is large


def test_a_spread_is_a_spread_however_flat_counts():
    values = np.random.default_rng(0).normal(size=(100, 1))
    np.testing.assert_array_equal(
        CoordinateScale(flat=FLAT).fit(values).apply(values),
        CoordinateScale().fit(values).apply(values),
    )


def test_nothing_to_apply_to():
    assert CoordinateScale().fit(np.zeros((3, 2))).apply(np.zeros((0, 2))).shape == (0, 2, 2)


def test_a_robust_z_is_found_again():
    values = np.random.default_rng(0).normal(size=(200, 2)) * [1, 1e3]
    scale = CoordinateScale().fit(values)
    middle, high = np.quantile(values, (0.5, 0.9), axis=0)
    found = unsquashed(scale.apply(values))
    np.testing.assert_allclose(found, (values - middle) / (high - middle), rtol=1e-5, atol=1e-6)
