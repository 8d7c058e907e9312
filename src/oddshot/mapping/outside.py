"""Values outside of all that a column has held: what a sum over many columns would drown."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.encoding.category import NEARLY
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.threading import cut

LEAST_ROWS = 20  # fewer tell nothing of a tail
BEGINS = 2.0  # decades: below, other coordinates know better
_MOST = 6.0
_TAIL_POWER = 0.7  # of m rows, the m ** 0.7 highest are a tail
_LEAST_SHAPE = 0.25  # no tail is taken for lighter than this
_MOST_SHAPE = 3.0
_LEAST_SCALE = 0.01  # of the column's range: values that tie have no scale of their own
_TINY = float(np.finfo(np.float64).tiny)
_COLUMNS_AT_ONCE = 1024


class Outside:
    """How surprising a row is by its cells that lie outside of all that typical rows hold there.

    Coordinates tell by ranks and by sums over columns, and an absurd value in one of many columns
    hardly moves them. Here each column's upper and lower tail is a generalised Pareto distribution
    (Pickands 1975), fitted to the excesses of the highest and lowest rows by probability-weighted
    moments (Hosking and Wallis 1987), its shape a standard error heavier than estimated. The
    p-value of the most surprising cell, times the number of tails that were looked at (Bonferroni),
    is that of the row. Levels that were never seen are told apart likewise.

    It counts from 2 decades on, one row in a hundred, and up to 6: no table holds rows enough to
    tell more.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(500, 30))
    >>> outside = Outside().fit(rows, RowPlaces(rows))
    >>> new = rows[:3] + 1e-6
    >>> new[2, 7] = 40.0
    >>> outside.decades(new).round(1).tolist()
    [0.0, 0.0, 4.2]
    """

    def fit(
        self,
        typical: FloatArray,
        places: RowPlaces,
        unseen: Mapping[int, tuple[float, float]] = MappingProxyType({}),
        *,
        aside: int = 0,
    ) -> Self:
        """Learn the tails of every column.

        Parameters
        ----------
        typical
            Shape (m, p + q).
        places
            Tells these rows from others.
        unseen
            By column, a value that no typical row can have, and its surprise in decades.
        aside
            How many of the last columns have no tails, q.
        """
        self._places, self._unseen = places, dict(unseen)
        self._width = width = typical.shape[1] - aside
        ends = [_ends(typical[:, block]) for block in cut(width, _COLUMNS_AT_ONCE)]
        low, high = (np.concatenate(parts, axis=1) for parts in zip(*ends, strict=True))
        rows = len(typical)
        self._of_all = _tail(high, low, 1, rows), _tail(-low[::-1], -high[::-1], 1, rows)
        self._of_others = _tail(high, low, 0, rows), _tail(-low[::-1], -high[::-1], 0, rows)
        varying = int(np.isfinite(self._of_all[0].extreme).sum())
        self._looked_at = np.log10(max(2 * varying, 1))
        return self

    def decades_unseen(self, column: int) -> float:
        """Surprise of a value that no typical row holds in a column, 0 where that is common."""
        _, decades = self._unseen.get(column, (0.0, 0.0))
        return min(decades, _MOST) if decades >= BEGINS else 0.0

    def decades(self, rows: FloatArray, instead_of: FloatArray | None = None) -> FloatArray:
        """Surprise (n,) of rows (n, p + q), mostly 0; a typical row is compared with all others.

        A row that is there instead of a typical one (n, p + q) is compared with all but that one.
        """
        found = np.zeros(len(rows))
        numbers = rows[:, : self._width]
        ends = self._at_ends(numbers)
        if instead_of is None:
            replaced, theirs = rows, ends
        else:
            replaced, theirs = instead_of, self._at_ends(instead_of[:, : self._width])
        at_ends = np.flatnonzero((ends[0] | ends[1] | theirs[0] | theirs[1]).any(axis=1))
        own = self._places.of(replaced[at_ends])[:, None] >= 0
        for tails in range(2):
            values = (numbers, -numbers)[tails][at_ends]
            cells = np.where(
                own & theirs[tails][at_ends],
                self._of_others[tails].decades(values),
                self._of_all[tails].decades(values),
            )
            found[at_ends] = np.maximum(found[at_ends], cells.max(axis=1, initial=0.0))
        found -= self._looked_at
        for column, (value, decades) in self._unseen.items():
            is_it = np.abs(rows[:, column] - value) < NEARLY
            found = np.maximum(found, np.where(is_it, decades, -np.inf))
        return np.where(found >= BEGINS, np.minimum(found, _MOST), 0.0)

    def _at_ends(self, numbers: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which cells (n, p) are as high, and which as low, as any of the typical rows."""
        upper, lower = self._of_all
        return numbers >= upper.extreme, -numbers >= lower.extreme


