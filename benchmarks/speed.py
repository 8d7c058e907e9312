"""Time and memory: beside PyOD, block by block, with labels, in long and in wide tables.

    python benchmarks/speed.py peers [--rows 10000] [--columns 20] [--repeats 5]
    python benchmarks/speed.py growth
    python benchmarks/speed.py labels
    python benchmarks/speed.py parquet|text [--rows 1000000]
    python benchmarks/speed.py wide
    python benchmarks/speed.py blocks FOLDER --prior runs/without-classical
    python benchmarks/speed.py quality FOLDER --prior runs/without-classical

FOLDER is ../shared/data/adbench/classical. Detectors take turns within each repeat, so that a drift
of the machine's speed hits all alike; medians are printed, of the time that passed and of processor
time (of all cores together), which hardly depends on what else the machine does. What is measured
for its memory runs in a process of its own. The prior of the last two must not have seen the
tables.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PEAK_OF = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
PEERS = ("KNN", "LOF", "IForest", "ECOD")
SIZES = [(n, 20, 0) for n in (1_000, 10_000, 100_000)]  # rows, columns, labels
SIZES += [(10_000, d, 0) for d in (5, 80, 320)] + [(10_000, 20, k) for k in (1, 10, 50)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description="Time and memory of fit and score.")
    parts = parser.add_subparsers(dest="part", required=True)
    for name, run in PARTS.items():
        part = parts.add_parser(name, help=(run.__doc__ or "").splitlines()[0])
        part.set_defaults(run=run)
        if name in ("blocks", "quality"):
            part.add_argument("folder", help="a collection of labelled tables")
            part.add_argument("--prior", default="default")
            part.add_argument("--most", type=int, default=10_000, help="rows of a table")
        part.add_argument("--rows", type=int, default=1_000_000 if name in LONG else 10_000)
        part.add_argument("--columns", type=int, default=20)
        part.add_argument("--repeats", type=int, default=5)
        part.add_argument("--peers", default=",".join(PEERS), help="names in PyOD, with commas")
    given = parser.parse_args(arguments)
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    given.run(given)


def peers(given: argparse.Namespace) -> None:
    """Fit and score beside PyOD's detectors, default settings."""
    rows = table(given.rows, given.columns)
    labels = np.where(np.arange(given.rows) < 10, 1, -1)
    contestants: dict[str, Callable[[], object]] = {
        "oddshot": partial(oddshot, rows),
        "oddshot, 10 labels": partial(oddshot, rows, labels),
        "oddshot, fast": partial(oddshot, rows, quality="fast"),
        **{name: partial(pyod, name, rows) for name in given.peers.split(",") if name},
    }
    for name in contestants:  # imports and first calls are not what is measured
        oddshot(rows[:500]) if name.startswith("oddshot") else pyod(name, rows[:500])
    taken = in_turns(contestants, given.repeats)
    print(f"{given.rows:,} x {given.columns}, fit and score, median of {given.repeats} turns")
    for name, (seconds, work) in taken.items():
        ratio = seconds / taken["oddshot"][0]
        print(f"{name:20} {seconds:7.2f} s {work:7.2f} s of processors   {ratio:6.2f} x oddshot")


def growth(given: argparse.Namespace) -> None:
    """How fit and score grow with rows, columns and labels."""
    print("    rows  columns  labels      fit       score   of processors, a row")
    for count, columns, known in SIZES:
        rows, new = table(count, columns), table(count, columns, seed=1)
        labels = np.where(np.arange(count) < known, 1, -1)
        detector = made()
        taken = in_turns(
            {
                "fit": partial(detector.fit, rows, labels),
                "score": lambda detector=detector, new=new: detector.anomaly_score(new),
            },
            given.repeats,
        )
        (fit, _), (score, work) = taken.values()
        a_row = f"{1e6 * work / count:8.1f} microseconds"
        print(f"{count:8,} {columns:8} {known:7} {fit:7.2f} s {score:7.2f} s {a_row}")


