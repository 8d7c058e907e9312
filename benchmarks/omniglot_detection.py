"""Detection of other characters from a few drawings of one, and the prior for images that ships.

    python benchmarks/omniglot_detection.py train --learner prototypical --out runs/detection
    python benchmarks/omniglot_detection.py train --learner relation --out runs/detection
    python benchmarks/omniglot_detection.py test --out runs/detection
    python benchmarks/omniglot_detection.py report --out runs/detection

``train`` learns from 20 alphabets, and keeps the parameters that are best on 4 others; with
``--all``, from all 30 to the last step, which is the prior that ships. ``test`` sets the learners
beside nearest neighbours in pixels and PyOD's deep detectors, on the one-class tasks of
``benchmarks/omniglot.py``: 2 or 10 drawings of a character of 6 further alphabets are given, 10
others and 10 of other characters judged. Everything goes on where it was stopped.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawing_tasks import DrawingTasks, as_mapped
from figures import mean_and_interval, panels
from sklearn.metrics import roc_auc_score

from oddshot.data.omniglot import ImageTasks, read_omniglot, split_alphabets
from oddshot.episodes import FloatArray
from oddshot.evaluation.deep_peers import DEEP_MODELS, DeepModel
from oddshot.evaluation.machine import machine
from oddshot.learners import collate, restore
from oddshot.persistence import is_saved, replace_file
from oddshot.priors import Prior
from oddshot.reports.tables import markdown_table
from oddshot.task_store import TaskStore
from oddshot.training import train

IMAGE = {"encoder": "conv4", "image": [28, 28], "embedding": 64}
SETTINGS: dict[str, dict[str, Any]] = {
    "prototypical": {**IMAGE, "outer_loss": "bce", "distance": "mahalanobis"},
    "relation": {**IMAGE, "outer_loss": "squared"},
}
# Trained with one prototype of a class, used with several: that ranks images of several kinds
# better than training with several does (docs/results/omniglot-detection.md).
USED_WITH: dict[str, dict[str, Any]] = {
    "prototypical": {"prototypes": 8, "anomaly_prototypes": 4, "soft": False, "neighbours": 3},
    "relation": {"prototypes": 8, "anomaly_prototypes": 4},
}
SHOTS = (2, 10)
TEST = 2  # the stream of test tasks in benchmarks/omniglot.py
NONE = (np.nan, np.nan)  # mean and interval of nothing
CHUNK = 10  # tasks between two writes

Method = Callable[[ImageTasks], FloatArray]  # tasks (B) to scores (B, Q)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, test or report."""
    given = parse(arguments)
    torch.set_num_threads(given.threads)
    if given.command == "train":
        train_prior(given)
    elif given.command == "test":
        test(given)
    else:
        report(given.out)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="One-class detection of Omniglot characters.")
    parser.add_argument("command", choices=["train", "test", "report"])
    parser.add_argument("--out", type=Path, required=True, help="folder of priors and results")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/omniglot"))
    parser.add_argument("--threads", type=int, default=1)
    training = parser.add_argument_group("train")
    training.add_argument("--learner", choices=list(SETTINGS), default="prototypical")
    training.add_argument("--all", action="store_true", help="learn from all 30 alphabets")
    training.add_argument("--tasks", type=int, default=12_000, help="different tasks to learn from")
    training.add_argument("--steps", type=int, default=3000)
    training.add_argument("--batch-size", type=int, default=8)
    training.add_argument("--seed", type=int, default=0)
    testing = parser.add_argument_group("test")
    testing.add_argument("--test-tasks", type=int, default=1000)
    testing.add_argument("--deep-tasks", type=int, default=30, help="for PyOD's detectors")
    return parser.parse_args(arguments)


def train_prior(given: argparse.Namespace) -> None:
    """Meta-train, and write the prior into the folder of its name."""
    torch.empty(8_000_000).fill_(0)  # freed, it keeps glibc from handing memory back every step
    characters = read_omniglot(given.data)
    parts = split_alphabets(characters.alphabets)
    own = characters if given.all else characters.of_alphabets(parts["train"])
    make = DrawingTasks(own.with_rotations().with_reflections(), given.seed, varied=True)
    choose = DrawingTasks(characters.of_alphabets(parts["validation"]), given.seed + 1)
    folder = given.out / (f"{given.learner}-all" if given.all else given.learner)
    prior = train(
        TaskStore.fill(make, given.tasks, key={}),
        learner=given.learner,
        settings=SETTINGS[given.learner],
        seed=given.seed,
        steps=given.steps,
        batch_size=given.batch_size,
        validation=[] if given.all else [choose(number) for number in range(200)],
        out=folder / "training",
        log_every=100,
        provenance={"collections": ["omniglot"], "machine": machine()},
    )
    settings = {**prior.settings, **USED_WITH[given.learner]}
    Prior(prior.learner, settings, prior.tensors, prior.provenance).save(folder)
    print(f"{folder}: {prior.provenance['seconds']:.0f} s, step {prior.provenance['best_step']}")


