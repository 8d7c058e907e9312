import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.detectors.drift.refreshing import ContextWarning
from oddshot.errors import DataError, SettingError
from small_priors import untrained_prior


def draw(count, seed):
    rng = np.random.default_rng([seed, 9])
    return pd.DataFrame(
        {
            "length": rng.gamma(3.0, size=count),
            "width": rng.normal(size=count),
            "colour": rng.choice(["red", "blue"], count),
        }
    )


def fitted(labels=None, count=100):
    return FewShotDetector(prior=untrained_prior(), random_state=3).fit(draw(count, 0), labels)


@pytest.fixture(scope="module")
def labelled():
    labels = np.full(100, -1)
    labels[:4], labels[4:10] = 1, 0
    return fitted(labels)


def kept_labels(detector):
    return np.bincount(detector._fitted.kept.labels.astype(int) + 1, minlength=3).tolist()


@pytest.mark.parametrize(("keep", "unlabelled"), [(0.0, 50), (0.5, 95), (1.0, 140)])
def test_labels_stay_and_a_share_of_the_rest(labelled, keep, unlabelled):
    newer = labelled.refresh(draw(50, 1), keep=keep)
    assert kept_labels(newer) == [unlabelled, 6, 4]
    assert newer.get_params() == labelled.get_params()


def test_new_labels_join_the_old(labelled):
    labels = np.full(50, -1)
    labels[:2] = 1
    assert kept_labels(labelled.refresh(draw(50, 1), labels, keep=0)) == [48, 6, 6]


@pytest.mark.parametrize("keep", [0, 1.0])
def test_rows_that_are_known_already_count_once(labelled, keep):
    """As where all rows since a change are given in one file again."""
    newer = labelled.refresh(draw(100, 0), keep=keep)
    assert kept_labels(newer) == [90, 6, 4]
    assert np.array_equal(newer.anomaly_score(draw(20, 2)), labelled.anomaly_score(draw(20, 2)))
    half = labelled.refresh(draw(100, 0)[4:60], keep=keep)
    assert kept_labels(half) == [90 if keep else 50, 6, 4]
    assert labelled.calibration_.rows == newer.calibration_.rows == 96
    labels = np.full(100, -1)
    labels[:4], labels[4:10] = 1, 0
    assert kept_labels(newer.refresh(draw(100, 0), labels, keep=keep)) == [90, 6, 4]


def test_as_many_old_rows_go_as_equal_ones_come():
    old = pd.DataFrame({"a": [1.0, 1, 1, 2, 3, 4] * 5, "b": [0.0, 0, 0, 1, 1, 0] * 5})
    newer = FewShotDetector(prior=untrained_prior()).fit(old).refresh(old[:8], keep=1.0)
    assert len(newer._fitted.kept.frame) == 30


def test_the_newest_label_of_a_row_counts(labelled):
    labels = np.full(100, -1)
    labels[:2], labels[4:6] = 0, 1
    newer = labelled.refresh(draw(100, 0), labels, keep=0)
    told = newer.rank(draw(100, 0)).known_labels()
    assert told[:11].tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, -1]
    labels[:2] = 1
    with pytest.warns(ContextWarning, match="'width'"):
        again = newer.refresh(draw(100, 0).drop(columns="width"), labels, keep=0)
    assert kept_labels(again) == [90, 4, 6]


def test_of_a_clean_context_known_normal_rows_are_a_share():
    clean = fitted(np.zeros(100))
    assert kept_labels(clean.refresh(draw(50, 1), np.zeros(50), keep=0)) == [0, 50, 0]
    assert kept_labels(clean.refresh(draw(50, 1), np.zeros(50))) == [0, 75, 0]


def test_refreshed_twice_as_fitted_on_all(labelled):
    newer = labelled.refresh(draw(50, 1), keep=1.0)
    labels = np.concatenate([np.full(100, -1), np.full(50, -1)])
    labels[:4], labels[4:10] = 1, 0
    rows = pd.concat([draw(100, 0), draw(50, 1)], ignore_index=True)
    directly = FewShotDetector(prior=untrained_prior(), random_state=3).fit(rows, labels)
    found = newer.anomaly_score(draw(20, 2))
    assert np.allclose(found, directly.anomaly_score(draw(20, 2)), atol=1e-6)


def test_factors_carry_labels_over_a_change_of_unit(labelled):
    new = draw(50, 1).assign(length=lambda rows: 1000 * rows["length"])
    newer = labelled.refresh(new, factors={"length": 1000.0})
    old = newer._fitted.kept.frame["length"][newer._fitted.kept.labels == 1]
    assert np.allclose(old, 1000 * draw(100, 0)["length"][:4])
    with pytest.raises(SettingError, match="factors names the column 'height'"):
        labelled.refresh(new, factors={"height": 2.0})


