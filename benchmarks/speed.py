"""Time and memory of fit and score beside PyOD's detectors, in one run.

    python benchmarks/speed.py [--rows 10000] [--columns 20] [--repeats 5]

Detectors take turns within each repeat, so that a drift of the machine's speed hits all alike;
medians are printed, and each detector's ratio to Oddshot. The last part scores many rows in blocks
in a process of its own and prints its peak memory.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np


def main() -> None:
    """Run the comparison, then the memory test."""
    parser = argparse.ArgumentParser(description="Speed of fit and score.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--many", type=int, default=200_000, help="rows of the memory test")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        score_many(given.many, given.columns)
        return
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"{given.rows} x {given.columns}, median of {given.repeats} turns")
    compare(given.rows, given.columns, given.repeats)
    command = [sys.executable, __file__, "--memory", "--many", str(given.many)]
    subprocess.run([*command, "--columns", str(given.columns)], check=True)


def compare(rows: int, columns: int, repeats: int) -> None:
    """Time fit plus score of all detectors in turn."""
    points = table(rows, columns)
    labels = np.full(rows, -1)
    labels[:10] = 1
    contestants: dict[str, Callable[[], object]] = {
        "oddshot, no labels": lambda: oddshot(points, None),
        "oddshot, 10 labels": lambda: oddshot(points, labels),
        **{name: partial(pyod, name, points) for name in ("KNN", "LOF", "IForest", "ECOD")},
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    oddshot(points[:500], None)  # imports and first calls are not what is measured
    for _ in range(repeats):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    base = statistics.median(times["oddshot, no labels"])
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:20} {median:7.2f} s   {median / base:5.2f} x oddshot without labels")


def oddshot(points: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Fit and score with the shipped prior."""
    from oddshot import FewShotDetector

    return FewShotDetector(n_jobs=-1).fit(points, labels).anomaly_score(points)


def pyod(name: str, points: np.ndarray) -> np.ndarray:
    """Fit and score with a detector of PyOD, default settings."""
    from importlib import import_module

    detector = getattr(import_module(f"pyod.models.{name.lower()}"), name)()
    return detector.fit(points).decision_function(points)


def score_many(rows: int, columns: int) -> None:
    """Score many rows and print the peak memory of this process."""
    from oddshot import FewShotDetector

    points = table(rows, columns)
    detector = FewShotDetector(n_jobs=-1).fit(points)
    began = time.perf_counter()
    detector.anomaly_score(points)
    taken = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{rows} x {columns}: scored in {taken:.1f} s, peak memory {peak:.2f} GiB")


def table(rows: int, columns: int) -> np.ndarray:
    """Correlated Gaussian rows, one in a hundred shifted."""
    generator = np.random.default_rng(0)
    points = generator.normal(size=(rows, columns)) @ generator.normal(size=(columns, columns))
    points[: rows // 100] += 3 * points.std(axis=0)
    return points


if __name__ == "__main__":
    main()
