"""``y`` as `fit` takes it."""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import column_or_1d

from oddshot.data.labels import parse_labels
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, LabelArray
from oddshot.errors import LabelError, LabelWarning, first_line
from oddshot.frames import to_array

LABELS_WITH_A_SLIP = 0.9  # share of labels from which the rest are mistakes, and no other target


def checked_labels(y: ArrayLike | None, rows: int) -> LabelArray:
    """Return labels (n,) of 1, 0, -1, one for each of the rows; ``None`` says nothing.

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
        predictions, where 1 is normal: they count as labels all the same.
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
    if values.dtype.kind in "iuf":
        known = np.isin(values, (ANOMALY, NORMAL, UNLABELLED)) | np.isnan(values)
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            told = (
                f"y holds {values[row]} in row {row + 1}, which is no label (1 anomaly, 0 normal, "
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
