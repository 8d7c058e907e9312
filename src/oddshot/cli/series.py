"""``oddshot series``: odd stretches of readings that follow each other in time."""

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddshot.cli.console import console_of_stdout, say
from oddshot.cli.inputs import (
    Asked,
    Input,
    naming,
    read_input,
    scored_rows,
    share_of,
    with_hint_at_labels,
)
from oddshot.cli.options import (
    Alpha,
    Contamination,
    Labels,
    LeaveOut,
    Out,
    PriorPath,
    Seed,
    Threshold,
    check_not_for_fitting,
)
from oddshot.cli.outputs import check_outputs, check_picture, write_beside
from oddshot.cli.thresholds import Promise
from oddshot.cli.unlike_fit import UnlikeFit
from oddshot.errors import CellError, DataError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oddshot.detectors.explanations.explanation import Explanation
    from oddshot.detectors.series import SeriesDetector, Stretch
    from oddshot.episodes import LabelArray
    from oddshot.reports.detection import Detection

STRETCH = "anomaly_stretch"
EXPLAINED = 10  # stretches whose reasons choose what is drawn
NAMED = 2  # columns of windows that are named as the reason of a stretch
NOT_FOR_FITTING = ("alpha", "budget", "threshold", "out", "plot", "top")
REFIT = "if what is read has changed for good, fit again on such readings"


def series(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[DIR] FILE...",
            help="Readings, one a row, of one series; before them, what was kept.",
        ),
    ],
    *,
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            min=2,
            metavar="N",
            help="Readings of a window: about as many as what you look for lasts.",
        ),
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option("--time-column", metavar="NAME", help="Column that puts readings in order."),
    ] = None,
    period: Annotated[
        str,
        typer.Option(
            "--period",
            metavar="P",
            help="Length of a season, as 1D or a number; 'auto' looks for one, 'none' does not.",
        ),
    ] = "auto",
    label_column: Labels = None,
    leave_out: LeaveOut = None,
    normal: Annotated[
        int,
        typer.Option(
            "--normal", min=0, metavar="N", help="Learn from the first N alone: they are normal."
        ),
    ] = 0,
    contamination: Contamination = "auto",
    alpha: Alpha = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="N[/M]",
            help="Threshold: at most N odd stretches in FILE, or N in every M readings.",
        ),
    ] = None,
    threshold: Threshold = None,
    out: Out = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep the detector, for later readings."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PATH", help="Draw what was found (PNG).")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Stretches to show.")] = 10,
    seed: Seed = 0,
    prior: PriorPath = "default",
) -> None:
    """Find the odd stretches of a series of readings, and say what is odd about them.

    Several FILEs are one series, in order of time where --time-column says it, else as given.

    With DIR, the detector that --keep kept judges the readings; options are then --alpha, --budget,
    --threshold, --out, --plot and --top.
    """
    import pandas as pd

    from oddshot.data.images import holds_images
    from oddshot.detectors.series import SeriesDetector

    kept, files = _divided(paths)
    for file in files:
        check_outputs(file, out, None)
        if plot is not None:
            check_picture("--plot", file, plot)
        if holds_images(file):
            raise SettingError(f"{file} holds images; series takes a table of readings")
    promise = Promise(alpha=alpha, budget=budget, threshold=threshold)
    promise.check(contamination=contamination)
    if kept:
        check_not_for_fitting(context, kept[0], NOT_FOR_FITTING)
    elif window is None:
        raise SettingError("give --window: about how many readings what you look for lasts")
    asked = Asked(label_column=label_column, leave_out=tuple(leave_out or ()))
    reads = [read_input(file, prior, asked) for file in files]
    read, parts = _together(files, reads), [*zip(files, (len(r.frame) for r in reads), strict=True)]
    rows = read.rows
    assert isinstance(rows, pd.DataFrame)
    if not kept:
        read = with_hint_at_labels(read)
    read = read._replace(labels=_labels(read, normal))
    if kept:
        detector = SeriesDetector.load(kept[0], n_jobs=-1)
    else:
        detector = SeriesDetector(
            window=window or 0,
            time=time_column,
            period=_period(period),
            prior=prior,
            contamination=share_of(contamination),
            random_state=seed,
            n_jobs=-1,
        )
        taught = slice(normal or None)
        if normal:
            learned = f"Learned from the first {normal:,} of {len(rows):,} readings."
            read = read._replace(notes=(*read.notes, learned))
        with _naming(parts):
            detector.fit(rows[taught], None if read.labels is None else read.labels[taught])
    with _naming(parts):
        read = read._replace(notes=read.notes + promise.keep(detector, read))
    if keep is not None:
        detector.save(keep)
    _tell(detector, read, parts, fitted=not kept, out=out, plot=plot, top=top)
    if keep is not None:
        told = f"Kept in {keep}; judge later readings with: oddshot series {keep} FILE"
        say(console_of_stdout(), told)


