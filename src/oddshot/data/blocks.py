"""Files of any length, a block of rows at a time: what they have in common, and Parquet."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from oddshot.data.labels import parse_labels
from oddshot.data.nested import flat_table
from oddshot.data.sources import column_position, writing
from oddshot.data.streams import Held, Source, is_read_once, title_of
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, LabelArray
from oddshot.errors import SourceError, first_line
from oddshot.frames import DAMAGED, frame_from_arrow

BLOCK_ROWS = 65_536
MAGIC = b"PAR1"

SomeBlock = TypeVar("SomeBlock", bound=Sized)


class Blocks(Protocol):
    """Rows of a file, no more than a block of them in memory.

    Attributes
    ----------
    suffix
        What the name of such a file ends in.
    rows
        Number of rows, n.
    columns
        Names of the columns, in their order.
    notes
        What a reader should know of how the file was read.
    """

    suffix: ClassVar[str]
    rows: int
    columns: list[str]
    notes: tuple[str, ...]

    @staticmethod
    def written_to(path: Path) -> bool:
        """Tell whether a file's name is one of a file of this format."""

    def frames(self) -> Iterator[pd.DataFrame]:
        """Give the rows block by block, as data frames."""

    def take(self, places: NDArray[np.intp]) -> pd.DataFrame:
        """Give some rows, whose places (k,) rise, as one data frame."""

    def labels(self, column: str) -> LabelArray:
        """Read a column, by name or number, as labels (n,), see `parse_labels`.

        Raises
        ------
        SourceError
            If there is no such column.
        LabelError
            If it holds something else than labels.
        """

    def write_beside(
        self, new: Mapping[str, NDArray[np.generic]], path: str | os.PathLike[str]
    ) -> None:
        """Write all rows with new columns (n,) at their end; the file appears complete or not.

        Raises
        ------
        SourceError
            If it cannot be written.
        """


class ParquetBlocks:
    """Rows of a Parquet file; see `Blocks`. A row group of the file is in memory, too.

    Parameters
    ----------
    source
        The file; a pipe or standard input where it is held in memory.
    block_rows
        Rows of a block.

    Raises
    ------
    SourceError
        If the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "table.parquet")
    >>> pd.DataFrame({"kg": [1.5, 2.0, 7.0]}).to_parquet(path)
    >>> blocks = ParquetBlocks(path, block_rows=2)
    >>> blocks.rows, [len(frame) for frame in blocks.frames()]
    (3, [2, 1])
    >>> blocks.take(np.array([0, 2]))["kg"].tolist()
    [1.5, 7.0]
    """

    suffix: ClassVar[str] = ".parquet"

    def __init__(self, source: Source, *, block_rows: int = BLOCK_ROWS) -> None:
        self._source, self._block_rows = source, block_rows
        with self._reading() as file:
            self.rows: int = file.metadata.num_rows
            self.columns: list[str] = list(file.schema_arrow.names)
        self.notes: tuple[str, ...] = ()

    @staticmethod
    def written_to(path: Path) -> bool:
        """See `Blocks`."""
        return path.suffix in (".parquet", ".pq")

    def frames(self) -> Iterator[pd.DataFrame]:
        """See `Blocks`."""
        return (frame_from_arrow(flat_table(table)) for table in self._tables())

    def take(self, places: NDArray[np.intp]) -> pd.DataFrame:
        """See `Blocks`."""
        parts = [table.take(pa.array(some)) for table, some in chosen(self._tables(), places)]
        return frame_from_arrow(flat_table(pa.concat_tables(parts)))

    def labels(self, column: str) -> LabelArray:
        """See `Blocks`."""
        with self._reading() as file:
            names = flat_table(file.schema_arrow.empty_table()).column_names
            name = names[column_position(names, column, title_of(self._source))]
            values = flat_table(file.read(columns=[name]))
        return parse_labels(frame_from_arrow(values).iloc[:, 0], column=name)

    def write_beside(
        self, new: Mapping[str, NDArray[np.generic]], path: str | os.PathLike[str]
    ) -> None:
        """See `Blocks`."""
        with writing(Path(path)) as file:
            self._write(new, file)

    def _write(self, new: Mapping[str, NDArray[np.generic]], file: BinaryIO) -> None:
        writer, start = None, 0
        columns = pa.table({**new})  # as a whole: a block may hold gaps alone, which have no type
        try:
            for table in self._tables():
                added = columns.slice(start, table.num_rows)
                wider = pa.table(
                    [*table.columns, *added.columns], names=[*self.columns, *added.column_names]
                ).replace_schema_metadata(table.schema.metadata)  # pandas' index and types
                writer = writer or parquet.ParquetWriter(file, wider.schema)
                writer.write_table(wider)
                start += table.num_rows
        finally:
            if writer is not None:
                writer.close()

    def _tables(self) -> Iterator[pa.Table]:
        with self._reading() as file:
            for batch in file.iter_batches(batch_size=self._block_rows):
                yield pa.Table.from_batches([batch])

    @contextmanager
    def _reading(self) -> Iterator[parquet.ParquetFile]:
        source = self._source
        try:
            with parquet.ParquetFile(
                pa.BufferReader(source.data) if isinstance(source, Held) else Path(source)
            ) as file:
                yield file
        except (*DAMAGED, pa.ArrowException, OSError) as error:
            raise SourceError(
                f"{title_of(source)} cannot be read: {first_line(error)}; write or copy it again"
            ) from error


def chosen(
    blocks: Iterable[SomeBlock], places: NDArray[np.intp]
) -> Iterator[tuple[SomeBlock, NDArray[np.intp]]]:
    """Give the blocks that hold some of the rows, and where in them, if places (k,) rise."""
    start = 0
    for block in blocks:
        low, high = np.searchsorted(places, (start, start + len(block)))
        if low < high:
            yield block, places[low:high] - start
        start += len(block)


def is_parquet(source: Source) -> bool:
    """Tell whether a file is a Parquet file, by its first bytes; what is read but once is none."""
    if isinstance(source, Held):
        return source.data.startswith(MAGIC)
    if is_read_once(source):
        return False
    try:
        with open(source, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def sample_places(labels: LabelArray, *, most: int, seed: int) -> NDArray[np.intp]:
    """Draw at most ``most`` rows: places, rising.

    Known anomalies go first, up to a quarter of the draw; then known normal rows, up to a half;
    where rows of another kind are too few, there is room for more normal ones.

    >>> labels = np.array([-1, 1, -1, -1, -1, 0], dtype=np.int8)
    >>> drawn = sample_places(labels, most=4, seed=0)
    >>> len(drawn), 1 in drawn, 5 in drawn
    (4, True, True)
    """
    generator = np.random.default_rng(seed)

    def drawn(kind: int, number: int) -> NDArray[np.intp]:
        return generator.permutation(np.flatnonzero(labels == kind))[:number]

    known, normal = drawn(ANOMALY, most // 4), drawn(NORMAL, most)
    unlabelled = drawn(UNLABELLED, most - len(known) - min(len(normal), most // 2))
    normal = normal[: most - len(known) - len(unlabelled)]
    return np.sort(np.concatenate([known, normal, unlabelled]))
