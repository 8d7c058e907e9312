"""How much detectors lose to copies of anomalies, irrelevant columns and wrong labels.

    python benchmarks/robustness.py TABLES --prior runs/without-classical --out runs/robustness

Few-label, k labelled anomalies. Writes what ``oddshot bench`` writes, ``robustness.md`` with the
mean change of AUROC beside the undisturbed runs and the first detector's lead, ``robustness.html``
with the page of `oddshot bench`, and with ``--figure`` the curves. Goes on where it was stopped.

Of 10 labels, a twentieth is half a label: one is wrong with seed 1, none with seed 2, so that these
two seeds have the share right on average.
"""

import argparse
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pandas as pd
from figures import panels

from oddshot.data.collections import load_collection
from oddshot.evaluation.benchmarks import run_benchmark, sample_tables
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import paired_bootstrap
from oddshot.evaluation.protocols import FEW_LABEL
from oddshot.evaluation.robustness import DUPLICATES, IRRELEVANT, LABEL_ERRORS, Disturbance
from oddshot.evaluation.summary import summarise
from oddshot.reports.bench_page import bench_page
from oddshot.reports.tables import markdown_table

DISTURBANCES = (
    *(Disturbance(DUPLICATES, times) for times in (2, 3, 4, 5, 6)),
    *(Disturbance(IRRELEVANT, share) for share in (0.1, 0.25, 0.5)),
    *(Disturbance(LABEL_ERRORS, share) for share in (0.05, 0.1, 0.25)),
)
DETECTORS = (
    "oddshot",
    "blend",
    "knn50",
    "iforest",
    "extra-trees",
    "logistic",
    "devnet",
    "prenet",
    "rosas",
)
AXES = {
    DUPLICATES: ("times that an anomaly occurs", 1.0),
    IRRELEVANT: ("share of irrelevant columns", 0.0),
    LABEL_ERRORS: ("share of wrong labels", 0.0),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and compare."""
    parser = argparse.ArgumentParser(description="Robustness of detectors.")
    parser.add_argument("folder", type=Path, help="tables with labels")
    parser.add_argument("--prior", default="default", help="one that has not seen the tables")
    parser.add_argument("--allow-seen", action="store_true", help="test seen tables all the same")
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS))
    parser.add_argument("--disturb", nargs="+", type=Disturbance.parse, default=list(DISTURBANCES))
    parser.add_argument("--tables", type=int, help="so many, chosen at random; else all")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--max-rows", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figure", type=Path, help="draw the curves")
    given = parser.parse_args(arguments)
    print(f"machine: {machine()}", flush=True)
    tables = load_collection(given.folder)
    results = run_benchmark(
        sample_tables(tables, len(tables) if given.tables is None else given.tables),
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
    scores = by_table(results)
    text = as_markdown(scores, given.detectors)
    (given.out / "robustness.md").write_text(text, encoding="utf-8")
    print(text)
    if given.figure is not None:
        draw(scores, given.detectors, given.figure)


def by_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return AUROC by table (rows) and by disturbance and detector, undisturbed first.

    Only splits count on which every detector finished with every disturbance; a table's splits are
    averaged.
    """
    finished = results[results["error"] == ""]
    wide = finished.pivot(
        index=["collection", "table", "seed"], columns=["protocol", "detector"], values="auroc"
    )
    return wide.dropna().groupby(level=["collection", "table"]).mean()


def as_markdown(scores: pd.DataFrame, detectors: Sequence[str]) -> str:
    """Set changes and leads side by side, with 95% intervals over tables."""
    first, *others = detectors
    plain = pd.DataFrame(scores[FEW_LABEL])
    changes = [["none: AUROC", *(f"{plain[name].mean():.3f}" for name in detectors)]]
    leads = [["none", *_leads(plain, first, others)]]
    for disturbance in disturbances(scores):
        disturbed = pd.DataFrame(scores[f"{FEW_LABEL} {disturbance}"])
        found = (paired_bootstrap(disturbed[name], plain[name]) for name in detectors)
        changes.append([str(disturbance), *map(str, found)])
        leads.append([str(disturbance), *_leads(disturbed, first, others)])
    return (
        f"Change of AUROC, {len(scores)} tables\n\n{markdown_table(['', *detectors], changes)}\n"
        f"AUROC of {first}, and how far it leads\n\n"
        f"{markdown_table(['', first, *others], leads)}\nMachine: {machine()}\n"
    )


def draw(scores: pd.DataFrame, detectors: Sequence[str], path: Path) -> None:
    """Draw each detector's change of AUROC against each kind of disturbance, mean over tables."""
    of_kind = {
        kind: list(group) for kind, group in groupby(disturbances(scores), attrgetter("kind"))
    }
    figure, axes = panels(len(of_kind), width=3.9)
    for ax, (kind, found) in zip(axes, of_kind.items(), strict=True):
        label, nothing = AXES[kind]
        for name in detectors:
            disturbed = (scores[f"{FEW_LABEL} {one}", name] for one in found)
            ax.plot(
                [nothing, *(one.amount for one in found)],
                [0, *((column - scores[FEW_LABEL, name]).mean() for column in disturbed)],
                marker="o",
                markersize=3,
                linewidth=2.5 if name == detectors[0] else 1.2,
                label=name,
            )
        ax.set_xlabel(label)
    axes[0].set_ylabel(f"change of AUROC, mean of {len(scores)} tables")
    axes[-1].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def disturbances(scores: pd.DataFrame) -> list[Disturbance]:
    """Return what `by_table` holds, sorted by kind and amount."""
    protocols = set(scores.columns.get_level_values("protocol")) - {FEW_LABEL}
    found = (Disturbance.parse(protocol.partition(" ")[2]) for protocol in protocols)
    return sorted(found, key=attrgetter("kind", "amount"))


def _leads(scores: pd.DataFrame, first: str, others: Sequence[str]) -> list[str]:
    """Tell the first one's mean, and its lead over each of the others."""
    found = (paired_bootstrap(scores[first], scores[other]) for other in others)
    return [f"{scores[first].mean():.3f}", *map(str, found)]


if __name__ == "__main__":
    main()
