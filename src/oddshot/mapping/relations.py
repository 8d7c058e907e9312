"""Which columns of a series follow the others, and how far each reading is off that."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.inner_precision import inner_precision
from oddshot.mapping.threading import one_blas_thread

FEWEST_READINGS, ENOUGH_A_COLUMN = 200, 20
MOST_COLUMNS = 100
FEW_LEVELS = 20  # in a column that has no more, residuals are those of levels
MOST_GAPS = 0.2  # of a column's readings
PARTS, BROKEN = 10, 2  # of a series; in so many may a relation not hold
FOLLOWS = 0.5  # of a column's distance from its middle, less is left by the others
WITHIN = 0.75  # of its distance from the middle of its part, too
STEADY = 1.5  # times what is left on the whole may be left in a part
ROUNDING = 0.02  # of a column's spread: less is nothing left
NEEDED = 0.05  # standard deviations that one of another column moves what it foretells
REACH = 50.0  # in a column's own spread
_QUARTILES = 1.349  # between them, in standard deviations


@dataclass(frozen=True, slots=True)
class Relations:
    """What some columns of numbers are expected to be, given the others at the same moment.

    Residuals of least squares, read off the precision matrix of the nine tenths of the readings
    that lie nearest. A column follows the others if they foretell it in what has not been learned
    from: less than half of its distance from its middle is left, less than three quarters of its
    distance from the middle of its part of ten, and in no more than two of these is more left than
    elsewhere. Columns that only wander side by side for a while do not pass.

    Parameters
    ----------
    columns
        The columns that are looked at, d of them.
    middle, spread, mean
        Shape (d,) each: median and spread of the columns, and the centre of the inner readings in
        these units.
    precision
        Shape (d, d).
    follows
        Shape (d,): which columns follow the others.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> flow, other = rng.normal(size=(2, 400))
    >>> series = {"flow": flow, "power": 3 * flow + 0.1 * rng.normal(size=400), "other": other}
    >>> relations = Relations.fit(series)
    >>> off = relations.off({"flow": np.ones(1), "power": np.array([-3.0]), "other": np.zeros(1)})
    >>> {name: off[name].round().tolist() for name in off}
    {'flow': [2.0], 'power': [-6.0]}
    """

    columns: tuple[str, ...]
    middle: FloatArray
    spread: FloatArray
    mean: FloatArray
    precision: FloatArray
    follows: NDArray[np.bool_]

    @classmethod
    @one_blas_thread
    def fit(cls, numbers: dict[str, FloatArray]) -> "Relations | None":
        """Learn from columns (n,) in the order of time, NaN where missing; ``None``: none is there.

        So it is where columns are fewer than 2 or more than 100, or readings fewer than 200 or 20 a
        column. Columns of up to 20 values, with half of the readings on one, or with more than a
        fifth missing are not looked at.
        """
        columns = tuple(name for name, values in numbers.items() if _is_told(values))
        count = len(next(iter(numbers.values()), ()))
        enough = count >= max(FEWEST_READINGS, ENOUGH_A_COLUMN * len(columns))
        if not (enough and 2 <= len(columns) <= MOST_COLUMNS):
            return None
        values = np.stack([numbers[name] for name in columns], axis=1)
        low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
        spread = high / _QUARTILES - low / _QUARTILES
        points = _scaled(values, middle, spread)
        mean, precision = inner_precision(_filled(points))
        found = cls(columns, middle, spread, mean, precision, _follow(points))
        return found if found.follows.any() else None

    def off(self, numbers: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """How far columns (n,) are off what the others tell, by column that follows; in its unit.

        NaN where the column itself, or one that tells something of it, is missing. What comes of a
        reading does not depend on the others.
        """
        values = np.stack([numbers[name] for name in self.columns], axis=1)
        points = _scaled(values, self.middle, self.spread) - self.mean
        off = {}
        for place, column in enumerate(self.columns):
            if self.follows[place]:
                off[column] = self.spread[place] * _residual(points, self.precision[place], place)
        return off

    def state(self) -> dict[str, NDArray[Any]]:
        """Give all that was learned but the columns' names, as arrays."""
        return {
            "middle": self.middle,
            "spread": self.spread,
            "mean": self.mean,
            "precision": self.precision,
            "follows": self.follows.astype(np.uint8),
        }

    @classmethod
    def from_state(cls, columns: tuple[str, ...], arrays: dict[str, NDArray[Any]]) -> "Relations":
        """Restore what `state` gave."""
        return cls(columns, **{**arrays, "follows": arrays["follows"].astype(np.bool_)})


def _is_told(values: FloatArray) -> bool:
    seen = values[np.isfinite(values)]
    if len(seen) < (1 - MOST_GAPS) * len(values) or len(np.unique(seen)) <= FEW_LEVELS:
        return False
    low, high = np.quantile(seen, [0.25, 0.75])
    return bool(high > low)


def _scaled(values: FloatArray, middle: FloatArray, spread: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.asarray(np.clip((values - middle) / spread, -REACH, REACH))


def _filled(points: FloatArray) -> FloatArray:
    """Put the middle where a value is missing."""
    return np.where(np.isnan(points), 0.0, points)


def _residual(centred: FloatArray, weights: FloatArray, place: int) -> FloatArray:
    """Take what others tell from a column of points (n, d) less their centre.

    ``weights`` are its row (d,) of the precision. Summed up column by column, so that the last
    digits are the same among other readings, too.
    """
    left = centred[:, place].copy()
    for other in np.flatnonzero(np.arange(len(weights)) != place):
        weight = weights[other] / weights[place]
        told = centred[:, other] * weight
        left += told if abs(weight) >= NEEDED else np.where(np.isnan(told), 0.0, told)
    return left


def _follow(points: FloatArray) -> NDArray[np.bool_]:
    """Tell which columns of points (n, d) follow the others in parts not learned from."""
    columns = range(len(points.T))
    left, filled = np.empty_like(points), _filled(points)
    parts = np.array_split(np.arange(len(points)), PARTS)
    for part in parts:
        mean, precision = inner_precision(np.delete(filled, part, axis=0))
        centred = points[part] - mean
        left[part] = np.stack([_residual(centred, precision[at], at) for at in columns], axis=1)
    whole = np.maximum(_median(np.abs(left)), ROUNDING)
    steady = [_median(np.abs(left[part])) <= STEADY * whole for part in parts]
    moved, still = (
        _median(np.concatenate([np.abs(v[part] - _median(v[part])) for part in parts]))
        for v in (points, left)
    )
    return np.asarray(
        (whole < FOLLOWS * _median(np.abs(points)))
        & (np.maximum(still, ROUNDING) < WITHIN * moved)
        & (np.sum(steady, axis=0) >= PARTS - BROKEN)
    )


def _median(values: FloatArray) -> FloatArray:
    """Medians (d,) of columns (n, d) of numbers, infinite where all are missing."""
    ordered = np.sort(np.where(np.isnan(values), np.inf, values), axis=0)
    known = np.isfinite(ordered).sum(axis=0)
    place = np.minimum(known // 2, len(values) - 1)
    return np.asarray(np.take_along_axis(ordered, place[None], axis=0)[0])
