"""Thresholds on scores, by what a reader of the alarms can afford; a row counts if it is above."""

from bisect import bisect
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.errors import SettingError, is_number, require

LEAST_BETA, MOST_BETA = 1e-6, 1e6


def share_threshold(scores: FloatArray, share: float) -> float:
    """Threshold above which about a share of the scores (m,) lies: the quantile, interpolated.

    ``ceil(share * (m - 1))`` of them are above it, ties left out; so of few scores one at least.

    Examples
    --------
    >>> share_threshold(np.arange(101.0), 0.1)
    90.0
    """
    return -float(np.percentile(-scores, 100 * share))


def budget_threshold(scores: FloatArray, alerts: int) -> float:
    """Threshold above which at most so many of the scores (n,) lie, ties left out.

    Raises
    ------
    SettingError
        If it is less than one of them, or all: no threshold is needed to flag all.

    Examples
    --------
    >>> budget_threshold(np.array([1.0, 5.0, 3.0, 3.0]), 1)
    3.0
    >>> budget_threshold(np.array([1.0, 5.0, 3.0, 3.0]), 2)
    3.0
    """
    require(alerts >= 1, "budget", alerts, "1 alert or more")
    if alerts >= len(scores):
        raise SettingError(
            f"budget is {alerts}, but there are {len(scores):,} rows; give fewer alerts, or say "
            "of how many rows, as in 20 of 1,000"
        )
    return float(np.sort(scores)[len(scores) - 1 - alerts])


def stretch_threshold(scores: FloatArray, apart: int, alerts: int) -> float:
    """Threshold above which a series (n,) has at most so many stretches, as from any higher one.

    It is the lowest such; lower ones may have fewer stretches again, for these grow together.

    Parameters
    ----------
    scores
        Shape (n,), in the order of time.
    apart
        Readings above a threshold are of two stretches where so many places or more lie between.
    alerts
        Stretches, 1 or more.

    Raises
    ------
    SettingError
        If there are never more: no threshold is needed for so few.

    Examples
    --------
    >>> stretch_threshold(np.array([0.0, 5, 4, 0, 0, 3, 2, 1]), 3, 1)
    3.0
    """
    above: list[int] = []
    now = most = 0
    order = np.argsort(-scores, kind="stable")
    for place, ends_tie in zip(order.tolist(), np.append(np.diff(scores[order]), -1), strict=True):
        at = bisect(above, place)
        before = at > 0 and place - above[at - 1] < apart
        behind = at < len(above) and above[at] - place < apart
        were_one = before and behind and above[at] - above[at - 1] < apart
        now += 1 - before - behind + were_one
        above.insert(at, place)
        if ends_tie:
            if now > alerts:
                return float(scores[place])
            most = max(most, now)
    raise SettingError(
        f"budget is {alerts} stretches, but {len(scores):,} readings never have more than {most}; "
        "give fewer"
    )


def f_beta_threshold(scores: FloatArray, truth: NDArray[np.bool_], beta: float) -> float:
    """Threshold with the best F-beta on labelled rows.

    ``F = (1 + b^2) tp / ((1 + b^2) tp + b^2 fn + fp)`` (van Rijsbergen 1979): recall counts b times
    as much as precision.

    Parameters
    ----------
    scores
        Shape (n,), of rows that the detector has not learned from.
    truth
        Shape (n,): whether a row is an anomaly.
    beta
        From a millionth to a million.

    Raises
    ------
    SettingError
        If beta is none of these.

    Examples
    --------
    >>> f_beta_threshold(np.array([0.1, 0.2, 0.9, 0.3]), np.array([0, 0, 1, 0], dtype=bool), 1)
    0.6
    """
    check_beta(beta)
    weight, anomalies = beta**2, int(truth.sum())

    def f_beta(found: NDArray[np.intp], false: NDArray[np.intp]) -> FloatArray:
        correct = (1 + weight) * found
        return np.asarray(correct / (correct + weight * (anomalies - found) + false))

    return _best(scores, truth, f_beta)


def check_beta(beta: float) -> None:
    """Refuse a beta by whose square nothing could be told any more, with a `SettingError`."""
    fits = is_number(beta) and LEAST_BETA <= beta <= MOST_BETA
    require(fits, "f_beta", beta, "a number above 0, from a millionth to a million")


def cost_threshold(
    scores: FloatArray, truth: NDArray[np.bool_], *, false_alarm: float, miss: float
) -> float:
    """Threshold with the least cost on labelled rows, each error at its price.

    Parameters
    ----------
    scores, truth
        As for `f_beta_threshold`.
    false_alarm, miss
        What a normal row above the threshold costs, and an anomaly that is not; above 0.

    Examples
    --------
    >>> scores, truth = np.array([0.1, 0.2, 0.9, 0.3]), np.array([0, 1, 1, 0], dtype=bool)
    >>> round(cost_threshold(scores, truth, false_alarm=1, miss=10), 3)
    0.15
    >>> round(cost_threshold(scores, truth, false_alarm=10, miss=1), 3)
    0.6
    """
    for name, price in (("a false alarm", false_alarm), ("a missed anomaly", miss)):
        require(price > 0, f"the cost of {name}", price, "a number above 0")
    anomalies = int(truth.sum())
    return _best(
        scores, truth, lambda found, false: -(false_alarm * false + miss * (anomalies - found))
    )


def _best(
    scores: FloatArray,
    truth: NDArray[np.bool_],
    worth: Callable[[NDArray[np.intp], NDArray[np.intp]], FloatArray],
) -> float:
    """Threshold of the greatest worth, the highest of equals; between two scores, if it can be.

    ``worth`` is told the anomalies and the normal rows above each threshold.
    """
    values, place = np.unique(scores, return_inverse=True)
    anomalies = np.bincount(place, truth, len(values)).astype(np.intp)
    rows = np.bincount(place, minlength=len(values))
    found = np.append(0, np.cumsum(anomalies[::-1]))  # above the last value, the one before, ...
    false = np.append(0, np.cumsum((rows - anomalies)[::-1]))
    between = np.minimum((values[1:] + values[:-1]) / 2, np.nextafter(values[1:], -np.inf))
    steps = np.concatenate([[values[0] - 1], between, values[-1:]])[::-1]
    return float(steps[int(np.argmax(worth(found, false)))])
