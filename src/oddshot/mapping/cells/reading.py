"""Cells of a column as numbers, truth values, dates or levels, whatever type they came in.

The readers that end in ``_or_none`` take distinct values and answer ``None`` if one of them is
something else: with them a column's kind is recognised at fit, and read when scoring.
"""

import datetime
import numbers
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.errors import DataError
from oddshot.frames import MISSING_WORDS
from oddshot.mapping.cells import periods
from oddshot.mapping.cells.notation import FEW, Notation, find_notation

Column: TypeAlias = "pd.Series[Any]"

CODE_TEXT = re.compile(r"0\d+")  # leading zeros: a postcode, not a quantity
WHOLE_TEXT = re.compile(r"^(-?(?:0|[1-9]\d*))\.0+$")
DATE_TEXT = re.compile(
    r"\d{1,4}[-/. ](?:\d{1,2}|[a-z]{3,9})[-/. ]\d{2,4}.*|[a-z]{3,9} \d.*"
    r"|(?:19|20)\d\d(?:[-/]\d\d?|[-/. ]{0,2}[a-z].*|\d{4}[t ]\d\d.*)|\d\d?[-/.]\d{4}"
    r"|(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+)?\d\d?(?:st|nd|rd|th|\.)?[-/ ]?[a-z]{3,9}.*"
    r"|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+\S+[ -/]\d.*"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-/., ]{0,2}'?\d\d.*"
    r"|[qh]\d[-/., ].*\d\d|[1-4][qh][-/., ]?.*\d\d|[fc]y[- ']?\d\d.*|(?:w|wk|[ck]w|week)[ -]?\d.*",
    re.IGNORECASE,
)
DAYS = ("%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y",
        "%d.%m.%y", "%d-%m-%y", "%y-%m-%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y",
        "%B %d, %Y")  # fmt: skip
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
DATE_FORMATS = ("ISO8601", *periods.FORMS, *(day + clock for day in DAYS for clock in CLOCKS))
SAMPLE, UNLIKELY = 40, 1 / 8  # so many texts show a format that cannot be: more are unread
DAY = pd.Timedelta(days=1)
SHORT_YEARS = ("%d.%m.%y", "%d-%m-%y", "%y-%m-%d")  # only where all parts have two digits, for
PADDED = re.compile(r"\d{2}[.-]\d{2}[.-]\d{2}(?:\D.*)?")  # versions and scores look like these
SWAPPED = {"%m/%d": "%d/%m", "%d-%m-%y": "%y-%m-%d"}  # what could be meant, too
COMPACT, EARLIEST, LATEST = "%Y%m%d", 1900_01_01, 2100_12_31  # dates written as one number
SINCE_1970 = {"s": 86400.0, "ms": 86400e3, "us": 86400e6, "ns": 86400e9}  # of a day
YEARS_SINCE_1970 = (20.0, 80.0)  # in which such times are believed
TIME_NAME = re.compile(r"(?:.*[_ .-])?(?:time|timestamp|date|datetime|epoch|ts|unix|at)")
CAMEL_TIME = re.compile(r".*[a-z](?:Time|Timestamp|Date|At)")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
LASTING = frozenset(
    {
        "average",
        "busy",
        "cpu",
        "cycle",
        "delivery",
        "elapsed",
        "execution",
        "flight",
        "idle",
        "latency",
        "lead",
        "life",
        "load",
        "mean",
        "play",
        "process",
        "processing",
        "reaction",
        "response",
        "run",
        "service",
        "total",
        "transit",
        "travel",
        "wait",
        "waiting",
    }
)  # fmt: skip - before "time" in the name of a duration
MOST_TIMES = 1.75  # the earliest, that moments since 1970 are
FEWEST_DATES = 5  # different ones that make a column one of dates, whatever strays are among them
CLEARLY = 4.0  # times as far apart dates must be the one way to be read the other
NESTED = (list, dict, set, tuple, frozenset, np.ndarray, pd.Series, pd.DataFrame)
EPOCH = pd.Timestamp("1970-01-01", tz="UTC")


@dataclass(frozen=True, slots=True)
class DateNotation:
    """How dates are written.

    Parameters
    ----------
    form
        Their format: "ISO8601", one of `periods.FORMS`, or as `datetime.strptime` has it.
    words
        The texts that are no dates and count as gaps; no others may occur.
    """

    form: str
    words: tuple[str, ...] = ()


