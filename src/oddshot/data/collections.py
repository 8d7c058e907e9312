"""Folders of tables: listed at once, read when needed, grouped into families."""

import gzip
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from oddshot.data.archives import UNREADABLE, read_shapes
from oddshot.data.delimited import read_sample, sniff
from oddshot.data.labels import LABEL_NAMES
from oddshot.data.sources import (
    FORMATS,
    GZIP,
    column_position,
    read_content,
    read_table,
    stem,
    table_suffix,
)
from oddshot.episodes import Rows, Table
from oddshot.errors import DataError, LabelError, SourceError
from oddshot.frames import INDEX_NAME

LISTED = frozenset(FORMATS) - {".txt", ".data"}  # these are more often notes than tables
FAMILIES = {
    "statlog-satellite": r"landsat|satellite|satimage-2",
    "cardiotocography": r"cardio|cardiotocography",
    "network-connections": r"http|smtp|nsl_kdd",
    "characters": r"optdigits|pendigits|mnist|letter",
    "mvtec-ad": r"mvtec-ad_.*",
    "cifar10-svhn": r"(cifar10|svhn).*",
    "20news_3": r"20news(_\d+)?",
    "ALOI": r"aloi",
    "celeba": r"celeba",
    "donors": r"donors",
    "Hepatitis": r"hepatitis",
    "Lymphography": r"lymphography",
    "magic.gamma": r"magic\.gamma",
    "PageBlocks": r"page-?blocks",
    "shuttle": r"shuttle",
    "vertebral": r"vertebral",
    "Wilt": r"wilt",
}
NUMBERED = re.compile(r"^\d+_(?=[^\W\d_])")  # as collections number their files: 6_cardio.npz
WRITTEN = {"results.csv": "settings.json", "log.csv": "checkpoint"}
"""Files that benchmarks and training write, each with what stands beside it: no tables."""


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table in a folder, not read yet.

    Parameters
    ----------
    name
        Its path beneath the collection's folder, without suffix; unique within a collection.
    path
        The file.
    collection
        The first folder beneath the one that was listed; that one's own name for files in it.
    family
        Tables of one family never stand on both sides of a split, see `family_of`.
    rows, columns
        How many the file says it has, a label column included; ``None`` if it does not say.
    label_column, group_column
        The columns of labels, and of what rows belong to, where these were named.
    """

    name: str
    path: Path
    collection: str
    family: str
    rows: int | None = None
    columns: int | None = None
    label_column: str | None = None
    group_column: str | None = None

    def load(self, label_column: str | int | None = None) -> Table:
        """Read the table, labels included.

        Parameters
        ----------
        label_column
            As for `read_table`. By default that which was named, the file's own labels (npz), or
            the first column that is called label, anomaly, is_anomaly, outlier, y, target or class,
            in any letter case.

        Raises
        ------
        SourceError
            If the file cannot be read, or lacks a column that was named.
        DataError
            If a row has no group.
        LabelError
            If no label column is found, or it holds something else.
        """
        if label_column is None:
            label_column = self.label_column
        table = read_table(self.path, label_column=label_column, name=self.name)
        if table.labels is None:
            label_column = self._find_label_column(table.rows)
            labelled = read_table(table.rows, label_column=label_column, name=self.name)
            table = replace(labelled, notes=table.notes)
        if self.group_column is not None:
            table = _grouped(table, self.group_column, repr(str(self.path)))
        return replace(table, family=self.family, collection=self.collection)

    def load_split(self) -> tuple[Table, Table]:
        """Read a file that brings its own split (npz with train, test and test_labels).

        Returns
        -------
        tuple
            Training rows, all known to be normal (label 0), and test rows with their labels.

        Raises
        ------
        SourceError
            If the file cannot be read or brings no split; or if columns of labels or groups were
            named, by which it is split anew.
        """
        if self.label_column is not None or self.group_column is not None:
            raise SourceError(f"{str(self.path)!r} is split by the columns that were named")
        content = read_content(self.path)
        rows, labels, count = content.rows, content.labels, content.training_rows
        if count is None or labels is None:
            raise SourceError(
                f"{str(self.path)!r} brings no split into training and test rows; "
                "an npz file does with the arrays train, test and test_labels"
            )
        head, tail = (
            (rows.iloc[:count], rows.iloc[count:].reset_index(drop=True))
            if isinstance(rows, pd.DataFrame)
            else (rows[:count], rows[count:])
        )
        named = (self.family, self.collection)
        return (
            Table(self.name, head, labels[:count], *named),
            Table(self.name, tail, labels[count:], *named),
        )

    def _find_label_column(self, rows: Rows) -> str | int:
        if not isinstance(rows, pd.DataFrame):
            raise LabelError(f"{str(self.path)!r} has no labels; add an array y of 1 and 0")
        found = _label_name([str(name) for name in rows.columns])
        if found is None:
            raise LabelError(
                f"{str(self.path)!r} has no label column: none is called "
                f"{', '.join(LABEL_NAMES)}; rename the column that holds them, or name it "
                "(label_column; --label-column of oddshot bench)"
            )
        return found


def _grouped(table: Table, column: str, called: str) -> Table:
    """Take the column out of a table that says what its rows belong to."""
    if not isinstance(table.rows, pd.DataFrame):
        raise SourceError(f"{called} has no names of columns, of which {column!r} could be one")
    at = column_position([str(name) for name in table.rows.columns], column, called)
    codes, _ = pd.factorize(table.rows.iloc[:, at])
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise DataError(
            f"column {column!r} of {called} is empty in row {row}; give each row a group"
        )
    if table.rows.shape[1] == 1:
        raise DataError(f"{called} has no column beside {column!r}; add some to learn from")
    rows = table.rows.iloc[:, [i for i in range(table.rows.shape[1]) if i != at]]
    return replace(table, rows=rows, groups=codes.astype(np.int64))


def load_collection(
    folder: str | Path, *, label_column: str | None = None, group_column: str | None = None
) -> list[TableRef]:
    """List all tables in a folder and the folders in it, without reading them.

    Parameters
    ----------
    folder
        Files with the suffixes of `oddshot.data.sources` count as tables, but `.txt` and `.data`;
        others, hidden ones, and what benchmarks and training have written there do not.
    label_column, group_column
        The columns of labels, and of what rows belong to, in all of them; by default as for
        `TableRef.load`, and none.

    Returns
    -------
    list of TableRef
        In the order of their paths.

    Raises
    ------
    SourceError
        If there is no such folder, or no table in it.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        problem = "is a file" if os.path.exists(folder) else "does not exist"
        raise SourceError(f"{str(folder)!r} {problem}; give a folder of tables")
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if table_suffix(path) in LISTED
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and os.path.isfile(path)
        and not (path.name in WRITTEN and os.path.exists(path.parent / WRITTEN[path.name]))
    ]
    if not paths:
        raise SourceError(
            f"{str(folder)!r} holds no table; put files with {', '.join(sorted(LISTED))} there"
        )
    refs = [
        replace(
            _ref(path, folder, label_column), label_column=label_column, group_column=group_column
        )
        for path in paths
    ]
    times = Counter((ref.collection, ref.name) for ref in refs)
    return [
        ref
        if times[ref.collection, ref.name] == 1
        else replace(ref, name=ref.name + ref.path.name.removeprefix(stem(ref.path)))
        for ref in refs
    ]


