import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from oddshot.errors import DataError, PriorError, SettingError, TrainingError
from oddshot.learners import LEARNERS, Learner, collate, restore
from oddshot.losses import ranking_loss
from oddshot.outer_loop import _by_family, _draw
from oddshot.priors import Prior
from oddshot.run_log import LOG_COLUMNS
from oddshot.training import train

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


RUN = """
import os, signal, sys, time

sys.path.insert(0, {tests!r})
from conftest import make_tasks
from oddshot.training import train

def told(step, figures):
    if step == {kill_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    print(step, flush=True)
    time.sleep({pause})

given = {{"validation": make_tasks(2, seed=1), "out": {out!r}, "on_step": told}}
try:
    train(make_tasks(8), **{settings!r}, **given)
except KeyboardInterrupt:
    sys.exit(130)
"""


def started(
    settings: dict[str, object], out: Path, *, kill_at: int = 0, pause: float = 0.0
) -> subprocess.Popen[str]:
    """Start the run in a process group of its own; it prints the number of each step."""
    tests = str(Path(__file__).parent)
    script = RUN.format(tests=tests, settings=settings, out=str(out), kill_at=kill_at, pause=pause)
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_killed_run_ends_bit_identical(tmp_path, synthetic_tasks):
    settings = {**QUICK, "steps": 9, "checkpoint_every": 3}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    given = {"validation": synthetic_tasks(2, seed=1)}
    expected = train(synthetic_tasks(8), **settings, **given, out=whole)
    with started(settings, killed, kill_at=5) as run:
        assert run.wait() == -signal.SIGKILL
    assert [row["step"] for row in log_of(killed)] == ["2", "4"]  # the checkpoint is of step 3
    with (killed / "log.csv").open("a") as file:
        file.write("5,0.6")  # a line that the kill cut short
    assert_identical(train(synthetic_tasks(8), **settings, **given, out=killed), expected)
    assert reproducible(log_of(killed)) == reproducible(log_of(whole))


def test_a_run_killed_at_random_moments_ends_bit_identical(tmp_path, synthetic_tasks):
    seed = int.from_bytes(os.urandom(4))
    print("kill times drawn with seed", seed)  # noqa: T201 - pytest shows it if the test fails
    rng = np.random.default_rng(seed)
    settings = {**QUICK, "steps": 200, "checkpoint_every": 2, "log_every": 3, "patience": 99}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    given = {"validation": synthetic_tasks(2, seed=1)}
    expected = train(synthetic_tasks(8), **settings, **given, out=whole)
    reached = []
    for _ in range(3):
        with started(settings, killed, pause=0.005) as run:
            reached.append(int(run.stdout.readline()))
            time.sleep(rng.uniform(0, 0.3))
            run.kill()
    print("the processes began with the steps", reached)  # noqa: T201
    assert reached == sorted(reached)
    assert_identical(train(synthetic_tasks(8), **settings, **given, out=killed), expected)
    assert reproducible(log_of(killed)) == reproducible(log_of(whole))


def test_a_folder_that_another_run_writes_is_refused(tmp_path, synthetic_tasks):
    with started(QUICK, tmp_path, pause=60) as run:
        run.stdout.readline()
        with pytest.raises(SettingError, match="is being written by another process"):
            train(synthetic_tasks(8), **QUICK, out=tmp_path)
        run.kill()
    train(synthetic_tasks(8), **QUICK, validation=synthetic_tasks(2, seed=1), out=tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed 0, this one has 1"),
        ({"steps": 9}, "steps 6, this one has 9"),
        ({"learning_rate": 0.02}, "learning_rate 0.01, this one has 0.02"),
        ({"optimizer": "sgd"}, "optimizer 'adamw', this one has 'sgd'"),
        ({"schedule": "constant"}, "schedule 'cosine', this one has 'constant'"),
        ({"clip_norm": 1.0}, "clip_norm None, this one has 1.0"),
        (
            {"settings": {"hidden": [5], "inner_steps": 1}},
            r"run with setting hidden \[4\], this one has \[5\];",
        ),
        ({"seed": 1, "steps": 9}, "seed 0, this one has 1, and steps 6, this one has 9"),
        ({"validation": "two"}, "run with other tasks .*validation_fraction"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, synthetic_tasks, change, named):
    if "validation" in change:
        change = {"validation": synthetic_tasks(2, seed=1)}
    tasks = synthetic_tasks(4)
    train(tasks, **QUICK, out=tmp_path)
    with pytest.raises(TrainingError, match=f"{named}.*choose another folder or delete it"):
        train(tasks, **{**QUICK, **change}, out=tmp_path)


def test_a_damaged_checkpoint_says_how_to_start_over(tmp_path, synthetic_tasks):
    tasks = synthetic_tasks(4)
    whole = train(tasks, **QUICK, out=tmp_path)
    (tensors,) = (tmp_path / "checkpoint").glob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-1])
    remedy = r"is damaged .*; delete the folder checkpoint, or start over with resume=False"
    with pytest.raises(PriorError, match=remedy):
        train(tasks, **QUICK, out=tmp_path)
    assert_identical(train(tasks, **QUICK, out=tmp_path, resume=False), whole)
    assert_identical(train(tasks, **QUICK, out=tmp_path), whole)


