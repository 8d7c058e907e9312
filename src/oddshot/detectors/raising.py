"""Raw scores of rows that lie outside in a single column, raised to how surprising that is."""

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.encode import Encoder
from oddshot.mapping.mapping import Mapping
from oddshot.mapping.outside import Outside
from oddshot.thresholds.surprise import Surprise

MOST_WITH_LABELS = 1.5  # decades; what it trades stands in docs/results/novel-types.md
SHARE_OF_OWN = 1e-3  # of a raised row's own decades: they order rows, and count for nothing else


class Raising:
    """Raises raw scores of rows outside, see `Outside`; others stay as they are.

    Where labels tell what is looked for, to no more than stands out from most rows, so that it
    comes first. New rows that lie outside all alike, as by their date, keep their order.

    Parameters
    ----------
    encoder, mapping
        What the table taught.
    scale
        Of the raw scores of the mapping's typical rows.
    """

    def __init__(self, encoder: Encoder, mapping: Mapping, scale: Surprise) -> None:
        support = mapping.support
        place = np.argsort(support.columns)  # of an encoded column in the support
        unseen = {int(place[at]): told for at, told in encoder.unseen_levels().items()}
        self._outside = Outside().fit(support.typical, mapping.places_, unseen)
        self._most = MOST_WITH_LABELS if len(support.known) else np.inf
        self._scale = scale

    def apply(self, scores: FloatArray, rows: FloatArray) -> FloatArray:
        """Raw scores (n,) of rows (n, p), columns in the support's order, that judge both."""
        decades = self._outside.decades(rows)
        out = np.flatnonzero(decades)
        if not len(out):
            return scores
        own = self._scale.apply(scores[out])
        least = np.minimum(decades[out], self._most) + SHARE_OF_OWN * own
        raised = scores.copy()
        raised[out] = np.maximum(scores[out], self._scale.scores_at(least))
        return raised