def family_of(path: Path, columns: Iterable[str] | None = None) -> str:
    """Name the family of a table.

    Parameters
    ----------
    path
        Its file. Where the file, or the folder it is in, is named after one of the well-known
        tables that a prior may have learned from or that share their origin (`FAMILIES`), that
        decides. A number in front, as in 6_cardio.npz, is no part of the name.
    columns
        The names of its columns but for the labels', if it has names: tables with the same set of
        names are one family, whatever the format.

    Returns
    -------
    str
        A name of `FAMILIES`; or "columns-" and 12 hexadecimal digits that stand for the set of
        names; or else the file's name without suffix and number.

    Examples
    --------
    >>> family_of(Path("adbench/satimage-2.npz")), family_of(Path("plant/pump.npz"))
    ('statlog-satellite', 'pump')
    >>> family_of(Path("a.csv"), ["kg", "cm"]) == family_of(Path("b.csv"), ["cm", "kg"])
    True
    """
    own = without_number(stem(path))
    for family, pattern in FAMILIES.items():
        if any(re.fullmatch(pattern, name.lower()) for name in (own, path.parent.name)):
            return family
    if columns is None:
        return own
    names = "\n".join(sorted(set(columns)))
    return f"columns-{hashlib.sha256(names.encode()).hexdigest()[:12]}"


