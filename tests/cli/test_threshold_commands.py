"""``--alpha``, ``--fdr``, ``--budget`` and ``--calibrate`` on the command line."""

import shlex

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


def test_reasons_are_no_formula_of_a_spreadsheet(folder):
    table, out = pd.read_csv(folder / "table.csv"), folder / "formula-out.csv"
    table.set_axis(["=a", "-b", "@c"], axis=1).to_csv(folder / "formula.csv", index=False)
    arguments = ["detect", folder / "formula.csv", "--prior", folder / "prior", "--reasons", "4"]
    found = CliRunner().invoke(app, [*map(str, [*arguments, "--out", out])])
    assert found.exit_code == 0, found.output
    reasons = pd.read_csv(out)["anomaly_reasons"].dropna()
    assert len(reasons) == 4
    assert reasons.str.match("column (=a|-b|@c) is ").all()


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


def test_a_threshold_of_ones_own(folder, run):
    told = run("detect", "--threshold", "1.25", "--out", folder / "out.csv")
    assert "Threshold 1.25: " in told
    found = pd.read_csv(folder / "out.csv")
    np.testing.assert_array_equal(found["anomaly"], found["anomaly_score"] > 1.25)
    assert "--threshold is -1; give a score, 0 or more" in run("detect", "--threshold", "-1")
    assert "--alpha and --threshold each set" in run("detect", "--threshold", "1", "--alpha", "0.1")


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
        (("--calibrate", "cross"), "--calibrate cross is what a promise rests on, and none is"),
        (("--budget", "many"), "--budget is 'many'; write a number of rows, as in 20, or 20/1000"),
        (("--alpha", "2"), "alpha is 2.0; it must be a number between 0 and 1"),
        (("--budget", "9/3"), "--budget is '9/3'; give fewer rows than those they are of"),
        (("--budget", "5/5"), "--budget is '5/5'; give fewer rows than those they are of"),
        (("--budget", "0"), "--budget is '0'; give 1 row or more"),
        (("--budget", "5000"), "budget is 5000, but there are 150 rows; give fewer alerts, or say"),
        (("--alpha", "0.1", "--calibrate", "nowhere.csv"), "does not exist"),
    ],
)
def test_mistakes_are_one_line(run, options, message):
    told = run("detect", *options)
    assert message in told
    assert told.startswith("oddshot: ")
    assert len(told.splitlines()) == 1


@pytest.fixture(scope="module")
def customers(folder):
    """Purchases of 30 customers, and of other ones, with a column that says whose they are."""
    rng = np.random.default_rng(1)
    for name, first in (("known", 0), ("new", 30)):
        who = np.repeat(np.arange(first, first + 30), 8)
        rows = pd.DataFrame(rng.normal(size=(240, 2)), columns=["amount", "hour"])
        rows["amount"] += np.repeat(rng.normal(0, 3, 30), 8)
        rows.insert(0, "customer", [f"C{number:03d}" for number in who])
        rows.to_csv(folder / f"{name}.csv", index=False)
    return folder


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout if result.exit_code == 0 else result.stderr


def test_columns_that_are_left_out_are_not_learned_from(customers):
    prior = ("--prior", customers / "prior")
    kept = ("--out", customers / "no-names")
    code, told = invoke("fit", customers / "known.csv", *prior, *kept, "--leave-out", "customer")
    assert code == 0
    assert "2 of 2 columns used" in told
    assert "Left out, as asked: customer." in told
    code, told = invoke("score", customers / "no-names", customers / "new.csv")
    assert (code, "Not there at fit, and ignored: 'customer'." in told) == (0, True)
    both = ("--leave-out", "customer", "--leave-out", "hour", "--top", "1")
    code, told = invoke("detect", customers / "known.csv", *prior, *both)
    assert "1 of 1 columns used" in told
    assert any("customer" in line and "score" in line for line in told.splitlines())  # shown
    code, told = invoke("explain", customers / "known.csv", *prior, *both)
    assert "amount is" in told


