from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, logsumexp
from sklearn.metrics import roc_auc_score
from torch import Tensor

from oddshot.errors import SettingError
from oddshot.learners import LEARNERS, Shape, TaskBatch, collate, make_learner, restore
from oddshot.losses import ranking_loss
from oddshot.training import train

SMALL = {"hidden": (5,), "embedding": 4, "direct": (3,)}


def setup(tasks, **settings):
    learner = make_learner("prototypical", Shape.of(tasks[0]), {**SMALL, **settings})
    generator = torch.Generator().manual_seed(0)
    params = {
        name: (value + 0.2 * torch.randn(value.shape, generator=generator)).double()
        for name, value in learner.initial_parameters(generator).items()
    }
    return learner, params, collate(tasks).to(torch.float64)


def slow_perceptron(p, prefix: str, row: np.ndarray) -> np.ndarray:
    hidden = p[f"{prefix}.weight0"] @ row + p[f"{prefix}.bias0"]
    return p[f"{prefix}.weight1"] @ (hidden * expit(hidden)) + p[f"{prefix}.bias1"]


def slow_scores(params: dict[str, Tensor], task, *, distance: str, covariance: str) -> list[float]:
    """Scores of one task with one prototype a class, in plain floating point."""
    p = {name: value.numpy() for name, value in params.items()}
    facts = np.clip((task.summary.table - p["table_mean"]) * p["table_gain"], -3, 3)

    def embedded(row: np.ndarray) -> np.ndarray:
        seen = ((row - p["row_mean"]) * p["row_gain"]).flatten()
        return slow_perceptron(p, "encoder", np.concatenate([seen, facts]))

    support = np.array([embedded(row) for row in task.support])
    classes = [support[task.support_labels != 1], support[task.support_labels == 1]]
    means = [rows.mean(axis=0) if len(rows) else None for rows in classes]
    covariances = [np.cov(rows.T, bias=True) if len(rows) > 1 else 0.0 for rows in classes]
    sizes = [len(rows) for rows in classes]
    pooled = np.average(np.array([c * np.ones((4, 4)) for c in covariances]), 0, sizes)
    if covariance == "class":
        matrices = [(n * c + pooled) / (n + 1) for n, c in zip(sizes, covariances, strict=True)]
    else:
        matrices = [pooled, pooled]
    inverses = [np.linalg.inv(0.5 * m + 0.5 * np.eye(4)) for m in matrices]

    def far(x: np.ndarray, of: int) -> float:
        centre = means[of]
        if centre is None:
            return np.inf
        if distance == "euclidean":
            value = ((x - centre) ** 2).sum()
        elif distance == "cosine":
            value = 1 - x @ centre / np.linalg.norm(x) / np.linalg.norm(centre)
        else:
            value = (x - centre) @ inverses[of] @ (x - centre)
        return float(np.exp(p["log_scale"]) * value)

    radius = p["radius"][0] + p["radius"][1] * np.mean([far(x, 0) for x in classes[0]])
    scores = []
    for row in task.query:
        x, direct = embedded(row), np.concatenate([row.flatten(), facts])
        unlike = logsumexp([-far(x, 1), -radius])
        scores.append(far(x, 0) + unlike + slow_perceptron(p, "direct", direct)[0])
    return scores


@pytest.mark.parametrize(
    ("distance", "covariance"),
    [
        ("euclidean", "pooled"),
        ("cosine", "pooled"),
        ("mahalanobis", "pooled"),
        ("mahalanobis", "class"),
    ],
)
def test_scores_equal_a_loop_over_tasks(synthetic_tasks, distance, covariance):
    tasks = [*synthetic_tasks(4), *synthetic_tasks(1, known=0), *synthetic_tasks(1, known=1)]
    learner, params, batch = setup(tasks, distance=distance, covariance=covariance)
    found = learner.detector(params, batch)(batch.query)
    for task, scores in zip(tasks, found, strict=True):
        expected = slow_scores(params, task, distance=distance, covariance=covariance)
        np.testing.assert_allclose(scores[: len(task.query)], expected)


def test_the_score_is_the_odds_of_not_being_normal(synthetic_tasks):
    """Snell et al. 2017, equation 2, with a third class at the radius."""
    learner, params, batch = setup(synthetic_tasks(1, known=3), direct=None)
    scores = learner.detector(params, batch)(batch.query)
    normal, anomalous = learner._logits(params, batch)(batch.query)
    softmax = torch.softmax(torch.stack([normal, anomalous, torch.zeros_like(normal)]), 0)
    torch.testing.assert_close(torch.sigmoid(scores), 1 - softmax[0])


