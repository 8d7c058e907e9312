"""Combinations of levels that were never seen."""

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot import FewShotDetector
from oddshot.mapping.combinations import Combinations
from small_priors import untrained_prior


def slow_decades(levels, known, copies, row, *, own):
    """One row, pair by pair, as the docstring of `Combinations` says it."""
    rows, pairs, best = sum(copies), [*combinations(range(len(known)), 2)], 0.0
    for one, other in pairs:
        counts = Counter()
        for at, times in zip(levels, copies, strict=True):
            if at[one] < known[one] and at[other] < known[other]:
                counts[at[one], at[other]] += times
        seen = row[one] < known[one] and row[other] < known[other]
        met = counts[row[one], row[other]]
        alone = sum(count == 1 for count in counts.values())
        if own:
            chance = (alone - 1 + 0.5) / (rows - 1) if met == 1 and seen else 1.0
        else:
            chance = (alone + 0.5) / rows if met == 0 and seen else 1.0
        if chance < 1:
            best = max(best, -np.log10(chance) - np.log10(len(pairs)))
    return best if best >= 1.3 else 0.0


@given(st.integers(0, 10**6))
def test_it_is_what_a_slow_loop_finds(seed):
    rng = np.random.default_rng(seed)
    known = np.array([3, 4, 2])
    base = rng.integers(known, size=(12, 3))
    levels = base[rng.integers(12, size=60)]
    levels[:3] = rng.integers(known, size=(3, 3))
    levels[3:5] = rng.integers(known + 1, size=(2, 3))  # known to be normal, of other levels
    copies = rng.integers(1, 12, size=60)
    new = rng.integers(known + 1, size=(20, 3))
    met = Combinations().fit(levels, known, copies.astype(float))
    for rows, own in ((new, False), (levels, True)):
        expected = [slow_decades(levels, known, copies, row, own=own) for row in rows.tolist()]
        found = met.decades(rows, np.full(len(rows), own))
        np.testing.assert_allclose(found, expected, atol=1e-12)


@given(st.integers(0, 10**6))
def test_some_rows_without_which_others_are_left_are_as_new_ones(seed):
    rng = np.random.default_rng(seed)
    known = np.array([3, 4, 2])
    levels = rng.integers(known, size=(12, 3))[rng.integers(12, size=60)]
    part = rng.permutation(60)[:25]
    met = Combinations().fit(levels, known, np.ones(60))
    rest = np.delete(levels, part, axis=0)
    expected = []
    for row in levels[part]:
        surprise = 0.0
        for one, other, *_, new, _ in met.pairs:
            held = [rest[:, at] == row[at] for at in (one, other)]
            if held[0].any() and held[1].any() and not (held[0] & held[1]).any():
                surprise = max(surprise, new)
        expected.append(surprise if surprise >= 1.3 else 0.0)
    np.testing.assert_array_equal(met.decades_without(levels, part), expected)


def test_a_row_in_the_place_of_another_is_compared_with_all_but_that_one():
    shop = np.random.default_rng(0).integers(20, size=500)
    levels = np.column_stack([shop, shop % 4])
    levels[7] = [0, 1]  # the only one
    met = Combinations().fit(levels, np.array([20, 4]), np.ones(500))
    changed, own = np.array([[0, 1], [0, 0], [1, 0]]), np.ones(3, dtype=bool)
    found = met.decades(changed, own, levels[[7, 7, 7]])
    assert (found > 2).tolist() == [True, False, True]
    assert not met.decades(levels[[7]], own[:1], levels[[8]]).any()  # beside the one it equals


@pytest.mark.parametrize("columns", [0, 1])
def test_fewer_than_two_columns_have_none(columns):
    levels = np.zeros((500, columns), dtype=np.intp)
    met = Combinations().fit(levels, np.full(columns, 2), np.ones(500))
    assert not met.pairs
    assert not met.decades(levels, np.ones(500, dtype=bool)).any()
    assert not met.decades_without(levels, np.arange(100)).any()


def test_where_new_combinations_are_usual_they_are_not_odd():
    levels = np.random.default_rng(0).integers(100, size=(1000, 2))
    assert not Combinations().fit(levels, np.array([100, 100]), np.ones(1000)).pairs


def chains(rows, levels, seed):
    """Shops of which each is of one chain."""
    rng = np.random.default_rng(seed)
    shop = rng.integers(levels, size=rows)
    table = pd.DataFrame(rng.normal(size=(rows, 3)), columns=[*"abc"])
    return table.assign(
        shop=[f"s{number}" for number in shop],
        chain=[f"c{number % (levels // 4)}" for number in shop],
    )


@pytest.mark.parametrize("levels", [8, 60])
def test_two_levels_that_never_met_are_flagged_and_named(levels, tmp_path):
    detector = FewShotDetector(prior=untrained_prior()).fit(chains(900, levels, 0))
    new = chains(200, levels, 1)
    assert (detector.predict(new) == -1).mean() < 0.15
    swapped = new.assign(chain=[f"c{(int(c[1:]) + 1) % (levels // 4)}" for c in new["chain"]])
    assert (detector.predict(swapped) == -1).all()
    found = detector.explain(swapped[:1])[0]
    assert {column for column, *_ in found.top(2)} == {"shop", "chain"}
    detector.save(tmp_path / "saved")
    again = FewShotDetector.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.anomaly_score(swapped), detector.anomaly_score(swapped))


def test_a_row_given_to_fit_is_compared_with_all_others():
    rows = chains(900, 60, 0)
    rows.loc[5, "chain"] = "c1" if rows.loc[5, "chain"] != "c1" else "c2"
    detector = FewShotDetector(prior=untrained_prior()).fit(rows)
    assert detector.anomaly_score(rows[5:6])[0] > 2
