import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector, Prior
from oddshot.data.images import read_images, to_images
from oddshot.detectors.corrections.novelty import Floor, Novelty
from oddshot.detectors.fitted import images as images_module
from oddshot.detectors.fitted.images import FOLDS, FittedImages
from oddshot.episodes import MappedTask, SupportSummary
from oddshot.errors import (
    DataError,
    LabelError,
    PriorError,
    SavedScoresWarning,
    SettingError,
)
from oddshot.learners import Shape, collate, make_learner, prior_settings, restore
from oddshot.persistence import STATE_FILE
from oddshot.thresholds.surprise import Surprise

SIZE = (12, 10)


def untrained(learner: str = "prototypical", channels: int = 1, **settings) -> Prior:
    """Wrap what a learner's meta-training starts from."""
    settings = {"encoder": "conv4", "image": SIZE, "embedding": 8, **settings}
    made = make_learner(learner, Shape(SIZE[0] * SIZE[1], channels, 0, 0), settings)
    start = made.initial_parameters(torch.Generator().manual_seed(0))
    tensors = {name: value.numpy() for name, value in start.items()}
    return Prior(learner, prior_settings(made), tensors, {"families": []})


def pictures(images: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (images, *SIZE), dtype=np.uint8)


def detector(**settings) -> FewShotDetector:
    return FewShotDetector(**{"prior": untrained(), **settings})


def raw_scores(prior, support, labels, query):
    """Score images through the learner alone."""

    def rows(images):
        return images.reshape(len(images), -1, 1).astype(np.float32) / np.float32(255)

    nothing = SupportSummary(np.zeros((120, 0), np.float32), np.zeros(0, np.float32))
    truth = np.zeros(len(query), np.int8)
    labels = np.asarray(labels, np.int8)
    task = MappedTask("", "", 0, rows(support), labels, rows(query), truth, nothing)
    learner, params = restore(prior)
    batch = collate([task]).to(torch.float64)
    params = {name: value.double() for name, value in params.items()}
    return learner.detector(params, batch)(batch.query)[0].numpy()


@pytest.mark.parametrize("learner", ["prototypical", "relation"])
@pytest.mark.parametrize("known", [0, 2])
def test_scores_of_few_images_leave_each_one_out(learner, known):
    prior, images = untrained(learner), pictures(7)
    labels = np.where(np.arange(7) < known, 1, -1)
    fitted = FittedImages.fit(prior, FittedImages.read(prior, images), labels, seed=3)
    expected = [
        raw_scores(prior, np.delete(images, i, 0), np.delete(labels, i), images[[i]])[0]
        for i in range(known, 7)
    ]
    np.testing.assert_allclose(np.sort(fitted.typical_scores), np.sort(expected), rtol=1e-9)
    np.testing.assert_allclose(fitted.scored(images)[known:], expected, rtol=1e-9)
    seen = raw_scores(prior, images, labels, images)[:known]
    np.testing.assert_allclose(fitted.scored(images)[:known], seen, rtol=1e-9)
    new = pictures(5, seed=1)
    np.testing.assert_allclose(fitted.scored(new), raw_scores(prior, images, labels, new))


def test_the_floor_is_what_a_detector_without_labels_says():
    prior, images = untrained(), pictures(9)
    labels = np.where(np.arange(9) < 2, 1, -1)
    fitted = FittedImages.fit(
        prior,
        FittedImages.read(prior, images),
        labels,
        seed=3,
        novelty=Novelty(1.0),
    )

    def alone(first):
        return [
            raw_scores(
                prior,
                np.delete(images, i, 0)[first:],
                np.delete(labels, i)[first:],
                images[[i]],
            )[0]
            for i in range(2, 9)
        ]

    floor = Floor(Surprise().fit(np.array(alone(0))), Surprise().fit(np.array(alone(2))), 1.0)
    expected = floor.apply(np.array(alone(0)), np.array(alone(2)))
    np.testing.assert_allclose(fitted.scored(images)[2:], expected, rtol=1e-9)
    new = pictures(5, seed=1)
    told = raw_scores(prior, images, labels, new)
    free = raw_scores(prior, images[2:], labels[2:], new)
    np.testing.assert_allclose(fitted.scored(new), floor.apply(told, free), rtol=1e-9)


