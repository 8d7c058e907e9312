"""``--alpha``, ``--fdr``, ``--budget`` and ``--calibrate`` on the command line."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from oddshot.cli import app
from small_priors import untrained_prior


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table with six odd rows, clean rows of the same kind, and a prior."""
    where, rng = tmp_path_factory.mktemp("thresholds"), np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(150, 3)), columns=list("abc"))
    table.iloc[:6] += 8
    table.to_csv(where / "table.csv", index=False)
    clean = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    clean.to_csv(where / "clean.csv", index=False)
    labelled = pd.concat([clean.assign(odd=0), table[:6].assign(odd=1)])
    labelled.to_csv(where / "labelled.csv", index=False)
    untrained_prior().save(where / "prior")
    return where


@pytest.fixture
def run(folder):
    def run(command, *options):
        first = [folder / "kept"] if command == "score" else []
        arguments = [command, *first, folder / "table.csv", *options]
        if command != "score":
            arguments += ["--prior", folder / "prior"]
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code in (0, 2), result.output
        return result.stdout if result.exit_code == 0 else result.stderr

    return run


def test_alpha_comes_with_p_values(folder, run):
    told = run("detect", "--alpha", "0.05", "--out", folder / "out.csv")
    assert "The threshold: at most 5% of normal rows are expected above it (from 150 rows" in told
    found = pd.read_csv(folder / "out.csv")
    last = ["anomaly_p", "anomaly_score", "anomaly", "anomaly_rank"]
    assert found.columns.tolist() == ["a", "b", "c", *last]
    np.testing.assert_array_equal(found["anomaly"], found["anomaly_p"] <= 0.05)


@pytest.mark.parametrize("command", ["detect", "score"])
def test_reasons_stand_beside_the_oddest_rows(folder, run, command):
    run("fit", "--out", folder / "kept")
    told = run(command, "--alpha", "0.05", "--reasons", "4", "--out", folder / "out.csv")
    assert "Column 'anomaly_reasons': why the 4 oddest rows are odd." in told
    found = pd.read_csv(folder / "out.csv", keep_default_na=False)
    new = ["anomaly_p", "anomaly_reasons", "anomaly_score", "anomaly", "anomaly_rank"]
    assert found.columns.tolist() == ["a", "b", "c", *new]
    reasons = found.sort_values("anomaly_rank")["anomaly_reasons"]
    assert (reasons != "").tolist() == [True] * 4 + [False] * (len(found) - 4)
    assert reasons.iloc[:4].str.match(r"[abc] is \S+ \(\+\S+\); in the nearest typical row").all()


def test_reasons_need_a_file_to_stand_in(run):
    assert "--reasons 3 writes a column; give --out as well" in run("detect", "--reasons", "3")


def test_what_cannot_be_promised_is_a_line(folder, run):
    told = run("detect", "--alpha", "0.001", "--report", folder / "report.html")
    assert "150 calibration rows cannot promise 0.001" in told
    assert "cannot promise 0.001" in (folder / "report.html").read_text()
    assert "Nothing is selected" in run("detect", "--fdr", "0.1")


def test_a_budget(run):
    told = run("detect", "--budget", "4")
    assert "4 rows score above it" in told
    assert "at most 4 of 150 rows are expected above it" in told
    assert "at most 5 of 100 rows are expected above it" in run("detect", "--budget", "5/100")


def test_fit_keeps_threshold_and_calibration_for_score(folder, run):
    kept = ("--out", folder / "kept")
    told = run("fit", *kept, "--alpha", "0.05", "--calibrate", folder / "clean.csv")
    assert "120 rows that the detector has not learned from" in told
    line = next(line for line in told.splitlines() if line.startswith("Threshold "))
    assert line in run("score")
    told = run("score", "--fdr", "0.3", "--out", folder / "scored.csv")
    assert "at most 30% of the rows above it are expected to be normal" in told
    assert "anomaly_p" in pd.read_csv(folder / "scored.csv")


def test_calibration_by_holding_out(run):
    told = run("detect", "--alpha", "0.1", "--calibrate", "split")
    assert "75 rows given to fit, held out in one part" in told


@pytest.mark.parametrize(
    ("label_column", "calibrate", "told"),
    [
        ("odd", "labelled.csv", ("from 120 rows that the detector has not learned from",)),
        ("-1", "labelled.csv", ("from 120 rows that the detector has not learned from",)),
        ("odd", "clean.csv", ("from 120 rows", "clean.csv has no column 'odd'; nothing is known")),
    ],
)
def test_labels_of_a_file_to_calibrate_with_are_read(
    folder, tmp_path, label_column, calibrate, told
):
    table = pd.read_csv(folder / "table.csv").assign(odd="")
    table.to_csv(tmp_path / "table.csv", index=False)
    result = CliRunner().invoke(
        app,
        [
            *("detect", str(tmp_path / "table.csv"), "--prior", str(folder / "prior")),
            *("--alpha", "0.1", "--label-column", label_column),
            *("--calibrate", str(folder / calibrate)),
        ],
    )
    output = " ".join(result.stdout.split())
    assert all(part in output for part in told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--alpha", "0.1", "--budget", "3"), "--alpha and --budget each set the threshold"),
        (("--fdr", "0.1", "--contamination", "0.1"), "--fdr and --contamination each set"),
        (("--budget", "many"), "--budget is 'many'; write a number of rows, as in 20, or 20/1000"),
        (("--alpha", "2"), "alpha is 2.0; it must be a number between 0 and 1"),
        (("--budget", "9/3"), "budget is (9, 3)"),
        (("--alpha", "0.1", "--calibrate", "nowhere.csv"), "does not exist"),
    ],
)
def test_mistakes_are_one_line(run, options, message):
    told = run("detect", *options)
    assert message in told
    assert told.startswith("oddshot: ")
    assert len(told.splitlines()) == 1
