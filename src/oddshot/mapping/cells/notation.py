"""How the numbers of a column are written, by people and by programs."""

import datetime
import decimal
import numbers
import re
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.frames import MISSING_WORDS, NUMBER_TEXT
from oddshot.mapping.cells.affixes import USUAL, currencies, find_before, without
from oddshot.mapping.cells.spans import are_spans, days_of_span
from oddshot.mapping.cells.units import MALFORMED, ends_in, find_units

MANY = 20  # different numbers that make a column one of numbers, whatever few words are among them
FEW = 0.05  # different texts among them that are none, as a share of these
ENOUGH = 5  # different numbers with a point, and without, that tell what the point means
ENDS_IN_0, CHANCE = 0.1, 0.01  # share of decimals that would be written shorter; of none in many
SHOWN = 3
SECONDS = 86400.0
DURATIONS, NUMBERS = "durations", "numbers"
SIGNS, SIGNED = ("<", ">", "\u2264", "\u2265"), 0.2  # share of texts that may begin with one


def _amounts(thousands: str, point: str) -> re.Pattern[str]:
    """Match $1,100.50, (3,000), $(3), 8.1 %, EUR -5.00, 1'250, 3 000-, <0.5, with other signs, too.

    Where commas stand between thousands, also 12,34,567.
    """
    lakhs = r"|[1-9]\d?(?:,\d{2})+,\d{3}" if thousands == "," else ""
    return re.compile(
        r"[<>\u2264\u2265]?=?\s?(?P<bracket>\(?)(?P<before>[+\u2212-]?)"
        rf"(?:{USUAL}\s?(?P<within>\(?))?(?P<minus>[+\u2212-]?)"
        rf"(?P<whole>[1-9]\d{{0,2}}(?:[{thousands}'\u2019 \u00a0\u2009\u202f]\d{{3}})+{lakhs}|\d+)"
        rf"(?P<rest>{point}\d*)?\s?(?P<unit>%|{USUAL}|)(?P<after>[\u2212-]?)(?P<closed>\)?)"
    )


