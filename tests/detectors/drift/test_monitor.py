import json

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.detectors.drift.monitor import DriftMonitor
from oddshot.errors import DataError, SettingError
from small_priors import untrained_prior

LETTERS = list("abcde")


def draw(count, seed, *, odd=0):
    rng = np.random.default_rng([seed, 7])
    rows = pd.DataFrame(rng.normal(size=(count, 5)), columns=LETTERS)
    rows["b"] += 2 * rows["a"]
    rows["size"] = rng.gamma(3.0, size=count)
    rows["colour"] = rng.choice(["red", "blue", "green"], count, p=[0.6, 0.3, 0.1])
    rows["when"] = pd.date_range("2024-01-01", periods=count, freq="h") + pd.Timedelta(days=seed)
    rows.loc[: odd - 1, LETTERS] += rng.choice([-6, 6], (odd, 5))
    return rows


@pytest.fixture(scope="module")
def detector():
    return FewShotDetector(prior=untrained_prior()).fit(draw(600, 0, odd=6))


@pytest.fixture(scope="module")
def monitor(detector):
    return detector.drift_monitor()


def test_promise_holds_on_quiet_windows(monitor):
    found = [monitor.check(draw(150, seed), alpha=0.05, permutations=99) for seed in range(1, 41)]
    p = np.array([drift.p for drift in found])
    assert (p <= 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 40)
    assert 0.3 < p.mean() < 0.7
    more = np.mean([drift.p_more <= 0.05 for drift in found])
    assert more <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 40)


def test_more_anomalies_are_told_as_such_and_are_no_drift(monitor):
    found = [monitor.check(draw(200, seed, odd=20)) for seed in range(1, 11)]
    assert sum(drift.drifted for drift in found) <= 1
    assert sum(drift.verdict == "more anomalies" for drift in found) >= 9
    assert all(drift.flagged > 0.08 for drift in found)


def test_rows_given_to_fit_have_no_effect(monitor, detector):
    own, new = draw(600, 0, odd=6), draw(300, 1)
    found = monitor.check(own)
    assert found.effect < found.least_effect
    mixed = monitor.check(pd.concat([own[:300], new]))
    assert mixed.effect < 1.5 * monitor.check(new).effect


def test_far_more_flagged_than_promised_are_more_anomalies_by_whatever_column():
    def readings(count, seed, since):
        when = pd.date_range(since, periods=count)
        return pd.DataFrame({"when": when, "x": np.random.default_rng(seed).normal(size=count)})

    detector = FewShotDetector(prior=untrained_prior()).fit(readings(300, 0, "2024-01-01"))
    quiet = detector.check_drift(readings(60, 1, "2024-03-01"))
    assert quiet.verdict == "quiet"
    odd = detector.check_drift(readings(60, 1, "1950-01-01"))
    assert odd.not_compared == ("when",)
    assert min(odd.p, odd.p_more) > 0.1  # only what is flagged tells
    assert (odd.flagged, odd.verdict) == (1, "more anomalies")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda rows: rows.assign(c=rows["c"] + 1), "drift: c"),
        (lambda rows: rows.assign(c=3 * rows["c"]), "drift: c"),
        (lambda rows: rows.assign(size=1000 * rows["size"]), "drift: size"),
        (lambda rows: rows.assign(b=rows["b"].sample(frac=1, random_state=0).to_numpy()), None),
        (lambda rows: rows.assign(colour=rows["colour"].replace("green", "grey")), "drift: colour"),
        (lambda rows: rows.assign(d=rows["d"].mask(rows.index % 5 == 0)), "drift: d"),
        (lambda rows: rows.drop(columns="colour"), "drift: colour"),
        (lambda rows: rows.assign(e="much"), "drift: e"),
    ],
)
def test_a_shift_is_told_with_its_column(monitor, change, verdict):
    found = monitor.check(change(draw(300, 1)))
    assert found.drifted
    assert verdict is None or found.verdict == verdict
    assert not found.more_anomalies


def test_columns_that_go_together_otherwise_are_seen_in_the_rows(monitor):
    rows = draw(300, 1)
    found = monitor.check(rows.assign(b=-rows["b"]))
    assert found.p_rows <= 0.01
    assert found.verdict == "drift: the rows as a whole"


def test_factors_of_units_are_told(monitor):
    rows = draw(300, 1)
    assert monitor.check(rows.assign(size=rows["size"] / 1000)).factors == {"size": 0.001}
    assert monitor.check(rows).factors == {}


