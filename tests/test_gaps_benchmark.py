"""The benchmark of gaps, on one small table."""

import numpy as np
import pytest

from small_priors import untrained_prior

pytest.importorskip("pyod")


@pytest.fixture
def gaps(benchmark_script):
    return benchmark_script("gaps")


def test_all_kinds_of_gaps_are_judged(gaps, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gaps, "SETTINGS", {"no labels": gaps.unlabelled})
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 6))
    rows[:10] += 4
    folder = tmp_path / "adbench" / "classical"
    folder.mkdir(parents=True)
    np.savez(folder / "1_small.npz", X=rows, y=(np.arange(150) < 10).astype(int))
    untrained_prior().save(tmp_path / "prior")
    gaps.main([str(tmp_path), "--prior", str(tmp_path / "prior")])
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(told) == 1 + 4 * len(gaps.GAPS)
    assert all("/" in line.split("|")[-2] for line in told[1:])


@pytest.mark.parametrize("kind", range(5))
def test_gaps_are_as_many_as_they_are_called(gaps, kind):
    name, gap = list(gaps.GAPS.items())[kind]
    share = gap(4000, 10, np.random.default_rng(0)).mean()
    expected = [0, 0.5 * 0.02, 0.5 * 0.06, 0.3 * 0.03, 0.5 * 0.2][kind]
    assert share == pytest.approx(expected, rel=0.25), name


def test_splits_give_what_they_are_called(gaps):
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    given, told, asked = gaps.normal_only(labels)
    assert (labels[given] == 0).all()
    assert not np.isin(asked, given).any()
    given, told, asked = gaps.few_known(labels)
    assert (told == 1).sum() == 3
    assert not (told[asked] == 1).any()
