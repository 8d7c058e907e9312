"""The demo's experiment: a real table, no labels, then a few, beside well-known detectors."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from oddshot.data.collections import family_of
from oddshot.episodes import ANOMALY, FloatArray, LabelArray, Rows, Table
from oddshot.evaluation.metrics import auroc, average_precision, precision_at_n
from oddshot.evaluation.protocols import few_label

LABELS = (0, 5, 20)
OWN = "Oddshot"


class Detector(Protocol):
    """What the demo needs of a detector."""

    def fit(self, X: Rows, y: LabelArray) -> "Detector":
        """Learn from rows and labels."""

    def anomaly_score(self, X: Rows) -> FloatArray:
        """Score rows, higher for odder ones."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What the demo found.

    Parameters
    ----------
    table
        The table.
    runs
        One row per split and detector: ``detector``, ``k``, ``split``, ``auroc``, ``ap``,
        ``found`` (share of anomalies among as many top rows).
    scored
        The first split's test rows with ``malignant`` (truth) and one score column per k.
    """

    table: Table
    runs: pd.DataFrame
    scored: pd.DataFrame

    @property
    def anomalies(self) -> int:
        """Number of malignant tumours in the table."""
        return int(np.sum(self.table.labels == ANOMALY))

    def mean(self, detector: str, k: int, metric: str) -> float:
        """Return the mean over splits of "auroc", "ap" or "found"."""
        mine = (self.runs["detector"] == detector) & (self.runs["k"] == k)
        return float(self.runs.loc[mine, metric].mean())

    @property
    def plain(self) -> tuple[str, ...]:
        """The well-known detectors, the one with the best mean AUROC first."""
        names = {str(name) for name in self.runs["detector"]} - {OWN}
        return tuple(sorted(names, key=lambda name: -self.mean(name, 0, "auroc")))


def demonstrate(
    detector: Callable[[int], Detector],
    *,
    seed: int = 0,
    splits: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> Demonstration:
    """Run the demo's experiment.

    Parameters
    ----------
    detector
        Makes an unfitted detector from a seed.
    seed
        Chooses the rare rows and the splits.
    splits
        Over how many splits figures are averaged.
    progress
        Called with fits done and fits in all.
    """
    table = rare_malignant(seed)
    runs: list[dict[str, object]] = []
    columns: dict[int, FloatArray] = {}
    first = few_label(table, k=0, seed=seed)
    for number in range(splits):
        trial = few_label(table, k=0, seed=seed + number)
        scores = {(name, 0): values for name, values in _plain(trial.X_train, trial.X_test)}
        for step, k in enumerate(LABELS):
            trial = few_label(table, k=k, seed=seed + number)
            fitted = detector(seed + number).fit(trial.X_train, trial.y_train)
            scores[OWN, k] = fitted.anomaly_score(trial.X_test)
            if progress is not None:
                progress(number * len(LABELS) + step + 1, splits * len(LABELS))
        if number == 0:
            columns = {k: scores[OWN, k] for k in LABELS}
        runs += [
            {
                "detector": name,
                "k": k,
                "split": number,
                "auroc": auroc(trial.y_test, values),
                "ap": average_precision(trial.y_test, values),
                "found": precision_at_n(trial.y_test, values),
            }
            for (name, k), values in scores.items()
        ]
    scored = pd.DataFrame(first.X_test).assign(
        malignant=first.y_test == ANOMALY,
        **{f"anomaly_score_{k}_labels": columns[k] for k in LABELS},
    )
    return Demonstration(table, pd.DataFrame(runs), scored)


def rare_malignant(seed: int) -> Table:
    """Return scikit-learn's breast cancer table with malignant tumours made rare: one row in ten.

    Examples
    --------
    >>> table = rare_malignant(0)
    >>> table.rows.shape, int(table.labels.sum())
    ((396, 30), 39)
    """
    data = load_breast_cancer(as_frame=True)
    malignant = np.flatnonzero(data.target == 0)
    benign = np.flatnonzero(data.target == 1)
    rare = np.random.default_rng(seed).permutation(malignant)[: len(benign) // 9]
    kept = np.sort(np.concatenate([benign, rare]))
    labels = np.isin(kept, rare).astype(np.int8)
    rows = data.data.iloc[kept].reset_index(drop=True)
    family = family_of(Path("breast-cancer"), rows.columns)
    return Table("breast cancer, malignant rare", rows, labels, family)


def _plain(train: Rows, test: Rows) -> list[tuple[str, FloatArray]]:
    """Score with three detectors that need no labels, on standardised columns."""
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    neighbours = NearestNeighbors(n_neighbors=50).fit(train).kneighbors(test)[0]
    forest = IsolationForest(random_state=0).fit(train)
    factor = LocalOutlierFactor(novelty=True).fit(train)
    return [
        ("nearest neighbours", neighbours[:, -1]),
        ("isolation forest", -forest.score_samples(test)),
        ("local outlier factor", -factor.score_samples(test)),
    ]
