"""Many tables, protocols, seeds and detectors: one row per run on disk, one summary at the end.

A run that is killed goes on where it stopped: every finished row stands in ``results.csv``. A
detector that fails leaves a row that says why; nothing is left out in silence.
"""

import csv
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from oddshot.episodes import Table
from oddshot.errors import SettingError
from oddshot.evaluation.metrics import (
    Interval,
    ap_norm,
    auroc,
    average_precision,
    mean_ranks,
    paired_bootstrap,
    win_rates,
)
from oddshot.evaluation.peers import DEFAULT, OWN, Peer, find_peers
from oddshot.evaluation.protocols import (
    ADBENCH,
    FEW_LABEL,
    ONE_CLASS,
    PROTOCOLS,
    TableSource,
    Trial,
    make_trial,
)
from oddshot.evaluation.robustness import Disturbance
from oddshot.evaluation.time_limit import check_time_limit, time_limit
from oddshot.priors import Prior

METRICS = ("auroc", "ap", "ap_norm")
SEEN = "the prior has seen this family in meta-training; allow_seen=True tests it all the same"

Progress: TypeAlias = Callable[[int, int, str], None]
Run: TypeAlias = tuple[str, str, str, int, int, str]
SomeTable = TypeVar("SomeTable")


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one detector: a row of ``results.csv``.

    Parameters
    ----------
    protocol, table, family, collection, k, seed, detector
        What ran. A disturbed protocol's name ends with the disturbance, as "few-label
        irrelevant=0.3". In adbench k is the per cent of anomalies that are labelled.
    seen
        Whether the prior has seen the table's family in meta-training.
    auroc, ap, ap_norm
        On the test part; ``nan`` where the run failed.
    fit_seconds, score_seconds
        Wall clock, one thread.
    error
        Why it failed; empty where it did not.
    """

    protocol: str
    table: str
    family: str
    collection: str
    k: int
    seed: int
    detector: str
    seen: bool = False
    auroc: float = float("nan")
    ap: float = float("nan")
    ap_norm: float = float("nan")
    fit_seconds: float = float("nan")
    score_seconds: float = float("nan")
    error: str = ""


_COLUMNS = [field.name for field in fields(Result)]
_KEY = ["protocol", "collection", "table", "k", "seed", "detector"]


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
        collection.
    out
        Folder for ``results.csv``, which grows while the benchmark runs, and ``settings.json``.
        Runs that stand there already, failed ones too, are not repeated.
    protocols
        Of "few-label", "one-class", "adbench" and "dte".
    ks
        Numbers of labelled anomalies (few-label only).
    la
        Per cent of the anomalies that are labelled (adbench only).
    disturbances
        Every protocol is run with each of them too, beside the run without.
    seeds
        One split each.
    peers
        Names from `oddshot.evaluation.peers.peer_names`. Supervised ones take part only where
        anomalies are labelled.
    prior
        What "oddshot" adapts: "default", a folder or a `Prior`.
    allow_seen
        Test "oddshot" also on families that the prior has seen; column ``seen`` marks them.
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
        A name is unknown, a package is missing, a number is out of its range, or ``out`` holds
        results of other settings.
    """
    _check_choices(protocols, seeds, ks, la)
    check_time_limit(limit_s)
    own = Prior.find(prior) if OWN in peers else None
    members = find_peers(peers, prior=own or "default")
    _check_names(tables)
    out.mkdir(parents=True, exist_ok=True)
    _check_settings(out / "settings.json", max_rows=max_rows, prior=own)
    file = out / "results.csv"
    finished = _repair_and_read(file, asked_seen=allow_seen)
    plan = _Plan(
        [
            (protocol, disturbance, k, seed)
            for protocol in protocols
            for disturbance in (None, *disturbances)
            for k in {FEW_LABEL: ks, ADBENCH: la}.get(protocol, (0,))
            for seed in seeds
        ],
        members,
        own.seen_families if own is not None else set(),
        allow_seen,
        limit_s,
    )
    work = [cell for table in tables for cell in plan.cells(table, finished)]
    done, total = 0, sum(len(cell.peers) for cell in work)
    for results in _in_parallel(work, max_rows, jobs):
        _append(file, results)
        done += len(results)
        if progress is not None:
            progress(done, total, results[-1].table)
    asked = {run for table in tables for cell in plan.cells(table) for run in cell.runs}
    rows = read_results(out)
    return rows.loc[[run in asked for run in _runs(rows)]].reset_index(drop=True)


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