def labels(given: argparse.Namespace) -> None:
    """Add five labels to a fitted detector and rank all rows anew, against fitting again."""
    rows = table(given.rows, given.columns)
    everything = np.where(np.arange(given.rows) < 10, 1, -1)
    first = np.where(np.arange(given.rows) < 5, 1, -1)
    detector = made().fit(rows, first)

    def again() -> None:
        made().fit(rows, everything).anomaly_score(rows)

    ranking = detector.rank(rows)
    taken = in_turns(
        {
            "rank, once": lambda: detector.rank(rows),
            "add 5 labels, rank anew": lambda: ranking.add_labels(range(5, 10), [1] * 5),
            "fit again and score": again,
        },
        given.repeats,
    )
    print(f"{given.rows:,} x {given.columns}, median of {given.repeats} turns")
    for name, (seconds, work) in taken.items():
        print(f"{name:24} {1000 * seconds:7.0f} ms {1000 * work:7.0f} ms of processors")


def parquet(given: argparse.Namespace) -> None:
    """Score a long Parquet file on the command line: fit on a sample, score in blocks."""
    score_long(given, ".parquet", write_parquet)


def text(given: argparse.Namespace) -> None:
    """Do the same with a CSV file."""
    score_long(given, ".csv", write_text)


def score_long(
    given: argparse.Namespace, suffix: str, write: Callable[[Path, int, int], None]
) -> None:
    """Fit on a part of a long file, then score it in blocks."""
    with tempfile.TemporaryDirectory() as folder:
        names = (f"rows{suffix}", "kept", f"out{suffix}")
        file, kept, out = (str(Path(folder, name)) for name in names)
        write(Path(file), given.rows, given.columns)
        print(f"{given.rows:,} x {given.columns}, {os.path.getsize(file) / 2**20:.0f} MiB on disk")
        for command in (["fit", file, "--out", kept], ["score", kept, file, "--out", out]):
            seconds, peak = measured([sys.executable, "-m", "oddshot", *command])
            print(f"oddshot {command[0]:6} {seconds:7.1f} s   peak memory {peak:.2f} GiB")


def wide(given: argparse.Namespace) -> None:
    """Many columns: dense ones as of images or advertisements, and sparse ones as of texts."""
    del given
    for rows, columns, share in ((2_000, 1_555, 1.0), (10_000, 1_555, 1.0), (5_000, 10_000, 0.01)):
        kind = "dense" if share == 1 else f"sparse, {share:.0%} filled"
        code = f"import speed; speed.fit_wide({rows}, {columns}, {share})"
        seconds, peak = measured([sys.executable, "-c", code], cwd=Path(__file__).parent)
        print(
            f"{rows:,} x {columns:,} {kind}: start, fit and score {seconds:.1f} s, "
            f"peak memory {peak:.2f} GiB"
        )


def fit_wide(rows: int, columns: int, share: float) -> None:
    """Fit and score one wide table."""
    import scipy.sparse as sp

    generator = np.random.default_rng(0)
    points: Any = generator.normal(size=(rows, columns)) if share == 1 else None
    if points is None:
        points = sp.random_array((rows, columns), density=share, rng=generator, format="csr")
    made().fit(points).anomaly_score(points)


def blocks(given: argparse.Namespace) -> None:
    """Cost of each block of coordinates, and how good scores are without it."""
    cost = block_costs(given.rows, given.columns, given.repeats)
    scores: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for protocol, trial in trials(given):
        detector = made(prior=given.prior).fit(trial.X_train, trial.y_train)
        encoded, coordinates, whole = detector._fitted.seen(trial.X_test)
        found = scores.setdefault(protocol, {})
        found.setdefault("all of them", []).append(judged(trial, whole))
        for name, places in block_places().items():
            without = coordinates.copy()
            without[:, places] = 0
            raw = detector._fitted._judge.told(without, encoded)
            found.setdefault(name, []).append(judged(trial, raw))
    print(f"milliseconds of fit and score at {given.rows:,} x {given.columns} with ten labels, one")
    print(f"thread; then mean AUROC/AP without the block: {', '.join(scores)}")
    for name in ["all of them", *block_places()]:
        fit, score = cost.get(name, (sum(f for f, _ in cost.values()), 0))
        if name == "all of them":
            score = sum(s for _, s in cost.values())
        quality = "  ".join(
            "{:.4f}/{:.4f}".format(*np.mean(found[name], axis=0)) for found in scores.values()
        )
        print(f"{name:24} {fit:7.0f} {score:7.0f}   {quality}")


