"""The command line: ``oddshot demo | detect | fit | score | meta-train | bench``.

Exit codes: 0 done; 2 a mistake of the user's, in one line on standard error; 130 stopped with
Ctrl-C. Any other exception is a defect of ours and escapes with its traceback.

Nothing heavy is imported before a command needs it, so that ``oddshot --help`` answers at once.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol

import typer
from typer.core import TyperGroup

from oddshot.errors import OddshotError, SettingError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from oddshot.data.images import Images
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.episodes import LabelArray
    from oddshot.evaluation.demonstration import Demonstration
    from oddshot.priors import Prior
    from oddshot.reports.detection import Detection

PIPE_WIDTH = 180  # columns of text where there is no terminal to ask

# Newer versions of Typer carry a copy of Click of their own: find its base error from Typer's.
_UsageError: Any = typer.BadParameter.__mro__[2]


class _OneLineErrors(TyperGroup):
    """Prints a user's mistake in one line and exits with 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except OddshotError as error:
            message = str(error)
        except _UsageError as error:
            message = error.format_message()
        else:
            sys.exit(code if isinstance(code, int) else 0)
        print(f"oddshot: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


app = typer.Typer(
    cls=_OneLineErrors,
    name="oddshot",
    help="Find the odd rows of a table, from no labels or a handful of them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line."""
    app()


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"oddshot {version('oddshot')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A table (CSV, Parquet, ...) or a folder of images; '-' reads CSV from stdin.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="Column with what is known: 1 anomaly, 0 normal, empty unknown.",
    ),
]
ImageLabels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="TABLE",
        help="Images: a table of file names and labels; else folders (good, defect) tell.",
    ),
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="HxW", help="Images: bring them to this size, not to the prior's."
    ),
]
SkipDamaged = Annotated[
    bool, typer.Option("--skip-damaged", help="Images: leave out what cannot be read, and name it.")
]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same machine: same scores.")]
PriorPath = Annotated[
    str, typer.Option("--prior", metavar="PATH", help="Folder of a prior of your own.")
]
Contamination = Annotated[
    str,
    typer.Option(
        "--contamination",
        metavar="X",
        help="Share of rows to flag, above 0 and up to 0.5; 'auto' sets a calibrated threshold.",
    ),
]
Top = Annotated[
    int, typer.Option("--top", min=1, metavar="N", help="Rows to show where no --out is given.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="PATH", help="Write every row with its score (CSV or Parquet)."),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes, one thread each.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path(
        "demo-output"
    ),
    seed: Seed = 0,
    prior: PriorPath = "default",
) -> None:
    """Show on real data what no label, 5 and 20 labels give. Takes well under a minute."""
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.evaluation.demonstration import demonstrate
    from oddshot.priors import Prior
    from oddshot.reports.figures import draw_demo
    from oddshot.reports.writing import write_file

    console = _console()
    adapted = Prior.find(prior)
    with _progress("Fitting") as advance:
        found = demonstrate(
            lambda seed: FewShotDetector(prior=adapted, random_state=seed),
            seed=seed,
            progress=advance,
        )
    _tell_demo(console, found, seen=found.table.family in adapted.seen_families)
    write_file(out / "scores.csv", found.scored.to_csv(index=False))
    draw_demo(found, out / "demo.png")
    _say(console, f"Wrote {out / 'scores.csv'} and {out / 'demo.png'}.")


@app.command()
def detect(
    file: File,
    *,
    label_column: Labels = None,
    labels: ImageLabels = None,
    size: ImageSize = None,
    skip_damaged: SkipDamaged = False,
    out: Out = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="PATH", help="Write an HTML page.")
    ] = None,
    seed: Seed = 0,
    prior: PriorPath = "default",
    contamination: Contamination = "auto",
    top: Top = 10,
) -> None:
    """Fit on a table, or a folder of images, and score its own rows."""
    _check_outputs(file, out, report)
    read = _read(file, prior, _Asked(label_column, labels, size, skip_damaged))
    detector = _fit(read, contamination, seed)
    _tell(
        _scored(detector, file, read, fitted=True),
        out=out,
        report=report,
        top=top,
    )


