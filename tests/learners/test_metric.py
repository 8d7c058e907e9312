import numpy as np
import pytest
import torch
from torch import Tensor

from oddshot.learners.metric import (
    Prototypes,
    cosine,
    mixture,
    nearest_rows,
    squared_euclidean,
    trimmed,
    whitening,
)

TASKS, ROWS, WIDTH = 4, 14, 3


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def supports() -> tuple[Tensor, Tensor]:
    """Rows around two places, and classes of 14, 9, 1 and 0 of them."""
    rows = normal(TASKS, ROWS, WIDTH)
    rows[:, ::2] += 4
    sizes = torch.tensor([14, 9, 1, 0])
    return rows, torch.arange(ROWS) < sizes[:, None]


def slow_groups(rows: np.ndarray, count: int) -> list[np.ndarray]:
    """k-means of one class, row by row: the members of each group that is not empty."""
    mean = rows.mean(axis=0)
    centres = [min(rows, key=lambda row: ((row - mean) ** 2).sum())]
    while len(centres) < count:
        centres.append(max(rows, key=lambda row: min(((row - c) ** 2).sum() for c in centres)))
    for _ in range(100):
        closest = [np.argmin([((row - c) ** 2).sum() for c in centres]) for row in rows]
        groups = [rows[np.equal(closest, k)] for k in range(count)]
        centres = [
            group.mean(axis=0) if len(group) else centre
            for group, centre in zip(groups, centres, strict=True)
        ]
    return [group for group in groups if len(group)]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_prototypes_equal_those_of_one_class_at_a_time(count):
    rows, members = supports()
    found = Prototypes.of(rows, members, count)
    assert found.centres.shape == (TASKS, count, WIDTH)
    for task in range(TASKS):
        mine = rows[task][members[task]].numpy()
        groups = slow_groups(mine, count) if len(mine) else []
        kept = found.shares[task] > 0
        assert int(kept.sum()) == len(groups)
        expected = sorted([len(g) / len(mine), *g.mean(axis=0)] for g in groups)
        pairs = torch.cat([found.shares[task, :, None], found.centres[task]], 1)[kept]
        np.testing.assert_allclose(sorted(pairs.tolist()), expected)
        assert torch.equal(found.groups[task].sum(1), members[task].double())


def test_what_is_no_member_has_no_influence():
    rows, members = supports()
    strange = torch.where(members[..., None], rows, 1e6 * normal(*rows.shape, seed=1))
    longer = torch.cat([strange, strange], 1)
    more = torch.cat([members, torch.zeros_like(members)], 1)
    for count in (1, 3):
        expected = Prototypes.of(rows, members, count)
        found = Prototypes.of(longer, more, count)
        present = expected.shares > 0
        torch.testing.assert_close(found.centres[present], expected.centres[present])
        torch.testing.assert_close(found.shares, expected.shares)


def test_the_order_of_rows_has_no_influence():
    rows, members = supports()
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(0))
    expected = Prototypes.of(rows, members, 3)
    found = Prototypes.of(rows[:, order], members[:, order], 3)
    torch.testing.assert_close(found.centres, expected.centres)
    torch.testing.assert_close(found.shares, expected.shares)
    torch.testing.assert_close(found.groups, expected.groups[:, order])


def test_equal_rows_make_one_group():
    found = Prototypes.of(torch.ones(1, 6, 2), torch.ones(1, 6, dtype=torch.bool), 3)
    assert sorted(found.shares[0].tolist()) == [0, 0, 1]
    assert found.centres[0][found.shares[0] > 0].tolist() == [[1, 1]]


@pytest.mark.parametrize("count", [None, 1, 5])
@pytest.mark.parametrize("distance", [squared_euclidean, cosine])
def test_derivatives_go_through_the_means(distance, count):
    rows, members = supports()
    rows, members, queries = rows[:3], members[:3], normal(3, 4, WIDTH, seed=2)

    def far(support: Tensor) -> Tensor:
        found = Prototypes.of(support, members, 2)
        each = distance(queries, found.centres)
        if count is None:
            return mixture(each, found.shares)
        return nearest_rows(each, found.groups.sum(1), count)

    assert torch.autograd.gradcheck(far, rows.requires_grad_())


def test_distances_equal_loops():
    rows, centres = normal(TASKS, 5, WIDTH), normal(TASKS, 2, WIDTH, seed=1)
    far, turned = squared_euclidean(rows, centres), cosine(rows, centres)
    assert far.shape == turned.shape == (TASKS, 5, 2)
    for task, row, centre in np.ndindex(*far.shape):
        x, p = rows[task, row].numpy(), centres[task, centre].numpy()
        assert float(far[task, row, centre]) == pytest.approx(((x - p) ** 2).sum())
        angle = 1 - x @ p / np.sqrt((x @ x) * (p @ p))
        assert float(turned[task, row, centre]) == pytest.approx(angle)


def test_the_cosine_of_nothing_has_a_gradient():
    rows = torch.zeros(1, 1, 2, requires_grad=True)
    found = cosine(rows, torch.ones(1, 1, 2))
    assert found.item() == 1
    assert torch.autograd.grad(found.sum(), rows)[0].isfinite().all()


