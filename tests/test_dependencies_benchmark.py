"""The benchmark of columns that no longer go together, on small tables."""

import numpy as np
import pytest

from oddshot.episodes import Table
from small_priors import untrained_prior

pytest.importorskip("pyod")


@pytest.fixture
def dependencies(benchmark_script, monkeypatch):
    found = benchmark_script("dependencies")
    for name, value in {"NOISE": (0.1,), "BESIDE": (1,), "ROWS": 300, "LEAST": 50}.items():
        monkeypatch.setattr(found, name, value)
    return found


def cells(table):
    """The rows of a Markdown table, as text."""
    head, _, *lines = table.strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *lines)]


def test_shapes_with_normal_rows_and_with_labels(dependencies, monkeypatch):
    monkeypatch.setattr(dependencies, "SHAPES", {"line": lambda x, _: x})
    head, clean, labelled = cells(dependencies.simulated(untrained_prior(), 1))
    assert clean[:4] == ["normal rows", "line", "0.1", "1"]
    assert labelled[:4] == ["five labels", "line", "0.1", "1"]
    assert clean[head.index("extra trees")] == "" != labelled[head.index("extra trees")]
    assert float(clean[head.index("mixture")].split("/")[0]) > 0.8


def test_planted_cells_are_of_other_rows(dependencies):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 1)) @ np.ones((1, 4)) + 0.1 * rng.normal(size=(200, 4))
    wide = rng.normal(size=(200, 60))
    labels = np.zeros(200, dtype=np.int8)
    tables = [Table("t", rows, labels), Table("wide", wide, labels)]
    head, one, every = cells(dependencies.planted(untrained_prior(), tables))
    assert one[:2] == ["1", "one cell"]
    assert every[:2] == ["1", "every cell"]
    at = head.index("mixture")
    assert all(float(line[at].split("/")[0]) > 0.8 for line in (one, every))


def test_only_the_second_column_of_an_anomaly_is_drawn_by_itself(dependencies):
    learned, labels, rows, truth = dependencies.followed(
        np.random.default_rng(1), "tent", 0.01, 2, 0
    )
    assert learned.shape == (300, 5)
    assert not labels.any()
    beside = np.abs(rows[:, 1] - np.abs(rows[:, 0]))
    assert beside[truth == 0].max() < 0.1 < np.median(beside[truth == 1])
