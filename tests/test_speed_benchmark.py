"""The speed benchmark, on a scale of seconds."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from oddshot.mapping.mapping import COORDINATES
from small_priors import untrained_prior


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return importlib.import_module("speed")


@pytest.fixture
def collection(tmp_path):
    """Two labelled tables, and a prior that has not seen them."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for seed in range(2):
        rng = np.random.default_rng(seed)
        rows, labels = rng.normal(size=(120, 3)), np.arange(120) < 20
        rows[labels] += 3
        np.savez(folder / f"{seed}_table.npz", X=rows, y=labels.astype(int))
    untrained_prior().save(tmp_path / "prior")
    return [str(folder), "--prior", str(tmp_path / "prior")]


def test_peers_labels_and_growth(speed, capsys, monkeypatch):
    small = ["--rows", "300", "--columns", "3", "--repeats", "1"]
    speed.main(["peers", *small, "--peers", "ECOD"])
    said = capsys.readouterr().out
    for name in ("oddshot, 10 labels", "oddshot, fast", "ECOD"):
        assert name in said
    speed.main(["labels", *small])
    assert "add 5 labels, rank anew" in capsys.readouterr().out
    monkeypatch.setattr(speed, "SIZES", [(200, 3, 0), (100, 5, 4)])
    speed.main(["growth", "--repeats", "1"])
    assert "microseconds" in capsys.readouterr().out


def test_blocks_say_what_each_costs_and_buys(speed, collection, capsys):
    small = ["--rows", "300", "--columns", "3", "--repeats", "1"]
    speed.main(["blocks", *collection, *small])
    said = capsys.readouterr().out
    for name in ("all of them", "Neighbours, whitened", "Subsets, quantile", "Supervised"):
        assert name in said
    places = [place for group in speed.block_places().values() for place in group]
    assert sorted(places) == [*range(len(COORDINATES))]


def test_quality_levels_are_judged_on_the_same_trials(speed, collection, capsys):
    speed.main(["quality", *collection])
    lines = [line for line in capsys.readouterr().out.splitlines() if "2 tables" in line]
    assert len(lines) == 8  # three protocols, three detectors; IForest takes no labels


def test_what_a_command_takes_is_measured(speed, tmp_path):
    speed.write_parquet(tmp_path / "rows.parquet", 1000, 3)
    speed.write_text(tmp_path / "rows.csv", 1000, 3)
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1001
    assert (tmp_path / "rows.parquet").stat().st_size > 1000
    seconds, peak = speed.measured([sys.executable, "-c", "print(1)"])
    assert 0 < seconds < 60
    assert 0 < peak < 1
    with pytest.raises(SystemExit, match="ended with 3"):
        speed.measured([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_wide_table_is_fitted(speed):
    speed.fit_wide(60, 300, 1.0)
    speed.fit_wide(60, 300, 0.1)
