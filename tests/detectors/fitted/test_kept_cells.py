import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from oddshot.detectors.fitted.kept_cells import from_arrow, to_arrow

MOMENT = datetime.datetime(2024, 3, 1, 12, 30, tzinfo=datetime.UTC)


def there_and_back(column):
    field, array = to_arrow("c", column)
    return from_arrow(field, array.to_pandas())


@pytest.mark.parametrize(
    "cells",
    [
        [21.83, "37,08", None, 5],
        ["22", 22, 22.0, True, Decimal("22.50"), Fraction(1, 3)],
        [np.float32(0.1), np.float64(0.1), np.int8(3), np.bool_(False), np.float16(0.1)],
        [Fraction(1, 3), Fraction(2, 7)],
        [2**80, 1.5, -(2**70)],
        [MOMENT, "soon", datetime.date(2024, 3, 1), pd.Timestamp("2024-03-01 00:00:00.123456789")],
        [datetime.time(13, 5), datetime.timedelta(days=3, microseconds=7), 1.5],
        [np.timedelta64(36, "h"), np.datetime64("2024-03-01T00:00"), "x"],
        [float("inf"), "", " "],
        [datetime.timedelta(days=10**6), "long"],
        ["caf\udce9", "\ud83d\ude00", "plain", None],
        ["caf\udce9", 1.5],
        [Decimal("Infinity"), Decimal("2.5"), None],
        [Decimal("-Infinity"), Decimal(1) / 7],
        [pd.Period("2024-03", "M"), pd.Period("2024-04", "M"), None],
        [pd.Period("2024-03-04", "W-WED"), pd.Period("2024", "Y"), "x"],
    ],
)
def test_cells_of_several_kinds_come_back_as_they_were(cells):
    column = pd.Series(cells, dtype=object)
    again = there_and_back(column)
    assert again.isna().tolist() == column.isna().tolist()
    for old, new in zip(column.dropna(), again.dropna(), strict=True):
        assert old == new
        assert isinstance(new, str) == isinstance(old, str)
        assert isinstance(new, bool) == isinstance(old, bool | np.bool_)


def test_cells_of_other_kinds_become_their_text():
    assert there_and_back(pd.Series([[1, 2], "x"])).tolist() == ["[1, 2]", "x"]
    intervals = pd.Series(pd.cut([1, 2, 3], [0, 2, 4]))
    assert there_and_back(intervals).tolist() == ["(0, 2]", "(0, 2]", "(2, 4]"]


@pytest.mark.parametrize("frequency", ["h", "D", "M", "Q-NOV"])
def test_periods_stay_periods(frequency):
    column = pd.Series([*pd.period_range("2024-01", periods=4, freq=frequency), pd.NaT])
    column = column.astype(f"period[{frequency}]")
    pd.testing.assert_series_equal(there_and_back(column), column, check_names=False)


def test_what_arrow_can_hold_is_left_to_it():
    for column in (
        pd.Series(["a", None]),
        pd.Series([1.5, 2.0]),
        pd.Series(["a"], dtype="category"),
    ):
        assert not to_arrow("c", column)[0].metadata
