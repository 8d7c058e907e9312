from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from torch import Tensor

from oddshot.errors import SettingError
from oddshot.learners import LEARNERS, Shape, collate, make_learner, restore
from oddshot.losses import binary_cross_entropy, ranking_loss
from oddshot.training import train

SMALL = {"hidden": (5,), "embedding": 4, "direct": (3,), "relation": (6,)}


def setup(tasks, **settings):
    learner = make_learner("relation", Shape.of(tasks[0]), {**SMALL, **settings})
    generator = torch.Generator().manual_seed(0)
    params = {
        name: (value + 0.2 * torch.randn(value.shape, generator=generator)).double()
        for name, value in learner.initial_parameters(generator).items()
    }
    return learner, params, collate(tasks).to(torch.float64)


def slow_perceptron(p, prefix: str, row: np.ndarray) -> np.ndarray:
    hidden = p[f"{prefix}.weight0"] @ row + p[f"{prefix}.bias0"]
    return p[f"{prefix}.weight1"] @ (hidden * expit(hidden)) + p[f"{prefix}.bias1"]


def slow_relations(params: dict[str, Tensor], task) -> list[tuple[float, float | None]]:
    """Relation scores of one task's queries with both classes, one prototype each."""
    p = {name: value.numpy() for name, value in params.items()}
    facts = np.clip((task.summary.table - p["table_mean"]) * p["table_gain"], -3, 3)

    def embedded(row: np.ndarray) -> np.ndarray:
        seen = ((row - p["row_mean"]) * p["row_gain"]).flatten()
        return slow_perceptron(p, "encoder", np.concatenate([seen, facts]))

    support = np.array([embedded(row) for row in task.support])
    normal, anomalous = support[task.support_labels != 1], support[task.support_labels == 1]

    def related(x: np.ndarray, rows: np.ndarray) -> float:
        centre = rows.mean(axis=0)
        pair = np.concatenate([centre, x, (x - centre) ** 2])
        return slow_perceptron(p, "relation", pair)[0]

    found = []
    for row in task.query:
        x, direct = embedded(row), np.concatenate([row.flatten(), facts])
        like = related(x, normal) - slow_perceptron(p, "direct", direct)[0]
        found.append(
            (expit(like), expit(related(x, anomalous)) if len(anomalous) else None),
        )
    return found


def both_kinds(synthetic_tasks):
    return [*synthetic_tasks(3, known=3), *synthetic_tasks(2, known=0)]


def test_scores_equal_a_loop_over_tasks(synthetic_tasks):
    tasks = both_kinds(synthetic_tasks)
    learner, params, batch = setup(tasks)
    found = learner.detector(params, batch)(batch.query)
    for task, scores in zip(tasks, found, strict=True):
        expected = [
            np.log((1 - normal) / normal / (1 - (anomalous or 0)))
            for normal, anomalous in slow_relations(params, task)
        ]
        np.testing.assert_allclose(scores[: len(task.query)], expected)


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_squared_error_is_that_of_relation_scores(synthetic_tasks, beta):
    """Sung et al. 2018, equation 2, rows or classes weighing alike."""
    tasks = both_kinds(synthetic_tasks)
    learner, params, batch = setup(tasks, beta=beta)
    expected = []
    for task in tasks:
        costs: dict[int, list[float]] = {0: [], 1: []}
        for label, (normal, anomalous) in zip(
            task.query_labels, slow_relations(params, task), strict=True
        ):
            cost = (normal - (label == 0)) ** 2
            if anomalous is not None:
                cost += (anomalous - (label == 1)) ** 2
            costs[int(label)].append(cost)
        sides = [np.mean(side) for side in costs.values()]
        expected.append(np.mean(sides) if beta else np.mean(costs[0] + costs[1]))
    found = learner.meta_loss(params, batch)
    np.testing.assert_allclose(found, expected)
    strange = replace(batch, query=batch.query.clone())
    strange.query[~batch.query_mask] = torch.nan
    torch.testing.assert_close(learner.meta_loss(params, strange), found)


