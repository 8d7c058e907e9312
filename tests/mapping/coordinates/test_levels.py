"""Levels of known anomalies."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.mapping.coordinates.levels import MOST_LEVELS, KnownLevels, LevelDistances

TYPICAL = np.arange(100.0)[:, None] % 50


def test_one_column_for_each_level_of_known_anomalies():
    known = np.array([[7.0], [7.0], [80.0]])
    found = KnownLevels().fit(TYPICAL, known).of(np.array([[80.0], [7.0], [3.0]]))
    assert (found > 0).tolist() == [[False, True], [True, False], [False, False]]


def test_levels_are_as_tall_as_standardised_columns_of_zeros_and_ones():
    known = np.array([[7.0]])
    column = np.append(TYPICAL[:, 0] == 7, True)
    (height,) = KnownLevels().fit(TYPICAL, known).of(known)[0]
    assert height == pytest.approx(8 + np.log1p(2 / column.std() - 8))


@pytest.mark.parametrize(
    ("typical", "known"),
    [(np.zeros((9, 0)), np.zeros((2, 0))), (np.zeros((9, 1)), np.zeros((2, 1)))],
    ids=["none", "held by all"],
)
def test_what_tells_nothing_is_left_out(typical, known):
    assert KnownLevels().fit(typical, known).of(typical).shape == (9, 0)


def test_the_levels_of_most_come_first():
    known = np.array([[float(level)] for level in range(40)] + [[39.0]])
    levels = KnownLevels().fit(TYPICAL, known)
    assert levels.of(known).shape == (41, MOST_LEVELS)
    assert levels.of(known)[39, 0] > 0


def test_rows_of_another_level_are_farther():
    known = np.array([[7.0, 1.0], [49.0, 1.0]])
    typical = np.column_stack([TYPICAL[:, 0], np.ones(100)])
    height = KnownLevels().fit(TYPICAL, known[:, :1]).of(known[:, :1]).max(axis=1)
    squares = LevelDistances().fit(typical, known).squares(np.array([[7.0, 1.0], [3.0, 0.0]]))
    np.testing.assert_allclose(squares, [[0, height[1] ** 2], height**2])


def test_labels_on_some_shops_find_other_rows_of_these_shops():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(1600, 4)), columns=[*"abcd"])
    shop = rng.integers(60, size=1600)
    rows["shop"] = [f"shop {number}" for number in shop]
    odd = np.isin(shop, [7, 21])
    labels = np.full(800, -1)
    labels[np.flatnonzero(odd[:800])[:6]] = 1
    detector = FewShotDetector().fit(rows[:800], labels)
    scores = detector.anomaly_score(rows[800:])
    assert roc_auc_score(odd[800:], scores) > 0.95
    new = rows[800:][odd[800:]].iloc[:3]
    assert {found.top(1)[0][0] for found in detector.explain(new)} == {"shop"}
