"""How the numbers of a column are written, by people and by programs."""

import datetime
import decimal
import numbers
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.frames import MISSING_WORDS, NUMBER_TEXT

MANY = 20  # different numbers that make a column one of numbers, whatever few words are among them
FEW = 0.05  # words among them, as a share of these
SHOWN = 3
SECONDS = 86400.0
SIGNS, SIGNED = ("<", ">", "\u2264", "\u2265"), 0.2  # share of texts that may begin with one

_CURRENCY = (
    r"(?:[$\u20ac\u00a3\u00a5\u20b9]|EUR|USD|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK|BRL)"
)


def _amounts(thousands: str, point: str) -> re.Pattern[str]:
    """Match $1,100.50, (3,000), 8.1 %, EUR -5.00, 1'250, <0.5, with other signs in the number."""
    return re.compile(
        r"[<>\u2264\u2265]?=?\s?(?P<bracket>\(?)(?P<before>[+\u2212-]?)"
        rf"(?:{_CURRENCY}\s?)?(?P<minus>[+\u2212-]?)"
        rf"(?P<whole>[1-9]\d{{0,2}}(?:[{thousands}'\u2019\u00a0\u202f]\d{{3}})+|\d+)"
        rf"(?P<rest>{point}\d*)?\s?(?P<unit>%|{_CURRENCY}|)(?P<closed>\)?)"
    )


_WITH_POINT, _WITH_COMMA = _amounts(",", r"\."), _amounts(r"\.", ",")
_CLOCK = re.compile(r"(?:(-?\d+) days?,? )?([+-]?)(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d*)?))?")


@dataclass(frozen=True, slots=True)
class Notation:
    """How numbers are written.

    Parameters
    ----------
    comma
        Whether a comma stands before the decimals, and points between thousands.
    words
        The texts that are no numbers and count as gaps; no others may occur.
    """

    comma: bool = False
    words: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The first of the words, quoted."""
        more = ", ..." if len(self.words) > SHOWN else ""
        return ", ".join(map(repr, self.words[:SHOWN])) + more

    def read(self, values: Sequence[Any]) -> FloatArray | None:
        """All values as numbers, gaps as NaN; ``None`` if one is no number, and must be."""
        parsed = np.empty(len(values))
        for i, value in enumerate(values):
            number = self._number(value)
            if number is None:
                if not isinstance(value, str) or value.strip() not in self.words:
                    return None
                number = np.nan
            parsed[i] = number
        return parsed

    def strays(self, values: Sequence[Any], *, most: float) -> list[Any]:
        """Give the values that are no numbers, or one more than ``most`` of them."""
        words = (value for value in values if self._number(value) is None)
        return list(islice(words, int(most) + 1))

    def _number(self, value: Any) -> float | None:
        if isinstance(value, str):
            return self._of_text(value.strip())
        if isinstance(value, datetime.time):
            return (value.hour * 3600 + value.minute * 60 + value.second) / SECONDS
        if isinstance(value, datetime.timedelta):
            value = value / datetime.timedelta(days=1)  # of any size, where pandas' own has a bound
        elif isinstance(value, np.timedelta64):
            value = value / np.timedelta64(1, "D")
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            return np.inf if value > 0 else -np.inf
        known = isinstance(value, numbers.Real | decimal.Decimal | np.bool_)
        return float(value) if known else None

    def _of_text(self, text: str) -> float | None:
        if NUMBER_TEXT.fullmatch(text) and not (self.comma and "." in text):
            return float(text)
        if text.lower() in MISSING_WORDS:
            return np.nan
        if clock := _CLOCK.fullmatch(text):
            days, sign, *parts = clock.groups()
            seconds = sum(float(p or 0) * s for p, s in zip(parts, (3600, 60, 1), strict=True))
            return float(days or 0) + (-seconds if sign == "-" else seconds) / SECONDS
        found = (_WITH_COMMA if self.comma else _WITH_POINT).fullmatch(text)
        if found is None or bool(found["bracket"]) != bool(found["closed"]):
            return None
        signs = found["bracket"] + found["before"] + found["minus"]
        if len(signs) > 1:
            return None
        rest = (found["rest"] or "").replace(",", ".")
        size = float(re.sub(r"\D", "", found["whole"]) + rest)
        size = size / 100 if found["unit"] == "%" else size
        return size if signs in ("", "+") else -size


def find_notation(values: Sequence[Any]) -> Notation | None:
    """Find how different values are written as numbers; ``None`` where they are none.

    A point before the decimals goes first; a comma counts only where there is one. Words without a
    digit among numbers are gaps where the different numbers are 20 or more, and twenty times as
    many as the different words. Texts that tell more than a number are none: several currencies, or
    many with a sign as in "<50" and ">50".

    >>> find_notation(["1.5", "$2,000"]), find_notation(["1.234,56", "7"]).comma
    (Notation(comma=False, words=()), True)
    >>> find_notation([*map(str, range(30)), "ERR"]).words, find_notation(["1", "2", "A"])
    (('ERR',), None)
    """
    texts = [value.strip() for value in values if isinstance(value, str)]
    both = [Notation()]
    if any("," in text for text in texts):
        both.append(Notation(comma=True))
    strays = [notation.strays(values, most=FEW * len(values)) for notation in both]
    fewest = min(range(len(both)), key=lambda at: len(strays[at]))  # of equals the first
    found, words = both[fewest], strays[fewest]
    given = len(values) - len(words)
    if words and (given < MANY or len(words) > FEW * given):
        return None
    if not all(isinstance(word, str) and not re.search(r"\d", word) for word in words):
        return None
    found = Notation(found.comma, tuple(sorted(word.strip() for word in words)))
    return None if _tell_more(texts) else found


def _tell_more(texts: Sequence[str]) -> bool:
    """Whether currencies differ, or a sign stands before more than a few of different texts."""
    currencies = {mark.group() for text in texts if (mark := re.search(_CURRENCY, text))}
    signed = sum(text.startswith(SIGNS) for text in texts)
    return len(currencies) > 1 or signed > SIGNED * len(texts)
