"""How far rows are from each other column by column, and which typical rows are nearest."""

import numpy as np
from numpy.typing import NDArray

from oddshot.detectors.explanations.shapley import ColumnGroups
from oddshot.episodes import FloatArray

MOST_TYPICAL = 0.9  # share of the typical rows that count as normal beyond doubt
NINE_TENTHS = 3.29  # width of the middle nine tenths of a standard normal


class Nearness:
    """Distances to typical rows in which no single column can outweigh the others.

    In every column the distance is the difference in spreads of the typical rows, 1 at most; levels
    of a category, or gaps, that differ are 1 apart as a rule. So the nearest row is one that agrees
    in most columns, however far off the row is in the others: with these, it shows what is odd.

    Parameters
    ----------
    typical
        Shape (m, p + q): encoded typical rows.
    scores
        Shape (m,): their anomaly scores; the oddest tenth is never among the nearest.
    groups
        Positions of each source column's encoded columns, for all g of them.
    aside
        How many of the last columns stand aside, q: there rows only agree or do not.
    """

    def __init__(
        self, typical: FloatArray, scores: FloatArray, groups: ColumnGroups, *, aside: int = 0
    ) -> None:
        usual = np.flatnonzero(scores <= np.quantile(scores, MOST_TYPICAL))
        self.typical, self.scores, self.groups = typical[usual], scores[usual], groups
        low, high = np.quantile(typical, (0.05, 0.95), axis=0)
        spread = (high - low) / NINE_TENTHS
        spread = np.where(spread > 0, spread, typical.std(axis=0))
        self._spread = np.where(spread > 0, spread, 1.0)
        self._width = typical.shape[1] - aside
        self._order = np.concatenate(groups)
        self._starts = np.cumsum([0, *map(len, groups)])[:-1]

    def apart(self, row: FloatArray, others: FloatArray) -> FloatArray:
        """Difference in spreads (n, g) in every source column between a row (p + q,) and others."""
        apart = np.abs((others - row) / self._spread)
        agree = np.rint(others[:, self._width :]) == np.rint(row[self._width :])
        apart[:, self._width :] = ~agree
        return np.asarray(np.maximum.reduceat(apart[:, self._order], self._starts, axis=1))

    def distances(self, row: FloatArray, others: FloatArray) -> FloatArray:
        """Distances (n,) from a row (p + q,) to others, each column's 1 at most."""
        return np.asarray(np.minimum(self.apart(row, others), 1.0).sum(axis=1))

    def nearest(self, row: FloatArray, number: int) -> NDArray[np.intp]:
        """Places in ``typical`` of the rows nearest to a row (p + q,), nearest first.

        Rows that equal it come last: the row itself may be one of them, and they show nothing.
        """
        distances = self.distances(row, self.typical)
        distances[distances == 0] = np.inf
        return np.argsort(distances, kind="stable")[:number]
