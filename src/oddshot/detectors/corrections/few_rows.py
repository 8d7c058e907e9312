"""New rows of a table that has few rows for the number of its columns, or of their levels.

There a new row looks odder than those given to fit, which have shaped all that it is compared by,
and each of which counts in how rare its levels are.
So new rows are judged by detectors from which a part of the rows was held out, and the share of
held-out rows that are as odd, over all parts, is their surprise: cross-conformal (Vovk 2015).

Known anomalies come to what the other rows have shaped as new rows do. So what they tell of the
coordinates, and of the threshold, is found by comparing them with the rows held out, too.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import NORMAL, FloatArray, LabelArray
from oddshot.mapping.coordinates.evidence import told_by_new
from oddshot.mapping.coordinates.label_free import LABEL_FREE
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.mapping import Mapping
from oddshot.mapping.support import Support
from oddshot.thresholds.surprise import Surprise

ENOUGH_ROWS, ENOUGH_PER_COLUMN = 75, 5  # with so many, new rows look like those of the support
MOST_RARER = 0.12  # standard deviations of a row's sum that its own levels may seem too usual by
ENOUGH_ANYWAY = 2000  # rows, from which on that would cost more than it tells
LEAST_ROWS = 3  # of fewer none can be spared
LEAST_TO_HALVE = 4  # of fewer no half can
FEWEST = 4  # fewer rows have no tail that goes on beyond them as far as it may
FOLDS, ENOUGH_HELD_OUT = 5, 200  # as many of the folds are held out as give so many rows


@dataclass(frozen=True, slots=True)
class Fewer:
    """What a table teaches without some of its rows.

    Parameters
    ----------
    encoder, mapping
        As a detector that was fitted to the other rows has them.
    held_out
        Shape (n, p + q): the rows that were held out, as this encoder writes them.
    labels
        Shape (n,): theirs.
    """

    encoder: Encoder
    mapping: Mapping
    held_out: FloatArray
    labels: LabelArray


class SparesRows(Protocol):
    """A fitted detector that can do without some of its rows."""

    @property
    def seed(self) -> int:
        """Seed of all that is random."""

    @property
    def teaching(self) -> int:
        """How many rows can be held out."""

    @property
    def unseen_known_scores(self) -> FloatArray:
        """Raw scores (k,) of the known anomalies as new ones of their kinds may have them."""

    def mapped_without(self, part: NDArray[np.intp]) -> Fewer:
        """Learn again without some rows, but for the head."""

    def adapted_to(self, fewer: Fewer) -> tuple[Self, FloatArray]:
        """Adapt to what was learned so; beside it raw scores of the rows held out."""

    def scored_anew(self, rows: FloatArray) -> FloatArray:
        """Raw scores (n,) of rows (n, p) that were encoded before some rows were held out."""


def enough(support: Support, rarer: float) -> bool:
    """Tell whether typical rows are so many that new ones look no odder than these.

    ``rarer`` is how much rarer levels seem where a row does not count itself, see `Encoder.rarer`.
    """
    rows, width = len(support.typical), support.width
    rarer /= max(width, 1) ** 0.5  # of a sum over columns that have a standard deviation of 1 each
    levels_are_known = rarer <= MOST_RARER or rows >= ENOUGH_ANYWAY
    return levels_are_known and rows >= max(ENOUGH_ROWS, ENOUGH_PER_COLUMN * width)


def can_spare(support: Support, rarer: float) -> bool:
    """Tell whether rows are few, and yet some can be held out."""
    return len(support.typical) >= LEAST_ROWS and not enough(support, rarer)


def most_decades(rows: int) -> float:
    """Surprise that so many rows can speak for, in decades: of few ones, twice what they count.

    >>> [round(most_decades(rows), 2) for rows in (2, 3, 4)]
    [0.95, 1.2, inf]
    """
    return 2 * float(np.log10(rows + 1)) if rows < FEWEST else np.inf


class CrossConformal:
    """How surprising new rows are, by detectors that some rows were held out from."""

    def __init__(self) -> None:
        self._fewer: list[Fewer] = []  # both are made when first needed
        self._judges: list[tuple[SparesRows, Surprise]] = []

    def surprise(self, fitted: SparesRows, rows: FloatArray) -> FloatArray:
        """Surprise (n,), in decades, of new rows (n, p) encoded as ``fitted`` takes them."""
        if not len(rows):
            return np.zeros(0)
        judges = self.judges(fitted)
        return _of_mean_share([scale.apply(judge.scored_anew(rows)) for judge, scale in judges])

    def surprise_of_known(self, fitted: SparesRows) -> FloatArray:
        """Surprise (k,), in decades, of the known anomalies as of new ones of their kinds."""
        judges = self.judges(fitted)
        return _of_mean_share([scale.apply(judge.unseen_known_scores) for judge, scale in judges])

    def told_by_known(self, fitted: SparesRows) -> dict[str, FloatArray]:
        """Gather evidence (C,) of known anomalies, compared with rows that are as new as they."""
        fewer = self._mapped(fitted)
        labels = np.concatenate([one.labels for one in fewer])
        normal = labels == NORMAL
        return told_by_new(
            np.concatenate([one.mapping.transform_arranged(one.held_out) for one in fewer]),
            [one.mapping.known_ for one in fewer],
            label_free=len(LABEL_FREE),
            normal=normal & (not normal.all()),
        )

    def judges(self, fitted: SparesRows) -> list[tuple[SparesRows, Surprise]]:
        """Detectors that some rows were held out from, and the scales of these rows' raw scores."""
        judges = self._judges
        if not judges:
            held_out = map(fitted.adapted_to, self._mapped(fitted))
            judges = [(judge, Surprise().fit(raw)) for judge, raw in held_out]
        self._judges = judges  # at once: another thread may be scoring, too
        return judges

    def _mapped(self, fitted: SparesRows) -> list[Fewer]:
        """Learn without each of some folds."""
        fewer = self._fewer
        if not fewer:
            shuffled = np.random.default_rng([fitted.seed, 9]).permutation(fitted.teaching)
            folds = np.array_split(shuffled, min(FOLDS, fitted.teaching))
            enough = folds[: -(-ENOUGH_HELD_OUT // len(folds[0]))]
            fewer = [fitted.mapped_without(fold) for fold in enough]
        self._fewer = fewer
        return fewer


def _of_mean_share(decades: list[FloatArray]) -> FloatArray:
    """Decades (n,) of the mean of shares that several detectors give in decades (n,)."""
    each = np.stack(decades)
    least = each.min(axis=0)  # in front: a share of 10**-400 is no number
    return np.asarray(least - np.log10(np.mean(10 ** (least - each), axis=0)))
