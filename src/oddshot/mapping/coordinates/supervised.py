"""Small supervised models, cross-fitted so that typical rows get honest scores.

Each of two models is fitted on one half of the typical rows and all known anomalies, and gives the
scores of the other half; new rows get the mean of both.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.tree import ExtraTreeRegressor

from oddshot.episodes import FloatArray

NEWTON_WIDTH = 256


class Scorer(Protocol):
    """A supervised model: fitted on rows and labels, scores rows."""

    def fit(self, points: FloatArray, labels: np.ndarray, seed: int, worth: FloatArray) -> "Scorer":
        """Fit on points (n, d), labels (n,) of 1 and 0, and what each counts (n,) in its class."""
        ...

    def scores(self, points: FloatArray) -> FloatArray:
        """Scores (n,), higher = more like the known anomalies."""
        ...


class CrossFitted:
    """Two models, each fitted on half of the typical rows and all known anomalies."""

    def __init__(self, make: Callable[[], Scorer]) -> None:
        self._models = make(), make()

    def fit(
        self,
        typical: FloatArray,
        known: FloatArray,
        halves: np.ndarray,
        seed: int,
        worth: FloatArray,
    ) -> FloatArray:
        """Fit both; returns each typical row's score by the model that has not seen it.

        ``worth`` (m,) is what a typical row counts; known anomalies count alike.
        """
        out = np.empty(len(typical))
        for half, model in enumerate(self._models):
            seen = halves == half
            points = np.concatenate([typical[seen], known])
            labels = np.concatenate([np.zeros(seen.sum()), np.ones(len(known))])
            counts = np.concatenate([worth[seen], np.ones(len(known))])
            model.fit(points, labels, seed + half, counts)
            out[~seen] = model.scores(typical[~seen])
        return out

    def scores(self, rows: FloatArray) -> FloatArray:
        """Mean score of both models for new rows."""
        return np.asarray(np.mean([model.scores(rows) for model in self._models], axis=0))


class Trees:
    """Extremely randomised trees (Geurts, Ernst and Wehenkel 2006), balanced; mean leaf share.

    Leaves of several rows smooth the scores: without them a row far from all known anomalies scores
    0, whatever else is odd about it (docs/experiments.md).
    """

    def __init__(self, *, leaf: int, trees: int) -> None:
        self._leaf, self._count = leaf, trees

    def fit(self, points: FloatArray, labels: np.ndarray, seed: int, worth: FloatArray) -> "Trees":
        """See `Scorer`.

        Of two classes the variance is half the Gini impurity, so regression trees split as those of
        a classifier do; they are grown one by one because a forest's own checks take longer.
        """
        narrow, known = points.astype(np.float32), labels.astype(np.float64)[:, None]
        kinds = labels.astype(np.intp)
        weights = worth * (len(labels) / (2 * np.bincount(kinds, worth, minlength=2)))[kinds]
        seeds = np.random.RandomState(seed)  # as the forest draws them
        random = np.random.RandomState(0)  # seeded again for each tree: to make one takes longer
        self._trees = []
        with config_context(assume_finite=True, skip_parameter_validation=True):
            for _ in range(self._count):
                random.seed(seeds.randint(np.iinfo(np.int32).max))
                model = ExtraTreeRegressor(
                    max_features="sqrt",
                    min_samples_leaf=self._leaf,
                    random_state=random,
                )
                model.fit(narrow, known, sample_weight=weights, check_input=False)
                self._trees.append(model.tree_)
        return self

    def scores(self, points: FloatArray) -> FloatArray:
        """See `Scorer`."""
        narrow = points.astype(np.float32)
        total = np.zeros(len(narrow))
        for tree in self._trees:
            total += tree.predict(narrow)[:, 0]
        return total / len(self._trees)


class Logistic:
    """Logistic regression, balanced and strongly regularised; log odds."""

    def __init__(self, *, strength: float) -> None:
        self._strength = strength

    def fit(
        self,
        points: FloatArray,
        labels: np.ndarray,
        seed: int,  # noqa: ARG002
        worth: FloatArray,
    ) -> "Logistic":
        """See `Scorer`."""
        odd = labels == 1
        totals = np.where(odd, max(worth[odd].sum(), 1), worth[~odd].sum())
        weights = worth * (0.5 / totals)
        solver = "newton-cholesky" if points.shape[1] <= NEWTON_WIDTH else "lbfgs"
        model = LogisticRegression(C=self._strength, max_iter=200, solver=solver)
        model.fit(points, labels, sample_weight=weights * len(labels) / 10)
        self._weights, self._bias = model.coef_[0], model.intercept_[0]
        return self

    def scores(self, points: FloatArray) -> FloatArray:
        """See `Scorer`."""
        odds: FloatArray = points @ self._weights + self._bias
        return odds
