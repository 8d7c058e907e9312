"""Tables in memory, whoever made them, as one of three kinds: data frame, matrix, sparse matrix."""

import decimal
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from numbers import Number
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from oddshot.errors import DataError, first_line

# what people write where they have no value, in small letters
MISSING_WORDS = frozenset(
    {"", "?", "-", "--", "na", "n/a", "n.a.", "nan", "nat", "none", "null", "<na>", "<null>"}
    | {"0000-00-00", "0000-00-00 00:00", "0000-00-00 00:00:00"}  # of databases
    | {"#n/a", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"}  # of spreadsheets
)
NUMBER_TEXT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.I)
CODE_TEXT = re.compile(r"0\d+")  # leading zeros: a postcode, not a quantity
PHONE_TEXT = re.compile(r"\+[1-9]\d{7,14}")
# where all are so: rooms, and no numbers, which programs write with a point or a sign, as 1E+29
LETTER_CODE = re.compile(r"\d{1,3}E\d\d")
INDEX_NAME = re.compile(r"__index_level_\d+__")  # of pandas, for an index without a name
DAMAGED = (ValueError, LookupError, AttributeError, AssertionError)  # of a table's metadata
UNREADABLE = ", which cannot be read; cast it"

RawRows: TypeAlias = pd.DataFrame | NDArray[Any] | sp.csr_array


def to_rows(X: Any) -> RawRows:
    """Bring any table to a data frame, a numeric matrix or a sparse matrix in CSR form.

    Parameters
    ----------
    X
        Shape (n, d): pandas, polars or pyarrow table (anything that speaks the Arrow PyCapsule
        interface, or has ``to_arrow`` or ``to_pandas``), numpy array, scipy sparse matrix, or
        nested lists.

    Returns
    -------
    DataFrame | ndarray | csr_array
        Data frames come back as they are, unless all of their columns are sparse: use
        `sparse_columns` for these. Numeric arrays keep a floating type and are float64 otherwise;
        arrays of objects or strings become a data frame whose columns are counted from 0. Numbers
        in another byte order are brought to this machine's; bytes become text.

    Raises
    ------
    DataError
        For anything that is not two-dimensional, for complex numbers, and for frames of which
        nothing but the numbers can be read: names and types would be lost.

    Examples
    --------
    >>> to_rows([[1, 2], [3, 4]])
    array([[1., 2.],
           [3., 4.]])
    >>> to_rows([["red", 2], ["blue", 4]])[0].tolist()
    ['red', 'blue']
    """
    if isinstance(X, pd.DataFrame):
        return _of_cells_we_know(_in_native_order(_in_plain_types(X)))
    if sp.issparse(X):
        return _from_sparse(X)
    if hasattr(X, "__arrow_c_stream__") and not isinstance(X, pd.Series):
        _refuse_addresses(X)
        try:
            return _of_cells_we_know(frame_from_arrow(pa.table(X)))
        except pa.ArrowInvalid as error:
            raise DataError(_unlike_arrow(X, error)) from error
    if isinstance(X, str | PathLike):
        raise DataError(
            f"X is {str(X)!r}, a path or a text; read the table first, as by pandas.read_csv"
        )
    if hasattr(X, "collect"):
        raise DataError(f"X is a {type(X).__name__}, a plan and not yet a table; call collect()")
    if hasattr(X, "columns") and not isinstance(X, np.ndarray | pd.Series):
        return to_rows(_with_names(X))
    return _from_array(X)