def test_lost_and_unreadable_columns_leave_the_others_to_compare(monitor):
    rows = draw(300, 1).drop(columns="colour").assign(e="much", f=1)
    found = monitor.check(rows)
    told = {change.column: change for change in found.columns}
    assert told["colour"].kind == "lost"
    assert told["e"].kind == "unreadable"
    assert "'much'" in told["e"].detail
    assert told["f"].kind == "new column"
    assert found.p > 0.01
    assert found.flagged is None
    assert {"a", "b", "c", "d", "size"} <= {*told}


def test_dates_that_are_lost_or_unreadable_are_told(detector):
    lost = detector.check_drift(draw(300, 1).drop(columns="when"))
    assert [(c.column, c.kind) for c in lost.columns[:1]] == [("when", "lost")]
    unreadable = detector.check_drift(draw(300, 1).assign(when="soon"))
    assert [(c.column, c.kind) for c in unreadable.columns[:1]] == [("when", "unreadable")]
    assert lost.flagged is unreadable.flagged is None
    gone = detector.check_drift(draw(300, 1).assign(when=None))
    assert not gone.drifted


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%d/%m/%Y", "%d-%b-%y", "%m/%d/%Y %I:%M %p"])
@pytest.mark.parametrize("learned", ["%Y-%m-%d %H:%M", "%d-%m-%Y"])
def test_dates_in_another_format_than_the_learned_one_are_unreadable(form, learned):
    rows, window = draw(300, 0), draw(200, 1)
    rows["when"] = rows["when"].dt.strftime(learned)
    window["when"] = window["when"].dt.strftime(form)
    found = FewShotDetector(prior=untrained_prior()).fit(rows[:200]).check_drift(window)
    assert found.verdict.startswith("drift: when")
    change = found.columns[0]
    assert (change.column, change.kind, change.p) == ("when", "unreadable", 0)
    assert repr(window["when"][0]) in change.detail


@pytest.mark.parametrize(
    ("column", "cell", "what"),
    [("a", "ERR", "a number"), ("when", "soon", "a date"), ("ok", "maybe", "true or false")],
)
def test_a_share_that_cannot_be_read_is_told_and_the_rest_is_compared(column, cell, what):
    def rows(count, seed):
        return draw(count, seed).assign(ok=np.arange(count) % 3 == 0)

    detector = FewShotDetector(prior=untrained_prior()).fit(rows(600, 0))
    monitor = detector.drift_monitor()
    for strays, drift in ((1, False), (30, True)):
        window = rows(300, 1).astype({column: object})
        window.loc[7 : 6 + strays, column] = cell
        found = monitor.check(window)
        (change,) = (c for c in found.columns if c.kind == "unreadable")
        assert change.column == column
        assert change.detail == (
            f"{strays} of 300 cells cannot be read, as {cell!r} in row 7, "
            f"where {what} was learned; such count as gaps"
        )
        assert 0 < change.p <= 1
        assert found.verdict == (f"drift: {column}" if drift else "quiet")
        gaps = window.assign(**{column: window[column].mask(window[column].eq(cell))})
        above = detector.anomaly_score(gaps) > detector.threshold_
        assert found.flagged == above.mean()


def test_words_that_fit_knew_count_on_both_sides_where_others_come():
    rows = draw(400, 0).assign(price=[f"{n * 7 % 301 / 7:.2f}" for n in range(400)])
    rows.loc[range(0, 400, 25), "price"] = "ERR"
    window = draw(300, 1).assign(price=[f"{n * 11 % 301 / 7:.2f}" for n in range(300)])
    window.loc[range(0, 300, 25), "price"] = "Err."
    found = FewShotDetector(prior=untrained_prior()).fit(rows).check_drift(window)
    (change,) = (c for c in found.columns if c.kind == "unreadable")
    assert change.column == "price"
    assert change.p > 0.2
    assert found.verdict == "quiet"


def test_other_columns_that_moved_are_told_beside_unreadable_ones(monitor):
    window = draw(300, 1).assign(e="much").astype({"d": object})
    window["c"] += 2
    window.loc[3, "d"] = "ERR"
    found = monitor.check(window)
    assert found.verdict == "drift: e, c"
    assert [c.column for c in found.columns if c.kind == "unreadable"] == ["e", "d"]


