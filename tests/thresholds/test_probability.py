import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from oddshot.errors import DataError, SettingError
from oddshot.thresholds.probability import METHODS, CalibrationReport, Probability


def labelled(rows=600, share=0.2, *, seed=0):
    """Scores in decades: exponential for normal rows, far out for anomalies."""
    rng = np.random.default_rng(seed)
    truth = np.arange(rows) < share * rows
    scores = np.where(truth, rng.normal(2, 0.7, rows).clip(0), rng.exponential(0.43, rows))
    return scores, truth


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_rise_with_the_score_and_can_be_believed(method):
    found = Probability(method).fit(*labelled())
    steps = found.apply(np.linspace(0, 9, 200))
    assert ((steps >= 0) & (steps <= 1)).all()
    assert (np.diff(steps) >= -1e-12).all()
    scores, truth = labelled(20_000, seed=1)
    report = CalibrationReport.of(found.apply(scores), truth)
    assert report.brier < 0.5 * report.brier_of_share
    np.testing.assert_allclose(report.expected, report.observed, atol=0.12)
    assert found.report.brier == pytest.approx(report.brier, abs=0.02)


def test_the_logistic_curve_is_that_of_scikit_learn_on_targets_drawn_in():
    scores, truth = labelled()
    found = Probability("platt").fit(scores, truth)
    odd, normal = truth.sum(), (~truth).sum()
    target = np.where(truth, (odd + 1) / (odd + 2), 1 / (normal + 2))
    twice = np.r_[scores, scores][:, None]
    curve = LogisticRegression(C=np.inf, tol=1e-8).fit(
        twice, np.r_[np.ones(600), np.zeros(600)], np.r_[target, 1 - target]
    )
    expected = curve.predict_proba(scores[:, None])[:, 1]
    np.testing.assert_allclose(found.apply(scores), expected, atol=1e-3)


def test_few_separated_labels_claim_no_certainty():
    scores, truth = np.r_[np.zeros(5), np.full(5, 3.0)], np.arange(10) >= 5
    assert Probability("platt").fit(scores, truth).apply(np.array([3.0]))[0] < 0.9


def test_another_prevalence_multiplies_the_odds():
    scores, truth = labelled()
    same = Probability("platt").fit(scores, truth).apply(scores)
    rare = Probability("platt", prevalence=0.01).fit(scores, truth).apply(scores)
    odds = rare / (1 - rare) / (same / (1 - same))
    np.testing.assert_allclose(odds, (0.01 / 0.99) / (0.2 / 0.8), rtol=1e-6)


def test_the_method_follows_the_number_of_labels():
    assert Probability().fit(*labelled(100)).method == "platt"
    assert Probability().fit(*labelled(1000)).method == "isotonic"
    assert Probability(prevalence=0.1).fit(*labelled(100)).method == "platt"
    assert Probability(prevalence=0.1).fit(*labelled(1000)).method == "beta"


def mixed(share, rows, seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(rows) < share
    return np.where(truth, rng.gamma(4, 0.6, rows), rng.exponential(0.43, rows)), truth


def test_where_anomalies_are_rarer_in_life_as_many_are_expected_as_come():
    ratios = []
    for seed in range(10):
        found = Probability(prevalence=0.002).fit(*mixed(1 / 3, 450, seed))
        scores, _ = mixed(0.002, 50_000, 100 + seed)
        ratios.append(found.apply(scores).mean() / 0.002)
    assert 0.7 < np.mean(ratios) < 1.5


def test_steps_claim_no_certainty():
    scores, truth = np.r_[np.zeros(150), np.full(120, 3.0)], np.arange(270) >= 150
    found = Probability("isotonic").fit(scores, truth).apply(np.array([0.0, 3.0]))
    np.testing.assert_allclose(found, [1 / 152, 121 / 122])


def test_the_report_is_of_rows_mixed_by_the_prevalence():
    scores, truth = mixed(0.3, 600, 0)
    plain = CalibrationReport.of(scores / 10, truth)
    same = CalibrationReport.of(scores / 10, truth, prevalence=float(truth.mean()))
    assert same.brier == pytest.approx(plain.brier)
    np.testing.assert_allclose(same.expected, plain.expected)
    np.testing.assert_allclose(same.observed, plain.observed)
    found = Probability(prevalence=0.02).fit(scores, truth)
    assert found.report.brier_of_share == pytest.approx(0.02 * 0.98)
    scores, truth = mixed(0.02, 50_000, 1)
    lived = CalibrationReport.of(found.apply(scores), truth)
    assert found.report.brier == pytest.approx(lived.brier, rel=0.3)


@pytest.mark.parametrize("method", METHODS)
def test_it_comes_back_from_json(method):
    scores, truth = labelled()
    found = Probability(method, prevalence=0.1).fit(scores, truth)
    again = Probability.from_state(json.loads(json.dumps(found.state())))
    np.testing.assert_array_equal(again.apply(scores), found.apply(scores))
    assert again.report.brier == found.report.brier
    np.testing.assert_array_equal(again.report.observed, found.report.observed)
    assert again.state() == found.state()


def test_what_cannot_be():
    scores, truth = labelled(20, 0.2)
    with pytest.raises(DataError, match="4 labelled anomalies and 16 labelled normal rows"):
        Probability().fit(scores, truth)
    with pytest.raises(SettingError, match="probability is 'guess'; it must be one of 'auto'"):
        Probability("guess")
    with pytest.raises(SettingError, match="prevalence is 1"):
        Probability(prevalence=1)
