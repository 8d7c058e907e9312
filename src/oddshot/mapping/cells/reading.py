"""A column's cells read as numbers, truth values or days, whatever type they came in.

Each reader has a sibling that tells which cells it could not read. What kind a column is of was
recognised at fit; cells that are something else are errors.
"""

import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.errors import CellError, DataError, DateWarning
from oddshot.mapping.cells.date_notation import dates_or_none, days_and_unread, offsets_of
from oddshot.mapping.cells.days import DAY, NUMBER_FORMS, days_of_numbers, since_1970
from oddshot.mapping.cells.distinct import Column, distinct_values, occurrences
from oddshot.mapping.cells.notation import DURATIONS, NUMBERS, Notation, find_notation
from oddshot.mapping.cells.truth_values import booleans_or_none, truth_or_none

UTC_NAMES = ("UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Z", "+00:00", "UTC+00:00")
OFFSETS = {"none": "without an offset from UTC", "UTC": "in UTC", "other": "with offsets from UTC"}


def read_numbers(column: Column, notation: Notation | None = None) -> FloatArray:
    """Shape (n,): numbers, durations in days, times of day in days; NaN where missing.

    Without a notation the column tells it.
    """
    other = notation.what_else(column.dtype.kind) if notation else ""
    if notation and other and column.notna().any():
        raise DataError(
            f"column {str(column.name)!r} holds {other}, where {notation.holds} were learned; give "
            + (
                "durations, or days with a point (as floats)"
                if notation.holds == DURATIONS
                else "numbers"
            )
        )
    if column.dtype.kind == "m":
        days: FloatArray = np.asarray(pd.TimedeltaIndex(column) / DAY, dtype=np.float64)
        return days
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if notation is None:
        codes, distinct = distinct_values(column)
        notation = find_notation(distinct, occurrences(codes)) or Notation()
    return _by_distinct(column, notation.read, notation.learned)


def read_booleans(column: Column) -> FloatArray:
    """Shape (n,): 1 for true, 0 for false, NaN where missing."""
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return _by_distinct(column, booleans_or_none, "true or false")


def read_days(
    column: Column, date_format: str, words: Collection[str] = (), *, local: bool = True
) -> FloatArray:
    """Shape (n,): days since 1970; NaN where missing, and for ``words``.

    By the clock and calendar that are written or that a time zone has: the offset from UTC is left
    out. Not ``local``, by UTC, in which they can be put in order. Text is in the `date_format`.
    That may be one of `find_number_date`; then cells are numbers.
    """
    if date_format in NUMBER_FORMS:
        return days_of_numbers(read_numbers(column, _of_dates(words)), date_format)
    if isinstance(column.dtype, pd.PeriodDtype):
        return since_1970(pd.PeriodIndex(column).to_timestamp().tz_localize("UTC"))
    if column.dtype.kind == "M":
        dates = pd.DatetimeIndex(pd.to_datetime(column, utc=True))
        zone = _zone(column)
        if local and zone is not None:
            dates = dates.tz_convert(zone).tz_localize(None).tz_localize("UTC")
        return since_1970(dates)
    gaps = frozenset(words)
    return _by_distinct(
        column, lambda values: dates_or_none(values, date_format, gaps, local=local), "a date"
    )


def read_offsets(column: Column) -> str:
    """Tell what offsets from UTC a column of dates has, see `offsets_of`; of numbers "none"."""
    if column.dtype.kind == "M":
        zone = _zone(column)
        return "none" if zone is None else "UTC" if str(zone) in UTC_NAMES else "other"
    if isinstance(column.dtype, pd.PeriodDtype) or column.dtype.kind in "iuf":
        return "none"
    return offsets_of(distinct_values(column)[1])


def warn_of_offsets(name: str, learned: str, given: str) -> None:
    """Warn where a column's offsets from UTC, as `read_offsets` tells them, are others than at fit.

    Warns
    -----
    DateWarning
        If both are known and differ.
    """
    if learned and given and learned != given:
        warnings.warn(
            f"column {name!r} has dates {OFFSETS[given]}, where those learned from were "
            f"{OFFSETS[learned]}; hours and days count as they are written, so bring them to the "
            "time zone learned from",
            DateWarning,
            stacklevel=3,
        )


def _zone(column: Column) -> Any:
    """Give the time zone of a column of a date type; ``None`` where it has none."""
    of_arrow = getattr(column.dtype, "pyarrow_dtype", column.dtype)
    return getattr(of_arrow, "tz", None)


def not_numbers(column: Column, notation: Notation | None = None) -> NDArray[np.bool_]:
    """Shape (n,): which cells `read_numbers` cannot read."""
    if column.dtype.kind in "biufm":
        other = notation is not None and notation.what_else(column.dtype.kind) != ""
        return np.asarray(column.notna() & other, dtype=np.bool_)
    codes, distinct = distinct_values(column)
    if notation is None:
        notation = find_notation(distinct, occurrences(codes)) or Notation()
    return _cells_of(codes, [notation.read([value]) is None for value in distinct])


def not_booleans(column: Column) -> NDArray[np.bool_]:
    """Shape (n,): which cells `read_booleans` cannot read."""
    if column.dtype.kind in "biuf":
        return np.zeros(len(column), dtype=np.bool_)
    codes, distinct = distinct_values(column)
    return _cells_of(codes, [truth_or_none(value) is None for value in distinct])


def not_dates(column: Column, date_format: str, words: Collection[str] = ()) -> NDArray[np.bool_]:
    """Shape (n,): which cells `read_days` cannot read."""
    if date_format in NUMBER_FORMS:
        return not_numbers(column, _of_dates(words))
    if isinstance(column.dtype, pd.PeriodDtype) or column.dtype.kind == "M":
        return np.zeros(len(column), dtype=np.bool_)
    codes, distinct = distinct_values(column)
    return _cells_of(codes, days_and_unread(distinct, date_format, frozenset(words))[1])


def _of_dates(words: Collection[str]) -> Notation | None:
    """Give the notation of numbers that are dates, if ``words`` among them are gaps."""
    return Notation(words=tuple(words), holds=NUMBERS) if words else None


def _by_distinct(
    column: Column, read: Callable[[Sequence[Any]], FloatArray | None], what: str
) -> FloatArray:
    codes, distinct = distinct_values(column)
    known = read(distinct)
    if known is None:
        wrong = next(i for i, value in enumerate(distinct) if read([value]) is None)
        raise CellError(
            f"column {str(column.name)!r} holds {distinct[wrong]!r}",
            int(np.argmax(codes == wrong)),
            f", where {what} was learned; correct it, or leave it empty",
        )
    return np.append(known, np.nan)[codes]  # a gap has the code -1


def _cells_of(codes: NDArray[np.intp], chosen: Any) -> NDArray[np.bool_]:
    """Shape (n,): the cells of chosen distinct values; a gap has the code -1."""
    return np.append(np.asarray(chosen, dtype=np.bool_), False)[codes]
