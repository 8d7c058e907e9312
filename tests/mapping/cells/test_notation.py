import datetime
import decimal
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddshot.mapping.cells.notation import (
    Notation,
    count_bounds,
    find_notation,
    what_more,
)
from oddshot.mapping.cells.reading import read_numbers


def european(value):
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.5", 1.5),
        ("-2e3", -2000.0),
        ("$1,100.50", 1100.5),
        ("(3,000)", -3000.0),
        ("$(102.29)", -102.29),
        ("\u20ac (3,000)", -3000.0),
        ("$-", 0.0),
        ("- \u20ac", 0.0),
        ("8.1 %", 0.081),
        ("$-5.00", -5.0),
        ("-$5.00", -5.0),
        ("EUR 12.50", 12.5),
        ("12.50 EUR", 12.5),
        ("1'250", 1250.0),
        ("12:00", 0.5),
        ("06:00:36.0", 0.250416666),
        ("2 days 12:00:00", 2.5),
        ("-1 days +22:00:00", -2 / 24),
        ("-02:00", -2 / 24),
        ("1\N{THIN SPACE}250", 1250.0),
        ("12:30 AM", 0.5 / 24),
        ("1:30:36 p.m.", 13.51 / 24),
    ],
)
def test_numbers_are_read_as_people_write_them(text, number):
    assert find_notation([text]) == Notation()
    np.testing.assert_allclose(Notation().read([text]), [number])


@pytest.mark.parametrize(
    "text",
    ["--5", "-$-5", "$", "30 00", "1,000,00x", "5-6", "kg 5", "(5", "$(5", "($(5))", "-$(5)"],
)
def test_what_only_looks_like_a_number_is_none(text):
    assert find_notation([text, "5"]) is None


def test_decimal_commas_with_points_between_thousands():
    values = [0.125, 12.5, 1234.56, 9_999_999.0]
    notation = find_notation([european(v) for v in values])
    assert notation == Notation(comma=True)
    np.testing.assert_allclose(notation.read([european(v) for v in values]), values, atol=0.01)
    np.testing.assert_allclose(notation.read(["6.257", "-1,5", "€ 3,00"]), [6257.0, -1.5, 3.0])
    assert notation.read(["1.2"]) is None


def test_no_group_of_thousands_follows_a_zero():
    assert find_notation(["0,125", "0,250"]) == Notation(comma=True)
    assert find_notation(["1,125", "2,250"]) == Notation()  # as well thousands: these go first


def test_a_few_words_among_many_numbers_are_gaps_and_no_others():
    texts = [*map(str, range(100)), "ERR", "off"]
    notation = find_notation(texts)
    assert notation == Notation(words=("ERR", "off"))
    assert notation.told == "'ERR', 'off'"
    read = notation.read(texts)
    assert read[:100].tolist() == [*range(100)]
    assert np.isnan(read[100:]).all()
    assert notation.read(["broken"]) is None


PRICES = [f"{n / 7:.2f}" for n in range(7, 207)]


@pytest.mark.parametrize(
    "stray",
    ["12O.50", "12.50 (corrected)", "~500", "12..50", "12,50", "x7", "12O", "2023-01-01"],
)
def test_a_malformed_number_among_many_is_a_gap(stray):
    notation = find_notation([*PRICES, stray])
    assert notation == Notation(words=(stray,))
    assert np.isnan(notation.read([*PRICES, stray])).tolist() == [False] * 200 + [True]
    assert notation.read(["13O.50"]) is None


def test_codes_are_told_from_malformed_numbers_by_the_share_of_cells():
    values = [*PRICES, "A12"]
    counts = np.ones(201, dtype=np.intp)
    assert find_notation(values, counts).words == ("A12",)
    counts[-1] = 5  # of 205
    assert find_notation(values, counts) is None
    counts[:-1] = 2
    assert find_notation(values, counts).words == ("A12",)
    assert find_notation([*map(str, range(40)), "x7"]) is None  # one cell in 41
    assert find_notation([*map(str, range(18)), "x7"], np.full(19, 1)) is None


def test_a_unit_written_otherwise_is_a_stray():
    weights = [f"{n / 8} kg" for n in range(100)]
    found = find_notation([*weights, "7 kgs"])
    assert found == Notation(words=("7 kgs",), units=(("kg", 1.0),))


