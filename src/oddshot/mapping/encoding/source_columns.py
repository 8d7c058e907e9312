"""The columns of rows that users give: their names, found again by name, or all as one matrix."""

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from oddshot.errors import DataError
from oddshot.frames import RawRows, check_unique, sparse_columns
from oddshot.wording import counted


def check_size(rows: RawRows) -> None:
    """Refuse rows from which nothing can be learned."""
    samples, columns = rows.shape
    if columns < 1:
        raise DataError(
            f"Found array with 0 feature(s) (shape={rows.shape}) while a minimum of 1 is required."
        )
    if samples < 2:
        least = 1 if samples == 0 else 2
        raise DataError(
            f"X has {counted(samples, 'rows')}; give at least {least} (found array with "
            f"{samples} sample(s), shape={rows.shape})"
        )


def names_given(rows: RawRows) -> list[str] | None:
    """Names (d,) that the user gave; ``None`` where there are none."""
    if not isinstance(rows, pd.DataFrame) or isinstance(rows.columns, pd.RangeIndex):
        return None
    names = [str(name) for name in rows.columns]
    check_unique(names)
    return names


def merely_counted(columns: "pd.Index[Any]") -> bool:
    """Tell whether columns are counted from 0, in their order, as pandas does without names."""
    return isinstance(columns, pd.RangeIndex) and (columns.start, columns.step) == (0, 1)


def by_name(rows: pd.DataFrame, names: list[str], left_out: dict[str, Any]) -> pd.DataFrame:
    """Give columns in the order of ``names``; for those left out, a value stands in."""
    given = [str(name) for name in rows.columns]
    if given == names:
        return rows
    missing = sorted(set(names) - set(given) - left_out.keys())
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise DataError(
            f"X lacks {counted(len(missing), 'columns')} that fit was given: {shown}; "
            f"the rows have {', '.join(map(repr, given[:10]))}{', ...' if len(given) > 10 else ''}"
        )
    check_unique([name for name in given if name in set(names)])
    there = [name for name in names if name in given]
    rows = rows.iloc[:, [given.index(name) for name in there]]
    if there == names:
        return rows
    absent = {name: left_out[name] for name in names if name not in there}
    return rows.set_axis(there, axis=1).assign(**absent)[names]


def column_at(rows: RawRows, place: int) -> "pd.Series[Any]":
    """Give one column of a frame or a matrix."""
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[:, place]
    column: Any = rows[:, [place]]
    return pd.Series((column.toarray() if sp.issparse(column) else column)[:, 0])


def as_matrix(rows: RawRows) -> Any:
    """Give the rows as a matrix where all columns are plain numbers, else ``None``."""
    if not isinstance(rows, pd.DataFrame):
        return rows
    if all(isinstance(t, np.dtype) and t.kind in "iuf" for t in rows.dtypes):
        return rows.to_numpy()
    return sparse_columns(rows)
