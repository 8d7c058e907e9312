"""Which columns make a score: Shapley values of rows against stand-ins, few evaluations a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray

Score: TypeAlias = Callable[[FloatArray, NDArray[np.intp]], FloatArray]
ColumnGroups: TypeAlias = Sequence[NDArray[np.intp]]
Sets: TypeAlias = NDArray[np.bool_]

MOST_AT_ONCE = 8192  # mixtures, about, that exist at one time,
MOST_CELLS = 2**23  # and their cells


@dataclass(frozen=True, slots=True)
class Attribution:
    """Scores taken apart: ``scores = baselines + contributions.sum(axis=1)``.

    Parameters
    ----------
    scores, baselines
        Shape (n,): the rows' scores, and the mean scores of their stand-ins.
    contributions
        Shape (n, g), in the unit of the scores; negative: the column makes its row less odd.
    """

    scores: FloatArray
    baselines: FloatArray
    contributions: FloatArray

    def raised_to(self, scores: FloatArray) -> "Attribution":
        """Take other scores apart alike: what they have more or less is shared out.

        In proportion to the contributions above 0; equally where there are none.
        """
        shares = np.maximum(self.contributions, 0)
        shares = np.where(shares.any(axis=1, keepdims=True), shares, 1.0)
        shares /= shares.sum(axis=1, keepdims=True)
        more = shares * (scores - self.scores)[:, None]
        return Attribution(scores, self.baselines, self.contributions + more)


def attribute(
    score: Score,
    rows: FloatArray,
    stand_ins: FloatArray,
    groups: ColumnGroups,
    *,
    exact: int = 4,
    scores: FloatArray | None = None,
) -> Attribution:
    """Share out the scores of rows above those of their stand-ins among groups of columns.

    The worth of a set of groups is the mean score of the stand-ins once the row's values are put
    into these groups; a group's contribution is its Shapley value (Shapley 1953; Lundberg and Lee
    2017, eq. 4, with an interventional background). First every group is put into the stand-ins
    alone and taken out of the row alone; the mean of both is its rough worth. The ``exact`` groups
    of the largest rough worth then play the exact game, with all others together as one more
    player, whose value is shared out in proportion to rough worth above 0 (equally if none is).

    Cost: ``b * (2 * g + 2 ** (exact + 1))`` evaluations a row, many in one call.

    Parameters
    ----------
    score
        Mixtures (m, p), and the places (m,) of the rows that they are made of, to scores (m,):
        higher = odder, each alone.
    rows
        Shape (n, p).
    stand_ins
        Shape (n, b, p): typical rows in place of each row.
    groups
        g arrays of positions; in columns of none rows and stand-ins must agree.
    exact
        Groups that are players of their own.
    scores
        Shape (n,): the rows' scores, where they are known already.

    Examples
    --------
    >>> rows, zeros = np.array([[3.0, 1.0, 2.0]]), np.zeros((1, 1, 3))
    >>> total = lambda points, _: points[:, 0] * points[:, 1] + points[:, 2]
    >>> found = attribute(total, rows, zeros, [np.array([i]) for i in range(3)])
    >>> found.contributions.round(9).tolist()
    [[1.5, 1.5, 2.0]]
    """
    places = np.arange(len(rows))
    scores = score(rows, places) if scores is None else scores
    step = max(1, MOST_AT_ONCE // (2 * len(groups) * stand_ins.shape[1]))
    mixtures = [
        _Mixtures(score, rows[at], places[at], stand_ins[at], scores[at], groups)
        for at in (slice(start, start + step) for start in range(0, len(rows), step))
    ]
    shared = [mixture.shared_out(exact) for mixture in mixtures]
    return Attribution(
        scores,
        np.concatenate([baselines for baselines, _ in shared]),
        np.concatenate([contributions for _, contributions in shared]),
    )


@dataclass(frozen=True, slots=True)
class _Mixtures:
    """Rows (n, p) mixed with stand-ins (n, b, p), group by group; the rows' own scores (n,)."""

    score: Score
    rows: FloatArray
    places: NDArray[np.intp]
    stand_ins: FloatArray
    scores: FloatArray
    groups: ColumnGroups

    def shared_out(self, exact: int) -> tuple[FloatArray, FloatArray]:
        """Baselines (n,) and contributions (n, g)."""
        count = len(self.groups)
        one = np.eye(count, dtype=np.bool_)
        none = np.zeros((1, count), dtype=np.bool_)
        sets = np.concatenate([none, one, ~one])
        worth = self.worths(np.broadcast_to(sets, (len(self.rows), *sets.shape)))
        baselines = worth[:, 0]
        alone, without = np.split(worth[:, 1:], 2, axis=1)
        rough = (alone - baselines[:, None] + self.scores[:, None] - without) / 2
        # where the rest would be a single group, or none, all are players
        players = exact if count > exact + 1 else count
        chosen = np.argsort(-rough, axis=1, kind="stable")[:, :players]
        values = self.played(chosen, baselines)
        rest = np.ones(rough.shape, dtype=np.bool_)
        np.put_along_axis(rest, chosen, False, axis=1)
        shares = np.where(rest, np.maximum(rough, 0), 0.0)
        shares = np.where(shares.any(axis=1, keepdims=True), shares, rest)
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
        contributions = shares * values[:, players:].sum(axis=1, keepdims=True)
        np.put_along_axis(contributions, chosen, values[:, :players], axis=1)
        return baselines, contributions

    def played(self, chosen: NDArray[np.intp], baselines: FloatArray) -> FloatArray:
        """Exact Shapley values of the chosen groups (n, k); of the rest together, if any, last."""
        players = chosen.shape[1]
        sides = _subsets(players + (players < len(self.groups)))
        sets = np.empty((len(self.rows), len(sides), len(self.groups)), dtype=np.bool_)
        sets[:] = sides[:, [-1]]  # the rest moves as one
        for number, picked in enumerate(chosen):
            sets[number][:, picked] = sides[:, :players]
        worth = np.empty(sets.shape[:2])
        worth[:, 0], worth[:, -1] = baselines, self.scores
        worth[:, 1:-1] = self.worths(sets[:, 1:-1])
        # a column that changes nothing gets 0, not what is left of rounding
        return np.asarray(np.round(worth @ _shapley_weights(sides), 12))

    def worths(self, sets: Sets) -> FloatArray:
        """Mean scores (n, s) of the stand-ins with the row's values in some groups (n, s, g)."""
        most = max(1, MOST_CELLS // self.stand_ins.size)
        parts = [sets[:, at : at + most] for at in range(0, sets.shape[1], most)]
        none = np.zeros((*sets.shape[:1], 0))  # a single group is everything: nothing to compare
        return np.concatenate([none, *(self._worths(part) for part in parts)], axis=1)

    def _worths(self, sets: Sets) -> FloatArray:
        own = np.zeros((*sets.shape[:2], self.rows.shape[1]), dtype=np.bool_)
        for group, places in enumerate(self.groups):
            own[:, :, places] = sets[:, :, [group]]
        mixed = np.where(own[:, :, None], self.rows[:, None, None], self.stand_ins[:, None])
        of = np.repeat(self.places, mixed.shape[1] * mixed.shape[2])
        scores = self.score(mixed.reshape(-1, self.rows.shape[1]), of)
        return np.asarray(scores.reshape(mixed.shape[:3]).mean(axis=2))


def _subsets(players: int) -> Sets:
    """All subsets, shape (2 ** players, players), from none to all."""
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(np.bool_)


def _shapley_weights(sides: Sets) -> FloatArray:
    """Weights (2 ** k, k) that turn the worths of all subsets into Shapley values."""
    players = sides.shape[1]
    sizes = sides.sum(axis=1)
    joined = np.array([1 / (players * comb(players - 1, max(s - 1, 0))) for s in sizes])
    left = np.array([1 / (players * comb(players - 1, min(s, players - 1))) for s in sizes])
    return np.where(sides, joined[:, None], -left[:, None])
