"""``oddshot label``: a person judges rows one after the other, in the terminal."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from oddshot.cli.console import console_of_stdout, say
from oddshot.cli.inputs import Asked, Input, fitted, read_input, with_hint_at_labels
from oddshot.cli.long_tables import LongTable, check_written_as_read, long_table
from oddshot.cli.options import Category, Labels, LeaveOut
from oddshot.cli.outputs import check_table_output, write_beside
from oddshot.errors import OddshotError, SettingError
from oddshot.wording import counted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from rich.console import Console

    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.detectors.labelling.session import LabellingSession, Question, SessionFolder
    from oddshot.episodes import FloatArray, LabelArray

    Session = LabellingSession[FewShotDetector]

KEPT_ROWS = 10_000  # the oddest rows at the start; no other is asked for
MOST_CELLS = 40  # that are shown of a row
LABELLED, DETECTOR = "labelled.csv", "detector"
ASK = "[a]nomaly  [n]ormal  [s]kip  [u]ndo  [q]uit: "
KEYS = {"a": 1, "n": 0, "s": -1}
KEYWORDS = {"anomaly": "a", "normal": "n", "skip": "s", "undo": "u", "quit": "q"}
WHY = {
    "top": "highest score of what is not known yet",
    "uncertain": "near the threshold",
    "undo": "the answer is taken back",
}


def label(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A table.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The session's folder; else FILE's name with '-labels'. One that is there goes "
            "on.",
        ),
    ] = None,
    label_column: Labels = None,
    leave_out: LeaveOut = None,
    category: Category = None,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="PATH", help="At the end, write FILE with labels and scores."
        ),
    ] = None,
    columns: Annotated[
        int, typer.Option("--columns", min=1, metavar="N", help="Name at most N reasons a row.")
    ] = 3,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Same seed, same machine: same rows are asked."),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior",
            metavar="PATH",
            help="Folder of a prior of your own, or 'default', the shipped one.",
        ),
    ] = None,
) -> None:
    """Show one row after the other, take its label, and rank all rows anew.

    Every answer is on the disk before the next row is shown. The same command goes on where it
    stopped; it need not repeat --label-column, --leave-out, --category, --seed
    and --prior.
    """
    from oddshot.detectors.labelling.session import SessionFolder
    from oddshot.persistence import sole_writer

    if export is not None:
        check_table_output("--export", file, export)
        check_written_as_read("--export", file, export)
    folder = Path(f"{Path(file).stem}-labels") if out is None else out
    asked = {
        "label_column": label_column,
        "leave_out": leave_out,
        "category": category,
        "seed": seed,
        "prior": prior,
    }
    about = _about(file, folder, asked)
    data = _Data.read(file, about)
    detector = fitted(data.learned, "auto", about["seed"])
    with sole_writer(folder):
        session, frame = _session(data, detector, SessionFolder(folder, about))
        console = console_of_stdout()
        say(console, f"{file}: {data.length:,} rows. Answers are kept in {folder}.")
        for note in data.learned.notes:
            say(console, note)
        if session.folder.answers:
            say(console, f"Going on after {len(session.folder.answers)} answers.")
        try:
            _ask(console, session, frame, columns)
            stopped = False
        except KeyboardInterrupt:
            say(console, "")
            stopped = True
        _close(console, session, data.as_written(frame))
    if export is not None:
        data.export(session, export)
        say(console, f"Wrote {export}.")
    if stopped:
        raise typer.Exit(130)


def _session(
    data: "_Data", detector: "FewShotDetector", kept: "SessionFolder"
) -> "tuple[Session, pd.DataFrame]":
    """Rank the oddest rows; return the session, and these rows."""
    from oddshot.detectors.labelling.session import LabellingSession

    rows = data.oddest(detector, [answer.row for answer in kept.answers])
    frame = data.take(rows)
    given = (data.given[rows] >= 0).nonzero()[0]
    return LabellingSession(detector.rank(frame), kept, rows=rows, given=given), frame


def _ask(console: "Console", session: "Session", frame: "pd.DataFrame", columns: int) -> None:
    """Ask until there is nothing more to ask, or no answer."""
    keys, question = _keys(console), session.question()
    while question is not None:
        _show(console, session, question, frame, columns)
        key = next(keys, "q")
        if key == "q":
            return
        try:
            if key == "u":
                before = session.undo()
                if before is None:
                    say(console, "There is no answer to take back.")
                question = before or question
                continue
            session.answer(question, KEYS[key])
        except OddshotError as error:
            say(console, f"Not taken: {error}")
        question = session.question()
    say(console, "Every row that is kept has been looked at.")


def _show(
    console: "Console",
    session: "Session",
    question: "Question",
    frame: "pd.DataFrame",
    columns: int,
) -> None:
    from oddshot.detectors.explanations.words import reasons, shown

    row = frame.iloc[[question.place]]
    found = session.detector.explain(row, changes=False)[0]
    labels = session.labels
    say(
        console,
        "",
        f"Row {question.row}: anomaly score {question.score:.3g}, threshold "
        f"{session.detector.threshold_:.3g}; {WHY[question.why]}. Answers so far: "
        f"{counted(labels.count(1), 'anomalies')}, {counted(labels.count(0), 'normal rows')}.",
    )
    values = [*zip(row.columns, row.iloc[0].tolist(), strict=True)]
    cells = [f"{name} = {shown(value)}" for name, value in values[:MOST_CELLS]]
    if len(values) > MOST_CELLS:
        cells.append(f"and {counted(len(values) - MOST_CELLS, 'more columns')}")
    say(console, *(f"  {line}" for line in (", ".join(cells), *reasons(found, top=columns))))


def _keys(console: "Console") -> Iterator[str]:
    """Give valid keys as they come, one stroke each in a terminal, one line each from a pipe.

    A line is a key, or the whole word: of any other word the first letter is not what was meant.
    """
    stdin = sys.stdin or io.StringIO()  # it may be closed
    if isinstance(stdin, io.TextIOWrapper):
        stdin.reconfigure(errors="replace")  # what is no text is no answer either
    terminal = stdin.isatty()
    while True:
        console.print(ASK, end="", markup=False, soft_wrap=True)
        try:
            given = typer.getchar() if terminal else stdin.readline()
        except EOFError:
            given = ""
        told = given.strip().lower()
        key = KEYWORDS.get(told, told)
        say(console, key[:1])
        if given in ("", "\x04"):
            return
        if key in KEYWORDS.values():
            yield key
        else:
            say(console, "Press a, n, s, u or q.")


def _close(console: "Console", session: "Session", frame: "pd.DataFrame") -> None:
    """Write what was labelled, and a detector that knows it."""
    from oddshot.data.sources import write_table
    from oddshot.detectors.labelling.session import WORDS
    from oddshot.episodes import UNLABELLED
    from oddshot.reports.detection import free_name

    folder = session.folder.path
    told = [answer for answer in session.folder.answers if answer.label != UNLABELLED]
    labelled = frame.loc[[answer.row for answer in told]].reset_index(drop=True)
    labelled.insert(0, free_name("row", labelled), [answer.row for answer in told])
    labelled[free_name("label", labelled)] = [WORDS[answer.label] for answer in told]
    write_table(labelled, folder / LABELLED)
    session.detector.save(folder / DETECTOR)
    labels = session.labels
    say(
        console,
        f"Answers: {counted(labels.count(1), 'anomalies')}, "
        f"{counted(labels.count(0), 'normal rows')}; the same command goes on.",
        f"Wrote {folder / LABELLED}, and a detector: oddshot score {folder / DETECTOR} FILE",
    )


def _about(file: str, folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Say what a session rests on; what is not asked for is as the session was begun.

    Raises
    ------
    SettingError, SourceError
        If FILE is not a table's file, or has changed since, or a session that is there was begun
        with other options.
    """
    from oddshot.data.images import holds_images
    from oddshot.data.sources import fingerprint
    from oddshot.data.streams import is_read_once
    from oddshot.detectors.labelling.session import SessionFolder

    if file == "-":
        raise SettingError("FILE is '-', but answers come from standard input; give a file")
    if is_read_once(file):
        raise SettingError(
            f"{file} is a pipe or a device, which can be read but once, and a session that goes on "
            "reads FILE again; give a file"
        )
    if holds_images(file):
        raise SettingError(f"{file} holds images; label takes tables")
    begun = SessionFolder.peek(folder)
    about: dict[str, Any] = {
        "file": Path(file).name,
        "fingerprint": fingerprint(file),
        "label_column": None,
        "leave_out": [],
        "category": [],
        "seed": 0,
        "prior": "default",
    }
    if begun is not None:
        if begun.get("fingerprint") != about["fingerprint"]:
            raise SettingError(
                f"{folder} was begun with other content than {file} has now (or with another "
                "file); restore the file, or give another --out"
            )
        about |= begun
    given = {name: value for name, value in asked.items() if value is not None}
    for name in given if begun is not None else ():
        if given[name] != about[name]:
            option, was = f"--{name.replace('_', '-')}", about[name]
            told = (
                f"with {option} {_spelled(was)}" if was not in (None, []) else f"without {option}"
            )
            raise SettingError(
                f"{folder} was begun {told}, not with {_spelled(given[name])}; leave {option} out "
                "to go on, or give another --out to begin anew"
            )
    return about | given


