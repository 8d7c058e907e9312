import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score

from oddshot import FewShotDetector
from oddshot.detectors.base import AnomalyDetector
from oddshot.detectors.verdicts.calibrated import Shown
from oddshot.errors import CalibrationWarning, LabelError, SettingError
from oddshot.thresholds.surprise import Surprise
from small_priors import untrained_prior


class Largest(AnomalyDetector):
    """Scores rows by their largest cell."""

    def __init__(self, *, contamination="auto", random_state=None):
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X, y=None):
        raw = X.max(1)
        self._scale = Surprise().fit(raw)
        self._set_threshold(Shown(raw, raw[:0], False), self._checked_contamination())
        return self

    def anomaly_score(self, X):
        return self._scale.apply(np.asarray(X).max(1))


RNG = np.random.default_rng(0)
ROWS, FRESH = RNG.normal(size=(500, 2)), RNG.normal(size=(300, 2))
MIXED = np.r_[FRESH, RNG.normal(3, 1, size=(40, 2))]
TRUTH = np.repeat([0, 1], [300, 40])


@pytest.fixture
def detector():
    return Largest().fit(ROWS)


def flagged(detector, rows):
    return detector.predict(rows) == -1


def test_fit_says_which_rule_it_used(detector):
    rule = detector.threshold_rule_
    assert rule.rule == "contamination"
    assert rule.settings["share"] == pytest.approx(detector.contamination_, abs=1 / len(ROWS))


@pytest.mark.parametrize("share", ["auto", 0.03, 0.5])
def test_contamination_is_that_of_fit(detector, share):
    expected = Largest(contamination=share).fit(ROWS)
    assert detector.set_threshold(contamination=share) is detector
    assert detector.threshold_ == expected.threshold_
    assert detector.contamination_ == pytest.approx(expected.contamination_, abs=0.003)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_alpha_is_what_p_values_say(detector, alpha):
    detector.set_threshold(alpha=alpha)
    np.testing.assert_array_equal(flagged(detector, MIXED), detector.p_values(MIXED) <= alpha)
    assert detector.threshold_rule_.promised
    detector.calibrate(FRESH).set_threshold(alpha=alpha)
    np.testing.assert_array_equal(flagged(detector, MIXED), detector.p_values(MIXED) <= alpha)
    assert "300 rows that the detector has not learned" in detector.threshold_rule_.basis


def test_where_rows_are_too_few_alpha_goes_by_the_tail(detector):
    with pytest.warns(CalibrationWarning, match="500 calibration rows cannot promise 0.0001: .*"):
        detector.set_threshold(alpha=1e-4)
    assert detector.threshold_ == pytest.approx(4, abs=0.1)  # decades
    assert not detector.threshold_rule_.promised
    assert not flagged(detector, ROWS).any()


def test_a_false_discovery_rate_is_what_select_says(detector):
    detector.calibrate(FRESH).set_threshold(fdr=0.2, X=MIXED)
    np.testing.assert_array_equal(flagged(detector, MIXED), detector.select(MIXED, alpha=0.2))
    with pytest.warns(CalibrationWarning, match="nothing is selected"):
        detector.set_threshold(fdr=0.1, X=FRESH)
    assert not flagged(detector, FRESH).any()
    outside = np.full((3, 2), 50.0)
    assert flagged(detector.set_threshold(fdr=0.1, X=outside), outside).all()


def test_budgets(detector):
    assert flagged(detector.set_threshold(budget=7, X=MIXED), MIXED).sum() == 7
    assert flagged(detector.set_threshold(budget=339, X=MIXED), MIXED).sum() == 339
    before = detector.threshold_
    assert before >= 0
    with pytest.raises(SettingError, match="budget is 340, but there are 340 rows; give fewer"):
        detector.set_threshold(budget=340, X=MIXED)
    assert detector.threshold_ == before
    detector.set_threshold(budget=(20, 400))
    assert detector.threshold_rule_.settings == {"alerts": 20, "rows": 400}
    by_alpha = Largest().fit(ROWS).set_threshold(alpha=0.05)
    assert detector.threshold_ == by_alpha.threshold_
    with pytest.warns(CalibrationWarning, match="cannot promise 0.001"):
        detector.set_threshold(budget=(1, 1000))


