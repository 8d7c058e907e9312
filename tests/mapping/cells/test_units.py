import numpy as np
import pytest

from oddshot.mapping.cells.notation import find_notation
from oddshot.mapping.cells.units import find_units, units_differ


def test_which_units_differ_is_said():
    assert units_differ(["5 kg", "700 g", "6 kg"]) == "numbers in several units: g, kg"
    assert units_differ(["5 kg", "6 kg"]) == units_differ(["5 kg", "6 g", "a", "b", "c"]) == ""


@pytest.mark.parametrize("unit", ["kr", "\u0440\u0443\u0431", "kg", "inches"])
def test_a_point_may_close_a_unit(unit):
    texts = [f"{n / 8} {unit}." for n in range(1, 50)]
    found = find_notation(texts)
    assert (found.units, found.words) == (((unit, 1.0),), ())
    assert found.read([f"5 {unit}", f"5.5 {unit}."]).tolist() == [5.0, 5.5]


@pytest.mark.parametrize("unit", ["US$", "\u20ba"])
def test_a_sign_of_a_currency_may_be_a_unit(unit):
    assert find_notation([f"5.00 {unit}", f"7.50{unit}"]).units == ((unit, 1.0),)


@pytest.mark.parametrize(
    ("credit", "debit"),
    [("CR", "DR"), ("Cr", "Dr"), ("cr.", "dr."), ("Cr.", "Dr"), ("H", "S"), ("C", "D"),
     ("Haben", "Soll")],
)  # fmt: skip
def test_sides_of_an_account_are_signs(credit, debit):
    texts = [f"{n + 0.5:.2f} {debit if n % 3 else credit}" for n in range(60)]
    found = find_notation(texts)
    assert (found.marks, found.words) == ((), ())
    read = found.read([f"5.50 {credit}", f"5.50 {debit}"])
    assert read.tolist() == [5.5, -5.5]


def test_letters_behind_other_numbers_are_no_sides():
    assert find_notation(["5 S", "7 S"]).units == (("S", 1.0),)
    assert find_notation(["5 S", "7 H", "12 S"]) is None
    assert find_notation(["1.25 Cr", "2.50 Cr"]).units == (("Cr", 1.0),)
    values = [f"{n / 8:.2f} S" for n in range(1, 90)]
    assert find_notation([*values, "9.10 S H"]).marks == ("H",)


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (["938 KB", "1 MB", "2.5 GB"], [938e3, 1e6, 2.5e9]),
        (["938 kB", "1 mb", "12 B"], [938e3, 1e6, 12.0]),
        (["3 KiB", "1 MiB"], [3072.0, 2.0**20]),
        (["43.2G", "17K"], [43.2e9, 17e3]),
    ],
)
def test_sizes_are_scaled_where_several_are_met(texts, read):
    np.testing.assert_allclose(find_notation(texts).read(texts), read)


@pytest.mark.parametrize("unit", ["KB", "MB", "G", "Cr", "B/s"])
def test_one_of_a_scale_alone_is_a_unit(unit):
    assert find_units([f"5 {unit}", f"7 {unit}"], place=False) == ((unit, 1.0),)
