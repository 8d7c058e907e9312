"""``oddshot demo``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oddshot.cli.console import console_of_stdout, progress_bar, say
from oddshot.cli.options import PriorPath, Seed
from oddshot.cli.outputs import make_folder
from oddshot.errors import SettingError

if TYPE_CHECKING:
    from rich.console import Console

    from oddshot.evaluation.demonstration import Demonstration


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(
        "demo-output"
    ),
    seed: Seed = 0,
    prior: PriorPath = "default",
) -> None:
    """Show on real data what no label, 5 and 20 labels give. Takes well under a minute."""
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.evaluation.demonstration import demonstrate
    from oddshot.priors import Prior
    from oddshot.reports.figures import draw_demo
    from oddshot.reports.writing import write_file

    make_folder(f"--out {out}", out)
    console = console_of_stdout()
    adapted = Prior.find(prior)
    with progress_bar("Fitting") as advance:
        found = demonstrate(
            lambda seed: FewShotDetector(prior=adapted, random_state=seed),
            seed=seed,
            progress=advance,
        )
    _tell_demo(console, found, seen=found.table.family in adapted.seen_families)
    write_file(out / "scores.csv", found.scored.to_csv(index=False))
    try:
        draw_demo(found, out / "demo.png")
    except SettingError as missing:  # matplotlib: all but the picture is there without it
        say(console, f"Wrote {out / 'scores.csv'}, but no picture: {missing}")
    else:
        say(console, f"Wrote {out / 'scores.csv'} and {out / 'demo.png'}.")


def _tell_demo(console: "Console", found: "Demonstration", *, seen: bool) -> None:
    from rich.table import Table

    from oddshot.evaluation.demonstration import LABELS, OWN

    rows, anomalies = len(found.table.rows), found.anomalies
    splits = found.runs["split"].nunique()
    console.print(
        f"Real data: {rows} breast tumours from scikit-learn's copy of the Wisconsin data, "
        f"{found.table.rows.shape[1]} measurements each. {anomalies} are malignant; benign ones "
        f"are the normal case here. The prior has {'SEEN' if seen else 'never seen'} this table.\n"
        f"In each of {splits} splits a detector learns from 70% of the rows and ranks the other "
        "30%. It is told the labels of 0, 5 or 20 malignant tumours and of nothing else.\n"
    )
    table = Table(title="Held-out rows, mean of all splits", title_justify="left")
    for name in ("detector", "labels", "AUROC", "average precision", "malignant among the first n"):
        table.add_column(name, justify="left" if name == "detector" else "right")
    for name, k in [*((name, 0) for name in found.plain), *((OWN, k) for k in LABELS)]:
        table.add_row(
            name,
            str(k),
            f"{found.mean(name, k, 'auroc'):.3f}",
            f"{found.mean(name, k, 'ap'):.3f}",
            f"{found.mean(name, k, 'found'):.0%}",
            style="bold" if name == OWN else "",
        )
    console.print(table)
    console.print("(n = number of malignant tumours among the held-out rows)\n")
    best = found.plain[0]
    console.print(f"Against the best of the three on average ({best}):")
    for k in LABELS:
        gains = [found.mean(OWN, k, m) - found.mean(best, 0, m) for m in ("auroc", "ap")]
        console.print(f"  {k:>2} labels: AUROC {gains[0]:+.3f}, average precision {gains[1]:+.3f}")
    console.print()
    for k in (LABELS[0], LABELS[-1]):
        column = f"anomaly_score_{k}_labels"
        first = found.scored.sort_values(column, ascending=False).head(10)
        marks = " ".join("malignant" if odd else "benign" for odd in first["malignant"])
        console.print(f"First split, the ten oddest held-out rows with {k} labels: {marks}")
    console.print()
