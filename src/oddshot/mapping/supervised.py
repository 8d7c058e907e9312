"""Small supervised models, cross-fitted so that typical rows get honest scores.

Each of two models is fitted on one half of the typical rows and all known anomalies, and gives the
scores of the other half; new rows get the mean of both.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression

from oddshot.episodes import FloatArray

NEWTON_WIDTH = 256


class Scorer(Protocol):
    """A supervised model: fitted on rows and labels, scores rows."""

    def fit(self, points: FloatArray, labels: np.ndarray, seed: int) -> "Scorer":
        """Fit on points (n, d) and labels (n,) of 1 and 0."""
        ...

    def scores(self, points: FloatArray) -> FloatArray:
        """Scores (n,), higher = more like the known anomalies."""
        ...


class CrossFitted:
    """Two models, each fitted on half of the typical rows and all known anomalies."""

    def __init__(self, make: Callable[[], Scorer]) -> None:
        self._models = make(), make()

    def fit(
        self, typical: FloatArray, known: FloatArray, halves: np.ndarray, seed: int
    ) -> FloatArray:
        """Fit both; returns each typical row's score by the model that has not seen it."""
        out = np.empty(len(typical))
        for half, model in enumerate(self._models):
            seen = halves == half
            points = np.concatenate([typical[seen], known])
            labels = np.concatenate([np.zeros(seen.sum()), np.ones(len(known))])
            model.fit(points, labels, seed + half)
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

    def __init__(self, *, leaf: int, trees: int, threads: int) -> None:
        self._leaf, self._count, self._threads = leaf, trees, threads

    def fit(self, points: FloatArray, labels: np.ndarray, seed: int) -> "Trees":
        """See `Scorer`."""
        forest = ExtraTreesClassifier(
            n_estimators=self._count,
            class_weight="balanced",
            min_samples_leaf=self._leaf,
            n_jobs=self._threads,
            random_state=seed,
        ).fit(points.astype(np.float32), labels)
        self._trees = [estimator.tree_ for estimator in forest.estimators_]
        return self

    def scores(self, points: FloatArray) -> FloatArray:
        """See `Scorer`; trees are added in a fixed order, so threads change nothing."""
        narrow = points.astype(np.float32)

        def shares(tree: object) -> FloatArray:
            counts = tree.predict(narrow).reshape(len(narrow), -1)  # type: ignore[attr-defined]
            share: FloatArray = counts[:, -1] / counts.sum(axis=1)
            return share

        with ThreadPoolExecutor(self._threads) as pool:
            total = sum(pool.map(shares, self._trees), start=np.zeros(len(narrow)))
        return total / len(self._trees)


class Logistic:
    """Logistic regression, balanced and strongly regularised; log odds."""

    def __init__(self, *, strength: float) -> None:
        self._strength = strength

    def fit(self, points: FloatArray, labels: np.ndarray, seed: int) -> "Logistic":  # noqa: ARG002
        """See `Scorer`."""
        weights = np.where(labels == 1, 0.5 / max(labels.sum(), 1), 0.5 / (labels == 0).sum())
        solver = "newton-cholesky" if points.shape[1] <= NEWTON_WIDTH else "lbfgs"
        model = LogisticRegression(C=self._strength, max_iter=200, solver=solver)
        model.fit(points, labels, sample_weight=weights * len(labels) / 10)
        self._weights, self._bias = model.coef_[0], model.intercept_[0]
        return self

    def scores(self, points: FloatArray) -> FloatArray:
        """See `Scorer`."""
        odds: FloatArray = points @ self._weights + self._bias
        return odds
