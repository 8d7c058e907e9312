"""Coordinates that look at the known anomalies: distances, directions, small supervised models.

Supervised models are cross-fitted: each of two is fitted on one half of the typical rows and all
known anomalies, and gives the scores of the other half; new rows get the mean of both.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression

from oddshot.episodes import FloatArray
from oddshot.mapping.block import Reference
from oddshot.mapping.isolation import Isolation
from oddshot.mapping.neighbours import Neighbours
from oddshot.mapping.spaces import NAMES, Views

KERNEL_ROWS = 1024
TREES = 100


class KnownDistances:
    """How near the known anomalies are, by themselves and relative to the typical rows.

    Takes the log distances to the fifth typical neighbour in every space (n, 3) along with rows.
    """

    names = tuple(
        f"known_{kind}_{space}" for space in NAMES for kind in ("nearest", "relative", "kernel")
    )

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def fit(self, reference: Reference, fifths: FloatArray) -> FloatArray:
        """As `Block.fit`."""
        self._known = {name: p.astype(np.float64) for name, p in reference.known.named().items()}
        self._width = {}
        for name, points in reference.typical.named().items():
            middle = points.astype(np.float64) - np.median(points, axis=0)
            self._width[name] = float(np.median((middle**2).sum(axis=1))) or 1.0
        return self.transform(reference.typical, fifths)

    def transform(self, rows: Views, fifths: FloatArray) -> FloatArray:
        """As `Block.transform`."""
        columns = []
        for fifth, (name, points) in zip(fifths.T, rows.named().items(), strict=True):
            known = self._known[name]
            squares = _squares(points.astype(np.float64), known)
            nearest = self._neighbours.log(name, np.sqrt(squares.min(axis=1)))
            kernel = np.log(np.exp(-squares / self._width[name]).mean(axis=1) + 1e-6)
            columns += [-nearest, fifth - nearest, kernel]
        return np.column_stack(columns)


class NaiveBayes:
    """Log density ratio of known anomalies to typical rows, columns taken one by one.

    Known anomalies: a normal distribution in every quantile or whitened column, its variance
    shrunken towards that of the typical rows; these are standard normal by construction.
    """

    names = ("bayes_quantile", "bayes_whitened")

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `Block`: a typical row does not enter."""
        self._moments = {}
        for space in ("quantile", "whitened"):
            known = reference.known.named()[space].astype(np.float64)
            count = len(known)
            mean = known.mean(axis=0) * count / (count + 0.5)
            variance = (2 + ((known - mean) ** 2).sum(axis=0)) / (2 + count)
            self._moments[space] = mean, np.minimum(variance, 4.0)
        return self.transform(reference.typical)

    def transform(self, rows: Views) -> FloatArray:
        """See `Block`."""
        named = rows.named()
        columns = []
        for space, (mean, variance) in self._moments.items():
            points = np.clip(named[space].astype(np.float64), -6, 6)
            ratios = 0.5 * (points**2 - (points - mean) ** 2 / variance - np.log(variance))
            columns.append(ratios.sum(axis=1))
        return np.column_stack(columns)


