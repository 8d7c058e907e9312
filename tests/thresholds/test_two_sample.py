import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp
from sklearn.linear_model import Ridge

from oddshot.thresholds.two_sample import (
    RIDGE,
    Divisions,
    differences,
    differences_p,
    discriminants,
    family_p,
    least_effect,
    level_shares,
    level_shares_p,
    permutation_p,
    rows_needed,
    separation,
)


def divided(new, *, count=0, blocks=None, seed=0):
    blocks = np.arange(len(new)) if blocks is None else blocks
    generator = np.random.default_rng(seed)
    return Divisions.permuted(new, blocks, count=count, generator=generator)


def test_first_division_is_the_observed_one_and_the_others_have_its_sizes():
    new = np.arange(30) % 3 == 0
    found = divided(new, count=50)
    assert np.array_equal(found.new[:, 0], new)
    assert (found.new.sum(axis=0) == 10).all()
    assert np.allclose(found.weights.sum(axis=0), 0, atol=1e-6)
    assert np.allclose(found.pairs, 10 * 20 / 30)


def test_rows_of_one_block_change_sides_together():
    blocks = np.repeat(np.arange(8), [5, 3, 5, 5, 2, 5, 5, 4])
    found = divided(blocks >= 5, count=40, blocks=blocks)
    for block in range(8):
        side = found.new[blocks == block]
        assert (side == side[0]).all()
    assert len(np.unique(found.new, axis=1).T) > 10


def test_a_division_with_an_empty_side_weighs_nothing():
    found = divided(np.array([True, True, False])).among(np.array([True, True, False]))
    assert not found.weights.any()
    assert found.pairs.tolist() == [0]
    assert differences(np.array([1.0, 2.0]), found).tolist() == [0]


VALUES = [0.0, 1.0, 2.0, 3.0, 4.0, np.inf, -np.inf]


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(VALUES), min_size=2, max_size=30),
    st.lists(st.sampled_from(VALUES), min_size=2, max_size=30),
)
def test_differences_are_those_of_scipy_ties_included(old, new):
    sides = np.repeat([False, True], [len(old), len(new)])
    values = np.array([*old, *new])
    found = differences(values, divided(sides))
    assert found[0] == pytest.approx(ks_2samp(old, new, method="asymp").statistic, abs=1e-4)


def test_p_values_are_the_asymptotic_ones_of_scipy():
    rng = np.random.default_rng(0)
    values, levels = rng.normal(size=3000), rng.integers(0, 4, 3000)
    new = np.arange(3000) < 1000
    division = divided(new)
    expected = ks_2samp(values[~new], values[new], method="asymp").pvalue
    found = differences_p(differences(values, division), division)[0]
    assert found == pytest.approx(expected, rel=0.05)
    counts = [np.bincount(levels[new == side]) for side in (False, True)]
    found = level_shares_p(levels, level_shares(levels, division), division)[0]
    assert found == pytest.approx(chi2_contingency(counts, correction=False).pvalue, rel=1e-4)


def test_discriminants_are_a_cross_fitted_ridge_regression():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 4)) * [1, 10, 100, 0]
    new, folds = rng.random(60) < 0.4, np.arange(60) % 3
    division = divided(new, count=5)
    found = discriminants(points, folds, division)
    scaled = (points - points.mean(0)) / np.maximum(points.std(0), 1e-9)
    for column, sides in enumerate(division.new.T):
        for fold in range(3):
            rest, own = folds != fold, folds == fold
            ridge = Ridge(alpha=RIDGE * rest.sum()).fit(scaled[rest], sides[rest].astype(float))
            expected = ridge.predict(scaled[own]) - sides[rest].mean()
            assert np.allclose(found[own, column], expected, atol=1e-4)


def test_p_values_are_uniform_without_a_difference_and_small_with_one():
    levels, shifted = [], []
    for seed in range(200):
        rng = np.random.default_rng([seed, 1])
        points, new = rng.normal(size=(80, 3)), np.arange(80) < 30
        division = divided(new, count=199, seed=seed)
        folds = rng.permutation(80) % 5
        for kept, moved in ((levels, 0.0), (shifted, 1.5)):
            told = discriminants(points + moved * new[:, None], folds, division)
            by_column = [
                differences_p(differences(column + moved * new, division), division)
                for column in points.T
            ]
            rows = permutation_p(separation(told, division))
            columns, _ = family_p(np.array(by_column))
            kept.append(family_p(np.array([rows, columns]))[0][0])
    for alpha in (0.05, 0.2, 0.5):
        error = np.sqrt(alpha * (1 - alpha) / 200)
        assert abs(np.mean(np.array(levels) <= alpha) - alpha) < 3 * error
    assert np.mean(np.array(shifted) <= 0.05) > 0.95


def test_adjusted_p_values_are_those_of_a_plain_count():
    p = np.random.default_rng(0).random((4, 50)).round(1)
    together, adjusted = family_p(p)
    least = p.min(axis=0)
    assert together.tolist() == [np.mean(least <= value) for value in least]
    assert adjusted.tolist() == [np.mean(least <= value) for value in p[:, 0]]


@given(st.integers(5, 5000), st.integers(20, 5000), st.sampled_from([0.001, 0.01, 0.05]))
def test_rows_needed_and_least_effect_are_inverse(new, reference, alpha):
    effect = least_effect(new, reference, alpha)
    if effect < 1:
        assert rows_needed(effect * 1.0001, reference, alpha) <= new
        fewer = rows_needed(effect * 0.9, reference, alpha)
        assert fewer is None or fewer > new
