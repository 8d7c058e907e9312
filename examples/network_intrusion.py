"""Network intrusion: labels of one category of attack, and attacks of a category never seen.

    python examples/network_intrusion.py [FOLDER]

NSL-KDD (Tavallaee et al. 2009): connections described by 41 columns of numbers and words, attacks
of four categories: denial of service (dos), probing (probe), from outside (r2l), to root (u2r).
From $ODDSHOT_DATA, by default ../shared/data; where that is absent, scikit-learn's digits: 0 to 6
are normal, 7, 8 and 9 three categories, as the example then says. Traffic with a few attacks of the
first category is shown, ten of them labelled. Then unseen traffic is ranked, with attacks of every
category. Extra trees, trained on the same rows and labels, do the same.

FOLDER, by default the current one, gets network-intrusion.png: the AUROC by category.
"""

import os
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier

from oddshot import FewShotDetector
from oddshot.episodes import Table
from oddshot.evaluation.novel_types import TypedTable, judge, nsl_kdd
from oddshot.evaluation.protocols import novel_type
from oddshot.mapping.encoding.encoder import Encoder

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
NORMAL_ROWS, LABELS = 3000, 10
STAND_IN = """\
Stand-in data: no NSL-KDD in {data}; scikit-learn's digits take its place, 0 to 6 for normal
traffic, 7, 8 and 9 for three categories of attack. The text in the file is about the real data.
"""


def main(folder: Path) -> None:
    """Print AUROC by category for three detectors, and draw it."""
    real = (DATA / "nsl_kdd").is_dir()
    if not real:
        print(STAND_IN.format(data=DATA))
    traffic = connections()
    seen = traffic.kinds[0]
    trial = novel_type(
        traffic.table, traffic.types, seen=seen, k=LABELS, seed=0, max_normal=NORMAL_ROWS
    )
    rows, labels, test = trial.trial.X_train, trial.trial.y_train, trial.trial.X_test
    encoder = Encoder().fit(rows)
    trees = ExtraTreesClassifier(class_weight="balanced", random_state=0)
    trees.fit(encoder.transform(rows), labels == 1)
    scores = {
        "extra trees, 10 labels": trees.predict_proba(encoder.transform(test))[:, 1],
        "Oddshot, no labels": FewShotDetector().fit(rows).anomaly_score(test),
        "Oddshot, 10 labels": FewShotDetector().fit(rows, labels).anomaly_score(test),
    }
    found = pd.DataFrame(
        {name: {one["type"]: one["auroc"] for one in judge(trial, s)} for name, s in scores.items()}
    )
    print(f"AUROC by category, labels of {seen!r} alone\n\n{found.round(3).to_string()}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "network-intrusion.png"
    draw(found, seen, path)
    new = found.drop(index=seen).mean()
    told = (
        f"On the new categories extra trees have a mean AUROC of {new.iloc[0]:.3f}, Oddshot "
        f"without a label {new.iloc[1]:.3f}, with labels of {seen} {new.iloc[2]:.3f}; on {seen} "
        f"itself the labels take Oddshot from {found.loc[seen].iloc[1]:.3f} to "
        f"{found.loc[seen].iloc[2]:.3f}."
    )
    if real:
        told = (
            "What one learns: a classifier learns the attacks it is shown and misses others; a "
            f"detector of what is odd finds them without a label. {told} What labels may cost on "
            "new categories is bounded by `novel`, see docs/novel-types.md. Meta-training of the "
            "shipped prior has seen tables of the same family (http and smtp)."
        )
    else:
        told += " Meta-training of the shipped prior has seen digits of the same source."
    print(f"\n{textwrap.fill(told, 98, break_on_hyphens=False)}\nWrote {path}.")


def connections() -> TypedTable:
    """Rows, and the category of each attack."""
    if (DATA / "nsl_kdd").is_dir():
        return nsl_kdd(DATA / "nsl_kdd")
    rows, digit = load_digits(return_X_y=True)
    types = np.where(digit > 6, np.char.add("digit ", digit.astype(str)), "")
    return TypedTable(Table("digits", rows, (digit > 6).astype(np.int8)), types)


def draw(found: pd.DataFrame, seen: str, path: Path) -> None:
    """Draw a group of bars for each category."""
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    ax = figure.subplots()
    places: NDArray[np.float64] = np.arange(len(found)) * 1.0
    for number, (name, values) in enumerate(found.items()):
        ax.bar(places + 0.27 * (number - 1), values, width=0.25, label=name)
    names = [f"{kind} (seen)" if kind == seen else f"{kind} (new)" for kind in found.index]
    ax.axhline(0.5, color="black", linewidth=0.8, linestyle="--")
    ax.set(xticks=places, xticklabels=names, ylabel="AUROC (dashed: by chance)", ylim=(0, 1.02))
    ax.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.15))
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
