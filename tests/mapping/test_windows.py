"""Windows against slow loops, and what must not matter: where a series begins, order, units."""

import datetime
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.errors import DataError, DateWarning, SeriesWarning, SettingError
from oddshot.mapping.seasons.usual import BINS
from oddshot.mapping.windows import Windows

HOURS = pd.date_range("2024-03-01", periods=480, freq="h")


@pytest.fixture
def daily():
    """Twenty days with a daily season, hour by hour, and a column of states."""
    generator = np.random.default_rng(0)
    load = 10 + 3 * np.sin(2 * np.pi * np.arange(480) / 24) + generator.normal(0, 0.1, 480)
    state = np.where(np.arange(480) % 7 < 5, "on", "off")
    return pd.DataFrame({"at": HOURS, "load": load, "state": state})


def slow(values, size):
    """What windows look like, one after the other."""
    found = []
    for start in range(len(values) - size + 1):
        part = np.array(values[start : start + size])
        steps, half = np.abs(np.diff(part)), size // 2
        found.append(
            [
                np.nanmean(part),
                np.nanstd(part),
                np.nanmin(part),
                np.nanmax(part),
                np.nanmean(part[half:]) - np.nanmean(part[:half]),
                np.nanmean(steps),
                np.nanmax(steps),
            ]
        )
    return np.array(found)


@pytest.mark.parametrize("size", [2, 5, 8])
def test_windows_are_those_of_a_slow_loop(size):
    values = np.random.default_rng(1).normal(size=40)
    series = pd.DataFrame({"x": values})
    rows = Windows(size).fit(series).of(series).rows
    assert [*rows] == [
        "x mean", "x spread", "x least", "x most", "x rise", "x roughness", "x largest step",
    ]  # fmt: skip
    np.testing.assert_allclose(rows, slow(values, size), rtol=1e-9, atol=1e-12)


def test_gaps_are_left_out_of_a_window_and_a_window_of_gaps_is_one():
    values = np.random.default_rng(1).normal(size=40)
    values[[3, 5]] = np.nan
    series = pd.DataFrame({"x": values, "y": np.arange(40.0) % 7})
    rows = Windows(8).fit(series).of(series).rows
    np.testing.assert_allclose(rows.iloc[:, :7], slow(values, 8), rtol=1e-9, atol=1e-12)
    series.loc[10:25, "x"] = np.nan
    gone = Windows(8).fit(series).of(series).rows["x mean"]
    assert gone[gone.isna()].index.tolist() == [*range(10, 19)]


def test_a_stuck_sensor_has_no_spread_whatever_it_shows():
    series = pd.DataFrame({"x": [0.1] * 30 + [7e9 + 0.1] * 30, "y": np.arange(60.0) % 5})
    rows = Windows(6).fit(series).of(series).rows
    assert (rows["x spread"] == 0).sum() == 50


@given(st.integers(0, 30), st.integers(2, 9), st.booleans())
def test_a_window_does_not_depend_on_where_the_series_begins(cut, size, gaps):
    generator = np.random.default_rng(cut)
    series = pd.DataFrame({"x": generator.normal(1e6, 1, size=60), "s": ["a", "b", "b"] * 20})
    if gaps:
        series.loc[generator.random(60) < 0.2, "x"] = np.nan
    windows = Windows(size).fit(series)
    whole, tail = windows.of(series).rows, windows.of(series.iloc[cut:]).rows
    pd.testing.assert_frame_equal(
        whole.iloc[cut:].reset_index(drop=True), tail, check_exact=True, check_dtype=False
    )


def test_levels_are_told_by_the_last_and_by_changes(daily):
    rows = Windows(4).fit(daily).of(daily).rows
    assert rows["state at the end"].tolist() == daily["state"].tolist()[3:]
    assert rows["state changes"].iloc[:4].tolist() == [0, 0, 1, 1]


def test_readings_are_put_in_the_order_of_time(daily):
    windows = Windows(4, time="at").fit(daily)
    shuffled = daily.sample(frac=1, random_state=0)
    order, _, rows = windows.of(shuffled)
    assert shuffled["at"].iloc[order].is_monotonic_increasing
    pd.testing.assert_frame_equal(rows, windows.of(daily).rows)


def test_a_season_is_found_and_what_is_off_it_told(daily):
    windows = Windows(4, time="at").fit(daily)
    assert windows.period_ == 1.0
    daily.loc[240, "load"] += 5
    rows = windows.of(daily).rows
    assert rows["load largest distance from season"].idxmax() in range(237, 241)
    quiet = rows["load mean distance from season"].median()
    assert quiet < 0.3


