"""The values that travel between the stages: table, batch, episode, mapped task.

Shapes are checked once, where a value is made; later stages rely on them.

Labels are ``1`` (known anomaly), ``0`` (known normal) and ``-1`` (unlabelled) everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from oddshot.errors import DataError, LabelError, first_line

FloatArray: TypeAlias = NDArray[np.float64]
Float32Array: TypeAlias = NDArray[np.float32]
LabelArray: TypeAlias = NDArray[np.int8]
GivenLabels: TypeAlias = ArrayLike | Sequence[object]  # as users write them: None and words, too
Rows: TypeAlias = pd.DataFrame | FloatArray | Float32Array

ANOMALY, NORMAL, UNLABELLED = 1, 0, -1


@dataclass(frozen=True, slots=True)
class Table:
    """A named data set.

    Parameters
    ----------
    name
        What people call it; unique within a collection.
    rows
        Shape (n, d): a data frame with named columns of any kind, or a matrix of numbers.
    labels
        Shape (n,) of 1, 0 and -1; ``None`` where nothing is labelled.
    family
        Tables of one family never stand on both sides of a split; empty: the table's own name.
    collection
        Where the table comes from ("oddbench"); whole collections can be held out.
    notes
        What a reader should be told about the reading ("column 'id' ...").
    groups
        Shape (n,) of whole numbers: rows with one number, as those of a patient, never stand on
        both sides of a split; ``None``: rows do not belong together.
    decimal
        What its file writes before decimals, "." or ",".
    """

    name: str
    rows: Rows
    labels: LabelArray | None = None
    family: str = ""
    collection: str = ""
    notes: tuple[str, ...] = ()
    groups: NDArray[np.int64] | None = None
    decimal: str = "."

    def __post_init__(self) -> None:
        if self.groups is not None and self.groups.shape != (len(self.rows),):
            raise DataError(
                f"table {self.name!r}: {len(self.rows)} rows, groups of shape "
                f"{self.groups.shape}; give one a row"
            )
        if self.rows.ndim != 2:
            raise DataError(
                f"table {self.name!r} has {self.rows.ndim} dimension(s); give rows x columns"
            )
        if self.labels is not None:
            _check_labels(self.name, self.labels, len(self.rows))
        if not self.family:
            object.__setattr__(self, "family", self.name)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows with their labels: ``rows`` (n, d), ``labels`` (n,)."""

    rows: Rows
    labels: LabelArray

    def __post_init__(self) -> None:
        _check_labels("batch", self.labels, len(self.rows))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Episode:
    """One detection task: learn from ``support``, be judged on ``query``.

    ``support`` labels are what a user would have given (1, 0, -1); ``query`` labels are the truth
    (1, 0). Query rows never stand in the support.
    """

    name: str
    family: str
    seed: int
    support: Batch
    query: Batch

    def __post_init__(self) -> None:
        _check_truth(f"episode {self.name!r}", self.query.labels)


@dataclass(frozen=True, slots=True)
class SupportSummary:
    """What the support says about itself, apart from any single row.

    Parameters
    ----------
    evidence
        Shape (C, E) float32: for each of the C coordinates, E statistics that tell how far it can
        be trusted on this data set.
    table
        Shape (G,) float32: facts on the whole support (number of labels, of rows, share of known
        normals, ...).
    hollow
        How alone the rows nearest the centre are: about 0.1 where most rows are in the middle,
        above 0.4 where hardly any are (see `oddshot.mapping.coordinates.evidence.hollowness`).
    """

    evidence: Float32Array
    table: Float32Array
    hollow: float = 0.0

    def __post_init__(self) -> None:
        for name in ("evidence", "table"):
            _hold(self, "summary of a support", name, np.float32)


@dataclass(frozen=True, slots=True)
class MappedTask:
    """An episode as learners see it: rows of calibrated coordinates, the same on every data set.

    Other numbers, and lists or tensors of them, are converted to float32, labels to int8.

    Parameters
    ----------
    name, family, seed
        As the episode's.
    support
        Shape (s, C, 2) float32: a bounded sample of support rows, anomalies first. Channel 0 is
        the tail surprise of a coordinate in decades, channel 1 its squashed robust z. Label-aware
        coordinates are 0 here: a row would be judged by its own label. Of images a coordinate is a
        pixel, and the channels are its colours.
    support_labels
        Shape (s,) of 1, 0, -1.
    query, query_labels
        Shape (q, C, 2) and (q,) of 1, 0.
    summary
        The evidence that the support gives about coordinates and table.
    """

    name: str
    family: str
    seed: int
    support: Float32Array
    support_labels: LabelArray
    query: Float32Array
    query_labels: LabelArray
    summary: SupportSummary

    def __post_init__(self) -> None:
        named = f"task {self.name!r}"
        for side in ("support", "query"):
            rows = _hold(self, named, side, np.float32)
            if rows.ndim != 3:
                raise DataError(
                    f"{named} has {side} rows of shape {rows.shape}; give rows x coordinates x "
                    "channels"
                )
            _check_labels(self.name, np.asarray(getattr(self, f"{side}_labels")), len(rows))
            _hold(self, named, f"{side}_labels", np.int8)
        _check_truth(named, self.query_labels)
        if self.support.shape[1:] != self.query.shape[1:]:
            raise DataError(
                f"task {self.name!r}: support rows are {self.support.shape[1:]}, "
                f"query rows {self.query.shape[1:]}; map both with one mapping"
            )


def _hold(of: object, named: str, field: str, dtype: type[np.generic]) -> NDArray[Any]:
    """Let a frozen value hold an array of a type in a field, and return it."""
    try:
        array = np.asarray(getattr(of, field), dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{field} of {named} cannot be read as numbers ({first_line(error)}); give an array of "
            "numbers"
        ) from error
    object.__setattr__(of, field, array)
    return array


def _check_truth(named: str, labels: LabelArray) -> None:
    if np.any(labels == UNLABELLED):
        raise LabelError(f"{named} has unlabelled query rows; a query needs the truth")


def _check_labels(name: str, labels: LabelArray, rows: int) -> None:
    if labels.shape != (rows,):
        raise LabelError(
            f"{name!r} has {rows} rows but labels of shape {labels.shape}; give one label a row"
        )
    wrong = ~np.isin(labels, (ANOMALY, NORMAL, UNLABELLED))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise LabelError(
            f"{name!r} holds the label {labels[row]} in row {row}; "
            "write 1 for an anomaly, 0 for normal, -1 for unlabelled"
        )
