import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.encoding.encoder import Encoder


def test_numbers_with_gaps_and_infinities() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0, np.nan]})
    encoder = Encoder().fit(frame)
    assert encoder.encoded_names_ == [("x", "value"), ("x", "missing")]
    new = pd.DataFrame({"x": [3.0, np.nan, np.inf, -np.inf]})
    np.testing.assert_array_equal(encoder.transform(new), [[3, 0], [2, 1], [4 + 3, 0], [1 - 3, 0]])


def test_gaps_that_fit_did_not_see_lie_far_outside_without_a_flag() -> None:
    encoder = Encoder().fit(np.array([[1.0], [2.0], [9.0]]))
    ranges = 3 * (9 - 1)  # from the least value less a range to the largest and a range
    np.testing.assert_array_equal(encoder.transform(np.array([[np.nan]])), [[2.0 + 10 * ranges]])


def test_a_constant_with_gaps_keeps_the_flag_alone() -> None:
    encoder = Encoder().fit(pd.DataFrame({"x": [5.0, None, 5.0]}))
    assert encoder.encoded_names_ == [("x", "missing")]
    np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"x": [9, None]})), [[0], [1]])


@pytest.mark.parametrize("huge", [1e300, -1e300, 1.7e308, np.inf])
def test_huge_values_do_not_overflow_later(huge: float) -> None:
    X = np.array([[1.0], [2.0], [3.0], [4.0], [huge]])
    encoded = Encoder().fit(X).transform(X)
    assert np.isfinite(np.square(encoded).sum())
    assert np.abs(encoded).max() <= 1e7
    only = np.array([[huge], [-huge], [huge], [0.0]])
    assert np.isfinite(Encoder().fit(only).transform(only) ** 3).all()


def test_booleans_are_0_and_1() -> None:
    encoder = Encoder().fit(pd.DataFrame({"b": [True, False, None, True]}))
    new = pd.DataFrame({"b": ["FALSE", "true", None, 1]})
    np.testing.assert_array_equal(encoder.transform(new), [[0, 0], [1, 0], [1, 1], [1, 0]])


def test_plain_matrices_stay_as_they_are() -> None:
    X = np.random.default_rng(0).normal(size=(2000, 20))
    encoded = Encoder().fit(X).transform(X)
    np.testing.assert_array_equal(encoded, X)
    assert encoded is not X
    encoded[:] = 0  # the user's rows are another array
    assert X.any()


def test_years_go_on_for_ten_years_and_what_is_no_year_does_not():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"Model Year": rng.integers(2015, 2023, 300), "kg": rng.normal(size=300)})
    new = pd.DataFrame({"Model Year": [2022, 2025, 2032, 2033, 2203, 1990], "kg": 0.0})
    for named, expected in (
        ("Model Year", [2022, 2022, 2022, 2033, 2203, 1990]),
        ("size", [2022, 2025, 2032, 2033, 2203, 1990]),
    ):
        encoder = Encoder().fit(rows.rename(columns={"Model Year": named}))
        for kept in (encoder, Encoder.from_state(*encoder.state())):
            encoded = kept.transform(new.rename(columns={"Model Year": named}))
            assert encoded[:, 0].tolist() == expected
    halves = rows.assign(**{"Model Year": rows["Model Year"] + 0.5})
    assert Encoder().fit(halves).transform(new)[1, 0] == 2025
