import numpy as np
import pytest

from oddshot.detectors.explanations.changes import smallest_changes
from oddshot.detectors.explanations.nearness import Nearness

SINGLE = [np.array([i]) for i in range(3)]


@pytest.fixture
def nearness() -> Nearness:
    typical = np.random.default_rng(0).uniform(-1, 1, size=(200, 3))
    return Nearness(typical, np.zeros(200), SINGLE)


def furthest(points: np.ndarray, _: object = None) -> np.ndarray:
    return np.abs(points).max(axis=1)


def search(nearness, rows, score=furthest, *, threshold=2.0):
    rows = np.asarray(rows, dtype=np.float64)
    return smallest_changes(score, rows, np.abs(rows), nearness, threshold=threshold)


def test_one_column_is_changed_to_the_typical_value_nearest_to_the_rows_own(nearness):
    (found,) = search(nearness, [[9.0, 0.5, 0.5]])
    assert found.groups == (0,)
    assert found.row[0] == pytest.approx(nearness.typical[:, 0].max())
    assert found.row[1:].tolist() == [0.5, 0.5]
    assert found.score == pytest.approx(furthest(found.row[None])[0])


def test_two_columns_are_changed_where_one_does_not_do(nearness):
    one, two = search(nearness, [[9.0, 0.5, 0.5], [9.0, 0.5, -7.0]])
    assert one.groups == (0,)
    assert two.groups == (0, 2)
    assert two.score <= 2


def test_the_score_is_told_which_row_was_changed(nearness):
    rows = np.array([[9.0, 0.5, 0.5], [9.0, 9.0, 9.0], [9.0, 0.1, -7.0]])

    def of(points: np.ndarray, places: np.ndarray) -> np.ndarray:
        assert ((points == rows[places]).sum(axis=1) >= 1).all()
        return furthest(points)

    found = search(nearness, rows, of)
    assert [one and one.groups for one in found] == [(0,), None, (0, 2)]


def test_nothing_is_found_where_three_columns_are_wrong(nearness):
    assert search(nearness, [[9.0, 9.0, 9.0]]) == [None]


def test_no_row_no_change(nearness):
    assert search(nearness, np.zeros((0, 3))) == []


def test_columns_that_make_the_row_less_odd_are_let_alone(nearness):
    rows = np.array([[9.0, 9.0, 0.0]])
    contributions = np.array([[1.0, -1.0, 0.0]])
    found = smallest_changes(furthest, rows, contributions, nearness, threshold=2.0)
    assert found == [None]


def test_of_what_is_normal_the_nearest_is_taken(nearness):
    def beyond(points: np.ndarray, _: object) -> np.ndarray:  # normal below -0.5
        return np.where(points[:, 0] < -0.5, 0.0, 3.0)

    (found,) = search(nearness, [[0.9, 0.0, 0.0]], beyond)
    fitting = nearness.typical[nearness.typical[:, 0] < -0.5, 0]
    assert fitting.min() < found.row[0] < -0.5
    assert found.row[0] > np.quantile(fitting, 0.6)
