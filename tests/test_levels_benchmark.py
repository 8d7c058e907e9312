"""The benchmark of levels, combinations and constants, on small tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oddshot.episodes import Table
from oddshot.evaluation.novel_types import TypedTable
from small_priors import untrained_prior

pytest.importorskip("catboost")


@pytest.fixture
def levels(benchmark_script, monkeypatch):
    found = benchmark_script("levels")
    monkeypatch.setattr(found, "CONTAMINATIONS", (0.0,))
    monkeypatch.setattr(found, "KNOWN", (3,))
    return found


def figures(table):
    """The rows of a Markdown table, as text."""
    _, _, *lines = table.strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_constants_are_counted_by_collection(levels, tmp_path):
    rng = np.random.default_rng(0)
    for number, folder in enumerate(("adbench/classical", "oddbench", "ovrbench")):
        (tmp_path / folder).mkdir(parents=True)
        odd = np.arange(120) < 20
        rows = np.column_stack([rng.normal(size=(120, 2)), odd * (number == 1)])
        np.savez(tmp_path / folder / "t.npz", X=rows, y=odd.astype(int))
    found = figures(levels.constants(tmp_path))
    assert [row[1:5] for row in found] == [
        ["1", "0", "0", "0"],
        ["1", "1", "20", "20"],
        ["1", "0", "0", "0"],
    ]
    assert {row[5] for row in found} == {"0.00%"}


def test_simulated_shops_are_found_by_their_chains(levels):
    found = figures(levels.simulated_combinations(untrained_prior(), 1))
    assert [row[0] for row in found] == ["8", "40"]
    auroc = [[float(cell.split("/")[0]) for cell in row[2:4]] for row in found]
    assert auroc[1][0] > 0.95 > auroc[1][1]


def test_labels_are_compared_with_what_rarity_tells(levels, monkeypatch):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.normal(size=600), "level": rng.integers(20, size=600)})
    rows["level"] = [f"l{number}" for number in rows["level"]]
    kinds = np.where(rows["level"] == "l3", "probe", "").astype(str)
    truth = (kinds == "probe").astype(int)
    parts = rows[:300], truth[:300], rows[300:], truth[300:]
    monkeypatch.setattr(levels, "attacks", lambda *_: parts)
    monkeypatch.setattr(levels, "shops", lambda *_: parts)
    typed = TypedTable(Table("nsl_kdd", rows, truth.astype(np.int8)), kinds)
    monkeypatch.setattr(levels, "nsl_kdd", lambda _: typed)
    found = figures(levels.labels_on_levels(Path(), untrained_prior(), 1))
    ours, rarity = (float(cell.split("/")[0]) for cell in found[0][2:4])
    assert ours > rarity
