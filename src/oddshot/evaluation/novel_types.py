"""Tables whose anomalies come in types, and how well each type is found.

The types are planted among the normal rows of a real table (`oddshot.data.synthetic`), beside the
anomalies it has; or they are the attacks of NSL-KDD (Tavallaee et al. 2009), or characters other
than those that are normal (Lake et al. 2015).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, TypedDict
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.data.collections import TableRef, load_collection
from oddshot.data.omniglot import Characters
from oddshot.data.synthetic import ANOMALY_TYPES, plant
from oddshot.episodes import ANOMALY, NORMAL, FloatArray, Rows, Table
from oddshot.errors import DataError, LabelError, SettingError, SourceError
from oddshot.evaluation.metrics import Figures, figures
from oddshot.evaluation.protocols import NovelTrial, TableSource, novel_type, take
from oddshot.evaluation.row_names import SEEN_TYPE, UNSEEN_TYPES

GENUINE = "genuine"
BY_CATEGORY, BY_TYPE = "category", "type"
NSL_KDD_FAMILY = "network-connections"
NSL_KDD_FILES = ("train_20_percent.csv.gz", "field_names.csv", "attack_types.csv")
SHARE = 0.06  # anomalies of each type, in relation to the normal rows
LEAST_SHOWN = 15  # anomalies of a type, for ten to be labelled and some tested


@dataclass(frozen=True, slots=True)
class TypedTable:
    """A labelled table and the type of each of its anomalies; a source of the table, too.

    Parameters
    ----------
    table
        Labels of 1 and 0 for every row.
    types
        Shape (n,): the type of an anomaly, "" of a normal row.
    """

    table: Table
    types: NDArray[np.str_]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types there are."""
        return tuple(str(kind) for kind in np.unique(self.types) if kind)

    @property
    def name(self) -> str:
        """The table's."""
        return self.table.name

    @property
    def collection(self) -> str:
        """The table's."""
        return self.table.collection

    @property
    def family(self) -> str:
        """The table's."""
        return self.table.family

    def load(self) -> Table:
        """Return the table."""
        return self.table

    def load_split(self) -> NoReturn:
        """There are no parts; raises a `SourceError`."""
        raise SourceError(f"{self.name!r} brings no split into training and test rows")


class Found(TypedDict):
    """How well the anomalies of one type were told from the normal test rows."""

    type: str
    novel: bool
    anomalies: int
    auroc: float
    ap: float
    ap_norm: float


def judge(trial: NovelTrial, scores: FloatArray) -> Iterator[Found]:
    """AUROC and average precision of each type against the normal test rows.

    Parameters
    ----------
    trial
        A novel-type trial with m test rows.
    scores
        Shape (m,): higher is odder.

    Examples
    --------
    >>> from oddshot.evaluation.protocols import novel_type
    >>> types = np.array([""] * 300 + ["burnt"] * 15 + ["bent"] * 15)
    >>> rows = np.repeat([[0.0], [9.0], [5.0]], [300, 15, 15], axis=0)
    >>> rows[:, 0] += np.linspace(0, 1, 330)
    >>> table = Table("parts", rows, (types != "").astype(np.int8))
    >>> trial = novel_type(table, types, seen="burnt", k=1, seed=0)
    >>> [(one["type"], one["auroc"]) for one in judge(trial, trial.trial.X_test[:, 0])]
    [('burnt', 1.0), ('bent', 1.0)]
    """
    for kind in (trial.seen, *trial.new_types):
        at = trial.test_rows(kind)
        truth = trial.trial.y_test[at]
        one = figures(truth, scores[at])
        yield Found(
            type=kind,
            novel=kind != trial.seen,
            anomalies=int(truth.sum()),
            auroc=one.auroc,
            ap=one.ap,
            ap_norm=one.ap_norm,
        )


def judge_apart(trial: NovelTrial, scores: FloatArray) -> dict[str, Figures]:
    """Figures of the "seen" type, and their means over the "unseen" ones.

    A type counts as one, however many anomalies it has.
    """
    means = pd.DataFrame(list(judge(trial, scores))).groupby("novel")[list(Figures._fields)].mean()
    return {
        part: Figures(*means.loc[novel])
        for part, novel in ((SEEN_TYPE, False), (UNSEEN_TYPES, True))
    }


def types_to_show(source: Table | TableSource) -> tuple[str, ...]:
    """Types that labels show in turn: those of `LEAST_SHOWN` anomalies, or those to be planted."""
    if not isinstance(source, TypedTable):
        return (GENUINE, *ANOMALY_TYPES)
    return tuple(kind for kind in source.kinds if (source.types == kind).sum() >= LEAST_SHOWN)


