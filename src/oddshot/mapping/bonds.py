"""Cells that break a line which all other rows follow, by far: what a sum of coordinates drowns."""

from typing import Self

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.inner_precision import inner_precision
from oddshot.mapping.outside import Outside, with_own
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.threading import one_blas_thread

FEW_LEVELS = 20  # in a column that has no more a residual is a level's
ENOUGH_ROWS, ENOUGH_A_COLUMN = 100, 10
MOST_COLUMNS = 100
_REACH = 50.0  # in a column's own spread
_QUARTILES = 1.349  # between them, in standard deviations


class Bonds:
    """How surprising a row is by a column that no longer follows the others along a line.

    The residual of each column of more than 20 levels, given all others, is read off the precision
    matrix of the nine tenths of the rows that lie nearest (as in the trimmed ellipsoid), so that
    few rows that break a bond have no say in what it is. As `Outside` has it, a residual counts
    where it lies outside of all that typical rows have there. Nothing is looked at where columns
    are fewer than 2 or more than 100, or rows fewer than 100 or ten a column.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(500, 1)) * [1, 2] + 0.05 * rng.normal(size=(500, 2))
    >>> bonds = Bonds().fit(rows, RowPlaces(rows))
    >>> (bonds.decades(np.array([[1.0, 2.0], [1.0, -2.0]])) > 2).tolist()
    [False, True]
    """

    def fit(self, typical: FloatArray, places: RowPlaces, *, aside: int = 0) -> Self:
        """Learn from typical rows (m, p + q), the last q columns of which stand aside.

        ``places`` tells these rows from others.
        """
        self._places, width = places, typical.shape[1] - aside
        enough = len(typical) >= max(ENOUGH_ROWS, ENOUGH_A_COLUMN * width)
        self._looks = enough and 2 <= width <= MOST_COLUMNS
        if not self._looks:
            return self
        numbers = typical[:, :width]
        self._middle = np.median(numbers, axis=0)
        low, high = np.quantile(numbers, [0.25, 0.75], axis=0)
        spread = np.where(high > low, (high - low) / _QUARTILES, numbers.std(axis=0))
        self._columns = np.flatnonzero(np.isfinite(spread) & (spread > 0))
        self._spread = spread[self._columns]
        ordered = np.sort(numbers[:, self._columns], axis=0)
        levels = 1 + (ordered[1:] != ordered[:-1]).sum(axis=0)
        self._follow = np.flatnonzero(levels > FEW_LEVELS)
        self._looks = len(self._columns) >= 2 and len(self._follow) > 0
        if self._looks:
            self._learn(self._scaled(typical))
            own = self._residuals(typical)
            self._own, self._outside = own, Outside().fit(own, RowPlaces(own))
        return self

    def decades(self, rows: FloatArray, instead_of: FloatArray | None = None) -> FloatArray:
        """Surprise (n,) of rows (n, p + q), mostly 0; a typical row is compared with all others.

        See `Outside.decades` for ``instead_of`` (n, p + q).
        """
        if not self._looks:
            return np.zeros(len(rows))
        residuals = with_own(self._residuals(rows), self._own, self._places.of(rows))
        if instead_of is None:
            return self._outside.decades(residuals)
        replaced = with_own(residuals, self._own, self._places.of(instead_of))
        return self._outside.decades(residuals, replaced)

    def _scaled(self, rows: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            numbers = rows[:, self._columns] - self._middle[self._columns]
            return np.asarray(np.clip(numbers / self._spread, -_REACH, _REACH))

    @one_blas_thread
    def _learn(self, points: FloatArray) -> None:
        """Find centre and precision of the rows that lie nearest."""
        self._mean, self._precision = inner_precision(points)

    @one_blas_thread
    def _residuals(self, rows: FloatArray) -> FloatArray:
        """Residuals (n, f) in standard deviations of what is left when the others are known."""
        pulled = (self._scaled(rows) - self._mean) @ self._precision[:, self._follow]
        return np.asarray(pulled / np.sqrt(np.diag(self._precision)[self._follow]))
