import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sklearn.metrics import fbeta_score

from oddshot.errors import SettingError
from oddshot.thresholds.choices import (
    budget_threshold,
    cost_threshold,
    f_beta_threshold,
    share_threshold,
    stretch_threshold,
)

scores_of = st.integers(2, 25).flatmap(
    lambda n: st.tuples(
        nps.arrays(np.float64, n, elements=st.integers(0, 8).map(float)),
        nps.arrays(np.bool_, n),
    )
)
EVERY = np.arange(-0.5, 9)  # thresholds between whole scores


@given(scores_of, st.sampled_from([0.5, 1.0, 2.0]))
def test_no_threshold_has_a_better_f_beta(rows, beta):
    scores, truth = rows
    assume(truth.any())
    found = fbeta_score(truth, scores > f_beta_threshold(scores, truth, beta), beta=beta)
    best = max(fbeta_score(truth, scores > t, beta=beta, zero_division=0.0) for t in EVERY)
    assert found == pytest.approx(best)


@given(scores_of, st.integers(1, 5), st.integers(1, 6))
def test_a_budget_of_stretches_holds_from_the_lowest_threshold_on(rows, apart, alerts):
    scores, _ = rows

    def stretches(threshold):
        above = np.flatnonzero(scores > threshold)
        return int((np.diff(above) >= apart).sum()) + (len(above) > 0)

    levels = np.unique(scores)[::-1]
    fits = [stretches(level) <= alerts for level in [*levels, -1.0]]
    if all(fits):
        with pytest.raises(SettingError, match="give fewer"):
            stretch_threshold(scores, apart, alerts)
        return
    assert stretch_threshold(scores, apart, alerts) == levels[fits.index(False) - 1]


@given(scores_of, st.sampled_from([(1, 1), (1, 20), (3, 0.5)]))
def test_no_threshold_costs_less(rows, prices):
    scores, truth = rows

    def cost(threshold):
        above = scores > threshold
        return prices[0] * (above & ~truth).sum() + prices[1] * (~above & truth).sum()

    found = cost_threshold(scores, truth, false_alarm=prices[0], miss=prices[1])
    assert cost(found) == pytest.approx(min(map(cost, EVERY)))


@given(scores_of, st.integers(1, 30))
def test_a_budget_is_never_exceeded_and_used_up_but_for_ties(rows, alerts):
    scores, _ = rows
    alerts = min(alerts, len(scores) - 1)
    threshold = budget_threshold(scores, alerts)
    above = (scores > threshold).sum()
    assert above <= alerts
    tied = (scores == threshold).sum()
    assert above + tied > alerts


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_share_lies_above(share):
    scores = np.random.default_rng(0).normal(size=1000)
    assert (scores > share_threshold(scores, share)).mean() == pytest.approx(share, abs=0.001)


@pytest.mark.parametrize(("share", "rows"), [(0.15, 10), (0.005, 30), (0.01, 350), (0.5, 4)])
def test_of_few_scores_about_that_share_does_and_one_at_least(share, rows):
    scores = np.random.default_rng(1).normal(size=rows)
    assert (scores > share_threshold(scores, share)).sum() == np.ceil(share * (rows - 1))


def test_neighbouring_floats_are_told_apart():
    low = 1.0
    scores = np.array([low, np.nextafter(low, 2)])
    found = f_beta_threshold(scores, np.array([False, True]), 1.0)
    assert (scores > found).tolist() == [False, True]


def test_settings_that_cannot_be():
    scores, truth = np.zeros(2), np.array([True, False])
    with pytest.raises(SettingError, match="f_beta is 0"):
        f_beta_threshold(scores, truth, 0)
    with pytest.raises(SettingError, match="the cost of a missed anomaly is -1"):
        cost_threshold(scores, truth, false_alarm=1, miss=-1)
    with pytest.raises(SettingError, match="budget is 0; it must be 1 alert or more"):
        budget_threshold(scores, 0)
    for alerts in (2, 500):
        with pytest.raises(
            SettingError, match=f"budget is {alerts}, but there are 2 rows; give few"
        ):
            budget_threshold(scores, alerts)
