"""A series as a table: each stretch of so many readings in a row becomes one row.

What a stretch looks like is said of each column by itself, in the column's own unit, so that a
detector for tables can judge it and name what is odd:

=================== ==========================================================================
column of numbers   mean, spread, least and most; rise from the first half to the second;
                    roughness and largest step: mean and largest distance of a reading to the next
... with a season   how far the readings lie from what is usual at their time of the period: mean,
                    mean distance, largest distance
... that follows    how far the readings lie from what the other columns tell at the same moment:
others              mean, mean distance
column of levels    the level at the end, and how often it changed
=================== ==========================================================================
"""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.errors import (
    CellError,
    DataError,
    SeriesWarning,
    SettingError,
    is_number,
    is_whole,
    require,
)
from oddshot.frames import as_frame, to_rows
from oddshot.mapping.cells.date_notation import find_date_format
from oddshot.mapping.cells.days import DAY, EPOCH
from oddshot.mapping.cells.distinct import distinct_values, nested_type
from oddshot.mapping.cells.number_dates import find_number_date
from oddshot.mapping.cells.reading import read_days, read_numbers, read_offsets, warn_of_offsets
from oddshot.mapping.descriptions import look, off_others, off_season, over
from oddshot.mapping.encoding.category import Category
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.mapping.encoding.date import Date
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import Recipe
from oddshot.mapping.relations import Relations
from oddshot.mapping.seasons.length import REGULAR, SeasonLength, find_length, share_alike
from oddshot.mapping.seasons.usual import Usual

CALENDAR = (1 / 24, 1 / 3, 1 / 2, 1.0, 7.0)  # periods in days that one found nearby is taken for
UNITS = ((1.0, "day"), (1 / 24, "h"), (1 / 1440, "min"), (1 / 86400, "s"))  # in days
MOST_DAYS = 1e5  # from 1970 that are told
ANOTHER_STEP, REPEATED = 0.25, 0.1  # by how much a step, or a share of repeated times, differs
SURELY = 2.0  # standard errors that a period is wrong by
BEARABLE = 0.5  # of what readings lie around the season: so much it may be aside
NOISE = 1e-12  # of a column's reach: what differs by less is rounding
_RELATIONS = "relations."  # before the names of arrays in a file

Place: TypeAlias = str | int


class Pace(NamedTuple):
    """How fast readings follow each other.

    Parameters
    ----------
    step
        Median time between two that are not of one moment; 0 where all are.
    repeated
        Share of readings that are of the same moment as the one before.
    """

    step: float
    repeated: float

    @classmethod
    def of(cls, times: FloatArray) -> "Pace":
        """Learn from rising times (n,).

        >>> Pace.of(np.array([0.0, 10.0, 20.0, 20.0, 30.0]))
        Pace(step=10.0, repeated=0.25)
        """
        steps = np.diff(times)
        onward = steps[steps > 0]
        step = float(np.median(onward)) if len(onward) else 0.0
        return cls(step, float(np.mean(steps <= 0)) if len(steps) else 0.0)

    def unlike(self, other: "Pace", *, dates: bool) -> str:
        """Tell in which way another pace is not this one; nothing where it is."""
        if other.repeated > self.repeated + REPEATED:
            return (
                f"{other.repeated:.0%} of the readings are of the same moment as the one before, "
                f"in what was learned from {self.repeated:.0%}; windows count readings, so they "
                "may look odd for that. Leave out repeated ones, and give one file for each machine"
            )
        steps = self.step, other.step
        if min(steps) <= 0 or max(steps) <= (1 + ANOTHER_STEP) * min(steps):
            return ""
        learned, given = (period_in_words(step, dates=dates) for step in steps)
        return (
            f"readings are {given} apart, in what was learned from {learned}; windows count "
            "readings, so they may look odd for that. Bring them to the same step (as pandas' "
            "resample does), or fit again with such readings"
        )


