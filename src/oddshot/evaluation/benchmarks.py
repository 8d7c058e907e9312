"""Many tables, protocols, seeds and detectors: one row per run on disk, one summary at the end.

A run that is killed goes on where it stopped: every finished row stands in ``results.csv``. A
detector that fails, or whose process is killed, leaves a row that says why; nothing is left out in
silence.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from oddshot.episodes import FloatArray, Table
from oddshot.errors import SettingError
from oddshot.evaluation.contents import content_of
from oddshot.evaluation.domains import check_domain
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import Figures, figures
from oddshot.evaluation.novel_types import judge_apart, novel_trial, types_to_show
from oddshot.evaluation.peers import DEFAULT, OWN, Peer, find_peers
from oddshot.evaluation.protocols import (
    ADBENCH,
    FEW_LABEL,
    LEAVE_DOMAIN_OUT,
    NOVEL_TYPE,
    ONE_CLASS,
    PROTOCOLS,
    NovelTrial,
    TableSource,
    Trial,
    make_trial,
)
from oddshot.evaluation.results import (
    SEEN,
    Result,
    Run,
    append_results,
    check_settings,
    read_results,
    repair_and_read,
    runs_of,
)
from oddshot.evaluation.robustness import Disturbance
from oddshot.evaluation.row_names import RowName, parts_of
from oddshot.evaluation.time_limit import check_time_limit, time_limit
from oddshot.evaluation.user_detectors import UserDetector
from oddshot.frames import as_frame
from oddshot.persistence import sole_writer
from oddshot.priors import Prior
from oddshot.run_log import require_folder

Progress: TypeAlias = Callable[[int, int, str], None]
SomeTable = TypeVar("SomeTable")

KILLED = "its process was killed (out of memory?)"


def run_benchmark(
    tables: Sequence[Table | TableSource],
    *,
    out: Path,
    protocols: Sequence[str] = (FEW_LABEL, ONE_CLASS),
    ks: Sequence[int] = (0, 1, 5, 20),
    la: Sequence[int] = (1, 5, 10, 25, 50),
    disturbances: Sequence[Disturbance] = (),
    seeds: Sequence[int] = (1, 2, 3),
    peers: Sequence[str] = DEFAULT,
    prior: Prior | str | Path = "default",
    domain: str = "",
    allow_seen: bool = False,
    jobs: int = 2,
    max_rows: int | None = 4000,
    limit_s: float | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Run every detector on every table, protocol, k and seed; return a row for each.

    Parameters
    ----------
    tables
        Tables with the truth of every row, or sources of such; names must differ within a
        collection. For novel-type a `oddshot.evaluation.novel_types.TypedTable` has types of its
        own, and others get planted ones.
    out
        Folder for ``results.csv``, which grows while the benchmark runs, and ``settings.json``.
        Runs that stand there already, failed ones too, are not repeated. Each row keeps what the
        table held and which versions made it.
    protocols
        Of "few-label", "one-class", "adbench", "dte", "novel-type" and "leave-domain-out", whose
        trials are few-label and one-class.
    ks
        Numbers of labelled anomalies (few-label and novel-type).
    la
        Per cent of the anomalies that are labelled (adbench only).
    disturbances
        Every protocol is run with each of them too, beside the run without (not novel-type).
    seeds
        One split each.
    peers
        Names from `oddshot.evaluation.peers.peer_names`, or of your own detectors
        (`oddshot.evaluation.user_detectors`). Supervised ones take part only where anomalies are
        labelled.
    prior
        What "oddshot" adapts: "default", a folder or a `Prior`.
    domain
        For leave-domain-out: the field that the tables are of, as
        `oddshot.evaluation.domains.left_out` chooses them.
    allow_seen
        Test detectors also on families that their prior has seen; column ``seen`` marks them.
    jobs
        Number of processes, one thread each.
    max_rows
        Use a stratified sample of at most so many rows of a table; ``None``: all.
    limit_s
        Break a run off after so many seconds of fitting and scoring, and leave that as its error;
        ``None``: never. See `oddshot.evaluation.time_limit.time_limit`.
    progress
        Called with runs done, runs in all, and the name of the last table.

    Returns
    -------
    pandas.DataFrame
        One row per run asked for, with the fields of `Result`; what else ``out`` holds stays there.

    Raises
    ------
    SettingError
        A name is unknown, a package is missing, a number is out of its range, there is nothing to
        run, or ``out`` cannot be written, another run writes it, or it holds results of other
        settings or of tables that held something else.
    """
    _check_choices(protocols, seeds, ks, la)
    _check_combinations(protocols, disturbances, domain, allow_seen)
    if domain:
        check_domain(tables, domain)
    check_time_limit(limit_s)
    own = Prior.find(prior) if OWN in peers else None
    members = find_peers(peers, prior=own or "default")
    _check_names(tables)
    plan = _Plan(
        [
            (name, disturbance, numbers, seed)
            for protocol in protocols
            for name in _trials_of(protocol, domain)
            for disturbance in (None, *disturbances)
            for numbers in [_numbers_of_labels(name.protocol, disturbance, ks, la)]
            for seed in seeds
        ],
        members,
        _seen_families(members, own),
        allow_seen,
        limit_s,
    )
    _check_labels(disturbances, plan)
    asked = {run for table in tables for cell in plan.cells(table) for run in cell.runs}
    if not asked:
        raise SettingError(
            f"nothing to run: without a labelled anomaly {', '.join(peers)} cannot take part; "
            "give a number above 0, or a detector that needs no labels"
        )
    require_folder(out, "out")
    with sole_writer(out):
        _run_missing(tables, plan, out, prior=own, jobs=jobs, max_rows=max_rows, progress=progress)
    rows = read_results(out)
    return rows.loc[[run in asked for run in runs_of(rows)]].reset_index(drop=True)