@pytest.mark.parametrize("outer_loss", ["bce", "ranking"])
def test_the_meta_loss_judges_the_scores(synthetic_tasks, outer_loss):
    tasks = synthetic_tasks(4)
    learner, params, batch = setup(tasks, outer_loss=outer_loss, beta=1.0)
    scores = learner.detector(params, batch)(batch.query)
    expected = ranking_loss(scores, batch.query_labels, batch.query_mask)
    if outer_loss == "bce":
        values = []
        for task, row in zip(tasks, scores, strict=True):
            margins = row[: len(task.query)] * torch.tensor(2.0 * task.query_labels - 1)
            costs = -torch.nn.functional.logsigmoid(margins).numpy()
            values.append(np.mean([costs[task.query_labels == side].mean() for side in (0, 1)]))
        expected = torch.tensor(np.array(values))
    torch.testing.assert_close(learner.meta_loss(params, batch), expected)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"distance": "cosine", "outer_loss": "bce"},
        {"distance": "mahalanobis"},
        {"distance": "mahalanobis", "covariance": "class"},
        {"prototypes": 3, "anomaly_prototypes": 2},
        {"prototypes": 2, "soft": False, "trim": 0.2},
        {"prototypes": 2, "soft": False, "neighbours": 3},
    ],
)
def test_the_meta_gradient_equals_finite_differences(synthetic_tasks, settings):
    tasks = [*synthetic_tasks(2, known=3), *synthetic_tasks(1, known=0)]
    learner, params, batch = setup(tasks, **settings)
    generator = torch.Generator().manual_seed(1)
    ways = {n: torch.randn(p.shape, generator=generator).double() for n, p in params.items()}

    def along(step: Tensor) -> Tensor:
        return learner.meta_loss({n: p + step * ways[n] for n, p in params.items()}, batch)

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(along, step, eps=1e-7, atol=1e-4)


