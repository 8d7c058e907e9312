"""The benchmark of thresholds, on a scale of seconds."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from small_priors import untrained_prior

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

KINDS = ["no labels", "three labels", "five labels", "clean"]


@pytest.fixture
def thresholds(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    found = importlib.import_module("thresholds")
    for name, value in {"LEARN": 60, "JUDGE": 40, "LEAST": 20}.items():
        monkeypatch.setattr(found, name, value)
    return found


@pytest.fixture
def folder(tmp_path):
    rng, tables = np.random.default_rng(0), tmp_path / "tables"
    tables.mkdir()
    for name in ("one", "two"):
        rows = rng.normal(size=(150, 3))
        rows[:25] += 6
        np.savez(tables / f"{name}.npz", X=rows, y=(np.arange(150) < 25).astype(int))
    untrained_prior().save(tmp_path / "prior")
    return tmp_path


def test_promises_are_judged_table_by_table_and_go_on(thresholds, folder, capsys):
    asked = [str(folder / "tables"), "--prior", str(folder / "prior"), "--promises"]
    thresholds.main([*asked, "--tables", "1", "--out", str(folder / "out")])
    first = pd.read_csv(folder / "out" / "promises.csv")
    thresholds.main([*asked, "--out", str(folder / "out")])
    both = pd.read_csv(folder / "out" / "promises.csv")
    assert both["table"].nunique() == 2
    pd.testing.assert_frame_equal(both[: len(first)], first)
    rates = both[both["support"] != "probability"]
    assert set(rates["method"]) == set(thresholds.METHODS)
    assert rates["value"].between(0, 1).all()
    summary = (folder / "out" / "promises.md").read_text()
    assert "2 tables" in summary
    assert "| clean | own rows, no refit |" in summary
    assert "| platt |" in summary
    assert summary.strip() in capsys.readouterr().out


def test_the_default_threshold_is_printed(thresholds, folder, capsys):
    thresholds.main([str(folder / "tables"), "--prior", str(folder / "prior")])
    told = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in told[-4:]] == KINDS


def test_few_rows_are_judged_with_and_without_rows_held_out(
    thresholds, folder, capsys, monkeypatch
):
    monkeypatch.setattr(thresholds, "FEW", (12, 80))
    thresholds.main([str(folder / "tables"), "--prior", str(folder / "prior"), "--few-rows"])
    _, _, *lines = capsys.readouterr().out.strip().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in cells] == [
        f"{count} x 3, 2 tables, {how}" for count in (12, 80) for how in ("held out", "as its own")
    ]
    assert float(cells[0][1][:6]) <= float(cells[1][1][:6])
    assert cells[2][1:] == cells[3][1:]  # of 80 rows and three columns none is held out
