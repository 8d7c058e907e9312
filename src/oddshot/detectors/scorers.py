"""scikit-learn's `scoring` for detectors, whose scores are low for anomalies there.

`cross_val_score(detector, X, y, scoring="roc_auc")` takes 1 in ``y`` for the class with the high
scores. In labels 1 is an anomaly, and on scikit-learn's scale anomalies score low: the wrong way
round, near 0 for a good detector.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from oddshot.detectors.checked_labels import checked_labels
from oddshot.episodes import ANOMALY, UNLABELLED, FloatArray, LabelArray


def roc_auc_scorer(estimator: Any, X: Any, y: ArrayLike) -> float:
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
    labels, scores = _judged(estimator, X, y)
    return float(roc_auc_score(labels, scores)) if len(np.unique(labels)) == 2 else np.nan


def average_precision_scorer(estimator: Any, X: Any, y: ArrayLike) -> float:
    """Average precision of a detector; else as `roc_auc_scorer`.

    Chance is the share of anomalies.
    """
    labels, scores = _judged(estimator, X, y)
    return float(average_precision_score(labels, scores)) if len(np.unique(labels)) == 2 else np.nan


def _judged(estimator: Any, X: Any, y: ArrayLike) -> tuple[LabelArray, FloatArray]:
    """Labels of the rows that have one, and how odd these are."""
    scores = -np.asarray(estimator.score_samples(X), dtype=np.float64)
    labels = checked_labels(y, len(scores))
    known = labels != UNLABELLED
    return (labels[known] == ANOMALY).astype(np.int8), scores[known]
