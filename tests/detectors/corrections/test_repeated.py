import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.detectors.corrections.repeated import DECADES, LEAST, Repeated
from oddshot.thresholds.surprise import Surprise

TYPICAL = np.arange(200.0)[:, None]
COPIES = np.where(np.arange(200) % 2, 1.0, 4.0)


def displays(rows, seed, repeated=0.8):
    """Rows of eight numbers, most of which are one of 150 usual ones; and which are new."""
    rng = np.random.default_rng(seed)
    usual = np.random.default_rng(0).normal(size=(150, 8)).round(2)
    again = rng.random(rows) < repeated
    drawn = rng.normal(size=(rows, 8)).round(2)
    drawn[again] = usual[rng.integers(0, 150, again.sum())]
    return drawn, ~again


def test_decades_are_taken_off_by_the_rows_that_are_equal():
    scores = np.linspace(0, 1, 200) ** 2
    scale = Surprise().fit(scores)
    repeated = Repeated(scale, TYPICAL, COPIES)
    rows = np.r_[TYPICAL[:2], [[7.5]]]
    high = scale.scores_at(np.array([4.0, 4.0, 4.0]))
    found = scale.apply(repeated.apply(high, rows))
    np.testing.assert_allclose(found[:2], 4 - DECADES * np.log10([5, 2]), atol=1e-9)
    assert found[2] == pytest.approx(4.0)
    own = scale.apply(repeated.of_typical(scores))
    expected = scale.apply(scores) - DECADES * np.log10(COPIES)
    over = expected > LEAST
    np.testing.assert_allclose(own[over], expected[over], atol=1e-9)
    assert (own[~over] <= LEAST).all()
    assert (own >= 0).all()
    assert (np.argsort(own[::2], kind="stable") == np.arange(100)).all()  # the order stays


def test_odd_rows_are_told_from_new_normal_ones_where_rows_repeat():
    normal, _ = displays(1000, 1)
    more, new = displays(1000, 2)
    odd = displays(60, 3, repeated=0.0)[0]
    odd[np.arange(60), np.arange(60) % 8] += 4
    detector = FewShotDetector(random_state=0).fit(normal, np.zeros(1000))
    scores, usual = detector.anomaly_score(odd), detector.anomaly_score(more)
    labels = np.repeat([0, 1], [new.sum(), 60])
    assert roc_auc_score(labels, np.r_[usual[new], scores]) > 0.9
    assert np.quantile(usual[~new], 0.95) < np.quantile(usual[new], 0.1)


@pytest.mark.parametrize("method", ["own", "split", "cross"])
def test_false_alarms_keep_to_what_is_promised_where_rows_repeat(method):
    normal, _ = displays(1000, 1)
    detector = FewShotDetector(random_state=0).fit(normal, np.zeros(1000))
    if method != "own":
        detector.calibrate(method=method)
    for alpha in (0.05, 0.1):
        detector.set_threshold(alpha=alpha)
        flagged = [(detector.predict(displays(1000, seed)[0]) == -1).mean() for seed in (4, 5)]
        assert np.mean(flagged) < alpha + 0.015


def test_what_is_saved_and_what_learns_on_knows_how_often_rows_were_there(tmp_path):
    normal, _ = displays(1000, 1)
    more, new = displays(300, 2)
    detector = FewShotDetector(random_state=0).fit(normal, np.zeros(1000))
    detector.save(tmp_path / "kept")
    loaded = FewShotDetector.load(tmp_path / "kept")
    np.testing.assert_array_equal(loaded.anomaly_score(more), detector.anomaly_score(more))
    answered = loaded.partial_fit(more[new][:2], [1, 0])
    scores = answered.anomaly_score(more)
    assert scores[~new].max() < np.median(scores[new])
    again = detector.refresh(more)
    assert np.isfinite(again.anomaly_score(more)).all()


def recurring(rows, seed, kinds=1500, half=False):
    """Rows that are one of many different ones each; ``half``: of which one is half of all."""
    rng = np.random.default_rng(seed)
    usual = np.random.default_rng(0).normal(size=(kinds, 4)).round(3)
    drawn = usual[rng.integers(0, kinds, rows)]
    drawn[rng.random(rows) < 0.5 * half] = usual[0]
    return drawn


@pytest.mark.parametrize("half", [False, True])
def test_rows_that_are_not_kept_to_compare_with_are_counted_too(half, tmp_path):
    detector = FewShotDetector(random_state=0, quality="fast")
    detector.fit(recurring(4500, 1, half=half), np.zeros(4500))
    assert len(detector._fitted.typical_scores) == 512
    new = recurring(2000, 2, half=half)
    found = detector.p_values(new)
    for alpha in (0.05, 0.1):
        assert abs((found <= alpha).mean() - alpha) < 0.025
    detector.set_threshold(alpha=0.05)
    assert (detector.predict(new) == -1).mean() < 0.075
    detector.save(tmp_path / "kept")
    loaded = FewShotDetector.load(tmp_path / "kept")
    np.testing.assert_array_equal(loaded.p_values(new), found)
    np.testing.assert_array_equal(loaded.anomaly_score(new), detector.anomaly_score(new))


def test_a_counted_row_that_is_told_to_be_odd_is_not_lowered():
    rows = recurring(4500, 1)
    detector = FewShotDetector(random_state=0, quality="fast").fit(rows, np.zeros(4500))
    left_out = rows[~detector._fitted.holds(rows)][:3]
    before = detector.anomaly_score(left_out)
    after = detector.partial_fit(left_out, [1, 1, 1]).anomaly_score(left_out)
    assert (after > before + 0.5).all()


def test_rows_judged_by_detectors_that_spare_some_are_counted_too():
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(1500, 110))
    rows, new = (usual[rng.integers(0, 1500, size)] for size in (4500, 1000))
    detector = FewShotDetector(random_state=0, quality="fast").fit(rows, np.zeros(4500))
    assert detector._fitted.spares_rows
    assert (detector.p_values(new) <= 0.1).mean() < 0.13
