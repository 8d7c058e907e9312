"""Values that lie by themselves between those that a column holds: in the gap between two peaks."""

from typing import Self

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.outside import Outside
from oddshot.mapping.row_places import RowPlaces

FEW_LEVELS = 20  # what lies between levels is no gap
ENOUGH_ROWS = 100
BEGINS = 2.5  # decades: below, as many of such rows are anomalies as of all (docs/experiments.md)


class Apart:
    """How surprising a row is by a cell that is far from all others of its column, but not beyond.

    The distance to the next value of the column, as `Outside` has it: it counts where it lies
    outside of all that typical rows have, and from 2.5 decades on. Ends of a column and what lies
    beyond them are left to `Outside`, columns of up to 20 levels are left out, and nothing is
    looked at where rows are fewer than 100.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> peaks = np.concatenate([rng.normal(-5, 0.5, 150), rng.normal(5, 0.5, 150)])
    >>> rows = np.column_stack([peaks, rng.normal(size=300)])
    >>> apart = Apart().fit(rows, RowPlaces(rows))
    >>> (apart.decades(np.array([[-5.0, 0.0], [0.0, 0.0]])) > 2.5).tolist()
    [False, True]
    """

    def fit(self, typical: FloatArray, places: RowPlaces, *, aside: int = 0) -> Self:
        """Learn from typical rows (m, p + q), the last q columns of which stand aside.

        ``places`` tells these rows from others.
        """
        self._places, self._columns = places, np.zeros(0, dtype=np.intp)
        self._own = np.zeros(len(typical))
        if len(typical) < ENOUGH_ROWS:
            return self
        numbers = typical[:, : typical.shape[1] - aside]
        ordered = np.sort(numbers, axis=0)
        gaps = np.diff(ordered, axis=0)
        self._columns = np.flatnonzero((gaps > 0).sum(axis=0) >= FEW_LEVELS)
        if not len(self._columns):
            return self
        distances = self._from_others(numbers, ordered)
        self._outside = Outside().fit(distances, RowPlaces(distances))
        inside = (numbers > ordered[0]) & (numbers < ordered[-1])
        own = np.where(inside[:, self._columns], distances, 0.0)
        self._own = self._counted(own)
        wide = gaps[:, self._columns].max(axis=0) / 2 > distances.max(axis=0)
        self._wide = np.flatnonzero(wide)  # only there can a new row be farther than any
        self._ordered = ordered[:, self._columns[self._wide]]
        return self

    def decades(self, rows: FloatArray) -> FloatArray:
        """Surprise (n,) of rows (n, p + q), mostly 0; a typical row is compared with all others."""
        if not len(self._columns):
            return np.zeros(len(rows))
        at = self._places.of(rows)
        found = np.where(at >= 0, self._own[at], 0.0)
        new = np.flatnonzero(at < 0)
        if len(new) and len(self._wide):
            distances = np.zeros((len(new), len(self._columns)))
            for place, ordered in zip(self._wide, self._ordered.T, strict=True):
                distances[:, place] = _to_next(rows[new, self._columns[place]], ordered)
            found[new] = self._counted(distances)
        return found

    def _counted(self, distances: FloatArray) -> FloatArray:
        decades = self._outside.decades(distances)
        return np.where(decades >= BEGINS, decades, 0.0)

    def _from_others(self, numbers: FloatArray, ordered: FloatArray) -> FloatArray:
        """Distance (m, c) of each value to the next one of another row."""
        found = np.empty((len(numbers), len(self._columns)))
        for column, out in zip(self._columns, found.T, strict=True):
            gaps = np.concatenate([[np.inf], np.diff(ordered[:, column]), [np.inf]])
            nearer = np.minimum(gaps[:-1], gaps[1:])
            out[np.argsort(numbers[:, column], kind="stable")] = nearer
        return found


def _to_next(values: FloatArray, ordered: FloatArray) -> FloatArray:
    """Distance (n,) of values to the nearest of others (m,), 0 beyond the ends of these."""
    right = np.clip(np.searchsorted(ordered, values), 1, len(ordered) - 1)
    nearest = np.minimum(values - ordered[right - 1], ordered[right] - values)
    return np.where((values > ordered[0]) & (values < ordered[-1]), nearest, 0.0)
