"""The scale of anomaly scores: how rare, in decades, so high a score is among typical rows."""

from typing import Self

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.errors import DataError

_TAIL_SHARE = 0.1


class Surprise:
    """Turn raw scores into decades of surprise against the data set's own rows.

    A surprise of ``s`` means that a share of ``10**-s`` of the reference rows score as high or
    higher: the median row has 0.3, the top tenth begins at 1, the top hundredth at 2. Above the
    highest reference row the scale goes on along an exponential tail fitted to the top tenth (the
    mean excess), and below the lowest it decays towards 0, so that the map is strictly increasing
    and never negative: rankings are kept.

    Parameters
    ----------
    most
        Decades that the tail approaches and does not reach, above those of the highest reference
        row: few rows cannot speak for more.

    Attributes
    ----------
    reference
        Shape (m,): the reference rows' raw scores, rising.

    Examples
    --------
    >>> scale = Surprise().fit(np.arange(1000.0))
    >>> scale.apply(np.array([-5.0, 500.0, 900.0, 990.0, 1500.0])).round(1).tolist()
    [0.0, 0.3, 1.0, 2.0, 7.4]
    """

    def __init__(self, *, most: float = np.inf) -> None:
        self._most = most

    def fit(self, scores: FloatArray) -> Self:
        """Learn from raw scores (m,) of reference rows, each obtained without itself."""
        if not len(scores) or not np.isfinite(scores).all():
            raise DataError("a scale needs at least one reference score, and finite ones only")
        self.reference = ordered = np.sort(scores)
        tail = ordered[int(np.floor((1 - _TAIL_SHARE) * len(ordered))) :]
        excess = float(tail.mean() - tail[0])
        if excess <= 1e-9 * float(ordered[-1] - ordered[0]):  # the top tenth is one tie
            excess = float(ordered.std())
        self._excess = excess or 1.0
        self._origin = float(np.median(ordered))
        scaled = self._scaled(ordered)
        self._knots, first, counts = np.unique(scaled, return_index=True, return_counts=True)
        above = len(scaled) - first - counts / 2
        self._decades = -np.log10((above + 0.5) / (len(scaled) + 1))
        return self

    def apply(self, scores: FloatArray) -> FloatArray:
        """Surprise (n,) in decades, >= 0, of raw scores (n,)."""
        scaled = self._scaled(scores)
        decades = np.interp(scaled, self._knots, self._decades)
        beyond = np.maximum(scaled - self._knots[-1], 0) / np.log(10)
        beyond /= 1 + beyond / (self._most - self._decades[-1])
        below = np.maximum(self._knots[0] - scaled, 0)
        return np.asarray((decades + beyond) * np.exp(-below))

    def scores_at(self, decades: FloatArray) -> FloatArray:
        """Raw scores (n,) that have surprises of so many decades, above 0: what `apply` undoes."""
        lowest = self._decades[0]
        room = self._most - self._decades[-1]
        beyond = np.clip(decades - self._decades[-1], 0.0, room * (1 - 1e-9))
        beyond *= np.log(10) / (1 - beyond / room)
        below = np.log(lowest / np.clip(decades, 1e-300, lowest))
        scaled = np.interp(decades, self._decades, self._knots) + beyond - below
        return np.asarray(scaled * self._excess + self._origin)

    def _scaled(self, scores: FloatArray) -> FloatArray:
        """Scores in units of the tail's mean excess; what differs by rounding errors alone ties."""
        return np.round((scores - self._origin) / self._excess, 12)
