"""Nearest neighbours among a few thousand rows: sought by products, settled by differences."""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.distances import against, extended, squared_distances
from oddshot.mapping.threading import cut

SPARE = 6
DECIMALS = 5
AT_ONCE = 128  # rows whose distances to thousands of others stay in a core's cache,
CELLS = 2**18  # as do so many distances


class Nearest:
    """The nearest of ``points`` (m, w), at most ``most`` of them.

    All squared distances are computed in single precision and cut to the bits that leave room for
    a row's place, so that one partition of whole numbers finds the nearest *and* where they are. A
    few more than asked for are measured again, by differences. Where rounding could have kept one
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
        self._coarse = against(points)
        self._reach = float(np.sqrt(self._coarse[-1].max(initial=0.0)))
        self._at_once = max(AT_ONCE, CELLS // max(1, len(points)))
        self._places = np.arange(len(points), dtype=np.int32)
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
        blocks = cut(len(rows), self._at_once)
        found = [self._settle(rows[b], None if own is None else own[b]) for b in blocks]
        distances, places = zip(*found, strict=True)
        return np.concatenate(distances), np.concatenate(places)

    def _settle(
        self, rows: Float32Array, own: NDArray[np.intp] | None
    ) -> tuple[FloatArray, NDArray[np.intp]]:
        others = len(self._points) - (own is not None)
        kept = min(others, self._most + SPARE)
        places, beyond = self._coarsely(rows, own, kept)
        distances = self._distances(rows, places)
        if kept < others:
            furthest = np.partition(distances, self._most - 1, axis=1)[:, self._most - 1]
            doubt = np.flatnonzero(beyond <= (furthest + 2 * 10.0**-DECIMALS) ** 2)
            if len(doubt):
                among = None if own is None else own[doubt]
                places[doubt] = self._exactly(rows[doubt], among, kept)
                distances[doubt] = self._distances(rows[doubt], places[doubt])
        order = np.sort(self._keys(distances, places), axis=1)[:, : self._most]
        return np.sort(distances, axis=1)[:, : self._most], order & ((1 << self._bits) - 1)

    def _coarsely(
        self, rows: Float32Array, own: NDArray[np.intp] | None, kept: int
    ) -> tuple[NDArray[np.intp], FloatArray]:
        """Places (n, kept), and a bound (n,) from below on the squared distance of all others."""
        sought = extended(rows)
        # bits of floats sort as whole numbers do; a few below 0, by rounding, come first too
        keys = (sought @ self._coarse).view(np.int32)
        keys &= ~self._mask
        keys |= self._places
        if own is not None:
            keys[np.arange(len(keys)), own] = np.iinfo(np.int32).max
        if kept < keys.shape[1]:
            keys.partition(kept - 1, axis=1)
        found = keys[:, :kept]
        last = (found[:, -1] & ~self._mask).view(np.float32).astype(np.float64)
        reach = (np.sqrt(sought[:, -2].astype(np.float64)) + self._reach) ** 2
        rounding = 2 * (rows.shape[1] + 4) * np.finfo(np.float32).eps * reach
        return (found & self._mask).astype(np.intp), last - rounding

    def _exactly(
        self, rows: Float32Array, own: NDArray[np.intp] | None, kept: int
    ) -> NDArray[np.intp]:
        distances = np.sqrt(squared_distances(rows.astype(np.float64), self._double))
        keys = self._keys(distances, self._places)
        if own is not None:
            keys[np.arange(len(keys)), own] = np.iinfo(np.int64).max
        keys.partition(kept - 1, axis=1)
        return np.asarray(keys[:, :kept] & ((1 << self._bits) - 1))

    def _distances(self, rows: Float32Array, places: NDArray[np.intp]) -> FloatArray:
        """Distances (n, k) from differences: copies are 0 apart, and single precision is enough.

        A row's are the same alone and in company, which those of a matrix product are not.
        """
        differences = np.take(self._points, places, axis=0)
        differences -= rows[:, None]
        squares = np.einsum("nkw,nkw->nk", differences, differences)
        return np.asarray(np.sqrt(squares.astype(np.float64)))

    def _keys(self, distances: FloatArray, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """One whole number that sorts by rounded distance, then by place."""
        rounded = np.rint(distances * 10.0**DECIMALS).astype(np.int64)
        return np.asarray((rounded << self._bits) | places)
