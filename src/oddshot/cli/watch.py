"""``oddshot watch | refresh``: whether a detector's context is still what comes in."""

import json
import shlex
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oddshot.cli.console import CONTROL, complain, console_of_stdout, say
from oddshot.cli.inputs import (
    Asked,
    Input,
    column_of_labels,
    leave_hint_to_options,
    read_input,
    with_hint_at_labels,
)
from oddshot.cli.options import (
    Alpha,
    Budget,
    Calibrate,
    Fdr,
    IdColumn,
    Labels,
    LabelTable,
    LeaveOut,
    Threshold,
)
from oddshot.cli.thresholds import Promise
from oddshot.errors import DataError, OddshotError, SettingError, require
from oddshot.wording import counted

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from oddshot.detectors.drift.finding import Drift
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.detectors.verdicts.calibration import ThresholdRule

FAILURE, DRIFT = 2, 3  # the exit codes

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="What `oddshot fit` kept.")]


def watch(
    folder: Folder,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="New rows, each file a window.")
    ],
    *,
    window: Annotated[
        int | None, typer.Option("--window", min=2, metavar="N", help="Windows of N rows.")
    ] = None,
    every: Annotated[
        int | None,
        typer.Option("--every", min=1, metavar="N", help="A window starts every N rows."),
    ] = None,
    alpha: Annotated[
        float, typer.Option("--alpha", help="Share of quiet windows that may be called drift.")
    ] = 0.01,
    block: Annotated[
        int,
        typer.Option(
            "--block", min=1, help="So many rows in a row resemble each other, as in time."
        ),
    ] = 1,
    alarm: Annotated[
        str, typer.Option("--alarm", metavar="R/W", help="Alarm at R drifts in the last W windows.")
    ] = "1/1",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a window.")] = False,
) -> None:
    """Compare windows of new rows with what a detector was fitted to.

    What cannot be read or compared is named, and the others are compared all the same. Exit code 3
    where an alarm was raised; else 2 where something could not be compared; else 0: all is quiet,
    or there are just more anomalies.
    """
    from oddshot.data.streams import is_read_once
    from oddshot.detectors.drift.monitor import LEAST_ALPHA, MOST_PERMUTATIONS
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.reports.drift import advice, lines_of
    from oddshot.thresholds.conformal import check_level

    needed, among = _rule(alarm)
    check_level("--alpha", alpha)
    require(alpha >= LEAST_ALPHA, "--alpha", alpha, f"{LEAST_ALPHA:g} or more")
    if every is not None and window is None:
        raise SettingError(f"--every is {every} but --window is not given; give both")
    permutations = int(min(max(999, 5 / alpha), MOST_PERMUTATIONS))
    detector = FewShotDetector.load(folder, n_jobs=-1)
    monitor, (normal, _) = detector.drift_monitor(block=block), _old_rows(detector)
    console = console_of_stdout()
    last: deque[bool] = deque(maxlen=among)
    alarms = failures = 0
    compared = partial(monitor.check, alpha=alpha, permutations=permutations)
    for name, found, left in _windows(files, window, every, compared):
        if isinstance(found, OddshotError):
            failures += 1
            complain(f"{name} is not compared: {found}")
            if as_json:
                typer.echo(_json_line({"window": name, "error": str(found)}, console))
            continue
        last.append(found.drifted)
        alarmed = sum(last) >= needed
        alarms += alarmed
        if as_json:
            record = {"window": name, "alarm": alarmed, "left": left, **found.to_dict()}
            typer.echo(_json_line(record, console))
            continue
        for line in lines_of(name, found):
            say(console, line)
        if left:
            say(console, f"  the last {left:,} rows of the file are too few for a window")
        if alarmed and among > 1:
            say(console, f"  alarm: drift in {sum(last)} of the last {len(last)} windows")
        if found.drifted and window is None:
            file, rows = "FILE" if is_read_once(name) else name, found.seen * block
            for line in advice(found, str(folder), file, rows=rows, normal=normal):
                say(console, line)
    raise typer.Exit(DRIFT if alarms else FAILURE if failures else 0)


def refresh(
    folder: Folder,
    file: Annotated[str, typer.Argument(metavar="FILE", help="New rows.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the new detector.")],
    label_column: Labels = None,
    labels: LabelTable = None,
    id_column: IdColumn = None,
    leave_out: LeaveOut = None,
    keep: Annotated[
        float, typer.Option("--keep", help="Share of the old unlabelled rows that stays.")
    ] = 0.25,
    factor: Annotated[
        list[str] | None,
        typer.Option(
            "--factor", metavar="COLUMN=X", help="Multiply old rows, as after a change of unit."
        ),
    ] = None,
    alpha: Alpha = None,
    fdr: Fdr = None,
    budget: Budget = None,
    threshold: Threshold = None,
    calibrate: Calibrate = None,
) -> None:
    """Fit a kept detector again on new rows, with the labels and the prior that it has."""
    import warnings

    from oddshot.detectors.drift.refreshing import ContextWarning
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.mapping.encoding.left_out import IDENTIFIER
    from oddshot.reports.drift import told_of_old_rows

    promise = Promise(alpha=alpha, fdr=fdr, budget=budget, calibrate=calibrate, threshold=threshold)
    promise.check()
    detector = FewShotDetector.load(folder, n_jobs=-1)
    learned = tuple(note.column for note in detector.column_report_ if note.cause != IDENTIFIER)
    asked = Asked(
        label_column=label_column,
        leave_out=tuple(leave_out or ()),
        labels=labels,
        id_column=id_column,
        learned=learned,
    )
    read = read_input(file, detector.prior, asked)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ContextWarning)
        leave_hint_to_options()
        newer = detector.refresh(
            read.rows, read.labels, keep=keep, factors=dict(map(_factor, factor or []))
        )
    kept = promise.keep(newer, read, column_of_labels(asked))
    newer.save(out)
    console = console_of_stdout()
    if labels is not None or not _has_labels(newer):
        read = with_hint_at_labels(_learned(read, newer), labels)
    for note in (*read.notes, *_new_to(detector, newer)):
        say(console, note)
    for warning in caught:
        say(console, str(warning.message))
    old = f"all old labels and {keep:.0%} of the old unlabelled rows"
    say(console, f"Fitted again on {counted(len(read.frame), 'rows')} of {file}, with {old}.")
    normal, others = _old_rows(detector)
    told = told_of_old_rows(
        normal + round(keep * others),
        len(read.frame),
        normal=normal,
        keep=keep,
        again=shlex.join(["oddshot", "watch", str(out), file]),
    )
    if told:
        say(console, told)
    say(console, f"Threshold {newer.threshold_:.4g} ({detector.threshold_:.4g} before).")
    for line in (*kept, *_lost_promises(detector, newer, told=bool(kept))):
        say(console, line)
    say(console, f"Kept in {out}; score new rows with: oddshot score {out} FILE")


