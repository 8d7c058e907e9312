"""What meta-training brings the autoencoder with adversaries: few steps instead of many.

    scripts/train-priors    # maps the episodes
    OMP_NUM_THREADS=1 python benchmarks/meta_autoencoder.py runs/episodes --out results/aae

Families are divided as ``meta_train(holdout_fold=(i, 4))`` does it. The learner "aae" is
meta-trained on those that are not held out, and tested on the others: on the first episode of each
whose support holds known normal rows alone. Meta-learned initial parameters with their step sizes
are compared with random ones, and several step sizes, after a number of steps on the support. Both
have the same standardisation, virtual anomalies and game. Differences are paired over families.
What ``--out`` holds already is not run again.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from oddshot.episodes import NORMAL, MappedTask
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision, paired_bootstrap
from oddshot.learners import Learner, Params, collate, make_learner, restore
from oddshot.meta_training import in_fold
from oddshot.priors import Prior
from oddshot.reports.tables import markdown_table
from oddshot.task_store import TaskStore
from oddshot.training import train

FOLDS = 4
BATCH = 32
META_STEPS = (0, 5, 20)
SCRATCH_STEPS = (0, 20, 100, 500)
RATES = (0.0003, 0.001, 0.003)
CONSTANTS = ("row_", "table_")  # what is read off the training tasks


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, adapt, and compare."""
    parser = argparse.ArgumentParser(description="The meta-trained autoencoder against one alone.")
    parser.add_argument("episodes", type=Path, help="store of mapped episodes")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), default=0, help="held out")
    parser.add_argument("--steps", type=int, default=600, help="of meta-training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder of prior and results")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # the networks are too small to share
    print(f"machine: {machine()}", flush=True)
    store = TaskStore.open(given.episodes)
    families = {task.family for task in store}
    unseen = {family for family in families if in_fold(family, given.fold, FOLDS)}
    began = time.perf_counter()
    prior = train(
        store.of_families(families - unseen),
        learner="aae",
        seed=given.seed,
        steps=given.steps,
        learning_rate=0.01,
        out=given.out / "prior",
    )
    print(f"meta-training: {time.perf_counter() - began:.0f} s", flush=True)
    path = given.out / "results.csv"
    if not path.exists():
        tasks = list(one_class(store.of_families(unseen)))
        pd.concat(results(prior, tasks, seed=given.seed)).to_csv(path, index=False)
    summary = as_markdown(pd.read_csv(path))
    (given.out / "summary.md").write_text(summary)
    print(summary)


def one_class(tasks: Sequence[MappedTask]) -> Iterator[MappedTask]:
    """Find the first episode of each family whose support holds known normal rows alone."""
    found = set()
    for task in tasks:
        fits = (task.support_labels == NORMAL).all() and len(np.unique(task.query_labels)) == 2
        if fits and task.family not in found:
            found.add(task.family)
            yield task


def results(prior: Prior, tasks: Sequence[MappedTask], *, seed: int) -> Iterator[pd.DataFrame]:
    """Judge every way to start and number of steps: a row for each task."""
    learner, meta = restore(prior)
    settings = {name: value for name, value in learner.settings.items() if name != "test_steps"}
    for steps in META_STEPS:
        chosen = make_learner("aae", learner.shape, {**settings, "test_steps": steps})
        yield judged(chosen, meta, tasks).assign(start="meta-learned", rate=np.nan, steps=steps)
    settings["learn_rates"] = False
    for steps in SCRATCH_STEPS:
        for rate in RATES if steps else RATES[:1]:
            own = {**settings, "test_steps": steps, "inner_rate": rate}
            alone = make_learner("aae", learner.shape, own)
            drawn = alone.initial_parameters(torch.Generator().manual_seed(seed))
            drawn |= {name: meta[name] for name in drawn if name.startswith(CONSTANTS)}
            yield judged(alone, drawn, tasks).assign(start="random", rate=rate, steps=steps)


def judged(learner: Learner, params: Params, tasks: Sequence[MappedTask]) -> pd.DataFrame:
    """Adapt to the supports and judge the queries."""
    rows = []
    began = time.perf_counter()
    for first in range(0, len(tasks), BATCH):
        part = tasks[first : first + BATCH]
        batch = collate(part)
        with torch.no_grad():
            scored = learner.detector(params, batch)(batch.query).double().numpy()
        for task, scores in zip(part, scored, strict=True):
            truth = task.query_labels
            found = scores[: len(truth)]
            rows.append((task.family, auroc(truth, found), average_precision(truth, found)))
    frame = pd.DataFrame(rows, columns=["family", "auroc", "ap"])
    return frame.assign(ms=1000 * (time.perf_counter() - began) / len(tasks))


def as_markdown(found: pd.DataFrame) -> str:
    """Set the means side by side, and the leads of 20 meta-learned steps over all others."""
    groups = dict(iter(found.groupby(["start", "steps", "rate"], dropna=False)))
    best = next(
        g for (start, steps, _), g in groups.items() if (start, steps) == ("meta-learned", 20)
    )
    rows = []
    for (start, steps, rate), group in groups.items():
        assert list(group["family"]) == list(best["family"])
        leads = [str(paired_bootstrap(best[m], group[m])) for m in ("auroc", "ap")]
        means = [f"{group[m].mean():.3f}" for m in ("auroc", "ap")]
        name = "learned" if np.isnan(rate) else f"{rate:g}"
        rows.append([start, str(steps), name, *means, *leads, f"{group['ms'].iloc[0]:.0f}"])
    header = [
        "start",
        "steps",
        "rate",
        "AUROC",
        "AP",
        "20 meta-learned steps lead, AUROC",
        "AP",
        "ms",
    ]
    families = f"\n{len(best)} families; ms: to adapt to a task and score its query.\n"
    return markdown_table(header, rows) + families


if __name__ == "__main__":
    main()
