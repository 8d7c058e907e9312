"""Columns of dates: days that are brought back among those of fit, and two circles."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.days import hour_and_weekday
from oddshot.mapping.cells.distinct import Column
from oddshot.mapping.cells.reading import not_dates, read_days, read_offsets, warn_of_offsets
from oddshot.mapping.encoding.number import Number

PARTS = 8  # of a time too short for whole days
GOLDEN = (5**0.5 - 1) / 2  # its multiples, but for whole ones, spread evenly from 0 to 1
YEAR = 364.0  # days: 52 weeks
FOLDED_DAYS, FOLDED_LENGTHS = 3653.0, 10.0  # so far off a date can be and still be time going on


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
    Days, hours and weekdays are those that are written, whatever their offset from UTC.
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
    offsets: str = ""  # see `read_offsets`; an older version saved none, and went by UTC

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
        return not_dates(column, self.date_format, self.notation.words)

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
        return read_days(column, self.date_format, self.notation.words, local=bool(self.offsets))

    def warn_of_offsets(self, column: Column) -> None:
        """Warn where a column has other offsets from UTC than that of fit."""
        warn_of_offsets(self.column, self.offsets, read_offsets(column))

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
        hour, weekday = hour_and_weekday(self._days(column))
        turns = [hour / 24] * self.hour + [weekday / 7] * self.weekday
        first = encoded.shape[1] - 2 * len(turns)
        for i, turn in enumerate(turns):
            encoded[:, first + 2 * i] = np.nan_to_num(np.sin(2 * np.pi * turn))
            encoded[:, first + 2 * i + 1] = np.nan_to_num(np.cos(2 * np.pi * turn))
