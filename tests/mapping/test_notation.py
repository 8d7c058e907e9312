import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.cells import read_numbers
from oddshot.mapping.notation import Notation, find_notation


def european(value):
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.5", 1.5),
        ("-2e3", -2000.0),
        ("$1,100.50", 1100.5),
        ("(3,000)", -3000.0),
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
    ],
)
def test_numbers_are_read_as_people_write_them(text, number):
    assert find_notation([text]) == Notation()
    np.testing.assert_allclose(Notation().read([text]), [number])


@pytest.mark.parametrize("text", ["--5", "-$-5", "$", "30 00", "1,000,00x", "5-6", "kg 5", "(5"])
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
        (["12:30 PM", "1:30 PM"], "1:30 PM", None),
        (["26 Main St", "3 Main St"], "4 Main St", None),
        (["12.5N", "9.1N"], "1N", None),
    ],
)
def test_units_are_no_words_and_scales_are_whole(texts, value, number):
    found = find_notation(texts)
    read = None if found is None else found.read([value])
    assert (read is None) if number is None else (read.tolist() == [number])
