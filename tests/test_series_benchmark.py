"""The benchmark of series, on short made-up ones."""

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def series(benchmark_script):
    return benchmark_script("series")


def test_command_judges_all_kinds_of_series(series, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(series, "PEERS", ("iforest",))
    monkeypatch.setattr(series, "WINDOWS", {"nab": (8,), "skab": (5,), "bonds": (12,)})
    monkeypatch.setattr(series, "MADE", 1)
    monkeypatch.setattr(series, "READINGS", 400)
    monkeypatch.setattr(series, "LEARNED", 120)
    generator = np.random.default_rng(0)
    at = pd.date_range("2024-01-01", periods=300, freq="5min")
    values = np.where((np.arange(300) >= 200) & (np.arange(300) < 230), 6, 0)
    values = values + generator.normal(size=300)
    (tmp_path / "nab" / "kind").mkdir(parents=True)
    nab = pd.DataFrame({"timestamp": at, "value": values})
    nab.to_csv(tmp_path / "nab" / "kind" / "one.csv", index=False)
    labelled = {"kind/one.csv": [[str(at[200]), str(at[229])]], "kind/none.csv": []}
    (tmp_path / "nab" / "combined_windows.json").write_text(json.dumps(labelled))
    (tmp_path / "skab").mkdir()
    skab = pd.DataFrame({"datetime": at, "a": values, "b": generator.normal(size=300)})
    skab["anomaly"], skab["changepoint"] = (np.abs(np.arange(300) - 215) < 15).astype(int), 0
    skab.to_csv(tmp_path / "skab" / "run.csv", sep=";", index=False)
    series.main([str(tmp_path)])
    told = capsys.readouterr().out
    rows = {
        line.split("|")[1].strip(): [float(cell) for cell in line.split("|")[2:-1]]
        for line in told.splitlines()
        if line.startswith(("| Oddshot", "| iforest", "| discord"))
    }
    assert rows["Oddshot, 8"][0] > 0.9
    assert rows["Oddshot, 8"][2] == 1
    assert {"iforest on windows, 8", "discord, 8", "Oddshot on readings, 5"} < set(rows)
    assert rows["Oddshot, 12"][0] > 0.9
    auroc, _, before, found = rows["Oddshot, 5"]
    assert auroc > 0.9
    assert before < 0.3 < found


def test_peaks_apart_hit_stretches(series):
    inside = [np.arange(100) < 10, np.arange(100) >= 90]
    scores = np.zeros(100)
    scores[[5, 6, 50]] = [3, 2.9, 2]
    assert series.hits(scores, inside, 4) == 0.5
    scores[95] = 2.5
    assert series.hits(scores, inside, 4) == 1


def test_a_shape_that_no_other_window_has_is_a_discord(series):
    values = np.tile([0.0, 1, 0, -1], 40)
    values[80:84] = [0, 1, 1, 1]
    assert 76 <= int(np.argmax(series.discord(values, 6))) <= 84
