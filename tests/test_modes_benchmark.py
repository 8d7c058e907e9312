"""The benchmark of rows between clusters, on small tables."""

import numpy as np
import pytest

from small_priors import untrained_prior

pytest.importorskip("pyod")


@pytest.fixture
def modes(benchmark_script, monkeypatch):
    found = benchmark_script("modes")
    monkeypatch.setattr(found, "PEERS", {"kNN, 10": found.PEERS["kNN, 10"]})
    return found


def test_a_line_for_each_kind(modes, monkeypatch):
    monkeypatch.setattr(modes, "KINDS", {"clusters": modes.clusters})
    head, _, line = modes.compared(untrained_prior(), 1, 0.05).strip().splitlines()
    names = [cell.strip() for cell in head.strip("|").split("|")]
    cells = dict(zip(names, (c.strip() for c in line.strip("|").split("|")), strict=True))
    assert float(cells["kNN, 10"].split("/")[0]) > 0.95
    assert float(cells["Oddshot"].split("/")[0]) >= float(cells["head alone"].split("/")[0])
    assert cells["none hidden"].endswith("%")


@pytest.mark.parametrize("kind", ["clusters", "modes", "moons", "hours", "places", "one cluster"])
def test_every_kind_has_as_many_rows_of_each(modes, kind):
    normal, odd = modes.KINDS[kind](np.random.default_rng(0), 50)
    assert normal.shape == odd.shape
    assert len(normal) == 50
