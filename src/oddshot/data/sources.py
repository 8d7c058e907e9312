"""Files, standard input and tables in memory become a `Table`; a data frame becomes a file.

Read: CSV and TSV (`.csv .tsv .tab .txt .data`), JSON lines (`.jsonl .ndjson`), ARFF, each also as
`.gz`; Parquet (`.parquet .pq`), Arrow and Feather (`.feather .arrow .ipc`), and numpy's `.npy` and
`.npz` (scipy's sparse ones, too). Content goes before suffix: a Parquet, Arrow, numpy or gzip file
is known by its first bytes. Objects inside each other, of JSON lines, Parquet and Arrow, become
columns, see `oddshot.data.nested`.
"""

import difflib
import gzip
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray
from pyarrow import feather, parquet

from oddshot.data.archives import UNREADABLE, check_length, read_arrays
from oddshot.data.arff import read_arff
from oddshot.data.delimited import (
    Dialect,
    delimited_cells,
    lines_above,
    read_delimited,
    sniff,
    without_lines,
)
from oddshot.data.encodings import marked, other_than_utf8
from oddshot.data.labels import parse_labels
from oddshot.data.nested import flat_records, flat_table
from oddshot.data.streams import Held, Source, read_bytes, title_of
from oddshot.episodes import LabelArray, Rows, Table
from oddshot.errors import DataError, SourceError, first_line
from oddshot.frames import DAMAGED, frame_from_arrow, is_unicode, to_rows
from oddshot.persistence import replacing

FORMATS = {
    ".csv": "delimited", ".tsv": "delimited", ".tab": "delimited", ".txt": "delimited",
    ".data": "delimited", ".jsonl": "json lines", ".ndjson": "json lines", ".arff": "arff",
    ".parquet": "parquet", ".pq": "parquet", ".feather": "arrow", ".arrow": "arrow",
    ".ipc": "arrow", ".npz": "npz", ".npy": "npy",
}  # fmt: skip
MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"FEA1": "arrow", b"\xff\xff\xff\xff": "stream",
         b"\x93NUMPY": "npy"}  # fmt: skip
HEAD = 8192  # bytes that tell text from others
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
LABEL_ARRAYS = ("y", "test_labels")


@dataclass(frozen=True, slots=True)
class Content:
    """What a source holds, before a label column is taken out."""

    rows: Rows
    labels: LabelArray | None = None
    notes: tuple[str, ...] = ()
    training_rows: int | None = None
    decimal: str = "."


def read_table(
    source: Any, *, label_column: str | int | None = None, name: str | None = None
) -> Table:
    """Read a table from a file, from standard input or from memory.

    Parameters
    ----------
    source
        A path; "-" for standard input (CSV, JSON lines, Parquet or Arrow, told apart by content);
        what `oddshot.data.streams.hold` gives for these; or a table in memory, see
        `oddshot.frames.to_rows`.
    label_column
        The column to take out of the rows and read with `oddshot.data.labels.parse_labels`: a name
        or a position, negative ones counting from the end. A text such as "3" is a position if no
        column has that name. An npz file brings its own labels; this column replaces them.
    name
        The table's name; by default the file's, without suffix.

    Returns
    -------
    Table
        Rows with the names, order and types they came with. Arrays of numbers stay matrices, unless
        the file names the features.

    Raises
    ------
    SourceError
        If the file cannot be found, read or understood, or lacks the label column.
    LabelError
        If that column holds something else than labels.

    Examples
    --------
    >>> frame = pd.DataFrame({"amount": [3.5, 900.0], "fraud": ["no", "yes"]})
    >>> read_table(frame, label_column="fraud").labels
    array([0, 1], dtype=int8)
    """
    if isinstance(source, str | os.PathLike | Held):
        called, content = title_of(source), read_content(source)
        name = name or ("stdin" if str(source) == "-" else stem(Path(str(source))))
    else:
        called, content = "the table", Content(_in_memory(to_rows(source)))
    rows, labels, notes = content.rows, content.labels, content.notes
    if label_column is not None and not (labels is not None and label_column in LABEL_ARRAYS):
        if labels is not None:
            notes = (*notes, f"labels are read from {label_column!r}, not from the file's own")
        rows, labels = _take_labels(rows, label_column, called)
    return Table(name or "table", rows, labels, notes=notes, decimal=content.decimal)


