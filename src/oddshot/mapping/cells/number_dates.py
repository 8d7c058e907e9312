"""Numbers that are dates: 20240131, or time since 1970."""

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.column_names import says_time
from oddshot.mapping.cells.date_notation import FEWEST_DATES
from oddshot.mapping.cells.days import COMPACT, SINCE_1970, days_of_numbers

EARLIEST, LATEST = 1900_01_01, 2100_12_31  # dates written as one number
YEARS_SINCE_1970 = (20.0, 80.0)  # in which such times are believed
MOST_TIMES = 1.75  # the earliest, that moments since 1970 are


def find_number_date(name: str, values: FloatArray) -> str | None:
    """Find how numbers (n,) are dates: as 20240131, or as time since 1970 where the name says so.

    Time since 1970 may have fractions. ``None`` where they are just numbers, as are fewer than five
    different ones.
    """
    values = values[~np.isnan(values)]
    compact = len(values) and values.min() >= EARLIEST and values.max() <= LATEST
    if not (says_time(name) or compact) or not np.isfinite(values).all():
        return None
    known = np.unique(values)
    if len(known) < FEWEST_DATES:
        return None
    if compact:
        whole = not np.any(known % 1 > 0)
        return COMPACT if whole and not np.isnan(days_of_numbers(known, COMPACT)).any() else None
    first, last = (365.25 * years for years in YEARS_SINCE_1970)
    if known[-1] > MOST_TIMES * known[0]:
        return None
    for unit, day in SINCE_1970.items():
        if first <= known[0] / day and known[-1] / day <= last:
            return unit
    return None