def read_numbers(column: Column, notation: Notation | None = None) -> FloatArray:
    """Shape (n,): numbers, durations in days, times of day in days; NaN where missing.

    Without a notation the column tells it.
    """
    if column.dtype.kind == "m":
        days: FloatArray = np.asarray(pd.TimedeltaIndex(column) / DAY, dtype=np.float64)
        return days
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if notation is None:
        codes, distinct = distinct_values(column)
        notation = find_notation(distinct, occurrences(codes)) or Notation()
    return _by_distinct(column, notation.read, "a number")


def read_booleans(column: Column) -> FloatArray:
    """Shape (n,): 1 for true, 0 for false, NaN where missing."""
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return _by_distinct(column, booleans_or_none, "true or false")


def read_days(column: Column, date_format: str, words: Collection[str] = ()) -> FloatArray:
    """Shape (n,): days since 1970 (UTC); NaN where missing, and for ``words``.

    Text is in the `date_format`. That may be one of `find_number_date`; then cells are numbers.
    """
    if date_format == COMPACT or date_format in SINCE_1970:
        return _days_of_numbers(read_numbers(column), date_format)
    if isinstance(column.dtype, pd.PeriodDtype):
        return _since_1970(pd.PeriodIndex(column).to_timestamp().tz_localize("UTC"))
    if column.dtype.kind == "M":
        return _since_1970(pd.DatetimeIndex(pd.to_datetime(column, utc=True)))
    gaps = frozenset(words)
    return _by_distinct(column, lambda values: dates_or_none(values, date_format, gaps), "a date")


def not_numbers(column: Column, notation: Notation | None = None) -> NDArray[np.bool_]:
    """Shape (n,): which cells `read_numbers` cannot read."""
    if column.dtype.kind in "biufm":
        return np.zeros(len(column), dtype=np.bool_)
    codes, distinct = distinct_values(column)
    if notation is None:
        notation = find_notation(distinct, occurrences(codes)) or Notation()
    return _cells_of(codes, [notation.read([value]) is None for value in distinct])


def not_booleans(column: Column) -> NDArray[np.bool_]:
    """Shape (n,): which cells `read_booleans` cannot read."""
    if column.dtype.kind in "biuf":
        return np.zeros(len(column), dtype=np.bool_)
    codes, distinct = distinct_values(column)
    return _cells_of(codes, [_truth(value) is None for value in distinct])


def not_dates(column: Column, date_format: str, words: Collection[str] = ()) -> NDArray[np.bool_]:
    """Shape (n,): which cells `read_days` cannot read."""
    if date_format == COMPACT or date_format in SINCE_1970:
        return not_numbers(column)
    if isinstance(column.dtype, pd.PeriodDtype) or column.dtype.kind == "M":
        return np.zeros(len(column), dtype=np.bool_)
    codes, distinct = distinct_values(column)
    return _cells_of(codes, _dates(distinct, date_format, frozenset(words))[1])


def booleans_or_none(values: Sequence[Any]) -> FloatArray | None:
    """All values as 0 or 1, missing words as NaN; ``None`` if one is no truth value."""
    parsed = np.empty(len(values))
    for i, value in enumerate(values):
        truth = _truth(value)
        if truth is None:
            return None
        parsed[i] = truth
    return parsed


def dates_or_none(
    values: Sequence[Any], date_format: str, words: Collection[str] = ()
) -> FloatArray | None:
    """All values as days since 1970, missing words and ``words`` as NaN.

    ``None`` if one is no date.
    """
    days, unread = _dates(values, date_format, words)
    return None if unread.any() else days


def find_date_format(values: Sequence[Any]) -> DateNotation | None:
    """Find how different values are written as dates; ``None`` where they are none.

    Where months can stand before days and behind them, they come first, unless dates are far closer
    together the other way. Texts among them that are no dates are gaps where the different dates
    are five or more: one such text, or one among twenty dates.

    >>> find_date_format(["31/12/2023", "01/02/2024"])
    DateNotation(form='%d/%m/%Y', words=())
    >>> find_date_format([*(f"2024-01-{day}" for day in range(10, 20)), "2024-02-30"]).words
    ('2024-02-30',)
    """
    texts = [text for value in values if (text := _as_text(value)) is not None]
    most = int(max(1, FEW * len(texts)))
    if not all(isinstance(text, str) for text in texts):
        return None
    strange = (text for text in texts if not DATE_TEXT.fullmatch(text))
    if len(list(islice(strange, most + 1))) > most:
        return None
    form, read, strays = closest_date_format(sorted({*texts}), unlikely=UNLIKELY)
    if strays and (len(read) < FEWEST_DATES or len(strays) > max(1, FEW * len(read))):
        return None
    if periods.may_mean_else(read, form):
        return None
    return DateNotation(_shorter(read, form), tuple(strays))