_MARK = r"HH?|LL?|\((?:HH?|LL?)\)|\*{1,2}"
_MARKED = re.compile(
    rf"(?:(?P<before>{_MARK})\s)?(?P<number>[^A-Za-z*]*\d.*?)(?:\s?(?<=[\d\s.])(?P<behind>{_MARK}))?"
)  # as laboratories do what is high or low
_BEGIN, _END = ("H", "L", "(", "*"), ("H", "L", ")", "*")
LONGEST = 64  # characters of a number and its mark
_WITH_POINT, _WITH_COMMA = _amounts(",", r"\."), _amounts(r"\.", ",")
_ZERO = re.compile(rf"{USUAL}\s*-|-\s*{USUAL}")  # as spreadsheets write amounts
_CLOCK = re.compile(r"(?:(-?\d+) days?,? )?([+-]?)(\d{1,4}):(\d{2})(?::(\d{2}(?:\.\d*)?))?")
_HALF_DAY = re.compile(
    r"(?P<hour>0?[1-9]|1[0-2])(?P<later>:\d{2}(?::\d{2}(?:\.\d*)?)?)\s?(?P<half>[ap])\.?m\.?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Notation:
    """How numbers are written.

    Parameters
    ----------
    comma
        Whether a comma stands before the decimals, and points between thousands.
    words
        The texts that cannot be read and count as gaps; no others may occur.
    units
        What may stand behind a number, and by what it multiplies it: a unit by 1.
    marks
        What stood beside numbers and is left out: H, L, HH, LL or stars, as for high and low.
    holds
        `DURATIONS`, which are read in days, times of day among them, or `NUMBERS`; empty where both
        occur, or an older version did not ask. Whole numbers are not read where durations are held,
        since it is not told in what unit they are, nor durations where numbers are.
    before
        What stands before all numbers, a currency: see `find_before`.
    spans
        Whether lengths of time are written with their units, see `days_of_span`.
    """

    comma: bool = False
    words: tuple[str, ...] = ()
    units: tuple[tuple[str, float], ...] = ()
    holds: str = ""
    marks: tuple[str, ...] = ()
    before: str = ""
    spans: bool = False

    @property
    def told(self) -> str:
        """The first of the words, quoted."""
        more = ", ..." if len(self.words) > SHOWN else ""
        return ", ".join(map(repr, self.words[:SHOWN])) + more

    @property
    def told_units(self) -> str:
        """The units, and what they stand for; empty without any."""
        if self.spans:
            return "in days"
        behind = ""
        if len(self.units) == 1:
            behind = f"in {self.units[0][0]!r}"
        elif self.units:
            once = {factor: unit for unit, factor in reversed(self.units)}
            scale = (f"{once[at]!r} for {at:,.0f}" for at in sorted(once, key=abs))
            behind = "with " + ", ".join(scale)
        return " ".join(filter(None, (f"in {self.before!r}" if self.before else "", behind)))

    def read(self, values: Sequence[Any]) -> FloatArray | None:
        """All values as numbers, gaps as NaN; ``None`` if one is no number, and must be."""
        parsed, words = np.empty(len(values)), frozenset(self.words)
        for i, value in enumerate(values):
            if words and isinstance(value, str) and value.strip() in words:
                number: float | None = np.nan  # a later version may read it, too
            else:
                number = self._number(value)
            if number is None:
                return None
            parsed[i] = number
        return parsed

    def strays(self, values: Sequence[Any], *, most: float) -> list[int]:
        """Give the places of values that are no numbers, or of one more than ``most`` of them."""
        places = (at for at, value in enumerate(values) if self._number(value) is None)
        return list(islice(places, int(most) + 1))

    def groups_thousands(self, texts: Sequence[str]) -> bool:
        """Tell whether points can only stand between thousands.

        So they do if a number has two, but for texts that all have as many: these are addresses.
        Else there must be numbers without a point, up to 999, beside those with one: of decimals
        some would have other than three digits behind it, or none would end in 0.
        """
        points: Counter[int] = Counter()
        zeros = 0
        for text in texts:
            found = _WITH_COMMA.fullmatch(self._number_part(text))
            if found is None:
                if text.lower() not in MISSING_WORDS and Notation(units=self.units).reads(text):
                    return False
                continue
            count = found["whole"].count(".")
            if not count and len(found["whole"]) > 3:
                return False
            points[count] += found["whole"] != "0"  # which may stand for none
            zeros += count > 0 and found["whole"].endswith("0")
        plain, pointed = points[0], points.total() - points[0]
        if pointed > points[1]:
            return len(+points) > 1
        if min(plain, pointed) < ENOUGH:
            return False
        return zeros > 0 or (1 - ENDS_IN_0) ** pointed < CHANCE

    def reads(self, value: Any) -> bool:
        """Whether a value is a number or a gap, words aside."""
        return self._number(value) is not None

    @property
    def learned(self) -> str:
        """What a cell is expected to hold."""
        return "a duration" if self.holds == DURATIONS else "a number"

    def what_else(self, kind: str) -> str:
        """Say what a column of a numeric type, by numpy's letter, holds instead; empty if it fits.

        >>> Notation(holds=DURATIONS).what_else("i"), Notation(holds=DURATIONS).what_else("m")
        ('whole numbers', '')
        """
        if self.holds == NUMBERS and kind == "m":
            return DURATIONS
        return "whole numbers" if self.holds == DURATIONS and kind in "iu" else ""

    def _number(self, value: Any) -> float | None:
        if (self.holds == NUMBERS and _lasts(value)) or (
            self.holds == DURATIONS and _is_whole(value)
        ):
            return None
        if isinstance(value, str):
            return self._of_cell(value.strip())
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

    def _of_cell(self, text: str) -> float | None:
        if self.marks:
            text = _split_mark(text)[0]
        if self.before:
            bare = without(text, self.before)
            if bare == "-":
                return 0.0
            if bare is None and currencies([text]):
                return None
            text = text if bare is None else bare
        if self.spans and (days := days_of_span(text)) is not None:
            return days
        for unit, factor in self.units:
            if size := ends_in(text, unit):
                number = self._of_text(text[:-size].strip())
                if number is not None:
                    return factor * number
        return self._of_text(text)

    def _number_part(self, text: str) -> str:
        """Give a text without the unit at its end."""
        size = next((size for unit, _ in self.units if (size := ends_in(text, unit))), 0)
        return text[: len(text) - size].strip()

    def _of_text(self, text: str) -> float | None:
        if NUMBER_TEXT.fullmatch(text) and not (self.comma and "." in text):
            return float(text)
        if text.lower() in MISSING_WORDS:
            return np.nan
        if (time := _time(text)) is not None:
            return time
        found = (_WITH_COMMA if self.comma else _WITH_POINT).fullmatch(text)
        if found is None:
            return 0.0 if _ZERO.fullmatch(text) else None
        return _signed_size(found)


PLAIN = Notation()


def _signed_size(found: re.Match[str]) -> float | None:
    bracket = found["bracket"] + (found["within"] or "")
    signs = bracket + found["before"] + found["minus"] + found["after"]
    if len(bracket) != len(found["closed"]) or len(signs) > 1:
        return None
    rest = (found["rest"] or "").replace(",", ".")
    size = float(re.sub(r"\D", "", found["whole"]) + rest)
    size = size / 100 if found["unit"] == "%" else size
    return size if signs in ("", "+") else -size


def what_is_held(values: Sequence[Any], words: Collection[str] = ()) -> str:
    """Tell what values hold that are numbers: `DURATIONS`, `NUMBERS`, or empty where it is both.

    >>> what_is_held([datetime.timedelta(3), "1 days 02:00", None, "-"]), what_is_held(["2", 1.5])
    ('durations', 'numbers')
    """
    gaps = MISSING_WORDS.union(word.lower() for word in words)
    read = (v for v in values if not (isinstance(v, str) and v.strip().lower() in gaps))
    kinds = {_lasts(value) for value in read if value is not None}
    return "" if len(kinds) != 1 else DURATIONS if kinds == {True} else NUMBERS


def _lasts(value: Any) -> bool:
    if isinstance(value, str):
        return ":" in value and _time(value.strip()) is not None
    return isinstance(value, datetime.timedelta | np.timedelta64 | datetime.time)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, np.timedelta64)


