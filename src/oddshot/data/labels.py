"""What people write in a label column, as ``1``, ``0`` and ``-1``."""

import reprlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, LabelArray
from oddshot.errors import LabelError
from oddshot.frames import MISSING_WORDS, to_array

# what things, and folders of them, are called
KINDS = {
    **dict.fromkeys(
        (
            *("anomaly", "anomalies", "anomalous", "abnormal", "outlier", "outliers", "irregular"),
            *("fraud", "fraudulent", "chargeback", "chargebacks"),
            *("bad", "nok", "not_ok", "not ok", "not-ok"),
            *("defect", "defects", "defective", "fault", "faults", "faulty"),
            *("fail", "failed", "failure", "failures", "unhealthy"),
            *("attack", "attacks", "intrusion", "malicious", "malware", "malignant"),
            *("diseased", "pathological", "sick"),
            *("schlecht", "fehlerhaft", "defekt", "ausschuss", "ausschu\u00df", "anomal"),
            *("nio", "n.i.o.", "n.i.o", "n. i. o.", "nicht in ordnung", "nicht ok"),
            *("mauvais", "d\u00e9fectueux", "defectueux", "non conforme", "anormal"),
            *("malo", "defectuoso", "no conforme"),
        ),
        ANOMALY,
    ),
    **dict.fromkeys(
        (
            *("normal", "inlier", "inliers", "regular", "nominal", "good", "ok", "okay"),
            *("pass", "passed", "healthy", "benign", "legit", "legitimate", "genuine"),
            *("gut", "io", "i.o.", "i.o", "i. o.", "in ordnung", "fehlerfrei"),
            *("bon", "conforme", "bueno"),
        ),
        NORMAL,
    ),
    **dict.fromkeys(("unknown", "unlabelled", "unlabeled"), UNLABELLED),
}
# what groups and results of tests are called: labels only where a column is known to hold them
GROUPS = {
    **dict.fromkeys(("case", "cases", "positive"), ANOMALY),
    **dict.fromkeys(("control", "controls", "negative"), NORMAL),
}
WORDS = {
    **KINDS,
    **GROUPS,
    **dict.fromkeys(("tp", "true positive", "true_positive", "true-positive"), ANOMALY),
    **dict.fromkeys(("fp", "false positive", "false_positive", "false-positive"), NORMAL),
    **dict.fromkeys(("true", "yes", "y", "t", "ja", "j", "oui", "s\u00ed", "si"), ANOMALY),
    **dict.fromkeys(("false", "no", "n", "f", "nein", "non"), NORMAL),
    **dict.fromkeys(MISSING_WORDS, UNLABELLED),
}
SPELLED_GROUPS = [spell(word) for word in GROUPS for spell in (str.lower, str.upper, str.title)]
# what a label column is called, in small letters, where the user does not say
LABEL_NAMES = (
    *("label", "labels", "anomaly", "is_anomaly", "anomalous", "outlier", "is_outlier"),
    *("fraud", "is_fraud", "isfraud", "defect", "fault", "y", "target", "class"),
)
MOSTLY_GAPS = 0.6  # share of gaps from which on a column of labels' words is taken for such


def look_like_labels(name: str, column: "pd.Series[Any]") -> bool:
    """Tell whether a column is likely one of labels: by its name, or by few labels of both kinds.

    >>> look_like_labels("is_fraud", pd.Series([1, 0, 0]))
    True
    >>> look_like_labels("checked", pd.Series(["yes", None, None, None, "no"]))
    True
    >>> look_like_labels("status", pd.Series(["ok", "bad", None, None, None]))
    True
    >>> look_like_labels("member", pd.Series(["yes", "no", "no"]))
    False
    >>> look_like_labels("antigen", pd.Series(["positive", "negative", None, None, None]))
    False
    """
    named = _is_label_name(name)
    if not (named or MOSTLY_GAPS <= float(column.isna().mean()) < 1):
        return False
    try:
        few = 0 < column.nunique() <= 3
        groups = not named and column.isin(SPELLED_GROUPS).any()
        found = parse_labels(column) if few and not groups else np.zeros(0)
    except (LabelError, TypeError):  # cells that are lists
        return False
    kinds = {ANOMALY} if named else {ANOMALY, NORMAL}
    return kinds <= set(found.tolist())


def may_look_like_labels(rows: pd.DataFrame) -> list[int]:
    """Places of the columns of a table (n, d) that have the name or the gaps of labels.

    All that `look_like_labels` are among them; to find these is quicker where columns are many.
    """
    gaps = rows.isna().to_numpy().mean(axis=0)
    named = [_is_label_name(str(name)) for name in rows.columns]
    found = np.array(named, dtype=bool) | ((gaps >= MOSTLY_GAPS) & (gaps < 1))
    return np.flatnonzero(found).tolist()


def _is_label_name(name: str) -> bool:
    return name.strip().lower() in LABEL_NAMES


