"""The examples and the README's Python run as they stand."""

import importlib
import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from oddshot import FewShotDetector
from oddshot.cli import app
from oddshot.errors import CalibrationWarning

ROOT = Path(__file__).parents[1]


def test_labels_pay_in_the_example(capsys):
    runpy.run_path(str(ROOT / "examples" / "five_labels.py"), run_name="__main__")
    table = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    auroc = {int(count): float(value) for count, value, _ in table}
    assert auroc[0] < 0.7
    assert 0.9 < auroc[5] <= auroc[20]


def test_an_adaptable_start_pays_in_the_example(capsys):
    runpy.run_path(str(ROOT / "examples" / "any_network.py"), run_name="__main__")
    table = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    before, after = {line[0]: (float(line[-2]), float(line[-1])) for line in table}["maml"]
    assert after < before / 2
    assert after < 0.6 * float(table[1][-1])


def test_a_learned_space_pays_where_images_are_not_aligned(capsys, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "examples")
    example = importlib.import_module("odd_images")
    monkeypatch.setattr(example, "JUDGED", 25)
    example.main(tmp_path / "odd.png")
    table = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    (aligned, _, moved, pixels) = (float(value) for value in table[-2][1:])
    assert aligned > 0.95
    assert moved > max(0.9, pixels + 0.1)
    assert (tmp_path / "odd.png").read_bytes().startswith(b"\x89PNG")


def test_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    found: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)  # of contaminated rows nothing is sure
        for code in blocks:
            exec(code, found)
    truth = np.repeat([0, 1], [107, 40])
    assert roc_auc_score(truth, found["scores"]) == pytest.approx(0.985, abs=0.004)
    flagged = found["verdicts"] == -1
    assert flagged.sum() == pytest.approx(31, abs=2)
    assert truth[flagged].mean() > 0.95
    assert found["chosen"].sum() == pytest.approx(13, abs=3)
    assert truth[found["chosen"]].all()
    unlabelled = FewShotDetector().fit(found["old"]).anomaly_score(found["new"])
    assert roc_auc_score(truth, unlabelled) == pytest.approx(0.9, abs=0.01)
    assert (tmp_path / "tumours").is_dir()


def test_the_commands_of_the_readme_print_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["transactions.py"])
    runpy.run_path(str(ROOT / "examples" / "transactions.py"), run_name="__main__")
    asked = ["transactions.csv", "--label-column", "fraud"]
    readme = (ROOT / "README.md").read_text()
    told = CliRunner().invoke(app, ["detect", *asked, "--top", "5"]).stdout
    for line in told.splitlines()[:3]:
        assert line in readme
    threshold, flagged = _threshold_of(readme)
    assert _threshold_of(told) == (pytest.approx(threshold, abs=0.1), pytest.approx(flagged, abs=9))
    rows = [line.split("│")[1].strip() for line in told.splitlines() if line.startswith("│")]
    assert rows == ["269", "196", "486", "638", "692"]
    told = CliRunner().invoke(app, ["explain", *asked, "--rows", "692"]).stdout
    change = "Smallest change found that makes it normal: amount_eur = "
    assert change in readme
    assert change in told
    reasons = re.findall(r"(amount_eur is 781.08 \(\+|card_age_days is 1 \(\+)([\d.]+)\)", readme)
    assert len(reasons) == 2
    for reason, adds in reasons:
        (shown,) = re.findall(re.escape(reason) + r"([\d.]+)\)", told)
        assert float(shown) == pytest.approx(float(adds), abs=0.15)


def _threshold_of(text):
    """The threshold, and how many rows are above it."""
    ((threshold, flagged),) = re.findall(r"Threshold ([\d.]+): (\d+) rows score above it", text)
    return float(threshold), int(flagged)
