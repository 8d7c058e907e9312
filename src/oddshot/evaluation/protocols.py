"""The evaluation protocols, each implemented once: table and seed in, one trial out.

*few-label*: stratified 70/30 split; k anomalies of the training part are labelled, every other
training row is not (so the unlabelled rows hide anomalies); equal rows never stand on both sides.
*one-class*: the training part holds normal rows only, given as such; collections that come with
a training and a test file keep them.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from oddshot.data.splits import IndexArray, few_label_split, one_class_split, stratified_sample
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, LabelArray, Rows, Table
from oddshot.errors import DataError, LabelError, SourceError

FEW_LABEL, ONE_CLASS = "few-label", "one-class"
PROTOCOLS = (FEW_LABEL, ONE_CLASS)


class TableSource(Protocol):
    """A named table that is read when it is needed."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def collection(self) -> str:
        """Where it comes from."""

    @property
    def family(self) -> str:
        """What must not stand on both sides of a split."""

    def load(self) -> Table:
        """Read the whole table."""

    def load_split(self) -> tuple[Table, Table]:
        """Read the training and test parts; `SourceError` where the source brings none."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a detector sees, and what it is judged on.

    Parameters
    ----------
    protocol, table, family, collection, k, seed
        Where the trial comes from; ``k`` is 0 in a one-class trial.
    X_train, y_train
        Shape (n, d) and (n,) of 1, 0, -1: what the detector may see.
    X_test, y_test
        Shape (m, d) and (m,) of 1, 0: the truth; both occur.
    """

    protocol: str
    table: str
    family: str
    collection: str
    k: int
    seed: int
    X_train: Rows
    y_train: LabelArray
    X_test: Rows
    y_test: LabelArray

    def __post_init__(self) -> None:
        for part, rows, labels in (
            ("training", self.X_train, self.y_train),
            ("test", self.X_test, self.y_test),
        ):
            if labels.shape != (len(rows),):
                raise DataError(
                    f"{self.table!r}: {len(rows)} {part} rows, labels of shape {labels.shape}"
                )
        if self.X_train.shape[1] != self.X_test.shape[1]:
            raise DataError(
                f"{self.table!r}: {self.X_train.shape[1]} columns in the training part, "
                f"{self.X_test.shape[1]} in the test part"
            )
        if np.any(self.y_test == UNLABELLED) or len(np.unique(self.y_test)) != 2:
            raise LabelError(
                f"{self.table!r}: a test part needs the truth of every row, "
                "and both anomalies and normal rows"
            )

    @property
    def anomaly_rate(self) -> float:
        """The share of anomalies in the test part."""
        return float(np.mean(self.y_test == ANOMALY))


def few_label(table: Table, *, k: int, seed: int, max_rows: int | None = None) -> Trial:
    """Make a few-label trial of a table whose every row has its truth.

    Parameters
    ----------
    table
        Labels of 1 and 0 for every row.
    k
        Number of labelled anomalies.
    seed
        Chooses the parts and the labelled anomalies (see `oddshot.data.splits.few_label_split`).
    max_rows
        Use only a stratified sample of so many rows.

    Raises
    ------
    DataError
        The table has no labels, or too few different anomalies or normal rows for the split.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(np.array([0, 1], dtype=np.int8), [90, 10])
    >>> trial = few_label(Table("noise", rng.normal(size=(100, 3)), labels), k=5, seed=1)
    >>> trial.X_train.shape, int((trial.y_train == 1).sum()), int(trial.y_test.sum())
    ((70, 3), 5, 3)
    """
    truth = _truth(table)
    split = few_label_split(truth, k=k, seed=seed, rows=table.rows, max_rows=max_rows)
    return Trial(
        FEW_LABEL,
        table.name,
        table.family,
        table.collection,
        k,
        seed,
        _take(table.rows, split.train_index),
        split.y_train,
        _take(table.rows, split.test_index),
        truth[split.test_index],
    )


def one_class(source: Table | TableSource, *, seed: int, max_rows: int | None = None) -> Trial:
    """Make a one-class trial: known normal rows to learn from, both kinds to be judged on.

    Parameters
    ----------
    source
        A table with the truth of every row, or a source; where the source has a training and a
        test part, they are used as given, and the seed only chooses the sample.
    seed, max_rows
        As for `few_label`; given parts are sampled to ``max_rows`` rows each.

    Raises
    ------
    DataError
        The table has no labels, no anomaly, or fewer than two different normal rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(np.array([0, 1], dtype=np.int8), [90, 10])
    >>> trial = one_class(Table("noise", rng.normal(size=(100, 3)), labels), seed=1)
    >>> trial.X_train.shape, set(trial.y_train.tolist()), trial.X_test.shape
    ((63, 3), {0}, (37, 3))
    """
    if isinstance(source, Table):
        table = source
    else:
        try:
            return _given(*source.load_split(), seed=seed, max_rows=max_rows)
        except SourceError:  # no parts; or a file that cannot be read, which `load` says better
            table = source.load()
    truth = _truth(table)
    split = one_class_split(truth, seed=seed, rows=table.rows, max_rows=max_rows)
    return Trial(
        ONE_CLASS,
        table.name,
        table.family,
        table.collection,
        0,
        seed,
        _take(table.rows, split.train_index),
        split.y_train,
        _take(table.rows, split.test_index),
        truth[split.test_index],
    )


def _given(train: Table, test: Table, *, seed: int, max_rows: int | None) -> Trial:
    truth = _truth(test)
    known = np.ones(len(train.rows)) if train.labels is None else train.labels != ANOMALY
    usable = np.flatnonzero(known)
    normal = np.full(len(usable), NORMAL, dtype=np.int8)
    seen = stratified_sample(normal, max_rows=max_rows, seed=seed)
    judged = stratified_sample(truth, max_rows=max_rows, seed=seed)
    return Trial(
        ONE_CLASS,
        test.name,
        test.family,
        test.collection,
        0,
        seed,
        _take(train.rows, usable[seen]),
        normal[seen],
        _take(test.rows, judged),
        truth[judged],
    )


def _truth(table: Table) -> LabelArray:
    if table.labels is None:
        raise LabelError(f"table {table.name!r} has no labels; an evaluation needs the truth")
    return table.labels


def _take(rows: Rows, index: IndexArray) -> Rows:
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[index].reset_index(drop=True)
    return rows[index]
