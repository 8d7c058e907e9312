"""Reasons in words, for people who are not data scientists."""

import sys
from collections.abc import Hashable
from typing import Any, Protocol

import numpy as np
import pandas as pd

from oddshot.detectors.explanations.alternatives import Change, CounterExample
from oddshot.wording import DIGITS, digits_apart, short_number

MOST_RARE = 1_000_000  # rarer than this nobody can say
LEAST_PART = 0.1  # of the largest contribution, below which one is no reason


class Explained(Protocol):
    """What is told of a row: what words need of an `Explanation`."""

    @property
    def row(self) -> Hashable:
        """The row's label, or its place."""

    @property
    def score(self) -> float:
        """Anomaly score."""

    @property
    def threshold(self) -> float:
        """Scores above it are anomalies."""

    @property
    def flagged(self) -> bool:
        """Whether the row is an anomaly."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns' names."""

    @property
    def values(self) -> tuple[Any, ...]:
        """The row's cells in these."""

    @property
    def typical(self) -> CounterExample:
        """The nearest typical row."""

    @property
    def anomaly(self) -> CounterExample | None:
        """The nearest known anomaly."""

    @property
    def change(self) -> Change | None:
        """The smallest change found that makes the row normal."""

    def top(self, number: int = 3) -> list[tuple[str, Any, float]]:
        """Column, value and contribution of the largest contributions, largest first."""


def told(found: Explained, *, top: int = 3, sought: bool = True, decimal: str = ".") -> list[str]:
    """Say in plain sentences why a row has its score, what it compares with, what would change it.

    Parameters
    ----------
    found
        The explanation.
    top
        How many columns are named, at most.
    sought
        Whether changes were looked for; if not, nothing is said of them.
    decimal
        What stands before decimals, as in the file that the row is from.

    Examples
    --------
    >>> from oddshot.detectors.explanations.explanation import Explanation
    >>> usual = CounterExample(3, {"amount": 103.0, "shop": "here"}, 0.2, ("amount",))
    >>> parts = np.array([2.7, -0.1])
    >>> columns, cells, change = ("amount", "shop"), (900.0, "here"), Change({"amount": 140.0}, 1.9)
    >>> row = Explanation(17, 3.0, 0.4, 2.0, columns, cells, parts, usual, None, change)
    >>> for line in told(row):
    ...     print(line)
    Row 17: anomaly score 3, above the threshold of 2. About one row in 1,000 scores as high.
    amount is 900 (+2.7); in the nearest typical row it is 103.
    The nearest typical row (at position 3 of those learned from) differs only in amount (103).
    Smallest change found that makes it normal: amount = 140 (score then 1.9).
    """
    side = "above" if found.flagged else "not above"
    lines = [
        f"Row {found.row}: anomaly score {_signed(found.score, '.3g', decimal)}, {side} the "
        f"threshold of {_signed(found.threshold, '.3g', decimal)}. {_rarity(found.score, decimal)}"
    ]
    digits = digits_of(found)
    lines += reasons(found, top=top, decimal=decimal)
    lines.append(_beside("typical row", found.typical, digits, decimal))
    if found.anomaly is not None:
        lines.append(_beside("known anomaly", found.anomaly, digits, decimal))
    if found.change is not None:
        values = " and ".join(
            f"{name} = {shown(value, digits[name], decimal)}"
            for name, value in found.change.values.items()
        )
        lines.append(
            f"Smallest change found that makes it normal: {values} "
            f"(score then {_signed(found.change.score, '.3g', decimal)})."
        )
    elif sought and found.flagged:
        lines.append("No change of one or two columns was found that makes it normal.")
    return lines


def reasons(found: Explained, *, top: int = 3, decimal: str = ".") -> list[str]:
    """Name the columns that make a row odd, one sentence each, the largest contribution first.

    Contributions are in the unit of the score; those too small to be written, or beside the
    largest, are left out. ``decimal`` as for `told`.
    """
    lines, digits = [], digits_of(found)
    for column, value, part in telling(found, top):
        cell, typical = (
            shown(each, digits[column], decimal) for each in (value, found.typical.values[column])
        )
        beside = (
            ", as in the nearest typical row"
            if cell == typical
            else f"; in the nearest typical row it is {typical}"
        )
        stop = "" if beside.endswith(".") else "."  # as an abbreviation does
        lines.append(f"{column} is {cell} ({_signed(part, '+.2g', decimal)}){beside}{stop}")
    return lines


def telling(found: Explained, top: int) -> list[tuple[str, Any, float]]:
    """Columns, values and contributions that are reasons, ``top`` at most, largest first."""
    parts = [each for each in found.top(top) if round(each[2], 2) > 0]
    return [each for each in parts if each[2] >= LEAST_PART * parts[0][2]]


def digits_of(found: Explained) -> dict[str, int]:
    """By column, the digits that tell apart what is said of it: the row's cell and those beside."""
    beside = [
        other.values for other in (found.typical, found.anomaly, found.change) if other is not None
    ]
    return {
        column: digits_between(value, *(cells[column] for cells in beside if column in cells))
        for column, value in zip(found.columns, found.values, strict=True)
    }


def digits_between(*cells: Any, digits: int = DIGITS) -> int:
    """Count the digits that cells told side by side need; not all must be numbers."""
    kinds = (int, float, np.integer, np.floating)
    numbers: list[Any] = [cell for cell in cells if isinstance(cell, kinds)]
    return digits_apart((cell for cell in numbers if abs(cell) < sys.float_info.max), digits)


def shown(value: Any, digits: int = DIGITS, decimal: str = ".") -> str:
    """Write a cell: short numbers, "missing" for a gap, no clock where it shows midnight.

    ``decimal`` stands before the decimals of numbers; texts stay as they are.
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return "missing"
    if isinstance(value, float | np.floating):
        short = short_number(float(value), digits).replace(".", decimal)
        return "missing" if np.isnan(value) else short
    if isinstance(value, pd.Timestamp) and value == value.normalize():
        return str(value.date())
    return str(value)


def _signed(value: float, form: str, decimal: str) -> str:
    """Write a number of our own as those of the table are."""
    return f"{value:{form}}".replace(".", decimal)


def _rarity(score: float, decimal: str) -> str:
    if score > np.log10(MOST_RARE):
        return _grouped(f"Less than one row in {MOST_RARE:,} scores as high.", decimal)
    rows = 10**score
    if rows < 2:
        return "At least half of all rows score as high."
    digits = 10 ** max(int(np.log10(rows)) - 1, 0)
    return _grouped(f"About one row in {round(rows / digits) * digits:,} scores as high.", decimal)


def _grouped(text: str, decimal: str) -> str:
    """Put points between thousands where commas stand before decimals."""
    return text.replace(",", ".") if decimal == "," else text


def _beside(
    what: str, other: CounterExample, digits: dict[str, int], decimal: str, most: int = 3
) -> str:
    place = "" if other.place is None else f" (at position {other.place} of those learned from)"
    if not other.differing:
        return f"The nearest {what}{place} is alike in all columns."
    first = ", ".join(
        f"{name} ({shown(other.values[name], digits[name], decimal)})"
        for name in other.differing[:most]
    )
    only = "only" if len(other.differing) <= most else "most"
    return f"The nearest {what}{place} differs {only} in {first}."
