"""Seeded splits of a labelled table into what a detector may see and what it is judged on.

Two protocols: *few-label* (a contaminated training part, k of its anomalies labelled) and
*one-class* (a training part of known normal rows). Where the rows are given, equal rows always
stand on the same side, so that no copy of a test row is in the training part; nothing is thrown
away, and the share of anomalies stays as it was. (Dropping the copies instead would take every
anomaly out of a table such as KDD's "http", whose anomalies are copies of a few rows.) So do the
rows of a group, as those of one patient, where groups are given.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, LabelArray, Rows
from oddshot.errors import DataError, LabelError, SettingError
from oddshot.frames import hash_rows
from oddshot.wording import counted

IndexArray: TypeAlias = NDArray[np.int64]

TRAIN_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the two parts, and the labels that the detector is shown.

    Parameters
    ----------
    train_index, test_index
        Row numbers in rising order; disjoint.
    y_train
        One of 1, 0, -1 for each row of ``train_index``.
    """

    train_index: IndexArray
    test_index: IndexArray
    y_train: LabelArray

    def __post_init__(self) -> None:
        if self.y_train.shape != self.train_index.shape:
            raise DataError(
                f"split with {len(self.train_index)} training rows but labels of shape "
                f"{self.y_train.shape}; give one label a row"
            )


def few_label_split(
    labels: LabelArray,
    *,
    k: int,
    seed: int,
    rows: Rows | None = None,
    groups: IndexArray | None = None,
    max_rows: int | None = None,
) -> Split:
    """Split 70/30, stratified; label k anomalies of the training part and nothing else.

    The parts depend on the seed but not on k, and the k labelled anomalies are nested: those of
    ``k=1`` are among those of ``k=5``.

    Parameters
    ----------
    labels
        Shape (n,) of 1 and 0: the truth.
    k
        Number of labelled anomalies, 0 or more.
    seed
        Chooses the parts and the labelled anomalies.
    rows
        Shape (n, d); where given, equal rows stand on the same side.
    groups
        Shape (n,): rows with the same number, as those of a patient, stand on the same side, too.
    max_rows
        Split only a stratified sample of so many rows.

    Raises
    ------
    LabelError
        ``labels`` holds something else than 1 and 0.
    DataError
        A class has no two different rows or groups, or the training part has fewer than k
        anomalies.
    SettingError
        ``k`` is negative, or ``max_rows`` too small.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.repeat(np.array([0, 1], dtype=np.int8), [90, 10])
    >>> split = few_label_split(labels, k=3, seed=0)
    >>> len(split.train_index), len(split.test_index), int((split.y_train == 1).sum())
    (70, 30, 3)
    """
    if k < 0:
        raise SettingError(f"k = {k}; the number of labelled anomalies is 0 or more")
    check_truth(labels)
    rng = np.random.default_rng(seed)
    kept = _sample(labels, max_rows, rng)
    told = _Told(grouped=groups is not None)
    groups = _groups(rows, groups, len(labels))[kept]
    # A group with any anomaly in it counts among the anomalies: it is stratified with them.
    odd_groups = np.unique(groups[labels[kept] == ANOMALY])
    odd = np.isin(groups, odd_groups)
    train = np.zeros(len(kept), dtype=bool)
    anomalous = counted(int((labels[kept] == ANOMALY).sum()), "anomalies")
    for what, stratum in ((told.normal_rows(labels[kept], odd), ~odd), (anomalous, odd)):
        train[stratum] = _share_out(groups[stratum], rng, what, told)
    y_train = np.full(int(train.sum()), UNLABELLED, dtype=np.int8)
    anomalies = rng.permutation(np.flatnonzero(labels[kept][train] == ANOMALY))
    if len(anomalies) < k:
        raise DataError(
            f"k = {k} labelled anomalies asked for, but the training part holds only "
            f"{len(anomalies)}; choose a smaller k"
        )
    y_train[anomalies[:k]] = ANOMALY
    return Split(kept[train], kept[~train], y_train)


def one_class_split(
    labels: LabelArray,
    *,
    seed: int,
    rows: Rows | None = None,
    groups: IndexArray | None = None,
    max_rows: int | None = None,
) -> Split:
    """Train on 70% of the normal rows, given as such; test on the other rows.

    Parameters, errors and the treatment of equal rows and of groups are those of `few_label_split`;
    a normal row that equals an anomaly, or is in a group with one, stands in the test part.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.repeat(np.array([0, 1], dtype=np.int8), [90, 10])
    >>> split = one_class_split(labels, seed=0)
    >>> len(split.train_index), len(split.test_index), set(split.y_train.tolist())
    (63, 37, {0})
    """
    check_truth(labels)
    rng = np.random.default_rng(seed)
    kept = _sample(labels, max_rows, rng)
    told = _Told(grouped=groups is not None)
    groups = _groups(rows, groups, len(labels))[kept]
    odd = np.isin(groups, groups[labels[kept] == ANOMALY])
    train = np.zeros(len(kept), dtype=bool)
    train[~odd] = _share_out(groups[~odd], rng, told.normal_rows(labels[kept], odd), told)
    return Split(kept[train], kept[~train], np.full(int(train.sum()), NORMAL, dtype=np.int8))