def novel_trial(
    source: Table | TableSource, *, shown: str, k: int, seed: int, max_rows: int | None = None
) -> NovelTrial:
    """Make a novel-type trial; where nothing is known of types, they are `planted`.

    Parameters
    ----------
    source
        A `TypedTable`, or a table, or the source of one.
    shown
        The type that the labels show, one of `types_to_show`; "": there is none.
    k, seed
        As for `oddshot.evaluation.protocols.novel_type`.
    max_rows
        Use only so many rows, anomalies among them.

    Raises
    ------
    DataError, LabelError
        As for `oddshot.evaluation.protocols.novel_type`.
    """
    kinds = source.kinds if isinstance(source, TypedTable) else types_to_show(source)
    if not shown:
        raise DataError(
            f"{source.name!r}: no type of anomaly has {LEAST_SHOWN} rows or more, of which some "
            f"could be labelled and some tested; its types: {', '.join(kinds) or 'none'}"
        )
    most = None if max_rows is None else int(max_rows / (1 + SHARE * len(kinds)))
    if not isinstance(source, TypedTable):
        table = source if isinstance(source, Table) else source.load()
        source = planted(table, share=SHARE, max_normal=most)
    return novel_type(
        source.table, source.types, seen=shown, k=k, seed=seed, share=SHARE, max_normal=most
    )


def tables_with_types(
    folder: str | Path,
    *,
    types: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
) -> list[TableRef | TypedTable]:
    """List the tables of a folder, with the types of anomalies where these have names.

    Parameters
    ----------
    folder
        A folder of tables, or that of `nsl_kdd`.
    types
        The column that names the type of each anomaly, in all tables; of NSL-KDD "category", the
        default, or "type". ``None``: types are to be planted.
    label_column, group_column
        As for `oddshot.data.collections.load_collection`; not of NSL-KDD.

    Raises
    ------
    SourceError, LabelError, DataError, SettingError
        A table cannot be read, has no labels, or not that column.
    """
    folder = Path(folder)
    if all(os.path.isfile(folder / name) for name in NSL_KDD_FILES):
        if types not in (None, BY_CATEGORY, BY_TYPE):
            raise SettingError(
                f"types is {types!r}; of NSL-KDD choose {BY_CATEGORY!r} or {BY_TYPE!r}"
            )
        if label_column is not None or group_column is not None:
            raise SettingError(
                f"{str(folder)!r} is NSL-KDD, which has labels and no groups; leave out "
                "label_column and group_column (--label-column, --group-column)"
            )
        return [nsl_kdd(folder, by=types or BY_CATEGORY)]
    refs = load_collection(folder, label_column=label_column, group_column=group_column)
    return [ref if types is None else with_named_types(ref.load(), types) for ref in refs]


def with_named_types(table: Table, column: str) -> TypedTable:
    """Take the types of anomalies from a column, which detectors do not see then.

    Raises
    ------
    DataError
        There is no such column, or an anomaly has no type in it.
    LabelError
        The table has no labels.

    Examples
    --------
    >>> rows = pd.DataFrame({"heat": [1.0, 2.0, 9.0], "fault": ["", "", "burnt"]})
    >>> typed = with_named_types(Table("pumps", rows, np.array([0, 0, 1], np.int8)), "fault")
    >>> typed.name, typed.kinds, list(typed.table.rows)
    ('pumps by fault', ('burnt',), ['heat'])
    """
    if table.labels is None:
        raise LabelError(f"table {table.name!r} has no labels; give one with the truth")
    rows = table.rows
    if not isinstance(rows, pd.DataFrame) or column not in rows:
        names = list(map(str, rows.columns)) if isinstance(rows, pd.DataFrame) else []
        raise DataError(
            f"table {table.name!r} has no column {column!r} with the types of its anomalies; "
            f"there are {', '.join(names) or 'no names of columns'}"
        )
    named = rows[column].astype("string").fillna("").str.strip().to_numpy(dtype=np.str_)
    odd = table.labels == ANOMALY
    if np.any(odd & (named == "")):
        row = int(np.flatnonzero(odd & (named == ""))[0])
        raise DataError(
            f"column {column!r} of table {table.name!r} is empty in row {row}, an anomaly; "
            "write its type there"
        )
    name, rows = f"{table.name} by {column}", rows.drop(columns=column)
    return TypedTable(replace(table, name=name, rows=rows), np.where(odd, named, ""))


def planted(table: Table, *, share: float = SHARE, max_normal: int | None = None) -> TypedTable:
    """Plant four types in a table, by its name the same ones each time (`with_planted_types`)."""
    generator = np.random.default_rng(crc32(table.name.encode()))
    return with_planted_types(table, share=share, generator=generator, max_normal=max_normal)