@pytest.fixture
def pump():
    """Power that follows flow, and a column beside them, each second."""
    generator = np.random.default_rng(0)
    flow, other = generator.normal(size=(2, 400))
    power = 5 + 3 * flow + generator.normal(0, 0.2, 400)
    return pd.DataFrame({"s": np.arange(400), "flow": flow, "power": power, "other": other})


def test_a_column_off_what_the_others_tell_is_said_so(pump):
    windows = Windows(10, time="s").fit(pump)
    usual = windows.of(pump).rows
    told = [name for name in usual if name.endswith("others tell")]
    assert told == [
        "flow off what others tell", "flow mean distance from what others tell",
        "power off what others tell", "power mean distance from what others tell",
    ]  # fmt: skip
    pump.loc[200:219, "power"] = 5 - 3 * pump.loc[200:219, "flow"]
    rows = windows.of(pump).rows
    assert rows["power mean distance from what others tell"].iloc[200:211].min() > 1
    pd.testing.assert_frame_equal(rows.iloc[:190], usual.iloc[:190])


def test_what_follows_is_kept_and_known_by_any_part_of_a_series(pump):
    windows = Windows(10, time="s").fit(pump)
    whole = windows.of(pump).rows
    meta, arrays = windows.state()
    again = Windows.from_state(json.loads(json.dumps(meta)), arrays)
    pd.testing.assert_frame_equal(again.of(pump).rows, whole)
    part = windows.of(pump.iloc[57:123]).rows
    assert (part.to_numpy() == whole.iloc[57 : 57 + len(part)].to_numpy()).all()


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M"])
def test_times_may_be_text_and_go_on_later(daily, form):
    written = daily.assign(at=daily["at"].dt.strftime(form))
    windows = Windows(4, time="at").fit(written)
    assert windows.has_dates
    assert windows.period_ == 1.0
    later = daily.assign(at=daily["at"] + pd.Timedelta(days=40))
    off = windows.of(later.assign(at=later["at"].dt.strftime(form))).rows
    assert off["load mean distance from season"].median() < 0.3


def test_times_may_be_numbers():
    at = np.arange(400) * 10.0
    series = pd.DataFrame({"s": at, "x": np.sin(2 * np.pi * at / 250)})
    assert Windows(4, time="s").fit(series).period_ == 250.0
    assert Windows(4, time="s", period=500).fit(series).period_ == 500.0
    assert Windows(4, time="s", period=None).fit(series).period_ is None


def cycles(first, count, seed, period=37.3):
    seconds = first + np.arange(count)
    turns = seconds / period % 1
    noise = np.random.default_rng(seed).normal(0, 0.1, count)
    at = pd.Timestamp("2024-03-01") + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"at": at, "v": 10 + 3 * (turns < 0.4) + np.sin(2 * np.pi * turns) + noise})


def test_a_season_does_not_run_away_and_it_is_told_from_when_on_it_may():
    windows = Windows(10, time="at").fit(cycles(0, 7200, 0))
    own = windows.of(cycles(0, 7200, 0)).rows["v mean distance from season"].median()
    later = windows.of(cycles(5 * 3600, 1800, 5)).rows["v mean distance from season"].median()
    assert later < 1.3 * own < 0.15
    meta, arrays = windows.state()
    again = Windows.from_state(json.loads(json.dumps(meta)), arrays)
    for kept in (windows, again):
        with pytest.warns(
            SeriesWarning, match=r"found, 37\.3.* s, is exact enough .* 2024-03-01 0"
        ):
            kept.of(cycles(72 * 3600, 1800, 5))
    given = Windows(10, time="at", period="37.3s").fit(cycles(0, 7200, 0))
    assert given.of(cycles(72 * 3600, 1800, 5)).rows["v mean"].notna().all()


def local(start, count, seed):
    """A day as people have it, in Berlin, whose clocks change on 31 March."""
    at = pd.date_range(start, periods=count, freq="30min", tz="Europe/Berlin")
    load = 10 + 4 * np.sin(2 * np.pi * (at.hour + at.minute / 60) / 24)
    return pd.DataFrame(
        {"at": at, "load": load + np.random.default_rng(seed).normal(0, 0.3, count)}
    )


def as_text(series):
    return series.assign(at=series["at"].map(pd.Timestamp.isoformat))


def as_naive(series):
    return series.assign(at=series["at"].dt.tz_localize(None))


