"""Columns of kept rows as Arrow holds them, so that each cell comes back as what it was.

Arrow gives a column one type. Where cells are of several, as numbers beside texts, each is written
as its kind and a text, and where pandas' type is lost (periods), its name stands beside: both under
a word of ours in the metadata of the field.
"""

import datetime
import decimal
import fractions
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from oddshot.mapping.cells.level_names import level_name

KEY = b"oddshot"
CELLS = "cells"  # written one by one; any other word is the name of pandas' type
MICROSECOND = datetime.timedelta(microseconds=1)


class _Kind(NamedTuple):
    """A kind of cell: its types, how it is written, and read again."""

    types: Any
    write: Callable[[Any], str]
    read: Callable[[str], Any]


_KINDS = {  # the first that fits
    "text": _Kind(str, str, str),
    "truth": _Kind(bool | np.bool_, str, "True".__eq__),
    "duration": _Kind(
        datetime.timedelta | np.timedelta64,  # which is Integral, too
        lambda cell: str(pd.Timedelta(cell) // MICROSECOND),
        lambda text: int(text) * MICROSECOND,
    ),
    "whole": _Kind(numbers.Integral, lambda cell: str(int(cell)), int),
    "float32": _Kind(np.float32, str, np.float32),
    "float16": _Kind(np.float16, str, np.float16),
    "fraction": _Kind(fractions.Fraction, str, fractions.Fraction),
    "decimal": _Kind(decimal.Decimal, str, decimal.Decimal),
    "number": _Kind(numbers.Real, lambda cell: repr(float(cell)), float),
    "moment": _Kind(
        datetime.datetime | np.datetime64,
        lambda cell: pd.Timestamp(cell).isoformat(),
        pd.Timestamp,
    ),
    "date": _Kind(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": _Kind(datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "other": _Kind(object, level_name, str),
}


def to_arrow(name: str, column: "pd.Series[Any]") -> tuple[pa.Field, pa.Array]:
    """Write a column; cells that are of no kind we know become the text of their levels."""
    array, word = _written(column)
    metadata = {KEY: word.encode()} if word else None
    return pa.field(name, array.type, metadata=metadata), array


def from_arrow(field: pa.Field, column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Read again what `to_arrow` wrote and pandas made a column of."""
    word = (field.metadata or {}).get(KEY, b"").decode()
    if word != CELLS:
        return column.astype(word) if word else column
    cells = [_read(cell) if isinstance(cell, str) else None for cell in column]
    return pd.Series(cells, index=column.index, dtype=object)


def _written(column: "pd.Series[Any]") -> tuple[pa.Array, str]:
    if isinstance(column.dtype, pd.SparseDtype):
        column = pd.Series(np.asarray(column))
    if isinstance(column.dtype, pd.PeriodDtype):
        return pa.Array.from_pandas(column.dt.to_timestamp()), str(column.dtype)
    if not _mixed(column):
        try:
            return pa.Array.from_pandas(column), ""
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            pass
    cells = column.astype(object).map(_cell, na_action="ignore")
    return pa.Array.from_pandas(cells, type=pa.large_string()), CELLS


def _mixed(column: "pd.Series[Any]") -> bool:
    """Whether cells are of several types, or of one that Arrow would make another of."""
    levels = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if isinstance(levels.dtype, pd.IntervalDtype | pd.PeriodDtype):
        return True
    return levels.dtype == object and len({*map(type, levels.dropna())}) > 1


def _cell(cell: Any) -> str:
    name, kind = next((n, kind) for n, kind in _KINDS.items() if isinstance(cell, kind.types))
    return f"{name} {kind.write(cell)}"


def _read(cell: str) -> Any:
    name, _, text = cell.partition(" ")
    return _KINDS[name].read(text)
