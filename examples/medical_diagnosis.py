"""Medical diagnosis: how many of the ill are found at a promised rate of false alarms.

    python examples/medical_diagnosis.py [FOLDER]

Cardiotocography (Ayres-de-Campos et al. 2000, as in ADBench): 21 measurements of fetal heart rate
and contractions; suspect and pathological cases are the anomalies. From $ODDSHOT_DATA, by default
../shared/data; where that is absent, scikit-learn's breast cancer, malignant for ill, as the
example then says. A third of the rows is shown, of which 0, 5 and 20 ill are labelled; a third, the
ill taken out and so known to be healthy, sets the threshold: at most one healthy person in twenty
shall be called back. The last third is judged.

FOLDER, by default the current one, gets medical-diagnosis.png: what is found against false alarms.
"""

import os
import sys
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score, roc_curve

from oddshot import FewShotDetector

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
LABELS = (0, 5, 20)
CALLED_BACK = 0.05
STAND_IN = """\
Stand-in data: no Cardiotocography in {data}; scikit-learn's breast cancer takes its place,
malignant for ill and benign for healthy. The text in the file is about the real data.
"""


def main(folder: Path) -> None:
    """Print what is found and what is a false alarm, and draw the curves behind it."""
    rows, ill, real = patients()
    if not real:
        print(STAND_IN.format(data=DATA))
    part = np.random.default_rng(0).permutation(len(rows)) % 3
    shown, judged = part == 0, part == 2
    healthy = rows[(part == 1) & ~ill]
    known = np.flatnonzero(ill[shown])
    print("labels  AUROC  ill found  healthy called back")
    found: dict[int, tuple[NDArray[np.float64], float, float]] = {}
    for count in LABELS:
        labels = np.full(int(shown.sum()), -1)
        labels[known[:count]] = 1
        detector = FewShotDetector().fit(rows[shown], labels)
        detector.calibrate(healthy, np.zeros(len(healthy))).set_threshold(alpha=CALLED_BACK)
        scores = detector.anomaly_score(rows[judged])
        flagged = detector.predict(rows[judged]) == -1
        caught, alarms = flagged[ill[judged]].mean(), flagged[~ill[judged]].mean()
        found[count] = scores, float(alarms), float(caught)
        auroc = roc_auc_score(ill[judged], scores)
        print(f"{count:6}  {auroc:.3f}  {caught:9.2f}  {alarms:19.3f}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "medical-diagnosis.png"
    draw(found, ill[judged], path)
    back = [alarms for _, alarms, _ in found.values()]
    told = (
        f"{len(healthy)} rows known to be healthy set thresholds at which {min(back):.1%} to "
        f"{max(back):.1%} of other healthy ones are called back, where {CALLED_BACK:.0%} were "
        f"promised. At that price {found[0][2]:.0%} of the ill are found without labels, "
        f"{caught:.0%} with {LABELS[-1]}."
    )
    if real:
        told = (
            f"What one learns: {told} So a promise is kept up to sampling error, whatever the "
            "detector has learned; what labels change is how many of the ill are found. Another "
            "threshold needs no other fit. Meta-training of the shipped prior has seen "
            "Cardiotocography."
        )
    print(f"\n{textwrap.fill(told, 98, break_on_hyphens=False)}\nWrote {path}.")


def patients() -> tuple[NDArray[np.float64], NDArray[np.bool_], bool]:
    """Rows, who is ill, and whether these are the real data."""
    path = DATA / "adbench" / "classical" / "Cardiotocography.npz"
    if path.exists():
        with np.load(path) as file:
            return file["X"].astype(float), file["y"] == 1, True
    rows, benign = load_breast_cancer(return_X_y=True)
    return rows, benign == 0, False


def draw(
    found: dict[int, tuple[NDArray[np.float64], float, float]],
    ill: NDArray[np.bool_],
    path: Path,
) -> None:
    """Draw the share of the ill that is found against that of the healthy called back."""
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    ax = figure.subplots()
    for count, (scores, alarms, caught) in found.items():
        false, true, _ = roc_curve(ill, scores)
        (line,) = ax.plot(false, true, label=f"{count} labels")
        ax.plot(alarms, caught, "o", color=line.get_color())
    ax.axvline(CALLED_BACK, color="black", linewidth=0.8, linestyle="--", label="promised")
    ax.set(xlabel="healthy called back", ylabel="ill found")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