def _seen_families(members: Sequence[Peer], own: Prior | None) -> dict[str, Set[str]]:
    """Map detectors to the families of tables that their priors have learned from."""
    brought = {peer.name: peer.seen_families for peer in members if isinstance(peer, UserDetector)}
    return brought if own is None else {**brought, OWN: own.seen_families}


def sample_tables(tables: Sequence[SomeTable], number: int, *, seed: int = 0) -> list[SomeTable]:
    """Choose so many tables at random, in the order in which they came; all, if there are no more.

    The choice depends on the seed and on how many tables there are. A smaller sample of the same
    seed is part of a larger one.

    Examples
    --------
    >>> sample_tables(["a", "b", "c", "d", "e"], 3, seed=1)
    ['a', 'b', 'e']
    """
    chosen = np.random.default_rng(seed).permutation(len(tables))[:number]
    return [tables[index] for index in sorted(chosen)]


@dataclass(frozen=True, slots=True)
class _Cell:
    """Outstanding runs on one split of one table: of each detector with each number of labels."""

    source: Table | TableSource
    name: RowName
    disturbance: Disturbance | None
    ks: tuple[int, ...]
    seed: int
    shown: str
    peers: tuple[Peer, ...]
    seen_by: Set[str]
    allow_seen: bool
    limit_s: float | None

    @property
    def runs(self) -> list[Run]:
        """What each of the runs is."""
        return [run for peer in self.peers for run in self.runs_of(peer)]

    def runs_of(self, peer: Peer) -> list[Run]:
        """For each number of labels one run, or one for each part of the trial."""
        return [
            (name, self.source.collection, self.source.name, k, self.seed, self.shown, peer.name)
            for k in self.ks
            for name in self.row_names.values()
        ]

    @property
    def row_names(self) -> dict[str, str]:
        """What rows call their protocol, by the part of the trial."""
        disturbance = "" if self.disturbance is None else str(self.disturbance)
        return {
            part: str(replace(self.name, part=part, disturbance=disturbance))
            for part in parts_of(self.name.protocol)
        }


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is run on each table."""

    splits: list[tuple[RowName, Disturbance | None, tuple[int, ...], int]]
    peers: tuple[Peer, ...]
    seen_families: dict[str, Set[str]]
    allow_seen: bool
    limit_s: float | None

    def cells(
        self, table: Table | TableSource, finished: Set[Run] = frozenset()
    ) -> Iterator[_Cell]:
        """Yield what has yet to run on a table.

        Detectors that ignore labels run once on a split, whatever number of labels is given.
        """
        seen_by = {name for name, seen in self.seen_families.items() if table.family in seen}
        for name, disturbance, ks, seed in self.splits:
            novel = name.protocol == NOVEL_TYPE
            for shown in (types_to_show(table) if novel else ()) or ("",):
                cell = _Cell(
                    table, name, disturbance, ks, seed, shown, self.peers, seen_by,
                    self.allow_seen, self.limit_s,
                )  # fmt: skip
                yield from _outstanding(cell, finished)


def _outstanding(cell: _Cell, finished: Set[Run]) -> Iterator[_Cell]:
    """Put detectors together that have yet to run with the same numbers of labels."""
    together: dict[tuple[int, ...], list[Peer]] = {}
    for peer in cell.peers:
        left = tuple(
            k
            for k in cell.ks
            if (k > 0 or not peer.needs_labels)
            and not finished >= set(replace(cell, ks=(k,)).runs_of(peer))
        )
        for numbers in [left] if left and peer.ignores_labels else [(k,) for k in left]:
            together.setdefault(numbers, []).append(peer)
    for numbers in sorted(together, key=lambda numbers: cell.ks.index(numbers[0])):
        yield replace(cell, ks=numbers, peers=tuple(together[numbers]))


def _numbers_of_labels(
    protocol: str, disturbance: Disturbance | None, ks: Sequence[int], la: Sequence[int]
) -> tuple[int, ...]:
    """Tell how much is labelled in a protocol's trials; some disturbances need something to be."""
    numbers = {FEW_LABEL: ks, NOVEL_TYPE: ks, ADBENCH: la}.get(protocol, (0,))
    labelled = disturbance is not None and disturbance.needs_labels
    return tuple(k for k in numbers if k > 0 or not labelled)


