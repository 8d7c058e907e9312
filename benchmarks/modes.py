"""Rows between clusters, modes and curves, where nothing is labelled.

    python benchmarks/modes.py [--draws 5] [--share 0.05] [--prior P]

Simulated tables, no label: half of the normal rows with anomalies among them are learned from, the
other half and other anomalies are judged.

- clusters: eight Gaussian clusters in six columns; anomalies lie between two of them.
- modes: three modes of a machine in five columns; anomalies mix the set points of two.
- moons: two half circles in a plane; anomalies lie anywhere.
- hours: load and temperature by hour and weekday; the load is that of another hour.
- places: five towns on a map, and an amount; anomalies are anywhere.
- one cluster: twelve correlated columns, three of them moved. A control: nothing lies between.

"Head alone": Oddshot as it was before rows far from their neighbours were raised. "Flagged": shares
of the anomalies and of the normal rows above the automatic threshold; "none hidden": of the normal
rows where none of the rows learned from is an anomaly. Figures are means over draws.
"""

import argparse
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import torch
from pyod.models.gmm import GMM
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from sklearn.datasets import make_moons
from sklearn.preprocessing import StandardScaler

from oddshot import FewShotDetector, Prior
from oddshot.detectors.corrections.solitary import Solitary
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision
from oddshot.reports.tables import markdown_table

NORMAL_ROWS, ANOMALIES = 800, 80
PEERS: dict[str, Callable[[], KNN | LOF | IForest | GMM]] = {
    "kNN, 10": lambda: KNN(n_neighbors=10),
    "LOF": LOF,
    "isolation forest": lambda: IForest(random_state=0),
    "mixture of 8": lambda: GMM(n_components=8, random_state=0),
}
SET_POINTS = np.array([[20, 1.0, 50, 0.2, 300], [60, 2.5, 80, 0.5, 900], [90, 4.0, 30, 0.9, 1500]])
JITTER = np.array([1.5, 0.1, 2, 0.02, 20])
TOWNS = np.array([[52.5, 13.4], [48.1, 11.6], [53.5, 10.0], [50.1, 8.7], [51.2, 6.8]])
Rows = np.ndarray


def main(arguments: list[str] | None = None) -> None:
    """Print a table with a line for each kind."""
    parser = argparse.ArgumentParser(description="Rows between clusters, without a label.")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.05, help="of the rows learned from")
    parser.add_argument("--prior", default="default")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {machine()}\n")
    print(compared(Prior.find(given.prior), given.draws, given.share))


def compared(prior: Prior, draws: int, share: float) -> str:
    """Figures of all kinds, as a Markdown table."""
    lines = []
    for name, draw in KINDS.items():
        found = np.mean([of_draw(draw, prior, share, seed) for seed in range(draws)], axis=0)
        pairs, shares = found[:-3].reshape(-1, 2), found[-3:]
        cells = [f"{auc:.3f}/{ap:.3f}" for auc, ap in pairs]
        lines.append([name, *cells, *(f"{value:.1%}" for value in shares)])
    head = ["", "Oddshot", "head alone", *PEERS]
    return markdown_table([*head, "flagged: anomalies", "normal", "none hidden"], lines)


def of_draw(
    draw: Callable[[np.random.Generator, int], tuple[Rows, Rows]],
    prior: Prior,
    share: float,
    seed: int,
) -> list[float]:
    """AUROC and average precision of each detector, and three shares that are flagged."""
    rng = np.random.default_rng(seed)
    normal, odd = draw(rng, NORMAL_ROWS)
    odd = odd[:ANOMALIES]
    half = len(normal) // 2
    hidden = max(1, round(share / (1 - share) * half))
    known, new = np.r_[normal[:half], odd[:hidden]], np.r_[normal[half:], odd[hidden:]]
    truth = (np.arange(len(new)) >= half).astype(int)

    detector = FewShotDetector(prior=prior, random_state=seed).fit(known)
    flagged = detector.predict(new) == -1
    clean = FewShotDetector(prior=prior, random_state=seed).fit(normal[:half])
    scores = [detector.anomaly_score(new)]
    with patch.object(Solitary, "apply", lambda _, scores, __: scores):
        alone = FewShotDetector(prior=prior, random_state=seed).fit(known)
        scores.append(alone.anomaly_score(new))
    scale = StandardScaler().fit(known)
    for make in PEERS.values():
        peer = make().fit(scale.transform(known))
        scores.append(peer.decision_function(scale.transform(new)))
    figures = [f for s in scores for f in (auroc(truth, s), average_precision(truth, s))]
    of_clean = float((clean.predict(normal[half:]) == -1).mean())
    return [*figures, flagged[truth == 1].mean(), flagged[truth == 0].mean(), of_clean]


