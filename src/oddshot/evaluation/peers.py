"""The detectors that Oddshot is compared with, and Oddshot itself, behind one small interface.

A peer is fitted on training rows and their labels (1, 0, -1) and returns a function from rows to
scores, higher for odder rows. Peers see the rows as numbers (the project's own encoding of
categories, dates and missing values). Those without labels ignore ``y``; the supervised ones take
every unlabelled row for normal, as their users do.

Settings are the packages' defaults but for what would be unfair: scaled columns where distances
count, balanced class weights, and ``base_score=0.5`` for XGBOD, because xgboost 3 starts from the
share of labels and then does not split at 1% of them.

"blend" is the bar: the rank average of four plain detectors, which anyone can write in ten lines.
"""

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.preprocessing import StandardScaler

from oddshot.episodes import ANOMALY, FloatArray, LabelArray, Rows
from oddshot.errors import SettingError
from oddshot.mapping.encode import Encoder
from oddshot.priors import Prior

Scorer: TypeAlias = Callable[[Rows], FloatArray]
NumberScorer: TypeAlias = Callable[[FloatArray], FloatArray]

OWN, BLEND = "oddshot", "blend"
DEFAULT = (
    OWN,
    BLEND,
    "knn",
    "knn50",
    "lof",
    "iforest",
    "ecod",
    "hbos",
    "catboost",
    "extra-trees",
    "xgbod",
)
BLENDED = ("catboost", "extra-trees", "logistic", "knn50")
BLENDED_WITHOUT_LABELS = ("knn50", "iforest", "hbos")


class Peer(Protocol):
    """A named detector."""

    @property
    def name(self) -> str:
        """As the results and the command line call it."""

    @property
    def needs_labels(self) -> bool:
        """Whether it takes part only where at least one anomaly is labelled."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages that do not come with Oddshot."""

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Fit on training rows (n, d); return a function from rows (m, d) to scores (m,)."""


def peer_names() -> tuple[str, ...]:
    """Every name that `find_peers` knows."""
    return (OWN, BLEND, *_MODELS)


def find_peers(names: Sequence[str], *, prior: Prior | str | Path = "default") -> tuple[Peer, ...]:
    """Return the peers of these names; ``prior`` is the one that "oddshot" uses.

    Raises
    ------
    SettingError
        A name is unknown, or a package that it needs is not installed.

    Examples
    --------
    >>> [peer.needs_labels for peer in find_peers(["extra-trees", "logistic", "oddshot"])]
    [True, True, False]
    """
    found: list[Peer] = []
    for name in names:
        if name not in peer_names():
            raise SettingError(f"unknown detector {name!r}; choose from {', '.join(peer_names())}")
        peer: Peer = Oddshot(prior) if name == OWN else Blend() if name == BLEND else _MODELS[name]
        for package in peer.needs:
            if importlib.util.find_spec(package) is None:
                raise SettingError(
                    f"detector {name!r} needs {package}, which is not installed; "
                    'pip install "oddshot[bench]"'
                )
        found.append(peer)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Oddshot:
    """Oddshot with a given prior; it sees the rows as they came, and sets PyTorch's threads."""

    prior: Prior | str | Path = "default"
    name: str = OWN
    needs_labels: bool = False
    needs: tuple[str, ...] = ()

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Adapt the prior to training rows."""
        import torch  # noqa: PLC0415 - takes seconds to import

        from oddshot.detectors.few_shot import FewShotDetector  # noqa: PLC0415 - imports torch

        torch.set_num_threads(threads)
        detector = FewShotDetector(prior=self.prior, random_state=seed)
        score: Scorer = detector.fit(rows, labels).anomaly_score
        return score


@dataclass(frozen=True, slots=True)
class Blend:
    """The mean rank that its members give a row among the rows scored with it."""

    name: str = BLEND
    needs_labels: bool = False
    needs: tuple[str, ...] = ("pyod", "catboost")

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Fit the members that these labels allow."""
        members = BLENDED if np.any(labels == ANOMALY) else BLENDED_WITHOUT_LABELS
        scorers = [_MODELS[name].fit(rows, labels, seed=seed, threads=threads) for name in members]
        return lambda rows: np.mean([rankdata(score(rows)) for score in scorers], axis=0)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a model's settings may depend on: its training rows, a seed, a number of threads."""

    rows: int
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
    scaled
        Whether columns are standardised first.
    """

    name: str
    where: tuple[str, str]
    settings: Callable[[Setting], dict[str, Any]]
    needs: tuple[str, ...] = ()
    needs_labels: bool = False
    scaled: bool = False

    def fit(self, rows: Rows, labels: LabelArray, *, seed: int, threads: int = 1) -> Scorer:
        """Encode the rows, scale them where it counts, and fit."""
        encoder = Encoder().fit(rows)
        scaler = StandardScaler().fit(encoder.transform(rows)) if self.scaled else None

        def numbers(rows: Rows) -> FloatArray:
            encoded = encoder.transform(rows)
            return encoded if scaler is None else np.asarray(scaler.transform(encoded))

        module, name = self.where
        # Other packages' deprecations and convergence notes do not belong in a benchmark's output.
        with warnings.catch_warnings(action="ignore"):
            kind = getattr(importlib.import_module(module), name)
            model = kind(**self.settings(Setting(len(labels), seed, threads)))
            score = self._fitted(model, numbers(rows), (labels == ANOMALY).astype(np.int64))

        def scorer(rows: Rows) -> FloatArray:
            with warnings.catch_warnings(action="ignore"):
                return np.asarray(score(numbers(rows)), dtype=np.float64)

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


def _knn(name: str, neighbours: int) -> Model:
    return Model(
        name,
        ("pyod.models.knn", "KNN"),
        lambda of: {"n_neighbors": min(neighbours, of.rows - 1), "n_jobs": of.threads},
        needs=("pyod",),
        scaled=True,
    )


_MODELS = {
    model.name: model
    for model in (
        _knn("knn", 5),
        _knn("knn50", 50),
        Model(
            "lof",
            ("pyod.models.lof", "LOF"),
            lambda of: {"n_neighbors": min(20, of.rows - 1), "n_jobs": of.threads},
            needs=("pyod",),
            scaled=True,
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
            "logistic",
            ("sklearn.linear_model", "LogisticRegression"),
            lambda of: {
                "class_weight": "balanced",
                "max_iter": 1000,
                "random_state": of.seed,
            },
            needs_labels=True,
            scaled=True,
        ),
    )
}
