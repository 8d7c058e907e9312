"""Months, quarters, weeks and dates with the names of months, by the moment they begin with.

Each of `FORMS` is a family of spellings; a text of one is read as a date in ISO 8601.
"""

import datetime
import re
from collections.abc import Sequence

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_SHORT = r"(?P<short>\d\d)"
_MONTH = r"(?P<month>0?[1-9]|1[0-2])"
_NAME = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|\.)?"
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?[.,]{0,2}\s+)?"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d{1,9})?))?"
_ZONE = r"(?:\s?(?P<zone>z|utc|gmt|[+-]\d\d:?\d\d))?"
_LATER = rf"(?:(?:,?\s+|t|:|,?\s+at\s+){_CLOCK}(?:\s?(?P<noon>[ap])\.?m\.?)?{_ZONE})?"
_BETWEEN = r"(?:,?\s+|[-/])"
_PART = r"(?:q(?P<quarter>[1-4])|h(?P<half>[12]))"
_COUNTED = r"(?:(?P<quarter>[1-4])q|(?P<half>[12])h)"
_WEEK = r"(?:w|wk|cw|kw|week)[ -]?(?P<week>0?[1-9]|[1-4]\d|5[0-3])"
_FISCAL = r"(?:[fc]y\s?)?"

_SEASON = re.compile(r"((?:19|20)\d\d)[-/](\d\d)")

FORMS = {
    form: tuple(re.compile(spelling, re.IGNORECASE) for spelling in spellings)
    for form, spellings in {
        "written day": (
            rf"{_WEEKDAY}{_DAY}(?:{_BETWEEN}|\s?){_NAME}(?:{_BETWEEN}|\s?){_YEAR}{_LATER}",
            rf"{_WEEKDAY}{_NAME}{_BETWEEN}{_DAY}(?:{_BETWEEN}){_YEAR}{_LATER}",
            rf"{_WEEKDAY}{_YEAR}{_BETWEEN}{_NAME}{_BETWEEN}{_DAY}{_LATER}",
            rf"{_WEEKDAY}{_NAME}\s+{_DAY}\s+{_CLOCK}{_ZONE}\s+{_YEAR}",
        ),
        "month": (
            rf"{_MONTH}[-/. ]{_YEAR}",
            rf"{_NAME}(?:{_BETWEEN}|\s?){_YEAR}",
            rf"{_YEAR}(?:{_BETWEEN}|\s?){_NAME}",
            rf"{_YEAR}[-/ ]?m{_MONTH}",
            rf"{_YEAR}[-/]{_MONTH}",
        ),
        "month, short year": (rf"{_NAME}[-/ ]?'?{_SHORT}",),
        "quarter": (
            rf"{_FISCAL}{_YEAR}[-/. ]{{0,2}}{_PART}",
            rf"{_PART}[-/. ]{{0,2}}{_FISCAL}{_YEAR}",
            rf"{_COUNTED}[-/. ]?{_FISCAL}(?:{_YEAR}|'?{_SHORT})",
            rf"{_PART}[-/ ]?(?:fy\s?|'){_SHORT}",
            rf"fy\s?{_SHORT}[-/ ]?{_PART}",
        ),
        "week": (
            rf"{_YEAR}[-/ ]?{_WEEK}(?:-(?P<weekday>[1-7]))?",
            rf"{_WEEK}[-/ ]{_YEAR}",
        ),
        "year": (rf"[fc]y[-\s]?(?:{_YEAR}|'?{_SHORT})",),
    }.items()
}
FIRST_CENTURY = 69  # years of two digits up to this are of the 21st century, as strptime has it


def begin(texts: Sequence[str], form: str) -> list[str | None]:
    """Give the moments in ISO 8601 with which texts begin; ``None`` for what is no such text.

    >>> begin(["2023-Q2", "Q3 2023", "soon"], "quarter")
    ['2023-04-01', '2023-07-01', None]
    >>> begin(["5. Jun 2023", "Monday, June 5th, 2023, 1:30 pm"], "written day")
    ['2023-06-05', '2023-06-05T13:30:00']
    >>> begin(["2023-W20"], "week"), begin(["May 2023", "05/2023"], "month")
    (['2023-05-15'], ['2023-05-01', '2023-05-01'])
    """
    return [_begin(text, form) for text in texts]


def may_mean_else(texts: Sequence[str], form: str) -> bool:
    """Tell whether texts that are read in a form may mean something else: seasons, or days.

    2010-11 and 2011-12 are seasons where each has the year that follows. May-23 is a month where
    there are more different months than different numbers behind them.
    """
    if form == "month, short year":
        matches = [found for text in texts if (found := _match(text, form))]
        names = {found["name"][:3].lower() for found in matches}
        return len(names) <= len({found["short"] for found in matches})
    seasons = map(_SEASON.fullmatch, texts)
    return len(texts) > 0 and all(
        found and int(found[2]) == (int(found[1]) + 1) % 100 for found in seasons
    )


def _match(text: str, form: str) -> re.Match[str] | None:
    return next((found for p in FORMS[form] if (found := p.fullmatch(text))), None)


def _begin(text: str, form: str) -> str | None:
    match = _match(text, form)
    if match is None:
        return None
    found = {name: part for name, part in match.groupdict().items() if part is not None}
    year = int(found["year"]) if "year" in found else _century(int(found["short"]))
    try:
        if "week" in found:
            weekday = int(found.get("weekday", 1))
            return datetime.date.fromisocalendar(year, int(found["week"]), weekday).isoformat()
        day = datetime.date(year, _month(found), int(found.get("day", 1))).isoformat()
        return day + _clock(found) if "hour" in found else day
    except ValueError:  # no such day
        return None


def _century(short: int) -> int:
    return short + (2000 if short < FIRST_CENTURY else 1900)


def _month(found: dict[str, str]) -> int:
    if "name" in found:
        return _NAMES.index(found["name"][:3].lower()) + 1
    if "quarter" in found:
        return 3 * int(found["quarter"]) - 2
    return 6 * int(found["half"]) - 5 if "half" in found else int(found.get("month", 1))


def _clock(found: dict[str, str]) -> str:
    hour = int(found["hour"])
    if "noon" in found:
        hour = hour % 12 + 12 * (found["noon"].lower() == "p")
    zone = found.get("zone", "").lower()
    zone = "Z" if zone in ("z", "utc", "gmt") else zone
    return f"T{hour:02}:{found['minute']}:{found.get('second', '00')}{zone}"
