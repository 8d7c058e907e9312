import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.cells.spellings import Spellings, gap_cells, means_gap, without_gaps


@pytest.mark.parametrize(
    ("levels", "name", "meant"),
    [
        (["red", "blue"], "red", "red"),
        (["red", "blue"], "green", "green"),
        (["red", "blue"], "N/A", None),
        (["red", "N/A"], "N/A", "N/A"),
        (["red", "none"], "None", "none"),
        (["red", "none"], "null", None),
        (["none", "None"], "NONE", None),
        (["1", "2"], "2.0", "2"),
        (["05", "51"], "5", "05"),
        (["5", "51"], "05", "5"),
        (["5", "05"], "05", "05"),
        (["05", "5", "07"], "005", "005"),
        (["05", "5", "07"], "5.0", "5"),
        (["05", "5", "07"], "7", "07"),
        (["00", "51"], "0", "00"),
        (["Y", "N"], "True", "Y"),
        (["Y", "N"], "0", "N"),
        (["yes", "no"], "n", "no"),
        (["Y", "N", "U"], "yes", "yes"),
        (["Y"], "yes", "yes"),
        (["Y", "yes"], "true", "true"),
    ],
)
def test_what_a_name_means(levels, name, meant):
    assert Spellings(levels).find(name) == meant


@pytest.mark.parametrize("name", ["", "N/A", "5", "yes"])
def test_an_older_version_knew_no_meanings(name):
    assert Spellings(["05", "51"], by_meaning=False).find(name) == name
    assert Spellings(["Y", "N"], by_meaning=False).find(name) == name


@pytest.mark.parametrize(("name", "gap"), [("", True), ("NULL", True), ("0", False), ("no", False)])
def test_words_for_gaps(name, gap):
    assert means_gap(name) == gap


def test_words_are_told_apart_where_gaps_stand_beside_them():
    assert without_gaps({"a": 2, "none": 3}, 1) == ({"a": 2, "none": 3}, 1)
    assert without_gaps({"a": 2, "none": 3}, 0) == ({"a": 2}, 3)
    assert without_gaps({"a": 2, "": 3}, 1) == ({"a": 2}, 4)


def test_cells_that_are_gaps():
    column = pd.Series(["a", " ", None, "n/a", 0, np.nan], dtype=object)
    assert gap_cells(column).tolist() == [False, True, True, True, False, True]


def test_an_older_version_named_bytes_as_python_writes_them():
    assert Spellings(["b'red'", "b'blue'"], by_meaning=False).find("red") == "b'red'"
    assert Spellings(["b'red'"], by_meaning=False).find("\udcff") == "\udcff"
