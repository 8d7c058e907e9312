import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.estimator_checks import parametrize_with_checks

from oddshot.data.images import read_images
from oddshot.detectors.adversarial.training import AdversarialFit
from oddshot.detectors.autoencoder import AAEDetector
from oddshot.errors import (
    CalibrationWarning,
    DataError,
    LabelError,
    PriorError,
    SettingError,
    TrainingError,
)
from oddshot.persistence import STATE_FILE, load_state, save_state
from small_autoencoders import bars, few_labels, rows_of


def wave(rows: int, seed: int, *, off: float = 0.0) -> np.ndarray:
    """A thin closed curve (n, 6), or rows at a distance from it."""
    rng = np.random.default_rng(seed)
    turn = np.arange(1, 4) * rng.uniform(0, 2 * np.pi, (rows, 1))
    aside = rng.normal(size=(rows, 6))
    aside *= off / np.linalg.norm(aside, axis=1, keepdims=True)
    return np.hstack([np.cos(turn), np.sin(turn)]) + aside + 0.03 * rng.normal(size=(rows, 6))


def detection(seeds: int, train, test: np.ndarray, truth: np.ndarray, labels=None, **settings):
    """AUROC (seeds,) on test rows after training on `train(seed)`."""
    return np.array(
        [
            roc_auc_score(
                truth,
                AAEDetector(**{"steps": 50, "random_state": seed, **settings})
                .fit(train(seed), labels)
                .anomaly_score(test),
            )
            for seed in range(seeds)
        ]
    )


@pytest.fixture(scope="module")
def fitted() -> AAEDetector:
    return AAEDetector(steps=40).fit(rows_of(odd=10), few_labels())


@pytest.fixture(scope="module")
def pictured() -> AAEDetector:
    return AAEDetector(steps=40).fit(bars())


@pytest.mark.filterwarnings("ignore::oddshot.errors.LabelWarning")
@parametrize_with_checks([AAEDetector(steps=5)])
def test_what_scikit_learn_asks_of_an_estimator(estimator, check):
    check(estimator)


# what it learns


def test_virtual_anomalies_lie_off_the_rows_and_are_odder():
    rows = wave(300, seed=0)
    detector = AAEDetector(steps=60).fit(rows, np.zeros(300))
    virtual = detector.virtual_anomalies(rows)
    assert virtual.shape == rows.shape
    near = NearestNeighbors(n_neighbors=1).fit(rows)
    assert np.median(near.kneighbors(virtual)[0]) > 2 * np.median(near.kneighbors()[0])
    scores = detector.anomaly_score(np.concatenate([wave(300, seed=1), virtual]))
    assert roc_auc_score(np.arange(600) >= 300, scores) > 0.8


@pytest.mark.parametrize("width", [2, 8, 30])
def test_virtual_anomalies_keep_off_a_full_cloud_too(width):
    rows = np.random.default_rng(0).normal(size=(300, width))
    detector = AAEDetector(steps=60).fit(rows)
    virtual = detector.virtual_anomalies(rows)
    moved = np.linalg.norm(virtual - rows, axis=1)
    fifth = NearestNeighbors(n_neighbors=5).fit(rows).kneighbors()[0][:, -1]
    assert np.mean(moved > 0.8 * np.median(fifth)) > 0.95  # decoding moves them a little


def test_virtual_anomalies_are_drawn_by_a_seed_of_their_own(fitted):
    rows = rows_of()
    first = fitted.virtual_anomalies(rows, seed=1)
    np.testing.assert_array_equal(fitted.virtual_anomalies(rows, seed=1), first)
    assert not np.allclose(fitted.virtual_anomalies(rows, seed=2), first)


def test_who_stops_a_fit_keeps_the_old_detector(fitted, monkeypatch):
    again, before = copy.copy(fitted).set_params(steps=5), dict(vars(fitted))

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(AAEDetector, "_flagged_share", stopped)
    with pytest.raises(KeyboardInterrupt):
        again.fit(rows_of(90))
    before["steps"] = 5
    assert vars(again).keys() == before.keys()
    assert all(vars(again)[name] is value for name, value in before.items())


