"""``oddshot label``, by a pipe, by a terminal, and killed in the middle."""

import importlib
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from oddshot import FewShotDetector
from oddshot.cli import app, long_tables
from small_priors import untrained_prior

label_module = importlib.import_module("oddshot.cli.label")
ODD = [0, 17, 20, 30, 42]


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    folder = tmp_path_factory.mktemp("label") / "prior"
    untrained_prior().save(folder)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a table in which rows 0 (known), 17, 20, 30 and 42 are odd."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "amount": rng.normal(100, 10, 200).round(2),
            "shop": rng.choice(["here", "there"], 200),
            "fraud": ["yes", *[""] * 199],
        }
    )
    frame.loc[ODD, "amount"] = [700.0, 900.0, 800.0, 850.0, 650.0]
    frame.loc[17, "shop"] = "else\x1b[31mwhere"
    frame.to_csv(tmp_path / "sales.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(prior, keys, *options, file="sales.csv"):
    arguments = ["label", file, "--prior", prior, *options]
    return CliRunner().invoke(
        app, [str(a) for a in arguments], input="".join(k + "\n" for k in keys)
    )


def asked(output: str) -> list[int]:
    return [int(line[4 : line.index(":")]) for line in output.splitlines() if line[:4] == "Row "]


def kept(folder="sales-labels") -> list[str]:
    lines = pd.read_csv(f"{folder}/answers.csv")
    return [f"{row} {answer}" for row, answer in zip(lines["row"], lines["answer"], strict=True)]


def command(prior, *options) -> list[str]:
    return [
        sys.executable,
        "-c",
        "from oddshot.cli import main; main()",
        *("label", "sales.csv", "--label-column", "fraud", "--prior", str(prior), *options),
    ]


def test_labels_are_taken_kept_and_taken_up_again(here, prior):
    first = run(prior, ["a", "perhaps", "s", "u", "Normal", "q"], "--label-column", "fraud")
    assert first.exit_code == 0, first.output
    rows = asked(first.stdout)
    assert set(rows[:2]) < set(ODD[1:])  # the labelled row is not asked for
    assert rows[1] == rows[3]
    assert "Press a, n, s, u or q." in first.stdout
    assert "the answer is taken back" in first.stdout
    answers = [f"{rows[0]} anomaly", *(f"{rows[1]} {word}" for word in ("skip", "undo", "normal"))]
    assert kept() == answers
    labelled = pd.read_csv("sales-labels/labelled.csv").set_index("row")
    assert labelled["label"].to_dict() == {rows[0]: "anomaly", rows[1]: "normal"}
    assert "amount" in labelled
    detector = FewShotDetector.load("sales-labels/detector")
    assert detector.anomaly_score(labelled[["amount", "shop"]].iloc[:1])[0] > detector.threshold_

    second = run(prior, ["a"])  # the end of input stops it; the column is remembered
    assert second.exit_code == 0, second.output
    assert "Going on after 2 answers." in second.stdout
    assert asked(second.stdout)[0] == rows[-1]
    assert kept() == [*answers, f"{rows[-1]} anomaly"]
    assert "Answers: 2 anomalies, 1 normal row;" in second.stdout


def test_a_column_that_is_left_out_stays_so(here, prior):
    run(prior, ["q"], "--leave-out", "shop", "--label-column", "fraud")
    result = run(prior, ["s", "q"])
    assert "shop" not in result.stdout.replace("Left out, as asked: shop.", "")
    columns = FewShotDetector.load("sales-labels/detector").column_report_
    assert [note.column for note in columns] == ["amount"]


def test_a_row_is_shown_with_its_values_and_reasons(here, prior):
    output = run(prior, ["a"] * 4).stdout
    (cells,) = [line for line in output.splitlines() if line.startswith("  amount = 900, ")]
    assert "\x1b" not in output  # a cell must not talk to the terminal
    assert "where" in cells
    assert "amount is 900 (+" in output
    assert "Answers so far: 1 anomaly, 0 normal rows." in output


def test_a_column_that_looks_like_labels_is_named(here, prior):
    hint = (
        "Column 'fraud' looks like labels, but is learned from as any other; name it with --label"
    )
    assert hint in run(prior, ["q"]).stdout
    named = run(prior, ["q"], "--label-column", "fraud", "--out", "named")
    assert named.exit_code == 0, named.output
    assert "looks like labels" not in named.stdout
    assert "looks like labels" not in run(prior, ["q"], "--out", "named").stdout


def test_there_is_nothing_to_take_back_at_first(here, prior):
    assert "There is no answer to take back." in run(prior, ["u", "q"]).stdout
    assert kept() == []


def test_the_table_comes_out_with_labels_and_scores(here, prior):
    done = run(prior, ["a", "n"], "--label-column", "fraud", "--export", "out.csv")
    assert done.exit_code == 0, done.output
    written, first = pd.read_csv("out.csv"), asked(done.stdout)
    assert len(written) == 200
    assert [*written.columns[:3]] == ["amount", "shop", "fraud"]
    told = written["label"].dropna().to_dict()
    assert told == {0: "anomaly", first[0]: "anomaly", first[1]: "normal"}
    assert written["anomaly_score"].notna().all()


def test_parquet_is_exported_as_detect_writes_it(here, prior):
    rows = pd.read_csv("sales.csv").set_index(pd.Index([f"k{i}" for i in range(200)], name="key"))
    rows["count"] = pd.array([1, None, 3, 4] * 50, dtype="Int8")
    rows["tags"] = [["new", "paid"], []] * 100
    rows.to_parquet("sales.parquet")
    options = ["--label-column", "fraud"]
    done = run(prior, ["a", "n"], *options, "--export", "out.parquet", file="sales.parquet")
    assert done.exit_code == 0, done.output
    detect = ["detect", "sales.parquet", "--prior", str(prior), *options, "--out", "found.parquet"]
    assert CliRunner().invoke(app, detect).exit_code == 0
    schemas = [
        parquet.read_schema(file) for file in ("sales.parquet", "out.parquet", "found.parquet")
    ]
    given, exported, found = ({field.name: field for field in schema} for schema in schemas)
    assert given.items() <= exported.items()
    assert {name: field for name, field in exported.items() if name != "label"} == found
    written = pd.read_parquet("out.parquet")
    pd.testing.assert_frame_equal(written[rows.columns], pd.read_parquet("sales.parquet"))
    assert written["label"].notna().sum() == 3


def test_all_rows_may_be_looked_at(prior, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"a": [1.0, 2, 3, 9], "b": [2.0, 1, 3, 1]}).to_csv("few.csv", index=False)
    done = run(prior, ["a", "n", "n", "s"], file="few.csv")
    assert "Every row that is kept has been looked at." in done.stdout
    assert len(kept("few-labels")) == 4
    assert len(asked(run(prior, [], file="few.csv").stdout)) == 0