def _run_missing(
    tables: Sequence[Table | TableSource],
    plan: _Plan,
    out: Path,
    *,
    prior: Prior | None,
    jobs: int,
    max_rows: int | None,
    progress: Progress | None,
) -> None:
    """Run what ``out`` does not hold yet, and add its results there as they come."""
    file = out / "results.csv"
    contents = {(table.collection, table.name): content_of(table) for table in tables}
    finished = repair_and_read(file, contents=contents, asked_seen=plan.allow_seen)
    check_settings(out / "settings.json", max_rows=max_rows, prior=prior)
    here = machine()
    work = [cell for table in tables for cell in plan.cells(table, finished)]
    done, total = 0, sum(len(cell.runs) for cell in work)
    for results in _in_parallel(work, max_rows, jobs):
        content = contents[results[0].collection, results[0].table]
        append_results(file, [replace(one, content=content, machine=here) for one in results])
        done += len(results)
        if progress is not None:
            progress(done, total, results[-1].table)


def _trials_of(protocol: str, domain: str) -> list[RowName]:
    """Name the protocols that a protocol's trials are of."""
    if protocol == LEAVE_DOMAIN_OUT:
        return [RowName(name, domain=domain) for name in (FEW_LABEL, ONE_CLASS)]
    return [RowName(protocol)]


