"""Distances to neighbours at several scales, density ratios, nearest rows of small subsets."""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.distances import against, extended, median, parted
from oddshot.mapping.coordinates.nearest import AT_ONCE, Nearest
from oddshot.mapping.coordinates.spaces import NAMES, Views
from oddshot.mapping.threading import cut, in_blocks, run_all

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

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `Block`: a reference row is no neighbour of itself."""
        named = reference.typical.named()
        self._indexes = {space: NeighbourIndex(points) for space, points in named.items()}
        columns = [index.fit_coordinates(self._threads) for index in self._indexes.values()]
        return np.concatenate(columns, axis=1)

    def transform(self, rows: Views, own: NDArray[np.intp] | None = None) -> FloatArray:
        """See `Block`."""
        return np.concatenate(
            [self._indexes[name].coordinates(points, own) for name, points in rows.named().items()],
            axis=1,
        )

    def log(self, space: str, distances: FloatArray) -> FloatArray:
        """Log distance with the floor of a space."""
        return self._indexes[space].log(distances)


class NeighbourIndex:
    """Neighbours among the reference rows of one space."""

    def __init__(self, points: Float32Array) -> None:
        self._points = points
        self._most = max(1, min(max(SCALES), len(points) - 1))
        self._nearest = Nearest(points, self._most)

    def fit_coordinates(self, threads: int) -> FloatArray:
        """Leave-one-out coordinates of the reference rows themselves."""
        count = len(self._points)
        if count == 1:
            self._floor, self.profile = 1.0, np.zeros((1, len(SCALES)))
            return np.zeros((1, len(SCALES) + len(DENSITY_SCALES)))
        own = np.arange(count)
        found = in_blocks(
            lambda block: self._nearest.search(self._points[block], own[block]),
            count,
            threads=threads,
        )
        distances, neighbours = (np.concatenate(parts) for parts in zip(*found, strict=True))
        self._floor = 1e-3 * (float(np.median(distances[:, -1])) or 1.0)
        self.profile = self._log(distances)
        return self._with_density(self.profile, neighbours)

    def coordinates(self, points: Float32Array, own: NDArray[np.intp] | None = None) -> FloatArray:
        """Coordinates of new rows; ``own`` (n,) are places that each does not look at."""
        distances, neighbours = self._nearest.search(points, own)
        return self._with_density(self._log(distances), neighbours)

    def log(self, distances: FloatArray) -> FloatArray:
        """Logarithm with the space's own floor, so that copies do not reach minus infinity."""
        return np.log(distances + self._floor)

    def _log(self, distances: FloatArray) -> FloatArray:
        at = [min(scale, self._most) - 1 for scale in SCALES]
        return self.log(distances[:, at])

    def _with_density(self, profile: FloatArray, neighbours: NDArray[np.intp]) -> FloatArray:
        ratios = []
        for scale in DENSITY_SCALES:
            at = SCALES.index(scale)
            theirs = np.take(self.profile[:, at], neighbours[:, :scale]).mean(axis=1)
            ratios.append(profile[:, at] - theirs)
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

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:
        """See `Block`: a reference row's own draws are left out."""
        count = len(reference.typical)
        size = min(max(SUBSET_SIZES), count)
        subsets = [generator.permutation(count)[:size] for _ in range(SUBSETS)]
        drawn = np.column_stack(subsets).ravel()  # the first rows of all subsets, then the second
        named = reference.typical.named()
        self._spaces = {space: _Drawn(named[space], drawn) for space in ("standard", "quantile")}
        tasks = [lambda drawn=drawn: drawn.fit_coordinates() for drawn in self._spaces.values()]
        return np.concatenate(run_all(tasks, threads=self._threads), axis=1)

    def transform(self, rows: Views, own: NDArray[np.intp] | None = None) -> FloatArray:
        """See `Block`: the draws of the row whose place one takes are left out."""
        named = rows.named()
        return np.concatenate(
            [drawn.coordinates(named[space], own) for space, drawn in self._spaces.items()], axis=1
        )


class _Drawn:
    """The rows drawn into the subsets, in one space: those of all subsets that were drawn first...

    Distances stand in columns, one for each row that is judged, so that minima and sums go over
    long stretches of numbers.
    """

    def __init__(self, points: Float32Array, drawn: NDArray[np.intp]) -> None:
        self._own, self._reference = drawn, points.astype(np.float64)
        self._points = against(self._reference[drawn]).T

    def fit_coordinates(self) -> FloatArray:
        """Coordinates of the reference rows, own draws left out; sets floor, rounding and width."""
        blocks = cut(len(self._reference), AT_ONCE)
        rank = min(20, len(self._own) - 1)
        near = np.empty(len(self._reference))
        every = np.empty((len(self._reference), len(self._own)), dtype=np.float32)
        for block in blocks:
            squares = np.maximum(extended(self._reference[block]) @ self._points.T, 0.0)
            every[block] = squares
            near[block] = parted(squares, rank, 1)[:, rank]
        middle = median(every) or 1.0
        self._floor = 1e-3 * np.sqrt(middle)
        self._rounding = 1e-12 * middle
        self._width = float(np.median(near)) or middle
        self._points *= -0.5 / self._width
        return np.concatenate([self._without_own(block) for block in blocks])

    def _without_own(self, block: slice) -> FloatArray:
        exponents = self._exponents(self._reference[block])
        drawn = np.flatnonzero((self._own >= block.start) & (self._own < block.stop))
        exponents[drawn, self._own[drawn] - block.start] = -np.inf
        return self._coordinates(exponents)

    def coordinates(self, points: Float32Array, own: NDArray[np.intp] | None = None) -> FloatArray:
        """Coordinates of new rows; ``own`` (n,) are places whose draws each does not look at."""
        rows, found = points.astype(np.float64), []
        for block in cut(len(rows), AT_ONCE):
            exponents = self._settled(rows[block])
            if own is not None:
                exponents[self._own[:, None] == own[block]] = -np.inf
            found.append(self._coordinates(exponents))
        return np.concatenate(found)

    def _settled(self, points: FloatArray) -> FloatArray:
        """Exponents (draws, n) of new rows, 0 for copies.

        Where most rows repeat the kernel may be as narrow as the rounding error that a copy's is.
        """
        exponents = self._exponents(points)
        if self._width < 1e3 * self._rounding:
            exponents[exponents > -0.5 * self._rounding / self._width] = 0.0
        return exponents

    def _exponents(self, points: FloatArray) -> FloatArray:
        """Exponents (draws, n) of the kernel: squared distances, times a negative number."""
        return np.asarray(self._points @ extended(points).T)

    def _coordinates(self, exponents: FloatArray) -> FloatArray:
        by_draw = exponents.reshape(-1, SUBSETS, exponents.shape[1])
        columns = []
        for size in SUBSET_SIZES:
            squares = by_draw[:size].max(axis=0) * (-2 * self._width)
            squares[squares < self._rounding] = 0.0  # or one row alone differs from it among others
            seen = squares < np.inf
            nearest = np.sqrt(np.where(seen, squares, 1.0))
            logs = np.where(seen, np.log(nearest + self._floor), 0.0)
            columns.append(logs.sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
        with np.errstate(under="ignore"):
            kernel = np.exp(exponents, out=exponents)  # in place: what was used above is used up
        columns.append(-np.log(kernel.mean(axis=0) + 1e-12))
        return np.column_stack(columns)
