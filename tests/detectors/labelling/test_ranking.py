import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.errors import DataError, LabelError, SettingError

RNG = np.random.default_rng(0)
COUNT, ODD = 240, 12
ROWS = RNG.normal(size=(COUNT, 4))
ROWS[:ODD, 0] += 3  # odd by one column, which the first label tells
ROWS[ODD : 2 * ODD, 1] += 4  # as far off, and normal
TRUTH = np.arange(COUNT) < ODD
FRAME = pd.DataFrame(
    {
        "amount": ROWS[:, 0],
        "age": ROWS[:, 1],
        "colour": RNG.choice(["red", "green", "blue"], COUNT),
        "day": pd.Timestamp("2024-03-01") + pd.to_timedelta(RNG.integers(0, 90, COUNT), "D"),
    }
)


@pytest.fixture(scope="module")
def detector():
    return FewShotDetector().fit(ROWS)


@pytest.fixture
def ranking(detector):
    return detector.rank(ROWS)


@pytest.fixture(scope="module")
def told(detector):
    """Two anomalies and two normal rows are known."""
    return detector.rank(ROWS).add_labels([0, 1, ODD, ODD + 1], [1, 1, 0, 0])


def test_without_labels_the_scores_are_those_of_the_detector(detector, ranking):
    np.testing.assert_allclose(ranking.scores, detector.anomaly_score(ROWS), rtol=1e-9)
    assert ranking.labels.tolist() == [-1] * COUNT
    assert len(ranking) == COUNT
    assert (np.diff(ranking.scores[ranking.order]) <= 0).all()


def test_masked_labels_tell_nothing(ranking):
    told = np.ma.array([True, False, True], mask=[False, False, True])
    assert ranking.add_labels([0, 1, 2], told).labels[:3].tolist() == [1, 0, -1]


def test_labels_help_at_once(ranking, told):
    unseen = np.r_[2:ODD, ODD + 2 : COUNT]
    before = roc_auc_score(TRUTH[unseen], ranking.scores[unseen])
    assert roc_auc_score(TRUTH[unseen], told.scores[unseen]) > before + 0.05


def test_the_scores_are_those_of_its_detector_and_the_first_one_stays(detector, told):
    np.testing.assert_allclose(told.detector.anomaly_score(ROWS), told.scores, rtol=1e-9)
    assert detector.anomaly_score(ROWS[:1])[0] != told.scores[0]
    assert told.detector.threshold_ != detector.threshold_


def test_it_is_close_to_a_fit_with_all_labels_at_once(told):
    labels = np.full(COUNT, -1)
    labels[[0, 1, ODD, ODD + 1]] = [1, 1, 0, 0]
    fresh = FewShotDetector().fit(ROWS, labels).anomaly_score(ROWS)
    assert spearmanr(told.scores, fresh).statistic > 0.85
    auroc = [roc_auc_score(TRUTH, scores) for scores in (told.scores, fresh)]
    assert abs(auroc[0] - auroc[1]) < 0.03


def test_the_way_labels_came_does_not_matter(detector, told):
    other = detector.rank(ROWS).add_labels([ODD, 0], [0, 1]).add_labels([ODD + 1, 1, 5], [0, 1, 1])
    other.add_labels(5, -1)
    np.testing.assert_array_equal(other.labels, told.labels)
    np.testing.assert_array_equal(other.scores, told.scores)


def test_a_label_that_is_taken_back_leaves_no_trace(ranking, detector):
    before = ranking.scores
    ranking.add_labels([3], [1]).add_labels([3], [-1])
    np.testing.assert_array_equal(ranking.scores, before)
    assert ranking.detector.threshold_ == detector.threshold_


@pytest.mark.parametrize(
    ("positions", "labels", "message"),
    [
        ([COUNT], [1], "position 240 is that of no row; they go from 0 to 239"),
        ([-1], [1], "position -1"),
        ([1, 2], [1], "2 positions but 1 labels"),
        ([1.5], [1], "whole numbers"),
        ([1], [7], "labels"),
        ([1], ["maybe"], "maybe"),
    ],
)
def test_what_are_no_labels_is_refused_and_changes_nothing(ranking, positions, labels, message):
    before = ranking.scores
    with pytest.raises(LabelError, match=message):
        ranking.add_labels(positions, labels)
    assert ranking.scores is before
    assert (ranking.labels == -1).all()


def test_words_are_labels_too(ranking, told):
    ranking.add_labels([0, 1, ODD, ODD + 1], ["yes", "anomaly", "normal", "no"])
    np.testing.assert_array_equal(ranking.scores, told.scores)


def test_of_equal_rows_the_newest_answer_counts_whichever_it_is_given_for(detector):
    twice = np.concatenate([ROWS, ROWS[:1]])
    ranking = detector.rank(twice).add_labels([COUNT], [0]).add_labels([0], [1])
    alone = detector.rank(twice).add_labels([0], [1])
    np.testing.assert_array_equal(ranking.scores, alone.scores)
    assert ranking.known_labels()[[0, COUNT]].tolist() == [1, 1]
    assert ranking.labels[[0, COUNT]].tolist() == [1, 0]
    ranking.add_labels([0], [-1])
    normal = detector.rank(twice).add_labels([0], [0])
    np.testing.assert_array_equal(ranking.scores, normal.scores)
    assert ranking.known_labels()[[0, COUNT]].tolist() == [0, 0]
    ranking.add_labels([COUNT], [-1])
    np.testing.assert_array_equal(ranking.scores, detector.rank(twice).scores)
    assert (ranking.known_labels() == -1).all()
    ranking.add_labels([COUNT, 0], [1, 0])  # of one call, too
    np.testing.assert_array_equal(ranking.scores, normal.scores)


