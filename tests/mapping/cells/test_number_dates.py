import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.cells.number_dates import find_number_date, likely_times, no_dates

DAYS = pd.date_range("2023-01-28", periods=30)


def test_days_written_as_one_number_need_no_name():
    compact = DAYS.strftime("%Y%m%d").to_numpy(dtype=float)
    assert find_number_date("x", compact) == "%Y%m%d"
    assert find_number_date("x", np.r_[compact, np.nan]) == "%Y%m%d"


def test_a_number_that_is_no_day_of_the_calendar_makes_all_of_them_numbers():
    compact = DAYS.strftime("%Y%m%d").to_numpy(dtype=float)
    assert find_number_date("x", np.r_[compact, 2023_02_30]) is None


@pytest.mark.parametrize("code", [0, 9999_99_99, 9999_12_31, 2999_12_31, 1900_01_01])
def test_what_stands_for_no_date_leaves_them_dates(code):
    compact = DAYS.strftime("%Y%m%d").to_numpy(dtype=float)
    assert find_number_date("x", np.r_[compact, code, code]) == "%Y%m%d"
    assert find_number_date("x", np.r_[compact[:3], code]) is None


def test_what_stands_for_no_date_is_known_with_a_clock_too():
    compact = DAYS.strftime("%Y%m%d%H%M%S").to_numpy(dtype=float)
    codes = [0.0, 9999_12_31_23_59_59, 9999_99_99_99_99_99]
    assert find_number_date("x", np.r_[compact, codes]) == "%Y%m%d%H%M%S"
    assert no_dates(np.r_[compact, codes], "%Y%m%d%H%M%S") == ("0", "99999999999999")


@pytest.mark.parametrize("other", [1, -1, 9999_99, 9999_01_01, np.inf])
def test_other_numbers_among_days_make_all_of_them_numbers(other):
    compact = DAYS.strftime("%Y%m%d").to_numpy(dtype=float)
    assert find_number_date("x", np.r_[compact, other]) is None


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


@pytest.mark.parametrize("form", ["%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_dates_with_a_clock_written_as_one_number(form):
    times = DAYS + pd.to_timedelta(np.arange(30) * 3661, unit="s")
    assert find_number_date("x", times.strftime(form).to_numpy(dtype=float)) == form


@pytest.mark.parametrize("last", [2026_03_02_24_00, 2026_03_02_14_60, 2026_03_00_14_00])
def test_a_number_that_is_no_moment_of_the_calendar_makes_all_of_them_numbers(last):
    times = DAYS.strftime("%Y%m%d%H%M").to_numpy(dtype=float)
    assert find_number_date("x", np.r_[times, last]) is None


def test_days_as_spreadsheets_count_them():
    days = (DAYS - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    clock = days + 3607 * np.arange(30) / 86400
    assert find_number_date("event_time", np.round(clock, 10)) == "serial day"
    assert find_number_date("value_date", days.to_numpy()) == "serial day"
    assert find_number_date("value_date", days.to_numpy() + 0.25) == "serial day"
    for name, values in (
        ("event_time", days),  # may be anything that is counted
        ("event_time", 40000 + 0.1 * np.arange(30)),  # and these seconds
        ("event_time", 40000 + np.random.default_rng(0).random(30)),
        ("salary", clock),
        ("value_date", days - 36000),
    ):
        assert find_number_date(name, np.asarray(values)) is None


def test_what_numbers_may_be_is_told_where_their_name_does_not_say_it():
    since = 1.7e12 + 1e8 * np.arange(9)
    told = "since 1970, from 2023-11-14 to 2023-11-24"
    assert likely_times("x", since) == f"milliseconds {told}"
    assert likely_times("x", np.r_[since, np.nan] / 1e3) == f"seconds {told}"
    clock = 44986 + 3607 * np.arange(9) / 86400
    assert (
        likely_times("x", clock) == "days as spreadsheets count them, from 2023-03-01 to 2023-03-01"
    )
    assert likely_times("at", 44986 + np.arange(9.0)).endswith("from 2023-03-01 to 2023-03-09")
    for name, values in (
        ("user_id", since),
        ("x", since / 10),
        ("x", np.r_[since, 0.0]),
        ("x", np.r_[since, np.inf]),
        ("x", since[:4]),
        ("x", np.floor(clock) + np.arange(9)),
        ("at", np.floor(clock) + np.pi * np.arange(9)),
        ("x", np.full(3, np.nan)),
    ):
        assert likely_times(name, values) == ""


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