def read_results(out: Path) -> pd.DataFrame:
    """Read the rows that `run_benchmark` wrote; of a repeated run the last counts.

    Raises
    ------
    SettingError
        The folder holds no results.
    """
    file = out / "results.csv"
    if not file.exists():
        raise SettingError(f"{out} holds no results.csv; run the benchmark first")
    text = dict.fromkeys(("table", "family", "collection", "detector", "error"), str)
    numbers = (*METRICS, "fit_seconds", "score_seconds")
    missing = {name: ["nan", ""] for name in numbers}
    frame = pd.read_csv(file, dtype=text, keep_default_na=False, na_values=missing)
    return frame.drop_duplicates(_KEY, keep="last", ignore_index=True)


def read_folders(folders: Sequence[Path]) -> pd.DataFrame:
    """Read the rows of several folders that `run_benchmark` wrote.

    Where two hold the same run, the later one counts. "oddshot" carries the folder's name where its
    prior is another than in the first folder that has one.

    Raises
    ------
    SettingError
        A folder holds no results, or two sampled the tables of one protocol to different sizes.
    """
    parts: list[pd.DataFrame] = []
    first_prior: str | None = None
    sizes: dict[str, tuple[Path, int | None]] = {}
    for folder in folders:
        rows, settings = read_results(folder), _read_settings(folder / "settings.json")
        prior = settings.get("prior")
        first_prior = first_prior or prior
        if prior and prior != first_prior:
            rows["detector"] = rows["detector"].replace({OWN: f"{OWN} ({folder.name})"})
        for protocol in sorted(set(rows["protocol"])):
            kept, size = sizes.setdefault(protocol, (folder, settings.get("max_rows")))
            if size != settings.get("max_rows"):
                raise SettingError(
                    f"{kept} and {folder} hold {protocol} with max_rows = {size} and "
                    f"{settings.get('max_rows')}; such runs are not comparable, report them apart"
                )
        parts.append(rows)
    if not parts:
        raise SettingError("no folder of results; give one that the benchmark wrote")
    return pd.concat(parts).drop_duplicates(_KEY, keep="last", ignore_index=True)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How detectors compare on one protocol and k.

    Parameters
    ----------
    protocol, k
        What is compared.
    tables, cells, left_out
        Number of tables, of (table, seed) cells that every detector finished, and of other cells.
    scores
        One row per detector, best AUROC first: for each of auroc, ap and ap_norm the mean over
        tables, ``_median``, and mean ``_rank``; the share of tables ``_win`` on which the
        reference beats it; and seconds.
    differences
        For each other detector and metric: reference minus detector, with its 95% interval over
        tables. Empty where the reference did not take part.
    missing
        Detectors that took part and finished nothing.
    by_table
        One row per (collection, table), columns (metric, detector): the means behind ``scores``.
    """

    protocol: str
    k: int
    tables: int
    cells: int
    left_out: int
    scores: pd.DataFrame
    differences: dict[tuple[str, str], Interval]
    missing: tuple[str, ...]
    by_table: pd.DataFrame

    def of(self, detector: str, metric: str = "auroc") -> "pd.Series[float]":
        """Return a detector's means by table, indexed by (collection, table)."""
        column: pd.Series[float] = self.by_table[metric, detector]
        return column


@dataclass(frozen=True, slots=True)
class Summary:
    """Comparisons of all protocols and k, with what they do not show.

    Parameters
    ----------
    reference
        The detector that the others are compared with.
    comparisons
        One per protocol and k.
    skipped_seen
        Tables that "oddshot" was not tested on, because its prior has seen their family.
    tested_seen
        Tables that it was tested on although its prior has seen them.
    failures
        Detector and error of each other run that failed, with the number of such runs.
    machine
        Processor, cores and versions.
    """

    reference: str
    comparisons: tuple[Comparison, ...]
    skipped_seen: tuple[str, ...]
    tested_seen: tuple[str, ...]
    failures: dict[tuple[str, str], int]
    machine: str


def summarise(results: pd.DataFrame, *, reference: str = OWN) -> Summary:
    """Compare detectors on the cells that all of them finished.

    A table's seeds are averaged first; means, ranks, wins and intervals are over tables.

    Parameters
    ----------
    results
        What `run_benchmark` returned.
    reference
        The detector that the others are compared with.
    """
    failed = results[results["error"] != ""]
    skipped = failed[failed["error"] == SEEN]
    others = failed[failed["error"] != SEEN]
    failures = Counter(zip(others["detector"], others["error"], strict=True))
    tested = results[results["seen"] & (results["error"] == "")]
    settings = sorted(set(zip(results["protocol"], results["k"], strict=True)))
    return Summary(
        reference,
        tuple(_compare(results, protocol, k, reference) for protocol, k in settings),
        tuple(sorted(set(skipped["table"]))),
        tuple(sorted(set(tested["table"]))),
        dict(failures.most_common()),
        machine(),
    )