@pytest.mark.parametrize("written", [lambda series: series, as_text, as_naive])
def test_a_day_goes_by_the_clock_that_is_written(written):
    windows = Windows(4, time="at").fit(written(local("2024-03-01", 48 * 21, 0)))
    assert windows.period_ == 1.0
    later = windows.of(written(local("2024-04-03", 192, 4))).rows
    assert later["load mean distance from season"].median() < 0.4
    over = written(local("2024-03-30", 192, 4))
    order, times, rows = windows.of(over.iloc[::-1])
    assert order.tolist() == [*range(191, -1, -1)]
    assert (np.diff(times) > 0).all()
    assert rows["load mean distance from season"].median() < 0.4


def test_a_cycle_of_a_machine_knows_no_change_of_clocks():
    at = pd.date_range("2024-03-20", periods=4000, freq="10min", tz="Europe/Berlin")
    turns = np.arange(4000) * 10 / (12.42 * 60)
    noise = np.random.default_rng(0).normal(0, 0.3, 4000)
    series = pd.DataFrame({"at": at, "v": 4 * np.sin(2 * np.pi * turns) + noise})
    rows = Windows(4, time="at").fit(series).of(series).rows
    assert rows["v mean distance from season"].median() < 0.4


def test_stamps_without_the_offsets_of_fit_are_told():
    first, later = local("2024-03-01", 480, 0), local("2024-04-03", 48, 1)
    windows = Windows(4, time="at").fit(first)
    meta, arrays = windows.state()
    again = Windows.from_state(json.loads(json.dumps(meta)), arrays)
    for kept in (windows, again):
        with pytest.warns(DateWarning, match="'at' has dates without an offset"):
            kept.of(as_naive(later))
        kept.of(as_text(later))
    del meta["offsets"], meta["origin"]  # as an older version saved them
    old = Windows.from_state(meta, arrays)
    old.of(as_naive(later))
    assert old.of(first).times.tolist() == windows.of(first).times.tolist()
    with pytest.warns(DateWarning, match="'at' has dates with offsets"):
        Windows(4, time="at").fit(as_naive(first)).of(later)


def test_another_pace_is_told(daily):
    windows = Windows(4, time="at").fit(daily)
    meta, arrays = windows.state()
    again = Windows.from_state(json.loads(json.dumps(meta)), arrays)
    for kept in (windows, again):
        with pytest.warns(SeriesWarning, match="'at': readings are 2 h apart, .* from 1 h"):
            kept.of(daily.iloc[::2])
        with pytest.warns(SeriesWarning, match="50% of the readings are of the same moment"):
            kept.of(pd.concat([daily, daily]))
    windows.of(daily.drop(index=range(100, 200)))
    windows.of(daily.sample(frac=0.9, random_state=0))
    windows.of(pd.concat([daily, daily[:10]]))
    twice = pd.concat([daily, daily])
    with pytest.warns(SeriesWarning, match="50% of the readings"):
        Windows(4, time="at").fit(twice)
    del meta["pace"]
    Windows.from_state(meta, arrays).of(daily.iloc[::2])


def test_noise_and_irregular_times_have_no_season(daily):
    generator = np.random.default_rng(0)
    noise = daily.assign(load=generator.normal(size=480))
    assert Windows(4, time="at").fit(noise).period_ is None
    irregular = daily.assign(at=np.cumsum(generator.exponential(size=480)))
    with pytest.warns(SeriesWarning, match="no season was looked for: .*% of the steps .* alike"):
        assert Windows(4, time="at").fit(irregular).period_ is None
    Windows(4, time="at", period=None).fit(irregular)


def test_moments_that_repeat_at_fit_are_told_and_what_tells_them_apart(daily):
    again = pd.concat([daily, daily.sample(frac=0.15, random_state=0)])
    with pytest.warns(
        SeriesWarning, match=r"'at': 13% .* same moment .* no season .* Leave out repeated"
    ):
        assert Windows(4, time="at").fit(again).period_ is None
    two = pd.concat([daily.assign(machine="north"), daily.assign(machine="south")])
    with pytest.warns(SeriesWarning, match=r"50% .* Column 'machine' tells them apart: give one"):
        Windows(4, time="at", period="1D").fit(two)
    Windows(4, time="at").fit(pd.concat([daily, daily[:2]]))  # an hour of autumn
    Windows(4).fit(two)