@app.command()
def fit(
    file: File,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the detector.")],
    label_column: Labels = None,
    labels: ImageLabels = None,
    size: ImageSize = None,
    skip_damaged: SkipDamaged = False,
    seed: Seed = 0,
    prior: PriorPath = "default",
    contamination: Contamination = "auto",
) -> None:
    """Fit on a table, or a folder of images, and keep the detector."""
    read = _read(file, prior, _Asked(label_column, labels, size, skip_damaged))
    detector = _fit(read, contamination, seed)
    detector.save(out)
    found = _scored(detector, file, read, fitted=True)
    console = _console()
    for line in found.told():
        _say(console, line)
    _say(console, f"Kept in {out}; score new rows with: oddshot score {out} FILE")


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `oddshot fit` kept.")],
    file: File,
    *,
    skip_damaged: SkipDamaged = False,
    out: Out = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="PATH", help="Write an HTML page.")
    ] = None,
    top: Top = 10,
) -> None:
    """Score the rows of a table, or images, with a detector that was kept."""
    from oddshot.detectors.few_shot import FewShotDetector

    _check_outputs(file, out, report)
    detector = FewShotDetector.load(folder)
    read = _read(file, detector.prior, _Asked(skip_damaged=skip_damaged))
    _tell(
        _scored(detector, file, read, fitted=False),
        out=out,
        report=report,
        top=top,
    )


@app.command("meta-train")
def meta_train(
    tasks: Annotated[
        list[Path], typer.Argument(metavar="TASKS_DIR...", help="Folders of labelled tables.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the prior.")],
    learner: Annotated[
        str, typer.Option("--learner", help="gated, maml, fomaml, anil, meta_sgd or reptile.")
    ] = "maml",
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", metavar="NAME=JSON", help="A setting of the learner."),
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", min=2, help="Tasks to draw.")] = 2000,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Outer steps.")] = 2000,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Tasks a step.")] = 16,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="At the start.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Decoupled.")] = 1e-4,
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
        typer.Option("--holdout", metavar="NAME", help="Collection or family never to learn from."),
    ] = None,
    holdout_fold: Annotated[
        str | None,
        typer.Option("--holdout-fold", metavar="I/N", help="Leave out fold I of N of families."),
    ] = None,
    validation_fraction: Annotated[
        float, typer.Option("--validation-fraction", help="Families that choose the best step.")
    ] = 0.1,
    episode_store: Annotated[
        Path | None,
        typer.Option("--episode-store", metavar="DIR", help="Share mapped episodes between runs."),
    ] = None,
    jobs: Jobs = 1,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", min=1, metavar="STEPS", help="Save so often.")
    ] = 100,
    log_every: Annotated[
        int,
        typer.Option("--log-every", min=1, metavar="STEPS", help="Log and validate so often."),
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
    from oddshot.engines import leads
    from oddshot.meta_training import meta_train

    console = _console()
    try:
        with _stages() as report:
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
                checkpoint_every=checkpoint_every,
                log_every=log_every,
                tensorboard=tensorboard,
                devices=devices,
                nodes=nodes,
                accelerator=accelerator,
                precision=precision,
                progress=report,
            )
    except KeyboardInterrupt:
        typer.echo(f"oddshot: stopped; the same command goes on from {out}", err=True)
        raise typer.Exit(130) from None
    if not leads():
        return
    _say(console, f"{prior}")
    _say(console, f"Kept in {out}; use it with: oddshot detect FILE --prior {out}")


