"""Labels that a list gives by ids, as chargebacks come in weeks after the payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oddshot.data.labels import LABEL_NAMES, parse_labels
from oddshot.data.sources import column_position, read_table
from oddshot.episodes import ANOMALY, UNLABELLED, LabelArray
from oddshot.errors import LabelError, SourceError
from oddshot.wording import counted

SHOWN = 3
WHOLE = 2.0**53  # smaller whole numbers are exact


@dataclass(frozen=True, slots=True)
class LabelList:
    """What is known of the rows of a table, by their id.

    Parameters
    ----------
    called
        What the list is called.
    column
        The name of the column of ids, which the table has, too.
    known
        By id as `_keys` writes it: 1 anomaly, 0 normal.
    ids
        How many different ids the list has, those of unknown kind among them.
    """

    called: str
    column: str
    known: dict[str, int]
    ids: frozenset[str]

    def labels(self, column: "pd.Series[Any]", table: str) -> LabelArray:
        """Give the labels (n,) of rows with these ids; -1 where the list has none.

        Raises
        ------
        SourceError
            If the list has none of the ids of what is called ``table``.
        """
        keys = _keys(column)
        if self.ids.isdisjoint(keys):
            raise SourceError(
                f"{self.called} and {table} have no {self.column!r} in common: "
                f"{_shown(self.ids)} there, {_shown(set(keys.dropna()))} here; give the column of "
                "ids that both have by --id-column"
            )
        return np.array([self.known.get(key, UNLABELLED) for key in keys], dtype=np.int8)

    def told(self, column: "pd.Series[Any]") -> str:
        """Say how many ids of the list the rows have."""
        missing = len(self.ids - set(_keys(column)))
        told = f"{counted(len(self.ids), 'ids')} by {self.column!r}"
        return f"Labels from {self.called}: {told}, {missing:,} of them not found."


def read_label_list(
    source: Any,
    rows: pd.DataFrame,
    *,
    id_column: str | None = None,
    label_column: str | None = None,
    table: str,
) -> LabelList:
    """Read a list of ids and labels; of ids alone, if all are anomalies.

    Parameters
    ----------
    source
        A file or a table, as for `oddshot.data.sources.read_table`.
    rows
        Shape (n, d): the table that labels are for, or its first rows.
    id_column
        The column of ids; by default the one that both have, and which tells rows apart.
    label_column
        The list's column of labels; by default the one called so (label, fraud, ...), or the only
        one that ``rows`` lack. Where there is none, all ids are those of anomalies.
    table
        What ``rows`` are called.

    Raises
    ------
    SourceError
        If the list cannot be read, or a column is not found, or may be one of several.
    LabelError
        If the column holds something else than labels, or two for one id.

    Examples
    --------
    >>> paid = pd.DataFrame({"txn": ["a", "b", "c"], "amount": [5, 5, 900]})
    >>> back = pd.DataFrame({"txn": ["c", "z"]})
    >>> found = read_label_list(back, paid, table="paid")
    >>> found.labels(paid["txn"], "paid"), found.told(paid["txn"])
    (array([-1, -1,  1], dtype=int8), "Labels from the list: 2 ids by 'txn', 1 of them not found.")
    """
    called = "the list" if isinstance(source, pd.DataFrame) else repr(str(source))
    frame = pd.DataFrame(read_table(source).rows)
    names, columns = ([str(name) for name in some.columns] for some in (frame, rows))
    if id_column is None:
        id_column = _shared(names, rows, label_column, called, table)
    at = column_position(names, id_column, called)
    keys = _keys(frame.iloc[:, at])
    place = _label_place(names, at, columns, label_column, called)
    labels = (
        np.full(len(keys), ANOMALY, dtype=np.int8)
        if place is None
        else parse_labels(frame.iloc[:, place], column=names[place])
    )
    known: dict[str, int] = {}
    for key, label in zip(keys, labels.tolist(), strict=True):
        if pd.isna(key) or label == UNLABELLED:
            continue
        if known.setdefault(key, label) != label:
            raise LabelError(f"{called} gives two labels to {names[at]} {key!r}: 0 and 1; keep one")
    return LabelList(called, names[at], known, frozenset(keys.dropna()))


def _keys(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Write ids as texts, so that those of other types meet: 7, 7.0 and "7" are one."""
    texts = column.astype("string").str.strip().astype(object)
    if column.dtype.kind == "f":
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        exact = (numbers == np.floor(numbers)) & (np.abs(numbers) < WHOLE)  # beyond, two may be one
        texts[exact] = [str(int(number)) for number in numbers[exact]]
    return texts.where(column.notna().to_numpy())


def _shared(
    names: Sequence[str], rows: pd.DataFrame, label_column: str | None, called: str, table: str
) -> str:
    """Name the one column that a list and a table share, and that tells the table's rows apart."""
    both = [name for name in names if name in rows and name != label_column]
    if len(both) > 1:
        both = [name for name in both if _tells_apart(rows[name])] or both
    if len(both) == 1:
        return both[0]
    if not both:
        raise SourceError(
            f"{called} and {table} share no column to tell rows by; name the column of ids alike "
            f"in both ({called} has {', '.join(map(repr, names[:5]))})"
        )
    raise SourceError(
        f"{called} and {table} share the columns {', '.join(map(repr, both[:5]))}; name that of "
        "the ids with --id-column"
    )


def _tells_apart(column: "pd.Series[Any]") -> bool:
    try:
        return bool(column.is_unique)
    except TypeError:  # cells that are lists
        return False


def _label_place(
    names: Sequence[str], ids: int, columns: Sequence[str], label_column: str | None, called: str
) -> int | None:
    """Find the column of labels; ``None`` where there is none."""
    if label_column is not None:
        return column_position(names, label_column, called)
    others = [place for place in range(len(names)) if place != ids]
    named = [place for place in others if names[place].strip().lower() in LABEL_NAMES]
    others = named or [place for place in others if names[place] not in columns]
    if len(others) > 1:
        listed = ", ".join(repr(names[place]) for place in others[:5])
        raise SourceError(
            f"{called} has several columns that may hold labels: {listed}; name one with "
            "--label-column, or give the ids alone where all are anomalies"
        )
    return others[0] if others else None


def _shown(ids: "set[str] | frozenset[str]") -> str:
    return ", ".join(map(repr, sorted(ids)[:SHOWN]))
