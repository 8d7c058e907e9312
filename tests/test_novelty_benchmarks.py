"""The benchmarks of new types and new domains, on a scale of seconds."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from oddshot.data.tasks import EpisodeSettings
from oddshot.meta_training import meta_train
from small_priors import untrained_prior

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def benchmark(monkeypatch, name):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


def test_new_types_are_judged_and_a_second_call_goes_on(monkeypatch, tmp_path, capsys):
    novel_types = benchmark(monkeypatch, "novel_types")
    monkeypatch.setattr(novel_types, "LABELS", (1,))
    monkeypatch.setattr(novel_types, "SHARE", 0.15)
    monkeypatch.setattr(novel_types, "MOST_NORMAL", 100)
    folder = tmp_path / "data" / "adbench" / "classical"
    folder.mkdir(parents=True)
    rows = np.random.default_rng(0).normal(size=(140, 3))
    rows[:20] += 5
    np.savez(folder / "one.npz", X=rows, y=(np.arange(140) < 20).astype(int))
    untrained_prior().save(tmp_path / "prior")
    asked = [str(tmp_path / "data"), "--prior", str(tmp_path / "prior"), "--peers", "extra-trees"]
    asked += ["--out", str(tmp_path / "out")]
    novel_types.main([*asked, "--parts", "planted"])
    assert "### planted: unseen types" in capsys.readouterr().out
    novel_types.main([*asked, "--parts", "planted,few-label"])
    told = capsys.readouterr().out
    assert "planted one:" not in told
    assert "few-label one:" in told
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert summary.count("| extra-trees |") == 2
    assert '| Oddshot, novel="auto" |' in summary


@pytest.fixture
def collections(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("adbench/classical", "oddbench", "ovrbench"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for number in range(2):
            rows = rng.normal(size=(60, 2))
            rows[40:] += 4
            names = [f"patient_{name[:2]}{number}", "bmi"]
            np.savez(
                folder / f"{name[:2]}{number}.npz",
                train=rows[:30],
                test=rows[30:],
                test_labels=(np.arange(30) >= 10).astype(int),
                feature_names=np.array(names),
            )
    return tmp_path


def test_new_domains_are_judged(monkeypatch, collections, capsys):
    domains = benchmark(monkeypatch, "domains")
    monkeypatch.setattr(domains, "FEWEST", 2)
    data = collections / "data"
    meta_train(
        [data / name for name in domains.COLLECTIONS],
        learner="gated",
        episodes=24,
        episode_settings=EpisodeSettings(min_rows=10),
        steps=1,
        validation_fraction=0.0,
        episode_store=collections / "episodes",
    )
    asked = [str(data), "--episodes", str(collections / "episodes"), "--steps", "2"]
    asked += ["--out", str(collections / "out")]
    domains.main([*asked, "--domains", "medicine,ovrbench"])
    told = capsys.readouterr().out
    assert "| medicine | 2 |" in told
    assert "| ovrbench | 2 |" in told
    with pytest.raises(SystemExit, match="no domain 'astrology'"):
        domains.main([*asked, "--domains", "astrology"])
