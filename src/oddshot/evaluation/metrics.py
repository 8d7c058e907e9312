"""How well scores rank anomalies above normal rows, and how detectors compare over many tables.

Scores are higher for odder rows; truth is 1 for an anomaly and 0 for a normal row.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from oddshot.episodes import FloatArray, LabelArray
from oddshot.errors import DataError


def auroc(truth: LabelArray, scores: FloatArray) -> float:
    """Return the chance that an anomaly scores higher than a normal row (ties count half).

    Raises
    ------
    DataError
        A class is missing, or a score is not finite.

    Examples
    --------
    >>> auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    _check(truth, scores)
    return float(roc_auc_score(truth, scores))


def average_precision(truth: LabelArray, scores: FloatArray) -> float:
    """Return the area under the precision-recall steps; by chance, the share of anomalies.

    Raises
    ------
    DataError
        A class is missing, or a score is not finite.

    Examples
    --------
    >>> round(average_precision(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])), 3)
    0.833
    """
    _check(truth, scores)
    return float(average_precision_score(truth, scores))


def ap_norm(precision: float, rate: float) -> float:
    """Return ``(AP - r) / (1 - r)``, r = share of anomalies: 0 by chance and 1 at best.

    Examples
    --------
    >>> ap_norm(0.75, 0.5)
    0.5
    """
    return (precision - rate) / (1.0 - rate)


class Figures(NamedTuple):
    """What a detector is judged by."""

    auroc: float
    ap: float
    ap_norm: float


def figures(truth: LabelArray, scores: FloatArray) -> Figures:
    """Return AUROC, average precision, and that as `ap_norm`.

    Raises
    ------
    DataError
        A class is missing, or a score is not finite.
    """
    precision = average_precision(truth, scores)
    return Figures(auroc(truth, scores), precision, ap_norm(precision, float(np.mean(truth))))


def precision_at_n(truth: LabelArray, scores: FloatArray, n: int | None = None) -> float:
    """Return the share of anomalies among the n highest scores; n: by default their number.

    Rows tied at the last place count in proportion, so that the order of rows does not matter.

    Raises
    ------
    DataError
        A class is missing, a score is not finite, or n is not between 1 and the number of rows.

    Examples
    --------
    >>> precision_at_n(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.5
    """
    _check(truth, scores)
    n = int(truth.sum()) if n is None else n
    if not 1 <= n <= len(truth):
        raise DataError(f"n = {n} of {len(truth)} rows; choose 1 to {len(truth)}")
    last = np.sort(scores)[-n]
    above, tied = scores > last, scores == last
    places = n - int(above.sum())
    return float((truth[above].sum() + places * truth[tied].mean()) / n)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the two ends of its interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.low):  # of a single table
            return f"{self.mean:+.3f}"
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_bootstrap(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> Interval:
    """Bootstrap the mean of ``first - second`` over pairs (percentile interval).

    Parameters
    ----------
    first, second
        Shape (n,): two detectors on the same n tables. Average a table's splits first: splits of
        one table are not independent, and the interval would be too narrow.
    level
        Coverage of the interval.
    draws, seed
        Number of resamples, and what chooses them.

    Returns
    -------
    Interval
        A single pair says nothing about its spread: its ends are ``nan``.

    Examples
    --------
    >>> print(paired_bootstrap([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]))
    +0.100 [+0.100, +0.100]
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if differences.ndim != 1 or not len(differences):
        raise DataError(f"pairs of shape {differences.shape}; give two lists of equal length")
    mean = float(differences.mean())
    if len(differences) == 1:
        return Interval(mean, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(differences), size=(draws, len(differences)))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(differences[picks].mean(axis=1), (tail, 1.0 - tail))
    return Interval(mean, float(low), float(high))


def mean_ranks(results: pd.DataFrame) -> "pd.Series[float]":
    """Return each detector's mean rank (1 is best; ties share their mean rank).

    Parameters
    ----------
    results
        One row per table, one column per detector, higher is better, nothing missing.

    Examples
    --------
    >>> mean_ranks(pd.DataFrame({"a": [0.9, 0.8], "b": [0.7, 0.8]})).to_dict()
    {'a': 1.25, 'b': 1.75}
    """
    return results.rank(axis=1, ascending=False).mean()


def win_rates(results: pd.DataFrame, of: str) -> "pd.Series[float]":
    """Return on what share of tables ``of`` beats each other detector (ties count half).

    Parameters
    ----------
    results
        As for `mean_ranks`.
    of
        The column whose wins are counted.

    Examples
    --------
    >>> win_rates(pd.DataFrame({"a": [0.9, 0.8], "b": [0.7, 0.8]}), of="a").to_dict()
    {'b': 0.75}
    """
    others = results.drop(columns=of)
    mine = results[of].to_numpy()[:, None]
    wins = (mine > others.to_numpy()) + 0.5 * (mine == others.to_numpy())
    return pd.Series(wins.mean(axis=0), index=others.columns)


def _check(truth: LabelArray, scores: FloatArray) -> None:
    if truth.shape != scores.shape:
        raise DataError(
            f"{truth.shape} labels but {scores.shape} scores; give one of each for every row"
        )
    if not np.isfinite(scores).all():
        raise DataError(f"{int((~np.isfinite(scores)).sum())} scores are not finite")
    if not (0 < truth.sum() < len(truth)):
        raise DataError(
            f"{int(truth.sum())} of {len(truth)} rows are anomalies; "
            "a comparison needs both anomalies and normal rows"
        )
