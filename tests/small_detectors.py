"""Detectors of an untrained prior, and small tables for them."""

import numpy as np

from oddshot import FewShotDetector
from small_priors import untrained_prior


def detector(**settings) -> FewShotDetector:
    return FewShotDetector(**{"prior": untrained_prior(), **settings})


def odd_among(rows: int = 100, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A table (n, 3) whose first tenth lies beside the rest, and the truth on it."""
    table = np.random.default_rng(seed).normal(size=(rows, 3))
    truth = (np.arange(rows) < rows // 10).astype(int)
    table[truth == 1] += 5
    return table, truth


def few_labels(rows: int = 100, *, known: int = 2) -> np.ndarray:
    return np.where(np.arange(rows) < known, 1, -1)