def grouped(value):
    return f"{value:,}".replace(",", ".")


AMOUNTS = [345, 12, 7, 999, 80, 1234, 900_000, 5678, 4321, 77_123]


@pytest.mark.parametrize("unit", ["", " €", " kg"])
def test_points_that_can_only_stand_between_thousands(unit):
    texts = [f"{grouped(amount)}{unit}" for amount in AMOUNTS]
    notation = find_notation([*texts, "n/a"])
    assert notation.comma
    np.testing.assert_array_equal(notation.read(texts), AMOUNTS)
    assert notation.read(["-900.000"]) == [-900_000.0]
    assert notation.read(["1.5"]) is None  # then one of both is not what it was thought to be


@pytest.mark.parametrize(
    ("texts", "comma"),
    [
        (["345", "1.234", "9.000.000"], True),
        (["345", "1.234", "900.000"], False),  # too few to tell
        ([*map(grouped, AMOUNTS), "0.500"], False),
        ([*map(grouped, AMOUNTS), "12.5"], False),
        ([*map(grouped, AMOUNTS), "1234"], False),
        ([f"{1 + n / 7:.3f}" for n in range(300)], False),
        (["0", *(f"{1 + n / 7:.3f}" for n in range(300))], False),
        ([grouped(amount) for amount in range(900, 960)], False),
        ([grouped(amount) for amount in range(900, 1100, 3)], True),
        ([*map(grouped, AMOUNTS), "12,50"], True),
        ([*(f"{1 + n / 7:.3f}" for n in range(100)), "12,50"], False),
        (["0", "192.168.100.110", *(f"192.168.100.{n}" for n in range(200, 250))], None),
    ],
)
def test_what_points_mean_is_decided_by_all_numbers(texts, comma):
    found = find_notation(texts)
    assert (None if found is None else found.comma) == comma


@settings(max_examples=60)
@given(st.lists(st.integers(1, 999_999), min_size=40, max_size=80, unique=True), st.data())
def test_decimals_are_never_read_as_thousands(numbers, data):
    places = data.draw(st.sampled_from([1, 2, 3]))
    fixed = [f"{number / 1000:.{places}f}" for number in numbers]
    short = [str(round(number / 1000, places)) for number in numbers]
    for texts in (fixed, short):
        notation = find_notation(sorted(set(texts)))
        assert not notation.comma
        np.testing.assert_allclose(notation.read(texts), [*map(float, texts)])


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([1, -1]))
def test_thousands_are_found_in_amounts_of_all_sizes(seed, sign):
    amounts = sign * (10 ** np.random.default_rng(seed).uniform(1, 6, 200)).astype(int)
    notation = find_notation(sorted({*map(grouped, amounts)}))
    np.testing.assert_array_equal(notation.read([*map(grouped, amounts)]), amounts)


def test_what_numbers_tell_beside_is_said():
    assert what_more(["$5", "€5", "7"]) == "numbers in several currencies: $, €"
    assert what_more(["<5", "5", ">5"]) == "many numbers are bounds, as '<5'"
    assert what_more(["5", "6"]) == ""


def test_a_few_signs_are_read_over():
    notation = find_notation(["<0.5", *map(str, range(10))])
    np.testing.assert_array_equal(notation.read(["<0.5", "≥ 3"]), [0.5, 3.0])


@pytest.mark.parametrize(
    "values",
    [
        ["<50", ">50"],
        ["<5", "5", ">5", "7"],
        ["EUR 5", "USD 5"],
        ["192.168.100.110", "192.168.100.120"],
        ["1.100.200", "1.100.201"],
        [*map(str, range(60)), "V58", "E88"],
    ],
)
def test_texts_that_tell_more_than_a_number_stay_texts(values):
    assert find_notation(values) is None


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "3", "A"],
        [*map(str, range(19)), "A"],
        [*map(str, range(40)), "A", "B", "C"],
        [*map(str, range(100)), b"bytes"],
    ],
)
def test_with_more_words_or_fewer_numbers_it_is_no_column_of_numbers(values):
    assert find_notation(values) is None


def test_a_duration_is_the_same_number_as_text():
    rng = np.random.default_rng(0)
    lengths = pd.Series(pd.to_timedelta(rng.integers(-(10**6), 10**8, 500), unit="s"))
    read = Notation().read(list(lengths.astype(str)))
    np.testing.assert_array_equal(read, read_numbers(lengths))


