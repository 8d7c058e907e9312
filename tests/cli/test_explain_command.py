"""``oddshot explain``, from files to sentences."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from oddshot.cli import app
from small_priors import untrained_prior


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A prior, a table in which rows 17 and 42 are odd, and a detector fitted on it."""
    folder = tmp_path_factory.mktemp("explain")
    untrained_prior().save(folder / "prior")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "amount": rng.normal(100, 10, 200).round(2),
            "shop": rng.choice(["here", "there"], 200),
            "fraud": ["yes", *[""] * 199],
        }
    )
    frame.loc[[0, 17], "amount"] = [700.0, 900.0]
    frame.loc[42, "shop"] = "elsewhere"
    frame.to_csv(folder / "sales.csv", index=False)
    fitted = run("fit", folder / "sales.csv", *options(folder), "--out", folder / "kept")
    assert fitted.exit_code == 0, fitted.output
    return folder


def options(folder) -> list[object]:
    return ["--label-column", "fraud", "--prior", folder / "prior"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(*arguments) -> list[str]:
    result = run("explain", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_fits_and_explains_the_rows_asked_for(folder):
    lines = said(folder / "sales.csv", *options(folder), "--rows", "42,17")
    heads = [line for line in lines if not line.startswith(" ")]
    assert [head.split(":")[0] for head in heads] == ["Row 42", "Row 17"]
    assert lines[1].startswith("  shop is elsewhere (+")
    assert any("amount is 900 (+" in line for line in lines)
    assert any("nearest known anomaly (at position 0 of" in line for line in lines)
    assert not any("fraud" in line for line in lines)


def test_decimal_commas_of_the_file_are_those_of_the_sentences(folder):
    lengths = np.random.default_rng(0).normal(20, 1, 119).round(2)
    rows = pd.DataFrame({"kg": 7.5 + np.arange(120) % 5, "mm": [*lengths, 40.25]})
    rows.to_csv(folder / "commas.csv", sep=";", decimal=",", index=False)
    lines = said(folder / "commas.csv", "--prior", folder / "prior", "--top", 1)
    assert "mm is 40,25 (" in lines[1]
    assert not re.search(r"\d\.\d", "".join(lines))


def test_a_change_leaves_fixed_columns_alone(folder):
    told = ["Smallest change found", "No change of one or two columns"]
    for options_, expected in (([], told[0]), (["--fixed", "shop", "--fixed", "amount"], told[1])):
        lines = said(folder / "kept", folder / "sales.csv", "--rows", "42", *options_)
        assert lines[-1].strip().startswith(expected)
    result = run("explain", folder / "kept", folder / "sales.csv", "--fixed", "shops")
    assert result.exit_code == 2
    assert "column 'shops'" in " ".join(result.stderr.split())


def test_a_kept_detector_explains_alike(folder):
    by_kept = said(folder / "kept", folder / "sales.csv", "--rows", "42")
    assert by_kept == said(folder / "sales.csv", *options(folder), "--rows", "42")


def test_the_oddest_rows_are_explained_where_none_are_named(folder):
    lines = said(
        folder / "kept", folder / "sales.csv", "--top", "3", "--columns", 1, "--no-changes"
    )
    heads = [line.split(":")[0] for line in lines if not line.startswith(" ")]
    assert len(heads) == 3
    assert {"Row 0", "Row 17"} <= set(heads)
    assert not any("hange" in line for line in lines)


def test_a_column_that_looks_like_labels_is_named_where_it_is_learned_from(folder, tmp_path):
    prior = ["--prior", folder / "prior", "--rows", "3", "--no-changes"]
    told = said(folder / "sales.csv", *prior, "--leave-out", "amount")
    assert told[0] == "Left out, as asked: amount."
    assert told[1].startswith("Column 'fraud' looks like labels, but is learned from as any other")
    assert said(folder / "sales.csv", *prior, "--leave-out", "fraud")[1].startswith("Row 3: ")
    assert said(folder / "kept", folder / "sales.csv", "--rows", "3")[0].startswith("Row 3: ")


@pytest.mark.parametrize("name", ["why.csv", "why.parquet"])
def test_all_contributions_are_written(folder, tmp_path, name):
    said(folder / "kept", folder / "sales.csv", "--rows", "17,42", "--out", tmp_path / name)
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    written = read(tmp_path / name)
    assert len(written) == 4
    first = written[written["rank"] == 1].set_index("row")
    assert first["column"].to_dict() == {17: "amount", 42: "shop"}
    assert first.loc[42, "value"] == "elsewhere"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kept", "sales.csv", "--rows", "200"], "names row 200; "),
        (["kept", "sales.csv", "--rows", "-1"], "names row -1; "),
        (["kept", "sales.csv", "--rows", ","], "names no row; "),
        (["kept", "sales.csv", "--rows", "one"], "give whole numbers"),
        (["kept", "sales.csv", "--seed", "3"], "before: --seed is for fitting; leave it out, or"),
        (
            ["kept", "sales.csv", "--prior", "prior", "--leave-out", "shop", "--top", "3"],
            "before: --leave-out and --prior are for fitting; leave them out, or leave out kept",
        ),
        (["kept", "sales.csv", "more.csv"], "3 paths are given"),
        (["kept", "sales.csv", "--out", "sales.csv"], "is the file that is read"),
        (["prior", "sales.csv"], "prior"),
        (["none.csv"], "none.csv"),
        (["kept"], "kept is what `oddshot fit` kept; give FILE behind it"),
    ],
)
def test_a_mistake_is_told_in_one_line(folder, arguments, message, monkeypatch):
    monkeypatch.chdir(folder)
    result = run("explain", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_images_are_refused_before_any_work(tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "one.png")
    result = run("explain", tmp_path)
    assert result.exit_code == 2
    assert "no columns; explain takes tables" in result.stderr
