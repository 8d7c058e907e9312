"""What is usual: between readings, around the turn of the period, and beside jumps."""

import numpy as np
import pytest

from oddshot.mapping.seasons.usual import BINS, Usual


def sine(turns):
    return 10 + 4 * np.sin(2 * np.pi * turns)


def jump(turns):
    return np.where((turns >= 1 / 3) & (turns < 2 / 3), 14.0, 10.0)


@pytest.mark.parametrize("count", [24, 37, 96, 288])
def test_between_readings_a_smooth_season_goes_on(count):
    turns = np.tile(np.arange(count) / count, 5)
    usual = Usual.fit(sine(turns), turns)
    anywhere = np.linspace(0, 1, 1001)
    assert np.abs(usual.at(anywhere) - sine(anywhere)).max() < 0.1


@pytest.mark.parametrize("count", [24, 36, 96, 288])
def test_a_jump_at_a_full_hour_stays_one(count):
    turns = np.tile((np.arange(count) + 1e-6) / count, 5)
    usual = Usual.fit(jump(turns), turns)
    anywhere = (np.arange(2 * count) + 1e-6) / (2 * count)
    np.testing.assert_allclose(usual.at(anywhere), jump(anywhere), atol=1e-4)


def test_parts_with_one_reading_have_its_value_there():
    turns = np.array([0.1, 0.4, 0.8])
    usual = Usual.fit(np.array([1.0, 5.0, 2.0]), turns)
    np.testing.assert_allclose(usual.at(turns), [1.0, 5.0, 2.0])


def test_where_nothing_is_known_nothing_is_usual():
    usual = Usual.fit(np.full(3, np.nan), np.array([0.1, 0.4, 0.8]))
    assert usual.at(np.array([0.0, 0.5])).tolist() == [0.0, 0.0]


def test_what_was_kept_before_there_were_values_between():
    kept = np.arange(BINS, dtype=np.float64)
    usual = Usual.from_state(kept)
    turns = np.linspace(0, 0.999, 97)
    np.testing.assert_array_equal(usual.at(turns), np.floor(turns * BINS))


def test_state_brings_back_the_same():
    turns = np.random.default_rng(0).random(500)
    usual = Usual.fit(jump(turns) + sine(turns), turns)
    again = Usual.from_state(usual.state())
    assert 0 < usual.steady.sum() < BINS
    np.testing.assert_array_equal(usual.at(turns), again.at(turns))
