"""Options that several commands take."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from oddshot.errors import SettingError

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
LeaveOut = Annotated[
    list[str] | None,
    typer.Option(
        "--leave-out",
        metavar="NAME",
        help="Column not to learn from, such as a customer number; repeat it for more.",
    ),
]
Category = Annotated[
    list[str] | None,
    typer.Option(
        "--category",
        metavar="NAME",
        help="Column whose numbers are names, such as a merchant's code; repeat it for more.",
    ),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        metavar="NAME",
        help="With --calibrate: rows alike here, as of one customer, are held out together and "
        "count as one. It is not learned from.",
    ),
]
LabelTable = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="TABLE",
        help="A table of ids and labels, or of the ids of anomalies alone. Images: of file names "
        "and labels; else folders (good, defect) tell.",
    ),
]
IdColumn = Annotated[
    str | None,
    typer.Option(
        "--id-column",
        metavar="NAME",
        help="With --labels: the column of ids, which both tables have.",
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
    str,
    typer.Option(
        "--prior",
        metavar="PATH",
        help="Folder of a prior of your own, or 'default', the shipped one.",
    ),
]
PriorOfTablesOrImages = Annotated[
    str,
    typer.Option(
        "--prior",
        metavar="PATH",
        help="Folder of a prior of your own, or a shipped one: 'default' for tables, 'images' "
        "for images.",
    ),
]
Contamination = Annotated[
    str,
    typer.Option(
        "--contamination",
        metavar="X",
        help="Share of rows to flag, above 0 and up to 0.5; 'auto' goes by the scores.",
    ),
]
Alpha = Annotated[
    float | None,
    typer.Option(
        "--alpha", metavar="X", help="Threshold: the share of normal rows that may be above it."
    ),
]
Fdr = Annotated[
    float | None,
    typer.Option(
        "--fdr", metavar="X", help="Threshold: the share of FILE's flagged rows that may be normal."
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget", metavar="N[/M]", help="Threshold: flag N rows of FILE, or N of every M rows."
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", metavar="X", help="Threshold: flag rows that score above X."),
]
Calibrate = Annotated[
    str | None,
    typer.Option(
        "--calibrate",
        metavar="HOW",
        help="What --alpha and --fdr rest on: cross or split (refits), or a FILE of other rows.",
    ),
]
Quality = Annotated[
    str,
    typer.Option(
        "--quality",
        metavar="LEVEL",
        help="'standard', or 'fast': compare with fewer rows, see docs/speed.md.",
    ),
]
Top = Annotated[
    int, typer.Option("--top", min=1, metavar="N", help="Rows to show where no --out is given.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="PATH", help="Write every row with its score (CSV, Parquet, ...)."
    ),
]
Reasons = Annotated[
    int,
    typer.Option(
        "--reasons",
        min=0,
        metavar="N",
        help="With --out: say in a column why the N oddest rows are odd.",
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes, one thread each.")]


def check_not_for_fitting(context: typer.Context, folder: str, besides: Collection[str]) -> None:
    """Refuse options that a detector which was fitted before cannot follow any more.

    Parameters
    ----------
    context
        The command's.
    folder
        What `oddshot fit` kept, as the user calls it.
    besides
        Names of the parameters that are not for fitting.

    Raises
    ------
    SettingError
        If another option has another value than by default.
    """
    given = [
        option.opts[0]
        for option in context.command.params
        if option.param_type_name == "option"
        and option.name is not None
        and option.name not in besides
        and was_given(context, option.name)
        and context.params[option.name] != option.get_default(context)
    ]
    if given:
        are, them = ("are", "them") if len(given) > 1 else ("is", "it")
        raise SettingError(
            f"{folder} is a detector that was fitted before: {' and '.join(given)} {are} for "
            f"fitting; leave {them} out, or leave out {folder}"
        )


def was_given(context: typer.Context, parameter: str) -> bool:
    """Tell whether an option stands on the command line, by the name of its parameter."""
    return getattr(context.get_parameter_source(parameter), "name", "") == "COMMANDLINE"


def names_of(text: str) -> list[str]:
    """Split names with commas between."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers_of(option: str, text: str) -> list[int]:
    """Split whole numbers with commas between; ``option`` is named where they are none."""
    try:
        return [int(name) for name in names_of(text)]
    except ValueError:
        raise SettingError(f"{option} {text!r}; give whole numbers with commas, as 1,2,3") from None