def _in_parallel(cells: list[_Cell], max_rows: int | None, jobs: int) -> Iterator[list[Result]]:
    """Yield results as they finish; processes side by side have one thread each."""
    if jobs == 1:
        for cell in cells:
            yield from _run(cell, max_rows)
        return
    left = dict(enumerate(cells))
    with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
        while left:
            begun: list[int] = []
            try:
                for number, results in Parallel(
                    return_as="generator_unordered", batch_size=1, pre_dispatch=jobs
                )(_tasks(left, begun, max_rows)):
                    del left[number]
                    yield results
            except BrokenProcessPool:  # a process was killed, and all others ended with it
                for number in begun:
                    if number in left:
                        yield from _one_by_one(left.pop(number), max_rows)


def _tasks(left: Mapping[int, _Cell], begun: list[int], max_rows: int | None) -> Iterator[Any]:
    """Yield calls that run cells, and note those that were handed out."""
    for number, cell in list(left.items()):
        begun.append(number)
        yield delayed(_all_of)(number, cell, max_rows)


def _all_of(number: int, cell: _Cell, max_rows: int | None) -> tuple[int, list[Result]]:
    return number, [result for results in _run(cell, max_rows) for result in results]


def _one_by_one(cell: _Cell, max_rows: int | None) -> Iterator[list[Result]]:
    """Run one detector at a time in another process, to tell whose process is killed."""
    for peer in cell.peers:
        alone = replace(cell, peers=(peer,))
        try:
            ((_, results),) = Parallel()([delayed(_all_of)(0, alone, max_rows)])
        except BrokenProcessPool:
            results = [
                replace(_blank(cell, peer, k), protocol=name, error=KILLED)
                for k in cell.ks
                for name in cell.row_names.values()
            ]
        yield results


def _run(cell: _Cell, max_rows: int | None) -> Iterator[list[Result]]:
    """Yield the results of each detector with each number of labels.

    A cell with several numbers is one of detectors that ignore labels: where the rows are those of
    a number before, so are the results.
    """
    first: Trial | NovelTrial | None = None
    shared: list[list[Result]] = []
    for k in cell.ks:
        trial: Trial | NovelTrial | Exception
        try:
            trial = _trial(cell, k, max_rows)
        except Exception as error:  # why a table cannot be used is its result, and is reported
            trial = error
        if first is not None and not isinstance(trial, Exception) and _same_rows(first, trial):
            yield from ([replace(one, k=k) for one in results] for results in shared)
            continue
        found: list[list[Result]] = []
        for peer in cell.peers:
            with threadpool_limits(1):
                found.append(_run_one(cell, peer, trial, _blank(cell, peer, k)))
            yield found[-1]
        if not isinstance(trial, Exception):
            first, shared = trial, found


def _blank(cell: _Cell, peer: Peer, k: int) -> Result:
    source = cell.source
    return Result(
        cell.name.protocol, source.name, source.family, source.collection, k, cell.seed,
        detector=peer.name, seen=peer.name in cell.seen_by, shown=cell.shown,
    )  # fmt: skip


def _same_rows(one: Trial | NovelTrial, other: Trial | NovelTrial) -> bool:
    """Tell whether two trials of a split differ in their labels alone."""
    if isinstance(one, NovelTrial) and isinstance(other, NovelTrial):
        return np.array_equal(one.types, other.types) and _same_rows(one.trial, other.trial)
    if not (isinstance(one, Trial) and isinstance(other, Trial)):
        return False
    return (
        as_frame(one.X_train).equals(as_frame(other.X_train))
        and as_frame(one.X_test).equals(as_frame(other.X_test))
        and np.array_equal(one.y_test, other.y_test)
    )


