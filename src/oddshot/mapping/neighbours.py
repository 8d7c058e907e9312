"""Distances to neighbours at several scales, density ratios, nearest rows of small subsets."""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.block import Reference
from oddshot.mapping.distances import squared_distances
from oddshot.mapping.spaces import NAMES, Views

SCALES = (1, 5, 20, 50)
DENSITY_SCALES = (5, 20)
SUBSETS, SUBSET_SIZES = 32, (8, 32)


class Neighbours:
    """Log distance to the k-th neighbour, and its ratio to that of the neighbours (k-NN; LOF).

    Ramaswamy, Rastogi and Shim 2000 (distance to the k-th neighbour); Breunig et al. 2000 (local
    density, here the simplified ratio of k-distances).
    """

    names = tuple(
        f"{kind}{scale}_{space}"
        for space in NAMES
        for kind, scales in (("knn", SCALES), ("lof", DENSITY_SCALES))
        for scale in scales
    )

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `Block`: a reference row is no neighbour of itself."""
        self._indexes = {}
        columns = []
        for space, points in reference.typical.named().items():
            index = NeighbourIndex(points)
            self._indexes[space] = index
            columns.append(index.fit_coordinates())
        return np.concatenate(columns, axis=1)

    def transform(self, rows: Views) -> FloatArray:
        """See `Block`."""
        return np.concatenate(
            [self._indexes[name].coordinates(points) for name, points in rows.named().items()],
            axis=1,
        )

    def log(self, space: str, distances: FloatArray) -> FloatArray:
        """Log distance with the floor of a space."""
        return self._indexes[space].log(distances)


class NeighbourIndex:
    """Neighbours among the reference rows of one space."""

    def __init__(self, points: Float32Array) -> None:
        self._count = len(points)
        self._index = NearestNeighbors(algorithm="brute").fit(points)
        self._most = max(1, min(max(SCALES), self._count - 1))

    def fit_coordinates(self) -> FloatArray:
        """Leave-one-out coordinates of the reference rows themselves."""
        if self._count == 1:
            self._floor, self.profile = 1.0, np.zeros((1, len(SCALES)))
            return np.zeros((1, len(SCALES) + len(DENSITY_SCALES)))
        distances, neighbours = self._nearest(None)
        self._floor = 1e-3 * (float(np.median(distances[:, -1])) or 1.0)
        self.profile = self._log(distances)
        return self._with_density(self.profile, neighbours)

    def coordinates(self, points: Float32Array) -> FloatArray:
        """Coordinates of new rows."""
        distances, neighbours = self._nearest(points)
        return self._with_density(self._log(distances), neighbours)

    def log(self, distances: FloatArray) -> FloatArray:
        """Logarithm with the space's own floor, so that copies do not reach minus infinity."""
        return np.log(distances + self._floor)

    def _nearest(self, points: Float32Array | None) -> tuple[FloatArray, NDArray[np.intp]]:
        """Distances and places (n, k) of the nearest; equally near ones in the order of places.

        The search leaves that order to chance, and rounding errors to the size of the batch.
        """
        distances, neighbours = self._index.kneighbors(points, self._most)
        order = np.lexsort((neighbours, np.round(distances, 5)), axis=1)
        return (
            np.take_along_axis(distances, order, axis=1),
            np.take_along_axis(neighbours, order, axis=1),
        )

    def _log(self, distances: FloatArray) -> FloatArray:
        at = [min(scale, self._most) - 1 for scale in SCALES]
        return self.log(distances[:, at])

    def _with_density(self, profile: FloatArray, neighbours: NDArray[np.intp]) -> FloatArray:
        ratios = [
            profile[:, SCALES.index(scale)]
            - self.profile[neighbours[:, :scale], SCALES.index(scale)].mean(axis=1)
            for scale in DENSITY_SCALES
        ]
        return np.column_stack([profile, *ratios])


class Subsets:
    """Mean log distance to the nearest row of many small random subsets, and a kernel density.

    Small subsets hardly ever hold an anomaly, so contamination hides nothing (Bandaragoda et al.
    2018; Wu and Jermaine 2006). The kernel density is taken over all the rows drawn.
    """

    names = tuple(
        f"{kind}_{space}"
        for space in ("standard", "quantile")
        for kind in (*(f"subset{size}" for size in SUBSET_SIZES), "density")
    )

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:
        """See `Block`: a reference row's own draw is left out."""
        count = len(reference.typical)
        size = min(max(SUBSET_SIZES), count)
        drawn = np.concatenate([generator.permutation(count)[:size] for _ in range(SUBSETS)])
        self._size = size
        self._points, self._floor, self._width = {}, {}, {}
        columns = []
        for space in ("standard", "quantile"):
            points = reference.typical.named()[space].astype(np.float64)
            self._points[space] = points[drawn]
            squares = squared_distances(points, points[drawn])
            own = drawn[None, :] == np.arange(count)[:, None]
            middle = float(np.median(squares)) or 1.0
            self._floor[space] = 1e-3 * np.sqrt(middle)
            nearest = np.partition(squares, min(20, squares.shape[1] - 1), axis=1)
            self._width[space] = (
                float(np.median(nearest[:, min(20, squares.shape[1] - 1)])) or middle
            )
            columns.append(self._coordinates(np.where(own, np.inf, squares), space))
        return np.concatenate(columns, axis=1)

    def transform(self, rows: Views) -> FloatArray:
        """See `Block`."""
        named = rows.named()
        return np.concatenate(
            [
                self._coordinates(squared_distances(named[space].astype(np.float64), points), space)
                for space, points in self._points.items()
            ],
            axis=1,
        )

    def _coordinates(self, squares: FloatArray, space: str) -> FloatArray:
        per_subset = squares.reshape(len(squares), SUBSETS, self._size)
        columns = []
        for size in SUBSET_SIZES:
            nearest = np.sqrt(per_subset[:, :, :size].min(axis=2))
            seen = np.isfinite(nearest)
            logs = np.where(seen, np.log(np.where(seen, nearest, 1.0) + self._floor[space]), 0.0)
            columns.append(logs.sum(axis=1) / np.maximum(seen.sum(axis=1), 1))
        density = np.exp(-0.5 * squares / self._width[space]).mean(axis=1)
        columns.append(-np.log(density + 1e-12))
        return np.column_stack(columns)
