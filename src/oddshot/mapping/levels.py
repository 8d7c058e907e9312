"""Levels of categories too many for a column each: those that known anomalies hold."""

from typing import Self

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.spaces import squashed

MOST_LEVELS = 32


class KnownLevels:
    """Whether a row is of the same level as known anomalies, a column for each of their levels.

    Of what stands aside (see `oddshot.mapping.encode.Encoder`) only equality counts. The levels of
    most known anomalies come first, up to 32; what all rows hold tells nothing and is left out.

    Examples
    --------
    >>> typical = np.array([[0.0], [1.0], [2.0], [2.0]])
    >>> levels = KnownLevels().fit(typical, np.array([[2.0], [2.0], [7.0]]))
    >>> (levels.of(np.array([[2.0], [7.0], [1.0]])) > 0).tolist()
    [[True, False], [False, True], [False, False]]
    """

    def fit(self, typical: np.ndarray, known: np.ndarray) -> Self:
        """Learn from what stands aside of typical rows (m, q) and of known anomalies (k, q)."""
        rows = np.rint(np.concatenate([typical, known]))
        found = []
        for column, levels in enumerate(np.rint(known).T):
            for level, count in zip(*np.unique(levels, return_counts=True), strict=True):
                share = float((rows[:, column] == level).mean())
                if share < 1:
                    found.append((-int(count), column, float(level), share))
        chosen = sorted(found)[:MOST_LEVELS]
        self._columns = np.array([column for _, column, _, _ in chosen], dtype=np.intp)
        self._levels = np.array([level for _, _, level, _ in chosen])
        shares = np.array([share for _, _, _, share in chosen])
        # as tall as a column of zeros and ones is among the standardised ones
        self._heights = squashed(2 / np.sqrt(shares * (1 - shares)))
        return self

    def of(self, aside: np.ndarray) -> FloatArray:
        """Columns (n, f) of what stands aside of rows (n, q): their height where levels agree."""
        agree = np.rint(aside[:, self._columns]) == self._levels
        return np.asarray(agree * self._heights)
