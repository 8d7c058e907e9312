"""Moments as days since 1970, and what calendar and clock say of these."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from oddshot.episodes import FloatArray
from oddshot.mapping.cells import periods

DAY = pd.Timedelta(days=1)
EPOCH = pd.Timestamp("1970-01-01", tz="UTC")
COMPACT = ("%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S")  # dates written as one number
OFFSET = re.compile(
    r"[t ]\d\d(?::?\d\d){0,2}(?:[.,]\d+)?\s*(?:(?P<utc>z|utc|gmt)"
    r"|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)",
    re.IGNORECASE,
)  # behind a clock
SINCE_1970 = {"s": 86400.0, "ms": 86400e3, "us": 86400e6, "ns": 86400e9}  # of a day
SERIAL, SERIAL_1970 = "serial day", 25569.0  # as spreadsheets count days; the first of 1970
NUMBER_FORMS = frozenset({*COMPACT, *SINCE_1970, SERIAL})


def since_1970(dates: pd.DatetimeIndex) -> FloatArray:
    """Days (n,) of moments; NaN where missing."""
    return ((dates - EPOCH) / DAY).to_numpy(dtype=np.float64)


def days_of_texts(texts: Sequence[str], form: str, *, local: bool = True) -> FloatArray:
    """Days since 1970 of texts (n,), NaN for those that are no dates in a format.

    By the clock and calendar that are written, whatever their offset; or not ``local``, by UTC.

    >>> texts = ["1970-01-02T06:00+06:00", "1970-01-02 06:00"]
    >>> days_of_texts(texts, "ISO8601"), days_of_texts(texts, "ISO8601", local=False)
    (array([1.25, 1.25]), array([1.  , 1.25]))
    """
    if form in periods.FORMS:
        texts, form = [text or "" for text in periods.begin(texts, form)], "ISO8601"
    dates = pd.to_datetime([*texts], format=form, utc=True, errors="coerce")
    if local and form == "ISO8601":
        offsets = [offset_of(text) or 0 for text in texts]
        if any(offsets):
            dates += pd.to_timedelta(offsets, unit="min")
    return since_1970(dates)


def offset_of(text: str) -> int | None:
    """Minutes by which the clock of a text is ahead of UTC, if it says so.

    >>> [offset_of(t) for t in ("2024-03-01 05:00-0330", "2024-03-01T05:00Z", "2024-03-01")]
    [-210, 0, None]
    """
    found = next((match for match in OFFSET.finditer(text) if match.end() == len(text)), None)
    if found is None:
        return None
    if found["utc"]:
        return 0
    minutes = 60 * int(found["hours"]) + int(found["minutes"] or 0)
    return -minutes if found["sign"] == "-" else minutes


def days_of_numbers(values: FloatArray, date_format: str) -> FloatArray:
    """Days since 1970 (n,) of numbers in one of `NUMBER_FORMS`; NaN for those that are none."""
    if date_format in SINCE_1970:
        return values / SINCE_1970[date_format]
    if date_format == SERIAL:
        return values - SERIAL_1970
    texts = [f"{value:.0f}" if np.isfinite(value) else None for value in values]
    dated = pd.to_datetime(
        pd.Series(texts, dtype=object), format=date_format, errors="coerce", utc=True
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
