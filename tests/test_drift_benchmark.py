"""The command that measures drift, on small tables."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from small_priors import untrained_prior

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def drift(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("drift")
    small = {"CONTEXT": 60, "WINDOW": 20, "QUIET": 2, "SHIFTED": 1, "KEEPS": (0.0,)}
    for name, value in small.items():
        monkeypatch.setattr(module, name, value)
    return module


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    for name in ("adbench/classical", "skab", "mixed", "nsl_kdd"):
        (folder / name).mkdir(parents=True)
    rows = rng.normal(size=(200, 3))
    np.savez(folder / "adbench/classical/toy.npz", X=rows, y=(np.arange(200) % 9 == 0).astype(int))
    series = pd.DataFrame(rng.normal(size=(540, 2)), columns=["current", "pressure"])
    series = series.assign(
        datetime="2020", anomaly=(np.arange(540) // 20 == 25).astype(float), changepoint=0.0
    )
    series.to_csv(folder / "skab/valve1_0.csv", sep=";", index=False)
    untrained_prior().save(tmp_path / "prior")
    return tmp_path


def test_figures_are_printed_and_a_second_call_repeats_nothing(drift, data, capsys):
    arguments = [str(data / "data"), "--prior", str(data / "prior"), "--out", str(data / "out")]
    arguments += ["--parts", "contexts,tables,skab", "--limit", "1"]
    drift.main(arguments)
    first = capsys.readouterr().out
    assert "tables toy" in first
    assert "| unit x 1000 | 1 | 1 |" in first
    assert "| block 20, anomalous |" in first
    assert "Mean AUROC before a strong shift" in first
    assert "SKAB: AUROC from the turn on" in first
    drift.main(arguments)
    again = capsys.readouterr().out
    assert "tables toy" not in again
    assert again[again.index("machine") :] == first[first.index("machine") :]
