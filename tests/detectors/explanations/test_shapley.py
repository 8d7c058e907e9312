from itertools import permutations

import numpy as np
import pytest

from oddshot.detectors.explanations import shapley
from oddshot.detectors.explanations.shapley import Attribution, attribute

GROUPS = [np.array([0]), np.array([1, 4]), np.array([2]), np.array([3, 6]), np.array([5])]


def score(points: np.ndarray, _: object = None) -> np.ndarray:
    mixed = np.random.default_rng(1).normal(size=(7, 7))
    return np.tanh(points @ mixed).sum(axis=1) ** 2


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(3, 7))


@pytest.fixture
def stand_ins() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(3, 4, 7))


def by_all_orders(row: np.ndarray, stand_ins: np.ndarray) -> np.ndarray:
    """Shapley values by the definition: mean gain of each group over all orders of joining."""
    orders = [*permutations(range(len(GROUPS)))]
    values = np.zeros(len(GROUPS))
    for order in orders:
        mixed = stand_ins.copy()
        worth = score(mixed).mean()
        for group in order:
            mixed[:, GROUPS[group]] = row[GROUPS[group]]
            gained = score(mixed).mean()
            values[group] += (gained - worth) / len(orders)
            worth = gained
    return values


@pytest.mark.parametrize("exact", [4, 5, 9])
def test_values_are_those_of_the_definition(rows, stand_ins, exact):
    found = attribute(score, rows, stand_ins, GROUPS, exact=exact)
    expected = [by_all_orders(row, others) for row, others in zip(rows, stand_ins, strict=True)]
    np.testing.assert_allclose(found.contributions, expected, atol=1e-10)


@pytest.mark.parametrize("exact", [1, 2, 3, 5])
def test_contributions_add_up_to_the_score_above_the_baseline(rows, stand_ins, exact):
    found = attribute(score, rows, stand_ins, GROUPS, exact=exact)
    np.testing.assert_allclose(found.scores, score(rows))
    np.testing.assert_allclose(found.baselines, [score(others).mean() for others in stand_ins])
    np.testing.assert_allclose(
        found.baselines + found.contributions.sum(axis=1), found.scores, atol=1e-9
    )


def test_rows_are_explained_alike_alone_and_in_blocks(rows, stand_ins, monkeypatch):
    together = attribute(score, rows, stand_ins, GROUPS, exact=2).contributions
    monkeypatch.setattr(shapley, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(shapley, "MOST_CELLS", 1)
    np.testing.assert_allclose(
        attribute(score, rows, stand_ins, GROUPS, exact=2).contributions, together, atol=1e-10
    )


def test_a_group_that_changes_nothing_contributes_nothing(rows, stand_ins):
    stand_ins[:, :, GROUPS[1]] = rows[:, None, GROUPS[1]]
    found = attribute(score, rows, stand_ins, GROUPS, exact=5)
    np.testing.assert_array_equal(found.contributions[:, 1], 0)


def test_among_many_groups_the_one_that_matters_gets_all():
    groups = [np.array([i]) for i in range(40)]
    row = np.zeros((1, 40))
    row[0, 31] = 5
    found = attribute(lambda points, _: points[:, 31] ** 2, row, np.zeros((1, 2, 40)), groups)
    assert found.contributions[0, 31] == pytest.approx(25)
    assert np.abs(np.delete(found.contributions[0], 31)).max() < 1e-9


def test_number_of_scorings_is_as_promised():
    asked = []

    def counted(points: np.ndarray, _: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return points.sum(axis=1)

    groups = [np.array([i]) for i in range(20)]
    attribute(counted, np.ones((5, 20)), np.zeros((5, 3, 20)), groups, exact=4)
    assert sum(asked) <= 5 * 3 * (2 * 20 + 2**5)


def test_other_scores_are_shared_out_among_what_raises_them():
    found = Attribution(np.array([3.0, 1.0]), np.zeros(2), np.array([[4.0, -1.0], [0.0, 0.0]]))
    raised = found.raised_to(np.array([5.0, 2.0]))
    np.testing.assert_allclose(raised.contributions, [[6.0, -1.0], [0.5, 0.5]])
    np.testing.assert_allclose(raised.scores, [5.0, 2.0])
