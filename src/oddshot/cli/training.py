"""``oddshot meta-train``."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from oddshot.cli.console import console_of_stdout, say, stages, tells_what_is_kept
from oddshot.cli.options import Jobs, Seed
from oddshot.errors import SettingError
from oddshot.wording import counted


def meta_train(
    tasks: Annotated[
        list[Path], typer.Argument(metavar="TASKS_DIR...", help="Folders of labelled tables.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the prior.")],
    learner: Annotated[
        str,
        typer.Option(
            "--learner",
            help="gated, maml, fomaml, anil, meta_sgd, reptile, prototypical, relation or aae.",
        ),
    ] = "maml",
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", metavar="NAME=JSON", help="A setting of the learner."),
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", min=2, help="Tasks to draw.")] = 2000,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Outer steps.")] = 2000,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Tasks a step.")] = 16,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="Learning rate, at the start.")
    ] = 1e-3,
    weight_decay: Annotated[
        float, typer.Option("--weight-decay", help="Weight decay, decoupled.")
    ] = 1e-4,
    optimizer: Annotated[str, typer.Option("--optimizer", help="adamw or sgd.")] = "adamw",
    schedule: Annotated[
        str, typer.Option("--schedule", help="Of the learning rate: cosine or constant.")
    ] = "cosine",
    clip_norm: Annotated[
        float | None, typer.Option("--clip-norm", metavar="X", help="Shorten longer gradients.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience", min=1, metavar="N", help="Stop after N validations that are no better."
        ),
    ] = None,
    seed: Seed = 0,
    holdout: Annotated[
        list[str] | None,
        typer.Option(
            "--holdout",
            metavar="NAME",
            help="Collection, family, or table with its family, never to learn from.",
        ),
    ] = None,
    holdout_fold: Annotated[
        str | None,
        typer.Option("--holdout-fold", metavar="I/N", help="Leave out fold I of N of families."),
    ] = None,
    validation_fraction: Annotated[
        float,
        typer.Option("--validation-fraction", help="Share of families that choose the best step."),
    ] = 0.1,
    episode_store: Annotated[
        Path | None,
        typer.Option("--episode-store", metavar="DIR", help="Share mapped episodes between runs."),
    ] = None,
    jobs: Jobs = 1,
    no_resume: Annotated[
        bool,
        typer.Option("--no-resume", help="Start the training over; mapped episodes are kept."),
    ] = False,
    checkpoint_every: Annotated[
        int,
        typer.Option(
            "--checkpoint-every", min=1, metavar="STEPS", help="Save every so many steps."
        ),
    ] = 100,
    log_every: Annotated[
        int,
        typer.Option(
            "--log-every", min=1, metavar="STEPS", help="Log and validate every so many steps."
        ),
    ] = 50,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log for TensorBoard too, in DIR/tensorboard.")
    ] = False,
    devices: Annotated[
        int, typer.Option("--devices", min=1, metavar="N", help="Processes, or GPUs, on each node.")
    ] = 1,
    nodes: Annotated[
        int, typer.Option("--nodes", min=1, metavar="M", help="Machines, started with torchrun.")
    ] = 1,
    accelerator: Annotated[
        str, typer.Option("--accelerator", help="cpu, cuda, or auto: a GPU where there is one.")
    ] = "cpu",
    precision: Annotated[
        str, typer.Option("--precision", help="32, or bf16: products in bfloat16.")
    ] = "32",
) -> None:
    """Learn a prior from a folder of labelled tables. Goes on where a run was stopped."""
    with tells_what_is_kept(lambda: _kept(out, episode_store)):
        from oddshot.engines import leads
        from oddshot.meta_training import meta_train

        with stages() as report:

            def told(stage: str, done: int, total: int, info: dict[str, Any]) -> None:
                report(stage, done, total, info)
                if "families" in info:
                    say(console_of_stdout(), _families(**info))

            prior = meta_train(
                tasks,
                learner=learner,
                settings=_settings(setting or ()),
                out=out,
                seed=seed,
                episodes=episodes,
                steps=steps,
                batch_size=batch_size,
                learning_rate=learning_rate,
                weight_decay=weight_decay,
                optimizer=optimizer,
                schedule=schedule,
                clip_norm=clip_norm,
                patience=patience,
                holdout=tuple(holdout or ()),
                holdout_fold=_fold(holdout_fold),
                validation_fraction=validation_fraction,
                episode_store=episode_store,
                jobs=jobs,
                resume=not no_resume,
                checkpoint_every=checkpoint_every,
                log_every=log_every,
                tensorboard=tensorboard,
                devices=devices,
                nodes=nodes,
                accelerator=accelerator,
                precision=precision,
                progress=told,
            )
    if not leads():
        return
    console = console_of_stdout()
    say(console, f"{prior}")
    if kin := prior.provenance.get("kin_of_holdout"):
        say(console, f"Left out, too, for sharing rows with what is held out: {', '.join(kin)}")
    say(console, f"Kept in {out}; use it with: oddshot detect FILE --prior {out}")


def _families(*, tables: int, families: int, validation_families: int) -> str:
    found = f"{counted(tables, 'tables')}, {counted(families, 'families')}"
    if validation_families:
        return f"{found}; validation by {validation_families} of them chooses the best step"
    alike = " (tables with the same column names are one)" if tables > families == 1 else ""
    return f"{found}{alike}: without a family that validates the last step is kept"


def _kept(out: Path, store: Path | None) -> str:
    if os.path.exists(out / "checkpoint"):
        return f"training so far is kept in {out}"
    episodes = out / "episodes" if store is None else store
    return f"mapped episodes are kept in {episodes}" if any(episodes.glob("*/*.json")) else ""


_AS_JSON = {"True": "true", "False": "false", "None": "null"}


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Read NAME=JSON; True and False are as in Python, too; what else is no JSON is a word."""
    settings: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise SettingError(f"--setting is {text!r}; write NAME=VALUE, as in beta=0.5")
        try:
            settings[name] = json.loads(_AS_JSON.get(value, value))
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def _fold(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    parts = given.split("/")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise SettingError(f"--holdout-fold is {given!r}; write I/N, as in 0/4")
    return int(parts[0]), int(parts[1])