def test(given: argparse.Namespace) -> None:
    """Measure every detector on the test alphabets, chunk by chunk."""
    characters = read_omniglot(given.data)
    characters = characters.of_alphabets(split_alphabets(characters.alphabets)["test"])
    priors = {n: Prior.load(given.out / n) for n in SETTINGS if is_saved(given.out / n)}
    learned: dict[str, Method] = {n: partial(by_prior, prior) for n, prior in priors.items()}
    pixels: dict[str, Method] = {
        "pixels, nearest": partial(by_pixels, neighbours=1),
        "pixels, mean of all": partial(by_pixels, neighbours=None),
    }
    deep = {f"PyOD {model.name}": partial(by_peer, model) for model in DEEP_MODELS}
    for shots in SHOTS:
        for name, method in {**learned, **pixels, **deep}.items():
            count = given.deep_tasks if name in deep else given.test_tasks
            path = given.out / "test" / f"{name}-{shots}.json"
            prior = priors[name].fingerprint if name in priors else ""
            found = json.loads(path.read_text()) if path.exists() else {}
            if found.get("prior") != prior:  # none yet, or of an earlier training
                found = new(name, shots, prior)
            while len(found["auroc"]) < count and not found["failed"]:
                first = len(found["auroc"])
                size = min(CHUNK, count - first)
                tasks = characters.one_class(size, seed=TEST, first=first, shots=shots, queries=10)
                try:
                    scores = method(tasks)
                except Exception as error:  # whatever a peer cannot do with so few rows
                    if name not in deep:
                        raise
                    found["failed"] = f"{type(error).__name__}: {error}"
                else:
                    add(found, scores, tasks.query_labels.numpy(), logits=name in learned)
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, json.dumps(found).encode())
            print(
                f"{name}, K = {shots}: {in_percent(found, 'auroc') or found['failed']}", flush=True
            )


def new(name: str, shots: int, prior: str) -> dict[str, Any]:
    """Make the record of a detector that has seen no task."""
    return {
        "name": name,
        "shots": shots,
        "prior": prior,
        "auroc": [],
        "accuracy": [],
        "failed": "",
        "machine": machine(),
    }


def add(found: dict[str, Any], scores: FloatArray, truth: FloatArray, *, logits: bool) -> None:
    """Add AUROC, and accuracy where 0 is a threshold, of scores (B, Q) to a record."""
    found["auroc"] += [roc_auc_score(t, s) for t, s in zip(truth, scores, strict=True)]
    if logits:
        found["accuracy"] += ((scores > 0) == (truth == 1)).mean(1).tolist()


def by_prior(prior: Prior, tasks: ImageTasks) -> FloatArray:
    """Score by a meta-trained learner: logits."""
    learner, params = restore(prior)
    batch = collate(as_mapped(tasks))
    with torch.no_grad():
        return learner.detector(params, batch)(batch.query).double().numpy()


def by_pixels(tasks: ImageTasks, *, neighbours: int | None) -> FloatArray:
    """Score by the mean distance to the nearest support images, or to all."""
    gaps = torch.cdist(tasks.query.flatten(2), tasks.support.flatten(2)).sort(-1).values
    return gaps[..., :neighbours].mean(-1).double().numpy()


def by_peer(model: DeepModel, tasks: ImageTasks) -> FloatArray:
    """Score by one of PyOD's detectors, fitted on the pixels of the support."""
    scores = []
    for support, query in zip(tasks.support.flatten(2), tasks.query.flatten(2), strict=True):
        rows = support.double().numpy()
        score = model.fit(rows, np.zeros(len(rows), np.int8), seed=0)
        scores.append(score(query.double().numpy()))
    return np.stack(scores)


def report(out: Path) -> None:
    """Set all results side by side, as Markdown and a figure."""
    results = [json.loads(path.read_text()) for path in sorted((out / "test").glob("*.json"))]
    if not results:
        raise SystemExit(f"{out / 'test'} holds no results; run test first")
    names = list(dict.fromkeys(found["name"] for found in results))
    of = {(found["name"], found["shots"]): found for found in results}
    names.sort(key=lambda name: -np.mean(of[name, SHOTS[-1]]["auroc"] or [0]))
    rows = []
    for name in names:
        both = [of[name, shots] for shots in SHOTS]
        rows.append(
            [name]
            + [in_percent(found, kind) for kind in ("auroc", "accuracy") for found in both]
            + [f"{max(len(found['auroc']) for found in both):,}"]
            + ["; ".join(dict.fromkeys(found["failed"] for found in both if found["failed"]))]
        )
    heads = [f"{kind} %, K = {shots}" for kind in ("AUROC", "accuracy") for shots in SHOTS]
    table = markdown_table(["", *heads, "tasks", "could not"], rows)
    (out / "omniglot-detection.md").write_text(table)
    draw([(name, [of[name, shots]["auroc"] for shots in SHOTS]) for name in names], out)
    print(table)


def in_percent(found: dict[str, Any], kind: str) -> str:
    """Write mean and 95% interval over tasks."""
    if len(found[kind]) < 2:
        return ""
    mean, half = mean_and_interval(found[kind])
    return f"{100 * mean:.1f} ± {100 * half:.1f}"


def draw(results: Sequence[tuple[str, list[list[float]]]], out: Path) -> None:
    """Draw AUROC with its interval, a panel for each number of drawings."""
    figure, axes = panels(len(SHOTS))
    names = [name for name, _ in results]
    colours = ["#d55e00" if name in SETTINGS else "#7a8aa0" for name in names]
    for number, (ax, shots) in enumerate(zip(axes, SHOTS, strict=True)):
        measured = [mean_and_interval(of[number]) if of[number] else NONE for _, of in results]
        means, halves = np.array(measured).T
        ax.barh(names, means, xerr=halves, color=colours)
        ax.set(title=f"{shots} drawings of one character", xlabel="AUROC", xlim=(0.4, 1))
    axes[0].invert_yaxis()  # both share it
    figure.savefig(out / "omniglot-detection.png")


if __name__ == "__main__":
    main()
