import pytest

from oddshot.data.unit_cells import is_row_of_units

NUMBERS = [["1.5", "20", ""], ["2.5", "", ""]]


def kind(cell: str) -> str:
    if not cell:
        return "gap"
    return "number" if cell.replace(".", "").isdecimal() else "word"


@pytest.mark.parametrize(
    "row",
    [
        ["m/s", "kW", ""],
        ["[1/min]", "(%)", ""],
        ["°C", "%", "yyyy-mm-dd hh:mm"],
        ["m³/h", "W/m²", ""],
        ["N·m", "1/min", ""],
        ["bar", "kW", "1"],
        ["bar", "kW", "UTC"],
        ["bar", "kW", "yyyy-mm-ddThh:mm:ss"],
    ],
)
def test_units_above_numbers_are_a_row_of_them(row):
    assert is_row_of_units(row, NUMBERS, kind)


@pytest.mark.parametrize(
    "row",
    [
        ["m/s", "", ""],  # one
        ["m/s", "kW", "m"],  # nothing stands below the last
        ["m/s", "much", ""],
        ["1.5", "kW", "m"],  # a number
        ["(3.50)", "kW", ""],
        ["", "", ""],
    ],
)
def test_other_rows_are_rows_of_the_table(row):
    assert not is_row_of_units(row, NUMBERS, kind)


def test_what_comes_again_is_no_unit():
    """As T for traces of rain and snow."""
    below = [[str(n), "0"] for n in range(20)]
    assert is_row_of_units(["T", "T"], below, kind)
    assert not is_row_of_units(["T", "T"], [*below, ["T", "3"]], kind)


def test_letters_above_letters_are_levels():
    assert not is_row_of_units(["m", "s"], [["m", "s"], ["g", "h"]], kind)
