"""Mahalanobis distances, reconstruction residuals and broken dependencies between columns."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.spaces import Views

TRIMMED = 0.75
EXPLAINED = (0.5, 0.9)
STILL = 0.25  # of a flag's variance: one that has less inside is told by all rows
ROUNDING = 1e-9  # of a squared length: what is left of less is not known


class Ellipsoid:
    """A shrunken Gaussian: distance, whole and trimmed, and how badly columns predict each other.

    The residual of column j given all others is read off the precision matrix: ``(Wz)_j / W_jj``,
    with variance ``1 / W_jj``.

    Parameters
    ----------
    trim
        Whether the three quarters of the points that lie nearest are fitted on.
    flags
        Shape (p,): which columns are flags of gaps, or hold one value in most rows
        (`oddshot.mapping.coordinates.spikes`); ``None``: none. Where gaps, or other values, are
        rare these have next to no variance inside, and each row with one would be further out than
        any other. So such columns have the covariances that they have among all points, by which
        ten of them that go together count once, and none with other columns.
    """

    def __init__(self, *, trim: bool, flags: NDArray[np.bool_] | None = None) -> None:
        self._trim, self._flags = trim, flags

    def fit(self, points: FloatArray) -> FloatArray:
        """Coordinates of the points themselves, corrected for each point's own weight."""
        self._set(points)
        self._points = points.astype(np.float32)  # as they were given to `Ellipsoids`
        inside = np.ones(len(points), dtype=np.bool_)
        if self._trim and len(points) > 20:
            distances = self._distances(points)
            inside = distances <= np.quantile(distances, TRIMMED)
            self._set(points[inside], whole=points)
        self._inside = inside
        return self._coordinates(points, left_out=inside)

    def coordinates(self, points: FloatArray, own: NDArray[np.intp] | None = None) -> FloatArray:
        """Log squared distance, log squared sum and log largest of the conditional residuals.

        ``own`` (n,): of the points that were fitted to, the one that each is there instead of.
        """
        if own is not None:
            return self._instead_of(_double(self._points[own]), points, self._inside[own])
        return self._coordinates(points, left_out=np.zeros(len(points), dtype=np.bool_))

    def _coordinates(self, points: FloatArray, *, left_out: NDArray[np.bool_]) -> FloatArray:
        """Coordinates (n, 3) of points (n, p), some of which were fitted on and are left out."""
        centred = points - self._mean
        pulled = centred @ self._precision
        distances = np.einsum("np,np->n", pulled, centred)
        squares = pulled**2 / np.diag(self._precision)  # of the residuals
        factor = np.where(left_out, self._factor(distances), 1.0)
        parts = [distances, factor * squares.sum(axis=1), factor * squares.max(axis=1)]
        return np.asarray(np.log1p(np.column_stack(parts) * factor[:, None]))

    def _factor(self, distances: FloatArray) -> FloatArray:
        """How much farther (n,) points are once the covariance has lost their own parts.

        A rank-one downdate (Sherman and Morrison 1950).
        """
        return np.asarray(1 / (1 - np.minimum(self._weight * distances / self._count, 0.9)))

    def _instead_of(
        self, own: FloatArray, points: FloatArray, left_out: NDArray[np.bool_]
    ) -> FloatArray:
        """As `_coordinates`, of points (n, p) once the covariance has lost others' (n, p) parts."""
        centred, of_own = points - self._mean, own - self._mean
        pulled, own_pulled = centred @ self._precision, of_own @ self._precision
        own_distances = np.einsum("np,np->n", own_pulled, of_own)
        lost = left_out * (self._factor(own_distances) - 1) / np.maximum(own_distances, 1e-300)
        lost *= np.einsum("np,np->n", own_pulled, centred)
        pulled += lost[:, None] * own_pulled
        distances = np.einsum("np,np->n", pulled, centred)
        squares = pulled**2 / np.diag(self._precision)
        parts = [distances, squares.sum(axis=1), squares.max(axis=1)]
        return np.asarray(np.log1p(np.column_stack(parts)))

    def _distances(self, points: FloatArray) -> FloatArray:
        centred = points - self._mean
        distances: FloatArray = np.einsum("np,np->n", centred @ self._precision, centred)
        return distances

    def _set(self, points: FloatArray, whole: FloatArray | None = None) -> None:
        self._count, width = points.shape
        self._mean = points.mean(axis=0)
        covariance = _covariance(points)
        if self._flags is not None and whole is not None:
            rare = self._flags & (np.diag(covariance) < STILL * whole.var(axis=0))
            covariance[rare] = covariance[:, rare] = 0.0
            covariance[np.ix_(rare, rare)] = _covariance(whole[:, rare])
        shrinkage = min(0.9, max(0.01, width / (width + self._count)))
        self._weight = 1 - shrinkage
        target = np.diag(np.diag(covariance) + 1e-6)
        self._precision = np.linalg.inv(self._weight * covariance + shrinkage * target)