def read_content(source: Source) -> Content:
    """Read all that a file, or standard input ("-"), holds; errors as for `read_table`."""
    data, form = _unpacked(source)
    return READERS[form](data, title_of(source))


def fingerprint(path: str | Path) -> str:
    """Hash of a file's content, SHA-256 in hexadecimal digits.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(
            f"{str(path)!r} cannot be read ({error.strerror}); give a file that can"
        ) from error


def written_cells(source: Source) -> tuple[pd.DataFrame, Dialect] | None:
    """Cells (n, d) of a file of delimited text as they are written in it, to be written again.

    ``None`` where the file is of another format. Errors as for `read_table`. What can be read but
    once has to be held in memory before it is read as a table, see `oddshot.data.streams.hold`.
    """
    data, form = _unpacked(source)
    if form != "delimited":
        return None
    return delimited_cells(_decoded(data, title_of(source))[0])


def written_records(source: Source) -> pd.DataFrame | None:
    """Give the rows (n, d) of a file of JSON lines with their objects inside each other.

    ``None`` where the file is of another format; errors and what is read once as for
    `written_cells`.
    """
    data, form = _unpacked(source)
    if form != "json lines":
        return None
    called = title_of(source)
    return pd.DataFrame(_records(_decoded(data, called)[0], called))


def _unpacked(source: Source) -> tuple[bytes, str]:
    """Read what a source holds, uncompressed, and tell its format."""
    data, called = read_bytes(source), title_of(source)
    suffix = "" if str(source) == "-" else table_suffix(Path(str(source)))
    if data.startswith(GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(
                f"{called} is a damaged gzip file ({error}); compress or copy it again"
            ) from error
    if not data.strip():
        raise SourceError(f"{called} is empty; give a file with rows")
    return data, _format(data, suffix, called)


def write_table(
    frame: pd.DataFrame, path: str | os.PathLike[str], *, like: Dialect | None = None
) -> None:
    """Write a data frame without its index; the file appears complete or not at all.

    Parameters
    ----------
    frame
        Shape (n, d).
    path
        The suffix decides: `.csv`, `.tsv`, `.jsonl` and `.ndjson`, each also with `.gz`;
        `.parquet`, `.pq`, `.feather`, `.arrow`, `.ipc`.
    like
        For `.csv`: the delimiter and decimal sign to write; else comma and point.

    Raises
    ------
    SourceError
        If the suffix is none of these, the folder is not there, or a column does not fit.
    """
    path = Path(path)
    if not can_write(path):
        raise SourceError(
            f"cannot write {path.name!r}: its suffix is none of {writable_suffixes()}; choose one"
        )
    write = WRITERS[FORMATS[table_suffix(path)]]
    try:
        with writing(path) as file:
            if like is not None and write is _write_text:
                _write_text(frame, file, path, like)
            else:
                write(frame, file, path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise SourceError(
            f"cannot write {path.name!r}: {first_line(error)}; write a .csv file"
        ) from error


def can_write(path: Path) -> bool:
    """Tell whether a table can be written under this name, by its suffix."""
    write = WRITERS.get(FORMATS.get(table_suffix(path), ""))
    return write is _write_text or (write is not None and path.suffix.lower() != ".gz")


def writable_suffixes() -> str:
    """Name the suffixes under which a table can be written."""
    texts = [suffix for suffix, form in FORMATS.items() if WRITERS.get(form) is _write_text]
    others = [suffix for suffix, form in FORMATS.items() if form in WRITERS and suffix not in texts]
    return f"{', '.join(texts)} (each also .gz), {', '.join(others)}"


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write, as `oddshot.persistence.replacing` does.

    Raises
    ------
    SourceError
        If it cannot be written.
    """
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise SourceError(
            f"cannot write {str(path)!r}: {error.strerror}; give a file in a folder you may write"
        ) from error


@contextmanager
def text_file(file: Any, path: Path) -> Iterator[io.TextIOWrapper]:
    """Write text to an open file, compressed if ``path`` says so."""
    if path.suffix.lower() == ".gz":
        file = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        yield text


def separators(path: Path, like: Dialect | None = None) -> tuple[str, str]:
    """Tell delimiter and decimal sign of delimited text that is written to ``path``.

    They are those of the text that it is to be ``like``, where the suffix leaves that open.
    """
    if table_suffix(path) in (".tsv", ".tab"):
        return "\t", "." if like is None else like.decimal
    if like is None:
        return ",", "."
    return like.delimiter, like.decimal


