"""Numbers that are dates: 20240131, time since 1970, or days as spreadsheets count them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.column_names import says_date, says_identifier, says_time
from oddshot.mapping.cells.date_notation import FEWEST_DATES
from oddshot.mapping.cells.days import COMPACT, SERIAL, SERIAL_1970, SINCE_1970, days_of_numbers

EARLIEST, LATEST = 1900_01_01, 2100_12_31  # dates written as one number
OPEN = (2999_12_31, 9999_12_31)  # later ones, for an end that is open
NINES = (9999_99_99, 9999_99_99_99, 9999_99_99_99_99, 9999_99_99_99_99_99)  # for no date, as 0
ZEROS = re.compile(r"0+")
YEARS_SINCE_1970 = (20.0, 80.0)  # in which such times are believed where the name says so,
LIKELY_YEARS = (30.0, 70.0)  # and in which they are told, or days of spreadsheets are believed
MOST_TIMES = 1.75  # the earliest, that moments since 1970 are
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
SECONDS, OFF = 86400.0, 1e-3  # seconds of a day; so far off a whole one is rounding
DECIMALS = 1e5  # decimals may be whole seconds of a day by chance: up to five
LEAST = SERIAL_1970 + 365.25 * LIKELY_YEARS[0]  # no lesser number is a date


def find_number_date(name: str, values: FloatArray) -> str | None:
    """Find how numbers (n,) are dates; ``None`` where they are just numbers.

    As 20240131, with hour, minute and second or without, beside 0, 99999999 and 99991231 for those
    that are not known or open; where the name says so as time since 1970,
    which may have fractions, or as spreadsheets count days, to the second: named as a date, or with
    fractions that no decimals have. Fewer than five different ones are just numbers.
    """
    if form := _compact(_different(values[~np.isin(values, (0, *NINES))])):
        return form
    known = _different(values)
    if not len(known) or not says_time(name):
        return None
    if unit := _unit_since_1970(known, YEARS_SINCE_1970):
        return unit
    counted = _counts_days(known) and (says_date(name) or not _are_decimals(known))
    return SERIAL if counted else None


def no_dates(values: FloatArray, form: str) -> tuple[str, ...]:
    """Write those of numbers (n,) that are no dates in a form that `find_number_date` found.

    >>> no_dates(np.array([20240131.0, 0.0, np.nan, 0.0]), "%Y%m%d")
    ('0',)
    """
    known = np.unique(values[~np.isnan(values)])
    return tuple(f"{value:.0f}" for value in known[np.isnan(days_of_numbers(known, form))])


def zeros_for_none(values: Sequence[Any]) -> list[str]:
    """Give the texts that are several zeros, as 00000000 beside dates in digits.

    >>> zeros_for_none(["20240131", "00000000", "0", 0])
    ['00000000']
    """
    texts = [value for value in values if isinstance(value, str) and "00" in value]
    return [text for text in texts if ZEROS.fullmatch(text.strip())]


def likely_times(name: str, values: FloatArray) -> str:
    """Say what numbers (n,) may be that are not named as times; empty where nothing speaks for it.

    >>> likely_times("logged", 1.7e12 + 1e8 * np.arange(9))
    'milliseconds since 1970, from 2023-11-14 to 2023-11-24'
    """
    known = _different(values)
    if not len(known) or says_identifier(name):
        return ""
    unit = _unit_since_1970(known, LIKELY_YEARS)
    if not unit and not (_counts_days(known) and (says_time(name) or not _are_decimals(known))):
        return ""
    ends = days_of_numbers(known[[0, -1]], unit or SERIAL)
    first, last = np.floor(ends).astype("datetime64[D]")
    told = f"{UNITS[unit]} since 1970" if unit else "days as spreadsheets count them"
    return f"{told}, from {first} to {last}"


def _different(values: FloatArray) -> FloatArray:
    """Give different numbers in their order; none where one is no date, or they are too few."""
    values = values[~np.isnan(values)]
    if not len(values) or values.min() < LEAST or values.max() == np.inf:
        return values[:0]
    known = np.unique(values)
    return known if len(known) >= FEWEST_DATES else known[:0]


def _compact(known: FloatArray) -> str:
    """Find the form in which rising numbers are dates written as one; empty if there is none."""
    for digits, form in enumerate(COMPACT):
        scale = 100.0**digits
        closed = known[~np.isin(known // scale, OPEN)]
        if len(closed) < FEWEST_DATES:
            continue
        within = EARLIEST * scale <= closed[0] and closed[-1] < (LATEST + 1) * scale
        if within and not np.any(known % 1 > 0):
            return "" if np.isnan(days_of_numbers(known, form)).any() else form
    return ""


def _unit_since_1970(known: FloatArray, years: tuple[float, float]) -> str:
    """Find the unit in which rising numbers are time since 1970 within years; empty if none."""
    first, last = (365.25 * year for year in years)
    if known[-1] > MOST_TIMES * known[0]:
        return ""
    units = (
        u for u, day in SINCE_1970.items() if first <= known[0] / day <= known[-1] / day <= last
    )
    return next(units, "")


def _counts_days(known: FloatArray) -> bool:
    """Tell whether numbers may be days, to the second, of likely years as spreadsheets count."""
    if known[0] < LEAST or known[-1] > SERIAL_1970 + 365.25 * LIKELY_YEARS[1]:
        return False
    seconds = known * SECONDS
    return bool((np.abs(seconds - np.rint(seconds)) < OFF).all())


def _are_decimals(known: FloatArray) -> bool:
    """Tell whether numbers have few decimals, so that fractions of days need be no seconds."""
    decimals = known * DECIMALS
    return bool((np.abs(decimals - np.rint(decimals)) < DECIMALS * OFF / SECONDS).all())