def _tell(
    detector: "SeriesDetector",
    read: Input,
    parts: "Sequence[tuple[str, int]]",
    *,
    fitted: bool,
    out: Path | None,
    plot: Path | None,
    top: int,
) -> None:
    """Write what was asked for, then say what was found."""
    import pandas as pd

    assert isinstance(read.rows, pd.DataFrame)
    with _naming(parts):
        judged = detector._judged(read.rows)
    found = scored_rows(detector, _called(parts), read, fitted=fitted, scores=judged.scores)
    if not fitted:
        unlike = UnlikeFit(detector, remedy=REFIT, together=detector.window)
        unlike.look_at(read.rows)
        found = replace(found, notes=(*found.notes, *unlike.told(found.flagged)))
    stretches = detector._stretches(judged)
    called = found.rows[found.verdict].to_numpy(dtype=bool)  # labels go before scores
    stretches = [stretch for stretch in stretches if called[stretch.places].any()]
    found = _numbered(found, stretches)
    peaks = [stretch.peak for stretch in stretches[: max(top, EXPLAINED)]]
    reasons = list(detector._explained(judged, peaks)) if peaks else []
    written = []
    if out is not None:
        write_beside(read.source, read.frame, found.rows.iloc[:, found.own :], out)
        new = ", ".join(map(repr, found.rows.columns[found.own :]))
        written.append(f"Wrote {out}; new columns: {new}.")
    if plot is not None:
        from oddshot.reports.series_figure import draw_series

        draw_series(
            detector,
            read.rows,
            stretches,
            plot,
            windows=judged.windows,
            scores=found.scores,
            reasons=reasons[:EXPLAINED],
        )
        written.append(f"Wrote {plot}.")
    console = console_of_stdout()
    for line in [*found.told(), *_on_windows(detector)]:
        say(console, line)
    console.print(_table(detector, read, stretches, reasons[:top]))
    for line in written:
        say(console, line)


def _divided(paths: list[str]) -> tuple[list[str], list[str]]:
    """Tell what was kept, if that is given, from the files."""
    first = int(len(paths) > 1 and not _is_file(paths[0]))
    return paths[:first], paths[first:]


def _is_file(path: str) -> bool:
    return os.path.exists(path) and not os.path.isdir(path)


def _together(files: list[str], reads: list[Input]) -> Input:
    """Put the readings of several files below each other; all must have the same columns."""
    import numpy as np
    import pandas as pd

    first, *others = reads
    if not others:
        return first
    names = [*map(str, first.frame)]
    for file, read in zip(files[1:], others, strict=True):
        different = {*map(str, read.frame)} ^ {*names}
        if different:
            told = ", ".join(map(repr, sorted(different)[:5]))
            raise DataError(
                f"{files[0]} and {file} differ in their columns ({told}); give files of one "
                "series, which have the same"
            )
    labels = None
    if any(read.labels is not None for read in reads):
        known = [np.full(len(r.frame), -1) if r.labels is None else r.labels for r in reads]
        labels = np.concatenate(known).astype(np.int8)
    rows = [read.rows for read in reads if isinstance(read.rows, pd.DataFrame)]
    return first._replace(
        frame=pd.concat([read.frame for read in reads], ignore_index=True),
        rows=pd.concat(rows, ignore_index=True),
        labels=labels,
        notes=tuple(dict.fromkeys(note for read in reads for note in read.notes)),
        source=None,
    )


def _called(parts: "Sequence[tuple[str, int]]") -> str:
    """Name the files of a series, with how many readings each has."""
    (first, _), *others = parts
    return f"{first} to {others[-1][0]} ({len(parts)} files)" if others else first