def stratified_sample(labels: LabelArray, *, max_rows: int | None, seed: int) -> IndexArray:
    """Row numbers (rising) of at most ``max_rows`` rows with the table's share of anomalies.

    Each label that occurs keeps at least two of its rows, or all where it has fewer.

    Raises
    ------
    SettingError
        ``max_rows`` is too small to hold two rows of every label.
    """
    return _sample(labels, max_rows, np.random.default_rng(seed))


def _sample(labels: LabelArray, max_rows: int | None, rng: np.random.Generator) -> IndexArray:
    if max_rows is None or len(labels) <= max_rows:
        return np.arange(len(labels), dtype=np.int64)
    values, counts = np.unique(labels, return_counts=True)
    if max_rows < 4 * len(values):
        raise SettingError(f"max_rows = {max_rows}; give at least {4 * len(values)}")
    # The rarer labels are rounded first; the most frequent one fills up what is left.
    order = np.argsort(counts, kind="stable")
    kept: list[IndexArray] = []
    left = max_rows
    for position, which in enumerate(order):
        share = round(max_rows * counts[which] / len(labels))
        last = position == len(order) - 1
        size = left if last else min(max(share, 2), int(counts[which]))
        members = np.flatnonzero(labels == values[which])
        kept.append(rng.permutation(members)[:size].astype(np.int64))
        left -= len(kept[-1])
    return np.sort(np.concatenate(kept))


def _groups(rows: Rows | None, given: IndexArray | None, n: int) -> IndexArray:
    """Return the number of each row's group; equal rows share one, and those of a given group."""
    for what in (rows, given):
        if what is not None and len(what) != n:
            raise DataError(f"{len(what)} rows but {n} labels; give one label a row")
    equal = None if rows is None else np.unique(hash_rows(rows), return_inverse=True)[1]
    if given is None:
        return np.arange(n, dtype=np.int64) if equal is None else equal.astype(np.int64)
    groups = np.unique(given, return_inverse=True)[1].astype(np.int64)
    return groups if equal is None else _joined(groups, equal)


def _joined(groups: IndexArray, others: NDArray[np.intp]) -> IndexArray:
    """Give rows one number that hang together by either of two (n,), or by both in turns."""
    first, second = int(groups.max()) + 1, int(others.max()) + 1
    edges = (np.ones(len(groups)), (groups, first + others))
    _, found = connected_components(sp.coo_array(edges, shape=(first + second, first + second)))
    return np.asarray(found, dtype=np.int64)[groups]


@dataclass(frozen=True, slots=True)
class _Told:
    """How messages count rows: as different ones, or in groups."""

    grouped: bool

    def normal_rows(self, labels: LabelArray, odd: NDArray[np.bool_]) -> str:
        """Count the normal rows; ``odd`` marks anomalies and rows that go with one."""
        found, more = counted(int((~odd).sum()), "normal rows"), int((labels[odd] == NORMAL).sum())
        if self.grouped:
            return f"{found} in no group with an anomaly ({more:,} are in one)" if more else found
        return f"{found} that equal no anomaly ({more:,} equal one)" if more else found

    def too_few(self, what: str, different: int) -> str:
        """Say that what is to be split has not two parts."""
        if self.grouped:
            return f"the table holds {what}, {counted(different, 'groups')}; a split needs two"
        return (
            f"the table holds {what}, {different} of them different; a split needs two different "
            "ones"
        )


def _share_out(
    groups: IndexArray, rng: np.random.Generator, what: str, told: _Told
) -> NDArray[np.bool_]:
    """Mark the rows for training: whole groups, in random order, up to about 70% of the rows.

    ``what`` is how a message counts them.
    """
    members, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(members) < 2:
        raise DataError(told.too_few(what, len(members)))
    order = rng.permutation(len(members))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    in_training = np.zeros(len(members), dtype=bool)
    in_training[order] = middle <= TRAIN_SHARE * len(groups)
    in_training[order[0]], in_training[order[-1]] = True, False
    return in_training[which]


def check_truth(labels: LabelArray) -> None:
    """See that every row is labelled.

    Raises
    ------
    LabelError
        ``labels`` holds something else than 1 and 0.
    """
    wrong = np.flatnonzero((labels != ANOMALY) & (labels != NORMAL))
    if len(wrong):
        raise LabelError(
            f"row {wrong[0]} has the label {labels[wrong[0]]}; an evaluation needs the truth of "
            "every row, 1 for an anomaly and 0 for normal (-1 is unlabelled): write these, or "
            "leave unlabelled rows out"
        )
