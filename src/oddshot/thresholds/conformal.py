"""Conformal p-values: how rare so high a score is among rows like the new one.

The only assumption is that calibration rows and normal new rows are exchangeable: drawn alike, and
scored alike, by a detector that has learned from none of them.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.errors import DataError, is_number, require

_ROUNDING = 1e-9  # of a number of rows, and of a p-value


def conformal_p_values(
    scores: FloatArray | Sequence[FloatArray],
    calibration: FloatArray | Sequence[FloatArray],
    *,
    weights: FloatArray | None = None,
    calibration_weights: FloatArray | None = None,
    generator: np.random.Generator | None = None,
) -> FloatArray:
    """Share of calibration rows that score as high, the new row itself counted among them.

    Split conformal (Vovk et al. 2005; Bates et al. 2023, section 2): ``p = (1 + #{s_i >= s}) /
    (m + 1)``. For a normal row ``P(p <= alpha) <= alpha``, whatever the detector and the data.

    Cross-conformal (Vovk 2015; what CV+ inverts, Barber et al. 2021, section 3): calibration rows
    in K folds, each scored by a detector that has not seen its fold, and the new row compared with
    each fold by that fold's detector. Proved is ``P(p <= alpha) <= 2 alpha + 2 K / m`` (there,
    theorem 4); seen is about alpha.

    Weighted for covariate shift (Tibshirani et al. 2019, section 2): every row counts by its
    likelihood ratio of new against calibration rows. Weighted for rows that come in groups: see
    `group_weights`.

    Parameters
    ----------
    scores
        Shape (n,): of new rows, higher = odder. For K folds: one array (n,) for each, in the order
        of ``calibration``.
    calibration
        Shape (m,): of calibration rows. For K folds: their arrays (m_k,).
    weights, calibration_weights
        Shapes (n,) and (m,), above 0; folds one after the other. ``None``: all alike.
    generator
        Where given, ties are broken at random (the smoothed p-values, exactly uniform); else they
        count in full, which errs on the safe side.

    Returns
    -------
    ndarray
        Shape (n,), in (0, 1].

    Raises
    ------
    DataError
        If there is no calibration row, or a score is not a number.

    Examples
    --------
    >>> conformal_p_values(np.array([0.0, 2.5, 9.0]), np.arange(4.0)).tolist()
    [1.0, 0.4, 0.2]
    """
    folds = [calibration] if isinstance(calibration, np.ndarray) else list(calibration)
    judged = [scores] if isinstance(scores, np.ndarray) else list(scores)
    rows = sum(map(len, folds))
    if not rows:
        raise DataError("there is no calibration row; p-values need at least one")
    if any(np.isnan(values).any() for values in (*folds, *judged)):
        raise DataError("a score is not a number (NaN); p-values need numbers")
    own = np.ones(len(judged[0])) if weights is None else weights
    counted = np.ones(rows) if calibration_weights is None else calibration_weights
    parts = np.split(counted, np.cumsum([len(fold) for fold in folds])[:-1])
    above, tied = np.zeros_like(own), np.zeros_like(own)
    for fold, values, part in zip(folds, judged, parts, strict=True):
        order = np.argsort(fold)
        from_here = np.append(np.cumsum(part[order][::-1])[::-1], 0.0)
        higher = from_here[np.searchsorted(fold, values, side="right", sorter=order)]
        tied += from_here[np.searchsorted(fold, values, side="left", sorter=order)] - higher
        above += higher
    share = 1.0 if generator is None else 1 - generator.random(len(own))
    return np.asarray(np.minimum((above + share * (tied + own)) / (counted.sum() + own), 1.0))


def least_p_value(rows: int) -> float:
    """Return the smallest p-value that m calibration rows can give, ``1 / (m + 1)``."""
    return 1 / (rows + 1)


def calibration_rows_needed(alpha: float) -> int:
    """Return the number of calibration rows from which on a p-value can be alpha or less.

    Examples
    --------
    >>> calibration_rows_needed(0.05), calibration_rows_needed(0.01)
    (19, 99)
    """
    return max(ceil(1 / alpha - 1 - _ROUNDING), 0)


def group_weights(groups: NDArray[np.intp]) -> FloatArray:
    """Give calibration rows weights (m,) by which each group counts as one.

    Rows of one customer, or of one day, are alike, so many of them say no more of other customers
    than one. Where groups are exchangeable, and rows within a group, a row of a new group has
    ``P(p <= alpha) <= alpha`` by p-values with these weights (hierarchical conformal prediction,
    Lee, Barber and Willett 2023; Dunn, Wasserman and Ramdas 2023).

    Parameters
    ----------
    groups
        Shape (m,): the number of each row's group.

    Examples
    --------
    >>> group_weights(np.array([0, 0, 0, 0, 1])).tolist()
    [0.25, 0.25, 0.25, 0.25, 1.0]
    """
    _, number, size = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1 / size[number])


def at_most(p_values: FloatArray, alpha: float) -> NDArray[np.bool_]:
    """Tell which p-values (n,) are alpha or less, but for rounding of summed weights.

    Examples
    --------
    >>> at_most(np.array([0.1 + 0.2, 0.31]), 0.3).tolist()
    [True, False]
    """
    return np.asarray(p_values <= alpha * (1 + _ROUNDING))


def threshold_at(
    calibration: FloatArray, alpha: float, *, weights: FloatArray | None = None
) -> float:
    """Score above which, and only above which, the p-value is alpha or less.

    Parameters
    ----------
    calibration
        Shape (m,): scores of calibration rows.
    alpha
        Share of normal rows that may score above it, in (0, 1).
    weights
        Shape (m,): what each row counts, where a new one counts 1; ``None``: as much.

    Returns
    -------
    float
        Infinity where m is too small, see `calibration_rows_needed`.

    Examples
    --------
    >>> threshold_at(np.arange(99.0), 0.05), threshold_at(np.arange(10.0), 0.05)
    (94.0, inf)
    """
    check_level("alpha", alpha)
    counted = np.ones(len(calibration)) if weights is None else weights
    allowed = alpha * (counted.sum() + 1) - 1 + _ROUNDING
    if allowed < 0:
        return float("inf")
    order = np.argsort(calibration)
    from_here = np.append(np.cumsum(counted[order][::-1])[::-1], 0.0)
    ranked = calibration[order]
    above = from_here[np.searchsorted(ranked, ranked, side="right")]
    return float(ranked[np.argmax(above <= allowed)])


def check_level(name: str, value: float) -> None:
    """Refuse a level of error that is no share, with a `SettingError`."""
    require(is_number(value) and 0 < value < 1, name, value, "a number between 0 and 1")