@app.command()
def bench(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Tables with labels.", envvar="ODDSHOT_DATA"),
    ] = None,
    *,
    protocol: Annotated[
        str, typer.Option("--protocol", help="few-label, one-class, or both with a comma.")
    ] = "few-label,one-class",
    k: Annotated[str, typer.Option("--k", help="Numbers of labelled anomalies.")] = "0,1,5,20",
    seeds: Annotated[str, typer.Option("--seeds", help="One split each.")] = "1,2,3",
    group: Annotated[
        str, typer.Option("--group", help="Detectors: default, a broad choice; deep, networks.")
    ] = "default",
    detectors: Annotated[
        str | None,
        typer.Option("--detectors", help="Names in place of a group; the others meet the first."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR")] = Path("runs/bench"),
    jobs: Jobs = 2,
    max_rows: Annotated[
        int, typer.Option("--max-rows", min=0, help="Sample larger tables to this size; 0: do not.")
    ] = 4000,
    prior: PriorPath = "default",
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Test also on what the prior was trained on.")
    ] = False,
    unseen_only: Annotated[
        bool, typer.Option("--unseen-only", help="Leave out tables that the prior was trained on.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N tables.")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--tables", min=1, metavar="N", help="Only N tables, chosen at random."),
    ] = None,
    table_seed: Annotated[int, typer.Option("--table-seed", min=0, help="Chooses the N.")] = 0,
    limit_s: Annotated[
        float | None,
        typer.Option("--limit-s", metavar="SECONDS", help="Break off a run that takes longer."),
    ] = None,
) -> None:
    """Compare detectors on a folder of labelled tables. Goes on where a run was stopped."""
    from oddshot.data.collections import load_collection
    from oddshot.evaluation.benchmarks import run_benchmark, sample_tables, summarise
    from oddshot.evaluation.peers import group_names
    from oddshot.priors import Prior
    from oddshot.reports.figures import draw_label_curves
    from oddshot.reports.tables import summary_as_markdown, summary_for_terminal
    from oddshot.reports.writing import write_file

    if folder is None:
        raise SettingError("no FOLDER of tables; give one, or set ODDSHOT_DATA to it")
    tables = load_collection(folder)
    if unseen_only:
        seen = Prior.find(prior).seen_families
        tables = [table for table in tables if table.family not in seen]
    if sample is not None:
        tables = sample_tables(tables, sample, seed=table_seed)
    peers = _names(detectors) if detectors is not None else group_names(group)
    with _progress("Running") as advance:
        results = run_benchmark(
            tables[:limit],
            out=out,
            protocols=_names(protocol),
            ks=_numbers("--k", k),
            seeds=_numbers("--seeds", seeds),
            peers=peers,
            prior=prior,
            allow_seen=allow_seen,
            jobs=jobs,
            max_rows=max_rows or None,
            limit_s=limit_s,
            progress=lambda done, total, _: advance(done, total),
        )
    summary = summarise(results, reference=peers[0])
    write_file(out / "summary.md", summary_as_markdown(summary))
    if ((results["protocol"] == "few-label") & (results["error"] == "")).any():
        draw_label_curves(results, out / "curves.png")
    console = _console()
    console.print(summary_for_terminal(summary))
    _say(console, f"Every run: {out / 'results.csv'}; this summary: {out / 'summary.md'}")


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Read NAME=JSON; what is no JSON is a word."""
    settings: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise SettingError(f"--setting is {text!r}; write NAME=VALUE, as in hidden=32")
        try:
            settings[name] = json.loads(value)
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


class _Asked(NamedTuple):
    """What options say about the reading of FILE; all but the first are for images."""

    label_column: str | None = None
    labels: str | None = None
    size: str | None = None
    skip_damaged: bool = False


class _Input(NamedTuple):
    """The user's table as it is, the rows to learn from, their labels, notes, and the prior."""

    frame: "pd.DataFrame"
    rows: "pd.DataFrame | Images"
    labels: "LabelArray | None"
    notes: tuple[str, ...]
    prior: "Prior | str | Path"


def _read(file: str, prior: "Prior | str | Path", asked: _Asked) -> _Input:
    import pandas as pd

    from oddshot.data.images import holds_images
    from oddshot.data.sources import LABEL_ARRAYS, read_table

    if holds_images(file):
        return _read_images(file, prior, asked)
    name = asked.label_column
    if asked != _Asked(name):
        raise SettingError(
            f"{file} holds no images, and --labels, --size and --skip-damaged are for these; "
            "--label-column names the labels of a table"
        )
    table = read_table(file)
    frame = table.rows if isinstance(table.rows, pd.DataFrame) else pd.DataFrame(table.rows)
    if name is None or (table.labels is not None and name in LABEL_ARRAYS):
        return _Input(frame, frame, table.labels, table.notes, prior)
    labelled = read_table(frame, label_column=name)
    return _Input(frame, pd.DataFrame(labelled.rows), labelled.labels, table.notes, prior)


