"""How the numbers of a column are written, by people and by programs."""

import datetime
import decimal
import numbers
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """Match $1,100.50, (3,000), 8.1 %, EUR -5.00, 1'250, 3 000-, <0.5, or with other signs."""
    return re.compile(
        r"[<>\u2264\u2265]?=?\s?(?P<bracket>\(?)(?P<before>[+\u2212-]?)"
        rf"(?:{_CURRENCY}\s?)?(?P<minus>[+\u2212-]?)"
        rf"(?P<whole>[1-9]\d{{0,2}}(?:[{thousands}'\u2019 \u00a0\u202f]\d{{3}})+|\d+)"
        rf"(?P<rest>{point}\d*)?\s?(?P<unit>%|{_CURRENCY}|)(?P<after>[\u2212-]?)(?P<closed>\)?)"
    )


_LETTERS = r"[^\W\d_]{1,11}"
_WITH_UNIT = re.compile(
    rf"[^A-Za-z]*\d[\d.,]*\s?(?P<unit>{_LETTERS}(?:/{_LETTERS}|[\u00b2\u00b3])?|\u00b0[CF]?)"
)
NO_UNITS = frozenset({"am", "pm", "n", "e", "s", "w"})  # of the clock, and of the compass
SCALES = (
    {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9, "bn": 1e9},
    {"CR": 1.0, "DR": -1.0},
)
_WITH_POINT, _WITH_COMMA = _amounts(",", r"\."), _amounts(r"\.", ",")
_CLOCK = re.compile(r"(?:(-?\d+) days?,? )?([+-]?)(\d{1,4}):(\d{2})(?::(\d{2}(?:\.\d*)?))?")


@dataclass(frozen=True, slots=True)
class Notation:
    """How numbers are written.

    Parameters
    ----------
    comma
        Whether a comma stands before the decimals, and points between thousands.
    words
        The texts that are no numbers and count as gaps; no others may occur.
    units
        What may stand behind a number, and by what it multiplies it: a unit by 1.
    """

    comma: bool = False
    words: tuple[str, ...] = ()
    units: tuple[tuple[str, float], ...] = ()

    @property
    def told(self) -> str:
        """The first of the words, quoted."""
        more = ", ..." if len(self.words) > SHOWN else ""
        return ", ".join(map(repr, self.words[:SHOWN])) + more

    @property
    def told_units(self) -> str:
        """The units, and what they stand for."""
        if len(self.units) == 1:
            return f"in {self.units[0][0]!r}"
        once = {factor: unit for unit, factor in reversed(self.units)}
        return "with " + ", ".join(f"{once[at]!r} for {at:,.0f}" for at in sorted(once, key=abs))

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
            text = value.strip()
            for unit, factor in self.units:
                if not _ends_in(text, unit):
                    continue
                number = self._of_text(text[: -len(unit)].strip())
                if number is not None:
                    return factor * number
            return self._of_text(text)
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
            return (float(days or 0) * SECONDS + (-seconds if sign == "-" else seconds)) / SECONDS
        found = (_WITH_COMMA if self.comma else _WITH_POINT).fullmatch(text)
        if found is None or bool(found["bracket"]) != bool(found["closed"]):
            return None
        signs = found["bracket"] + found["before"] + found["minus"] + found["after"]
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

    One unit behind all numbers is one, and so are thousands and millions, credit and debit:

    >>> find_notation(["1.5", "$2,000"]) == Notation(), find_notation(["1.234,56", "7"]).comma
    (True, True)
    >>> find_notation(["12.5 kg", "3 kg"]).units, find_notation(["1.5M", "9"]).read(["2K"]).tolist()
    ((('kg', 1.0),), [2000.0])
    >>> find_notation([*map(str, range(30)), "ERR"]).words, find_notation(["1", "2", "A"])
    (('ERR',), None)
    """
    texts = [value.strip() for value in values if isinstance(value, str)]
    units = _units(texts)
    both = [Notation(units=units)]
    if any("," in text for text in texts):
        both.append(Notation(comma=True, units=units))
    strays = [notation.strays(values, most=FEW * len(values)) for notation in both]
    fewest = min(range(len(both)), key=lambda at: len(strays[at]))  # of equals the first
    found, words = both[fewest], strays[fewest]
    given = len(values) - len(words)
    if words and (given < MANY or len(words) > FEW * given):
        return None
    if not all(isinstance(word, str) and not re.search(r"\d", word) for word in words):
        return None
    found = replace(found, words=tuple(sorted(word.strip() for word in words)))
    return None if _tell_more(texts) else found


def _ends_in(text: str, unit: str) -> bool:
    """Whether a text ends in a unit; of longer ones in capitals, too: of one letter, m is not M."""
    end = text[-len(unit) :]
    return end == unit or (len(unit) > 1 and end.lower() == unit.lower())


def _units(texts: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Find what stands behind numbers, if it is one unit or all of one of `SCALES`."""
    found = {match["unit"] for text in texts if (match := _WITH_UNIT.fullmatch(text))}
    found = {unit for unit in found if not re.fullmatch(_CURRENCY, unit)}
    if not found or any(unit.lower() in NO_UNITS for unit in found):
        return ()
    for scale in SCALES:
        if found <= scale.keys():
            both = len(found) > 1 or min(scale.values()) > 0  # a credit alone has no debit beside
            return tuple(scale.items()) if both else ()
    return tuple((unit, 1.0) for unit in found) if len(found) == 1 else ()


def _tell_more(texts: Sequence[str]) -> bool:
    """Whether currencies differ, or a sign stands before more than a few of different texts."""
    currencies = {mark.group() for text in texts if (mark := re.search(_CURRENCY, text))}
    signed = sum(text.startswith(SIGNS) for text in texts)
    return len(currencies) > 1 or signed > SIGNED * len(texts)
