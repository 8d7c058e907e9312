"""A threshold where the user gives none."""

import numpy as np

from oddshot.episodes import FloatArray

CLEAN_ALARMS = 0.01
REACH = 4.0
LEAST = 0.005
MOST = 0.25  # of any scores: what the rule finds lies above their upper quartile, too
ENOUGH_KNOWN, MOST_BY_LABELS = 2, 0.15
LIFT = 1.5  # times as many of the known anomalies as of other rows, or their scores tell nothing
FEW_KNOWN, LIFT_OF_FEW = 5, 3.0  # the same, of fewer than five


def automatic_share(scores: FloatArray, *, clean: bool) -> float:
    """Share of the reference rows to flag, judged from the shape of their raw scores alone.

    Parameters
    ----------
    scores
        Shape (m,): raw scores of the reference rows, each obtained without itself; higher = odder.
    clean
        All of them are known to be normal: then a fixed share of false alarms is accepted.

    Returns
    -------
    float
        Where rows may hide anomalies: the share beyond ``median + REACH * (q75 - median)``, a
        one-sided box-plot rule (Tukey 1977), but ``LEAST`` at least; ``MOST`` at most.

    Examples
    --------
    >>> mostly_normal = np.r_[np.linspace(-1, 1, 95), np.full(5, 50.0)]
    >>> automatic_share(mostly_normal, clean=False)
    0.05
    """
    if clean:
        return CLEAN_ALARMS
    median, upper = np.quantile(scores, (0.5, 0.75))
    beyond = float((scores > median + REACH * (upper - median)).mean())
    return max(LEAST, beyond)


def share_by_labels(scores: FloatArray, known: FloatArray) -> float:
    """Share of the reference rows to flag, for the best F1 on anomalies that hide among them.

    A threshold that a share Q of the reference rows and R of the known anomalies exceed has an F1
    of ``2 p R / (p + Q)`` there, if these stand for the hidden ones, a share p of the rows. p is
    not known, but at most Q / R, at every threshold, and the least of these is taken for it. R is
    lowered by its standard error: of few labels less is expected. Thresholds where that is below
    ``LIFT * Q`` do not count, or below ``LIFT_OF_FEW * Q`` where fewer than ``FEW_KNOWN`` are
    known. (Lee and Liu 2003 choose a model by labels of one kind alike, by R**2 / Q.)

    Parameters
    ----------
    scores
        Shape (m,): raw scores of the reference rows, each obtained without itself; higher = odder.
    known
        Shape (k,): of known anomalies, by what has not learned from them.

    Returns
    -------
    float
        Within ``LEAST`` and ``MOST_BY_LABELS``; ``LEAST`` where fewer than ``ENOUGH_KNOWN``
        anomalies are known.

    Examples
    --------
    >>> mostly_normal = np.r_[np.linspace(-1, 1, 90), np.linspace(3, 5, 10)]
    >>> share_by_labels(mostly_normal, np.linspace(3, 5, 20))
    0.1
    """
    if len(known) < ENOUGH_KNOWN:
        return LEAST
    thresholds = np.unique(np.concatenate([scores, known]))
    above, found = _share_from(scores, thresholds), _share_from(known, thresholds)
    hidden = float(((above + 1 / len(scores)) / np.maximum(found, 1 / len(known))).min())
    doubt = np.sqrt(found * (1 - found) / len(known) + 0.25 / len(known) ** 2)
    sure = np.maximum(found - doubt, 0)
    worth = sure / (min(hidden, 0.5) + above)
    lift = LIFT if len(known) >= FEW_KNOWN else LIFT_OF_FEW
    worth[(above > MOST_BY_LABELS) | (sure < lift * above)] = 0
    return max(LEAST, float(above[worth.argmax()]) if worth.any() else 0.0)


def _share_from(values: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Share (t,) of values (n,) at each threshold (t,) or above it."""
    return np.asarray((len(values) - np.searchsorted(np.sort(values), thresholds)) / len(values))
