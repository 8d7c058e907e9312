"""`FewShotDetector` among PyOD's detectors."""

import importlib
import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import StratifiedKFold, cross_val_score

from oddshot import FewShotDetector, average_precision_scorer, roc_auc_scorer
from oddshot.errors import SettingError
from small_priors import untrained_prior

pytest.importorskip("pyod", reason="PyOD is not installed; pip install 'oddshot[pyod]'")

from pyod.models.base import BaseDetector

from oddshot.detectors.pyod_adapter import PyODFewShot

RNG = np.random.default_rng(0)
ROWS, NEW = RNG.normal(size=(120, 3)), RNG.normal(size=(20, 3))
ROWS[:6] *= 9
NEW[:2] *= 9
LABELS = np.where(np.arange(120) < 2, 1, -1)


def adapted(**settings) -> PyODFewShot:
    return PyODFewShot(**{"prior": untrained_prior(), "contamination": 0.05, **settings})


@pytest.mark.parametrize("labels", [None, LABELS], ids=["none", "two"])
def test_scores_are_those_of_the_detector(labels):
    made = adapted().fit(ROWS, labels)
    assert isinstance(made, BaseDetector)
    plain = FewShotDetector(prior=untrained_prior()).fit(ROWS, labels)
    np.testing.assert_array_equal(made.decision_scores_, plain.anomaly_score(ROWS))
    np.testing.assert_array_equal(made.decision_function(NEW), plain.anomaly_score(NEW))


def test_what_follows_is_pyods():
    made = adapted().fit(ROWS)
    assert np.flatnonzero(made.labels_).tolist() == list(range(6))
    assert np.flatnonzero(made.predict(NEW)).tolist() == [0, 1]
    chances = made.predict_proba(NEW)
    assert chances.shape == (20, 2)
    assert chances[:2, 1].min() > chances[2:, 1].max()


def test_parameters_clones_and_pickles():
    made = adapted(novel=0.5, random_state=3).fit(ROWS, LABELS)
    assert made.get_params()["novel"] == 0.5
    again = clone(made)
    assert again.get_params() == made.get_params()
    np.testing.assert_array_equal(again.fit(ROWS, LABELS).decision_scores_, made.decision_scores_)
    loaded = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(loaded.decision_function(NEW), made.decision_function(NEW))


def test_mistakes_are_named():
    with pytest.raises(NotFittedError):
        adapted().decision_function(NEW)
    with pytest.raises(ValueError, match="contamination"):
        adapted(contamination=0.9)


class Threshold:
    """What PyOD takes in place of a share: `pythresh`'s interface."""

    def fit(self, scores):
        self.thresh_ = scores.mean() + 2 * scores.std()
        self.labels_ = self.predict(scores)
        return self

    def predict(self, scores):
        return (scores > self.thresh_).astype(int)


def test_a_threshold_object_flags_as_it_does_in_pyod():
    made, threshold = adapted(contamination=Threshold()).fit(ROWS), Threshold()
    expected = threshold.fit(made.decision_scores_).labels_
    assert 0 < expected.sum() < 10
    np.testing.assert_array_equal(made.labels_, expected)
    assert made.threshold_ == threshold.thresh_
    np.testing.assert_array_equal(made.predict(NEW), threshold.predict(made.decision_function(NEW)))
    assert clone(made).fit(ROWS).labels_.tolist() == expected.tolist()


@pytest.mark.parametrize("scorer", [roc_auc_scorer, average_precision_scorer])
def test_scorers_judge_it_as_they_judge_the_detector(scorer):
    y = (np.arange(120) < 6).astype(int)
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    found, plain = (
        cross_val_score(detector, ROWS, y, scoring=scorer, cv=folds)
        for detector in (adapted(), FewShotDetector(prior=untrained_prior()))
    )
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("share", ["auto", 0.0, 0.7, 0, None])
def test_contamination_is_a_share(share):
    with pytest.raises((SettingError, ValueError), match="contamination"):
        PyODFewShot(contamination=share).fit(np.zeros((9, 2)))


def test_without_pyod_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "oddshot.detectors.pyod_adapter")
    monkeypatch.setitem(sys.modules, "pyod.models.base", None)
    with pytest.raises(ModuleNotFoundError, match=r'needs PyOD.*pip install "oddshot\[pyod\]"'):
        importlib.import_module("oddshot.detectors.pyod_adapter")
