"""What one column holds, and the recipe by which its cells become numbers.

`recipe` looks at a column and answers one of five values: `Number`, `Date`, `Category`, `Constant`,
`LeftOut`. Nothing depends on the order of the rows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.errors import DataError
from oddshot.mapping.cells import reading as cells
from oddshot.mapping.cells.notation import (
    Notation,
    closest_notation,
    find_notation,
    units_differ,
    what_more,
)
from oddshot.mapping.cells.periods import may_mean_else
from oddshot.mapping.cells.reading import Column
from oddshot.wording import counted

PLAIN = Notation()
ONE_HOT_LEVELS = 12
UNSEEN_COUNT = 0.5  # the count behind the rarity of a level that fit did not see
OFTEN_NEW, FEW_NEW = 0.01, 3  # share and number of rows, each the only one of its level, from
# which on new levels are to be expected
GAP_RANGES = 10.0  # how far outside a gap lies that fit never saw, in ranges with both margins
CLIP_SPREADS = 1e6
LARGEST = 1e100  # squares and cubes of encoded values, summed over a table, stay finite
PARTS = 8  # of a time too short for whole days
GOLDEN = (5**0.5 - 1) / 2  # its multiples, but for whole ones, spread evenly from 0 to 1
YEAR = 364.0  # days: 52 weeks
TWICE_A_DAY, TWICE_A_WEEK = 2.0, 14.0  # days, from which on hours and weekdays come again
FOLDED_DAYS, FOLDED_LENGTHS = 3653.0, 10.0  # so far off a date can be and still be time going on
MONTHS, LAST_PART = 12.0, 2100_12.0  # of a year; the last year and month
CALENDAR_PARTS = ("year", "year and month", "month", "quarter")
NEARLY_ALL_PARTS = 0.99  # share of rows in which a column is a part of a date
CLOSE_DATES = 0.1  # share of the time that two columns of dates span
BOTH_KNOWN = 0.5  # share of the rows that have both
NEARLY_ALL = 0.9  # share of distinct texts from which a column names its rows
MAY_NAME = 0.25  # the same, where rows may repeat
MOSTLY, UNLIKE = 0.5, 0.6  # shares of texts that are no numbers, or not dates of one format, where
# it is told how many cells are
SAMPLE = 200  # texts that tell whether to look at all
COLLISIONS = 10.0  # pairs of equal integers that chance would give; numbers of rows have none
ID_NAME = re.compile(r"(?:.*[_ .-])?(?:id|uuid|guid)|index|row|row[_ .-]?(?:no|number)|unnamed: 0")
CAMEL_ID = re.compile(r".*[a-z](?:Id|ID)")
GOES_ON = frozenset({"date", "day", "hour", "month", "period", "quarter", "time", "week", "year"})
YEAR_NAMES, FIRST_YEAR, LAST_YEAR = frozenset({"year", "yr"}), 1900.0, 2100.0
SAME, NEXT_TO_0 = 1e-6, 1e-12  # of a number, and beside 0: as much may be rounding
WHOLE = 2.0**53  # smaller whole numbers are exact
HALF = 0.5  # between the zeros and ones of levels
NEARLY = 1e-9  # apart, as rarities are that are one but for rounding


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that is not encoded, and why."""

    column: str
    why: str
    kind: str = "left out"

    @property
    def cause(self) -> str:
        """The reason in a word or two: "constant", "identifier", "free text", ..."""
        return self.why.partition(" (")[0]

    def outputs(self) -> list[str]:
        """Meaning of each encoded column."""
        return []

    def aside(self) -> list[str]:
        """Meaning of each column that stands aside, see `Encoder`."""
        return []

    def reason(self) -> str:
        """Say what a user should know of it; often nothing."""
        return self.why


