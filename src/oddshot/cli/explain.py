"""``oddshot explain``."""

from pathlib import Path
from typing import Annotated

import typer

from oddshot.cli.console import console_of_stdout, say
from oddshot.cli.inputs import Asked, fitted, naming, read_input, with_hint_at_labels
from oddshot.cli.options import (
    Category,
    Contamination,
    Labels,
    LeaveOut,
    PriorPath,
    Seed,
    check_not_for_fitting,
    numbers_of,
)
from oddshot.cli.outputs import check_outputs
from oddshot.errors import SettingError

NOT_FOR_FITTING = ("rows", "top", "columns", "changes", "fixed", "out")


def explain(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="[DIR] FILE", help="A table; before it, what `oddshot fit` kept."),
    ],
    *,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows", metavar="I,J,...", help="Rows to explain, counted from 0; else the oddest."
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", min=1, metavar="N", help="Without --rows: the N oddest rows.")
    ] = 10,
    columns: Annotated[
        int, typer.Option("--columns", min=1, metavar="N", help="Name at most N columns a row.")
    ] = 3,
    changes: Annotated[
        bool, typer.Option(help="Look for the smallest change that makes a row normal.")
    ] = True,
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--fixed",
            metavar="NAME",
            help="Column that such a change leaves alone, as an age; repeat it for more.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="Write all contributions (CSV, Parquet, ...)."),
    ] = None,
    label_column: Labels = None,
    leave_out: LeaveOut = None,
    category: Category = None,
    seed: Seed = 0,
    prior: PriorPath = "default",
    contamination: Contamination = "auto",
) -> None:
    """Say why rows are odd: which columns, compared with what, what would make them normal.

    With FILE alone, the detector is fitted on it first, and the last six options are for that.
    """
    import numpy as np
    import pandas as pd

    from oddshot.data.images import holds_images
    from oddshot.data.sources import write_table
    from oddshot.detectors.explanations.words import told
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.persistence import is_saved
    from oddshot.reports.explanation import as_text

    *kept, table = paths
    if is_saved(table):
        raise SettingError(f"{table} is what `oddshot fit` kept; give FILE behind it")
    check_outputs(table, out, None)
    if holds_images(table):
        raise SettingError(f"{table} holds images, which have no columns; explain takes tables")
    if not kept:
        asked = Asked(
            label_column=label_column,
            leave_out=tuple(leave_out or ()),
            category=tuple(category or ()),
        )
        read = with_hint_at_labels(read_input(table, prior, asked))
        detector = fitted(read, contamination, seed)
    elif len(kept) > 1:
        raise SettingError(f"{len(paths)} paths are given; give FILE, or DIR and FILE")
    else:
        check_not_for_fitting(context, kept[0], NOT_FOR_FITTING)
        detector = FewShotDetector.load(kept[0], n_jobs=-1)
        read = read_input(table, detector.prior, Asked())
    assert isinstance(read.rows, pd.DataFrame)
    with naming(table):
        if rows is None:
            chosen = np.argsort(-detector.anomaly_score(read.rows), kind="stable")[:top].tolist()
        else:
            chosen = _numbered(rows, table, len(read.frame))
        found = detector.explain(read.rows.iloc[chosen], changes=changes, fixed=fixed or ())
    console = console_of_stdout()
    for note in read.notes:
        say(console, note)
    for row in found:
        first, *others = told(row, top=columns, sought=changes, decimal=read.decimal)
        say(console, first, *(f"  {line}" for line in others))
    if out is not None:
        write_table(as_text(found), out)
        say(console, f"Wrote {out}: a line for each row and column.")


def _numbered(text: str, file: str, count: int) -> list[int]:
    """Read the numbers of rows, counted from 0."""
    numbers = numbers_of("--rows", text)
    beyond = [number for number in numbers if not 0 <= number < count]
    if beyond or not numbers:
        named = f"names row {beyond[0]}" if beyond else "names no row"
        raise SettingError(f"--rows {text!r} {named}; {file} has rows 0 to {count - 1}")
    return numbers