def test_a_given_period_of_dates(daily):
    assert Windows(4, time="at", period="7D").fit(daily).period_ == 7.0
    assert Windows(4, time="at", period="12h").fit(daily).period_ == 0.5


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"period": "1D"}, "no column of time"),
        ({"time": "at", "period": "weekly"}, "'1D'"),
        ({"time": "at", "period": 0}, "'1D'"),
        ({"time": "at", "period": 24}, "'1D'"),
        ({"time": "load", "period": "1D"}, "a number above 0"),
    ],
)
def test_periods_that_are_none(daily, settings, told):
    with pytest.raises(SettingError, match=told):
        Windows(4, **settings).fit(daily)


@pytest.mark.parametrize("size", [1, 2.5, True, "10"])
def test_sizes_that_are_none(size):
    with pytest.raises(SettingError, match="window is"):
        Windows(size)


def test_series_that_cannot_be_described(daily):
    with pytest.raises(DataError, match="has 480 readings and a window 500"):
        Windows(500).fit(daily)
    with pytest.raises(DataError, match="no column 'time' for its time; it has 'at', 'load'"):
        Windows(4, time="time").fit(daily)
    gap = daily.copy()
    gap.loc[7, "at"] = pd.NaT
    with pytest.raises(DataError, match="'at' has no time in row 7"):
        Windows(4, time="at").fit(gap)
    windows = Windows(4, time="at").fit(daily)
    with pytest.raises(DataError, match="'load'"):
        windows.of(daily.drop(columns="load"))


def test_what_was_learned_is_kept(daily):
    windows = Windows(4, time="at").fit(daily)
    meta, arrays = windows.state()
    again = Windows.from_state(json.loads(json.dumps(meta)), arrays)
    assert again.period_ == 1.0
    assert again._season["load"].values.shape == (BINS,)
    pd.testing.assert_frame_equal(again.of(daily).rows, windows.of(daily).rows)
    assert again.report_ == windows.report_


def test_a_week_in_daily_readings_and_a_day_on_a_trend():
    at = pd.date_range("2024-01-01", periods=300)
    load = np.where(at.day_of_week < 5, 10.0, 3.0) + np.random.default_rng(0).normal(0, 0.3, 300)
    daily = pd.DataFrame({"at": at, "load": load})
    assert Windows(4, time="at").fit(daily).period_ == 7.0
    rising = pd.DataFrame({"at": HOURS, "load": np.sin(np.arange(480) * np.pi / 12)})
    rising["load"] += np.arange(480) * 0.1
    assert Windows(4, time="at").fit(rising).period_ == 1.0


def test_time_by_place_and_as_one_number(daily):
    assert Windows(4, time=0).fit(daily).period_ == 1.0
    compact = daily.iloc[::24].reset_index(drop=True)
    compact["at"] = compact["at"].dt.strftime("%Y%m%d").astype(int)
    assert Windows(4, time="at").fit(compact).has_dates
    seconds = daily.assign(at=1_704_067_200.25 + 3600 * np.arange(480))
    assert Windows(4, time="at", period="1D").fit(seconds).period_ == 1.0
    for day in (pd.Timedelta("1D"), np.timedelta64(1, "D"), datetime.timedelta(1)):
        windows = Windows(4, time="at", period=day).fit(daily)
        meta, arrays = windows.state()
        assert Windows.from_state(json.loads(json.dumps(meta)), arrays).period_ == 1.0
    with pytest.raises(SettingError, match="a number above 0, 'auto' or None"):
        Windows(4, time="n", period=np.timedelta64(1, "D")).fit(daily.assign(n=np.arange(480)))


def test_time_may_be_the_index_and_is_missed_where_it_is_not_named(daily):
    by_index = daily.set_index("at")
    shuffled = by_index.sample(frac=1, random_state=0)
    windows = Windows(4, time="at").fit(shuffled)
    assert windows.period_ == 1.0
    expected = Windows(4, time="at").fit(daily).of(daily).rows
    for series in (shuffled, daily, shuffled.set_index("load", append=True).reset_index("load")):
        pd.testing.assert_frame_equal(windows.of(series).rows, expected)
    assert (
        windows.numbers(by_index).keys() == Windows(4, time="at").fit(daily).numbers(daily).keys()
    )
    periods = by_index.set_axis(by_index.index.to_period("h").rename("at"))
    assert Windows(4, time="at").fit(periods).period_ == 1.0
    with pytest.warns(SeriesWarning, match="Give X and time='at'; or X.reset_index"):
        Windows(4).fit(by_index)
    with pytest.warns(SeriesWarning, match=r"Give X.rename_axis\('at'\) and time='at'"):
        Windows(4).fit(by_index.rename_axis(None))
    Windows(4).fit(by_index.reset_index(drop=True))
