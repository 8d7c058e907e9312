"""Rows as the user gave them, kept beside a detector: the context, before it was encoded."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from oddshot.episodes import ANOMALY, FloatArray, LabelArray
from oddshot.errors import DataError
from oddshot.frames import RawRows, as_frame, frame_from_arrow, to_rows
from oddshot.mapping.cells import level
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.support import Support

MOST_CELLS = 4_000_000
FEWEST = 256
BLOCK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The rows that a detector compares with, and its known anomalies, in the order of `fit`.

    The encoded rows of a `Support` cannot give them back: columns may be left out there, and levels
    written by their rarity alone.

    Parameters
    ----------
    frame
        Shape (k, d), with the columns that `fit` saw; merely counted ones where they had no names.
    labels
        Shape (k,) of 1, 0, -1.
    places
        Shape (k,): where each row stood among those given to `fit`, rising; then -1 for those that
        came with a label later.
    """

    frame: pd.DataFrame
    labels: LabelArray
    places: NDArray[np.intp]

    @classmethod
    def of(
        cls, rows: RawRows, encoded: FloatArray, labels: LabelArray, support: Support
    ) -> "KeptRows":
        """Find the rows of a support among the rows (n, d) that it was drawn from.

        Of wide tables fewer are kept, so that there are at most 4 million cells, or 256 rows;
        known anomalies go first.
        """
        places = np.array([*_found(encoded, labels, support)], dtype=np.intp)
        most = max(FEWEST, MOST_CELLS // rows.shape[1])
        if len(places) > most:
            shuffled = np.random.default_rng(support.seed).permutation(places)
            known_first = np.argsort(labels[shuffled] != ANOMALY, kind="stable")
            places = np.sort(shuffled[known_first][:most])
        return cls(as_frame(rows, places), labels[places].astype(np.int8), places)

    @property
    def succession(self) -> NDArray[np.intp]:
        """Shape (k,): the places, and behind them those of the rows that came later, rising."""
        later = self.places < 0
        behind = self.places.max(initial=-1) + np.cumsum(later)
        return np.where(later, behind, self.places)

    @property
    def named(self) -> bool:
        """Whether the user named the columns."""
        return not isinstance(self.frame.columns, pd.RangeIndex)

    @property
    def named_frame(self) -> pd.DataFrame:
        """The rows, with a text for the name of each column: its position where it has none."""
        return self.frame.set_axis([str(name) for name in self.frame.columns], axis=1)

    def aligned(self, X: Any) -> pd.DataFrame:
        """Name the columns of other rows as `named_frame` does.

        Raises
        ------
        DataError
            If ``X`` is no table, or has another number of columns, and these have no names.
        """
        rows = as_frame(to_rows(X))
        if self.named and not isinstance(rows.columns, pd.RangeIndex):
            return rows.set_axis([str(name) for name in rows.columns], axis=1)
        if rows.shape[1] != self.frame.shape[1]:
            raise DataError(
                f"the new rows have {rows.shape[1]} columns and the context "
                f"{self.frame.shape[1]}; where columns have no names, give all of them in order"
            )
        return rows.set_axis([str(name) for name in self.frame.columns], axis=1)

    def named_as_given(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Take the names off again where the user gave none."""
        return rows if self.named else rows.set_axis(pd.RangeIndex(rows.shape[1]), axis=1)

    def with_labels(
        self, encoded: FloatArray, frame: pd.DataFrame, rows: FloatArray, labels: LabelArray
    ) -> "KeptRows":
        """Give kept rows new labels where rows told of later are among them; keep the others too.

        Parameters
        ----------
        encoded
            Shape (k, p): the kept rows as they are encoded, by which they are found.
        frame, rows, labels
            Rows told of later, (a, d) as they are and (a, p) encoded, and their labels (a,).
        """
        inside = RowPlaces(encoded).of(rows)
        found, new = inside >= 0, np.flatnonzero(inside < 0)
        relabelled = self.labels.copy()
        relabelled[inside[found]] = labels[found]
        names = [str(name) for name in self.frame.columns]
        added = frame.iloc[new].set_axis([str(name) for name in frame.columns], axis=1)
        if not isinstance(frame.columns, pd.RangeIndex) or set(names) <= set(added.columns):
            added = added.reindex(columns=names)  # those that are left out may be missing
        return KeptRows(
            pd.concat([self.frame, added.set_axis(self.frame.columns, axis=1)], ignore_index=True),
            np.concatenate([relabelled, labels[new]]).astype(np.int8),
            np.concatenate([self.places, np.full(len(new), -1, dtype=np.intp)]),
        )

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Give what `restored` needs: as JSON, and as arrays, the frame among them as Arrow."""
        names = [str(name) for name in self.frame.columns]
        columns = [_arrow(self.frame.iloc[:, i]) for i in range(len(names))]
        table = pa.table(columns, names=names)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return {"named": self.named}, {
            "table": np.frombuffer(sink.getvalue(), dtype=np.uint8),
            "labels": self.labels,
            "places": self.places.astype(np.int64),
        }

    @classmethod
    def restored(cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> "KeptRows":
        """Read what `state` gave."""
        with pa.ipc.open_stream(pa.py_buffer(arrays["table"].tobytes())) as reader:
            frame = frame_from_arrow(reader.read_all())
        if not settings["named"]:
            frame.columns = pd.RangeIndex(frame.shape[1])
        return cls(frame, arrays["labels"].astype(np.int8), arrays["places"].astype(np.intp))


def _found(encoded: FloatArray, labels: LabelArray, support: Support) -> Iterator[int]:
    """Places of a support's rows, the first ones where several rows are encoded alike."""
    wanted = Counter((row.tobytes(), ANOMALY) for row in support.known)
    wanted.update(
        (row.tobytes(), label)
        for row, label in zip(support.typical, support.labels.tolist(), strict=True)
    )
    telling = np.concatenate([support.typical[:, -1], support.known[:, -1]])  # the most distinct
    for start in range(0, len(encoded), BLOCK_ROWS):
        block = encoded[start : start + BLOCK_ROWS]
        likely = np.flatnonzero(np.isin(block[:, support.columns[-1]], telling))
        for at, row in zip(start + likely, support.arranged(block[likely]), strict=True):
            key = (row.tobytes(), int(labels[at]))
            if wanted[key] > 0:
                wanted[key] -= 1
                yield int(at)


def _arrow(column: "pd.Series[Any]") -> pa.Array:
    """Write a column as Arrow does; what has no place there, as the text of its levels."""
    if isinstance(column.dtype, pd.SparseDtype):
        column = pd.Series(np.asarray(column))
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    levels = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if isinstance(levels.dtype, pd.IntervalDtype | pd.PeriodDtype):
        column = column.astype(object).map(level, na_action="ignore")
    try:
        return pa.Array.from_pandas(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.Array.from_pandas(column.astype(object).map(level, na_action="ignore"))
