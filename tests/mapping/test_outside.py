"""Values outside of all that a column has held."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oddshot import FewShotDetector
from oddshot.mapping.encoding import encoder
from oddshot.mapping.encoding.encoder import MOST_CONSTANTS, Encoder
from oddshot.mapping.outside import LEAST_ROWS, Outside
from oddshot.mapping.row_places import RowPlaces
from small_priors import untrained_prior


def fitted(rows, unseen=None):
    return Outside().fit(rows, RowPlaces(rows), unseen or {})


def slow_decades(typical, row):
    """One row, cell by cell, as the docstring of `Outside` says it."""
    rows, tails, best = len(typical), 0, -math.inf
    for column in range(typical.shape[1]):
        for sign in (1, -1):
            values = sorted(sign * typical[:, column])
            if values[0] == values[-1]:
                continue
            tails += 1
            value = sign * row[column]
            if value <= values[-1]:
                best = max(best, 0.0)
                continue
            count = min(int(rows**0.7), rows // 3)
            threshold = values[-count - 1]
            excesses = [v - threshold for v in values[-count:]]
            mean = sum(excesses) / count
            weights = [(count - 1 - i) / (count - 1) for i in range(count)]
            weighted = sum(e * w for e, w in zip(excesses, weights, strict=True)) / count
            shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else 0.0
            scale = max(mean * (1 - min(max(shape, 0), 0.9)), 0.01 * (values[-1] - values[0]))
            shape = min(max(shape + (1 + max(shape, 0)) / math.sqrt(count), 0.25), 3)
            chance = count / rows * (1 + shape * (value - threshold) / scale) ** (-1 / shape)
            best = max(best, -math.log10(chance))
    found = best - math.log10(tails)
    return 0.0 if found < 2 else min(found, 6.0)


def test_a_row_in_the_place_of_another_is_compared_with_all_but_that_one():
    rows = np.random.default_rng(0).normal(size=(300, 3))
    rows[4, 1], rows[5, 1] = 40.0, 30.0  # the highest, and the next
    outside, without = fitted(rows), fitted(np.delete(rows, 4, axis=0))
    np.testing.assert_array_equal(outside.decades(rows, rows), outside.decades(rows))
    changed = rows[[4, 4, 5]]
    changed[:, 1] = [35.0, 20.0, 35.0]
    found = outside.decades(changed, rows[[4, 4, 5]])
    np.testing.assert_allclose(found[:2], without.decades(changed[:2]), atol=0.05)
    assert found[0] > 2
    assert not found[1:].any()


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "exponential"])
def test_it_is_what_a_slow_loop_finds(draw):
    rng = np.random.default_rng(0)
    typical = getattr(rng, draw)(size=(150, 3))
    new = getattr(rng, draw)(size=(80, 3))
    new[np.arange(80), rng.integers(3, size=80)] *= rng.choice([-40, 1, 9, 300, 1e5], size=80)
    expected = [slow_decades(typical, row) for row in new]
    assert sum(e > 0 for e in expected) > 10
    np.testing.assert_allclose(fitted(typical).decades(new), expected, atol=1e-9)


def test_a_typical_row_is_compared_with_all_but_itself():
    typical = np.random.default_rng(1).standard_t(3, size=(300, 6))
    typical[0, 2], typical[1, 4] = 300, -900
    found = fitted(typical).decades(typical)
    assert (found[:2] > 0).all()
    for place, row in enumerate(typical):
        alone = fitted(np.delete(typical, place, axis=0)).decades(row[None])
        assert found[place] == pytest.approx(alone[0], abs=1e-12)


@pytest.mark.parametrize("width", [2, 30])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, size: rng.normal(size=size),
        lambda rng, size: rng.random(size),
        lambda rng, size: rng.lognormal(0, 1.5, size),
        lambda rng, size: rng.standard_t(3, size),
        lambda rng, size: rng.poisson(3, size).astype(float),
        lambda rng, size: rng.normal(size=size).round(1),
    ],
    ids=["normal", "uniform", "lognormal", "t", "poisson", "rounded"],
)
def test_new_rows_of_the_same_kind_are_rarely_outside(draw, width):
    rng = np.random.default_rng(2)
    shares = [
        (fitted(draw(rng, (500, width))).decades(draw(rng, (500, width))) > 0).mean()
        for _ in range(8)
    ]
    assert np.mean(shares) < 0.02  # 0.01 is promised, for tails that are as they look


def test_what_is_not_outside_has_none():
    rows = np.random.default_rng(3).normal(size=(100, 4))
    rows[:, 3] = 7
    outside = fitted(rows)
    low, high = rows.min(axis=0), rows.max(axis=0)
    assert not outside.decades(np.array([low, high, (low + high) / 2])).any()
    constant = np.array([[0.0, 0.0, 0.0, 8.0]])
    assert not outside.decades(constant).any()  # nothing is known of how it varies
    assert fitted(rows[: LEAST_ROWS - 1]).decades(1e9 * rows[:3]).tolist() == [0, 0, 0]
    assert outside.decades(rows[:0]).shape == (0,)


def test_both_sides_count_and_units_do_not():
    rows = np.random.default_rng(4).lognormal(size=(400, 3))
    new = np.array([[50.0, 1, 1], [-10.0, 1, 1], [1e6, 1, 1]])
    found = fitted(rows).decades(new)
    assert (found >= 2).all()
    assert found[0] < found[2] == 6
    units = [1e-9, 3.0, 1e12]
    np.testing.assert_allclose(fitted(rows * units).decades(new * units), found, atol=1e-9)
    np.testing.assert_allclose(fitted(-rows).decades(-new), found, atol=1e-9)


def test_values_that_no_row_can_have():
    rows = np.random.default_rng(5).normal(size=(50, 2))
    outside = fitted(rows, {0: (99.0, 2.5), 1: (98.0, 1.0)})
    inside = rows.mean(axis=0)
    assert outside.decades(np.array([[99.0, inside[1]], inside]))[1] == 0
    assert outside.decades(np.array([[99.0, inside[1]]]))[0] >= 2.5 - np.log10(2)


@settings(max_examples=100)
@given(
    arrays(float, (25, 3), elements=st.floats(-1e100, 1e100)),
    arrays(float, (4, 3), elements=st.floats(-1e100, 1e100)),
)
def test_any_numbers(rows, new):
    found = fitted(rows).decades(np.concatenate([new, rows]))
    assert (((found >= 2) & (found <= 6)) | (found == 0)).all()


# As a detector shows it


@pytest.fixture(scope="module")
def detector():
    rng = np.random.default_rng(6)
    rows = pd.DataFrame(rng.normal(size=(600, 40))).rename(columns="c{}".format)
    rows["shop"] = rng.choice(["north", "south"], 600)
    return FewShotDetector(prior=untrained_prior()).fit(rows), rows


@pytest.mark.parametrize("change", [{"c7": 1e12}, {"c7": -60.0}, {"c7": None}, {"shop": "moon"}])
def test_one_absurd_cell_of_many_is_flagged_and_named(detector, change):
    fit, rows = detector
    new = rows.iloc[:20].assign(c0=lambda r: r["c0"] / 2)
    before, after = fit.anomaly_score(new), fit.anomaly_score(new.assign(**change))
    assert (before > fit.threshold_).mean() < 0.5
    assert (after >= 2).all()
    assert (after > fit.threshold_).all()
    (name,) = change
    told = fit.explain(new.assign(**change).iloc[:3], changes=False)
    assert all(row.top(1)[0][0] == name for row in told)


def test_chance_of_a_new_level_is_the_share_of_those_that_came_once():
    column = ["a"] * 6 + ["b"] * 3 + ["c"]
    encoder = Encoder().fit(pd.DataFrame({"x": column, "n": range(10)}))
    new = encoder.transform(pd.DataFrame({"x": ["d"], "n": [3]}))
    ((at, (value, decades)),) = encoder.never_seen().items()
    assert new[0, at] == value
    assert decades == pytest.approx(-np.log10(1.5 / 10))


def test_columns_that_stand_aside_have_no_tails():
    rows = np.random.default_rng(0).normal(size=(200, 3))
    outside = Outside().fit(rows, RowPlaces(rows), {2: (1.0, 2.5)}, aside=1)
    new = np.array([[0.0, 0.0, 50.0], [0.0, 0.0, 1.0], [50.0, 0.0, 0.0]])
    alone = Outside().fit(rows[:, :2], RowPlaces(rows[:, :2])).decades(new[:, :2])
    np.testing.assert_allclose(outside.decades(new), [0.0, 2.5, alone[2]])


# Columns that were constant

OFTEN = pd.DataFrame(
    {
        "volts": np.random.default_rng(0).normal(size=400),
        "alarm": 0,
        "state": "fine",
        "ready": True,
        "limit": ["$1,500.00"] * 400,
    }
)


@pytest.mark.parametrize(
    ("column", "value"),
    [("alarm", 1), ("alarm", np.nan), ("alarm", "x"), ("state", "burnt"), ("state", None),
     ("ready", False), ("limit", "$1,600.00")],
)  # fmt: skip
def test_a_row_that_breaks_a_constant_is_flagged_and_the_reason_is_named(column, value):
    detector = FewShotDetector(prior=untrained_prior()).fit(OFTEN)
    row = OFTEN.iloc[:1].copy()
    row["volts"] += 1e-3
    assert detector.predict(row).tolist() == [1]
    row = row.astype({column: object})
    row.loc[0, column] = value
    assert detector.predict(row).tolist() == [-1]
    found = detector.explain(row)[0]
    assert found.top(1)[0][0] == column
    assert found.contributions.sum() == pytest.approx(found.score - found.baseline)
    assert found.typical.values[column] == OFTEN[column][0]


def test_what_a_person_calls_normal_is_watched_no_more():
    rows = OFTEN[["volts", "alarm", "state"]].assign(shop=[f"s{i % 20}" for i in range(400)])
    detector = FewShotDetector(prior=untrained_prior()).fit(rows)
    changed = rows[:12].assign(volts=rows["volts"] + 1e-3).astype({"alarm": object})
    changed.loc[:5, "alarm"], changed.loc[6:, "shop"] = 1, "never seen"
    changed.loc[0, "state"] = "burnt"
    assert (detector.predict(changed) == -1).all()
    ranking = detector.rank(changed)
    ranking.add_labels([1, 6, 7, 8, 9], [0] * 5)
    told = ranking.detector.predict(changed)
    assert told[[0, 2, 3, 4, 5]].tolist() == [-1, 1, 1, 1, 1]  # one state is new still
    fitted = ranking.detector._fitted
    assert not fitted._judge._raising._outside.decades(fitted.arranged(changed[6:])).any()


@pytest.mark.parametrize(
    ("constant", "other", "differs"),
    [(4500001, 4500002, True), (20240101, 20240102, True), (1e-15, 5e-13, True), (0, 1e-15, False),
     (0.1 + 0.2, 0.3, False), (5, 5.0000001, False), (1e300, 1.0000001e300, False)],
)  # fmt: skip
def test_whole_numbers_are_exact_and_others_nearly(constant, other, differs):
    rows = np.column_stack([np.arange(30.0), np.full(30, constant)])
    encoder = Encoder().fit(rows)
    encoded = encoder.transform(np.array([[3.0, other]]), aside=True)
    assert encoded[0, 1] == differs


def test_a_constant_written_in_another_way_is_the_same(tmp_path):
    detector = FewShotDetector(prior=untrained_prior()).fit(OFTEN)
    detector.save(tmp_path / "saved")
    row = OFTEN.iloc[:1].assign(volts=0.5)
    alike = row.astype(object).assign(alarm="0.0", state=" fine", ready="true", limit=1500.0)
    fewer = row[["volts"]]
    for fitted in (detector, FewShotDetector.load(tmp_path / "saved")):
        scores = [fitted.anomaly_score(given) for given in (row, alike, fewer)]
        assert scores[0] == scores[1] == scores[2]


def test_a_constant_is_as_sure_as_other_columns_were():
    """As many columns as changed in one row of those given to fit, so often a constant changes."""
    rows = np.zeros((100, 6))
    rows[:, 0] = np.arange(100)
    rows[0, 1], rows[5, 2], rows[9, 3] = 1, 2, np.nan
    encoder = Encoder().fit(rows)
    decades = [told for _, told in encoder.never_seen().values()]
    np.testing.assert_allclose(decades, -np.log10(3.5 / 100))
    assert encoder.aside_names_ == [("4", "changed"), ("5", "changed")]


@pytest.mark.parametrize("sparse", [True, False])
def test_matrices_have_constants_too(sparse):
    rows = np.column_stack([np.arange(50.0), np.zeros(50), np.full(50, 0.1)])
    encoder = Encoder().fit(sp.csr_array(rows) if sparse else rows)
    new = np.array([[3.0, 0.0, 0.1 + 1e-9], [3.0, 2.0, 0.1], [3.0, np.nan, 0.2]])
    encoded = encoder.transform(sp.csr_array(new) if sparse else new, aside=True)
    np.testing.assert_array_equal(encoded[:, 1:], [[0, 0], [1, 0], [1, 1]])
    assert encoder.transform(new).shape == (3, 1)


@pytest.mark.parametrize("name", ["month", "Year", "booking_date", "startTime"])
def test_time_goes_on(name):
    rows = OFTEN[["volts"]].assign(**{name: 3, "site": "Ulm"})
    assert Encoder().fit(rows).aside_names_ == [("site", "changed")]


def test_constants_are_watched_if_they_are_64_or_have_few_cells(monkeypatch):
    rows = np.ones((50, 1 + MOST_CONSTANTS))
    assert len(Encoder().fit(np.column_stack([np.arange(50.0), rows])).aside_names_) == 65
    monkeypatch.setattr(encoder, "CONSTANT_CELLS", 50 * MOST_CONSTANTS)
    assert not Encoder().fit(np.column_stack([np.arange(50.0), rows])).aside_names_
    assert len(Encoder().fit(np.column_stack([np.arange(50.0), rows[:, 1:]])).aside_names_) == 64


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_a_template_that_never_came_is_odd_among_hundreds_of_them(kind):
    rng = np.random.default_rng(0)
    counts = np.zeros((600, 230))
    counts[:, :30] = rng.poisson(rng.gamma(2, 2, 30), (600, 30))
    counts[599, 100] = 5
    detector = FewShotDetector(random_state=0).fit(kind(counts[:500]))
    scores = detector.anomaly_score(kind(counts[500:]))
    assert scores[-1] > max(detector.threshold_, scores[:-1].max())
    assert (scores[:-1] > detector.threshold_).mean() < 0.1


def test_words_that_come_once_make_a_new_word_no_surprise():
    rng = np.random.default_rng(0)
    words = np.zeros((400, 600))
    words[np.arange(400), np.arange(400)] = 1  # each row has a word of its own
    words[:, :3] += rng.poisson(3, (400, 3))
    new = np.zeros((100, 600))
    new[:, :3] = rng.poisson(3, (100, 3))
    new[np.arange(100), 400 + np.arange(100)] = 1
    detector = FewShotDetector(random_state=0).fit(words)
    assert (detector.anomaly_score(new) > detector.threshold_).mean() < 0.5
