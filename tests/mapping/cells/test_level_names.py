import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.cells.level_names import are_codes, code_key, level_key, level_name


@given(st.integers(-(10**15), 10**15))
def test_a_whole_number_has_one_name_whichever_type_holds_it(number):
    spellings = (number, float(number), np.int64(number), f" {number} ")
    assert {level_name(value) for value in spellings} == {str(number)}


def test_truth_values_are_named_as_numbers_and_fractions_as_they_are():
    assert [level_name(value) for value in (True, np.bool_(False), 2.5)] == ["1", "0", "2.5"]


@given(st.text())
def test_two_names_of_one_level_have_one_key(name):
    key = level_key(name)
    assert level_key(key) == key


@pytest.mark.parametrize(
    ("names", "key"),
    [(["1", "1.0", "1.00", "True", "TRUE"], "1"), (["-3", "-3.0"], "-3"), (["0", "false"], "0")],
)
def test_spellings_of_other_programs_share_a_key(names, key):
    assert {level_key(name) for name in names} == {key}


def test_texts_with_leading_zeros_are_codes_and_numbers_are_not():
    assert are_codes(["12", "07"])
    assert not are_codes(["12", "0", "0.7"])
    assert not are_codes([7, None])


def test_phone_numbers_are_codes_and_other_signed_numbers_are_not():
    phones = ["+4917012345678", " +31612345678", "N/A"]
    assert are_codes(phones)
    assert not are_codes([*phones, "-31612345678"])
    assert not are_codes(["+1234567", "+2345678"])
    assert not are_codes(["N/A", ""])


@pytest.mark.parametrize(
    "numbers",
    [
        ["1e+05", "2E+06"],
        ["1E-07", "3E11"],
        ["1.2E5", "1.5E11"],
        ["1E5", "2E6"],
        ["1e21", "3e22"],
        ["4E29", "7"],
    ],
)
def test_numbers_as_programs_write_them_are_no_codes(numbers):
    assert not are_codes(numbers)


def test_an_e_between_digits_in_all_cells_makes_codes():
    assert are_codes(["4E29", " 3E11", "n/a"])
    assert not are_codes(["4E29", 7.0])
    assert {code_key(name) for name in ("4E29", level_name(4e29))} == {str(int(4e29))}
