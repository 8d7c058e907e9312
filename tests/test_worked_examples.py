"""The worked examples, on small settings; on stand-ins where the others are absent."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {
    "industrial_defects": {"KINDS": ("bottle",)},
    "credit_risk": {"LABELS": (0, 5), "EXPLAINED": 2},
    "medical_diagnosis": {"LABELS": (0, 5)},
    "network_intrusion": {"NORMAL_ROWS": 500},
    "machine_sensors": {"RUNS": ("valve1_0",)},
}


def load(monkeypatch, name):
    monkeypatch.syspath_prepend(ROOT / "examples")
    example = importlib.import_module(name)
    for setting, value in SMALL[name].items():
        monkeypatch.setattr(example, setting, value)
    return example


def told(example, name, folder, capsys):
    example.main(folder)
    picture = folder / f"{name.replace('_', '-')}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    return capsys.readouterr().out


@pytest.mark.parametrize("name", SMALL)
def test_an_example_runs_on_its_data(name, monkeypatch, tmp_path, capsys):
    example = load(monkeypatch, name)
    if not example.DATA.is_dir():
        pytest.skip(f"no data in {example.DATA}; set ODDSHOT_DATA")
    lines = told(example, name, tmp_path, capsys)
    assert "What one learns" in lines
    assert "Stand-in" not in lines


@pytest.mark.parametrize("name", SMALL)
def test_an_example_runs_without_its_data(name, monkeypatch, tmp_path, capsys):
    """It says so first, and draws no conclusion about what it has not seen."""
    example = load(monkeypatch, name)
    monkeypatch.setattr(example, "DATA", tmp_path / "absent")
    lines = told(example, name, tmp_path, capsys)
    assert lines.startswith("Stand-in data: no ")
    assert "What one learns" not in lines
    figures = lines[lines.index("\n\n") :]
    assert not any(word in figures for word in ("loan", "defective parts", "attack", "warms up"))
    lines = figures.strip().splitlines()
    if name == "credit_risk":
        auroc = [float(line.split()[1]) for line in lines[1:3]]
        assert 0.8 < auroc[0] < auroc[1]
    if name == "network_intrusion":
        seen = next(line.split()[2:] for line in lines if line.startswith("digit 7"))
        assert float(seen[2]) > float(seen[1])  # labels of a type help to find it
    if name == "machine_sensors":
        _, auroc, delay, early = lines[1].split()
        assert float(auroc) > 0.95
        assert int(delay) < example.WINDOW
        assert float(early) <= 5
