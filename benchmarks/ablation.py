"""What each part of Oddshot buys: coordinates, meta-training, labels, planted tasks, learners.

    scripts/train-priors    # maps the episodes
    OMP_NUM_THREADS=1 python benchmarks/ablation.py runs/episodes --out runs/ablation

On stored mapped episodes: families are divided as ``meta_train(holdout_fold=(0, 4))`` does it; all
training uses the families of the other folds, all figures are of the held-out ones, whose planted
tasks are left out of the judgement. AUROC and AP are means over the episodes of a family, then over
families; a variant is compared with the whole by a paired bootstrap over families.

- ``whole``: the gated head as it is shipped, trained here.
- ``without BLOCK``: that block's coordinates and evidence are 0 when it is tested; with
  ``--retrain`` in training too, where the head can make up for it.
- ``without meta-training``: the mean of the calibrated coordinates (surprise), label-aware ones
  where a label is known; and the mean of the plain ones, the head's anchor.
- ``without anchor``: the head is not pulled towards plain detectors where no anomaly is known.
- ``without labels``: all label-aware coordinates are 0, and the head is told of no known anomaly.
- ``without planted tasks``: trained without the episodes whose anomalies were made; left out where
  the store has none, as with the shipped settings.
- each learner of the package by its name, at its defaults.

What ``--out`` holds already is not run again. Writes one CSV a variant, and ``ablation.md``.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from oddshot.episodes import ANOMALY, UNLABELLED, FloatArray, MappedTask
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision, paired_bootstrap
from oddshot.learners import LEARNERS, collate, restore
from oddshot.mapping.coordinates.isolation import Isolation
from oddshot.mapping.coordinates.label_free import LABEL_FREE
from oddshot.mapping.coordinates.labelled import LABELLED_NAMES
from oddshot.mapping.coordinates.neighbours import Neighbours, Subsets
from oddshot.mapping.coordinates.shape import Ellipsoids
from oddshot.mapping.coordinates.tails import Tails
from oddshot.mapping.mapping import COORDINATES, HOLLOW, PLAIN
from oddshot.meta_training import anchored_to, in_fold
from oddshot.priors import Prior
from oddshot.reports.tables import markdown_table
from oddshot.task_store import TaskStore
from oddshot.training import train

FOLDS, BATCH, WHOLE = 4, 32, "whole"
PLANTED = ("+local", "+cluster", "+global", "+dependency")
GROUPS = ("clean", "contaminated, k = 0", "k = 1", "k = 2 to 5", "k > 5")
Change = Callable[[MappedTask], MappedTask]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A detector of mapped tasks.

    Parameters
    ----------
    learner
        What is trained; ``None``: the mean of ``coordinates`` judges.
    trained_on
        Which tasks it learns from; ``None``: all.
    change
        What is done to every task that is judged.
    retrained
        Whether that is done in training too.
    coordinates
        Whose mean judges where nothing is trained.
    anchored
        Whether the gated head is pulled towards plain detectors where no anomaly is known.
    """

    learner: str | None = "gated"
    trained_on: Callable[[MappedTask], bool] | None = None
    change: Change | None = None
    retrained: bool = False
    coordinates: Sequence[str] = COORDINATES
    anchored: bool = True


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and compare what there is."""
    parser = argparse.ArgumentParser(description="Ablations on mapped episodes.")
    parser.add_argument("episodes", type=Path, help="store of mapped episodes")
    parser.add_argument("--variant", nargs="+", help="names, or beginnings of names")
    parser.add_argument("--retrain", action="store_true", help="train anew without each block, too")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # the networks are too small to share
    print(f"machine: {machine()}", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    bench = Bench.open(given.episodes, steps=given.steps, seed=given.seed)
    ending = f"seed{given.seed}-steps{given.steps}.csv"
    chosen = tuple(given.variant or [""])
    for name, variant in variants(retrain=given.retrain).items():
        path = given.out / f"{name.replace(' ', '-')}-{ending}"
        if not (name == WHOLE or name.startswith(chosen)) or path.exists():
            continue
        if bench.allows(variant):
            began = time.perf_counter()
            pd.DataFrame(bench.judged(variant)).assign(variant=name).to_csv(path, index=False)
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        else:
            print(f"{name}: the same as the whole, for no episode is left out", flush=True)
    results = pd.concat([pd.read_csv(path) for path in sorted(given.out.glob(f"*-{ending}"))])
    text = as_markdown(results)
    (given.out / "ablation.md").write_text(text, encoding="utf-8")
    print(text)


def variants(*, retrain: bool) -> dict[str, Variant]:
    """All of them by name, the whole first."""
    found = {WHOLE: Variant()}
    for name, coordinates in blocks().items():
        found[f"without {name}"] = Variant(change=without(coordinates))
        if retrain:
            found[f"trained without {name}"] = Variant(change=without(coordinates), retrained=True)
    found["without meta-training"] = Variant(learner=None)
    found["without meta-training, plain"] = Variant(learner=None, coordinates=tuple(PLAIN))
    found["without anchor"] = Variant(anchored=False)
    found["without labels"] = Variant(change=unlabelled)
    found["without planted tasks"] = Variant(trained_on=lambda task: not planted(task))
    others = [name for name in LEARNERS if name != "gated"]
    return found | {f"learner {name}": Variant(learner=name) for name in others}


def blocks() -> dict[str, tuple[str, ...]]:
    """Name the coordinates of each block, label-aware ones by what they rest on."""
    free = (Neighbours, Subsets, Tails, Ellipsoids, Isolation)
    found = {block.__name__: tuple(block.names) for block in free}
    aware = LABELLED_NAMES
    models = tuple(name for name in aware if name.startswith(("trees", "logistic")))
    return {
        **found,
        "label-aware distances": tuple(name for name in aware if name not in models),
        "label-aware models": models,
        "all label-aware": aware,
    }


def without(names: Sequence[str]) -> Change:
    """Make these coordinates and the evidence on them 0."""
    places = [COORDINATES.index(name) for name in names]

    def change(task: MappedTask) -> MappedTask:
        query, support = task.query.copy(), task.support.copy()
        evidence = task.summary.evidence.copy()
        query[:, places] = support[:, places] = 0
        evidence[places] = 0
        summary = replace(task.summary, evidence=evidence)
        return replace(task, query=query, support=support, summary=summary)

    return change


def unlabelled(task: MappedTask) -> MappedTask:
    """Forget the known anomalies; the facts on the table stay, though some count them."""
    kept = task.support_labels != ANOMALY
    blind = without(COORDINATES[len(LABEL_FREE) :])(task)
    return replace(blind, support=blind.support[kept], support_labels=blind.support_labels[kept])


def planted(task: MappedTask) -> bool:
    """Tell whether a task's anomalies were made."""
    return any(kind in task.name for kind in PLANTED)


