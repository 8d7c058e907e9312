"""What is usual at each moment of a season."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray

BINS = 48  # parts of a period, each with a usual value
STEADY = 0.9  # of what is missed between parts: so little may one value for a part miss
MOMENTS = 960  # of a period, at which what is usual is compared with itself
SAME = 1e-3  # of a period: places that are one
JUMP = 3.0  # times the steps before and after it that a jump between two parts is


@dataclass(frozen=True, slots=True)
class Usual:
    """What values a season has at each of its parts, and between them.

    Parameters
    ----------
    values
        Shape (48,): the median of each part of the period; NaN where none was seen.
    turns
        Shape (48,): where in the period, in [0, 1), these were seen on average.
    steady
        Shape (48,): in which parts the value stays the same, as before and after a jump; in the
        others, and where nothing was seen, it goes straight from one to the next; where it jumps
        between two, it stays until the second, as of a shift that begins at a full hour.
    """

    values: FloatArray
    turns: FloatArray
    steady: NDArray[np.bool_]

    @classmethod
    def fit(cls, values: FloatArray, turns: FloatArray) -> "Usual":
        """Learn from values (n,), NaN where missing, at places (n,) in the period.

        >>> seen = Usual.fit(np.array([1.0, 3.0, 1.0, 3.0]), np.array([0.0, 0.5, 0.0, 0.5]))
        >>> seen.at(np.array([0.0, 0.25, 0.5, 0.875])).tolist()
        [1.0, 2.0, 3.0, 1.5]
        """
        known = np.isfinite(values)
        values, turns = values[known], turns[known]
        bins = _bins(turns)
        order = np.argsort(bins, kind="stable")
        seen, first = np.unique(bins[order], return_index=True)
        medians, places = np.full(BINS, np.nan), (np.arange(BINS) + 0.5) / BINS
        spread = np.zeros(BINS)
        for part, inside in zip(seen, np.split(order, first[1:]), strict=False):
            medians[part], places[part] = np.median(values[inside]), turns[inside].mean()
            spread[part] = np.ptp(turns[inside])
        straight = cls(medians, places, np.zeros(BINS, dtype=np.bool_))
        missed, missed_between = (
            np.bincount(bins, np.abs(values - usual), minlength=BINS)
            for usual in (medians[bins], straight.at(turns))
        )
        return cls(medians, places, (spread > SAME) & (missed < STEADY * missed_between))

    def at(self, turns: FloatArray) -> FloatArray:
        """Give what is usual at places (n,) in the period, each in [0, 1]; 0 if nothing is."""
        seen = ~np.isnan(self.values)
        if not seen.any():
            return np.zeros(len(turns))
        bins, places, values = _bins(turns), self.turns[seen], self.values[seen]
        between = np.interp(turns, places, values, period=1.0)
        before = np.searchsorted(places, turns + SAME, side="right") - 1
        held = np.where(_jumps(values)[before], values[before], between)
        return np.where(self.steady[bins], self.values[bins], held)

    def bearable(self, off: float) -> float:
        """Give the part of the period, up to a half, by which a phase may be wrong.

        What is usual is then `off` aside, on average.
        """
        turns = np.linspace(0, 1, MOMENTS, endpoint=False)
        usual = self.at(turns)
        aside = [np.abs(np.roll(usual, shift) - usual).mean() for shift in range(1, MOMENTS // 2)]
        beyond = np.flatnonzero(np.maximum.accumulate([0.0, *aside]) >= off)
        if not len(beyond):
            return 0.5
        first = int(beyond[0])
        if first == 1:
            return float(off / aside[0]) / MOMENTS
        return first / MOMENTS

    def state(self) -> FloatArray:
        """Give all that was learned as one array (3, 48)."""
        return np.stack([self.values, self.turns, self.steady.astype(np.float64)])

    @classmethod
    def from_state(cls, kept: FloatArray) -> "Usual":
        """Restore what `state` gave, or a value for each part (48,), as was kept before."""
        if kept.ndim == 1:
            return cls(kept, (np.arange(BINS) + 0.5) / BINS, np.ones(BINS, dtype=np.bool_))
        return cls(kept[0], kept[1], kept[2] > 0)


def _jumps(values: FloatArray) -> NDArray[np.bool_]:
    """Behind which of the values (n,) of a circle there is a jump.

    >>> _jumps(np.array([0.0, 0.1, 0.0, 2.0, 2.1, 2.0, 1.0])).tolist()
    [False, False, True, False, False, False, False]
    """
    steps = np.abs(np.roll(values, -1) - values)
    return np.asarray(steps > JUMP * np.maximum(np.roll(steps, 1), np.roll(steps, -1)))


def _bins(turns: FloatArray) -> NDArray[np.intp]:
    """Which part of the period each place is in."""
    return np.minimum((turns * BINS).astype(np.intp), BINS - 1)
