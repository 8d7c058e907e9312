"""``oddshot detect | fit | score``."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddshot.cli.console import console_of_stdout, progress_bar, say
from oddshot.cli.inputs import (
    Asked,
    Input,
    column_of_labels,
    fitted,
    naming,
    read_input,
    scored_rows,
    with_hint_at_labels,
)
from oddshot.cli.long_tables import long_table, score_beside
from oddshot.cli.options import (
    Alpha,
    Budget,
    Calibrate,
    Category,
    Contamination,
    Fdr,
    File,
    GroupColumn,
    IdColumn,
    ImageSize,
    Labels,
    LabelTable,
    LeaveOut,
    Out,
    PriorOfTablesOrImages,
    Quality,
    Reasons,
    Seed,
    SkipDamaged,
    Threshold,
    Top,
)
from oddshot.cli.outputs import check_outputs, write_beside
from oddshot.cli.thresholds import Promise
from oddshot.cli.unlike_fit import UnlikeFit
from oddshot.errors import SettingError
from oddshot.wording import counted

if TYPE_CHECKING:
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.reports.detection import Detection

EXPLAINED_AT_ONCE = 50
WHOLE = 3  # columns shown that are not cut: row, score, verdict
NARROWEST, WIDEST, BORDER = 4, 24, 3  # letters of the others; between two columns
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # so a cell begins that a spreadsheet would compute


def detect(
    file: File,
    *,
    label_column: Labels = None,
    leave_out: LeaveOut = None,
    category: Category = None,
    labels: LabelTable = None,
    id_column: IdColumn = None,
    size: ImageSize = None,
    skip_damaged: SkipDamaged = False,
    out: Out = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="PATH", help="Write an HTML page.")
    ] = None,
    seed: Seed = 0,
    prior: PriorOfTablesOrImages = "default",
    contamination: Contamination = "auto",
    alpha: Alpha = None,
    fdr: Fdr = None,
    budget: Budget = None,
    threshold: Threshold = None,
    calibrate: Calibrate = None,
    group_column: GroupColumn = None,
    quality: Quality = "standard",
    reasons: Reasons = 0,
    top: Top = 10,
) -> None:
    """Fit on a table, or a folder of images, and score its own rows."""
    check_outputs(file, out, report)
    check_reasons(reasons, file, out)
    promise = Promise(
        alpha=alpha,
        fdr=fdr,
        budget=budget,
        calibrate=calibrate,
        group_column=group_column,
        threshold=threshold,
    )
    promise.check(contamination=contamination, keeps=False)
    asked = Asked(
        label_column=label_column,
        leave_out=tuple(leave_out or ()),
        group_column=group_column,
        labels=labels,
        size=size,
        skip_damaged=skip_damaged,
        id_column=id_column,
        category=tuple(category or ()),
    )
    whole = report is not None or reasons > 0 or promise != Promise()
    table = None if whole or out is None else long_table(file, out)
    if table is not None and out is not None:
        read = with_hint_at_labels(table.sample(prior, asked, seed), labels)
        score_beside(fitted(read, contamination, seed, quality), table, out, read, asked)
        return
    read = with_hint_at_labels(read_input(file, prior, asked), labels)
    detector = fitted(read, contamination, seed, quality)
    read = read._replace(notes=read.notes + promise.keep(detector, read, column_of_labels(asked)))
    found = scored_rows(detector, file, read, fitted=True)
    found = promise.add_p_values(found, detector, read.rows)
    found = with_reasons(found, detector, read, reasons)
    left_out = [name for name in (*(leave_out or ()), group_column) if name]
    given = [
        *_given("--seed", str(seed) if seed else None),
        *_given("--prior", prior if prior != "default" else None),
        *(word for name in left_out for word in ("--leave-out", name)),
        *(word for name in category or () for word in ("--category", name)),
    ]
    found = replace(found, options=tuple(given))
    again = None
    if quality == "standard" and labels is None:  # explain fits no other
        share = contamination if contamination != "auto" else None
        options = (*_given("--label-column", label_column), *_given("--contamination", share))
        again = [file, *options, *given]
    _tell(found, detector, read, again, out=out, report=report, top=top)


def fit(
    file: File,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the detector.")],
    label_column: Labels = None,
    leave_out: LeaveOut = None,
    category: Category = None,
    labels: LabelTable = None,
    id_column: IdColumn = None,
    size: ImageSize = None,
    skip_damaged: SkipDamaged = False,
    seed: Seed = 0,
    prior: PriorOfTablesOrImages = "default",
    contamination: Contamination = "auto",
    alpha: Alpha = None,
    fdr: Fdr = None,
    budget: Budget = None,
    threshold: Threshold = None,
    calibrate: Calibrate = None,
    group_column: GroupColumn = None,
    quality: Quality = "standard",
) -> None:
    """Fit on a table, or a folder of images, and keep the detector.

    DIR then holds up to 4,096 rows of FILE, and known anomalies, as they are there: also columns
    that are left out as identifiers and the like. --leave-out keeps a column out of DIR, too.
    """
    from oddshot.persistence import is_saved

    promise = Promise(
        alpha=alpha,
        fdr=fdr,
        budget=budget,
        calibrate=calibrate,
        group_column=group_column,
        threshold=threshold,
    )
    promise.check(contamination=contamination)
    asked = Asked(
        label_column=label_column,
        leave_out=tuple(leave_out or ()),
        group_column=group_column,
        labels=labels,
        size=size,
        skip_damaged=skip_damaged,
        id_column=id_column,
        category=tuple(category or ()),
    )
    table = long_table(file)
    read = read_input(file, prior, asked) if table is None else table.sample(prior, asked, seed)
    read = with_hint_at_labels(read, labels)
    detector = fitted(read, contamination, seed, quality)
    read = read._replace(notes=read.notes + promise.keep(detector, read, column_of_labels(asked)))
    replaced = is_saved(out)
    detector.save(out)
    found = scored_rows(detector, file, read, fitted=True)
    console = console_of_stdout()
    for line in found.told():
        say(console, line)
    if replaced:
        say(console, f"Replaced the detector that was in {out}.")
    say(console, f"Kept in {out}; score new rows with: oddshot score {out} FILE")


def score(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `oddshot fit` kept.")],
    file: File,
    *,
    skip_damaged: SkipDamaged = False,
    out: Out = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="PATH", help="Write an HTML page.")
    ] = None,
    alpha: Alpha = None,
    fdr: Fdr = None,
    budget: Budget = None,
    threshold: Threshold = None,
    calibrate: Calibrate = None,
    group_column: GroupColumn = None,
    reasons: Reasons = 0,
    top: Top = 10,
) -> None:
    """Score the rows of a table, or images, with a detector that was kept."""
    from oddshot.detectors.few_shot import FewShotDetector

    check_outputs(file, out, report)
    check_reasons(reasons, file, out)
    promise = Promise(
        alpha=alpha,
        fdr=fdr,
        budget=budget,
        calibrate=calibrate,
        group_column=group_column,
        threshold=threshold,
    )
    promise.check()
    if group_column is not None and calibrate in ("cross", "split"):
        raise SettingError(
            f"--calibrate {calibrate} holds out rows that {folder} was fitted on, and FILE does "
            f"not say their groups; give --group-column {group_column} to oddshot fit"
        )
    detector = FewShotDetector.load(folder, n_jobs=-1)
    whole = report is not None or reasons > 0 or promise != Promise()
    table = None if whole or out is None else long_table(file, out)
    if table is not None and out is not None:
        score_beside(detector, table, out)
        return
    read = read_input(file, detector.prior, Asked(skip_damaged=skip_damaged))
    with naming(file):
        read = read._replace(notes=read.notes + promise.keep(detector, read))
    found = scored_rows(detector, file, read, fitted=False)
    if found.columns:
        unlike = UnlikeFit(detector)
        unlike.look_at(read.frame)
        found = replace(found, notes=(*found.notes, *unlike.told(found.flagged)))
    found = promise.add_p_values(found, detector, read.rows)
    found = with_reasons(found, detector, read, reasons)
    _tell(found, detector, read, [str(folder), file], out=out, report=report, top=top)


def _given(option: str, value: str | None) -> tuple[str, ...]:
    """Words of a command: an option where it has a value."""
    return (option, value) if value else ()


def _tell(
    found: "Detection",
    detector: "FewShotDetector",
    read: Input,
    again: list[str] | None,
    *,
    out: Path | None,
    report: Path | None,
    top: int,
) -> None:
    """Write what was asked for, then say what was found.

    ``again`` is what `oddshot explain` has to be given to come to the same scores; ``None`` where
    nothing does.
    """
    from oddshot.data.streams import Held

    written = []
    if out is not None:
        added = found.rows.iloc[:, found.own :]
        write_beside(read.source, read.frame, added, out)
        written.append(f"Wrote {out}; new columns: {', '.join(map(repr, added))}.")
    if report is not None:
        from oddshot.reports.gathering import gathered
        from oddshot.reports.page import detection_page
        from oddshot.reports.writing import write_file

        write_file(report, detection_page(found, gathered(detector, read.rows, found)))
        written.append(f"Wrote {report}.")
    console = console_of_stdout()
    for line in found.told():
        say(console, line)
    if out is None:
        console.print(_top_rows(found, top, width=console.width, decimal=read.decimal))
        if found.columns and again is not None and not isinstance(read.source, Held):
            rows = ",".join(map(str, found.order[:2]))
            say(console, f"Why: {shlex.join(['oddshot', 'explain', *again, '--rows', rows])}")
    for line in written:
        say(console, line)


def check_reasons(number: int, file: str, out: Path | None) -> None:
    """Refuse to give reasons where there is no column for them."""
    from oddshot.data.images import holds_images

    if number and out is None:
        raise SettingError(
            f"--reasons {number} writes a column; give --out as well, or use oddshot explain"
        )
    if number and holds_images(file):
        raise SettingError(f"{file} holds images, which have no columns; leave --reasons out")


def with_reasons(
    found: "Detection", detector: "FewShotDetector", read: Input, number: int
) -> "Detection":
    """Say in a new column why the ``number`` oddest rows are odd."""
    import pandas as pd

    from oddshot.detectors.explanations.words import reasons
    from oddshot.reports.detection import REASONS

    if not number:
        return found
    assert isinstance(read.rows, pd.DataFrame)
    places = found.order[:number]
    told = [""] * len(found.rows)
    with progress_bar("explained") as report:
        for start in range(0, len(places), EXPLAINED_AT_ONCE):
            block = places[start : start + EXPLAINED_AT_ONCE]
            for place, row in zip(
                block, detector.explain(read.rows.iloc[block], changes=False), strict=True
            ):
                text = " ".join(reasons(row, decimal=read.decimal))
                told[place] = f"column {text}" if text.startswith(FORMULA) else text
            report(start + len(block), len(places))
    return found.with_column(REASONS, told, f"why the {len(places):,} oddest rows are odd")


def _top_rows(found: "Detection", number: int, *, width: int, decimal: str) -> Any:
    from rich.cells import cell_len
    from rich.markup import escape
    from rich.table import Table

    from oddshot.reports.page_cells import text_of

    short = {found.score: "score", found.verdict: "anomaly"}
    rows = found.top(number).drop(columns=found.rank).rename(columns=short).copy()  # in one piece
    rows.insert(0, "row", found.order[: len(rows)])
    most = max(5, width // 13)
    hidden = max(rows.shape[1] - most, 0)
    table = Table(
        title=f"The {len(rows)} oddest {found.things}" if len(rows) > 1 else "The oddest one",
        title_justify="left",
        caption=f"{counted(hidden, 'more columns')}; --out writes all" if hidden else None,
        caption_justify="left",
    )
    cells = [
        [
            text_of(value).replace(".", decimal) if isinstance(value, float) else text_of(value)
            for value in row[:most]
        ]
        for row in rows.itertuples(index=False)
    ]
    names = list(map(str, rows.columns[:most]))
    longest = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    for name, wide in zip(names, _widths(longest, room=width - 1), strict=True):
        table.add_column(
            escape(name), overflow="ellipsis", no_wrap=True, max_width=wide, min_width=wide
        )
    for row in cells:
        table.add_row(*map(escape, row))
    return table


def _widths(longest: list[int], *, room: int) -> list[int]:
    """Cut the widest columns until all have room; row, score and verdict stay whole.

    >>> _widths([3, 6, 7, 30, 9, 20], room=73)
    [3, 6, 7, 15, 9, 15]
    """
    widths = [*longest[:WHOLE], *(min(wide, WIDEST) for wide in longest[WHOLE:])]
    while sum(widths) + BORDER * len(widths) > room and max(widths[WHOLE:], default=0) > NARROWEST:
        widths[widths.index(max(widths[WHOLE:]), WHOLE)] -= 1
    return widths