def test_of_equal_rows_the_answer_counts_before_the_label_given_to_fit():
    given = FewShotDetector().fit(ROWS, np.where(np.arange(COUNT) == 0, 1, -1))
    ranking = given.rank(np.concatenate([ROWS, ROWS[:1]]))
    assert ranking.known_labels()[[0, COUNT]].tolist() == [1, 1]
    assert ranking.add_labels([COUNT], [0]).known_labels()[[0, COUNT]].tolist() == [0, 0]
    assert ranking.add_labels([COUNT], [-1]).known_labels()[[0, COUNT]].tolist() == [1, 1]


def test_partial_fit_takes_the_same_labels_in(told):
    detector = FewShotDetector().fit(ROWS)
    found = detector.partial_fit(ROWS[[0, 1, ODD, ODD + 1]], [1, 1, 0, 0])
    assert found is detector
    np.testing.assert_allclose(detector.anomaly_score(ROWS), told.scores, rtol=1e-6)


def test_partial_fit_fits_first_and_ignores_rows_without_a_label(detector):
    first = FewShotDetector().partial_fit(ROWS)
    expected = detector.anomaly_score(ROWS)
    np.testing.assert_array_equal(first.anomaly_score(ROWS), expected)
    np.testing.assert_array_equal(first.partial_fit(ROWS[:9]).anomaly_score(ROWS), expected)
    with pytest.raises(DataError, match="X has 3 features"):
        first.partial_fit(ROWS[:2, :3], [1, 1])


def test_a_label_corrects_an_earlier_one():
    wrong = FewShotDetector().fit(ROWS, np.where(np.arange(COUNT) == ODD, 1, -1))
    corrected = clone(wrong).fit(ROWS, np.where(np.arange(COUNT) == ODD, 1, -1))
    corrected.partial_fit(ROWS[[ODD]], [0])
    assert corrected.anomaly_score(ROWS[[ODD]]) < wrong.anomaly_score(ROWS[[ODD]])


def test_what_was_learned_later_is_saved_and_copied(told, tmp_path):
    told.detector.save(tmp_path / "kept")
    loaded = FewShotDetector.load(tmp_path / "kept")
    copied = pickle.loads(pickle.dumps(told.detector))
    for again in (loaded, copied):
        np.testing.assert_allclose(again.anomaly_score(ROWS), told.scores, rtol=1e-9)
        assert again.threshold_ == pytest.approx(told.detector.threshold_)
    more = loaded.partial_fit(ROWS[[5]], [1]).anomaly_score(ROWS)
    expected = copied.partial_fit(ROWS[[5]], [1]).anomaly_score(ROWS)
    np.testing.assert_allclose(more, expected, rtol=1e-9)


def test_a_frame_with_categories_and_dates_can_be_ranked(tmp_path):
    detector = FewShotDetector().fit(FRAME)
    new = FRAME[::-1].assign(colour="plaid")[:3]
    ranking = detector.rank(pd.concat([FRAME, new], ignore_index=True))
    ranking.add_labels([0, COUNT], [1, 0])
    assert np.isfinite(ranking.scores).all()
    assert ranking.detector._fitted.kept.labels.tolist().count(1) == 1
    assert ranking.detector._fitted.kept.frame["colour"].iloc[-1] == "plaid"
    ranking.detector.save(tmp_path / "kept")
    again = FewShotDetector.load(tmp_path / "kept").anomaly_score(FRAME)
    np.testing.assert_allclose(again, ranking.scores[:COUNT], rtol=1e-9)


@pytest.mark.parametrize("known", [0, 3])
def test_fast_compares_with_fewer_rows_and_is_saved(tmp_path, known):
    rows = RNG.normal(size=(900, 3))
    rows[:9] += 4
    fast = FewShotDetector(quality="fast").fit(rows, np.where(np.arange(900) < known, 1, -1))
    assert roc_auc_score(np.arange(900) < 9, fast.anomaly_score(rows)) > 0.95
    assert len(fast._fitted.typical_scores) == 512
    fast.save(tmp_path / "kept")
    again = FewShotDetector.load(tmp_path / "kept", n_jobs=2)
    assert (again.quality, again.n_jobs) == ("fast", 2)
    np.testing.assert_allclose(again.anomaly_score(rows), fast.anomaly_score(rows), rtol=1e-9)


@pytest.mark.parametrize("quality", ["best", 3, None])
def test_other_qualities_are_refused(quality):
    with pytest.raises(SettingError, match="it must be 'fast' or 'standard'"):
        FewShotDetector(quality=quality).fit(ROWS)


def test_images_are_not_ranked():
    images = RNG.random((4, 28, 28))
    detector = FewShotDetector(prior="images").fit(images)
    for call in (detector.rank, detector.partial_fit):
        with pytest.raises(SettingError, match="takes tables only"):
            call(images)


def test_it_is_told_in_a_line(detector):
    ranking = detector.rank(ROWS)
    above = (ranking.scores > detector.threshold_).sum()
    told = f"<Ranking of 240 rows: {above} above the threshold, 0 labels added; see order>"
    assert repr(ranking) == told
    assert "1 label added" in repr(ranking.add_labels([0], [1]))
