"""What labels on normal rows are worth, beside few labelled anomalies and unlabelled rows.

    python benchmarks/known_normal.py ../shared/data [--priors runs] [--out runs/known-normal]

The tables of `labelling.py` (21 classical ones, 19 of oddbench and ovrbench), each with a prior
that has not seen its family. The few-label protocol, one split, at most 1,000 rows; of the normal
rows that are unlabelled, some drawn at random are labelled. Judged on held-out rows, against the
same detector without these labels. Every table's figures are kept in the folder of --out, and a
run goes on where it was stopped.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from labelling import MOST_ROWS, chosen, options

from oddshot import FewShotDetector, OddshotError, Prior
from oddshot.episodes import NORMAL, UNLABELLED, Table
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision, paired_bootstrap
from oddshot.evaluation.protocols import few_label
from oddshot.reports.tables import markdown_table

KNOWN, NORMALS = (0, 1, 5), (0, 5, 20, 100)


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, then print the table."""
    parser = options("What labels on normal rows are worth.", out="runs/known-normal")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, prior, load in chosen(given):
        path = given.out / f"{name.replace('/', '_')}.csv"
        if not path.exists():
            pd.DataFrame(run(load(), prior)).assign(table=name).to_csv(path, index=False)
            print(name, flush=True)
    files = [f for f in sorted(given.out.glob("*.csv")) if f.stat().st_size > len("table\n") + 20]
    print(f"\nmachine: {machine()}\n")
    print(summary(pd.concat(map(pd.read_csv, files), ignore_index=True)))


def run(table: Table, prior: Prior) -> Iterator[dict[str, float]]:
    """Figures for every number of labels; none where a table has too few anomalies or rows."""
    for known in KNOWN:
        try:
            trial = few_label(table, k=known, seed=1, max_rows=MOST_ROWS)
        except OddshotError:
            continue
        free = np.flatnonzero((trial.truth_train == NORMAL) & (trial.y_train == UNLABELLED))
        free = np.random.default_rng(0).permutation(free)
        if len(free) <= max(NORMALS):
            continue
        for normal in NORMALS:
            labels = np.array(trial.y_train)
            labels[free[:normal]] = NORMAL
            detector = FewShotDetector(prior=prior, random_state=0).fit(trial.X_train, labels)
            scores = detector.anomaly_score(trial.X_test)
            flagged, odd = scores > detector.threshold_, trial.y_test == 1
            yield {
                "known": known,
                "normal": normal,
                "auroc": auroc(trial.y_test, scores),
                "ap": average_precision(trial.y_test, scores),
                "false": float(flagged[~odd].mean()),
                "found": float(flagged[odd].mean()),
            }


def summary(found: pd.DataFrame) -> str:
    """Means over tables, and differences to no label on a normal row."""
    lines = []
    for known, part in found.groupby("known"):
        by = {what: part.pivot(index="table", columns="normal", values=what) for what in
              ("auroc", "ap", "false", "found")}  # fmt: skip
        for normal in NORMALS:
            gains = [
                str(paired_bootstrap(by[what][normal], by[what][0])) if normal else ""
                for what in ("auroc", "ap")
            ]
            means = [by[what][normal].mean() for what in by]
            lines.append(
                [f"{known}, {normal}", str(len(by["ap"])), f"{means[0]:.3f}/{means[1]:.3f}", *gains,
                 f"{100 * means[2]:.1f}%", f"{100 * means[3]:.1f}%"]
            )  # fmt: skip
    return markdown_table(
        ["labelled anomalies, normal rows", "tables", "AUROC/AP", "AUROC gained", "AP gained",
         "normal rows flagged", "anomalies flagged"],
        lines,
    )  # fmt: skip


if __name__ == "__main__":
    main()
