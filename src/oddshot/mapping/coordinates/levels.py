"""What stands aside of known anomalies: levels too many for a column each, changed constants.

Of what stands aside (see `oddshot.mapping.encoding.encoder.Encoder`) only equality counts.
"""

from typing import Self

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.coordinates.spaces import squashed

MOST_LEVELS = 32


class KnownLevels:
    """Whether a row is of the same level as known anomalies, a column for each of their levels.

    The levels of most known anomalies come first, up to 32; what all rows hold tells nothing and is
    left out.

    Examples
    --------
    >>> typical = np.array([[0.0], [1.0], [2.0], [2.0]])
    >>> levels = KnownLevels().fit(typical, np.array([[2.0], [2.0], [7.0]]))
    >>> (levels.of(np.array([[2.0], [7.0], [1.0]])) > 0).tolist()
    [[True, False], [False, True], [False, False]]
    """

    def fit(self, typical: np.ndarray, known: np.ndarray) -> Self:
        """Learn from what stands aside of typical rows (m, q) and of known anomalies (k, q)."""
        heights, found = _heights(typical, known), []
        for column, levels in enumerate(known.T):
            _, first, counts = np.unique(levels, return_index=True, return_counts=True)
            found += [
                (-int(count), column, int(at))
                for at, count in zip(first, counts, strict=True)
                if heights[at, column]
            ]
        chosen = sorted(found)[:MOST_LEVELS]
        self._columns = np.array([column for _, column, _ in chosen], dtype=np.intp)
        places = np.array([at for *_, at in chosen], dtype=np.intp)
        self._levels = known[places, self._columns]
        self._heights = heights[places, self._columns]
        return self

    def of(self, aside: np.ndarray) -> FloatArray:
        """Columns (n, f) of what stands aside of rows (n, q): their height where levels agree."""
        agree = np.rint(aside[:, self._columns]) == self._levels
        return np.asarray(agree * self._heights)


class LevelDistances:
    """How far rows are from known anomalies by their levels alone.

    0 where the level is the same, else the height of a column of zeros and ones for the known
    anomaly's level.

    Examples
    --------
    >>> typical = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> levels = LevelDistances().fit(typical, np.array([[2.0]]))
    >>> levels.squares(np.array([[2.0], [1.0]])).round(2).tolist()
    [[0.0], [16.67]]
    """

    def fit(self, typical: np.ndarray, known: np.ndarray) -> Self:
        """Learn from what stands aside of typical rows (m, q) and of known anomalies (k, q)."""
        squares = _heights(typical, known) ** 2
        self._telling = np.flatnonzero(squares.any(axis=0))
        self._known, self._squares = known[:, self._telling], squares[:, self._telling]
        return self

    def squares(self, aside: np.ndarray) -> FloatArray:
        """Squared distances (n, k) of what stands aside of rows (n, q)."""
        total = np.zeros((len(aside), len(self._known)))
        for levels, known, squares in zip(
            np.rint(aside[:, self._telling]).T, self._known.T, self._squares.T, strict=True
        ):
            total += (levels[:, None] != known) * squares
        return total


def _heights(typical: np.ndarray, known: np.ndarray) -> FloatArray:
    """How tall (k, q) a column of zeros and ones is for each known level: two by its deviation.

    Squashed as other columns are; 0 where all rows are of this level.
    """
    rows = np.concatenate([typical, known])
    heights = np.zeros(known.shape)
    for column, levels in enumerate(known.T):
        found, places = np.unique(levels, return_inverse=True)
        shares = np.array([(rows[:, column] == level).mean() for level in found])
        varies = shares < 1
        tall = np.zeros(len(found))
        tall[varies] = squashed(2 / np.sqrt(shares[varies] * (1 - shares[varies])))
        heights[:, column] = tall[places]
    return heights
