"""What gaps cost: cells taken out of the classical tables at random, which tell nothing.

    python benchmarks/gaps.py ../shared/data [--prior P] [--rows 1500]

Each table (at most so many of its rows, one draw) is judged as it is and with gaps: half of its
columns missing together in 2% or 6% of the rows, as a panel that was not measured; 3% of three
columns; 20% of half of them. Without labels (all rows are given and judged); with normal rows only
(half of these, the rest is judged); with three known anomalies (the others are judged).
Contestants: Oddshot; the same with medians filled in; PyOD's isolation forest and kNN (50
neighbours unlabelled, 5 in clean rows), standardised, with medians filled in and a flag a column.
Means over tables of AUROC/AP; the prior has not seen these.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pyod.models.iforest import IForest
from pyod.models.knn import KNN

from oddshot import FewShotDetector, Prior
from oddshot.data.collections import load_collection
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision
from oddshot.reports.tables import markdown_table

KNOWN = 3
FEWEST = 2  # anomalies that are left to be judged
Rows = np.ndarray
Scored = Callable[[Rows, np.ndarray, Rows], np.ndarray]


def main(arguments: list[str] | None = None) -> None:
    """Judge all tables with all kinds of gaps, then print a row for each kind and contestant."""
    parser = argparse.ArgumentParser(description="What gaps cost.")
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--prior", default="runs/without-classical", help="unaware of the tables")
    parser.add_argument("--rows", type=int, default=1500)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {machine()}\n", flush=True)
    prior = Prior.find(given.prior)
    records = []
    for ref in load_collection(given.data / "adbench" / "classical"):
        table = ref.load()
        labels = np.asarray(table.labels)
        kept = np.random.default_rng(0).permutation(len(labels))[: given.rows]
        rows, labels = np.asarray(table.rows, dtype=np.float64)[kept], labels[kept]
        if labels.sum() < KNOWN + FEWEST:
            continue
        for kind, gap in GAPS.items():
            holes = rows.copy()
            holes[gap(*rows.shape, np.random.default_rng(1))] = np.nan
            records += [(kind, *record) for record in judged(holes, labels, prior)]
    found = pd.DataFrame(records, columns=["gaps", "contestant", "setting", "AUROC", "AP"])
    means = found.groupby(["gaps", "contestant", "setting"], sort=False).mean()
    shown = means.apply(lambda row: f"{row['AUROC']:.3f}/{row['AP']:.3f}", axis=1)
    table = shown.unstack("setting", fill_value="")[[*SETTINGS]]
    lines = [[*place, *cells] for place, cells in zip(table.index, table.to_numpy(), strict=True)]
    print(f"{len(found) // len(means)} tables\n")
    print(markdown_table(["gaps", "contestant", *SETTINGS], lines))


def judged(rows: Rows, labels: np.ndarray, prior: Prior) -> Iterator[tuple[str, str, float, float]]:
    """Give contestant, setting, AUROC and AP of all that is tried on rows (n, d) with gaps."""
    for setting, split in SETTINGS.items():
        given, told, asked = split(labels)
        for name, score in contestants(prior, clean=bool((told == 0).all())).items():
            if setting == KNOWN_SETTING and not name.startswith("Oddshot"):
                continue
            with warnings.catch_warnings(action="ignore"):
                scores = score(rows[given], told, rows[asked])
            yield (
                name,
                setting,
                auroc(labels[asked], scores),
                average_precision(labels[asked], scores),
            )


def contestants(prior: Prior, *, clean: bool) -> dict[str, Scored]:
    """Give, by name, what learns from rows and labels and scores others."""

    def oddshot(rows: Rows, told: np.ndarray, asked: Rows) -> np.ndarray:
        return FewShotDetector(prior=prior, random_state=0).fit(rows, told).anomaly_score(asked)

    def filled_in(rows: Rows, told: np.ndarray, asked: Rows) -> np.ndarray:
        return oddshot(filled(rows, rows), told, filled(rows, asked))

    def peer(make: Callable[[], IForest | KNN]) -> Scored:
        def score(rows: Rows, _: np.ndarray, asked: Rows) -> np.ndarray:
            learned, new = (with_flags(rows, part) for part in (rows, asked))
            return np.asarray(make().fit(learned).decision_function(new))

        return score

    return {
        "Oddshot": oddshot,
        "Oddshot, medians filled in": filled_in,
        "isolation forest": peer(lambda: IForest(random_state=0)),
        "kNN": peer(lambda: KNN(n_neighbors=5 if clean else 50)),
    }


def filled(rows: Rows, others: Rows) -> Rows:
    """Fill gaps of other rows with the medians of rows."""
    return np.where(np.isnan(others), np.nanmedian(rows, axis=0), others)


def with_flags(rows: Rows, others: Rows) -> Rows:
    """Standardise other rows by rows, medians in gaps, and put a flag for each column with gaps."""
    known = filled(rows, rows)
    spread = known.std(axis=0)
    scaled = (filled(rows, others) - known.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.hstack([scaled, np.isnan(others[:, np.isnan(rows).any(axis=0)])])


def panel(share: float) -> Callable[[int, int, np.random.Generator], np.ndarray]:
    """Half of the columns, in a share of the rows."""

    def holes(count: int, width: int, rng: np.random.Generator) -> np.ndarray:
        columns = rng.permutation(width) < max(2, width // 2)
        return (rng.random(count) < share)[:, None] & columns

    return holes


def scattered(share: float, most: int | None) -> Callable[[int, int, np.random.Generator], Rows]:
    """Take a share of the cells of so many columns, or of half of them."""

    def holes(count: int, width: int, rng: np.random.Generator) -> np.ndarray:
        columns = rng.permutation(width) < (max(2, width // 2) if most is None else most)
        return (rng.random((count, width)) < share) & columns

    return holes


def unlabelled(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give which rows are given, what is told of them, and which are asked for."""
    every = np.arange(len(labels))
    return every, np.full(len(labels), -1), every


def normal_only(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do the same for half of the normal rows, and all others."""
    normal = np.flatnonzero(labels == 0)
    given = normal[: len(normal) // 2]
    return given, np.zeros(len(given), dtype=int), np.setdiff1d(np.arange(len(labels)), given)


def few_known(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do the same for all rows, of which three are known to be anomalies, and the others."""
    told = np.full(len(labels), -1)
    told[np.flatnonzero(labels == 1)[:KNOWN]] = 1
    return np.arange(len(labels)), told, np.flatnonzero(told < 0)


GAPS = {
    "none": lambda count, width, _: np.zeros((count, width), dtype=bool),
    "half of the columns in 2% of the rows": panel(0.02),
    "half of the columns in 6% of the rows": panel(0.06),
    "3% of three columns": scattered(0.03, 3),
    "20% of half of the columns": scattered(0.2, None),
}
KNOWN_SETTING = "three known anomalies"
SETTINGS = {"no labels": unlabelled, "normal rows only": normal_only, KNOWN_SETTING: few_known}

if __name__ == "__main__":
    main()
