"""Detectors and classifiers of other packages, fitted and asked in one way.

They see the rows as numbers (the project's own encoding of categories, dates and missing values).
Those without labels ignore ``y``; the supervised ones take every unlabelled row for normal, as
their users do.
"""

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from oddshot.episodes import ANOMALY, FloatArray, LabelArray, Rows
from oddshot.mapping.encoding.encoder import Encoder

Scorer: TypeAlias = Callable[[Rows], FloatArray]
NumberScorer: TypeAlias = Callable[[FloatArray], FloatArray]

PINE_FOREST = {"n_trees": 100, "n_spare_trees": 19_900}
"""Settings of coniferest's PineForest: it chooses among its trees, and the more the better."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a model's settings may depend on: its training rows and columns, a seed, threads."""

    rows: int
    columns: int
    seed: int
    threads: int


@dataclass(frozen=True, slots=True)
class Model:
    """A detector or classifier of another package.

    Parameters
    ----------
    name, needs_labels, needs
        As of `Peer`. One that needs labels is a classifier.
    where
        Module and class.
    settings
        Keyword arguments of the class.
    scaler
        Makes what brings columns to one scale first.
    upside_down
        Whether its scores are higher for normal rows; they are then negated.
    """

    name: str
    where: tuple[str, str]
    settings: Callable[[Setting], dict[str, Any]]
    needs: tuple[str, ...] = ()
    needs_labels: bool = False
    scaler: Callable[[], Any] | None = None
    upside_down: bool = False

    @property
    def ignores_labels(self) -> bool:
        """As of `Peer`: one that needs no labels is not given any."""
        return not self.needs_labels

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Encode the rows, scale them where it counts, and fit."""
        encoder = Encoder().fit(rows)
        scaler = None if self.scaler is None else self.scaler().fit(encoder.transform(rows))

        def numbers(rows: Rows) -> FloatArray:
            encoded = encoder.transform(rows)
            return encoded if scaler is None else np.asarray(scaler.transform(encoded))

        X = numbers(rows)
        module, name = self.where
        # Other packages' deprecations and convergence notes do not belong in a benchmark's output.
        with warnings.catch_warnings(action="ignore"):
            kind = getattr(importlib.import_module(module), name)
            model = kind(**self.settings(Setting(len(X), X.shape[1], seed, threads)))
            score = self._fitted(model, X, (labels == ANOMALY).astype(np.int64))

        def scorer(rows: Rows) -> FloatArray:
            with warnings.catch_warnings(action="ignore"):
                scores = np.asarray(score(numbers(rows)), dtype=np.float64)
            return -scores if self.upside_down else scores

        return scorer

    def _fitted(self, model: Any, rows: FloatArray, known: NDArray[np.int64]) -> NumberScorer:
        if not self.needs_labels:
            model.fit(rows)
        else:
            model.fit(rows, known)
        if not hasattr(model, "decision_function"):
            return lambda rows: model.predict_proba(rows)[:, 1]
        score: NumberScorer = model.decision_function
        return score


class PineTrees:
    """coniferest's PineForest as `Model` has it: rows and 1 or 0; higher = odder."""

    def __init__(self, *, seed: int, threads: int) -> None:
        self._seed, self._threads = seed, threads

    def fit(self, rows: FloatArray, known: NDArray[np.int64]) -> None:
        """Grow more trees than needed, and keep those that isolate the known anomalies."""
        module = importlib.import_module("coniferest.pineforest")  # not everyone has it
        odd = np.ascontiguousarray(rows[known == 1])
        labels = np.full(len(odd), -1)  # how coniferest writes an anomaly
        forest = module.PineForest(
            **PINE_FOREST,
            n_subsamples=min(256, len(rows)),
            n_jobs=self._threads,
            random_seed=self._seed,
        )
        self._forest = forest.fit_known(np.ascontiguousarray(rows), odd, labels)

    def decision_function(self, rows: FloatArray) -> FloatArray:
        """Score rows."""
        return -np.asarray(self._forest.score_samples(np.ascontiguousarray(rows)))


def _knn(name: str, neighbours: int) -> Model:
    return Model(
        name,
        ("pyod.models.knn", "KNN"),
        lambda of: {"n_neighbors": min(neighbours, of.rows - 1), "n_jobs": of.threads},
        needs=("pyod",),
        scaler=StandardScaler,
    )


def _plain(name: str, kind: str, *, seeded: bool = False, **settings: Any) -> Model:
    """One of PyOD's detectors at its defaults, on columns of one scale."""

    def chosen(of: Setting) -> dict[str, Any]:
        return {**settings, "random_state": of.seed} if seeded else settings

    return Model(
        name, (f"pyod.models.{name}", kind), chosen, needs=("pyod",), scaler=StandardScaler
    )


ZERO_LABEL_MODELS = (
    _plain("abod", "ABOD"),
    _plain("cblof", "CBLOF", seeded=True),
    _plain("copod", "COPOD"),
    _plain("gmm", "GMM", seeded=True),
    _plain("inne", "INNE", seeded=True),
    _plain("kde", "KDE"),
    _plain("kpca", "KPCA", seeded=True),
    _plain("loda", "LODA", seeded=True),
    _plain("mcd", "MCD", seeded=True),
    _plain("ocsvm", "OCSVM"),
    _plain("pca", "PCA", seeded=True, n_components=0.99),
    _plain("sampling", "Sampling", seeded=True),
    _plain("sod", "SOD"),
)
MODELS = (
    _knn("knn", 5),
    _knn("knn50", 50),
    Model(
        "lof",
        ("pyod.models.lof", "LOF"),
        lambda of: {"n_neighbors": min(20, of.rows - 1), "n_jobs": of.threads},
        needs=("pyod",),
        scaler=StandardScaler,
    ),
    Model(
        "iforest",
        ("pyod.models.iforest", "IForest"),
        lambda of: {"random_state": of.seed, "n_jobs": of.threads},
        needs=("pyod",),
    ),
    Model(
        "ecod",
        ("pyod.models.ecod", "ECOD"),
        lambda of: {"n_jobs": of.threads},
        needs=("pyod",),
    ),
    Model("hbos", ("pyod.models.hbos", "HBOS"), lambda _: {}, needs=("pyod",)),
    Model(
        "catboost",
        ("catboost", "CatBoostClassifier"),
        lambda of: {
            "auto_class_weights": "Balanced",
            "thread_count": of.threads,
            "random_seed": of.seed,
            "verbose": False,
            "allow_writing_files": False,
        },
        needs=("catboost",),
        needs_labels=True,
    ),
    Model(
        "extra-trees",
        ("sklearn.ensemble", "ExtraTreesClassifier"),
        lambda of: {
            "class_weight": "balanced",
            "random_state": of.seed,
            "n_jobs": of.threads,
        },
        needs_labels=True,
    ),
    Model(
        "xgbod",
        ("pyod.models.xgbod", "XGBOD"),
        lambda of: {"base_score": 0.5, "random_state": of.seed, "n_jobs": of.threads},
        needs=("pyod", "xgboost"),
        needs_labels=True,
    ),
    Model(
        "pine-forest",
        ("oddshot.evaluation.models", "PineTrees"),
        lambda of: {"seed": of.seed, "threads": of.threads},
        needs=("coniferest",),
        needs_labels=True,
    ),
    Model(
        "logistic",
        ("sklearn.linear_model", "LogisticRegression"),
        lambda of: {
            "class_weight": "balanced",
            "max_iter": 1000,
            "random_state": of.seed,
        },
        needs_labels=True,
        scaler=StandardScaler,
    ),
    *ZERO_LABEL_MODELS,
)
