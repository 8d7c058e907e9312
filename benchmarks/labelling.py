"""The labelling loop: anomalies found among the first rows that a person looks at.

    python benchmarks/labelling.py ../shared/data [--out runs/labelling] [--figure PNG]

The person is simulated and always right. Nothing is labelled at first. Tables: the classical ones,
and of oddbench and ovrbench such as have at least 10 anomalies and at most 3,000 rows; the prior of
each has not seen its family. Of equal rows one is kept, since an answer speaks for all. At most
1,000 rows of a table are drawn and split 70/30 (the few-label protocol with k = 0): the larger part
is looked at, the smaller one judges what the detector has learned from the answers in the end.

- `suggest`: what `FewShotDetector.suggest` picks with its defaults, ranked again after each answer
  (with these defaults that is the top of the ranking), or after five;
- `top, five at a time`: the five highest scores, ranked again after five answers;
- `unlabelled ranking`: Oddshot's without labels, never changed;
- `isolation forest`: scikit-learn's ranking;
- `PineForest`: coniferest's isolation forest that learns from answers, one at a time;
- `random`: expected, not drawn.

Further variants of `suggest` run where --variants names them: SPREAD/UNCERTAIN/BATCH, as in
0.5/0.2/5, or SPREAD/UNCERTAIN/BATCH/FRUITLESS. Every table's figures are kept in the folder of
--out, and a run goes on where it was stopped.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from figures import panels
from sklearn.ensemble import IsolationForest

from oddshot import FewShotDetector, Prior
from oddshot.data.collections import TableRef, load_collection
from oddshot.data.splits import few_label_split
from oddshot.detectors.labelling.ranking import Ranking
from oddshot.detectors.labelling.suggestion import suggest
from oddshot.episodes import Table
from oddshot.evaluation.metrics import auroc, average_precision, paired_bootstrap
from oddshot.evaluation.models import PINE_FOREST
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.reports.tables import markdown_table

MOST_ROWS, LONGEST, FEWEST = 1000, 3000, 10
SHOWN = (10, 20, 30, 50)
REFERENCE = "suggest, one at a time"
Choose = Callable[[Ranking, int], np.ndarray]


class Task(NamedTuple):
    """Rows to look at with the truth, rows to be judged on, and a detector that knows no label."""

    rows: np.ndarray
    truth: np.ndarray
    test: np.ndarray
    test_truth: np.ndarray
    detector: FewShotDetector


class Course(NamedTuple):
    """Which rows were looked at, seconds of each step, and the detector that came of it."""

    places: list[int]
    seconds: list[float]
    detector: FewShotDetector | None = None


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, then print the summary."""
    parser = options("Anomalies found among the first rows looked at.", out="runs/labelling")
    parser.add_argument("--look", type=int, default=50, help="rows to look at")
    parser.add_argument("--variants", default="", help="SPREAD/UNCERTAIN/BATCH[/FRUITLESS],...")
    parser.add_argument("--only-variants", action="store_true", help="and REFERENCE, to compare")
    parser.add_argument("--ways", default="", help="parts of names: these and REFERENCE alone")
    parser.add_argument("--figure", type=Path, help="draw the curves")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    ways = ways_to_look(given.variants, only_variants=given.only_variants)
    if given.ways:
        parts = given.ways.split(",")
        ways = {n: w for n, w in ways.items() if n == REFERENCE or any(p in n for p in parts)}
    for name, prior, load in chosen(given):
        path = given.out / f"{name.replace('/', '_')}.json"
        kept = json.loads(path.read_text()) if path.exists() else {"ways": {}}
        missing = [way for way in ways if way not in kept["ways"]]
        if missing:
            kept |= run(load(), prior, {way: ways[way] for way in missing}, kept, given.look)
            path.write_text(json.dumps(kept))
            print(f"{name}: {', '.join(missing)}", flush=True)
    print(f"\nmachine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    records = [json.loads(path.read_text()) for path in sorted(given.out.glob("*.json"))]
    shown = [*ways] if given.only_variants or given.ways else [*ways, "random"]
    print(summary(records, shown, given.look))
    if given.figure is not None:
        plain = [way for way in shown if "five" not in way and "/" not in way]
        draw(records, plain, given.look, given.figure)


def options(description: str, *, out: str) -> argparse.ArgumentParser:
    """Options that say which tables and priors are `chosen`, and where figures are kept."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--priors", type=Path, default=Path("runs"), help="folder of priors")
    parser.add_argument("--prior", help="one prior for all collections, in place of --priors")
    parser.add_argument("--tables", type=int, default=19, help="of oddbench and ovrbench")
    return parser


def chosen(given: Any) -> Iterator[tuple[str, Prior, Callable[[], Table]]]:
    """Name tables, with the prior that has not seen them and how to read them."""
    prior = Prior.find(given.prior or given.priors / "without-classical")
    for ref in load_collection(given.data / "adbench" / "classical"):
        if ref.family in prior.seen_families:
            raise SystemExit(f"the prior was trained on the family of {ref.name}; give another")
        yield f"classical-{ref.name}", prior, ref.load
    prior = Prior.find(given.prior or given.priors / "fold0")
    refs = [
        ref
        for collection in ("oddbench", "ovrbench")
        for ref in load_collection(given.data / collection)
        if ref.family not in prior.seen_families and (ref.rows or 0) <= LONGEST
    ]
    found = 0
    for place in np.random.default_rng(0).permutation(len(refs)):
        if found == given.tables:
            return
        ref: TableRef = refs[place]
        table = ref.load()
        if (np.asarray(table.labels) == 1).sum() >= FEWEST:
            found += 1
            yield f"{ref.collection}-{ref.name}", prior, lambda table=table: table


def ways_to_look(variants: str, *, only_variants: bool) -> dict[str, Callable[[Task, int], Course]]:
    """Give every contestant a name; "random" is computed and not run."""
    ways = {REFERENCE: partial(course, choose=suggested, batch=1)}
    if not only_variants:
        ways |= {
            "suggest, five at a time": partial(course, choose=suggested, batch=5),
            "top, five at a time": partial(course, choose=top, batch=5),
            "unlabelled ranking": unchanged,
            "isolation forest": isolation_forest,
        }
        try:
            import coniferest.pineforest  # noqa: F401
        except ImportError:
            print("coniferest is not installed; PineForest is left out", file=sys.stderr)
        else:
            ways["PineForest, one at a time"] = pine_forest
    for variant in filter(None, variants.split(",")):
        names, values = ("spread", "uncertain", "batch", "fruitless"), variant.split("/")
        if len(values) not in (3, 4):
            raise SystemExit(
                f"--variants has {variant!r}; write SPREAD/UNCERTAIN/BATCH[/FRUITLESS]"
            )
        settings = {name: float(value) for name, value in zip(names, values, strict=False)}
        batch = int(settings.pop("batch"))
        choose = partial(suggested, **settings)
        ways[f"suggest {variant}"] = partial(course, choose=choose, batch=batch)
    return ways


def run(
    table: Table,
    prior: Prior,
    ways: dict[str, Callable[[Task, int], Course]],
    kept: dict[str, Any],
    look: int,
) -> dict[str, Any]:
    """Look at the rows of one table in every way; what is known of the table, and of each way."""
    # Numbers for all contestants alike; no label is looked at.
    numbers = Encoder().fit(table.rows).transform(table.rows)
    different = np.sort(np.unique(numbers, axis=0, return_index=True)[1])
    numbers, labels = numbers[different], np.asarray(table.labels)[different]
    split = few_label_split(labels, k=0, seed=0, max_rows=MOST_ROWS)
    rows, test = numbers[split.train_index], numbers[split.test_index]
    detector = FewShotDetector(prior=prior, random_state=0).fit(rows)
    task = Task(rows, labels[split.train_index], test, labels[split.test_index], detector)
    found = {name: judged(way(task, look), task) for name, way in ways.items()}
    return {
        "rows": len(rows),
        "anomalies": int((task.truth == 1).sum()),
        "ways": kept["ways"] | found,
    }


def judged(done: Course, task: Task) -> dict[str, Any]:
    """Curve of anomalies found, seconds of a step, and how well new rows are told apart."""
    record: dict[str, Any] = {
        "found": np.cumsum(task.truth[done.places] == 1).tolist(),
        "seconds": float(np.median(done.seconds)) if done.seconds else None,
    }
    if done.detector is not None:
        scores = done.detector.anomaly_score(task.test)
        record["auroc"] = auroc(task.test_truth, scores)
        record["ap"] = average_precision(task.test_truth, scores)
    return record


def course(task: Task, look: int, *, choose: Choose, batch: int) -> Course:
    """Look at what ``choose`` picks from the ranking, and rank again after each batch."""
    ranking, places, seconds = task.detector.rank(task.rows), [], []
    look = min(look, len(ranking))
    while len(places) < look:
        began = time.perf_counter()
        picked = choose(ranking, min(batch, look - len(places)))
        if not len(picked):
            break
        ranking.add_labels(picked, task.truth[picked])
        seconds.append(time.perf_counter() - began)
        places += picked.tolist()
    return Course(places, seconds, ranking.detector)


def top(ranking: Ranking, n: int) -> np.ndarray:
    """Pick the highest scores of rows that were not looked at."""
    order = ranking.order
    return order[ranking.labels[order] == -1][:n]


def suggested(ranking: Ranking, n: int, **settings: float) -> np.ndarray:
    """Pick what `suggest` does."""
    return suggest(ranking, n, **settings).positions


def unchanged(task: Task, look: int) -> Course:
    """Go down the ranking without labels."""
    return Course(task.detector.rank(task.rows).order[:look].tolist(), [], task.detector)


def isolation_forest(task: Task, look: int) -> Course:
    """Go down the ranking of an isolation forest."""
    scores = IsolationForest(random_state=0).fit(task.rows).score_samples(task.rows)
    return Course(np.argsort(scores, kind="stable")[:look].tolist(), [])


def pine_forest(task: Task, look: int) -> Course:
    """Look at what PineForest has on top, and let it learn from every answer."""
    from coniferest.label import Label
    from coniferest.pineforest import PineForest

    rows = np.ascontiguousarray(task.rows, dtype=np.float64)
    forest = PineForest(**PINE_FOREST, n_subsamples=min(256, len(rows)), n_jobs=1, random_seed=0)
    places: list[int] = []
    seconds = []
    for _ in range(min(look, len(rows))):
        began = time.perf_counter()
        answers = np.where(task.truth[places] == 1, Label.ANOMALY, Label.REGULAR)
        forest.fit_known(rows, rows[places] if places else None, answers if places else None)
        scores = np.array(forest.score_samples(rows))
        scores[places] = np.inf
        places.append(int(np.argmin(scores)))
        seconds.append(time.perf_counter() - began)
    return Course(places, seconds)


def curves(records: list[dict[str, Any]], way: str, look: int) -> np.ndarray:
    """Anomalies found (tables, look); small tables keep their last figure."""
    if way == "random":
        return np.array(
            [
                np.minimum(np.arange(1, look + 1), r["rows"]) * r["anomalies"] / r["rows"]
                for r in records
            ]
        )
    found = [r["ways"][way]["found"] for r in records]
    return np.array([f + f[-1:] * (look - len(f)) for f in found], dtype=float)


def summary(records: list[dict[str, Any]], ways: list[str], look: int) -> str:
    """Means over tables, and the difference to `REFERENCE` with its bootstrap interval."""
    done = [r for r in records if all(w in r["ways"] for w in ways if w != "random")]
    possible = np.array([min(look, r["anomalies"]) for r in done])
    reference = curves(done, REFERENCE, look)[:, -1]
    shown = [at for at in SHOWN if at <= look]
    lines = []
    for way in ways:
        found = curves(done, way, look)
        line = [way, *(f"{found[:, at - 1].mean():.1f}" for at in shown)]
        line.append(f"{(found[:, -1] / possible).mean():.1%}")
        line.append("" if way == REFERENCE else difference(found[:, -1] - reference))
        line.append(
            ""
            if way == REFERENCE
            else f"{(found[:, -1] > reference).sum()}/"
            f"{(found[:, -1] == reference).sum()}/{(found[:, -1] < reference).sum()}"
        )
        figures = [r["ways"].get(way, {}) for r in done]
        for name in ("auroc", "ap"):
            values = [f[name] for f in figures if f.get(name) is not None]
            line.append(f"{np.mean(values):.3f}" if values else "")
        seconds = [f["seconds"] for f in figures if f.get("seconds") is not None]
        line.append(f"{1000 * np.median(seconds):.0f}" if seconds else "")
        lines.append(line)
    head = [
        "way",
        *(f"first {at}" for at in shown),
        f"of those that {look} looks can find",
        f"against {REFERENCE}",
        "better/equal/worse",
        "AUROC on new rows",
        "AP on new rows",
        "ms a step",
    ]
    base = f"{len(done)} tables, {possible.mean():.1f} anomalies can be found in {look} looks.\n\n"
    return base + markdown_table(head, lines)


def difference(values: np.ndarray) -> str:
    """Mean with its 95% interval by the bootstrap over tables."""
    found = paired_bootstrap(values, np.zeros(len(values)))
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def draw(records: list[dict[str, Any]], ways: list[str], look: int, path: Path) -> None:
    """Draw the mean number found against the number looked at."""
    figure, (ax,) = panels(1, width=7.2)
    for way in ways:
        found = curves(records, way, look).mean(axis=0)
        ax.plot(np.arange(look + 1), [0, *found], label=way)
    ax.set_xlabel("rows looked at")
    ax.set_ylabel(f"anomalies found, mean of {len(records)} tables")
    ax.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
