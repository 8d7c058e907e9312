"""Lengths of time with their units, as people write them (3h 41m) and ISO 8601 (PT2M47S)."""

import re
from collections.abc import Iterable

YEAR, HOUR = 365.25, 1 / 24
LONGEST = 64  # characters
_NUMBER = r"\d+(?:[.,]\d+)?"
_UNITS = (  # in English and German
    ("years", r"years?|yrs?\.?|y|jahre?", YEAR),
    ("months", r"months?|mos?\.?|mths?\.?|monate?", YEAR / 12),
    ("weeks", r"weeks?|wks?\.?|w|wochen?", 7.0),
    ("days", r"days?|d|tage?", 1.0),
    ("hours", r"hours?|hrs?\.?|h|stunden?|std\.?", HOUR),
    ("minutes", r"minutes?|mins?\.?|m|minuten", HOUR / 60),
    ("seconds", r"seconds?|secs?\.?|s|sekunden?|sek\.?", HOUR / 3600),
)
_DAYS = {name: days for name, _, days in _UNITS}
_WRITTEN = re.compile(
    r"(?P<sign>[+\u2212-]?)"
    + r"(?:,?\s?(?:and\s)?(?!\Z))?".join(
        rf"(?:(?P<{name}>{_NUMBER})\s?(?:{spelled})(?![a-z]))?" for name, spelled, _ in _UNITS
    ),
    re.IGNORECASE,
)
_DATES = "".join(
    rf"(?:(?P<{name}>{_NUMBER}){letter})?"
    for name, letter in zip(("years", "months", "weeks", "days"), "YMWD", strict=True)
)
_CLOCK = "".join(
    rf"(?:(?P<{name}>{_NUMBER}){letter})?"
    for name, letter in zip(("hours", "minutes", "seconds"), "HMS", strict=True)
)
_ISO = re.compile(rf"(?P<sign>[+\u2212-]?)P(?=[\dT]){_DATES}(?:T(?=\d){_CLOCK})?")
_WORD, _LETTER = re.compile(r"[^\W\d_]+"), re.compile(r"\d\s?[a-gi-z]\Z", re.IGNORECASE)


def days_of_span(text: str) -> float | None:
    """Give a length of time in days; ``None`` for what is none.

    Years have 365.25 days, and twelve equal months; no minutes are beside them, for "m" may be
    either.

    >>> days_of_span("1 day 12 hours"), days_of_span("PT36H"), days_of_span("7y 1m")
    (1.5, 1.5, None)
    """
    found = _match(text)
    if found is None:
        return None
    parts = {name: found[name] for name in _DAYS if found[name]}
    days = sum(float(part.replace(",", ".")) * _DAYS[name] for name, part in parts.items())
    return -days if found["sign"] in ("-", "\u2212") else days


def are_spans(texts: Iterable[str]) -> bool:
    """Whether all of some texts are lengths of time, whose units vary.

    One unit behind all numbers is read as any other is; and a letter behind a number tells little:
    some must have two units, or all but hours have theirs in words.

    >>> are_spans(["3h 41m", "5m"]), are_spans(["5 h", "7 h"]), are_spans(["5 m", "7 s"])
    (True, False, False)
    """
    words: set[str] = set()
    several = letters = False
    for text in texts:
        found = _match(text)
        if found is None:
            return False
        words.update(_WORD.findall(text))
        several |= "P" in text[:2] or sum(found[name] is not None for name in _DAYS) > 1
        letters |= _LETTER.search(text) is not None
    return len(words) > 1 and (several or not letters)


def _match(text: str) -> re.Match[str] | None:
    if len(text) > LONGEST or not (text[-1:].isalpha() or text[-1:] == "."):
        return None
    found = _WRITTEN.fullmatch(text) or _ISO.fullmatch(text)
    if found is None or not any(found[name] for name in _DAYS):
        return None
    return None if "P" not in text[:2] and found["years"] and found["minutes"] else found
