"""How much detectors lose to copies of anomalies, irrelevant columns and wrong labels.

    python benchmarks/robustness.py TABLES --prior runs/without-classical --out runs/robustness

Few-label, k labelled anomalies, a few tables chosen at random. Writes what ``oddshot bench``
writes, ``robustness.md`` with the mean loss of AUROC beside the undisturbed runs, and
``robustness.html`` with the curves. Goes on where it was stopped.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from oddshot.data.collections import load_collection
from oddshot.evaluation.benchmarks import machine, run_benchmark, sample_tables, summarise
from oddshot.evaluation.metrics import paired_bootstrap
from oddshot.evaluation.protocols import FEW_LABEL
from oddshot.evaluation.robustness import DUPLICATES, IRRELEVANT, LABEL_ERRORS, Disturbance
from oddshot.reports.bench_page import bench_page
from oddshot.reports.tables import markdown_table

DISTURBANCES = (
    *(Disturbance(DUPLICATES, times) for times in (2, 3, 4, 5, 6)),
    *(Disturbance(IRRELEVANT, share) for share in (0.1, 0.25, 0.5)),
    *(Disturbance(LABEL_ERRORS, share) for share in (0.05, 0.1, 0.25)),
)
DETECTORS = ("oddshot", "blend", "knn50", "iforest", "catboost", "extra-trees", "logistic")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and compare."""
    parser = argparse.ArgumentParser(description="Robustness of detectors.")
    parser.add_argument("folder", type=Path, help="tables with labels")
    parser.add_argument("--prior", default="default", help="one that has not seen the tables")
    parser.add_argument("--allow-seen", action="store_true", help="test seen tables all the same")
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS))
    parser.add_argument("--disturb", nargs="+", type=Disturbance.parse, default=list(DISTURBANCES))
    parser.add_argument("--tables", type=int, default=8)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--max-rows", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    print(f"machine: {machine()}", flush=True)
    results = run_benchmark(
        sample_tables(load_collection(given.folder), given.tables),
        out=given.out,
        protocols=(FEW_LABEL,),
        ks=(given.k,),
        seeds=given.seeds,
        disturbances=given.disturb,
        peers=given.detectors,
        prior=given.prior,
        allow_seen=given.allow_seen,
        jobs=given.jobs,
        max_rows=given.max_rows,
    )
    page = bench_page(summarise(results, reference=given.detectors[0]), title="Robustness")
    (given.out / "robustness.html").write_text(page, encoding="utf-8")
    text = as_markdown(results, given.detectors)
    (given.out / "robustness.md").write_text(text, encoding="utf-8")
    print(text)


def as_markdown(results: pd.DataFrame, detectors: Sequence[str]) -> str:
    """Set changes of AUROC side by side, with 95% intervals over the tables that all finished."""
    finished = results[results["error"] == ""]
    scores = finished.pivot_table(
        index=["collection", "table"], columns=["protocol", "detector"], values="auroc"
    )
    scores = scores.dropna()
    rows = [["none: AUROC", *(f"{scores[FEW_LABEL, name].mean():.3f}" for name in detectors)]]
    for protocol in dict.fromkeys(results["protocol"]):
        if protocol != FEW_LABEL:
            changes = (
                paired_bootstrap(scores[protocol, name], scores[FEW_LABEL, name])
                for name in detectors
            )
            rows.append([protocol.partition(" ")[2], *map(str, changes)])
    table = markdown_table(["", *detectors], rows)
    return f"Change of AUROC, {len(scores)} tables\n\n{table}\nMachine: {machine()}\n"


if __name__ == "__main__":
    main()
