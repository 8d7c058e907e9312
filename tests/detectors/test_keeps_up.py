"""What `check_drift`, `refresh` and `unseen_levels` have in common."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.errors import DataError, SettingError
from small_priors import untrained_prior


def draw(count, seed):
    rng = np.random.default_rng([seed, 9])
    rows = pd.DataFrame(rng.normal(size=(count, 3)), columns=[*"abc"])
    return rows.assign(colour=rng.choice(["red", "blue"], count), state="fine")


@pytest.fixture(scope="module")
def detector():
    labels = np.where(np.arange(100) < 4, 1, -1)
    return FewShotDetector(prior=untrained_prior()).fit(draw(100, 0), labels)


@pytest.mark.parametrize("use", ["check_drift", "refresh"])
def test_columns_of_one_name_are_refused(detector, use):
    rows = draw(50, 1)
    twice = pd.concat([rows, rows[["a"]]], axis=1)
    with pytest.raises(DataError, match="several columns are named 'a'; rename them"):
        getattr(detector, use)(twice)


def test_new_columns_of_one_name_do_not_matter(detector):
    others = draw(50, 1).assign(x=1, y=1).rename(columns={"y": "x"})
    assert not detector.check_drift(others).drifted


def test_a_detector_without_its_rows_is_refused(detector, tmp_path):
    detector.save(tmp_path)
    older = FewShotDetector.load(tmp_path)
    older._fitted.kept = None
    older.save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    assert np.array_equal(again.anomaly_score(draw(9, 1)), detector.anomaly_score(draw(9, 1)))
    for use in (again.check_drift, again.refresh):
        with pytest.raises(DataError, match="did not keep when it was saved"):
            use(draw(50, 1))


def test_images_have_no_columns_to_compare():
    images = np.random.default_rng(0).random((8, 28, 28))
    detector = FewShotDetector(prior="images").fit(images)
    for use in (detector.check_drift, detector.refresh):
        with pytest.raises(SettingError, match="takes tables only, and the prior reads images"):
            use(images)
    assert detector.unseen_levels(images) == detector.outside_shares(images) == {}


def test_the_old_detector_stays(detector):
    before = detector.anomaly_score(draw(20, 2))
    detector.refresh(draw(50, 1))
    assert np.array_equal(detector.anomaly_score(draw(20, 2)), before)


def test_a_refreshed_detector_is_saved_with_its_rows(detector, tmp_path):
    newer = detector.refresh(draw(50, 1), keep=0.5)
    newer.save(tmp_path)
    again = FewShotDetector.load(tmp_path).refresh(draw(50, 2), keep=1.0)
    assert np.bincount(again._fitted.kept.labels.astype(int) + 1).tolist() == [148, 0, 4]


def test_new_values_are_counted_by_column(detector):
    new = draw(4, 0).assign(colour=["red", "green", "blue", "pink"], state=["fine"] * 3 + ["burnt"])
    assert detector.unseen_levels(new) == {"colour": 0.5, "state": 0.25}


def test_numbers_outside_of_all_that_fit_saw_are_counted_by_column():
    rows = pd.DataFrame(
        {"a": np.arange(50) / 4, "year": [*range(1990, 2015)] * 2, "flag": [0, 1] * 25}
    )
    new = pd.DataFrame({"a": [-1, 0, 12.25, 12.5], "year": [2030] * 4, "flag": [0, 1, 1, 0]})
    found = FewShotDetector(prior=untrained_prior()).fit(rows).outside_shares(new)
    assert found == {"a": 0.5, "flag": 0.0}


def test_a_category_stays_one_where_labels_come_as_numbers(tmp_path):
    codes = np.random.default_rng(1).choice([5411, 5812, 4722, 7995], 60, p=[0.45, 0.3, 0.2, 0.05])
    rows = draw(60, 0).assign(code=codes)
    levels = rows.astype({"code": "category"})
    first, second = (
        FewShotDetector(prior=untrained_prior()).fit(levels).partial_fit(told, np.zeros(12))
        for told in (levels[:12], rows[:12])
    )
    second._fitted.kept = replace(second._fitted.kept, frame=rows)  # as it was saved before
    second.save(tmp_path)
    second = FewShotDetector.load(tmp_path)
    found = [detector.calibrate(folds=3).p_values(rows) for detector in (first, second)]
    assert np.array_equal(*found)
    new = draw(60, 1).assign(code=codes[::-1])
    kinds = [
        {note.column: note.kind for note in detector.refresh(new).column_report_}["code"]
        for detector in (first, second)
    ]
    assert kinds == ["category", "category"]