def test_rows_that_share_the_next_score_are_told(detector):
    burst = np.concatenate([np.full((1, 2), 50.0), np.full((30, 2), 40.0), ROWS])
    with pytest.warns(CalibrationWarning, match="1 row is above .* not 20, for 30 rows sh") as told:
        detector.set_threshold(budget=20, X=burst)
    assert told[0].filename == __file__
    assert str(told[0].message).endswith("a budget of 31 takes them in")
    assert flagged(detector, burst).sum() == 1
    assert flagged(detector.set_threshold(budget=31, X=burst), burst).sum() == 31
    with pytest.warns(CalibrationWarning, match="0 rows are above .* share the next score$"):
        detector.set_threshold(budget=2, X=burst[1:31])
    tied = Largest().fit(burst)
    with pytest.warns(CalibrationWarning, match="a contamination of 0.0584 takes them in") as told:
        tied.set_threshold(contamination=0.03)
    assert told[0].filename == __file__
    assert flagged(tied.set_threshold(contamination=0.0584), burst).sum() == 31


@pytest.mark.parametrize("told", ["normal rows", "anomalies"])
def test_a_budget_of_so_many_rows_counts_rows_that_do_not_calibrate(told, tmp_path):
    generator = np.random.default_rng(7)
    odd = generator.random(1600) < 0.1
    mixed = generator.normal(size=(1600, 2)) + 5 * odd[:, None]
    labels = np.full(800, -1)
    of_kind = np.flatnonzero(odd[:800] == (told == "anomalies"))
    labels[of_kind[: 120 if told == "normal rows" else 40]] = told == "anomalies"
    made = FewShotDetector(prior=untrained_prior()).fit(mixed[:800], labels)
    made.set_threshold(budget=(50, 1000))
    assert made.threshold_rule_.promised
    assert "800 rows given to fit" in made.threshold_rule_.basis
    assert flagged(made, mixed[:800]).mean() <= 0.05
    assert flagged(made, mixed[800:]).mean() < 0.075
    made.calibrate(folds=2)
    left_out = 680 if told == "normal rows" else 40
    made.save(tmp_path)
    for each in (made, FewShotDetector.load(tmp_path)):
        with pytest.warns(
            CalibrationWarning, match=f"{left_out} rows do not calibrate .known anom"
        ):
            assert not each.set_threshold(budget=(50, 1000)).threshold_rule_.promised
    made.set_threshold(alpha=0.1)
    assert made.threshold_rule_.promised


@pytest.mark.parametrize("told", [1, 0])
def test_rows_that_are_kept_first_count_no_more_than_their_share(told, tmp_path):
    rows = np.random.default_rng(0).normal(size=(6000, 2))
    rows[:300] += 4 * told
    labels = np.full(6000, -1)
    labels[:300] = told
    made = FewShotDetector(prior=untrained_prior(), quality="fast").fit(rows, labels)
    made.save(tmp_path)
    shown = made._shown.raw
    assert len(shown) == (512 + 27 if told else 256 + 13)
    again = FewShotDetector.load(tmp_path)
    np.testing.assert_array_equal(again._shown.raw, shown)
    for each in (made, again, made.partial_fit(rows[400:402], [1, 1])):
        for share in (0.02, 0.1):
            each.set_threshold(contamination=share)
            assert flagged(each, rows).mean() == pytest.approx(share, rel=0.4)
            assert each.contamination_ == pytest.approx(share, rel=0.2)
        assert 0.05 < flagged(each.set_threshold(budget=(100, 1000)), rows).mean() < 0.14


