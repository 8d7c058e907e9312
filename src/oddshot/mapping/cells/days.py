"""Moments as days since 1970 (UTC), and what calendar and clock say of these."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from oddshot.episodes import FloatArray
from oddshot.mapping.cells import periods

DAY = pd.Timedelta(days=1)
EPOCH = pd.Timestamp("1970-01-01", tz="UTC")
COMPACT = "%Y%m%d"  # dates written as one number
SINCE_1970 = {"s": 86400.0, "ms": 86400e3, "us": 86400e6, "ns": 86400e9}  # of a day


def since_1970(dates: pd.DatetimeIndex) -> FloatArray:
    """Days (n,) of moments; NaN where missing."""
    return ((dates - EPOCH) / DAY).to_numpy(dtype=np.float64)


def days_of_texts(texts: Sequence[str], form: str) -> FloatArray:
    """Days since 1970 of texts (n,), NaN for those that are no dates in a format."""
    if form in periods.FORMS:
        texts, form = [text or "" for text in periods.begin(texts, form)], "ISO8601"
    return since_1970(pd.to_datetime([*texts], format=form, utc=True, errors="coerce"))


def days_of_numbers(values: FloatArray, date_format: str) -> FloatArray:
    """Days (n,) of numbers, `COMPACT` or in a unit of `SINCE_1970`; NaN for those that are none."""
    if date_format in SINCE_1970:
        return values / SINCE_1970[date_format]
    texts = [f"{value:.0f}" if np.isfinite(value) else None for value in values]
    dated = pd.to_datetime(
        pd.Series(texts, dtype=object), format=COMPACT, errors="coerce", utc=True
    )
    return since_1970(pd.DatetimeIndex(dated))


def hour_and_weekday(days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Hour of day in [0, 24), to the second, and day of week, Monday 0, of days since 1970."""
    seconds = np.round(days * 86400)
    return seconds % 86400 / 3600, (np.floor(seconds / 86400) + 3) % 7


def begin_months(days: FloatArray) -> bool:
    """Tell whether all days since 1970 begin a month."""
    dates = np.unique(days)
    months = np.floor(dates).astype("datetime64[D]").astype("datetime64[M]")
    return bool((months.astype("datetime64[D]").astype(np.float64) == dates).all())
