"""Time in which `fit` saw rows: not all between its first date and its last need be such.

One wrong date, as of a logger whose clock began anew in 1970, or months without readings would else
count as time like any other, and later dates be brought to where no row is.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray

CELLS = (1.0, 7.0, 28.0, 364.0)  # days; each holds the one before so many times
ENOUGH, ENOUGH_OF_FEW, FEWEST = 20.0, 0.25, 5.0  # rows in the median cell; or a share of all
USUAL, LEAST = 0.5, 0.05  # rows of a usual cell, of the median cell: of its weekday, and of all
PARTS = 8  # of a time too short for whole days
GOLDEN = (5**0.5 - 1) / 2  # its multiples, but for whole ones, spread evenly from 0 to 1
ENDS_COUNT = 4  # with so many places or more, the first and the last are not drawn
ROUNDING, DECIMALS = 1e-9, 9


@dataclass(frozen=True, slots=True)
class SeenTime:
    """When rows of fit were dated, in cells of days that begin at `start`, days since the first.

    Parameters
    ----------
    start
        Where the time begins that strays are no part of.
    cell
        Length of a cell; 0: rows stand everywhere, and cells are not looked at.
    usual
        Cells with at least half as many rows as the median one, on that weekday where a cell is a
        day. Later dates are brought there.
    scarce
        Cells with fewer rows. Dates in cells that are neither are in a hole.
    strays
        Days since the first date, one of each day on which single rows stand far from all others.
    """

    start: float = 0.0
    cell: float = 0.0
    usual: tuple[int, ...] = ()
    scarce: tuple[int, ...] = ()
    strays: tuple[float, ...] = ()

    @classmethod
    def of(cls, days: FloatArray, *, in_months: bool = False) -> tuple[Self, FloatArray]:
        """Look at the rising days (m,) of fit, the first of which is 0.

        Parameters
        ----------
        days
            Since the first one.
        in_months
            Whether all begin a month: months have no cells of one length.

        Returns
        -------
        tuple
            The time, and those of the days that are no strays.
        """
        core = days
        while True:
            counted = _Cells.of(core, CELLS[-1:] if in_months else None)
            if counted is None:
                break
            first, last = counted.without_strays()
            inside = (counted.index >= first) & (counted.index <= last)
            if inside.all() or np.ptp(core[inside]) == 0:
                break
            core = core[inside]
        outside = days[(days < core[0]) | (days > core[-1])]
        strays = tuple(outside[np.unique(np.floor(outside), return_index=True)[1]].tolist())
        start = float(core[0])
        if counted is None or in_months or not counted.has_holes():
            return cls(start, strays=strays), core
        usual, scarce = (
            tuple(counted.cells[chosen].tolist()) for chosen in (counted.usual, ~counted.usual)
        )
        return cls(start, counted.cell, usual, scarce, strays), core

    def weekdays_come_again(self) -> bool:
        """Whether most of the weekdays that fit saw came twice, as far as days are told apart."""
        if self.cell != CELLS[0]:
            return True
        weekdays = np.bincount(np.array([*self.usual, *self.scarce]) % 7)
        return bool(np.median(weekdays[weekdays > 0]) > 1)

    def since_start(self, days: FloatArray) -> FloatArray:
        """Count days (n,) since the first date from the start on."""
        return _after(days, self.start)

    def is_hole(self, days: FloatArray) -> NDArray[np.bool_]:
        """Tell which days (n,) since `start` are of cells that held no row of fit."""
        if not self.cell:
            return np.zeros(len(days), dtype=bool)
        index = np.floor(days / self.cell)
        return ~np.isin(index, (*self.usual, *self.scarce)) & ~np.isnan(days)

    def is_stray(self, days: FloatArray) -> NDArray[np.bool_]:
        """Tell which days (n,) since the first date are those of strays."""
        return np.isin(np.floor(days), np.floor(self.strays))

    def draw(self, days: FloatArray, length: float, units: list[float]) -> FloatArray:
        """Bring days (n,) since `start` to usual cells, by multiples of the first unit that can.

        Parameters
        ----------
        days
            Without gaps.
        length
            All are brought to 0 to so many days.
        units
            Days, falling.
        """
        found = np.full(len(days), np.nan)
        near: FloatArray | None = None
        for unit in units:
            left = np.flatnonzero(np.isnan(found))
            if not len(left):
                break
            number = np.floor(days[left] / unit)
            offset = days[left] - number * unit
            places = self._places(length, unit)
            of_row = np.zeros(len(left), dtype=np.intp)
            if self.cell < unit:
                of_row = np.minimum(offset // self.cell, len(places) - 1).astype(np.intp)
            for part in np.unique(of_row).tolist():
                if not len(places[part]):
                    continue
                mine = of_row == part
                if near is None:
                    chosen = drawn(number[mine], places[part])
                else:  # of this season, as near as can be
                    chosen = nearest((near[left[mine]] - offset[mine]) / unit, places[part])
                found[left[mine]] = np.minimum(chosen * unit + offset[mine], length)
            if unit == CELLS[-1]:
                near = days - np.floor(days / unit) * unit
        return np.where(np.isnan(found), days, found)

    def _places(self, length: float, unit: float) -> list[FloatArray]:
        """By which multiples of a unit each of its cells, or all of them, are usual ones."""
        among = int(np.floor(length / unit))
        multiples = np.arange(among + 1, dtype=np.float64)
        first = np.floor(multiples * unit / self.cell + ROUNDING)
        found = []
        for part in range(max(round(unit / self.cell), 1)):
            usual = multiples[np.isin(first + part, self.usual)]
            whole = usual[usual < among]
            found.append(whole if len(whole) else usual)
        return found


def drawn(number: FloatArray, places: FloatArray) -> FloatArray:
    """Draw one of the rising places for each number (n,), as if at random; not the ends of many."""
    ends = 1 if len(places) >= ENDS_COUNT else 0
    at = ends + np.floor(number * GOLDEN % 1.0 * (len(places) - 2 * ends))
    return np.asarray(places[at.astype(np.intp)])


def _after(days: FloatArray, start: float) -> FloatArray:
    """Count days (n,) from a start on, so that whole ones are whole."""
    return np.round(days - start, DECIMALS) if start else days


def nearest(numbers: FloatArray, places: FloatArray) -> FloatArray:
    """Give for each number (n,) the nearest of the rising places."""
    return np.asarray(places[np.searchsorted((places[1:] + places[:-1]) / 2, numbers)])


@dataclass(frozen=True, slots=True)
class _Cells:
    """Days of fit, counted in cells: which cells, rising, how many rows, and whether usual ones."""

    cell: float
    index: NDArray[np.int64]
    cells: NDArray[np.int64]
    usual: NDArray[np.bool_]

    @classmethod
    def of(cls, days: FloatArray, lengths: tuple[float, ...] | None) -> Self | None:
        """Count rising days (m,) in the shortest cells with enough rows; ``None``: in none."""
        span = float(days[-1] - days[0])
        if not span:
            return None
        enough = max(min(ENOUGH, ENOUGH_OF_FEW * len(days)), FEWEST)
        for cell in lengths or (CELLS if span >= CELLS[0] * 2 else (span / PARTS,)):
            index = np.floor(_after(days, float(days[0])) / cell).astype(np.int64)
            cells, counts = np.unique(index, return_counts=True)
            median = float(np.median(counts))
            if median >= enough and len(cells) > 1:
                return cls(cell, index, cells, counts >= _least(cell, cells, counts))
        return None

    def without_strays(self) -> tuple[int, int]:
        """First and last cell of what hangs together with usual ones, and lies between them."""
        cells, usual = self.cells, np.flatnonzero(self.usual)
        first, last = int(usual[0]), int(usual[-1])
        while first > 0 and cells[first] - cells[first - 1] == 1:
            first -= 1
        while last < len(cells) - 1 and cells[last + 1] - cells[last] == 1:
            last += 1
        return int(cells[first]), int(cells[last])

    def has_holes(self) -> bool:
        """Whether a cell between the first and the last is none of the usual ones."""
        return len(self.cells) <= self.cells[-1] or not bool(self.usual[1:-1].all())


def _least(cell: float, cells: NDArray[np.int64], counts: NDArray[np.int64]) -> FloatArray:
    """How many rows (c,) make each of the cells a usual one."""
    least = np.full(len(cells), USUAL * float(np.median(counts)))
    if cell == CELLS[0]:  # weekends may have their own, lower counts
        for weekday in range(7):
            alike = cells % 7 == weekday
            if alike.any():
                least[alike] = USUAL * float(np.median(counts[alike]))
    return np.asarray(np.maximum(least, LEAST * float(np.median(counts))))
