"""The commands behind the evidence (ablations, robustness), on a scale of seconds."""

import importlib
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from oddshot.episodes import MappedTask, SupportSummary
from oddshot.mapping.coordinates.evidence import EVIDENCE, TABLE
from oddshot.mapping.mapping import COORDINATES, LABEL_FREE
from oddshot.meta_training import in_fold
from oddshot.task_store import TaskStore

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)


def task(number: int, *, planted: bool = True) -> MappedTask:
    """Make a task whose first label-free and last label-aware coordinate tell the truth."""
    rng = np.random.default_rng(number)
    known = number % 3
    truth = np.repeat(np.array([1, 0], np.int8), [5, 25])
    query = rng.normal(size=(30, len(COORDINATES), 2)).astype(np.float32)
    query[:5, 0] += 2
    query[:5, -1] += 4 * (known > 0)
    support = rng.normal(size=(20, len(COORDINATES), 2)).astype(np.float32)
    labels = np.array([1] * known + [-1] * (20 - known), np.int8)
    evidence = rng.normal(size=(len(COORDINATES), len(EVIDENCE))).astype(np.float32)
    summary = SupportSummary(evidence, rng.normal(size=len(TABLE)).astype(np.float32))
    kind = "+local" if planted and number % 5 == 0 else ""
    return MappedTask(
        name=f"t{number}{kind}", family=f"f{number % 12}", seed=number, support=support,
        support_labels=labels, query=query, query_labels=truth, summary=summary,
    )  # fmt: skip


def test_ablation_compares_variants_with_the_whole_and_goes_on(benchmark, tmp_path, capsys):
    assert {in_fold(f"f{number}", 0, 4) for number in range(12)} == {True, False}
    TaskStore.fill(task, 48, key={}, folder=tmp_path / "episodes", shard_size=16)
    chosen = [f"without {part}" for part in ("Shape", "meta", "anchor", "labels", "planted")]
    command = [str(tmp_path / "episodes"), "--steps", "3", "--out", str(tmp_path / "out")]
    ablation = benchmark("ablation")
    ablation.main([*command, "--variant", *chosen, "learner maml"])
    text = (tmp_path / "out" / "ablation.md").read_text()
    for name in ("whole", "without meta-training, plain", *chosen[2:4], "learner maml"):
        assert f"| {name} |" in text
    rows = pd.read_csv(next((tmp_path / "out").glob("whole-*.csv")))
    assert rows["auroc"].between(0, 1).all()
    assert len(set(rows["family"])) < 12
    capsys.readouterr()
    ablation.main([*command, "--variant", "without Shape", "--retrain"])
    assert "whole:" not in capsys.readouterr().out


def test_without_planted_tasks_needs_some_in_the_store(benchmark, tmp_path, capsys):
    TaskStore.fill(partial(task, planted=False), 48, key={}, folder=tmp_path / "episodes")
    command = [str(tmp_path / "episodes"), "--steps", "1", "--out", str(tmp_path / "out")]
    benchmark("ablation").main([*command, "--variant", "without planted"])
    assert "without planted tasks: the same as the whole" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").glob("*.csv")] == ["whole-seed0-steps1.csv"]


def test_every_coordinate_stands_in_one_block(benchmark):
    blocks = benchmark("ablation").blocks()
    aware = blocks.pop("all label-aware")
    assert sorted(sum(blocks.values(), ())) == sorted(COORDINATES)
    assert aware == COORDINATES[len(LABEL_FREE) :]


def test_episodes_of_another_mapping_are_refused(benchmark, tmp_path, monkeypatch):
    TaskStore.fill(task, 2, key={}, folder=tmp_path, shard_size=2)
    ablation = benchmark("ablation")
    monkeypatch.setattr(ablation, "COORDINATES", COORDINATES[:-1])
    with pytest.raises(SystemExit, match="map the episodes anew"):
        ablation.Bench.open(tmp_path, steps=1, seed=0)


def test_robustness_command_writes_losses_and_a_page(benchmark, tmp_path):
    rng = np.random.default_rng(0)
    tables = tmp_path / "tables"
    tables.mkdir()
    for name in ("a", "b"):
        labels = np.repeat([0, 1], [100, 20])
        np.savez(tables / name, X=rng.normal(size=(120, 3)) + 2 * labels[:, None], y=labels)
    benchmark("robustness").main([
        str(tables), "--detectors", "extra-trees", "logistic", "--k", "5", "--tables", "2",
        "--seeds", "1",
        "--disturb", "duplicates=2", "irrelevant=0.5", "label-errors=0.25",
        "--out", str(tmp_path / "out"), "--figure", str(tmp_path / "curves.png"),
    ])  # fmt: skip
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    text = (tmp_path / "out" / "robustness.md").read_text()
    assert "Change of AUROC, 2 tables" in text
    assert text.count("| label-errors=0.25 |") == 2
    assert "AUROC of extra-trees, and how far it leads" in text
    assert "<h2>Robustness</h2>" in (tmp_path / "out" / "robustness.html").read_text()


def test_a_split_that_failed_under_one_disturbance_is_left_out_of_all(benchmark):
    splits = pd.DataFrame(
        {"collection": "c", "table": ["a", "a", "b"], "seed": [1, 2, 1], "auroc": [0.5, 0.9, 0.7]}
    )
    parts = [
        splits.assign(protocol=protocol, detector=name, error="")
        for protocol in ("few-label", "few-label duplicates=3")
        for name in ("oddshot", "knn50")
    ]
    results = pd.concat(parts, ignore_index=True)
    results.loc[1, ["auroc", "error"]] = [np.nan, "DataError: no"]
    scores = benchmark("robustness").by_table(results)
    assert scores.loc[("c", "a")].tolist() == [0.5] * 4
    assert scores.loc[("c", "b")].tolist() == [0.7] * 4
