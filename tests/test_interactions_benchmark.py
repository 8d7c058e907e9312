"""The benchmark of interacting columns, on small tables."""

import numpy as np
import pytest

from small_priors import untrained_prior

pytest.importorskip("pyod")
pytest.importorskip("catboost")


@pytest.fixture
def interactions(benchmark_script, monkeypatch):
    found = benchmark_script("interactions")
    for name, value in {"ROWS": 600, "COLUMNS": 4, "LABELS": (50,)}.items():
        monkeypatch.setattr(found, name, value)
    return found


def test_every_kind_is_compared(interactions, monkeypatch):
    monkeypatch.setattr(interactions, "KINDS", {"sign": interactions.sign})
    head, _, line = interactions.compared(untrained_prior(), 1).strip().splitlines()
    names = [cell.strip() for cell in head.strip("|").split("|")]
    cells = dict(zip(names, (c.strip() for c in line.strip("|").split("|")), strict=True))
    assert (cells["kind"], cells["labels"]) == ("sign", "50")
    assert float(cells["boosting"].split("/")[0]) > 0.8
    assert cells["trees counted"] == "1 of 1"
    assert float(cells["Oddshot"].split("/")[0]) > float(cells["head alone"].split("/")[0]) + 0.1


@pytest.mark.parametrize("kind", ["sign", "order"])
def test_columns_by_themselves_look_alike(interactions, monkeypatch, kind):
    monkeypatch.setattr(interactions, "ROWS", 40_000)
    monkeypatch.setattr(interactions, "SHARE", 0.5)
    rows, odd = interactions.drawn(kind, np.random.default_rng(0))
    for column in rows.T[:3]:
        levels = np.quantile(column, np.linspace(0.05, 0.95, 19))
        shares = [
            np.searchsorted(np.sort(column[odd == k]), levels) / (odd == k).sum() for k in (0, 1)
        ]
        assert np.abs(shares[0] - shares[1]).max() < 0.02
