"""Distances between two sets of rows, and the middle one of many."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.threading import cut

CLOSE = 1e-6  # squared distance of close rows, in squared lengths
PAIRS = 4096  # close rows at once, to bound memory
MANY_APART = 0.95  # share of distances above 0 where rows hardly repeat

F = TypeVar("F", np.float32, np.float64)


def squared_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Squared Euclidean distances (n, m) between rows ``a`` (n, d) and ``b`` (m, d).

    >>> squared_distances(np.array([[0.0, 3.0]]), np.array([[4.0, 0.0], [0.0, 3.0]]))
    array([[25.,  0.]])
    """
    squares = extended(a) @ against(b)
    return np.asarray(np.maximum(squares, 0.0, out=squares))


def settle_close(squares: FloatArray, a: FloatArray, b: FloatArray) -> None:
    """Compute squared distances (n, m) of rows that nearly equal one another anew, in place.

    What a product leaves of them is a rounding error, which depends on the rows beside them.

    >>> squares = np.array([[1e-10, 9.0]])
    >>> settle_close(squares, np.array([[1e3, 1.0]]), np.array([[1e3, 1.0], [1e3, 4.0]]))
    >>> squares
    array([[0., 9.]])
    """
    rows, places = np.nonzero(squares <= CLOSE * (a**2).sum(axis=1)[:, None])
    for pairs in cut(len(rows), PAIRS):
        differences = a[rows[pairs]] - b[places[pairs]]
        squares[rows[pairs], places[pairs]] = (differences**2).sum(axis=1)


def extended(rows: NDArray[F]) -> NDArray[F]:
    """Rows with their squared lengths and ones, shape (n, d + 2); see `against`."""
    lengths = (rows**2).sum(axis=1)
    return np.column_stack([rows, lengths, np.ones_like(lengths)])


def against(points: NDArray[F]) -> NDArray[F]:
    """Return a matrix (d + 2, m) whose product with rows that are `extended` are squared distances.

    One product, and no pass over its result; it can be a little below 0 where rounding has it so.

    >>> extended(np.array([[0.0, 3.0]])) @ against(np.array([[4.0, 0.0], [0.0, 3.0]]))
    array([[25.,  0.]])
    """
    lengths = (points**2).sum(axis=1)
    return np.column_stack([-2 * points, np.ones_like(lengths), lengths]).T.copy()


def parted(values: NDArray[F], place: int, axis: int | None) -> NDArray[F]:
    """Give numpy's partition of distances at one place.

    Where many are 0, as between rows that repeat, numpy takes up to thirty times longer to seek one
    place than two, for which it knows another way; elsewhere one is faster.

    >>> parted(np.array([3.0, 0.0, 0.0, 1.0]), 2, None)[2]
    np.float64(1.0)
    """
    many_alike = np.count_nonzero(values) < MANY_APART * values.size
    return np.partition(values, (place, place) if many_alike else place, axis=axis)


def median(values: Float32Array) -> float:
    """Give numpy's median of many finite numbers, of any shape; at least one.

    numpy seeks the two middle ones at once, which takes longer than to seek one.

    >>> median(np.array([[4.0, 1.0], [2.0, 3.0]], dtype=np.float32))
    2.5
    """
    place = values.size // 2
    ordered = parted(values, place, None)
    if values.size % 2:
        return float(ordered[place])
    return float(np.mean([ordered[:place].max(), ordered[place]], dtype=values.dtype))