def test_all_but_two_rows_may_be_anomalies(prior, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(5, 3)).round(2)
    pd.DataFrame(rows, columns=["a", "b", "c"]).to_csv("five.csv", index=False)
    done = run(prior, "aaaa", file="five.csv")
    assert done.exit_code == 0, done.output
    assert "Not taken: of 5 rows to compare with all but 1 are" in done.stdout
    assert "Answers: 3 anomalies, 0 normal rows" in done.stdout
    again = run(prior, "n", file="five.csv")
    assert "Going on after 3 answers." in again.stdout
    assert "Answers: 3 anomalies, 1 normal row;" in again.stdout


def test_of_many_rows_only_the_oddest_are_kept(here, prior, monkeypatch):
    monkeypatch.setattr(label_module, "KEPT_ROWS", 3)
    first = run(prior, ["a", "s", "a", "a"], "--label-column", "fraud")
    assert set(asked(first.stdout)) <= set(ODD)
    assert len(asked(first.stdout)) == 3
    assert "Every row that is kept" in first.stdout


def test_long_files_are_read_in_part(here, prior, monkeypatch):
    frame = pd.read_csv("sales.csv")
    frame.to_parquet("sales.parquet")
    monkeypatch.setattr(long_tables, "LONG", 100)
    monkeypatch.setattr(long_tables, "SAMPLE", 150)
    monkeypatch.setattr(label_module, "KEPT_ROWS", 20)
    options = ["--label-column", "fraud", "--export", "out.parquet"]
    first = run(prior, ["a", "a", "n"], *options, file="sales.parquet")
    assert first.exit_code == 0, first.output
    rows = asked(first.stdout)
    assert set(rows[:2]) < set(ODD[1:])
    written = pd.read_parquet("out.parquet")
    assert len(written) == 200
    assert written["label"].dropna().to_dict() == {
        0: "anomaly",
        rows[0]: "anomaly",
        rows[1]: "anomaly",
        rows[2]: "normal",
    }
    assert asked(run(prior, [], file="sales.parquet").stdout) == rows[3:]
    refused = run(prior, [], "--export", "out.csv", file="sales.parquet")
    assert "ends in .parquet" in refused.stderr