def _read_images(file: str, prior: "Prior | str | Path", asked: _Asked) -> _Input:
    """Read images at the size and in the colours that the prior was trained for."""
    import pandas as pd

    from oddshot.data.images import read_images
    from oddshot.priors import Prior

    if asked.label_column is not None and asked.labels is None:
        raise SettingError(
            f"{file} holds images; --label-column names a column of the table given with --labels"
        )
    found = Prior.find("images" if prior == "default" else prior)
    if not found.settings.get("image"):
        raise SettingError(
            f"{file} holds images, but the prior reads tables; leave --prior out, or give the "
            "folder of a prior for images"
        )
    images = read_images(
        file,
        size=found.settings["image"] if asked.size is None else _size(asked.size),
        grey=found.settings["shape"]["channels"] == 1,
        skip_damaged=asked.skip_damaged,
        labels=asked.labels,
        label_column=asked.label_column,
    )
    names = pd.DataFrame({"file": images.names})
    return _Input(names, images, images.labels, images.notes, found)


def _size(given: str) -> tuple[int, int]:
    height, _, width = given.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise SettingError(f"--size is {given!r}; write HEIGHTxWIDTH, as in 28x28")
    return int(height), int(width)


def _fit(read: _Input, contamination: str, seed: int) -> "FewShotDetector":
    from oddshot.detectors.few_shot import FewShotDetector

    share: str | float = "auto"
    if contamination != "auto":
        try:
            share = float(contamination)
        except ValueError:
            raise SettingError(
                f"--contamination {contamination!r}; give 'auto' or a share such as 0.02"
            ) from None
    detector = FewShotDetector(prior=read.prior, contamination=share, random_state=seed)
    return detector.fit(read.rows, read.labels)


def _scored(detector: "FewShotDetector", file: str, read: _Input, *, fitted: bool) -> "Detection":
    """Score the table; ``fitted``: whether the detector has just learned from it."""
    import numpy as np

    from oddshot.reports.detection import scored

    given = np.full(len(read.frame), -1, dtype=np.int8) if read.labels is None else read.labels
    return scored(
        read.frame,
        detector.anomaly_score(read.rows),
        float(detector.threshold_),
        source="standard input" if file == "-" else file,
        columns=detector.column_report_,
        labels=given if fitted else None,
        notes=read.notes,
    )


