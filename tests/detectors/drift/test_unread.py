import numpy as np
import pandas as pd

from oddshot.detectors.drift.unread import Unread, strays
from oddshot.mapping.encoding.recipe import recipe

AMOUNTS = pd.Series([*(f"{n}.5" for n in range(60)), "ERR"])


def learned(column):
    return recipe("c", column, named=True)


def test_cells_that_cannot_be_read_are_counted_and_the_first_is_shown():
    found = Unread.of(learned(AMOUNTS), pd.Series(["1.5", "ERR", "much", "2", None, "?", "more"]))
    assert np.flatnonzero(found.cells).tolist() == [2, 6]
    assert np.flatnonzero(found.strays).tolist() == [1, 2, 6]
    assert not found.mostly
    assert found.told == (
        "2 of 7 cells cannot be read, as 'much' in row 2, where a number was learned"
    )


def test_most_is_of_the_cells_that_are_not_empty():
    dates = learned(pd.Series(pd.date_range("2024-01-01", periods=9)))
    assert Unread.of(dates, pd.Series(["soon", "2024-01-01", None])).mostly is False
    found = Unread.of(dates, pd.Series([1704067200, 1704070800]))
    assert found.mostly
    assert "as 1704067200 in row 0, where a date was learned" in found.told


def test_where_all_can_be_read_there_is_nothing_to_tell():
    assert Unread.of(learned(AMOUNTS), AMOUNTS) is None
    assert Unread.of(learned(AMOUNTS), pd.Series([1.5, np.nan])) is None
    assert Unread.of(learned(pd.Series(["a", "b"] * 9)), pd.Series(["c"])) is None
    assert strays(learned(AMOUNTS), AMOUNTS).sum() == 1


def test_whole_numbers_are_no_durations():
    took = pd.Series(pd.to_timedelta([*range(30)], "h"))
    found = Unread.of(learned(took), took.astype("timedelta64[ns]").astype("int64"))
    assert found.mostly
    assert found.told == (
        "30 of 30 cells cannot be read, as 0 in row 0, where a duration was learned"
    )