def test_a_category_stays_one_where_long_files_are_read_in_part(here, prior, monkeypatch):
    codes = np.random.default_rng(1).choice([5411, 5812, 4722], 200)
    pd.read_csv("sales.csv").assign(code=codes).to_parquet("sales.parquet")
    monkeypatch.setattr(long_tables, "LONG", 100)
    monkeypatch.setattr(long_tables, "SAMPLE", 150)
    run(
        prior,
        ["a", "n", "n"],
        "--label-column",
        "fraud",
        "--category",
        "code",
        file="sales.parquet",
    )
    detector = FewShotDetector.load("sales-labels/detector")
    assert detector._fitted.kept.frame["code"].dtype == "category"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "3"], "was begun with --seed 0, not with 3; leave --seed out to go on"),
        (
            ["--label-column", "fraud"],
            "sales-labels was begun without --label-column, not with fraud; leave --label-column "
            "out to go on, or give another --out to begin anew",
        ),
        (
            ["--leave-out", "shop", "--leave-out", "fraud"],
            "without --leave-out, not with shop, fra",
        ),
        (["--export", "sales.csv"], "is the file that is read"),
        (["--export", "sales.csv/out.csv"], "cannot be made"),
        (["--export", "out.xlsx"], "ends in .csv"),
        (["--out", "sales.csv"], "sales.csv"),
    ],
)
def test_a_mistake_is_told_in_one_line(here, prior, options, message):
    run(prior, ["a"])
    result = run(prior, ["a"], *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(kept()) == 1


def test_a_byte_that_is_no_text_is_no_answer(here, prior):
    arguments = ["label", "sales.csv", "--prior", str(prior)]
    result = CliRunner().invoke(app, arguments, input=b"\xff\nn\nq\n")
    assert result.exit_code == 0, result.output
    assert "Press a, n, s, u or q." in result.output
    assert len(kept()) == 1


def test_from_a_pipe_a_line_is_a_letter_or_a_whole_word(here, prior):
    words = ["abnormal", "not sure", "ask Tom", "Anomaly", "normal", "unknown", "N", "undo", "skip"]
    result = run(prior, [*words, "quit", "a"])
    assert result.exit_code == 0, result.output
    assert result.output.count("Press a, n, s, u or q.") == 4
    assert [answer.split()[1] for answer in kept()] == [
        "anomaly",
        "normal",
        "normal",
        "undo",
        "skip",
    ]


def test_another_file_is_no_session_of_it(here, prior):
    run(prior, ["a"])
    with open("sales.csv", "a") as file:
        file.write("1,here,\n")
    result = run(prior, ["a"])
    assert result.exit_code == 2
    assert "begun with other content than sales.csv has now" in result.stderr
    assert len(kept()) == 1


@pytest.mark.parametrize(
    ("file", "message"),
    [("-", "answers come from standard input"), (".", ""), ("no.csv", "no.csv")],
)
def test_only_files_of_tables_are_taken(here, prior, file, message):
    result = run(prior, [], file=file)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_answer_is_lost_when_it_is_stopped(here, prior, how):
    process = subprocess.Popen(
        command(prior), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    rows: list[int] = []
    while len(rows) < 3:
        line = process.stdout.readline()
        assert line, "it ended by itself"
        if line.startswith("Row "):
            rows += asked(line)
            if len(rows) < 3:
                process.stdin.write("a\n")
    process.send_signal(how)
    rest = process.communicate()[0]
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert kept() == [f"{row} anomaly" for row in rows[:2]]
    if how == signal.SIGINT:
        assert "Answers: 2 anomalies, 0 normal rows" in rest
    again = run(prior, [])
    assert "Going on after 2 answers." in again.stdout
    assert asked(again.stdout)[0] == rows[2]


def test_one_stroke_is_an_answer_in_a_terminal(here, prior):
    master, slave = pty.openpty()
    process = subprocess.Popen(command(prior), stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    guard = threading.Timer(300, process.kill)
    guard.start()
    said = ""
    for key in (b"a", b"q"):
        while "[q]uit: " not in said:
            said += os.read(master, 4096).decode()
        said = ""
        while termios.tcgetattr(master)[3] & termios.ICANON:
            time.sleep(0.01)  # what is typed before it listens to single strokes is thrown away
        os.write(master, key)
    try:
        while os.read(master, 4096):
            pass
    except OSError:
        pass  # Linux says so when the other side is closed
    os.close(master)
    assert process.wait(60) == 0
    guard.cancel()
    assert [line.split()[1] for line in kept()] == ["anomaly"]