def is_delimited(path: Path) -> bool:
    """Tell whether a file's suffix says that it holds delimited text."""
    return FORMATS.get(table_suffix(path)) == "delimited"


def is_json_lines(path: Path) -> bool:
    """Tell whether a file's suffix says that it holds JSON lines."""
    return FORMATS.get(table_suffix(path)) == "json lines"


def table_suffix(path: Path) -> str:
    """Give the suffix that tells a file's format, in small letters and without ".gz"."""
    return _unpacked_name(path).suffix.lower()


def stem(path: Path) -> str:
    """Give a file's name without the suffixes that tell its format."""
    path = _unpacked_name(path)
    return path.stem if path.suffix.lower() in FORMATS else path.name


def _unpacked_name(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def _format(data: bytes, suffix: str, called: str) -> str:
    known = FORMATS.get(suffix)
    for magic, form in MAGIC.items():
        if data.startswith(magic):
            return form
    if data.startswith(ZIP):
        if suffix in ("", ".npz") and _holds_arrays(data):
            return "npz"
        raise SourceError(
            f"{called} is an archive or a spreadsheet; save the table in it as CSV or Parquet"
        )
    if suffix and not known:
        raise SourceError(
            f"{called} has the unknown suffix {suffix!r}; save it as one of {', '.join(FORMATS)}"
        )
    if known in ("parquet", "arrow", "npz", "npy"):
        raise SourceError(f"{called} does not hold what its suffix says; save it again as {suffix}")
    return known or _text_format(_decoded(data, called)[0])


def _holds_arrays(data: bytes) -> bool:
    """Tell an archive of arrays from others; a damaged one, of which its reader tells, is one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except zipfile.BadZipFile:
        return True


def _text_format(text: str) -> str:
    start = text.lstrip()[:9].lower()
    if start.startswith("{"):
        return "json lines"
    return "arff" if start.startswith(("@relation", "%")) else "delimited"


def _decoded(data: bytes, called: str) -> tuple[str, tuple[str, ...]]:
    """Give the text of a file and notes on its encoding."""
    check_is_text(data[:HEAD], called)
    try:
        return data.decode(marked(data) or "utf-8-sig"), ()
    except UnicodeDecodeError:
        found = other_than_utf8(data)
        return data.decode(found.codec, errors=found.errors), (found.note,)


def check_is_text(head: bytes, called: str) -> None:
    """Refuse what is binary, by its first ``HEAD`` bytes.

    Raises
    ------
    SourceError
        If it is; what is ``called`` so holds them.
    """
    if marked(head) is not None:
        return
    codes = np.frombuffer(head, dtype=np.uint8)
    control = (codes < 32) & ~np.isin(codes, (9, 10, 12, 13, 26))
    if (codes == 0).any() or control.sum() > 0.02 * len(codes):
        raise SourceError(f"{called} is not a text but binary; save it as CSV or Parquet")


def _from_delimited(data: bytes, called: str) -> Content:
    text, notes = _decoded(data, called)
    frame, more = read_delimited(text, called)
    decimal = sniff(without_lines(text, lines_above(text))).decimal
    return Content(frame, notes=notes + more, decimal=decimal)


def _from_json_lines(data: bytes, called: str) -> Content:
    text, notes = _decoded(data, called)
    frame = pd.DataFrame(flat_records(_records(text, called)))
    if not frame.shape[1]:
        raise SourceError(f"{called} holds objects without a field; name the columns in them")
    return Content(frame, notes=notes)


def _records(text: str, called: str) -> list[dict[str, Any]]:
    lines = enumerate(text.split("\n"), 1)
    return [_record(line, f"{called}: line {i}") for i, line in lines if line.strip()]


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        halved = "\\u" in line and not is_unicode(json.dumps(record, ensure_ascii=False))
    except json.JSONDecodeError as error:
        raise SourceError(f"{where} is no JSON ({error.msg}); write one object a line") from error
    except RecursionError as error:
        raise SourceError(
            f"{where} holds lists or objects in each other, too deep to be read; write them as text"
        ) from error
    except ValueError as error:
        raise SourceError(
            f"{where} holds a whole number of thousands of digits; write it as text"
        ) from error
    if not isinstance(record, dict):
        raise SourceError(f"{where} is no JSON object; write one object a line")
    if halved:
        raise SourceError(
            f"{where} holds half a letter (\\ud800 to \\udfff) without the other half; leave it out"
        )
    return record


def _from_arff(data: bytes, called: str) -> Content:
    text, notes = _decoded(data, called)
    return Content(read_arff(text, called), notes=notes)


def _from_arrow(read: Callable[[Any], Any]) -> Callable[[bytes, str], Content]:
    def reader(data: bytes, called: str) -> Content:
        try:
            table = read(pa.BufferReader(data))
            table.validate(full=True)  # cells outside the file's own memory would be read
        except (*DAMAGED, pa.ArrowException, OSError) as error:
            raise SourceError(
                f"{called} is damaged ({first_line(error)}); write or copy it again"
            ) from error
        if not table.num_rows or not table.num_columns:
            raise SourceError(
                f"{called} holds {table.num_rows} rows and {table.num_columns} columns; "
                "give a file with some of both"
            )
        try:
            return Content(frame_from_arrow(flat_table(table)))
        except DataError as error:
            raise SourceError(f"{called}: {error}") from error

    return reader


def _from_npy(data: bytes, called: str) -> Content:
    with _loading(called):
        check_length(io.BytesIO(data), len(data))
        matrix = np.load(io.BytesIO(data), allow_pickle=False)
    return Content(_named(matrix, {}, called))


def _from_npz(data: bytes, called: str) -> Content:
    with _loading(called):
        arrays = read_arrays(io.BytesIO(data))
        is_sparse = {"format", "shape", "data"} <= arrays.keys()
        sparse = sp.load_npz(io.BytesIO(data)) if is_sparse else None
    if sparse is not None:
        return Content(_named(sparse, {}, called))
    if "train" in arrays and "test" in arrays and "test_labels" in arrays:
        return _from_train_and_test(arrays, called)
    if len(arrays) == 1 and "y" not in arrays:
        (arrays["X"],) = arrays.values()
    if "X" not in arrays:
        raise SourceError(
            f"{called} holds the arrays {', '.join(arrays) or 'none'}; it needs X and, for labels, "
            "y; or train, test and test_labels; or a single one"
        )
    labels = parse_labels(arrays["y"]) if "y" in arrays else None
    return Content(_named(arrays["X"], arrays, called), labels)


@contextmanager
def _loading(called: str) -> Iterator[None]:
    try:
        yield
    except (*UNREADABLE, TypeError, AttributeError, NotImplementedError) as error:
        raise SourceError(
            f"{called} is a damaged file of arrays or holds Python objects ({first_line(error)}); "
            "save plain arrays again"
        ) from error


def _from_train_and_test(arrays: dict[str, NDArray[Any]], called: str) -> Content:
    train, test = arrays["train"], arrays["test"]
    if train.ndim != 2 or test.ndim != 2 or train.shape[1] != test.shape[1]:
        raise SourceError(
            f"{called}: train is {train.shape} and test {test.shape}; "
            "both need the same number of columns"
        )
    truth = parse_labels(arrays["test_labels"], column="test_labels")
    labels = np.concatenate([np.zeros(len(train), dtype=np.int8), truth])
    rows = _named(np.concatenate([train, test]), arrays, called)
    return Content(rows, labels, training_rows=len(train))


def _named(matrix: Any, arrays: dict[str, NDArray[Any]], called: str) -> Rows:
    if matrix.dtype.names or matrix.ndim != 2:
        what = "records" if matrix.dtype.names else f"an array of shape {matrix.shape}"
        raise SourceError(f"{called} holds {what}; it needs numbers in rows and columns, (n, d)")
    try:
        rows = _in_memory(to_rows(matrix))
    except DataError as error:
        raise SourceError(f"{called}: {error}") from error
    if not rows.size:
        raise SourceError(
            f"{called} holds a table of shape {rows.shape}; it needs rows and columns"
        )
    names = [str(name) for name in arrays.get("feature_names", ())]
    if not names or len(set(names)) != rows.shape[1]:
        return rows
    return pd.DataFrame(rows if isinstance(rows, np.ndarray) else rows.to_numpy(), columns=names)


def _in_memory(rows: Any) -> Rows:
    sparse: Any = pd.DataFrame.sparse
    return sparse.from_spmatrix(rows) if sp.issparse(rows) else rows  # type: ignore[no-any-return]


def _take_labels(rows: Rows, label_column: str | int, called: str) -> tuple[Rows, LabelArray]:
    names = list(rows.columns) if isinstance(rows, pd.DataFrame) else list(range(rows.shape[1]))
    at = column_position([str(name) for name in names], label_column, called)
    if len(names) == 1:
        raise DataError(f"{called} has no column beside the labels; add some to learn from")
    if isinstance(rows, pd.DataFrame):
        labels = parse_labels(rows.iloc[:, at], column=str(names[at]))
        return rows.iloc[:, [i for i in range(len(names)) if i != at]], labels
    return np.delete(rows, at, axis=1), parse_labels(rows[:, at], column=str(names[at]))


def column_position(names: Sequence[str], label_column: str | int, called: str) -> int:
    """Find a column by name, or by number where no column has that name.

    Spaces around names do not matter where no name has just these.

    Raises
    ------
    SourceError
        If there is none, or several; what is ``called`` so lacks it.
    """
    text = str(label_column)
    if isinstance(label_column, str) and text not in names:
        text, names = text.strip(), [name.strip() for name in names]
    if isinstance(label_column, str) and text in names:
        if names.count(text) > 1:
            raise SourceError(
                f"{called} has several columns {text!r}; rename them, or give a number"
            )
        return names.index(text)
    if text.removeprefix("-").isdecimal():
        number = int(text)
        if -len(names) <= number < len(names):
            return number % len(names)
        raise SourceError(
            f"{called} has no column number {number}; it has {len(names)}, counted from 0"
        )
    small = {name.lower(): name for name in names}
    close = [small[n] for n in difflib.get_close_matches(text.lower(), small, n=3, cutoff=0.5)]
    raise SourceError(
        f"{called} has no column {text!r}; "
        + (f"near it: {', '.join(map(repr, close))}" if close else _listed(names))
    )


def _listed(names: Sequence[str]) -> str:
    return f"it has {', '.join(map(repr, names[:12]))}" + (", ..." if len(names) > 12 else "")


def _write_text(frame: pd.DataFrame, file: Any, path: Path, like: Dialect | None = None) -> None:
    delimiter, decimal = separators(path, like)
    with text_file(file, path) as text:
        if FORMATS[table_suffix(path)] == "json lines":
            for record in frame.to_dict("records"):
                plain = {str(key): _plain(value) for key, value in record.items()}
                text.write(json.dumps(plain, ensure_ascii=False, default=str) + "\n")
        else:
            objects = [column.dtype.kind == "O" for _, column in frame.items()]
            if any(objects):
                columns = zip(objects, frame.items(), strict=True)
                cells = [column.map(_cell) if maybe else column for maybe, (_, column) in columns]
                frame = pd.concat(cells, axis=1)
            frame.to_csv(text, index=False, sep=delimiter, decimal=decimal)


def _cell(value: Any) -> Any:
    """Give a cell of delimited text: nested values as JSON."""
    nested = isinstance(value, list | tuple | dict | np.ndarray)
    return json.dumps(_plain(value), ensure_ascii=False, default=str) if nested else value


def _plain(value: Any) -> Any:
    """Give what JSON can say; gaps as null."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value) and not np.isnan(value):
        return str(value)
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else value


def _write_parquet(frame: pd.DataFrame, file: Any, _: Path) -> None:
    parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), file)


def _write_arrow(frame: pd.DataFrame, file: Any, _: Path) -> None:
    feather.write_feather(pa.Table.from_pandas(frame, preserve_index=False), file)


READERS: dict[str, Callable[[bytes, str], Content]] = {
    "delimited": _from_delimited,
    "json lines": _from_json_lines,
    "arff": _from_arff,
    "parquet": _from_arrow(lambda buffer: parquet.ParquetFile(buffer).read()),
    "arrow": _from_arrow(feather.read_table),
    "stream": _from_arrow(lambda buffer: pa.ipc.open_stream(buffer).read_all()),
    "npz": _from_npz,
    "npy": _from_npy,
}
WRITERS: dict[str, Callable[[pd.DataFrame, Any, Path], None]] = {
    "delimited": _write_text,
    "json lines": _write_text,
    "parquet": _write_parquet,
    "arrow": _write_arrow,
}
