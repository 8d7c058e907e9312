import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.cells.periods import FORMS, begin, may_mean_else


@pytest.mark.parametrize(
    ("text", "form", "moment"),
    [
        ("2023-05", "month", "2023-05-01"),
        ("05/2023", "month", "2023-05-01"),
        ("May 2023", "month", "2023-05-01"),
        ("Sept. 2023", "month", "2023-09-01"),
        ("2023 May", "month", "2023-05-01"),
        ("2023M05", "month", "2023-05-01"),
        ("May-23", "month, short year", "2023-05-01"),
        ("May '99", "month, short year", "1999-05-01"),
        ("2023-Q2", "quarter", "2023-04-01"),
        ("Q2 2023", "quarter", "2023-04-01"),
        ("q4/2023", "quarter", "2023-10-01"),
        ("2Q23", "quarter", "2023-04-01"),
        ("FY2023 Q3", "quarter", "2023-07-01"),
        ("2023H2", "quarter", "2023-07-01"),
        ("2023-W20", "week", "2023-05-15"),
        ("2023-W20-3", "week", "2023-05-17"),
        ("KW 20/2023", "week", "2023-05-15"),
        ("FY2023", "year", "2023-01-01"),
        ("FY 23", "year", "2023-01-01"),
        ("05 June 2023", "written day", "2023-06-05"),
        ("Mon 05 Jun 2023", "written day", "2023-06-05"),
        ("5. Jun 2023", "written day", "2023-06-05"),
        ("June 5th, 2023", "written day", "2023-06-05"),
        ("05JUN2023", "written day", "2023-06-05"),
        ("2023-Jun-05", "written day", "2023-06-05"),
        ("Mon, 05 Jun 2023 10:00:00 +0200", "written day", "2023-06-05T10:00:00+0200"),
        ("05/Jun/2023:10:00:00 +0000", "written day", "2023-06-05T10:00:00+0000"),
        ("Mon Jun  5 10:00:00 2023", "written day", "2023-06-05T10:00:00"),
        ("Jun 5, 2023 12:05 a.m.", "written day", "2023-06-05T00:05:00"),
    ],
)
def test_texts_begin_when_they_say(text, form, moment):
    assert begin([text], form) == [moment]
    assert [other for other in FORMS if begin([text], other) != [None]] == [form]


@pytest.mark.parametrize(
    "text",
    ["2023-13", "13/2023", "2023-Q5", "2023-W54", "2021-W53", "31 Feb 2023", "4711-12", "Q2", "May",
     "town 17", "A12", "2023", "12.50", "1 of 2023", ""],
)  # fmt: skip
def test_what_only_looks_like_a_period_is_none(text):
    assert {begin([text], form)[0] for form in FORMS} == {None}


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)))
def test_every_day_is_read_back(day):
    stamp = pd.Timestamp(day)
    spelled = [stamp.strftime(f) for f in ("%d %B %Y", "%a %d %b %Y", "%A, %B %d, %Y", "%d%b%Y")]
    assert begin(spelled, "written day") == [day.isoformat()] * 4
    month = day.replace(day=1).isoformat()
    assert begin([f"{day:%Y-%m}", f"{day:%b %Y}", f"{day:%m/%Y}"], "month") == [month] * 3
    quarter = stamp.to_period("Q").start_time.date().isoformat()
    assert begin([str(stamp.to_period("Q"))], "quarter") == [quarter]
    week = stamp.to_period("W").start_time.date()
    year, number, _ = day.isocalendar()
    if year >= 1900:
        assert begin([f"{year}-W{number:02}"], "week") == [week.isoformat()]


def test_seasons_and_days_without_a_year_may_mean_else():
    assert may_mean_else(["2009-10", "2010-11", "2011-12"], "month")
    assert not may_mean_else(["2009-10", "2009-11", "2011-12"], "month")
    months = pd.date_range("2023-01-01", periods=24, freq="MS")
    assert not may_mean_else(list(months.strftime("%b-%y")), "month, short year")
    days = np.unique(pd.date_range("2023-01-01", periods=60).strftime("%b-%d"))
    assert may_mean_else(list(days), "month, short year")
