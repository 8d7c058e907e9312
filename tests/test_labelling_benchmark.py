"""The benchmark of the labelling loop, on two small tables."""

import numpy as np
import pytest

from small_priors import untrained_prior


@pytest.fixture
def labelling(benchmark_script):
    return benchmark_script("labelling")


def test_command_compares_and_goes_on_where_it_was_stopped(labelling, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("adbench/classical", "oddbench", "ovrbench"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for name in ("adbench/classical/one", "oddbench/two", "ovrbench/three"):
        rows = rng.normal(size=(120, 3))
        rows[:12, 0] += 9
        np.savez(tmp_path / "data" / f"{name}.npz", X=rows, y=(np.arange(120) < 12).astype(int))
    untrained_prior().save(tmp_path / "prior")
    arguments = [str(tmp_path / "data"), "--prior", str(tmp_path / "prior"), "--look", "10"]
    arguments += ["--out", str(tmp_path / "out"), "--figure", str(tmp_path / "curves.png")]
    labelling.main([*arguments, "--variants", "0/0.5/5,0/0/1/0"])
    first = capsys.readouterr().out
    assert "3 tables, 8.0 anomalies can be found in 10 looks." in first
    found = {line.split(" | ")[0]: line.split(" | ")[1:] for line in first.splitlines()}
    assert float(found["| suggest, one at a time"][0]) > 7
    assert found["| random"][0] == "1.0"  # 8 of 84 rows, to one digit
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    labelling.main([*arguments, "--variants", "0/0.5/5,0/0/1/0"])
    again = capsys.readouterr().out
    assert again.strip() == first[first.index("machine") :].strip()