@dataclass(frozen=True)
class Bench:
    """Tasks to learn from and tasks to be judged on, of other families."""

    seen: TaskStore
    unseen: Sequence[MappedTask]
    steps: int
    seed: int

    @classmethod
    def open(cls, folder: Path, *, steps: int, seed: int) -> "Bench":
        """Divide a store by families."""
        store = TaskStore.open(folder)
        stored = store[0].query.shape[1]
        if stored != len(COORDINATES):
            raise SystemExit(
                f"{folder} holds rows of {stored} coordinates, but this version maps to "
                f"{len(COORDINATES)}; map the episodes anew (scripts/train-priors)"
            )
        families = {task.family for task in store}
        held_out = {family for family in families if in_fold(family, 0, FOLDS)}
        unseen = [task for task in store.of_families(held_out) if not planted(task)]
        unseen = [task for task in unseen if len(np.unique(task.query_labels)) == 2]
        return cls(store.of_families(families - held_out), unseen, steps, seed)

    def allows(self, variant: Variant) -> bool:
        """Tell whether there are tasks that the variant leaves out, if it is to leave out some."""
        chosen = variant.trained_on
        return chosen is None or not all(chosen(task) for task in self.seen)

    def judged(self, variant: Variant) -> Iterator[dict[str, Any]]:
        """Train where there is something to train; yield a row for each task judged."""
        tasks = [variant.change(task) if variant.change else task for task in self.unseen]
        scores: Iterator[FloatArray]
        if variant.learner is None:
            scores = (mean_of(task, variant.coordinates) for task in tasks)
        else:
            scores = scored(self._trained(variant), tasks)
        for task, found in zip(self.unseen, scores, strict=True):
            yield {
                "family": task.family,
                "group": group(task),
                "auroc": auroc(task.query_labels, found),
                "ap": average_precision(task.query_labels, found),
            }

    def _trained(self, variant: Variant) -> Prior:
        retrained = variant.retrained and variant.change
        key = (variant.learner, retrained, variant.trained_on, variant.anchored)
        if key not in _PRIORS:
            tasks: Sequence[MappedTask] = self.seen
            if variant.trained_on:
                tasks = [task for task in tasks if variant.trained_on(task)]
            if variant.retrained and variant.change:
                tasks = [variant.change(task) for task in tasks]
            settings: dict[str, Any] = {}
            recipe: dict[str, Any] = {}
            if variant.learner == "gated":
                settings = anchored_to(PLAIN, HOLLOW) if variant.anchored else anchored_to({})
                recipe = {"learning_rate": 0.003, "weight_decay": 0.1}
            _PRIORS[key] = train(
                tasks,
                learner=str(variant.learner),
                settings=settings,
                seed=self.seed,
                steps=self.steps,
                batch_size=BATCH,
                **recipe,
            )
        return _PRIORS[key]


