"""Dates that stand for none, as 9999-12-31 for an open end: far from all others, in many rows.

As dates they would stretch the time of a column so far that all others are one.
"""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.days import begin_months
from oddshot.mapping.encoding.seen_time import SeenTime

FAR = 50 * 365.25  # days; and farther than all others are from each other
FEWEST_ROWS, MANY = 3, 0.05  # that hold it, though they are single ones to `SeenTime`; of all
FEWEST_OTHERS = 3  # different days


def open_ends(days: FloatArray) -> tuple[float, ...]:
    """Find the days that stand for none, each before the number of rows in which it stood.

    Fewer rows, which `SeenTime` sets aside as strays, hold a date, which is odd.

    Parameters
    ----------
    days
        Shape (m,): since 1970, rising.

    Examples
    --------
    >>> open_ends(np.array([19000.0, 19001.0, 19030.0, 19300.0, *[2932896.5] * 3]))
    (2932896.0, 3.0)
    """
    found: list[float] = []
    while (end := _far_end(days)) is not None:
        rows = np.floor(days) == end
        if rows.sum() < FEWEST_ROWS or (rows.mean() < MANY and _are_strays(days, rows)):
            break
        found += [end, float(rows.sum())]
        days = days[~rows]
    return tuple(found)


def without_open_ends(days: FloatArray, code: tuple[float, ...]) -> FloatArray:
    """Give days (n,) since 1970, NaN for those that `open_ends` gave."""
    return np.where(np.isin(np.floor(days), code[::2]), np.nan, days) if code else days


def _far_end(days: FloatArray) -> float | None:
    """Give the first or last of rising days (m,) if it is far from all others."""
    different = np.unique(np.floor(days))
    if len(different) <= FEWEST_OTHERS:
        return None
    for end, others in ((different[-1], different[:-1]), (different[0], different[1:])):
        apart = min(abs(end - others[0]), abs(end - others[-1]))
        if apart > max(FAR, float(np.ptp(others))):
            return float(end)
    return None


def _are_strays(days: FloatArray, rows: NDArray[np.bool_]) -> bool:
    """Tell whether some of the rising days (m,) are strays among all."""
    since = days - days[0]
    seen, _ = SeenTime.of(since, in_months=begin_months(days))
    return bool(seen.is_stray(since[rows]).all())
