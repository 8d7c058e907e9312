"""The outer loop of meta-training: its choices, its steps, and all that changes from step to step.

Every process of a run holds the same state and takes the same steps: each works on its share of a
batch, and sums over processes are all they exchange.
"""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from oddshot.engines import Engine
from oddshot.episodes import MappedTask
from oddshot.errors import TrainingError, is_number, is_whole, require
from oddshot.learners import Learner, Params, Shape, TaskBatch, collate
from oddshot.persistence import under
from oddshot.priors import plain

_NAMED = 3  # episodes in a message

State: TypeAlias = tuple[dict[str, Any], dict[str, NDArray[Any]]]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
# From the share of the run that is done to the share of the first rate that is left.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,  # Loshchilov, Hutter 2017, eq. 5
    "constant": lambda _: 1.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How the outer loop is run.

    Parameters
    ----------
    seed
        Decides initial parameters and batches.
    steps, batch_size
        Number of outer steps, and of tasks in each.
    learning_rate, weight_decay
        Initial rate of the optimiser, and its decoupled decay.
    optimizer, schedule
        Names in ``OPTIMIZERS`` and ``SCHEDULES``.
    clip_norm
        Longest gradient; ``None``: any length.
    patience
        Validations in a row without a better AUROC after which it stops; ``None``: never.
    log_every
        Steps between two lines of the log, and two validations.
    """

    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    optimizer: str
    schedule: str
    clip_norm: float | None
    patience: int | None
    log_every: int

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every"):
            value = getattr(self, name)
            require(is_whole(value) and value >= 1, name, value, "a whole number, 1 or more")
        patience = self.patience
        fits = patience is None or (is_whole(patience) and patience >= 1)
        require(fits, "patience", patience, "a whole number, 1 or more, or None")
        fits = is_whole(self.seed) and self.seed >= 0
        require(fits, "seed", self.seed, "a whole number, 0 or more")
        rate, decay, clip = self.learning_rate, self.weight_decay, self.clip_norm
        require(is_number(rate) and rate > 0, "learning_rate", rate, "a number above 0")
        require(is_number(decay) and decay >= 0, "weight_decay", decay, "0 or more")
        fits = clip is None or (is_number(clip) and clip > 0)
        require(fits, "clip_norm", clip, "a number above 0, or None")
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            require(value in known, name, value, " or ".join(known))
        for field in fields(self):  # a number of NumPy's would not go into a file
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))

    def rate(self, step: int) -> float:
        """Return the learning rate of the step that follows ``step`` others."""
        return self.learning_rate * SCHEDULES[self.schedule](step / self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be learned, from what, and how.

    Parameters
    ----------
    tasks, validation
        Mapped tasks.
    learner, kind, settings
        Name, class, and what a prior remembers; a learner itself need not travel between processes.
    plan
        How.
    """

    tasks: Sequence[MappedTask]
    validation: Sequence[MappedTask]
    learner: str
    kind: type[Learner]
    settings: Mapping[str, Any]
    plan: TrainingPlan

    def build(self) -> Learner:
        """Make the learner."""
        settings = dict(self.settings)
        return self.kind(Shape(**settings.pop("shape")), **settings)

    def identity(self) -> dict[str, Any]:
        """Return what two runs must have in common to go the same way, as JSON can hold it."""
        identity = {
            "learner": self.learner,
            "settings": dict(self.settings),
            **asdict(self.plan),
            "tasks": _fingerprint(self.tasks),
            "validation": _fingerprint(self.validation),
        }
        return dict(json.loads(json.dumps(identity)))  # as a checkpoint will give it back