def _spelled(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


class _Data(NamedTuple):
    """FILE: a whole table, or a long one of which a part is learned from."""

    file: str
    learned: Input
    given: "LabelArray"
    long: LongTable | None
    label_column: str | None

    @classmethod
    def read(cls, file: str, about: dict[str, Any]) -> "_Data":
        import numpy as np

        from oddshot.data.sources import column_position

        name, prior = about["label_column"], about["prior"]
        left_out, category = tuple(about["leave_out"]), tuple(about["category"])
        asked = Asked(label_column=name, leave_out=left_out, category=category)
        long = long_table(file)
        if long is None:
            learned = read_input(file, prior, asked)
            given, name = learned.labels, learned.label_column
            if given is None:
                given = np.full(len(learned.frame), -1, dtype=np.int8)
        else:
            if name is not None:
                columns = long.blocks.columns
                name = columns[column_position(columns, name, repr(file))]
            learned = long.sample(prior, asked._replace(label_column=name), about["seed"])
            given = long.labels(Asked(label_column=name)).labels
        return cls(file, with_hint_at_labels(learned), given, long, name)

    def as_written(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Give cells of taken rows as FILE has them, where it is delimited text."""
        from oddshot.data.sources import is_delimited, written_cells

        if self.long is not None or not is_delimited(Path(self.file)):
            return frame
        written = written_cells(self.file)
        if written is None:
            return frame
        cells, _ = written
        columns = [at for at, name in enumerate(cells.columns) if str(name) != self.label_column]
        return cells.iloc[frame.index, columns]

    @property
    def length(self) -> int:
        """Number of rows of FILE."""
        return len(self.given)

    def scores(self, detector: "FewShotDetector") -> "FloatArray":
        """Score all rows."""
        import numpy as np

        if self.long is not None:
            return np.concatenate([*self.long.scores(detector)])
        return detector.anomaly_score(self.learned.rows)

    def oddest(self, detector: "FewShotDetector", besides: list[int]) -> "NDArray[np.intp]":
        """Which rows are kept, rising: those that are odd at the start, and those named."""
        import numpy as np

        if self.length <= KEPT_ROWS:
            return np.arange(self.length)
        order = np.argsort(-self.scores(detector), kind="stable")
        unlabelled = order[self.given[order] < 0]
        return np.union1d(unlabelled[:KEPT_ROWS], np.asarray(besides, dtype=np.intp))

    def take(self, rows: "NDArray[np.intp]") -> "pd.DataFrame":
        """Give some rows, numbered as in FILE, without the column of labels."""
        import pandas as pd

        if self.long is None:
            whole = self.learned.rows
            assert isinstance(whole, pd.DataFrame)
            return whole.iloc[rows].set_axis(rows, axis=0)
        frame = self.long.blocks.take(rows).set_axis(rows, axis=0)
        return frame if self.label_column is None else frame.drop(columns=self.label_column)

    def export(self, session: "Session", path: Path) -> None:
        """Write FILE's rows with labels, given ones and answers, and scores."""
        import numpy as np
        import pandas as pd

        from oddshot.detectors.labelling.session import WORDS
        from oddshot.reports.detection import free_name, scored_beside

        detector, answers = session.detector, session.labels_of_rows(self.length)
        labels = np.where(answers < 0, self.given, answers)
        frame = self.learned.frame
        found = scored_beside(
            [str(name) for name in frame.columns],
            self.scores(detector),
            float(detector.threshold_),
            source=self.file,
            columns=detector.column_report_,
            labels=labels,
        ).rows
        words = [None if code < 0 else WORDS[code] for code in labels.tolist()]
        found.insert(
            0,
            free_name("label", frame),
            pd.Series(words, dtype=object),
        )
        if self.long is None:
            write_beside(self.file, frame, found, path)
            return
        self.long.blocks.write_beside({str(n): found[n].to_numpy() for n in found.columns}, path)