def test_a_constant_column_with_a_word_is_told():
    rows = draw(200, 0).assign(same=7)
    monitor = FewShotDetector(prior=untrained_prior()).fit(rows).drift_monitor()
    window = draw(100, 1).assign(same=pd.Series([7] * 99 + ["x"], dtype=object))
    found = monitor.check(window)
    (change,) = (c for c in found.columns if c.kind == "unreadable")
    assert (change.column, found.verdict) == ("same", "quiet")
    assert monitor.check(window.assign(same="x")).verdict == "drift: same"


def test_periods_are_dates_after_saving_too(tmp_path):
    def hours(count, seed):
        when = pd.period_range("2024-01-01", periods=count, freq="h")
        return draw(count, seed).assign(when=when)

    detector = FewShotDetector(prior=untrained_prior()).fit(hours(200, 0))
    detector.save(tmp_path)
    for one in (detector, FewShotDetector.load(tmp_path)):
        assert one.check_drift(hours(100, 1)).verdict == "quiet"
        newer = one.refresh(hours(100, 1))
        assert {note.column: note.kind for note in newer.column_report_}["when"] == "date"


def test_a_column_of_infinities_that_stays_so_is_no_drift():
    rows = draw(200, 0).assign(high=np.inf)
    monitor = FewShotDetector(prior=untrained_prior()).fit(rows).drift_monitor()
    assert monitor.check(draw(150, 1).assign(high=np.inf)).verdict == "quiet"
    assert monitor.check(draw(150, 1).assign(high=1.0)).verdict == "drift: high"


def test_a_unit_that_was_not_learned_makes_a_column_unreadable(monitor, detector):
    rows = draw(300, 1)
    rows["a"] = [f"{value:.1f} C" for value in rows["a"]]
    for found in (monitor.check(rows), detector.check_drift(rows)):
        told = {change.column: change for change in found.columns}
        assert told["a"].kind == "unreadable"
        assert "where a number was learned" in told["a"].detail
        assert found.flagged is None


def test_effects_end_at_one(detector):
    found = detector.check_drift(draw(300, 1).assign(a=1e4, colour="new"))
    assert found.effect <= 1
    assert all(change.effect <= 1 for change in found.columns)


def test_words_that_only_some_rows_of_the_context_hold_are_gaps():
    rows = draw(200, 0).assign(price=[f"{n * 7 % 301 / 7:.2f}" for n in range(200)])
    rows.loc[7, "price"], rows.loc[11, "price"] = "ERR", "12O.50"
    new = draw(60, 1).assign(price=[f"{n * 11 % 301 / 7:.2f}" for n in range(60)])
    new.loc[5, "price"] = "ERR"
    assert FewShotDetector().fit(rows).check_drift(new).verdict == "quiet"


def test_dates_that_go_on_are_no_drift(monitor):
    found = monitor.check(draw(300, 5000))
    assert found.not_compared == ("when",)
    assert not found.drifted


def test_the_effect_stays_where_the_p_value_falls_with_more_rows():
    rng = np.random.default_rng(0)
    detector = FewShotDetector(prior=untrained_prior()).fit(rng.normal(size=(3000, 2)))
    monitor = detector.drift_monitor()
    few, many = (monitor.check(rng.normal(0.4, size=(n, 2))) for n in (60, 1000))
    assert many.p < few.p
    assert abs(few.effect - many.effect) < 0.12
    assert few.least_effect > many.least_effect
    assert few.rows_needed < 200
    assert many.rows_needed < 200


def test_few_rows_cannot_alarm_and_say_so(detector):
    assert detector.check_drift(draw(1, 1)).least_p == pytest.approx(1 / 301)
    slow = detector.check_drift(draw(50, 1).assign(c=100), block=50)
    assert slow.least_p > 0.01
    assert not slow.drifted


def test_the_lowest_p_value_is_one_that_can_be():
    rng = np.random.default_rng(0)
    few = FewShotDetector(prior=untrained_prior()).fit(rng.normal(size=(120, 3)))
    found = few.check_drift(rng.normal(50, 1, size=(60, 3)), block=20, permutations=1999)
    assert found.least_p == pytest.approx(1 / 10)
    assert found.p == pytest.approx(found.least_p, rel=0.3)


def test_windows_larger_than_what_is_compared_are_sampled(monitor):
    found = monitor.check(draw(3000, 1))
    assert found.rows == 1024
    assert found.context_rows == 300


