"""``y`` as `fit` takes it."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import column_or_1d

from oddshot.data.labels import look_like_labels, may_look_like_labels, parse_labels
from oddshot.detectors.given.tables import index_of, told_of_another_order
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, GivenLabels, LabelArray
from oddshot.errors import LabelError, LabelWarning, first_line
from oddshot.frames import RawRows, take_rows, to_array
from oddshot.mapping.encoding.source_columns import as_matrix, column_at

LABELS_WITH_A_SLIP = 0.9  # share of labels from which the rest are mistakes, and no other target
LOOKED_AT_FIRST = 16  # known anomalies, and known normal rows
NO_CHANCE = 20  # of each: a column that tells so many apart holds labels, or is as good as they


def checked_labels(y: GivenLabels | None, rows: int, X: Any = None) -> LabelArray:
    """Return labels (n,) of 1, 0, -1, one for each of the rows; ``None`` says nothing.

    ``X``: the table that they are for, where it may have an index.

    Raises
    ------
    LabelError
        If ``y`` holds words that are no labels, has another length, or holds a few numbers that are
        no labels, up to a tenth, among labels.

    Warns
    -----
    DataConversionWarning
        If it is a table of one column.
    LabelWarning
        If it holds more numbers that are no labels: all of it is ignored then, since scikit-learn
        passes any target. Or if four fifths or more are 1 and the others -1, as in scikit-learn's
        predictions, where 1 is normal: they count as labels all the same. Or if the index of ``y``
        is that of ``X`` in another order: labels go by position.
    """
    if y is None:
        return np.full(rows, UNLABELLED, dtype=np.int8)
    try:
        given = y if isinstance(y, pd.Series) else to_array(y, "y", LabelError)
        values = column_or_1d(given)
    except LabelError:
        raise
    except ValueError as error:
        raise LabelError(f"y cannot be read: {first_line(error)}") from error
    if given.ndim > 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; give y.ravel()",
            DataConversionWarning,
            stacklevel=3,
        )
    if values.dtype.kind == "O":
        values = pd.Series(values).infer_objects().to_numpy()  # numbers may stand in objects
    if len(values) != rows:
        raise LabelError(f"X has {rows} rows but y has {len(values)}; give one label a row")
    shuffled = told_of_another_order("y", y, index_of(X))
    if shuffled:
        warnings.warn(shuffled, LabelWarning, stacklevel=3)
    if values.dtype.kind in "iuf":
        known = np.isin(values, (ANOMALY, NORMAL, UNLABELLED)) | np.isnan(values)
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            told = (
                f"y holds {values[row]} in row {row}, which is no label (1 anomaly, 0 normal, "
                "-1 unlabelled)"
            )
            if known.mean() >= LABELS_WITH_A_SLIP:
                raise LabelError(f"{told}, though nearly all others are; correct it, or give -1")
            warnings.warn(
                f"{told}; all of y is ignored",
                LabelWarning,
                stacklevel=3,
            )
            return np.full(rows, UNLABELLED, dtype=np.int8)
        anomalies, unlabelled = (int((values == kind).sum()) for kind in (ANOMALY, UNLABELLED))
        if anomalies >= 4 * unlabelled > 4 and anomalies + unlabelled == rows:
            warnings.warn(
                f"y holds 1 in {anomalies} of {rows} rows and -1 in the others: here 1 is a known "
                "anomaly and -1 unlabelled, while in scikit-learn's predictions 1 is normal",
                LabelWarning,
                stacklevel=3,
            )
    return parse_labels(values)


def warn_of_labels_among(rows: RawRows, labels: LabelArray) -> None:
    """Warn of columns of a table (n, d) that hold its labels (n,).

    They agree with all that are known, and it is no chance: they are equal to them in all rows, or
    many are known of both kinds, or names and cells are such as label columns have. Where none is
    known, the last decides.
    """
    known = np.flatnonzero(labels != UNLABELLED)
    many = min(int((labels == kind).sum()) for kind in (ANOMALY, NORMAL)) >= NO_CHANCE
    for place in _telling(rows, labels):
        name = str(rows.columns[place] if isinstance(rows, pd.DataFrame) else place)
        column = column_at(rows, place)
        if not len(known):
            if look_like_labels(name, column):
                told = "looks like labels, but is learned from as any other; give it as y, or"
                warnings.warn(f"column {name!r} {told} leave it out of X", LabelWarning, 3)
            continue
        read = _read(column)
        if read is None or (read[known] != labels[known]).any():
            continue
        same = ANOMALY in labels and np.array_equal(read, labels)
        if same or many or look_like_labels(name, column):
            warnings.warn(
                f"column {name!r} says of all {len(known):,} labelled rows what y says, and is "
                "learned from as any other; leave it out of X if it holds labels",
                LabelWarning,
                stacklevel=3,
            )


def _telling(rows: RawRows, labels: LabelArray) -> list[int]:
    """Places of the columns that hold the labels of the first rows that are known, if any are."""
    kinds = (np.flatnonzero(labels == kind)[:LOOKED_AT_FIRST] for kind in (ANOMALY, NORMAL))
    first = np.concatenate([*kinds])
    if not len(first):
        return may_look_like_labels(rows) if isinstance(rows, pd.DataFrame) else []
    few, told = take_rows(rows, first), labels[first]
    matrix = as_matrix(few)
    if matrix is not None:
        dense = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
        return np.flatnonzero((dense == told[:, None]).all(axis=0)).tolist()
    assert isinstance(few, pd.DataFrame)
    read = [_read(few.iloc[:, place]) for place in range(few.shape[1])]
    return [i for i, each in enumerate(read) if each is not None and np.array_equal(each, told)]


def _read(column: "pd.Series[Any]") -> LabelArray | None:
    """Read a column as labels (n,), or give ``None``."""
    try:
        return parse_labels(column)
    except (LabelError, TypeError, ValueError):
        return None