def closest_date_format(
    texts: Sequence[str], *, unlikely: float
) -> tuple[str, list[str], list[str]]:
    """Find the format in which most of sorted texts are dates: it, those that are, and the others.

    Formats are not looked at of which a sample says that more than a share ``unlikely`` are none.
    """
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    padded = all(PADDED.fullmatch(text) for text in texts if re.search(r"\d", text))
    form, unread = DATE_FORMATS[0], np.ones(len(texts), dtype=bool)
    for tried in DATE_FORMATS:
        if tried.startswith(SHORT_YEARS) and not padded:
            continue
        if np.isnan(_days_of_texts(sample, tried)).sum() > max(1, unlikely * len(sample)):
            continue
        strays = np.isnan(_days_of_texts(texts, tried))
        if strays.sum() < unread.sum():
            form, unread = tried, strays
        if not unread.any():
            break
    return form, [*compress(texts, ~unread)], [*compress(texts, unread)]


def find_number_date(name: str, values: FloatArray) -> str | None:
    """Find how numbers (n,) are dates: as 20240131, or as time since 1970 where the name says so.

    ``None`` where they are just numbers, as are fewer than five different ones.
    """
    named = TIME_NAME.fullmatch(name.strip().lower()) or CAMEL_TIME.fullmatch(name.strip())
    if not LASTING.isdisjoint(word.lower() for word in WORD.findall(name)):
        named = None
    values = values[~np.isnan(values)]
    compact = len(values) and values.min() >= EARLIEST and values.max() <= LATEST
    if not (named or compact) or not np.isfinite(values).all() or np.any(values % 1 > 0):
        return None
    known = np.unique(values)
    if len(known) < FEWEST_DATES:
        return None
    if known[0] >= EARLIEST and known[-1] <= LATEST:
        return None if np.isnan(_days_of_numbers(known, COMPACT)).any() else COMPACT
    first, last = (365.25 * years for years in YEARS_SINCE_1970)
    if known[-1] > MOST_TIMES * known[0]:
        return None
    for unit, day in SINCE_1970.items():
        if first <= known[0] / day and known[-1] / day <= last:
            return unit
    return None


