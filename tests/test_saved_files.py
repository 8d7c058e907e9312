"""What was saved in an earlier format still loads, and gives the scores that it gave."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from oddshot import AAEDetector, FewShotDetector, Prior, SeriesDetector
from oddshot.cli import app
from oddshot.errors import SavedScoresWarning
from oddshot.persistence import FORMAT_VERSION

SAVED = Path(__file__).parent / "saved"
FORMATS = sorted(SAVED.iterdir())


def pictures(images: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (images, 12, 10), dtype=np.uint8)


def test_there_are_files_of_every_format():
    assert [folder.name for folder in FORMATS] == [
        f"format-{version + 1}" for version in range(FORMAT_VERSION)
    ]


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_saved_files_load_and_score_as_they_did(folder):
    expected = json.loads((folder / "expected.json").read_text())
    rows = pd.read_csv(folder / "rows.csv", dtype={"paid": str})
    visits, readings, orders = (
        pd.read_csv(folder / f"{name}.csv") for name in ("visits", "readings", "orders")
    )
    with warnings.catch_warnings(action="ignore", category=SavedScoresWarning):
        found = {
            "table": FewShotDetector.load(folder / "table").anomaly_score(rows),
            "few-rows": FewShotDetector.load(folder / "few-rows").anomaly_score(visits),
            "series": SeriesDetector.load(folder / "series").anomaly_score(readings[40:]),
            "levels": FewShotDetector.load(folder / "levels").anomaly_score(orders),
        }
    found["autoencoder"] = AAEDetector.load(folder / "autoencoder").anomaly_score(
        rows[["a", "b"]].to_numpy()
    )
    found["images"] = FewShotDetector.load(folder / "images").anomaly_score(pictures(4, seed=1))
    assert found.keys() | {"prior"} == expected.keys()
    for kind, scores in found.items():
        mapped = kind in ("table", "few-rows", "series")
        atol = 0.04 if mapped else 1e-3  # of the first the mapping was corrected since
        np.testing.assert_allclose(scores, expected[kind], atol=atol, err_msg=kind)
    assert Prior.load(folder / "prior").fingerprint == expected["prior"]


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_calibration_comes_along(folder):
    rows = pd.read_csv(folder / "rows.csv", dtype={"paid": str})
    with warnings.catch_warnings(action="ignore", category=SavedScoresWarning):
        loaded = FewShotDetector.load(folder / "table")
        held_out = FewShotDetector.load(folder / "few-rows")
    assert loaded.calibration_.rows == 30
    assert loaded.p_values(rows).min() >= 1 / 31
    assert held_out.calibration_.method == "cross"
    assert held_out.threshold_rule_.settings == {"alpha": 0.05}
    assert held_out.threshold_rule_.automatic is None
    assert held_out.p_values(pd.read_csv(folder / "visits.csv"))[2] == pytest.approx(1 / 38)


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_threshold_that_was_chosen_automatically_is_recognised(folder):
    with warnings.catch_warnings(action="ignore", category=SavedScoresWarning):
        rules = [
            AAEDetector.load(folder / "autoencoder").threshold_rule_,
            FewShotDetector.load(folder / "images").threshold_rule_,
            SeriesDetector.load(folder / "series").threshold_rule_,
        ]
    assert [rule.automatic for rule in rules] == ["scores"] * 3


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_session_of_labelling_goes_on(folder, tmp_path):
    shutil.copytree(folder / "session", tmp_path / "session")
    options = [str(folder / "visits.csv"), "--out", str(tmp_path / "session")]
    found = CliRunner().invoke(app, ["label", *options], input="n\nq\n")
    assert found.exit_code == 0, found.output
    assert "Going on after 2 answers." in found.output
    answers = pd.read_csv(tmp_path / "session" / "answers.csv")
    assert answers["answer"].tolist() == ["anomaly", "normal", "normal"]


def test_the_command_line_tells_of_other_scores_in_one_line():
    folder = SAVED / "format-1"
    command = [sys.executable, "-m", "oddshot", "score", folder / "table", folder / "rows.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    assert line.startswith("oddshot: ")
    assert "does not give the scores it gave when it was saved" in line


def test_rows_of_fit_are_known_again_where_logarithms_end_in_other_digits(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    land = np.where(rng.random(80) < 0.3, "AT", "DE").astype(object)
    land[:3] = "CH"
    rows = pd.DataFrame({"a": rng.normal(size=80), "land": land})
    rows["paid"] = pd.date_range("2025-01-01", periods=80, freq="7h")
    detector = FewShotDetector(random_state=0).fit(rows)
    own = detector.anomaly_score(rows)
    detector.save(tmp_path / "kept")
    for name in ("log10", "sin", "cos"):  # as on another processor
        plain = getattr(np, name)
        monkeypatch.setattr(np, name, lambda x, plain=plain: np.nextafter(plain(x), np.inf))
    again = FewShotDetector.load(tmp_path / "kept").anomaly_score(rows)
    np.testing.assert_allclose(again, own, atol=1e-6)