@pytest.mark.parametrize("factor", ["much", np.nan, 0, -1.0, np.inf, None])
def test_factors_are_positive_numbers(labelled, factor):
    with pytest.raises(SettingError, match=r"factors\['length'\] is .*positive number"):
        labelled.refresh(draw(50, 1), factors={"length": factor})


def test_factors_are_for_columns_of_numbers():
    rows = draw(50, 0).assign(colour=["red", "blue"] * 25)
    detector = FewShotDetector(prior=untrained_prior()).fit(rows)
    with pytest.raises(SettingError, match="'colour', which is no column of numbers"):
        detector.refresh(rows, factors={"colour": 2.0})


def test_columns_that_one_side_lacks_are_left_out_while_old_rows_stay(labelled):
    new = draw(50, 1).drop(columns="width").assign(height=1.0 * np.arange(50))
    with pytest.warns(ContextWarning) as told:
        newer = labelled.refresh(new)
    assert [str(warning.message) for warning in told] == [
        "1 column(s) left out, lost: 'width'",
        "1 column(s) left out, not known to the rows that stay: 'height'",
    ]
    assert newer.feature_names_in_.tolist() == ["length", "colour"]
    assert newer.anomaly_score(new).shape == (50,)


def test_without_old_rows_the_new_columns_are_all_there_are():
    new = draw(50, 1).drop(columns="width").assign(height=1.0 * np.arange(50) ** 2)
    newer = fitted().refresh(new, keep=0)
    assert newer.feature_names_in_.tolist() == ["length", "colour", "height"]


def test_matrices_stay_matrices():
    rows = np.random.default_rng(0).normal(size=(80, 3))
    newer = FewShotDetector(prior=untrained_prior()).fit(rows[:40]).refresh(rows[40:], keep=1.0)
    assert not hasattr(newer, "feature_names_in_")
    assert newer.anomaly_score(rows).shape == (80,)


@pytest.mark.parametrize("keep", [-0.1, 1.5, "all"])
def test_keep_is_a_share(labelled, keep):
    with pytest.raises(SettingError, match="keep is"):
        labelled.refresh(draw(50, 1), keep=keep)


def test_nothing_in_common_is_refused(labelled):
    with pytest.raises(DataError, match="share no column"):
        labelled.refresh(pd.DataFrame({"other": np.arange(50.0)}))


def test_columns_that_are_of_another_kind_are_told():
    when = pd.Series(pd.date_range("2024-01-01", periods=100, freq="7h").astype(str))
    old = draw(100, 0).assign(when=when, same=1, code=range(100))
    new = draw(60, 1).assign(
        when=pd.to_datetime(when[:60]).dt.strftime("%d/%m/%Y %H:%M"),
        width=["wide", "narrow"] * 30,
        same=np.arange(60) % 7,
        code=range(100, 160),
    )
    detector = FewShotDetector(prior=untrained_prior()).fit(old)
    with pytest.warns(ContextWarning) as told:
        newer = detector.refresh(new, keep=0)
    assert [str(warning.message).partition(":")[0] for warning in told] == [
        "column 'width' was a number and is a category now",
        "column 'same' was left out and is a number now",
    ]
    assert "60 of 60 cells cannot be read, as 'wide' in row 0" in str(told[0].message)
    assert "it was left out as constant (1)" in str(told[1].message)
    assert told[0].filename == __file__
    with pytest.warns(ContextWarning) as told:
        newer = detector.refresh(new, keep=1.0)
    (of_dates,) = (str(w.message) for w in told if "'when'" in str(w.message))
    assert of_dates.startswith("column 'when' was a date and is left out now: 60 of 60 cells")
    assert not {note.column: note.used for note in newer.column_report_}["when"]


def test_what_named_the_rows_stays_left_out_while_it_names_new_ones():
    old = draw(100, 0).assign(txn=range(1000, 1100))
    detector = FewShotDetector(prior=untrained_prior()).fit(old)
    new = draw(60, 1).assign(txn=range(6000, 6060))
    newer = detector.refresh(new, keep=0.5)
    told = {note.column: (note.used, note.reason) for note in newer.column_report_}
    assert told["txn"] == (False, "identifier (a running number)")
    newer.calibrate(folds=3)
    assert all("txn" in part.fitted.encoder.identifiers for part in newer._parts)
    with pytest.warns(ContextWarning, match="column 'txn' was left out and is a number now"):
        again = newer.refresh(new.assign(txn=new["txn"] % 7))
    assert {note.column: note.used for note in again.column_report_}["txn"]
    newer.fit(new.assign(txn=new["txn"] % 7))
    assert {note.column: note.used for note in newer.column_report_}["txn"]


