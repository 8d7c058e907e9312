from functools import partial
from math import exp, log, log1p

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oddshot.errors import DataError, SettingError
from oddshot.losses import (
    binary_cross_entropy,
    cross_entropy,
    deviation_loss,
    focal_loss,
    ranking_loss,
    squared_error,
)

LOSSES = {
    "bce": binary_cross_entropy,
    "balanced bce": partial(binary_cross_entropy, balanced=True),
    "class-balanced bce": partial(binary_cross_entropy, beta=0.9),
    "smoothed bce": partial(binary_cross_entropy, beta=0.5, label_smoothing=0.2),
    "focal": focal_loss,
    "focal, gamma 0.5": partial(focal_loss, alpha=0.5, gamma=0.5, balanced=True),
    "class-balanced focal": partial(focal_loss, beta=0.99),
    "deviation": deviation_loss,
    "balanced deviation": partial(deviation_loss, margin=2.0, balanced=True),
    "ranking": ranking_loss,
    "hard ranking": partial(ranking_loss, hardness=2.0),
}


def as_classes(scores: Tensor, labels: Tensor, mask: Tensor, **settings: float) -> Tensor:
    """Judge scores as the logits of two classes, normal at 0 and anomalous."""
    logits = torch.stack([torch.zeros_like(scores), scores], -1)
    return cross_entropy(logits, labels, mask, **settings)