def test_a_checkpoint_of_other_tasks_is_refused(tmp_path, synthetic_tasks):
    tasks = synthetic_tasks(4)
    train(tasks, **QUICK, out=tmp_path)
    tasks[0].support[0, 0, 0] += 1
    with pytest.raises(TrainingError, match=r"run with other tasks .*choose another folder"):
        train(tasks, **QUICK, out=tmp_path)


def test_a_loss_that_is_not_finite_names_episodes_and_seeds(synthetic_tasks):
    tasks = synthetic_tasks(4)
    tasks[2].query[0, 0, 0] = np.nan
    with pytest.raises(TrainingError, match=r"loss is not finite .* toy#2 \(seed 2\)") as caught:
        train(tasks, **{**QUICK, "batch_size": 16})
    told = str(caught.value)
    assert "toy#1" not in told
    assert told.count("toy#2") == 1  # however often it was drawn
    assert "lower the learning rate (0.01) or the learner's inner_rate (0.05), or" in told


def test_no_more_than_three_episodes_are_named(synthetic_tasks):
    tasks = synthetic_tasks(6)
    for task in tasks:
        task.query[0, 0, 0] = np.nan
    with pytest.raises(TrainingError, match=r"(toy#\d \(seed \d\)(, )?){3} and \d more;"):
        train(tasks, **{**QUICK, "batch_size": 16})


def test_a_validation_score_that_is_not_finite_names_its_episode(synthetic_tasks):
    validation = synthetic_tasks(3, seed=1)
    validation[1].query[0, 0, 0] = np.nan
    named = rf"after step 2: the score is not finite .* {validation[1].name} \(seed .*learning rate"
    with pytest.raises(TrainingError, match=named):
        train(synthetic_tasks(4), **QUICK, validation=validation)


def test_tasks_may_come_from_a_generator(synthetic_tasks):
    tasks, validation = synthetic_tasks(4), synthetic_tasks(2, seed=1)
    found = train((t for t in tasks), **QUICK, validation=(t for t in validation), patience=3)
    assert_identical(found, train(tasks, **QUICK, validation=validation, patience=3))


def test_a_folder_that_cannot_be_written_is_named_at_once(tmp_path, synthetic_tasks):
    (tmp_path / "taken").write_text("")
    with pytest.raises(SettingError, match="out is ''; it must be a folder"):
        train(synthetic_tasks(2), **QUICK, out="")
    for out in (tmp_path / "taken", tmp_path / "taken" / "deep" / "down"):
        with pytest.raises(SettingError, match=r"out is '.*a folder .*taken' is no folder"):
            train(synthetic_tasks(2), **QUICK, out=out)


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
    with pytest.raises(SettingError, match="steps is 0; it must be a whole number, 1 or more"):
        train(tasks, **{**QUICK, "steps": 0})
    with pytest.raises(SettingError, match="learning_rate is -1"):
        train(tasks, **{**QUICK, "learning_rate": -1})
    with pytest.raises(SettingError, match="optimizer is 'adam'; it must be adamw or sgd"):
        train(tasks, **QUICK, optimizer="adam")
    with pytest.raises(SettingError, match="schedule is 'step'; it must be cosine or constant"):
        train(tasks, **QUICK, schedule="step")
    with pytest.raises(SettingError, match="clip_norm is 0; it must be a number above 0, or None"):
        train(tasks, **QUICK, clip_norm=0)
    with pytest.raises(SettingError, match="patience is 3; it must be None without validation"):
        train(tasks, **QUICK, patience=3)
    with pytest.raises(SettingError, match="tensorboard is True; it must be False without out"):
        train(tasks, **QUICK, tensorboard=True)
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
    with pytest.raises(DataError, match=r"evidence of shape|have the widths"):
        train(tasks, **QUICK, validation=mixed[-1:])


@pytest.fixture
def fading(monkeypatch):
    """Let the validation AUROC rise to its best at step 4, and fall from there."""

    def begin(after: int = 0) -> None:
        values = (1 - abs(4 - step) / 100 for step in range(after + 2, 1000, 2))
        monkeypatch.setattr("oddshot.outer_loop.roc_auc_score", lambda labels, scores: next(values))

    return begin