class Windowed(NamedTuple):
    """A series as windows.

    Parameters
    ----------
    order
        Shape (n,): places of the readings in the order of time.
    times
        Shape (n,): when they were read, rising: days since 1970 (UTC) of dates, else numbers.
    rows
        Shape (n - size + 1, q): the windows, by the place in time of their first reading.
    """

    order: NDArray[np.intp]
    times: FloatArray
    rows: pd.DataFrame


class _Times(NamedTuple):
    """When readings were made, shape (n,) each: in order, of dates by UTC; and as is written."""

    times: FloatArray
    clock: FloatArray


class Windows:
    """Learn from a series what its columns hold and its season, then describe any series so.

    Parameters
    ----------
    size
        Readings of a window, 2 or more: about as many as what is looked for lasts.
    time
        Name, or place, of a column of dates or numbers by which readings are put in order, or name
        of a data frame's index; ``None`` if they come in order. It is not described itself. Dates
        with offsets are put in order by UTC; a season of days, weeks or shifts goes by the clock
        that is written.
    period
        After how long a season starts anew: a number in the unit of ``time``, or of dates a text
        such as "1D"; "auto" looks for one; ``None``: there is none. A season needs ``time``, so
        that readings that come later are met at the right moment.

    Attributes
    ----------
    period_
        The period in days, or in the unit of ``time``; ``None`` where there is none.
    report_
        What became of every column.

    Examples
    --------
    >>> series = pd.DataFrame({"load": [1.0, 2.0, 3.0, 9.0]})
    >>> rows = Windows(2).fit(series).of(series).rows
    >>> rows[["load mean", "load rise", "load largest step"]].values.tolist()
    [[1.5, 1.0, 1.0], [2.5, 1.0, 1.0], [6.0, 6.0, 6.0]]
    """

    period_: float | None
    report_: list[ColumnNote]

    def __init__(
        self, size: int, *, time: Place | None = None, period: float | str | None = "auto"
    ) -> None:
        require(
            is_whole(size) and size >= 2, "window", size, "a whole number of readings from 2 on"
        )
        self.size, self.time, self.period = int(size), time, period

    def fit(self, X: Any) -> Self:
        """Look at a series (n, d), n at least `size`.

        Raises
        ------
        DataError
            If readings are too few, the column of time is lacking, has gaps or holds no times, or
            no other column is left.
        SettingError
            If ``period`` is none, or is given without ``time``.

        Warns
        -----
        SeriesWarning
            If more than a tenth of the readings repeat the moment of the one before, or no season
            could be looked for, or the index has dates and is not named as ``time``.
        """
        if self.time is None:
            _warn_of_index(X)
        frame = self._long_enough(X)
        (times, clock), rest = self._fit_time(frame)
        self._columns = Encoder(owner="SeriesDetector").fit(rest)
        self.report_ = self._columns.report()
        if not any(note.used and note.kind != "date" for note in self.report_):
            raise DataError("no column is left to describe windows by; give one besides the dates")
        order = np.argsort(times, kind="stable")
        numbers = self._numbers(rest.iloc[order])
        self._length = self._found_length(times[order], numbers)
        self.period_ = None if self._length is None else self._length.period
        self._season: dict[str, Usual] = {}
        self._origin = 0.0
        if self.period_ is not None:
            if not self._by_clock():
                clock = times
            self._origin = float(np.floor(clock.min() / self.period_) * self.period_)
            turns = self._turns(clock[order])
            self._season = {name: Usual.fit(values, turns) for name, values in numbers.items()}
        self._relations = Relations.fit(numbers)
        self._reach = self._known_until(times[order], clock[order], numbers)
        self._pace = None if self.time is None else Pace.of(times[order])
        looked = self.period == "auto" and bool(numbers)
        self._warn_of_steps(times[order], rest.iloc[order], looked=looked)
        return self

    def of(self, X: Any) -> Windowed:
        """Describe a series (n, d) by its windows.

        Raises
        ------
        DataError
            If there are fewer readings than a window has, or columns are missing or hold what `fit`
            has not seen there.

        Warns
        -----
        SeriesWarning
            If the season that was found is not exact enough for when readings were made, or these
            follow each other faster or slower, or repeat their times more, than at `fit`.
        DateWarning
            If times have offsets from UTC where those of `fit` had none, or the other way round.
        """
        frame = self._long_enough(X)
        (times, clock), rest = self._read_time(frame)
        order = np.argsort(times, kind="stable")
        times, clock = times[order], clock[order]
        if self.has_dates:
            given = read_offsets(self._time_column(frame))
            warn_of_offsets(str(self.time), self._offsets, given)
        self._warn_of_times(times)
        season = clock if self._by_clock() else times
        described: dict[str, Any] = {}
        numbers: dict[str, FloatArray] = {}
        for recipe, column in self._aligned(rest):
            if isinstance(recipe, Date):
                continue
            if isinstance(recipe, Number):
                numbers[recipe.column] = _finite(recipe, column)[order]
                found = self._of_numbers(recipe, numbers[recipe.column], season)
            elif isinstance(recipe, Category):
                found = self._of_levels(column.iloc[order])
            else:
                continue
            described |= {f"{recipe.column} {what}": values for what, values in found.items()}
        if self._relations is not None:
            for name, off in self._relations.off(numbers).items():
                found = off_others(off, self.size)
                described |= {f"{name} {what}": values for what, values in found.items()}
        return Windowed(order, times, pd.DataFrame(described))

    def numbers(self, X: Any) -> dict[str, FloatArray]:
        """Columns of numbers (n,) of a series by name, as they are read; NaN where missing."""
        return self._numbers(self._without_time(X))

    def missing_shares(self, X: Any) -> dict[str, float]:
        """Tell in what share of the readings (n, d) a column has no value, by column."""
        return self._columns.missing_shares(self._without_time(X))

    def outside_shares(self, X: Any) -> dict[str, float]:
        """Tell in what share of the readings (n, d) a number is outside of all that `fit` saw."""
        return self._columns.outside_shares(self._without_time(X))

    def unseen_shares(self, X: Any) -> dict[str, float]:
        """Tell in what share of the readings (n, d) a column holds what `fit` did not see."""
        return self._columns.unseen_shares(self._without_time(X))

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Give all that was learned, as a part for JSON and a part of arrays."""
        columns, arrays = self._columns.state()
        meta: dict[str, Any] = {
            "size": self.size,
            "time": self.time,
            "period": self._told_period(),
            "period_": self.period_,
            "origin": self._origin,
            "reach": self._reach,
            "pace": self._pace,
            "time_format": self._time_format,
            "offsets": self._offsets,
            "columns": columns,
        }
        arrays = {f"columns.{name}": array for name, array in arrays.items()}
        for place, name in enumerate(self._season):
            arrays[f"season.{place}"] = self._season[name].state()
        if self._relations is not None:
            learned = self._relations.state().items()
            arrays |= {f"{_RELATIONS}{name}": array for name, array in learned}
            meta["related"] = self._relations.columns
        meta = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in meta.items()
        }
        return meta | {"seasonal": list(self._season)}, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> "Windows":
        """Restore windows from the two parts that `state` gave."""
        windows = cls(meta["size"], time=meta["time"], period=meta["period"])
        numbers = {"numbers": arrays["columns.numbers"]}
        windows._columns = Encoder.from_state(meta["columns"], numbers, owner="SeriesDetector")
        windows.report_ = windows._columns.report()
        windows.period_, windows._time_format = meta["period_"], meta["time_format"]
        windows._offsets = meta.get("offsets", "")
        windows._origin, windows._reach = meta.get("origin", 0.0), meta.get("reach")
        windows._pace = Pace(*meta["pace"]) if meta.get("pace") else None
        windows._season = {
            name: Usual.from_state(arrays[f"season.{place}"])
            for place, name in enumerate(meta["seasonal"])
        }
        windows._relations = None
        if "related" in meta:
            learned = {
                n.removeprefix(_RELATIONS): a for n, a in arrays.items() if n.startswith(_RELATIONS)
            }
            windows._relations = Relations.from_state(tuple(meta["related"]), learned)
        return windows

    @property
    def has_dates(self) -> bool:
        """Whether times are dates, and the period is in days."""
        return bool(self._time_format)

    def _long_enough(self, X: Any) -> pd.DataFrame:
        frame = self._frame(X)
        if len(frame) < self.size:
            raise DataError(
                f"the series has {len(frame)} readings and a window {self.size}; give a longer "
                "series or a smaller window"
            )
        return frame

    def _frame(self, X: Any) -> pd.DataFrame:
        """Give a series (n, d) with its index as a column where that is the time."""
        rows = to_rows(X)
        frame = as_frame(rows)
        if self.time is None or not isinstance(rows, pd.DataFrame) or self.time in rows.columns:
            return frame
        if self.time in rows.index.names:
            times = rows.index.get_level_values(self.time)
            frame.insert(0, self.time, times.to_series(index=frame.index))
        return frame

    def _fit_time(self, frame: pd.DataFrame) -> tuple["_Times", pd.DataFrame]:
        """Learn how times are written; give them, and the other columns."""
        self._time_format = self._offsets = ""
        if self.time is not None:
            self._time_format = _time_format(column := self._time_column(frame))
            self._offsets = read_offsets(column) if self._time_format else ""
        return self._read_time(frame)

    def _read_time(self, frame: pd.DataFrame) -> tuple["_Times", pd.DataFrame]:
        """Give times, in days or as numbers or just the places, and the other columns."""
        if self.time is None:
            places = np.arange(len(frame), dtype=np.float64)
            return _Times(places, places), frame
        column = self._time_column(frame)
        if self._time_format:
            times = read_days(column, self._time_format, local=False)
            clock = read_days(column, self._time_format) if self._offsets else times
        else:
            times = clock = read_numbers(column)
        lacking = np.flatnonzero(~np.isfinite(times))
        if len(lacking):
            remedy = "; fill it in, or leave the row out"
            raise CellError(f"column {str(self.time)!r} has no time", int(lacking[0]), remedy)
        return _Times(times, clock), frame.drop(columns=column.name)

    def _without_time(self, X: Any) -> pd.DataFrame:
        frame = self._frame(X)
        return frame if self.time is None else frame.drop(columns=self._time_column(frame).name)

    def _time_column(self, frame: pd.DataFrame) -> "pd.Series[Any]":
        names = [str(name) for name in frame.columns]
        if is_whole(self.time) and str(self.time) not in names:
            place = int(self.time)  # type: ignore[arg-type]
            if -len(names) <= place < len(names):
                return frame.iloc[:, place]
        if str(self.time) not in names:
            raise DataError(
                f"the series has no column {str(self.time)!r} for its time; it has "
                f"{', '.join(map(repr, names[:10]))}{', ...' if len(names) > 10 else ''}"
            )
        return frame.iloc[:, names.index(str(self.time))]

    def _aligned(self, frame: pd.DataFrame) -> "Iterator[tuple[Recipe, pd.Series[Any]]]":
        rows = as_frame(self._columns.aligned(frame))
        for place, recipe in enumerate(self._columns.recipes):
            yield recipe, rows.iloc[:, place]

    def _numbers(self, frame: pd.DataFrame) -> dict[str, FloatArray]:
        """Columns of numbers (n,) by name."""
        return {
            recipe.column: _finite(recipe, column)
            for recipe, column in self._aligned(frame)
            if isinstance(recipe, Number) and not isinstance(recipe, Date)
        }

    def _of_numbers(
        self, recipe: Number, values: FloatArray, season: FloatArray
    ) -> dict[str, FloatArray]:
        found = look(values, self.size)
        if recipe.column in self._season:
            usual = self._season[recipe.column].at(self._turns(season))
            found |= off_season(values - usual, self.size)
        noise = NOISE * max(abs(recipe.below), abs(recipe.above))
        return {what: np.where(np.abs(v) <= noise, 0.0, v) for what, v in found.items()}

    def _of_levels(self, column: "pd.Series[Any]") -> dict[str, Any]:
        codes = distinct_values(column)[0]
        changed = (np.diff(codes) != 0).astype(np.float64)
        return {
            "at the end": column.iloc[self.size - 1 :].reset_index(drop=True),
            "changes": over(changed, self.size - 1, lambda block: block.sum(axis=1)),
        }

    def _found_length(
        self, times: FloatArray, numbers: dict[str, FloatArray]
    ) -> SeasonLength | None:
        if self.period is None:
            return None
        if self.period != "auto":
            return SeasonLength(self._given_period())
        if self.time is None or not numbers:
            return None
        natural = CALENDAR if self._time_format else ()
        return find_length(times, np.stack([*numbers.values()]), natural)

    def _given_period(self) -> float:
        if self.time is None:
            raise SettingError(
                f"period is {self.period!r} but no column of time is named; name one, or leave "
                "period out"
            )
        if self._time_format:
            length = self._days()
        else:
            length = float(self.period) if is_number(self.period) else 0.0  # type: ignore[arg-type]
        allowed = "a number above 0" if not self._time_format else "a time such as '1D' or '8h'"
        require(length > 0, "period", self.period, f"{allowed}, 'auto' or None")
        return float(length)

    def _told_period(self) -> float | str | None:
        """Give the period as it was given, as JSON can hold it."""
        if self.period is None or isinstance(self.period, str):
            return self.period
        return f"{self.period_}D" if self._time_format else self.period_

    def _days(self) -> float:
        """Length of the given period; 0 where it is none, as a number, of days or of hours."""
        if is_number(self.period):
            return 0.0
        try:
            return float(pd.Timedelta(self.period) / DAY)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return 0.0

    def _known_until(
        self, times: FloatArray, season: FloatArray, numbers: dict[str, FloatArray]
    ) -> tuple[float, float] | None:
        """Tell between which times a found period places readings in the season exactly enough.

        Until then it is, in 19 of 20 cases, wrong by no more than moves what is usual by half as
        much as readings lie around it. ``None`` where the period is exact.
        """
        if self._length is None or not self._length.error:
            return None
        turns = self._turns(season)
        bearable = [
            usual.bearable(BEARABLE * float(np.nanmean(np.abs(numbers[name] - usual.at(turns)))))
            for name, usual in self._season.items()
            if np.isfinite(numbers[name]).any()
        ]
        far = min(bearable) / (SURELY * self._length.error)
        middle = self._length.middle
        return float(min(times[0], middle - far)), float(max(times[-1], middle + far))

    def _warn_of_times(self, times: FloatArray) -> None:
        """Warn where rising times (n,) are other than what was learned holds for."""
        if self._reach is not None and (times[0] < self._reach[0] or times[-1] > self._reach[1]):
            assert self.period_ is not None
            season = period_in_words(self.period_, dates=self.has_dates)
            first, last = map(self._moment, self._reach)
            warnings.warn(
                f"column {str(self.time)!r}: the season that was found, {season}, is exact enough "
                f"for readings from {first} to {last}; others are given, which may look odd for "
                "that. Give period if you know it, period=None (--period none) if there is no "
                "season, or fit again with more or later readings",
                SeriesWarning,
                stacklevel=3,
            )
        if self._pace is not None:
            other = self._pace.unlike(Pace.of(times), dates=self.has_dates)
            if other:
                told = f"column {str(self.time)!r}: {other}"
                warnings.warn(told, SeriesWarning, stacklevel=3)

    def _warn_of_steps(self, times: FloatArray, rest: pd.DataFrame, *, looked: bool) -> None:
        """Warn where rising times (n,) given to fit repeat themselves, or are irregular.

        The latter where a season should have been looked for.
        """
        if self._pace is None:
            return
        alike, repeated = share_alike(times), self._pace.repeated
        unseen = looked and alike < REGULAR
        if repeated > REPEATED:
            apart = _tells_apart(times, rest, self.size)
            told = (
                f"{repeated:.0%} of the readings are of the same moment as the one before"
                f"{', so no season was looked for' if unseen else ''}; windows count readings, "
                "whatever they are of. "
            ) + (
                f"Column {apart!r} tells them apart: give one file for each of its values"
                if apart
                else "Leave out repeated ones, and give one file for each machine"
            )
        elif unseen:
            told = (
                f"no season was looked for: {alike:.0%} of the steps in time are alike, and "
                f"{REGULAR:.0%} are needed. Bring readings to the same step (as pandas' resample "
                "does), or give period: how long a season is, or None (--period none)"
            )
        else:
            return
        warnings.warn(f"column {str(self.time)!r}: {told}", SeriesWarning, stacklevel=4)

    def _moment(self, time: float) -> str:
        if not self.has_dates:
            return f"{time:.6g}"
        days = float(np.clip(time, -MOST_DAYS, MOST_DAYS))
        return f"{EPOCH + pd.Timedelta(days=days):%Y-%m-%d %H:%M:%S}"

    def _by_clock(self) -> bool:
        """Whether the season goes by the clock that is written, and not by UTC.

        As one of days and weeks does, and of shifts: of hours that go into a day. Of dates without
        offsets both are the same.
        """
        hours = (self.period_ or 0.0) * 24
        whole = hours >= 1 and abs(hours - round(hours)) < 1e-9
        return whole and (round(hours) % 24 == 0 or 24 % round(hours) == 0)

    def _turns(self, times: FloatArray) -> FloatArray:
        """Where in the period, in [0, 1), each time (n,) is."""
        assert self.period_ is not None
        rounding = max(1e-9, 4 * float(np.spacing(np.abs(times).max())) / self.period_)
        return ((times - self._origin) / self.period_ + rounding) % 1.0


def period_in_words(period: float, *, dates: bool) -> str:
    """Tell the length of a season: of dates it is in days.

    >>> [period_in_words(days, dates=True) for days in (7.0, 1.0, 12.42 / 24, 37.3 / 86400)]
    ['7 days', '1 day', '12.42 h', '37.3 s']
    """
    if not dates:
        return f"{period:.6g}"
    unit, name = next((u for u in UNITS if period >= u[0]), UNITS[-1])
    count = f"{period / unit:.6g}"
    return f"{count} {name}s" if name == "day" and count != "1" else f"{count} {name}"


def _tells_apart(times: FloatArray, rest: pd.DataFrame, size: int) -> str:
    """Name the column of texts of which each value has times (n,) that hardly repeat; or none."""
    for name, column in rest.items():
        if column.dtype.kind in "biufcmM" or nested_type(column):
            continue
        codes, levels = distinct_values(column)
        if 1 < len(levels) <= len(times) / size:
            again = pd.DataFrame({"level": codes, "time": times}).duplicated().mean()
            if again < REPEATED * Pace.of(times).repeated:
                return str(name)
    return ""


def _warn_of_index(X: Any) -> None:
    """Warn where a data frame has its dates as index, which is not read."""
    index = getattr(X, "index", None)
    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex):
        name, named = index.name, "X"
        if name is None or name in X.columns:
            name, named = "at", "X.rename_axis('at')"
        warnings.warn(
            "X has dates as its index, which is not read: readings count in the order in which "
            f"they are given, and no season is looked for. Give {named} and time={name!r}; or "
            "X.reset_index(drop=True), if dates tell nothing",
            SeriesWarning,
            stacklevel=3,
        )


def _time_format(column: "pd.Series[Any]") -> str:
    """Find how the times of a column are dates; empty where they are just numbers."""
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.PeriodDtype):
        return "ISO8601"
    numbers = column.dtype.kind in "iuf"
    found = None if numbers else find_date_format(distinct_values(column)[1])
    return found.form if found else find_number_date(str(column.name), read_numbers(column)) or ""


def _finite(recipe: Number, column: "pd.Series[Any]") -> FloatArray:
    """Cells (n,) as numbers, NaN where missing or infinite."""
    values = recipe.read(column)
    return np.where(np.isfinite(values), values, np.nan)
