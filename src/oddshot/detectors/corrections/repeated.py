"""Raw scores of rows that equal several known normal ones, lowered by their number.

Where rows repeat, a row with many equal ones has its neighbours at distance 0. So all that nobody
has seen looks equally far off, and which of it is odd can no longer be told. Therefore each row
counts once among those to compare with (see `oddshot.mapping.support.draw_support`), and how often
it was there is told here, after the head (docs/experiments.md, "Normal rows that repeat").
"""

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.row_counts import RowCounts
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
    counts
        How often others were there, too, where typical rows are but some of the different ones;
        else ``None``.

    Examples
    --------
    >>> typical = np.arange(200.0)[:, None]
    >>> scores, copies = np.arange(200.0), np.where(np.arange(200) < 100, 1.0, 9.0)
    >>> repeated = Repeated(Surprise().fit(scores), typical, copies)
    >>> lowered = repeated.of_typical(scores)
    >>> bool((lowered[:100] == scores[:100]).all()), bool((lowered[100:] < scores[100:]).all())
    (True, True)
    """

    def __init__(
        self,
        scale: Surprise,
        typical: FloatArray,
        copies: FloatArray,
        counts: RowCounts | None = None,
    ) -> None:
        self._scale, self._places, self._counts = scale, RowPlaces(typical), counts
        # a row that came with a label later may be one of the others
        self._copies = copies if counts is None else np.maximum(copies, counts.of(typical))

    def of_typical(self, scores: FloatArray) -> FloatArray:
        """Raw scores (m,) of the typical rows, each seen without itself, lowered."""
        return self._lowered(scores, self._copies)

    def apply(self, scores: FloatArray, rows: FloatArray) -> FloatArray:
        """Raw scores (n,) of rows (n, p + q), lowered."""
        seen = np.append(self._copies, 0.0)[self._places.of(rows)]
        if self._counts is not None:
            seen = np.maximum(seen, self._counts.of(rows))
        return self._lowered(scores, seen + 1)

    def _lowered(self, scores: FloatArray, seen: FloatArray) -> FloatArray:
        """Lower those of scores (n,) whose rows are ``seen`` (n,) more than once."""
        rows = np.flatnonzero(seen > 1)
        lowered = scores.copy()
        decades = decades_less(self._scale.apply(scores[rows]), seen[rows])
        lowered[rows] = self._scale.scores_at(decades)
        return lowered


def decades_less(decades: FloatArray, seen: FloatArray) -> FloatArray:
    """Lower surprise (n,), in decades, of rows that are seen so often (n,).

    >>> decades_less(np.array([4.0, 4.0]), np.array([1.0, 10.0])).tolist()
    [4.0, 1.0]
    """
    less = decades - DECADES * np.log10(seen)
    low = less < LEAST
    less[low] = LEAST * 10 ** (less[low] - LEAST)
    return np.asarray(less)
