import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from oddshot.errors import DataError, SettingError
from oddshot.thresholds.conformal import (
    calibration_rows_needed,
    conformal_p_values,
    group_weights,
    least_p_value,
    threshold_at,
)

whole = st.integers(-9, 9).map(float)  # many ties
some_scores = nps.arrays(np.float64, st.integers(1, 30), elements=whole)
some_weights = st.integers(0, 2**31 - 1)


def counted(score, calibration, weight=1.0, weights=None):
    """The definition, one calibration row after the other."""
    weights = np.ones(len(calibration)) if weights is None else weights
    above = sum(w for s, w in zip(calibration, weights, strict=True) if s >= score)
    return (above + weight) / (sum(weights) + weight)


@given(some_scores, some_scores)
def test_p_values_are_counted(scores, calibration):
    found = conformal_p_values(scores, calibration)
    np.testing.assert_allclose(found, [counted(s, calibration) for s in scores], rtol=1e-12)
    assert ((found > 0) & (found <= 1)).all()
    assert (found >= least_p_value(len(calibration)) * (1 - 1e-12)).all()


@given(some_scores, some_scores)
def test_a_higher_score_never_has_a_larger_p_value(scores, calibration):
    found = conformal_p_values(np.sort(scores), calibration)
    assert (np.diff(found) <= 0).all()


@given(some_scores, some_scores, some_weights)
def test_weighted_p_values_are_counted(scores, calibration, seed):
    rng = np.random.default_rng(seed)
    mine, others = rng.uniform(0.05, 20, len(scores)), rng.uniform(0.05, 20, len(calibration))
    found = conformal_p_values(scores, calibration, weights=mine, calibration_weights=others)
    expected = [counted(s, calibration, w, others) for s, w in zip(scores, mine, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    alike = conformal_p_values(
        scores, calibration, weights=np.ones_like(mine), calibration_weights=np.ones_like(others)
    )
    np.testing.assert_allclose(alike, conformal_p_values(scores, calibration), rtol=1e-12)


@given(st.lists(some_scores, min_size=1, max_size=4), some_weights)
def test_each_part_is_compared_by_its_own_detector(parts, seed):
    rng = np.random.default_rng(seed)
    judged = [rng.integers(-9, 9, 5).astype(float) for _ in parts]
    found = conformal_p_values(judged, parts)
    above = sum((part[None] >= s[:, None]).sum(1) for part, s in zip(parts, judged, strict=True))
    np.testing.assert_allclose(found, (above + 1) / (sum(map(len, parts)) + 1), rtol=1e-12)
    if len(parts) == 1:
        np.testing.assert_array_equal(found, conformal_p_values(judged[0], parts[0]))


@given(nps.arrays(np.float64, st.integers(2, 30), elements=whole))
def test_among_exchangeable_rows_no_share_of_small_p_values_is_exceeded(rows):
    # each row in turn is the new one: superuniform, exactly, ties or none
    others = [np.delete(rows, i) for i in range(len(rows))]
    new = [rows[i : i + 1] for i in range(len(rows))]
    p = np.concatenate([conformal_p_values(n, o) for n, o in zip(new, others, strict=True)])
    for alpha in np.linspace(0.02, 1, 50):
        assert (p <= alpha + 1e-12).mean() <= alpha + 1e-9


@given(some_scores, st.floats(0.01, 0.99))
def test_above_the_threshold_are_exactly_the_small_p_values(calibration, alpha):
    scores = np.arange(-11.0, 11.0)
    threshold = threshold_at(calibration, alpha)
    small = conformal_p_values(scores, calibration) <= alpha * (1 + 1e-9)
    np.testing.assert_array_equal(scores > threshold, small)


@given(some_scores, st.floats(0.01, 0.99), st.integers(0, 99))
def test_so_they_are_where_rows_come_in_groups(calibration, alpha, seed):
    groups = np.random.default_rng(seed).integers(0, 5, len(calibration))
    weights, scores = group_weights(groups), np.arange(-11.0, 11.0)
    assert weights.sum() == pytest.approx(len(set(groups.tolist())))
    threshold = threshold_at(calibration, alpha, weights=weights)
    p_values = conformal_p_values(scores, calibration, calibration_weights=weights)
    np.testing.assert_array_equal(scores > threshold, p_values <= alpha + 1e-9)


def test_rows_of_new_groups_raise_no_more_alarms_than_promised():
    rng, alarms = np.random.default_rng(0), []
    for _ in range(2000):
        sizes = rng.integers(1, 30, 25)
        groups = np.repeat(np.arange(25), sizes)
        centres = rng.normal(0, 3, 26)
        calibration = np.abs(centres[groups] + rng.normal(size=len(groups)))
        new = np.abs(centres[25:] + rng.normal(size=1))
        alarms.append(
            [
                conformal_p_values(new, calibration, calibration_weights=weights)[0] <= 0.1
                for weights in (None, group_weights(groups))
            ]
        )
    as_single_rows, in_groups = np.mean(alarms, axis=0)
    assert as_single_rows > 0.11
    assert 0.05 < in_groups < 0.11


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05, 0.1, 0.3, 0.5])
def test_rows_needed_are_just_enough(alpha):
    rows = calibration_rows_needed(alpha)
    assert least_p_value(rows) <= alpha * (1 + 1e-9)
    assert rows == 0 or least_p_value(rows - 1) > alpha
    assert threshold_at(np.arange(rows), alpha) == rows - 1
    assert threshold_at(np.arange(rows - 1), alpha) == np.inf


