"""The evaluation protocols, each implemented once: table and seed in, one trial out.

*few-label*: stratified 70/30 split; k anomalies of the training part are labelled, every other
training row is not (so the unlabelled rows hide anomalies); equal rows never stand on both sides,
nor do those of a group, where the table has groups.
*one-class*: the training part holds normal rows only, given as such; collections that come with
a training and a test file keep them.
*adbench*: the generator of Han et al. 2022 ("ADBench", section 4.1 and appendix), to compare with
its published tables. Tables under 1,000 rows are drawn up to it with replacement before they are
split, so copies of a row stand on both sides: its figures say little by themselves.
*dte*: the semi-supervised setting of Livernoche et al. 2023 ("On diffusion modeling for anomaly
detection", section 5): the first half of the normal rows is given as normal, the rest and all
anomalies are tested. Equal rows may stand on both sides.
*novel-type*: anomalies come in types; the training part holds one of them, k of its rows labelled,
and the test part all of them, so that what was shown and what is new are judged apart.
*leave-domain-out*: the prior is meta-trained without a field, or a collection, of tables, and
judged on it: by few-label and one-class trials (`oddshot.evaluation.domains.left_out`), or beside
one that has seen others of the domain (`left_out_families`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

from oddshot.data.splits import (
    IndexArray,
    Split,
    check_truth,
    few_label_split,
    one_class_split,
    stratified_sample,
)
from oddshot.data.tasks import TableSource as Labelled
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, LabelArray, Rows, Table
from oddshot.errors import DataError, LabelError, SettingError, SourceError

FEW_LABEL, ONE_CLASS, ADBENCH, DTE = "few-label", "one-class", "adbench", "dte"
NOVEL_TYPE, LEAVE_DOMAIN_OUT = "novel-type", "leave-domain-out"
PROTOCOLS = (FEW_LABEL, ONE_CLASS, ADBENCH, DTE, NOVEL_TYPE, LEAVE_DOMAIN_OUT)
MADE_ELSEWHERE = {
    NOVEL_TYPE: "its trials need types; make them by oddshot.evaluation.novel_types.novel_trial",
    LEAVE_DOMAIN_OUT: "its trials are few-label and one-class ones, of tables that "
    "oddshot.evaluation.domains.left_out chooses; make these",
}
ADBENCH_FEWEST, ADBENCH_MOST = 1000, 10_000  # rows


class TableSource(Labelled, Protocol):
    """A named table that is read when it is needed, and may bring a split."""

    def load_split(self) -> tuple[Table, Table]:
        """Read the training and test parts; `SourceError` where the source brings none."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a detector sees, and what it is judged on.

    Parameters
    ----------
    protocol, table, family, collection, k, seed
        Where the trial comes from; ``k`` is 0 where no anomaly is labelled, per cent in adbench.
    X_train, y_train
        Shape (n, d) and (n,) of 1, 0, -1: what the detector may see.
    X_test, y_test
        Shape (m, d) and (m,) of 1, 0: the truth; both occur.
    truth_train
        Shape (n,) of 1, 0: the truth of the training rows, which no detector sees; ``None`` where
        it is not kept.
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
    truth_train: LabelArray | None = None

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
    split = few_label_split(
        truth, k=k, seed=seed, rows=table.rows, groups=table.groups, max_rows=max_rows
    )
    return _split_in_two(FEW_LABEL, table, truth, split, k=k, seed=seed)


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
    split = one_class_split(
        truth, seed=seed, rows=table.rows, groups=table.groups, max_rows=max_rows
    )
    return _split_in_two(ONE_CLASS, table, truth, split, k=0, seed=seed)


