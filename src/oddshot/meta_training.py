"""From labelled tables to one `Prior`: map a stream of episodes, then train a learner on it."""

import difflib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import scipy.sparse as sp

from oddshot.data.collections import load_collection
from oddshot.data.kinship import Print, kin_of, ties_of
from oddshot.data.labels import parse_labels
from oddshot.data.tasks import EpisodeSettings, EpisodeStream, InMemory, TableSource
from oddshot.engines import Compute, in_turn, leads
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, MappedTask, Table
from oddshot.errors import (
    DataError,
    SettingError,
    TrainingError,
    is_number,
    is_whole,
    require,
)
from oddshot.frames import hash_rows, to_rows
from oddshot.learners import Learner, Shape, find_learner, make_learner
from oddshot.learners.gated import GatedLearner
from oddshot.mapping.coordinates.calibration import CHANNELS
from oddshot.mapping.coordinates.evidence import EVIDENCE, TABLE
from oddshot.mapping.mapping import COORDINATES, HOLLOW, PLAIN, map_episode
from oddshot.outer_loop import TrainingPlan
from oddshot.persistence import package_version, sole_writer
from oddshot.priors import Prior, plain
from oddshot.run_log import require_folder
from oddshot.task_store import TaskStore
from oddshot.training import require_run, train
from oddshot.wording import counted

__all__ = ["EpisodeMapper", "meta_train", "table_sources", "train"]

_SHAPE = Shape(len(COORDINATES), CHANNELS, len(EVIDENCE), len(TABLE))  # of every mapped table
MOST_NAMED = 10  # collections, and families, in one message

Folder: TypeAlias = str | Path
Tasks: TypeAlias = Folder | Sequence[Folder] | Sequence[Table] | Sequence[tuple[Any, Any]]
Progress: TypeAlias = Callable[[str, int, int, dict[str, Any]], None]