def _old_rows(detector: "FewShotDetector") -> tuple[int, int]:
    """Count the rows of a context that stay for they are known to be normal, and those that may."""
    from oddshot.detectors.drift.refreshing import stays_anyway
    from oddshot.episodes import NORMAL

    _, kept = detector._raw_context("refresh")
    always = stays_anyway(kept.labels)
    return int((always & (kept.labels == NORMAL)).sum()), int((~always).sum())


def _has_labels(detector: "FewShotDetector") -> bool:
    from oddshot.episodes import UNLABELLED

    _, kept = detector._raw_context("refresh")
    return bool((kept.labels != UNLABELLED).any())


def _learned(read: Input, detector: "FewShotDetector") -> Input:
    """Give the columns that a detector learned from; others were left out, and it was said."""
    import pandas as pd

    if not isinstance(read.rows, pd.DataFrame):
        return read
    known = {note.column for note in detector.column_report_}
    return read._replace(rows=read.rows[[name for name in read.rows if str(name) in known]])


def _new_to(old: "FewShotDetector", new: "FewShotDetector") -> tuple[str, ...]:
    """Name columns that are learned from now, and stood in no row that the old detector saw."""
    known = {note.column for note in old.column_report_}
    names = [repr(note.column) for note in new.column_report_ if note.column not in known]
    if not names:
        return ()
    return (f"Not there before, and learned from now: {', '.join(names)}; see --leave-out.",)


def _lost_promises(old: "FewShotDetector", new: "FewShotDetector", *, told: bool) -> Iterator[str]:
    """Say by what rule the threshold was set before, and on what p-values rested, if that is gone.

    ``told``: whether the new rule has been said.
    """
    before, now = old.threshold_rule_, new.threshold_rule_
    if _what_sets(before) != _what_sets(now):
        if not told:
            yield f"The threshold: {now}."
        yield f"Its rule before is not kept: {before}."
    if old.calibration_.method not in ("own", new.calibration_.method):
        yield (
            f"P-values rest on {new.calibration_}; before, on {old.calibration_}. Give --calibrate "
            "to calibrate again."
        )


def _what_sets(rule: "ThresholdRule") -> tuple[Any, ...]:
    """Tell rules apart; shares that go by the scores differ with the rows."""
    if rule.rule == "contamination":
        return (rule.rule, None if rule.automatic else rule.settings["share"])
    return (rule.rule, *rule.settings.values())


def _json_line(record: dict[str, Any], console: "Console") -> str:
    has_all_letters = console.encoding.startswith("utf")  # else JSON's own escapes
    line = json.dumps(record, ensure_ascii=not has_all_letters)
    return CONTROL.sub(lambda found: json.dumps(found[0]).strip('"'), line)


def _windows(
    files: list[str],
    size: int | None,
    every: int | None,
    compared: "Callable[[pd.DataFrame], Drift]",
) -> "Iterator[tuple[str, Drift | OddshotError, int]]":
    """Name each window, with what came of it, or of its file, and how many rows are left over."""
    for file in files:
        try:
            for name, rows, left in _windows_of(file, size, every):
                try:
                    found: Drift | OddshotError = compared(rows)
                except OddshotError as error:
                    found = error
                yield name, found, left
        except OddshotError as error:
            yield file, error, 0


def _windows_of(
    file: str, size: int | None, every: int | None
) -> "Iterator[tuple[str, pd.DataFrame, int]]":
    """Name each window, and tell with the last one how many rows are left over."""
    import pandas as pd

    from oddshot.data.sources import read_table

    table = read_table(file)
    rows = table.rows if isinstance(table.rows, pd.DataFrame) else pd.DataFrame(table.rows)
    if size is None:
        yield file, rows, 0
        return
    if len(rows) < size:
        raise DataError(f"--window is {size} but it has {counted(len(rows), 'rows')}; give less")
    starts = range(0, len(rows) - size + 1, every or size)
    for start in starts:
        stop = start + size
        left = len(rows) - stop if start == starts[-1] else 0
        yield f"{file}, rows {start} to {stop - 1}", rows.iloc[start:stop], left


def _rule(given: str) -> tuple[int, int]:
    needed, _, among = given.partition("/")
    if not (needed.isdecimal() and among.isdecimal()) or not 0 < int(needed) <= int(among):
        raise SettingError(f"--alarm is {given!r}; write R/W, as in 2/3, with R from 1 to W")
    return int(needed), int(among)


def _factor(given: str) -> tuple[str, float]:
    name, _, value = given.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        raise SettingError(f"--factor is {given!r}; write COLUMN=X, as in length=1000") from None
