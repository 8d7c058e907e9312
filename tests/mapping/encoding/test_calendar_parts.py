import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.encoding.calendar_parts import CALENDAR_PARTS, calendar_part, part_of

EPOCH = datetime.date(1970, 1, 1)
PARTS = {
    "year": lambda day: day.year,
    "year and month": lambda day: 100 * day.year + day.month,
    "month": lambda day: day.month,
    "quarter": lambda day: (day.month + 2) // 3,
}


@given(st.lists(st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 12, 31)), min_size=1))
@pytest.mark.parametrize("part", CALENDAR_PARTS)
def test_parts_are_those_of_the_calendar(part, dates):
    days = np.array([(date - EPOCH).days + 0.75 for date in dates])
    assert calendar_part(days, part).tolist() == [PARTS[part](date) for date in dates]


@pytest.mark.parametrize("part", CALENDAR_PARTS)
def test_a_column_is_found_to_be_the_part_that_it_is(part):
    days = np.arange(0.0, 3000.0, 11.0)
    values = calendar_part(days, part)
    assert part_of(values, days) == part
    values[7] += 1  # one slip in 273 rows
    days[3] = np.nan
    assert part_of(values, days) == part
    values[20:40] += 1
    assert part_of(values, days) == ""


def test_where_most_is_missing_nothing_is_found():
    days = np.arange(0.0, 3000.0, 11.0)
    values = calendar_part(days, "month")
    values[: len(values) // 2 + 1] = np.nan
    assert part_of(values, days) == ""
