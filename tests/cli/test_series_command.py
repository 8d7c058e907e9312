"""``oddshot series``: what is said, written, drawn and kept."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from oddshot.cli import app
from oddshot.mapping.windows import Windows


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


@pytest.fixture(scope="module")
def pump(tmp_path_factory):
    """Twelve days of two sensors, and what was kept of the first ten."""
    generator = np.random.default_rng(1)
    at = pd.date_range("2024-03-01", periods=12 * 48, freq="30min")
    wave = np.sin(2 * np.pi * np.arange(len(at)) / 48)
    readings = pd.DataFrame(
        {
            "at": at,
            "load": (10 + 4 * wave + generator.normal(0, 0.3, len(at))).round(3),
            "temp": (50 + 9 * wave + generator.normal(0, 0.5, len(at))).round(3),
            "state": np.where(generator.random(len(at)) < 0.3, "off", "on"),
        }
    )
    folder = tmp_path_factory.mktemp("pump")
    readings[:480].to_csv(folder / "first.csv", index=False)
    asked = ("--window", 8, "--time-column", "at", "--keep", folder / "kept")
    told(folder / "first.csv", *asked, "--alpha", 0.01)
    return folder, readings[480:].reset_index(drop=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temp": None}, "Column 'temp' is empty in 100.0% of rows, 0.0% at fit."),
        ({"temp": -999}, "fit; if what is read has changed for good, fit again on such readings."),
        ({"state": "broken"}, "Column 'state' holds what fit did not see in 100% of rows"),
        ({"extra": 1}, "Not there at fit, and ignored: 'extra'."),
    ],
)
def test_readings_unlike_those_of_fit_are_told(pump, tmp_path, change, said):
    folder, later = pump
    later.assign(**change).to_csv(tmp_path / "later.csv", index=False)
    found = told(folder / "kept", tmp_path / "later.csv")
    assert said in found
    assert "oddshot watch" not in found
    assert ("far more than" in found) == ("extra" not in change)
    later.to_csv(tmp_path / "same.csv", index=False)
    assert said not in told(folder / "kept", tmp_path / "same.csv")


@pytest.mark.filterwarnings("always::oddshot.errors.SeriesWarning")
def test_a_series_is_described_and_judged_once_and_warnings_said_once(pump, tmp_path, monkeypatch):
    folder, later = pump
    later.iloc[::2].to_csv(tmp_path / "thinned.csv", index=False)
    calls, whole = [], Windows.of
    monkeypatch.setattr(Windows, "of", lambda self, X: calls.append(1) or whole(self, X))
    found = run(folder / "kept", tmp_path / "thinned.csv", "--plot", tmp_path / "a.png")
    assert found.exit_code == 0
    assert len(calls) == 1
    assert found.output.count("readings are 1 h apart, in what was learned from 30 min") == 1
    again = run(folder / "kept", tmp_path / "thinned.csv", "--budget", 1)
    assert again.output.count("readings are 1 h apart, in what was learned from 30 min") == 1


def test_files_are_one_series_in_order_of_time(pump, tmp_path):
    folder, later = pump
    whole, first, second = (tmp_path / f"{name}.csv" for name in ("whole", "a", "b"))
    later.to_csv(whole, index=False)
    later[:50].to_csv(second, index=False)
    later[50:].to_csv(first, index=False)
    told(folder / "kept", whole, "--out", tmp_path / "whole_out.csv")
    said = told(folder / "kept", first, second, "--out", tmp_path / "parts_out.csv")
    assert "b.csv (2 files): 96 rows" in said
    parts = pd.read_csv(tmp_path / "parts_out.csv").sort_values("at", ignore_index=True)
    pd.testing.assert_frame_equal(parts, pd.read_csv(tmp_path / "whole_out.csv"))
    said = told(first, second, "--window", 8, "--normal", 90)
    assert "Learned from the first 90 of 96 readings." in said


def test_errors_name_the_file_and_its_row(pump, tmp_path):
    folder, later = pump
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    later[:60].to_csv(good, index=False)
    late = later[60:].astype({"at": str, "temp": object}).reset_index(drop=True)
    for column, value, message in (
        ("temp", "Bad", "bad.csv: column 'temp' holds 'Bad' in row 10"),
        ("at", None, "bad.csv: column 'at' has no time in row 10"),
    ):
        late.assign(**{column: late[column].mask(late.index == 10, value)}).to_csv(bad, index=False)
        for files in ((bad,), (good, bad), (bad, good)):
            assert message in " ".join(run(folder / "kept", *files).output.split())
    later[:5].to_csv(bad, index=False)
    assert "bad.csv: the series has 5 readings" in run(folder / "kept", bad).output
    assert "bad.csv: the series has 5 readings" in run(bad, "--window", 8).output
    later.drop(columns="temp").to_csv(bad, index=False)
    assert "differ in their columns ('temp')" in run(folder / "kept", good, bad).output


def test_a_budget_is_of_stretches(pump, tmp_path):
    folder, later = pump
    later.loc[[10, 11, 12, 40, 41, 70, 71], "load"] += 4
    later.to_csv(tmp_path / "later.csv", index=False)
    out = tmp_path / "out.csv"
    said = told(folder / "kept", tmp_path / "later.csv", "--budget", 2, "--out", out)
    assert "stretches above it to be expected: at most 2 in 96 readings" in said
    assert pd.read_csv(out)["anomaly_stretch"].max() == 2
    assert "at most 5 in 480" in told(folder / "kept", tmp_path / "later.csv", "--budget", "5/480")
    assert "1.5, as given" in told(folder / "kept", tmp_path / "later.csv", "--threshold", 1.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{file}",), "give --window"),
        (("{file}", "--window", 8, "--normal", 999), "--normal is 999, but there are 480"),
        (("{file}", "--window", 8, "--plot", "a.svg"), "give a name that ends in .png"),
        (("{file}", "--window", 200), "at least 800 are needed to learn from"),
        (("kept", "{file}", "missing.csv"), "'missing.csv' does not exist"),
        (("{file}", "--window", 8, "--budget", 3, "--alpha", 0.01), "each set the threshold"),
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