def clusters(rng: np.random.Generator, rows: int) -> tuple[Rows, Rows]:
    """Eight clusters, and what lies between two of them."""
    centres = np.random.default_rng(int(rng.bit_generator.seed_seq.entropy)).uniform(
        -10, 10, (8, 6)
    )
    one = rng.integers(0, 8, rows)
    other = (one + rng.integers(1, 8, rows)) % 8
    noise = rng.normal(size=(2, rows, 6))
    return centres[one] + noise[0], (centres[one] + centres[other]) / 2 + noise[1]


def modes(rng: np.random.Generator, rows: int) -> tuple[Rows, Rows]:
    """Three modes of a machine, and set points of one mode beside those of another."""
    own = rng.choice(3, rows, p=[0.6, 0.3, 0.1])
    other = (own + rng.integers(1, 3, rows)) % 3
    mixed = np.where(rng.random((rows, 5)) < 0.4, SET_POINTS[other], SET_POINTS[own])
    at, column = np.arange(rows), rng.integers(0, 5, rows)
    mixed[at, column] = SET_POINTS[other, column]
    mixed[at, (column + 1) % 5] = SET_POINTS[own, (column + 1) % 5]
    noise = JITTER * rng.normal(size=(2, rows, 5))
    return SET_POINTS[own] + noise[0], mixed + noise[1]


def moons(rng: np.random.Generator, rows: int) -> tuple[Rows, Rows]:
    """Two half circles, and what lies anywhere about them."""
    drawn, _ = make_moons(rows, noise=0.06, random_state=int(rng.integers(2**31)))
    return drawn, rng.uniform([-1.2, -0.7], [2.2, 1.2], (rows, 2))


def hours(rng: np.random.Generator, rows: int) -> tuple[Rows, Rows]:
    """Load and temperature by hour and weekday, and loads far from what the hour has."""
    hour, day = rng.integers(0, 24, rows), rng.integers(0, 7, rows)
    usual = 50 + 30 * np.sin((hour - 6) / 24 * 2 * np.pi) - 15 * (day > 4)
    load = usual + 4 * rng.normal(size=rows)
    far = load + rng.choice([-1, 1], rows) * rng.uniform(20, 40, rows)
    heat = 15 + 5 * np.sin((hour - 9) / 24 * 2 * np.pi) + 2 * rng.normal(size=rows)
    normal, odd = (np.column_stack([hour, day, of, heat]) for of in (load, far))
    return normal, odd


def places(rng: np.random.Generator, rows: int) -> tuple[Rows, Rows]:
    """Towns and an amount, and places anywhere."""
    towns = TOWNS[rng.choice(5, rows, p=[0.4, 0.2, 0.2, 0.1, 0.1])]
    near = towns + 0.15 * rng.normal(size=(rows, 2))
    anywhere = rng.uniform([47.5, 6.5], [54, 14], (rows, 2))
    amount = np.exp(rng.normal(size=rows))
    return np.column_stack([near, amount]), np.column_stack([anywhere, amount])


def one_cluster(rng: np.random.Generator, rows: int) -> tuple[Rows, Rows]:
    """Twelve correlated columns, and three of them moved."""
    drawn = rng.normal(size=(rows, 3)) @ rng.normal(size=(3, 12))
    drawn += 0.4 * rng.normal(size=(rows, 12))
    moved = drawn.copy()
    for row in moved:
        row[rng.permutation(12)[:3]] += rng.choice([-1, 1], 3) * rng.uniform(1.2, 2.5, 3)
    return drawn, moved


KINDS = {
    "clusters": clusters,
    "modes": modes,
    "moons": moons,
    "hours": hours,
    "places": places,
    "one cluster": one_cluster,
}

if __name__ == "__main__":
    main()