def false_alarms(alpha, *, draws=4000, shift=0.0, weighted=False, ties=False):
    """Share of normal rows with a p-value of alpha or less, over draws of the calibration rows."""
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(draws):
        places = rng.normal(size=40)
        calibration, new = np.abs(places), rng.normal(shift, size=3)
        scores = np.abs(new)
        if ties:
            calibration, scores = calibration.round(), scores.round()
        weights = {}
        if weighted:  # the likelihood ratio of N(shift, 1) against N(0, 1)
            weights = {
                "weights": np.exp(shift * new - shift**2 / 2),
                "calibration_weights": np.exp(shift * places - shift**2 / 2),
            }
        alarms.append((conformal_p_values(scores, calibration, **weights) <= alpha).mean())
    return np.mean(alarms), 3 * np.std(alarms) / draws**0.5


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("ties", [False, True])
def test_false_alarms_stay_under_alpha(alpha, ties):
    rate, error = false_alarms(alpha, ties=ties)
    assert rate <= alpha + error
    assert ties or rate >= np.floor(alpha * 41) / 41 - error


def test_a_shift_breaks_the_promise_and_the_right_weights_mend_it():
    plain, error = false_alarms(0.1, shift=1.0)
    assert plain > 0.2 + error
    weighted, error = false_alarms(0.1, shift=1.0, weighted=True)
    assert weighted <= 0.1 + error


def test_cross_conformal_false_alarms_of_a_detector_that_overfits():
    """Scores are distances to the nearest of few rows, so rows that were learned from score 0."""
    rng = np.random.default_rng(0)

    def nearest(rows, others):
        return np.abs(rows[:, None] - others).min(1)

    alarms, naive = [], []
    for _ in range(3000):
        rows, new = rng.normal(size=20), rng.normal(size=2)
        parts = np.array_split(rng.permutation(20), 5)
        rests = [np.delete(rows, part) for part in parts]
        scores = [nearest(new, rest) for rest in rests]
        held_out = [nearest(rows[p], rest) for p, rest in zip(parts, rests, strict=True)]
        alarms.append((conformal_p_values(scores, held_out) <= 0.1).mean())
        naive.append((conformal_p_values(nearest(new, rows), nearest(rows, rows)) <= 0.1).mean())
    assert 0.05 < np.mean(alarms) <= 0.1 + 3 * np.std(alarms) / 3000**0.5
    assert np.mean(naive) > 0.9


def test_smoothed_p_values_are_uniform_where_all_is_tied():
    scores = np.zeros(20_000)
    found = conformal_p_values(scores, np.zeros(9), generator=np.random.default_rng(0))
    assert ((found > 0) & (found <= 1)).all()
    for alpha in (0.05, 0.5, 0.9):
        assert (found <= alpha).mean() == pytest.approx(alpha, abs=0.02)
    assert (conformal_p_values(scores, np.zeros(9)) == 1).all()


def test_what_cannot_be_used():
    with pytest.raises(DataError, match="there is no calibration row"):
        conformal_p_values(np.zeros(2), np.zeros(0))
    with pytest.raises(DataError, match="a score is not a number"):
        conformal_p_values(np.array([np.nan]), np.zeros(2))
    for alpha in (0, 1, True, "much"):
        with pytest.raises(SettingError, match="it must be a number between 0 and 1"):
            threshold_at(np.zeros(2), alpha)