def test_another_kind_of_image_stays_odd_beside_a_known_one():
    digits = load_digits()
    stack = np.repeat(np.repeat(np.round(digits.images * 15.9), 2, 1), 2, 2).astype(np.uint8)
    normal, known, new = (stack[digits.target == digit] for digit in (3, 0, 9))
    rows, labels = np.concatenate([known[:10], normal[:60]]), np.where(np.arange(70) < 5, 1, -1)
    queries = np.concatenate([normal[60:160], known[10:60], new[:60]])
    kinds = np.repeat(["normal", "known", "new"], [100, 50, 60])

    def found(novel, kind):
        detector = FewShotDetector(prior="images", novel=novel).fit(rows, labels)
        judged = np.isin(kinds, ["normal", kind])
        return roc_auc_score(kinds[judged] == kind, detector.anomaly_score(queries)[judged])

    assert found("auto", "new") > found(0, "new") + 0.01
    assert found("auto", "known") > 0.97


def test_a_floor_is_saved_and_pickled_and_missing_where_an_older_version_saved(tmp_path):
    images, new = pictures(12), pictures(5, seed=1)
    fitted = detector(novel=1.0).fit(images, np.where(np.arange(12) < 3, 1, -1))
    fitted.save(tmp_path / "kept")
    for again in (
        FewShotDetector.load(tmp_path / "kept"),
        pickle.loads(pickle.dumps(fitted)),
    ):
        np.testing.assert_allclose(again.anomaly_score(new), fitted.anomaly_score(new))
        np.testing.assert_allclose(again.anomaly_score(images), fitted.anomaly_score(images))
    state, arrays = fitted._fitted.state()
    parts = {"support": {n.removeprefix("support."): a for n, a in arrays.items()}}
    del parts["support"]["free"]
    meta = {**state, "novel": 1.0, "seed": fitted._fitted.seed}
    old = FittedImages.restored(fitted._fitted.prior, meta, parts)
    alone = detector(novel=0).fit(images, np.where(np.arange(12) < 3, 1, -1))._fitted
    read = FittedImages.read(fitted._fitted.prior, new)
    np.testing.assert_allclose(old.scored(read), alone.scored(read))


def test_scores_of_more_images_leave_their_fold_out():
    prior, images = untrained(), pictures(25)
    fitted = detector(prior=prior).fit(images)._fitted
    teaching = fitted._told.rows[..., 0].reshape(25, *SIZE)
    stack = np.round(teaching * 255).astype(np.uint8)
    unknown = np.full(25, -1)
    for first in range(FOLDS):
        fold = np.arange(first, 25, FOLDS)
        rest = np.delete(stack, fold, 0)
        expected = raw_scores(prior, rest, unknown[: len(rest)], stack[fold])
        np.testing.assert_allclose(fitted.typical_scores[fold], expected, rtol=1e-9)


def test_images_beyond_those_that_teach_are_compared_with(monkeypatch, tmp_path):
    monkeypatch.setattr(images_module, "MAX_TEACHING", 12)
    monkeypatch.setattr(images_module, "MAX_TYPICAL", 20)
    monkeypatch.setattr(images_module, "MAX_KNOWN", 3)
    images = pictures(40)
    labels = np.where(np.arange(40) < 5, 1, -1)
    made = detector(random_state=1).fit(images, labels)
    assert len(made._fitted.typical_scores) == 20
    assert len(made._fitted.known_scores) == 3
    assert made._fitted._told.rows.shape == (15, 120, 1)
    expected = made.anomaly_score(images)
    order = np.random.default_rng(0).permutation(40)
    again = detector(random_state=1).fit(images[order], labels[order])
    np.testing.assert_allclose(again.anomaly_score(images), expected, rtol=1e-6)
    other = detector(random_state=2).fit(images, labels)
    assert not np.allclose(other.anomaly_score(images), expected)
    made.save(tmp_path)
    np.testing.assert_array_equal(FewShotDetector.load(tmp_path).anomaly_score(images), expected)


def test_scores_do_not_depend_on_the_blocks_that_images_are_cut_into(monkeypatch):
    images = pictures(30)
    made = detector().fit(images)
    expected = made.anomaly_score(pictures(9, seed=1))
    monkeypatch.setattr(images_module, "BLOCK_IMAGES", 4)
    np.testing.assert_allclose(made.anomaly_score(pictures(9, seed=1)), expected, rtol=1e-9)


