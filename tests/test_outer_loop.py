from collections import Counter
from dataclasses import fields, replace

import pytest
import torch

import oddshot.outer_loop as module
from oddshot.engines import Engine
from oddshot.errors import TrainingError
from oddshot.learners import Shape, collate, make_learner, prior_settings
from oddshot.outer_loop import Job, OuterLoop, TrainingPlan, _by_family, _draw

PLAN = TrainingPlan(
    seed=0,
    steps=10,
    batch_size=7,
    learning_rate=0.1,
    weight_decay=0.0,
    optimizer="adamw",
    schedule="cosine",
    clip_norm=None,
    patience=None,
    log_every=1,
)


class Part(Engine):
    """One of several processes that cannot hear each other, or one that computes elsewhere."""

    def __init__(self, rank: int = 0, processes: int = 1, device: str = "cpu") -> None:
        self._rank, self._processes, self._device = rank, processes, torch.device(device)

    rank = property(lambda self: self._rank)
    processes = property(lambda self: self._processes)
    device = property(lambda self: self._device)


def job(tasks) -> Job:
    learner = make_learner("gated", Shape.of(tasks[0]))
    return Job(
        tasks=tasks,
        validation=(),
        learner="gated",
        kind=type(learner),
        settings=prior_settings(learner),
        plan=PLAN,
    )


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


def test_processes_share_a_batch_without_repeating_an_episode(monkeypatch, synthetic_tasks):
    worked_on = []

    def spy(tasks):
        worked_on.append([task.name for task in tasks])
        return collate(tasks)

    monkeypatch.setattr(module, "collate", spy)
    OuterLoop(job(synthetic_tasks(20)), Part()).advance()
    for rank in range(3):
        OuterLoop(job(synthetic_tasks(20)), Part(rank, 3)).advance()
    alone, *parts = worked_on
    assert len(alone) == 7
    assert [len(part) for part in parts] == [3, 2, 2]
    assert Counter(alone) == sum(map(Counter, parts), Counter())


def test_the_parts_of_a_gradient_sum_to_the_whole(monkeypatch, synthetic_tasks):
    sums = []
    monkeypatch.setattr(Part, "sum", lambda self, tensors: sums.append(tensors) or tensors)
    OuterLoop(job(synthetic_tasks(20)), Part()).advance()
    for rank in range(3):
        OuterLoop(job(synthetic_tasks(20)), Part(rank, 3)).advance()
    whole, *parts = sums
    for value, *shares in zip(whole, *parts, strict=True):
        torch.testing.assert_close(value, sum(shares))


def test_parameters_and_batches_go_to_the_engines_device(synthetic_tasks):
    tasks = synthetic_tasks(2)
    run = OuterLoop(job(tasks), Part(device="meta"))
    assert {value.device.type for value in run.params.values()} == {"meta"}
    batch = run._batch(tasks)
    assert {getattr(batch, field.name).device.type for field in fields(batch)} == {"meta"}


@pytest.mark.parametrize(
    ("schedule", "rates"), [("cosine", [0.1, 0.05, 0.0]), ("constant", [0.1, 0.1, 0.1])]
)
def test_schedules(schedule, rates):
    plan = replace(PLAN, schedule=schedule)
    assert [plan.rate(step) for step in (0, 5, 10)] == pytest.approx(rates)


def test_a_learners_loss_has_one_value_a_task(monkeypatch, synthetic_tasks):
    run = OuterLoop(job(synthetic_tasks(3)), Part())
    many = run.learner.meta_loss
    monkeypatch.setattr(
        run.learner, "meta_loss", lambda *args, **options: many(*args, **options).mean()
    )
    with pytest.raises(TrainingError, match=r"has shape \(\); return .* each of the 7 tasks"):
        run.advance()
