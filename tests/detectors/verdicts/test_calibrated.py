"""p-values, selections and probabilities of a detector that only scores, and of the real one."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from oddshot import FewShotDetector
from oddshot.detectors.base import AnomalyDetector
from oddshot.detectors.verdicts.calibrated import Shown
from oddshot.errors import CalibrationError, CalibrationWarning, DataError, LabelError, SettingError
from oddshot.thresholds.conformal import conformal_p_values
from oddshot.thresholds.surprise import Surprise
from small_priors import untrained_prior


class Farthest(AnomalyDetector):
    """Scores rows by their distance to the origin."""

    def __init__(self, *, contamination="auto", random_state=None):
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X, y=None):
        raw = np.abs(X).max(1)
        self._scale = Surprise().fit(raw)
        self._set_threshold(Shown(raw, raw[:0], y is not None), self._checked_contamination())
        return self

    def anomaly_score(self, X):
        return self._scale.apply(np.abs(X).max(1))


RNG = np.random.default_rng(0)
ROWS, FRESH = RNG.normal(size=(300, 2)), RNG.normal(size=(400, 2))
ODD = RNG.normal(6, 1, size=(30, 2))
LABELS = np.repeat([0, 1], [400, 30])
MOVED = np.array([1.2, 0.0])


@pytest.fixture
def farthest():
    return Farthest().fit(ROWS)


def test_before_calibration_the_rows_given_to_fit_are_those_compared_with(farthest):
    scores = farthest.anomaly_score(FRESH)
    expected = conformal_p_values(scores, farthest.anomaly_score(ROWS))
    np.testing.assert_array_equal(farthest.p_values(FRESH), expected)
    assert (farthest.calibration_.method, farthest.calibration_.rows) == ("own", 300)
    assert not farthest.calibration_.clean
    assert Farthest().fit(ROWS, np.zeros(300)).calibration_.clean


def test_after_it_the_rows_given_to_it(farthest):
    threshold = farthest.threshold_
    assert farthest.calibrate(FRESH) is farthest
    assert farthest.threshold_ == threshold
    assert str(farthest.calibration_) == "400 rows that the detector has not learned from"
    expected = conformal_p_values(farthest.anomaly_score(ODD), farthest.anomaly_score(FRESH))
    np.testing.assert_array_equal(farthest.p_values(ODD), expected)
    assert farthest.fit(ROWS).calibration_.method == "own"


def test_known_anomalies_do_not_calibrate_nor_unlabelled_rows_beside_many_normal_ones(farthest):
    both = np.r_[FRESH, ODD]
    farthest.calibrate(both, LABELS)
    assert farthest.calibration_.rows == 400
    assert farthest.calibration_.clean
    farthest.calibrate(both, np.where(np.arange(430) < 150, 0, -1))
    assert farthest.calibration_.rows == 150
    farthest.calibrate(both, np.where(np.arange(430) < 50, 0, -1))
    assert farthest.calibration_.rows == 430
    assert not farthest.calibration_.clean


def test_at_most_ten_thousand_rows_calibrate(farthest):
    many = np.random.default_rng(1).normal(size=(12_000, 2))
    assert farthest.calibrate(many).calibration_.rows == 10_000


def test_selections_keep_their_rate(farthest):
    farthest.calibrate(FRESH, np.zeros(400))
    new = np.r_[np.random.default_rng(2).normal(size=(200, 2)), ODD]
    selected = farthest.select(new, alpha=0.2)
    assert selected[200:].mean() > 0.9
    assert selected[:200].sum() / selected.sum() < 0.4
    each = farthest.select(new, alpha=0.05, method="each")
    np.testing.assert_array_equal(each, farthest.p_values(new) <= 0.05)


def test_what_cannot_be_promised_is_said(farthest):
    farthest.calibrate(FRESH[:50])
    with pytest.warns(CalibrationWarning, match=r"50 calibration rows cannot promise 0\.01: no"):
        assert not farthest.select(ODD, alpha=0.01, method="each").any()
    crowd = np.r_[np.zeros((300, 2)), ODD[:1]]
    with pytest.warns(CalibrationWarning, match="either 60 stand out .* these may hide anomalies"):
        assert not farthest.select(crowd, alpha=0.1).any()
    with pytest.warns(CalibrationWarning, match="it takes 99 rows$"):
        farthest.select(ODD, alpha=0.01)


def test_probabilities_need_labels_that_fit_has_not_seen(farthest):
    assert not hasattr(farthest, "predict_proba")
    with pytest.raises(CalibrationError, match="probabilities need labels that fit has not seen"):
        farthest.predict_proba(FRESH)
    assert not hasattr(farthest.calibrate(FRESH), "predict_proba")
    farthest.calibrate(np.r_[FRESH, ODD], LABELS)
    found = farthest.predict_proba(np.r_[FRESH[:5], ODD[:5]])
    np.testing.assert_allclose(found.sum(1), 1)
    assert found[:5, 1].max() < 0.3 < found[5:, 1].min()
    report = farthest.probability_report_
    assert report.brier < 0.5 * report.brier_of_share
    rare = farthest.calibrate(np.r_[FRESH, ODD], LABELS, prevalence=0.001)
    assert (rare.predict_proba(ODD)[:, 1] < found[5:, 1].max()).all()
    assert not hasattr(farthest.calibrate(FRESH), "predict_proba")


@pytest.mark.parametrize("rows", [FRESH, None], ids=["rows", "none"])
def test_a_mistake_leaves_what_was_calibrated_before(farthest, rows):
    farthest.calibrate(np.r_[FRESH, ODD], LABELS)
    expected = farthest.predict_proba(ODD)
    with pytest.raises(SettingError, match="probability is 'nonsense'"):
        farthest.calibrate(rows, probability="nonsense")
    np.testing.assert_array_equal(farthest.predict_proba(ODD), expected)


def test_mistakes_are_named(farthest):
    with pytest.raises(NotFittedError):
        Farthest().p_values(ROWS)
    with pytest.raises(NotFittedError):
        Farthest().calibrate(ROWS)
    with pytest.raises(SettingError, match="Farthest cannot be made again without some of its"):
        farthest.calibrate()
    with pytest.raises(SettingError, match="this Farthest keeps no rows in numbers"):
        farthest.p_values(FRESH, shift=True)
    with pytest.raises(SettingError, match="method is 'best'; it must be 'fdr' or 'each'"):
        farthest.select(FRESH, method="best")
    with pytest.raises(SettingError, match="alpha is 0; it must be a number between 0 and 1"):
        farthest.select(FRESH, alpha=0)
    with pytest.raises(SettingError, match="method is 'cross'; it must be left out where X is"):
        farthest.calibrate(FRESH, method="cross")
    with pytest.raises(SettingError, match=r"prevalence is 0.1; it must be left out where X is"):
        farthest.calibrate(prevalence=0.1)
    with pytest.raises(
        SettingError, match=r"probability is 'beta'; it must be left out where X is"
    ):
        farthest.calibrate(probability="beta")
    with pytest.raises(SettingError, match="folds is 7; it must be left out where X is given"):
        farthest.calibrate(FRESH, folds=7)
    for y in (None, np.repeat([0, 1, -1], [300, 4, 96])):
        with pytest.raises(
            SettingError, match=r"prevalence is 0.1; .* y has fewer than 5 known an"
        ):
            farthest.calibrate(FRESH, y, prevalence=0.1)
        with pytest.raises(
            SettingError, match="probability is 'beta'; it must be left out where y"
        ):
            farthest.calibrate(FRESH, y, probability="beta")
    with pytest.raises(SettingError, match="folds is 1; it must be a whole number from 2 on"):
        farthest.calibrate(folds=1)
    with pytest.raises(SettingError, match="method is 'jackknife'"):
        farthest.calibrate(method="jackknife")
    with pytest.raises(LabelError, match="all 30 rows given to calibrate are labelled as anom"):
        farthest.calibrate(ODD, np.ones(30))


# the real detector: few rows, fitted once


def few_shot(y=None):
    return FewShotDetector(prior=untrained_prior()).fit(ROWS[:160], y)


@pytest.fixture(scope="module")
def fitted():
    return few_shot()


@pytest.fixture(scope="module", params=["split", "cross"])
def held_out(request):
    return few_shot().calibrate(method=request.param, folds=3 if request.param == "cross" else None)


def test_each_part_is_scored_by_a_detector_that_has_not_seen_it(held_out):
    calibration = held_out.calibration_
    places = np.concatenate(calibration.parts)
    assert len(set(places)) == len(places) == (80 if calibration.method == "split" else 160)
    support = held_out._fitted._mapping.support.typical
    for part, scores in zip(calibration.parts, calibration.scores, strict=True):
        rest = np.delete(support, part, axis=0)
        fit = FewShotDetector(prior=untrained_prior()).fit(rest)
        np.testing.assert_allclose(fit.anomaly_score(support[part]), scores, rtol=0.2, atol=0.2)


def test_p_values_of_held_out_rows(held_out):
    new = held_out.p_values(np.r_[FRESH, ODD])
    assert (new[:400] <= 0.1).mean() < 0.2
    assert (new[400:] <= 0.05).all()
    assert held_out.select(np.r_[FRESH[:50], ODD])[50:].all()


def test_scores_stay_and_order_does_not_matter(held_out, fitted):
    np.testing.assert_array_equal(held_out.anomaly_score(FRESH), fitted.anomaly_score(FRESH))
    order = np.random.default_rng(3).permutation(160)
    other = FewShotDetector(prior=untrained_prior()).fit(ROWS[:160][order])
    method = held_out.calibration_.method
    other.calibrate(method=method, folds=3 if method == "cross" else None)
    np.testing.assert_allclose(other.p_values(FRESH), held_out.p_values(FRESH))


def test_a_row_has_the_same_p_value_alone_and_in_company(held_out):
    together = held_out.p_values(FRESH[:6])
    np.testing.assert_array_equal([held_out.p_values(row[None])[0] for row in FRESH[:6]], together)


def test_it_comes_back_from_a_file(held_out, tmp_path):
    held_out.set_threshold(alpha=0.1).save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    np.testing.assert_allclose(again.p_values(FRESH), held_out.p_values(FRESH))
    assert again.threshold_ == held_out.threshold_
    assert str(again.threshold_rule_) == str(held_out.threshold_rule_)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(held_out)).p_values(ODD), held_out.p_values(ODD)
    )


def test_given_rows_and_probabilities_come_back_from_a_file(tmp_path):
    made = few_shot().calibrate(np.r_[FRESH, ODD], LABELS)
    made.save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(ODD), made.predict_proba(ODD))
    np.testing.assert_allclose(
        again.p_values(FRESH[:80] + 1, shift=True), made.p_values(FRESH[:80] + 1, shift=True)
    )
    assert not hasattr(clone(made), "predict_proba")


@pytest.mark.parametrize("method", [None, "split", "cross"])
def test_under_a_shift_weighted_p_values_are_larger(fitted, method):
    made = fitted if method is None else few_shot().calibrate(method=method)
    moved = FRESH[:100] + MOVED
    plain, weighted = made.p_values(moved), made.p_values(moved, shift=True)
    assert (weighted <= 0.1).mean() < (plain <= 0.1).mean()
    assert not made.select(moved, alpha=0.3, method="each", shift=True).all()


def test_selection_under_a_shift_says_what_its_rows_are_worth(fitted):
    with pytest.warns(CalibrationWarning, match="160 calibration rows, weighted for a shift and w"):
        assert not fitted.select(FRESH[:100] + MOVED, alpha=0.05, shift=True).any()


def test_where_rows_are_worth_too_little_under_a_shift_each_says_so():
    made = few_shot().calibrate(FRESH)
    far = FRESH[:100] + 3 * MOVED
    with pytest.warns(CalibrationWarning, match=r"worth \d+, are few for 0.01; it takes 99$"):
        assert not made.select(far, alpha=0.01, method="each", shift=True).any()


def test_known_normal_rows_calibrate_alone_where_they_are_many():
    made = few_shot(np.where(np.arange(160) < 110, 0, -1))
    assert made.calibration_.clean
    assert made.calibration_.rows == 110
    made.calibrate(folds=2)
    assert made.calibration_.clean
    assert made.calibration_.rows == 110
    assert not few_shot(np.where(np.arange(160) < 50, 0, -1)).calibration_.clean


def odd_first(made):
    """Which of 600 rows of a detector are its oddest, and new rows of the same kind."""
    rows, new = np.split(np.random.default_rng(4).normal(size=(2600, 2)), [600])
    return rows, np.argsort(-made.fit(rows).anomaly_score(rows))[:120], new


def test_answers_about_odd_rows_do_not_calibrate_alone(tmp_path):
    """As they would from the hundredth on, and next to nothing would be an alarm any more."""
    made = FewShotDetector(prior=untrained_prior())
    rows, odd, new = odd_first(made)
    ranking = made.rank(rows).add_labels(odd, [0] * 120)
    made.partial_fit(rows[odd], [0] * 120).save(tmp_path)
    for each in (made, ranking.detector, FewShotDetector.load(tmp_path)):
        assert each.calibration_.rows == 600
        assert not each.calibration_.clean
        assert (each.p_values(new) <= 0.1).mean() == pytest.approx(0.08, abs=0.05)
        assert each.calibrate(folds=2).calibration_.rows == 600


def test_nor_do_answers_about_rows_that_fit_has_not_seen():
    made = FewShotDetector(prior=untrained_prior())
    rows, _, new = odd_first(made)
    oddest = new[np.argsort(-made.anomaly_score(new))[:120]]
    assert made.partial_fit(oddest, [0] * 120).calibration_.rows == 600
    clean = few_shot(np.zeros(160)).partial_fit(oddest, [0] * 120)
    assert clean.calibration_.rows == 160
    few = FewShotDetector(prior=untrained_prior()).fit(rows[:80], np.zeros(80))
    assert few.partial_fit(oddest[:5], [0] * 5).calibration_.rows == 85


def test_answers_that_an_older_version_saved_calibrate_as_they_did(tmp_path, monkeypatch):
    made = FewShotDetector(prior=untrained_prior())
    rows, odd, _ = odd_first(made)
    made.partial_fit(rows[odd], [0] * 120)
    state, tensors = made._state()
    older = {name: value for name, value in state.items() if name != "answers_calibrate"}
    monkeypatch.setattr(made, "_state", lambda: (older, tensors))
    made.save(tmp_path)
    loaded = FewShotDetector.load(tmp_path)
    assert loaded.calibration_.rows == 120
    loaded.save(tmp_path)
    assert FewShotDetector.load(tmp_path).calibration_.rows == 120
    assert loaded.partial_fit(rows[:1], [0]).calibration_.rows == 600


def test_normal_rows_that_are_all_odd_do_not_calibrate_alone(tmp_path):
    made = FewShotDetector(prior=untrained_prior())
    rows, odd, new = odd_first(made)
    labels = np.full(600, -1)
    labels[odd] = 0
    with pytest.warns(CalibrationWarning, match="^120 known normal rows score higher") as told:
        made.fit(rows, labels)
    assert told[0].filename == __file__
    made.save(tmp_path)
    for each in (made, FewShotDetector.load(tmp_path)):
        assert each.calibration_.rows == 600
        assert (each.p_values(new) <= 0.1).mean() == pytest.approx(0.08, abs=0.05)
    other = few_shot()
    with pytest.warns(CalibrationWarning, match="^120 known normal rows score higher") as told:
        other.calibrate(rows, labels)
    assert told[0].filename == __file__
    assert other.calibration_.rows == 600
    labels[:] = -1
    labels[:120] = 0
    assert made.fit(rows, labels).calibration_.rows == 120


def test_no_rows_are_a_mistake_under_a_shift_too(fitted):
    with pytest.raises(DataError, match="0 sample"):
        fitted.p_values(FRESH[:0], shift=True)


def test_few_rows_given_to_fit_do_not_stand_for_new_ones():
    made = Farthest().fit(ROWS[:30])
    told = "30 rows given to fit are too few to stand for new ones"
    with pytest.warns(CalibrationWarning, match=told):
        made.p_values(FRESH)
    with pytest.warns(CalibrationWarning, match=told):
        made.select(FRESH, alpha=0.2)
    with pytest.warns(CalibrationWarning, match=told):
        assert not made.set_threshold(alpha=0.2).threshold_rule_.promised
    made.calibrate(FRESH[:30])
    assert made.set_threshold(alpha=0.2).threshold_rule_.promised


def test_nor_do_rows_that_are_few_for_their_columns():
    rows = np.random.default_rng(9).normal(size=(110, 20))
    made = FewShotDetector(prior=untrained_prior()).fit(rows)
    told = "110 rows given to fit are too few of 20 columns to stand for new ones"
    with pytest.warns(CalibrationWarning, match=told):
        made.p_values(rows)
    with pytest.warns(CalibrationWarning, match=told):
        assert not made.set_threshold(alpha=0.1).threshold_rule_.promised
    assert made.calibrate(folds=2).set_threshold(alpha=0.1).threshold_rule_.promised
    few = FewShotDetector(prior=untrained_prior()).fit(rows[:, :7])
    assert few.set_threshold(alpha=0.1).threshold_rule_.promised
    fewest = FewShotDetector(prior=untrained_prior()).fit(rows[:90])  # judged by holding out
    assert fewest.set_threshold(alpha=0.1).threshold_rule_.promised


@pytest.mark.parametrize(("rows", "width"), [(12, 2), (30, 2), (60, 30), (300, 100)])
def test_where_a_prior_is_adapted_they_do(rows, width):
    rng = np.random.default_rng(4)
    mixing = rng.normal(size=(width, width))
    known, new = rng.normal(size=(rows, width)) @ mixing, rng.normal(size=(300, width)) @ mixing
    made = FewShotDetector(prior=untrained_prior()).fit(known, np.zeros(rows))
    assert (made.anomaly_score(new) > made.threshold_).mean() < 0.15
    assert (made.p_values(new) <= 0.2).mean() < 0.3
    assert made.set_threshold(alpha=0.2).threshold_rule_.promised
    assert (made.anomaly_score(new) > made.threshold_).mean() < 0.3
    assert (made.anomaly_score(9 * new) > made.threshold_).mean() > 0.8
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_allclose(again.anomaly_score(new), made.anomaly_score(new))
    made.calibrate().set_threshold(alpha=0.2)
    assert (made.p_values(new) <= 0.2).mean() < 0.3
    assert (made.anomaly_score(new) > made.threshold_).mean() < 0.35


def test_few_rows_held_out_one_by_one_move_no_threshold():
    made = FewShotDetector(prior=untrained_prior()).fit(ROWS[:40])
    made.set_threshold(alpha=0.05)
    threshold, rule = made.threshold_, made.threshold_rule_
    assert (made.predict(FRESH) == -1).mean() < 0.1
    batch = np.r_[FRESH[:100], ODD]
    selected = made.set_threshold(fdr=0.4, X=batch).predict(batch) == -1
    made.calibrate(folds=40)
    assert (made.p_values(FRESH) <= 0.05).mean() < 0.1
    assert made.set_threshold(alpha=0.05).threshold_ == threshold
    assert made.threshold_rule_ == rule
    assert made.set_threshold(budget=(5, 100)).threshold_ == threshold
    again = made.set_threshold(fdr=0.4, X=batch).predict(batch) == -1
    np.testing.assert_array_equal(again, selected)
    made.calibrate(groups=np.arange(40) // 2)
    with pytest.warns(CalibrationWarning, match="not on their groups: rows of new groups score"):
        assert not made.set_threshold(alpha=0.1).threshold_rule_.promised


def test_so_they_do_after_saving_and_in_company(tmp_path):
    rng = np.random.default_rng(5)
    known, new = rng.normal(size=(40, 12)), rng.normal(size=(50, 12))
    made = FewShotDetector(prior=untrained_prior()).fit(known)
    made.save(tmp_path)
    scores = made.anomaly_score(new)
    np.testing.assert_allclose(FewShotDetector.load(tmp_path).anomaly_score(new), scores)
    np.testing.assert_allclose([made.anomaly_score(row[None])[0] for row in new[:5]], scores[:5])
    both = made.anomaly_score(np.concatenate([new, known]))
    np.testing.assert_allclose(both[:50], scores)
    np.testing.assert_allclose(both[50:], made.anomaly_score(known))


def test_too_few_rows_to_hold_any_out():
    made = FewShotDetector(prior=untrained_prior()).fit(ROWS[:3])
    with pytest.raises(DataError, match="3 rows are too few to hold some of them out"):
        made.calibrate()
    assert FewShotDetector(prior=untrained_prior()).fit(ROWS[:4]).calibrate().calibration_.rows == 4


def test_more_folds_than_rows_are_refused():
    made = FewShotDetector(prior=untrained_prior()).fit(ROWS[:200])
    with pytest.raises(SettingError, match="folds is 300; it must be no more than the 200 rows"):
        made.calibrate(folds=300)
    with pytest.raises(SettingError, match="folds is 3; it must be left out where method is 'spl"):
        made.calibrate(method="split", folds=3)


def test_rows_that_were_learned_from_do_not_calibrate_unnoticed():
    detector = FewShotDetector(prior=untrained_prior()).fit(ROWS)
    with pytest.warns(CalibrationWarning, match=r"learned from 300 of the 300 rows to calibrate"):
        detector.calibrate(ROWS)
    with pytest.warns(CalibrationWarning, match=r"learned from 200 of the 600 rows"):
        detector.calibrate(np.concatenate([ROWS[:200], FRESH]))
    detector.calibrate(np.concatenate([ROWS[:40], FRESH]))
    detector.calibrate(FRESH)
    few = RNG.integers(0, 4, (300, 4)).astype(float)  # of few kinds of rows all come again
    FewShotDetector(prior=untrained_prior()).fit(few[:250]).calibrate(few[250:280])


def test_rows_of_few_kinds_have_as_many_false_alarms_as_promised():
    shares = []
    for seed in range(6):
        generator = np.random.default_rng([seed, 41])
        rows, new = (generator.integers(1, 6, size=(n, 3)).astype(float) for n in (300, 600))
        detector = FewShotDetector(random_state=seed).fit(rows, np.zeros(300))
        shares.append((detector.p_values(new) <= 0.1).mean())
    assert 0.06 < np.mean(shares) < 0.15


@pytest.mark.parametrize("method", ["split", "cross"])
def test_rows_held_out_count_as_often_as_they_come_again(method, tmp_path):
    generator = np.random.default_rng(6)
    points = 6 * generator.normal(size=(20, 4))
    points /= np.abs(points).max(axis=1, keepdims=True) / 6

    def draw(number):
        bulk = generator.normal(size=(number, 4))
        often = generator.random(number) < 0.1
        bulk[often] = points[generator.integers(20, size=often.sum())]
        return bulk

    rows, new = draw(400), draw(1000)
    made = FewShotDetector(prior=untrained_prior()).fit(rows).calibrate(method=method)
    assert made.calibration_.rows > (195 if method == "split" else 395)
    assert (made.p_values(new) <= 0.05).mean() < 0.06
    weighted = made.p_values(new[:200], shift=True)
    made.save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    np.testing.assert_allclose(again.p_values(new[:20]), made.p_values(new[:20]))
    np.testing.assert_allclose(again.p_values(new[:200], shift=True), weighted)


def test_where_rows_repeat_a_shift_is_weighted_before_calibration_too():
    made = FewShotDetector(prior=untrained_prior()).fit(np.r_[ROWS[:200], ROWS[:40]])
    assert made.calibration_.rows == 240
    plain, weighted = (made.p_values(FRESH[:200], shift=shift) for shift in (False, True))
    np.testing.assert_allclose(weighted, plain, atol=0.1)
    assert made.select(np.r_[FRESH[:50], ODD], alpha=0.3, shift=True)[50:].any()


@pytest.mark.parametrize("method", ["split", "cross"])
def test_first_gaps_are_as_rare_among_rows_held_out_as_among_new_ones(method):
    found, new_gaps = [], []
    for seed in range(3):
        generator = np.random.default_rng(seed)
        rows, new = (generator.normal(size=(n, 30)) for n in (200, 600))
        for table in (rows, new):
            table[generator.random(table.shape) < 0.002] = np.nan
        made = FewShotDetector(prior=untrained_prior()).fit(rows)
        with pytest.warns(CalibrationWarning, match="% of new rows are to be expected with a gap"):
            assert not made.set_threshold(alpha=0.05).threshold_rule_.promised
        made.calibrate(method=method)
        found.append((made.p_values(new) <= 0.02).mean())
        first = np.isnan(new[:, ~np.isnan(rows).any(axis=0)]).any(axis=1)
        new_gaps.append(first.mean())
        with pytest.warns(CalibrationWarning, match="and go by p_values"):
            assert not made.set_threshold(alpha=0.05).threshold_rule_.promised
    assert np.mean(new_gaps) > 0.02
    assert np.mean(found) < 0.02


@pytest.mark.parametrize("method", ["split", "cross"])
def test_levels_are_counted_without_the_rows_held_out(method):
    shares = []
    for seed in range(4):
        generator = np.random.default_rng(seed)
        rows, new = (
            pd.DataFrame(np.minimum(generator.zipf(1.5, (n, 6)), 30)).astype(str).add_prefix("c")
            for n in (300, 500)
        )
        detector = FewShotDetector(random_state=seed).fit(rows, np.zeros(300))
        detector.calibrate(method=method)
        shares.append((detector.p_values(new) <= 0.1).mean())
    assert np.mean(shares) < 0.14


def test_the_share_of_rows_that_repeat_is_flagged_as_asked():
    rows = np.round(np.random.default_rng(0).normal(size=(400, 4)))
    for share in (0.1, 0.2):
        detector = FewShotDetector(contamination=share).fit(rows)
        flagged = (detector.predict(rows) == -1).mean()
        assert abs(flagged - share) < 0.01
        assert detector.contamination_ == flagged


def test_rows_that_alone_make_a_column_vary_can_be_held_out():
    rows = pd.DataFrame({"status": ["ok"] * 150 + ["err"] + ["ok"] * 149})
    rows["retries"] = np.where(rows["status"] == "err", 3, 0)
    detector = FewShotDetector(random_state=0).fit(rows)
    for method in ("split", "cross"):
        assert np.isfinite(detector.calibrate(method=method).p_values(rows)).all()


def test_scores_far_outside_of_few_rows_are_finite():
    rows = np.repeat([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]], 30, axis=0)
    labels = np.r_[1, 1, np.full(88, -1)]
    detector = FewShotDetector(random_state=0).fit(rows, labels)
    assert np.isfinite(detector.anomaly_score(rows + 0.01)).all()


# groups: rows of one customer are alike, and new rows come from new customers

CUSTOMERS = np.repeat(np.arange(40), 6)
BUYS = RNG.normal(0, 3, size=(40, 2))[CUSTOMERS] + RNG.normal(size=(240, 2))


@pytest.mark.parametrize("method", ["split", "cross"])
def test_groups_are_held_out_whole_and_count_as_one(method, tmp_path):
    order = RNG.permutation(240)
    detector = FewShotDetector(prior=untrained_prior()).fit(BUYS[order])
    detector.calibrate(method=method, groups=CUSTOMERS[order])
    calibration = detector.calibration_
    assert calibration.worth == (20 if method == "split" else 40)
    assert str(calibration).endswith(f", in {calibration.worth} groups")
    typical = detector._fitted.support.typical[:, np.argsort(detector._fitted.support.columns)]
    held = [
        {int(CUSTOMERS[np.argmin(np.abs(BUYS - row).sum(1))]) for row in typical[part]}
        for part in calibration.parts
    ]
    assert len(set.union(*held)) == sum(map(len, held)) == calibration.worth
    expected = conformal_p_values(
        detector._scores_by_part(calibration, FRESH[:50]),
        calibration.scores,
        calibration_weights=np.full(calibration.rows, 1 / 6),
    )
    np.testing.assert_allclose(detector.p_values(FRESH[:50]), expected)
    detector.set_threshold(alpha=0.1).save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    np.testing.assert_allclose(again.p_values(ODD), detector.p_values(ODD))
    assert str(again.threshold_rule_) == str(detector.threshold_rule_)
    again.calibrate(method=method, groups=CUSTOMERS[order])
    np.testing.assert_allclose(again.p_values(ODD), detector.p_values(ODD))


def test_a_group_that_is_given_counts_as_one_and_promises_say_so(farthest):
    farthest.calibrate(BUYS, groups=CUSTOMERS)
    assert farthest.calibration_.least_p_value == 1 / 41
    with pytest.warns(CalibrationWarning, match="240 calibration rows in 40 groups cannot promise"):
        farthest.set_threshold(alpha=0.01)
    with pytest.warns(CalibrationWarning, match="smaller batches or more groups"):
        farthest.select(np.r_[FRESH, ODD[:3]], alpha=0.05)
    farthest.set_threshold(alpha=0.1)
    np.testing.assert_array_equal(
        farthest.anomaly_score(FRESH) > farthest.threshold_, farthest.p_values(FRESH) <= 0.1
    )


@pytest.mark.parametrize("size", [3, 7])
def test_as_many_groups_as_it_takes_are_enough_for_each(farthest, size):
    rows = np.random.default_rng(8).normal(size=(99 * size, 2))
    farthest.calibrate(rows, groups=np.repeat(np.arange(99), size))
    assert farthest.select(9 * ODD, alpha=0.01, method="each").all()


def test_of_labelled_rows_only_those_that_calibrate_count(farthest):
    labels = np.where(CUSTOMERS < 30, 0, 1)
    farthest.calibrate(BUYS, labels, groups=[f"C{number}" for number in CUSTOMERS])
    assert (farthest.calibration_.rows, farthest.calibration_.worth) == (180, 30)


def test_rows_that_repeat_across_groups_stand_for_several():
    rows = np.concatenate([np.repeat(ROWS[:10], 5, axis=0), ROWS[10:80]])
    detector = FewShotDetector(prior=untrained_prior()).fit(rows)
    detector.calibrate(groups=np.arange(120) % 5)
    assert (detector.calibration_.rows, detector.calibration_.worth) == (120, 5)


def test_where_all_rows_repeat_each_copy_is_held_out_with_its_group():
    detector = FewShotDetector(prior=untrained_prior()).fit(np.repeat(ROWS[:60], 5, axis=0))
    groups = np.tile(np.arange(5), 60)
    detector.calibrate(groups=groups)
    assert (detector.calibration_.rows, detector.calibration_.worth) == (300, 5)


def test_mistakes_with_groups_are_named(fitted):
    with pytest.raises(DataError, match="fit was given 160 rows but groups has 161"):
        fitted.calibrate(groups=np.arange(161) % 7)
    with pytest.raises(DataError, match="all 160 rows that can be held out are of one group"):
        fitted.calibrate(groups=np.zeros(160))
    with pytest.raises(DataError, match="X has 400 rows but groups has 3"):
        fitted.calibrate(FRESH, groups=[1, 2, 3])
    answered = few_shot().partial_fit(ODD[:1], [1])
    with pytest.raises(DataError, match="labels came later"):
        answered.calibrate(groups=np.arange(160))
    grouped = few_shot().calibrate(groups=np.arange(160) % 20)
    with pytest.raises(SettingError, match="the calibration rows come in groups"):
        grouped.p_values(FRESH, shift=True)
