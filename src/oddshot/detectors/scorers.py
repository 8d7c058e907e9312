"""scikit-learn's `scoring` for detectors, whose scores are low for anomalies there.

`cross_val_score(detector, X, y, scoring="roc_auc")` takes 1 in ``y`` for the class with the high
scores. In labels 1 is an anomaly, and on scikit-learn's scale anomalies score low: the wrong way
round, near 0 for a good detector. PyOD's detectors score anomalies high, so that it is right there.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, roc_auc_score

from oddshot.detectors.given.labels import checked_labels
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, GivenLabels


def roc_auc_scorer(estimator: Any, X: Any, y: GivenLabels) -> float:
    """AUROC of a detector that has scikit-learn's `score_samples`, for `cross_val_score` and such.

    Parameters
    ----------
    estimator
        A fitted detector, or a pipeline that ends in one: ``score_samples`` is low for anomalies.
    X, y
        Shape (n, d) and (n,): rows and their labels, 1 anomaly, 0 normal; rows of -1 are left out.

    Returns
    -------
    float
        1 is perfect, 0.5 chance; NaN where not both kinds occur: take `StratifiedKFold`, since
        scikit-learn stratifies for classifiers alone.

    Warns
    -----
    UndefinedMetricWarning
        If not both kinds occur.

    Examples
    --------
    >>> from sklearn.model_selection import StratifiedKFold, cross_val_score
    >>> from oddshot import FewShotDetector
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = np.repeat([0, 1], [180, 20])
    >>> X[y == 1] += 5
    >>> folds = StratifiedKFold(3)
    >>> cross_val_score(FewShotDetector(), X, y, scoring=roc_auc_scorer, cv=folds).tolist()
    [1.0, 1.0, 1.0]
    """
    return _judged_by(roc_auc_score, estimator, X, y)


def average_precision_scorer(estimator: Any, X: Any, y: GivenLabels) -> float:
    """Average precision of a detector; else as `roc_auc_scorer`.

    Chance is the share of anomalies.
    """
    return _judged_by(average_precision_score, estimator, X, y)


def _judged_by(metric: Callable[..., Any], estimator: Any, X: Any, y: GivenLabels) -> float:
    """Judge by the rows that have a label; NaN, with a warning, where these are of one kind."""
    scores = -np.asarray(estimator.score_samples(X), dtype=np.float64)
    labels = checked_labels(y, len(scores), X)
    anomalies, normal = (int((labels == kind).sum()) for kind in (ANOMALY, NORMAL))
    if not anomalies or not normal:
        warnings.warn(
            f"y holds {anomalies} known anomalies and {normal} known normal rows, and the score "
            "needs both kinds: it is NaN; give cv=StratifiedKFold(...), which keeps them in every "
            "fold",
            UndefinedMetricWarning,
            stacklevel=3,
        )
        return np.nan
    known = labels != UNLABELLED
    return float(metric(labels[known] == ANOMALY, scores[known]))