@contextmanager
def _naming(parts: "Sequence[tuple[str, int]]") -> "Iterator[None]":
    """Say of readings that cannot be used in which of the files they are, and in which row."""
    import numpy as np

    try:
        with naming(_called(parts)):
            yield
    except DataError as error:
        cell = error.__cause__
        if len(parts) == 1 or not isinstance(cell, CellError) or cell.row is None:
            raise
        starts = np.cumsum([0, *(rows for _, rows in parts)])
        place = int(np.searchsorted(starts, cell.row, side="right") - 1)
        with naming(parts[place][0]):
            raise cell.below(-int(starts[place])) from error


def _numbered(found: "Detection", stretches: "list[Stretch]") -> "Detection":
    """Put beside the scores the number of the stretch that each reading lies in."""
    import numpy as np

    number = np.zeros(len(found.rows), dtype=np.int64)
    for place, stretch in enumerate(stretches, 1):
        number[stretch.places] = place
    what = "which stretch a reading lies in, the oddest is 1, none 0"
    return found.with_column(STRETCH, number, what)


def _labels(read: Input, normal: int) -> "LabelArray | None":
    """Labels of the readings; the first ``normal`` of them are normal where nothing is said."""
    import numpy as np

    if not normal:
        return read.labels
    if normal > len(read.frame):
        raise SettingError(f"--normal is {normal}, but there are {len(read.frame)} readings")
    labels = np.full(len(read.frame), -1, dtype=np.int8)
    if read.labels is not None:
        labels[:] = read.labels
    first = labels[:normal]
    first[first < 0] = 0
    return labels


def _period(given: str) -> float | str | None:
    if given in ("auto", "none"):
        return None if given == "none" else given
    try:
        return float(given)
    except ValueError:
        return given


def _on_windows(detector: "SeriesDetector") -> list[str]:
    told = f"Judged in windows of {detector.window:,} readings"
    if detector.period_ is not None:
        from oddshot.mapping.windows import period_in_words

        season = period_in_words(detector.period_, dates=detector.has_dates)
        return [f"{told}, with a season of {season}."]
    dates = [note.column for note in detector.column_report_ if note.kind == "date"]
    if detector.time is not None or not dates:
        return [f"{told}."]
    return [f"{told}.", f"No season was looked for; for that give --time-column {dates[0]}."]


def _table(
    detector: "SeriesDetector",
    read: Input,
    stretches: "list[Stretch]",
    reasons: "Sequence[Explanation]",
) -> Any:
    """List the oddest stretches that reasons are given for: when, how odd, and why."""
    import pandas as pd
    from rich.markup import escape
    from rich.table import Table

    from oddshot.reports.page_cells import text_of

    rows = read.rows
    assert isinstance(rows, pd.DataFrame)
    listed = stretches[: len(reasons)]
    if not listed:
        return "No stretch is above the threshold."
    hidden = len(stretches) - len(listed)
    table = Table(
        title="The oddest stretch" if len(listed) == 1 else f"The {len(listed)} oddest stretches",
        title_justify="left",
        caption=f"{hidden} more; --top shows them" if hidden else None,
        caption_justify="left",
    )
    for name in ("", "from", "to", "peak", "readings", "score", "why"):
        table.add_column(name, justify="right" if name in ("", "readings", "score") else "left")
    names = [str(name) for name in rows.columns]
    time = None if detector.time is None else rows.iloc[:, names.index(str(detector.time))]
    for place, (stretch, row) in enumerate(zip(listed, reasons, strict=True), 1):
        moments = [stretch.places[0], stretch.places[-1], stretch.peak]
        told = [str(at) if time is None else text_of(time.iloc[at]) for at in moments]
        why = "; ".join(
            f"{column} {_beside(value, row.typical.values[column])}"
            for column, value, _ in row.top(NAMED)
        )
        table.add_row(
            str(place), *map(escape, told), f"{len(stretch):,}", f"{stretch.score:.3g}", escape(why)
        )
    return table


def _beside(value: Any, usual: Any) -> str:
    from oddshot.detectors.explanations.words import digits_between, shown

    digits = digits_between(value, usual, digits=3)
    return f"{shown(value, digits)} (else {shown(usual, digits)})"
