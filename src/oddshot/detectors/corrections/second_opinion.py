"""Boosted trees beside the head, where there are many known anomalies.

Coordinates tell how odd a row is and how near it is to known anomalies. What sets anomalies apart
by how columns combine, and by no column or distance, shows in none of them; with many known
anomalies trees find it. Elsewhere the head is better, so trees count only where both together rank
known anomalies that neither has learned from clearly higher than the head does by itself.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from oddshot.episodes import FloatArray
from oddshot.mapping.editions import Edition
from oddshot.mapping.mapping import Mapping
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.threading import one_openmp_thread, run_all
from oddshot.thresholds.surprise import Surprise

FEWEST = 50  # known anomalies: with fewer the head is better by itself (docs/experiments.md)
FOLDS = 3
BINS = 64
GAIN, ERRORS = 0.05, 2.0  # of AUROC at least, also in standard errors
TIMES = 1.25  # the average precision at least


def asked_for(mapping: Mapping) -> bool:
    """Whether a table has so many different known anomalies that trees may know better."""
    support = mapping.support
    if len(support.known) < FEWEST or mapping.edition < Edition.SECOND_OPINION:
        return False
    both = (support.known[:, : support.width], support.typical[:, : support.width])
    return all(len(np.unique(_places(rows))) >= FEWEST for rows in both)


class SecondOpinion:
    """Boosted trees on the columns of a table, and how much they count beside the head.

    Gradient boosting on histograms (Ke et al. 2017), both classes of equal weight, cross-fitted: a
    row of the support is judged by the trees that have not seen it or an equal one, a new row by
    the mean of all. Head and trees are stacked (Wolpert 1992): logistic regression tells known
    anomalies from typical rows by the surprise of the head and the log odds of the trees, and a
    negative weight counts as 0.

    Parameters
    ----------
    mapping
        What the table taught.
    told, known
        Raw scores of the head: of the mapping's typical rows (m,), each compared with all but
        itself, and of its known anomalies (k,) as new ones of their kinds may have them.

    Attributes
    ----------
    counts
        Whether trees count.
    """

    def __init__(self, mapping: Mapping, told: FloatArray, known: FloatArray) -> None:
        support = mapping.support
        typical, odd = support.typical[:, : support.width], support.known[:, : support.width]
        self._width, self._places = support.width, mapping.places_
        self._edges = [_edges(column) for column in typical.T]
        rows = self._binned(np.concatenate([typical, odd]))
        kinds = np.repeat([0, 1], [len(typical), len(odd)])
        generator = np.random.default_rng([support.seed, 4])
        folds = np.concatenate([_folds(part, generator) for part in (typical, odd)])
        self._trees = run_all(
            [partial(_boosted, rows[folds != f], kinds[folds != f]) for f in range(FOLDS)],
            threads=mapping.threads,
        )
        judged = np.empty(len(rows))
        for fold, trees in enumerate(self._trees):
            judged[folds == fold] = _log_odds(trees, rows[folds == fold])
        self._typical, self._known = np.split(judged, [len(typical)])
        self._scale = Surprise().fit(told)
        both = np.column_stack([self._scale.apply(np.concatenate([told, known])), judged])
        spread = both[: len(typical)].std(axis=0)
        stacked = LogisticRegression(class_weight="balanced").fit(
            both / np.where(spread > 0, spread, 1.0), kinds
        )
        self._weights = np.maximum(stacked.coef_[0], 0.0) / np.where(spread > 0, spread, 1.0)
        self.counts = self._clearly_better(told, known)

    def _clearly_better(self, told: FloatArray, known: FloatArray) -> bool:
        """Whether known anomalies rank higher than by the head alone, at the top, too."""
        typical, odd = self.of_typical(told), self.of_known(known)
        gains = _ranks(odd, typical) - _ranks(known, told)
        error = gains.std() / len(gains) ** 0.5
        more_precise = _precision(odd, typical) >= TIMES * _precision(known, told)
        return more_precise and bool(gains.mean() > max(GAIN, ERRORS * error))

    def of_typical(self, told: FloatArray) -> FloatArray:
        """Raw scores (m,) of the typical rows, by these of the head."""
        return self._weighed(told, self._typical)

    def of_known(self, told: FloatArray) -> FloatArray:
        """Raw scores (k,) of the known anomalies as new ones of their kinds may have them."""
        return self._weighed(told, self._known)

    def of(self, told: FloatArray, rows: FloatArray) -> FloatArray:
        """Raw scores (n,) of rows (n, p + q), in the support's columns, by these of the head."""
        places = self._places.of(rows)
        judged = self._typical[places]
        new = np.flatnonzero(places < 0)
        if len(new):
            binned = self._binned(rows[new, : self._width])
            judged[new] = np.mean([_log_odds(trees, binned) for trees in self._trees], axis=0)
        return self._weighed(told, judged)

    def _weighed(self, told: FloatArray, judged: FloatArray) -> FloatArray:
        own, others = self._weights
        return np.asarray(own * self._scale.apply(told) + others * judged)

    def _binned(self, rows: FloatArray) -> FloatArray:
        """Places (n, p) of cells among their column's quantiles."""
        columns = [np.searchsorted(e, c) for e, c in zip(self._edges, rows.T, strict=True)]
        return np.column_stack(columns).astype(np.float64)


def _edges(column: FloatArray) -> FloatArray:
    """Quantiles, rising, of a column (m,)."""
    return np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1], method="higher"))


def _places(rows: FloatArray) -> NDArray[np.intp]:
    """Place (n,) of the first of the rows (n, p) that equal each."""
    return RowPlaces(rows).of(rows)


def _folds(rows: FloatArray, generator: np.random.Generator) -> NDArray[np.intp]:
    """Deal rows (n, p) to folds, equal ones to the same."""
    different, group = np.unique(_places(rows), return_inverse=True)
    return np.asarray(generator.permutation(len(different)) % FOLDS)[group]


def _ranks(known: FloatArray, typical: FloatArray) -> FloatArray:
    """Share (k,) of typical rows that score lower than each known anomaly; equal ones half.

    >>> _ranks(np.array([2.0, 0.0]), np.array([1.0, 2.0])).tolist()
    [0.75, 0.0]
    """
    ordered = np.sort(typical)
    lower, not_higher = (np.searchsorted(ordered, known, side=side) for side in ("left", "right"))
    return np.asarray((lower + not_higher) / (2 * len(ordered)))


def _precision(known: FloatArray, typical: FloatArray) -> float:
    """Average precision of known anomalies (k,) among typical rows (m,)."""
    kinds = np.repeat([1, 0], [len(known), len(typical)])
    return float(average_precision_score(kinds, np.concatenate([known, typical])))


@one_openmp_thread
def _boosted(rows: FloatArray, kinds: NDArray[np.intp]) -> HistGradientBoostingClassifier:
    """Trees that tell rows (n, p) of kind 1 from those of kind 0."""
    trees = HistGradientBoostingClassifier(
        max_leaf_nodes=15,
        min_samples_leaf=5,
        l2_regularization=1.0,
        class_weight="balanced",
        early_stopping=False,
    )
    with config_context(assume_finite=True):
        return trees.fit(rows, kinds)


@one_openmp_thread
def _log_odds(trees: HistGradientBoostingClassifier, rows: FloatArray) -> FloatArray:
    return np.asarray(trees.decision_function(rows))
