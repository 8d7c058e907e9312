from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from oddshot.errors import DataError, SettingError
from oddshot.learners import Shape, TaskBatch, collate
from oddshot.learners.gradient import GradientLearner, ReptileLearner

SMALL = {"hidden": (5,), "inner_steps": 2, "inner_rate": 0.1}


def setup(tasks, **settings) -> tuple[GradientLearner, dict[str, Tensor], TaskBatch]:
    learner = GradientLearner(Shape.of(tasks[0]), **{**SMALL, **settings})
    params = learner.initial_parameters(torch.Generator().manual_seed(0))
    return (
        learner,
        {n: p.double().requires_grad_() for n, p in params.items()},
        collate(tasks).to(torch.float64),
    )


def slow_network(params: dict[str, Tensor], rows: Tensor, table: Tensor) -> Tensor:
    values = torch.cat([rows.reshape(len(rows), -1), table.expand(len(rows), -1)], 1)
    hidden = values @ params["weight0"] + params["bias0"]
    hidden = hidden * torch.sigmoid(hidden)
    return (hidden @ params["weight1"] + params["bias1"])[:, 0]


def slow_balanced_loss(scores: Tensor, labels: Tensor, gamma: float) -> Tensor:
    sides = []
    for side, sign in ((labels == 1, 1), (labels != 1, -1)):
        if side.any():
            p_t = torch.sigmoid(sign * scores[side])
            scale = 0.5 if gamma else 1.0
            sides.append((-scale * (1 - p_t) ** gamma * torch.log(p_t)).mean())
    return torch.stack(sides).mean()


def slow_meta_loss(params, tasks, *, inner: float, outer: float, second_order: bool, decay=0.0):
    """Finn et al. 2017, algorithm 2: task by task, step by step."""
    losses = []
    names = [n for n in params if not n.startswith("rate.")]
    for task in tasks:
        mine = {n: params[n] for n in names}
        table = torch.tensor(task.summary.table).double()
        support = torch.tensor(task.support).double()
        for _ in range(SMALL["inner_steps"]):
            scores = slow_network(mine, support, table)
            loss = slow_balanced_loss(scores, torch.tensor(task.support_labels), inner)
            loss = loss + decay / 2 * sum((p**2).sum() for p in mine.values())
            grads = torch.autograd.grad(loss, list(mine.values()), create_graph=True)
            for name, grad in zip(names, grads, strict=True):
                rate = params.get(f"rate.{name}", SMALL["inner_rate"])
                mine[name] = mine[name] - rate * (grad if second_order else grad.detach())
        scores = slow_network(mine, torch.tensor(task.query).double(), table)
        losses.append(slow_balanced_loss(scores, torch.tensor(task.query_labels), outer))
    return torch.stack(losses)


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({}, {"inner": 0.0, "outer": 0.0, "second_order": True}),
        ({"second_order": False}, {"inner": 0.0, "outer": 0.0, "second_order": False}),
        (
            {"inner_loss": "focal", "outer_loss": "focal"},
            {"inner": 2.0, "outer": 2.0, "second_order": True},
        ),
        ({"learn_rates": "parameter"}, {"inner": 0.0, "outer": 0.0, "second_order": True}),
        ({"inner_decay": 0.3}, {"inner": 0.0, "outer": 0.0, "second_order": True, "decay": 0.3}),
    ],
    ids=["maml", "first order", "focal", "learned rates", "decay"],
)
def test_meta_gradient_equals_the_slow_loop(synthetic_tasks, settings, reference):
    tasks = synthetic_tasks(5)
    learner, params, batch = setup(tasks, **settings)
    found = learner.meta_loss(params, batch)
    expected = slow_meta_loss(params, tasks, **reference)
    torch.testing.assert_close(found, expected)
    values = list(params.values())
    torch.testing.assert_close(
        torch.autograd.grad(found.mean(), values), torch.autograd.grad(expected.mean(), values)
    )


@pytest.mark.parametrize("outer_loss", ["bce", "focal", "ranking"])
def test_meta_gradient_is_that_of_finite_differences(synthetic_tasks, outer_loss):
    learner, params, batch = setup(
        synthetic_tasks(2), hidden=(2,), outer_loss=outer_loss, learn_rates="parameter"
    )

    def meta_loss(*values: Tensor) -> Tensor:
        return learner.meta_loss(dict(zip(params, values, strict=True)), batch)

    assert torch.autograd.gradcheck(meta_loss, tuple(params.values()))


def test_second_order_differs_from_first(synthetic_tasks):
    grads = []
    for second_order in (True, False):
        learner, params, batch = setup(synthetic_tasks(2), second_order=second_order)
        (grad,) = torch.autograd.grad(learner.meta_loss(params, batch).sum(), params["weight0"])
        grads.append(grad)
    assert not torch.allclose(*grads)


def test_thirty_two_tasks_at_once_equal_one_at_a_time(synthetic_tasks):
    tasks = synthetic_tasks(32)
    learner, params, batch = setup(tasks)
    alone = [learner.meta_loss(params, collate([t]).to(torch.float64)) for t in tasks]
    torch.testing.assert_close(learner.meta_loss(params, batch), torch.cat(alone))