class Residual:
    """Distance from the plane of the leading principal components that explain a given share."""

    def __init__(self, share: float) -> None:
        self._share = share

    def fit(self, points: FloatArray) -> FloatArray:
        """Log squared residual of the points themselves."""
        self._mean = points.mean(axis=0)
        centred = points - self._mean
        values, vectors = np.linalg.eigh(centred.T @ centred)
        explained = np.cumsum(values[::-1]) / max(values.sum(), 1e-12)
        rank = int(np.searchsorted(explained, self._share)) + 1
        rank = min(rank, max(1, points.shape[1] - 1), max(1, len(points) // 4))
        self._axes = vectors[:, ::-1][:, :rank]
        return self.coordinates(points)

    def coordinates(self, points: FloatArray, own: NDArray[np.intp] | None = None) -> FloatArray:  # noqa: ARG002
        """Log squared residual, shape (n, 1); no row moves the plane by much."""
        centred = points - self._mean
        along = centred @ self._axes
        whole = np.einsum("np,np->n", centred, centred)
        beside = whole - np.einsum("nr,nr->n", along, along)
        beside[beside < ROUNDING * whole] = 0.0  # noise, of which processors have each their own
        return np.asarray(np.log1p(beside)[:, None])


class Ellipsoids:
    """`Ellipsoid` and `Residual` in the standardised and the quantile space.

    ``flags`` are as of `Ellipsoid`.
    """

    names = (
        "mahalanobis_standard",
        "dependency_sum_standard",
        "dependency_max_standard",
        "mahalanobis_trimmed",
        "dependency_sum_trimmed",
        "dependency_max_trimmed",
        "mahalanobis_quantile",
        "dependency_sum_quantile",
        "dependency_max_quantile",
        "residual50_standard",
        "residual90_standard",
    )

    def __init__(self, flags: NDArray[np.bool_] | None = None) -> None:
        self._flags = flags

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `Block`."""
        along_axes = self._flags is not None and len(self._flags) != reference.width
        trimmed = Ellipsoid(trim=True, flags=None if along_axes else self._flags)
        self._standard: list[Ellipsoid | Residual] = [Ellipsoid(trim=False), trimmed]
        self._quantile = Ellipsoid(trim=False)
        self._residuals = [Residual(share) for share in EXPLAINED]
        seen = [model.fit(points) for model, points in self._each(reference.typical)]
        return np.concatenate(seen, axis=1)

    def transform(self, rows: Views, own: NDArray[np.intp] | None = None) -> FloatArray:
        """See `Block`."""
        seen = [model.coordinates(points, own) for model, points in self._each(rows)]
        return np.concatenate(seen, axis=1)

    def _each(self, rows: Views) -> Iterator[tuple[Ellipsoid | Residual, FloatArray]]:
        """Give each model, and the rows in its space."""
        standard, quantile = _double(rows.standard), _double(rows.quantile)
        yield from ((model, standard) for model in self._standard)
        yield self._quantile, quantile
        yield from ((model, standard) for model in self._residuals)


def _covariance(points: FloatArray) -> FloatArray:
    """Covariances (p, p) of points (n, p)."""
    width = points.shape[1]
    return np.asarray(np.cov(points.T, bias=True)).reshape(width, width)


def _double(points: Float32Array) -> FloatArray:
    return points.astype(np.float64)