def _tell(found: "Detection", *, out: Path | None, report: Path | None, top: int) -> None:
    """Say what was found, and write what was asked for."""
    from oddshot.data.sources import write_table
    from oddshot.reports.page import detection_page
    from oddshot.reports.writing import write_file

    console = _console()
    for line in found.told():
        _say(console, line)
    if out is not None:
        write_table(found.rows, out)
        _say(
            console,
            f"Wrote {out}; new columns: '{found.score}', '{found.verdict}', '{found.rank}'.",
        )
    else:
        console.print(_top_rows(found, top, most=max(5, console.width // 17)))
    if report is not None:
        write_file(report, detection_page(found))
        _say(console, f"Wrote {report}.")


def _top_rows(found: "Detection", number: int, *, most: int) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from oddshot.reports.page import text_of

    rows = found.top(number)
    hidden = max(rows.shape[1] - most, 0)
    table = Table(
        title=f"The {len(rows)} oddest {found.things}",
        title_justify="left",
        caption=f"{hidden} more columns; --out writes them all" if hidden else None,
        caption_justify="left",
    )
    for position, name in enumerate(rows.columns[:most]):
        least = len(str(name)) if position < 3 else None  # rank, score and verdict stay whole
        table.add_column(
            escape(str(name)), overflow="ellipsis", no_wrap=True, max_width=24, min_width=least
        )
    for row in rows.itertuples(index=False, name=None):
        table.add_row(*(escape(text_of(value)) for value in row[:most]))
    return table


def _tell_demo(console: "Console", found: "Demonstration", *, seen: bool) -> None:
    from rich.table import Table

    from oddshot.evaluation.demonstration import LABELS, OWN

    rows, anomalies = len(found.table.rows), found.anomalies
    splits = found.runs["split"].nunique()
    console.print(
        f"Real data: {rows} breast tumours from scikit-learn's copy of the Wisconsin data, "
        f"{found.table.rows.shape[1]} measurements each. {anomalies} are malignant; benign ones "
        f"are the normal case here. The prior has {'SEEN' if seen else 'never seen'} this table.\n"
        f"In each of {splits} splits a detector learns from 70% of the rows and ranks the other "
        "30%. It is told the labels of 0, 5 or 20 malignant tumours and of nothing else.\n"
    )
    table = Table(title="Held-out rows, mean of all splits", title_justify="left")
    for name in ("detector", "labels", "AUROC", "average precision", "malignant among the first n"):
        table.add_column(name, justify="left" if name == "detector" else "right")
    for name, k in [*((name, 0) for name in found.plain), *((OWN, k) for k in LABELS)]:
        table.add_row(
            name,
            str(k),
            f"{found.mean(name, k, 'auroc'):.3f}",
            f"{found.mean(name, k, 'ap'):.3f}",
            f"{found.mean(name, k, 'found'):.0%}",
            style="bold" if name == OWN else "",
        )
    console.print(table)
    console.print("(n = number of malignant tumours among the held-out rows)\n")
    best = found.plain[0]
    console.print(f"Against the best of the three on average ({best}):")
    for k in LABELS:
        gains = [found.mean(OWN, k, m) - found.mean(best, 0, m) for m in ("auroc", "ap")]
        console.print(f"  {k:>2} labels: AUROC {gains[0]:+.3f}, average precision {gains[1]:+.3f}")
    console.print()
    for k in (LABELS[0], LABELS[-1]):
        column = f"anomaly_score_{k}_labels"
        first = found.scored.sort_values(column, ascending=False).head(10)
        marks = " ".join("malignant" if odd else "benign" for odd in first["malignant"])
        console.print(f"First split, the ten oddest held-out rows with {k} labels: {marks}")
    console.print()


def _say(console: "Console", line: str) -> None:
    """Print a line as it is: nothing in it is markup, and no path in it is cut."""
    console.print(line, markup=False, soft_wrap=True)


def _console() -> "Console":
    """Return a console on standard output: no colour and no narrow lines where it is piped."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error where that is a terminal, nothing elsewhere."""
    with _stages() as report:
        yield lambda done, total: report(what, done, total, {})


class _Report(Protocol):
    def __call__(self, stage: str, done: int, total: int, info: dict[str, Any]) -> None: ...


@contextmanager
def _stages() -> Iterator[_Report]:
    """Show one bar per stage on standard error, with the figures that come along."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, Any] = {}
    latest: dict[str, Any] = {}  # a figure that comes seldom stays until the next

    def report(stage: str, done: int, total: int, info: dict[str, Any]) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage.capitalize(), total=total, figures="")
            latest.clear()
        latest.update(info)
        figures = "  ".join(
            f"{name.replace('_', ' ')} {value:.4g}"
            for name, value in latest.items()
            if isinstance(value, int | float)
        )
        bars.update(tasks[stage], completed=done, total=total, figures=figures)

    with bars:
        yield report


def _check_outputs(file: str, out: Path | None, report: Path | None) -> None:
    """Refuse what cannot be written, or would overwrite what is read, before any work is done."""
    from oddshot.data.sources import FORMATS, WRITERS, table_suffix

    for option, path in (("--out", out), ("--report", report)):
        if path is None:
            continue
        if file != "-" and path.exists() and Path(file).exists() and path.samefile(file):
            raise SettingError(f"{option} {path} is the file that is read; choose another name")
        if path.is_dir():
            raise SettingError(f"{option} {path} is a folder; give the name of a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(
                f"{option} {path}: its folder cannot be made ({error.strerror}); choose another"
            ) from error
    if out is not None and FORMATS.get(table_suffix(out)) not in WRITERS:
        raise SettingError(f"--out {out}: give a name that ends in .csv, .tsv, .jsonl or .parquet")
    if out is not None and report is not None and out.resolve() == report.resolve():
        raise SettingError(f"--out and --report are both {out}; choose two names")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(name) for name in _names(text)]
    except ValueError:
        raise SettingError(f"{option} {text!r}; give whole numbers with commas, as 1,2,3") from None
