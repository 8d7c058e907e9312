"""Planted anomalies, and whether the column that was changed is the first of the reasons.

    python benchmarks/explanation.py ../shared/data [--out runs/explanation] [--inside] [--known 5]
    python benchmarks/explanation.py --speed

One or two columns of held-out rows that are no anomalies are changed, in two ways: *far*, a number
beyond the tails of the column or a level that it never has; *misfit*, a value from the middle of
the column that fits the row's other columns least (a forest predicts the column from them; a tenth
of all rows offer their values). Rows that Oddshot flags already before the change are left out.

The contestants, each on its own score: Oddshot's `explain`; sampled Shapley values (Strumbelj and
Kononenko 2014: permutations in antithetic pairs, each against one random row, about as many
scorings as `explain` takes) of Oddshot's score and of PyOD's isolation forest; PyOD's ECOD, whose
score is a sum over columns. A hit: one changed column ranked first; of two, both on the first two
places (*first*: one of them on the first).

Tables are classical ones, oddbench ones and mixed ones that the prior of each has not seen. Every
table's figures are kept in the folder of --out, and a run goes on where it was stopped.

With --speed: milliseconds of one core for each row, median of five turns (OMP_NUM_THREADS=1).
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from oddshot import FewShotDetector, Prior
from oddshot.data.collections import load_collection
from oddshot.data.sources import read_table
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.reports.tables import markdown_table

MOST_ROWS, HELD_OUT = 2500, 150
MOST_COLUMNS = 64
MISFIT_COLUMNS = 6  # of a table, as each costs a forest
PAIRS = 8
RARER = 0.5  # decades
OURS = "oddshot"
COLLECTIONS = {
    "classical": ("adbench/classical", "without-classical"),
    "oddbench": ("oddbench", "fold0"),
    "mixed": ("mixed", "without-classical"),
}
Score = Callable[[pd.DataFrame], np.ndarray]


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, then print the summary."""
    parser = argparse.ArgumentParser(description="Is a changed column the first reason?")
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/explanation"))
    parser.add_argument("--priors", type=Path, default=Path("runs"), help="folder of priors")
    parser.add_argument("--prior", help="one prior for all collections, in place of --priors")
    parser.add_argument("--collections", default=",".join(COLLECTIONS), help="with commas between")
    parser.add_argument("--tables", type=int, default=24, help="at most, of each collection")
    parser.add_argument("--rows", type=int, default=10, help="of each kind and table")
    parser.add_argument("--known", type=int, default=0, help="labelled anomalies, where there are")
    parser.add_argument("--inside", action="store_true", help="changed rows are fitted on, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", action="store_true", help="time explain, and nothing else")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores\n")
    if given.speed:
        print(speed(given.prior or "default"))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    for collection in given.collections.split(","):
        folder, prior_name = COLLECTIONS[collection]
        prior = Prior.find(given.prior or given.priors / prior_name)
        for name, make in unseen(given.data / folder, prior, given.tables, given.seed):
            path = given.out / f"{collection}-{name.replace('/', '_')}.csv"
            if not path.exists():
                found = run(make(), prior, given)
                pd.DataFrame(found).assign(collection=collection, table=name).to_csv(
                    path, index=False
                )
    files = [
        pd.read_csv(path) for path in sorted(given.out.glob("*.csv")) if path.stat().st_size > 50
    ]
    print(summary(pd.concat(files, ignore_index=True)))


def speed(prior: str) -> str:
    """Time `explain` by columns, known anomalies, rows at once and with the search for changes."""
    lines = []
    for columns, known in ((20, 0), (20, 10), (5, 0), (100, 0)):
        generator = np.random.default_rng(0)
        mixing = generator.normal(size=(columns, columns))
        rows = generator.normal(size=(4000, columns)) @ mixing
        rows[:100] += 3 * rows.std(axis=0) * generator.normal(size=(100, columns))
        labels = np.where(np.arange(len(rows)) < known, 1, -1)
        detector = FewShotDetector(prior=prior, n_jobs=1).fit(rows, labels)
        line = [f"{columns} columns, {known} known anomalies"]
        for count, changes in ((1, False), (50, False), (1, True), (50, True)):
            asked = rows[50 : 50 + count]
            detector.explain(asked, changes=changes)  # first calls are not what is measured
            times = []
            for _ in range(5):
                began = time.process_time()
                detector.explain(asked, changes=changes)
                times.append(time.process_time() - began)
            line.append(f"{1000 * np.median(times) / count:.0f}")
        lines.append(line)
    head = [
        "fitted on 4,000 rows of",
        "1 row",
        "50 rows",
        "1 row, with changes",
        "50 rows, with changes",
    ]
    return markdown_table(head, lines)