def _run_one(
    cell: _Cell, peer: Peer, trial: Trial | NovelTrial | Exception, blank: Result
) -> list[Result]:
    """Run a detector: one result for each part of the trial."""
    names = cell.row_names
    if blank.seen and not cell.allow_seen:
        return [replace(blank, protocol=name, error=SEEN) for name in names.values()]
    try:
        if isinstance(trial, Exception):
            raise trial
        rows = trial.trial if isinstance(trial, NovelTrial) else trial
        # Copies: a detector may write into what it is given, and others get the same.
        X_train, y_train, X_test = rows.X_train.copy(), rows.y_train.copy(), rows.X_test.copy()
        start = time.perf_counter()
        with time_limit(cell.limit_s):
            score = peer.fit(X_train, y_train, seed=rows.seed)
            middle = time.perf_counter()
            scores = score(X_test)
        end = time.perf_counter()
        timed = replace(blank, fit_seconds=middle - start, score_seconds=end - middle)
        return [
            replace(timed, protocol=names[part], auroc=one.auroc, ap=one.ap, ap_norm=one.ap_norm)
            for part, one in _judged(trial, scores).items()
        ]
    except (Exception, SystemExit) as error:  # whatever a detector raises is its result
        failed = replace(blank, error=_one_line(error))
        return [replace(failed, protocol=name) for name in names.values()]


def _judged(trial: Trial | NovelTrial, scores: FloatArray) -> dict[str, Figures]:
    """Figures of each part of the trial."""
    if isinstance(trial, NovelTrial):
        return judge_apart(trial, scores)
    return {"": figures(trial.y_test, scores)}


def _trial(cell: _Cell, k: int, max_rows: int | None) -> Trial | NovelTrial:
    seed = cell.seed
    if cell.name.protocol == NOVEL_TYPE:
        return novel_trial(cell.source, shown=cell.shown, k=k, seed=seed, max_rows=max_rows)
    trial = make_trial(cell.name.protocol, cell.source, k=k, seed=seed, max_rows=max_rows)
    return trial if cell.disturbance is None else cell.disturbance.applied(trial)


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _check_choices(
    protocols: Sequence[str], seeds: Sequence[int], ks: Sequence[int], la: Sequence[int]
) -> None:
    if not protocols:
        raise SettingError(f"no protocol to run; choose from {', '.join(PROTOCOLS)}")
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise SettingError(f"unknown protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    if not seeds or min(seeds) < 0:
        raise SettingError(f"seeds {tuple(seeds)}; give at least one, 0 or more")
    if any(k < 0 for k in ks):
        raise SettingError(f"k {tuple(ks)}; the number of labelled anomalies is 0 or more")
    if any(not 0 <= share <= 100 for share in la):
        raise SettingError(f"la {tuple(la)}; give 0 to 100 per cent of labelled anomalies")


def _check_combinations(
    protocols: Sequence[str], disturbances: Sequence[Disturbance], domain: str, allow_seen: bool
) -> None:
    if NOVEL_TYPE in protocols and disturbances:
        raise SettingError(f"{NOVEL_TYPE} takes no disturbance; run it by itself")
    if (LEAVE_DOMAIN_OUT in protocols) != bool(domain):
        raise SettingError(
            f"protocol {LEAVE_DOMAIN_OUT} and a domain, as --domain medicine, go together; "
            "give both or neither"
        )
    if domain and allow_seen:
        raise SettingError(
            f"{LEAVE_DOMAIN_OUT} tests no table that the prior has seen; leave out allow_seen "
            "(--allow-seen)"
        )


def _check_labels(disturbances: Sequence[Disturbance], plan: _Plan) -> None:
    """Refuse a disturbance that has nothing to disturb in any trial."""
    disturbed = {disturbance for _, disturbance, ks, _ in plan.splits if ks}
    for disturbance in disturbances:
        if disturbance not in disturbed:
            raise SettingError(
                f"{disturbance} needs labelled anomalies, and none is labelled in any trial; give "
                f"{FEW_LABEL} a k, or {ADBENCH} a la, above 0"
            )


def _check_names(tables: Sequence[Table | TableSource]) -> None:
    names = [(table.collection, table.name) for table in tables]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SettingError(f"two tables are called {min(twice)[1]!r}; give each its own name")
    if not names:
        raise SettingError("no table to run on; give at least one")