def without_number(name: str) -> str:
    """Leave out the number that a collection puts before a table's name.

    >>> without_number("6_cardio"), without_number("20news_3"), without_number("2024_05")
    ('cardio', '20news_3', '2024_05')
    """
    return NUMBERED.sub("", name)


@dataclass(frozen=True, slots=True)
class _Outline:
    """What the head of a file tells; its names leave out the column of labels."""

    names: tuple[str, ...] | None = None
    rows: int | None = None
    columns: int | None = None


def _ref(path: Path, folder: Path, label_column: str | None) -> TableRef:
    inside = path.relative_to(folder).parts
    collection = inside[0] if len(inside) > 1 else folder.resolve().name
    name = "/".join([*inside[1:-1], stem(path)])
    outline = _outline(path, label_column)
    return TableRef(
        name, path, collection, family_of(path, outline.names), outline.rows, outline.columns
    )


def _outline(path: Path, label_column: str | None) -> _Outline:
    """Look at the head of a file; one that cannot be read is reported when it is loaded."""
    look = {"npz": _outline_of_npz, "parquet": _outline_of_parquet, "delimited": _outline_of_text}
    try:
        look_at = look.get(FORMATS[table_suffix(path)])
        return _Outline() if look_at is None else look_at(path, label_column)
    except (*UNREADABLE, pa.ArrowException):
        return _Outline()


def _outline_of_npz(path: Path, label_column: str | None) -> _Outline:
    shapes = read_shapes(path, ("train", "test", "X", "feature_names"))
    parts = ["train", "test"] if "train" in shapes else ["X"]
    rows, columns = zip(*(shapes[part] for part in parts), strict=True)
    names = None
    if "feature_names" in shapes:
        with np.load(path, allow_pickle=False) as archive:
            names = tuple(n for n in map(str, archive["feature_names"]) if n != label_column)
    return _Outline(names, sum(rows), columns[0])


def _outline_of_parquet(path: Path, label_column: str | None) -> _Outline:
    with parquet.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if not INDEX_NAME.fullmatch(name)]
        return _Outline(_without_labels(names, label_column), file.metadata.num_rows, len(names))


def _outline_of_text(path: Path, label_column: str | None) -> _Outline:
    with open(path, "rb") as file:
        compressed = file.read(2) == GZIP
    opened = gzip.open if compressed else open
    with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
        names = sniff(read_sample(file)).names
    if names is None:
        return _Outline()
    return _Outline(_without_labels(names, label_column), columns=len(names))


def _without_labels(names: Sequence[str], label_column: str | None) -> tuple[str, ...]:
    """Leave out the column that is taken for the labels."""
    found = _label_name(names) if label_column is None else label_column
    return tuple(name for name in names if name != found)


def _label_name(names: Sequence[str]) -> str | None:
    """Find the column that is taken for the labels where nobody says which one it is."""
    small = {name.strip().lower(): name for name in reversed(names)}
    return next((small[name] for name in LABEL_NAMES if name in small), None)