def test_images_of_any_size_and_colour_are_brought_to_the_priors():
    large = np.stack([np.repeat(pictures(10), 3, axis=1)] * 3, -1)
    fitting = to_images(large, size=SIZE, channels=1)
    expected = detector().fit(fitting).anomaly_score(pictures(4, seed=1))
    found = detector().fit(large).anomaly_score(pictures(4, seed=1))
    np.testing.assert_array_equal(found, expected)
    in_colour = detector(prior=untrained(channels=3)).fit(pictures(10))
    assert in_colour._fitted._told.rows.shape == (10, 120, 3)


def test_images_bring_labels_and_y_goes_before_them():
    labels = np.where(np.arange(12) < 2, 1, 0)
    images = read_images(pictures(12), labels=labels)
    new = pictures(5, seed=1)
    expected = detector().fit(pictures(12), labels).anomaly_score(new)
    np.testing.assert_array_equal(detector().fit(images).anomaly_score(new), expected)
    unlabelled = detector().fit(pictures(12)).anomaly_score(new)
    again = detector().fit(images, np.full(12, -1)).anomaly_score(new)
    np.testing.assert_array_equal(again, unlabelled)
    assert not np.allclose(unlabelled, expected)


def test_a_fit_on_a_table_after_one_on_images_and_back():
    table = np.random.default_rng(0).normal(size=(30, 3))
    made = detector().fit(pictures(9))
    made.set_params(prior="default").fit(table)
    assert made.n_features_in_ == 3
    assert len(made.column_report_) == 3
    made.set_params(prior=untrained()).fit(pictures(9))
    assert not hasattr(made, "n_features_in_")
    expected = detector().fit(pictures(9)).anomaly_score(pictures(3, seed=1))
    np.testing.assert_array_equal(made.anomaly_score(pictures(3, seed=1)), expected)


TABLE = np.random.default_rng(0).normal(size=(30, 3))


@pytest.mark.parametrize("table", [TABLE, pd.DataFrame(TABLE), TABLE.tolist(), [], None])
def test_a_table_is_none_of_an_image_priors(table):
    message = r"X is a \w+ and holds no images, but the prior reads images of 12 x 10 pixels; give"
    with pytest.raises(DataError, match=message):
        detector().fit(table)
    made = detector().fit(pictures(9))
    with pytest.raises(DataError, match=message):
        made.anomaly_score(table)


def test_images_are_none_of_a_table_priors():
    with pytest.raises(DataError, match=r"dim 3.*for images give prior='images'"):
        FewShotDetector().fit(pictures(9))
    with pytest.raises(DataError, match="X holds images, but the prior reads tables"):
        FewShotDetector().fit(read_images(pictures(9)))
    made = FewShotDetector().fit(TABLE)
    with pytest.raises(DataError, match="for images give prior='images'"):
        made.anomaly_score(pictures(9))


@pytest.mark.parametrize(("images", "known"), [(1, 0), (9, 8), (9, 9)])
def test_something_must_be_left_to_compare_with(images, known):
    message = f"{images} images are given, {known} of them labelled .* at least 2 unlabelled"
    with pytest.raises(DataError, match=message):
        detector().fit(pictures(images), np.where(np.arange(images) < known, 1, -1))


def test_wrong_images_and_labels():
    with pytest.raises(LabelError, match="X has 9 rows but y has 5"):
        detector().fit(pictures(9), np.ones(5))
    with pytest.raises(DataError, match="scale them to 0 to 1"):
        detector().fit(pictures(9).astype(float))
    with pytest.raises(DataError, match="holds no image"):
        detector().fit(pictures(0))


def test_known_normal_images_calibrate_alone_where_they_are_many():
    labels = np.where(np.arange(130) < 110, 0, -1)
    made = detector().fit(pictures(130), labels)
    assert made.calibration_.clean
    assert made.calibration_.rows == 110
    assert not made._fitted.clean


def test_a_failed_fit_keeps_the_earlier_one():
    made = detector().fit(pictures(9))
    expected = clone(made).fit(pictures(9)).anomaly_score(pictures(3, seed=1))
    with pytest.raises(DataError):
        made.fit(pictures(1))
    np.testing.assert_array_equal(made.anomaly_score(pictures(3, seed=1)), expected)


