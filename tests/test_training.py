import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from oddshot.errors import DataError, SettingError, TrainingError
from oddshot.learners import collate, restore
from oddshot.priors import Prior
from oddshot.training import LOG_COLUMNS, _by_family, _draw, train

QUICK = {
    "settings": {"hidden": [4], "inner_steps": 1},
    "steps": 6,
    "batch_size": 4,
    "learning_rate": 0.01,
    "log_every": 2,
    "checkpoint_every": 2,
}


def assert_identical(found: Prior, expected: Prior) -> None:
    assert found.fingerprint == expected.fingerprint
    for name, array in expected.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array)


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def reproducible(rows: list[dict[str, str]]) -> list[list[str]]:
    return [[row[c] for c in LOG_COLUMNS if "seconds" not in c and "per" not in c] for row in rows]


def test_it_learns(synthetic_tasks):
    tasks = synthetic_tasks(40)
    losses = []
    settings = {**QUICK, "steps": 120, "batch_size": 8}
    prior = train(tasks, **settings, on_step=lambda _, figures: losses.append(figures["loss"]))
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:20])
    learner, params = restore(prior)
    with torch.no_grad():
        unseen = collate(synthetic_tasks(8, seed=1))
        scores = learner.detector(params, unseen)(unseen.query)
    anomalous = unseen.query_labels == 1
    normal = ~anomalous & unseen.query_mask
    assert scores[anomalous].mean() > scores[normal].mean() + 0.5


def test_same_seed_same_prior_other_seed_another(synthetic_tasks):
    tasks = synthetic_tasks(8)
    assert_identical(train(tasks, **QUICK), train(tasks, **QUICK))
    assert train(tasks, **QUICK, seed=1) != train(tasks, **QUICK)


def test_provenance_says_where_it_comes_from(synthetic_tasks):
    prior = train(
        synthetic_tasks(6, families=3),
        **QUICK,
        seed=5,
        validation=[replace(t, family="held") for t in synthetic_tasks(2, seed=1)],
        provenance={"holdout": ["adbench"]},
    )
    assert prior.learner == "maml"
    assert prior.settings["hidden"] == [4]
    assert prior.seen_families == {"family0", "family1", "family2", "held"}
    told = prior.provenance
    assert (told["seed"], told["steps"], told["tasks"], told["holdout"]) == (5, 6, 6, ["adbench"])
    assert 0 <= told["validation_auroc"] <= 1
    assert {"oddshot", "torch", "numpy", "python"} <= told["versions"].keys()
    json.dumps(dict(told), allow_nan=False)


def test_families_count_alike_and_batches_depend_on_seed_and_step_alone(synthetic_tasks):
    tasks = [replace(t, family="big" if n < 18 else "small") for n, t in
             enumerate(synthetic_tasks(20))]  # fmt: skip
    families = _by_family(tasks)
    drawn = [n for step in range(100) for n in _draw(families, 16, 0, step)]
    counts = Counter(tasks[n].family for n in drawn)
    assert abs(counts["big"] - 800) < 100
    assert set(drawn) == set(range(20))
    assert _draw(families, 16, 0, 7) == _draw(families, 16, 0, 7)
    assert _draw(families, 16, 0, 7) != _draw(families, 16, 0, 8)
    assert _draw(families, 16, 0, 7) != _draw(families, 16, 1, 7)


def test_the_best_step_on_validation_is_kept(tmp_path, synthetic_tasks):
    validation = synthetic_tasks(4, seed=1)
    prior = train(synthetic_tasks(8), **QUICK, validation=validation, out=tmp_path)
    logged = {int(row["step"]): float(row["validation_auroc"]) for row in log_of(tmp_path)}
    assert prior.provenance["validation_auroc"] == max(logged.values())
    assert logged[prior.provenance["best_step"]] == max(logged.values())

    learner, params = restore(prior)
    batch = collate(validation)
    with torch.no_grad():
        scores = learner.detector(params, batch)(batch.query)
    wins = []
    for row, labels, mask in zip(scores, batch.query_labels, batch.query_mask, strict=True):
        pairs = row[(labels == 1) & mask][:, None] > row[(labels == 0) & mask]
        wins.append(pairs.double().mean().item())
    assert np.mean(wins) == pytest.approx(max(logged.values()))


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch, synthetic_tasks):
    monkeypatch.chdir(tmp_path)
    train(synthetic_tasks(4), **QUICK)
    assert not list(tmp_path.iterdir())


def test_a_folder_holds_prior_log_and_checkpoint(tmp_path, synthetic_tasks):
    prior = train(synthetic_tasks(4), **QUICK, out=tmp_path)
    assert_identical(Prior.load(tmp_path), prior)
    assert [row["step"] for row in log_of(tmp_path)] == ["2", "4", "6"]
    rates = [float(row["learning_rate"]) for row in log_of(tmp_path)]
    assert rates == sorted(rates, reverse=True)
    assert (tmp_path / "checkpoint").is_dir()


def test_a_finished_run_is_found_again(tmp_path, synthetic_tasks):
    tasks, steps = synthetic_tasks(4), []
    prior = train(tasks, **QUICK, out=tmp_path)
    again = train(tasks, **QUICK, out=tmp_path, on_step=lambda step, _: steps.append(step))
    assert_identical(again, prior)
    assert not steps
    train(tasks, **QUICK, out=tmp_path, on_step=lambda step, _: steps.append(step), resume=False)
    assert steps == [1, 2, 3, 4, 5, 6]
    assert len(log_of(tmp_path)) == 3


