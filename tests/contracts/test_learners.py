"""What holds for every registered learner."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from oddshot.episodes import MappedTask
from oddshot.errors import DataError
from oddshot.learners import LEARNERS, Learner, Shape, collate, make_learner

# Learners of images take the tasks for images of 2 x 3 pixels in two colours.
IMAGES = {
    "prototypical, conv4": {"encoder": "conv4", "image": [2, 3]},
    "prototypical, residual": {"encoder": "residual", "image": [2, 3]},
    "relation, conv4": {"encoder": "conv4", "image": [2, 3]},
}

pytestmark = pytest.mark.parametrize("name", [*LEARNERS, *IMAGES])


def start(name: str, tasks: list[MappedTask]) -> tuple[Learner, dict[str, torch.Tensor]]:
    learner = make_learner(name.partition(",")[0], Shape.of(tasks[0]), IMAGES.get(name))
    return learner, learner.initial_parameters(torch.Generator().manual_seed(0))


def scores(learner, params, tasks) -> list[np.ndarray]:
    batch = collate(tasks)
    with torch.no_grad():
        rows = learner.detector(params, batch)(batch.query).numpy()
    return [row[: len(task.query)] for row, task in zip(rows, tasks, strict=True)]


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_settings_are_json_and_build_it_again(name, synthetic_tasks):
    learner, params = start(name, synthetic_tasks(1))
    settings = json.loads(json.dumps(learner.settings))
    again = make_learner(learner.name, learner.shape, settings)
    assert again.settings == learner.settings == settings
    drawn = again.initial_parameters(torch.Generator().manual_seed(0))
    assert drawn.keys() == params.keys()
    assert all(torch.equal(drawn[n], params[n]) for n in params)


def test_parameters_come_from_the_generator_alone(name, synthetic_tasks):
    learner, params = start(name, synthetic_tasks(1))
    before = torch.random.get_rng_state()
    other = learner.initial_parameters(torch.Generator().manual_seed(1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert any(not torch.equal(other[n], params[n]) for n in params)
    assert all(value.dtype == torch.float32 for value in params.values())


def test_queries_to_learn_from_are_asked_for(name, synthetic_tasks):
    tasks = synthetic_tasks(3)
    learner, _ = start(name, tasks)
    nobody = [replace(t, query=t.query[:0], query_labels=t.query_labels[:0]) for t in tasks]
    learner.constants([*nobody, tasks[0]])
    if name == "reptile":  # learns from supports as well
        learner.constants(nobody)
        return
    with pytest.raises(DataError, match=r"none of the 3 training queries has .* nothing to learn"):
        learner.constants(nobody)


def test_losses_and_gradients_are_finite(name, synthetic_tasks):
    tasks = synthetic_tasks(5)
    learner, params = start(name, tasks)
    params = {n: p.requires_grad_() for n, p in params.items()}
    losses = learner.meta_loss(params, collate(tasks))
    assert losses.shape == (5,)
    assert losses.isfinite().all()
    grads = torch.autograd.grad(losses.mean(), list(params.values()), materialize_grads=True)
    assert all(grad.isfinite().all() for grad in grads)
    assert any((grad != 0).any() for grad in grads)


def test_tasks_do_not_see_each_other(name, synthetic_tasks):
    tasks = synthetic_tasks(6)
    learner, params = start(name, tasks)
    losses = learner.meta_loss(params, collate(tasks)).detach()
    alone = torch.cat([learner.meta_loss(params, collate([t])).detach() for t in tasks])
    assert_close(losses, alone)
    for together, task in zip(scores(learner, params, tasks), tasks, strict=True):
        assert_close(together, scores(learner, params, [task])[0])


def test_a_row_scores_alike_alone_and_in_company(name, synthetic_tasks):
    tasks = synthetic_tasks(2)
    learner, params = start(name, tasks)
    batch = collate(tasks)
    with torch.no_grad():
        detector = learner.detector(params, batch)
        company = detector(batch.query)
        for row in range(3):
            assert_close(detector(batch.query[:, [row]])[:, 0], company[:, row])
        assert detector(batch.query[:, :0]).shape == (2, 0)


def test_the_order_of_support_rows_does_not_matter(name, synthetic_tasks):
    (task,) = synthetic_tasks(1, known=3)
    learner, params = start(name, [task])
    order = np.random.default_rng(0).permutation(len(task.support))
    shuffled = replace(task, support=task.support[order], support_labels=task.support_labels[order])
    assert_close(scores(learner, params, [shuffled])[0], scores(learner, params, [task])[0])


def test_inference_mode_changes_nothing(name, synthetic_tasks):
    tasks = synthetic_tasks(2)

    def judged() -> tuple[torch.Tensor, torch.Tensor]:
        learner, params = start(name, tasks)
        batch = collate(tasks).to(torch.float64)
        params = {n: p.double() for n, p in params.items()}
        return learner.detector(params, batch)(batch.query), learner.meta_loss(params, batch)

    with torch.no_grad():
        scores, losses = judged()
    with torch.inference_mode():
        same_scores, same_losses = judged()
    assert torch.equal(scores, same_scores)
    assert torch.equal(losses, same_losses)


def test_a_detector_looks_at_no_query_and_changes_nothing(name, synthetic_tasks):
    tasks = synthetic_tasks(2)
    learner, params = start(name, tasks)
    batch = collate(tasks)
    blind = replace(
        batch,
        query=torch.full_like(batch.query, torch.nan),
        query_labels=1 - batch.query_labels,
        query_mask=~batch.query_mask,
    )
    kept = {n: p.clone() for n, p in params.items()}
    rows = batch.query.clone()
    with torch.no_grad():
        first = learner.detector(params, batch)(rows)
        second = learner.detector(params, blind)(rows)
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert all(torch.equal(params[n], kept[n]) for n in params)
    assert torch.equal(rows, batch.query)


@pytest.mark.parametrize("known", [0, 3])
def test_a_query_is_not_needed_and_a_support_can_be_all_normal(name, synthetic_tasks, known):
    (task,) = synthetic_tasks(1, known=known)
    labels = np.where(task.support_labels == -1, 0, task.support_labels).astype(np.int8)
    bare = replace(
        task, support_labels=labels, query=task.query[:0], query_labels=task.query_labels[:0]
    )
    learner, params = start(name, [task])
    with torch.no_grad():
        found = learner.detector(params, collate([bare]))(torch.tensor(task.query)[None])
    assert found.shape == (1, len(task.query))
    assert found.isfinite().all()
    loss = learner.meta_loss(params, collate([bare]))
    assert loss.isfinite().all()


def test_precision_follows_the_parameters(name, synthetic_tasks):
    tasks = synthetic_tasks(2)
    learner, params = start(name, tasks)
    double = collate(tasks).to(torch.float64)
    losses = learner.meta_loss({n: p.double() for n, p in params.items()}, double)
    assert losses.dtype == torch.float64
    assert_close(losses.detach(), learner.meta_loss(params, collate(tasks)).detach())
    assert all(getattr(double, f.name).dtype != torch.float32 for f in fields(double))


def test_a_few_outer_steps_beat_chance(name, synthetic_tasks):
    tasks = synthetic_tasks(64, families=64)
    learner, params = start(name, tasks)
    params = {n: p.requires_grad_() for n, p in params.items()}
    optimizer = torch.optim.Adam(params.values(), lr=0.01)
    for step in range(60):
        first = 8 * (step % 6)
        optimizer.zero_grad()
        learner.meta_loss(params, collate(tasks[first : first + 8])).mean().backward()
        optimizer.step()
    unseen = tasks[48:]
    found = scores(learner, params, unseen)
    aurocs = [roc_auc_score(t.query_labels, s) for t, s in zip(unseen, found, strict=True)]
    assert np.mean(aurocs) > 0.8
