"""Which rows a person should look at next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from oddshot.detectors.labelling.ranking import Ranking
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, Float32Array, FloatArray
from oddshot.errors import LabelError, is_number, is_whole, require
from oddshot.mapping.coordinates.calibration import CHANNELS

TOP, UNCERTAIN = "top", "uncertain"
SPREAD, UNCERTAIN_SHARE, FRUITLESS = 0.5, 0.0, 3.0  # measured: docs/results/labelling.md
CANDIDATES, ODDEST = 200, 100


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Rows worth a look, the first one first.

    Parameters
    ----------
    positions
        Shape (n,): which of the rows; none of them, nor an equal row, has a label yet.
    scores
        Shape (n,): their anomaly scores.
    why
        Length n: "top" for a high score, "uncertain" for one near the threshold.
    """

    positions: NDArray[np.intp]
    scores: FloatArray
    why: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.positions)


def suggest(
    ranking: Ranking[Any],
    n: int = 10,
    *,
    uncertain: float = UNCERTAIN_SHARE,
    spread: float = SPREAD,
    fruitless: float = FRUITLESS,
    leave_out: ArrayLike = (),
) -> Suggestions:
    """Pick rows one after the other, each by its score and by what was picked before it.

    A row's worth is its anomaly score, less ``spread * exp(-(d / h)**2)``, where d is its distance
    to the nearest row that was picked before it in this call, and h the median distance of a
    candidate to its nearest neighbour; in standardised columns. That is maximal marginal
    relevance (Carbonell and Goldstein 1998, equation 1). In every turn that falls to uncertainty,
    the negative distance of the score from the threshold stands in place of the score (uncertainty
    sampling, Lewis and Gale 1994).

    Answers "normal" lower the scores only of what is close by, and before the first anomaly is
    known the top of the ranking would go on offering what is like them in another way. Until then a
    row is worth up to ``fruitless`` less, by the same rule with the nearest row that was answered
    so, h of the 100 oddest rows, and the smaller of two distances: in columns, and in the
    coordinates of the mapping that look at no label. So what turned out harmless is not asked again
    in another shape.

    With one row at a time and nothing for uncertainty, that is the top of the ranking from the
    first anomaly on: what was answered has its effect on the scores. Candidates are the 200 rows
    (or ``10 n``) that are highest by either.

    Parameters
    ----------
    ranking
        Rows, and the labels they got so far.
    n
        How many to pick. Fewer come back where there are not as many rows without a label.
    uncertain
        Share of the turns, evenly spaced over the whole course of labelling, for rows near the
        threshold; 0 to 1.
    spread
        How many decades less a copy of such a row is worth; 0: nothing but the score counts.
    fruitless
        How many decades less a row is worth that is like one answered "normal", as long as no
        anomaly is known; 0: nothing but the score counts.
    leave_out
        Positions of rows not to pick, such as those a person would not judge.

    Returns
    -------
    Suggestions
        The same for the same ranking: nothing is random.

    Raises
    ------
    SettingError
        If a number is out of its range.
    LabelError
        If ``leave_out`` holds what is no position.

    Examples
    --------
    >>> from oddshot import FewShotDetector
    >>> rows = np.random.default_rng(0).normal(size=(300, 3))
    >>> rows[:9] += [4, 0, 0]
    >>> ranking = FewShotDetector().fit(rows).rank(rows)
    >>> first = suggest(ranking, 1).positions
    >>> bool(np.isin(first, suggest(ranking.add_labels(first, [1]), 5).positions))
    False
    """
    require(is_whole(n) and n >= 1, "n", n, "a whole number, 1 or more")
    share = is_number(uncertain) and 0 <= uncertain <= 1
    require(share, "uncertain", uncertain, "a share from 0 to 1")
    for name, value in (("spread", spread), ("fruitless", fruitless)):
        require(is_number(value) and value >= 0, name, value, "a number, 0 or more")
    labels, left = ranking.known_labels(), _positions(leave_out, len(ranking))
    taken = labels != UNLABELLED
    taken[left] = True
    hope, doubt = ranking.scores, -np.abs(ranking.scores - ranking.detector.threshold_)
    if fruitless and not (labels == ANOMALY).any():
        hope = hope - fruitless * _like_answers(ranking)
    places = _candidates(~taken, (hope, doubt), max(CANDIDATES, 10 * n))
    if not len(places):
        return Suggestions(places, ranking.scores[places], ())
    copies = _Copies(ranking.pool.seen.views.standard[places])
    picked: list[int] = []
    why = _turns(int(taken.sum()), min(n, len(places)), uncertain)
    for kind in why:
        worth = (hope if kind == TOP else doubt)[places] - spread * copies.likeness(picked)
        worth[picked] = -np.inf
        picked.append(int(np.argmax(worth)))
    chosen = places[picked]
    return Suggestions(chosen, ranking.scores[chosen], tuple(why))