def adbench(table: Table, *, la: int, seed: int, max_rows: int | None = None) -> Trial:
    """Make a trial as ADBench's generator does: 70/30, numbers brought to 0 to 1.

    Parameters
    ----------
    table
        Labels of 1 and 0 for every row.
    la
        Per cent of the training part's anomalies that are labelled, rounded up to whole ones.
    seed
        Chooses rows, parts and labelled anomalies. (The published tables average seeds 1 to 3; the
        draws of their generator are not repeated bit for bit.)
    max_rows
        As for `few_label`. ADBench's own bound, 10,000 rows, holds in any case.

    Raises
    ------
    SettingError
        ``la`` is not between 0 and 100, or the table has groups.
    DataError
        The table has no labels, or one of its classes has too few rows for both parts.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(np.array([0, 1], dtype=np.int8), [90, 10])
    >>> trial = adbench(Table("noise", rng.normal(size=(100, 3)), labels), la=5, seed=1)
    >>> trial.X_train.shape, int((trial.y_train == 1).sum())
    ((700, 3), 4)
    """
    if not 0 <= la <= 100:
        raise SettingError(f"la = {la}; give 0 to 100 per cent of labelled anomalies")
    truth = _truth_without_groups(table, ADBENCH)
    rng = np.random.default_rng(seed)
    rows = stratified_sample(truth, max_rows=max_rows, seed=seed)
    if len(rows) < ADBENCH_FEWEST:
        rows = rng.choice(rows, ADBENCH_FEWEST)
    elif len(rows) > ADBENCH_MOST:
        rows = rng.choice(rows, ADBENCH_MOST, replace=False)
    if np.bincount(truth[rows], minlength=2).min() < 2:
        raise DataError(f"table {table.name!r} has too few rows of a class to be split 70/30")
    train, test = train_test_split(rows, test_size=0.3, stratify=truth[rows], random_state=seed)
    anomalies = rng.permutation(np.flatnonzero(truth[train] == ANOMALY))
    y_train = np.full(len(train), UNLABELLED, dtype=np.int8)
    y_train[anomalies[: -(-la * len(anomalies) // 100)]] = ANOMALY
    X_train, X_test = _zero_to_one(take(table.rows, train), take(table.rows, test))
    return Trial(
        protocol=ADBENCH,
        table=table.name,
        family=table.family,
        collection=table.collection,
        k=la,
        seed=seed,
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=truth[test],
        truth_train=truth[train],
    )


def dte(table: Table, *, seed: int, max_rows: int | None = None) -> Trial:
    """Make a trial of Livernoche et al. 2023: the first half of the normal rows is for training.

    Parameters
    ----------
    table
        Labels of 1 and 0 for every row.
    seed
        Chooses the sample, and what is random in a detector; the halves are those of the table.
    max_rows
        As for `few_label`.

    Raises
    ------
    DataError
        The table has no labels, no anomaly, or fewer than two normal rows.
    SettingError
        It has groups.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(np.array([0, 1], dtype=np.int8), [90, 10])
    >>> trial = dte(Table("noise", rng.normal(size=(100, 3)), labels), seed=1)
    >>> trial.X_train.shape, set(trial.y_train.tolist()), trial.X_test.shape
    ((45, 3), {0}, (55, 3))
    """
    truth = _truth_without_groups(table, DTE)
    rows = stratified_sample(truth, max_rows=max_rows, seed=seed)
    normal = rows[truth[rows] == NORMAL]
    train = normal[: round(len(normal) / 2)]
    if not len(train):
        raise DataError(f"table {table.name!r} has {len(normal)} normal rows; two are needed")
    test = np.setdiff1d(rows, train)
    split = Split(train_index=train, test_index=test, y_train=truth[train])
    return _split_in_two(DTE, table, truth, split, k=0, seed=seed)


def make_trial(
    protocol: str,
    source: Table | TableSource,
    *,
    k: int,
    seed: int,
    max_rows: int | None = None,
) -> Trial:
    """Make the trial of a protocol by its name; ``k`` is ``la`` in adbench.

    novel-type needs to know types, see `oddshot.evaluation.novel_types.novel_trial`;
    leave-domain-out makes trials of few-label and one-class.

    Raises
    ------
    SettingError
        There is no such protocol, or it is one of these two.
    DataError
        As for the protocols.
    """
    if protocol == ONE_CLASS:
        return one_class(source, seed=seed, max_rows=max_rows)
    table = source if isinstance(source, Table) else source.load()
    if protocol == FEW_LABEL:
        return few_label(table, k=k, seed=seed, max_rows=max_rows)
    if protocol == ADBENCH:
        return adbench(table, la=k, seed=seed, max_rows=max_rows)
    if protocol == DTE:
        return dte(table, seed=seed, max_rows=max_rows)
    names = (FEW_LABEL, ONE_CLASS, ADBENCH, DTE)
    if protocol in MADE_ELSEWHERE:
        raise SettingError(f"protocol {protocol!r}: {MADE_ELSEWHERE[protocol]}")
    raise SettingError(f"unknown protocol {protocol!r}; choose from {', '.join(names)}")


def _zero_to_one(train: Rows, test: Rows) -> tuple[Rows, Rows]:
    """Bring columns of numbers to 0 to 1 by what the training part holds; infinities stay."""
    if not isinstance(train, pd.DataFrame) or not isinstance(test, pd.DataFrame):
        train, test = _zero_to_one(pd.DataFrame(train), pd.DataFrame(test))
        return np.asarray(train), np.asarray(test)
    numbers = list(train.select_dtypes("number").columns)
    if not numbers:
        return train, test
    scaler: Any = MinMaxScaler().fit(train[numbers].mask(_infinite(train[numbers])))
    train, test = (
        part.drop(columns=numbers).join(_scaled(part[numbers], scaler))[part.columns]
        for part in (train, test)
    )
    return train, test


def _scaled(rows: pd.DataFrame, scaler: Any) -> pd.DataFrame:
    infinite = _infinite(rows)
    scaled = scaler.transform(rows.mask(infinite))
    return pd.DataFrame(scaled, rows.index, rows.columns).mask(infinite, rows)


def _infinite(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.isin([np.inf, -np.inf])


@dataclass(frozen=True, slots=True)
class NovelTrial:
    """A trial in which the labels show one type of anomaly and others are new.

    Parameters
    ----------
    trial
        What the detector sees, and the truth.
    seen
        The type that the labels show.
    types
        Shape (m,): the type of each test row, "" of a normal one.
    """

    trial: Trial
    seen: str
    types: NDArray[np.str_]

    def test_rows(self, kind: str) -> IndexArray:
        """Positions of the normal test rows and of the anomalies of one type."""
        return np.flatnonzero((self.types == "") | (self.types == kind))

    @property
    def new_types(self) -> tuple[str, ...]:
        """The types that stand in the test part alone."""
        return tuple(str(kind) for kind in np.unique(self.types) if kind not in ("", self.seen))


def novel_type(
    table: Table,
    types: NDArray[np.str_],
    *,
    seen: str,
    k: int,
    seed: int,
    share: float = 0.05,
    max_normal: int | None = None,
) -> NovelTrial:
    """Make a novel-type trial of a table whose anomalies come in types.

    Every type is thinned out to a share, then the split is that of `few_label`; anomalies of other
    types than ``seen`` leave the training part. So the unlabelled training rows hide anomalies of
    the seen type and of no other. Neither parts nor labels depend on k but in its number.

    Parameters
    ----------
    table
        Labels of 1 and 0 for every row.
    types
        Shape (n,): the type of every anomaly, "" of a normal row.
    seen
        The type that the labels show.
    k
        Number of labelled anomalies.
    seed
        Chooses everything.
    share
        At most so many anomalies of each type, in relation to all normal rows, in (0, 1).
    max_normal
        Use only so many normal rows.

    Raises
    ------
    DataError
        A part lacks the seen type, the test part other types, or the training part k anomalies.
    LabelError
        The table has no labels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> types = np.array([""] * 300 + ["burnt"] * 15 + ["bent"] * 15)
    >>> table = Table("parts", rng.normal(size=(330, 2)), (types != "").astype(np.int8))
    >>> found = novel_type(table, types, seen="burnt", k=2, seed=0)
    >>> int((found.trial.y_train == 1).sum()), found.new_types
    (2, ('bent',))
    """
    truth = _truth(table)
    if types.shape != truth.shape or np.any((types != "") != (truth == ANOMALY)):
        raise DataError(
            f"{table.name!r}: types of shape {types.shape} do not go with its {len(truth)} labels; "
            'give each anomaly a type and each normal row ""'
        )
    kept = _thinned(types, share=share, max_normal=max_normal, seed=seed)
    rows, types, truth = take(table.rows, kept), types[kept], truth[kept]
    groups = None if table.groups is None else table.groups[kept]
    split = few_label_split(truth, k=0, seed=seed, rows=rows, groups=groups)
    train = split.train_index[np.isin(types[split.train_index], ("", seen))]
    shown = np.flatnonzero(types[train] == seen)
    tested = types[split.test_index]
    if len(shown) < max(k, 1) or seen not in tested or not set(tested) - {"", seen}:
        raise DataError(
            f"{table.name!r}, type {seen!r}: {len(shown)} training rows and "
            f"{int((tested == seen).sum())} test rows are too few for k = {k} and a test, or no "
            "test row is of another type; choose a smaller k or another type"
        )
    y_train = np.full(len(train), UNLABELLED, dtype=np.int8)
    y_train[np.random.default_rng([seed, 1]).permutation(shown)[:k]] = ANOMALY
    trial = Trial(
        protocol=NOVEL_TYPE,
        table=table.name,
        family=table.family,
        collection=table.collection,
        k=k,
        seed=seed,
        X_train=take(rows, train),
        y_train=y_train,
        X_test=take(rows, split.test_index),
        y_test=truth[split.test_index],
    )
    return NovelTrial(trial, seen, tested)


def left_out_families(
    held_out: Iterable[TableSource], judged: Iterable[TableSource]
) -> tuple[list[str], list[str]]:
    """Families that two priors do without, so that their difference is what a domain is worth.

    Parameters
    ----------
    held_out
        All tables of the domain.
    judged
        Those that the priors are judged on.

    Returns
    -------
    tuple
        Families for the prior that has not seen the domain: all of it; and for the one that has:
        those of the judged tables alone.

    Raises
    ------
    DataError
        A judged table is not of the domain.
    """
    outside = sorted({source.family for source in held_out})
    inside = sorted({source.family for source in judged})
    strangers = sorted(set(inside) - set(outside))
    if strangers:
        raise DataError(f"family {strangers[0]!r} is judged but not held out; hold it out, too")
    return outside, inside


def _thinned(
    types: NDArray[np.str_], *, share: float, max_normal: int | None, seed: int
) -> IndexArray:
    """Row numbers, rising, of a sample of the normal rows, and of a few anomalies of each type."""
    rng = np.random.default_rng([seed, 0])
    normal = rng.permutation(np.flatnonzero(types == ""))[:max_normal]
    most = max(2, round(share * len(normal)))
    kinds = [kind for kind in np.unique(types) if kind != ""]
    odd = [rng.permutation(np.flatnonzero(types == kind))[:most] for kind in kinds]
    return np.sort(np.concatenate([normal, *odd])).astype(np.int64)


def _given(train: Table, test: Table, *, seed: int, max_rows: int | None) -> Trial:
    truth = _truth(test)
    known = np.ones(len(train.rows)) if train.labels is None else train.labels != ANOMALY
    usable = np.flatnonzero(known)
    normal = np.full(len(usable), NORMAL, dtype=np.int8)
    seen = stratified_sample(normal, max_rows=max_rows, seed=seed)
    judged = stratified_sample(truth, max_rows=max_rows, seed=seed)
    return Trial(
        protocol=ONE_CLASS,
        table=test.name,
        family=test.family,
        collection=test.collection,
        k=0,
        seed=seed,
        X_train=take(train.rows, usable[seen]),
        y_train=normal[seen],
        X_test=take(test.rows, judged),
        y_test=truth[judged],
        truth_train=normal[seen],
    )


def _split_in_two(
    protocol: str, table: Table, truth: LabelArray, split: Split, *, k: int, seed: int
) -> Trial:
    """Make a trial of a table's rows, its training part labelled as the split says."""
    return Trial(
        protocol=protocol,
        table=table.name,
        family=table.family,
        collection=table.collection,
        k=k,
        seed=seed,
        X_train=take(table.rows, split.train_index),
        y_train=split.y_train,
        X_test=take(table.rows, split.test_index),
        y_test=truth[split.test_index],
        truth_train=truth[split.train_index],
    )


def _truth(table: Table) -> LabelArray:
    if table.labels is None:
        raise LabelError(f"table {table.name!r} has no labels; an evaluation needs the truth")
    check_truth(table.labels)
    return table.labels


def _truth_without_groups(table: Table, protocol: str) -> LabelArray:
    """Give the truth for a protocol that splits as was published, and by no groups."""
    if table.groups is not None:
        raise SettingError(
            f"{protocol} splits as was published, not by the groups of {table.name!r}; choose "
            f"{FEW_LABEL} or {ONE_CLASS}, or give no groups"
        )
    return _truth(table)


def take(rows: Rows, index: IndexArray) -> Rows:
    """Take rows by their places, and number them anew."""
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[index].reset_index(drop=True)
    return rows[index]