def test_of_many_columns_of_another_kind_five_are_told():
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 12))).add_prefix("c")
    words = rows.assign(**{f"c{i}": ["x", "y"] * 30 for i in range(11)})
    with pytest.warns(ContextWarning) as told:
        FewShotDetector(prior=untrained_prior()).fit(rows).refresh(words, keep=0)
    assert len(told) == 6
    assert str(told[5].message).startswith("6 more column(s) are of another kind")


def test_words_that_become_gaps_are_told(labelled):
    with pytest.warns(
        ContextWarning, match="column 'width': 50 of 50 cells cannot be read, as 'x'"
    ):
        newer = labelled.refresh(draw(50, 1).assign(width=["x", "y"] * 25), keep=1.0)
    assert newer.column_report_[1].kind == "number"


def in_german(rows):
    amounts = rows["length"] * 1000
    points = amounts.map(lambda v: f"{v:,.2f}".translate(str.maketrans(",.", ".,")))
    return rows.assign(length=points)


def in_points(rows):
    return rows.assign(length=(rows["length"] * 1000).round(2))


def both(rows):
    return rows.assign(length=[*in_points(rows)["length"][::2], *in_german(rows)["length"][1::2]])


@pytest.mark.parametrize(
    ("before", "after"),
    [(in_german, in_points), (in_points, in_german), (both, both)],
    ids=["German", "points", "both"],
)
def test_numbers_beside_texts_are_the_same_after_saving(before, after, tmp_path):
    detector = FewShotDetector(prior=untrained_prior()).fit(before(draw(120, 0)))
    newer, window = detector.refresh(after(draw(60, 1))), after(draw(60, 2))
    newer.save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    assert again.check_drift(window) == newer.check_drift(window)
    explained = [one.explain(window[:1])[0] for one in (again, newer)]
    assert str(explained[0]) == str(explained[1])
    for one in (again, newer):
        one.calibrate(groups=np.arange(90) % 30)
    assert again.p_values(window).tolist() == newer.p_values(window).tolist()
    refreshed = [one.refresh(window) for one in (again, newer)]
    assert refreshed[0].column_report_ == refreshed[1].column_report_
    assert refreshed[0].column_report_[0].kind == "number"
    for one in (again, newer):
        one.partial_fit(window[:1], [1])
    assert again.anomaly_score(window).tolist() == newer.anomaly_score(window).tolist()


def test_promises_do_not_rest_on_normal_rows_known_before(tmp_path):
    old = fitted(np.where(np.arange(240) < 120, 0, -1), count=240)
    assert old.calibration_.rows == 120
    new, later = draw(300, 1), draw(500, 2)
    for rows in (new, later):
        rows["width"] += 2
    newer = old.refresh(new, keep=0)
    assert newer.calibration_.rows == 300
    assert (newer.p_values(later) <= 0.05).mean() < 0.08
    newer.save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    assert again.calibration_.rows == 300
    assert again.calibrate(folds=2).calibration_.rows == 300
    assert newer.p_values(later, shift=True).shape == (500,)
    assert old.refresh(new, np.where(np.arange(300) < 150, 0, -1)).calibration_.rows == 270
    assert old.refresh(new[:60], np.zeros(60)).calibration_.rows == 180
    assert newer.fit(draw(240, 0), np.where(np.arange(240) < 120, 0, -1)).calibration_.rows == 120


def test_durations_that_come_as_whole_numbers_are_told():
    took = pd.Series(pd.to_timedelta(np.arange(100) % 17, "h"))
    detector = FewShotDetector(prior=untrained_prior()).fit(draw(100, 0).assign(took=took))
    with pytest.warns(ContextWarning, match="'took' held durations: 100 of 100 cells cannot be"):
        detector.refresh(draw(100, 1).assign(took=took.astype("int64")), keep=1.0)


def recurring(count, seed):
    """Normal rows of which three in five are one of 20 that recur, some of them very often."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 4)).round(2)
    usual = np.random.default_rng(99).normal(size=(20, 4)).round(2)
    weights = 1 / np.arange(1, 21)
    often = rng.random(count) < 0.6
    rows[often] = usual[rng.choice(20, often.sum(), p=weights / weights.sum())]
    return rows


def test_normal_rows_that_recur_are_no_drift_and_stay():
    old = FewShotDetector(prior=untrained_prior(), random_state=0)
    old.fit(recurring(2000, 0), np.zeros(2000))
    assert [old.check_drift(recurring(1000, seed)).moved for seed in (1, 2)] == [(), ()]
    newer = old.refresh(recurring(50, 3), np.zeros(50), keep=1.0)
    assert 2000 < len(newer._fitted.kept.frame) <= 2050
    assert newer.check_drift(recurring(1000, 4)).moved == ()
    found = newer.p_values(recurring(2000, 5))
    assert abs((found <= 0.1).mean() - 0.1) < 0.03
