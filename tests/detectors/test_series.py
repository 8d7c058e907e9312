"""Odd stretches of series: found, scored alike at once and later, kept, and promises about them."""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from oddshot import FewShotDetector, SeriesDetector
from oddshot.detectors import series as module
from oddshot.detectors.series import covering_means, window_labels
from oddshot.errors import (
    CalibrationWarning,
    DataError,
    LabelError,
    PriorError,
    SeriesWarning,
    SettingError,
)

DAYS = 14


def machine(seed, *, start="2024-03-01", days=DAYS):
    """Readings of two sensors, every half hour, with a daily season."""
    generator = np.random.default_rng(seed)
    at = pd.date_range(start, periods=48 * days, freq="30min")
    hours = at.hour + at.minute / 60
    return pd.DataFrame(
        {
            "at": at,
            "load": 10 + 4 * np.sin(2 * np.pi * hours / 24) + generator.normal(0, 0.3, len(at)),
            "heat": 50 + np.cumsum(generator.normal(0, 0.05, len(at))),
        }
    )


@pytest.fixture(scope="module")
def odd():
    """A series in which the load is stuck for ten readings."""
    series = machine(0)
    series.loc[300:309, "load"] = 13.5
    return series


@pytest.fixture(scope="module")
def detector(odd):
    return SeriesDetector(window=8, time="at", random_state=0).fit(odd)


def test_a_stuck_sensor_is_found_and_named(detector, odd):
    first = detector.stretches(odd)[0]
    assert 296 <= first.peak <= 313
    assert first.score > detector.threshold_
    assert np.isin(np.arange(304, 309), first.places).all()
    (row,) = detector.explain(odd, [first.peak])
    assert row.top(1)[0][0].startswith("load ")
    scores = detector.anomaly_score(odd)
    assert scores[first.peak] == first.score == scores.max()
    assert len(first) == len(first.places)


def test_a_sensor_that_leaves_another_is_found_and_named(tmp_path):
    generator = np.random.default_rng(0)
    flow, another = (
        np.convolve(z, np.ones(9) / 3, "same") for z in generator.normal(size=(2, 900))
    )
    power = 3 * flow + generator.normal(0, 0.2, 900)
    power[600:630] = 3 * another[600:630]
    series = pd.DataFrame({"flow": flow, "power": power, "other": generator.normal(size=900)})
    detector = SeriesDetector(window=15, random_state=0).fit(series)
    first = detector.stretches(series)[0]
    assert 595 <= first.peak < 635
    (row,) = detector.explain(series, [first.peak])
    assert "others tell" in row.top(1)[0][0]
    detector.save(tmp_path / "kept")
    again = SeriesDetector.load(tmp_path / "kept")
    assert (again.anomaly_score(series) == detector.anomaly_score(series)).all()


def test_who_stops_a_fit_keeps_the_old_detector(detector, odd, monkeypatch):
    again, before = copy.copy(detector), dict(vars(detector))

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(SeriesDetector, "_flagged_share", stopped)
    with pytest.raises(KeyboardInterrupt):
        again.fit(odd[:100])
    assert vars(again).keys() == before.keys()
    assert all(vars(again)[name] is value for name, value in before.items())


def test_stretches_are_what_is_above_the_threshold(detector, odd):
    scores, found = detector.anomaly_score(odd), detector.stretches(odd)
    above = np.flatnonzero(scores > detector.threshold_)
    covered = np.concatenate([stretch.places for stretch in found])
    assert np.isin(above, covered).all()
    assert len(np.unique(covered)) == len(covered)
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    assert (detector.predict(odd) == np.where(scores > detector.threshold_, -1, 1)).all()


def test_the_season_is_known_to_later_readings(detector):
    assert detector.period_ == 1.0
    later = machine(7, start="2024-04-20", days=4)
    assert (detector.anomaly_score(later) > detector.threshold_).mean() < 0.15
    night = later.assign(load=later["load"].iloc[::-1].to_numpy())  # the day upside down
    assert detector.anomaly_score(night).mean() > detector.anomaly_score(later).mean() + 0.3


@pytest.mark.parametrize("kind", [pd.Series, pl.Series, np.array, list, tuple])
def test_one_column_alone_is_asked_for_as_a_table(kind, detector):
    readings = kind([1.0, 2.0] * 60)
    for asked in (SeriesDetector().fit, detector.anomaly_score, detector.numbers):
        with pytest.raises(DataError, match=r"one column of readings .* series\.to_frame\(\)"):
            asked(readings)
    SeriesDetector().fit(pd.Series(np.arange(120) % 7).to_frame())