def with_planted_types(
    table: Table, *, share: float, generator: np.random.Generator, max_normal: int | None = None
) -> TypedTable:
    """Plant anomalies of four types among a table's rows; its own are the type "genuine".

    Parameters
    ----------
    table
        Labels of 1 and 0 for every row.
    share
        Planted anomalies of each type, in relation to the normal rows that are kept.
    generator
        Where randomness comes from.
    max_normal
        Keep only so many normal rows.

    Raises
    ------
    LabelError
        The table has no labels.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(100, 2))
    >>> table = Table("noise", rows, np.repeat(np.array([0, 1], dtype=np.int8), [90, 10]))
    >>> typed = with_planted_types(table, share=0.1, generator=np.random.default_rng(1))
    >>> typed.kinds
    ('cluster', 'dependency', 'genuine', 'global', 'local')
    """
    if table.labels is None:
        raise LabelError(f"table {table.name!r} has no labels; give one with the truth")
    if table.groups is not None:
        raise DataError(
            f"anomalies that are planted in table {table.name!r} are of none of its groups; name "
            "the types of its own, or give no groups"
        )
    at = generator.permutation(np.flatnonzero(table.labels == NORMAL))[:max_normal]
    genuine = np.flatnonzero(table.labels == ANOMALY)
    count = max(2, round(share * len(at)))
    normal = take(table.rows, at)
    planted = [plant(normal, kind, count, generator) for kind in ANOMALY_TYPES]
    rows = _together([normal, take(table.rows, genuine), *planted])
    names = np.array(["", GENUINE, *ANOMALY_TYPES])
    types = np.repeat(names, [len(at), len(genuine)] + [count] * len(ANOMALY_TYPES))
    labels = np.where(types == "", NORMAL, ANOMALY).astype(np.int8)
    return TypedTable(replace(table, rows=rows, labels=labels), types)


def nsl_kdd(folder: str | Path, *, by: str = BY_CATEGORY) -> TypedTable:
    """Read the connections of NSL-KDD, attacks by category (dos, probe, r2l, u2r) or by name.

    Parameters
    ----------
    folder
        Holds `NSL_KDD_FILES`.
    by
        "category" or "type".

    Raises
    ------
    SourceError
        If a file cannot be read.
    SettingError
        If ``by`` is something else.
    """
    if by not in (BY_CATEGORY, BY_TYPE):
        raise SettingError(f"by is {by!r}; choose {BY_CATEGORY!r} or {BY_TYPE!r}")
    folder = Path(folder)
    try:
        connections, names, categories = (folder / name for name in NSL_KDD_FILES)
        rows = pd.read_csv(connections, header=None)
        fields = pd.read_csv(names, header=None)[0]
        attacks = pd.read_csv(categories, header=None, index_col=0)[1]
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{str(folder)!r} holds no NSL-KDD ({error}); give the folder of its three files"
        ) from error
    rows.columns = pd.Index([*fields, "attack", "difficulty"])
    attack = rows.pop("attack").str.strip()
    kinds = attack.map(attacks.str.strip()) if by == BY_CATEGORY else attack
    types = np.where(attack == "normal", "", kinds).astype(np.str_)
    labels = (types != "").astype(np.int8)
    name, rows = f"nsl_kdd by {by}", rows.drop(columns="difficulty")
    return TypedTable(Table(name, rows, labels, NSL_KDD_FAMILY, "nsl_kdd"), types)


def drawn_types(
    characters: Characters, *, normal: int, odd: int, generator: np.random.Generator
) -> TypedTable:
    """Draw some characters that are normal, and others that are anomalies, each a type of its own.

    Parameters
    ----------
    characters
        Where they are drawn from.
    normal, odd
        How many characters; all drawings of each are rows.
    generator
        Where randomness comes from.

    Returns
    -------
    TypedTable
        Its rows are pixels, 0 (paper) to 255 (ink); the types are the names of characters.

    Raises
    ------
    SettingError
        If there are fewer characters.

    Examples
    --------
    >>> images = np.zeros((3, 20, 28, 28), np.uint8)
    >>> characters = Characters(images, ("alpha", "beta", "gamma"), ("Greek",) * 3)
    >>> typed = drawn_types(characters, normal=1, odd=2, generator=np.random.default_rng(0))
    >>> typed.table.rows.shape, int(typed.table.labels.sum())
    ((60, 784), 40)
    """
    if normal + odd > len(characters):
        raise SettingError(
            f"normal and odd are {normal} and {odd}, but there are {len(characters)} characters; "
            "ask for fewer"
        )
    chosen = generator.permutation(len(characters))[: normal + odd]
    images = characters.images[chosen]
    names = np.array(["" if n < normal else characters.names[at] for n, at in enumerate(chosen)])
    types = np.repeat(names, images.shape[1])
    labels = (types != "").astype(np.int8)
    rows = 255.0 * images.reshape(len(labels), -1)
    return TypedTable(Table("omniglot", rows, labels, "omniglot", "omniglot"), types)


def _together(parts: list[Rows]) -> Rows:
    if isinstance(parts[0], pd.DataFrame):
        return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
    return np.concatenate([np.asarray(part) for part in parts])