_PRIORS: dict[Any, Prior] = {}  # variants that only test otherwise share one


def scored(prior: Prior, tasks: Sequence[MappedTask]) -> Iterator[FloatArray]:
    """Scores of each task's queries."""
    learner, params = restore(prior)
    for first in range(0, len(tasks), BATCH):
        batch = collate(tasks[first : first + BATCH])
        with torch.no_grad():
            found = learner.detector(params, batch)(batch.query).double().numpy()
        for task, scores in zip(tasks[first : first + BATCH], found, strict=True):
            yield scores[: len(task.query)]


def mean_of(task: MappedTask, names: Sequence[str]) -> FloatArray:
    """Mean surprise over coordinates; label-aware ones count where an anomaly is known."""
    free = set(LABEL_FREE)
    known = bool((task.support_labels == ANOMALY).any())
    places = [COORDINATES.index(name) for name in names if known or name in free]
    return np.asarray(task.query[:, places, 0].mean(axis=1), dtype=np.float64)


def group(task: MappedTask) -> str:
    """Tell tasks apart by what their support knows."""
    known = int((task.support_labels == ANOMALY).sum())
    if not (task.support_labels == UNLABELLED).any():
        return GROUPS[0]
    return GROUPS[1 + (known > 0) + (known > 1) + (known > 5)]


def as_markdown(results: pd.DataFrame) -> str:
    """Set the whole's means and each variant's difference to it side by side."""
    families = results.groupby(["group", "family", "variant"])[["auroc", "ap"]].mean()
    groups = [name for name in GROUPS if name in set(results["group"])]
    order = [name for name in variants(retrain=True) if name in set(results["variant"])]
    text = f"{results['family'].nunique()} families that were not trained on.\n"
    for metric, called in (("auroc", "AUROC"), ("ap", "AP")):
        scores = families[metric].unstack("variant")
        rows = []
        for name in order:
            pairs = [scores.loc[kind] for kind in groups]
            cells = (
                [f"{pair[name].mean():.3f}" for pair in pairs]
                if name == WHOLE
                else [str(paired_bootstrap(pair[name], pair[WHOLE])) for pair in pairs]
            )
            rows.append([name, *cells])
        table = markdown_table(["", *groups], rows)
        text += f"\n{called}: means of the whole, then differences to it\n\n{table}"
    return f"{text}\nMachine: {machine()}\n"


if __name__ == "__main__":
    main()
