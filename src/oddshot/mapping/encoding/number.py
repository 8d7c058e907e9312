"""Columns of numbers or truth values: how their cells are read, and what stands for gaps."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.column_names import says_turn
from oddshot.mapping.cells.distinct import Column
from oddshot.mapping.cells.notation import DURATIONS, PLAIN, Notation
from oddshot.mapping.cells.reading import not_booleans, not_numbers, read_booleans, read_numbers
from oddshot.mapping.encoding.groups import told_groups

GAP_RANGES = 10.0  # how far outside a gap lies that fit never saw, in ranges with both margins
FIRST_YEAR, LAST_YEAR = 1900.0, 2100.0
ROUNDED = 1e-6  # of a number: as much may be rounding, as by single precision
TURNS = ((0.0, 360.0), (-180.0, 180.0))  # degrees
NEAR_END = 15.0  # of a turn, in degrees: both ends are met so near
MONTHS, LAST_PART = 12.0, 2100_12.0  # of a year; the last year and month


@dataclass(frozen=True, slots=True)
class Number:
    """A column of numbers or truth values.

    Gaps become `fill` (the median) and are flagged if fit saw some, else a value far outside, see
    `gap`; infinities become `below` and `above` (the extremes, moved out by the range); all is
    clipped to [`low`, `high`], the median plus and minus 1e6 spreads, and to 1e100 at most. What
    differs from one of the `usual` values by rounding alone counts as that.
    """

    column: str
    kind: str
    fill: float
    low: float
    high: float
    below: float
    above: float
    missing: bool
    varies: bool
    notation: Notation = field(default=PLAIN, kw_only=True)
    alone: bool = field(default=False, kw_only=True)  # one row at fit differed from all others
    dated_by: str = field(default="", kw_only=True)  # the column of dates of which it is a part,
    part: str = field(default="", kw_only=True)  # and which one
    last_year: float = field(default=0.0, kw_only=True)  # of a column of years, which go on
    usual: tuple[float, ...] = field(
        default=(), kw_only=True
    )  # fractions held by many rows, sorted
    code: tuple[float, ...] = field(default=(), kw_only=True)  # values that may stand for gaps,
    # each before the number of rows in which it stood
    may_be: str = field(default="", kw_only=True)  # times that it is not named as
    groups: tuple[int, ...] = field(default=(), kw_only=True)  # that it seems to name, and rows
    bounds: tuple[int, ...] = field(default=(), kw_only=True)  # cells below a limit that they name,
    # and above one

    @property
    def cause(self) -> str:
        """Say what its reason is about, see `ColumnNote`, or nothing."""
        if self.groups:
            return "groups"
        if self.code or self.may_be:
            return "code" if self.code else "time"
        if self.missing and self.notation.words:
            return "words"
        if self.notation.told_units or self.notation.marks:
            return "unit" if self.notation.told_units else "marks"
        if self.bounds or self.notation.comma:
            return "bounds" if self.bounds else "points"
        return "angle" if self.turns() else ""

    def may_be_part(self) -> bool:
        """Whether its ends are those of a calendar's parts: months, quarters, years, 202305."""
        span = (self.above - self.below) / 3  # both are moved out by it
        lowest, highest = self.below + span, self.above - span
        return lowest >= 1 and (highest <= MONTHS or FIRST_YEAR <= lowest <= highest <= LAST_PART)

    def turns(self) -> bool:
        """Whether it is named as a direction, and fills a turn: its two ends are the same."""
        span = (self.above - self.below) / 3  # both are moved out by it
        lowest, highest = self.below + span, self.above - span
        fills = any(
            first - ROUNDED <= lowest <= first + NEAR_END
            and last - NEAR_END <= highest <= last + ROUNDED
            for first, last in TURNS
        )
        return (
            fills
            and self.kind == "number"
            and self.notation.holds != DURATIONS
            and says_turn(self.column)
        )

    def outputs(self) -> list[str]:
        """Meaning of each encoded column."""
        return ["value"] * self.varies + ["missing"] * self.missing

    def aside(self) -> list[str]:
        """Meaning of each column that stands aside, see `Encoder`."""
        return []

    def reason(self) -> str:
        """Say what a user should know of it; often nothing."""
        groups = told_groups(*self.groups) if self.groups else ""
        told = (groups, self.told_code(), _on_times(self), _on_number(self), _on_bounds(self))
        return "; ".join(filter(None, (*told, _on_turns(self))))

    def told_code(self) -> str:
        """Say which values may stand for gaps; empty where none does."""
        if not self.code:
            return ""
        pairs = zip(self.code[::2], self.code[1::2], strict=True)
        told = " and ".join(f"{value:g} in {rows:,.0f} rows" for value, rows in pairs)
        return (
            f"{told}, far outside of all other values, may stand for gaps; if so, leave such cells "
            "empty"
        )

    def gap(self) -> float:
        """Give the value that stands for a gap."""
        if self.missing:
            return self.fill
        return self.fill + GAP_RANGES * (self.above - self.below)

    def read(self, column: Column) -> FloatArray:
        """Shape (n,): the cells as numbers; NaN where missing."""
        if self.kind == "boolean":
            return read_booleans(column)
        return self.unrounded(read_numbers(column, self.notation))

    @np.errstate(under="ignore")
    def unrounded(self, values: FloatArray) -> FloatArray:
        """Shape (n,): values, those within rounding of a usual one as that."""
        if not self.usual:
            return values
        usual = np.array(self.usual)
        margin = ROUNDED * np.abs(usual)
        at = np.searchsorted(np.column_stack([usual - margin, usual + margin]).ravel(), values)
        return np.where(at % 2 == 1, usual[np.minimum(at // 2, len(usual) - 1)], values)

    def outside(self, column: Column) -> NDArray[np.bool_]:
        """Shape (n,): which cells lie below or above all that fit saw, by more than rounding."""
        values, width = self.read(column), (self.above - self.below) / 3  # moved out by it
        least, most = self.below + width, self.above - width
        margin = ROUNDED * width
        return np.asarray((values < least - margin) | (values > most + margin))

    def unread(self, column: Column) -> NDArray[np.bool_]:
        """Shape (n,): which cells cannot be read."""
        if self.kind == "boolean":
            return not_booleans(column)
        return not_numbers(column, self.notation)


def _on_times(number: Number) -> str:
    if not number.may_be:
        return ""
    return (
        f"may be {number.may_be}; if so, give dates, or a name such as 'event_date', since later "
        "rows lie outside of all that was seen"
    )


def _on_number(number: Number) -> str:
    notation = number.notation
    units = f" {told}" if (told := notation.told_units) else ""
    points = ", commas before decimals, points between thousands" if notation.comma else ""
    marks = f", without marks as {notation.marks[0]!r}" if notation.marks else ""
    written = f"{units}{points}{marks}"
    read = f"read as {'duration' if notation.spans else number.kind}s{written}"
    if not number.missing:
        return read if written else ""
    if written or notation.words:
        words = f"{notation.told} and gaps" if notation.words else "gaps"
        return f"{read}; {words} become the median and are flagged"
    if not number.varies:
        return "constant but for gaps, which are flagged"
    return "gaps become the median and are flagged"


def _on_turns(number: Number) -> str:
    if not number.turns():
        return ""
    return (
        "may be an angle, of which the least and the greatest are neighbours and count as far "
        "apart; if so, give its sine and cosine instead"
    )


def _on_bounds(number: Number) -> str:
    below, above = number.bounds or (0, 0)
    told = [f"{cells:,} with {sign}" for cells, sign in ((below, "<"), (above, ">")) if cells]
    return f"limits count as values: {' and '.join(told)}" if told else ""
