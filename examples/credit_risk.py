"""Credit risk: defaults are rare, columns are mixed, and somebody asks why.

    python examples/credit_risk.py [FOLDER]

German credit (Hofmann 1994): 20 columns of numbers and categories; from $ODDSHOT_DATA, by default
../shared/data. Bad loans are made rare, one row in ten. Half of the rows are shown, of which 0, 5
and 20 bad loans are labelled; the other half is ranked. No prior has seen the table. Where the data
are absent, scikit-learn's breast cancer stands in, malignant for bad; what is to be learned of
loans it cannot tell, and the example says so.

FOLDER, by default the current one, gets credit-risk.png: how many bad loans are among the first
that are looked at, and the columns that matter.
"""

import os
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score, roc_auc_score

from oddshot import FewShotDetector

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
COLUMNS = (
    "account", "months", "history", "purpose", "amount", "savings", "employed", "rate", "status",
    "guarantor", "resident", "property", "age", "other plans", "housing", "credits", "job",
    "dependents", "telephone", "foreign",
)  # fmt: skip
LABELS = (0, 5, 20)
EXPLAINED = 20
STAND_IN = """\
Stand-in data: no German credit in {data}; scikit-learn's breast cancer takes its place,
a malignant tumour for a bad loan. The text in the file is about the real data.
"""


def main(folder: Path) -> None:
    """Print what labels are worth, explain the first row, and draw."""
    rows, bad, (one, bad_one) = loans()
    real = one == "loan"
    if not real:
        print(STAND_IN.format(data=DATA))
    generator = np.random.default_rng(0)
    rare = generator.permutation(np.flatnonzero(bad))[: int((~bad).sum()) // 9]
    kept = generator.permutation(np.concatenate([np.flatnonzero(~bad), rare]))
    rows, bad = rows.iloc[kept].reset_index(drop=True), bad[kept]
    shown = np.arange(len(rows)) < len(rows) // 2
    known = np.flatnonzero(shown & bad)
    print("labels  AUROC  average precision")
    found: dict[int, NDArray[np.float64]] = {}
    for count in LABELS:
        labels = np.full(len(rows), -1)
        labels[known[:count]] = 1
        detector = FewShotDetector().fit(rows[shown], labels[shown])
        found[count] = scores = detector.anomaly_score(rows[~shown])
        print(
            f"{count:6}  {roc_auc_score(bad[~shown], scores):.3f}  "
            f"{average_precision_score(bad[~shown], scores):.3f}"
        )
    first = rows[~shown].iloc[[int(np.argmax(scores))]]
    (why,) = detector.explain(first, changes=False)
    print(f"\nThe oddest {one}, by", ", ".join(f"{name} = {v}" for name, v, _ in why.top(3)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "credit-risk.png"
    importance = detector.importance(rows[~shown], most=EXPLAINED)
    draw(found, bad[~shown], importance, path, called=(one, bad_one))
    before, after = (roc_auc_score(bad[~shown], found[count]) for count in (0, LABELS[-1]))
    told = (
        f"Without labels the AUROC is {before:.3f}, with {LABELS[-1]} {bad_one}s known {after:.3f}."
    )
    if real:
        told = (
            f"What one learns: a bad loan need not be an odd one. {told} What then speaks for a "
            "bad loan can be read off, in the words of the table: categories go in as they are. "
            "Where classes overlap, a ranking sorts a pile of work; it decides nothing."
        )
    print(f"\n{textwrap.fill(told, 98, break_on_hyphens=False)}\nWrote {path}.")


def loans() -> tuple[pd.DataFrame, NDArray[np.bool_], tuple[str, str]]:
    """Rows, which of them went bad, and what a row and a bad one are called."""
    path = DATA / "mixed" / "german_credit.csv"
    if path.exists():
        rows = pd.read_csv(path, header=None, names=[*COLUMNS, "bad"])
        bad = rows.pop("bad").to_numpy() == 2
        return rows, bad, ("loan", "bad loan")
    tumours = load_breast_cancer(as_frame=True)
    return tumours.data, tumours.target.to_numpy() == 0, ("tumour", "malignant tumour")


def draw(
    found: dict[int, NDArray[np.float64]],
    bad: NDArray[np.bool_],
    importance: "pd.Series[float]",
    path: Path,
    *,
    called: tuple[str, str],
) -> None:
    """Draw the share of bad rows found against the share looked at; and what matters."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    looked = np.arange(1, len(bad) + 1) / len(bad)
    for count, scores in found.items():
        caught = np.cumsum(bad[np.argsort(-scores, kind="stable")]) / bad.sum()
        left.plot(looked, caught, label=f"{count} labels")
    left.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--", label="by chance")
    left.set(xlabel=f"share of {called[0]}s looked at", ylabel=f"share of {called[1]}s found")
    left.legend(frameon=False)
    top = importance.head(8)[::-1]
    right.barh([str(name) for name in top.index], top.to_numpy(), color="#4878a8")
    right.set(xlabel="mean contribution to a score", title=f"What matters, {LABELS[-1]} labels")
    right.locator_params(axis="x", nbins=5)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