def planted(params: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let the embedding be four of the coordinates themselves."""
    weight = torch.zeros_like(params["encoder.weight0"])
    weight[:, :4] = torch.eye(4)
    return {
        **params,
        "encoder.weight0": weight,
        "encoder.bias0": torch.zeros(4).double(),
        "row_mean": torch.zeros_like(params["row_mean"]),
        "row_gain": torch.ones_like(params["row_gain"]),
        "log_scale": torch.zeros(()).double(),
        "radius": torch.tensor([4.0, 0.0]).double(),
    }


def places(batch: TaskBatch, points: list[tuple[float, float]]) -> Tensor:
    rows = torch.zeros(len(batch), len(points), *batch.query.shape[2:], dtype=torch.float64)
    rows[:, :, 0, 0], rows[:, :, 0, 1] = torch.tensor(points, dtype=torch.float64).T
    return rows


def laid_out(batch: TaskBatch, points: list[tuple[float, float]], labels: list[int]) -> TaskBatch:
    given = torch.tensor([labels], dtype=torch.int8)
    return replace(
        batch,
        support=places(batch, points),
        support_labels=given,
        support_mask=torch.ones_like(given, dtype=torch.bool),
    )


def test_an_anomaly_of_an_unseen_type_scores_high(synthetic_tasks):
    options = {"hidden": (), "direct": None}
    learner, params, batch = setup(synthetic_tasks(1), **options)
    params = planted(params)
    known = laid_out(batch, [(0.5, 0), (-0.5, 0), (0, 4)], [0, -1, 1])
    unlabelled = laid_out(batch, [(0.5, 0), (-0.5, 0)], [-1, -1])
    rows = places(batch, [(0, 0), (0, 1), (0, 4), (0, -4), (9, 0)])
    typical, close, shown, unseen, far = learner.detector(params, known)(rows)[0].tolist()
    without = learner.detector(params, unlabelled)(rows)[0].tolist()
    assert without == pytest.approx([-4, -3, 12, 12, 77])
    assert typical == pytest.approx(-4, abs=1e-3)
    assert shown == pytest.approx(16 + np.log(1 + np.exp(-4)), abs=1e-3)
    assert typical < close < 0 < unseen < shown < far
    assert unseen == pytest.approx(without[3], abs=1e-3)


def test_two_kinds_of_normal_rows_need_two_prototypes(synthetic_tasks):
    learner, params, batch = setup(synthetic_tasks(1), hidden=(), direct=None)
    several = make_learner(
        "prototypical", learner.shape, {**learner.settings, "prototypes": 2, "soft": False}
    )
    support = laid_out(batch, [(-5, 0), (-5, 1), (5, 0), (5, 1)], [0, 0, 0, 0])
    rows = places(batch, [(-5, 0), (5, 1), (0, 0.5)])
    params = planted(params)
    one = learner.detector(params, support)(rows)[0]
    two = several.detector(params, support)(rows)[0]
    assert one[2] < one[:2].min()
    assert two[2] > two[:2].max()
    assert two.tolist() == pytest.approx([0.25 - 4, 0.25 - 4, 25 - 4])


def test_neighbours_make_up_for_a_contaminated_row(synthetic_tasks):
    learner, params, batch = setup(synthetic_tasks(1), hidden=(), direct=None)
    settings = {**learner.settings, "prototypes": 2, "soft": False}
    hard, robust = (
        make_learner("prototypical", learner.shape, {**settings, "neighbours": count})
        for count in (1, 3)
    )
    support = laid_out(batch, [(0, 0), (0, 0.2), (0.2, 0), (0.2, 0.2), (9, 9)], [-1] * 5)
    rows, params = places(batch, [(0.1, 0.1), (9, 9)]), planted(params)
    near, odd = hard.detector(params, support)(rows)[0].tolist()
    assert near == pytest.approx(odd)
    near, odd = robust.detector(params, support)(rows)[0].tolist()
    assert odd > near + 50
    for labels in ([0, -1, -1, -1, 0], [0] * 5):  # what is known to be normal stands for itself
        known = laid_out(batch, [(0, 0), (0, 0.2), (0.2, 0), (0.2, 0.2), (9, 9)], labels)
        near, odd = robust.detector(params, known)(rows)[0].tolist()
        assert near == pytest.approx(odd)


def test_trimming_lets_contaminated_rows_go(synthetic_tasks):
    learner, params, batch = setup(synthetic_tasks(1), hidden=(), direct=None)
    trims = make_learner("prototypical", learner.shape, {**learner.settings, "trim": 0.2})
    points = [(0.0, 0.0), (0.1, 0), (0, 0.1), (-0.1, 0), (8, 0)]
    rows, params = places(batch, [(8, 0)]), planted(params)
    unlabelled = laid_out(batch, points, [-1] * 5)
    assert trims.detector(params, unlabelled)(rows) > learner.detector(params, unlabelled)(rows)
    normal = laid_out(batch, points, [0] * 5)
    assert torch.equal(trims.detector(params, normal)(rows), learner.detector(params, normal)(rows))


def test_more_labels_help(synthetic_tasks):
    """Anomalies lie on one of two sides in each task; labels alone say on which."""

    def sided(count: int, known: int, seed: int):
        tasks = []
        for task in synthetic_tasks(count, known=known, seed=seed, families=count):
            rng = np.random.default_rng([seed, task.seed])
            side = 1 if task.seed % 2 else -1
            support, query = (
                rng.normal(size=rows.shape).astype(np.float32)
                for rows in (task.support, task.query)
            )
            support[task.support_labels == 1, 0] += 2 * side
            query[task.query_labels == 1, 0] += 2 * side
            query[np.flatnonzero(task.query_labels == 0)[::2], 0] -= 2 * side
            tasks.append(replace(task, support=support, query=query))
        return tasks

    seen = [task for known in (0, 1, 5) for task in sided(16, known, 0)]
    seen = [replace(task, family=f"{number}") for number, task in enumerate(seen)]
    prior = train(seen, learner="prototypical", steps=100, batch_size=12, learning_rate=0.01)
    learner, params = restore(prior)
    aurocs = []
    for known in (0, 1, 5):
        unseen = sided(40, known, 1)
        batch = collate(unseen)
        with torch.no_grad():
            found = learner.detector(params, batch)(batch.query).numpy()
        aurocs.append(
            np.mean(
                [
                    roc_auc_score(task.query_labels, scores[: len(task.query)])
                    for task, scores in zip(unseen, found, strict=True)
                ]
            )
        )
    assert aurocs[0] < aurocs[1] < aurocs[2]
    assert aurocs[2] > aurocs[0] + 0.15


@pytest.mark.parametrize(
    ("name", "value"),
    [("distance", "manhattan"), ("covariance", "full"), ("shrinkage", 0.0), ("shrinkage", 1.5)],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(SettingError, match=f"prototypical setting {name} is {value!r}"):
        LEARNERS["prototypical"](Shape(6, 2, 3, 2), **{name: value})