def quality(given: argparse.Namespace) -> None:
    """How good each level is, beside PyOD's isolation forest."""
    scores: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for protocol, trial in trials(given):
        found = scores.setdefault(protocol, {})
        for level in ("standard", "fast"):
            detector = made(prior=given.prior, quality=level).fit(trial.X_train, trial.y_train)
            raw = detector.anomaly_score(trial.X_test)
            found.setdefault(level, []).append(judged(trial, raw))
        usable = trial.X_train if protocol != "few-label, k = 5" else None
        if usable is not None:
            raw = pyod("IForest", np.asarray(usable), np.asarray(trial.X_test))
            found.setdefault("IForest", []).append(judged(trial, raw))
    for protocol, found in scores.items():
        for name, values in found.items():
            auroc, ap = np.mean(values, axis=0)
            print(f"{protocol:20} {name:10} {len(values):3} tables  {auroc:.4f}/{ap:.4f}")


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "peers": peers,
    "growth": growth,
    "labels": labels,
    "parquet": parquet,
    "text": text,
    "wide": wide,
    "blocks": blocks,
    "quality": quality,
}


LONG = ("parquet", "text")


def in_turns(
    contestants: dict[str, Callable[[], object]], repeats: int
) -> dict[str, tuple[float, float]]:
    """Median seconds of each, and median processor seconds."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            began, work = time.perf_counter(), time.process_time()
            run()
            times[name].append((time.perf_counter() - began, time.process_time() - work))
    return {
        name: (statistics.median(t for t, _ in taken), statistics.median(w for _, w in taken))
        for name, taken in times.items()
    }


def made(**settings: Any) -> Any:
    """Make a detector that uses all cores."""
    from oddshot import FewShotDetector

    return FewShotDetector(**{"random_state": 0, "n_jobs": -1, **settings})


def oddshot(rows: np.ndarray, given: np.ndarray | None = None, **settings: Any) -> np.ndarray:
    """Fit and score with the shipped prior."""
    return made(**settings).fit(rows, given).anomaly_score(rows)


def pyod(name: str, rows: np.ndarray, new: np.ndarray | None = None) -> np.ndarray:
    """Fit and score with a detector of PyOD, default settings."""
    from importlib import import_module

    detector = getattr(import_module(f"pyod.models.{name.lower()}"), name)()
    return detector.fit(rows).decision_function(rows if new is None else new)


def trials(given: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Give the trials of all tables, by protocol; one split."""
    from oddshot import OddshotError, Prior
    from oddshot.data.collections import load_collection
    from oddshot.evaluation.protocols import few_label, one_class

    seen = Prior.find(given.prior).seen_families
    for source in load_collection(given.folder):
        if source.family in seen:
            raise SystemExit(f"the prior was trained on the family of {source.name}; give another")
        whole = source.load()
        for k in (0, 5):
            try:
                yield f"few-label, k = {k}", few_label(whole, k=k, seed=1, max_rows=given.most)
            except OddshotError as error:
                print(f"left out: {error}")
        yield "one-class", one_class(whole, seed=1, max_rows=given.most)


