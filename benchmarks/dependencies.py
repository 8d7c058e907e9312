"""What is seen of rows in which columns no longer go together.

    python benchmarks/dependencies.py ../shared/data --prior runs/without-classical [--draws 3]

Simulated: one column follows another, or two, by a line, a tent, a wave or a product, with noise of
0.1 or 0.3 standard deviations; four columns beside these, or 15, are noise alone. Of the anomalies
that column is drawn by itself. 1,000 rows are learned from, all known to be normal, or unlabelled
with 30 anomalies among them, five of these known; 500 rows and 60 anomalies are judged.

Planted: of the classical tables of numbers, half of at most 2,000 different normal rows are learned
from as such; the other half is judged, among a fifth as many rows in which a single cell, or every
cell by itself, is of another row.

"mixture": scikit-learn's, of 1 to 8 Gaussians by BIC, on standardised columns. Means of AUROC and
average precision over draws, or over tables.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from oddshot import FewShotDetector, Prior
from oddshot.data.collections import load_collection
from oddshot.data.synthetic import plant
from oddshot.episodes import Table
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision
from oddshot.reports.tables import markdown_table

SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "line": lambda x, _: x,
    "tent": lambda x, _: np.abs(x),
    "wave": lambda x, _: np.sin(2 * x),
    "product": lambda x, z: x * z,
}
NOISE = (0.1, 0.3)
BESIDE = (4, 15)
ROWS, HIDDEN, KNOWN = 1000, 30, 5
NORMAL, ODD = 500, 60
MOST, LEAST, WIDEST = 2000, 200, 48  # of real tables: rows, and columns
Trial = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # learned from, labels, judged, truth
Figures = dict[str, list[tuple[float, float]]]


def main(arguments: list[str] | None = None) -> None:
    """Print the simulated tables and the planted ones."""
    parser = argparse.ArgumentParser(description="Rows in which columns no longer go together.")
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--prior", default="runs/without-classical", help="unaware of the tables")
    parser.add_argument("--draws", type=int, default=3)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {machine()}\n")
    prior = Prior.find(given.prior)
    print(simulated(prior, given.draws), "\n")
    if (given.data / "adbench" / "classical").is_dir():
        tables = [ref.load() for ref in load_collection(given.data / "adbench" / "classical")]
        print(planted(prior, tables))


def simulated(prior: Prior, draws: int) -> str:
    """Compare on shapes, with normal rows only and with five labels."""
    lines = []
    for known in (0, KNOWN):
        for shape in SHAPES:
            for noise in NOISE:
                for beside in BESIDE:
                    figures: Figures = {}
                    for draw in range(draws):
                        rng = np.random.default_rng(draw)
                        add(figures, prior, followed(rng, shape, noise, beside, known))
                    setting = "five labels" if known else "normal rows"
                    lines.append((setting, shape, f"{noise:g}", str(beside), figures))
    return tabulated(("learned from", "shape", "noise", "beside"), lines)


def followed(rng: np.random.Generator, shape: str, noise: float, beside: int, known: int) -> Trial:
    """Draw a trial in which the second column follows the first, and the third where two count."""

    def drawn(count: int) -> np.ndarray:
        rows = rng.normal(size=(count, 3 + beside))
        rows[:, 1] = SHAPES[shape](rows[:, 0], rows[:, 2]) + noise * rows[:, 1]
        return rows

    def broken(count: int) -> np.ndarray:
        rows = drawn(count)
        rows[:, 1] = rng.permutation(drawn(count)[:, 1])
        return rows

    judged = np.concatenate([drawn(NORMAL), broken(ODD)]), np.repeat([0, 1], [NORMAL, ODD])
    if not known:
        return drawn(ROWS), np.zeros(ROWS, dtype=int), *judged
    labels = np.full(ROWS + HIDDEN, -1)
    labels[-known:] = 1
    return np.concatenate([drawn(ROWS), broken(HIDDEN)]), labels, *judged


def planted(prior: Prior, tables: list[Table]) -> str:
    """Compare on rows of real tables of which cells are drawn by themselves."""
    one, every = Figures(), Figures()
    for table in tables:
        rows = normal_rows(table)
        if len(rows) < LEAST or not 3 <= rows.shape[1] <= WIDEST:
            continue
        rng = np.random.default_rng(0)
        half = len(rows) // 2
        learned, others = rows[:half], rows[half:]
        odd = others[rng.integers(len(others), size=half // 5)]
        at = np.arange(len(odd)), rng.integers(rows.shape[1], size=len(odd))
        odd[at] = others[rng.integers(len(others), size=len(odd)), at[1]]
        drawn = np.asarray(plant(others, "dependency", len(odd), rng))
        for figures, anomalies in ((one, odd), (every, drawn)):
            judged = np.concatenate([others, anomalies])
            truth = np.repeat([0, 1], [len(others), len(anomalies)])
            add(figures, prior, (learned, np.zeros(half, dtype=int), judged, truth))
    count = str(len(next(iter(one.values()), [])))
    return tabulated(
        ("tables", "of another row"), [(count, "one cell", one), (count, "every cell", every)]
    )


def normal_rows(table: Table) -> np.ndarray:
    """Different normal rows in random order, at most 2,000 of a table's."""
    rows = np.asarray(table.rows, dtype=np.float64)[np.asarray(table.labels) == 0]
    rng = np.random.default_rng(0)
    different = np.unique(rows[rng.permutation(len(rows))[:MOST]], axis=0)
    return different[rng.permutation(len(different))]


