"""What is said of the windows of a column: each gives a number a window, by what it is called."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from oddshot.episodes import FloatArray
from oddshot.mapping.threading import cut

BLOCK_CELLS = 2**22


def look(values: FloatArray, size: int) -> dict[str, FloatArray]:
    """Say what windows of numbers (n,) look like.

    >>> look(np.array([1.0, 2.0, 3.0, 9.0]), 2)["rise"].tolist()
    [1.0, 1.0, 6.0]
    """
    half, steps = size // 2, np.abs(np.diff(values))
    return {
        "mean": over(values, size, lambda block: block.mean(axis=1)),
        "spread": over(values, size, lambda block: block.std(axis=1)),
        "least": over(values, size, lambda block: block.min(axis=1)),
        "most": over(values, size, lambda block: block.max(axis=1)),
        "rise": over(
            values,
            size,
            lambda block: block[:, half:].mean(axis=1) - block[:, :half].mean(axis=1),
        ),
        "roughness": over(steps, size - 1, lambda block: block.mean(axis=1)),
        "largest step": over(steps, size - 1, lambda block: block.max(axis=1)),
    }


def off_season(off: FloatArray, size: int) -> dict[str, FloatArray]:
    """How far windows lie from what is usual, by the distances (n,) of their readings."""
    far = np.abs(off)
    return {
        "off season": over(off, size, lambda block: block.mean(axis=1)),
        "mean distance from season": over(far, size, lambda block: block.mean(axis=1)),
        "largest distance from season": over(far, size, lambda block: block.max(axis=1)),
    }


def off_others(off: FloatArray, size: int) -> dict[str, FloatArray]:
    """How far windows lie from what other columns tell, by the distances (n,) of readings."""
    return {
        "off what others tell": over(off, size, lambda block: block.mean(axis=1)),
        "mean distance from what others tell": over(
            np.abs(off), size, lambda block: block.mean(axis=1)
        ),
    }


def over(values: FloatArray, size: int, summary: Callable[[Any], Any]) -> FloatArray:
    """Sum up each stretch of a size in values (n,): (n - size + 1,), NaN where all are missing.

    Each by itself, in blocks: what comes of a stretch does not depend on where the series begins.
    """
    stretches = sliding_window_view(values, size)
    found = np.empty(len(stretches))
    for block in cut(len(stretches), max(1, BLOCK_CELLS // size)):
        part = np.ascontiguousarray(stretches[block])
        if np.isnan(part).any():
            part = np.ma.masked_invalid(part)
        found[block] = np.ma.filled(summary(part), np.nan)
    return found
