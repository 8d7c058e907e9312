import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from oddshot import FewShotDetector
from oddshot.cli import app
from oddshot.cli.console import complain, console_of_stdout, say, stages, without_control
from small_priors import untrained_prior

STEERING = "\x1b]0;PWNED\x07\x1b]52;c;cm0gLXJm\x07\x1b[2J\x1b[31mINJ\x9b31m\x00\r\x7f"
LETTERS = "größe 日本 e\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467 שלום [bold]no[/] :cat:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("console")
    untrained_prior().save(home / "prior")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 2)), columns=["a", f"b{STEERING}"])
    frame["shop"] = rng.choice(["here", "there"], 120)
    frame.loc[17, "shop"] = f"else{STEERING}\nwhere"
    frame.iloc[17, 1] = 40.0
    frame[f"iban{STEERING}"] = [f"DE{i:05d}{STEERING}" for i in range(120)]
    frame["constant\x1b[2J"] = "x"
    lines = [json.dumps(row) for row in frame.to_dict("records")]  # pandas cuts names at a NUL
    (home / "rows.jsonl").write_text("\n".join(lines))
    detector = FewShotDetector(prior=untrained_prior(), random_state=0).fit(frame)
    detector.save(home / "kept")
    return home


@pytest.mark.parametrize(
    "command",
    [  # words in capitals are paths
        "detect FILE --prior PRIOR",
        "detect FILE --prior PRIOR --out OUT --reasons 3",
        "fit FILE --prior PRIOR --out FITTED",
        "score KEPT FILE",
        "explain FILE --prior PRIOR --rows 17",
        "explain KEPT FILE --top 2",
        "series FILE --window 5 --prior PRIOR",
        "label FILE --prior PRIOR --out SESSION",
        "watch KEPT FILE",
        "watch KEPT FILE --json",
        "refresh KEPT FILE --out REFRESHED",
        "detect FILE --label-column shop",
    ],
)
def test_no_cell_and_no_name_of_a_column_talks_to_the_terminal(folder, command):
    named = {"FILE": "rows.jsonl", "OUT": "out.csv"}
    words = [
        str(folder / named.get(word, word.lower())) if word.isupper() else word
        for word in command.split()
    ]
    found = CliRunner().invoke(app, words, input="n\nq\n")
    assert found.exit_code == (2 if "shop" in words else 0), found.output
    assert not {*found.output} & {*map(chr, [*range(9), *range(11, 32), *range(127, 160)])}
    if command.startswith(("explain", "series", "label")):
        assert "�]0;PWNED�" in found.output  # it is shown, not dropped


def test_json_of_a_window_keeps_the_text_that_it_escapes(folder):
    found = CliRunner().invoke(app, ["watch", str(folder / "kept"), "no\x9b.csv", "--json"])
    assert "\x9b" not in found.output
    assert json.loads(found.stdout)["window"] == "no\x9b.csv"


@pytest.fixture
def console():
    console = console_of_stdout()
    console.file = io.StringIO()
    return console


def test_lines_are_said_as_they_are_but_for_what_steers_a_terminal(console):
    say(console, LETTERS, f"a{STEERING}b\nc", "")
    lines = console.file.getvalue().split("\n")
    assert lines[0] == LETTERS
    assert lines[1].startswith("a�]0;PWNED�")
    assert lines[1].endswith("b�c")
    assert without_control(lines[1]) == lines[1]
    assert lines[2:] == ["", ""]


def test_bytes_of_a_path_that_are_a_control_character_are_shown_as_one(console):
    say(console, "f\udcc3\udcbc\udce9 \udcc2\udc9b2J")
    assert console.file.getvalue() == "f\udcc3\udcbc\udce9 �2J\n"


def test_tables_and_texts_are_safe_and_stay_straight(console):
    table = Table("name", "[bold]count[/bold]", title=f"t{STEERING}")
    table.add_row(f"x{STEERING}", "1")
    table.add_row("\n".join(["two", "lines"]), "2")
    console.print(table)
    console.print(Text(f"y{STEERING}"))
    told = console.file.getvalue()
    assert without_control(told) == told
    lines = told.splitlines()[1:-1]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert "[bold]" not in told
    assert told.count("INJ") == 3


def test_what_is_wrong_is_said_in_one_line(capsys):
    complain(f"two\n lines {STEERING}")
    told = capsys.readouterr().err
    assert told.startswith("oddshot: two lines �]0;PWNED�")
    assert without_control(told) == told


def test_colours_and_bars_go_on_working_in_a_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    console = console_of_stdout()
    console.file = io.StringIO()
    console.print("[bold]so[/bold]")
    assert console.file.getvalue() == "\x1b[1mso\x1b[0m\n"
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with stages() as report:
        report("steps", 1, 2, {"loss": 0.5})
    assert "Steps" in file.getvalue()
    assert "\x1b[" in file.getvalue()
