"""Piecewise linear functions of many columns."""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray


def interpolated(values: FloatArray, knots: FloatArray, heights: FloatArray) -> FloatArray:
    """Heights (n, C) at ``values`` (n, C), column by column, constant beyond the last knots.

    As ``np.interp`` on every column, in less than half of its time: values are sorted first, so
    that the place of one among the knots is next to that of the one before. Knots and heights are
    best given column by column (order "F"), as the result comes.

    >>> knots = np.array([[0.0], [1.0], [3.0]])
    >>> interpolated(np.array([[2.0], [0.5], [9.0]]), knots, 10 * knots).ravel().tolist()
    [20.0, 5.0, 30.0]
    """
    out = np.empty(values.shape, order="F")
    columns = np.ascontiguousarray(values.T)
    for found, column, at, height in zip(out.T, columns, knots.T, heights.T, strict=True):
        order = _rough_order(column)
        found[order] = np.interp(column[order], at, height)
    return out


def _rough_order(values: FloatArray) -> NDArray[np.int64]:
    """Order (n,) in which values (n,) are next to near ones, at half the cost of `np.argsort`.

    The lowest bits of each make room for its place, and those below 0 fall.
    """
    lowest = (1 << len(values).bit_length()) - 1
    keys = np.ascontiguousarray(values).view(np.int64) & ~lowest
    keys |= np.arange(len(values))
    keys.sort()
    return keys & lowest
