"""Combinations of two levels that no row has held, though each was seen."""

from itertools import combinations
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.encoding.category import UNSEEN_COUNT

BEGINS = 1.3  # decades, one row in twenty: unlabelled anomalies hold combinations of their own
Levels = NDArray[np.intp]


class Combinations:
    """How surprising rows are by two of their levels that were never seen together.

    The share of rows whose combination in two columns is the only one of its kind is the chance
    that the next row's is new (Good 1953). Where that is below one in twenty, the number of pairs
    of columns considered (Bonferroni), a row whose levels were seen, though never together, is as
    surprising as that.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shop = rng.integers(20, size=500)
    >>> levels = np.column_stack([shop, shop % 4])  # each shop is of one of four chains
    >>> met = Combinations().fit(levels, np.array([20, 4]), np.ones(500))
    >>> new = levels[:3].copy()
    >>> new[2, 1] += 1 if new[2, 1] < 3 else -1
    >>> met.decades(new, own=np.zeros(3, dtype=bool)).round(1).tolist()
    [0.0, 0.0, 3.0]
    """

    def fit(self, levels: Levels, known: Levels, copies: FloatArray) -> Self:
        """Learn which levels have met.

        Parameters
        ----------
        levels
            Shape (m, c): of each row, in every column, from 0.
        known
            Shape (c,): how many levels each column has; a row with a higher one holds another.
        copies
            Shape (m,): how many rows each row stands for.
        """
        rows = float(copies.sum())
        pairs = [*combinations(range(len(known)), 2)]
        self.pairs: list[Pair] = []
        self._known = known
        considered = np.log10(max(len(pairs), 1))
        if np.log10(rows / UNSEEN_COUNT) - considered < BEGINS:
            return self
        for one, other in pairs:
            seen = (levels[:, [one, other]] < known[[one, other]]).all(axis=1)
            met = _met(levels, known, one, other)[seen]
            codes, places = np.unique(met, return_inverse=True)
            counts = np.bincount(places, weights=copies[seen], minlength=len(codes))
            alone = int((counts == 1).sum())
            new = -np.log10((alone + UNSEEN_COUNT) / rows) - considered
            own = -np.log10((max(alone - 1, 0) + UNSEEN_COUNT) / (rows - 1)) - considered
            if own >= BEGINS:
                self.pairs.append(Pair(one, other, codes, codes[counts == 1], new, own))
        return self

    def decades(
        self, levels: Levels, own: NDArray[np.bool_], instead_of: Levels | None = None
    ) -> FloatArray:
        """Surprise (n,) of rows with levels (n, c), mostly 0.

        ``own`` (n,) tells which rows are among those of `fit`, or there instead of such rows, whose
        levels are ``instead_of`` (n, c) then: compared with all but these.
        """
        found = np.zeros(len(levels))
        replaced = levels if instead_of is None else instead_of
        for one, other, codes, alone, new, of_own in self.pairs:
            met, gone = (_met(each, self._known, one, other) for each in (levels, replaced))
            seen = (levels[:, [one, other]] < self._known[[one, other]]).all(axis=1)
            left_alone = own & (met == gone) & np.isin(met, alone)
            unheard = seen & (left_alone | ~np.isin(met, codes))
            found = np.maximum(found, np.where(unheard, np.where(own, of_own, new), 0.0))
        return np.where(found >= BEGINS, found, 0.0)

    def decades_without(self, levels: Levels, part: Levels) -> FloatArray:
        """Surprise (k,) of some of the rows of `fit` as of new ones: compared with the others.

        ``part`` (k,) tells which of ``levels`` (m, c) they have.
        """
        found = np.zeros(len(part))
        mine, rest = levels[part], np.delete(levels, part, axis=0)
        met_before = levels_met(mine, rest) & (mine < self._known)
        for one, other, _, _, new, _ in self.pairs:
            both = met_before[:, one] & met_before[:, other]
            met, before = (_met(rows, self._known, one, other) for rows in (mine, rest))
            found = np.maximum(found, np.where(both & ~np.isin(met, before), new, 0.0))
        return np.where(found >= BEGINS, found, 0.0)


class Pair(NamedTuple):
    """Two columns: codes of the combinations seen, and seen once; decades of one that is new."""

    one: int
    other: int
    codes: Levels
    alone: Levels
    new: float
    own: float


def levels_met(levels: Levels, others: Levels) -> NDArray[np.bool_]:
    """Tell which levels (n, c) some of the others (m, c) hold in the same column.

    >>> levels_met(np.array([[0, 3]]), np.array([[0, 1], [3, 2]])).tolist()
    [[True, False]]
    """
    columns = zip(levels.T, others.T, strict=True)
    met = [np.isin(mine, theirs) for mine, theirs in columns]
    return np.array(met, dtype=bool).reshape(levels.shape[::-1]).T


def _met(levels: Levels, known: Levels, one: int, other: int) -> Levels:
    """Code (n,) of the combination of two levels."""
    return np.asarray(levels[:, one] * (known[other] + 1) + levels[:, other])
