"""Which rows of a batch to select, so that few of those selected are false alarms.

The false discovery rate is the expected share of normal rows among the selected ones.
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from oddshot.episodes import FloatArray
from oddshot.thresholds.conformal import check_level

_ROUNDING = 1e-12


def discoveries(p_values: FloatArray, level: float) -> NDArray[np.bool_]:
    """Select rows at a false discovery rate (Benjamini and Hochberg 1995).

    Split-conformal p-values depend on each other only through the calibration rows they share, and
    positively (PRDS), so the rate holds for them (Bates et al. 2023, section 2).

    Parameters
    ----------
    p_values
        Shape (n,).
    level
        The rate to keep to, in (0, 1).

    Returns
    -------
    ndarray
        Shape (n,) of bool.

    Examples
    --------
    >>> discoveries(np.array([0.01, 0.02, 0.5, 0.9]), 0.05).tolist()
    [True, True, False, False]
    """
    check_level("the false discovery rate", level)
    if not len(p_values):
        return np.zeros(0, dtype=bool)
    return np.asarray(false_discovery_control(p_values) <= level * (1 + _ROUNDING))


def weighted_discoveries(
    scores: FloatArray,
    calibration: FloatArray,
    weights: FloatArray,
    calibration_weights: FloatArray,
    level: float,
) -> NDArray[np.bool_]:
    """Select rows at a false discovery rate under covariate shift.

    Weighted p-values are not PRDS, and Benjamini-Hochberg on them may exceed its rate. Weighted
    conformalised selection (Jin and Candès 2023, algorithm 1 with deterministic pruning) compares
    each p-value with the number of discoveries that would be made without looking at it. It is
    exact for known weights; estimated ones make it approximate.

    Parameters
    ----------
    scores, calibration
        Shapes (n,) and (m,), higher = odder.
    weights, calibration_weights
        Shapes (n,) and (m,), above 0: likelihood ratios of new against calibration rows.
    level
        The rate to keep to, in (0, 1).

    Returns
    -------
    ndarray
        Shape (n,) of bool.

    Examples
    --------
    >>> calibration, scores = np.arange(99.0), np.array([500.0, 400.0, 3.0, 2.0])
    >>> weighted_discoveries(scores, calibration, np.ones(4), np.ones(99), 0.1).tolist()
    [True, True, False, False]
    """
    check_level("the false discovery rate", level)
    order = np.argsort(calibration)
    from_here = np.append(np.cumsum(calibration_weights[order][::-1])[::-1], 0.0)
    above = from_here[np.searchsorted(calibration, scores, side="left", sorter=order)]
    total, count, bound = float(from_here[0]), len(scores), level * (1 + _ROUNDING)
    p_values = (above + weights) / (total + weights)
    # no other row can pass in any of the comparisons below
    rivals = np.flatnonzero(above / (total + weights.max(initial=0)) <= bound)
    candidates = np.flatnonzero(p_values <= bound)
    made = np.zeros(len(candidates), dtype=np.intp)
    for place, row in enumerate(candidates):
        mine = weights[row] * (scores[row] >= scores[rivals])
        others = (above[rivals] + mine) / (total + weights[row])
        others[rivals == row] = 0.0
        ranked = np.sort(others)
        passed = np.flatnonzero(ranked <= bound * np.arange(1, len(ranked) + 1) / count)
        made[place] = passed[-1] + 1
    first = p_values[candidates] <= bound * made / count
    sizes = np.sort(made[first])
    fits = np.flatnonzero(np.searchsorted(sizes, sizes, side="right") >= sizes)
    selected = np.zeros(count, dtype=bool)
    if len(fits):
        selected[candidates[first & (made <= sizes[fits[-1]])]] = True
    return selected


def least_discoveries(rows: int, batch: int, level: float) -> int:
    """Return how many rows must stand out from all calibration rows before one is selected.

    No p-value is below ``1 / (m + 1)``, and Benjamini-Hochberg asks ``p <= level * r / n`` of r
    discoveries in a batch of n.

    Examples
    --------
    >>> least_discoveries(99, 100, 0.1), least_discoveries(9999, 100, 0.1)
    (10, 1)
    """
    return max(ceil(batch / (level * (rows + 1)) - 1e-9), 1)
