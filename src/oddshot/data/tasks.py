"""A seeded stream of detection tasks, drawn from labelled tables.

Episode *i* depends on the seed and *i* alone: workers share a stream without repeating it, and a
resumed run repeats nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from oddshot.data.synthetic import ANOMALY_TYPES, with_planted
from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    UNLABELLED,
    Batch,
    Episode,
    LabelArray,
    Table,
)
from oddshot.errors import (
    DataError,
    SettingError,
    TrainingError,
    is_number,
    is_whole,
    require,
)
from oddshot.frames import hash_rows, take_rows

Index: TypeAlias = NDArray[np.intp]

ATTEMPTS = 20
LEAST_NORMAL = 4
PLANTED = 0.1  # share of planted anomalies among the rows


class TableSource(Protocol):
    """A table that can be loaded when it is needed; a `Table` in memory will do, see `InMemory`."""

    @property
    def name(self) -> str:
        """Name of the table."""
        ...

    @property
    def family(self) -> str:
        """Tables of one family share data or meaning."""
        ...

    @property
    def collection(self) -> str:
        """Where the table comes from."""
        ...

    def load(self) -> Table:
        """Read the table, labels included."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """A `TableSource` around a table that is at hand."""

    table: Table

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.table.name

    @property
    def family(self) -> str:
        """Family of the table."""
        return self.table.family

    @property
    def collection(self) -> str:
        """Collection of the table."""
        return self.table.collection

    def load(self) -> Table:
        """Return the table itself."""
        return self.table


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeSettings:
    """What the episodes of a stream look like.

    Parameters
    ----------
    contaminated, one_class, mixed
        Shares of the regimes: unlabelled rows that hide anomalies; known normal rows only; some
        known normals beside unlabelled rows.
    unlabelled_share
        Share of the contaminated and mixed episodes that have no known anomaly at all.
    known_share
        Share of the one-class episodes that have known anomalies too.
    max_known
        The number of known anomalies is log-uniform in 1..max_known.
    min_rows, max_rows
        The number of support rows is log-uniform in between (and at most what the table has).
    max_query_normal, max_query_anomalous
        Bounds of the query part.
    natural_share
        Share of the episodes that keep the table's own contamination; others draw one,
        log-uniform in 0.3% to 20%, by leaving anomalies out.
    planted_share
        Share of the episodes whose anomalies are planted among a table's normal rows, of a type
        drawn from `oddshot.data.synthetic.ANOMALY_TYPES`, in place of its own.
    """

    contaminated: float = 0.6
    one_class: float = 0.3
    mixed: float = 0.1
    unlabelled_share: float = 0.2
    known_share: float = 0.25
    max_known: int = 50
    min_rows: int = 150
    max_rows: int = 4096
    max_query_normal: int = 192
    max_query_anomalous: int = 96
    natural_share: float = 0.5
    planted_share: float = 0.0

    def __post_init__(self) -> None:
        regimes = (self.contaminated, self.one_class, self.mixed)
        if not all(map(is_number, regimes)) or min(regimes) < 0 or sum(regimes) <= 0:
            raise SettingError(
                f"episode settings: contaminated, one_class, mixed are {regimes}; "
                "they must be 0 or more, and one of them above 0"
            )
        for name in ("unlabelled_share", "known_share", "natural_share", "planted_share"):
            value = getattr(self, name)
            fits = is_number(value) and 0 <= value <= 1
            require(fits, f"episode settings: {name}", value, "in [0, 1]")
        rows = (self.min_rows, self.max_rows)
        if not all(map(is_whole, rows)) or not 2 <= rows[0] <= rows[1]:
            raise SettingError(
                f"episode settings: min_rows, max_rows are {rows}; they must be whole numbers, 2 "
                "or more, the first at most the second"
            )
        for name in ("max_known", "max_query_normal", "max_query_anomalous"):
            value = getattr(self, name)
            fits = is_whole(value) and value >= 1
            require(fits, f"episode settings: {name}", value, "a whole number, 1 or more")


class EpisodeStream:
    """Endless seeded episodes over labelled tables, balanced by family.

    Parameters
    ----------
    tables
        Labelled tables; each needs both normal and anomalous rows.
    seed
        The stream's seed.
    settings
        See `EpisodeSettings`.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> labels = (np.arange(300) % 10 == 0).astype(np.int8)
    >>> stream = EpisodeStream([InMemory(Table("toy", rows, labels))], seed=1)
    >>> stream.episode(7).name == stream.episode(7).name
    True
    """

    def __init__(
        self,
        tables: Sequence[TableSource],
        *,
        seed: int,
        settings: EpisodeSettings | None = None,
    ) -> None:
        if not tables:
            raise TrainingError("there is no table to draw episodes from; give a folder of tables")
        self.settings = settings or EpisodeSettings()
        self.seed = seed
        families: dict[str, list[TableSource]] = {}
        for table in tables:
            families.setdefault(table.family, []).append(table)
        self._families = [sorted(families[name], key=lambda t: t.name) for name in sorted(families)]

    def episode(self, number: int) -> Episode:
        """Episode ``number``, the same whenever and wherever it is asked for.

        A draw whose support rows are all alike teaches nothing; another one takes its place.

        Raises
        ------
        TrainingError
            If ``ATTEMPTS`` draws in a row are of that kind.
        """
        generator = np.random.default_rng([self.seed, number])
        for _ in range(ATTEMPTS):
            family = self._families[generator.integers(len(self._families))]
            source = family[generator.integers(len(family))]
            table = _load(source)
            planted = self.settings.planted_share
            if planted and generator.random() < planted:
                kind = ANOMALY_TYPES[generator.integers(len(ANOMALY_TYPES))]
                table = with_planted(table, kind, PLANTED, generator)
            assert table.labels is not None  # _load sees to it
            support, query, y = draw_episode(table.labels, generator, self.settings)
            codes = hash_rows(table.rows)
            if len(np.unique(codes[support])) > 1:
                break
        else:
            raise TrainingError(
                f"{ATTEMPTS} draws in a row had nothing but equal rows, the last from "
                f"{source.name!r}; give tables whose rows differ"
            )
        query = query[~np.isin(codes[query], codes[support])]  # no copy of what was seen
        return Episode(
            name=f"{source.collection}/{table.name}#{number}",
            family=source.family,
            seed=int(generator.integers(2**31)),
            support=Batch(take_rows(table.rows, support), y),
            query=Batch(take_rows(table.rows, query), table.labels[query]),
        )


def draw_episode(
    labels: LabelArray, generator: np.random.Generator, settings: EpisodeSettings
) -> tuple[Index, Index, LabelArray]:
    """Draw support rows, query rows, and the support's labels as a user would give them."""
    regimes = ("contaminated", "one_class", "mixed")
    shares = np.array([settings.contaminated, settings.one_class, settings.mixed])
    regime = regimes[generator.choice(3, p=shares / shares.sum())]

    normal = generator.permutation(np.flatnonzero(labels == NORMAL))
    anomalous = generator.permutation(np.flatnonzero(labels == ANOMALY))
    hold = min(settings.max_query_normal, max(1, int(0.3 * len(normal))))
    query_normal, normal = normal[:hold], normal[hold:]
    hold = min(settings.max_query_anomalous, max(1, int(0.4 * len(anomalous))))
    query_anomalous, anomalous = anomalous[:hold], anomalous[hold:]

    size = _log_uniform(generator, settings.min_rows, settings.max_rows)
    total = len(normal) + len(anomalous)
    contamination = len(anomalous) / max(total, 1)
    if generator.random() > settings.natural_share:
        contamination = min(contamination, float(np.exp(generator.uniform(*np.log([0.003, 0.2])))))
    size = min(size, int(len(normal) / max(1 - contamination, 1e-3)), total)
    normal = normal[: max(1, round(size * (1 - contamination)))]

    known = 0
    chance = settings.known_share if regime == "one_class" else 1 - settings.unlabelled_share
    if generator.random() < chance:
        known = min(_log_uniform(generator, 1, settings.max_known), len(anomalous))
    hidden = 0 if regime == "one_class" else round(size * contamination)
    anomalous = anomalous[: max(known, hidden)]

    support = np.concatenate([anomalous, normal])
    y = np.full(len(support), UNLABELLED, dtype=np.int8)
    y[:known] = ANOMALY
    if regime == "one_class":
        y[known:] = NORMAL
    elif regime == "mixed":
        told = _log_uniform(generator, 5, max(6, len(normal)))
        y[len(anomalous) :][:told] = NORMAL
    return support, np.concatenate([query_anomalous, query_normal]), y


def _log_uniform(generator: np.random.Generator, low: int, high: int) -> int:
    return int(np.exp(generator.uniform(np.log(low), np.log(high + 1))))


def _load(source: TableSource) -> Table:
    table = source.load()
    if table.labels is None:
        raise DataError(f"table {source.name!r} has no labels; meta-training learns from labels")
    known = table.labels != UNLABELLED
    if (table.labels == NORMAL).sum() < LEAST_NORMAL:
        raise DataError(
            f"table {source.name!r} has {(table.labels == NORMAL).sum()} rows labelled 0; "
            f"meta-training needs {LEAST_NORMAL} or more"
        )
    found = set(np.unique(table.labels[known]).tolist())
    if found != {ANOMALY, NORMAL}:
        raise DataError(
            f"table {source.name!r} needs rows labelled 1 and 0; it has {sorted(found)}"
        )
    return Table(
        table.name,
        take_rows(table.rows, np.flatnonzero(known)),
        table.labels[known],
        table.family,
        table.collection,
    )