def support_loss(tasks, steps: int) -> Tensor:
    learner, params, batch = setup(tasks, inner_steps=steps)
    with torch.no_grad():
        scores = learner.detector(params, batch)(batch.support)
    return torch.stack(
        [
            slow_balanced_loss(row[: len(task.support)], torch.tensor(task.support_labels), 0.0)
            for row, task in zip(scores, tasks, strict=True)
        ]
    )


@pytest.mark.parametrize("known", [0, 3])
def test_more_steps_fit_the_support_better(synthetic_tasks, known):
    tasks = synthetic_tasks(4, known=known)
    losses = torch.stack([support_loss(tasks, steps) for steps in (0, 1, 3, 10)])
    assert (losses.diff(dim=0) < 0).all()


def test_without_known_anomalies_all_support_rows_are_normal(synthetic_tasks):
    tasks = synthetic_tasks(2, known=0)
    learner, params, batch = setup(tasks, inner_steps=20, inner_rate=0.5)
    with torch.no_grad():
        assert (learner.detector(params, batch)(batch.support)[batch.support_mask] < 0).all()


def test_no_hidden_layer_is_a_linear_detector(synthetic_tasks):
    learner, params, batch = setup(synthetic_tasks(2), hidden=())
    score = learner.detector(params, batch)
    a, b = batch.query[:, :4], batch.query[:, 4:8]
    torch.testing.assert_close(score((a + b) / 2), (score(a) + score(b)) / 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", (8, 0)),
        ("inner_steps", -1),
        ("inner_rate", 0.0),
        ("inner_decay", -1.0),
        ("inner_loss", "ranking"),
        ("outer_loss", "hinge"),
    ],
)
def test_settings_name_what_they_cannot_be(name, value):
    with pytest.raises(SettingError, match=f"maml setting {name} is"):
        GradientLearner(Shape(3, 2, 1, 1), **{name: value})


def test_reptile_of_one_class_learns_from_both_and_adapts_to_normal_rows(synthetic_tasks):
    tasks = synthetic_tasks(4, known=2)
    shape, batch = Shape.of(tasks[0]), collate(tasks).to(torch.float64)
    one, both = (ReptileLearner(shape, one_class=value) for value in (True, False))
    start = one.initial_parameters(torch.Generator().manual_seed(0))
    params = {name: value.double().requires_grad_() for name, value in start.items()}
    gradients = [
        torch.autograd.grad(learner.meta_loss(params, batch).sum(), list(params.values()))
        for learner in (one, both)
    ]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other)
    assert not torch.equal(*(made.detector(params, batch)(batch.query) for made in (one, both)))


def test_reptile_moves_towards_what_support_and_query_together_adapt_to(synthetic_tasks):
    """``theta - theta'`` (Nichol et al. 2018, equation 2), task by task, step by step."""
    tasks = synthetic_tasks(4)
    learner = ReptileLearner(Shape.of(tasks[0]), **SMALL)
    start = learner.initial_parameters(torch.Generator().manual_seed(0))
    params = {name: value.double().requires_grad_() for name, value in start.items()}
    losses = learner.meta_loss(params, collate(tasks).to(torch.float64))
    expected = {name: torch.zeros_like(value) for name, value in params.items()}
    for task in tasks:
        mine = {name: value.detach().requires_grad_() for name, value in params.items()}
        rows = torch.tensor(np.concatenate([task.support, task.query])).double()
        labels = torch.tensor(np.concatenate([task.support_labels, task.query_labels]))
        table = torch.tensor(task.summary.table).double()
        for _ in range(SMALL["inner_steps"]):
            loss = slow_balanced_loss(slow_network(mine, rows, table), labels, 0.0)
            grads = torch.autograd.grad(loss, list(mine.values()))
            mine = {
                name: value - SMALL["inner_rate"] * grad
                for (name, value), grad in zip(mine.items(), grads, strict=True)
            }
        for name, value in params.items():
            expected[name] += (value - mine[name]).detach()
    found = torch.autograd.grad(losses.sum(), list(params.values()))
    torch.testing.assert_close(found, tuple(expected.values()))


def test_inference_mode_changes_nothing(synthetic_tasks):
    tasks = synthetic_tasks(2)

    def judged() -> Tensor:
        learner, params, batch = setup(tasks, inner_loss="focal")
        return learner.detector(params, batch)(batch.query)

    with torch.no_grad():
        expected = judged()
    with torch.inference_mode():
        assert torch.equal(judged(), expected)


def test_training_that_can_learn_nothing_is_refused(synthetic_tasks):
    tasks = synthetic_tasks(3)
    normal = [replace(t, query_labels=np.zeros_like(t.query_labels)) for t in tasks]
    odd = [replace(t, support_labels=np.ones_like(t.support_labels)) for t in tasks]
    setup(tasks, outer_loss="bce", one_class=True)[0].constants(normal)
    ranking = setup(tasks, outer_loss="ranking")[0]
    ranking.constants([*normal, *odd])
    with pytest.raises(DataError, match=r"none of the 3 .* both an anomaly and a normal row"):
        ranking.constants(normal)
    with pytest.raises(DataError, match="has neither normal nor unlabelled rows"):
        setup(tasks, one_class=True)[0].constants(odd)
