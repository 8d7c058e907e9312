"""How a column of dates is looked at: which of hour, weekday and year it goes by."""

import numpy as np

from oddshot.mapping.cells.days import SINCE_1970, begin_months, hour_and_weekday
from oddshot.mapping.cells.distinct import Column
from oddshot.mapping.cells.notation import Notation
from oddshot.mapping.cells.reading import read_days, read_offsets
from oddshot.mapping.encoding.date import YEAR, Date
from oddshot.mapping.encoding.left_out import LeftOut
from oddshot.mapping.encoding.limits import limits_of
from oddshot.mapping.encoding.open_ends import open_ends, without_open_ends
from oddshot.mapping.encoding.seen_time import SeenTime

TWICE_A_DAY, TWICE_A_WEEK = 2.0, 14.0  # days, from which on hours and weekdays come again


def date_recipe(
    name: str, column: Column, date_format: str, *, words: tuple[str, ...] = ()
) -> LeftOut | Date:
    """Look at a column of dates in a format; ``words`` among them are gaps."""
    days = read_days(column, date_format, words)
    code = open_ends(np.sort(days[~np.isnan(days)]))
    days = without_open_ends(days, code)
    known = np.sort(days[~np.isnan(days)])
    missing = len(known) < len(days)
    if known[0] == known[-1] and not missing:
        return LeftOut(name, "constant (one date)")
    in_months = date_format not in SINCE_1970 and begin_months(known)
    seen, core = SeenTime.of(known - known[0], in_months=in_months)
    hour, weekday = hour_and_weekday(core + known[0])
    length, begun = float(seen.since_start(core)[-1]), known[:0]
    if date_format in SINCE_1970:  # as plain a number as it was given
        hour = weekday = known[:0]
    elif in_months:  # which weekdays these are, the calendar decides
        weekday, begun = known[:0], np.unique(core)
    return Date(
        name,
        "date",
        *limits_of(known - known[0], 0),
        missing=missing,
        varies=bool(known[0] < known[-1]),
        origin=float(known[0]),
        date_format=date_format,
        hour=len(np.unique(hour)) > 1 and length >= TWICE_A_DAY,
        weekday=len(np.unique(weekday)) > 1
        and length >= TWICE_A_WEEK
        and seen.weekdays_come_again(),
        length=length,
        begun=begun.tolist(),
        by_years=length >= YEAR and not len(begun),
        seen=seen,
        offsets=read_offsets(column) or "none",
        notation=Notation(words=words),
        code=code,
    )
