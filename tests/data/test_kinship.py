"""Tables that share rows are found, whatever their columns are called, and others are not."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.data.kinship import Print, kin_of, ties_of
from oddshot.meta_training import table_sources

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[3] / "shared/data"))


def kin(tables, excluded, families=None):
    """Tables (name to rows) that are kin to the excluded ones, by their names."""
    names = list(tables)
    rows = list(tables.values())
    families = families or names
    return kin_of(ties_of(families, [Print.of(r) for r in rows], rows.__getitem__), excluded)


@pytest.fixture
def rows(rng):
    return rng.normal(size=(300, 6))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_copy_without_names_in_another_order_is_kin(rows, rng):
    part = rows[rng.permutation(300)[:100]][:, rng.permutation(6)]
    named = pd.DataFrame(part.astype(np.float32), columns=list("abcdef"))
    other = rng.normal(size=(300, 6))
    assert kin({"whole": rows, "copy": named, "other": other}, {"whole"}) == {"copy"}
    assert kin({"whole": rows, "copy": named, "other": other}, {"other"}) == set()


def test_kin_of_kin_is_kin(rows, rng):
    between = np.concatenate([rows[:100], rng.normal(size=(100, 6))])
    far = np.concatenate([between[100:], rng.normal(size=(100, 6))])
    assert kin({"one": rows, "two": between, "three": far}, {"one"}) == {"two", "three"}


def test_a_column_less_or_more_is_seen_by_names(rows, rng):
    whole = pd.DataFrame(rows, columns=list("abcdef"))
    fewer = whole.loc[:30, list("fedca")]
    more = whole.assign(g=rng.normal(size=300))
    tables = {"whole": whole, "fewer": fewer, "more": more}
    assert kin(tables, {"whole"}) == {"fewer", "more"}
    strangers = {
        "whole": whole,
        "other": pd.DataFrame(rng.normal(size=(300, 5)), columns=[*"abcde"]),
    }
    assert kin(strangers, {"whole"}) == set()


def test_names_may_be_spelt_otherwise(rows, rng):
    names = ["Order Date", "SubTotal", "unit_price", "Qty", "Ship.Mode", "Tax%"]
    whole = pd.DataFrame(rows, columns=names)
    other = ["order_date", "sub total", "UnitPrice", "qty", "ship_mode", "tax"]
    fewer = pd.DataFrame(rows[:30, :5], columns=other[:5])
    assert kin({"whole": whole, "fewer": fewer}, {"whole"}) == {"fewer"}
    twice = fewer.set_axis(["a b", "a_b", "A.B", "", "%"], axis=1)  # tells no column
    assert (
        kin({"whole": whole.set_axis(["ab", *"cdefg"], axis=1), "twice": twice}, {"twice"}) == set()
    )


def test_a_few_rows_in_common_are_chance(rows, rng):
    few = np.concatenate([rows[:60], rng.normal(size=(240, 6))])
    enough = np.concatenate([rows[:80], rng.normal(size=(220, 6))])
    assert kin({"one": rows, "few": few, "enough": enough}, {"one"}) == {"enough"}
    small = rows[:19]
    assert kin({"one": rows, "small": small}, {"one"}) == set()


def test_rows_of_few_values_tell_nothing():
    counts = np.random.default_rng(1).integers(0, 3, size=(200, 6)).astype(float)
    assert len(Print.of(counts).codes) == 0
    assert kin({"one": counts, "other": counts.copy()}, {"one"}) == set()


def test_text_gaps_and_minus_zero():
    frame = pd.DataFrame(
        {
            "a": [f"x{i}" for i in range(40)],
            "b": [None, "y"] * 20,
            "c": np.arange(40.0) - 20,
            "d": [np.nan, -0.0] * 20,
        }
    )
    other = frame.assign(d=frame["d"] + 0.0).iloc[::-1]
    assert kin({"one": frame, "other": other}, {"one"}) == {"other"}


def test_a_family_is_excluded_as_a_whole(rows, rng):
    tables = {"one": rows, "copy": rows[:200], "sibling": rng.normal(size=(50, 3))}
    families = ["f", "g", "g"]
    assert kin(tables, {"f"}, families) == {"g"}
    assert kin(tables, {"f", "g"}, families) == set()


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 60))
def test_prints_do_not_depend_on_order(seed, width, count):
    generator = np.random.default_rng(seed)
    rows = generator.integers(-3, 4, size=(count, width)).astype(float)
    shuffled = rows[generator.permutation(count)][:, generator.permutation(width)]
    assert np.array_equal(Print.of(rows).codes, Print.of(shuffled).codes)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no collections of tables in {DATA}")
def test_the_collections_hold_what_is_known():
    sources = table_sources([DATA / name for name in ("adbench/classical", "ovrbench")])
    prints = [Print.of(source.load().rows) for source in sources]
    classical = {s.family for s in sources if s.collection == "classical"}
    families = [source.family for source in sources]
    found = kin_of(ties_of(families, prints, lambda number: sources[number].load().rows), classical)
    names = {source.name for source in sources if source.family in found}
    assert names == {"batch-3761_part-4_i1787", "batch-3727_part-1_i2157"}  # page blocks, wilt
