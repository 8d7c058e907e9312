"""What is found of anomalies that only the interaction of columns tells, from many labels.

    python benchmarks/interactions.py [--prior default] [--draws 3]

Simulated: 2,000 rows of 20 columns, one in ten an anomaly, of which k are labelled; 2,000 others
are judged. Every column by itself looks alike in normal rows and in anomalies.

- sign: two columns have opposite signs, in anomalies the same;
- order: the first column is below the second where the third is positive, and above it elsewhere;
  in anomalies the other way round.

"head alone": Oddshot without the trees that count beside the head from 50 known anomalies on.
CatBoost and extra trees as in `oddshot bench`; "boosting" is scikit-learn's on histograms. Means of
AUROC and average precision over draws, and in how many of them trees counted.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from oddshot import FewShotDetector, Prior
from oddshot.detectors.corrections import second_opinion
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision
from oddshot.evaluation.peers import find_peers
from oddshot.reports.tables import markdown_table

ROWS, COLUMNS, SHARE = 2000, 20, 0.1
LABELS = (20, 50, 100, 150)
TREES = ("catboost", "extra-trees")


def sign(rows: np.ndarray, odd: np.ndarray) -> None:
    """Make the second column's sign the first one's where a row is odd, else the other."""
    rows[:, 1] = np.abs(rows[:, 1]) * np.sign(rows[:, 0]) * np.where(odd, 1, -1)


def order(rows: np.ndarray, odd: np.ndarray) -> None:
    """Order the first two columns by the third's sign, the wrong way where a row is odd."""
    below = (rows[:, 2] > 0) != odd
    low, high = np.sort(rows[:, :2], axis=1).T
    rows[:, 0], rows[:, 1] = np.where(below, low, high), np.where(below, high, low)


KINDS: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {"sign": sign, "order": order}


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Anomalies of interacting columns.")
    parser.add_argument("--prior", default="default")
    parser.add_argument("--draws", type=int, default=3)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {machine()}\n")
    print(compared(Prior.find(given.prior), given.draws))


def compared(prior: Prior, draws: int) -> str:
    """Compare all contestants for every kind and number of labels."""
    lines: list[list[str]] = []
    names: list[str] = []
    for kind in KINDS:
        for count in LABELS:
            found: dict[str, list[tuple[float, float]]] = {}
            counted = 0
            for draw in range(draws):
                rng = np.random.default_rng(draw)
                rows, odd = drawn(kind, rng)
                labels = np.full(ROWS, -1)
                labels[rng.permutation(np.flatnonzero(odd))[:count]] = 1
                new, truth = drawn(kind, rng)
                scores = dict(scored(prior, rows, labels, new))
                for name, scored_so in scores.items():
                    figures = auroc(truth, scored_so), average_precision(truth, scored_so)
                    found.setdefault(name, []).append(figures)
                counted += not np.array_equal(scores["Oddshot"], scores["head alone"])
            names = list(found)
            means = [np.mean(found[name], axis=0) for name in names]
            cells = [f"{mean[0]:.2f}/{mean[1]:.2f}" for mean in means]
            lines.append([kind, str(count), *cells, f"{counted} of {draws}"])
    return markdown_table(["kind", "labels", *names, "trees counted"], lines)


def drawn(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows, and which are anomalies."""
    rows, odd = rng.normal(size=(ROWS, COLUMNS)), rng.random(ROWS) < SHARE
    KINDS[kind](rows, odd)
    return rows, odd.astype(int)


def scored(
    prior: Prior, rows: np.ndarray, labels: np.ndarray, new: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Fit every contestant and score new rows."""
    yield "Oddshot", FewShotDetector(prior=prior).fit(rows, labels).anomaly_score(new)
    yield "head alone", head_alone(prior, rows, labels).anomaly_score(new)
    for peer in find_peers(TREES):
        yield peer.name, peer.fit(rows, labels.astype(np.int8), seed=0)(new)
    boosting = HistGradientBoostingClassifier(class_weight="balanced", random_state=0)
    yield "boosting", boosting.fit(rows, labels == 1).predict_proba(new)[:, 1]


def head_alone(prior: Prior, rows: np.ndarray, labels: np.ndarray) -> FewShotDetector:
    """Fit Oddshot as if there were never anomalies enough to ask trees."""
    fewest = second_opinion.FEWEST
    second_opinion.FEWEST = len(rows) + 1
    try:
        return FewShotDetector(prior=prior).fit(rows, labels)
    finally:
        second_opinion.FEWEST = fewest


if __name__ == "__main__":
    main()