def find_notation(
    values: Sequence[Any], counts: NDArray[np.intp] | None = None, *, place: bool = False
) -> Notation | None:
    """Find how different values are written as numbers; ``None`` where they are none.

    A point before the decimals goes first; a comma counts only where there is one, or where points
    can only stand between thousands. Words without a digit among numbers are gaps where the
    different numbers are 20 or more, and twenty times as many as the different texts that are none;
    so are malformed ones, with a digit, if they are no more than one cell in fifty. Texts that tell
    more than a number are none: several currencies, or many with a sign as in "<50" and ">50".

    Parameters
    ----------
    values
        The values, n of them.
    counts
        Shape (n,): in how many cells each occurs; in one, if it is not said.
    place
        Whether they are latitudes or longitudes, as their column's name says: N and E are no units.

    Examples
    --------
    >>> find_notation(["1.5", "$2,000"]) == Notation(), find_notation(["1.234,56", "7"]).comma
    (True, True)

    One unit behind all numbers is one, and so are thousands and millions, credit and debit:

    >>> find_notation(["12.5 kg", "3 kg"]).units, find_notation(["1.5M", "9"]).read(["2K"]).tolist()
    ((('kg', 1.0),), [2000.0])
    >>> find_notation([*map(str, range(30)), "ERR"]).words, find_notation(["1", "2", "A"])
    (('ERR',), None)
    >>> find_notation([*map(str, range(99)), "12O.5"]).words
    ('12O.5',)
    """
    texts = [value.strip() for value in values if isinstance(value, str)]
    found, strays = closest_notation(values, most=FEW * len(values), place=place)
    given = len(values) - len(strays)
    if strays and (given < MANY or len(strays) > FEW * given):
        return None
    words = [values[at] for at in strays]
    if not all(isinstance(word, str) for word in words):
        return None
    counts = np.ones(len(values), dtype=np.intp) if counts is None else counts
    malformed = [at for at in strays if re.search(r"\d", values[at])]
    if counts[malformed].sum() > MALFORMED * counts.sum() or what_more(texts):
        return None
    return replace(found, words=tuple(sorted({word.strip() for word in words})))


