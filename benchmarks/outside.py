"""How many rows are found that hold one cell outside of all that its column has held.

    python benchmarks/outside.py ../shared/data [--tables 24] [--rows 50]

One cell of rows that are no anomalies, and that no detector was fitted to, is changed: a number to
one that lies 1, 10 or 1,000 times the column's range beyond its end, a level to one that was never
seen, a cell to a gap where there was none. A row is found if its score is above those of 98% of
held-out rows as they were, so that all contestants have the same 2% of false alarms; "threshold" is
Oddshot's own one. The contestants: Oddshot, its score by coordinates alone, as it was without a
look at single cells (`oddshot.mapping.outside`), and PyOD's detectors on the same encoded rows.

Tables are classical ones, oddbench ones and mixed ones that the prior of each has not seen; rows
to fit hold what anomalies they hold, unlabelled. Figures are means over tables.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from explanation import COLLECTIONS, is_number, set_apart, unseen

from oddshot import FewShotDetector, Prior
from oddshot.evaluation.machine import machine
from oddshot.evaluation.peers import find_peers
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.reports.tables import markdown_table

PEERS = ("aae", "iforest", "ecod", "hbos", "knn", "lof")
RANGES = (1, 10, 1000)
FALSE_ALARMS = 0.02
Score = Callable[[pd.DataFrame], np.ndarray]


def main(arguments: list[str] | None = None) -> None:
    """Run all tables, then print a row for each contestant."""
    parser = argparse.ArgumentParser(description="Is a cell outside of all others found?")
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--priors", type=Path, default=Path("runs"), help="folder of priors")
    parser.add_argument("--prior", help="one prior for all collections, in place of --priors")
    parser.add_argument("--tables", type=int, default=24, help="at most, of each collection")
    parser.add_argument("--rows", type=int, default=50, help="to change, of each kind and table")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {machine()}\n")
    found = [
        record | {"collection": collection, "table": name}
        for collection, (folder, prior_name) in COLLECTIONS.items()
        for prior in [Prior.find(given.prior or given.priors / prior_name)]
        for name, make in unseen(given.data / folder, prior, given.tables, given.seed)
        for record in run(*make(), prior, given.rows, given.seed)
    ]
    print(summary(pd.DataFrame(found)))


def run(
    rows: pd.DataFrame, labels: np.ndarray, prior: Prior, count: int, seed: int
) -> Iterator[dict]:
    """Fit all contestants to one table; give the share found, by contestant and kind."""
    generator = np.random.default_rng(seed)
    train, _, held = set_apart(rows, labels, generator)
    detector = FewShotDetector(prior=prior, random_state=seed).fit(train)
    contestants = {"oddshot": detector.anomaly_score, **others(detector, train, seed)}
    kinds = dict(changed(held.iloc[:count], train, detector, generator))
    for name, score in contestants.items():
        bar = np.quantile(score(held), 1 - FALSE_ALARMS)
        for kind, rows_of_kind in kinds.items():
            share = float((score(rows_of_kind) > bar).mean())
            yield {"contestant": name, "kind": kind, "share": share}
    for kind, rows_of_kind in {"false alarms": held, **kinds}.items():
        share = float((detector.anomaly_score(rows_of_kind) > detector.threshold_).mean())
        yield {"contestant": "oddshot, threshold", "kind": kind, "share": share}


def others(detector: FewShotDetector, train: pd.DataFrame, seed: int) -> dict[str, Score]:
    """Oddshot's score by coordinates alone, and the peers."""
    table, encoder = detector._fitted, Encoder().fit(train)
    scores: dict[str, Score] = {
        "oddshot, coordinates alone": lambda rows: table._judge.told(*table.seen(rows)[1::-1])
    }
    encoded, unlabelled = encoder.transform(train), np.full(len(train), -1, dtype=np.int8)
    for peer in find_peers(PEERS):
        fitted = peer.fit(encoded, unlabelled, seed=seed)
        scores[peer.name] = lambda rows, fitted=fitted: fitted(encoder.transform(rows))
    return scores


def changed(
    rows: pd.DataFrame, train: pd.DataFrame, detector: FewShotDetector, rng: np.random.Generator
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Change one cell of every row, in each way that the columns allow."""
    kinds = {note.column: note.kind for note in detector.column_report_ if note.used}
    numbers = [c for c, kind in kinds.items() if kind == "number" and is_number(train[c])]
    levels = [c for c, kind in kinds.items() if kind == "category" and not is_number(train[c])]
    whole = [c for c in numbers if train[c].notna().all()]
    spans = train[numbers].max() - train[numbers].min()

    def replaced(columns: list[str], value: Callable[[str], object]) -> pd.DataFrame:
        new = rows.copy()
        for at, column in enumerate(rng.choice(columns, len(rows))):
            new.iloc[at, new.columns.get_loc(column)] = value(column)
        return new

    for times in RANGES if numbers else ():
        yield (
            f"{times:,} ranges",
            replaced(numbers, lambda c, times=times: train[c].max() + times * spans[c]),
        )
    if levels:
        yield "level", replaced(levels, lambda _: "never seen")
    if whole:
        yield "gap", replaced(whole, lambda _: np.nan)


def summary(found: pd.DataFrame) -> str:
    """Tabulate means over tables, a section for each collection."""
    sections = []
    for collection, part in found.groupby("collection", sort=False):
        kinds = [k for k in dict.fromkeys(part["kind"]) if k != "false alarms"]
        means = part.pivot_table("share", "contestant", "kind", sort=False)
        tables = part["table"].nunique()
        lines = [[name, *(percent(means.at[name, kind]) for kind in kinds)] for name in means.index]
        alarms = percent(means.at["oddshot, threshold", "false alarms"])
        head = [f"% of rows, {tables} {collection} tables", *kinds]
        told = f"False alarms at the threshold: {alarms}%."
        sections.append(f"{markdown_table(head, lines)}\n{told}\n")
    return "\n".join(sections)


def percent(share: float) -> str:
    """Write a share in percent."""
    return "" if np.isnan(share) else f"{100 * share:.1f}"


if __name__ == "__main__":
    main()