@dataclass(frozen=True, slots=True)
class _Tail:
    """Upper tails of p columns: the highest value, and what excesses over a threshold look like.

    ``extreme`` is infinite where a column does not vary.
    """

    extreme: FloatArray
    threshold: FloatArray
    scale: FloatArray
    shape: FloatArray
    share: float

    def decades(self, values: FloatArray) -> FloatArray:
        """Surprise (n, p) of values above the extreme, 0 for others."""
        found = np.zeros(values.shape)
        row, column = np.nonzero(values > self.extreme)
        shape = self.shape[column]
        with np.errstate(over="ignore"):  # farther than numbers tell is as odd as can be
            excess = (values[row, column] - self.threshold[column]) / self.scale[column]
            found[row, column] = np.log10(1 + shape * excess) / shape - np.log10(self.share)
        return found


def with_own(values: FloatArray, own: FloatArray, places: NDArray[np.intp]) -> FloatArray:
    """Values (n, f), in their place those (m, f) of typical rows where ``places`` (n,) has them."""
    found = values.copy()
    found[places >= 0] = own[places[places >= 0]]
    return found


def _ends(columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest k + 2 values of each column, rising, where k make a tail."""
    rows = len(columns)
    count = min(_tail_rows(rows) + 2, rows)
    parted = np.array(columns.T, order="C")  # a copy, each column's values side by side
    parted.partition(sorted({count - 1, rows - count}), axis=1)
    return np.sort(parted[:, :count], axis=1).T, np.sort(parted[:, rows - count :], axis=1).T


def _tail_rows(rows: int) -> int:
    return min(int(rows**_TAIL_POWER), rows // 3)


def _tail(high: FloatArray, low: FloatArray, left: int, rows: int) -> _Tail:
    """Fit upper tails to the highest values (k + 2, p), or to all of them but the highest.

    ``left`` is how many values below the tail are left out: 1 for all rows, 0 for all but one.
    """
    count = len(high) - 2
    width = high.shape[1]
    if rows < LEAST_ROWS:
        nowhere = np.full(width, np.inf)
        return _Tail(nowhere, nowhere, nowhere, nowhere, 1.0)
    kept = high[left : left + count + 1]
    threshold, extreme = kept[0], kept[-1]
    excess = kept[1:] - threshold
    weights = np.arange(count - 1, -1, -1)[:, None] / (count - 1)
    mean, weighted = excess.mean(axis=0), (excess * weights).mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = np.nan_to_num(2 - mean / (mean - 2 * weighted), nan=0.0, posinf=0.0, neginf=0.0)
    scale = mean * (1 - np.clip(shape, 0, 0.9))
    shape = np.clip(shape + (1 + np.maximum(shape, 0)) / np.sqrt(count), _LEAST_SHAPE, _MOST_SHAPE)
    span = extreme - low[0]
    return _Tail(
        np.where(span > 0, extreme, np.inf),
        threshold,
        np.where(span > 0, np.maximum(scale, _LEAST_SCALE * span + _TINY), 1.0),
        shape,
        count / (rows - 1 + left),
    )
