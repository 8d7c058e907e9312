import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from oddshot.detectors.drift.columns import Sides, compared_kinds, test_columns, unit_factor
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.thresholds.two_sample import Divisions

ROWS = 400


@pytest.fixture
def context():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "length": rng.gamma(4.0, 2.0, ROWS),
            "count": rng.poisson(0.2, ROWS),
            "colour": rng.choice(["red", "blue"], ROWS, p=[0.8, 0.2]),
            "day": pd.date_range("2024-01-01", periods=ROWS),
            "constant": 7,
        }
    )


def found(context, window):
    kinds = compared_kinds(context, Encoder().fit(context).report())
    frame = pd.concat([context, window], ignore_index=True)
    new = np.arange(len(frame)) >= len(context)
    divisions = Divisions.of(new[:, None])
    everything = np.ones(len(frame), bool)
    sides = Sides(frame, divisions, everything, divisions)
    return {
        (test.change.column, test.change.kind): (float(test.p[0]), test.change)
        for test in test_columns(sides, kinds, context)
    }


def test_dates_are_not_compared_and_constants_are(context):
    kinds = compared_kinds(context, Encoder().fit(context).report())
    assert kinds == {
        "length": "number",
        "count": "number",
        "colour": "category",
        "constant": "number",
    }


def test_a_column_that_stayed_has_no_small_p(context):
    tests = found(context, context.sample(200, random_state=0))
    assert {column for column, _ in tests} == {"length", "count", "colour", "constant"}
    assert min(p for p, _ in tests.values()) > 0.1


@pytest.mark.parametrize(
    ("column", "kind", "change", "words"),
    [
        ("length", "values", lambda v: v + 4, "median 7"),
        ("length", "values", lambda v: v.median() + 2 * (v - v.median()), "times as wide"),
        ("length", "values", lambda v: 1000 * v, "multiplied by 1000, as by another unit"),
        ("length", "values", lambda v: v / 60, "multiplied by 1/60,"),
        ("count", "values", lambda v: v.mask(v.index % 2 == 0, 3), "in 100.0% of rows before, 50"),
        ("colour", "levels", lambda v: v.mask(v.index % 2 == 0, "blue"), "'red': "),
        ("colour", "new levels", lambda v: v.mask(v.index % 9 == 0, "green"), "'green' in 11."),
        ("colour", "missing", lambda v: v.mask(v.index % 9 == 0), "missing in 11."),
        ("length", "missing", lambda v: v.mask(v.index % 9 == 0), "missing in 11."),
        ("constant", "values", lambda v: v + 1, "at most 7 in 100.0% of rows before, 0.0% now"),
    ],
)
def test_a_column_that_moved_is_told_in_words(context, column, kind, change, words):
    p, told = found(context, context.assign(**{column: change(context[column])}))[column, kind]
    assert p < 1e-4
    assert told.effect > 0.05
    assert words in told.detail


def test_medians_are_told_to_the_digit_in_which_they_differ(context):
    long_ago = context.assign(passed=1_772_400_000_000 + 1_000_000 * np.arange(ROWS) % 600_000_000)
    later = long_ago.assign(passed=long_ago["passed"] + 604_800_000)
    detail = found(long_ago, later)["passed", "values"][1].detail
    before, now = re.fullmatch(r"median (\d{13}) before, (\d{13}) now", detail).groups()
    assert int(now) - int(before) == 604_800_000


def test_a_level_that_is_spelled_otherwise_has_not_moved(context):
    lamp = pd.Series(np.arange(ROWS) % 3 == 0)
    then, now = context.assign(lamp=lamp.astype("category")), context.assign(lamp=lamp.astype(str))
    tests = found(then, now)
    assert tests["lamp", "levels"][0] > 0.1
    assert ("lamp", "new levels") not in tests


@pytest.mark.parametrize(
    ("then", "now"),
    [(["Y", "N"], ["yes", "no"]), (["a", "None"], ["a", None]), (["05", "7"], [5, 7])],
)
def test_what_other_programs_write_has_not_moved(context, then, now):
    place = np.arange(ROWS) % 2
    moved = [context.assign(lamp=np.array(cells, dtype=object)[place]) for cells in (then, now)]
    tests = found(*moved)
    assert ("lamp", "new levels") not in tests
    assert min(p for (column, _), (p, _) in tests.items() if column == "lamp") > 0.1


def test_many_levels_are_compared_as_far_as_they_are_common(context):
    names = [f"level {i % 100:02}" for i in range(ROWS)]
    many = context.assign(colour=names)
    p, told = found(many, many.assign(colour="level 00"))["colour", "levels"]
    assert p < 1e-4
    assert told.effect > 0.9


def test_a_column_of_gaps_alone_is_tested_for_gaps_alone(context):
    tests = found(context, context.assign(length=np.nan))
    assert ("length", "values") not in tests
    assert tests["length", "missing"][0] < 1e-4


@pytest.mark.parametrize("factor", [1000.0, 0.001, 2.54, 1 / 2.54, 60.0, 5.0])
def test_factor_of_a_unit(factor):
    old, new = np.random.default_rng(0).gamma(3.0, size=(2, 4000))
    assert unit_factor(old, factor * new) == pytest.approx(factor, rel=0.05 if factor == 5 else 0)


@pytest.mark.parametrize(
    "change",
    [lambda v: v, lambda v: v + 3, lambda v: 10 + v / 9, lambda v: 1.3 * v, lambda v: -10 * v],
)
def test_no_factor(change):
    old, new = np.random.default_rng(0).gamma(3.0, size=(2, 600))
    assert unit_factor(old, change(new)) is None
    assert unit_factor(np.zeros(10), np.zeros(10)) is None


def test_a_shift_far_from_zero_is_no_factor():
    assert unit_factor(np.linspace(10, 11, 50), np.linspace(40, 41, 50)) is None


def test_one_long_text_among_levels_costs_its_own_length(context):
    window = context.sample(200, random_state=0).reset_index(drop=True)
    window.loc[:9, "colour"] = "x" * 100_000
    tracemalloc.start()
    _, change = found(context, window)["colour", "new levels"]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20e6  # 600 times the text take 240 MB
    assert len(change.detail) < 200


def test_many_levels_all_of_which_are_new_will_be_new_again(context):
    def lots(first):
        return context.assign(lot=[f"L{first + i // 5}" for i in range(ROWS)])

    _, change = found(lots(0), lots(500))["lot", "new levels"]
    assert change.renewed
    _, change = found(lots(0), lots(40))["lot", "new levels"]  # half of them
    assert not change.renewed
    _, change = found(context, context.assign(colour="green"))["colour", "new levels"]
    assert not change.renewed
