import copy
import warnings

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.errors import CalibrationWarning, DataError, LabelWarning
from small_detectors import detector, odd_among


def test_the_last_label_of_equal_rows_counts():
    rows, _ = odd_among()
    made = detector().fit(rows)
    with pytest.warns(
        LabelWarning, match="^1 row labelled as an anomaly and as normal in one call"
    ):
        made.partial_fit(rows[[0, 1, 0, 2, 2]], [1, 1, 0, -1, -1])
    once = detector().fit(rows).partial_fit(rows[[0, 1]], [0, 1])
    np.testing.assert_array_equal(made.anomaly_score(rows), once.anomaly_score(rows))
    np.testing.assert_array_equal(made._fitted.kept.labels, once._fitted.kept.labels)


def test_answers_need_no_columns_that_are_left_out():
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"row_id": range(60), "same": 1, "a": generator.normal(size=60)})
    made = detector().fit(rows)
    made.partial_fit(rows[["a"]].iloc[:2], [1, 0])
    assert made._fitted.kept.labels[:2].tolist() == [1, 0]
    new = pd.DataFrame({"a": [9.0]})
    made.partial_fit(new, [1])
    assert made.anomaly_score(new) > 0


def test_copies_of_what_is_found_to_be_an_anomaly_leave_the_typical_rows():
    """They are kept where rows repeat, until one of them is labelled."""
    rows = np.repeat(np.random.default_rng(0).normal(size=(60, 3)), 3, axis=0)
    told = np.where(np.arange(len(rows)) == 0, 1, -1)
    for made in (detector().fit(rows, told), detector().fit(rows).partial_fit(rows[:1], [1])):
        assert len(made._fitted.support.typical) == len(rows) - 3


