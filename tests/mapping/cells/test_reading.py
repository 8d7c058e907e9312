import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddshot.errors import DataError
from oddshot.mapping.cells.notation import Notation
from oddshot.mapping.cells.reading import (
    DateNotation,
    begin_months,
    dates_or_none,
    find_date_format,
    not_booleans,
    not_dates,
    not_numbers,
    read_days,
)

DAYS = pd.date_range("2023-01-01", periods=60)


@pytest.mark.parametrize(
    ("spelling", "form"),
    [
        ("%Y-%m-%d", "ISO8601"),
        ("%Y.%m.%d", "ISO8601"),
        ("%Y%m%dT%H%M", "ISO8601"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M %p"),
        ("%d-%m-%Y", "%d-%m-%Y"),
        ("%d %B %Y", "written day"),
        ("%a, %d %b %Y %H:%M:%S GMT", "written day"),
    ],
)
def test_days_are_read_in_the_format_that_fits_all(spelling, form):
    texts = list(DAYS.strftime(spelling))
    assert find_date_format(texts) == DateNotation(form)
    np.testing.assert_array_equal(dates_or_none(texts, form), np.arange(60) + 19358.0)


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["2022-12", "2023-05"], "ISO8601"),
        (["May 2023", "June 2023"], "month"),
        (["05/2023", "12/2022"], "month"),
        (["2023-Q2", "2023-Q3"], "quarter"),
        (["Q2 2023", "Q3 2023"], "quarter"),
        (["2023-W20", "2023-W21"], "week"),
        (["FY2023", "FY2024"], "year"),
        (["Jan-23", "Feb-23", "Mar-23", "Jan-24"], "month, short year"),
    ],
)
def test_periods_are_dates(texts, form):
    assert find_date_format(texts) == DateNotation(form)


@pytest.mark.parametrize(
    "texts",
    [
        ["2009-10", "2010-11", "2011-12", "2012-13"],
        ["town 1", "town 2"],
        ["4711-12", "4712-11"],
        ["1.2.3", "10.1"],
        ["2Q23", "2023-05"],
        ["Jan-01", "Jan-02", "Jan-03"],
        ["2023-01-01", "31/12/2023"],
        ["2023-01-01", "2023-01-02", "2023-01-03", "unknown"],
        [*(f"2023-01-{day}" for day in range(10, 30)), "a", "b"],
        [*(f"2023-01-{day}" for day in range(10, 30)), 5],
    ],
)
def test_codes_seasons_and_mixtures_are_no_dates(texts):
    assert find_date_format(texts) is None


@pytest.mark.parametrize("stray", ["unknown", "2023-02-30", "31/12/2023", "n.d. (see 7)"])
def test_a_few_strays_among_dates_are_told_and_gaps(stray):
    texts = [*map(str, DAYS.date), f" {stray} "]
    found = find_date_format(texts)
    assert found == DateNotation("ISO8601", (stray,))
    column = pd.Series([*texts, None], name="day")
    days = read_days(column, found.form, found.words)
    np.testing.assert_array_equal(days, [*(np.arange(60) + 19358.0), np.nan, np.nan])
    with pytest.raises(DataError, match="'day' holds 'soon' in row 2, where a date was learned"):
        read_days(pd.Series(["2023-01-01", "soon"], name="day"), found.form, found.words)


def test_gaps_alone_are_dates_as_well():
    assert find_date_format([]) == find_date_format(["?"]) == DateNotation("ISO8601")


def test_one_stray_does_not_turn_days_and_months():
    texts = [f"{month:02}/{day:02}/2023" for month in range(1, 13) for day in (1, 5, 9, 17)]
    found = find_date_format([*texts, "31/12/2023"])
    assert found == DateNotation("%m/%d/%Y", ("31/12/2023",))
    mostly_low = [f"{day:02}/{month:02}/2023" for month in range(1, 13) for day in (1, 5, 9)]
    assert find_date_format([*mostly_low, "31/12/2023"]) == DateNotation("%d/%m/%Y")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d %b %Y", "%b %Y", "%G-W%V"]),
    st.sets(st.dates(datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)), min_size=80),
    st.sets(st.text(st.characters(codec="ascii", categories=["L"]), min_size=9), max_size=2),
    st.randoms(use_true_random=False),
)
def test_the_order_of_values_decides_nothing_and_words_are_told(spelling, dates, words, random):
    texts = sorted({pd.Timestamp(day).strftime(spelling) for day in dates})
    values = [*texts, *words]
    found = find_date_format(values)
    random.shuffle(values)
    assert find_date_format(values) == found
    if len(texts) >= 40:
        assert found.words == tuple(sorted(words))


def test_days_that_begin_months():
    first = pd.date_range("2020-01-01", periods=30, freq="MS")
    days = ((first - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)).to_numpy()
    assert begin_months(days)
    assert not begin_months(days + 1)
    assert not begin_months(np.append(days, days[0] + 0.5))


@pytest.mark.parametrize(
    ("cells", "unread"),
    [
        (["2024-01-31", "31.01.2024", None, "soon", "-"], [0, 1, 0, 1, 0]),
        (["01/31/2024", "31/01/2024", 17, datetime.date(2024, 1, 3)], [1, 1, 1, 0]),
        (pd.period_range("2024-01", periods=2, freq="M"), [0, 0]),
        (pd.date_range("2024-01-01", periods=2), [0, 0]),
        ([1_700_000_000, 5], [1, 1]),
    ],
)
def test_cells_that_are_no_dates_as_learned_are_found(cells, unread):
    assert not_dates(pd.Series(cells), "ISO8601").tolist() == [*map(bool, unread)]


def test_dates_are_in_the_format_learned_or_in_isos():
    iso = pd.Series(["2024-01-31", "2024-02-28", "31/01/2024"])
    assert not_dates(iso, "%d/%m/%Y").tolist() == [False, False, True]
    assert not_dates(
        pd.Series([*iso, *["28/02/2024"] * 2, "07/02/2024", "n"]), "%d/%m/%Y"
    ).tolist() == [True, True, False, False, False, False, True]
    assert not_dates(pd.Series(["soon", "x"]), "%d/%m/%Y", ["soon"]).tolist() == [False, True]
    assert not_dates(pd.Series(["20240131", "many"]), "%Y%m%d").tolist() == [False, True]


def test_cells_that_are_no_numbers_or_truth_values_are_found():
    column = pd.Series(["1.234,5", 17.5, "17.5", "ERR", None, "-"], dtype=object)
    comma = Notation(comma=True, words=("ERR",))
    assert not_numbers(column, comma).tolist() == [False, False, True, False, False, False]
    assert not_numbers(column).tolist() == [True, False, False, True, False, False]
    assert not not_numbers(pd.Series([1.0, np.nan])).any()
    column = pd.Series([True, "false", 1, 2, "maybe", None], dtype=object)
    assert not_booleans(column).tolist() == [False, False, False, True, True, False]
