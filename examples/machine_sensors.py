"""Machine sensors: learn how a machine runs, then watch it.

    python examples/machine_sensors.py [FOLDER]

SKAB (Katser and Kozitsin 2020): a water circuit with eight sensors, read once a second; a valve is
closed on the way. From $ODDSHOT_DATA, by default ../shared/data. The first 400 seconds, known to be
normal, are what `SeriesDetector` learns from; it then judges windows of ten seconds. No prior has
seen these data. Where they are absent, a simulated machine stands in, as the example then says: a
pump's pulse in four sensors, one of which sticks for a minute.

FOLDER, by default the current one, gets machine-sensors.png: the scores over time.
"""

import os
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from oddshot import SeriesDetector

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
RUNS = ("valve1_0", "valve1_2", "valve1_5", "valve1_8")
WINDOW, LEARN = 10, 400
FALSE_ALARMS = 0.01
STAND_IN = """\
Stand-in data: no SKAB in {data}; a simulated machine takes its place, one of whose four
sensors sticks for a minute. The text in the file is about the real data.
"""


def main(folder: Path) -> None:
    """Print how soon each fault is seen, and draw the runs."""
    real = (DATA / "skab").is_dir()
    if not real:
        print(STAND_IN.format(data=DATA))
    print("run         AUROC  seconds to the alarm  alarms before, per 100 s")
    watched, aurocs, early, soon = {}, [], {}, 0
    for name, rows, faulty in machines():
        detector = SeriesDetector(window=WINDOW).fit(rows[:LEARN], np.zeros(LEARN))
        detector.set_threshold(alpha=FALSE_ALARMS)
        scores = detector.anomaly_score(rows[LEARN - WINDOW + 1 :])[WINDOW - 1 :]
        later = faulty[LEARN:]
        watched[name] = scores, later, detector.threshold_
        aurocs.append(roc_auc_score(later, scores))
        alarm, start = scores > detector.threshold_, int(np.argmax(later))
        in_fault = np.flatnonzero(alarm & later) - start
        early[name] = 100 * float(alarm[:start].mean())
        told = str(in_fault[0]) if len(in_fault) else "never"
        if alarm[start - 1]:
            told = "on already"
        elif len(in_fault) and in_fault[0] < WINDOW:
            soon += 1
        print(f"{name:11} {aurocs[-1]:.3f}  {told:>20}  {early[name]:24.1f}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "machine-sensors.png"
    draw(watched, path)
    often = {name: rate for name, rate in early.items() if rate > 100 * FALSE_ALARMS}
    told = (
        f"Runs in which an alarm comes on in the first {WINDOW} seconds of the fault: {soon} of "
        f"{len(early)}. Runs with more alarms before it than the {FALSE_ALARMS:.0%} asked for: "
        f"{len(often)} of {len(early)}"
        + "".join(f", {name} {rate:.1f}%" for name, rate in often.items())
        + "."
    )
    if real:
        told = (
            "What one learns: minutes of normal running can tell a fault that nobody described "
            f"(mean AUROC {np.mean(aurocs):.3f}). {told} Where alarms come "
            "before the fault, one in it says little: a machine that warms up is not what it was "
            "in the seven minutes learned from, so learn from a time in which all its states "
            "occur. Seconds that follow each other are alike, so each stretch that was learned "
            "from is judged by the others."
        )
    print(f"\n{textwrap.fill(told, 98, break_on_hyphens=False)}\nWrote {path}.")


def machines() -> list[tuple[str, NDArray[np.float64], NDArray[np.bool_]]]:
    """Of each run: its name, the rows, and which are faulty."""
    if (DATA / "skab").is_dir():
        runs = [(name, pd.read_csv(DATA / "skab" / f"{name}.csv", sep=";")) for name in RUNS]
        return [
            (
                name,
                run.drop(columns=["datetime", "anomaly", "changepoint"]).to_numpy(float),
                run["anomaly"].to_numpy() == 1,
            )
            for name, run in runs
        ]
    seconds, generator = np.arange(700)[:, None], np.random.default_rng(0)
    pulse = np.sin(2 * np.pi * (seconds / 20 - np.arange(4) / 8))
    rows = pulse + generator.normal(0, 0.3, pulse.shape)
    faulty = (seconds[:, 0] >= 550) & (seconds[:, 0] < 610)
    rows[faulty, 2] = rows[549, 2]
    return [("simulated", rows, faulty)]


def draw(
    watched: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_], float]], path: Path
) -> None:
    """Draw what is watched over time, the fault shaded."""
    figure = Figure(figsize=(8, 0.8 + 1.5 * len(watched)), layout="constrained")
    axes = figure.subplots(len(watched), squeeze=False)[:, 0]
    for ax, (name, (scores, faulty, threshold)) in zip(axes, watched.items(), strict=True):
        ax.plot(scores, linewidth=0.9)
        ax.fill_between(
            np.arange(len(faulty)), 0, 1, where=faulty, transform=ax.get_xaxis_transform(),
            color="#c44e52", alpha=0.15, linewidth=0, label="fault",
        )  # fmt: skip
        ax.axhline(threshold, color="black", linewidth=0.8, linestyle="--", label="threshold")
        ax.set_title(name, fontsize=10, loc="left")
        ax.margins(x=0)
        ax.set_ylim(bottom=0)
    axes[-1].set_xlabel("seconds after those learned from")
    figure.supylabel("anomaly score", fontsize=10)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2,
                  frameon=False)  # fmt: skip
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