class KnownLeaves:
    """Share of isolation trees in which a row falls into a known anomaly's leaf."""

    names = ("known_leaves",)

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `Block`."""
        self._known = self._isolation.leaves(reference.known.standard)
        return self.transform(reference.typical)

    def transform(self, rows: Views) -> FloatArray:
        """See `Block`."""
        leaves = self._isolation.leaves(rows.standard)
        shared = np.zeros((len(leaves), len(self._known)))
        for tree in range(leaves.shape[1]):
            shared += leaves[:, tree, None] == self._known[None, :, tree]
        shared /= leaves.shape[1]
        return (0.5 * shared.max(axis=1) + 0.5 * shared.mean(axis=1))[:, None]


class Directions:
    """Fisher's direction from typical rows to known anomalies, shrunken (Fisher 1936)."""

    names = ("direction_standard", "direction_quantile")

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `Block`: the direction hardly depends on any one typical row."""
        self._directions = {}
        for space in ("standard", "quantile"):
            typical = reference.typical.named()[space].astype(np.float64)
            known = reference.known.named()[space].astype(np.float64)
            width = typical.shape[1]
            shrinkage = min(0.95, max(0.1, 2 * width / (width + len(typical))))
            covariance = np.cov(typical.T, bias=True).reshape(width, width)
            pooled = (1 - shrinkage) * covariance + shrinkage * np.eye(width)
            difference = known.mean(axis=0) - typical.mean(axis=0)
            self._directions[space] = np.linalg.solve(pooled, difference)
        return self.transform(reference.typical)

    def transform(self, rows: Views) -> FloatArray:
        """See `Block`."""
        named = rows.named()
        return np.column_stack([named[s] @ d for s, d in self._directions.items()])


class KernelRidge:
    """Regression on +1 (known anomaly) and 0 (typical) with a Gaussian kernel.

    Leave-one-out scores of the typical rows come in closed form from the inverse
    (Rasmussen and Williams 2006, eq. 5.12).
    """

    names = ("kernel_standard", "kernel_quantile")

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:
        """See `Block`."""
        count = len(reference.typical)
        drawn = np.sort(generator.permutation(count)[:KERNEL_ROWS])
        self._models = {}
        columns = []
        for space in ("standard", "quantile"):
            typical = reference.typical.named()[space].astype(np.float64)
            known = reference.known.named()[space].astype(np.float64)
            points = np.concatenate([typical[drawn], known])
            target = np.concatenate([np.zeros(len(drawn)), np.ones(len(known))])
            squares = _squares(points, points)
            width = float(np.median(squares[: len(drawn), : len(drawn)])) or 1.0
            noise = np.concatenate([np.full(len(drawn), 0.5), np.full(len(known), 0.05)])
            kernel = np.exp(-2 * squares / width)
            factor = cho_factor(kernel + np.diag(noise), lower=True)
            inverse = cho_solve(factor, np.eye(len(points)))
            weights = inverse @ target
            self._models[space] = (points, width, weights)
            scores = self._scores(typical, space)
            scores[drawn] = (target - weights / np.diag(inverse))[: len(drawn)]
            columns.append(scores)
        return np.column_stack(columns)

    def transform(self, rows: Views) -> FloatArray:
        """See `Block`."""
        named = rows.named()
        return np.column_stack(
            [self._scores(named[space].astype(np.float64), space) for space in self._models]
        )

    def _scores(self, rows: FloatArray, space: str) -> FloatArray:
        points, width, weights = self._models[space]
        scores: FloatArray = np.exp(-2 * _squares(rows, points) / width) @ weights
        return scores


class Scorer(Protocol):
    """A supervised model: fitted on rows and labels, gives log odds of being an anomaly."""

    def fit(self, points: FloatArray, labels: np.ndarray, seed: int) -> "Scorer":
        """Fit on points (n, d) and labels (n,) of 1 and 0."""
        ...

    def scores(self, points: FloatArray) -> FloatArray:
        """Scores (n,), higher = more like the known anomalies."""
        ...


class CrossFitted:
    """Two models, each fitted on half of the typical rows and all known anomalies."""

    def __init__(self, models: tuple[Scorer, Scorer]) -> None:
        self._models = models

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
        mean: FloatArray = sum(model.scores(rows) for model in self._models) / len(self._models)
        return mean


class Trees:
    """Extremely randomised trees (Geurts, Ernst and Wehenkel 2006), balanced; mean leaf share."""

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads

    def fit(self, points: FloatArray, labels: np.ndarray, seed: int) -> "Trees":
        """See `Scorer`."""
        forest = ExtraTreesClassifier(
            n_estimators=TREES,
            class_weight="balanced",
            min_samples_leaf=1,
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
            total: FloatArray = sum(pool.map(shares, self._trees), np.zeros(len(narrow)))
        return total / len(self._trees)


class Logistic:
    """Logistic regression, balanced and strongly regularised; log odds."""

    def __init__(self, *, strength: float) -> None:
        self._strength = strength

    def fit(self, points: FloatArray, labels: np.ndarray, seed: int) -> "Logistic":  # noqa: ARG002
        """See `Scorer`."""
        weights = np.where(labels == 1, 0.5 / max(labels.sum(), 1), 0.5 / (labels == 0).sum())
        model = LogisticRegression(C=self._strength, max_iter=200)
        model.fit(points, labels, sample_weight=weights * len(labels) / 10)
        self._weights, self._bias = model.coef_[0], model.intercept_[0]
        return self

    def scores(self, points: FloatArray) -> FloatArray:
        """See `Scorer`."""
        odds: FloatArray = points @ self._weights + self._bias
        return odds


class Supervised:
    """Trees on columns and label-free coordinates; logistic regression on either."""

    names = (
        "trees_columns",
        "trees_all",
        "logistic_columns",
        "logistic_coordinates",
        "nearest_coordinates",
        "relative_coordinates",
    )

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads

    def fit(
        self,
        typical: tuple[Views, FloatArray],
        known: tuple[Views, FloatArray],
        generator: np.random.Generator,
    ) -> FloatArray:
        """As `Block.fit`, on views and calibrated label-free coordinates (n, 2C) of the rows."""
        halves = generator.permutation(len(typical[0])) % 2
        self._models = [
            CrossFitted((Trees(threads=self._threads), Trees(threads=self._threads))),
            CrossFitted((Trees(threads=self._threads), Trees(threads=self._threads))),
            CrossFitted((Logistic(strength=0.1), Logistic(strength=0.1))),
            CrossFitted((Logistic(strength=0.01), Logistic(strength=0.01))),
        ]
        columns = []
        for model, seen, odd in zip(
            self._models, self._inputs(typical), self._inputs(known), strict=True
        ):
            columns.append(model.fit(seen, odd, halves, int(generator.integers(2**31))))
        self._known = known[1]
        return np.column_stack([*columns, self._nearness(typical[1])])

    def transform(self, rows: tuple[Views, FloatArray]) -> FloatArray:
        """As `Block.transform`."""
        columns = [m.scores(x) for m, x in zip(self._models, self._inputs(rows), strict=True)]
        return np.column_stack([*columns, self._nearness(rows[1])])

    def _nearness(self, coordinates: FloatArray) -> FloatArray:
        """Nearness to the known anomalies in label-free coordinates, also relative to size."""
        nearest = np.sqrt(_squares(coordinates, self._known).min(axis=1) + 1.0)
        size = np.sqrt((coordinates**2).sum(axis=1) + 1.0)
        return np.column_stack([-np.log(nearest), np.log(size) - np.log(nearest)])

    def _inputs(self, rows: tuple[Views, FloatArray]) -> Sequence[FloatArray]:
        views, coordinates = rows
        columns = np.concatenate([views.standard, views.quantile], axis=1, dtype=np.float64)
        both = np.concatenate([views.standard, coordinates], axis=1, dtype=np.float64)
        return views.standard.astype(np.float64), both, columns, coordinates


def _squares(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.maximum((a**2).sum(axis=1)[:, None] - 2 * a @ b.T + (b**2).sum(axis=1), 0.0)
