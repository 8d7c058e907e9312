"""Promises for rows of new groups: customers in a simulation, runs of a water circuit (SKAB).

    python benchmarks/groups.py [../shared/data] [--repeats 12]

*simulated*: 50 groups of 5 to 60 rows of three numbers, whose means differ three times as much as
rows of a group; judged is one row of each of 200 new groups, at alpha = 0.1. *skab* (Katser and
Kozitsin 2020): the first 400 readings, all normal, of 10 of the 16 runs, judged by those of the
other 6, at alpha = 0.2, for which five groups are enough. Printed is the share of new normal rows
with a p-value of alpha or less, or above the threshold for it: by own rows, held out row by row
("cross"), and held out by groups ("cross" and "split"). Mean and 95% interval over repeats; of skab
over draws of the same runs.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from figures import mean_and_interval

from oddshot import FewShotDetector
from oddshot.evaluation.machine import machine
from oddshot.reports.tables import markdown_table

ALPHAS = {"simulated": 0.1, "skab": 0.2}
GROUPS, NEW_GROUPS, SPREAD, COLUMNS = 50, 200, 3.0, 3
LEARNED_RUNS, READINGS = 10, 400

Draw = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows to learn from, their groups, new rows


def main(arguments: list[str] | None = None) -> None:
    """Print a row of false alarms for each kind of calibration."""
    parser = argparse.ArgumentParser(description="Promises for rows of new groups.")
    parser.add_argument("data", type=Path, nargs="?", help="else the simulation alone")
    parser.add_argument("--repeats", type=int, default=12)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {machine()}\n")
    sources = {"simulated": simulated}
    if given.data is not None:
        sources["skab"] = lambda seed: skab(given.data / "skab", seed)
    for name, draw in sources.items():
        alpha = ALPHAS[name]
        found = pd.DataFrame([dict(alarms(*draw(seed), alpha)) for seed in range(given.repeats)])
        shares = {how: mean_and_interval(found[how]) for how in found}
        rows = [[how, f"{mean:.3f} ± {half:.3f}"] for how, (mean, half) in shares.items()]
        print(f"{name}, {given.repeats} repeats\n")
        print(markdown_table(["calibrated", f"alarms at {alpha:g}"], rows), flush=True)


def alarms(
    rows: np.ndarray, groups: np.ndarray, new: np.ndarray, alpha: float
) -> Iterator[tuple[str, float]]:
    """Name each kind of calibration, and give the share of new rows that it calls alarms."""
    detector = FewShotDetector(random_state=0).fit(rows, np.zeros(len(rows)))
    yield "own rows", float((detector.p_values(new) <= alpha).mean())
    detector.calibrate(method="cross")
    yield '"cross", row by row', float((detector.p_values(new) <= alpha).mean())
    for method in ("cross", "split"):
        detector.calibrate(method=method, groups=groups)
        yield f'"{method}", by groups', float((detector.p_values(new) <= alpha).mean())
        detector.set_threshold(alpha=alpha)
        above = detector.anomaly_score(new) > detector.threshold_
        yield f'"{method}", by groups, threshold', float(above.mean())


def simulated(seed: int) -> Draw:
    """Draw rows of customers, and one of each new customer."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(GROUPS), rng.integers(5, 60, GROUPS))
    means = rng.normal(0, SPREAD, (GROUPS + NEW_GROUPS, COLUMNS))
    noise = rng.normal(size=(len(groups) + NEW_GROUPS, COLUMNS))
    return means[groups] + noise[: len(groups)], groups, means[GROUPS:] + noise[len(groups) :]


def skab(folder: Path, seed: int) -> Draw:
    """Take readings of some runs, and of others."""
    runs = [
        pd.read_csv(path, sep=";").drop(columns=["datetime", "anomaly", "changepoint"])
        for path in sorted(folder.glob("*.csv"))
    ]
    order = np.random.default_rng(seed).permutation(len(runs))
    parts = [runs[at].to_numpy()[:READINGS] for at in order]
    learned, new = parts[:LEARNED_RUNS], parts[LEARNED_RUNS:]
    groups = np.repeat(np.arange(len(learned)), [len(part) for part in learned])
    return np.concatenate(learned), groups, np.concatenate(new)


if __name__ == "__main__":
    main()
