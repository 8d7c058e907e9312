"""The benchmark of groups, on a scale of seconds."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def groups(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    found = importlib.import_module("groups")
    small = {"GROUPS": 20, "NEW_GROUPS": 10, "READINGS": 12, "LEARNED_RUNS": 10}
    for name, value in small.items():
        monkeypatch.setattr(found, name, value)
    return found


def test_each_kind_of_calibration_has_its_share_of_alarms(groups, tmp_path, capsys):
    (tmp_path / "skab").mkdir()
    rng = np.random.default_rng(0)
    for run in range(12):
        rows = pd.DataFrame(rng.normal(run % 3, 1, size=(15, 2)), columns=["flow", "pressure"])
        rows = rows.assign(datetime=range(15), anomaly=0, changepoint=0)
        rows.to_csv(tmp_path / "skab" / f"{run}.csv", sep=";", index=False)
    groups.main([str(tmp_path), "--repeats", "2"])
    told = capsys.readouterr().out
    for name in ("simulated, 2 repeats", "skab, 2 repeats", "alarms at 0.1", "alarms at 0.2"):
        assert name in told
    rows = [line for line in told.splitlines() if line.startswith(("| own", '| "'))]
    assert len(rows) == 12
    assert all(0 <= float(row.split("|")[2].split("±")[0]) <= 1 for row in rows)
