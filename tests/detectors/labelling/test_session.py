"""A labelling session: what was answered is kept, and comes back."""

import json

import numpy as np
import pytest

from oddshot import FewShotDetector
from oddshot.detectors.labelling.ranking import Ranking
from oddshot.detectors.labelling.session import (
    Answer,
    LabellingSession,
    Question,
    SessionFolder,
)
from oddshot.errors import DataError, SettingError
from small_priors import untrained_prior

ABOUT = {"file": "sales.csv", "seed": 0}


@pytest.fixture(scope="module")
def detector_and_rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3))
    rows[:9] += [4, 0, 0]
    return FewShotDetector(prior=untrained_prior()).fit(rows), rows


def started(detector_and_rows, path, **settings) -> LabellingSession:
    detector, rows = detector_and_rows
    return LabellingSession(detector.rank(rows), SessionFolder(path, ABOUT), **settings)


def test_a_session_goes_on_where_it_stopped(detector_and_rows, tmp_path):
    whole = started(detector_and_rows, tmp_path / "whole")
    parts = started(detector_and_rows, tmp_path / "parts")
    for number in range(6):
        if number == 3:
            parts = started(detector_and_rows, tmp_path / "parts")
        questions = whole.question(), parts.question()
        assert questions[0] == questions[1]
        label = -1 if number == 1 else int(questions[0].row < 9)
        whole.answer(questions[0], label)
        parts.answer(questions[1], label)
    assert parts.folder.answers == whole.folder.answers
    rows = detector_and_rows[1]
    np.testing.assert_array_equal(
        parts.detector.anomaly_score(rows), whole.detector.anomaly_score(rows)
    )
    assert len(whole.labels) == 5
    assert whole.labels_of_rows(200).tolist().count(-1) == 195


def test_undo_leaves_no_trace_in_the_ranking(detector_and_rows, tmp_path):
    session = started(detector_and_rows, tmp_path)
    first = session.question()
    session.answer(first, 1)
    second = session.question()
    session.answer(second, -1)
    assert session.undo().row == second.row
    assert session.undo().row == first.row
    assert session.undo() is None
    assert session.question() == first
    lines = (tmp_path / "answers.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in lines[1:]] == ["anomaly", "skip", "undo", "undo"]
    assert SessionFolder(tmp_path, ABOUT).answers == []


@pytest.mark.parametrize("error", [DataError, ZeroDivisionError])
def test_an_answer_that_cannot_be_ranked_is_not_taken(
    detector_and_rows, tmp_path, monkeypatch, error
):
    session = started(detector_and_rows, tmp_path)
    session.answer(session.question(), 1)
    question = session.question()

    def refuse(ranking, positions, labels):
        raise error("no row would be left")

    with monkeypatch.context() as patched:
        patched.setattr(Ranking, "add_labels", refuse)
        with pytest.raises(error, match="no row would be left"):
            session.answer(question, 1)
    assert session.labels == [1]
    assert session.question() == question


def test_only_ranked_rows_without_labels_are_asked_for(detector_and_rows, tmp_path):
    detector, rows = detector_and_rows
    kept = np.arange(0, 200, 2)
    session = LabellingSession(
        detector.rank(rows[kept]),
        SessionFolder(tmp_path, ABOUT),
        rows=kept,
        given=np.arange(50),
    )
    question = session.question()
    assert question.row == 2 * question.place
    assert question.place >= 50
    session.answer(Question(8, 4, 2.0, "top"), 1)
    with pytest.raises(SettingError, match="row 8, which is not among the 50 rows"):
        LabellingSession(
            detector.rank(rows[100:150]), session.folder, rows=np.arange(100, 150, dtype=np.intp)
        )


def test_a_line_that_was_cut_off_does_not_count(tmp_path):
    folder = SessionFolder(tmp_path, ABOUT)
    folder.keep(Answer(3, 1), score=2.0)
    whole = (tmp_path / "answers.csv").read_bytes()
    for cut in (b"2", b"2026-01-01T00:00:00+00:00,17,anom"):
        (tmp_path / "answers.csv").write_bytes(whole + cut)
        again = SessionFolder(tmp_path, ABOUT)
        assert again.answers == [Answer(3, 1)]
        assert (tmp_path / "answers.csv").read_bytes() == whole
    again.keep(Answer(4, 0), score=1.0)
    assert SessionFolder(tmp_path, ABOUT).answers == [Answer(3, 1), Answer(4, 0)]


def test_a_start_that_was_cut_off_is_made_good(tmp_path):
    SessionFolder(tmp_path, ABOUT)
    (tmp_path / "answers.csv").write_bytes(b"time,ro")
    SessionFolder(tmp_path, ABOUT).keep(Answer(3, 1), score=2.0)
    assert SessionFolder(tmp_path, ABOUT).answers == [Answer(3, 1)]


def test_a_session_about_something_else_is_refused(tmp_path):
    assert SessionFolder.peek(tmp_path) is None
    SessionFolder(tmp_path, ABOUT)
    assert SessionFolder.peek(tmp_path) == ABOUT
    with pytest.raises(SettingError, match="begun with seed 0, not 1; give that, or another"):
        SessionFolder(tmp_path, {**ABOUT, "seed": 1})


def test_a_session_goes_on_with_the_newest_answer_on_equal_rows(detector_and_rows, tmp_path):
    detector, rows = detector_and_rows
    twice = np.concatenate([rows, rows[:1]])
    folder = SessionFolder(tmp_path, ABOUT)
    for answer in (Answer(len(rows), 0), Answer(0, 1)):
        folder.keep(answer, score=1.0)
    ranking = detector.rank(twice)
    LabellingSession(ranking, folder)
    assert ranking.known_labels()[[0, len(rows)]].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("session.json", "{", "damaged"),
        ("session.json", "[]", "damaged"),
        ("session.json", "[" * 300_000, "damaged"),
        ("session.json", json.dumps({"kind": "x", "format": 9, "about": {}}), "format 9"),
        ("answers.csv", "one,two\n", "first line"),
        ("answers.csv", "time,row,answer,score\n,x,anomaly,\n", "damaged"),
        ("answers.csv", "time,row,answer,score\n,1,perhaps,\n", "damaged"),
        ("answers.csv", "time,row,answer,score\n,1,undo,\n", "damaged"),
        ("answers.csv", "time,row,answer,score\n2024\n", "damaged"),
        ("answers.csv", f"time,row,answer,score\n,1,{'x' * 200_000},\n", "damaged"),
    ],
)
def test_damage_is_told(tmp_path, name, content, message):
    SessionFolder(tmp_path, ABOUT)
    (tmp_path / name).write_text(content)
    with pytest.raises(SettingError, match=message):
        SessionFolder(tmp_path, ABOUT)


def test_answers_without_their_session_are_not_overwritten(tmp_path):
    (tmp_path / "answers.csv").write_text("mine\n")
    with pytest.raises(SettingError, match="but no session"):
        SessionFolder(tmp_path, ABOUT)
    assert (tmp_path / "answers.csv").read_text() == "mine\n"


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="cannot be written"):
        SessionFolder(tmp_path / "file" / "session", ABOUT)