def closest_notation(
    values: Sequence[Any], *, most: float, place: bool = False
) -> tuple[Notation, list[int]]:
    """Find the notation in which most values are numbers, and the places of those that are none.

    Of these it gives one more than ``most`` at most. ``place`` as for `find_notation`.
    """
    texts = [value.strip() for value in values if isinstance(value, str)]
    if are_spans(text for text in texts if text.lower() not in MISSING_WORDS):
        return Notation(spans=True), Notation(spans=True).strays(values, most=most)
    before = find_before(texts)
    if before:
        texts = [bare if (bare := without(text, before)) is not None else text for text in texts]
    units = find_units(texts, place=place)
    marks = _marks(texts, units)
    if marks:
        split = [*map(_split_mark, texts)]
        unmarked = [number for number, _ in split]
        units = find_units(unmarked, place=place)
        if _are_letters_instead(split, units):
            marks, units = (), ()
        else:
            texts = unmarked
    point = Notation(units=units, marks=marks, before=before)
    comma = replace(point, comma=True)
    unread = point.strays(values, most=most)
    commas = sum("," in text for text in texts)
    if not commas and not any("." in text for text in texts):
        return point, unread
    others = comma.strays(values, most=most)
    if len(others) <= most and comma.groups_thousands(texts):
        return comma, others
    few_commas = len(unread) <= most and commas < sum("." in text for text in texts)
    if commas and len(others) < len(unread) and not few_commas:
        return comma, others
    return point, unread


def count_bounds(values: Sequence[Any], counts: NDArray[np.intp]) -> tuple[int, int]:
    """Count cells, of values that occur so often, below a limit that they name, and above one.

    >>> count_bounds(["<0.5", "> 7", "7", "<LOD", 3], np.array([2, 3, 4, 5, 6]))
    (2, 3)
    """
    found: Counter[bool] = Counter()
    for value, count in zip(values, counts, strict=True):
        text = value.lstrip() if isinstance(value, str) else ""
        if text.startswith(SIGNS) and re.match(r".=?\s?[\d.]", text):
            found[text[0] in "<\u2264"] += int(count)
    return found[True], found[False]


def _marks(texts: Sequence[str], units: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """Find marks beside fewer than half of the numbers, unless they are the unit: L for litres."""
    marked = [mark for text in texts if (mark := _split_mark(text)[1])]
    found = {*marked} - {unit for unit, _ in units}
    return tuple(sorted({*marked})) if found and 2 * len(marked) < len(texts) else ()


def _are_letters_instead(
    split: Sequence[tuple[str, str]], units: Sequence[tuple[str, float]]
) -> bool:
    """Whether a mark stands where other numbers have a unit of one letter: 5 S, 7 H."""
    letter = units[0][0] if len(units) == 1 and len(units[0][0]) == 1 else ""
    return letter.isalpha() and not any(mark and ends_in(number, letter) for number, mark in split)


def _split_mark(text: str) -> tuple[str, str]:
    """Give a text without the mark beside its number, and the mark, if it has one."""
    if len(text) > LONGEST or not (text.startswith(_BEGIN) or text.endswith(_END)):
        return text, ""
    match = _MARKED.fullmatch(text)
    if match is None or bool(match["before"]) == bool(match["behind"]):
        return text, ""
    return match["number"], match["before"] or match["behind"]


def _time(text: str) -> float | None:
    """Read a length of time, or a time of day, in days."""
    if clock := _CLOCK.fullmatch(text):
        days, sign, *parts = clock.groups()
        seconds = sum(float(p or 0) * s for p, s in zip(parts, (3600, 60, 1), strict=True))
        return (float(days or 0) * SECONDS + (-seconds if sign == "-" else seconds)) / SECONDS
    if clock := _HALF_DAY.fullmatch(text):
        hour = int(clock["hour"]) % 12 + 12 * (clock["half"] in "pP")
        return _time(f"{hour}{clock['later']}")
    return None


def what_more(texts: Sequence[str]) -> str:
    """Say what texts tell beside numbers: several currencies, or a sign that stands before many."""
    found = currencies(texts)
    if len(found) > 1:
        return f"numbers in several currencies: {', '.join(sorted(found))}"
    signed = [text for text in texts if text.startswith(SIGNS)]
    return (
        f"many numbers are bounds, as {min(signed)!r}" if len(signed) > SIGNED * len(texts) else ""
    )
