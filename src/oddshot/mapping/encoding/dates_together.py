"""Columns of dates that go together, and numbers that are parts of one: told, and moved as one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from oddshot.episodes import FloatArray
from oddshot.mapping.encoding.calendar_parts import calendar_part, part_of
from oddshot.mapping.encoding.date import Date
from oddshot.mapping.encoding.date_recipe import TWICE_A_WEEK
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import Recipe

CLOSE_DATES = 0.1  # share of the time that two columns of dates span
BOTH_KNOWN = 0.5  # share of the rows that have both


def with_dates_together(recipes: list[Recipe], rows: pd.DataFrame) -> list[Recipe]:
    """Let columns of dates that go together, and of their parts, be moved together."""
    at = [i for i, r in enumerate(recipes) if isinstance(r, Date)]
    dates = [r for r in recipes if isinstance(r, Date)]
    parts = any(type(r) is Number and r.may_be_part() for r in recipes)
    if not dates or (len(dates) == 1 and not parts):  # reading them takes long
        return recipes
    days = [r.moments(rows.iloc[:, i]) for i, r in zip(at, dates, strict=True)]
    found: dict[int, Recipe] = dict(zip(at, _beside_each_other(dates, days), strict=True))
    for i, r in enumerate(recipes):
        if type(r) is Number and r.may_be_part():
            values = r.read(rows.iloc[:, i])
            of = [(d.column, part_of(values, on)) for d, on in zip(dates, days, strict=True)]
            for column, part in sorted(pair for pair in of if pair[1])[:1]:
                found[i] = replace(r, dated_by=column, part=part, last_year=0.0)
    return [found.get(i, r) for i, r in enumerate(recipes)]


def move_with_dates(
    numbers: Sequence[Number], columns: FloatArray, days: dict[str, FloatArray]
) -> None:
    """Move what goes with a column of dates as these were moved.

    Parameters
    ----------
    numbers
        Recipes of the columns.
    columns
        Shape (n, q): what they hold, as it was read, to be changed in place.
    days
        Those of each column of dates, shape (n,), as they are.
    """
    at = {r.column: j for j, r in enumerate(numbers)}
    for j, r in enumerate(numbers):
        if isinstance(r, Date) and r.beside:
            moved = columns[:, at[r.beside]] - days[r.beside]
            columns[:, j] = r.folded(days[r.column], moved)
    for j, r in enumerate(numbers):
        if r.dated_by:
            date = numbers[at[r.dated_by]]
            assert isinstance(date, Date)
            after, before = (
                calendar_part(on + date.origin, r.part)
                for on in (columns[:, at[r.dated_by]], days[r.dated_by])
            )
            columns[:, j] += np.nan_to_num(after - before)


def _beside_each_other(dates: Sequence[Date], days: Sequence[FloatArray]) -> list[Date]:
    """Let dates that go with those of another column be moved with them.

    They do where nine tenths of what lies between two columns vary by no more than a tenth of the
    time that either spans, and half of the rows at least have both. The column that leads has the
    fewest gaps, then the first date; the order of the columns decides nothing.

    Parameters
    ----------
    dates
        Recipes of the columns.
    days
        For each shape (n,): the days that `fit` saw, since 1970; NaN where missing.
    """
    order = sorted(
        (at for at, date in enumerate(dates) if date.length >= TWICE_A_WEEK and not date.begun),
        key=lambda at: (np.isnan(days[at]).sum(), dates[at].origin, dates[at].column),
    )
    found = list(dates)
    leaders: list[int] = []
    for at in order:
        leader = next((one for one in leaders if _go_together(dates, days, one, at)), None)
        if leader is None:
            leaders.append(at)
        else:
            found[at] = replace(dates[at], beside=dates[leader].column)
    return found


def _go_together(
    dates: Sequence[Date], days: Sequence[FloatArray], leader: int, other: int
) -> bool:
    between = days[other] - days[leader]
    between = between[~np.isnan(between)]
    if len(between) < max(2, BOTH_KNOWN * len(days[other])):
        return False
    low, high = np.quantile(between, [0.05, 0.95])
    return bool(high - low <= CLOSE_DATES * min(dates[leader].length, dates[other].length))
