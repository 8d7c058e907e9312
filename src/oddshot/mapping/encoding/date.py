"""Columns of dates: days that are brought back among those of fit, and two circles."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.days import hour_and_weekday
from oddshot.mapping.cells.distinct import Column
from oddshot.mapping.cells.reading import not_dates, read_days, read_offsets, warn_of_offsets
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.open_ends import without_open_ends
from oddshot.mapping.encoding.portable import portable
from oddshot.mapping.encoding.seen_time import PARTS, SeenTime, drawn, nearest

YEAR = 364.0  # days: 52 weeks
FOLDED_DAYS, FOLDED_LENGTHS = 3653.0, 10.0  # so far off a date can be and still be time going on


@dataclass(frozen=True, slots=True)
class Date(Number):
    """A column of dates: a number of days since `origin` (days after 1970), and two circles.

    Time goes on, and that is not odd: dates before and after those of fit, whose days are `length`
    ones from the start of `seen` on, are brought back among them. Where fit saw a year, a date
    becomes that of 52 weeks before or after, or of a multiple, so that the season stays; else a
    week later becomes one of the weeks of fit, weekday and hour as they are, a day one of its days;
    which one seems drawn at random, but not from the ends, where few others are near, nor from
    where fit saw few rows or none; where all dates of fit begin a month, one of these. Dates in a
    hole of fit's are brought elsewhere likewise. Only dates off by more than ten years, and by more
    than ten times that length, stay where they are, far outside, and single dates of fit far from
    all others, which count in no length.
    Days, hours and weekdays are those that are written, whatever their offset from UTC.
    Hours and weekdays are used where fit saw each at least twice: on two days, in two weeks.

    Days of `code` (after 1970) stand for no date, see `open_ends`, and are gaps.

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
    seen: SeenTime = field(default_factory=SeenTime)  # as in what an older version saved
    offsets: str = ""  # see `read_offsets`; an older version saved none, and went by UTC

    def outputs(self) -> list[str]:
        """Meaning of each encoded column."""
        return (
            ["days"] * self.varies
            + ["missing"] * self.missing
            + ["hour sin", "hour cos"] * self.hour
            + ["weekday sin", "weekday cos"] * self.weekday
        )

    def reason(self) -> str:
        """Say what a user should know of it; often nothing."""
        told = super(Date, self).reason()
        if not self.seen.strays:
            return told
        first = _written(self.origin + self.seen.strays[0])
        far = f"dates far from all others, as {first}, are odd, and no time to go on from"
        return f"{told}; {far}" if told else far

    def told_code(self) -> str:
        """Say which dates stand for none; empty where all are dates."""
        if not self.code:
            return ""
        pairs = zip(map(_written, self.code[::2]), self.code[1::2], strict=True)
        told = " and ".join(f"{date} in {rows:,.0f} rows" for date, rows in pairs)
        counts = "counts as a gap" if len(self.code) == 2 else "count as gaps"
        return f"{told}, far from all other dates, {counts}"

    def read(self, column: Column) -> FloatArray:
        """Shape (n,): days since `origin`, folded; NaN where missing."""
        return self.folded(self.days(column))

    def unread(self, column: Column) -> NDArray[np.bool_]:
        """Shape (n,): which cells cannot be read."""
        return not_dates(column, self.date_format, self.notation.words)

    def days(self, column: Column) -> FloatArray:
        """Shape (n,): days since `origin`, as they are; NaN where missing."""
        return self.moments(column) - self.origin

    def folded(self, days: FloatArray, moved: FloatArray | None = None) -> FloatArray:
        """Bring days (n,) among those of fit; by as many as another column's were ``moved`` (n,).

        Where that is a gap they are brought there by themselves.
        """
        if moved is not None:
            return np.where(np.isnan(moved), self.folded(days), days + moved)
        since = self.seen.since_start(days)
        off = np.maximum(-since, since - self.length)
        near = off <= max(FOLDED_LENGTHS * self.length, FOLDED_DAYS)
        goes_on = ((off > 0) | self.seen.is_hole(since)) & near & ~self.seen.is_stray(days)
        if self.length > 0 and goes_on.any():
            days = days.copy()
            days[goes_on] = self._among_those_of_fit(since[goes_on])
        return days

    def moments(self, column: Column) -> FloatArray:
        """Shape (n,): days since 1970; NaN where missing."""
        words, local = self.notation.words, bool(self.offsets)
        return without_open_ends(read_days(column, self.date_format, words, local=local), self.code)

    def warn_of_offsets(self, column: Column) -> None:
        """Warn where a column has other offsets from UTC than that of fit."""
        warn_of_offsets(self.column, self.offsets, read_offsets(column))

    def _among_those_of_fit(self, days: FloatArray) -> FloatArray:
        """Move days (n,) since the start by whole weeks, days, or parts of `length` into it."""
        days_and_weeks = [7.0, 1.0] if self.weekday and self.length >= 2 * 7.0 else [1.0]
        units = days_and_weeks if self.length >= 2.0 else [self.length / PARTS]
        units = [YEAR, *units] if self.by_years else units
        if self.seen.cell:
            among_those = self.seen.draw(days, self.length, units)
        else:
            number = np.floor(days / units[0])
            places = np.arange(np.floor(self.length / units[0]), dtype=np.float64)
            among_those = days + (drawn(number, places) - number) * units[0]
        among_those = among_those + self.seen.start
        return self._begun(among_those) if self.begun else np.asarray(among_those)

    def _begun(self, days: FloatArray) -> FloatArray:
        """Give the nearest of the days of fit for days (n,)."""
        return nearest(days, np.array(self.begun))

    def write(self, moments: FloatArray, encoded: FloatArray) -> None:
        """Write the circles of ``moments`` (n,), days since 1970, into the last of the outputs.

        A gap is their centre.
        """
        hour, weekday = hour_and_weekday(moments)
        turns = [hour / 24] * self.hour + [weekday / 7] * self.weekday
        first = encoded.shape[1] - 2 * len(turns)
        for i, turn in enumerate(turns):
            encoded[:, first + 2 * i] = np.nan_to_num(portable(np.sin(2 * np.pi * turn)))
            encoded[:, first + 2 * i + 1] = np.nan_to_num(portable(np.cos(2 * np.pi * turn)))


def _written(day: float) -> str:
    """Write a day after 1970, as 2024-03-01."""
    return str(np.datetime64("1970-01-01") + int(np.floor(day)))