def hourly(start, count, seed, shape):
    at = pd.date_range(start, periods=count, freq="1h")
    hours = np.asarray(at.hour + at.minute / 60)
    noise = np.random.default_rng(seed).normal(0, 0.3, count)
    return pd.DataFrame({"at": at, "v": 10 + 4 * shape(hours) + noise})


@pytest.mark.parametrize(
    "shape",
    [
        lambda hours: np.sin(2 * np.pi * hours / 24),
        lambda hours: ((hours >= 8) & (hours < 16)).astype(np.float64),
    ],
    ids=["smooth", "shift"],
)
def test_readings_between_the_moments_that_fit_saw_are_usual(shape):
    detector = SeriesDetector(window=6, time="at", random_state=0)
    detector.fit(hourly("2024-03-01", 24 * 21, 0, shape))
    for start in ("2024-04-10 00:00", "2024-04-10 00:30"):
        later = detector.anomaly_score(hourly(start, 72, 1, shape))
        assert (later > detector.threshold_).mean() < 0.1


def test_readings_given_to_fit_are_scored_by_what_has_not_seen_them(odd):
    """Overlapping windows are nearly alike: else each would be typical by its neighbours."""
    quiet = machine(1)
    normal = np.zeros(len(quiet))
    made = SeriesDetector(window=8, time="at", random_state=0).fit(quiet, normal)
    made.set_threshold(alpha=0.05)
    own = (made.anomaly_score(quiet) > made.threshold_).mean()
    new = np.mean(
        [(made.anomaly_score(machine(seed)) > made.threshold_).mean() for seed in (2, 3, 4)]
    )
    assert own < 0.06
    assert new < 0.25
    plain = made.detector_.anomaly_score(made.windows(quiet).rows)
    assert plain.mean() < module.covering_means(made._own, 1).mean()


def test_the_order_of_readings_does_not_matter_where_their_time_is_given(detector, odd):
    shuffled = odd.sample(frac=1, random_state=0)
    scores = pd.Series(detector.anomaly_score(odd), index=odd.index)
    found = pd.Series(detector.anomaly_score(shuffled), index=shuffled.index)
    np.testing.assert_array_equal(found.sort_index(), scores)
    again = SeriesDetector(window=8, time="at", random_state=0).fit(shuffled)
    np.testing.assert_array_equal(again.anomaly_score(odd), scores)


def test_the_end_of_a_series_scores_as_in_the_whole(detector, odd):
    whole, tail = detector.anomaly_score(odd), detector.anomaly_score(odd.iloc[200:])
    np.testing.assert_allclose(tail[7:], whole[207:], rtol=1e-12)


def test_labels_help_to_find_more_of_their_kind():
    series, later = machine(0), machine(5, start="2024-04-01")
    for start in (60, 200, 410):  # a slight kind of anomaly
        series.loc[start : start + 7, "heat"] += 0.35
        later.loc[start : start + 7, "heat"] += 0.35
    truth = np.zeros(len(series), bool)
    for start in (60, 200, 410):
        truth[start : start + 8] = True
    labels = np.where(truth, 1, -1)
    ranks = []
    for known in (None, labels):
        made = SeriesDetector(window=8, time="at", random_state=0).fit(series, known)
        scores = made.anomaly_score(later)
        ranks.append(scores[truth].mean() - scores[~truth].mean())
    assert ranks[1] > ranks[0]


def test_what_is_saved_scores_alike(detector, odd, tmp_path):
    detector.save(tmp_path / "kept")
    again = SeriesDetector.load(tmp_path / "kept")
    later = machine(9)
    for series in (odd, later):
        np.testing.assert_array_equal(again.anomaly_score(series), detector.anomaly_score(series))
    assert again.threshold_ == detector.threshold_
    assert again.set_threshold(contamination=0.1).threshold_ == (
        clone(detector).set_params(contamination=0.1).fit(odd).threshold_
    )
    assert [*again.feature_names_in_] == ["at", "load", "heat"]
    assert str(again.threshold_rule_)
    with pytest.raises(PriorError, match="holds a series detector, not a detector"):
        type(detector.detector_).load(tmp_path / "kept")


