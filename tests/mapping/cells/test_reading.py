import datetime

import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.cells.notation import Notation
from oddshot.mapping.cells.reading import not_booleans, not_dates, not_numbers


@pytest.mark.parametrize(
    ("cells", "unread"),
    [
        (["2024-01-31", "31.01.2024", None, "soon", "-"], [0, 1, 0, 1, 0]),
        (["01/31/2024", "31/01/2024", 17, datetime.date(2024, 1, 3)], [1, 1, 1, 0]),
        (pd.period_range("2024-01", periods=2, freq="M"), [0, 0]),
        (pd.date_range("2024-01-01", periods=2), [0, 0]),
        ([1_700_000_000, 5], [1, 1]),
    ],
)
def test_cells_that_are_no_dates_as_learned_are_found(cells, unread):
    assert not_dates(pd.Series(cells), "ISO8601").tolist() == [*map(bool, unread)]


def test_dates_are_in_the_format_learned_or_in_isos():
    iso = pd.Series(["2024-01-31", "2024-02-28", "31/01/2024"])
    assert not_dates(iso, "%d/%m/%Y").tolist() == [False, False, True]
    assert not_dates(
        pd.Series([*iso, *["28/02/2024"] * 2, "07/02/2024", "n"]), "%d/%m/%Y"
    ).tolist() == [True, True, False, False, False, False, True]
    assert not_dates(pd.Series(["soon", "x"]), "%d/%m/%Y", ["soon"]).tolist() == [False, True]
    assert not_dates(pd.Series(["20240131", "many"]), "%Y%m%d").tolist() == [False, True]


def test_cells_that_are_no_numbers_or_truth_values_are_found():
    column = pd.Series(["1.234,5", 17.5, "17.5", "ERR", None, "-"], dtype=object)
    comma = Notation(comma=True, words=("ERR",))
    assert not_numbers(column, comma).tolist() == [False, False, True, False, False, False]
    assert not_numbers(column).tolist() == [True, False, False, True, False, False]
    assert not not_numbers(pd.Series([1.0, np.nan])).any()
    column = pd.Series([True, "false", 1, 2, "maybe", None], dtype=object)
    assert not_booleans(column).tolist() == [False, False, False, True, True, False]
