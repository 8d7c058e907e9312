"""Parts of dates that stand in columns of their own: years, months, quarters."""

import numpy as np

from oddshot.episodes import FloatArray

CALENDAR_PARTS = ("year", "year and month", "month", "quarter")
NEARLY_ALL_PARTS = 0.99  # share of rows in which a column is a part of a date


def calendar_part(days: FloatArray, part: str) -> FloatArray:
    """Give a part (n,), of `CALENDAR_PARTS`, of days since 1970; NaN where missing.

    >>> calendar_part(np.array([0.0, 396.5]), "year").tolist()
    [1970.0, 1971.0]
    >>> calendar_part(np.array([0.0, 396.5]), "year and month").tolist()
    [197001.0, 197102.0]
    """
    known = np.isfinite(days)
    day = np.floor(np.where(known, days, 0.0)).astype("datetime64[D]")
    months = day.astype("datetime64[M]").astype(int)  # since 1970
    year, month = 1970 + months // 12, 1 + months % 12
    found = {"year": year, "year and month": 100 * year + month, "month": month}
    return np.where(known, found.get(part, (month + 2) // 3), np.nan)


def part_of(values: FloatArray, days: FloatArray) -> str:
    """Tell which part of days since 1970 (n,) values (n,) are, nearly all that are known; or ""."""
    both = np.isfinite(values) & np.isfinite(days)
    if both.sum() <= len(values) / 2:
        return ""
    told, on = values[both], days[both]
    for part in CALENDAR_PARTS:
        if (told == calendar_part(on, part)).mean() >= NEARLY_ALL_PARTS:
            return part
    return ""
