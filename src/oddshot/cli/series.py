"""``oddshot series``: odd stretches of readings that follow each other in time."""

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
    check_not_for_fitting,
)
from oddshot.cli.outputs import check_outputs, check_picture, write_beside
from oddshot.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oddshot.detectors.explanations.explanation import Explanation
    from oddshot.detectors.series import SeriesDetector, Stretch
    from oddshot.episodes import LabelArray
    from oddshot.reports.detection import Detection

STRETCH = "anomaly_stretch"
EXPLAINED = 10  # stretches whose reasons choose what is drawn
NAMED = 2  # columns of windows that are named as the reason of a stretch
NOT_FOR_FITTING = ("alpha", "out", "plot", "top")


def series(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="[DIR] FILE", help="Readings, one a row; before it, what was kept."),
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

    With DIR, the detector that --keep kept judges the readings; options are then --alpha, --out,
    --plot and --top.
    """
    import pandas as pd

    from oddshot.data.images import holds_images
    from oddshot.detectors.series import SeriesDetector

    *kept, file = paths
    check_outputs(file, out, None)
    if plot is not None:
        check_picture("--plot", file, plot)
    if len(kept) > 1:
        raise SettingError(f"{len(paths)} paths are given; give FILE, or DIR and FILE")
    if kept:
        check_not_for_fitting(context, kept[0], NOT_FOR_FITTING)
    elif window is None:
        raise SettingError("give --window: about how many readings what you look for lasts")
    if holds_images(file):
        raise SettingError(f"{file} holds images; series takes a table of readings")
    read = read_input(file, prior, Asked(label_column, tuple(leave_out or ())))
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
        detector.fit(rows[taught], None if read.labels is None else read.labels[taught])
    if alpha is not None:
        detector.set_threshold(alpha=alpha)
    if keep is not None:
        detector.save(keep)
    _tell(detector, read, file, fitted=not kept, out=out, plot=plot, top=top)
    if keep is not None:
        told = f"Kept in {keep}; judge later readings with: oddshot series {keep} FILE"
        say(console_of_stdout(), told)


def _tell(
    detector: "SeriesDetector",
    read: Input,
    file: str,
    *,
    fitted: bool,
    out: Path | None,
    plot: Path | None,
    top: int,
) -> None:
    """Write what was asked for, then say what was found."""
    found = scored_rows(detector, file, read, fitted=fitted)
    with naming(file):
        stretches = detector.stretches(read.rows)
    called = found.rows[found.verdict].to_numpy(dtype=bool)  # labels go before scores
    stretches = [stretch for stretch in stretches if called[stretch.places].any()]
    found = _numbered(found, stretches)
    peaks = [stretch.peak for stretch in stretches[: max(top, EXPLAINED)]]
    reasons = list(detector.explain(read.rows, peaks)) if peaks else []
    written = []
    if out is not None:
        write_beside(read.source, read.frame, found.rows.iloc[:, found.own :], out)
        new = ", ".join(map(repr, found.rows.columns[found.own :]))
        written.append(f"Wrote {out}; new columns: {new}.")
    if plot is not None:
        from oddshot.reports.series_figure import draw_series

        draw_series(
            detector, read.rows, stretches, plot, scores=found.scores, reasons=reasons[:EXPLAINED]
        )
        written.append(f"Wrote {plot}.")
    console = console_of_stdout()
    for line in [*found.told(), *_on_windows(detector)]:
        say(console, line)
    console.print(_table(detector, read, stretches, reasons[:top]))
    for line in written:
        say(console, line)


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