def test_labelled_rows_choose(detector):
    detector.set_threshold(f_beta=1, X=MIXED, y=TRUTH)
    found = f1_score(TRUTH, flagged(detector, MIXED))
    assert found > f1_score(TRUTH, detector.anomaly_score(MIXED) > detector.threshold_ + 0.3)
    assert found > f1_score(TRUTH, detector.anomaly_score(MIXED) > detector.threshold_ - 0.3)
    cautious = detector.set_threshold(cost=(100, 1), X=MIXED, y=TRUTH).threshold_
    eager = detector.set_threshold(cost=(1, 100), X=MIXED, y=TRUTH)
    assert eager.threshold_ < cautious
    assert "40 labelled anomalies and 300 labelled normal rows" in eager.threshold_rule_.basis
    unlabelled = np.where(np.arange(340) < 100, -1, TRUTH)
    with_gaps = detector.set_threshold(f_beta=1, X=MIXED, y=unlabelled)
    assert "200 labelled normal rows" in with_gaps.threshold_rule_.basis
    with pytest.warns(CalibrationWarning, match="chosen on 3 labelled anomalies"):
        detector.set_threshold(f_beta=1, X=MIXED[:303], y=TRUTH[:303])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "set_threshold was given no rule; give one of alpha, fdr, budget, contamination"),
        ({"alpha": 0.1, "budget": 3}, "was given alpha and budget; give one of"),
        ({"alpha": 1.5}, "alpha is 1.5; it must be a number between 0 and 1"),
        ({"alpha": 0.1, "X": ROWS}, "alpha takes no X; leave it out"),
        ({"fdr": 0.1}, "fdr needs X, the batch of rows"),
        ({"fdr": 0.1, "X": ROWS, "y": TRUTH}, "fdr takes no y"),
        ({"budget": 5}, "budget needs X, the rows it is for, or a pair"),
        ({"budget": 2.5, "X": ROWS}, "budget is 2.5; it must be a number of alerts, or a pair"),
        ({"budget": (5, 5)}, r"budget is \(5, 5\); give fewer alerts than rows, as in \(20"),
        ({"budget": (0, 5)}, r"budget is \(0, 5\); it must be a number of alerts, or a pair"),
        ({"budget": (5, 50), "X": ROWS}, "a budget of alerts in so many rows takes no X"),
        ({"contamination": 0.9}, "contamination is 0.9"),
        ({"contamination": 0.1, "y": TRUTH}, "contamination takes no y"),
        ({"f_beta": 1}, "f_beta needs rows X and labels y that fit has not seen"),
        ({"f_beta": 0, "X": MIXED, "y": TRUTH}, "f_beta is 0; it must be a number above 0"),
        ({"f_beta": 1e200, "X": MIXED, "y": TRUTH}, "f_beta is 1e.200; it must be a number above"),
        ({"f_beta": 1e-200, "X": MIXED, "y": TRUTH}, "from a millionth to a million"),
        ({"f_beta": 10**400, "X": MIXED, "y": TRUTH}, "from a millionth to a million"),
        ({"cost": 5, "X": MIXED, "y": TRUTH}, "cost is 5; it must be two prices above 0"),
        ({"cost": (1, 0), "X": MIXED, "y": TRUTH}, r"cost is \(1, 0\)"),
    ],
)
def test_mistakes_are_named_and_change_nothing(detector, asked, message):
    before = detector.threshold_
    with pytest.raises(SettingError, match=message):
        detector.set_threshold(**asked)
    assert detector.threshold_ == before


def test_labels_of_one_kind_choose_nothing(detector):
    with pytest.raises(LabelError, match="y holds 0 known anomalies and 300 known normal rows"):
        detector.set_threshold(f_beta=1, X=FRESH, y=np.zeros(300))


def test_an_unfitted_detector_has_no_threshold():
    with pytest.raises(NotFittedError):
        Largest().set_threshold(alpha=0.1)
    with pytest.raises(NotFittedError):
        _ = Largest().threshold_rule_


def test_known_anomalies_count_among_the_rows_given_to_fit_also_after_loading(tmp_path):
    labels = np.where(np.arange(120) < 10, 1, -1)
    made = FewShotDetector(prior=untrained_prior(), contamination=0.2).fit(ROWS[:120], labels)
    expected = made.threshold_
    made.set_threshold(alpha=0.1).save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    assert again.threshold_ == made.threshold_
    assert again.set_threshold(contamination=0.2).threshold_ == pytest.approx(expected)
    assert (again.predict(ROWS[:120]) == -1).sum() == 24


def test_a_threshold_of_ones_own(detector):
    assert detector.set_threshold(value=1.25).threshold_ == 1.25
    assert str(detector.threshold_rule_) == "1.25, as given"
    for wrong, message in (
        ({"value": -1.0}, "value is -1.0; it must be a number, 0 or more"),
        ({"value": "high"}, "value is 'high'"),
        ({"value": 1.0, "X": ROWS}, "value takes no X"),
        ({"value": 1.0, "alpha": 0.1}, "set_threshold was given alpha and value"),
    ):
        with pytest.raises(SettingError, match=message):
            detector.set_threshold(**wrong)
