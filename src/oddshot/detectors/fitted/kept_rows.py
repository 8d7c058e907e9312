"""Rows as the user gave them, kept beside a detector: the context, before it was encoded."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from oddshot.detectors.fitted.kept_cells import from_arrow, to_arrow
from oddshot.episodes import ANOMALY, FloatArray, LabelArray
from oddshot.errors import DataError
from oddshot.frames import RawRows, as_frame, check_unique, frame_from_arrow, to_rows
from oddshot.mapping.encoding.source_columns import found_by_name, merely_counted
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.support import MOST_COPIES, Support

MOST_CELLS = 4_000_000
FEWEST = 256
BLOCK_ROWS = 65_536

Found: TypeAlias = dict[tuple[bytes, int], list[int]]  # places of rows by content and label


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The rows that a detector compares with, and its known anomalies, in the order of `fit`.

    The encoded rows of a `Support` cannot give them back: columns may be left out there, and levels
    written by their rarity alone. Copies that count once there are all here.

    Parameters
    ----------
    frame
        Shape (k, d), with the columns that `fit` saw; merely counted ones where they had no names.
    labels
        Shape (k,) of 1, 0, -1.
    places
        Shape (k,): where each row stood among those given to `fit`, rising; then -1 for those that
        came with a label later.
    given
        How many rows were given to `fit`; 0 where an older version did not keep it.
    index
        Shape (k,): what the user's table calls the rows, where all of it is here; ``None`` where
        not, or it is not known any more.
    sampled
        Shape (k,): which of them are a sample of the rows given to `fit`; the others are here as
        the first of their like alone. ``None``: all of them are.
    """

    frame: pd.DataFrame
    labels: LabelArray
    places: NDArray[np.intp]
    given: int = 0
    index: "pd.Index[Any] | None" = None
    sampled: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, rows: RawRows, labels: LabelArray, found: Found, seed: int) -> "KeptRows":
        """Take those of rows (n, d), labelled (n,), that `rows_of_support` has found.

        Of wide tables fewer are kept, so that there are at most 4 million cells, or 256 rows;
        known anomalies go first, the others are drawn by the seed.
        """
        places = np.sort(np.array([at for equal in found.values() for at in equal], dtype=np.intp))
        most = max(FEWEST, MOST_CELLS // rows.shape[1])
        if len(places) > most:
            shuffled = np.random.default_rng(seed).permutation(places)
            known_first = np.argsort(labels[shuffled] != ANOMALY, kind="stable")
            places = np.sort(shuffled[known_first][:most])
        kept = labels[places].astype(np.int8)
        return cls(as_frame(rows, places), kept, places, rows.shape[0], _index(rows, places))

    @property
    def succession(self) -> NDArray[np.intp]:
        """Shape (k,): the places, and behind them those of the rows that came later, rising."""
        later = self.places < 0
        behind = self.places.max(initial=-1) + np.cumsum(later)
        return np.where(later, behind, self.places)

    @property
    def stand_for_all(self) -> NDArray[np.bool_]:
        """Tell which rows (k,) are mixed as those given to `fit` were."""
        return np.ones(len(self.labels), dtype=np.bool_) if self.sampled is None else self.sampled

    @property
    def named(self) -> bool:
        """Whether the user named the columns."""
        return not merely_counted(self.frame.columns)

    @property
    def named_frame(self) -> pd.DataFrame:
        """The rows, with a text for the name of each column: its position where it has none."""
        return self.frame.set_axis([str(name) for name in self.frame.columns], axis=1)

    def aligned(self, X: Any) -> pd.DataFrame:
        """Name the columns of other rows as `named_frame` does.

        Raises
        ------
        DataError
            If ``X`` is no table, has two columns of a name that is known, or another number of
            columns, and these have no names.
        """
        rows = as_frame(to_rows(X))
        known = [str(name) for name in self.frame.columns]
        if found_by_name(rows.columns, known, named=self.named):
            names = [str(name) for name in rows.columns]
            check_unique([name for name in names if name in {*known}])
            return rows.set_axis(names, axis=1)
        if rows.shape[1] != self.frame.shape[1]:
            raise DataError(
                f"the new rows have {rows.shape[1]} columns and the context "
                f"{self.frame.shape[1]}; where columns have no names, give all of them in order"
            )
        return rows.set_axis(known, axis=1)

    def named_as_given(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Take the names off again where the user gave none."""
        return rows if self.named else rows.set_axis(pd.RangeIndex(rows.shape[1]), axis=1)

    @property
    def levels(self) -> list[str]:
        """Name the columns of a categorical type, whose cells are levels, even where numbers."""
        kinds = self.named_frame.dtypes.items()
        return [str(name) for name, kind in kinds if isinstance(kind, pd.CategoricalDtype)]

    def with_levels(self, names: Collection[str]) -> "KeptRows":
        """Make columns with these names of a categorical type, where they are not."""
        others = {*names}.difference(self.levels)
        lost = {name: "category" for name in self.frame.columns if str(name) in others}
        return replace(self, frame=self.frame.astype(lost)) if lost else self

    def with_labels(
        self, encoded: FloatArray, frame: pd.DataFrame, rows: FloatArray, labels: LabelArray
    ) -> "KeptRows":
        """Give kept rows new labels where rows told of later are among them; keep the others too.

        Parameters
        ----------
        encoded
            Shape (k, p + q): the kept rows as they are encoded, by which they are found.
        frame, rows, labels
            Rows told of later, (a, d) as they are and (a, p + q) encoded, and their labels (a,).
        """
        told = RowPlaces(rows).of(encoded)
        new = np.setdiff1d(np.arange(len(rows)), told)
        relabelled = np.where(told >= 0, labels[told], self.labels)
        names = [str(name) for name in self.frame.columns]
        added = frame.iloc[new].set_axis([str(name) for name in frame.columns], axis=1)
        if found_by_name(frame.columns, names, named=self.named):
            added = added.reindex(columns=names)  # those that are left out may be missing
        return KeptRows(
            joined(self.frame, added.set_axis(self.frame.columns, axis=1), self.levels),
            np.concatenate([relabelled, labels[new]]).astype(np.int8),
            np.concatenate([self.places, np.full(len(new), -1, dtype=np.intp)]),
            self.given,
            sampled=None
            if self.sampled is None
            else np.append(self.sampled, np.ones(len(new), dtype=np.bool_)),
        )

    def rows_of(self, encoded: FloatArray, typical: FloatArray) -> list[NDArray[np.intp]]:
        """Which kept rows (k, p + q), encoded, each typical row (m, p + q) of a support stands for.

        Of several typical rows that are equal, each for one, and the last for those that are left.
        """
        content: dict[bytes, list[int]] = {}
        for at in np.flatnonzero(self.labels != ANOMALY).tolist():
            content.setdefault(encoded[at].tobytes(), []).append(at)
        shares = Counter(row.tobytes() for row in typical)
        found = []
        for row in typical:
            shares[row.tobytes()] -= 1
            left = content.get(row.tobytes(), [])
            take = 1 if shares[row.tobytes()] else len(left)
            found.append(np.array(left[:take], dtype=np.intp))
            content[row.tobytes()] = left[take:]
        return found

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Give what `restored` needs: as JSON, and as arrays, the frame among them as Arrow."""
        names = [str(name) for name in self.frame.columns]
        columns = [to_arrow(name, self.frame.iloc[:, i]) for i, name in enumerate(names)]
        fields, arrays = zip(*columns, strict=True)
        table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        sampled = {} if self.sampled is None else {"sampled": self.sampled}
        return {"named": self.named, "given": self.given}, {
            "table": np.frombuffer(sink.getvalue(), dtype=np.uint8),
            "labels": self.labels,
            "places": self.places.astype(np.int64),
            **sampled,
        }

    @classmethod
    def restored(cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> "KeptRows":
        """Read what `state` gave."""
        with pa.ipc.open_stream(pa.py_buffer(arrays["table"].tobytes())) as reader:
            table = reader.read_all()
        table.validate(full=True)  # cells outside its own memory would be read
        frame = frame_from_arrow(table)
        if any(field.metadata for field in table.schema):
            columns = [from_arrow(field, frame.iloc[:, i]) for i, field in enumerate(table.schema)]
            frame = pd.concat(columns, axis=1).set_axis(frame.columns, axis=1)
        if not settings["named"]:
            frame.columns = pd.RangeIndex(frame.shape[1])
        labels, places = arrays["labels"].astype(np.int8), arrays["places"].astype(np.intp)
        given = settings.get("given", 0)
        sampled = arrays.get("sampled")
        if not len(frame) == len(labels) == len(places):
            raise ValueError(f"{len(frame)} kept rows, {len(labels)} labels, {len(places)} places")
        if given and places.max(initial=-1) >= given:
            raise ValueError(f"a kept row stood at place {places.max()} of {given}")
        if sampled is not None and len(sampled) != len(frame):
            raise ValueError(f"{len(frame)} kept rows, of {len(sampled)} is told if drawn")
        return cls(frame, labels, places, given, sampled=sampled)


def sampled_rows(
    rows: RawRows, labels: LabelArray, encoded: FloatArray, support: Support, *, most: int
) -> KeptRows:
    """Keep rows (n, d) that are mixed as all are, where a support has different ones once each.

    And the first one of each different row, where that was not drawn, so that all rows compared
    with are there; but not of wide tables, where there are at most 4 million cells, or 256 rows.

    Parameters
    ----------
    rows, labels, encoded
        Shapes (n, d), (n,) and (n, p + q): rows that are all known to be normal.
    support
        Drawn from them.
    most
        How many are drawn, at most.
    """
    bound = max(FEWEST, MOST_CELLS // rows.shape[1])
    drawn = np.random.default_rng(support.seed).permutation(len(labels))[: min(most, bound)]
    places, sampled = np.sort(drawn), None
    if len(places) < len(labels):
        there = RowPlaces(support.arranged(encoded[places])).of(support.typical) >= 0
        lacking = replace(support, typical=support.typical[~there], copies=None)
        found = rows_of_support(encoded, labels, lacking)
        first = np.array([at[0] for at in found.values()], dtype=np.intp)
        if len(places) + len(first) <= bound:
            places = np.sort(np.concatenate([places, first]))
            sampled = ~np.isin(places, first)
    kept = labels[places].astype(np.int8)
    index = _index(rows, places)
    return KeptRows(as_frame(rows, places), kept, places, rows.shape[0], index, sampled)


def _index(rows: RawRows, places: NDArray[np.intp]) -> "pd.Index[Any] | None":
    """Give what the user's table calls its rows, where all of them are kept."""
    return rows.index if isinstance(rows, pd.DataFrame) and len(places) == len(rows) else None


def joined(old: pd.DataFrame, new: pd.DataFrame, levels: Collection[str]) -> pd.DataFrame:
    """Put new rows below old ones; columns with these names are of a categorical type then.

    >>> old = pd.DataFrame({"code": pd.Categorical([7, 8])})
    >>> joined(old, pd.DataFrame({"code": [8, 9]}), ["code"])["code"].dtype.name
    'category'
    """
    if not len(new):
        return old.reset_index(drop=True)
    there = [name for name in old.columns if str(name) in levels]
    old, new = (rows.astype(dict.fromkeys(there, object)) for rows in (old, new))  # keeps digits
    return pd.concat([old, new], ignore_index=True).astype(dict.fromkeys(there, "category"))


def rows_of_support(encoded: FloatArray, labels: LabelArray, support: Support) -> Found:
    """Find the rows of a support among those (n, p + q), labelled (n,), that it was drawn from.

    Returns
    -------
    dict
        By content and label, in the support's columns: the places of all copies, where they are
        not too many; else of as many, the first ones, as it has, or stand for one of its rows.
    """
    wanted = Counter((row.tobytes(), ANOMALY) for row in support.known)
    wanted.update(
        (row.tobytes(), label)
        for row, label in zip(support.typical, support.labels.tolist(), strict=True)
    )
    if support.copies is not None:
        for row, label, count in zip(
            support.typical, support.labels.tolist(), support.copies.tolist(), strict=True
        ):
            key = (row.tobytes(), label)
            wanted[key] = max(wanted[key], min(MOST_COPIES, int(count)))
    found: Found = {key: [] for key in wanted}
    last = support.width - 1  # the column with the most different values
    telling = np.concatenate([support.typical[:, last], support.known[:, last]])
    for start in range(0, len(encoded), BLOCK_ROWS):
        block = encoded[start : start + BLOCK_ROWS]
        likely = np.flatnonzero(np.isin(block[:, support.columns[last]], telling))
        for at, row in zip(start + likely, support.arranged(block[likely]), strict=True):
            key = (row.tobytes(), int(labels[at]))
            if key in found:
                found[key].append(int(at))
    return {
        key: places if len(places) <= MOST_COPIES else places[: wanted[key]]
        for key, places in found.items()
    }
