"""Raw scores of rows far from their neighbours, raised to that where nothing is labelled.

Without a hint a head leans on what stays good in contaminated rows: distance from the centre, most
of all. Between clusters, on the other side of a curve, among the modes of a machine a row is near
the centre and near no other row. Few rows of real tables are as far from their neighbours and near
the centre as this takes (docs/experiments.md, "Rows far from all others").
"""

import numpy as np

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.label_free import LABEL_FREE
from oddshot.mapping.coordinates.spaces import NAMES
from oddshot.thresholds.surprise import Surprise

START, SLOPE = 1.0, 4.0  # decades of a row: the slope times what its solitude is above the start
OFTEN, HIGH, CENTRAL = 0.003, 1.4, 1.0  # of a table with such a share of rows that are so solitary
OFTEN_START, OFTEN_SLOPE = 0.6, 2.5  # and (in decades) so near the centre: then these count
MOST, LEAST = 2.5, 1.0  # at most so many, where the row is no further out than others; where it is
INSIDE, OUTSIDE = 0.8, 1.2  # (decades of its distance from the centre) it needs this the least
SHARE_OF_OWN = 1e-3  # of solitude: it orders rows that are raised alike
_FIFTHS = [LABEL_FREE.index(f"knn5_{space}") for space in NAMES]
_CENTRE = LABEL_FREE.index("mahalanobis_trimmed")


def solitude(coordinates: Float32Array) -> FloatArray:
    """How far rows are from their fifth neighbours: mean z over the spaces.

    Parameters
    ----------
    coordinates
        Shape (n, C, 2): calibrated ones.

    Returns
    -------
    ndarray
        Shape (n,); about 0 for the median row, 0.9 where the top tenth begins.
    """
    return np.asarray(coordinates[:, _FIFTHS, 1].astype(np.float64).mean(axis=1))


class Solitary:
    """Raises raw scores of solitary rows; others stay.

    Where a table has several that are far from all others near its centre, it consists of parts
    with gaps between, and rows need be less far.

    Parameters
    ----------
    scale
        Of the raw scores of the typical rows.
    typical
        Their coordinates (m, C, 2).
    """

    def __init__(self, scale: Surprise, typical: Float32Array) -> None:
        self._scale = scale
        between = (solitude(typical) > HIGH) & (typical[:, _CENTRE, 0] < CENTRAL)
        often = between.mean() >= OFTEN
        self._start, self._slope = (OFTEN_START, OFTEN_SLOPE) if often else (START, SLOPE)

    def apply(self, scores: FloatArray, coordinates: Float32Array) -> FloatArray:
        """Raw scores (n,) of rows with coordinates (n, C, 2), raised."""
        alone = solitude(coordinates)
        rows = np.flatnonzero(alone > self._start)
        if not len(rows):
            return scores
        out = (coordinates[rows, _CENTRE, 0].astype(np.float64) - INSIDE) / (OUTSIDE - INSIDE)
        most = MOST + (LEAST - MOST) * np.clip(out, 0, 1)
        decades = np.minimum(self._slope * (alone[rows] - self._start), most)
        decades += SHARE_OF_OWN * alone[rows]
        raised = scores.copy()
        raised[rows] = np.maximum(scores[rows], self._scale.scores_at(decades))
        return raised
