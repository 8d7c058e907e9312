"""The columns of rows that users give: their names, found again by name, or all as one matrix."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from oddshot.errors import ColumnNameWarning, DataError, SparseWarning
from oddshot.frames import RawRows, check_unique, is_unicode, sparse_columns
from oddshot.mapping.encoding.left_out import WHOLE
from oddshot.wording import counted

MOST_ASKED = 3
MANY_LONELY, LONELY = 100, 0.2  # columns that have a value in one row alone; and for each row


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
    if not isinstance(rows, pd.DataFrame) or merely_counted(rows.columns):
        return None
    names = [str(name) for name in rows.columns]
    check_unique(names)
    if broken := [name for name in names if not is_unicode(name)]:
        raise DataError(f"the name of column {broken[0]!r} is no Unicode text; rename it")
    return names


def merely_counted(columns: "pd.Index[Any]") -> bool:
    """Tell whether columns are counted from 0, in their order, as pandas does without names."""
    return isinstance(columns, pd.RangeIndex) and (columns.start, columns.step) == (0, 1)


def found_by_name(columns: "pd.Index[Any]", names: list[str], *, named: bool) -> bool:
    """Tell whether columns are found by the names (d,) of fit; else they are taken by position.

    Where fit was given names, all but counted columns are, and these if they hold all names (as 1
    and 2 of what is counted from 0). Where it was not, others than counted ones are that hold all.
    """
    held = {*names} <= {str(name) for name in columns}
    counted_ones = merely_counted(columns)
    return held or not counted_ones if named else held and not counted_ones


def warn_of_lost_names(rows: RawRows, names: list[str], *, named: bool) -> None:
    """Warn where columns are taken by position, though either fit or the rows have names."""
    columns = rows.columns if isinstance(rows, pd.DataFrame) else pd.RangeIndex(rows.shape[1])
    given = not merely_counted(columns)
    if given == named or len(columns) != len(names):
        return
    if isinstance(rows, pd.DataFrame) and found_by_name(columns, names, named=named):
        return
    told = (
        "X has no names of columns, but fit was given some: its columns are taken by their place; "
        "give a data frame with these names"
        if named
        else "X has names of columns, but fit was given none: its columns are taken by their "
        "place; give both with names, or X.to_numpy() with its columns in the order of fit"
    )
    warnings.warn(told, ColumnNameWarning, stacklevel=2)


def by_name(rows: pd.DataFrame, names: list[str], left_out: dict[str, Any]) -> pd.DataFrame:
    """Give columns in the order of ``names``; for those left out, a value stands in.

    What stood in objects that are missing in all rows has gaps.
    """
    given = [str(name) for name in rows.columns]
    if given == names:
        return rows
    lacking = sorted(set(names) - set(given))
    left_out = left_out | dict.fromkeys(_in_missing_objects(lacking, rows), np.nan)
    missing = [name for name in lacking if name not in left_out]
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise DataError(
            f"X lacks {counted(len(missing), 'columns')} that fit was given: {shown}; "
            f"the rows have {', '.join(map(repr, given[:10]))}{', ...' if len(given) > 10 else ''}"
            + _asked(missing, sorted(set(given) - set(names)))
        )
    check_unique([name for name in given if name in set(names)])
    there = [name for name in names if name in given]
    rows = rows.iloc[:, [given.index(name) for name in there]]
    if there == names:
        return rows
    absent = {name: left_out[name] for name in names if name not in there}
    return rows.set_axis(there, axis=1).assign(**absent)[names]


def _in_missing_objects(names: list[str], rows: pd.DataFrame) -> list[str]:
    """Choose the names of columns that stood in objects for which all rows have gaps.

    >>> _in_missing_objects(["amount.in.code", "day"], pd.DataFrame({"amount": [None, None]}))
    ['amount.in.code']
    """
    around = {
        name: {name[:at] for at, letter in enumerate(name) if letter == "."} for name in names
    }
    objects = set().union(*around.values())
    empty = {
        str(column)
        for place, column in enumerate(rows.columns)
        if str(column) in objects and rows.iloc[:, place].isna().all()
    }
    return [name for name in names if around[name] & empty]


def _asked(missing: list[str], new: list[str]) -> str:
    """Ask whether new columns are missing ones by another name.

    They may be where names differ by case and blanks alone, or one is missing and one is new.

    >>> _asked(["Flow", "mode"], ["flow ", "other"]), _asked(["flow"], ["flow_lpm"])
    ("; is 'flow ' the column 'Flow'? Rename it", "; is 'flow_lpm' the column 'flow'? Rename it")
    >>> _asked(["flow", "mode"], ["flow_lpm", "a"])
    ''
    """
    plain = {"".join(name.split()).casefold(): name for name in new}
    alike = {name: plain.get("".join(name.split()).casefold()) for name in missing}
    pairs = [(name, other) for name, other in alike.items() if other is not None]
    if not pairs and len(missing) == len(new) == 1:
        pairs = [(missing[0], new[0])]
    if not pairs:
        return ""
    asked = ", ".join(f"{other!r} the column {name!r}" for name, other in pairs[:MOST_ASKED])
    more = ", ..." if len(pairs) > MOST_ASKED else ""
    are, them = ("are", "them") if len(pairs) > 1 else ("is", "it")
    return f"; {are} {asked}{more}? Rename {them}"


def warn_of_lonely_columns(matrix: Any) -> None:
    """Warn where many columns of a sparse matrix (n, d) have a value in one row alone."""
    filled = np.bincount(sp.coo_array(matrix).col, minlength=matrix.shape[1])
    lonely = int((filled == 1).sum())
    if lonely < max(MANY_LONELY, LONELY * matrix.shape[0]):
        return
    told = (
        f"{lonely:,} of {len(filled):,} columns have a value in one row alone. If they were made "
        "from these rows, as counts of words are, each of these has columns of its own, and new "
        "rows have none and look odd for that: leave rare ones out (min_df=2 in scikit-learn), and "
        "calibrate by rows that they were not made from"
    )
    warnings.warn(told, SparseWarning, stacklevel=2)


def column_at(rows: RawRows, place: int) -> "pd.Series[Any]":
    """Give one column of a frame or a matrix."""
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[:, place]
    column: Any = rows[:, [place]]
    return pd.Series((column.toarray() if sp.issparse(column) else column)[:, 0])


def holds_long_integers(rows: RawRows) -> bool:
    """Tell whether a frame has whole numbers, beside others, of which floats may be inexact."""
    if not isinstance(rows, pd.DataFrame):
        return False
    whole = (
        rows.iloc[:, i].to_numpy()
        for i, t in enumerate(rows.dtypes)
        if isinstance(t, np.dtype) and t.kind in "iu" and t.itemsize == 8
    )
    return any(max(int(column.max()), -int(column.min())) >= WHOLE for column in whole)


def as_matrix(rows: RawRows) -> Any:
    """Give the rows as a matrix where all columns are plain numbers, else ``None``."""
    if not isinstance(rows, pd.DataFrame):
        return rows
    if all(isinstance(t, np.dtype) and t.kind in "iuf" for t in rows.dtypes):
        return rows.to_numpy()
    return sparse_columns(rows)
