"""Columns in which nine of ten rows hold one value: rain, downtime, what is seldom measured.

Between the quartiles of such a column lies nothing, and next to none of the other values are among
the rows that lie nearest. By either they are all far out, each as far as an anomaly would be,
though a tenth of the rows hold one.
"""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray

LEAST, MOST = 0.85, 0.95  # of the rows; more with another value were often the anomalies of real
# tables, and fewer are what is rare
OTHERS = 4  # different ones at least: fewer are levels or a flag


def spiked_columns(rows: FloatArray, flags: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Tell which columns of rows (n, p) are of that kind; ``flags`` (p,) of gaps may be, too.

    >>> rows = np.arange(40.0)[:, None] - [0, 35, 39]
    >>> spiked_columns(rows.clip(0)).tolist()
    [False, True, False]
    """
    share = (rows == np.median(rows, axis=0)).mean(axis=0)
    spiked = (share >= LEAST) & (share < MOST)
    for column in np.flatnonzero(spiked if flags is None else spiked & ~flags):
        spiked[column] = len(np.unique(rows[:, column])) > OTHERS
    return np.asarray(spiked)


def reach(column: FloatArray) -> float:
    """How far the other values of such a column (n,) lie from its spike: their median.

    >>> reach(np.array([0.0, 0.0, 0.0, 2.0, -6.0, 3.0]))
    3.0
    """
    distances = np.abs(column - np.median(column))
    return float(np.median(distances[distances > 0]))