def machine() -> str:
    """Describe processor, cores and versions in one line."""
    names = ("oddshot", "numpy", "scikit-learn", "torch", "pyod", "catboost", "xgboost")
    versions = [f"{name} {_version(name)}" for name in names if _version(name)]
    return ", ".join(
        (_processor(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}", *versions)
    )


@dataclass(frozen=True, slots=True)
class _Cell:
    """The outstanding runs on one split of one table."""

    source: Table | TableSource
    protocol: str
    disturbance: Disturbance | None
    k: int
    seed: int
    peers: tuple[Peer, ...]
    seen: bool
    allow_seen: bool
    limit_s: float | None

    @property
    def runs(self) -> list[Run]:
        """What each of the runs is."""
        source = self.source
        split = (
            _named(self.protocol, self.disturbance),
            source.collection,
            source.name,
            self.k,
            self.seed,
        )
        return [(*split, peer.name) for peer in self.peers]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is run on each table."""

    trials: list[tuple[str, Disturbance | None, int, int]]
    peers: tuple[Peer, ...]
    seen_families: set[str]
    allow_seen: bool
    limit_s: float | None

    def cells(self, table: Table | TableSource, finished: Collection[Run] = ()) -> Iterator[_Cell]:
        """Yield the splits of a table on which a detector has yet to run."""
        seen = table.family in self.seen_families
        for protocol, disturbance, k, seed in self.trials:
            split = (_named(protocol, disturbance), table.collection, table.name, k, seed)
            left = tuple(
                peer
                for peer in self.peers
                if (k > 0 or not peer.needs_labels) and (*split, peer.name) not in finished
            )
            if left:
                yield _Cell(
                    table, protocol, disturbance, k, seed, left, seen, self.allow_seen, self.limit_s
                )


def _named(protocol: str, disturbance: Disturbance | None) -> str:
    return protocol if disturbance is None else f"{protocol} {disturbance}"


def _in_parallel(cells: list[_Cell], max_rows: int | None, jobs: int) -> Iterator[list[Result]]:
    """Yield each cell's results as it finishes; processes side by side have one thread each."""
    if jobs == 1:
        yield from (_run(cell, max_rows) for cell in cells)
        return
    with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
        yield from Parallel(return_as="generator_unordered", batch_size=1)(
            delayed(_run)(cell, max_rows) for cell in cells
        )


def _run(cell: _Cell, max_rows: int | None) -> list[Result]:
    source = cell.source
    named = _named(cell.protocol, cell.disturbance)
    blank = Result(
        named, source.name, source.family, source.collection, cell.k, cell.seed, detector=""
    )
    trial: Trial | Exception
    try:
        trial = _trial(cell, max_rows)
    except Exception as error:  # why a table cannot be used is its result, and is reported
        trial = error
    with threadpool_limits(1):
        return [
            _run_one(cell, peer, trial, replace(blank, detector=peer.name)) for peer in cell.peers
        ]


def _run_one(cell: _Cell, peer: Peer, trial: Trial | Exception, blank: Result) -> Result:
    seen = cell.seen and peer.name == OWN
    if seen and not cell.allow_seen:
        return replace(blank, seen=True, error=SEEN)
    blank = replace(blank, seen=seen)
    if isinstance(trial, Exception):
        return replace(blank, error=_one_line(trial))
    try:
        start = time.perf_counter()
        with time_limit(cell.limit_s):
            score = peer.fit(trial.X_train, trial.y_train, seed=trial.seed)
            middle = time.perf_counter()
            scores = score(trial.X_test)
        end = time.perf_counter()
        precision = average_precision(trial.y_test, scores)
        return replace(
            blank,
            auroc=auroc(trial.y_test, scores),
            ap=precision,
            ap_norm=ap_norm(precision, trial.anomaly_rate),
            fit_seconds=middle - start,
            score_seconds=end - middle,
        )
    except Exception as error:  # whatever a detector raises is its result, and is reported
        return replace(blank, error=_one_line(error))


def _trial(cell: _Cell, max_rows: int | None) -> Trial:
    trial = make_trial(cell.protocol, cell.source, k=cell.k, seed=cell.seed, max_rows=max_rows)
    return trial if cell.disturbance is None else cell.disturbance.applied(trial)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _append(file: Path, results: list[Result]) -> None:
    new = not file.exists() or file.stat().st_size == 0
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(_COLUMNS)
        writer.writerows(
            [_cell_text(getattr(result, name)) for name in _COLUMNS] for result in results
        )
        stream.flush()
        os.fsync(stream.fileno())


def _cell_text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())


