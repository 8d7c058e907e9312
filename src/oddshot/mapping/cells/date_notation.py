"""How the dates of a column are written, by people and by programs."""

import datetime
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.frames import MISSING_WORDS
from oddshot.mapping.cells import periods
from oddshot.mapping.cells.days import days_of_texts, minutes_ahead, usual_spelling
from oddshot.mapping.cells.notation import FEW
from oddshot.mapping.cells.shapes import shapes_of

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
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p",
          " %I:%M:%S.%f %p")  # fmt: skip
DATE_FORMATS = ("ISO8601", *periods.FORMS, *(day + clock for day in DAYS for clock in CLOCKS))
SAMPLE, UNLIKELY = 40, 1 / 8  # so many texts show a format that cannot be: more are unread
SHORT_YEARS = ("%d.%m.%y", "%d-%m-%y", "%y-%m-%d")  # only where all parts have two digits, for
PADDED = re.compile(r"\d{2}[.-]\d{2}[.-]\d{2}(?:\D.*)?")  # versions and scores look like these
SWAPPED = {"%m/%d": "%d/%m", "%d-%m-%y": "%y-%m-%d"}  # what could be meant, too
LONGEST = 128  # characters of a date and all that stands with it; of some longer, matching is slow
FEWEST_DATES = 5  # different ones that make a column one of dates, whatever strays are among them
CLEARLY = 4.0  # times as far apart dates must be the one way to be read the other


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
    texts = [text for text in _as_texts(values) if text is not None]
    most = int(max(1, FEW * len(texts)))
    if not all(isinstance(text, str) for text in texts):
        return None
    if len([*islice(_strange(texts), most + 1)]) > most:
        return None
    form, read, strays = closest_date_format(sorted({*texts}), unlikely=UNLIKELY)
    if strays and (len(read) < FEWEST_DATES or len(strays) > max(1, FEW * len(read))):
        return None
    if periods.may_mean_else(read, form):
        return None
    return DateNotation(_shorter(read, form), tuple(strays))


def resembles_date(text: str) -> bool:
    """Tell, quickly, whether a text may be a date in any format.

    >>> resembles_date("31/12/2023"), resembles_date("red")
    (True, False)
    """
    return len(text) <= LONGEST and DATE_TEXT.fullmatch(usual_spelling(text)) is not None


def _strange(texts: Sequence[str]) -> Iterator[str]:
    """Give the texts that resemble no dates; those of a shape that does need no second look.

    Its digits are zeros, and with others more resembles a date: years begin with 19 or 20.
    """
    resemble: dict[str, bool] = {}
    for text, shape in zip(texts, shapes_of(texts), strict=True):
        if shape not in resemble:
            resemble[shape] = resembles_date(shape)
        if not resemble[shape] and not resembles_date(text):
            yield text


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
        if np.isnan(days_of_texts(sample, tried)).sum() > max(1, unlikely * len(sample)):
            continue
        strays = np.isnan(days_of_texts(texts, tried))
        if strays.sum() < unread.sum():
            form, unread = tried, strays
        if not unread.any():
            break
    return form, [*compress(texts, ~unread)], [*compress(texts, unread)]


def dates_or_none(
    values: Sequence[Any], date_format: str, words: Collection[str] = (), *, local: bool = True
) -> FloatArray | None:
    """All values as days since 1970, see `days_of_texts`; missing words and ``words`` as NaN.

    ``None`` if one is no date.
    """
    days, unread = days_and_unread(values, date_format, words, local=local)
    return None if unread.any() else days


def days_and_unread(
    values: Sequence[Any], date_format: str, words: Collection[str], *, local: bool = True
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Give days since 1970 of values (n,), NaN for gaps, and which are neither.

    They are in the format given, or in ISO's if more are.
    """
    texts = _as_texts(values)
    unread = np.array([text is not None and text not in words for text in texts], dtype=np.bool_)
    days = np.full(len(values), np.nan)
    at = [i for i, text in enumerate(texts) if unread[i] and isinstance(text, str)]
    for form in (date_format, "ISO8601"):
        dated = days_of_texts([texts[i] for i in at], form, local=local)
        if np.isnan(dated).sum() < np.isnan(days[at]).sum():
            days[at] = dated
        if not np.isnan(days[at]).any():
            break
    return days, unread & np.isnan(days)


def offsets_of(values: Sequence[Any]) -> str:
    """Tell what offsets from UTC values are written with.

    "none", "UTC" where all that have one have that of UTC, or "other"; "" where nothing is written.

    >>> offsets_of(["2024-03-01 05:00"]), offsets_of(["2024-03-01 05:00Z", "2024-03-01 05:00+01"])
    ('none', 'other')
    """
    texts = [text for text in _as_texts(values) if isinstance(text, str)]
    if not texts:
        return ""
    offsets = {*minutes_ahead(texts)} - {None}
    return "none" if not offsets else "UTC" if offsets == {0} else "other"


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
    first, second = (days_of_texts(texts, tried) for tried in (form, other))
    if np.isnan(second).any():
        return form
    return other if CLEARLY * np.ptp(second) <= np.ptp(first) else form


def _as_texts(values: Sequence[Any]) -> list[Any]:
    """Give what `_as_text` gives for each of the values (n,)."""
    if {*map(type, values)} != {str}:
        return [*map(_as_text, values)]
    return [None if (t := text.strip()).lower() in MISSING_WORDS else t for text in values]


def _as_text(value: Any) -> Any:
    """Give a date, the begin of a period, or a date as text, as text without spaces around it.

    ``None`` for a gap.
    """
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, pd.Period):
        return value.to_timestamp().isoformat()
    if not isinstance(value, str):
        return value
    text = value.strip()
    return None if text.lower() in MISSING_WORDS else text
