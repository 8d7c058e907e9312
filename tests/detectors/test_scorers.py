"""Scorers for scikit-learn, in which a good detector is not the worst."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import oddshot
from oddshot import FewShotDetector
from oddshot.errors import LabelError
from small_priors import untrained_prior

RNG = np.random.default_rng(0)
ROWS = np.r_[RNG.normal(size=(90, 3)), RNG.normal(4, 1, size=(12, 3))]
LABELS = np.repeat([0, 1], [90, 12])


def test_they_are_scikit_learns_figures_the_right_way_round():
    detector = FewShotDetector(prior=untrained_prior()).fit(ROWS)
    scores = detector.anomaly_score(ROWS)
    assert oddshot.roc_auc_scorer(detector, ROWS, LABELS) == roc_auc_score(LABELS, scores)
    found = oddshot.average_precision_scorer(detector, ROWS, LABELS)
    assert found == average_precision_score(LABELS, scores)


def test_unlabelled_rows_are_left_out_and_one_kind_has_no_figure():
    forest = IsolationForest(random_state=0).fit(ROWS)
    half = np.where(np.arange(102) % 2, LABELS, -1)
    expected = roc_auc_score(LABELS[1::2], -forest.score_samples(ROWS[1::2]))
    assert oddshot.roc_auc_scorer(forest, ROWS, half) == expected
    for scorer in (oddshot.roc_auc_scorer, oddshot.average_precision_scorer):
        with pytest.warns(UndefinedMetricWarning, match="0 known anomalies.*cv=StratifiedKFold"):
            assert np.isnan(scorer(forest, ROWS, np.zeros(102)))
    with pytest.raises(LabelError, match="X has 102 rows but y has 2"):
        oddshot.roc_auc_scorer(forest, ROWS, [0, 1])


def test_cross_validation_and_grid_search_take_them():
    scorer, folds = oddshot.average_precision_scorer, StratifiedKFold(3)
    forest = IsolationForest(n_estimators=20, random_state=0)
    model = make_pipeline(StandardScaler(), forest)
    assert cross_val_score(model, ROWS, LABELS, scoring=scorer, cv=folds).min() > 0.8
    search = GridSearchCV(forest, {"max_samples": [16, 64]}, scoring=scorer, cv=folds)
    assert search.fit(ROWS, LABELS).best_score_ > 0.8
    detector = FewShotDetector(prior=untrained_prior())
    found = cross_val_score(detector, ROWS, LABELS, scoring=scorer, cv=StratifiedKFold(2))
    assert found.min() > 0.9