def frame_from_arrow(table: Any) -> pd.DataFrame:
    """Turn a pyarrow table into a data frame; integers and booleans with gaps stay what they are.

    Parameters
    ----------
    table
        A `pyarrow.Table`.

    Raises
    ------
    DataError
        If pandas has nothing like the type of a column, as for unions, or its own metadata, which
        the table has, are damaged.
    """
    try:
        frame = _in_plain_types(_to_pandas(table))
    except pa.ArrowNotImplementedError as error:
        raise DataError(_unlike_pandas(table, error)) from error
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index(allow_duplicates=True)  # made of a column by pandas' metadata
    # names that came from pandas may be numbers again
    places = {str(name): place for place, name in enumerate(frame.columns)}
    with_gaps = {
        places[name]: (column, nullable)
        for name, column in zip(table.column_names, table.columns, strict=True)
        if column.null_count
        and name in places
        and (nullable := _nullable(column.type)) is not None
        and table.column_names.count(name) == 1
    }
    if not with_gaps:
        return frame
    columns = [
        pd.Series(with_gaps[i][1].__from_arrow__(with_gaps[i][0]), index=frame.index)
        if i in with_gaps
        else frame.iloc[:, i]
        for i in range(frame.shape[1])
    ]
    renamed: pd.DataFrame = pd.concat(columns, axis=1)
    renamed.columns = frame.columns
    return renamed


def to_array(values: Any, called: str, error: type[DataError] = DataError) -> NDArray[Any]:
    """Read values as an array, masked ones as `unmasked` has them.

    Raises
    ------
    DataError
        Of the type ``error``, if their own type does not allow it, as that of tensors that want a
        gradient.
    """
    try:
        return np.asarray(unmasked(values))
    except (RuntimeError, TypeError) as cause:
        if "bfloat16" in str(getattr(values, "dtype", "")):
            raise error(
                f"{called} is a {type(values).__name__} of bfloat16, which NumPy lacks; give it "
                "as 32-bit floats, as by .float()"
            ) from cause
        raise error(
            f"{called} is a {type(values).__name__} that cannot be read as an array: "
            f"{first_line(cause)}"
        ) from cause


def unmasked(values: Any) -> Any:
    """Give what is masked in an array as NaN among numbers and truth values, else as ``None``."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if values.dtype.kind in "biuf":
        floats: Any = values.astype(np.float64)
        return floats.filled(np.nan)
    cells = np.asarray(values.astype(object).data)
    cells[np.ma.getmaskarray(values)] = None  # `filled(None)` would fill in a question mark
    return cells


def sparse_columns(frame: pd.DataFrame) -> sp.csr_array | None:
    """Give the matrix behind a frame whose columns are all sparse numbers, else ``None``."""
    types = list(frame.dtypes)
    if not types or not all(
        isinstance(t, pd.SparseDtype) and t.subtype.kind in "biuf" and t.fill_value == 0
        for t in types
    ):
        return None
    accessor: Any = frame.sparse
    return sp.csr_array(accessor.to_coo(), dtype=np.float64)


def _with_names(X: Any) -> Any:
    """Turn a frame of another library, of which an array would lose the names, to one we know."""
    for method in ("to_arrow", "to_pandas"):
        if callable(turned := getattr(X, method, None)):
            table = turned()
            if isinstance(table, pa.Table | pd.DataFrame):
                return table
    raise DataError(
        f"X is a {type(X).__name__}, whose names of columns cannot be read; give it as a pandas "
        "data frame"
    )


def _refuse_addresses(X: Any) -> None:
    """Refuse polars' columns of objects, of which Arrow gets where these lie in memory."""
    schema = getattr(X, "schema", None)
    for name, kind in schema.items() if isinstance(schema, Mapping) else ():
        if str(kind) == "Object":
            raise DataError(f"column {name!r} of X is of the type {kind}{UNREADABLE}")


def _to_pandas(table: Any) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = table.to_pandas()
    except (TypeError, NotImplementedError):  # pandas' metadata name a type that it cannot read
        frame = table.to_pandas(ignore_metadata=True)
        frame = frame[[name for name in frame if not INDEX_NAME.fullmatch(str(name))]]
    except DAMAGED as error:
        raise DataError(
            f"the table's cells or metadata are damaged ({first_line(error)}); write it again, or "
            "without metadata, as by table.replace_schema_metadata()"
        ) from error
    return frame


