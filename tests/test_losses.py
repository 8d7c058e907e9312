from functools import partial
from math import exp, log1p

import pytest
import torch
from torch import Tensor

from oddshot.losses import binary_cross_entropy, focal_loss, ranking_loss

LOSSES = {
    "bce": binary_cross_entropy,
    "balanced bce": partial(binary_cross_entropy, balanced=True),
    "focal": focal_loss,
    "focal, gamma 0.5": partial(focal_loss, alpha=0.5, gamma=0.5, balanced=True),
    "ranking": ranking_loss,
    "hard ranking": partial(ranking_loss, hardness=2.0),
}


def batch(seed: int = 0, tasks: int = 5, rows: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    """Tasks of which the last has no row, and the one before no anomaly."""
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(tasks, rows, generator=generator, dtype=torch.float64)
    labels = (torch.rand(tasks, rows, generator=generator) < 0.4).to(torch.int8)
    mask = torch.rand(tasks, rows, generator=generator) < 0.8
    labels[-2] = 0
    mask[-1] = False
    return scores, labels, mask


def members(scores: Tensor, labels: Tensor, mask: Tensor, label: int) -> list[float]:
    rows = zip(scores.tolist(), labels.tolist(), mask.tolist(), strict=True)
    return [s for s, y, there in rows if there and y == label]


def softplus(x: float) -> float:
    return log1p(exp(x))


def slow_cross_entropy(anomalies, normals, *, balanced, alpha=None, gamma=0.0):
    """Go through the rows one by one."""
    total = 0.0
    classes = (len(anomalies) > 0) + (len(normals) > 0)
    for side, rows in ((1, anomalies), (0, normals)):
        for score in rows:
            p = 1 / (1 + exp(-score))
            p_t = p if side else 1 - p
            weight = 1 / (len(rows) * classes) if balanced else 1 / (len(anomalies) + len(normals))
            if alpha is not None:
                weight *= alpha if side else 1 - alpha
            total += weight * (1 - p_t) ** gamma * softplus(-score if side else score)
    return total


def slow_ranking(anomalies, normals, *, hardness):
    total = 0.0
    heat = [exp(hardness * normal) for normal in normals]
    for anomaly in anomalies:
        for normal, h in zip(normals, heat, strict=True):
            total += h / sum(heat) / len(anomalies) * softplus(normal - anomaly)
    return total


@pytest.mark.parametrize(
    ("loss", "slow"),
    [
        (LOSSES["bce"], partial(slow_cross_entropy, balanced=False)),
        (LOSSES["balanced bce"], partial(slow_cross_entropy, balanced=True)),
        (LOSSES["focal"], partial(slow_cross_entropy, balanced=False, alpha=0.25, gamma=2.0)),
        (
            LOSSES["focal, gamma 0.5"],
            partial(slow_cross_entropy, balanced=True, alpha=0.5, gamma=0.5),
        ),
        (LOSSES["ranking"], partial(slow_ranking, hardness=0.0)),
        (LOSSES["hard ranking"], partial(slow_ranking, hardness=2.0)),
    ],
)
def test_equals_the_slow_loop(loss, slow):
    scores, labels, mask = batch()
    expected = []
    for task in zip(scores, labels, mask, strict=True):
        expected.append(slow(members(*task, 1), members(*task, 0)))
    torch.testing.assert_close(loss(scores, labels, mask).tolist(), expected)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "hard ranking"])
def test_gradients(name):
    scores, labels, mask = batch()

    def of_scores(s: Tensor) -> Tensor:
        return LOSSES[name](s, labels, mask)

    scores.requires_grad_()
    assert torch.autograd.gradcheck(of_scores, scores)
    assert torch.autograd.gradgradcheck(of_scores, scores)


def test_hardness_weighs_pairs_without_moving_through_the_weights():
    scores, labels, mask = batch(tasks=3)
    scores, labels, mask = scores[:1], labels[:1], mask[:1]
    scores.requires_grad_()
    (found,) = torch.autograd.grad(ranking_loss(scores, labels, mask, hardness=2.0).sum(), scores)
    anomalies, normals = (labels > 0) & mask, (labels == 0) & mask
    weights = torch.softmax(2.0 * scores.detach()[normals], 0)
    pairs = torch.nn.functional.softplus(scores[normals][:, None] - scores[anomalies])
    (expected,) = torch.autograd.grad((weights[:, None] * pairs).sum() / anomalies.sum(), scores)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_padding_has_no_influence_whatever_it_holds(loss):
    scores, labels, mask = batch()
    spoiled = torch.where(mask, scores, torch.tensor([float("nan")])).requires_grad_()
    torch.testing.assert_close(loss(spoiled, labels, mask), loss(scores, labels, mask))
    (grad,) = torch.autograd.grad(loss(spoiled, labels, mask).sum(), spoiled)
    assert grad.isfinite().all()
    assert (grad[~mask] == 0).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_no_usable_row_gives_zero_and_finite_gradients(loss):
    scores, labels, _ = batch()
    scores.requires_grad_()
    found = loss(scores, labels, torch.zeros_like(labels, dtype=torch.bool))
    (grad,) = torch.autograd.grad(found.sum(), scores)
    assert (found == 0).all()
    assert (grad == 0).all()
    assert loss(scores[:, :0], labels[:, :0], labels[:, :0] > 0).shape == (5,)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_scores_far_out_stay_finite(loss):
    scores = torch.tensor([[300.0, -300.0, 300.0, -300.0]], requires_grad=True)
    labels, mask = torch.tensor([[1, 1, 0, 0]]), torch.ones(1, 4, dtype=torch.bool)
    found = loss(scores, labels, mask)
    (grad,) = torch.autograd.grad(found.sum(), scores)
    assert found.isfinite().all()
    assert grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_better_scores_cost_less(loss):
    labels, mask = torch.tensor([[1, 0, 0]]), torch.ones(1, 3, dtype=torch.bool)
    good, bad = torch.tensor([[2.0, -1.0, -1.0]]), torch.tensor([[-2.0, 1.0, 1.0]])
    assert loss(good, labels, mask) < loss(bad, labels, mask)