def test_plain_matrices_are_series_in_their_order():
    values = np.random.default_rng(0).normal(size=(300, 2))
    values[100:104] += 8
    made = SeriesDetector(window=4, random_state=0).fit(values)
    assert 96 <= made.stretches(values)[0].peak < 108
    assert made.period_ is None
    assert made.n_features_in_ == 2
    assert made.fit_predict(values).shape == (300,)


@pytest.mark.parametrize(
    ("readings", "size", "labels"),
    [
        ([1, 1, 1, 1, 0, 0, 0, 0], 4, [1, 1, 1, -1, 0]),
        ([0, 0, 0, 1, 0, 0, 0, 0], 4, [1, 1, 1, 1, 0]),
        ([-1, 0, 0, 0, 0], 3, [-1, 0, 0]),
        ([1, 1, 1, 1, 1], 2, [1, 1, 1, 1]),
    ],
)
def test_windows_are_labelled_by_their_readings(readings, size, labels):
    assert window_labels(np.array(readings, dtype=np.int8), size).tolist() == labels


def test_covering_means_are_those_of_a_slow_loop():
    scores = np.random.default_rng(0).normal(size=20)
    slow = [scores[max(i - 4, 0) : i + 1].mean() for i in range(24)]
    np.testing.assert_allclose(covering_means(scores, 5), slow)


def test_parts_share_no_reading_with_what_judges_them():
    for windows, size in ((200, 8), (40, 10), (31, 10)):
        seen = []
        for part, rest in module._parts(windows, size):
            seen += part.tolist()
            assert len(rest) >= windows // 3
            apart = min(np.abs(part[:, None] - rest).min(), size)
            assert apart >= (size if windows >= 10 * size else 1)
        assert seen == [*range(windows)]


def test_mistakes_are_named(odd):
    with pytest.raises(DataError, match="has 20 readings; with a window of 8 at least 32"):
        SeriesDetector(window=8).fit(odd.iloc[:20])
    with pytest.raises(SettingError, match="window is 1"):
        SeriesDetector(window=1).fit(odd)
    with pytest.raises(DataError, match="no column 'when'"):
        SeriesDetector(window=8, time="when").fit(odd)
    with pytest.raises(LabelError):
        SeriesDetector(window=8).fit(odd, np.zeros(3))
    with pytest.raises(NotFittedError):
        SeriesDetector(window=8).anomaly_score(odd)
    made = SeriesDetector(window=8, time="at").fit(odd)
    with pytest.raises(DataError, match="has 3 readings and a window 8"):
        made.anomaly_score(odd.iloc[:3])
    with pytest.raises(SettingError, match="places: 9999 is that of no reading"):
        made.explain(odd, [9999])


def test_places_are_whole_numbers_or_truth_values(detector, odd):
    mask = np.zeros(len(odd), dtype=bool)
    mask[[304, 405]] = True
    expected = [row.top(3) for row in detector.explain(odd, [304, 405])]
    for places in (mask, [*mask.tolist()], pd.Series(mask), np.array([304, 405]), (304, 405)):
        assert [row.top(3) for row in detector.explain(odd, places)] == expected
    for place in (405, np.int64(405)):
        assert [row.top(3) for row in detector.explain(odd, place)] == expected[1:]
    for places in ([3.9], mask[:-1], "405", [[405]], None):
        with pytest.raises(SettingError, match=r"give whole numbers from 0 to 671, or 672 truth"):
            detector.explain(odd, places)
    for places in ([], ~(mask | True)):
        with pytest.raises(SettingError, match="none is given"):
            detector.explain(odd, places)
    with pytest.raises(SettingError, match="-1 is that of no reading"):
        detector.explain(odd, -1)


def test_a_budget_counts_stretches(detector, odd, tmp_path):
    later = machine(3, start="2024-04-01")
    later.loc[100:105, "load"] += 3
    made = clone(detector).fit(odd)
    for alerts in (1, 3, 6):
        made.set_threshold(budget=alerts, X=later)
        assert 1 <= len(made.stretches(later)) <= alerts
        assert str(made.threshold_rule_).startswith("stretches above it to be expected: at most")
        assert made.threshold_rule_.rests_on_batch
    made.set_threshold(budget=(2, 336))
    assert len(made.stretches(odd)) <= 4
    made.save(tmp_path / "kept")
    again = SeriesDetector.load(tmp_path / "kept")
    assert str(again.threshold_rule_) == str(made.threshold_rule_)
    assert again.set_threshold(budget=(2, 336)).threshold_ == made.threshold_
    with pytest.warns(CalibrationWarning, match="too few to tell of 1 stretches in 67,200"):
        made.set_threshold(budget=(1, 67_200))
    highest = made.anomaly_score(odd).max()
    assert made.set_threshold(budget=(1, 672)).threshold_ < highest
    with pytest.raises(SettingError, match=r"budget is 600 stretches, but .* never have more than"):
        made.set_threshold(budget=600, X=later)
    again._in_time = None
    with pytest.raises(SettingError, match=r"without the order of its readings; fit it again"):
        again.set_threshold(budget=(2, 336))


