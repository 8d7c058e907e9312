"""The example of the adversarially augmented autoencoder runs as it stands."""

import importlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_virtual_anomalies_teach_in_the_example(capsys, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module("adversarial_autoencoder")
    monkeypatch.setattr(example, "STEPS", 40)
    example.main(tmp_path)
    table = [line.split() for line in capsys.readouterr().out.splitlines()[1:4]]
    _, (alone, others), (helped, _) = (map(float, line[-2:]) for line in table)
    assert min(alone, others) > 0.9
    assert helped > 0.95
    drawn = sorted(path.name for path in tmp_path.glob("*.png"))
    assert drawn == [f"autoencoder-{kind}.png" for kind in ("images", "losses", "table")]