def test_reconstructions_resemble_the_rows(fitted):
    rows = rows_of()
    np.testing.assert_allclose(fitted.encoded(rows), rows)
    error = np.square(fitted.reconstruct(rows) - rows).mean()
    assert error < 0.1 * rows.var()


def test_without_an_adversary_a_thin_curve_is_learned_less_well():
    """Random directions leave a curve sideways; what G finds lies along it, and is hard."""
    test = np.concatenate([wave(300, 1000), wave(300, 1001, off=0.2)])
    truth = np.arange(600) >= 300
    settings = {"reach": (0.5, 2.0), "steps": 80}
    usual, alone = (
        detection(3, lambda seed: wave(150, seed), test, truth, lambda_2=pace, **settings)
        for pace in (10.0, 1e-6)
    )
    assert (usual > alone).mean() > 0.6
    assert usual.mean() > alone.mean() + 0.001


def test_more_labels_do_not_hurt():
    test, truth = rows_of(300, odd=60, seed=100), np.arange(300) < 60
    found = [
        detection(
            3, lambda seed: rows_of(odd=15, seed=seed), test, truth, few_labels(known=known)
        ).mean()
        for known in (0, 2, 10)
    ]
    assert found[1] > found[0] - 0.01
    assert found[2] > found[1] - 0.01
    assert found[2] > found[0] + 0.02


def test_hidden_anomalies_among_the_rows_cost_some_and_not_all():
    test, truth = rows_of(300, odd=60, seed=100), np.arange(300) < 60
    clean, contaminated = (
        detection(3, lambda seed, odd=odd: rows_of(odd=odd, seed=seed), test, truth).mean()
        for odd in (0, 15)
    )
    assert clean > 0.9
    assert clean - 0.1 < contaminated < clean + 0.01


def test_unlabelled_rows_are_trimmed_and_known_normal_ones_are_not():
    rows, test = rows_of(), rows_of(seed=1)
    whole = AAEDetector(steps=5, trim=0.0)
    known = AAEDetector(steps=5).fit(rows, np.zeros(150)).anomaly_score(test)
    np.testing.assert_array_equal(known, whole.fit(rows, np.zeros(150)).anomaly_score(test))
    trimmed = AAEDetector(steps=5).fit(rows).anomaly_score(test)
    assert np.abs(trimmed - whole.fit(rows).anomaly_score(test)).max() > 0


def test_a_single_kind_of_label_makes_a_clean_context():
    detector = AAEDetector(steps=20).fit(rows_of(), np.zeros(150))
    assert detector.contamination_ == pytest.approx(0.01, abs=1 / 150)


# settings


@pytest.mark.parametrize(
    "settings",
    [
        {"gradient_penalty": 1.0},
        {"reconstruction": 1.0},
        {"latent": 2},
        {"latent": np.int64(3), "hidden": 8},
        {"neighbours": 3, "batch_size": 16},
        {"far": 0.0, "hold_off": 0.0},
    ],
    ids=", ".join,
)
def test_settings_that_change_scores(settings, fitted):
    detector = clone(fitted).set_params(**settings).fit(rows_of(odd=10), few_labels())
    scores, usual = (d.anomaly_score(rows_of(odd=30, seed=1)) for d in (detector, fitted))
    assert not np.allclose(scores, usual)
    assert roc_auc_score(np.arange(150) < 30, scores) > 0.8


def test_a_blend_reads_both_the_discriminator_and_the_reconstruction(fitted):
    rows = rows_of(odd=10)
    alone = clone(fitted).set_params(latent=2).fit(rows)
    blend = clone(alone).set_params(reconstruction=1000.0).fit(rows)
    errors = np.square((alone.reconstruct(rows) - rows) / rows.std(0)).mean(1)
    by_blend, by_error = (pd.Series(v).rank() for v in (blend.anomaly_score(rows), errors))
    assert by_blend.corr(by_error) > 0.95
    assert by_blend.corr(pd.Series(alone.anomaly_score(rows)).rank()) < 0.95