@pytest.mark.parametrize("at", [1, 3, 4])
def test_an_interrupt_saves_and_the_resumed_run_ends_alike(tmp_path, synthetic_tasks, at):
    tasks, validation = synthetic_tasks(8), synthetic_tasks(2, seed=1)

    def stop(step: int, _: dict[str, float]) -> None:
        if step == at:
            raise KeyboardInterrupt

    whole = train(tasks, **QUICK, validation=validation, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tasks, **QUICK, validation=validation, out=tmp_path / "cut", on_step=stop)
    steps: list[int] = []
    resumed = train(
        tasks,
        **QUICK,
        validation=validation,
        out=tmp_path / "cut",
        on_step=lambda step, _: steps.append(step),
    )
    assert steps == list(range(at + 1, 7))
    assert_identical(resumed, whole)
    assert reproducible(log_of(tmp_path / "cut")) == reproducible(log_of(tmp_path / "whole"))


def test_an_interrupt_inside_a_step_saves_the_step_before(tmp_path, monkeypatch, synthetic_tasks):
    tasks = synthetic_tasks(8)
    whole = train(tasks, **QUICK, out=tmp_path / "whole")
    calls = []

    def step(self, real=torch.optim.AdamW.step):
        calls.append(real(self))
        if len(calls) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(KeyboardInterrupt):
            train(tasks, **QUICK, out=tmp_path / "cut")
    assert_identical(train(tasks, **QUICK, out=tmp_path / "cut"), whole)


KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, {tests!r})
from conftest import make_tasks
from oddshot.training import train

def kill(step, figures):
    if step == {at}:
        os.kill(os.getpid(), signal.SIGKILL)

train(make_tasks(8), **{settings!r}, validation=make_tasks(2, seed=1), out={out!r}, on_step=kill)
"""


def test_a_killed_run_ends_bit_identical(tmp_path, synthetic_tasks):
    settings = {**QUICK, "steps": 9, "checkpoint_every": 3}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    given = {"validation": synthetic_tasks(2, seed=1)}
    expected = train(synthetic_tasks(8), **settings, **given, out=whole)
    script = KILLED.format(
        tests=str(Path(__file__).parent), at=5, settings=settings, out=str(killed)
    )
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [row["step"] for row in log_of(killed)] == ["2", "4"]  # the checkpoint is of step 3
    with (killed / "log.csv").open("a") as file:
        file.write("5,0.6")  # a line that the kill cut short
    assert_identical(train(synthetic_tasks(8), **settings, **given, out=killed), expected)
    assert reproducible(log_of(killed)) == reproducible(log_of(whole))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed 0, this one has 1"),
        ({"steps": 9}, "steps 6, this one has 9"),
        ({"learning_rate": 0.02}, "learning_rate 0.01, this one has 0.02"),
        ({"settings": {"hidden": [5]}}, "settings .*this one has"),
        ({"validation": "two"}, "validation .*this one has"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, synthetic_tasks, change, named):
    if "validation" in change:
        change = {"validation": synthetic_tasks(2, seed=1)}
    tasks = synthetic_tasks(4)
    train(tasks, **QUICK, out=tmp_path)
    with pytest.raises(TrainingError, match=f"{named}.*choose another folder or delete it"):
        train(tasks, **{**QUICK, **change}, out=tmp_path)


def test_a_checkpoint_of_other_tasks_is_refused(tmp_path, synthetic_tasks):
    tasks = synthetic_tasks(4)
    train(tasks, **QUICK, out=tmp_path)
    tasks[0].support[0, 0, 0] += 1
    with pytest.raises(TrainingError, match=r"run with tasks .*choose another folder"):
        train(tasks, **QUICK, out=tmp_path)


def test_a_loss_that_is_not_finite_names_episodes_and_seeds(synthetic_tasks):
    tasks = synthetic_tasks(4)
    tasks[2].query[0, 0, 0] = np.nan
    with pytest.raises(TrainingError, match=r"loss is not finite .* toy#2 \(seed 2\)") as caught:
        train(tasks, **{**QUICK, "batch_size": 16})
    assert "toy#1" not in str(caught.value)


def test_a_gradient_that_is_not_finite_stops_too(monkeypatch, synthetic_tasks):
    monkeypatch.setattr(
        torch.autograd, "grad", lambda loss, values, **_: [v * torch.inf for v in values]
    )
    with pytest.raises(TrainingError, match="gradient of the loss is not finite"):
        train(synthetic_tasks(4), **{**QUICK, "settings": {"inner_steps": 0}})


def test_what_cannot_be_trained_says_so(synthetic_tasks):
    tasks = synthetic_tasks(4)
    with pytest.raises(TrainingError, match="there is no task to train on"):
        train([])
    with pytest.raises(SettingError, match="steps is 0; it must be 1 or more"):
        train(tasks, **{**QUICK, "steps": 0})
    with pytest.raises(SettingError, match="learning_rate is -1"):
        train(tasks, **{**QUICK, "learning_rate": -1})
    with pytest.raises(SettingError, match="no learner is called 'mamil'"):
        train(tasks, learner="mamil")
    one_class = [replace(t, query_labels=np.zeros_like(t.query_labels)) for t in tasks]
    with pytest.raises(TrainingError, match="no validation query has both classes"):
        train(tasks, **QUICK, validation=one_class)
    mixed = [
        *tasks,
        replace(tasks[0], support=tasks[0].support[:, :2], query=tasks[0].query[:, :2]),
    ]
    with pytest.raises(DataError, match=r"evidence of shape|have the widths"):
        train(mixed, **{**QUICK, "batch_size": 64})
