import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.cells.number_dates import find_number_date

DAYS = pd.date_range("2023-01-28", periods=30)


def test_days_written_as_one_number_need_no_name():
    compact = DAYS.strftime("%Y%m%d").to_numpy(dtype=float)
    assert find_number_date("x", compact) == "%Y%m%d"
    assert find_number_date("x", np.r_[compact, np.nan]) == "%Y%m%d"


def test_a_number_that_is_no_day_of_the_calendar_makes_all_of_them_numbers():
    compact = DAYS.strftime("%Y%m%d").to_numpy(dtype=float)
    assert find_number_date("x", np.r_[compact, 2023_02_30]) is None


@pytest.mark.parametrize(("unit", "of_a_second"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_time_since_1970_is_believed_where_the_name_says_so(unit, of_a_second):
    since = np.floor((DAYS - pd.Timestamp(0)).total_seconds().to_numpy() * of_a_second)
    assert find_number_date("event_time", since) == unit
    assert find_number_date("balance", since) is None


@pytest.mark.parametrize(("unit", "of_a_second"), [("s", 1), ("ms", 1e3), ("us", 1e6)])
def test_time_since_1970_may_have_fractions(unit, of_a_second):
    since = (1_704_067_200 + 60 * np.arange(30)) * of_a_second + 0.25
    assert find_number_date("timestamp", since) == unit
    assert find_number_date("balance", since) is None


def test_days_written_as_one_number_have_no_fractions():
    compact = DAYS.strftime("%Y%m%d").to_numpy(dtype=float)
    assert find_number_date("date", compact + 0.25) is None


@pytest.mark.parametrize(
    "values",
    [
        [1.5, 2.5, 3.5, 4.5, 5.5],
        [1.7e9, np.inf, 1.71e9, 1.72e9, 1.73e9, 1.74e9],
        [1.7e9, 1.7e9, 1.7e9, 1.7e9, 1.71e9],
        [3.0, 7.0, 9.0, 12.0, 40.0],
        [7e8, 8e8, 9e8, 1.5e9, 1.7e9],
    ],
    ids=["fractions", "infinite", "few different", "small", "over too many years"],
)
def test_other_numbers_are_just_numbers_whatever_their_name(values):
    assert find_number_date("time", np.array(values)) is None


def test_nothing_known_is_no_date():
    assert find_number_date("time", np.full(6, np.nan)) is None
