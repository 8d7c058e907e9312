import numpy as np
import pytest

from oddshot.detectors.base import AnomalyDetector
from oddshot.detectors.verdicts.calibrated import Shown
from oddshot.errors import LabelError, SettingError
from oddshot.thresholds.surprise import Surprise
from small_detectors import detector, few_labels, odd_among


class Farthest(AnomalyDetector):
    """Scores rows by their distance to the origin."""

    def __init__(self, *, contamination="auto", random_state=None):
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X, y=None):
        share = self._checked_contamination()
        self.seed_ = self._drawn_seed()
        raw = np.abs(X).max(1)
        self._scale = Surprise().fit(raw)
        self._set_columns({"n_features_in_": X.shape[1]} if X.shape[1] > 1 else {})
        self._set_threshold(Shown(raw, raw[:0], False), share)
        return self

    def anomaly_score(self, X):
        return self._scale.apply(np.abs(X).max(1))


ROWS = np.random.default_rng(0).normal(size=(200, 2))


def test_scores_verdicts_and_threshold_are_one_thing_in_several_signs():
    detector = Farthest(contamination=0.1).fit(ROWS)
    scores = detector.anomaly_score(ROWS)
    np.testing.assert_array_equal(detector.score_samples(ROWS), -scores)
    np.testing.assert_array_equal(detector.decision_function(ROWS), -scores - detector.offset_)
    np.testing.assert_array_equal(detector.predict(ROWS) == -1, scores > detector.threshold_)
    np.testing.assert_array_equal(detector.fit_predict(ROWS), detector.predict(ROWS))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_contamination_is_the_share_of_rows_that_are_flagged(share):
    detector = Farthest(contamination=share).fit(ROWS)
    assert (detector.predict(ROWS) == -1).mean() == pytest.approx(share, abs=0.005)
    assert detector.contamination_ == share


def test_the_automatic_share_is_kept():
    detector = Farthest().fit(ROWS)
    assert detector.contamination_ == pytest.approx((detector.predict(ROWS) == -1).mean(), abs=0.01)


def test_columns_of_an_earlier_fit_are_forgotten():
    detector = Farthest().fit(ROWS)
    assert detector.n_features_in_ == 2
    assert not hasattr(detector.fit(ROWS[:, :1]), "n_features_in_")


@pytest.mark.parametrize("state", [None, 0])
def test_no_seed_is_the_seed_0(state):
    assert Farthest(random_state=state).fit(ROWS).seed_ == 0


def test_a_generator_gives_a_new_seed_each_time():
    detector = Farthest(random_state=np.random.RandomState(0))
    assert detector.fit(ROWS).seed_ != detector.fit(ROWS).seed_


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contamination": 0}, "contamination is 0; it must be 'auto' or a number above 0 and at"),
        ({"contamination": "much"}, "contamination is 'much'"),
        ({"contamination": True}, "contamination is True"),
        ({"random_state": -1}, "random_state is -1; it must be None, a whole number from 0 on"),
        ({"random_state": 0.5}, "random_state is 0.5"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(SettingError, match=message):
        Farthest(**settings).fit(ROWS)


def test_fit_predict_looks_at_the_labels():
    rows, _ = odd_among()
    found = detector(contamination=0.05).fit_predict(rows, few_labels())
    expected = detector(contamination=0.05).fit(rows, few_labels()).predict(rows)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(LabelError):
        detector().fit_predict(rows, ["spam"] * 100)


def test_the_seed_decides_and_none_is_0():
    rows, _ = odd_among(300)

    def scores(seed):
        return detector(random_state=seed).fit(rows).anomaly_score(rows)

    np.testing.assert_array_equal(scores(None), scores(0))
    np.testing.assert_array_equal(scores(np.int64(7)), scores(7))
    states = np.random.RandomState(3), np.random.RandomState(3)
    np.testing.assert_array_equal(scores(states[0]), scores(states[1]))
    assert (scores(0) != scores(1)).any()
