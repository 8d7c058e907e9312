"""The outer loop: a learner's parameters follow the gradient of the meta-loss over many tasks.

A run given a folder can be stopped at any time, by Ctrl-C, a kill or a power cut, and goes on
from its last checkpoint to the same prior, bit for bit, on the same machine.
"""

import csv
import io
import json
import math
import platform
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from oddshot.episodes import MappedTask
from oddshot.errors import SettingError, TrainingError
from oddshot.learners import Learner, Params, Shape, collate, make_learner, prior_settings
from oddshot.persistence import is_saved, load_state, package_version, replace_file, save_state
from oddshot.priors import Prior

LOG_COLUMNS = (
    "step",
    "loss",
    "learning_rate",
    "validation_auroc",
    "seconds",
    "tasks_per_second",
)


def train(
    tasks: Sequence[MappedTask],
    *,
    learner: str = "maml",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    steps: int = 2000,
    batch_size: int = 16,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    validation: Sequence[MappedTask] = (),
    out: str | Path | None = None,
    checkpoint_every: int = 100,
    log_every: int = 50,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
    resume: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Prior:
    """Train a learner on mapped tasks: AdamW on the meta-loss, its rate falling along a cosine.

    Every task of a batch is drawn by family first, then within the family, so that a field with
    many tables counts no more than one with few. Batch *i* depends on the seed and *i* alone.

    Parameters
    ----------
    tasks
        What to learn from.
    learner, settings
        Name and settings of the learner.
    seed
        Decides initial parameters and batches.
    steps, batch_size
        Number of outer steps, and of tasks in each.
    learning_rate, weight_decay
        Initial rate of AdamW, and its decoupled decay.
    validation
        Tasks of other families. With them, the parameters of the logged step with the best mean
        AUROC (mean over tasks, then over families) are kept; without, those of the last step.
    out
        Folder for ``log.csv``, ``checkpoint`` and the prior; ``None``: nothing is written.
    checkpoint_every, log_every
        In steps; validation runs when a line is logged. The last step does both.
    on_step
        Called after each step with its number from 1, and its loss, rate and, where it was
        measured, validation AUROC.
    resume
        Go on from a checkpoint in ``out``; False starts over.
    provenance
        Added to the prior's.

    Returns
    -------
    Prior
        Float32 tensors.

    Raises
    ------
    SettingError
        If an argument or a setting has a value it cannot take.
    TrainingError
        If there is no task, no validation query with both classes, the loss or its gradient is not
        finite, or the checkpoint in ``out`` belongs to another run.
    """
    for name, value in (
        ("steps", steps),
        ("batch_size", batch_size),
        ("checkpoint_every", checkpoint_every),
        ("log_every", log_every),
    ):
        _require(value >= 1, name, value, "1 or more")
    _require(seed >= 0, "seed", seed, "0 or more")
    _require(learning_rate > 0, "learning_rate", learning_rate, "a number above 0")
    _require(weight_decay >= 0, "weight_decay", weight_decay, "0 or more")
    if not len(tasks):
        raise TrainingError("there is no task to train on; give more tables or hold out fewer")
    chosen = make_learner(learner, Shape.of(tasks[0]), settings)
    identity: dict[str, Any] = {
        "learner": learner,
        "settings": prior_settings(chosen),
        "seed": seed,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "log_every": log_every,
        "tasks": _fingerprint(tasks),
        "validation": _fingerprint(validation),
    }
    identity = json.loads(json.dumps(identity))  # as a checkpoint will give it back
    folder = None if out is None else Path(out)
    run = _Run.start(chosen, tasks, seed, learning_rate, weight_decay)
    if folder and resume and is_saved(folder / "checkpoint"):
        run.restore(folder / "checkpoint", identity)
    log = _Log(folder / "log.csv", run.step) if folder else None
    families = _by_family(tasks)
    kept = run.capture(identity)  # the last whole step; an interrupt can split the one under way

    def checkpoint() -> None:
        if folder:
            save_state(folder / "checkpoint", kind="checkpoint", meta=kept[0], tensors=kept[1])

    try:
        while run.step < steps:
            batch = [tasks[i] for i in _draw(families, batch_size, seed, run.step)]
            figures = run.advance(batch, learning_rate * _cosine(run.step / steps))
            if run.step % log_every == 0 or run.step == steps:
                if len(validation):
                    figures["validation_auroc"] = run.validate(validation, batch_size)
                if log:
                    log.write(run.step, run.mean_loss(), figures, run.seconds, batch_size)
                run.losses.clear()
            kept = run.capture(identity)
            if run.step % checkpoint_every == 0 or run.step == steps:
                checkpoint()
            if on_step:
                on_step(run.step, figures)
    except KeyboardInterrupt:
        checkpoint()
        raise
    prior = Prior(
        learner,
        prior_settings(chosen),
        {name: value.detach().numpy() for name, value in (run.best or run.params).items()},
        {
            "families": sorted({task.family for part in (tasks, validation) for task in part}),
            "tasks": len(tasks),
            "validation_tasks": len(validation),
            "seed": seed,
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "validation_auroc": run.best_auroc,
            "best_step": run.best_step if run.best else steps,
            "seconds": round(run.seconds, 1),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {
                "oddshot": package_version(),
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
            **(provenance or {}),
        },
    )
    if folder:
        prior.save(folder)
    return prior


class _Run:
    """The state of a training run that changes from step to step."""

    def __init__(
        self, learner: Learner, params: Params, trained: Params, optimizer: torch.optim.AdamW
    ) -> None:
        self.learner, self.optimizer = learner, optimizer
        self.params, self.trained = params, trained  # the second without the constants
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []  # since the last line of the log
        self.best: Params = {}
        self.best_auroc: float | None = None
        self.best_step = 0

    @classmethod
    def start(
        cls, learner: Learner, tasks: Sequence[MappedTask], seed: int, rate: float, decay: float
    ) -> "_Run":
        constants = learner.constants(tasks)
        drawn = learner.initial_parameters(torch.Generator().manual_seed(seed))
        trained = {n: p.requires_grad_() for n, p in drawn.items() if n not in constants}
        optimizer = torch.optim.AdamW(list(trained.values()), lr=rate, weight_decay=decay)
        return cls(learner, {**drawn, **constants}, trained, optimizer)

    def advance(self, tasks: Sequence[MappedTask], rate: float) -> dict[str, float]:
        began = perf_counter()
        losses = self.learner.meta_loss(self.params, collate(tasks))
        loss = losses.mean()
        values = list(self.trained.values())
        grads = torch.autograd.grad(loss, values, allow_unused=True, materialize_grads=True)
        if not (loss.isfinite() and all(grad.isfinite().all() for grad in grads)):
            self._refuse(tasks, losses, rate)
        for value, grad in zip(values, grads, strict=True):
            value.grad = grad
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.step += 1
        self.losses.append(loss.item())
        self.seconds += perf_counter() - began
        return {"loss": loss.item(), "learning_rate": rate}

    def _refuse(self, tasks: Sequence[MappedTask], losses: torch.Tensor, rate: float) -> None:
        broken = [t for t, ok in zip(tasks, losses.isfinite().tolist(), strict=True) if not ok]
        named = ", ".join(f"{task.name} (seed {task.seed})" for task in broken or tasks)
        what = "loss" if broken else "gradient of the loss"
        raise TrainingError(
            f"step {self.step + 1}: the {what} is not finite on the episodes {named}; "
            f"lower the learning rate ({rate:.3g}) or leave their tables out"
        )

    def mean_loss(self) -> float:
        return sum(self.losses) / len(self.losses)

    def validate(self, tasks: Sequence[MappedTask], batch_size: int) -> float:
        """Mean AUROC over tasks, then over families; remember the parameters if it is the best."""
        began = perf_counter()
        aurocs = defaultdict(list)
        for first in range(0, len(tasks), batch_size):
            part = [tasks[i] for i in range(first, min(first + batch_size, len(tasks)))]
            batch = collate(part)
            with torch.no_grad():
                scores = self.learner.detector(self.params, batch)(batch.query).numpy()
            for task, row in zip(part, scores, strict=True):
                if len(np.unique(task.query_labels)) == 2:
                    found = roc_auc_score(task.query_labels, row[: len(task.query_labels)])
                    aurocs[task.family].append(float(found))
        if not aurocs:
            raise TrainingError(
                "no validation query has both classes; give tables with more labelled anomalies"
            )
        auroc = float(np.mean([np.mean(found) for found in aurocs.values()]))
        if self.best_auroc is None or auroc > self.best_auroc:
            self.best_auroc, self.best_step = auroc, self.step
            self.best = {name: value.detach().clone() for name, value in self.params.items()}
        self.seconds += perf_counter() - began
        return auroc

    def capture(
        self, identity: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
        """Copy the state, as `restore` takes it back."""
        meta = {
            "run": dict(identity),
            "step": self.step,
            "seconds": self.seconds,
            "losses": list(self.losses),
            "best_auroc": self.best_auroc,
            "best_step": self.best_step,
        }
        tensors = {f"params/{name}": value for name, value in self.params.items()}
        tensors.update({f"best/{name}": value for name, value in self.best.items()})
        for name, value in self.params.items():
            moments = self.optimizer.state.get(value, {})
            tensors.update({f"{m}/{name}": moments[m] for m in _MOMENTS if m in moments})
        return meta, {name: value.detach().numpy().copy() for name, value in tensors.items()}

    def restore(self, path: Path, identity: Mapping[str, Any]) -> None:
        meta, tensors = load_state(path, kind="checkpoint")
        run = meta.get("run", {})
        for name, value in identity.items():
            if run.get(name) != value:
                raise TrainingError(
                    f"{path}: belongs to a run with {name} {run.get(name)!r}, this one has "
                    f"{value!r}; choose another folder or delete it"
                )
        self.step, self.seconds = meta["step"], meta["seconds"]
        self.losses = meta["losses"]
        self.best_auroc, self.best_step = meta["best_auroc"], meta["best_step"]
        loaded = {name: torch.tensor(array) for name, array in tensors.items()}
        self.best = {n: loaded[f"best/{n}"] for n in self.params if f"best/{n}" in loaded}
        for name, value in self.params.items():
            value.data.copy_(loaded[f"params/{name}"])
            if self.step and name in self.trained:
                self.optimizer.state[value] = {m: loaded[f"{m}/{name}"] for m in _MOMENTS}


_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW remembers of a parameter


class _Log:
    """``log.csv``: one line each ``log_every`` steps; lines beyond ``step`` are dropped first."""

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and 0 < _line_step(line) <= step]
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, "".join([",".join(LOG_COLUMNS) + "\n", *kept]).encode())

    def write(
        self, step: int, loss: float, figures: Mapping[str, float], seconds: float, batch_size: int
    ) -> None:
        auroc = figures.get("validation_auroc", "")
        speed = round(step * batch_size / seconds, 1)
        line = io.StringIO()
        values = (step, loss, figures["learning_rate"], auroc, round(seconds, 3), speed)
        csv.writer(line, lineterminator="\n").writerow(values)
        with self._path.open("a") as file:
            file.write(line.getvalue())


def _line_step(line: str) -> int:
    first = line.split(",", 1)[0]
    return int(first) if first.isdecimal() else 0


def _cosine(done: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov and Hutter 2017, equation 5)."""
    return (1 + math.cos(math.pi * done)) / 2


def _by_family(tasks: Sequence[MappedTask]) -> list[list[int]]:
    families: dict[str, list[int]] = defaultdict(list)
    for number, task in enumerate(tasks):
        families[task.family].append(number)
    return [families[name] for name in sorted(families)]


def _draw(families: Sequence[Sequence[int]], size: int, seed: int, step: int) -> list[int]:
    generator = np.random.default_rng([seed, step])
    drawn = [families[int(f)] for f in generator.integers(len(families), size=size)]
    return [members[int(generator.integers(len(members)))] for members in drawn]


def _fingerprint(tasks: Sequence[MappedTask]) -> str:
    digest = sha256()
    for task in tasks:
        digest.update(f"{task.name}\0{task.family}\0{task.seed}\0{task.support.shape}".encode())
        context = task.context
        for array in (task.support, task.support_labels, task.query, task.query_labels):
            digest.update(np.ascontiguousarray(array).data)
        for array in (context.evidence, context.table):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise SettingError(f"{name} is {value!r}; it must be {allowed}")