def meta_train(
    tasks: Tasks,
    learner: str | type[Learner] = "maml",
    *,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    episodes: int = 2000,
    episode_settings: EpisodeSettings | None = None,
    steps: int = 2000,
    batch_size: int = 16,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    optimizer: str = "adamw",
    schedule: str = "cosine",
    clip_norm: float | None = None,
    patience: int | None = None,
    holdout: Sequence[str] = (),
    holdout_fold: tuple[int, int] | None = None,
    validation_fraction: float = 0.1,
    episode_store: str | Path | None = None,
    jobs: int = 1,
    resume: bool = True,
    checkpoint_every: int = 100,
    log_every: int = 50,
    tensorboard: bool = False,
    progress: Progress | None = None,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "cpu",
    precision: str | int = "32",
) -> Prior:
    """Learn from many labelled tables how to detect anomalies in the next one.

    Parameters
    ----------
    tasks
        Labelled tables: a folder of them or several, a sequence of `Table`, or of pairs (X, y),
        where y holds 1 for an anomaly and 0 for normal. Each needs both.
    learner
        A name of ``oddshot.learners.LEARNERS``, or a class of one's own, see `train`.
    settings
        The learner's settings; what is not named keeps its default. The anchor of "gated" is
        `oddshot.mapping.mapping.PLAIN`.
    out
        A folder for the prior, ``log.csv``, ``checkpoint`` and ``episodes``. A run that was stopped
        goes on from there. ``None``: nothing is written.
    seed
        Decides episodes, initial parameters and batches.
    episodes
        How many episodes to draw and map, over all tables: those of families that are held out or
        validate are not trained on, but serve the next run with another choice.
    episode_settings
        What they look like.
    steps, batch_size, learning_rate, weight_decay, optimizer, schedule, clip_norm
        Of the outer optimisation, see `train`.
    patience
        Stop after so many validations in a row without a better AUROC. ``None``: never.
    holdout
        Collections, families or tables that are left out altogether, a table with its family; the
        prior may be tested on them.
        Families that share rows with theirs are left out, too (`oddshot.data.kinship`), and so are
        from the training those that share rows with validation families.
    holdout_fold
        ``(i, n)``: of n folds of the families, made by a hash of their names, leave out fold i.
    validation_fraction
        Share of the families that choose the best step instead of being trained on, at least one
        of several. They count as seen. 0, or one family alone: train on all, keep the last step.
    episode_store
        Where mapped episodes are kept; by default ``out/episodes``. Runs over the same tables with
        the same seed can share it.
    jobs
        Processes that map episodes; -1: one a core. The prior does not depend on it.
    resume
        Go on from what ``out`` holds; False starts the training over (mapped episodes are kept).
    checkpoint_every, log_every, tensorboard
        What is kept of the training, and how often, see `train`.
    progress
        Called with stage ("read", "map", "train"), done, total, and figures of the stage, such as
        tables and families at the end of "read"; where a launcher started several processes, in
        the first one.
    devices, nodes, accelerator, precision
        What to train on, see `oddshot.engines.Compute` and `oddshot.engines.launch`. Episodes are
        mapped by ``jobs`` processes before.

    Returns
    -------
    Prior
        Also saved in ``out``. Its provenance names families, collections, what the episodes look
        like, seeds and versions.

    Raises
    ------
    DataError
        If a table cannot be read or lacks one of the classes.
    SettingError
        If an argument or a setting has a value it cannot take, or another process writes ``out``.
    TrainingError
        If no table is left, ``out`` belongs to another run, or the loss is no longer finite.
    """
    fits = is_whole(episodes) and episodes >= 2
    require(fits, "episodes", episodes, "a whole number, 2 or more")
    fits = is_number(validation_fraction) and 0 <= validation_fraction < 1
    require(fits, "validation_fraction", validation_fraction, "in [0, 1)")
    require(is_whole(jobs) and jobs != 0, "jobs", jobs, "a number of processes, or -1 for all")
    chosen = dict(settings or {})
    if find_learner(learner)[1] is GatedLearner and "anchor" not in chosen:
        chosen = {**anchored_to(PLAIN, HOLLOW), **chosen}
    make_learner(learner, _SHAPE, chosen)  # what it refuses is refused now, not after hours
    compute = Compute(devices, nodes, accelerator, str(precision))
    plan = TrainingPlan(
        seed=seed,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        optimizer=optimizer,
        schedule=schedule,
        clip_norm=clip_norm,
        patience=patience,
        log_every=log_every,
    )
    require_run(plan, compute, out=out, checkpoint_every=checkpoint_every, tensorboard=tensorboard)
    validates = patience is None or validation_fraction > 0
    require(validates, "patience", patience, "None with validation_fraction=0")
    folder = None if out is None else Path(out)
    place = folder and folder / "episodes" if episode_store is None else episode_store
    if place is not None:
        require_folder(place, "episode_store")
    shelf = None if place is None else Path(place)
    seed, episodes = plan.seed, int(episodes)
    report = progress if progress and leads() else (lambda *_: None)
    sources = table_sources(tasks)
    excluded = _held_out(sources, holdout, holdout_fold)
    contents, prints = _survey(sources, report)
    families = [source.family for source in sources]
    ties = ties_of(families, prints, lambda number: sources[number].load().rows)
    copies = kin_of(ties, excluded)
    kept = _kept(sources, excluded | copies)
    validating = _validation_families(kept, validation_fraction, seed)
    require(
        patience is None or bool(validating),
        "patience",
        patience,
        "None without validation, and there is none: all tables left are of one family, "
        f"{kept[0].family!r}",
    )
    counts = {"tables": len(kept), "families": len({source.family for source in kept})}
    counts["validation_families"] = len(validating)
    report("read", len(sources), len(sources), counts)
    taught = _kept(kept, validating | kin_of(ties, validating))
    look = episode_settings or EpisodeSettings()
    settings_of_episodes = plain(asdict(look))

    def mapped() -> TaskStore:
        return TaskStore.fill(
            EpisodeMapper(sources, seed, look),
            episodes,
            key={
                "version": package_version(),
                "seed": seed,
                "episode settings": settings_of_episodes,
                "coordinates": list(COORDINATES),
                "tables": sha256("".join(contents).encode()).hexdigest(),
            },
            folder=shelf,
            jobs=jobs,
            progress=lambda done, total: report("map", done, total, {}),
        )

    with sole_writer(folder) if folder and leads() else nullcontext():
        store = in_turn(compute, mapped) if shelf else mapped()
        trained_on = store.of_families({source.family for source in taught})
        return train(
            trained_on,
            learner=learner,
            settings=chosen,
            validation=store.of_families(validating),
            out=folder,
            resume=resume,
            checkpoint_every=checkpoint_every,
            tensorboard=tensorboard,
            **asdict(plan),
            **asdict(compute),
            on_step=lambda step, figures: report("train", step, steps, figures),
            provenance={
                "collections": sorted({source.collection for source in kept}),
                "families": sorted({source.family for source in kept}),
                "validation_families": sorted(validating),
                "tables": len(kept),
                "holdout": list(holdout),
                "holdout_fold": holdout_fold and list(holdout_fold),
                "kin_of_holdout": sorted(copies),
                "validation_fraction": float(validation_fraction),
                "episodes": episodes,
                "episode_settings": settings_of_episodes,
                "coordinates": list(COORDINATES),
            },
        )


