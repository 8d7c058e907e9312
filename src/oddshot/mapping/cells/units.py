"""What stands behind the numbers of a column: a unit, or one of several that scale them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from oddshot.mapping.cells.affixes import SIGN, USUAL

MALFORMED = 0.02  # share of cells that may be no numbers although they hold a digit
FEW_UNITS = 5  # different ones, up to which what stands behind numbers may be units
NO_UNITS = frozenset({"am", "pm"})  # of the clock
COMPASS = (frozenset("ns"), frozenset("ew"))  # where both of a pair are met, or a place is named
SCALES = (
    {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9, "bn": 1e9},
    {"CR": 1.0, "DR": -1.0},
)
TOGETHER = (
    {"K": 1e3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12},
    {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
    {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40},
    {"Cr": 1.0, "Dr": -1.0},
    {"Haben": 1.0, "Soll": -1.0},
)  # of which two or more must be met, in any letter case: one alone is a unit
SIDES = ({"H": 1.0, "S": -1.0}, {"C": 1.0, "D": -1.0})  # of an account, where both are met behind
_SIDED = re.compile(r".*\d[.,]\d\d\s?[A-Z]\.?")  # amounts
_LETTERS = r"[^\W\d_]{1,11}(?:\u207b[\u00b9\u00b2\u00b3])?"  # or to the power of -1, ...
_WITH_UNIT = re.compile(
    rf"[^A-Za-z]*\d[.,]*\s?(?P<unit>{_LETTERS}(?:[\u00b7\u22c5*]{_LETTERS})?"
    rf"(?:/{_LETTERS}|[\u00b2\u00b3])?|\u00b0[CF]?|%\s?{_LETTERS}|(?<=\s)1/{_LETTERS}"
    rf"|[^\W\d_]{{0,3}}{SIGN})\.?"
)


def find_units(texts: Sequence[str], *, place: bool) -> tuple[tuple[str, float], ...]:
    """Find what stands behind numbers, if it is one unit or all of one scale, with its factors.

    A point that closes a unit is left out, as in kr. and Dr. Where ``place``, they are latitudes or
    longitudes.

    >>> find_units(["12 kr.", "3 kr."], place=False), find_units(["1 S", "2 H"], place=False)
    ((('kr', 1.0),), ())
    >>> find_units(["1,00 S", "2,50 H"], place=False)
    (('H', 1.0), ('S', -1.0))
    """
    behind = Counter(match["unit"] for text in texts if (match := _WITH_UNIT.fullmatch(text)))
    found = {unit for unit in behind if not re.fullmatch(USUAL, unit)}
    small = {unit.lower() for unit in found}
    if any(pair <= small or (place and small & pair) for pair in COMPASS):
        return ()
    if not _scale(found, texts):
        few = MALFORMED * len(texts)  # a letter typed for a digit is no unit
        often = {unit for unit in found if behind[unit] > few}
        found = often if len(found) > 1 else {u for u in found if u in often or len(u) > 1}
    if not found or any(unit.lower() in NO_UNITS for unit in found):
        return ()
    if scale := _scale(found, texts):
        both = len(found) > 1 or min(scale.values()) > 0  # a credit alone has no debit beside
        return tuple(scale.items()) if both else ()
    return tuple((unit, 1.0) for unit in found) if len(found) == 1 else ()


def ends_in(text: str, unit: str) -> int:
    """Count the characters of a unit at the end of a text; 0 where it is not there.

    Longer ones may be in capitals: of one letter, m is not M. A point may close them. A unit that
    begins with a digit, as 1/min, stands apart.

    >>> ends_in("5 Kg.", "kg"), ends_in("5 M", "m")
    (3, 0)
    """
    if text.endswith(unit) and not unit[0].isdigit():  # at once for most
        return len(unit)
    point = text[-1:] == "." and unit[-1:].isalpha()
    size = len(unit) + point
    end = text[-size : len(text) - point]
    if unit[:1].isdigit() and text[:-size][-1:].isdigit():
        return 0
    return size if end == unit or (len(unit) > 1 and end.lower() == unit.lower()) else 0


def units_differ(texts: Sequence[str]) -> str:
    """Say which units stand behind most texts, if these are a few; else empty."""
    matches = [match for text in texts if (match := _WITH_UNIT.fullmatch(text))]
    units = sorted({match["unit"] for match in matches})
    if 2 * len(matches) < len(texts) or not 1 < len(units) <= FEW_UNITS:
        return ""
    return f"numbers in several units: {', '.join(units)}"


def _scale(found: set[str], texts: Sequence[str]) -> Mapping[str, float]:
    """Give the scale of which units are; empty if they are of none."""
    for scale in SCALES:
        if found <= scale.keys():
            return scale
    known = {*map(_known, found)}
    if len(known) > 1:
        for scale in TOGETHER:
            if known <= {*map(_known, scale)}:
                return scale
    for scale in SIDES:
        if found == scale.keys() and _amounts_alone(texts):
            return scale
    return {}


def _known(unit: str) -> str:
    return unit if len(unit) == 1 else unit.upper()


def _amounts_alone(texts: Iterable[str]) -> bool:
    """Whether nearly all texts have two decimals before a letter."""
    sided = [_SIDED.fullmatch(text) is not None for text in texts]
    return sum(sided) >= (1 - MALFORMED) * len(sided)
