import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from oddshot.episodes import MappedTask, SupportSummary
from oddshot.errors import DataError, SettingError
from oddshot.learners import LEARNERS, Shape, collate, make_learner, restore
from oddshot.training import train

METRIC = ("prototypical", "relation")
SIDE = 12


def start(name, tasks, **settings):
    learner = make_learner(name, Shape.of(tasks[0]), settings)
    params = learner.initial_parameters(torch.Generator().manual_seed(0))
    return learner, {**params, **learner.constants(tasks)}


def scores(learner, params, tasks) -> list[np.ndarray]:
    batch = collate(tasks)
    with torch.no_grad():
        found = learner.detector(params, batch)(batch.query).numpy()
    return [row[: len(task.query)] for row, task in zip(found, tasks, strict=True)]


def mean_auroc(learner, params, tasks) -> float:
    found = scores(learner, params, tasks)
    return float(
        np.mean([roc_auc_score(t.query_labels, s) for t, s in zip(tasks, found, strict=True)])
    )


def strokes(count: int, *, seed: int, known: int = 0, colours: int = 1) -> list[MappedTask]:
    """Images of strokes; in a task normal ones lie along one direction, anomalies along another."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 2, indexing="ij"))

    def drawn(angle: float, number: int, rng: np.random.Generator) -> np.ndarray:
        angles = angle + rng.normal(scale=0.1, size=(number, 1, 1))
        shifts = rng.uniform(-0.4, 0.4, size=(number, 1, 1))
        across = np.cos(angles) * grid[0] + np.sin(angles) * grid[1] - shifts
        images = np.clip(1 - 4 * np.abs(across), 0, 1)[..., None] * np.ones(colours)
        noisy = np.clip(images + 0.1 * rng.normal(size=images.shape), 0, 1)
        return noisy.reshape(number, SIDE * SIDE, colours).astype(np.float32)

    tasks = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        normal = rng.uniform(0, np.pi)
        other = normal + rng.uniform(np.pi / 3, 2 * np.pi / 3)
        support_labels = np.array([1] * known + [0] * 5, np.int8)
        query_labels = np.array([1] * 6 + [0] * 6, np.int8)
        tasks.append(
            MappedTask(
                name=f"strokes#{number}",
                family=f"{number}",
                seed=number,
                support=np.concatenate([drawn(other, known, rng), drawn(normal, 5, rng)]),
                support_labels=support_labels,
                query=np.concatenate([drawn(other, 6, rng), drawn(normal, 6, rng)]),
                query_labels=query_labels,
                summary=SupportSummary(
                    np.zeros((SIDE * SIDE, 0), np.float32), np.zeros(0, np.float32)
                ),
            )
        )
    return tasks


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("prototypical", "conv4"), ("prototypical", "residual"), ("relation", "conv4")],
)
def test_image_priors_are_trained_and_judge_one_class(name, encoder):
    settings = {"encoder": encoder, "image": [SIDE, SIDE], "embedding": 16}
    prior = train(
        strokes(24, seed=0),
        learner=name,
        settings={**settings, "outer_loss": "bce"},
        steps=40,
        batch_size=6,
        learning_rate=0.01,
    )
    learner, params = restore(prior)
    unseen = strokes(12, seed=1)
    untrained = learner.initial_parameters(torch.Generator().manual_seed(0))
    assert mean_auroc(learner, params, unseen) > 0.85
    assert mean_auroc(learner, params, unseen) > mean_auroc(learner, untrained, unseen)


@pytest.mark.parametrize("name", METRIC)
@pytest.mark.parametrize("encoder", ["perceptron", "conv4", "residual"])
def test_colour_images_have_no_direct_part_and_no_constants(name, encoder):
    tasks = strokes(3, seed=0, known=2, colours=3)
    learner, params = start(name, tasks, encoder=encoder, image=[SIDE, SIDE], embedding=8)
    assert learner.constants(tasks) == {}
    assert not any(part.startswith(("direct.", "row_", "table_")) for part in params)
    assert all(np.isfinite(found).all() for found in scores(learner, params, tasks))
    alone = [scores(learner, params, [task])[0] for task in tasks]
    np.testing.assert_allclose(scores(learner, params, tasks), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", METRIC)
def test_padding_has_no_influence(name, synthetic_tasks):
    tasks = synthetic_tasks(3, known=2)
    learner, params = start(name, tasks, prototypes=2, anomaly_prototypes=2, trim=0.2)
    batch = collate(tasks)
    strange = replace(batch, support=batch.support.clone())
    strange.support[~batch.support_mask] = torch.nan
    with torch.no_grad():
        expected = learner.detector(params, batch)(batch.query)
        assert torch.equal(learner.detector(params, strange)(batch.query), expected)


@pytest.mark.parametrize("name", METRIC)
def test_coordinates_that_no_support_shows_are_judged_directly_alone(name, synthetic_tasks):
    """As label-aware ones, which are 0 in supports: they have no distance."""
    tasks = [
        replace(t, support=t.support * (np.arange(6) < 4)[:, None]) for t in synthetic_tasks(4)
    ]
    tasks = [replace(t, support=t.support.astype(np.float32)) for t in tasks]
    moved = [replace(t, query=t.query + 9 * (np.arange(6) >= 4)[:, None]) for t in tasks]
    moved = [replace(t, query=t.query.astype(np.float32)) for t in moved]
    without, params = start(name, tasks, direct=None)
    for found, expected in zip(
        scores(without, params, moved), scores(without, params, tasks), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    direct, params = start(name, tasks)
    assert not np.allclose(scores(direct, params, moved)[0], scores(direct, params, tasks)[0])


@pytest.mark.parametrize("name", METRIC)
def test_constants_are_moments_of_supports_and_facts(name, synthetic_tasks):
    tasks = [
        replace(t, support=t.support[:20], support_labels=t.support_labels[:20])
        for t in synthetic_tasks(6)
    ]
    found = make_learner(name, Shape.of(tasks[0])).constants(tasks)
    rows = np.concatenate([task.support for task in tasks])
    facts = np.stack([task.summary.table for task in tasks])
    np.testing.assert_allclose(found["row_mean"], rows.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found["row_gain"], 1 / rows.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found["table_mean"], facts.mean(axis=0), atol=1e-5)
    assert found["table_gain"][0] == pytest.approx(1 / facts[:, 0].std(), rel=1e-4)
    assert found["table_gain"][1] == 0  # the same in all tasks


@pytest.mark.parametrize("name", METRIC)
def test_a_support_without_a_normal_row_is_refused(name, synthetic_tasks):
    first, second = synthetic_tasks(2)
    broken = replace(second, support_labels=np.ones_like(second.support_labels))
    learner, params = start(name, [first])
    with pytest.raises(DataError, match="support of task 2 of 2 has neither normal nor unlabelled"):
        learner.detector(params, collate([first, broken]))
    with pytest.raises(DataError, match="support of task 'toy#1' has neither normal nor unlabell"):
        train([first, broken], learner=name, steps=1)


@pytest.mark.parametrize("name", METRIC)
def test_tasks_with_and_without_anomalies_do_not_disturb_each_other(name, synthetic_tasks):
    tasks = [*synthetic_tasks(2, known=4), *synthetic_tasks(2, known=0)]
    learner, params = start(name, tasks, anomaly_prototypes=3)
    params = {n: p.double().requires_grad_() for n, p in params.items()}
    together = learner.meta_loss(params, collate(tasks).to(torch.float64))
    for number, task in enumerate(tasks):
        alone = learner.meta_loss(params, collate([task]).to(torch.float64))
        torch.testing.assert_close(together[[number]], alone)
        for one, other in zip(
            *(
                torch.autograd.grad(
                    loss,
                    list(params.values()),
                    retain_graph=True,
                    materialize_grads=True,
                    allow_unused=True,
                )
                for loss in (together[number], alone[0])
            ),
            strict=True,
        ):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", METRIC)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "conv5"}, "encoder is 'conv5'; it must be perceptron or conv4 or residual"),
        ({"encoder": "conv4"}, "encoder is 'conv4'; it must be perceptron where the setting image"),
        ({"image": [2, 2]}, r"image is \[2, 2\]; it must be empty, or the height and width of im"),
        ({"image": [6]}, r"image is \[6\]; it must be empty, or the height and width of images"),
        (
            {"encoder": "residual", "image": [2, 3], "embedding": 12},
            "embedding is 12; it must be a multiple of 8 with encoder 'residual'",
        ),
        ({"hidden": [4, 0]}, r"hidden is \[4, 0\]; it must be widths of 1 or more"),
        ({"direct": [0]}, r"direct is \[0\]; it must be widths of 1 or more"),
        ({"embedding": 0}, "embedding is 0; it must be 1 or more"),
        ({"prototypes": 0}, "prototypes is 0; it must be 1 or more"),
        ({"anomaly_prototypes": 0}, "anomaly_prototypes is 0; it must be 1 or more"),
        ({"trim": 1.0}, "trim is 1.0; it must be a share from 0 to below 1"),
        ({"beta": 1.5}, "beta is 1.5; it must be from 0 to 1"),
        ({"outer_loss": "focal"}, "outer_loss is 'focal'; it must be .*bce or ranking"),
    ],
)
def test_settings_out_of_range_are_named(name, settings, message):
    with pytest.raises(SettingError, match=f"{name} setting {message}"):
        LEARNERS[name](Shape(6, 2, 3, 2), **settings)


def test_the_page_on_metric_learning_runs():
    page = Path(__file__).parents[2] / "docs" / "metric-learning.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    found: dict[str, object] = {}
    exec(code, found)
    assert found["prior"].learner == "prototypical"
