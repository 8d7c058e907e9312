"""What follows the others is told from what only wanders beside them, and told apart by reading."""

import numpy as np
import pytest

from oddshot.mapping.relations import (
    ENOUGH_A_COLUMN,
    FEW_LEVELS,
    FEWEST_READINGS,
    MOST_COLUMNS,
    Relations,
)


def bound(rng, count=1000, noise=0.1):
    """Power that follows flow, and a column beside them."""
    flow = rng.normal(size=count)
    return {
        "flow": flow,
        "power": 5 + 3 * flow + noise * rng.normal(size=count),
        "other": rng.normal(size=count),
    }


def following(numbers):
    relations = Relations.fit(numbers)
    if relations is None:
        return set()
    return {name for name, yes in zip(relations.columns, relations.follows, strict=True) if yes}


def test_residuals_are_those_of_least_squares():
    numbers = bound(np.random.default_rng(0), noise=0.3)
    off = Relations.fit(numbers).off(numbers)["power"]
    known = np.column_stack([np.ones(1000), numbers["flow"], numbers["other"]])
    slopes = np.linalg.lstsq(known, numbers["power"], rcond=None)[0]
    left = numbers["power"] - known @ slopes
    assert np.abs(off - left).max() < 0.1 * left.std()


def test_columns_that_follow_are_told_from_those_that_do_not():
    assert following(bound(np.random.default_rng(0))) == {"flow", "power"}
    assert not following(bound(np.random.default_rng(0), noise=5.0))


def test_a_sum_of_others_is_followed_though_none_of_them_follows():
    rng = np.random.default_rng(0)
    parts = {f"part{place}": rng.normal(size=2000) for place in range(6)}
    total = np.sum([*parts.values()], axis=0) + rng.normal(size=2000)
    assert following({**parts, "total": total}) == {"total"}


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_wander_by_themselves_do_not_follow(seed):
    steps = np.random.default_rng(seed).normal(size=(4, 1000))
    assert not following(dict(zip("abcd", steps.cumsum(axis=1), strict=True)))


def test_columns_that_wander_together_follow():
    rng = np.random.default_rng(0)
    level = rng.normal(size=1000).cumsum()
    first, second = level + rng.normal(size=(2, 1000))
    assert following({"a": first, "b": second}) == {"a", "b"}


def test_a_relation_that_breaks_for_a_while_is_learned_all_the_same():
    numbers = bound(np.random.default_rng(0))
    numbers["power"][300:360] = 5.0
    off = np.abs(Relations.fit(numbers).off(numbers)["power"])
    assert np.median(off[300:360]) > 10 * np.median(off[:300])
    numbers["power"][:] = np.random.default_rng(1).permutation(numbers["power"])
    assert not following(numbers)


def test_a_relation_that_holds_in_half_of_the_series_is_none():
    numbers = bound(np.random.default_rng(0))
    numbers["power"][500:] = 5 + 3 * np.random.default_rng(1).normal(size=500)
    assert not following(numbers)


def test_what_comes_of_a_reading_is_the_same_among_others_to_the_last_digit():
    numbers = bound(np.random.default_rng(0))
    relations = Relations.fit(numbers)
    whole = relations.off(numbers)
    for part in (slice(0, 1), slice(3, 500), slice(997, 1000)):
        some = relations.off({name: values[part] for name, values in numbers.items()})
        for name, values in some.items():
            assert (values == whole[name][part]).all()


def test_units_and_offsets_only_scale_what_is_off():
    numbers = bound(np.random.default_rng(0))
    scaled = {**numbers, "power": numbers["power"] * 1e6 + 1e7, "flow": -numbers["flow"]}
    off, other = (Relations.fit(n).off(n) for n in (numbers, scaled))
    np.testing.assert_allclose(off["power"] * 1e6, other["power"], atol=1e-3)
    np.testing.assert_allclose(off["flow"], -other["flow"], atol=1e-9)


def test_gaps_hide_what_they_would_tell_and_no_more():
    numbers = bound(np.random.default_rng(0))
    relations = Relations.fit(numbers)
    whole = relations.off(numbers)
    gaps = {name: values.copy() for name, values in numbers.items()}
    gaps["flow"][3] = gaps["power"][5] = gaps["other"][7] = np.nan
    off = relations.off(gaps)
    for name in ("flow", "power"):
        assert np.flatnonzero(np.isnan(off[name])).tolist() == [3, 5]
        assert abs(off[name][7] - whole[name][7]) < 0.1


def test_a_quarter_of_gaps_are_too_many_and_a_tenth_are_not():
    numbers = bound(np.random.default_rng(0))
    numbers["power"][::10] = np.nan
    assert following(numbers) == {"flow", "power"}
    numbers["power"][::4] = np.nan
    assert not following(numbers)


def test_few_readings_few_values_and_many_columns_tell_of_no_relation():
    rng = np.random.default_rng(0)
    assert following(bound(rng, FEWEST_READINGS))
    assert not following(bound(rng, FEWEST_READINGS - 1))
    steps = rng.integers(FEW_LEVELS, size=500).astype(float)
    assert not following({"a": steps, "b": steps * 2})
    assert not following({"a": rng.normal(size=500)})
    assert not following({})
    level = rng.normal(size=(ENOUGH_A_COLUMN * MOST_COLUMNS, 1))
    wide = level + 0.1 * rng.normal(size=(len(level), MOST_COLUMNS + 1))
    assert not following({str(place): column for place, column in enumerate(wide.T)})
    assert following({str(place): column for place, column in enumerate(wide.T[:-1])})


def test_a_copy_in_another_unit_and_cells_far_out_raise_nothing():
    numbers = bound(np.random.default_rng(0))
    numbers["copy"] = numbers["flow"] * 1.8 + 32
    numbers["power"][10] = 1e300
    relations = Relations.fit(numbers)
    assert {"flow", "copy", "power"} == following(numbers)
    with np.errstate(all="raise"):
        off = relations.off({**numbers, "copy": np.full(1000, -1e308)})
    assert all(np.isfinite(values).all() for values in off.values())


def test_what_was_learned_is_restored():
    numbers = bound(np.random.default_rng(0))
    relations = Relations.fit(numbers)
    again = Relations.from_state(relations.columns, relations.state())
    for name, values in relations.off(numbers).items():
        assert (again.off(numbers)[name] == values).all()
