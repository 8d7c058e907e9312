"""Calibrate a coordinate against the data set's own rows, so that a 3 means the same everywhere."""

from typing import Self

import numpy as np

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.interpolation import interpolated

GRID = 512
CHANNELS = 2
FLAT = 1e-4  # of a label-free coordinate, most of which are logarithms: less is no spread


class CoordinateScale:
    """Two channels for every coordinate: tail surprise in decades, and a squashed robust z.

    Tail surprise is ``-log10`` of the share of reference rows at least as odd, so 1 is the top
    tenth and 2 the top hundredth; it cannot exceed the reference's size. The robust z goes on
    beyond: ``asinh((v - median) / (q90 - median))``.

    Parameters
    ----------
    flat
        A spread that is not above this is none: there is no scale to measure by, and the unit of
        the coordinate stands in. 0: a millionth is the scale, so that any difference is large.
    """

    def __init__(self, *, flat: float = 0.0) -> None:
        self._flat = flat

    def fit(self, values: FloatArray) -> Self:
        """Learn from leave-one-out values of the reference rows, shape (m, C)."""
        count = len(values)
        ordered = np.sort(values, axis=0)
        middle, high90, high99 = (_quantile(ordered, q) for q in (0.5, 0.9, 0.99))
        spread = np.where(high90 - middle > 1e-9, high90 - middle, high99 - middle)
        self._middle = middle
        spread = np.where(spread > 1e-9, spread, np.maximum(values.std(axis=0), 1e-6))
        self._spread = np.where(spread > self._flat, spread, 1.0)
        ordered = self._scaled(ordered)
        at = np.linspace(0, count - 1, min(GRID, count)).round().astype(int)
        at = np.union1d(at, np.arange(max(0, count - GRID // 4), count))  # all of the upper tail
        self._knots = np.asfortranarray(ordered[at])
        self._decades = np.empty_like(self._knots)
        for column in range(values.shape[1]):
            low = np.searchsorted(ordered[:, column], self._knots[:, column], side="left")
            high = np.searchsorted(ordered[:, column], self._knots[:, column], side="right")
            above = count - (low + high) / 2
            self._decades[:, column] = -np.log10((above + 0.5) / (count + 1))
        return self

    def apply(self, values: FloatArray) -> Float32Array:
        """Calibrated values (n, C, 2) of ``values`` (n, C)."""
        scaled = self._scaled(values)
        out = np.empty((*values.shape, CHANNELS), dtype=np.float32)
        out[:, :, 0] = interpolated(scaled, self._knots, self._decades)
        out[:, :, 1] = np.arcsinh(scaled)
        return out

    def _scaled(self, values: FloatArray) -> FloatArray:
        """Robust z, rounded: values that differ by rounding errors alone must tie."""
        return np.asarray(np.round((values - self._middle) / self._spread, 9))


def unsquashed(coordinates: Float32Array) -> FloatArray:
    """Robust z (n, C) of calibrated coordinates (n, C, 2)."""
    return np.asarray(np.sinh(coordinates[:, :, 1].astype(np.float64)))


def _quantile(ordered: FloatArray, q: float) -> FloatArray:
    """Quantile of column-wise sorted values, by linear interpolation."""
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return np.asarray(ordered[low] + (place - low) * (ordered[high] - ordered[low]))