def anchored_to(plain: Mapping[str, float], hollow: Sequence[str] = ()) -> dict[str, Any]:
    """Give settings of "gated": an anchor of coordinates by name, with their shares.

    ``hollow`` names those that stand in where the middle of the data is empty.
    """
    places, others = ([COORDINATES.index(name) for name in names] for names in (plain, hollow))
    return {"anchor": places, "anchor_shares": list(plain.values()), "anchor_hollow": others}


@dataclass(frozen=True)
class EpisodeMapper:
    """Number to mapped episode; light to pickle, since each process opens its own stream."""

    tables: Sequence[TableSource]
    seed: int
    settings: EpisodeSettings

    @cached_property
    def _stream(self) -> EpisodeStream:
        return EpisodeStream(self.tables, seed=self.seed, settings=self.settings)

    def __call__(self, number: int) -> MappedTask:
        """Draw and map episode ``number``."""
        return map_episode(self._stream.episode(number))


def table_sources(tasks: Tasks) -> list[TableSource]:
    """Return every way of giving tables as sources that load when they are needed.

    Raises
    ------
    DataError
        If the folder cannot be read, there is no table, or what is given is neither a `Table` nor
        a pair (X, y).
    """
    if isinstance(tasks, str | Path):
        return list(load_collection(tasks))
    if not isinstance(tasks, Iterable) or hasattr(tasks, "columns"):
        raise DataError(
            f"tasks are a {type(tasks).__name__}; give a folder of tables, or a list of folders, "
            "of Table, or of pairs (X, y)"
        )
    several = list(tasks)  # a generator gives them but once
    if not several:
        raise DataError("there is no table to learn from; give a folder of them, or several")
    if several and all(isinstance(given, str | Path) for given in several):
        return [ref for folder in several for ref in load_collection(cast(Folder, folder))]
    return [InMemory(_table(number, given)) for number, given in enumerate(several)]


def in_fold(family: str, part: int, folds: int) -> bool:
    """Tell whether a family belongs to fold ``part`` of ``folds``, by a hash of its name.

    Examples
    --------
    >>> [part for part in range(4) if in_fold("glass", part, 4)]
    [1]
    """
    return int(sha256(family.encode()).hexdigest(), 16) % folds == part