class _Copies:
    """How much candidates (c, p) resemble each other: 1 a copy, near 0 what is farther than others.

    The distance that counts as near is the median one of a candidate to its nearest neighbour.
    """

    def __init__(self, spots: Float32Array) -> None:
        self._apart = cdist(spots, spots)
        self._reach = _reach(self._apart)

    def likeness(self, picked: list[int]) -> FloatArray:
        """To the most similar of the picked ones (c,)."""
        return _likeness(self._apart[picked].min(axis=0, initial=np.inf), self._reach)


def _like_answers(ranking: Ranking[Any]) -> FloatArray:
    """How much rows (n,) resemble one that was answered "normal", by columns or coordinates."""
    answered = np.flatnonzero(ranking.labels == NORMAL)
    if not len(answered):
        return np.zeros(len(ranking))
    seen, oddest = ranking.pool.seen, ranking.order[:ODDEST]
    likeness = []
    for spots in (seen.views.standard, seen.coordinates[:, ::CHANNELS]):
        nearest = cdist(spots, spots[answered]).min(axis=1)
        likeness.append(_likeness(nearest, _reach(cdist(spots[oddest], spots[oddest]))))
    return np.maximum(*likeness)


def _reach(apart: FloatArray) -> float:
    """Median distance to the nearest other one, of distances (c, c); copies do not count."""
    nearest = np.sort(apart, axis=1)[:, 1:2]
    nearest = nearest[nearest > 0]
    return float(np.median(nearest)) if len(nearest) else 1.0


def _likeness(distances: FloatArray, reach: float) -> FloatArray:
    return np.asarray(np.exp(-((distances / reach) ** 2)))


def _candidates(
    free: NDArray[np.bool_], values: Sequence[FloatArray], most: int
) -> NDArray[np.intp]:
    """Positions, rising, of the free rows that are highest by one of the values (n,)."""
    rows = np.flatnonzero(free)
    first = [rows[np.argsort(-value[rows], kind="stable")[:most]] for value in values]
    return np.unique(np.concatenate(first))


def _turns(before: int, count: int, uncertain: float) -> list[str]:
    """Say what each of the next turns is for, when ``before`` rows have been looked at.

    >>> _turns(3, 4, 0.25)
    ['uncertain', 'top', 'top', 'top']
    """
    passed = np.floor(np.arange(before, before + count + 1) * uncertain + 1e-9)
    return [UNCERTAIN if step else TOP for step in np.diff(passed)]


def _positions(given: ArrayLike, rows: int) -> NDArray[np.intp]:
    places = np.atleast_1d(np.asarray(given))
    if not len(places):
        return np.zeros(0, dtype=np.intp)
    if places.ndim != 1 or places.dtype.kind not in "iu":
        raise LabelError(f"leave_out is {given!r}; give positions of rows, whole numbers")
    outside = places[(places < 0) | (places >= rows)]
    if len(outside):
        raise LabelError(
            f"leave_out names position {outside[0]}, that of no row; they go from 0 to {rows - 1}"
        )
    return places.astype(np.intp)
