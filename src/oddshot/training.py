"""Meta-training on mapped tasks: one learner, one prior.

A run given a folder can be stopped at any time, by Ctrl-C, a kill or a power cut, and goes on
from its last checkpoint to the same prior, bit for bit, on the same machine's CPU.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from oddshot.engines import PRECISIONS, Compute, Engine, launch, leads
from oddshot.episodes import MappedTask
from oddshot.errors import TrainingError, is_whole, require
from oddshot.learners import Learner, find_learner, make_learner, prior_settings
from oddshot.learners.learner import common_shape
from oddshot.outer_loop import Job, OuterLoop, State, TrainingPlan
from oddshot.persistence import is_saved, load_state, package_version, save_state, sole_writer
from oddshot.priors import Prior
from oddshot.run_log import RunLog, require_folder, summary_writer

_HASHED = ("tasks", "validation")  # of a run's identity: what cannot be told apart by name
_NAMED = 3  # differences in a message

OnStep: TypeAlias = Callable[[int, dict[str, float]], None]


def train(
    tasks: Iterable[MappedTask],
    *,
    learner: str | type[Learner] = "maml",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    steps: int = 2000,
    batch_size: int = 16,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    optimizer: str = "adamw",
    schedule: str = "cosine",
    clip_norm: float | None = None,
    validation: Iterable[MappedTask] = (),
    patience: int | None = None,
    out: str | Path | None = None,
    checkpoint_every: int = 100,
    log_every: int = 50,
    tensorboard: bool = False,
    on_step: OnStep | None = None,
    resume: bool = True,
    provenance: Mapping[str, Any] | None = None,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "cpu",
    precision: str | int = "32",
) -> Prior:
    """Train a learner on mapped tasks: an optimiser follows the gradient of the mean meta-loss.

    Every task of a batch is drawn by family first, then within the family, so that a field with
    many tables counts no more than one with few. Batch *i* depends on the seed and *i* alone.
    Several processes share the batch among them and sum their gradients, so their number changes
    the prior by no more than rounding.

    Parameters
    ----------
    tasks
        What to learn from. A sequence is read as it is needed, anything else at once.
    learner, settings
        A name of ``oddshot.learners.LEARNERS``, or a class of one's own with a ``name``; its
        settings. To use or load the prior, the class must stand in ``LEARNERS``.
    seed
        Decides initial parameters and batches.
    steps, batch_size
        Number of outer steps, and of tasks in each, over all processes.
    learning_rate, weight_decay
        Initial rate of the optimiser, and its decoupled decay.
    optimizer
        "adamw", or "sgd" without momentum.
    schedule
        How the rate goes on: "cosine" falls to 0 at the last step, "constant" stays.
    clip_norm
        Longest gradient, over all parameters together; longer ones are shortened. ``None``: none
        is.
    validation
        Tasks of other families. With them, the parameters of the logged step with the best mean
        AUROC (mean over tasks, then over families) are kept; without, those of the last step.
    patience
        Stop after so many validations in a row without a better AUROC. ``None``: never.
    out
        Folder for ``log.csv``, ``checkpoint`` and the prior; ``None``: nothing is written.
    checkpoint_every, log_every
        In steps; validation runs when a line is logged. The last step does both.
    tensorboard
        Log into ``out/tensorboard`` too; needs the extra "train".
    on_step
        Called in this process after each step with its number from 1, and its loss, rate, tasks
        per second so far and, where it was measured, validation AUROC.
    resume
        Go on from a checkpoint in ``out``; False starts over.
    provenance
        Added to the prior's.
    devices, nodes, accelerator, precision
        What to run on, see `oddshot.engines.Compute`; anything but one process on the CPU in
        float32 needs the extra "train". For several nodes see `oddshot.engines.launch`. On a GPU
        some sums change their order from run to run, and the prior its last bits.

    Returns
    -------
    Prior
        Float32 tensors.

    Raises
    ------
    SettingError
        If an argument or a setting has a value it cannot take, or another process writes ``out``.
    DataError
        If two tasks were mapped to different widths, or the learner can learn nothing from them.
    TrainingError
        If there is no task, no validation query with both classes, the loss, its gradient or a
        score is not finite, or the checkpoint in ``out`` belongs to another run.
    """
    plan = TrainingPlan(
        seed=seed,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        optimizer=optimizer,
        schedule=schedule,
        clip_norm=clip_norm,
        patience=patience,
        log_every=log_every,
    )
    compute = Compute(devices, nodes, accelerator, str(precision))
    require_run(plan, compute, out=out, checkpoint_every=checkpoint_every, tensorboard=tensorboard)
    tasks, validation = _sequence(tasks), _sequence(validation)
    require(
        patience is None or len(validation) > 0, "patience", patience, "None without validation"
    )
    folder = None if out is None else Path(out)
    if not len(tasks):
        raise TrainingError("there is no task to train on; give more tables or hold out fewer")
    shape = common_shape(chain(tasks, validation))
    name, kind = find_learner(learner)
    job = Job(
        tasks=tasks,
        validation=validation,
        learner=name,
        kind=kind,
        settings=prior_settings(make_learner(learner, shape, settings)),
        plan=plan,
    )
    records = _Records(
        folder=folder,
        resume=resume,
        checkpoint_every=checkpoint_every,
        tensorboard=tensorboard,
        provenance=dict(provenance or {}),
        ran_on={
            "processes": compute.processes,
            "accelerator": compute.device_type,
            "precision": PRECISIONS[compute.precision],
        },
    )
    with sole_writer(folder) if folder and leads() else nullcontext():
        return launch(compute, partial(_train, job, records), on_step)


def require_run(
    plan: TrainingPlan,
    compute: Compute,
    *,
    out: str | Path | None,
    checkpoint_every: int,
    tensorboard: bool,
) -> None:
    """Refuse what no run can be, as far as that shows without tasks; arguments as of `train`.

    Raises
    ------
    SettingError
        If a value does not go with the others, ``out`` cannot be written, or TensorBoard is asked
        for and not installed.
    """
    fits = is_whole(checkpoint_every) and checkpoint_every >= 1
    require(fits, "checkpoint_every", checkpoint_every, "a whole number, 1 or more")
    size, least = plan.batch_size, compute.processes
    require(size >= least, "batch_size", size, f"{least} or more, a task a process")
    require(not tensorboard or out is not None, "tensorboard", tensorboard, "False without out")
    if tensorboard:
        summary_writer()
    if out is not None:
        require_folder(out, "out")


def _sequence(tasks: Iterable[MappedTask]) -> Sequence[MappedTask]:
    return tasks if isinstance(tasks, Sequence) else list(tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Records:
    """What a run leaves behind, and where."""

    folder: Path | None
    resume: bool
    checkpoint_every: int
    tensorboard: bool
    provenance: dict[str, Any]
    ran_on: dict[str, Any]


def _train(job: Job, records: _Records, engine: Engine, on_step: OnStep | None) -> Prior:
    """Run the outer loop in this process; rank 0 alone reads, writes and reports."""
    run, plan = OuterLoop(job, engine), job.plan
    folder = records.folder if engine.rank == 0 else None
    identity = {**job.identity(), **records.ran_on} if folder else {}
    saved = None
    if folder and records.resume and is_saved(folder / "checkpoint"):
        saved = _read_checkpoint(folder / "checkpoint", identity)
    saved = engine.broadcast(saved)
    if saved:
        run.restore(*saved)
    log = RunLog(folder, run.step, tensorboard=records.tensorboard) if folder else None
    kept = run.capture()  # the last whole step; an interrupt can split the one under way

    def checkpoint() -> None:
        if folder:
            meta = {"run": identity, **kept[0]}
            save_state(folder / "checkpoint", kind="checkpoint", meta=meta, tensors=kept[1])

    def note(figures: dict[str, float]) -> None:
        if len(job.validation):
            figures["validation_auroc"] = run.validate()
        if log:
            spent = {"seconds": round(run.seconds, 3), "tasks_per_second": run.tasks_per_second}
            log.write(run.step, {**figures, **spent, "loss": run.mean_loss()})
        run.losses.clear()

    try:
        while not run.finished:
            figures = run.advance()
            if run.step % plan.log_every == 0 or run.step == plan.steps:
                note(figures)
            if folder:
                kept = run.capture()
            if run.step % records.checkpoint_every == 0 or run.finished:
                checkpoint()
            if on_step:
                on_step(run.step, {**figures, "tasks_per_second": run.tasks_per_second})
    except KeyboardInterrupt:
        checkpoint()
        raise
    finally:
        if log:
            log.close()
    prior = _prior(job, records, run)
    if folder:
        prior.save(folder)
    return prior


def _prior(job: Job, records: _Records, run: OuterLoop) -> Prior:
    found = run.best or run.params
    return Prior(
        job.learner,
        job.settings,
        {name: value.detach().cpu().numpy() for name, value in found.items()},
        {
            "families": sorted({t.family for part in (job.tasks, job.validation) for t in part}),
            "tasks": len(job.tasks),
            "validation_tasks": len(job.validation),
            **asdict(job.plan),
            **records.ran_on,
            "validation_auroc": run.best_auroc,
            "best_step": run.best_step if run.best else run.step,
            "stopped_at": run.step if run.step < job.plan.steps else None,
            "seconds": round(run.seconds, 1),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {
                "oddshot": package_version(),
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
            **records.provenance,
        },
    )


def _read_checkpoint(path: Path, identity: Mapping[str, Any]) -> State:
    remedy = "delete the folder checkpoint, or start over with resume=False (--no-resume)"
    meta, tensors = load_state(path, kind="checkpoint", remedy=remedy)
    run = meta.pop("run", {})
    differing = list(_differences(run, identity))
    if differing:
        more = f", and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
        raise TrainingError(
            f"{path}: belongs to a run with {', and '.join(differing[:_NAMED])}{more}; "
            "choose another folder or delete it"
        )
    return meta, tensors


def _differences(run: Mapping[str, Any], identity: Mapping[str, Any]) -> Iterator[str]:
    """Name what a kept run has other than this one; of tasks there are only hashes."""
    of_run, here = _by_setting(run), _by_setting(identity)
    for name in sorted(of_run.keys() | here.keys()):
        if of_run.get(name) != here.get(name):
            yield f"{name} {of_run.get(name)!r}, this one has {here.get(name)!r}"
    if any(run.get(name) != identity[name] for name in _HASHED):
        yield "other tasks (tables, validation_fraction, holdout or episodes)"


def _by_setting(run: Mapping[str, Any]) -> dict[str, Any]:
    settings = {f"setting {name}": value for name, value in run.get("settings", {}).items()}
    return {**{n: v for n, v in run.items() if n not in {"settings", *_HASHED}}, **settings}
