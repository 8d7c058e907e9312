import numpy as np
import pytest

from oddshot.detectors.explanations.nearness import Nearness

GROUPS = [np.array([2]), np.array([0, 1])]


@pytest.fixture
def nearness() -> Nearness:
    typical = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 10.0, 100.0]
    return Nearness(typical, np.arange(50.0), GROUPS)


def test_the_oddest_tenth_is_never_near(nearness):
    assert len(nearness.typical) == 45
    assert nearness.scores.max() == 44


def test_units_do_not_matter(nearness):
    factor = np.array([1e3, 1e-3, 7.0])
    rescaled = Nearness(nearness.typical * factor, np.zeros(45), GROUPS)
    row = nearness.typical[3]
    expected = Nearness(nearness.typical, np.zeros(45), GROUPS).apart(row, nearness.typical)
    np.testing.assert_allclose(rescaled.apart(row * factor, rescaled.typical), expected)


def test_a_column_counts_as_far_as_its_furthest_encoded_column(nearness):
    row = nearness.typical[0]
    other = row + np.array([0.0, 1e6, 0.0])
    apart = nearness.apart(row, other[None])[0]
    assert apart[0] == 0
    assert apart[1] > 1000


def test_one_far_column_does_not_hide_which_rows_agree_in_the_others(nearness):
    row = nearness.typical[7] + [0.0, 0.0, 1e9]
    assert nearness.nearest(row, 1).tolist() == [7]


def test_equal_rows_come_last(nearness):
    assert nearness.nearest(nearness.typical[7], 45)[-1] == 7


def test_what_stands_aside_agrees_or_does_not():
    rows = np.array([[0.0, 0.0, 3.0], [1.0, 0.0, 30.0], [2.0, 0.0, 4.0], [3.0, 0.0, 4.0]])
    nearness = Nearness(rows, np.zeros(4), GROUPS, aside=1)
    levels = nearness.apart(np.nextafter(rows[2], np.inf), rows)[:, 0]
    assert levels.tolist() == [1, 1, 0, 0]


def test_columns_without_a_spread_do_no_harm():
    nearness = Nearness(np.zeros((4, 3)), np.zeros(4), GROUPS)
    assert np.isfinite(nearness.apart(np.ones(3), nearness.typical)).all()
