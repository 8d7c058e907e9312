"""Nearest neighbours among a few thousand rows: sought by products, settled by differences."""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.distances import against, extended, squared_distances
from oddshot.mapping.threading import cut

SPARE = 6
DECIMALS = 5
AT_ONCE = 128  # rows whose distances to thousands of others stay in a core's cache;
CELLS = 1 << 18  # more of them where the others are few: so many distances
GROUP, LARGE = 8, 2  # size of a group; so many groups for each that is kept are worth making


class Nearest:
    """The nearest of ``points`` (m, w), at most ``most`` of them.

    All squared distances are computed in single precision and cut to the bits that leave room for
    a row's place, so that partitions of whole numbers find the nearest *and* where they are. A few
    more than asked for are measured again, by differences. Where rounding could have kept one
    of the nearest out, as it can where many rows are equally near, the search is done again in
    double precision. So the result is that of an exhaustive search, but for the order of rows that
    are equally near to about five decimals.

    Examples
    --------
    >>> points = np.array([[0.0], [3.0], [4.0]], dtype=np.float32)
    >>> distances, places = Nearest(points, 2).search(np.array([[3.4]], dtype=np.float32))
    >>> distances.round(3).tolist(), places.tolist()
    ([[0.4, 0.6]], [[1, 2]])
    """

    def __init__(self, points: Float32Array, most: int) -> None:
        self._points, self._most = points, most
        self._double = points.astype(np.float64)
        coarse = against(points)
        self._reach = float(np.sqrt(coarse[-1].max(initial=0.0)))
        self._coarse = np.pad(coarse, ((0, 0), (0, -len(points) % GROUP)))
        self._coarse[-1, len(points) :] = np.inf  # what fills the last group is far away
        self._places = np.arange(self._coarse.shape[1], dtype=np.int32)
        self._bits = max(1, (len(points) - 1).bit_length())
        self._mask = np.int32((1 << self._bits) - 1)

    def search(
        self, rows: Float32Array, own: NDArray[np.intp] | None = None
    ) -> tuple[FloatArray, NDArray[np.intp]]:
        """Seek the nearest to each of ``rows`` (n, w).

        Parameters
        ----------
        rows
            Shape (n, w).
        own
            Shape (n,): the place of each row among the points, where it is one and must not find
            itself.

        Returns
        -------
        tuple
            Distances (n, most), ascending, and places (n, most), by distance to five decimals and,
            equally near ones, by place.
        """
        blocks = cut(len(rows), max(AT_ONCE, CELLS // self._coarse.shape[1]))
        found = [self._settle(rows[b], None if own is None else own[b]) for b in blocks]
        distances, places = zip(*found, strict=True)
        return np.concatenate(distances), np.concatenate(places)

    def _settle(
        self, rows: Float32Array, own: NDArray[np.intp] | None
    ) -> tuple[FloatArray, NDArray[np.intp]]:
        others = len(self._points) - (own is not None)
        kept = min(others, self._most + SPARE)
        places, beyond = self._coarsely(rows, own, kept)
        squares = self._squares(rows, places)
        if kept < others:
            furthest = np.partition(squares, self._most - 1, axis=1)[:, self._most - 1]
            doubt = np.flatnonzero(beyond <= (_roots(furthest) + 2 * 10.0**-DECIMALS) ** 2)
            if len(doubt):
                among = None if own is None else own[doubt]
                places[doubt] = self._exactly(rows[doubt], among, kept)
                squares[doubt] = self._squares(rows[doubt], places[doubt])
        order = np.sort(self._keys(_roots(squares), places), axis=1)[:, : self._most]
        nearest = np.sort(squares, axis=1)[:, : self._most]
        return _roots(nearest), order & ((1 << self._bits) - 1)

    def _coarsely(
        self, rows: Float32Array, own: NDArray[np.intp] | None, kept: int
    ) -> tuple[NDArray[np.intp], FloatArray]:
        """Places (n, kept), and a bound (n,) from below on the squared distance of all others."""
        sought = extended(rows)
        # bits of floats sort as whole numbers do; a few below 0, by rounding, come first too
        numbers = (sought @ self._coarse).view(np.int32)
        if own is not None:
            numbers[np.arange(len(numbers)), own] = np.iinfo(np.int32).max
        found = self._smallest(numbers, kept)
        last = (found[:, -1] & ~self._mask).view(np.float32).astype(np.float64)
        reach = (np.sqrt(sought[:, -2].astype(np.float64)) + self._reach) ** 2
        rounding = 2 * (rows.shape[1] + 4) * np.finfo(np.float32).eps * reach
        return (found & self._mask).astype(np.intp), last - rounding

    def _smallest(self, numbers: NDArray[np.int32], kept: int) -> NDArray[np.int32]:
        """Smallest (n, kept) of numbers (n, m), which are used up, with their places.

        They lie in the groups with the smallest minima; so these are sorted out first.
        """
        rows, count = numbers.shape
        width = count // GROUP
        if width < LARGE * kept:
            return self._sorted_out(numbers, self._places, kept)
        minima = numbers.reshape(rows, GROUP, width).min(axis=1)
        chosen = self._sorted_out(minima, self._places[:width], kept) & self._mask
        places = (chosen[:, None] + self._places[::width, None]).reshape(rows, -1)
        among_all = places + count * np.arange(rows)[:, None]
        return self._sorted_out(np.take(numbers, among_all), places, kept)

    def _sorted_out(
        self, numbers: NDArray[np.int32], places: NDArray[np.int32], kept: int
    ) -> NDArray[np.int32]:
        """Smallest (n, kept) of numbers (n, m) once their lowest bits are places (m,) or (n, m)."""
        numbers &= ~self._mask
        numbers |= places
        numbers.partition(kept - 1, axis=1)
        return numbers[:, :kept]

    def _exactly(
        self, rows: Float32Array, own: NDArray[np.intp] | None, kept: int
    ) -> NDArray[np.intp]:
        distances = np.sqrt(squared_distances(rows.astype(np.float64), self._double))
        keys = self._keys(distances, self._places[: len(self._points)])
        if own is not None:
            keys[np.arange(len(keys)), own] = np.iinfo(np.int64).max
        keys.partition(kept - 1, axis=1)
        return np.asarray(keys[:, :kept] & ((1 << self._bits) - 1))

    def _squares(self, rows: Float32Array, places: NDArray[np.intp]) -> Float32Array:
        """Squared distances from differences: copies are 0 apart, and single precision is enough.

        A row's are the same alone and in company, which those of a matrix product are not.
        """
        differences = np.take(self._points, places.T, axis=0)
        differences -= rows
        squares = np.empty(places.shape, dtype=np.float32)
        return np.einsum("knw,knw->nk", differences, differences, out=squares)

    def _keys(self, distances: FloatArray, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """One whole number that sorts by rounded distance, then by place."""
        rounded = np.rint(distances * 10.0**DECIMALS).astype(np.int64)
        return np.asarray((rounded << self._bits) | places)


def _roots(squares: Float32Array) -> FloatArray:
    return np.sqrt(squares.astype(np.float64))
