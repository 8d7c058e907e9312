"""Tables whose rows repeat: what their number of copies tells.

    python benchmarks/repeated_rows.py ../shared/data --prior runs/fold0 [--draws 2]

Real: of oddbench and ovrbench the tables of families that the prior has not seen in which half of
the rows have a copy, but not half of them more than ten; at most 1,400 normal rows, and a tenth of
anomalies. 70% are learned from, none, 5 or 20 of their anomalies labelled; the others are judged,
copies of rows learned from among them, as in use: all of them, and those that are new.

Simulated: 700 rows of 80, 160 or 400 different ones, five columns; 5% anomalies are new rows near
these; judged on 500 rows and 80 anomalies.

"Once": Oddshot given each unlabelled row once, as it took them all before.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.preprocessing import StandardScaler

from oddshot import FewShotDetector, Prior
from oddshot.data.collections import TableRef, load_collection
from oddshot.episodes import ANOMALY, UNLABELLED
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.support import MOST_COPIES
from oddshot.reports.tables import markdown_table

NORMAL, LEAST_ODD, ODD = 1400, 45, 0.1
KNOWN = (0, 5, 20)
CONTESTANTS = ("Oddshot", "once", "isolation forest", "kNN, 50", "extra trees")
Trial = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # learned from, labels, judged, truth


def main(arguments: list[str] | None = None) -> None:
    """Print a table of real rows, one of these that are new, and one of simulated ones."""
    parser = argparse.ArgumentParser(description="Tables whose rows repeat.")
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--prior", default="runs/fold0", help="one that has not seen the tables")
    parser.add_argument("--draws", type=int, default=2)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    prior = Prior.find(given.prior)
    print(f"machine: {machine()}\n")
    tables = [
        found
        for folder in ("oddbench", "ovrbench")
        for ref in load_collection(given.data / folder)
        if ref.family not in prior.seen_families and (found := repeated(ref)) is not None
    ]
    whole, new = {}, {}
    for k in KNOWN:
        trials = [t for table in tables for t in real_trials(*table, k, given.draws)]
        whole[f"{len(trials)} trials, k = {k}"] = [judged(prior, *trial) for trial in trials]
        fresh = [without_copies(trial) for trial in trials]
        fresh = [trial for trial in fresh if 0 < trial[3].sum() < len(trial[3])]
        new[f"{len(fresh)} trials, k = {k}"] = [judged(prior, *trial) for trial in fresh]
    print(f"{len(tables)} real tables\n")
    print(tabulated(whole), "\n\nrows that are new\n")
    print(tabulated(new), "\n\nsimulated\n")
    made = {
        f"{kinds} different rows, k = {k}": [
            judged(prior, *simulated(kinds, k, draw)) for draw in range(given.draws)
        ]
        for kinds in (80, 160, 400)
        for k in KNOWN
    }
    print(tabulated(made))


def repeated(ref: TableRef) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows and truth of a table, thinned out, if its rows repeat."""
    table = ref.load()
    rows = Encoder().fit(table.rows).transform(table.rows)
    truth = np.asarray(table.labels) == ANOMALY
    if truth.sum() < LEAST_ODD:
        return None
    rng = np.random.default_rng(0)
    normal, odd = (rng.permutation(np.flatnonzero(truth == side)) for side in (False, True))
    normal = normal[:NORMAL]
    places = np.concatenate([normal, odd[: max(LEAST_ODD, round(ODD * len(normal)))]])
    copies = copies_of(rows[places])
    if (copies > 1).mean() < 0.5 or (copies > MOST_COPIES).mean() >= 0.5:
        return None
    return rows[places], truth[places]


def copies_of(rows: np.ndarray) -> np.ndarray:
    """How often each row (n, p) occurs."""
    _, group, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(counts[group.ravel()])


def real_trials(rows: np.ndarray, truth: np.ndarray, k: int, draws: int) -> Iterator[Trial]:
    """Split at random, copies or not, and label k anomalies."""
    for draw in range(draws):
        places = np.random.default_rng([draw, k]).permutation(len(rows))
        learned, others = np.split(places, [int(0.7 * len(places))])
        odd = learned[truth[learned]]
        if len(odd) >= max(k, 1) and truth[others].sum() >= 5:
            labels = np.full(len(learned), UNLABELLED)
            labels[np.isin(learned, odd[:k])] = ANOMALY
            yield rows[learned], labels, rows[others], truth[others]


def without_copies(trial: Trial) -> Trial:
    """Judge no row that equals one learned from."""
    learned, labels, rows, truth = trial
    known = {row.tobytes() for row in learned}
    new = np.array([row.tobytes() not in known for row in rows])
    return learned, labels, rows[new], truth[new]


def simulated(kinds: int, k: int, draw: int) -> Trial:
    """Rows drawn from a few different ones, and anomalies near these."""
    rng = np.random.default_rng([draw, kinds, k])
    base = rng.normal(size=(kinds, 5))

    def some(count: int, odd: int) -> tuple[np.ndarray, np.ndarray]:
        rows = base[rng.integers(0, kinds, count + odd)]
        rows[count:] += 0.5 * rng.normal(size=(odd, 5))
        return rows, np.arange(count + odd) >= count

    (learned, odd), (rows, truth) = some(665, 35), some(500, 80)
    labels = np.full(len(learned), UNLABELLED)
    labels[np.flatnonzero(odd)[:k]] = ANOMALY
    return learned, labels, rows, truth


def judged(
    prior: Prior, learned: np.ndarray, labels: np.ndarray, rows: np.ndarray, truth: np.ndarray
) -> dict[str, tuple[float, float]]:
    """AUROC and average precision of each contestant."""
    known = labels == ANOMALY
    told = {row.tobytes() for row in learned[known]}
    first = np.zeros(len(learned), dtype=bool)
    first[np.unique(learned, axis=0, return_index=True)[1]] = True
    once = known | (first & np.array([row.tobytes() not in told for row in learned]))
    scores = {
        "Oddshot": FewShotDetector(prior=prior).fit(learned, labels).anomaly_score(rows),
        "once": FewShotDetector(prior=prior).fit(learned[once], labels[once]).anomaly_score(rows),
    }
    scaler = StandardScaler().fit(learned)
    narrow, wide = scaler.transform(learned), scaler.transform(rows)
    forest, near = IForest(random_state=0), KNN(n_neighbors=50)
    scores["isolation forest"] = forest.fit(narrow).decision_function(wide)
    scores["kNN, 50"] = near.fit(narrow).decision_function(wide)
    if known.any():
        trees = ExtraTreesClassifier(300, class_weight="balanced", random_state=0)
        scores["extra trees"] = trees.fit(learned, known).predict_proba(rows)[:, 1]
    return {name: (auroc(truth, s), average_precision(truth, s)) for name, s in scores.items()}


def tabulated(results: dict[str, list[dict[str, tuple[float, float]]]]) -> str:
    """Means of AUROC and average precision."""
    lines = []
    for what, found in results.items():
        cells = []
        for name in CONTESTANTS:
            values = [one[name] for one in found if name in one]
            cells.append("{:.3f}/{:.3f}".format(*np.mean(values, axis=0)) if values else "")
        lines.append([what, *cells])
    return markdown_table(["", *CONTESTANTS], lines)


if __name__ == "__main__":
    main()
