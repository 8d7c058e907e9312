import json
import os
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    parametrize_with_checks,
)
from threadpoolctl import threadpool_info

from oddshot import FewShotDetector, Prior
from oddshot.detectors.fitted_table import FittedTable
from oddshot.errors import (
    DataError,
    LabelError,
    LabelWarning,
    PriorError,
    SavedScoresWarning,
    SettingError,
)
from oddshot.learners import Shape, make_learner, prior_settings
from oddshot.persistence import FORMAT_VERSION, STATE_FILE, save_state
from small_priors import untrained_prior


def detector(**settings) -> FewShotDetector:
    return FewShotDetector(**{"prior": untrained_prior(), **settings})


def odd_among(rows: int = 100, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A table (n, 3) whose first tenth lies beside the rest, and the truth on it."""
    table = np.random.default_rng(seed).normal(size=(rows, 3))
    truth = (np.arange(rows) < rows // 10).astype(int)
    table[truth == 1] += 5
    return table, truth


def few_labels(rows: int = 100, *, known: int = 2) -> np.ndarray:
    return np.where(np.arange(rows) < known, 1, -1)


@pytest.fixture(scope="module")
def fitted() -> FewShotDetector:
    return detector().fit(odd_among()[0], few_labels())


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Columns of all kinds; "fee" has gaps."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "fee": np.where(rng.random(90) < 0.1, np.nan, rng.lognormal(size=90)),
            "land": rng.choice(["AT", "DE", "CH"], 90),
            "paid": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 9e6, 90), "s"),
            "weight": rng.normal(70, 9, 90),
        }
    )


# scikit-learn passes targets with values of its own
@pytest.mark.filterwarnings("ignore::oddshot.errors.LabelWarning")
@parametrize_with_checks([detector()])
def test_what_scikit_learn_asks_of_an_estimator(estimator, check):
    check(estimator)


def test_parameters():
    asked = {"prior", "contamination", "random_state", "n_jobs", "quality", "novel"}
    made = FewShotDetector()
    assert made.get_params().keys() == asked
    assert made.prior == "default"
    assert made.contamination == "auto"
    assert made.random_state is None
    assert made.set_params(contamination=0.2, random_state=3) is made
    assert made.get_params()["contamination"] == 0.2
    with pytest.raises(ValueError, match="Invalid parameter 'nu'"):
        made.set_params(nu=1)
    with pytest.raises(TypeError):
        FewShotDetector("default")


def test_a_clone_is_unfitted_and_learns_the_same(fitted):
    again = clone(fitted)
    with pytest.raises(NotFittedError):
        again.predict(odd_among()[0])
    again.fit(odd_among()[0], few_labels())
    rows = odd_among(seed=1)[0]
    np.testing.assert_array_equal(again.anomaly_score(rows), fitted.anomaly_score(rows))


def test_scaling_before_it_changes_nothing(fitted):
    rows, _ = odd_among()
    steps = make_pipeline(StandardScaler(), detector()).fit(rows, few_labels())
    np.testing.assert_allclose(steps.score_samples(rows), fitted.score_samples(rows), rtol=1e-6)
    np.testing.assert_array_equal(steps.predict(rows), fitted.predict(rows))


def test_grid_search_finds_the_contamination():
    rows, truth = odd_among(60)

    def f1(estimator, rows, truth):
        return f1_score(truth, estimator.predict(rows) == -1)

    search = GridSearchCV(
        detector(),
        {"contamination": [0.01, 0.1, 0.5]},
        scoring=f1,
        cv=StratifiedKFold(2),
        error_score="raise",
    ).fit(rows, truth)
    assert search.best_params_ == {"contamination": 0.1}
    assert search.best_score_ > 0.8
    assert f1(search, rows, truth) > 0.8


def test_the_last_label_of_equal_rows_counts():
    rows, _ = odd_among()
    made = detector().fit(rows).partial_fit(rows[[0, 1, 0]], [1, 1, 0])
    once = detector().fit(rows).partial_fit(rows[[0, 1]], [0, 1])
    np.testing.assert_array_equal(made.anomaly_score(rows), once.anomaly_score(rows))
    np.testing.assert_array_equal(made._fitted.kept.labels, once._fitted.kept.labels)


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


def test_threads_share_one_prior():
    rows, _ = odd_among()
    tasks = [joblib.delayed(detector(random_state=seed).fit)(rows) for seed in range(4)]
    for seed, found in enumerate(joblib.Parallel(n_jobs=2, prefer="threads")(tasks)):
        expected = detector(random_state=seed).fit(rows)
        np.testing.assert_array_equal(found.anomaly_score(rows), expected.anomaly_score(rows))


def test_other_processes_get_the_same_scores(tmp_path, table):
    known = few_labels(90)
    here = detector().fit(table, known)
    expected = here.anomaly_score(table)
    here.save(tmp_path / "saved")
    try:
        by_pickle, afresh, loaded, process = joblib.Parallel(n_jobs=2, backend="loky")(
            [
                joblib.delayed(here.anomaly_score)(table),
                joblib.delayed(detector().fit)(table, known),
                joblib.delayed(FewShotDetector.load)(tmp_path / "saved"),
                joblib.delayed(os.getpid)(),
            ]
        )
    finally:
        get_reusable_executor().shutdown(wait=True)
    assert process != os.getpid()
    np.testing.assert_array_equal(by_pickle, expected)
    np.testing.assert_array_equal(afresh.anomaly_score(table), expected)
    np.testing.assert_allclose(loaded.anomaly_score(table), expected, rtol=1e-9)


def test_an_unfitted_detector_can_be_pickled():
    again = pickle.loads(pickle.dumps(detector(contamination=0.1, random_state=5)))
    assert again.get_params() == detector(contamination=0.1, random_state=5).get_params()
    with pytest.raises(NotFittedError):
        again.predict(odd_among()[0])


def test_fit_predict_looks_at_the_labels():
    rows, _ = odd_among()
    found = detector(contamination=0.05).fit_predict(rows, few_labels())
    expected = detector(contamination=0.05).fit(rows, few_labels()).predict(rows)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(LabelError):
        detector().fit_predict(rows, ["spam"] * 100)


def test_names_of_columns(table):
    made = detector().fit(table)
    assert made.feature_names_in_.tolist() == list(table)
    assert made.feature_names_in_.dtype == object
    expected = made.anomaly_score(table)
    backwards = table[table.columns[::-1]].assign(more=1)
    np.testing.assert_array_equal(made.anomaly_score(backwards), expected)
    made.fit(odd_among()[0])
    assert not hasattr(made, "feature_names_in_")
    assert made.n_features_in_ == 3


def test_columns_are_found_by_name_where_scikit_learn_wants_their_order():
    # The one common check that is not passed, and on purpose: it asks for an error where a data
    # frame has the right columns in another order.
    with pytest.raises(AssertionError, match="predict did not raise"):
        check_dataframe_column_names_consistency("FewShotDetector", detector())


def test_columns_that_are_numbers_are_found_in_another_order():
    rows = pd.DataFrame(odd_among()[0] * [1, 10, 100])
    made = detector().fit(rows)
    np.testing.assert_array_equal(made.anomaly_score(rows[[2, 1, 0]]), made.anomaly_score(rows))


def test_missing_columns_are_named(table):
    made = detector().fit(table)
    with pytest.raises(DataError, match=r"2 columns that fit was given: 'land', 'paid'"):
        made.anomaly_score(table[["fee", "weight"]])
    renamed = table.rename(columns=str.upper)
    with pytest.raises(DataError, match=r"4 columns that fit was given"):
        made.anomaly_score(renamed)


def test_a_column_that_changed_its_kind_is_named(table):
    made = detector().fit(table)
    with pytest.raises(DataError, match=r"column 'weight' holds 'heavy' in row 1"):
        made.anomaly_score(table.assign(weight="heavy"))


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


def test_the_seed_decides_and_none_is_0():
    rows, _ = odd_among(300)

    def scores(seed):
        return detector(random_state=seed).fit(rows).anomaly_score(rows)

    np.testing.assert_array_equal(scores(None), scores(0))
    np.testing.assert_array_equal(scores(np.int64(7)), scores(7))
    states = np.random.RandomState(3), np.random.RandomState(3)
    np.testing.assert_array_equal(scores(states[0]), scores(states[1]))
    assert (scores(0) != scores(1)).any()


def test_fit_leaves_global_generators_and_input_alone():
    rows, _ = odd_among()
    labels, kept = few_labels(), rows.copy()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    detector().fit(rows, labels)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(rows, kept)
    np.testing.assert_array_equal(labels, few_labels())


def test_threads_do_not_change_scores(fitted):
    rows, _ = odd_among()
    other = detector(n_jobs=2).fit(rows, few_labels())
    np.testing.assert_array_equal(other.anomaly_score(rows), fitted.anomaly_score(rows))


def hidden_kind(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A table (600, 6) with anomalies that do not lie outside: a small cluster in two columns."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(600, 6))
    truth = (rng.random(600) < 0.07).astype(int)
    table[truth == 1, :2] = [1.2, -1.2] + 0.3 * rng.normal(size=(truth.sum(), 2))
    return table, truth


def test_more_labels_help():
    aurocs = {known: [] for known in (0, 1, 10)}
    for seed in range(2):
        rows, truth = hidden_kind(seed)
        train, test = slice(0, 300), slice(300, 600)
        for known, found in aurocs.items():
            labels = np.full(300, -1)
            labels[np.flatnonzero(truth[train])[:known]] = 1
            scores = detector().fit(rows[train], labels).anomaly_score(rows[test])
            found.append(roc_auc_score(truth[test], scores))
    none, one, ten = (np.mean(values) for values in aurocs.values())
    assert one > none + 0.1
    assert ten > one
    assert ten > 0.7


def test_what_lies_near_a_known_anomaly_rises():
    rows, truth = hidden_kind(0)
    odd = np.flatnonzero(truth)
    labels = np.full(600, -1)
    labels[odd[:3]] = 1

    def mean_rank(scores):
        return np.mean([(scores < scores[i]).mean() for i in odd[3:]])

    without = detector().fit(rows[:300]).anomaly_score(rows)
    with_labels = detector().fit(rows[:300], labels[:300]).anomaly_score(rows)
    assert mean_rank(with_labels) > mean_rank(without) + 0.1


@pytest.fixture(scope="module")
def plainly_labelled() -> FewShotDetector:
    return detector().fit(odd_among()[0], np.array([1, 1, -1, 0] + [-1] * 96))


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([1, 1, None, 0] + [None] * 96, id="list with gaps"),
        pytest.param([1.0, 1.0, np.nan, 0.0] + [np.nan] * 96, id="floats"),
        pytest.param(["anomaly", "yes", "", "Normal"] + ["?"] * 96, id="words"),
        pytest.param(np.array([1, 1, -1, 0] + [-1] * 96, dtype=object), id="objects"),
        pytest.param(pd.Series([1, 1, None, 0] + [None] * 96, dtype="Int64"), id="nullable"),
        pytest.param(
            pd.Series([True, True, None, False] + [None] * 96, dtype="boolean"), id="boolean"
        ),
        pytest.param(
            pd.Series([1, 1, -1, 0] + [-1] * 96, index=range(100, 0, -1)), id="other index"
        ),
        pytest.param(pl.Series([1, 1, None, 0] + [None] * 96), id="polars"),
        pytest.param(pa.chunked_array([[1, 1, None, 0], [None] * 96]), id="pyarrow"),
    ],
)
def test_labels_in_any_dress(labels, plainly_labelled):
    rows, _ = odd_among()
    expected = plainly_labelled.anomaly_score(rows)
    np.testing.assert_array_equal(detector().fit(rows, labels).anomaly_score(rows), expected)


def test_labels_in_a_column_of_their_own_are_taken_with_scikit_learns_warning(fitted):
    rows, _ = odd_among()
    with pytest.warns(DataConversionWarning, match="column-vector"):
        found = detector().fit(rows, few_labels()[:, None])
    np.testing.assert_array_equal(found.anomaly_score(rows), fitted.anomaly_score(rows))


@pytest.mark.parametrize("dtype", [int, float, object])
def test_a_target_that_is_no_label_is_ignored_with_a_warning(dtype):
    rows, _ = odd_among()
    target = (np.arange(100) % 4).astype(dtype)
    with pytest.warns(LabelWarning, match=r"y holds 2(\.0)? in row 2, which is no label"):
        found = detector().fit(rows, target)
    expected = detector().fit(rows).anomaly_score(rows)
    np.testing.assert_array_equal(found.anomaly_score(rows), expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones(5), "X has 100 rows but y has 5; give one label a row"),
        (["spam"] * 100, "column 'y' holds 'spam' in row 1; write 1 for an anomaly"),
        (np.ones((100, 2)), r"y cannot be read: y should be a 1d array, .*\(100, 2\)"),
        (1, "y cannot be read"),
        (np.ones(100) * 1j, "y cannot be read"),
        (
            np.array([datetime(2020, 1, 1, tzinfo=UTC)] * 100, dtype=object),
            "column 'y' holds .* in row 1",
        ),
    ],
)
def test_wrong_labels(labels, message):
    with pytest.raises(LabelError, match=message):
        detector().fit(odd_among()[0], labels)


@pytest.mark.parametrize("left", [0, 1])
def test_something_must_be_left_to_compare_with(left):
    message = f"{100 - left} of 100 rows are labelled as anomalies; at least 2 unlabelled or normal"
    with pytest.raises(DataError, match=message):
        detector().fit(odd_among()[0], few_labels(known=100 - left))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 3)), r"X has 0 rows; give at least 1"),
        (np.zeros((1, 3)), r"X has 1 row; give at least 2"),
        (np.zeros((5, 0)), r"0 feature\(s\) \(shape=\(5, 0\)\) while a minimum of 1"),
        (np.arange(5.0), "Expected 2D array, got 1D array"),
        (np.zeros((2, 2, 2)), "dim 3"),
        (None, "Expected 2D array"),
        (np.eye(4) * 1j, "Complex data not supported"),
        (pd.DataFrame({"z": np.arange(9) * 1j}), "Complex data not supported: column 'z'"),
        (np.full((9, 2), np.nan), "no column is left .*all values are missing"),
        (np.ones((9, 2)), r"no column is left to learn from \('0': constant \(1\)"),
        ([[1, 2], [3]], "the rows have different lengths"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "several columns are named 'a'"),
    ],
)
def test_rows_that_cannot_be_fitted(rows, message):
    with pytest.raises(DataError, match=message):
        detector().fit(rows)


@pytest.mark.parametrize("method", ["anomaly_score", "score_samples", "predict"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 3)), r"X has 0 rows; give at least 1 .* shape=\(0, 3\)"),
        (pd.DataFrame(np.zeros((0, 3))), r"X has 0 rows; give at least 1"),
        (np.zeros((4, 2)), "X has 2 features, but .* is expecting 3 features as input"),
        (np.zeros(3), "Expected 2D array, got 1D array"),
        (np.ones((4, 3)) * 1j, "Complex data not supported"),
    ],
)
def test_rows_that_cannot_be_scored(fitted, method, rows, message):
    with pytest.raises(DataError, match=message):
        getattr(fitted, method)(rows)


def test_a_column_of_gaps_is_left_out_and_reported():
    rows, _ = odd_among()
    holed = np.insert(rows, 1, np.nan, axis=1)
    made = detector().fit(holed)
    assert [note.used for note in made.column_report_] == [True, False, True, True]
    assert made.column_report_[1].reason == "all values are missing"
    expected = detector().fit(rows).anomaly_score(rows)
    np.testing.assert_array_equal(made.anomaly_score(holed), expected)
    holed[:, 1] = 7
    np.testing.assert_array_equal(made.anomaly_score(holed), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contamination": 0}, "contamination is 0; it must be 'auto' or a number above 0 and at"),
        ({"contamination": 0.6}, "contamination is 0.6"),
        ({"contamination": np.nan}, "contamination is nan"),
        ({"contamination": "some"}, "contamination is 'some'"),
        ({"contamination": None}, "contamination is None"),
        ({"contamination": True}, "contamination is True"),
        ({"random_state": -1}, "random_state is -1; it must be None, a whole number from 0 on"),
        ({"random_state": 1.5}, "random_state is 1.5"),
        ({"random_state": "seed"}, "random_state is 'seed'"),
        ({"n_jobs": 0}, "n_jobs is 0; it must be None, a number of threads"),
        ({"n_jobs": "all"}, "n_jobs is 'all'"),
        ({"prior": 3}, "prior is 3; it must be 'default' or 'images', a Prior, or the folder of a"),
    ],
)
def test_wrong_settings_are_told_at_fit(settings, message):
    made = detector(**settings)
    with pytest.raises(SettingError, match=message):
        made.fit(odd_among()[0])


def test_a_prior_can_be_a_folder(tmp_path, fitted):
    untrained_prior().save(tmp_path / "prior")
    rows, _ = odd_among()
    for folder in (tmp_path / "prior", str(tmp_path / "prior")):
        made = FewShotDetector(prior=folder).fit(rows, few_labels())
        np.testing.assert_array_equal(made.anomaly_score(rows), fitted.anomaly_score(rows))


def test_a_prior_that_is_none(tmp_path, fitted):
    rows, _ = odd_among()
    with pytest.raises(PriorError, match="nowhere: does not exist; give the folder that was saved"):
        FewShotDetector(prior="nowhere").fit(rows)
    fitted.save(tmp_path / "detector")
    with pytest.raises(PriorError, match="holds a detector, not a prior; give the prior's folder"):
        FewShotDetector(prior=tmp_path / "detector").fit(rows)
    foreign = Prior("transformer", {"shape": {}}, {}, {})
    with pytest.raises(PriorError, match=r"Prior\('transformer'.*cannot be used here"):
        FewShotDetector(prior=foreign).fit(rows)


def test_a_prior_for_another_mapping():
    learner = make_learner("gated", Shape(6, 2, 3, 2))
    start = learner.initial_parameters(torch.Generator().manual_seed(0))
    tensors = {name: value.numpy() for name, value in start.items()}
    other = Prior("gated", prior_settings(learner), tensors, {})
    with pytest.raises(
        PriorError, match=r"reads rows of Shape\(coordinates=6.* this version of Oddshot maps"
    ):
        FewShotDetector(prior=other).fit(odd_among()[0])


def test_a_failed_fit_keeps_the_earlier_one(fitted):
    made = clone(fitted).fit(odd_among()[0], few_labels())
    with pytest.raises(SettingError):
        made.set_params(n_jobs=0).fit(odd_among(40, seed=1)[0][:, :2])
    rows, _ = odd_among()
    np.testing.assert_array_equal(made.anomaly_score(rows), fitted.anomaly_score(rows))


def test_an_unfitted_detector_says_so(tmp_path):
    made = detector()
    for use in (made.anomaly_score, made.score_samples, made.decision_function, made.predict):
        with pytest.raises(NotFittedError, match="This FewShotDetector instance is not fitted yet"):
            use(odd_among()[0])
    with pytest.raises(NotFittedError):
        made.save(tmp_path)
    for name in ("threshold_", "column_report_", "offset_", "n_features_in_"):
        assert not hasattr(made, name)


def test_a_failed_fit_leaves_an_unfitted_detector_unfitted():
    made = detector()
    with pytest.raises(DataError):
        made.fit(np.ones((9, 2)))
    with pytest.raises(NotFittedError):
        made.predict(np.ones((9, 2)))


def test_scores_do_not_depend_on_the_blocks_that_rows_are_cut_into(monkeypatch, fitted):
    rows, _ = odd_among()
    expected = fitted.anomaly_score(rows)
    monkeypatch.setattr("oddshot.mapping.encode.BLOCK_ROWS", 7)
    np.testing.assert_allclose(fitted.anomaly_score(rows), expected, rtol=1e-6)
    again = detector().fit(rows, few_labels())
    np.testing.assert_allclose(again.anomaly_score(rows), expected, rtol=1e-6)


def test_a_saved_detector_is_json_beside_safetensors(tmp_path, fitted):
    fitted.save(tmp_path / "saved")
    files = sorted(file.name for file in (tmp_path / "saved").iterdir())
    assert files[0] == STATE_FILE
    assert re.fullmatch(r"tensors-[0-9a-f]{16}\.safetensors", files[1])
    assert len(files) == 2
    json.loads((tmp_path / "saved" / STATE_FILE).read_text())
    for file in (tmp_path / "saved").iterdir():
        content = file.read_bytes()
        assert not content.startswith(b"\x80")
        assert b"sklearn" not in content
        assert b"numpy" not in content


@pytest.mark.parametrize("share", ["auto", 0.1, np.float32(0.25)])
def test_a_loaded_detector_knows_its_settings(tmp_path, share):
    rows, _ = odd_among()
    made = detector(contamination=share, random_state=4).fit(rows)
    made.save(tmp_path)
    again = FewShotDetector.load(str(tmp_path))
    assert again.random_state == 4
    assert again.contamination == share
    assert again.threshold_ == made.threshold_
    assert again.prior == untrained_prior()
    refitted = again.fit(rows).anomaly_score(rows)
    np.testing.assert_array_equal(refitted, made.anomaly_score(rows))
    again.save(tmp_path / "again")
    assert FewShotDetector.load(tmp_path / "again").threshold_ == again.threshold_


def test_a_table_with_negative_zeros_can_be_saved(tmp_path):
    rows = np.round(odd_among()[0])
    made = detector().fit(rows)
    made.save(tmp_path)
    expected = made.anomaly_score(rows)
    np.testing.assert_array_equal(FewShotDetector.load(tmp_path).anomaly_score(rows), expected)


@pytest.fixture
def saved(tmp_path, fitted):
    fitted.save(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_setting_that_changed_after_fit_is_not_saved(tmp_path):
    rows, _ = odd_among()
    made = detector(novel=0.0).fit(rows, few_labels()).set_params(novel=1.0)
    made.save(tmp_path)
    loaded = FewShotDetector.load(tmp_path)
    assert loaded.novel == 0.0
    np.testing.assert_array_equal(loaded.anomaly_score(rows), made.anomaly_score(rows))


def test_load_tells_what_is_missing(tmp_path, saved):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("scores")
    save_state(tmp_path / "checkpoint", kind="checkpoint", meta={}, tensors={})
    untrained_prior().save(tmp_path / "prior")
    for name, message in {
        "nowhere": "nowhere: does not exist",
        "empty": f"empty: holds no {STATE_FILE}",
        "file": f"file: holds no {STATE_FILE}",
        "checkpoint": "holds a checkpoint, not a detector; give the detector's folder",
        "prior": "holds a prior, not a detector; give the detector's folder",
    }.items():
        assert_one_line_about(tmp_path / name, message)


def assert_one_line_about(path, message):
    with pytest.raises(PriorError, match=message) as raised:
        FewShotDetector.load(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_load_tells_truncated_files(saved, keep):
    (tensors,) = saved.glob("*.safetensors")
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:keep])
    assert_one_line_about(saved, "is damaged")
    tensors.write_bytes(whole)
    state = saved / STATE_FILE
    state.write_bytes(state.read_bytes()[:keep])
    assert_one_line_about(saved, r"oddshot\.json: is damaged \(no valid JSON\)")


def test_load_tells_a_changed_byte_and_a_lost_file(saved):
    (tensors,) = saved.glob("*.safetensors")
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    assert_one_line_about(saved, "is damaged")
    tensors.unlink()
    assert_one_line_about(saved, "is missing")


def change(folder, **changes):
    state = json.loads((folder / STATE_FILE).read_text())
    meta = {**state["meta"], **changes.pop("meta", {})}
    meta = {name: value for name, value in meta.items() if value is not ...}
    del state["meta_sha256"]  # an older version wrote none
    (folder / STATE_FILE).write_text(json.dumps({**state, "meta": meta, **changes}))


def test_load_tells_a_newer_version(saved):
    change(saved, format_version=FORMAT_VERSION + 1, oddshot_version="9.0")
    assert_one_line_about(saved, "written by Oddshot 9.0; .* upgrade Oddshot")


@pytest.mark.parametrize(
    "meta",
    [
        {"encoder": ...},
        {"seed": ...},
        {"settings": []},
        {"learner": "transformer"},
        {"offset": "high"},
        {"offset": None},
        {"encoder": {"named": False, "columns": [{"recipe": "number"}]}},
        {"encoder": {"named": False, "columns": [{"recipe": "number", "column": "0"}] * 9}},
    ],
)
def test_load_tells_a_changed_state(saved, meta):
    change(saved, meta=meta)
    assert_one_line_about(saved, r"cannot be used here|is incomplete or changed")


def test_load_tells_a_detector_that_scores_otherwise(saved, monkeypatch):
    monkeypatch.setattr("oddshot.mapping.isolation.TREES", 10)
    with pytest.warns(SavedScoresWarning, match="does not give the scores it gave when"):
        FewShotDetector.load(saved)


def test_saving_where_nothing_can_be_written(tmp_path, fitted):
    (tmp_path / "file").write_text("")
    with pytest.raises(PriorError, match="cannot be written"):
        fitted.save(tmp_path / "file")


def test_predictions_given_as_labels_are_told():
    rows, truth = odd_among()
    with pytest.warns(LabelWarning, match=r"y holds 1 in 90 of 100 rows and -1 in the others"):
        detector().fit(rows, np.where(truth == 1, -1, 1))


@pytest.mark.parametrize("rows", [20, 300])
def test_a_single_column_is_saved_and_loads(tmp_path, rows):
    X = np.random.default_rng(0).normal(size=(rows, 1))
    made = detector().fit(X)
    made.save(tmp_path / "one")
    np.testing.assert_array_equal(
        FewShotDetector.load(tmp_path / "one").anomaly_score(X), made.anomaly_score(X)
    )


def test_levels_of_any_type_are_saved(tmp_path):
    x = np.random.default_rng(0).normal(size=80)
    rows = pd.DataFrame(
        {
            "x": x,
            "bin": pd.cut(x, 4),
            "month": pd.Categorical(pd.period_range("2024-01", periods=4, freq="M").repeat(20)),
        }
    )
    made = detector().fit(rows)
    made.save(tmp_path / "levels")
    loaded = FewShotDetector.load(tmp_path / "levels")
    np.testing.assert_array_equal(loaded.anomaly_score(rows), made.anomaly_score(rows))


def test_slightly_other_scores_of_a_loaded_detector_are_told(tmp_path, fitted, monkeypatch):
    fitted.save(tmp_path / "saved")
    probe = FittedTable.probe
    reference = fitted._scale.reference
    spread = np.quantile(reference, 0.9) - np.quantile(reference, 0.5)
    monkeypatch.setattr(FittedTable, "probe", lambda self: probe(self) + 0.05 * spread)
    with pytest.warns(SavedScoresWarning, match="off by up to .* decades"):
        FewShotDetector.load(tmp_path / "saved")
    monkeypatch.setattr(FittedTable, "probe", lambda self: probe(self) + 50 * spread)
    with pytest.raises(PriorError, match="does not give the scores"):
        FewShotDetector.load(tmp_path / "saved")


@pytest.mark.parametrize("labelled", [0, 3])
def test_a_row_scores_alike_alone_where_columns_repeat_each_other(labelled):
    generator = np.random.default_rng(3)
    numbers = generator.normal(size=(200, 2)).round(2)
    rows = pd.DataFrame(
        {"a": numbers[:, 0], "b": generator.choice(list("xyz"), 200), "twice": numbers[:, 0]}
    )
    labels = np.r_[np.ones(labelled), np.full(200 - labelled, -1)]
    made = FewShotDetector().fit(rows, labels)
    together = made.anomaly_score(rows)
    alone = [made.anomaly_score(rows.iloc[[place]])[0] for place in range(8)]
    np.testing.assert_allclose(alone, together[:8], atol=1e-4)


def test_a_slip_among_labels_is_an_error():
    rows, _ = odd_among()
    y = few_labels().astype(float)
    y[17] = 2
    with pytest.raises(LabelError, match=r"2\.0 in row 17.*correct it"):
        detector().fit(rows, y)


def test_new_levels_where_levels_are_often_new_are_no_alarm():
    generator = np.random.default_rng(0)

    def draw(rows: int) -> pd.DataFrame:
        merchant = np.minimum(generator.zipf(1.3, rows), 5000)
        return pd.DataFrame(
            {"merchant": [f"m{m}" for m in merchant], "amount": generator.lognormal(size=rows)}
        )

    made = FewShotDetector().fit(draw(300), np.zeros(300))
    assert (made.predict(draw(1000)) < 0).mean() < 0.05


def test_masked_labels_are_unknown():
    rows, _ = odd_among()
    y = np.ma.masked_array(np.r_[1, 1, np.zeros(98, int)], mask=np.arange(100) >= 2)
    expected = detector().fit(rows, few_labels()).anomaly_score(rows)
    np.testing.assert_array_equal(detector().fit(rows, y).anomaly_score(rows), expected)


def test_integers_of_any_size_are_saved(tmp_path):
    rows = pd.DataFrame({"k": [10**30 + n % 7 * 10**29 for n in range(40)], "x": range(0, 80, 2)})
    detector().fit(rows).save(tmp_path / "large")
    FewShotDetector.load(tmp_path / "large")


def test_answers_need_no_columns_that_are_left_out():
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"row_id": range(60), "same": 1, "a": generator.normal(size=60)})
    made = detector().fit(rows)
    made.partial_fit(rows[["a"]].iloc[:2], [1, 0])
    assert made._fitted.kept.labels[:2].tolist() == [1, 0]
    new = pd.DataFrame({"a": [9.0]})
    made.partial_fit(new, [1])
    assert made.anomaly_score(new) > 0