@pytest.mark.parametrize("lost", ["novel", "seed", "settings"])
def test_load_tells_a_changed_state(tmp_path, lost):
    detector().fit(pictures(9)).save(tmp_path)
    state = json.loads((tmp_path / STATE_FILE).read_text())
    del state["meta"][lost]
    del state["meta_sha256"]  # an older version wrote none
    (tmp_path / STATE_FILE).write_text(json.dumps(state))
    with pytest.raises(PriorError, match="incomplete or changed"):
        FewShotDetector.load(tmp_path)


def test_load_tells_a_detector_that_scores_otherwise(tmp_path, monkeypatch):
    detector().fit(pictures(9)).save(tmp_path)
    monkeypatch.setattr("oddshot.networks.encoders.max_pool2d", torch.nn.functional.avg_pool2d)
    with pytest.warns(SavedScoresWarning, match="does not give the scores it gave when"):
        FewShotDetector.load(tmp_path)


GIVEN, JUDGED = 20, 30


@pytest.fixture(scope="module")
def digits():
    """For each of five digits: images of it, and of all others, of many hands."""
    images, digit = load_digits().images / 16, load_digits().target
    order = np.random.default_rng(0).permutation(len(digit))  # they come writer by writer
    images, digit = images[order], digit[order]
    return [(images[digit == n], images[digit != n]) for n in range(5)]


def test_the_shipped_prior_finds_other_digits_and_seldom_flags_new_ones_of_a_kind(digits):
    aurocs, alarms, found = [], [], []
    for own, others in digits:
        made = FewShotDetector(prior="images").fit(own[:GIVEN], np.zeros(GIVEN))
        judged = np.concatenate([own[GIVEN : GIVEN + JUDGED], others[:JUDGED]])
        truth = np.arange(2 * JUDGED) >= JUDGED
        aurocs.append(roc_auc_score(truth, made.anomaly_score(judged)))
        flagged = made.predict(judged) == -1
        alarms.append(flagged[~truth].mean())
        found.append(flagged[truth].mean())
    assert np.mean(aurocs) > 0.95
    assert np.mean(alarms) < 2 / (GIVEN + 1)
    assert np.mean(found) > 0.6


def test_labels_of_a_kind_hidden_among_the_images_help(digits):
    """Six zeros hide among fifty ones and twos; the zeros are what is looked for."""
    (zeros, _), (ones, _), (twos, _), *_ = digits
    shown = np.concatenate([zeros[:6], ones[:25], twos[:25]])
    judged = np.concatenate([zeros[10:40], ones[30:45], twos[30:45]])
    truth = np.arange(60) < 30
    aurocs = []
    for known in (0, 1, 5):
        labels = np.where(np.arange(len(shown)) < known, 1, -1)
        made = FewShotDetector(prior="images").fit(shown, labels)
        aurocs.append(roc_auc_score(truth, made.anomaly_score(judged)))
    assert aurocs[0] < aurocs[1] <= aurocs[2] + 0.01
    assert aurocs[2] > 0.95


@pytest.mark.parametrize("method", ["split", "cross"])
def test_images_held_out_are_scored_by_a_detector_made_without_them(method, tmp_path):
    images = pictures(14)
    labels = np.where(np.arange(14) < 2, 1, 0)
    made = detector().fit(images, labels)
    made.calibrate(method=method, folds=3 if method == "cross" else None)
    calibration, kept = made.calibration_, made._fitted._told.rows[2:]
    assert calibration.rows == (6 if method == "split" else 12)
    assert calibration.clean
    for part, (adapted, scale), scores in zip(
        calibration.parts, made._parts, calibration.scores, strict=True
    ):
        held_out = kept[part].reshape(-1, *SIZE)
        np.testing.assert_allclose(scale.apply(adapted.scored(held_out)), scores, rtol=1e-6)
        assert not {row.tobytes() for row in kept[part]} & {r.tobytes() for r in adapted._told.rows}
    new = pictures(5, seed=1)
    p_values = made.p_values(new)
    assert ((p_values > 0) & (p_values <= 1)).all()
    made.save(tmp_path)
    np.testing.assert_allclose(FewShotDetector.load(tmp_path).p_values(new), p_values)
    with pytest.raises(SettingError, match="keeps no rows in numbers"):
        made.p_values(new, shift=True)
