"""FILE as a pipe or standard input: all commands do with it what they do with a file."""

import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from oddshot import FewShotDetector
from oddshot.cli import app
from small_priors import untrained_prior

ROWS = 700  # more bytes than a buffer holds, of which a look at the first few takes all


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A prior, a detector and the rows it learned from, with cells that a parser would alter."""
    home = tmp_path_factory.mktemp("pipes")
    prior = untrained_prior()
    prior.save(home / "prior")
    rng = np.random.default_rng(0)
    lines = ["zip;kg;count;note;fraud"]
    for i in range(ROWS):
        count = "" if i % 50 == 0 else str(i % 7)
        cells = (f"{rng.integers(9999):05d}", f"{rng.normal():.3f}0", count, ["N/A", "ok"][i % 2])
        lines.append(";".join([*cells, "yes" * (i < 3)]))
    for name in ("table.csv", "other.csv"):
        (home / name).write_text("\n".join(lines) + "\n")
    rows = pd.read_csv(home / "table.csv", sep=";").drop(columns="fraud")
    FewShotDetector(prior=prior).fit(rows).save(home / "kept")
    return home


@pytest.fixture
def run(home, tmp_path):
    """Run a command; TABLE is the file, a pipe or standard input, HOME where the detector is."""

    def call(command, source):
        content = (home / "table.csv").read_bytes()
        name = {"file": home / "table.csv", "pipe": tmp_path / "table.csv", "standard": "-"}[source]
        if source == "pipe" and not name.exists():
            os.mkfifo(name)
        if source == "pipe":
            threading.Thread(target=name.write_bytes, args=(content,), daemon=True).start()
        words = [word.replace("HOME", str(home)) for word in command.split()]
        words = [
            str(name) if word == "TABLE" else word.replace("OUT", str(tmp_path)) for word in words
        ]
        result = CliRunner().invoke(app, words, input=content if source == "standard" else b"")
        assert result.exit_code in (0, 3), result.output
        hints = ("Why: ", "Replaced")
        told = [line for line in result.stdout.splitlines() if not line.startswith(hints)]
        called = "standard input|-" if source == "standard" else re.escape(str(name))
        return [re.sub(rf"(?<!\S)({called})(?=[:, ]|$)", "TABLE", line) for line in told]

    return call


@pytest.mark.parametrize("source", ["pipe", "standard"])
@pytest.mark.parametrize(
    "command",
    [
        "detect TABLE --prior HOME/prior --label-column fraud --out OUT/out.csv",
        "score HOME/kept TABLE --out OUT/out.csv",
        "score HOME/kept TABLE --out OUT/out.tsv",
        "series TABLE --window 20 --leave-out note --prior HOME/prior --out OUT/out.csv",
    ],
)
def test_cells_are_written_as_they_came(run, tmp_path, command, source):
    out = tmp_path / command.partition("OUT/")[2]
    told = run(command, "file")
    written = out.read_bytes()
    assert b"N/A" in written
    assert written.count(b"\n") == ROWS + 1
    assert run(command, source) == told
    assert out.read_bytes() == written


@pytest.mark.parametrize("source", ["pipe", "standard"])
@pytest.mark.parametrize(
    "command",
    [
        "fit TABLE --prior HOME/prior --out OUT/new",
        "explain TABLE --prior HOME/prior --top 1 --no-changes",
        "explain HOME/kept TABLE --top 1 --no-changes",
        "watch HOME/kept TABLE --window 300",
        "watch HOME/kept TABLE",
        "refresh HOME/kept TABLE --label-column fraud --out OUT/new",
        "score HOME/kept HOME/other.csv --calibrate TABLE --alpha 0.01 --top 1",
        "detect HOME/other.csv --prior HOME/prior --calibrate TABLE --alpha 0.1 --top 1",
    ],
)
def test_all_rows_are_read_with_their_header(run, command, source):
    assert run(command, "file") == run(command, source)


@pytest.mark.parametrize("source", ["pipe", "standard"])
def test_parquet_keeps_its_types_and_index(home, tmp_path, source):
    frame = pd.read_csv(home / "table.csv", sep=";", dtype={"note": "category", "kg": "float32"})
    frame.set_axis(frame.index + 5).to_parquet(tmp_path / "file.parquet")
    content = (tmp_path / "file.parquet").read_bytes()
    name = "-"
    if source == "pipe":
        name = str(tmp_path / "pipe.parquet")
        os.mkfifo(name)
        write = (tmp_path / "pipe.parquet").write_bytes
        threading.Thread(target=write, args=(content,), daemon=True).start()
    score = ["score", str(home / "kept")]
    written = []
    for given in (str(tmp_path / "file.parquet"), name):
        out = tmp_path / f"{len(written)}.parquet"
        result = CliRunner().invoke(app, [*score, given, "--out", str(out)], input=content)
        assert result.exit_code == 0, result.output
        written.append(pd.read_parquet(out))
    pd.testing.assert_frame_equal(*written)
    assert written[0].index[0] == 5


def test_what_to_do_next_names_no_pipe(home, tmp_path):
    moved = (home / "table.csv").read_text().replace(".", "00.")
    os.mkfifo(tmp_path / "moved.csv")
    write = (tmp_path / "moved.csv").write_text
    threading.Thread(target=write, args=(moved,), daemon=True).start()
    told = CliRunner().invoke(app, ["watch", str(home / "kept"), str(tmp_path / "moved.csv")])
    assert f"to go on: oddshot refresh {home / 'kept'} FILE --keep 0 --out NEWER" in told.stdout


def test_label_refuses_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "table.csv")
    asked = ["label", str(tmp_path / "table.csv"), "--out", str(tmp_path / "labels")]
    for more in ([], ["--export", str(tmp_path / "out.csv")]):
        result = CliRunner().invoke(app, [*asked, *more])
        assert result.exit_code == 2
        assert "is a pipe or a device, which can be read but once" in result.stderr
    assert not (tmp_path / "labels").exists()


def shell(command, **environment):
    return subprocess.run(
        ["sh", "-c", command, sys.executable],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


def test_closed_standard_input_is_told_in_one_line(home):
    found = shell('"$0" -m oddshot detect - <&-')
    assert found.returncode == 2
    assert found.stderr == (
        b"oddshot: standard input is closed; pipe a table into it, or give a file\n"
    )
    label = f'"$0" -m oddshot label {home}/table.csv --prior {home}/prior --out {home}/labels <&-'
    found = shell(label)
    assert found.returncode == 0, found.stderr
    assert b"Answers: 0 anomalies, 0 normal rows" in found.stdout


def test_letters_that_the_output_lacks_are_escaped(home, tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(60, 2)), columns=["größe", "日本"])
    rows.to_csv(tmp_path / "names.csv", index=False)
    table, prior = tmp_path / "names.csv", home / "prior"
    for command in ("detect", "explain"):
        asked = f'"$0" -m oddshot {command} {table} --prior {prior} --top 1'
        found = shell(asked, PYTHONIOENCODING="cp1252")
        assert found.returncode == 0, found.stderr
        assert "größe".encode("cp1252") in found.stdout
        assert rb"\u65e5\u672c" in found.stdout
    missing = shell('"$0" -m oddshot detect 日本.csv', PYTHONIOENCODING="ascii:strict")
    assert missing.returncode == 2
    assert missing.stderr == rb"oddshot: '\u65e5\u672c.csv' does not exist; check the path" b"\n"


def test_json_stays_json_where_the_output_lacks_letters(home, tmp_path):
    table = tmp_path / "größe日.csv"
    table.write_bytes((home / "table.csv").read_bytes())
    for charset in ("ascii", "cp1252", "utf-8"):
        asked = ["watch", str(home / "kept"), str(table), "--json"]
        found = CliRunner(charset=charset).invoke(app, asked)
        assert json.loads(found.stdout)["window"] == str(table)
        assert ("日" in found.stdout) == (charset == "utf-8")
