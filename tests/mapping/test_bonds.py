"""Cells that break a line are told, and nothing else is."""

import numpy as np
import pytest

from oddshot import FewShotDetector
from oddshot.mapping.bonds import Bonds
from oddshot.mapping.row_places import RowPlaces


def bonds(rows, **settings):
    return Bonds().fit(rows, RowPlaces(rows), **settings)


def bound(rng, count=300, noise=0.1):
    """Two columns on a line, and one beside them."""
    rows = rng.normal(size=(count, 3))
    rows[:, 1] = 2 * rows[:, 0] + noise * rows[:, 1]
    return rows


def test_residuals_are_those_of_regressions():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4))
    found = bonds(rows)
    points = found._scaled(rows)
    centred = points - found._mean
    covariance = np.linalg.inv(found._precision)
    for column in range(4):
        others = np.delete(np.arange(4), column)
        slopes = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, column])
        left = centred[:, column] - centred[:, others] @ slopes
        variance = covariance[column, column] - covariance[column, others] @ slopes
        np.testing.assert_allclose(
            found._residuals(rows)[:, column], left / np.sqrt(variance), rtol=1e-6, atol=1e-9
        )


def test_a_broken_line_is_far_outside_in_the_support_and_in_new_rows():
    rng = np.random.default_rng(0)
    rows = bound(rng)
    rows[5, :2] = [-1, 2]
    found = bonds(rows)
    own = found.decades(rows)
    assert own[5] > 4
    assert (np.delete(own, 5) == 0).all()
    clean, new = bonds(bound(rng)), bound(rng, 200)
    new[:3, :2] = [[1, -2], [-1, 2], [2, -4]]
    assert (clean.decades(new)[:3] > 4).all()
    assert clean.decades(new)[3:].max() < 2.5


def test_a_row_in_the_place_of_another_is_compared_with_all_but_that_one():
    rows = bound(np.random.default_rng(0))
    rows[5, :2] = [-1, 2]
    found, changed = bonds(rows), rows[[5, 5]]
    np.testing.assert_array_equal(found.decades(rows, rows), found.decades(rows))
    changed[0, 2] += 0.1
    changed[1, 1] = -2
    assert (found.decades(changed, rows[[5, 5]]) > 4).tolist() == [True, False]
    assert found.decades(changed[:1], rows[[6]])[0] < 2.5  # beside another as far off


def test_a_tenth_of_broken_rows_does_not_bend_the_line():
    rng = np.random.default_rng(0)
    rows = bound(rng, 500)
    rows[:25, 1] *= -1
    found = bonds(rows)
    usual, broken = bound(rng, 200), bound(rng, 200)
    broken[:, 1] *= -1
    broken = broken[np.abs(broken[:, 0]) > 1]
    assert np.abs(found._residuals(usual)).max() < 6
    assert np.abs(found._residuals(broken)).max(axis=1).min() > 10


@pytest.mark.parametrize("rows", [50, 100, 1000])
@pytest.mark.parametrize("columns", [2, 10])
def test_rows_of_the_same_kind_are_hardly_ever_raised(rows, columns):
    raised = looked = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        for drawn in (
            rng.normal(size=(rows + 500, columns)),
            rng.standard_t(2, size=(rows + 500, columns)),
            np.exp(1.5 * rng.normal(size=(rows + 500, columns))),
            rng.random(size=(rows + 500, columns)),
        ):
            raised += (bonds(drawn[:rows]).decades(drawn[rows:]) > 0).sum()
            looked += 500
    assert raised <= 0.005 * looked


def test_a_row_scores_alike_alone_and_in_company_and_in_other_units():
    rng = np.random.default_rng(0)
    rows, new = bound(rng), bound(rng, 40)
    new[:5, 1] += 3
    found = bonds(rows)
    alone = np.concatenate([found.decades(row[None]) for row in new])
    np.testing.assert_allclose(alone, found.decades(new), atol=1e-9)
    units = np.array([0.5, 1024.0, 8.0])
    np.testing.assert_allclose(bonds(rows * units).decades(new * units), alone, atol=1e-9)


def test_where_there_is_too_little_nothing_is_looked_at():
    rng = np.random.default_rng(0)
    for rows in (
        bound(rng, 99),
        rng.normal(size=(300, 1)),
        rng.normal(size=(300, 31)),
        rng.integers(0, 5, size=(300, 3)).astype(float),
        np.ones((300, 3)),
    ):
        assert not bonds(rows).decades(rows + 100).any()


def test_huge_and_aside():
    rng = np.random.default_rng(0)
    rows = np.column_stack([bound(rng), rng.integers(0, 9, 300)])
    found = bonds(rows, aside=1)
    new = rows[:4] * [1, -1, 1, 1]
    other = new + np.array([0, 0, 0, 5])
    np.testing.assert_array_equal(found.decades(new), found.decades(other))
    assert np.isfinite(found.decades(np.full((1, 4), 1e308))).all()


def test_beside_categories_a_broken_line_comes_first():
    import pandas as pd

    rng = np.random.default_rng(0)
    a = rng.normal(size=300)
    frame = pd.DataFrame({"a": a, "b": 2 * a + rng.normal(0, 0.1, 300)})
    for name in "cd":
        frame[name] = rng.choice(list("ABCD"), 300, p=[0.4, 0.3, 0.2, 0.1])
    frame.loc[5, ["a", "b"]] = [-1.0, 2.0]
    detector = FewShotDetector(random_state=0).fit(frame)
    scores = detector.anomaly_score(frame)
    assert scores.argmax() == 5
    assert detector.predict(frame)[5] == -1
