"""``oddshot series``: what is said, written, drawn and kept."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from oddshot.cli import app


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    generator = np.random.default_rng(0)
    at = pd.date_range("2024-03-01", periods=480, freq="30min")
    load = 10 + 4 * np.sin(2 * np.pi * np.arange(480) / 48) + generator.normal(0, 0.3, 480)
    load[300:312] = 13.5
    path = tmp_path_factory.mktemp("series") / "load.csv"
    pd.DataFrame({"at": at, "load": load.round(3), "fault": ["no"] * 100 + [""] * 380}).to_csv(
        path, index=False
    )
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["series", *map(str, arguments)])


def told(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_stretches_are_listed_written_and_drawn(file, tmp_path):
    out, plot, kept = tmp_path / "out.csv", tmp_path / "out.png", tmp_path / "kept"
    asked = ("--window", 8, "--time-column", "at", "--label-column", "fault")
    said = told(file, *asked, "--out", out, "--plot", plot, "--keep", kept, "--top", 2)
    assert "Judged in windows of 8 readings, with a season of 1 day." in said
    assert "2024-03-07" in said
    written, given = pd.read_csv(out), pd.read_csv(file)
    pd.testing.assert_frame_equal(written[given.columns], given)
    new = ["anomaly_stretch", "anomaly_score", "anomaly", "anomaly_rank"]
    assert [*written.columns] == [*given.columns, *new]
    first = written.index[written["anomaly_stretch"] == 1]
    assert 296 <= first.min() < first.max() <= 318
    with Image.open(plot) as picture:
        assert picture.size[0] > 1000
    again = told(kept, file, "--out", tmp_path / "again.csv")
    assert "Labels" not in again
    same = pd.read_csv(tmp_path / "again.csv")
    np.testing.assert_array_equal(same["anomaly_score"], written["anomaly_score"])


def test_a_stretch_that_is_labelled_normal_is_none(file, tmp_path):
    path, out = tmp_path / "checked.csv", tmp_path / "out.csv"
    pd.read_csv(file).assign(fault="no").to_csv(path, index=False)
    asked = ("--window", 8, "--time-column", "at", "--label-column", "fault")
    said = told(path, *asked, "--contamination", 0.05, "--out", out)
    assert "Labelled normal, though above the threshold" in said
    assert "No stretch is above the threshold." in said
    assert not pd.read_csv(out)["anomaly_stretch"].any()


def test_the_first_readings_may_be_known_as_normal(file):
    said = told(file, "--window", 8, "--time-column", "at", "--normal", 200, "--alpha", 0.01)
    assert "200 known normal rows" in said
    assert "Learned from the first 200 of 480 readings." in said
    assert "Threshold 2" in said
    found = float(said.split("rows score above it (")[1].split("%")[0])
    assert 1 < found < 15


def test_a_column_that_looks_like_labels_is_named_where_it_is_learned_from(file, tmp_path):
    readings, path = pd.read_csv(file), tmp_path / "faults.csv"
    readings.assign(fault=(readings.index >= 470).astype(int)).to_csv(path, index=False)
    hint = "Column 'fault' looks like labels, but is learned from as any other"
    kept, window = tmp_path / "kept", ("--window", 8)
    assert hint in told(path, *window, "--normal", 200, "--keep", kept)
    assert hint not in told(kept, path)
    assert hint not in told(path, *window, "--label-column", "fault")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{file}",), "give --window"),
        (("{file}", "--window", 8, "--normal", 999), "--normal is 999, but there are 480"),
        (("{file}", "--window", 8, "--plot", "a.svg"), "give a name that ends in .png"),
        (("{file}", "--window", 200), "at least 800 are needed to learn from"),
        (("a", "b", "c"), "3 paths are given"),
        (("kept", "{file}", "--window", 8), "kept is a detector that was fitted before: --window"),
        (("kept", "{file}", "--top", 1, "--keep", "a"), "--keep is for fitting; leave it out"),
        (("{file}", "--window", 8, "--time-column", "when"), "no column 'when' for its time"),
        (("{file}", "--window", 8, "--period", "weekly"), "no column of time is named"),
    ],
)
def test_mistakes_are_told_in_one_line(file, arguments, message):
    result = run(*[str(a).format(file=file) for a in arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