def _repair_and_read(file: Path, *, asked_seen: bool) -> set[Run]:
    """Cut a last line that a kill tore, and return the runs that need not be repeated."""
    if not file.exists():
        return set()
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        file.write_bytes(whole)
    if not whole:
        return set()
    results = read_results(file.parent)
    if list(results.columns) != _COLUMNS:
        raise SettingError(f"{file} has other columns than this version writes; choose another out")
    if asked_seen:
        results = results[results["error"] != SEEN]
    return set(_runs(results))


def _runs(results: pd.DataFrame) -> Iterator[Run]:
    return results[_KEY].itertuples(index=False, name=None)


def _check_settings(file: Path, *, max_rows: int | None, prior: Prior | None) -> None:
    """Refuse to mix rows of other settings into one file; runs without a prior go with any."""
    settings = {"max_rows": max_rows, "prior": prior.fingerprint if prior is not None else None}
    kept = _read_settings(file)
    if kept:
        if settings["prior"] is None or kept["prior"] is None:
            settings["prior"] = kept["prior"] = settings["prior"] or kept["prior"]
        for name, value in settings.items():
            if value != kept[name]:
                raise SettingError(
                    f"{file.parent} holds results with {name} = {kept[name]}, not {value}; "
                    "choose another folder"
                )
    file.write_text(json.dumps(settings) + "\n", encoding="utf-8")


def _read_settings(file: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if file.exists():
        settings = json.loads(file.read_text(encoding="utf-8"))
    return settings


def _check_choices(
    protocols: Sequence[str], seeds: Sequence[int], ks: Sequence[int], la: Sequence[int]
) -> None:
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise SettingError(f"unknown protocol {protocol!r}; choose from {', '.join(PROTOCOLS)}")
    if not seeds or min(seeds) < 0:
        raise SettingError(f"seeds {tuple(seeds)}; give at least one, 0 or more")
    if any(k < 0 for k in ks):
        raise SettingError(f"k {tuple(ks)}; the number of labelled anomalies is 0 or more")
    if any(not 0 <= share <= 100 for share in la):
        raise SettingError(f"la {tuple(la)}; give 0 to 100 per cent of labelled anomalies")


def _check_names(tables: Sequence[Table | TableSource]) -> None:
    names = [(table.collection, table.name) for table in tables]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SettingError(f"two tables are called {min(twice)[1]!r}; give each its own name")
    if not names:
        raise SettingError("no table to run on; give at least one")


def _compare(results: pd.DataFrame, protocol: str, k: int, reference: str) -> Comparison:
    rows = results[(results["protocol"] == protocol) & (results["k"] == k)]
    ok = rows[rows["error"] == ""]
    detectors = sorted(set(ok["detector"]))
    missing = tuple(sorted(set(rows["detector"]) - set(detectors)))
    cell = ["collection", "table", "seed"]
    wide = ok.pivot(index=cell, columns="detector", values=list(METRICS)).dropna()
    by_table = wide.groupby(level=["collection", "table"]).mean()
    all_cells = len(rows[cell].drop_duplicates())
    columns: dict[str, Any] = {}
    differences: dict[tuple[str, str], Interval] = {}
    for metric in METRICS if len(by_table) else ():
        values = pd.DataFrame(by_table[metric])
        columns[metric] = values.mean()
        columns[f"{metric}_median"] = values.median()
        columns[f"{metric}_rank"] = mean_ranks(values)
        if reference in detectors:
            columns[f"{metric}_win"] = win_rates(values, of=reference)
            for other in detectors:
                if other != reference:
                    pair = paired_bootstrap(values[reference], values[other])
                    differences[other, metric] = pair
    seconds = ok.groupby("detector")[["fit_seconds", "score_seconds"]].mean()
    columns |= {name: seconds[name] for name in ("fit_seconds", "score_seconds")}
    scores = pd.DataFrame(columns, index=pd.Index(detectors, name="detector"))
    if "auroc" in scores:
        scores = scores.sort_values("auroc", ascending=False)
    return Comparison(
        protocol,
        k,
        len(by_table),
        len(wide),
        all_cells - len(wide),
        scores,
        differences,
        missing,
        by_table,
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
