"""Tables whose anomalies come in types, and how well each type is found.

The types are planted among the normal rows of a real table (`oddshot.data.synthetic`), beside the
anomalies it has; or they are the attacks of NSL-KDD (Tavallaee et al. 2009), or characters other
than those that are normal (Lake et al. 2015).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.data.omniglot import Characters
from oddshot.data.synthetic import ANOMALY_TYPES, plant
from oddshot.episodes import ANOMALY, NORMAL, FloatArray, Rows, Table
from oddshot.errors import LabelError, SettingError, SourceError
from oddshot.evaluation.metrics import auroc, average_precision
from oddshot.evaluation.protocols import NovelTrial, take

GENUINE = "genuine"
BY_CATEGORY, BY_TYPE = "category", "type"
NSL_KDD_FAMILY = "network-connections"


@dataclass(frozen=True, slots=True)
class TypedTable:
    """A labelled table and the type of each of its anomalies.

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


class Found(TypedDict):
    """How well the anomalies of one type were told from the normal test rows."""

    type: str
    novel: bool
    anomalies: int
    auroc: float
    ap: float


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
        yield Found(
            type=kind,
            novel=kind != trial.seen,
            anomalies=int(truth.sum()),
            auroc=auroc(truth, scores[at]),
            ap=average_precision(truth, scores[at]),
        )


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
        Holds ``train_20_percent.csv.gz``, ``field_names.csv`` and ``attack_types.csv``.
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
        rows = pd.read_csv(folder / "train_20_percent.csv.gz", header=None)
        fields = pd.read_csv(folder / "field_names.csv", header=None)[0]
        attacks = pd.read_csv(folder / "attack_types.csv", header=None, index_col=0)[1]
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{str(folder)!r} holds no NSL-KDD ({error}); give the folder of its three files"
        ) from error
    rows.columns = pd.Index([*fields, "attack", "difficulty"])
    attack = rows.pop("attack").str.strip()
    kinds = attack.map(attacks.str.strip()) if by == BY_CATEGORY else attack
    types = np.where(attack == "normal", "", kinds).astype(np.str_)
    labels = (types != "").astype(np.int8)
    table = Table("nsl_kdd", rows.drop(columns="difficulty"), labels, NSL_KDD_FAMILY, "nsl_kdd")
    return TypedTable(table, types)


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
