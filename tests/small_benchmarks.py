"""Benchmarks of two made-up tables and two cheap detectors."""

import numpy as np

from oddshot.episodes import Table
from oddshot.evaluation.benchmarks import run_benchmark

CHEAP = ("extra-trees", "logistic")


def table(name, seed=0, family="", anomalies=20):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [100, anomalies])
    rows = rng.normal(size=(len(labels), 3)) + 2.5 * labels[:, None]
    return Table(name, rows, labels, family=family, collection="made up")


def run(out, tables=None, **changes):
    settings = {"ks": (0, 1, 5), "seeds": (1, 2), "peers": CHEAP, "jobs": 1}
    return run_benchmark(tables or [table("a"), table("b", 1)], out=out, **{**settings, **changes})
