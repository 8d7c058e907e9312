"""A person labels rows one after the other; every answer is kept before the next is asked for."""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oddshot.detectors.labelling.ranking import DetectorT, Ranking
from oddshot.detectors.labelling.suggestion import suggest
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, LabelArray
from oddshot.errors import SettingError
from oddshot.persistence import replace_file

SESSION, ANSWERS = "session.json", "answers.csv"
ABOUT, FORMAT = "oddshot labelling session", 1
SKIPPED, UNDONE = "skip", "undo"
WORDS = {ANOMALY: "anomaly", NORMAL: "normal", UNLABELLED: SKIPPED}
CODES = {word: code for code, word in WORDS.items()}
COLUMNS = ("time", "row", "answer", "score")


class Answer(NamedTuple):
    """What was said of a row of FILE, counted from 0: 1 an anomaly, 0 normal, -1 skipped."""

    row: int
    label: int


class SessionFolder:
    """The folder of a session: ``session.json`` says what is labelled, ``answers.csv`` the answers.

    A line is added to ``answers.csv`` with every answer, and is on the disk when `keep` or `undo`
    returns; nothing is ever taken out of it. A last line that a power cut left incomplete counts as
    not given. One process writes a folder at a time.

    Parameters
    ----------
    path
        The folder; made where it does not exist.
    about
        What the session rests on, such as the fingerprint of a file: anything JSON can hold. A
        folder that was begun with something else is refused.

    Attributes
    ----------
    answers
        What holds now: answers in their order, without those that were undone.

    Raises
    ------
    SettingError
        If the folder cannot be written, holds no session, or one about something else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp())
    >>> folder = SessionFolder(path, {"file": "sales.csv"})
    >>> folder.keep(Answer(17, 1), score=3.2)
    >>> folder.keep(Answer(42, 0), score=2.9)
    >>> folder.undo()
    Answer(row=42, label=0)
    >>> SessionFolder(path, {"file": "sales.csv"}).answers
    [Answer(row=17, label=1)]
    """

    def __init__(self, path: str | Path, about: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.answers: list[Answer] = []
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._begin(dict(about))
            self._recall()
        except OSError as error:
            raise _not_writable(self.path, error) from error

    @staticmethod
    def peek(path: str | Path) -> dict[str, Any] | None:
        """Return what a session is about, ``None`` where the folder holds none.

        Raises
        ------
        SettingError
            If it cannot be read.
        """
        file = Path(path) / SESSION
        if not os.path.exists(file):
            return None
        try:
            state = json.loads(file.read_bytes())
            known, about = (state["kind"], state["format"]), state["about"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise SettingError(
                f"{file} is damaged or not a session's ({error}); restore it, or give another --out"
            ) from error
        if known != (ABOUT, FORMAT) or not isinstance(about, dict):
            raise SettingError(
                f"{file} holds {known[0]!r} in format {known[1]!r}, and this version reads "
                f"{ABOUT!r} in format {FORMAT}; give another --out"
            )
        return about

    def keep(self, answer: Answer, *, score: float) -> None:
        """Write an answer, and the score that the row had when it was shown.

        Raises
        ------
        SettingError
            If it cannot be written; it does not count then.
        """
        self._write(answer.row, WORDS[answer.label], f"{score:.6g}")
        self.answers.append(answer)

    def undo(self) -> Answer | None:
        """Take the last answer back and return it; ``None`` where there is none."""
        if not self.answers:
            return None
        self._write(self.answers[-1].row, UNDONE, "")
        return self.answers.pop()

    def _begin(self, about: dict[str, Any]) -> None:
        found = self.peek(self.path)
        if found is None:
            if os.path.exists(self.path / ANSWERS):
                raise SettingError(
                    f"{self.path} holds {ANSWERS} but no {SESSION}; restore it, or give another "
                    "--out"
                )
            state = {"kind": ABOUT, "format": FORMAT, "about": about}
            text = json.dumps(state, ensure_ascii=False, indent=1)
            replace_file(self.path / SESSION, text.encode())
            return
        for name in {**found, **about}:
            was, now = found.get(name), about.get(name)
            if (was or None) != (now or None):  # an older version does not name all, as empty ones
                raise SettingError(
                    f"{self.path} was begun with {name} {was!r}, not {now!r}; give that, or "
                    "another --out"
                )

    def _recall(self) -> None:
        file = self.path / ANSWERS
        content = file.read_bytes() if os.path.exists(file) else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(file, len(whole))
        if not whole:
            self._append(f"{','.join(COLUMNS)}\n")
            return
        try:
            for row, answer in _lines(whole):
                if answer == UNDONE:
                    self.answers.pop()
                else:
                    self.answers.append(Answer(row, CODES[answer]))
        except (ValueError, LookupError, TypeError, csv.Error) as error:
            raise SettingError(
                f"{file} is damaged ({error}); restore it, or give another --out"
            ) from error

    def _write(self, row: int, answer: str, score: str) -> None:
        time = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self._append(f"{time},{row},{answer},{score}\n")
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def _append(self, line: str) -> None:
        with (self.path / ANSWERS).open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Question:
    """A row to be judged.

    Parameters
    ----------
    row
        Which row of FILE, from 0.
    place
        Where it stands among the ranked rows.
    score
        Its anomaly score now.
    why
        As of `Suggestions`.
    """

    row: int
    place: int
    score: float
    why: str


class LabellingSession(Generic[DetectorT]):
    """Asks for the label of one row after the other, and ranks all anew with every answer.

    Parameters
    ----------
    ranking
        Rows of FILE, ranked by a detector that knows what was known before.
    folder
        Where answers are kept; those that are there count from the start.
    rows
        Shape (n,): which rows of FILE are ranked, rising; ``None``: all.
    given
        Positions of ranked rows that had a label before and need no look.

    Attributes
    ----------
    detector
        It knows all answers.

    Examples
    --------
    >>> import tempfile
    >>> from oddshot import FewShotDetector
    >>> rows = np.random.default_rng(0).normal(size=(300, 3))
    >>> rows[:9] += [4, 0, 0]
    >>> folder = SessionFolder(tempfile.mkdtemp(), {"file": "made up"})
    >>> session = LabellingSession(FewShotDetector().fit(rows).rank(rows), folder)
    >>> while len(folder.answers) < 12 and (question := session.question()):
    ...     session.answer(question, 1 if question.row < 9 else 0)
    >>> session.labels.count(1) > 4
    True
    """

    def __init__(
        self,
        ranking: Ranking[DetectorT],
        folder: SessionFolder,
        *,
        rows: NDArray[np.intp] | None = None,
        given: NDArray[np.intp] | None = None,
    ) -> None:
        self.folder, self._ranking = folder, ranking
        self._rows = np.arange(len(ranking), dtype=np.intp) if rows is None else rows
        self._given = [] if given is None else given.tolist()
        self._places = {int(row): place for place, row in enumerate(self._rows)}
        lost = [answer.row for answer in folder.answers if answer.row not in self._places]
        if lost:
            raise SettingError(
                f"{folder.path / ANSWERS} names row {lost[0]}, which is not among the "
                f"{len(ranking)} rows that are ranked; restore it, or give another --out"
            )
        self._catch_up()

    @property
    def detector(self) -> DetectorT:
        """It knows all answers."""
        self._catch_up()  # an interruption may have come between an answer and its ranking
        return self._ranking.detector

    @property
    def labels(self) -> list[int]:
        """What was answered, skipped rows left out."""
        return [a.label for a in self.folder.answers if a.label != UNLABELLED]

    def labels_of_rows(self, count: int) -> LabelArray:
        """Answers as labels (n,) of all rows of FILE."""
        labels = np.full(count, UNLABELLED, dtype=np.int8)
        for answer in self.folder.answers:
            labels[answer.row] = answer.label
        return labels

    def question(self) -> Question | None:
        """Choose the next row to be judged by `suggest`; ``None`` where all rows were."""
        seen = [*self._given, *(self._places[answer.row] for answer in self.folder.answers)]
        found = suggest(self._ranking, 1, leave_out=seen)
        if not len(found):
            return None
        place = int(found.positions[0])
        return Question(int(self._rows[place]), place, float(found.scores[0]), found.why[0])

    def answer(self, question: Question, label: int) -> None:
        """Keep the label of a row (1 an anomaly, 0 normal, -1 skipped), and rank all anew.

        Raises
        ------
        OddshotError
            If the answer cannot be kept, or no row to compare with would be left. The session is as
            before then, and after any other error: else each opening of the folder would meet it.
        """
        self.folder.keep(Answer(question.row, label), score=question.score)
        try:
            self._catch_up()
        except Exception:
            self.folder.undo()
            raise

    def undo(self) -> Question | None:
        """Take the last answer back, and ask for it again; ``None`` where there is none."""
        last = self.folder.undo()
        if last is None:
            return None
        self._catch_up()
        place = self._places[last.row]
        return Question(last.row, place, float(self._ranking.scores[place]), UNDONE)

    def _catch_up(self) -> None:
        """Rank anew where answers and the labels of the ranking differ, in the order they came."""
        wanted = np.full(len(self._ranking), UNLABELLED, dtype=np.int8)
        when = np.zeros(len(wanted), dtype=np.intp)
        for nth, answer in enumerate(self.folder.answers):
            place = self._places[answer.row]
            wanted[place], when[place] = answer.label, nth
        changed = np.flatnonzero(wanted != self._ranking.labels)
        if len(changed):
            changed = changed[np.argsort(when[changed], kind="stable")]
            self._ranking.add_labels(changed, wanted[changed])


def _lines(content: bytes) -> Iterator[tuple[int, str]]:
    """Read rows and answers out of a file of answers."""
    reader = csv.DictReader(io.StringIO(content.decode("utf-8")))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"its first line is not {','.join(COLUMNS)}")
    for line in reader:
        yield int(line["row"]), line["answer"]


def _not_writable(path: Path, error: OSError) -> SettingError:
    return SettingError(
        f"{path} cannot be written ({error.strerror}); give a folder that can with --out"
    )
