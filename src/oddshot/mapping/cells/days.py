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
    r"[t ](?:\d\d(?::?\d\d){0,2}(?:[.,]\d+)?|\d\d?:\d\d(?::\d\d)?\s?[ap]m)\s*"
    r"(?P<offset>z|utc|gmt|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)",
    re.IGNORECASE,
)  # behind a clock
HOURS_AHEAD = {
    **{"UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3},
    **{"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7},
}  # of UTC; those of the Americas as RFC 822 has them
USUAL = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?")
PECULIAR = re.compile(r"\[|,\d|\d{4}:|\d\.\d\d\.\d\d|[a-z](?: \d{4})?$", re.IGNORECASE)
BRACKETS = re.compile(r"\[(.*)\]")
LOGGED = re.compile(r"(?<=[/-]\d{4}):(?=\d\d:)")  # as web servers put it behind the day
POINTS = re.compile(r"(?<=\s)(\d\d?)\.(\d\d)\.(\d\d)(?=\D|$)")
COMMA = re.compile(r"(:\d\d),(?=\d{1,9}(?:\D|$))")
ZONE = re.compile(rf"\s({'|'.join(HOURS_AHEAD)})(?=$|\s\d{{4}}$)", re.IGNORECASE)
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
    texts = [*map(usual_spelling, texts)]
    if form in periods.FORMS:
        texts, form = [text or "" for text in periods.begin(texts, form)], "ISO8601"
    by_utc = form == "ISO8601"
    offsets = [_minutes_ahead(text) or 0 for text in texts] if local == by_utc else []
    if not by_utc:
        texts = [*map(_without_offset, texts)]
    dates = pd.to_datetime(texts, format=form, utc=True, errors="coerce")
    if any(offsets):
        ahead = pd.to_timedelta(offsets, unit="min")
        dates = dates + ahead if local else dates - ahead
    return since_1970(dates)


def usual_spelling(text: str) -> str:
    """Spell a moment as most programs do: brackets, a comma and names of time zones are not read.

    >>> usual_spelling("[2026-03-02 06:06:58,123 CET]"), usual_spelling("02-MAR-26 06.06.58 AM")
    ('2026-03-02 06:06:58.123+01:00', '02-MAR-26 06:06:58 AM')
    """
    if USUAL.fullmatch(text) or not PECULIAR.search(text):  # the former is told sooner
        return text
    if bracketed := BRACKETS.fullmatch(text):
        text = bracketed[1].strip()
    text = COMMA.sub(r"\1.", POINTS.sub(r"\1:\2:\3", LOGGED.sub(" ", text)))
    zone = ZONE.search(text)
    if zone is None or ":" not in text:
        return text
    hours = HOURS_AHEAD[zone[1].upper()]
    offset = f"{hours:+03}:00" if hours else "Z"
    return f"{text[: zone.start()]}{offset}{text[zone.end() :]}"


def offset_of(text: str) -> int | None:
    """Minutes by which the clock of a text is ahead of UTC, if it says so.

    >>> [offset_of(t) for t in ("2024-03-01 05:00-0330", "2024-03-01T05:00Z", "2024-03-01")]
    [-210, 0, None]
    """
    return _minutes_ahead(usual_spelling(text))


def _minutes_ahead(text: str) -> int | None:
    found = _offset(text)
    if found is None:
        return None
    if found["sign"] is None:
        return 0
    minutes = 60 * int(found["hours"]) + int(found["minutes"] or 0)
    return -minutes if found["sign"] == "-" else minutes


def _offset(text: str) -> re.Match[str] | None:
    return next((match for match in OFFSET.finditer(text) if match.end() == len(text)), None)


def _without_offset(text: str) -> str:
    found = _offset(text)
    return text[: found.start("offset")].rstrip() if found else text


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