def test_groups_that_are_none_are_told_by_option_and_row(customers):
    known = pd.read_csv(customers / "known.csv").astype({"customer": object})
    known.loc[[3, 7], "customer"] = None
    known.to_csv(customers / "gaps.csv", index=False)
    known.assign(customer="one").to_csv(customers / "one.csv", index=False)
    grouped = ("--out", customers / "none", "--prior", customers / "prior", "--group-column")
    grouped += ("customer", "--calibrate", "cross")
    code, told = invoke("fit", customers / "gaps.csv", *grouped)
    empty = "--group-column 'customer' is empty in 2 of 240 rows of "
    assert (code, told.startswith(f"oddshot: {empty}")) == (2, True)
    assert "gaps.csv, first in row 3; give each row a group" in told
    code, told = invoke("fit", customers / "one.csv", *grouped)
    assert code == 2
    assert "--group-column 'customer': all 240 rows that can be held out are of one group" in told
    assert "calibrate with rows of other groups" in told


def test_groups_are_held_out_together(customers):
    kept = ("--out", customers / "grouped", "--prior", customers / "prior")
    grouped = ("--alpha", "0.1", "--group-column", "customer")
    code, told = invoke("fit", customers / "known.csv", *kept, *grouped, "--calibrate", "cross")
    assert code == 0
    assert "2 of 2 columns used" in told
    assert "240 rows given to fit, held out part by part, in 30 groups" in told
    code, told = invoke(
        "score", customers / "grouped", customers / "new.csv", *grouped, "--calibrate", "cross"
    )
    assert code == 2
    assert "FILE does not say their groups; give --group-column customer to oddshot fit" in told
    given = ("--calibrate", customers / "new.csv", *grouped)
    code, told = invoke("score", customers / "grouped", customers / "known.csv", *given)
    assert "240 rows that the detector has not learned from, in 30 groups" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--group-column", "customer"], "--group-column customer says what is held out together"),
        (["--leave-out", "custmer"], "known.csv' has no column 'custmer'; near it: 'customer'"),
        (
            [f"--leave-out={name}" for name in ("customer", "amount", "hour")],
            "--leave-out leaves no column of",
        ),
        (
            ["--label-column", "hour", "--leave-out", "hour"],
            "'hour' is the label column, which is not learned from",
        ),
        (["--group-column", "", "--calibrate", "cross", "--alpha", "0.1"], "has no column ''"),
        (
            ["--group-column", "shop", "--calibrate", "cross", "--alpha", "0.1"],
            "known.csv' has no column 'shop'",
        ),
    ],
)
def test_mistakes_about_columns_are_named(customers, options, message):
    code, told = invoke("detect", customers / "known.csv", *options)
    assert (code, told.count("\n")) == (2, 1)
    assert message in told


def test_a_number_names_a_column_of_text_without_a_header_but_none_of_an_array(tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 3))
    np.savetxt(tmp_path / "bare.csv", rows, delimiter=",")
    np.save(tmp_path / "bare.npy", rows)
    code, told = invoke("detect", tmp_path / "bare.csv", "--leave-out", "0")
    assert "Left out, as asked: 0." in told
    code, told = invoke("detect", tmp_path / "bare.npy", "--leave-out", "0")
    assert code == 2
    assert "has no names of columns" in told


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--label-column", "is fraud"],
        ["--leave-out", "hour"],
        ["--leave-out", "hour", "--label-column", "is fraud", "--seed", "3"],
        ["--group-column", "customer", "--alpha", "0.1", "--calibrate", "split"],
    ],
)
def test_the_hint_explains_what_was_just_scored(customers, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pd.read_csv(customers / "known.csv")
    rows["is fraud"] = ["yes", *[""] * 239]
    rows.to_csv("my sales.csv", index=False)
    _, told = invoke("detect", "my sales.csv", "--prior", customers / "prior", *options)
    (hint,) = (line for line in told.splitlines() if line.startswith("Why: oddshot explain "))
    first = next(line for line in told.splitlines() if line.startswith("│"))
    number, score = (cell.strip() for cell in first.split("│")[1:3])
    _, explained = invoke(*shlex.split(hint.removeprefix("Why: oddshot ")))
    line = next(line for line in explained.splitlines() if line.startswith("Row "))
    assert line.startswith(f"Row {number}: anomaly score {float(score):.3g},")


def test_where_explain_would_score_otherwise_there_is_no_hint(customers):
    table = customers / "known.csv"
    _, told = invoke("detect", table, "--prior", customers / "prior", "--quality", "fast")
    assert "Why:" not in told
    invoke("fit", table, "--prior", customers / "prior", "--out", customers / "hinted")
    _, told = invoke("score", customers / "hinted", table)
    assert f"Why: oddshot explain {customers / 'hinted'} {table} --rows " in told
