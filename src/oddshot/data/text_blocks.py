"""A file of delimited text of any length, a block of rows at a time."""

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO, ClassVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

from oddshot.data.blocks import BLOCK_ROWS, chosen
from oddshot.data.codes import codes_among, lose_digits, may_hold_codes, whole_numbers
from oddshot.data.delimited import (
    check_header,
    layout,
    lines_above,
    notes_on,
    numbered_rows,
    pointed,
    read_sample,
    rows_of_width,
    sniff,
    values,
    without_lines,
    without_points,
    without_units,
)
from oddshot.data.encodings import Encoding, other_than_utf8
from oddshot.data.labels import parse_labels
from oddshot.data.sources import (
    GZIP,
    HEAD,
    MAGIC,
    check_is_text,
    column_position,
    is_delimited,
    separators,
    text_file,
    writing,
)
from oddshot.episodes import LabelArray
from oddshot.errors import SourceError

PART = 2**24  # characters that are looked at together
MOST_DECODED = 2**25  # bytes by which the encoding of others is told


class DelimitedBlocks:
    r"""Rows of a CSV, TSV or other delimited text of several columns; see `Blocks`.

    The file is read twice to begin with, to count its rows, see that all are equally wide, and find
    the columns that hold text anywhere, and up to twice more where whole numbers may be codes, as
    007; then once for each thing that is asked.

    Parameters
    ----------
    path
        The file, gzip-compressed or not.
    block_rows
        Rows of a block.

    Raises
    ------
    SourceError
        If the file cannot be read, or a line has too few or too many fields.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "table.csv")
    >>> _ = path.write_text("kg;shop\n1,5;001\n2;002\n7;001\n")
    >>> blocks = DelimitedBlocks(path, block_rows=2)
    >>> blocks.rows, [len(frame) for frame in blocks.frames()]
    (3, [2, 1])
    >>> blocks.take(np.array([0, 2]))["kg"].tolist()
    [1.5, 7.0]
    """

    suffix: ClassVar[str] = ".csv"

    def __init__(self, path: str | os.PathLike[str], *, block_rows: int = BLOCK_ROWS) -> None:
        self._path, self._block_rows = Path(path), block_rows
        self._encoding = Encoding("utf-8-sig", "strict", "")
        self.notes: tuple[str, ...] = ()
        self._check_is_text()
        try:
            self._survey()
        except UnicodeDecodeError:
            with self._opened() as file:
                self._encoding = other_than_utf8(file.read(MOST_DECODED))
            self.notes = (self._encoding.note,)
            self._survey()

    @staticmethod
    def written_to(path: Path) -> bool:
        """See `Blocks`."""
        return is_delimited(path)

    def frames(self) -> Iterator[pd.DataFrame]:
        """See `Blocks`."""
        how = layout(self._dialect, self._width) | values(self._dialect, self._width)
        with self._reading() as text:
            for frame in pd.read_csv(
                text, chunksize=self._block_rows, dtype=dict.fromkeys(self._texts, str), **how
            ):
                yield without_points(frame, self._pointed)

    def take(self, places: NDArray[np.intp]) -> pd.DataFrame:
        """See `Blocks`."""
        parts = [frame.iloc[some] for frame, some in chosen(self.frames(), places)]
        return pd.concat(parts, ignore_index=True)

    def labels(self, column: str) -> LabelArray:
        """See `Blocks`."""
        at = column_position(self.columns, column, repr(str(self._path)))
        cells = [frame.iloc[:, at] for frame in self.frames()]
        return parse_labels(pd.concat(cells, ignore_index=True), column=self.columns[at])

    def write_beside(
        self, new: Mapping[str, NDArray[np.generic]], path: str | os.PathLike[str]
    ) -> None:
        """See `Blocks`; to delimited text, too, and cells as they are."""
        path = Path(path)
        delimiter, decimal = separators(path, self._dialect.to_write(self._width))
        with writing(path) as file, text_file(file, path) as text:
            table = csv.writer(text, delimiter=delimiter, lineterminator=os.linesep)
            old = self._cells()
            if self._dialect.names is not None:
                next(old)
            table.writerow([*(self._dialect.header or self.columns), *new])
            for start in range(0, self.rows, self._block_rows):
                block = slice(start, start + self._block_rows)
                columns = (_written(column[block], decimal) for column in new.values())
                added = zip(*columns, strict=True)
                rows = islice(old, self._block_rows)
                table.writerows([*cells, *more] for cells, more in zip(rows, added, strict=True))

    def _check_is_text(self) -> None:
        with self._opened() as file:
            check_is_text(file.read(HEAD), repr(str(self._path)))

    def _survey(self) -> None:
        """Find out how the text is written, and count its rows."""
        self._above = 0
        with self._reading() as text:
            sample = read_sample(text)
        if not sample.strip():
            raise SourceError(f"{str(self._path)!r} is empty; give a file with rows")
        self._above = lines_above(sample)
        self._dialect = sniff(without_lines(sample, self._above))
        lines = self._cells()
        self._width = len(next(lines))
        check_header(self._dialect, self._width, repr(str(self._path)))
        self.rows = sum(1 for _ in lines) + (self._dialect.names is None)
        if not self.rows:
            raise SourceError(f"{str(self._path)!r} holds a header and no row; add rows beneath it")
        self._read_through()

    def _read_through(self) -> None:
        """Find the columns that hold text anywhere, or numbers with points between thousands."""
        self.columns: list[str] = []
        self._texts: set[str] = set()
        self._pointed: set[str] = set()
        found: set[str] = set()
        fractions: set[str] = set()
        long = False
        other: set[str] = set()
        truth: set[str] = set()
        numbers: set[str] = set()
        read = 0
        for frame in self.frames():
            self.columns = [str(name) for name in frame.columns]
            kinds = dict(zip(self.columns, frame.dtypes, strict=True))
            read += len(frame)
            self._texts |= {name for name, kind in kinds.items() if not is_numeric_dtype(kind)}
            here = {name for name, kind in kinds.items() if is_bool_dtype(kind)}
            truth |= here
            numbers |= kinds.keys() - self._texts - here
            integers = whole_numbers(frame)
            fractions |= {name for name in kinds.keys() - integers if frame[name].notna().any()}
            long = long or lose_digits(frame[integers])
            here = pointed(frame, self._dialect)
            found |= here
            whole = {
                name
                for name, kind in kinds.items()
                if is_integer_dtype(kind) or frame[name].isna().all()
            }
            other |= kinds.keys() - here - whole
        if read != self.rows:
            raise SourceError(
                f"{str(self._path)!r}: {self.rows:,} rows are counted in it, but {read:,} read; "
                "end its lines with line feeds, and close open quotes"
            )
        self._texts |= truth & numbers
        self._pointed = found - other
        self._texts |= self._codes(kinds.keys() - fractions - self._texts, long=long)
        self.notes = (*self.notes, *notes_on(frame, self._dialect, self._above))

    def _codes(self, whole: Set[str], *, long: bool) -> set[str]:
        """Find codes among columns of whole numbers; ``long`` ones may have lost digits."""
        if not whole or not (long or self._may_hold_codes()):
            return set()
        how = layout(self._dialect, self._width) | values(self._dialect, self._width)
        how |= {"usecols": sorted(whole), "dtype": str, "chunksize": self._block_rows}
        with self._reading() as text:
            return set().union(*map(codes_among, pd.read_csv(text, **how)))

    def _may_hold_codes(self) -> bool:
        with self._reading() as text:
            parts = iter(lambda: text.read(PART) + text.readline(), "")
            return any(may_hold_codes(part, self._dialect.delimiter) for part in parts)

    def _cells(self) -> Iterator[list[str]]:
        """Give rows as they are written, header first, without blank lines."""
        with self._reading() as text:
            called = repr(str(self._path))
            yield from rows_of_width(text, self._dialect.delimiter, called, self._above)

    @contextmanager
    def _reading(self) -> Iterator[io.TextIOWrapper]:
        with self._opened() as file:
            codec, errors, _ = self._encoding
            text = io.TextIOWrapper(file, encoding=codec, errors=errors, newline="")
            for _ in range(self._above):
                text.readline()
            yield text

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            with open(self._path, "rb") as plain, unpacked(self._path, plain) as file:
                yield file
        except (OSError, EOFError, zlib.error, csv.Error, pd.errors.ParserError) as error:
            raise SourceError(
                f"{str(self._path)!r} cannot be read: {error}; write or copy it again"
            ) from error