@pytest.mark.parametrize("outer_loss", ["bce", "ranking"])
def test_other_losses_judge_the_scores(synthetic_tasks, outer_loss):
    learner, params, batch = setup(both_kinds(synthetic_tasks), outer_loss=outer_loss)
    scores, labels, mask = (
        learner.detector(params, batch)(batch.query),
        batch.query_labels,
        batch.query_mask,
    )
    expected = (
        ranking_loss(scores, labels, mask)
        if outer_loss == "ranking"
        else binary_cross_entropy(scores, labels, mask, balanced=True)
    )
    torch.testing.assert_close(learner.meta_loss(params, batch), expected)


def test_of_several_prototypes_the_most_alike_counts(synthetic_tasks):
    """With as many prototypes as rows, each row is compared with all of them."""
    tasks = synthetic_tasks(2, known=2)
    short = [
        replace(task, support=task.support[:5], support_labels=task.support_labels[:5])
        for task in tasks
    ]
    learner, params, batch = setup(short, prototypes=5, anomaly_prototypes=5, direct=None)
    found = learner.detector(params, batch)(batch.query)
    one = make_learner(
        "relation", learner.shape, {**learner.settings, "prototypes": 1, "anomaly_prototypes": 1}
    )
    pairs: list[list[Tensor]] = [[], []]  # logits of relations with single rows
    for row in range(5):
        alone = replace(
            batch,
            support=batch.support[:, [row]],
            support_labels=torch.zeros(2, 1, dtype=torch.int8),
            support_mask=batch.support_mask[:, [row]],
        )
        like = -one.detector(params, alone)(batch.query)
        pairs[row < 2].append(like)
    normal, anomalous = (torch.stack(logits).amax(0) for logits in pairs)
    expected = torch.nn.functional.softplus(anomalous) - normal
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "settings",
    [{}, {"outer_loss": "bce"}, {"outer_loss": "ranking", "prototypes": 2, "trim": 0.1}],
)
def test_the_meta_gradient_equals_finite_differences(synthetic_tasks, settings):
    learner, params, batch = setup(both_kinds(synthetic_tasks), **settings)
    generator = torch.Generator().manual_seed(1)
    ways = {n: torch.randn(p.shape, generator=generator).double() for n, p in params.items()}

    def along(step: Tensor) -> Tensor:
        return learner.meta_loss({n: p + step * ways[n] for n, p in params.items()}, batch)

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(along, step, eps=1e-7, atol=1e-4)


def test_likeness_to_a_known_anomaly_never_makes_a_row_more_normal(synthetic_tasks):
    (task,) = synthetic_tasks(1, known=3)
    learner, params, batch = setup([task])
    unknown = replace(batch, support_mask=batch.support_mask & (batch.support_labels != 1))
    with_labels = learner.detector(params, batch)(batch.query)
    assert (with_labels > learner.detector(params, unknown)(batch.query)).all()


def test_it_learns_to_judge_by_the_support(synthetic_tasks):
    """Where normal rows lie differs from task to task, so a row alone says nothing."""

    def moved(count: int, seed: int):
        tasks = []
        for task in synthetic_tasks(count, seed=seed, known=0, families=count):
            rng = np.random.default_rng([seed, task.seed])
            centre = rng.choice([-2.0, 2.0], size=task.support.shape[1:])
            support, query = (
                (centre + 0.5 * rng.normal(size=rows.shape)).astype(np.float32)
                for rows in (task.support, task.query)
            )
            query[task.query_labels == 1] -= (2 * centre).astype(np.float32)
            tasks.append(replace(task, support=support, query=query))
        return tasks

    prior = train(moved(48, 0), learner="relation", steps=80, batch_size=12, learning_rate=0.01)
    learner, params = restore(prior)
    unseen = moved(20, 1)
    batch = collate(unseen)
    with torch.no_grad():
        found = learner.detector(params, batch)(batch.query).numpy()
    aurocs = [
        roc_auc_score(task.query_labels, scores[: len(task.query)])
        for task, scores in zip(unseen, found, strict=True)
    ]
    assert np.mean(aurocs) > 0.95


def test_settings_out_of_range_are_named():
    for name, value in {"relation": [0], "outer_loss": "mse"}.items():
        with pytest.raises(SettingError, match=f"relation setting {name} is "):
            LEARNERS["relation"](Shape(6, 2, 3, 2), **{name: value})