def _unlike_pandas(table: Any, error: Exception) -> str:
    """Say which column of a pyarrow table has a type that pandas does not know."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.to_pandas()
        except pa.ArrowNotImplementedError:
            return f"column {name!r} is of the type {column.type}{UNREADABLE}"
    return f"the table cannot be read: {first_line(error)}"


def _in_plain_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring columns whose types pandas holds as Arrow does, but cannot compare, to plain ones."""
    held = {
        place: pa.chunked_array(frame.iloc[:, place].array.__arrow_array__())
        for place, dtype in enumerate(frame.dtypes)
        if isinstance(dtype, pd.ArrowDtype) and _cannot_be_compared(dtype.pyarrow_dtype)
    }
    if not held:
        return frame
    columns = [
        frame.iloc[:, place]
        if place not in held
        else frame_from_arrow(pa.table({str(name): held[place]})).iloc[:, 0].set_axis(frame.index)
        for place, name in enumerate(frame.columns)
    ]
    plain: pd.DataFrame = pd.concat(columns, axis=1)
    return plain.set_axis(frame.columns, axis=1)


def _cannot_be_compared(kind: Any) -> bool:
    return bool(
        pa.types.is_nested(kind)
        or pa.types.is_run_end_encoded(kind)
        or isinstance(kind, pa.BaseExtensionType)
    )


def _unlike_arrow(X: Any, error: Exception) -> str:
    """Say which column of X has a type that Arrow does not know, or that X is no table."""
    schema = getattr(X, "schema", None)
    for name, kind in schema.items() if isinstance(schema, Mapping) else ():
        try:
            pa.table(X.select(name))
        except pa.ArrowInvalid:
            return f"column {name!r} of X is of the type {kind}{UNREADABLE}"
    return f"X is a {type(X).__name__}, not a table; give rows and columns ({error})"