def table(rows: int, *, seed: int) -> pd.DataFrame:
    """Numbers and levels; some rows differ by what stands aside alone."""
    generator = np.random.default_rng(seed)
    numbers = pd.DataFrame(generator.normal(size=(rows, 3)), columns=[*"abc"])
    numbers.iloc[rows // 2 : rows // 2 + 4] = numbers.iloc[0].to_numpy()
    return numbers.assign(
        level=generator.choice([*"xyz"], rows), kind=generator.integers(9, size=rows)
    )


@pytest.fixture(scope="module")
def answered() -> FewShotDetector:
    """Two anomalies and a normal row are known from `fit`."""
    labels = np.full(120, -1)
    labels[[3, 4, 5]] = 1, 1, 0
    return detector().fit(table(120, seed=0), labels)


def taught(made: FewShotDetector, *calls: tuple[pd.DataFrame, list[int]]) -> FewShotDetector:
    made = copy.deepcopy(made)
    for rows, labels in calls:
        made.partial_fit(rows, labels)
    return made


@pytest.mark.parametrize("kind", ["anomalies", "normal", "mixed"])
def test_neither_order_nor_calls_matter(answered, kind):
    """Rows given to `fit`, among them such as are known, and others."""
    rows = pd.concat([table(120, seed=0)[:10], table(14, seed=1)], ignore_index=True)
    generator = np.random.default_rng(2)
    labels = {"anomalies": np.ones(24), "normal": np.zeros(24)}.get(kind, np.arange(24) % 2)
    labels = labels.astype(int)
    order = generator.permutation(24)
    wrong = order[:9]
    ways = [
        [(rows[::-1], labels[::-1])],
        [(rows.iloc[[at]], labels[[at]]) for at in order],
        [(rows[15:], labels[15:]), (rows[:15], labels[:15])],
        [(rows.iloc[wrong], 1 - labels[wrong]), (rows.iloc[order], labels[order])],
    ]
    expected = taught(answered, (rows, labels))
    seen = pd.concat([table(120, seed=0), table(14, seed=1), table(30, seed=3)])
    for calls in ways:
        made = taught(answered, *calls)
        np.testing.assert_array_equal(made.anomaly_score(seen), expected.anomaly_score(seen))
        assert made.threshold_ == expected.threshold_


def test_what_is_known_already_changes_no_score(answered):
    rows = table(120, seed=0)
    told = taught(answered, (rows[4:6], [1, 0]))
    np.testing.assert_array_equal(told.anomaly_score(rows), answered.anomaly_score(rows))
    back = taught(answered, (rows[4:5], [0]), (rows[4:5], [1]))
    np.testing.assert_array_equal(back.anomaly_score(rows), answered.anomaly_score(rows))


RULES = [
    {"contamination": 0.07},
    {"contamination": "auto"},
    {"value": 1.7},
    {"alpha": 0.05},
    {"budget": (4, 50)},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("given", ["auto", 0.2])
def test_the_rule_of_the_threshold_is_applied_anew(tmp_path, rule, given):
    rows, _ = odd_among()
    made = detector(contamination=given).fit(rows).set_threshold(**rule)
    made.save(tmp_path / "kept")
    ranked = made.rank(rows).add_labels([0, 50], [1, 0]).detector
    expected = copy.deepcopy(ranked).set_threshold(**rule)
    loaded = FewShotDetector.load(tmp_path / "kept")
    for told in (ranked, *(m.partial_fit(rows[[0, 50]], [1, 0]) for m in (made, loaded))):
        assert told.threshold_ == pytest.approx(expected.threshold_)
        assert str(told.threshold_rule_) == str(expected.threshold_rule_)
        assert told.contamination_ == pytest.approx(expected.contamination_)


def test_what_fit_was_asked_for_holds_on():
    rows, _ = odd_among()
    made = detector(contamination=0.2).fit(rows).partial_fit(rows[:1], [1])
    assert made.threshold_rule_.settings["share"] == 0.2
    assert made.contamination_ == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("rule", ["fdr", "budget", "f_beta", "cost"])
def test_a_rule_that_rested_on_a_batch_ends_with_a_warning(rule):
    rows, truth = odd_among()
    new, of_new = odd_among(seed=1)
    asked = {"fdr": 0.5, "budget": 7, "f_beta": 1, "cost": (1, 9)}[rule]
    labels = {"y": of_new} if rule in ("f_beta", "cost") else {}
    made = detector().fit(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        made.set_threshold(**{rule: asked}, X=new, **labels)
    before, ranking = made.threshold_, copy.deepcopy(made).rank(rows)
    with pytest.warns(CalibrationWarning, match=f"by {rule} on rows that are not kept.*'auto'"):
        ranking.add_labels([0], truth[[0]])
    ranking.add_labels([50], truth[[50]])  # without another warning
    with pytest.warns(CalibrationWarning, match=f"by {rule} on"):
        made.partial_fit(rows[[0, 50]], truth[[0, 50]])
    expected = detector().fit(rows).partial_fit(rows[[0, 50]], truth[[0, 50]])
    for told in (made, ranking.detector):
        assert told.threshold_ == expected.threshold_
        assert told.threshold_rule_ == expected.threshold_rule_
    made.partial_fit(rows[[1]], truth[[1]])
    ranking.add_labels([0, 50], [-1, -1])
    assert ranking.detector.threshold_ == before


def test_a_promise_that_falls_with_the_calibration_is_told_once():
    rows = odd_among(60)[0]
    made = detector().fit(rows).calibrate(odd_among(400, seed=1)[0]).set_threshold(alpha=0.01)
    assert made.threshold_rule_.promised
    with pytest.warns(CalibrationWarning, match=r"cannot promise 0.01"):
        made.partial_fit(rows[:1], [1])
    assert not made.threshold_rule_.promised
    assert made.threshold_rule_.settings == {"alpha": 0.01}
    made.partial_fit(rows[1:2], [1])
    assert not made.threshold_rule_.promised


def test_rows_without_a_label_change_nothing():
    rows = odd_among()[0]
    made = detector().fit(rows).calibrate(odd_among(seed=1)[0]).set_threshold(budget=7, X=rows)
    before = str(made.calibration_), made.threshold_rule_, made.threshold_
    ranking = made.rank(rows).add_labels([0], [-1])
    made.partial_fit(rows[:9]).partial_fit(rows[:9], np.full(9, -1))
    for still in (made, ranking.detector):
        assert (str(still.calibration_), still.threshold_rule_, still.threshold_) == before


def test_labels_that_are_refused_leave_the_detector_as_it_was():
    rows = odd_among(12)[0]
    made = detector().fit(rows).set_threshold(value=2.0)
    scores = made.anomaly_score(rows)
    with pytest.raises(DataError, match="at least 2 must stay"):
        made.partial_fit(rows[:11], np.ones(11))
    np.testing.assert_array_equal(made.anomaly_score(rows), scores)
    assert made.threshold_ == 2.0