def test_blocks_keep_the_promise_in_a_series():
    rng = np.random.default_rng(0)
    slow = np.repeat(rng.normal(size=(80, 2)), 10, axis=0) + 0.1 * rng.normal(size=(800, 2))
    detector = FewShotDetector(prior=untrained_prior()).fit(slow[:400])
    naive, blocked = (detector.drift_monitor(block=block) for block in (1, 10))
    windows = [slow[start : start + 100] for start in range(400, 701, 50)]
    assert sum(naive.check(window).drifted for window in windows) >= 5
    assert sum(blocked.check(window).drifted for window in windows) <= 1


def test_matrices_are_compared_by_position():
    rows = np.random.default_rng(0).normal(size=(400, 3))
    monitor = FewShotDetector(prior=untrained_prior()).fit(rows[:200]).drift_monitor()
    assert monitor.check(rows[200:] + np.array([0, 2, 0])).verdict == "drift: 1"
    with pytest.raises(DataError, match="2 columns and the context 3"):
        monitor.check(rows[:, :2])


def test_labels_sharpen_nothing_but_what_is_set_aside():
    rows = draw(400, 0, odd=20)
    labels = np.full(400, -1)
    labels[:5] = 1
    found = FewShotDetector(prior=untrained_prior()).fit(rows, labels).check_drift(draw(200, 1))
    assert not found.drifted


def test_result_speaks_json_and_repeats(detector):
    rows = draw(200, 1).assign(size=1000)
    found = detector.check_drift(rows).to_dict()
    assert json.loads(json.dumps(found)) == json.loads(
        json.dumps(detector.check_drift(rows).to_dict())
    )
    assert found["moved"] == ["size"]
    assert found["verdict"] == "drift: size"


def test_detector_is_the_same_after_saving(detector, tmp_path):
    detector.save(tmp_path)
    again = FewShotDetector.load(tmp_path)
    rows = draw(200, 1)
    assert again.check_drift(rows) == detector.check_drift(rows)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alpha": 0}, "alpha is 0"),
        ({"alpha": 0.001}, "permutations is 999; it must be a whole number from 2,999 to 59,999"),
        ({"alpha": 1e-7}, "alpha is 1e-07; it must be 5e-05 or more"),
        ({"permutations": 10**9}, "permutations is 1000000000; it must be a whole number from 299"),
        ({"permutations": 0}, "permutations is 0"),
        ({"block": 0}, "block is 0"),
        ({"block": 1.5}, "block is 1.5"),
        ({"alpha": "low"}, "alpha is 'low'"),
    ],
)
def test_wrong_settings_are_named(detector, settings, words):
    with pytest.raises(SettingError, match=words):
        detector.check_drift(draw(50, 1), **settings)


def test_what_cannot_be_compared_is_named(detector, monitor):
    with pytest.raises(DataError, match="no new row"):
        monitor.check(draw(50, 1)[:0])
    with pytest.raises(DataError, match="no column of the context is left"):
        monitor.check(draw(50, 1)[["when"]])
    with pytest.raises(DataError, match="12 rows"):
        FewShotDetector(prior=untrained_prior()).fit(draw(12, 0)).check_drift(draw(50, 1))
    dates = pd.DataFrame({"when": draw(50, 0)["when"]})
    with pytest.raises(DataError, match="no column can be compared"):
        FewShotDetector(prior=untrained_prior()).fit(dates).check_drift(dates)


def test_monitor_needs_no_verdicts(detector):
    fitted = detector._fitted
    monitor = DriftMonitor(
        fitted.kept, fitted.encoder.recipes, fitted.prior, share=0.01, seed=0, threads=1
    )
    assert monitor.check(draw(50, 1)).flagged is None


def test_rows_given_to_fit_are_no_drift():
    detector = FewShotDetector(prior=untrained_prior()).fit(draw(400, 0))
    watched = detector.drift_monitor()
    assert watched.check(draw(400, 0)).p > 0.1
    assert watched.check(draw(400, 0).iloc[:100]).p > 0.05
    lens = draw(400, 0)[watched._lens.holds(draw(400, 0))]
    with pytest.raises(DataError, match="rows given to fit"):
        watched.check(lens)


def test_rows_that_repeat_a_few_times_are_no_drift():
    def trips(generator, count):
        amounts = [generator.lognormal(1, 0.5, count), generator.lognormal(2, 0.4, count)]
        return np.round(np.stack([*amounts, generator.integers(1, 5, count)], axis=1))

    ps = []
    for seed in range(6):
        generator = np.random.default_rng([seed, 61])
        detector = FewShotDetector(random_state=seed).fit(trips(generator, 800))
        ps.append(detector.check_drift(trips(generator, 400), permutations=299).p)
    assert min(ps) > 0.01