def test_training_stops_early_where_nothing_is_gained():
    detector = AAEDetector(steps=1000, patience=1, learning_rate=1e-12).fit(rows_of())
    assert len(detector.history_["validation"]) < 20
    assert len(detector.history_["discrimination"]) == 50 * len(detector.history_["validation"])


def test_history_has_an_entry_a_step(fitted):
    lengths = {name: len(values) for name, values in fitted.history_.items()}
    losses = dict.fromkeys(("reconstruction", "discrimination", "adversarial"), 40)
    assert lengths == losses | {"validation": 0, "checked": 0}


def test_a_bar_is_shown_on_request(capsys):
    AAEDetector(steps=3, verbose=True).fit(rows_of())
    assert "100%" in capsys.readouterr().out
    AAEDetector(steps=3).fit(rows_of())
    assert capsys.readouterr().out == ""


def test_the_seed_decides_and_none_is_0(fitted):
    rows = rows_of(odd=10)
    first, again, other = (
        clone(fitted).set_params(random_state=s).fit(rows, few_labels()) for s in (None, 0, 1)
    )
    np.testing.assert_array_equal(first.anomaly_score(rows), again.anomaly_score(rows))
    assert not np.allclose(first.anomaly_score(rows), other.anomaly_score(rows))


def test_training_takes_one_thread_and_gives_the_others_back(monkeypatch):
    train, within, found = AdversarialFit.run, [], torch.get_num_threads()

    def run(self, on_step=None):
        within.append(torch.get_num_threads())
        train(self, on_step)

    monkeypatch.setattr(AdversarialFit, "run", run)
    rows, scores = rows_of(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            scores.append(AAEDetector(steps=5).fit(rows).anomaly_score(rows))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(found)
    assert within == [1, 1]
    np.testing.assert_array_equal(*scores)


def test_fit_leaves_global_generators_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    AAEDetector(steps=3).fit(rows_of())
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_only_some_of_many_rows_are_compared_with(monkeypatch):
    monkeypatch.setattr("oddshot.detectors.adversarial.autoencoder.MOST_NEIGHBOURS", 50)
    detector = AAEDetector(steps=60).fit(rows_of())
    scores = detector.anomaly_score(rows_of(odd=30, seed=1))
    assert roc_auc_score(np.arange(150) < 30, scores) > 0.8


def test_scores_do_not_depend_on_the_blocks_that_rows_are_cut_into(monkeypatch, fitted):
    expected = fitted.anomaly_score(rows_of())
    monkeypatch.setattr("oddshot.detectors.adversarial.autoencoder.BLOCK_ROWS", 7)
    np.testing.assert_allclose(fitted.anomaly_score(rows_of()), expected, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e30, 1e90])
def test_values_of_any_size_can_be_learned(scale):
    rows = rows_of(odd=10)
    expected = AAEDetector(steps=20).fit(rows).anomaly_score(rows)
    found = AAEDetector(steps=20).fit(rows * scale).anomaly_score(rows * scale)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_huge_value_is_odd_and_harms_nothing(fitted):
    rows = rows_of()
    rows[0, 0] = 1e300
    scores = AAEDetector(steps=20).fit(rows).anomaly_score(rows)
    assert np.isfinite(scores).all()
    assert scores.argmax() == 0


# images


def test_odd_images_are_found_whatever_the_size_they_come_in(pictured):
    truth = np.arange(40) < 10
    assert roc_auc_score(truth, pictured.anomaly_score(bars(odd=10, seed=1))) > 0.95
    large = (255 * bars(odd=10, seed=1, size=24)).astype(np.uint8)
    assert roc_auc_score(truth, pictured.anomaly_score(large)) > 0.9


