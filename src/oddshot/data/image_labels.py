"""What is known of images: from the folders they lie in, or from a table that names them."""

from collections import defaultdict
from collections.abc import Sequence
from os import PathLike
from pathlib import PurePath, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from oddshot.data.labels import KINDS, LABEL_NAMES, parse_labels
from oddshot.data.sources import read_table
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, LabelArray
from oddshot.errors import LabelError, SourceError

SPLITS = ("train", "test", "val", "valid", "validation")


def folder_labels(paths: Sequence[PurePosixPath]) -> tuple[LabelArray, tuple[str, ...]]:
    """Read labels and kinds off the folders that images lie in.

    A folder called good (normal, ok, healthy, ...) holds normal images; one called defect (anomaly,
    bad, nok, ...) anomalies; one called unlabelled (unknown) tells nothing; the innermost counts.
    The words are those of `parse_labels` but true, yes, y, t and their opposites. Where there is a
    good folder, any other folder holds anomalies, as in MVTec's layout. Else a folder is a class of
    which it is not known whether it is the odd one. Folders called train, test or val say nothing.

    Parameters
    ----------
    paths
        The images, relative to the folder that is read.

    Returns
    -------
    labels, kinds
        Shape (n,) of 1, 0, -1, and the innermost folder's name for each image, "" at the top.

    Examples
    --------
    >>> paths = [PurePosixPath("train/good/0.png"), PurePosixPath("test/scratch/0.png")]
    >>> folder_labels(paths)
    (array([0, 1], dtype=int8), ('good', 'scratch'))
    """
    folders = [[f for f in path.parts[:-1] if f.lower() not in SPLITS] for path in paths]
    words = [[KINDS[f.lower()] for f in inside if f.lower() in KINDS] for inside in folders]
    other = ANOMALY if any(NORMAL in said for said in words) else UNLABELLED
    labels = [
        said[-1] if said else (other if inside else UNLABELLED)
        for said, inside in zip(words, folders, strict=True)
    ]
    return np.array(labels, dtype=np.int8), tuple(f[-1] if f else "" for f in folders)


def table_labels(
    source: Any, names: Sequence[str], paths: Sequence[PurePath], column: str | None
) -> LabelArray:
    """Read labels from a table with a column that names images and a column of labels.

    Parameters
    ----------
    source
        A file or a table, as for `oddshot.data.sources.read_table`.
    names
        The n images, as they are called here.
    paths
        Where they lie. An image may be named by any end of its path that no other image shares.
    column
        The column of labels. By default the one called label, anomaly, is_anomaly, outlier, y,
        target or class, or else the only one that holds labels, see `parse_labels`.

    Returns
    -------
    ndarray
        Shape (n,) int8; images that the table does not name are unlabelled.

    Raises
    ------
    SourceError
        If the table cannot be read, names an image that there is not, or lacks one of the columns.
    LabelError
        If the column holds something else than labels, or two for one image.
    """
    called = repr(str(source)) if isinstance(source, str | PathLike) else "the table of labels"
    frame = pd.DataFrame(read_table(source).rows)
    finder = _Finder(names, paths)
    at = finder.column(frame, called)
    labels = _read_labels(frame.drop(columns=frame.columns[at]), column, called)
    found = np.full(len(names), UNLABELLED, dtype=np.int8)
    named: set[int] = set()
    for number, label in zip(finder.images(frame.iloc[:, at], called), labels, strict=True):
        if number in named and found[number] != label:
            raise LabelError(
                f"{called} gives two labels to {names[number]!r}: {found[number]} and {label}; "
                "keep one"
            )
        named.add(number)
        found[number] = label
    return found


class _Finder:
    """Finds images by name, or by an end of their path that is theirs alone."""

    def __init__(self, names: Sequence[str], paths: Sequence[PurePath]) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._parts = [path.parts for path in paths]
        self._namesakes: dict[str, list[int]] = defaultdict(list)
        for number, parts in enumerate(self._parts):
            self._namesakes[parts[-1]].append(number)

    def find(self, value: object) -> list[int]:
        path = PurePosixPath(str(value).strip().replace("\\", "/"))
        if str(path) in self._numbers:
            return [self._numbers[str(path)]]
        end = path.parts
        return [n for n in self._namesakes.get(path.name, ()) if self._parts[n][-len(end) :] == end]

    def column(self, frame: pd.DataFrame, called: str) -> int:
        """Give the place of the column that names the most images."""
        hits = [
            len({number for value in frame.iloc[:, i].unique() for number in self.find(value)})
            for i in range(frame.shape[1])
        ]
        if not max(hits):
            raise SourceError(
                f"{called} has no column that names one of the {len(self._numbers)} images "
                f"(such as {next(iter(self._numbers))!r}); give their paths or file names"
            )
        return int(np.argmax(hits))

    def images(self, values: "pd.Series[Any]", called: str) -> list[int]:
        """Find the one image that each value names."""
        found = [self.find(value) for value in values]
        unknown = [value for value, numbers in zip(values, found, strict=True) if not numbers]
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise SourceError(
                f"{called} names {unknown[0]!r}{more}, but none of the {len(self._numbers)} images "
                "is called so; correct the name or take it out"
            )
        for value, numbers in zip(values, found, strict=True):
            if len(numbers) > 1:
                raise SourceError(
                    f"{called} names {value!r}, and {len(numbers)} images are called so; "
                    "give its path with the folders"
                )
        return [numbers[0] for numbers in found]


def _read_labels(frame: pd.DataFrame, column: str | None, called: str) -> LabelArray:
    """Read the column of labels among those that name no image."""
    columns = {str(name): frame.iloc[:, i] for i, name in enumerate(frame.columns)}
    there = ", ".join(map(repr, columns)) or "none"
    if column is not None:
        if column not in columns:
            raise SourceError(f"{called} has no column {column!r} of labels; it has {there}")
        return parse_labels(columns[column], column=column)
    small = {name.lower(): name for name in columns}
    named = [small[name] for name in LABEL_NAMES if name in small]
    if named or len(columns) == 1:
        name = [*named, *columns][0]
        return parse_labels(columns[name], column=name)
    readable = [name for name, values in columns.items() if _holds_labels(values)]
    if len(readable) != 1:
        raise SourceError(
            f"{called} has {len(readable)} columns that may be labels ({there} beside the names); "
            "name one 'label', or say which with label_column (--label-column)"
        )
    return parse_labels(columns[readable[0]], column=readable[0])


def _holds_labels(values: "pd.Series[Any]") -> bool:
    try:
        parse_labels(values)
    except LabelError:
        return False
    return True
