"""Tail probabilities and rarity of single columns, summed over columns and at their largest."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.spaces import Views

BINS = 24


class Tails:
    """Odd values in single columns.

    ``tail_*``: surprise of the two-sided tail probability of every column in decades, summed, at
    its largest, and over the three largest (Li et al. 2022, ECOD, with the two tails treated
    alike). ``bin_*``: negative log density of a histogram of every column (Goldstein and Dengel
    2012, HBOS). ``far_*``: robust distance from the middle, at its largest and squared and summed.
    """

    names = ("tail_sum", "tail_max", "tail_top3", "bin_sum", "bin_max", "far_max", "far_norm")

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `Block`: one row hardly moves a column's distribution, so none is left out."""
        standard = reference.typical.standard
        low, high = np.quantile(standard, (0.001, 0.999), axis=0)
        self._low = low
        self._step = np.maximum(high - low, 1e-9) / BINS
        width = standard.shape[1]
        counts = np.zeros((BINS + 2, width))
        bins = self._bins(standard)
        for column in range(width):
            counts[:, column] = np.bincount(bins[:, column], minlength=BINS + 2)
        self._surprise = -np.log((counts + 0.3) / (len(standard) + 0.3 * (BINS + 2)))
        return self.transform(reference.typical)

    def transform(self, rows: Views, own: NDArray[np.intp] | None = None) -> FloatArray:  # noqa: ARG002
        """See `Block`: one row hardly moves a column's distribution, so none is left out."""
        tails = -np.log10(2 * ndtr(-np.abs(rows.quantile.astype(np.float64))) + 1e-12)
        ordered = -np.sort(-tails, axis=1)
        bins = np.take_along_axis(self._surprise, self._bins(rows.standard), axis=0)
        far = np.abs(rows.standard.astype(np.float64))
        return np.column_stack(
            [
                tails.sum(axis=1),
                ordered[:, 0],
                ordered[:, :3].sum(axis=1),
                bins.sum(axis=1),
                bins.max(axis=1),
                far.max(axis=1),
                np.log1p((far**2).sum(axis=1)),
            ]
        )

    def _bins(self, standard: Float32Array) -> np.ndarray:
        place = np.floor((standard - self._low) / self._step).astype(np.int64) + 1
        return np.asarray(np.clip(place, 0, BINS + 1))