def test_values_of_other_types():
    values = [
        True,
        decimal.Decimal("1.5"),
        datetime.time(18),
        datetime.timedelta(days=2),
        np.timedelta64(36, "h"),
        10**400,
        "n/a",
    ]
    expected = [1.0, 1.5, 0.75, 2.0, 1.5, np.inf, np.nan]
    np.testing.assert_allclose(Notation().read(values), expected)


@pytest.mark.parametrize(
    ("texts", "value", "number"),
    [
        (["900", "1.2K"], "3M", 3e6),
        (["7bn", "1"], "7B", 7e9),
        (["5 kg", "7 kg"], "5 KG", 5.0),
        (["12 km/h", "9 km/h"], "3 km/h", 3.0),
        (["1.5 m", "2 m"], "3 M", None),
        (["242.00", "1279.00 CR"], "1 CR", None),
        (["12:30 PM", "1:30 PM"], "1:30 PM", 13.5 / 24),
        (["26 Main St", "3 Main St"], "4 Main St", None),
        (["12.5N", "9.1N"], "1N", 1.0),
        (["12.5N", "9.1S"], "1N", None),
    ],
)
def test_units_are_no_words_and_scales_are_whole(texts, value, number):
    found = find_notation(texts)
    read = None if found is None else found.read([value])
    assert (read is None) if number is None else (read.tolist() == [number])


@pytest.mark.parametrize("text", ["0.12345," * 5_000, "1" * 40_000 + "x", "1," * 20_000 + "-"])
def test_long_texts_are_told_from_numbers_at_once(text):
    start = time.process_time()
    assert find_notation([f"{text}{i}" for i in range(5)]) is None
    assert time.process_time() - start < 5


VALUES = [f"{value / 7:.2f}" for value in range(1, 200)]


@pytest.mark.parametrize(
    ("marked", "marks", "read"),
    [
        (["9.1 H", "0.2L"], ("H", "L"), [9.1, 0.2]),
        (["HH 9.1", "0.2 (L)"], ("(L)", "HH"), [9.1, 0.2]),
        (["0.5*", "** 7"], ("*", "**"), [0.5, 7.0]),
        (["<0.5 L", "> 9 H"], ("H", "L"), [0.5, 9.0]),
    ],
)
def test_marks_beside_numbers_are_left_out(marked, marks, read):
    found = find_notation(VALUES + marked)
    assert (found.marks, found.words) == (marks, ())
    np.testing.assert_array_equal(found.read([*marked, "HH 0.1", "1"]), [*read, 0.1, 1.0])
    assert found.read(["9.1 X"]) is None


def test_marks_stand_behind_units():
    found = find_notation([f"{value} mg/L" for value in VALUES] + ["9.1 mg/L H", "0.2 mg/L *"])
    assert (found.units, found.marks) == ((("mg/L", 1.0),), ("*", "H"))
    assert found.read(["9.1 mg/L H"]).tolist() == [9.1]


def test_what_marks_nearly_all_numbers_is_no_mark():
    assert find_notation([f"{value} L" for value in VALUES]).units == (("L", 1.0),)
    assert find_notation(["12H", "14L", "3H", "8"]) is None
    assert find_notation(["3*", "4*", "5*"]) is None


def test_commas_stand_before_pairs_of_digits_in_india():
    amounts = ["\u20b91,23,456.00", "\u20b912,345.50", "1,00,00,000", "-12,34,567"]
    found = find_notation(amounts)
    assert found.read(amounts).tolist() == [123456.0, 12345.5, 1e7, -1234567.0]
    assert find_notation(["1,23,45", "1,2,345"]) is None


def test_cells_below_and_above_limits_are_counted():
    counts = np.array([2, 3, 4, 5, 6, 7])
    assert count_bounds(["<0.5", "\u2265 7", "7", "<LOD", " <= .1", 3], counts) == (8, 3)


def test_a_text_that_was_a_gap_at_fit_stays_one():
    saved = Notation(words=("$(102.29)", "$-"))  # as a version that could not read them
    np.testing.assert_array_equal(saved.read(["$(102.29)", "$-", "$5"]), [np.nan, np.nan, 5.0])