@dataclass(frozen=True, slots=True)
class Constant(LeftOut):
    """A column that held one value in all rows at fit: left out, but another value stands aside.

    Parameters
    ----------
    value
        The one value.
    holds
        What kind of value it is: "number", "boolean" or "category".
    rows
        How many rows held it.
    notation
        How numbers were written.
    """

    value: float | str = field(kw_only=True)
    holds: str = field(kw_only=True)
    rows: int = field(kw_only=True)
    notation: Notation = field(default=PLAIN, kw_only=True)

    def aside(self) -> list[str]:
        """Meaning of each column that stands aside, see `Encoder`."""
        return ["changed"]

    def read_aside(self, column: Column) -> FloatArray:
        """Shape (n,): 1 where a cell holds anything else, or nothing."""
        if self.holds != "category" and column.dtype.kind in "iufm":
            return self._differ(cells.read_numbers(column))
        codes, distinct = cells.distinct_values(column)
        return np.array([*map(self._other, distinct), 1.0])[codes]  # a gap has the code -1

    def is_unseen(self, column: Column) -> NDArray[np.bool_]:
        """Tell which cells (n,) hold what fit did not see."""
        return np.asarray(self.read_aside(column) != 0)

    def _other(self, cell: Any) -> float:
        if self.holds == "category":
            name = cells.level_key(cells.level(cell))
            return float(name != cells.level_key(str(self.value)))
        if self.holds == "boolean":
            truth = cells.booleans_or_none([cell])
            return 1.0 if truth is None else float(truth[0] != self.value)
        try:
            number = cells.read_numbers(pd.Series([cell], dtype=object), self.notation)
        except DataError:
            return 1.0
        return float(self._differ(number)[0])

    def _differ(self, numbers: FloatArray) -> FloatArray:
        value = float(self.value)
        with np.errstate(over="ignore"):
            alike = np.isclose(numbers, value, rtol=SAME, atol=0.0 if value else NEXT_TO_0)
        whole = (np.rint(numbers) == numbers) & (np.rint(value) == value) & (abs(value) < WHOLE)
        return np.where(np.where(whole, numbers == value, alike), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Number:
    """A column of numbers or truth values.

    Gaps become `fill` (the median) and are flagged if fit saw some, else a value far outside, see
    `gap`; infinities become `below` and `above` (the extremes, moved out by the range); all is
    clipped to [`low`, `high`], the median plus and minus 1e6 spreads, and to 1e100 at most.
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

    @property
    def cause(self) -> str:
        """What its reason is about: "words" taken for gaps, a "unit", "points", or nothing."""
        if self.missing and self.notation.words:
            return "words"
        if self.notation.units:
            return "unit"
        return "points" if self.notation.comma else ""

    def may_be_part(self) -> bool:
        """Whether its ends are those of a calendar's parts: months, quarters, years, 202305."""
        span = (self.above - self.below) / 3  # both are moved out by it
        lowest, highest = self.below + span, self.above - span
        return lowest >= 1 and (highest <= MONTHS or FIRST_YEAR <= lowest <= highest <= LAST_PART)

    def outputs(self) -> list[str]:
        """Meaning of each encoded column."""
        return ["value"] * self.varies + ["missing"] * self.missing

    def aside(self) -> list[str]:
        """Meaning of each column that stands aside, see `Encoder`."""
        return []

    def reason(self) -> str:
        """Say what a user should know of it; often nothing."""
        return _on_number(self)

    def gap(self) -> float:
        """Give the value that stands for a gap."""
        if self.missing:
            return self.fill
        return self.fill + GAP_RANGES * (self.above - self.below)

    def read(self, column: Column) -> FloatArray:
        """Shape (n,): the cells as numbers; NaN where missing."""
        if self.kind == "boolean":
            return cells.read_booleans(column)
        return cells.read_numbers(column, self.notation)

    def unread(self, column: Column) -> NDArray[np.bool_]:
        """Shape (n,): which cells cannot be read."""
        if self.kind == "boolean":
            return cells.not_booleans(column)
        return cells.not_numbers(column, self.notation)


@dataclass(frozen=True, slots=True)
class Date(Number):
    """A column of dates: a number of days since `origin` (days after 1970), and two circles.

    Time goes on, and that is not odd: dates before and after those of fit, whose days are 0 to
    `length`, are brought back among them. Where fit saw a year, a date becomes that of 52 weeks
    before or after, or of a multiple, so that the season stays; else a week later becomes one of
    the weeks of fit, weekday and hour as they are, a day one of its days; which one seems drawn
    at random, but not from the ends, where few others are near; where all dates of fit begin a
    month, one of these. Only dates off by more than ten years, and by more than ten times that
    length, stay where they are: far outside.
    Hours and weekdays are used where fit saw each at least twice: on two days, in two weeks.

    Dates `beside` those of another column, as of an order and its delivery, are moved as these are,
    so that what lies between stays as it is.
    """

    origin: float
    date_format: str
    hour: bool
    weekday: bool
    length: float = 0.0  # in what an older version saved: nothing is folded
    begun: list[float] = field(default_factory=list)  # the days of fit, if all begin a month
    beside: str = ""  # the column that it goes with
    by_years: bool = False  # not so in what an older version saved

    def outputs(self) -> list[str]:
        """Meaning of each encoded column."""
        return (
            ["days"] * self.varies
            + ["missing"] * self.missing
            + ["hour sin", "hour cos"] * self.hour
            + ["weekday sin", "weekday cos"] * self.weekday
        )

    def read(self, column: Column) -> FloatArray:
        """Shape (n,): days since `origin`, folded; NaN where missing."""
        return self.folded(self.days(column))

    def unread(self, column: Column) -> NDArray[np.bool_]:
        """Shape (n,): which cells cannot be read."""
        return cells.not_dates(column, self.date_format, self.notation.words)

    def days(self, column: Column) -> FloatArray:
        """Shape (n,): days since `origin`, as they are; NaN where missing."""
        return self._days(column) - self.origin

    def folded(self, days: FloatArray, moved: FloatArray | None = None) -> FloatArray:
        """Bring days (n,) among those of fit; by as many as another column's were ``moved`` (n,).

        Where that is a gap they are brought there by themselves.
        """
        if moved is not None:
            return np.where(np.isnan(moved), self.folded(days), days + moved)
        off = np.maximum(-days, days - self.length)
        near = off <= max(FOLDED_LENGTHS * self.length, FOLDED_DAYS)
        if self.length > 0:
            days = np.where((off > 0) & near, self._among_those_of_fit(days), days)
        return days

    def _days(self, column: Column) -> FloatArray:
        return cells.read_days(column, self.date_format, self.notation.words)

    def _among_those_of_fit(self, days: FloatArray) -> FloatArray:
        """Move days (n,) by whole weeks, days, or small parts of `length` into its range."""
        unit = next((unit for unit in (7.0, 1.0) if self.length >= 2 * unit), self.length / PARTS)
        unit = 1.0 if unit == 7.0 and not self.weekday else unit
        unit = YEAR if self.by_years else unit
        number, among = np.floor(days / unit), np.floor(self.length / unit)
        ends = 1.0 if among >= 4 else 0.0
        drawn = ends + np.floor(number * GOLDEN % 1.0 * (among - 2 * ends))
        among_those = days + (drawn - number) * unit
        return self._begun(among_those) if self.begun else np.asarray(among_those)

    def _begun(self, days: FloatArray) -> FloatArray:
        """Give the nearest of the days of fit for days (n,)."""
        begun = np.array(self.begun)
        return begun[np.searchsorted((begun[1:] + begun[:-1]) / 2, days)]

    def write(self, column: Column, encoded: FloatArray) -> None:
        """Write the circles into the last of the column's outputs; a gap is their centre."""
        hour, weekday = cells.hour_and_weekday(self._days(column))
        turns = [hour / 24] * self.hour + [weekday / 7] * self.weekday
        first = encoded.shape[1] - 2 * len(turns)
        for i, turn in enumerate(turns):
            encoded[:, first + 2 * i] = np.nan_to_num(np.sin(2 * np.pi * turn))
            encoded[:, first + 2 * i + 1] = np.nan_to_num(np.cos(2 * np.pi * turn))


@dataclass(frozen=True, slots=True)
class Category:
    """A column of levels with their counts at fit; the level ``None`` stands for a gap.

    Which of more than 12 levels a cell holds stands aside; not so in what an older version saved,
    whose levels were not ``told_apart``. A level with a count of 0 is one that fit did not see.
    What kept cells from being numbers or dates, where most are, is told as ``mixed``.
    """

    column: str
    levels: list[str | None]
    counts: list[int]
    kind: str = "category"
    told_apart: bool = False
    mixed: str = ""

    @property
    def alone(self) -> bool:
        """Whether one row at fit differed from all others."""
        return len(self.counts) == 2 and min(self.counts) == 1

    @property
    def cause(self) -> str:
        """What its reason is about: "digits" that begin most levels, "mixed" cells, or nothing."""
        begun = [level[:1].isdigit() for level in self.levels if level is not None]
        many = not self._one_hot() and sum(begun) >= NEARLY_ALL * len(begun)
        return "digits" if many else "mixed" if self.mixed else ""

    def outputs(self) -> list[str]:
        """Meaning of each encoded column."""
        shown = ["missing" if level is None else f"= {level}" for level in self.levels]
        return [*shown, "rarity"] if self._one_hot() else ["rarity"]

    def aside(self) -> list[str]:
        """Meaning of each column that stands aside, see `Encoder`."""
        return ["level"] * (self.told_apart and not self._one_hot())

    def read_aside(self, column: Column) -> FloatArray:
        """Shape (n,): the place of each cell's level, behind all others for an unseen one."""
        return self._places(column).astype(np.float64)

    def reason(self) -> str:
        """Say what a user should know of it; often nothing."""
        if self._one_hot():
            return ""
        told = f"{len(self.levels)} levels: their rarity is used"
        if self.told_apart:
            told += ", with labels those of known anomalies"
        if self.mixed:
            told += f"; {self.mixed}"
        if self.cause == "digits":
            told += "; if they are numbers, write them as such, in one unit"
        return told

    def write(self, column: Column, encoded: FloatArray) -> None:
        """Write up to 12 levels as 0 or 1, then ``-log10`` of the level's share of fitted rows."""
        self.write_places(self._places(column), encoded)

    def write_places(self, at: NDArray[np.intp], encoded: FloatArray) -> None:
        """Do the same for places (n,) of levels."""
        counts = np.array([count or self.unseen_count() for count in (*self.counts, 0)])
        encoded[:, -1] = -np.log10(counts / sum(self.counts))[at]
        if self._one_hot():
            encoded[:, :-1] = at[:, None] == np.arange(len(self.levels))

    def places_written(self, written: FloatArray) -> NDArray[np.intp]:
        """Places (n,) of levels, from columns of zeros and ones (n, levels) or from places (n, 1).

        Behind all others for a level that fit did not see.
        """
        unseen = len(self.levels)
        if self._one_hot():
            at = np.where(written.max(axis=1) > HALF, written.argmax(axis=1), unseen)
        else:
            at = np.rint(written[:, 0]).astype(np.intp)
        gone = np.array([count == 0 for count in self.counts] + [False])
        return np.where(gone[at], unseen, at)

    def rarer(self) -> float:
        """How much rarer a row's level is if it does not count itself: the mean over rows.

        In standard deviations of the rarity; 0 where all levels are as rare.
        """
        counts = np.array(self.counts, dtype=np.float64)
        rows, without = counts.sum(), np.maximum(counts - 1, UNSEEN_COUNT)
        shares = counts / rows
        rarity = -np.log10(shares)
        spread = np.sqrt(shares @ (rarity - shares @ rarity) ** 2)
        if spread < NEARLY:
            return 0.0
        return float(shares @ (-np.log10(without / (rows - 1)) - rarity) / spread)

    def without(self, at: NDArray[np.intp], times: FloatArray) -> "Category":
        """Count anew without rows whose levels have the places (n,), each ``times`` (n,)."""
        gone = np.bincount(at, weights=times, minlength=len(self.levels) + 1)
        left = np.rint(np.maximum(np.array(self.counts) - gone[:-1], 0)).astype(int)
        return replace(self, counts=left.tolist()) if left.any() else self

    def is_unseen(self, column: Column) -> NDArray[np.bool_]:
        """Tell which cells (n,) are of a level that fit did not see."""
        return np.equal(self._places(column), len(self.levels))

    def _places(self, column: Column) -> NDArray[np.intp]:
        """Places (n,) of the cells' levels, behind all others for one that fit did not see."""
        codes, distinct = cells.distinct_values(column)
        unseen = len(self.levels)
        position = {level: i for i, level in enumerate(self.levels) if self.counts[i]}
        by_key = {cells.level_key(level): i for level, i in position.items() if level is not None}

        def place(level: str) -> int:
            return position.get(level, by_key.get(cells.level_key(level), unseen))

        found = [place(cells.level(value)) for value in distinct]
        return np.array([*found, position.get(None, unseen)])[codes]  # a gap has the code -1

    def unseen_count(self) -> float:
        """Count behind the rarity of a level that fit did not see.

        Where new levels come often it is that of the levels seen once: each of these was as new.
        """
        often = max(OFTEN_NEW * sum(self.counts), FEW_NEW)
        return 1.0 if self.counts.count(1) >= often else UNSEEN_COUNT

    def unseen(self, normal: int = 0) -> tuple[float, float] | None:
        """Rarity that stands for a level fit did not see, and how surprising such a level is.

        The surprise, in decades, is that of Good (1953): the share of rows whose level is the only
        one of its kind is the chance that the next row's level is new. ``None`` where that is
        common, as it is once so many rows with such levels are known to be ``normal``.
        """
        rows, alone = sum(self.counts), self.counts.count(1) + normal
        if self.unseen_count() != UNSEEN_COUNT or normal >= FEW_NEW:
            return None
        rarity, surprise = -np.log10((np.array([0, alone]) + UNSEEN_COUNT) / rows)
        return float(rarity), float(surprise)

    def _one_hot(self) -> bool:
        return len(self.levels) <= ONE_HOT_LEVELS


Recipe: TypeAlias = LeftOut | Constant | Number | Date | Category


def recipe(name: str, column: Column, *, named: bool) -> Recipe:
    """Look at one column of a data frame.

    Parameters
    ----------
    name
        What the column is called.
    column
        Shape (n,): its cells.
    named
        Whether the user gave that name; only then can integers be an identifier, or numbers dates.
    """
    kind = column.dtype.kind
    if column.isna().all():
        return LeftOut(name, "all values are missing")
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _category(name, column, may_be_id=False)
    if kind == "b":
        return number_recipe(name, cells.read_booleans(column), kind="boolean")
    if kind in "iufm":
        values = cells.read_numbers(column)
        written = cells.find_number_date(name, values) if named and kind != "m" else None
        return _date(name, column, written) if written else number_recipe(name, values, named=named)
    if kind == "c":
        raise DataError(f"Complex data not supported: column {name!r}; give real numbers")
    if kind == "M" or isinstance(column.dtype, pd.PeriodDtype):
        return _date(name, column, "ISO8601")
    return _by_content(name, column, named=named)


def number_recipe(
    name: str,
    values: FloatArray,
    *,
    kind: str = "number",
    zeros: int = 0,
    named: bool = False,
    notation: Notation = PLAIN,
) -> Recipe:
    """Look at a column of numbers.

    Parameters
    ----------
    name, named
        As for `recipe`.
    values
        Shape (m,): the numbers, with NaN and infinities.
    kind
        "number" or "boolean".
    zeros
        So many zeros stand beside `values`: those that a sparse column does not write.
    notation
        How they were written.
    """
    finite = np.sort(values[np.isfinite(values)])
    missing = bool(np.isnan(values).any())
    if named and not zeros and (notation.words or len(finite) == len(values)):
        why = _names_rows(name, finite)
        if why:
            return LeftOut(name, why)
    ends = [_order(finite, zeros, k) for k in (0, -1)] if len(finite) + zeros else []
    different = {*ends, *np.unique(values[np.isinf(values)]).tolist()}
    if not different:
        return LeftOut(name, "all values are missing")
    count = len(values) + zeros
    if len(different) == 1 and not missing:
        value = different.pop()
        why = f"constant ({bool(value) if kind == 'boolean' else f'{value + 0.0:.15g}'})"
        if not np.isfinite(value):
            return LeftOut(name, why)
        return _constant(name, why, value, holds=kind, rows=count, notation=notation)
    varies = len(different) > 1
    limits = _limits(finite, zeros)
    alone = _one_differs(finite, zeros, count - len(finite) - zeros)
    last = _last_year(name, finite) if named and not zeros else 0.0
    return Number(
        name, kind, *limits, missing, varies, notation=notation, alone=alone, last_year=last
    )


def may_name_rows(found: Recipe, column: Column, *, named: bool) -> bool:
    """Tell whether a column might name the rows if copies of them were left out.

    It holds texts, or integers under a name that the user gave, and a share ``MAY_NAME`` of its
    cells differ.
    """
    least = len(column) * MAY_NAME
    if isinstance(found, Category):
        return len(found.levels) > max(ONE_HOT_LEVELS, least)
    if not named or not isinstance(found, Number) or found.kind != "number" or found.missing:
        return False
    if 2 * found.fill % 1 or found.above - found.below < least:  # at once for most columns
        return False
    values = cells.read_numbers(column, found.notation)
    return bool((values == np.floor(values)).all()) and least < len(np.unique(values)) < len(values)


def _last_year(name: str, ordered: FloatArray) -> float:
    """Give the last of years, told by the column's name and the numbers; 0 if they are none."""
    words = {word.lower() for word in cells.WORD.findall(name)}
    if not words & YEAR_NAMES or not len(ordered) or (ordered != np.floor(ordered)).any():
        return 0.0
    first, last = float(ordered[0]), float(ordered[-1])
    return last if first >= FIRST_YEAR and last <= LAST_YEAR else 0.0


def _by_content(name: str, column: Column, *, named: bool) -> Recipe:
    if nested := cells.nested_type(column):
        return LeftOut(name, f"nested values ({nested}); give plain columns")
    codes, distinct = cells.distinct_values(column)
    if cells.are_booleans(distinct):
        return number_recipe(name, cells.read_booleans(column), kind="boolean")
    coded = cells.are_codes(distinct)
    notation = None if coded else find_notation(distinct, cells.occurrences(codes))
    if notation is not None:
        values = cells.read_numbers(column, notation)
        return number_recipe(name, values, named=named, notation=notation)
    if (dates := cells.find_date_format(distinct)) is not None:
        return _date(name, column, dates.form, words=dates.words)
    return _category(name, column, may_be_id=True)


def _date(name: str, column: Column, date_format: str, *, words: tuple[str, ...] = ()) -> Recipe:
    days = cells.read_days(column, date_format, words)
    known = np.sort(days[~np.isnan(days)])
    missing = len(known) < len(days)
    if known[0] == known[-1] and not missing:
        return LeftOut(name, "constant (one date)")
    hour, weekday = cells.hour_and_weekday(known)
    length, begun = float(known[-1] - known[0]), known[:0]
    if date_format in cells.SINCE_1970:  # as plain a number as it was given
        hour = weekday = known[:0]
    elif cells.begin_months(known):  # which weekdays these are, the calendar decides
        weekday, begun = known[:0], np.unique(known - known[0])
    return Date(
        name,
        "date",
        *_limits(known - known[0], 0),
        missing=missing,
        varies=bool(known[0] < known[-1]),
        origin=float(known[0]),
        date_format=date_format,
        hour=len(np.unique(hour)) > 1 and length >= TWICE_A_DAY,
        weekday=len(np.unique(weekday)) > 1 and length >= TWICE_A_WEEK,
        length=length,
        begun=begun.tolist(),
        by_years=length >= YEAR and not len(begun),
        notation=Notation(words=words),
    )


def beside_each_other(dates: Sequence[Date], days: Sequence[FloatArray]) -> list[Date]:
    """Let dates that go with those of another column be moved with them.

    They do where nine tenths of what lies between two columns vary by no more than a tenth of the
    time that either spans, and half of the rows at least have both. The column that leads has the
    fewest gaps, then the first date; the order of the columns decides nothing.

    Parameters
    ----------
    dates
        Recipes of the columns.
    days
        For each shape (n,): the days that `fit` saw, since 1970; NaN where missing.
    """
    order = sorted(
        (at for at, date in enumerate(dates) if date.length >= TWICE_A_WEEK and not date.begun),
        key=lambda at: (np.isnan(days[at]).sum(), dates[at].origin, dates[at].column),
    )
    found = list(dates)
    leaders: list[int] = []
    for at in order:
        leader = next((one for one in leaders if _go_together(dates, days, one, at)), None)
        if leader is None:
            leaders.append(at)
        else:
            found[at] = replace(dates[at], beside=dates[leader].column)
    return found


def calendar_part(days: FloatArray, part: str) -> FloatArray:
    """Give a part (n,), of `CALENDAR_PARTS`, of days since 1970; NaN where missing.

    >>> calendar_part(np.array([0.0, 396.5]), "year").tolist()
    [1970.0, 1971.0]
    >>> calendar_part(np.array([0.0, 396.5]), "year and month").tolist()
    [197001.0, 197102.0]
    """
    known = np.isfinite(days)
    day = np.floor(np.where(known, days, 0.0)).astype("datetime64[D]")
    months = day.astype("datetime64[M]").astype(int)  # since 1970
    year, month = 1970 + months // 12, 1 + months % 12
    found = {"year": year, "year and month": 100 * year + month, "month": month}
    return np.where(known, found.get(part, (month + 2) // 3), np.nan)


def part_of(values: FloatArray, days: FloatArray) -> str:
    """Tell which part of days since 1970 (n,) values (n,) are, nearly all that are known; or ""."""
    both = np.isfinite(values) & np.isfinite(days)
    if both.sum() <= len(values) / 2:
        return ""
    told, on = values[both], days[both]
    for part in CALENDAR_PARTS:
        if (told == calendar_part(on, part)).mean() >= NEARLY_ALL_PARTS:
            return part
    return ""


def _go_together(
    dates: Sequence[Date], days: Sequence[FloatArray], leader: int, other: int
) -> bool:
    between = days[other] - days[leader]
    between = between[~np.isnan(between)]
    if len(between) < max(2, BOTH_KNOWN * len(days[other])):
        return False
    low, high = np.quantile(between, [0.05, 0.95])
    return bool(high - low <= CLOSE_DATES * min(dates[leader].length, dates[other].length))


def _category(name: str, column: Column, *, may_be_id: bool) -> Recipe:
    codes, distinct = cells.distinct_values(column)
    gaps = int((codes < 0).sum())
    known = len(codes) - gaps
    tally: dict[str | None, int] = {}
    for value, count in zip(distinct, np.bincount(codes[codes >= 0]), strict=True):
        level = cells.level(value)
        tally[level] = tally.get(level, 0) + int(count)
    texts = sorted(level for level in tally if level is not None)
    if len(texts) == 1 and not gaps:
        why = f"constant ({texts[0]!r})"
        return _constant(name, why, texts[0], holds="category", rows=known)
    mixed = _mixed(texts, tally) if may_be_id and len(texts) > ONE_HOT_LEVELS else ""
    if may_be_id and (why := _says_too_much(texts, known)):
        return LeftOut(name, f"mixed ({mixed})" if mixed else why)
    levels: list[str | None] = [*texts]
    if gaps:
        levels.append(None)
        tally[None] = gaps
    counts = [tally[level] for level in levels]
    return Category(name, levels, counts, told_apart=True, mixed=mixed)


def _constant(name: str, why: str, value: float | str, **told: Any) -> LeftOut:
    """Watch a constant, but for one named as time is: that goes on, and changes in all rows."""
    words = {word.lower() for word in cells.WORD.findall(name)}
    return LeftOut(name, why) if words & GOES_ON else Constant(name, why, value=value, **told)


def _says_too_much(texts: list[str], known: int) -> str:
    """Why texts are no levels; empty if they are."""
    share = f"({len(texts):,} different in {counted(known, 'rows')})"
    words = np.mean([len(text.split()) for text in texts])
    if words >= 3 and len(texts) > max(ONE_HOT_LEVELS, known / 2):
        return f"free text {share}"
    if len(texts) == known or len(texts) > max(ONE_HOT_LEVELS, NEARLY_ALL * known):
        return f"identifier {share}"
    return ""


def _mixed(texts: list[str], tally: Mapping[str | None, int]) -> str:
    """Say why sorted texts are no numbers or dates although most cells are; else empty."""
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    most = len(sample) * MOSTLY
    if cells.are_codes(texts):
        return ""
    if len(closest_notation(sample, most=most)[1]) <= most:
        strays = {texts[at] for at in closest_notation(texts, most=len(texts))[1]}
        return _told_strays(tally, strays, "numbers") if strays else what_more(texts)
    if more := units_differ(sample):
        return more
    if sum(bool(cells.DATE_TEXT.fullmatch(text)) for text in sample) < len(sample) - most:
        return ""
    form, read, unread = cells.closest_date_format(texts, unlikely=UNLIKE)
    if not read or not unread or may_mean_else(read, form):
        return ""
    return _told_strays(tally, {*unread}, f"dates as {read[0]!r}")


def _told_strays(tally: Mapping[str | None, int], strays: set[str], what: str) -> str:
    """Say how many cells are something, and give one that is not: of the most common the first."""
    cells_of = {text: count for text, count in tally.items() if text is not None}
    others = sum(cells_of[stray] for stray in strays)
    total = sum(cells_of.values())
    shown = min(strays, key=lambda stray: (-cells_of[stray], stray))
    return f"{total - others:,} of {total:,} cells are {what}; {shown!r} is not"


def _names_rows(name: str, ordered: FloatArray) -> str:
    """Why integers only name the rows; empty if they may mean something."""
    steps = np.diff(ordered)
    if len(ordered) < 2 or np.any(ordered != np.floor(ordered)) or np.any(steps == 0):
        return ""
    if ID_NAME.fullmatch(name.strip().lower()) or CAMEL_ID.fullmatch(name.strip()):
        return "identifier (all integers differ, and the name says so)"
    pairs = len(ordered) ** 2 / 2
    if ordered[-1] > ordered[0] + pairs / COLLISIONS:
        return ""
    # measured values would meet somewhere; those of a grid, as depths or whole minutes, do not
    grid = np.gcd.reduce(steps.astype(np.int64)) > 1
    return "" if grid else "identifier (a running number)"


def _one_differs(finite: FloatArray, zeros: int, others: int) -> bool:
    """Tell whether all cells but one are equal: sorted ones, zeros, others that are not finite."""
    count = len(finite) + zeros
    if count + others < 3 or others > 1:
        return False
    low, second, below, high = (_order(finite, zeros, k) for k in (0, 1, -2, -1))
    if others:
        return low == high
    return (low == below) != (second == high)


def _limits(finite: FloatArray, zeros: int) -> tuple[float, float, float, float, float]:
    """Fill, low, high, below and above of a `Number` from its sorted finite values."""
    if not len(finite) + zeros:
        return 0.0, -1.0, 1.0, -1.0, 1.0
    median = _quantile(finite, zeros, 0.5)
    reach = CLIP_SPREADS * _spread(finite, zeros)
    low, high = np.clip([median - reach, median + reach], -LARGEST, LARGEST)
    fill, least, most = np.clip(
        [median, _order(finite, zeros, 0), _order(finite, zeros, -1)], low, high
    )
    width = (most - least) or 1.0
    return (
        float(fill),
        float(low),
        float(high),
        float(max(least - width, low)),
        float(min(most + width, high)),
    )


def _spread(finite: FloatArray, zeros: int) -> float:
    """Width of the middle half, or of the first wider middle part that has a width."""
    for tail in (0.25, 0.05, 0.005, 0.0):
        lower, upper = np.clip(
            [_quantile(finite, zeros, q) for q in (tail, 1 - tail)], -LARGEST, LARGEST
        )
        if upper > lower:
            return float(upper - lower)
    return 1.0


def _quantile(ordered: FloatArray, zeros: int, q: float) -> float:
    place = q * (len(ordered) + zeros - 1)
    below, share = int(place), place - int(place)
    lower = _order(ordered, zeros, below)
    return lower if not share else (1 - share) * lower + share * _order(ordered, zeros, below + 1)


def _order(ordered: FloatArray, zeros: int, k: int) -> float:
    """Give the k-th smallest of sorted values beside which so many zeros stand unwritten."""
    if not zeros:
        return float(ordered[k])
    k %= len(ordered) + zeros
    negative = int(np.searchsorted(ordered, 0.0))
    if k < negative:
        return float(ordered[k])
    return 0.0 if k < negative + zeros else float(ordered[k - zeros])


def _on_number(number: Number) -> str:
    notation = number.notation
    units = f" {notation.told_units}" if notation.units else ""
    points = ", points between thousands" if notation.comma else ""
    read = f"read as {number.kind}s{units}{points}"
    if not number.missing:
        return read if units or points else ""
    if units or points or notation.words:
        words = f"{notation.told} and gaps" if notation.words else "gaps"
        return f"{read}; {words} become the median and are flagged"
    if not number.varies:
        return "constant but for gaps, which are flagged"
    return "gaps become the median and are flagged"