def as_numbers(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Judge scores, and twice the scores, as estimates of the labels."""
    targets = torch.stack([labels, labels], -1).to(scores.dtype)
    return squared_error(torch.stack([scores, 2 * scores], -1), targets, mask)


ALL = {
    **LOSSES,
    "classes": as_classes,
    "smoothed classes": partial(as_classes, label_smoothing=0.3),
    "numbers": as_numbers,
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


def class_weights(anomalies, normals, beta):
    """Weight of a row by class, such that those of all rows sum to 1 (Cui et al. 2019)."""
    counts = {1: len(anomalies), 0: len(normals)}
    raw = {c: 1 / n if beta == 1 else (1 - beta) / (1 - beta**n) for c, n in counts.items() if n}
    total = sum(raw[c] * counts[c] for c in raw)
    return {c: weight / total for c, weight in raw.items()}


def slow_cross_entropy(anomalies, normals, *, beta=0.0, alpha=None, gamma=0.0, smoothing=0.0):
    """Go through the rows one by one."""
    total = 0.0
    weights = class_weights(anomalies, normals, beta)
    for side, rows in ((1, anomalies), (0, normals)):
        for score in rows:
            p = 1 / (1 + exp(-score))
            p_t = p if side else 1 - p
            weight = weights[side]
            if alpha is not None:
                weight *= alpha if side else 1 - alpha
            target = 1 - smoothing / 2 if side else smoothing / 2
            entropy = target * softplus(-score) + (1 - target) * softplus(score)
            total += weight * (1 - p_t) ** gamma * entropy
    return total


def slow_deviation(anomalies, normals, *, margin, beta=0.0):
    weights = class_weights(anomalies, normals, beta)
    odd = [weights[1] * max(0.0, margin - score) for score in anomalies]
    return float(sum(odd + [weights[0] * abs(score) for score in normals]))


def slow_ranking(anomalies, normals, *, hardness):
    total = 0.0
    heat = [exp(hardness * normal) for normal in normals]
    for anomaly in anomalies:
        for normal, h in zip(normals, heat, strict=True):
            total += h / sum(heat) / len(anomalies) * softplus(normal - anomaly)
    return total


SLOW = {
    "bce": slow_cross_entropy,
    "balanced bce": partial(slow_cross_entropy, beta=1),
    "class-balanced bce": partial(slow_cross_entropy, beta=0.9),
    "smoothed bce": partial(slow_cross_entropy, beta=0.5, smoothing=0.2),
    "focal": partial(slow_cross_entropy, alpha=0.25, gamma=2.0),
    "focal, gamma 0.5": partial(slow_cross_entropy, beta=1, alpha=0.5, gamma=0.5),
    "class-balanced focal": partial(slow_cross_entropy, beta=0.99, alpha=0.25, gamma=2.0),
    "deviation": partial(slow_deviation, margin=5.0),
    "balanced deviation": partial(slow_deviation, margin=2.0, beta=1),
    "ranking": partial(slow_ranking, hardness=0.0),
    "hard ranking": partial(slow_ranking, hardness=2.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_equals_the_slow_loop(name):
    scores, labels, mask = batch()
    expected = []
    for task in zip(scores, labels, mask, strict=True):
        expected.append(SLOW[name](members(*task, 1), members(*task, 0)))
    torch.testing.assert_close(LOSSES[name](scores, labels, mask).tolist(), expected)


@given(
    anomalies=st.lists(st.floats(-20, 20), max_size=6),
    normals=st.lists(st.floats(-20, 20), max_size=6),
    padding=st.integers(0, 3),
    beta=st.floats(0, 1),
    smoothing=st.floats(0, 1),
)
@settings(max_examples=100)
def test_any_weights_and_smoothing_equal_the_slow_loop(
    anomalies, normals, padding, beta, smoothing
):
    scores = torch.tensor([anomalies + normals + [float("nan")] * padding], dtype=torch.float64)
    labels = torch.tensor([[1] * len(anomalies) + [0] * (len(normals) + padding)])
    mask = torch.arange(scores.shape[1])[None] < len(anomalies) + len(normals)
    found = binary_cross_entropy(scores, labels, mask, beta=beta, label_smoothing=smoothing)
    beta = 1 if beta > 1 - 1e-9 else beta  # where the slow loop's power loses its digits
    expected = slow_cross_entropy(anomalies, normals, beta=beta, smoothing=smoothing)
    torch.testing.assert_close(found.item(), expected, rtol=1e-6, atol=1e-12)


def test_effective_numbers_keep_their_digits_in_single_precision():
    scores, labels, mask = torch.zeros(1, 200), torch.zeros(1, 200), torch.ones(1, 200) > 0
    labels[0, 0], scores[0, 0] = 1, 1.0
    found = binary_cross_entropy(scores, labels, mask, beta=1 - 1e-6)
    expected = slow_cross_entropy([1.0], [0.0] * 199, beta=1 - 1e-6)
    torch.testing.assert_close(found.item(), expected, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("loss", [binary_cross_entropy, focal_loss, deviation_loss])
def test_beta_leads_from_equal_rows_to_equal_classes(loss):
    scores, labels, mask = batch()
    torch.testing.assert_close(loss(scores, labels, mask, beta=0.0), loss(scores, labels, mask))
    balanced = loss(scores, labels, mask, balanced=True)
    assert torch.equal(loss(scores, labels, mask, beta=1.0), balanced)
    close = loss(scores, labels, mask, beta=1 - 1e-7)
    torch.testing.assert_close(close, balanced, rtol=1e-5, atol=1e-6)


def test_deviation_is_the_limit_of_many_reference_scores():
    scores, labels, mask = batch(tasks=3)
    reference = np.random.default_rng(0).normal(size=1_000_000)
    drawn = deviation_loss((scores - reference.mean()) / reference.std(), labels, mask)
    torch.testing.assert_close(deviation_loss(scores, labels, mask), drawn, rtol=0, atol=0.01)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_classes_equal_the_slow_loop(smoothing):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4, 6, 5, generator=generator, dtype=torch.float64)
    classes = torch.randint(5, (4, 6), generator=generator, dtype=torch.int32)
    mask = torch.rand(4, 6, generator=generator) < 0.7
    mask[0], mask[1] = True, False
    classes[~mask] = -7
    expected = []
    for task, truth, there in zip(logits.tolist(), classes.tolist(), mask.tolist(), strict=True):
        costs = []
        for row, right in zip(task, truth, strict=True):
            logs = [value - log(sum(map(exp, row))) for value in row]
            targets = [(c == right) * (1 - smoothing) + smoothing / 5 for c in range(5)]
            costs.append(-sum(t * value for t, value in zip(targets, logs, strict=True)))
        kept = [cost for cost, usable in zip(costs, there, strict=True) if usable]
        expected.append(sum(kept) / max(1, len(kept)))
    found = cross_entropy(logits, classes, mask, label_smoothing=smoothing)
    torch.testing.assert_close(found.tolist(), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_two_classes_are_the_binary_loss(smoothing):
    scores, labels, mask = batch()
    torch.testing.assert_close(
        as_classes(scores, labels, mask, label_smoothing=smoothing),
        binary_cross_entropy(scores, labels, mask, label_smoothing=smoothing),
    )


@pytest.mark.parametrize("outputs", [(), (1,), (3,), (2, 3)])
def test_squared_error_equals_the_slow_loop(outputs):
    generator = torch.Generator().manual_seed(4)
    found, truth = torch.randn(2, 4, 5, *outputs, generator=generator, dtype=torch.float64)
    mask = torch.rand(4, 5, generator=generator) < 0.7
    mask[0] = False
    expected = []
    for task in range(4):
        rows = [((found[task, n] - truth[task, n]) ** 2).mean() for n in range(5) if mask[task, n]]
        expected.append(float(sum(rows)) / max(1, len(rows)))
    torch.testing.assert_close(squared_error(found, truth, mask).tolist(), expected)


def test_squared_error_refuses_to_broadcast():
    outputs, targets, mask = torch.zeros(2, 3, 1), torch.zeros(2, 3), torch.ones(2, 3) > 0
    with pytest.raises(DataError, match=r"\(2, 3, 1\).*\(2, 3\); give both the same"):
        squared_error(outputs, targets, mask)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_labels_and_masks_are_those_of_the_rows(loss):
    scores, labels, mask = batch()
    for wrong in (
        (scores, labels[:1], mask[:1]),
        (scores, labels, mask[:, :1]),
        (scores[0], labels[0], mask[0]),
        (scores[..., None], labels, mask),
    ):
        with pytest.raises(DataError, match=r"mask of shape .*; give all three for the same"):
            loss(*wrong)
    with pytest.raises(DataError, match=r"mask is of torch\.int64; give True for rows, False for"):
        loss(scores, labels, mask.long())
    torch.testing.assert_close(loss(scores, labels.double(), mask), loss(scores, labels, mask))
    half = torch.where(mask, labels.double(), torch.nan)
    half[0, mask[0].nonzero()[0]] = 0.3
    with pytest.raises(DataError, match=r"labels hold 0\.3; give whole numbers, 1 for an anomaly"):
        loss(scores, half, mask)


@pytest.mark.parametrize("wrong", [-100, -1, 3])
def test_classes_that_there_are_not_are_named(wrong):
    mask = torch.tensor([[True, False]])
    cross_entropy(torch.zeros(1, 2, 3), torch.tensor([[0, wrong]]), mask)
    with pytest.raises(DataError, match=rf"go with 3 outputs a row \(Target {wrong} .* 0 to 2"):
        cross_entropy(torch.zeros(1, 2, 3), torch.tensor([[wrong, 0]]), mask)
    with pytest.raises(DataError, match=r"labels hold 1\.5; give whole numbers"):
        cross_entropy(torch.zeros(1, 2, 3), torch.tensor([[1.5, 0]]), mask)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_margin_and_hardness_are_numbers(value):
    with pytest.raises(SettingError, match=f"hardness is {value}; it must be 0 or more"):
        ranking_loss(*batch(), hardness=value)
    if value != -1:
        with pytest.raises(SettingError, match=f"margin is {value}; it must be a finite number"):
            deviation_loss(*batch(), margin=value)


@pytest.mark.parametrize("name", ["beta", "label_smoothing"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_shares_outside_0_to_1_are_refused(name, value):
    with pytest.raises(SettingError, match=f"{name} is {value!r}; it must be in"):
        binary_cross_entropy(*batch(), **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("alpha", -0.1), ("alpha", 1.5), ("gamma", -1.0), ("gamma", float("nan"))],
)
def test_the_focal_loss_refuses_what_it_cannot_take(name, value):
    with pytest.raises(SettingError, match=f"{name} is {value!r}; it must be"):
        focal_loss(*batch(), **{name: value})


@pytest.mark.parametrize("end", [float("inf"), -float("inf")])
@pytest.mark.parametrize("label", [0, 1])
def test_smoothed_targets_make_every_infinite_score_infinitely_wrong(end, label):
    scores = torch.tensor([[end, 0.3]], dtype=torch.float64, requires_grad=True)
    labels, mask = torch.tensor([[label, 1]]), torch.ones(1, 2, dtype=torch.bool)
    found = binary_cross_entropy(scores, labels, mask, label_smoothing=0.2)
    (slopes,) = torch.autograd.grad(found, scores)
    assert found.item() == float("inf")
    target = 0.9 if label else 0.1
    assert slopes[0, 0].item() == pytest.approx((float(end > 0) - target) / 2)


@pytest.mark.parametrize("name", [name for name in ALL if name != "hard ranking"])
def test_gradients(name):
    scores, labels, mask = batch()

    def of_scores(s: Tensor) -> Tensor:
        return ALL[name](s, labels, mask)

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


@pytest.mark.parametrize("loss", ALL.values(), ids=ALL)
def test_padding_has_no_influence_whatever_it_holds(loss):
    scores, labels, mask = batch()
    spoiled = torch.where(mask, scores, torch.tensor([float("nan")])).requires_grad_()
    torch.testing.assert_close(loss(spoiled, labels, mask), loss(scores, labels, mask))
    (grad,) = torch.autograd.grad(loss(spoiled, labels, mask).sum(), spoiled)
    assert grad.isfinite().all()
    assert (grad[~mask] == 0).all()


@pytest.mark.parametrize("loss", ALL.values(), ids=ALL)
def test_no_usable_row_gives_zero_and_finite_gradients(loss):
    scores, labels, _ = batch()
    scores.requires_grad_()
    found = loss(scores, labels, torch.zeros_like(labels, dtype=torch.bool))
    (grad,) = torch.autograd.grad(found.sum(), scores)
    assert (found == 0).all()
    assert (grad == 0).all()
    assert loss(scores[:, :0], labels[:, :0], labels[:, :0] > 0).shape == (5,)


@pytest.mark.parametrize("loss", ALL.values(), ids=ALL)
def test_scores_far_out_stay_finite(loss):
    scores = torch.tensor([[300.0, -300.0, 300.0, -300.0]], requires_grad=True)
    labels, mask = torch.tensor([[1, 1, 0, 0]]), torch.ones(1, 4, dtype=torch.bool)
    found = loss(scores, labels, mask)
    (grad,) = torch.autograd.grad(found.sum(), scores)
    assert found.isfinite().all()
    assert grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0, 0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("right", [True, False])
def test_focal_loss_of_an_infinite_score_is_its_limit(gamma, alpha, label, right):
    end = float("inf") if right == (label == 1) else -float("inf")
    scores = torch.tensor([[end, 0.3]], dtype=torch.float64, requires_grad=True)
    labels, mask = torch.tensor([[label, 1]]), torch.ones(1, 2, dtype=torch.bool)
    weight = (alpha if label else 1 - alpha) / 2
    other = slow_cross_entropy([0.3], [], alpha=alpha, gamma=gamma) / 2
    found = focal_loss(scores, labels, mask, alpha=alpha, gamma=gamma)
    (slopes,) = torch.autograd.grad(found, scores, create_graph=True)
    (bends,) = torch.autograd.grad(slopes[0, 0], scores)
    torch.testing.assert_close(found.item(), other if right or not weight else float("inf"))
    assert slopes[0, 0].item() == (0 if right else -weight if label else weight)
    assert slopes.isfinite().all()
    assert (bends == 0).all()


@pytest.mark.parametrize("loss", ALL.values(), ids=ALL)
def test_better_scores_cost_less(loss):
    labels, mask = torch.tensor([[1, 0, 0]]), torch.ones(1, 3, dtype=torch.bool)
    good, bad = torch.tensor([[2.0, -1.0, -1.0]]), torch.tensor([[-2.0, 1.0, 1.0]])
    assert loss(good, labels, mask) < loss(bad, labels, mask)
