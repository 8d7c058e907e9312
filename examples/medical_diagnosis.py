"""Medical diagnosis: how many of the ill are found at a promised rate of false alarms.

    python examples/medical_diagnosis.py [FOLDER]

Cardiotocography (Ayres-de-Campos et al. 2000, as in ADBench): 21 measurements of fetal heart rate
and contractions; suspect and pathological cases are the anomalies. From $ODDSHOT_DATA, by default
../shared/data; where that is absent, scikit-learn's breast cancer, malignant for ill. A third of
the rows is shown, of which 0, 5 and 20 ill are labelled; a third, known to be healthy but for the
ill taken out, sets the threshold: at most one healthy person in twenty shall be called back. The
last third is judged.

FOLDER, by default the current one, gets medical-diagnosis.png: what is found against false alarms.
"""

import os
import sys
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


def main(folder: Path) -> None:
    """Print what is found and what is a false alarm, and draw the curves behind it."""
    rows, ill = patients()
    part = np.random.default_rng(0).permutation(len(rows)) % 3
    shown, judged = part == 0, part == 2
    healthy = rows[(part == 1) & ~ill]
    known = np.flatnonzero(ill[shown])
    print("labels  AUROC  ill found  healthy called back")
    found: dict[int, tuple[NDArray[np.float64], float]] = {}
    for count in LABELS:
        labels = np.full(int(shown.sum()), -1)
        labels[known[:count]] = 1
        detector = FewShotDetector().fit(rows[shown], labels)
        detector.calibrate(healthy, np.zeros(len(healthy))).set_threshold(alpha=CALLED_BACK)
        scores = detector.anomaly_score(rows[judged])
        flagged = detector.predict(rows[judged]) == -1
        caught, alarms = flagged[ill[judged]].mean(), flagged[~ill[judged]].mean()
        found[count] = scores, float(alarms)
        auroc = roc_auc_score(ill[judged], scores)
        print(f"{count:6}  {auroc:.3f}  {caught:9.2f}  {alarms:19.3f}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "medical-diagnosis.png"
    draw(found, ill[judged], path)
    print(
        f"\nWhat one learns: {len(healthy)} rows known to be healthy keep the promise of "
        f"{CALLED_BACK:.0%} false alarms up to sampling error, whatever\nthe detector has learned. "
        "What labels change is how many of the ill are found at that price: "
        f"{caught:.0%} with {LABELS[-1]} labels.\nAnother threshold needs no other fit.\n"
        f"Meta-training of the shipped prior has seen Cardiotocography. Wrote {path}."
    )


def patients() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rows, and who is ill."""
    path = DATA / "adbench" / "classical" / "Cardiotocography.npz"
    if path.exists():
        with np.load(path) as file:
            return file["X"].astype(float), file["y"] == 1
    rows, benign = load_breast_cancer(return_X_y=True)
    return rows, benign == 0


def draw(
    found: dict[int, tuple[NDArray[np.float64], float]], ill: NDArray[np.bool_], path: Path
) -> None:
    """Draw the share of the ill that is found against that of the healthy called back."""
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    ax = figure.subplots()
    for count, (scores, alarms) in found.items():
        false, true, _ = roc_curve(ill, scores)
        (line,) = ax.plot(false, true, label=f"{count} labels")
        ax.plot(alarms, np.interp(alarms, false, true), "o", color=line.get_color())
    ax.axvline(CALLED_BACK, color="black", linewidth=0.8, linestyle="--", label="promised")
    ax.set(xlabel="healthy called back", ylabel="ill found")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