class OuterLoop:
    """A run of ``job``: `advance` until `finished`.

    Parameters
    ----------
    job
        What to learn.
    engine
        This process, and its tie to the others.
    """

    @torch.inference_mode(False)
    def __init__(self, job: Job, engine: Engine) -> None:
        self.job, self.plan, self.engine = job, job.plan, engine
        self.learner = job.build()
        constants = self.learner.constants(job.tasks)
        drawn = self.learner.initial_parameters(torch.Generator().manual_seed(self.plan.seed))
        self.params = {n: p.to(engine.device) for n, p in {**drawn, **constants}.items()}
        self.trained = {n: self.params[n].requires_grad_() for n in drawn if n not in constants}
        if not self.trained:
            raise TrainingError(
                f"learner {job.learner!r} has nothing to train; return parameters from its "
                "initial_parameters that its constants do not replace"
            )
        self.optimizer = OPTIMIZERS[self.plan.optimizer](
            list(self.trained.values()),
            lr=self.plan.learning_rate,
            weight_decay=self.plan.weight_decay,
        )
        self.families = _by_family(job.tasks)
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []  # since the last line of the log
        self.best: Params = {}
        self.best_auroc: float | None = None
        self.best_step = 0
        self.worse = 0  # validations since the best

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or patience has run out."""
        out_of_patience = self.plan.patience is not None and self.worse >= self.plan.patience
        return self.step >= self.plan.steps or out_of_patience

    @property
    def tasks_per_second(self) -> float:
        """Tasks learned from in a second, since the first step."""
        return round(self.step * self.plan.batch_size / self.seconds, 1)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def advance(self) -> dict[str, float]:
        """Take one step; return its loss and its rate.

        Raises
        ------
        TrainingError
            If the learner's loss has not one value a task, or does not depend on its parameters; in
            every process, if the loss or its gradient is not finite in any of them.
        """
        began = perf_counter()
        size, rate = self.plan.batch_size, self.plan.rate(self.step)
        drawn = _draw(self.families, size, self.plan.seed, self.step)
        batch = self._batch([self.job.tasks[number] for number in drawn[self.engine.share]])
        with self.engine.autocast():
            done = self.step / self.plan.steps
            losses = self.learner.meta_loss(self.params, batch, done=done).float()
        self._require_losses(losses, len(batch))
        values = list(self.trained.values())
        mine = torch.autograd.grad(
            losses.sum() / size, values, allow_unused=True, materialize_grads=True
        )
        all_losses = torch.zeros(size, device=self.engine.device)
        all_losses[self.engine.share] = losses.detach()
        *grads, all_losses = self.engine.sum([*mine, all_losses])
        loss = all_losses.mean()
        if not torch.stack([value.isfinite().all() for value in (loss, *grads)]).all():
            broken = [
                n for n, ok in zip(drawn, all_losses.isfinite().tolist(), strict=True) if not ok
            ]
            what = "loss" if broken else "gradient of the loss"
            self._refuse(what, [self.job.tasks[n] for n in broken or drawn], rate)
        for value, grad in zip(values, grads, strict=True):
            value.grad = grad
        if self.plan.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(values, self.plan.clip_norm)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.step += 1
        self.losses.append(loss.item())
        self.seconds += perf_counter() - began
        return {"loss": loss.item(), "learning_rate": rate}

    def mean_loss(self) -> float:
        """Return the mean loss of the steps in ``losses``."""
        return sum(self.losses) / len(self.losses)

    @torch.inference_mode(False)
    def validate(self) -> float:
        """Return the AUROC, a mean over tasks, then families; keep the parameters of the best.

        Raises
        ------
        TrainingError
            If no validation query has both classes, or, in every process, if a score is not finite
            in any of them.
        """
        began = perf_counter()
        tasks, size = self.job.validation, self.plan.batch_size
        # One row a task: its AUROC, and 1 where there is one. Whoever scores it fills it in.
        found = torch.zeros(len(tasks), 2, dtype=torch.float64)
        for first in range(0, len(tasks), size)[self.engine.share]:
            part = [tasks[number] for number in range(first, min(first + size, len(tasks)))]
            batch = self._batch(part)
            with torch.no_grad(), self.engine.autocast():
                scores = self.learner.detector(self.params, batch)(batch.query).float().cpu()
            for number, (task, row) in enumerate(zip(part, scores, strict=True), start=first):
                if len(np.unique(task.query_labels)) == 2:
                    ranked = row[: len(task.query_labels)].numpy()
                    finite = np.isfinite(ranked).all()
                    auroc = float(roc_auc_score(task.query_labels, ranked)) if finite else math.nan
                    found[number] = torch.tensor([auroc, 1.0])
        (found,) = self.engine.sum([found.to(self.engine.device)])
        broken = [n for n, auroc in enumerate(found[:, 0].tolist()) if math.isnan(auroc)]
        if broken:
            rate = self.optimizer.param_groups[0]["lr"]
            self._refuse("score", [tasks[n] for n in broken], rate, after=True)
        aurocs = defaultdict(list)
        for number, (auroc, known) in enumerate(found.tolist()):
            if known:
                aurocs[tasks[number].family].append(auroc)
        if not aurocs:
            raise TrainingError(
                "no validation query has both classes; give tables with more labelled anomalies"
            )
        auroc = float(np.mean([np.mean(of_family) for of_family in aurocs.values()]))
        self.worse += 1
        if self.best_auroc is None or auroc > self.best_auroc:
            self.best_auroc, self.best_step, self.worse = auroc, self.step, 0
            self.best = {name: value.detach().clone() for name, value in self.params.items()}
        self.seconds += perf_counter() - began
        return auroc

    def capture(self) -> State:
        """Copy the state, as `restore` takes it back."""
        meta = {
            "step": self.step,
            "seconds": self.seconds,
            "losses": list(self.losses),
            "best_auroc": self.best_auroc,
            "best_step": self.best_step,
            "worse": self.worse,
        }
        tensors = {f"params/{name}": value for name, value in self.params.items()}
        tensors.update({f"best/{name}": value for name, value in self.best.items()})
        for name, value in self.trained.items():
            moments = self.optimizer.state.get(value, {})
            kept = {m: v for m, v in moments.items() if isinstance(v, Tensor)}
            tensors.update({f"optimizer/{name}/{moment}": v for moment, v in kept.items()})
        return meta, {n: value.detach().cpu().numpy().copy() for n, value in tensors.items()}

    def restore(self, meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state that `capture` copied."""
        self.step, self.seconds, self.losses = meta["step"], meta["seconds"], meta["losses"]
        self.best_auroc, self.best_step = meta["best_auroc"], meta["best_step"]
        self.worse = meta["worse"]
        device = self.engine.device
        loaded = {name: torch.tensor(array) for name, array in tensors.items()}
        best = {name: loaded.get(f"best/{name}") for name in self.params}
        self.best = {name: value.to(device) for name, value in best.items() if value is not None}
        for name, value in self.params.items():
            value.data.copy_(loaded[f"params/{name}"])
        states: dict[int, dict[str, Tensor]] = {}
        for number, name in enumerate(self.trained):
            state = under(f"optimizer/{name}/", loaded)
            if state:
                states[number] = state
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": states})

    def _batch(self, tasks: Sequence[MappedTask]) -> TaskBatch:
        batch = collate(tasks)
        moved = {f.name: getattr(batch, f.name).to(self.engine.device) for f in fields(batch)}
        return replace(batch, **moved)

    def _require_losses(self, losses: Tensor, tasks: int) -> None:
        shape = tuple(losses.shape)
        if shape == (tasks,) and losses.requires_grad:
            return
        what = "does not depend on its parameters" if shape == (tasks,) else f"has shape {shape}"
        raise TrainingError(
            f"the meta_loss of learner {self.job.learner!r} {what}; "
            f"return a differentiable loss for each of the {tasks} tasks, shape ({tasks},)"
        )

    def _refuse(
        self, what: str, tasks: Sequence[MappedTask], rate: float, *, after: bool = False
    ) -> None:
        named = list(dict.fromkeys(f"{task.name} (seed {task.seed})" for task in tasks))
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        when = f"after step {self.step}" if after else f"step {self.step + 1}"
        inner = self.learner.settings.get("inner_rate")
        slower = "" if inner is None else f" or the learner's inner_rate ({inner:.3g})"
        raise TrainingError(
            f"{when}: the {what} is not finite on the episodes {', '.join(named[:_NAMED])}{more}; "
            f"lower the learning rate ({rate:.3g}){slower}, or leave their tables out"
        )


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
        summary = task.summary
        for array in (task.support, task.support_labels, task.query, task.query_labels):
            digest.update(np.ascontiguousarray(array).data)
        for array in (summary.evidence, summary.table):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