def add(figures: Figures, prior: Prior, trial: Trial) -> None:
    """Judge all contestants on a trial."""
    learned, labels, rows, truth = trial
    for name, scores in scored(prior, learned, labels, rows):
        figures.setdefault(name, []).append(
            (auroc(truth, scores), average_precision(truth, scores))
        )


def scored(
    prior: Prior, learned: np.ndarray, labels: np.ndarray, rows: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Fit every contestant and score rows; "trees" where there are labels, else detectors."""
    yield "Oddshot", FewShotDetector(prior=prior).fit(learned, labels).anomaly_score(rows)
    scaler = StandardScaler().fit(learned)
    learned, rows = scaler.transform(learned), scaler.transform(rows)
    yield "mixture", -chosen_mixture(learned).score_samples(rows)
    for name, model in (
        ("kNN", KNN(n_neighbors=5)),
        ("LOF", LOF(n_neighbors=20)),
        ("isolation forest", IForest(random_state=0)),
    ):
        yield name, model.fit(learned).decision_function(rows)
    if (labels == 1).any():
        trees = ExtraTreesClassifier(500, class_weight="balanced", random_state=0)
        yield "extra trees", trees.fit(learned, labels == 1).predict_proba(rows)[:, 1]


def chosen_mixture(rows: np.ndarray) -> GaussianMixture:
    """Fit mixtures of 1, 2, 4 and 8 Gaussians; give the one of the lowest BIC."""
    fits = [
        GaussianMixture(count, reg_covar=1e-3, max_iter=200, random_state=0).fit(rows)
        for count in (1, 2, 4, 8)
    ]
    return min(fits, key=lambda fit: fit.bic(rows))


def tabulated(head: tuple[str, ...], lines: list[tuple]) -> str:
    """Write means of both figures, a column for each contestant."""
    names = list(dict.fromkeys(name for *_, figures in lines for name in figures))
    cells = []
    for *setting, figures in lines:
        means = [np.mean(figures[name], axis=0) if name in figures else None for name in names]
        cells.append([*setting, *("" if m is None else f"{m[0]:.2f}/{m[1]:.2f}" for m in means)])
    return markdown_table([*head, *names], cells)


if __name__ == "__main__":
    main()