def test_images_bring_their_labels_along():
    stack, labels = bars(odd=5), few_labels(40, known=5)
    known = read_images(stack, labels=labels)
    by_images, by_array = AAEDetector(steps=10).fit(known), AAEDetector(steps=10).fit(stack, labels)
    np.testing.assert_array_equal(by_images.anomaly_score(stack), by_array.anomaly_score(stack))
    alone = AAEDetector(steps=10).fit(stack)
    assert not np.allclose(alone.anomaly_score(stack), by_array.anomaly_score(stack))


def test_pixels_keep_their_places(pictured):
    pixels = pictured.encoded(bars(seed=1))
    np.testing.assert_allclose(pixels, bars(seed=1).reshape(40, 144), atol=1e-6)
    assert np.square(pictured.reconstruct(bars(seed=1)) - pixels).mean() < 0.5 * pixels.var()
    assert pictured.column_report_ == []
    assert not hasattr(pictured, "n_features_in_")


def test_an_image_scores_alike_alone_and_in_company(pictured):
    alone = [pictured.anomaly_score(image[None]) for image in bars(5, seed=1)]
    company = pictured.anomaly_score(bars(5, seed=1))
    np.testing.assert_allclose(np.concatenate(alone), company, rtol=1e-9)


def test_colour_images():
    coloured = np.stack([bars(20), bars(20, seed=1), bars(20, seed=2)], -1)
    scores = AAEDetector(steps=5).fit(coloured).anomaly_score(coloured)
    assert scores.shape == (20,)
    assert np.isfinite(scores).all()


def test_a_detector_forgets_the_columns_of_a_table_when_it_sees_images():
    detector = AAEDetector(steps=5).fit(rows_of())
    assert detector.n_features_in_ == 4
    assert not hasattr(detector.fit(bars(20)), "n_features_in_")


# files


@pytest.mark.parametrize("blend", [0.0, 0.5])
def test_a_loaded_table_detector_scores_alike(tmp_path, blend):
    given = AAEDetector(
        steps=20, reconstruction=blend, random_state=np.int64(4), contamination=np.float64(0.2)
    )
    given.fit(rows_of(odd=10), few_labels())
    given.set_params(neighbours=2, hidden=4, reconstruction=0.25)  # settings of a next fit
    given.save(tmp_path)
    again = AAEDetector.load(tmp_path)
    unseen = rows_of(seed=1)
    np.testing.assert_array_equal(again.anomaly_score(unseen), given.anomaly_score(unseen))
    np.testing.assert_array_equal(again.reconstruct(unseen), given.reconstruct(unseen))
    assert again.get_params() == given.get_params()
    assert again.threshold_ == given.threshold_
    assert again.history_ == given.history_


def test_a_table_of_two_valued_columns_is_learned_and_loaded(tmp_path):
    rng = np.random.default_rng(0)
    rows = (rng.random((300, 8)) < [[0.5, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1]]).astype(float)
    unseen = rows[200:].copy()
    unseen[:20, 4:] = 1
    given = AAEDetector(steps=100, random_state=0).fit(rows[:200])
    given.save(tmp_path)
    scores = given.anomaly_score(unseen)
    np.testing.assert_array_equal(AAEDetector.load(tmp_path).anomaly_score(unseen), scores)
    assert roc_auc_score(np.arange(100) < 20, scores) > 0.95


def test_a_loaded_detector_keeps_its_calibration_and_its_threshold(tmp_path):
    given = AAEDetector(steps=20, random_state=0).fit(rows_of(odd=10))
    held_out, unseen = rows_of(seed=2), rows_of(seed=1, odd=10)
    given.calibrate(held_out).set_threshold(alpha=0.05)
    given.save(tmp_path)
    again = AAEDetector.load(tmp_path)
    assert (again.threshold_, again.contamination_) == (given.threshold_, given.contamination_)
    assert str(again.threshold_rule_) == str(given.threshold_rule_)
    assert str(again.calibration_) == str(given.calibration_)
    np.testing.assert_array_equal(again.p_values(unseen), given.p_values(unseen))
    for detector in (given, again):
        detector.set_threshold(contamination="auto")
    assert again.threshold_ == given.threshold_