def _written(column: NDArray[np.generic], decimal: str) -> list[object]:
    """Give the cells of a new column, numbers with their decimal sign."""
    cells: list[object] = column.tolist()
    if decimal == "." or column.dtype.kind != "f":
        return cells
    return [str(cell).replace(".", decimal) for cell in cells]


def is_gzip(path: Path) -> bool:
    """Tell whether a file is compressed, by its first bytes."""
    with open(path, "rb") as file:
        return file.read(len(GZIP)) == GZIP


def unpacked(path: Path, plain: BinaryIO) -> IO[bytes]:
    """Give an open file's content, uncompressed."""
    return cast(IO[bytes], gzip.open(plain)) if is_gzip(path) else plain


def is_long_text(path: str | os.PathLike[str], *, least_bytes: int) -> bool:
    """Tell whether a file is so large or larger, and delimited text of several columns.

    One with a row of units beneath its header is read whole.
    """
    path = Path(path)
    if not os.path.isfile(path) or path.stat().st_size < least_bytes or not is_delimited(path):
        return False
    with open(path, "rb") as plain, unpacked(path, plain) as file:
        if file.read(HEAD).startswith((b"\xff\xfe", b"\xfe\xff", *MAGIC)):
            return False
        file.seek(0)
        with io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="") as text:
            sample = read_sample(text)
    sample = without_lines(sample, lines_above(sample))
    dialect = sniff(sample)
    if without_units(sample, dialect)[1]:
        return False  # of a row of units, blocks know nothing
    rows = numbered_rows(io.StringIO(sample, newline=""), dialect.delimiter)
    _, first = next(rows, (1, []))
    return len(first) > 1
