"""A threshold where the user gives none."""

import numpy as np

from oddshot.episodes import FloatArray

CLEAN_ALARMS = 0.01
REACH = 4.0
LEAST, MOST = 0.005, 0.25


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
        one-sided box-plot rule (Tukey 1977), kept within ``LEAST`` and ``MOST``.

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
    return float(np.clip(beyond, LEAST, MOST))
