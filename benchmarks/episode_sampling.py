"""Episodes drawn per second, beside a plain loop over `numpy.random.Generator.choice`.

    OMP_NUM_THREADS=1 python benchmarks/episode_sampling.py [--rows 100000] [--columns 20]

5-way 5-shot classification with 15 query rows a class, and one-class detection with 10 support rows
and 10 + 10 query rows, as row numbers; gathering the rows themselves is timed apart. All take turns
within each repeat, so that a drift of the machine's speed hits all alike; medians are printed. The
loop takes the simplest correct steps: choose classes, then choose rows of each.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from oddshot.data.class_pool import ClassPool, EpisodeRows
from oddshot.evaluation.machine import machine

FEW_SHOT = {"ways": 5, "shots": 5, "queries": 15}
ONE_CLASS = {"shots": 10, "queries": 10}


def main() -> None:
    """Time all contestants in turn and print a line for each."""
    parser = argparse.ArgumentParser(description="Episodes drawn per second.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batch", type=int, default=1024, help="episodes of a call")
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(given.rows) % given.classes)
    rows = rng.standard_normal((given.rows, given.columns), np.float32)
    pool = ClassPool(labels)
    members = [np.flatnonzero(labels == value) for value in range(given.classes)]
    others = [np.flatnonzero(labels != value) for value in range(given.classes)]
    batch, looped = given.batch, max(1, given.batch // 10)  # the loop's speed is the same sooner

    def few_shot(turn: int) -> EpisodeRows:
        return pool.few_shot(batch, seed=0, first=turn * batch, **FEW_SHOT)

    def one_class(turn: int) -> EpisodeRows:
        return pool.one_class(batch, seed=0, first=turn * batch, **ONE_CLASS)

    # what is gathered is drawn beforehand, and anew each turn, so that no cache holds its rows
    drawn = [(few_shot(turn), one_class(turn)) for turn in range(given.repeats)]
    contestants: dict[str, tuple[int, Callable[[int], object]]] = {
        "few-shot": (batch, few_shot),
        "few-shot, loop": (looped, lambda _: few_shot_loop(looped, members, rng)),
        "few-shot, gather": (batch, lambda turn: gather(rows, drawn[turn][0])),
        "one-class": (batch, one_class),
        "one-class, loop": (looped, lambda _: one_class_loop(looped, members, others, rng)),
        "one-class, gather": (batch, lambda turn: gather(rows, drawn[turn][1])),
    }
    print(f"machine: {machine()}")
    print(
        f"{given.rows} x {given.columns}, {given.classes} classes, {batch} episodes a call, "
        f"median of {given.repeats} turns"
    )
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(given.repeats):
        for name, (episodes, run) in contestants.items():
            began = time.perf_counter()
            run(turn)
            speeds[name].append(episodes / (time.perf_counter() - began))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    for name, speed in medians.items():
        loop = medians[f"{name.split(',')[0]}, loop"]
        print(f"{name:18} {speed:10,.0f} episodes/s   {speed / loop:7.1f} x the loop")


def few_shot_loop(
    episodes: int, members: list[np.ndarray], rng: np.random.Generator
) -> list[list[np.ndarray]]:
    """Draw classes, then the rows of each class, one episode after the other."""
    each = FEW_SHOT["shots"] + FEW_SHOT["queries"]
    return [
        [
            rng.choice(members[drawn], each, replace=False)
            for drawn in rng.choice(len(members), FEW_SHOT["ways"], replace=False)
        ]
        for _ in range(episodes)
    ]


def one_class_loop(
    episodes: int, members: list[np.ndarray], others: list[np.ndarray], rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the normal class and its rows, then anomalies from all rows of the others."""
    shots, queries = ONE_CLASS["shots"], ONE_CLASS["queries"]
    return [
        (
            rng.choice(members[normal], shots + queries, replace=False),
            rng.choice(others[normal], queries, replace=False),
        )
        for normal in rng.integers(len(members), size=episodes)
    ]


def gather(rows: np.ndarray, episodes: EpisodeRows) -> tuple[np.ndarray, np.ndarray]:
    """Fetch the rows themselves."""
    return rows[episodes.support], rows[episodes.query]


if __name__ == "__main__":
    main()
