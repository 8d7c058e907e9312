"""Raw scores of rows that equal several known normal ones, lowered by their number.

Where rows repeat, a row with many equal ones has its neighbours at distance 0. So all that nobody
has seen looks equally far off, and which of it is odd can no longer be told. Therefore each row
counts once among those to compare with (see `oddshot.mapping.support.draw_support`), and how often
it was there is told here, after the head (docs/experiments.md, "Normal rows that repeat").
"""

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.row_places import RowPlaces
from oddshot.thresholds.surprise import Surprise

DECADES = 3.0  # that a row is lowered by for each decade of rows that equal it, itself among them
LEAST = 0.01  # decades: below this they only order


class Repeated:
    """Lowers raw scores of rows that equal known normal rows; others stay.

    A row that equals c rows given to `fit` is no stranger: it would be one of c + 1. Its surprise s
    becomes ``s - 3 log10(c + 1)``, and that of each of the c rows ``s - 3 log10(c)``, since it is
    seen without itself.

    Parameters
    ----------
    scale
        Of the raw scores of the typical rows.
    typical
        Shape (m, p + q), different rows.
    copies
        Shape (m,): how many rows given to `fit` each stands for.

    Examples
    --------
    >>> typical = np.arange(200.0)[:, None]
    >>> scores, copies = np.arange(200.0), np.where(np.arange(200) < 100, 1.0, 9.0)
    >>> repeated = Repeated(Surprise().fit(scores), typical, copies)
    >>> lowered = repeated.of_typical(scores)
    >>> bool((lowered[:100] == scores[:100]).all()), bool((lowered[100:] < scores[100:]).all())
    (True, True)
    """

    def __init__(self, scale: Surprise, typical: FloatArray, copies: FloatArray) -> None:
        self._scale, self._copies, self._places = scale, copies, RowPlaces(typical)

    def of_typical(self, scores: FloatArray) -> FloatArray:
        """Raw scores (m,) of the typical rows, each seen without itself, lowered."""
        return self._lowered(scores, self._copies)

    def apply(self, scores: FloatArray, rows: FloatArray) -> FloatArray:
        """Raw scores (n,) of rows (n, p + q), lowered."""
        return self._lowered(scores, np.append(self._copies, 0.0)[self._places.of(rows)] + 1)

    def _lowered(self, scores: FloatArray, seen: FloatArray) -> FloatArray:
        """Lower those of scores (n,) whose rows are ``seen`` (n,) more than once."""
        rows = np.flatnonzero(seen > 1)
        decades = self._scale.apply(scores[rows]) - DECADES * np.log10(seen[rows])
        low = decades < LEAST
        decades[low] = LEAST * 10 ** (decades[low] - LEAST)
        lowered = scores.copy()
        lowered[rows] = self._scale.scores_at(decades)
        return lowered
