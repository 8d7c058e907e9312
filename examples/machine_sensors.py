"""Machine sensors: learn how a machine runs, then watch it.

    python examples/machine_sensors.py [FOLDER]

SKAB (Katser and Kozitsin 2020): a water circuit with eight sensors, read once a second; a valve is
closed on the way. From $ODDSHOT_DATA, by default ../shared/data. The first 400 seconds, known to be
normal, are what `SeriesDetector` learns from; it then judges windows of ten seconds. No prior has
seen these data. Where they are absent, rows of scikit-learn's breast cancer stand in for seconds:
benign ones, and a stretch of malignant ones.

FOLDER, by default the current one, gets machine-sensors.png: the scores over time.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from oddshot import SeriesDetector

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
RUNS = ("valve1_0", "valve1_2", "valve1_5", "valve1_8")
WINDOW = 10
FALSE_ALARMS = 0.01


def main(folder: Path) -> None:
    """Print how soon each fault is seen, and draw the last run."""
    print("run         AUROC  seconds to the alarm  alarms before, per 100 s")
    found = []
    for name, rows, faulty, learn in machines():
        detector = SeriesDetector(window=WINDOW).fit(rows[:learn], np.zeros(learn))
        detector.set_threshold(alpha=FALSE_ALARMS)
        watched = detector.anomaly_score(rows[learn - WINDOW + 1 :])[WINDOW - 1 :]
        later = faulty[learn:]
        alarm, start = watched > detector.threshold_, int(np.argmax(later))
        delay = int(np.argmax(alarm[start:])) if alarm[start:].any() else -1
        false = 100 * float(alarm[:start].mean()) if start else 0.0
        found.append(roc_auc_score(later, watched))
        told = "never" if delay < 0 else str(delay)
        print(f"{name:11} {found[-1]:.3f}  {told:>20}  {false:24.1f}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "machine-sensors.png"
    draw(name, watched, later, detector.threshold_, path)
    print(
        "\nWhat one learns: a few minutes of normal running tell a fault that nobody described, in "
        f"some runs at once and in\nothers late (mean AUROC {np.mean(found):.3f}). Seconds that "
        "follow each other are alike, so each stretch that was\nlearned from is judged by the "
        "others. A machine that warms up still raises more alarms than the 1% asked for:\nseven "
        f"minutes are no full picture of it. Wrote {path}."
    )


def machines() -> list[tuple[str, NDArray[np.float64], NDArray[np.bool_], int]]:
    """Of each run: its name, the rows, which are faulty, and how many are there to learn from."""
    if (DATA / "skab").is_dir():
        runs = [(name, pd.read_csv(DATA / "skab" / f"{name}.csv", sep=";")) for name in RUNS]
        return [
            (
                name,
                run.drop(columns=["datetime", "anomaly", "changepoint"]).to_numpy(float),
                run["anomaly"].to_numpy() == 1,
                400,
            )
            for name, run in runs
        ]
    rows, benign = load_breast_cancer(return_X_y=True)
    good, bad = rows[benign == 1], rows[benign == 0][:40]
    series = np.concatenate([good[:250], bad, good[250:320]])
    return [("stand-in", series, (np.arange(360) >= 250) & (np.arange(360) < 290), 200)]


def draw(
    name: str,
    watched: NDArray[np.float64],
    faulty: NDArray[np.bool_],
    threshold: float,
    path: Path,
) -> None:
    """Draw what is watched over time, the fault shaded."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    ax = figure.subplots()
    ax.plot(watched, linewidth=0.9)
    ax.fill_between(
        np.arange(len(faulty)), 0, 1, where=faulty, transform=ax.get_xaxis_transform(),
        color="#c44e52", alpha=0.15, label="valve closed",
    )  # fmt: skip
    ax.axhline(threshold, color="black", linewidth=0.8, linestyle="--", label="threshold")
    ax.set(xlabel="seconds after the context", ylabel="anomaly score", title=name)
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