def _in_native_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring numbers to the byte order of this machine; a frame without others stays as it is."""
    plain = [t if isinstance(t, np.dtype) else None for t in frame.dtypes]
    if all(t is None or t.isnative for t in plain):
        return frame
    columns = [
        column if t is None else column.astype(t.newbyteorder("="))
        for t, (_, column) in zip(plain, frame.items(), strict=True)
    ]
    native: pd.DataFrame = pd.concat(columns, axis=1)
    return native.set_axis(frame.columns, axis=1)


def _of_cells_we_know(frame: pd.DataFrame) -> pd.DataFrame:
    """Take ``Decimal("sNaN")``, which allows no comparison, for a gap, and bytes for text."""
    places = [i for i, t in enumerate(frame.dtypes) if isinstance(t, np.dtype) and t.kind == "O"]
    others = [i for i in places if _signals(frame.iloc[:, i]) or _holds_bytes(frame.iloc[:, i])]
    if not others:
        return frame
    columns = [
        frame.iloc[:, i].map(_known) if i in others else frame.iloc[:, i]
        for i in range(frame.shape[1])
    ]
    known: pd.DataFrame = pd.concat(columns, axis=1)
    return known.set_axis(frame.columns, axis=1)


def _signals(column: "pd.Series[Any]") -> bool:
    try:
        column.isna()
    except decimal.InvalidOperation:
        return True
    return False


def _holds_bytes(column: "pd.Series[Any]") -> bool:
    """Whether the first cell that is no gap holds bytes, as files of HDF5 have texts."""
    return isinstance(next((c for c in column if not isinstance(c, float | None)), None), bytes)


def _known(cell: Any) -> Any:
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            return cell.decode("latin-1")
    return None if isinstance(cell, decimal.Decimal) and cell.is_snan() else cell


def _from_sparse(X: Any) -> sp.csr_array:
    if X.dtype.kind == "c":
        raise DataError("Complex data not supported: give real numbers")
    if X.ndim != 2:
        raise DataError(f"Found array with dim {X.ndim}, while dim 2 is required.")
    _check_places(X)
    dtype = X.dtype if X.dtype.kind == "f" else np.float64
    rows = sp.csr_array(X, dtype=dtype)
    if not rows.has_canonical_format:
        rows = rows.copy()  # the numbers may be the caller's own
        rows.sum_duplicates()
    return rows


def _check_places(X: Any) -> None:
    """Refuse a compressed matrix with places outside it, as of a damaged file: they end Python."""
    if X.format not in ("csr", "csc", "bsr"):
        return
    try:
        type(X)(X).check_format()  # of a view: it may change what it checks
        if (np.diff(X.indptr) < 0).any():  # which it does not see where the last one is 0
            raise ValueError("indptr must be a non-decreasing sequence")
    except ValueError as error:
        raise DataError(
            f"X is a damaged sparse matrix ({first_line(error)}); make it again from its values"
        ) from error


def _from_array(X: Any) -> pd.DataFrame | NDArray[Any]:
    if isinstance(X, pd.Series):
        raise DataError(
            "X is a Series, one column or one row of a table; give a table: of one column "
            "X[['name']], of one row X.iloc[[0]]"
        )
    if isinstance(X, Number):
        raise DataError(
            f"X is {X}, one number; give the rows: a table, as X.iloc[[3]] is of a frame"
        )
    if isinstance(X, Iterator) and not hasattr(X, "read"):
        raise DataError(f"X is a {type(X).__name__}, which gives its rows once; give list(X)")
    X = unmasked(X)
    _refuse_records(X)
    try:
        array = to_array(X, "X")
    except DataError:
        raise
    except ValueError as error:  # numpy's "inhomogeneous shape"
        raise DataError("the rows have different lengths; give rows x columns") from error
    if array.ndim < 2:
        shape = "a scalar" if array.ndim == 0 else "1D array"
        raise DataError(
            f"Expected 2D array, got {shape} instead. Reshape your data either using "
            "array.reshape(-1, 1) if your data has a single feature or array.reshape(1, -1) "
            "if it contains a single sample."
        )
    if array.ndim > 2:
        raise DataError(f"Found array with dim {array.ndim}, while dim <= 2 is required.")
    if array.dtype.kind == "c":
        raise DataError("Complex data not supported: give real numbers")
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    if array.dtype.kind == "f":
        kept = np.float64 if array.dtype == np.float16 else array.dtype.newbyteorder("=")
        return array.astype(kept, copy=False)
    plain = isinstance(X, np.ndarray) and array.dtype.kind != "S"
    cells = array if plain else np.asarray(X, dtype=object)
    return _of_cells_we_know(pd.DataFrame(cells).infer_objects())


def _refuse_records(X: Any) -> None:
    """Refuse what is not rows and columns yet, but becomes such in a data frame."""
    first = X[0] if isinstance(X, list | tuple) and X else None
    if X is None:
        raise DataError("X is None; give a table: rows and columns")
    if isinstance(X, Mapping):
        plain = all(np.ndim(value) == 0 for value in X.values())
        what, give = f"a {type(X).__name__}", "[X]" if plain else "X"
    elif isinstance(first, Mapping):
        what, give = f"a {type(X).__name__} of {type(first).__name__}s", "X"
    elif getattr(getattr(X, "dtype", None), "names", None):
        what, give = "an array of records", "X"
    else:
        return
    raise DataError(f"X is {what}; give pandas.DataFrame({give})")


def _nullable(kind: Any) -> Any:
    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    if pa.types.is_integer(kind):
        return pd.api.types.pandas_dtype(str(kind).replace("u", "U").replace("int", "Int"))
    return None


def as_frame(rows: RawRows, places: NDArray[np.intp] | slice = slice(None)) -> pd.DataFrame:
    """Take rows of any table as a data frame; columns without names are counted."""
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[places].reset_index(drop=True)
    part = rows[places]
    return pd.DataFrame(part if isinstance(part, np.ndarray) else part.toarray())


def check_unique(names: Sequence[str]) -> None:
    """Refuse names of columns of which two are equal."""
    if len(set(names)) < len(names):
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        raise DataError(f"several columns are named {twice[0]!r}; rename them")


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written as UTF-8; a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def hash_rows(rows: RawRows) -> NDArray[np.uint64]:
    """Hash each row (n,) by its cells; equal rows have equal hashes."""
    return np.asarray(pd.util.hash_pandas_object(as_frame(rows), index=False), dtype=np.uint64)


def take_rows(rows: RawRows, places: NDArray[np.intp] | slice) -> RawRows:
    """Take rows of any table by their places."""
    return rows.iloc[places] if isinstance(rows, pd.DataFrame) else rows[places]
