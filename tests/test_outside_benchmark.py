"""The benchmark of cells that lie outside, on small tables."""

import pytest

from small_priors import untrained_prior
from test_explanation_benchmark import data


@pytest.fixture
def outside(benchmark_script):
    return benchmark_script("outside")


def test_command_tells_how_many_rows_are_found(outside, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(outside, "PEERS", ("iforest",))
    untrained_prior().save(tmp_path / "prior")
    folder = str(data(tmp_path / "data"))
    outside.main([folder, "--prior", str(tmp_path / "prior"), "--rows", "5"])
    told = capsys.readouterr().out
    assert told.count("False alarms at the threshold") == 3
    *_, mixed = told.split("| % of rows, ")
    head, _, *lines = mixed.splitlines()
    assert head == "1 mixed tables | 1 ranges | 10 ranges | 1,000 ranges | level | gap |"
    shares = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines[:4]}
    assert list(shares) == [
        "oddshot",
        "oddshot, coordinates alone",
        "iforest",
        "oddshot, threshold",
    ]
    assert float(shares["oddshot"][2]) == 100
