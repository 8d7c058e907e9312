"""What the benchmarks that reproduce published results share: intervals and axes."""

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def mean_and_interval(values: ArrayLike) -> tuple[float, float]:
    """Mean of one value a task, and half the width of its 95% interval (normal).

    Infinite values, of a learner that diverged, give an infinite mean and no interval (NaN).
    """
    values = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return float(values.mean()), float(1.96 * values.std(ddof=1) / sqrt(len(values)))


def panels(count: int, *, width: float = 5.2, height: float = 4.2) -> tuple[Any, list[Any]]:
    """Make a figure of panels side by side, with grids and no boxes around them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, height), dpi=150, layout="constrained")
    axes = list(figure.subplots(1, count, sharey=True, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=True, alpha=0.25)
        ax.set_axisbelow(True)
    return figure, axes