def counter(steps):
    """Readings, beside a temperature, of a meter with such steps."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({"run_h": np.cumsum(steps), "temp": rng.normal(50, 1, len(steps))})


def test_columns_that_count_up_are_told_at_fit():
    rng = np.random.default_rng(1)
    steps = rng.choice([0.0, 0.1, 0.2], 400)
    with pytest.warns(SeriesWarning, match=r"'run_h' counts up, from .*df\['run_h'\]\.diff\(\)"):
        SeriesDetector(window=8, random_state=0).fit(counter(steps))
    minutes = np.arange(400)
    quiet = [
        counter(steps).assign(run_h=20 + 0.1 * minutes + rng.normal(0, 0.3, 400)),  # warms up
        counter(steps).assign(run_h=60 - 40 * np.exp(-minutes / 40)),  # and stays
        counter(steps).assign(run_h=minutes % 100 * 1.0),  # a tank that fills
        counter(steps).assign(run_h=np.where(minutes < 200, 1.0, 2.0)),  # set anew
    ]
    for series in quiet:
        SeriesDetector(window=8, random_state=0).fit(series)


def test_gaps_and_levels_are_counted_as_of_tables(odd, tmp_path):
    states = odd.assign(state=np.where(np.arange(len(odd)) % 5, "on", "off"))
    states.loc[:67, "heat"] = np.nan
    made = SeriesDetector(window=8, time="at", random_state=0).fit(states)
    made.save(tmp_path / "kept")
    later = machine(2).assign(state="broken", load=np.nan)
    for each in (made, SeriesDetector.load(tmp_path / "kept")):
        assert each.missing_shares(later) == {"load": (0.0, 1.0)}
        assert each.missing_shares(states) == {"heat": (68 / 672, 68 / 672)}
        assert each.unseen_levels(later) == {"state": 1.0}
        assert each.outside_shares(states.assign(heat=1e4))["heat"] == 1.0


@pytest.mark.parametrize("kind", [float, bool, lambda v: np.where(v > 0, "on", "off")])
def test_one_burst_in_a_flat_series_is_found(kind):
    flat = np.zeros(2000)
    flat[700:710] = 5
    series = pd.DataFrame({"x": kind(flat) if not isinstance(kind, type) else flat.astype(kind)})
    made = SeriesDetector(window=10, random_state=0).fit(series)
    assert 690 <= made.stretches(series)[0].peak < 720


def test_a_share_is_flagged_where_a_series_repeats_itself():
    series = pd.DataFrame({"x": np.arange(400) % 7})
    made = SeriesDetector(window=12, contamination=0.1, random_state=0).fit(series)
    assert (made.predict(series) == -1).mean() <= 0.1


def test_the_shortest_series_and_labels_that_leave_nothing():
    values = np.random.default_rng(0).normal(size=(8, 1))
    assert SeriesDetector(window=2).fit(values).anomaly_score(values).shape == (8,)
    with pytest.raises(DataError, match="200 of 200 readings are labelled as odd"):
        SeriesDetector(window=8).fit(np.arange(200.0)[:, None] % 9, np.ones(200))
    with pytest.raises(DataError, match="no column is left to describe windows by"):
        SeriesDetector(window=4).fit(pd.DataFrame({"day": pd.date_range("2024-01-01", periods=99)}))


def test_windows_that_overlap_are_not_raised_for_being_alone(tmp_path):
    """Their nearest neighbours are beside them, so that distances to these tell something else."""
    rng = np.random.default_rng(0)
    load = np.sin(np.arange(600) * np.pi / 12) + rng.normal(0, 0.1, 600)
    detector = SeriesDetector(window=12).fit(load[:, None])
    assert detector.detector_._fitted._judge._solitary is None
    detector.save(tmp_path / "kept")
    loaded = SeriesDetector.load(tmp_path / "kept")
    assert loaded.detector_._fitted._judge._solitary is None
    alone = FewShotDetector().fit(detector.windows(load[:, None]).rows)
    assert alone._fitted._judge._solitary is not None
