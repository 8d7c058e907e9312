"""Small tables and images for the detector that is an autoencoder."""

import numpy as np


def rows_of(rows: int = 150, *, odd: int = 0, seed: int = 0) -> np.ndarray:
    """Correlated columns (n, 4); the first rows are a group aside."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, 4)) @ np.random.default_rng(9).normal(size=(4, 4))
    aside = 2 * np.random.default_rng(8).normal(size=4)
    table[:odd] += aside + 0.5 * rng.normal(size=(odd, 4))
    return table


def few_labels(rows: int = 150, *, known: int = 3) -> np.ndarray:
    return np.where(np.arange(rows) < known, 1, -1)


def bars(images: int = 40, *, odd: int = 0, seed: int = 0, size: int = 12) -> np.ndarray:
    """Upright bars (n, size, size) from 0 to 1 in noise; the first ones lie."""
    rng = np.random.default_rng(seed)
    stack = rng.uniform(0, 0.15, (images, size, size))
    for number, image in enumerate(stack):
        at, wide = int(rng.integers(size // 4, size // 2)), size // 4
        image[wide:-wide, at : at + wide] += rng.uniform(0.5, 0.8)
        if number < odd:
            stack[number] = image.T
    return np.clip(stack, 0, 1)