def _dates(
    values: Sequence[Any], date_format: str, words: Collection[str]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Days since 1970 of values (n,), NaN for gaps, and which are neither.

    They are in the format given, or in ISO's if more are.
    """
    texts = [_as_text(value) for value in values]
    unread = np.array([text is not None and text not in words for text in texts], dtype=np.bool_)
    days = np.full(len(values), np.nan)
    at = [i for i, text in enumerate(texts) if unread[i] and isinstance(text, str)]
    for form in (date_format, "ISO8601"):
        dated = _days_of_texts([texts[i] for i in at], form)
        if np.isnan(dated).sum() < np.isnan(days[at]).sum():
            days[at] = dated
        if not np.isnan(days[at]).any():
            break
    return days, unread & np.isnan(days)


def _cells_of(codes: NDArray[np.intp], chosen: Any) -> NDArray[np.bool_]:
    """Shape (n,): the cells of chosen distinct values; a gap has the code -1."""
    return np.append(np.asarray(chosen, dtype=np.bool_), False)[codes]


def _as_text(value: Any) -> Any:
    """Give a date, or a date as text, as text without spaces around it; ``None`` for a gap."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if not isinstance(value, str):
        return value
    text = value.strip()
    return None if text.lower() in MISSING_WORDS else text


def _days_of_texts(texts: Sequence[str], form: str) -> FloatArray:
    """Days since 1970 of texts (n,), NaN for those that are no dates in a format."""
    if form in periods.FORMS:
        texts, form = [text or "" for text in periods.begin(texts, form)], "ISO8601"
    return _since_1970(pd.to_datetime([*texts], format=form, utc=True, errors="coerce"))


def _days_of_numbers(values: FloatArray, date_format: str) -> FloatArray:
    if date_format in SINCE_1970:
        return values / SINCE_1970[date_format]
    texts = [f"{value:.0f}" if np.isfinite(value) else None for value in values]
    dated = pd.to_datetime(
        pd.Series(texts, dtype=object), format=COMPACT, errors="coerce", utc=True
    )
    return _since_1970(pd.DatetimeIndex(dated))


def _shorter(texts: Sequence[str], form: str) -> str:
    """Choose the other order in which dates can be read, if they are far closer together then.

    Of days and months not where one of both never changes: that may be the one as the other.
    """
    meant = next((first for first in SWAPPED if first in form), None)
    if meant is None:
        return form
    other = form.replace(meant, SWAPPED[meant])
    parts = [text.split("/")[:2] for text in texts if "/" in text]
    if any(len({*side}) < 2 for side in zip(*parts, strict=True)):
        return form
    first, second = (_days_of_texts(texts, tried) for tried in (form, other))
    if np.isnan(second).any():
        return form
    return other if CLEARLY * np.ptp(second) <= np.ptp(first) else form


def are_booleans(values: Sequence[Any]) -> bool:
    """Whether all values are true or false, in some spelling."""
    return all(
        isinstance(v, bool | np.bool_)
        or (isinstance(v, str) and v.strip().lower() in ("true", "false"))
        or _is_missing_word(v)
        for v in values
    ) and not all(map(_is_missing_word, values))


def are_codes(values: Sequence[Any]) -> bool:
    """Whether digits are written with leading zeros, as in postcodes: levels, not quantities."""
    return any(isinstance(value, str) and CODE_TEXT.fullmatch(value.strip()) for value in values)


def level(value: Any) -> str:
    """Name a category's level; 3, 3.0 and " 3" are one level."""
    if isinstance(value, str):
        return value.strip()
    whole = isinstance(value, numbers.Real | np.bool_) and value % 1 == 0
    return str(int(value)) if whole else str(value)


def level_key(name: str) -> str:
    """Give what the names of a level share that one value has, written by other programs.

    >>> [level_key(name) for name in ("True", "false", "3.0", "3", "03.0", "red")]
    ['1', '0', '3', '3', '03.0', 'red']
    """
    word = name.lower()
    if word in ("true", "false"):
        return str(int(word == "true"))
    return WHOLE_TEXT.sub(r"\1", name)


def occurrences(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """How often each of the distinct values occurs that have the codes (n,)."""
    return np.bincount(codes[codes >= 0])


def distinct_values(column: Column) -> tuple[NDArray[np.intp], Sequence[Any]]:
    """Codes (n,), -1 where missing, and the values they stand for."""
    try:
        codes, distinct = pd.factorize(column)
    except TypeError:  # values that cannot be hashed: go by what they look like
        codes, distinct = pd.factorize(column.map(str, na_action="ignore"))
    return codes, list(distinct)


def nested_type(column: Column) -> str | None:
    """Name the type of the first list, dict, array or the like in a column of objects."""
    if column.dtype != object:
        return None
    return next((type(value).__name__ for value in column if isinstance(value, NESTED)), None)


def hour_and_weekday(days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Hour of day in [0, 24), to the second, and day of week, Monday 0, of days since 1970."""
    seconds = np.round(days * 86400)
    return seconds % 86400 / 3600, (np.floor(seconds / 86400) + 3) % 7


def begin_months(days: FloatArray) -> bool:
    """Tell whether all days since 1970 begin a month."""
    dates = np.unique(days)
    months = np.floor(dates).astype("datetime64[D]").astype("datetime64[M]")
    return bool((months.astype("datetime64[D]").astype(np.float64) == dates).all())


def _by_distinct(
    column: Column, read: Callable[[Sequence[Any]], FloatArray | None], what: str
) -> FloatArray:
    codes, distinct = distinct_values(column)
    known = read(distinct)
    if known is None:
        wrong = next(i for i, value in enumerate(distinct) if read([value]) is None)
        raise DataError(
            f"column {str(column.name)!r} holds {distinct[wrong]!r} in row "
            f"{int(np.argmax(codes == wrong)) + 1}, where {what} was learned; "
            "correct it, or leave it empty"
        )
    return np.append(known, np.nan)[codes]  # a gap has the code -1


def _truth(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "false"):
            return float(word == "true")
        return np.nan if _is_missing_word(word) else None
    if isinstance(value, numbers.Real) and value in (0, 1):  # how files may bring booleans back
        return float(value)
    return None


def _is_missing_word(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in MISSING_WORDS


def _since_1970(dates: pd.DatetimeIndex) -> FloatArray:
    return ((dates - EPOCH) / DAY).to_numpy(dtype=np.float64)