def test_what_an_older_version_saved_loads(tmp_path):
    given = AAEDetector(steps=20, random_state=0).fit(rows_of(odd=10))
    given.save(tmp_path)
    meta, arrays = load_state(tmp_path, kind="autoencoder")
    for name in ("clean", "threshold_rule"):
        del meta[name]
    save_state(
        tmp_path,
        kind="autoencoder",
        meta=meta,
        tensors={name: array for name, array in arrays.items() if name != "shown"},
    )
    again = AAEDetector.load(tmp_path)
    assert again.threshold_ == given.threshold_
    again.set_threshold(alpha=0.1)
    unseen = rows_of(seed=1)
    np.testing.assert_array_equal(again.anomaly_score(unseen), given.anomaly_score(unseen))


def test_a_loaded_image_detector_scores_alike(tmp_path, pictured):
    pictured.save(tmp_path)
    again = AAEDetector.load(tmp_path)
    unseen = bars(seed=1)
    np.testing.assert_array_equal(again.anomaly_score(unseen), pictured.anomaly_score(unseen))
    np.testing.assert_array_equal(
        again.virtual_anomalies(unseen), pictured.virtual_anomalies(unseen)
    )


@pytest.mark.parametrize("again", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_score_alike(again, pictured):
    np.testing.assert_array_equal(
        again(pictured).anomaly_score(bars()), pictured.anomaly_score(bars())
    )


@pytest.mark.parametrize(
    "meta", [{"given": {}}, {"offset": "high"}, {"front": {"encoder": {}}}, {"neighbours": None}]
)
def test_load_tells_a_changed_state(tmp_path, fitted, meta):
    fitted.save(tmp_path)
    state = json.loads((tmp_path / STATE_FILE).read_text())
    state["meta"] |= meta
    del state["meta_sha256"]  # an older version wrote none
    (tmp_path / STATE_FILE).write_text(json.dumps(state))
    with pytest.raises(PriorError, match="the saved detector is incomplete or changed") as raised:
        AAEDetector.load(tmp_path)
    assert "\n" not in str(raised.value)


def test_load_tells_what_is_no_detector(tmp_path):
    with pytest.raises(PriorError, match="does not exist; give the folder that was saved"):
        AAEDetector.load(tmp_path / "nowhere")


# errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0; it must be a whole number from 1 on"),
        ({"steps": 10.5}, "steps is 10.5"),
        ({"batch_size": 1}, "batch_size is 1; it must be a whole number from 2 on"),
        ({"neighbours": "few"}, "neighbours is 'few'; it must be a whole number from 1 on"),
        ({"hidden": 7}, "hidden is 7; it must be an even number from 2 on"),
        ({"latent": 0}, "latent is 0; it must be 'auto', or a whole number from 1 on"),
        ({"latent": "wide"}, "latent is 'wide'"),
        ({"learning_rate": 0}, "learning_rate is 0; it must be a number above 0"),
        ({"learning_rate": np.nan}, "learning_rate is nan"),
        ({"lambda_1": -1}, "lambda_1 is -1"),
        ({"lambda_2": None}, "lambda_2 is None"),
        ({"reach": (2, 1)}, r"reach is \(2, 1\); it must be two numbers above 0, the smaller one"),
        ({"reach": 1}, "reach is 1"),
        ({"far": 1}, "far is 1; it must be a share from 0 to below 1"),
        ({"hold_off": -1}, "hold_off is -1; it must be a number from 0 on"),
        ({"gradient_penalty": "some"}, "gradient_penalty is 'some'"),
        ({"reconstruction": np.inf}, "reconstruction is inf"),
        ({"patience": 0}, "patience is 0; it must be a whole number from 1 on, or None"),
        ({"contamination": 0.7}, "contamination is 0.7; it must be 'auto' or a number above 0"),
        ({"random_state": -1}, "random_state is -1; it must be None, a whole number from 0 on"),
    ],
)
def test_wrong_settings_are_told_at_fit(settings, message):
    with pytest.raises(SettingError, match=message):
        AAEDetector(**settings).fit(rows_of())


