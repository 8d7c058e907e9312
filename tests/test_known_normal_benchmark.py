"""The benchmark of labels on normal rows, on small tables."""

import numpy as np
import pytest

from oddshot.episodes import Table
from small_priors import untrained_prior


@pytest.fixture
def known_normal(benchmark_script, monkeypatch):
    found = benchmark_script("known_normal")
    monkeypatch.setattr(found, "NORMALS", (0, 20))
    monkeypatch.setattr(found, "KNOWN", (0, 2))
    return found


def test_tables_are_judged_once_and_summed_up(known_normal, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    odd = np.arange(150) < 15
    table = Table("t", rng.normal(size=(150, 3)) + 4 * odd[:, None], odd.astype(np.int8))
    few = Table("few", table.rows[:25], table.labels[:25])
    reads = []

    def chosen(given):
        for name, one in (("t", table), ("few", few)):
            yield name, untrained_prior(), lambda one=one: reads.append(one.name) or one

    monkeypatch.setattr(known_normal, "chosen", chosen)
    for _ in range(2):
        known_normal.main([str(tmp_path), "--out", str(tmp_path / "out")])
    assert reads == ["t", "few"]
    *_, lines = capsys.readouterr().out.strip().rpartition("|---:|\n")
    assert [line.split("|")[1].strip() for line in lines.splitlines()] == [
        "0, 0",
        "0, 20",
        "2, 0",
        "2, 20",
    ]
    assert {line.split("|")[2].strip() for line in lines.splitlines()} == {"1"}
