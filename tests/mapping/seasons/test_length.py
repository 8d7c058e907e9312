"""Lengths of seasons: exact over many periods, natural where they may be, with an honest error."""

import numpy as np
import pytest

from oddshot.mapping.seasons.length import find_length

CALENDAR = (1.0, 24.0, 168.0)


def smooth(turns):
    return 4 * np.sin(2 * np.pi * turns)


def cycle(turns):
    return 3 * (turns % 1 < 0.4) + np.sin(2 * np.pi * turns)


def found(period, step, count, noise, *, shape=smooth, seed=0, natural=(), start=0.0):
    times = start + np.arange(count) * step
    values = shape(times / period) + np.random.default_rng(seed).normal(0, noise, count)
    return find_length(times, values[None], natural)


@pytest.mark.parametrize(
    ("shape", "period", "step", "noise", "exact"),
    [
        (cycle, 37.3, 1, 0.1, 3e-4),
        (cycle, 120.4, 1, 0.1, 2e-3),
        (smooth, 12.42, 1 / 6, 0.3, 1e-3),
        (smooth, 12.42, 1 / 6, 2, 5e-3),
        (smooth, 24.84, 1 / 6, 0.3, 1e-2),
    ],
)
def test_a_length_is_far_more_exact_than_a_reading(shape, period, step, noise, exact):
    length = found(period, step, 4320, noise, shape=shape, natural=CALENDAR)
    assert abs(length.period - period) < exact
    aside = abs(1 / length.period - 1 / period)
    assert aside < 3 * length.error < 0.2 / (4320 * step)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("period", "step", "count", "noise"),
    [(72, 0.25, 4032, 0.3), (72, 0.25, 4032, 2), (24, 1, 1440, 2), (8, 1 / 12, 4032, 2)],
)
def test_whole_numbers_of_readings_stay_such(period, step, count, noise, seed):
    assert found(period, step, count, noise, seed=seed).period == pytest.approx(period, rel=1e-9)


@pytest.mark.parametrize("shape", [smooth, cycle])
def test_natural_lengths_are_exact(shape):
    for count in (600, 4032):
        length = found(24, 1 / 7.3, count, 1, shape=shape, natural=CALENDAR)
        assert (length.period, length.error) == (24.0, 0.0)


def test_a_day_whose_hours_move_a_little_is_a_day():
    """As of people, or over a change of clocks: no single stretch is far off the others."""
    times = np.arange(24 * 60.0)
    values = smooth((times + 2 * times / times[-1]) / 24)
    values += np.random.default_rng(0).normal(0, 0.3, len(times))
    assert find_length(times, values[None], CALENDAR).period == 24.0
    assert abs(find_length(times, values[None]).period - 24.0) > 0.02


def test_of_many_cycles_in_one_the_single_one_is_found():
    assert found(10, 0.25, 1344, 2, shape=cycle, seed=1).period == pytest.approx(10, abs=0.05)


def test_a_week_with_quiet_ends_is_no_day():
    def week(turns):
        return np.sin(14 * np.pi * turns) * (turns % 1 < 5 / 7)

    assert found(168, 1, 24 * 7 * 8, 0.1, shape=week, natural=CALENDAR).period == 168.0


def test_readings_that_lack_do_not_shorten_a_season():
    generator = np.random.default_rng(0)
    times = np.sort(generator.choice(4032, 3900, replace=False)) / 12
    times[2000:] += 33
    values = smooth(times / 13.3) + generator.normal(0, 0.3, 3900)
    assert find_length(times, values[None]).period == pytest.approx(13.3, abs=0.01)


def test_a_long_pause_is_not_bridged():
    times = np.arange(3000.0)
    times[2000:] += 1e9
    values = smooth(times / 37.3) + np.random.default_rng(0).normal(0, 0.1, 3000)
    length = find_length(times, values[None])
    assert length.period == pytest.approx(37.3, abs=0.01)
    assert length.middle < 3000


def compressor(jitter, *, seed, days=3, on=20, off=40, day=0.0):
    """Find the season of a temperature, minute by minute: how long it is on and off varies.

    Beside it a day may move it.
    """
    generator, count = np.random.default_rng(seed), days * 1440
    lasts = np.tile([on, off], count // (on + off)) * np.exp(
        generator.normal(0, jitter, 2 * (count // (on + off)))
    )
    runs = np.tile([True, False], len(lasts) // 2).repeat(np.rint(lasts).astype(int))[:count]
    temperature = np.empty(len(runs))
    now = -20.0
    for minute, running in enumerate(runs):
        now += ((-26 if running else -16) - now) / 30
        temperature[minute] = now
    times = np.arange(len(runs)) / 60
    temperature += day * np.sin(2 * np.pi * times / 24) + generator.normal(0, 0.1, len(runs))
    return find_length(times, np.stack([temperature, runs]), CALENDAR)


@pytest.mark.parametrize("jitter", [0.02, 0.05, 0.15])
def test_cycles_that_do_not_keep_their_phase_are_no_season(jitter):
    seeds = range(6)
    assert all(compressor(0.0, seed=seed).period == 1.0 for seed in seeds[:2])
    assert sum(compressor(jitter, seed=seed) is None for seed in seeds) >= 5
    assert sum(compressor(jitter, seed=seed, on=17, off=26) is None for seed in seeds) >= 5


def test_behind_such_cycles_there_may_be_a_day():
    assert compressor(0.15, seed=0, days=6, day=4.0).period == 24.0
    assert compressor(0.15, seed=0, days=6) is None


def test_a_day_that_begins_now_earlier_now_later_is_a_day():
    """As of people: each for itself, so that one day says nothing of the next."""
    generator, hours = np.random.default_rng(0), np.arange(48) / 2
    begins, ends = generator.normal(8, 1, 28), generator.normal(17, 1.5, 28)
    load = np.concatenate([(hours > a) & (hours < b) for a, b in zip(begins, ends, strict=True)])
    load = 10 * load + generator.normal(0, 0.5, len(load))
    assert find_length(np.arange(len(load)) / 2, load[None], CALENDAR).period == 24.0


def test_a_level_that_wanders_hides_no_day():
    generator = np.random.default_rng(0)
    times = np.arange(24 * 40.0)
    level = np.cumsum(generator.normal(0, 0.3, len(times)))
    values = smooth(times / 24) + level + generator.normal(0, 0.5, len(times))
    assert find_length(times, values[None], CALENDAR).period == 24.0


def test_noise_and_trends_have_no_length():
    noise = np.random.default_rng(0).normal(size=(2, 500))
    times = np.arange(500.0)
    assert find_length(times, noise) is None
    assert find_length(times, times[None]) is None
    assert find_length(times[:10], noise[:, :10]) is None
    assert find_length(np.zeros(500), noise) is None
    assert find_length(times, np.full((1, 500), np.nan)) is None
