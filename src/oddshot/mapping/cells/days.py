"""Moments as days since 1970, and what calendar and clock say of these."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from oddshot.episodes import FloatArray
from oddshot.mapping.cells import periods
from oddshot.mapping.cells.shapes import shapes_of

DAY = pd.Timedelta(days=1)
EPOCH = pd.Timestamp("1970-01-01", tz="UTC")
COMPACT = ("%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S")  # dates written as one number
OFFSET = re.compile(
    r"[t ](?:\d\d(?::?\d\d){0,2}(?:[.,]\d+)?|\d\d?:\d\d(?::\d\d)?\s?[ap]m)\s*"
    r"(?P<offset>z|utc|gmt|[+-]\d\d(?::?\d\d)?)",
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
    texts = usual_spellings(texts)
    if form in periods.FORMS:
        texts, form = [text or "" for text in periods.begin(texts, form)], "ISO8601"
    by_utc = form == "ISO8601"
    offsets = [] if by_utc and not local else _offsets(texts)
    if not by_utc:
        pairs = zip(texts, offsets, strict=True)
        texts = [text[: -len(offset)].rstrip() if offset else text for text, offset in pairs]
    dates = pd.to_datetime(texts, format=form, utc=True, errors="coerce")
    if local == by_utc and any(offsets):
        ahead = pd.to_timedelta([minutes or 0 for minutes in _minutes(offsets)], unit="min")
        dates = dates + ahead if local else dates - ahead
    return since_1970(dates)


def usual_spellings(texts: Sequence[str]) -> list[str]:
    """Spell moments (n,) as most programs do, see `usual_spelling`."""
    shapes = shapes_of(texts)
    peculiar = {shape for shape in {*shapes} if usual_spelling(shape) != shape}
    if not peculiar:
        return [*texts]
    pairs = zip(texts, shapes, strict=True)
    return [usual_spelling(text) if shape in peculiar else text for text, shape in pairs]


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


def minutes_ahead(texts: Sequence[str]) -> list[int | None]:
    """Minutes (n,) by which the clocks of texts are ahead of UTC, if they say so.

    >>> minutes_ahead(["2024-03-01 05:00-0330", "2024-03-01T05:00Z", "2024-03-01"])
    [-210, 0, None]
    """
    return _minutes(_offsets(usual_spellings(texts)))


def _offsets(texts: Sequence[str]) -> list[str]:
    """Give the offsets (n,) from UTC with which texts end; empty for those without."""
    shapes = shapes_of(texts)
    begin = {shape: _begin_of_offset(shape) for shape in {*shapes}}
    if all(at == len(shape) for shape, at in begin.items()):
        return [""] * len(texts)
    return [text[begin[shape] :] for text, shape in zip(texts, shapes, strict=True)]


def _begin_of_offset(text: str) -> int:
    """Give the place where the offset from UTC begins with which a text ends, or its length."""
    ends = (match for match in OFFSET.finditer(text) if match.end() == len(text))
    return next((match.start("offset") for match in ends), len(text))


def _minutes(offsets: Sequence[str]) -> list[int | None]:
    """Give offsets (n,) in minutes, ``None`` for empty ones."""
    minutes = {offset: _minutes_of(offset) for offset in {*offsets}}
    return [minutes[offset] for offset in offsets]


def _minutes_of(offset: str) -> int | None:
    if not offset.startswith(("+", "-")):
        return 0 if offset else None
    minutes = 60 * int(offset[1:3]) + int(offset[3:].removeprefix(":") or 0)
    return -minutes if offset[0] == "-" else minutes


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