@pytest.mark.parametrize("shrinkage", [0.1, 0.5, 1.0])
def test_whitened_distances_are_mahalanobis(shrinkage):
    rows, members = supports()
    found = Prototypes.of(rows, members)
    covariance, sizes = found.scatter(rows)
    factor = whitening(covariance, shrinkage)
    queries = normal(TASKS, 5, WIDTH, seed=1)
    far = squared_euclidean(queries @ factor, found.centres @ factor)[..., 0]
    assert sizes.tolist() == [14, 9, 1, 0]
    for task in range(TASKS):
        mine = rows[task][members[task]].numpy()
        own = np.cov(mine.T, bias=True) if len(mine) > 1 else np.zeros((WIDTH, WIDTH))
        np.testing.assert_allclose(covariance[task], own, atol=1e-12)
        inverse = np.linalg.inv((1 - shrinkage) * own + shrinkage * np.eye(WIDTH))
        for row in range(5):
            off = (queries[task, row] - found.centres[task, 0]).numpy()
            assert float(far[task, row]) == pytest.approx(off @ inverse @ off)


def test_whitening_is_differentiable_and_holds_in_single_precision():
    rows, members = supports()

    def factor(support: Tensor) -> Tensor:
        return whitening(Prototypes.of(support, members, 2).scatter(support)[0], 0.3)

    assert torch.autograd.gradcheck(factor, rows.requires_grad_())
    long = 1e4 * torch.ones(1, 3, 3)  # of rank 1
    assert whitening(long, 1e-3).isfinite().all()
    assert whitening(long, 1e-3).dtype == torch.float32


def test_scatter_is_about_each_rows_own_prototype():
    rows = torch.tensor([[[0.0], [2.0], [10.0], [14.0], [99.0]]])
    found = Prototypes.of(rows, torch.tensor([[True, True, True, True, False]]), 2)
    covariance, size = found.scatter(rows)
    assert covariance.item() == pytest.approx((1 + 1 + 4 + 4) / 4)
    assert size.item() == 4


def test_a_mixture_of_prototypes():
    distances = torch.tensor([[[1.0, 3.0, 0.5]], [[1.0, 3.0, 0.5]], [[1.0, 3.0, 0.5]]])
    shares = torch.tensor([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    expected = -np.log(0.25 * np.exp(-1) + 0.75 * np.exp(-3))
    found = mixture(distances, shares).flatten()
    np.testing.assert_allclose(found, [expected, 1, np.inf], rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 4, 20])
def test_nearest_rows_equal_a_loop_over_rows(count):
    generator = np.random.default_rng(0)
    distances = generator.random((TASKS, 5, 6))
    sizes = generator.integers(0, 4, (TASKS, 6))
    sizes[1] = 0
    found = nearest_rows(torch.tensor(distances), torch.tensor(sizes).double(), count)
    for task, row in np.ndindex(*found.shape):
        rows = np.sort(np.repeat(distances[task, row], sizes[task]))[:count]
        expected = rows.mean() if len(rows) else np.inf
        assert float(found[task, row]) == pytest.approx(expected)


@pytest.mark.parametrize(
    "far_of", [mixture, lambda *of: nearest_rows(*of, 1), lambda *of: nearest_rows(*of, 3)]
)
def test_a_task_without_the_class_has_no_gradient(far_of):
    distances = torch.ones(2, 1, 2, requires_grad=True)
    far = far_of(distances, torch.tensor([[0.5, 0.5], [0.0, 0.0]]))
    (grad,) = torch.autograd.grad(torch.nn.functional.softplus(-far).sum(), distances)
    assert grad.isfinite().all()
    assert grad[0].abs().sum() > 0
    assert grad[1].abs().sum() == 0


def test_trimming_leaves_out_the_doubtful_rows_that_are_far_off():
    near = 0.1 * normal(1, 12, 2)
    rows = torch.cat([near, near + 5, torch.tensor([[[30.0, 0], [0, 30.0]]])], 1)  # two groups
    everything = torch.ones(1, 26, dtype=torch.bool)
    kept = trimmed(rows, everything, everything, 0.08)  # 2 of 26
    assert kept[0].tolist() == [True] * 24 + [False] * 2
    certain = torch.arange(26)[None] < 24  # the far ones are known to be normal
    assert trimmed(rows, everything, certain, 0.04)[0, 24:].all()
    assert torch.equal(trimmed(rows, everything, everything, 0.0), everything)
    assert int(trimmed(rows, everything, everything, 0.99).sum()) == 1


def test_trimming_equals_a_loop_and_sees_members_only():
    rows, members = supports()
    doubtful = normal(TASKS, ROWS, seed=3) > -0.5
    found = trimmed(rows, members, doubtful, 0.3)
    for task in range(TASKS):
        mine = rows[task][members[task]].numpy()
        radii = {}
        for row in range(ROWS):
            if members[task, row] and doubtful[task, row]:
                gaps = sorted(np.sqrt(((mine - rows[task, row].numpy()) ** 2).sum(axis=1)))
                radii[row] = gaps[min(-(-len(mine) // 4), ROWS - 1)] if len(mine) > 1 else np.inf
        dropped = sorted(radii, key=lambda row: -radii[row])[: int(0.3 * len(radii))]
        expected = members[task].clone()
        expected[dropped] = False
        assert torch.equal(found[task], expected)
