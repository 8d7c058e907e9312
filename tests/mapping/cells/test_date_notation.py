import datetime
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddshot.errors import DataError
from oddshot.mapping.cells.date_notation import DateNotation, dates_or_none, find_date_format
from oddshot.mapping.cells.reading import read_days

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
        ("%a %b %d %H:%M:%S CET %Y", "written day"),
        ("[%d/%b/%Y:%H:%M:%S +0000]", "written day"),
        ("%Y-%m-%d %H:%M:%S,000", "ISO8601"),
        ("%Y-%m-%d %H:%M:%S CET", "ISO8601"),
        ("%d/%m/%Y %H:%M:%S UTC", "%d/%m/%Y %H:%M:%S"),
        ("%d-%b-%y %I.%M.%S %p", "%d-%b-%y %I:%M:%S %p"),
        ("%d-%b-%y %I.%M.%S.%f000 %p", "%d-%b-%y %I:%M:%S.%f %p"),
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
    with pytest.raises(DataError, match="'day' holds 'soon' in row 1, where a date was learned"):
        read_days(pd.Series(["2023-01-01", "soon"], name="day"), found.form, found.words)


def test_gaps_alone_are_dates_as_well():
    assert find_date_format([]) == find_date_format(["?"]) == DateNotation("ISO8601")


def test_one_stray_does_not_turn_days_and_months():
    texts = [f"{month:02}/{day:02}/2023" for month in range(1, 13) for day in (1, 5, 9, 17)]
    found = find_date_format([*texts, "31/12/2023"])
    assert found == DateNotation("%m/%d/%Y", ("31/12/2023",))
    mostly_low = [f"{day:02}/{month:02}/2023" for month in range(1, 13) for day in (1, 5, 9)]
    assert find_date_format([*mostly_low, "31/12/2023"]) == DateNotation("%d/%m/%Y")


@settings(max_examples=40)
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


def test_long_texts_are_told_from_dates_at_once():
    start = time.process_time()
    assert find_date_format([f"mon{'.' * 40_000}{i}" for i in range(5)]) is None
    assert time.process_time() - start < 5
    dates = [f"2024-01-{day}" for day in range(10, 20)]
    assert find_date_format([*dates, "2024-01-20 " + "." * 200]).words == (
        "2024-01-20 " + "." * 200,
    )
