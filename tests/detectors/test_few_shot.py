import json
import os
import pickle
import re
from hashlib import sha256

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor
from safetensors import numpy as safetensors
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from oddshot import FewShotDetector, Prior
from oddshot.detectors import adapted_prior
from oddshot.detectors.fitted.table import FittedTable
from oddshot.detectors.verdicts.adjustable_threshold import AdjustableThreshold
from oddshot.errors import (
    DataError,
    LabelWarning,
    PriorError,
    SavedScoresWarning,
    SettingError,
)
from oddshot.persistence import FORMAT_VERSION, STATE_FILE, save_state
from small_detectors import detector, few_labels, odd_among
from small_priors import untrained_prior


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
        ({"random_state": True}, "random_state is True"),
        ({"n_jobs": 0}, "n_jobs is 0; it must be None, a number of threads"),
        ({"n_jobs": "all"}, "n_jobs is 'all'"),
        ({"n_jobs": 1.5}, "n_jobs is 1.5"),
        ({"n_jobs": True}, "n_jobs is True"),
        ({"prior": 3}, "prior is 3; it must be 'default' or 'images', a Prior, or the folder of a"),
    ],
)
def test_wrong_settings_are_told_at_fit(settings, message):
    made = detector(**settings)
    with pytest.raises(SettingError, match=message):
        made.fit(odd_among()[0])


def test_images_have_one_quality():
    with pytest.raises(SettingError, match=r"quality is 'fast', .*; with images, leave it out"):
        FewShotDetector(prior="images", quality="fast").fit(np.zeros((8, 4, 4)))


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
        {"encoder": {"named": False, "columns": []}},
    ],
)
def test_load_tells_a_changed_state(saved, meta):
    change(saved, meta=meta)
    assert_one_line_about(saved, r"cannot be used here|is incomplete or changed")


@pytest.mark.parametrize(("part", "size"), [("hidden", 10**12), ("evidence", -1)])
def test_load_tells_settings_that_no_learner_can_have(saved, part, size):
    settings = json.loads((saved / STATE_FILE).read_text())["meta"]["settings"]
    of = settings if part in settings else settings["shape"]
    of[part] = size
    change(saved, meta={"settings": settings})
    assert_one_line_about(saved, "cannot be used here")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("probe.scores", None),
        ("support.columns", lambda places: places + 10**6),
        ("support.columns", lambda places: places * 0),
        ("kept.places", lambda places: places + 10**6),
        ("kept.places", lambda places: places[1:]),
        ("kept.labels", lambda labels: labels[1:]),
        ("kept.table", lambda table: table[:-200]),
    ],
)
def test_load_tells_changed_tensors(saved, name, changed):
    (file,) = saved.glob("*.safetensors")
    tensors = safetensors.load(file.read_bytes())
    array = tensors.pop(name)
    if changed is not None:
        tensors[name] = changed(array)
    payload = safetensors.save(tensors)
    digest = sha256(payload).hexdigest()
    (saved / f"tensors-{digest[:16]}.safetensors").write_bytes(payload)
    change(saved, tensors=f"tensors-{digest[:16]}.safetensors", sha256=digest)
    assert_one_line_about(saved, "the saved detector is incomplete or changed")


def test_load_tells_a_detector_that_scores_otherwise(saved, monkeypatch):
    monkeypatch.setattr("oddshot.mapping.coordinates.isolation.TREES", 10)
    with pytest.warns(SavedScoresWarning, match="does not give the scores it gave when"):
        FewShotDetector.load(saved)


def test_saving_where_nothing_can_be_written(tmp_path, fitted):
    (tmp_path / "file").write_text("")
    with pytest.raises(PriorError, match="cannot be written"):
        fitted.save(tmp_path / "file")


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


def test_of_few_different_rows_no_more_are_flagged_than_asked_for():
    rows = np.random.default_rng(0).normal(size=(10, 4))[np.arange(200) % 10]
    made = FewShotDetector(contamination=0.15, random_state=0).fit(rows)
    flagged = (made.predict(rows) == -1).mean()
    assert flagged == made.contamination_ <= 0.15
    assert (made.p_values(rows) <= 0.15).mean() <= 0.15


@pytest.mark.parametrize("known", [0, 5])
def test_the_order_of_columns_that_are_multiples_of_each_other_does_not_matter(known):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"celsius": rng.normal(15, 8, 300).round(1), "wind": rng.gamma(2, size=300)}
    )
    rows["fahrenheit"] = 1.8 * rows["celsius"] + 32
    new = pd.DataFrame(rng.normal([15, 3, 60], [8, 1, 15], (100, 3)), columns=rows.columns)
    labels = np.where(np.arange(300) < known, 1, -1)
    swapped = ["fahrenheit", "wind", "celsius"]
    there = FewShotDetector().fit(rows, labels).anomaly_score(new)
    back = FewShotDetector().fit(rows[swapped], labels).anomaly_score(new[swapped])
    np.testing.assert_array_equal(there, back)


def test_equal_rows_labelled_both_ways_are_told():
    rows, _ = odd_among()
    labels = few_labels()
    labels[20:30], rows[21], rows[22], rows[23] = 0, rows[0], rows[0], rows[1]
    with pytest.warns(LabelWarning, match="^2 rows labelled as an anomaly and as normal") as told:
        detector().fit(rows, labels)
    assert told[0].filename == __file__


@pytest.mark.parametrize("route", ["fit", "partial_fit"])
def test_copies_of_a_known_anomaly_count_once(route):
    rows, _ = odd_among(200)
    labels = few_labels(200, known=6)
    once = detector().fit(rows, labels)
    again = detector().fit(np.r_[rows, rows[:6]], np.r_[labels, np.ones(6)])
    if route == "partial_fit":
        again = detector().fit(rows, labels).partial_fit(rows[[0, 1, 0, 1]], [1] * 4)
    assert len(again._fitted.support.known) == 6
    assert again.threshold_ == pytest.approx(once.threshold_, abs=0.1)
    new, _ = odd_among(50, seed=3)  # all rows teach the order of columns, and that is a seed
    np.testing.assert_allclose(again.anomaly_score(new), once.anomaly_score(new), atol=0.1)


@pytest.mark.parametrize("use", ["fit", "partial_fit", "set_threshold", "calibrate"])
def test_who_stops_it_keeps_the_old_detector(use, monkeypatch):
    rows, _ = odd_among(120)
    made = detector().fit(rows).set_threshold(alpha=0.1).calibrate(folds=2)
    made.p_values(rows)
    before = dict(vars(made))

    def stopped(*_, **__):
        raise KeyboardInterrupt

    calls = {
        "fit": lambda: made.fit(rows[:90], few_labels(90)),
        "partial_fit": lambda: made.partial_fit(rows[:4], [1, 1, 0, 0]),
        "set_threshold": lambda: made.set_threshold(alpha=0.2),
        "calibrate": lambda: made.calibrate(folds=3),
    }
    monkeypatch.setattr(AdjustableThreshold, "_flagged_share", stopped)
    monkeypatch.setattr(adapted_prior, "Calibration", stopped)
    with pytest.raises(KeyboardInterrupt):
        calls[use]()
    assert vars(made).keys() == before.keys()
    assert all(vars(made)[name] is value for name, value in before.items())