def _held_out(
    sources: Sequence[TableSource], holdout: Sequence[str], fold: tuple[int, int] | None
) -> set[str]:
    """Families that must not be learned from."""
    named = not isinstance(holdout, str)
    require(named, "holdout", holdout, "a list of collections, families and tables, one or more")
    families = defaultdict(set)
    for source in sources:
        for name in (source.collection, source.family, source.name):
            families[name].add(source.family)
    for name in holdout:
        if name not in families:
            raise SettingError(
                f"holdout names {name!r}, which is no collection, family or table of the tasks; "
                f"{_near(name, sources)}"
            )
    excluded = {family for name in holdout for family in families[name]}
    if fold is not None:
        numbers = isinstance(fold, tuple | list) and len(fold) == 2 and all(map(is_whole, fold))
        fits = numbers and 0 <= fold[0] < fold[1]
        require(fits, "holdout_fold", fold, "(i, n) with i from 0 to n - 1, whole numbers")
        part, folds = map(int, fold)
        excluded |= {source.family for source in sources if in_fold(source.family, part, folds)}
    _kept(sources, excluded)
    return excluded


def _near(name: str, sources: Sequence[TableSource]) -> str:
    """Name what is called nearly so, or else the first collections and families with tables."""
    collections = sorted({source.collection for source in sources} - {""})
    tables: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        tables[source.family].add(source.name)
    known = {*collections, *tables, *(table for some in tables.values() for table in some)}
    close = difflib.get_close_matches(str(name), sorted(known), n=3)
    if close:
        return f"near it: {', '.join(close)}"
    families = [
        family if some == {family} else f"{family} ({', '.join(sorted(some))})"
        for family, some in sorted(tables.items())
    ]
    return f"there are {_first(collections, 'collections')}; {_first(families, 'families')}"


def _first(names: Sequence[str], things: str) -> str:
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f"{counted(len(names), things)}: {', '.join(names[:MOST_NAMED])}{more}"


def _kept(sources: Sequence[TableSource], excluded: Collection[str]) -> list[TableSource]:
    """Leave out the sources of some families; one has to be left."""
    kept = [source for source in sources if source.family not in excluded]
    if not kept:
        raise TrainingError(
            f"no table is left to train on: {len(sources)} given, all held out or validating, or "
            "sharing rows with such; give more tables, hold out fewer, or set validation_fraction=0"
        )
    return kept


def _survey(sources: Sequence[TableSource], report: Progress) -> tuple[list[str], list[Print]]:
    """Hash all tables, and see that episodes can be drawn from each before hours are spent."""
    contents, prints, problems = [], [], []
    for done, source in enumerate(sources):
        report("read", done, len(sources), {})
        try:
            table = source.load()
            contents.append(_content(source, table))
            prints.append(Print.of(table.rows))
        except DataError as error:
            problems.append(f"{source.name!r}: {error}")
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise DataError(
            f"{len(problems)} of {len(sources)} tables cannot be learned from; "
            f"mend them or take them out: {'; '.join(problems[:3])}{more}"
        )
    report("read", len(sources), len(sources), {})
    return contents, prints


def _content(source: TableSource, table: Table) -> str:
    labels = np.array([UNLABELLED]) if table.labels is None else table.labels
    lacking = [label for label in (ANOMALY, NORMAL) if label not in labels]
    if lacking:
        raise DataError(f"no row is labelled {' or '.join(map(str, lacking))}")
    digest = sha256(f"{source.collection}\0{source.family}\0{source.name}\0".encode())
    digest.update(hash_rows(table.rows).tobytes() + labels.tobytes())
    return digest.hexdigest()


def _validation_families(
    sources: Sequence[TableSource], fraction: float, seed: int
) -> frozenset[str]:
    """Draw a share of the families, at least one; none where there is only one."""
    families = sorted({source.family for source in sources})
    size = min(max(1, round(fraction * len(families))), len(families) - 1) if fraction else 0
    return frozenset(np.random.default_rng(seed).permutation(families)[:size].tolist())


def _table(number: int, given: object) -> Table:
    if isinstance(given, Table):
        return given
    if not (isinstance(given, tuple | list) and len(given) == 2):
        raise DataError(f"task {number} is a {type(given).__name__}; give a Table or a pair (X, y)")
    rows, labels = to_rows(given[0]), given[1]
    dense = rows.toarray() if isinstance(rows, sp.csr_array) else rows
    return Table(f"task {number}", dense, parse_labels(labels, column=f"y of task {number}"))