def unseen(
    folder: Path, prior: Prior, most: int, seed: int
) -> Iterator[tuple[str, Callable[[], tuple[pd.DataFrame, np.ndarray]]]]:
    """Name tables that the prior has not seen, and how to read their rows and labels (or -1)."""
    refs = [ref for ref in load_collection(folder) if ref.family not in prior.seen_families]
    order = np.random.default_rng(seed).permutation(len(refs))
    narrow = [refs[i] for i in order if (refs[i].columns or 0) <= MOST_COLUMNS]
    for ref in narrow[:most]:
        yield ref.name, lambda ref=ref: read(ref)


def read(ref: Any) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with text for column names, and labels: 1, 0 or, where a file has none, -1."""
    if ref.path.suffix == ".npz":
        table = ref.load()
        rows, labels = pd.DataFrame(table.rows), np.asarray(table.labels)
    else:
        rows = pd.DataFrame(read_table(ref.path).rows)
        labels = np.full(len(rows), -1)
    rows = rows.set_axis([f"c{i}" for i in range(rows.shape[1])], axis=1)
    kinds = Encoder().fit(rows).kinds_
    read = {
        name: pd.to_numeric(rows[name], errors="coerce").astype(float)
        if kinds[name] == "number"
        else rows[name].astype(object)
        for name in rows
    }
    return pd.DataFrame(read), labels


def run(given_rows: tuple[pd.DataFrame, np.ndarray], prior: Prior, given: Any) -> list[dict]:
    """Plant in one table and ask every contestant; one record for each row and contestant."""
    generator = np.random.default_rng(given.seed)
    train, truth, held = set_apart(*given_rows, generator)
    y = np.full(len(train), -1)
    y[np.flatnonzero(truth == 1)[: given.known]] = 1
    detector = FewShotDetector(prior=prior, random_state=0).fit(train, y)
    quiet = held[detector.anomaly_score(held) <= detector.threshold_]
    planter = Planter.of(train[truth < 1], detector, generator)
    if planter is None or len(quiet) < given.rows:
        return []
    planted = [
        (kind, count, chosen, *planter.plant(chosen, kind, count))
        for kind in ("far", "misfit")
        for count in (1, 2)
        for chosen in [quiet.sample(given.rows, random_state=count)]
    ]
    if given.inside:
        train = pd.concat([train, *(changed for *_, changed, _ in planted)], ignore_index=True)
        y = np.append(y, np.full(len(train) - len(y), -1))
        detector = FewShotDetector(prior=prior, random_state=0).fit(train, y)
    contestants = enter(detector, train, generator)
    return [
        {
            "kind": kind,
            "changed": count,
            "row": number,
            "contestant": contestant.name,
            "noticed": bool(noticed[number]),
            "hit": set(order[number][:count]) == set(columns[number]),
            "first": order[number][0] in columns[number],
            "rise": rises[number],
            "ms": milliseconds,
            "columns": train.shape[1],
        }
        for kind, count, chosen, changed, columns in planted
        for rises in [detector.anomaly_score(changed) - detector.anomaly_score(chosen)]
        for contestant in contestants
        for order, noticed, milliseconds in [contestant.asked(changed)]
        for number in range(len(changed))
    ]


def set_apart(
    rows: pd.DataFrame, labels: np.ndarray, generator: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Draw rows to fit, with their labels, and others that are no anomalies."""
    drawn = generator.permutation(len(rows))[:MOST_ROWS]
    rows, labels = rows.iloc[drawn].reset_index(drop=True), labels[drawn]
    fine = np.flatnonzero(labels < 1)
    aside = fine[: min(HELD_OUT, len(fine) // 2)]
    rest = np.setdiff1d(np.arange(len(rows)), aside)
    return rows.iloc[rest], labels[rest], rows.iloc[aside]


@dataclass
class Planter:
    """Changes columns of rows so that they become odd, as the docstring of this file says."""

    rows: pd.DataFrame
    encoder: Encoder
    encoded: np.ndarray
    far: list[str]
    misfit: list[str]
    generator: np.random.Generator

    @classmethod
    def of(
        cls, rows: pd.DataFrame, detector: FewShotDetector, generator: np.random.Generator
    ) -> "Planter | None":
        """Choose columns that can be changed; ``None`` where there are fewer than three."""
        notes = [note for note in detector.column_report_ if note.used]
        numbers = [note.column for note in notes if note.kind == "number"]
        levels = [note.column for note in notes if note.kind == "category"]
        far = [c for c in numbers if is_number(rows[c]) and rows[c].nunique() > 5]
        far += [c for c in levels if not is_number(rows[c])]
        if len(far) < 3:
            return None
        misfit = [*generator.permutation(far)[:MISFIT_COLUMNS]]
        encoder = Encoder().fit(rows)
        return cls(rows, encoder, encoder.transform(rows), far, misfit, generator)

    def plant(
        self, rows: pd.DataFrame, kind: str, count: int
    ) -> tuple[pd.DataFrame, list[list[str]]]:
        """Change ``count`` columns of every row; returns rows and the names of what was changed."""
        columns = self.far if kind == "far" else self.misfit
        chosen = [[*self.generator.permutation(columns)[:count]] for _ in range(len(rows))]
        changed = rows.reset_index(drop=True)
        for number, names in enumerate(chosen):
            row = rows.iloc[[number]]
            for name in names:
                changed.loc[number, name] = (
                    self._far(name) if kind == "far" else self._misfit(row, name)
                )
        return changed, chosen

    def _far(self, name: str) -> Any:
        column = self.rows[name]
        if not is_number(column):
            return "never seen"
        low, q1, q3, high = column.quantile([0.005, 0.25, 0.75, 0.995])
        step = max(q3 - q1, (high - low) / 4) * self.generator.uniform(0.5, 3)
        return float(high + step if self.generator.random() < 0.5 else low - step)

    def _misfit(self, row: pd.DataFrame, name: str) -> Any:
        """Pick the value, of a tenth of all rows, that fits the row's other columns least."""
        others = np.array([source != name for source, _ in self.encoder.encoded_names_])
        column = self.rows[name]
        offered = column.dropna().sample(frac=0.1, random_state=int(self.generator.integers(2**31)))
        about = self.encoder.transform(row)[:, others]
        known = column.notna().to_numpy()
        points = self.encoded[np.ix_(known, others)]
        if is_number(column):
            low, high = column.quantile([0.02, 0.98])
            offered = offered[(offered >= low) & (offered <= high)]
            forest = ExtraTreesRegressor(60, min_samples_leaf=3, random_state=0)
            middle = forest.fit(points, column[known]).predict(about)[0]
            return offered.iloc[int(np.abs(offered - middle).argmax())]
        levels = column[known].astype(str)
        common = levels.value_counts(normalize=True).loc[lambda share: share >= 0.02].index
        classifier = ExtraTreesClassifier(60, min_samples_leaf=3, random_state=0)
        odds = classifier.fit(points, levels).predict_proba(about)[0]
        return min(common, key=dict(zip(classifier.classes_, odds, strict=True)).__getitem__)


@dataclass
class Contestant:
    """Reasons for rows: columns from the strongest to the weakest, and whether it flags them."""

    name: str
    columns: list[str]
    reasons: Callable[[pd.DataFrame], np.ndarray]
    score: Score
    threshold: float

    def asked(self, rows: pd.DataFrame) -> tuple[list[list[str]], np.ndarray, float]:
        """Order the columns of every row; say which rows are flagged, and milliseconds a row."""
        began = time.perf_counter()
        parts = self.reasons(rows)
        taken = 1000 * (time.perf_counter() - began) / len(rows)
        order = np.argsort(-parts, axis=1, kind="stable")
        return (
            [[self.columns[i] for i in row] for row in order],
            self.score(rows) > self.threshold,
            taken,
        )


def enter(
    detector: FewShotDetector, train: pd.DataFrame, generator: np.random.Generator
) -> list[Contestant]:
    """All contestants; peers flag as many of the fitted rows as Oddshot does."""
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest

    encoder = Encoder().fit(train)
    encoded = encoder.transform(train)
    columns = list(dict.fromkeys(source for source, _ in encoder.encoded_names_))
    sources = [columns.index(source) for source, _ in encoder.encoded_names_]
    forest, ecod = IForest(random_state=0, n_jobs=1).fit(encoded), ECOD().fit(encoded)

    def of_forest(rows: pd.DataFrame) -> np.ndarray:
        return np.asarray(forest.decision_function(encoder.transform(rows)))

    def of_ecod(rows: pd.DataFrame) -> np.ndarray:
        return np.asarray(ecod.decision_function(encoder.transform(rows)))

    def ecod_reasons(rows: pd.DataFrame) -> np.ndarray:
        of_ecod(rows)
        parts = np.zeros((len(rows), len(columns)))
        np.add.at(parts, (slice(None), sources), ecod.O[-len(rows) :])
        return parts

    def explained(rows: pd.DataFrame) -> np.ndarray:
        found = detector.explain(rows, changes=False)
        at = [found[0].columns.index(column) for column in columns]
        return np.array([row.contributions for row in found])[:, at]

    def sampled(score: Score) -> Callable[[pd.DataFrame], np.ndarray]:
        return lambda rows: sampled_shapley(score, rows, columns, train, generator)

    share = detector.contamination_
    peers = [
        (
            "oddshot's score, sampled Shapley",
            sampled(detector.anomaly_score),
            detector.anomaly_score,
        ),
        ("isolation forest, sampled Shapley", sampled(of_forest), of_forest),
        ("ECOD, its columns", ecod_reasons, of_ecod),
    ]
    return [
        Contestant(OURS, columns, explained, detector.anomaly_score, detector.threshold_),
        *(
            Contestant(name, columns, reasons, score, float(np.quantile(score(train), 1 - share)))
            for name, reasons, score in peers
        ),
    ]


def sampled_shapley(
    score: Score,
    rows: pd.DataFrame,
    columns: list[str],
    background: pd.DataFrame,
    generator: np.random.Generator,
) -> np.ndarray:
    """Shapley values (n, d) by permutations in antithetic pairs, each against one random row."""
    walks, mixtures = [], []
    for number in range(len(rows)):
        for _ in range(PAIRS):
            one = generator.permutation(len(columns))
            other = int(generator.integers(len(background)))
            walks += [one, one[::-1]]
            for walk in (one, one[::-1]):
                steps = np.argsort(walk)[None, :] < np.arange(len(columns) + 1)[:, None]
                mixtures.append((steps, number, other))
    own = np.concatenate([steps for steps, _, _ in mixtures])
    lengths = len(columns) + 1
    a = np.repeat([number for _, number, _ in mixtures], lengths)
    b = np.repeat([other for _, _, other in mixtures], lengths)
    mixed = {}
    for place, name in enumerate(columns):
        values = background[name].iloc[b].to_numpy(copy=True)
        values[own[:, place]] = rows[name].iloc[a[own[:, place]]].to_numpy()
        mixed[name] = values
    frame = background.iloc[b].reset_index(drop=True).assign(**mixed)
    scores = score(frame).reshape(len(walks), lengths)
    parts = np.zeros((len(rows), len(columns)))
    for walk, gains, (_, number, _) in zip(walks, np.diff(scores, axis=1), mixtures, strict=True):
        parts[number, walk] += gains / (2 * PAIRS)
    return parts


def summary(found: pd.DataFrame) -> str:
    """Shares of hits as Markdown: among the rows that Oddshot flags, that each flags, and others.

    "Rarer": the change raises Oddshot's score by half a decade or more, so that the row becomes at
    least three times as rare; it need not be flagged.
    """
    by_row = ["collection", "table", "kind", "changed", "row"]
    ours = found[found["contestant"] == OURS].set_index(by_row)["noticed"]
    found = found.assign(common=ours.reindex(pd.MultiIndex.from_frame(found[by_row])).to_numpy())
    head = ["columns changed: reasons by", "flagged by Oddshot: hit", "first", "rows"]
    head += ["by itself: hit", "rows", "rarer: hit", "first", "rows"]
    head += ["all: hit", "first", "rows", "ms a row"]
    return "\n".join(
        f"{where}: {some.groupby(['collection', 'table']).ngroups} tables\n\n"
        f"{markdown_table(head, cells(some))}"
        for where, some in [("all", found), *found.groupby("collection")]
    )


def cells(found: pd.DataFrame) -> list[list[str]]:
    """One row of text for each number and kind of changes and contestant."""
    lines = []
    for changed, some in found.groupby("changed"):
        for kind, part in [("both kinds", some), *some.groupby("kind")]:
            for name, own in part.groupby("contestant", sort=False):
                common, noticed = own[own["common"]], own[own["noticed"]]
                line = [f"{changed}, {kind}: {name}", mean(common, "hit"), mean(common, "first")]
                line += [str(len(common)), mean(noticed, "hit"), str(len(noticed))]
                rarer = own[own["rise"] >= RARER]
                line += [mean(rarer, "hit"), mean(rarer, "first"), str(len(rarer))]
                line += [mean(own, "hit"), mean(own, "first"), str(len(own))]
                lines.append([*line, f"{own['ms'].median():.0f}"])
    return lines


def mean(found: pd.DataFrame, column: str) -> str:
    """Give a share as text."""
    return f"{found[column].mean():.3f}" if len(found) else "-"


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers."""
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"


if __name__ == "__main__":
    main()
