import multiprocessing
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from oddshot import FewShotDetector
from oddshot.errors import CalibrationWarning
from oddshot.mapping.encoding.encoder import Encoder
from small_detectors import detector, few_labels, odd_among


def test_scoring_in_several_threads_leaves_their_numbers_as_they_were(fitted):
    def numbers():
        return [pool["num_threads"] for pool in threadpool_info()], torch.get_num_threads()

    rows = np.tile(odd_among()[0], (30, 1))
    expected, before = fitted.anomaly_score(rows), numbers()
    with ThreadPoolExecutor(4) as pool:
        scores = list(pool.map(fitted.anomaly_score, [rows] * 12))
    assert numbers() == before
    for found in scores:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25, 0.5])
def test_contamination_is_the_share_of_the_training_rows_that_are_flagged(share):
    rows, _ = odd_among()
    made = detector(contamination=share).fit(rows)
    assert made.contamination_ == share
    assert (made.predict(rows) == -1).sum() == round(100 * share)
    labelled = detector(contamination=share).fit(rows, few_labels(known=5))
    assert (labelled.predict(rows) == -1).sum() == round(100 * share)


def test_automatic_contamination():
    rows, truth = odd_among(200)
    made = detector().fit(rows)
    assert 0.005 < made.contamination_ <= 0.15
    flagged = made.predict(rows) == -1
    assert flagged.mean() == pytest.approx(made.contamination_, abs=0.006)
    assert truth[flagged].mean() >= 0.5
    clean = detector().fit(rows[truth == 0], np.zeros(180))
    assert clean.contamination_ == pytest.approx(0.01, abs=1 / 180)


@pytest.mark.parametrize("clean", [True, False])
def test_many_known_anomalies_do_not_lift_the_automatic_threshold(clean):
    rows, truth = odd_among(400)
    known = np.where(truth == 1, 1, 0 if clean else -1)
    made = detector().fit(rows, known)
    fresh, odd = odd_among(400, seed=1)
    flagged = made.predict(fresh) == -1
    assert flagged[odd == 1].mean() > 0.8
    assert flagged[odd == 0].mean() < 0.1
    assert made.contamination_ == pytest.approx((made.predict(rows) == -1).mean(), abs=0.01)
    assert "that are no known anomalies" in str(made.threshold_rule_)


def test_known_anomalies_tell_how_many_hide_among_the_others():
    rng = np.random.default_rng(0)
    rows, truth = rng.normal(size=(900, 4)), np.arange(900) < 90
    rows[truth, :2] += 3
    learned, new = rows[::2], rows[1::2]
    labels = np.where(np.arange(450) < 15, 1, -1)
    made = FewShotDetector(random_state=0).fit(learned, labels)
    assert made.threshold_rule_.automatic == "labels"
    flagged = made.predict(new) == -1
    assert flagged[truth[1::2]].mean() > 0.8
    assert flagged[~truth[1::2]].mean() < 0.03


def test_the_scale_is_decades_of_the_training_rows():
    rows = np.random.default_rng(0).normal(size=(400, 3))
    scores = detector().fit(rows).anomaly_score(rows)
    assert np.median(scores) == pytest.approx(0.3, abs=0.02)
    assert (scores > 1).mean() == pytest.approx(0.1, abs=0.01)
    assert (scores > 2).mean() == pytest.approx(0.01, abs=0.006)


def test_far_rows_score_far_above_all_training_rows():
    rows = np.random.default_rng(0).normal(size=(200, 3))
    made = detector().fit(rows, np.zeros(200))
    scores = made.anomaly_score(rows[:1] + np.array([[0], [10], [100], [1e9]]))
    assert scores[1] > made.anomaly_score(rows).max()
    assert (np.diff(scores) > 0).all()


def threads_of(n_jobs):
    with warnings.catch_warnings(action="error"):
        return detector(n_jobs=n_jobs)._threads()


def test_threads_are_no_processes_within_a_pool():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(threads_of, [None, 1, 2]) == [1, 1, 2]


def test_a_threshold_chosen_on_rows_that_taught_is_told():
    rows, truth = odd_among(400)
    made = detector().fit(rows[::2])
    for choice in ({"f_beta": 1}, {"cost": (1, 10)}):
        with pytest.warns(CalibrationWarning, match="learned from 200 of the 200 rows to") as told:
            made.set_threshold(**choice, X=rows[::2], y=truth[::2])
        assert told[0].filename == __file__
        made.set_threshold(**choice, X=rows[1::2], y=truth[1::2])


@pytest.mark.parametrize("settings", [None, {"f_beta": 1}, {"cost": (5, 300)}])
def test_labelled_rows_are_encoded_once(monkeypatch, settings):
    """None of the settings: to calibrate, which warns of learned rows, too."""
    made, calls = detector().fit(odd_among()[0]), []
    encode = Encoder.transform
    monkeypatch.setattr(
        Encoder, "transform", lambda self, *a, **k: calls.append(a) or encode(self, *a, **k)
    )
    rows, truth = odd_among(seed=1)
    if settings is None:
        made.calibrate(rows, truth)
    else:
        made.set_threshold(**settings, X=rows, y=truth)
    assert len(calls) == 1


def test_scores_and_numbers_are_those_that_each_is_alone(fitted):
    rows = np.tile(odd_among()[0], (30, 1))
    scores, numbers = fitted._scores_and_numbers(rows)
    np.testing.assert_array_equal(scores, fitted.anomaly_score(rows))
    np.testing.assert_array_equal(numbers, fitted._numbers(rows))