def parse_labels(values: Any, *, column: str = "y") -> LabelArray:
    """Read labels from numbers, booleans, words and gaps.

    Parameters
    ----------
    values
        Shape (n,) or (n, 1): list, array or series. Read as an anomaly: 1, true, yes, y, t,
        anomaly, anomalous, abnormal, outlier, irregular, fraud, fraudulent, chargeback, bad, nok,
        not ok, defect, defective, fault, faulty, fail, failed, failure, unhealthy, diseased,
        pathological, sick, attack, intrusion, malicious, malware, malignant, positive, case, tp,
        true positive; ja, j, oui, sí, schlecht, fehlerhaft, defekt, Ausschuss, anomal, n.i.O., nio,
        nicht in Ordnung, nicht ok, mauvais, défectueux, non conforme, anormal, malo, defectuoso,
        no conforme. As normal: 0, false, no, n, f, normal, inlier, regular, nominal, good, ok,
        okay, pass, passed, healthy, benign, legit, legitimate, genuine, negative, control, fp,
        false positive; nein, non, gut, i.O., io, in Ordnung, fehlerfrei, bon, conforme, bueno. As
        unlabelled: -1, ``None``, ``NaN``, an empty cell, ?, -, na, null, none,
        unknown, unlabelled. Letter case and surrounding spaces do not matter. Mind that
        scikit-learn's *predictions* use -1 for an anomaly; labels here do not.
    column
        How an error calls the values.

    Returns
    -------
    ndarray
        Shape (n,) int8 of 1 (anomaly), 0 (normal), -1 (unlabelled).

    Raises
    ------
    LabelError
        At the first value that is none of these. It counts rows of data from 0: row 0 of a CSV
        file is the line after the header.

    Examples
    --------
    >>> parse_labels([1, 0.0, None, " Yes ", "normal", "unknown"])
    array([ 1,  0, -1,  1,  0, -1], dtype=int8)
    """
    series = _as_series(values, column)
    if series.dtype.kind in "biuf":
        return _from_numbers(_to_floats(series), series, column)
    return _from_objects(series, column)


def _as_series(values: Any, column: str) -> "pd.Series[Any]":
    if isinstance(values, pd.Series):
        return values
    if isinstance(values, pd.DataFrame):
        values = values.to_numpy(dtype=object)
    if not isinstance(values, pd.api.extensions.ExtensionArray | pd.Index):
        array = _as_array(values, column)
        if array.dtype.names:
            raise LabelError(f"labels {column!r} are an array of records; give one of its fields")
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise LabelError(
                f"labels {column!r} have the shape {array.shape}; give one label a row"
            )
        values = array.astype(object) if array.dtype.kind in "SU" else array
    return pd.Series(values)


def _as_array(values: Any, column: str) -> NDArray[Any]:
    if hasattr(values, "__array__"):  # arrays, polars and pyarrow columns, tensors
        return to_array(values, f"labels {column!r}", LabelError)
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise LabelError(f"labels {column!r} are {values!r}; give one label a row")
    return np.array(list(values), dtype=object)


def _to_floats(series: "pd.Series[Any]") -> NDArray[np.float64]:
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _from_numbers(
    numbers: NDArray[np.float64], series: "pd.Series[Any]", column: str
) -> LabelArray:
    missing = np.isnan(numbers)
    wrong = ~(missing | (numbers == ANOMALY) | (numbers == NORMAL) | (numbers == UNLABELLED))
    if wrong.any():
        raise _error(column, series, int(np.argmax(wrong)))
    return np.where(missing, UNLABELLED, numbers).astype(np.int8)


def _from_objects(series: "pd.Series[Any]", column: str) -> LabelArray:
    try:
        codes, distinct = pd.factorize(series)
    except TypeError:  # a list or another value that cannot be hashed: find it, and say where
        unhashable = (i for i, value in enumerate(series) if type(value).__hash__ is None)
        raise _error(column, series, next(unhashable, 0)) from None
    meanings = [_meaning(value) for value in distinct]
    meanings.append(UNLABELLED)  # factorize gives gaps the code -1
    unread = [code for code, meaning in enumerate(meanings) if meaning is None]
    if unread:
        raise _error(column, series, int(np.argmax(np.isin(codes, unread))))
    return np.array(meanings, dtype=np.int8)[codes]


def _meaning(value: Any) -> int | None:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        word = value.strip().lower()
        if word in WORDS:
            return WORDS[word]
        value = word
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number in (ANOMALY, NORMAL, UNLABELLED) else None


def _error(column: str, series: "pd.Series[Any]", row: int) -> LabelError:
    value = series.iloc[row]
    shown = reprlib.repr(value.item() if isinstance(value, np.generic) else value)
    return LabelError(
        f"column {column!r} holds {shown} in row {row}; write 1 for an anomaly (or yes, "
        "anomaly, fraud, bad, defect, fault, fail, attack), 0 for normal (or no, normal, good, ok, "
        "pass, healthy, legit), leave it empty for unlabelled"
    )
