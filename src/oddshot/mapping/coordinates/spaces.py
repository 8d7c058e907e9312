"""Three views of the same rows: standardised, quantile and whitened.

All three are fitted on reference rows (unlabelled or known normal) and frozen.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.utils.extmath import randomized_svd

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.interpolation import interpolated
from oddshot.mapping.coordinates.spikes import reach

MAX_WHITENED = 48
MAX_WIDTH, MAX_COLUMNS = 192, 2048
LINEAR = 8.0  # sizes up to which a standardised value stays as it is
NAMES = ("standard", "quantile", "whitened")


@dataclass(frozen=True, slots=True)
class Views:
    """Rows in every space, float32: ``standard`` and ``quantile`` (n, d), ``whitened`` (n, w).

    Of a wide table these are seen along its leading principal axes; ``wide`` (n, c) holds its
    standardised columns themselves, unless they are more than 2,048, and none of other tables.
    """

    standard: Float32Array
    quantile: Float32Array
    whitened: Float32Array
    wide: Float32Array

    def __len__(self) -> int:
        return len(self.standard)

    def __getitem__(self, index: slice | np.ndarray) -> "Views":
        return Views(*(view[index] for view in self.arrays()))

    @property
    def columns(self) -> Float32Array:
        """The standardised columns, for models that split or weigh single ones."""
        return self.wide if self.wide.shape[1] else self.standard

    def arrays(self) -> tuple[Float32Array, ...]:
        """Give all of them, in their order."""
        return self.standard, self.quantile, self.whitened, self.wide

    def named(self) -> dict[str, Float32Array]:
        """Give the spaces by name."""
        return {name: getattr(self, name) for name in NAMES}


class Spaces:
    """Fit the three spaces on reference rows, then view any rows in them.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(100, 3))
    >>> views = Spaces().fit(rows).view(rows * 1.0)
    >>> views.standard.shape, views.whitened.shape
    ((100, 3), (100, 3))
    """

    def fit(self, rows: FloatArray, spiked: NDArray[np.bool_] | None = None) -> Self:
        """Learn location, scale, quantiles and principal axes from ``rows`` (m, d).

        ``spiked`` (d,): see `oddshot.mapping.coordinates.spikes`; ``None``: no column is.
        """
        quartiles = np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
        self._centre = quartiles[1]
        low = np.quantile(rows, 0.005, axis=0, method="higher")
        high = np.quantile(rows, 0.995, axis=0, method="lower")  # a single extreme is cut off
        winsorised = np.clip(rows, low, high)
        deviation = winsorised.std(axis=0)
        scale = np.maximum((quartiles[2] - quartiles[0]) / 1.349, 0.5 * deviation)
        for column in () if spiked is None else np.flatnonzero(spiked):
            scale[column] = max(scale[column], reach(rows[:, column]))
        scale = np.where(scale > 0, scale, rows.std(axis=0))
        self._scale = np.where(scale > 0, scale, 1.0)
        standard = self._standard(rows)
        self._rotation = _leading_axes(standard) if rows.shape[1] > MAX_WIDTH else None
        if self._rotation is not None:
            standard = standard @ self._rotation
        self._sorted = np.asfortranarray(np.sort(standard, axis=0))
        self._ranks = _mid_ranks(self._sorted)
        self._mean = standard.mean(axis=0)
        values, vectors = _principal_axes(standard - self._mean)
        kept = values > 1e-6 * values[0] if values[0] > 0 else values >= values[0]
        kept[MAX_WHITENED:] = False
        floor = 0.01 * values.mean() or 1.0
        self._whitening = vectors[:, kept] / np.sqrt(values[kept] + floor)
        return self

    def view(self, rows: FloatArray) -> Views:
        """Rows (n, d) in every space; each row's view depends on that row alone."""
        standard = columns = self._standard(rows)
        if self._rotation is not None:
            standard = standard @ self._rotation
        kept = self._rotation is not None and columns.shape[1] <= MAX_COLUMNS
        quantile = interpolated(standard, self._sorted, self._ranks)
        whitened = (standard - self._mean) @ self._whitening
        return Views(
            standard.astype(np.float32),
            ndtri(quantile).astype(np.float32, order="C"),
            whitened.astype(np.float32),
            columns[:, : columns.shape[1] if kept else 0].astype(np.float32),
        )

    def _standard(self, rows: FloatArray) -> FloatArray:
        """Robust z, squashed, so that one value cannot drown a row."""
        z = (rows - self._centre) / self._scale
        far = np.abs(z) > LINEAR
        z[far] = np.sign(z[far]) * squashed(np.abs(z[far]))
        return np.asarray(np.round(z, 12))  # what differs by rounding errors alone must tie


def squashed(sizes: FloatArray) -> FloatArray:
    """Sizes of any shape, themselves up to 8 and logarithmic beyond."""
    beyond = np.maximum(sizes - LINEAR, 0)
    return np.where(sizes > LINEAR, LINEAR + np.log1p(beyond), sizes)


def _mid_ranks(ordered: FloatArray) -> FloatArray:
    """Mid-rank quantile of every entry of column-wise sorted values, in (0, 1)."""
    count = len(ordered)
    ranks = np.empty_like(ordered)
    for column in range(ordered.shape[1]):
        values = ordered[:, column]
        low = np.searchsorted(values, values, side="left")
        high = np.searchsorted(values, values, side="right")
        ranks[:, column] = (low + high) / (2 * count)
    return np.clip(ranks, 0.5 / count, 1 - 0.5 / count)


def _principal_axes(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, vectors = np.linalg.eigh(centred.T @ centred / max(len(centred), 1))
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def _leading_axes(standard: FloatArray) -> FloatArray:
    """Axes of the largest variance; wide tables are cut to MAX_WIDTH of them.

    Axes without variance are left out: what rounding errors leave on them is no column.
    """
    centred = standard - standard.mean(axis=0)
    width = min(MAX_WIDTH, *centred.shape)
    _, sizes, axes = randomized_svd(centred, width, n_iter=2, random_state=0)
    kept = np.maximum(sizes > 1e-6 * sizes[0], np.arange(width) == 0)
    return np.ascontiguousarray(axes[kept].T)
