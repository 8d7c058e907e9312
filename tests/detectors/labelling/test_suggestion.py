"""Which rows are worth a look: odd, not known yet, and no copies of each other."""

import numpy as np
import pytest

from oddshot import FewShotDetector
from oddshot.detectors.labelling.suggestion import TOP, UNCERTAIN, suggest
from oddshot.errors import DataError, LabelError, SettingError
from small_priors import untrained_prior


@pytest.fixture(scope="module")
def rows():
    """Five near copies far off in two columns, five in another two, and 200 ordinary rows."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(210, 3))
    rows[:5] = [9, 9, 0] + 0.001 * rng.normal(size=(5, 3))
    rows[5:10] = [0, -6, 6] + 0.001 * rng.normal(size=(5, 3))
    return rows


@pytest.fixture(scope="module")
def detector(rows):
    return FewShotDetector(prior=untrained_prior()).fit(rows)


def test_the_score_decides_where_nothing_else_counts(detector, rows):
    found = detector.suggest(rows, 20, spread=0)
    ranking = detector.rank(rows)
    assert found.positions.tolist() == ranking.order[:20].tolist()
    np.testing.assert_array_equal(found.scores, ranking.scores[found.positions])
    assert found.why == (TOP,) * 20
    assert len(found) == 20


def test_near_copies_make_room_for_other_rows(detector, rows):
    plain = detector.suggest(rows, 3, spread=0).positions
    spread = detector.suggest(rows, 3, spread=9).positions
    groups = [[min(int(place) // 5, 2) for place in places] for places in (plain, spread)]
    assert groups[0][0] == groups[0][1]
    assert sorted(groups[1]) == [0, 1, 2]
    assert spread[0] == plain[0]


def test_one_at_a_time_is_the_top_of_the_ranking(detector, rows):
    ranking = detector.rank(rows)
    for label in (1, 0, 1):
        (picked,) = suggest(ranking, 1).positions
        assert picked == next(p for p in ranking.order if ranking.labels[p] == -1)
        ranking.add_labels([picked], [label])


def test_the_like_of_a_fruitless_answer_waits_until_an_anomaly_is_known(rows):
    more = np.concatenate([rows, np.random.default_rng(1).normal(size=(600, 3))])
    ranking = FewShotDetector(prior=untrained_prior()).fit(more).rank(more)
    (first,) = suggest(ranking, 1).positions
    ranking.add_labels([first], [0])
    group = range(5) if first < 5 else range(5, 10)
    patient, stubborn = (
        suggest(ranking, len(more), spread=0, fruitless=fruitless).positions.tolist()
        for fruitless in (3, 0)
    )
    for member in set(group) - {first}:  # its score is lower already
        assert patient.index(member) > stubborn.index(member) + 50
    ranking.add_labels([len(more) - 1], [1])
    found = suggest(ranking, 1).positions
    assert found.tolist() == suggest(ranking, 1, fruitless=0).positions.tolist()


def test_a_label_speaks_for_equal_rows(detector, rows):
    twice = np.concatenate([rows, rows[:1]])
    ranking = detector.rank(twice).add_labels([0], [1])
    assert not np.isin([0, 210], suggest(ranking, 300).positions).any()


def test_nothing_known_is_picked(detector, rows):
    ranking = detector.rank(rows).add_labels([0, 20], [1, 0])
    told = detector.rank(rows).add_labels([0, 20], [1, 0]).detector
    for found in (suggest(ranking, 300), told.suggest(rows, 300)):
        assert sorted(found.positions) == [p for p in range(210) if p not in (0, 20)]
    assert told.rank(rows).known_labels()[[0, 20, 1]].tolist() == [1, 0, -1]


def test_labels_given_to_fit_are_recognised(rows):
    labels = np.full(210, -1)
    labels[[3, 40]] = 1, 0
    told = FewShotDetector(prior=untrained_prior()).fit(rows, labels)
    assert not np.isin([3, 40], told.suggest(rows, 300).positions).any()
    assert len(told.suggest(rows, 300)) == 208


def test_rows_left_out_stay_out_and_an_empty_answer_is_one(detector, rows):
    first = detector.suggest(rows, 5).positions
    assert not np.isin(first, detector.suggest(rows, 5, leave_out=first).positions).any()
    nothing = detector.suggest(rows, 5, leave_out=np.arange(210))
    assert len(nothing) == 0
    assert nothing.why == ()


def test_uncertain_turns_are_near_the_threshold_and_evenly_spaced(detector, rows):
    found = detector.suggest(rows, 8, uncertain=0.25, spread=0)
    assert [kind == UNCERTAIN for kind in found.why] == [False, False, False, True] * 2
    apart = np.abs(detector.anomaly_score(rows) - detector.threshold_)
    apart[found.positions[:3]] = np.inf
    assert found.positions[3] == np.argmin(apart)
    one_by_one = [
        suggest(detector.rank(rows), 1, uncertain=0.25, leave_out=range(i)).why[0] for i in range(8)
    ]
    assert tuple(one_by_one) == found.why


def test_the_same_comes_back_and_the_order_of_rows_does_not_matter(detector, rows):
    found = detector.suggest(rows, 10)
    assert detector.suggest(rows, 10).positions.tolist() == found.positions.tolist()
    turned = detector.suggest(rows[::-1], 10).positions
    assert (209 - turned).tolist() == found.positions.tolist()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n": 0}, SettingError, "n is 0"),
        ({"n": "5"}, SettingError, "n is '5'"),
        ({"n": 2.5}, SettingError, "n is 2.5"),
        ({"fruitless": None}, SettingError, "fruitless is None"),
        ({"uncertain": 1.5}, SettingError, "uncertain is 1.5"),
        ({"spread": -1}, SettingError, "spread is -1"),
        ({"leave_out": [210]}, LabelError, "position 210"),
        ({"leave_out": ["a"]}, LabelError, "whole numbers"),
    ],
)
def test_a_mistake_is_named(detector, rows, settings, error, message):
    with pytest.raises(error, match=message):
        detector.suggest(rows, **settings)


def test_no_rows_are_refused(detector, rows):
    with pytest.raises(DataError):
        detector.suggest(rows[:0])