@pytest.mark.parametrize("stop_at", [None, 7])
def test_patience_ends_the_run_and_survives_a_stop(tmp_path, synthetic_tasks, fading, stop_at):
    given = {**QUICK, "steps": 40, "patience": 3, "checkpoint_every": 1, "out": tmp_path}
    tasks, validation, steps = synthetic_tasks(4), synthetic_tasks(1, seed=1), []

    def told(step: int, figures: dict[str, float]) -> None:
        steps.append(step)
        if step == stop_at:
            raise KeyboardInterrupt

    fading()
    if stop_at:
        with pytest.raises(KeyboardInterrupt):
            train(tasks, **given, validation=validation, on_step=told)
        fading(stop_at // 2 * 2)
    prior = train(tasks, **given, validation=validation, on_step=told)
    assert steps == list(range(1, 11))  # 4 is the best; 6, 8 and 10 are not
    assert prior.provenance["stopped_at"] == 10
    assert prior.provenance["best_step"] == 4
    again = train(tasks, **given, validation=validation, on_step=told)
    assert len(steps) == 10
    assert_identical(again, prior)


def test_a_run_that_is_not_stopped_says_so(synthetic_tasks):
    assert train(synthetic_tasks(4), **QUICK).provenance["stopped_at"] is None


def test_a_precision_may_be_a_number_as_lightning_has_it(synthetic_tasks):
    assert train(synthetic_tasks(4), **QUICK, precision=32).provenance["precision"] == "32-true"
    with pytest.raises(SettingError, match="precision is '16'; it must be 32 or 32-true or bf16"):
        train(synthetic_tasks(4), **QUICK, precision=16)


def test_plain_gradient_descent_at_a_constant_rate(tmp_path, synthetic_tasks):
    """The outer step by hand: parameters minus rate times the mean gradient."""
    tasks = synthetic_tasks(1)
    given = {**QUICK, "steps": 2, "batch_size": 1, "weight_decay": 0.0, "learning_rate": 0.5}
    prior = train(tasks, **given, optimizer="sgd", schedule="constant")
    learner, _ = restore(prior)
    params = learner.initial_parameters(torch.Generator().manual_seed(0))
    for _ in range(2):
        leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
        learner.meta_loss(leaves, collate(tasks)).mean().backward()
        params = {name: leaf.detach() - 0.5 * leaf.grad for name, leaf in leaves.items()}
    for name, value in params.items():
        np.testing.assert_allclose(prior.tensors[name], value.numpy(), rtol=1e-5, atol=1e-7)


def test_gradient_descent_resumes_too(tmp_path, synthetic_tasks):
    def stop(step: int, _: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    given = {**QUICK, "optimizer": "sgd", "clip_norm": 0.1}
    whole = train(synthetic_tasks(4), **given)
    with pytest.raises(KeyboardInterrupt):
        train(synthetic_tasks(4), **given, out=tmp_path, on_step=stop)
    assert_identical(train(synthetic_tasks(4), **given, out=tmp_path), whole)


def test_long_gradients_are_shortened(synthetic_tasks):
    given = {**QUICK, "steps": 1, "optimizer": "sgd", "weight_decay": 0.0, "learning_rate": 1.0}
    start = train(synthetic_tasks(4), **{**given, "learning_rate": 1e-30}).tensors
    moved = train(synthetic_tasks(4), **given, clip_norm=0.01).tensors
    step = np.concatenate([(moved[name] - start[name]).ravel() for name in start])
    assert np.linalg.norm(step) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("learner", ["gated", "maml"])
def test_mixed_precision_learns_much_the_same(synthetic_tasks, learner):
    pytest.importorskip("lightning_fabric", reason="the train extra is not installed")
    told = {"32": [], "bf16": []}
    for precision, losses in told.items():
        prior = train(
            synthetic_tasks(8),
            **{**QUICK, "settings": {}, "steps": 20},
            learner=learner,
            precision=precision,
            validation=synthetic_tasks(2, seed=1),
            on_step=lambda _, figures, losses=losses: losses.append(figures["loss"]),
        )
        assert {array.dtype for array in prior.tensors.values()} == {np.dtype("float32")}
    assert prior.provenance["precision"] == "bf16-mixed"
    np.testing.assert_allclose(told["bf16"], told["32"], rtol=0.05)
    if learner == "gated":  # networks that take their own derivatives may keep to float32
        assert told["bf16"] != told["32"]


BOTH = {**QUICK, "steps": 12, "batch_size": 5, "checkpoint_every": 2, "devices": 2}


def test_two_processes_learn_what_one_learns(tmp_path, synthetic_tasks):
    """And, stopped by Ctrl-C, go on to the same bits."""
    pytest.importorskip("lightning_fabric", reason="the train extra is not installed")
    given = {"tasks": synthetic_tasks(8), "validation": synthetic_tasks(2, seed=1)}
    one = train(**given, **{**BOTH, "devices": 1}, out=tmp_path / "one")
    two = train(**given, **BOTH, out=tmp_path / "two")
    assert two.provenance["processes"] == 2
    for name, array in one.tensors.items():
        np.testing.assert_allclose(two.tensors[name], array, rtol=1e-3, atol=1e-5)
    for row, other in zip(log_of(tmp_path / "one"), log_of(tmp_path / "two"), strict=True):
        assert float(row["loss"]) == pytest.approx(float(other["loss"]), rel=1e-4)

    with started(BOTH, tmp_path / "cut", pause=0.2) as run:
        while int(run.stdout.readline()) < 3:
            pass
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait() == 130
    steps: list[int] = []
    cut = train(**given, **BOTH, out=tmp_path / "cut", on_step=lambda step, _: steps.append(step))
    assert_identical(cut, two)
    assert steps[0] > 3
    assert reproducible(log_of(tmp_path / "cut")) == reproducible(log_of(tmp_path / "two"))


def test_a_loss_that_is_not_finite_in_another_process_is_named_here(tmp_path, synthetic_tasks):
    pytest.importorskip("lightning_fabric", reason="the train extra is not installed")
    tasks = synthetic_tasks(2, families=2)
    tasks[1].query[0, 0, 0] = np.nan
    # The second task of a batch is the other process's.
    seed = next(s for s in range(100) if _draw(_by_family(tasks), 2, s, 0) == [0, 1])
    with pytest.raises(TrainingError, match=r"loss is not finite .* toy#1 \(seed 1\);"):
        train(tasks, **{**QUICK, "batch_size": 2, "devices": 2}, seed=seed, out=tmp_path)
    assert not (tmp_path / "oddshot.json").exists()


def linear(**methods: object) -> type[Learner]:
    """Make a class that no other process can import; some of its methods are replaced."""

    class Linear(Learner):
        name = "linear"

        def initial_parameters(self, generator):
            return {"weight": torch.randn(2 * self.shape.coordinates, generator=generator)}

        def meta_loss(self, params, batch, *, done=1.0):
            scores = self.detector(params, batch)(batch.query)
            return ranking_loss(scores, batch.query_labels, batch.query_mask)

        def detector(self, params, batch):
            return lambda rows: rows.flatten(2) @ params["weight"]

    return type("Linear", (Linear,), methods)


def test_a_learner_of_ones_own(tmp_path, monkeypatch, synthetic_tasks):
    tasks, given, kind = synthetic_tasks(4), {**QUICK, "settings": None}, linear()
    prior = train(tasks, **given, learner=kind, out=tmp_path)
    with pytest.raises(PriorError, match="no learner is called 'linear'; register one of your own"):
        restore(Prior.load(tmp_path))
    monkeypatch.setitem(LEARNERS, "linear", kind)
    assert isinstance(restore(Prior.load(tmp_path))[0], kind)
    assert_identical(train(tasks, **given, learner="linear"), prior)


def test_a_learner_of_ones_own_in_two_processes(synthetic_tasks):
    pytest.importorskip("lightning_fabric", reason="the train extra is not installed")
    given = {**BOTH, "settings": None, "steps": 4, "learner": linear()}
    one = train(synthetic_tasks(4), **{**given, "devices": 1})
    two = train(synthetic_tasks(4), **given)
    np.testing.assert_allclose(two.tensors["weight"], one.tensors["weight"], rtol=1e-4)


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        ({"initial_parameters": lambda *_: {}}, "learner 'linear' has nothing to train; return"),
        (
            {"meta_loss": lambda self, params, batch, done: params["weight"].sum()},
            r"meta_loss of learner 'linear' has shape \(\); return .* each of the 4 tasks",
        ),
        (
            {"meta_loss": lambda self, params, batch, done: torch.ones(4)},
            "meta_loss of learner 'linear' does not depend on its parameters; return",
        ),
    ],
)
def test_a_learner_that_cannot_be_trained_is_named(synthetic_tasks, methods, told):
    with pytest.raises(TrainingError, match=told):
        train(synthetic_tasks(4), **{**QUICK, "settings": None}, learner=linear(**methods))


def test_fewer_tasks_than_processes(synthetic_tasks):
    with pytest.raises(SettingError, match="batch_size is 1; it must be 2 or more"):
        train(synthetic_tasks(4), **{**QUICK, "batch_size": 1, "devices": 2})


def test_it_trains_where_gradients_are_switched_off(synthetic_tasks):
    with torch.no_grad():
        trained = train(synthetic_tasks(4), **QUICK)
    assert trained.tensors