def judged(trial: Any, scores: np.ndarray) -> tuple[float, float]:
    """AUROC and average precision."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth = trial.y_test
    return float(roc_auc_score(truth, scores)), float(average_precision_score(truth, scores))


def block_places() -> dict[str, list[int]]:
    """Places of coordinates by block, neighbours and subsets apart by space."""
    from oddshot.mapping.coordinates import isolation, labelled, neighbours, shape, tails
    from oddshot.mapping.mapping import COORDINATES

    named: dict[str, tuple[str, ...]] = {}
    for block in (neighbours.Neighbours, neighbours.Subsets):
        for name in block.names:
            group = f"{block.__name__}, {name.rsplit('_', 1)[1]}"
            named[group] = (*named.get(group, ()), name)
    plain: tuple[Any, ...] = (tails.Tails, shape.Ellipsoids, isolation.Isolation)
    aware = [getattr(labelled, name) for name in LABEL_AWARE]
    named |= {block.__name__: block.names for block in (*plain, *aware)}
    return {group: [COORDINATES.index(name) for name in names] for group, names in named.items()}


LABEL_AWARE = (
    "KnownDistances",
    "KnownCoordinates",
    "NaiveBayes",
    "KnownLeaves",
    "Directions",
    "KernelRidge",
    "Supervised",
)


def block_costs(rows: int, columns: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Milliseconds that each block takes to fit and to transform, one thread."""
    from threadpoolctl import threadpool_limits

    from oddshot.mapping import mapping
    from oddshot.mapping.coordinates import spaces
    from oddshot.mapping.coordinates.block import Reference
    from oddshot.mapping.support import draw_support

    points = table(rows, columns)
    known = np.where(np.arange(rows) < 10, 1, -1).astype(np.int8)
    fitted = mapping.Mapping().fit(draw_support(points, known, seed=0))
    support, free = fitted.support, fitted._free
    views = spaces.Spaces().fit(support.typical).view
    reference = Reference(views(support.typical), views(support.known))
    new = fitted.pool(support.arranged(table(rows, columns, seed=1))).seen
    tasks: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {}
    for block in free._blocks:
        name = type(block).__name__
        parts = {"Neighbours": "_indexes", "Subsets": "_spaces"}.get(name)
        if parts is None:
            seed = np.random.default_rng(0)
            tasks[name] = (
                partial(block.fit, reference, seed),
                partial(in_parts, block.transform, new.views),
            )
            continue
        for space, index in getattr(block, parts).items():
            points_there = new.views.named()[space]
            fit = partial(index.fit_coordinates, *([1] if name == "Neighbours" else []))
            tasks[f"{name}, {space}"] = fit, partial(in_parts, index.coordinates, points_there)
    typical, odd = free.typical_, free.known_
    for block in fitted._labelled._blocks:
        tasks[type(block).__name__] = (
            partial(block.fit, typical, odd, np.random.default_rng(0)),
            partial(in_parts, block.transform, new),
        )
    with threadpool_limits(1):
        timed = in_turns(
            {f"{name}|{i}": task for name, pair in tasks.items() for i, task in enumerate(pair)},
            repeats,
        )
    return {n: (1000 * timed[f"{n}|0"][1], 1000 * timed[f"{n}|1"][1]) for n in tasks}


def in_parts(transform: Callable[[Any], object], rows: Any) -> None:
    """Transform rows as the mapping does, a block at a time."""
    from oddshot.mapping.threading import BLOCK

    for start in range(0, len(rows), BLOCK):
        transform(rows[start : start + BLOCK])


def measured(command: Sequence[str], cwd: Path | None = None) -> tuple[float, float]:
    """Seconds that a command takes, and its peak memory in GiB."""
    # a child's peak begins with what its parent holds, so a small process stands in between
    began = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", PEAK_OF, *command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
    return time.perf_counter() - began, int(run.stdout) / 2**20


def table(rows: int, columns: int, *, seed: int = 0) -> np.ndarray:
    """Correlated Gaussian rows, one in a hundred shifted."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(columns, columns))
    points = generator.normal(size=(rows, columns)) @ mixing
    points[: rows // 100] += 3 * points.std(axis=0)
    return points


def write_text(path: Path, rows: int, columns: int) -> None:
    """Write a long CSV file of such rows, 100,000 at a time."""
    with path.open("w") as file:
        for seed, start in enumerate(range(0, rows, 100_000)):
            part = pd.DataFrame(table(min(100_000, rows - start), columns, seed=seed))
            part.add_prefix("c").to_csv(file, index=False, header=not seed)


def write_parquet(path: Path, rows: int, columns: int) -> None:
    """Write a long Parquet file of such rows, 100,000 at a time."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    writer = None
    for seed, start in enumerate(range(0, rows, 100_000)):
        part = table(min(100_000, rows - start), columns, seed=seed)
        block = pa.table({f"c{i}": part[:, i] for i in range(columns)})
        writer = writer or ParquetWriter(path, block.schema)
        writer.write_table(block)
    if writer is not None:
        writer.close()


if __name__ == "__main__":
    main()