def test_a_training_that_diverges_gives_no_scores():
    detector = AAEDetector(learning_rate=1e8)
    with pytest.raises(
        TrainingError, match=r"diverged in step 1: .*; lower learning_rate, or look"
    ):
        detector.fit(rows_of())
    with pytest.raises(NotFittedError):
        detector.predict(rows_of())


def test_a_training_that_collapses_gives_no_scores():
    detector = AAEDetector(lambda_1=1e4, steps=60)
    with pytest.raises(TrainingError, match=r"the discriminator collapsed: .*AUROC of 0\.50"):
        detector.fit(rows_of(200))
    assert not hasattr(detector, "threshold_")


def test_a_failed_fit_keeps_the_earlier_one(fitted):
    detector = copy.deepcopy(fitted)
    with pytest.raises(TrainingError):
        detector.set_params(learning_rate=1e8).fit(rows_of(60)[:, :2])
    expected = fitted.anomaly_score(rows_of())
    np.testing.assert_array_equal(detector.anomaly_score(rows_of()), expected)
    assert detector.n_features_in_ == 4


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (np.ones((9, 2)), None, DataError, "no column is left to learn from"),
        (np.zeros((0, 3)), None, DataError, r"0 sample\(s\)"),
        (rows_of(9), np.ones(5), LabelError, "X has 9 rows but y has 5; give one label a row"),
        (rows_of(9), ["odd?"] * 9, LabelError, "column 'y' holds 'odd\\?' in row 0; write 1 for"),
        (rows_of(9), few_labels(9, known=7), DataError, "2 of 9 rows are not labelled as anomal"),
        (np.full((4, 8, 8), 7.0), None, DataError, "7"),
    ],
)
def test_what_cannot_be_learned(X, y, error, message):
    with pytest.raises(error, match=message):
        AAEDetector(steps=3).fit(X, y)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((0, 4)), r"X has 0 rows; give at least 1"),
        (np.zeros((3, 2)), "X has 2 features, but AAEDetector is expecting 4 features as input"),
    ],
)
def test_what_cannot_be_scored(fitted, X, message):
    with pytest.raises(DataError, match=message):
        fitted.anomaly_score(X)


def test_tables_and_images_are_not_mistaken_for_each_other(fitted, pictured):
    with pytest.raises(DataError):
        fitted.anomaly_score(bars())
    with pytest.raises(DataError):
        pictured.anomaly_score(rows_of())


def test_an_unfitted_detector_says_so(tmp_path):
    detector, rows = AAEDetector(), rows_of()
    uses = ("anomaly_score", "predict", "reconstruct", "encoded", "virtual_anomalies")
    for use in uses:
        with pytest.raises(NotFittedError, match="This AAEDetector instance is not fitted yet"):
            getattr(detector, use)(rows)
    for write in (detector.save, detector.export_onnx):
        with pytest.raises(NotFittedError):
            write(tmp_path / "file")
    for name in ("threshold_", "column_report_", "history_", "n_features_in_"):
        assert not hasattr(detector, name)


def test_it_trains_where_gradients_are_switched_off():
    expected = AAEDetector(steps=3).fit(rows_of()).anomaly_score(rows_of())
    with torch.no_grad():
        found = AAEDetector(steps=3).fit(rows_of()).anomaly_score(rows_of())
    np.testing.assert_array_equal(found, expected)


def test_rows_that_are_few_for_their_columns_are_doubted():
    rows = np.random.default_rng(3).normal(size=(70, 5))
    made = AAEDetector(steps=2).fit(rows)
    with pytest.warns(CalibrationWarning, match="70 rows given to fit are too few of 5 columns"):
        made.p_values(rows)
    assert AAEDetector(steps=2).fit(rows[:, :4]).set_threshold(alpha=0.1).threshold_rule_.promised
