"""Piecewise linear functions of many columns."""

import numpy as np

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
        order = np.argsort(column)
        found[order] = np.interp(column[order], at, height)
    return out
