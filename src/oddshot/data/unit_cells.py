"""Rows of units, as programs that measure write beneath a header: m/s, kW, [rpm]."""

import re
from collections.abc import Callable, Sequence

FEWEST = 2  # units that make a row one of them
NEARLY_ALL = 0.9  # of the cells below a unit are numbers, where they are no gaps

_SYMBOL = (
    "m|g|s|A|K|mol|cd|N|W|Wh|J|Pa|V|VA|VAr|var|varh|Ah|Hz|C|F|S|T|H|\u03a9|\u2126|Ohm|ohm|lm|lx|eV|"
    "bar|l|L|t|cal|B|bit|Nm|px|sec|ppm|ppb|rpm|U|u|min|h|d|hr|hrs|day|days|"
    "Torr|torr|psi|atm|rad|deg|grad|\u00b0|\u00b0C|\u00b0F|degC|degF|in|inch|ft|yd|mi|lb|lbs|oz|gal|"
    "mph|kn|kt|kts|dB|dBA|dBm|pH|sccm|slm|count|counts|cts|pcs|Stk|St\u00fcck|a\\.u\\.|"
    "EUR|USD|GBP|CHF|\u20ac|\\$|\u00a3"
)
_POWER = r"(?:\^?-?[1-4]|\u207b?[\u00b9\u00b2\u00b3])?"
_FACTOR = rf"[fpnu\u00b5\u03bcmcdhkMG]?(?:{_SYMBOL}){_POWER}"
_UNIT = re.compile(rf"(?:1|{_FACTOR})(?:[/\u00b7*. ]{_FACTOR})*|%(?:\s?\w{{1,4}})?|\u2030")
_BRACKETS = re.compile(r"\[[^\]]{0,16}\]|\([^)\d]{1,15}\d?\)")
_DATE_FORM = re.compile(r"[ymdhst]{1,5}(?:[-./: ]+[ymdhst]{1,5})+", re.IGNORECASE)
_OF_TEXTS = frozenset({"date", "time", "datetime", "utc", "gmt", "text", "string"})


def is_row_of_units(
    row: Sequence[str], below: Sequence[Sequence[str]], kind: Callable[[str], str]
) -> bool:
    """Tell whether a row beneath a header holds units.

    Each cell is empty, a known unit, one in brackets, the form of a date, or a word for texts; two
    are units, beside which 1 is one, too; and what stands below these are numbers, and none of
    these units again.

    Parameters
    ----------
    row
        Its d cells.
    below
        Shape (n, d): those of the rows beneath it.
    kind
        Tells "number", "gap" and others of a cell.

    Examples
    --------
    >>> def kind(cell):
    ...     return "number" if cell.isdecimal() else "word"
    >>> is_row_of_units(["m/s", "[kW]", ""], [["3", "4", "a"]], kind)
    True
    >>> is_row_of_units(["m/s", "much", ""], [["3", "4", "a"]], kind)
    False
    """
    found = [place for place, cell in enumerate(row) if _is_unit(cell)]
    others = [cell for place, cell in enumerate(row) if place not in found]
    if len(found) < FEWEST or not below:
        return False
    if not all(kind(cell) == "gap" or _goes_with_units(cell) for cell in others):
        return False
    for place in found:
        column = [cells[place] for cells in below]
        kinds = [told for cell in column if (told := kind(cell)) != "gap"]
        if not kinds or kinds.count("number") < NEARLY_ALL * len(kinds) or row[place] in column:
            return False
    return True


def _is_unit(cell: str) -> bool:
    return bool((_UNIT.fullmatch(cell) and cell != "1") or _BRACKETS.fullmatch(cell))


def _goes_with_units(cell: str) -> bool:
    """Tell whether a cell that is no unit by itself may stand beside two of them."""
    return cell in ("", "1") or cell.lower() in _OF_TEXTS or bool(_DATE_FORM.fullmatch(cell))
