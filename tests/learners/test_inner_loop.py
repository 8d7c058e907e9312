import pytest
import torch
from torch import Tensor

from oddshot.errors import SettingError
from oddshot.learners.inner_loop import Objective, Rows, adapt, trajectory
from oddshot.networks import Network, Perceptron

TARGETS = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 3.0]], dtype=torch.float64)


class Bend(Network):
    """``tanh(w) v``, which a loss of squares makes no quadratic of."""

    head = frozenset({"v"})

    def initial_parameters(self, generator):
        return {n: torch.randn(2, generator=generator, dtype=torch.float64) for n in ("w", "v")}

    def run(self, params, inputs, statistics=None):
        shift = 0.0 if statistics is None else statistics["shift"][0]
        return inputs[..., None] * (torch.tanh(params["w"]) * params["v"])[:, None] + shift, {}


def misses(outputs: Tensor) -> Tensor:
    return (outputs.sum(1) - TARGETS).square().sum(-1)


ROWS = Rows(torch.ones(3, 1, dtype=torch.float64), misses)
OBJECTIVE = Objective(Bend(), [ROWS])


def start(*, grad: bool = False) -> dict[str, Tensor]:
    params = Bend().initial_parameters(torch.Generator().manual_seed(0))
    return {n: p.requires_grad_(grad) for n, p in params.items()}


def spread(params: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: p.expand(3, -1) for n, p in params.items()}


def loss(params: dict[str, Tensor]) -> Tensor:
    return misses(Bend()(params, ROWS.inputs)).sum()


def slow(params, rates, *, second_order, clip=None, decay=0.0):
    """One task after the other, as the paper writes it."""
    adapted = []
    for task in range(3):
        mine = dict(params)
        for step in rates:
            miss = torch.tanh(mine["w"]) * mine["v"] - TARGETS[task]
            objective = miss.square().sum() + decay / 2 * sum((mine[n] ** 2).sum() for n in step)
            grads = torch.autograd.grad(objective, [mine[n] for n in step], create_graph=True)
            if not second_order:
                grads = [grad.detach() for grad in grads]
            norm = torch.cat([g.flatten() for g in grads]).norm()
            scale = 1.0 if clip is None or norm < clip else clip / norm
            for (name, rate), grad in zip(step.items(), grads, strict=True):
                mine[name] = mine[name] - rate * scale * grad
        adapted.append(mine)
    return {n: torch.stack([mine[n].expand(2) for mine in adapted]) for n in params}


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("adapted", [("w", "v"), ("v",)])
@pytest.mark.parametrize("clip", [None, 1.5])
@pytest.mark.parametrize("decay", [0.0, 0.4])
def test_equals_the_slow_loop_in_value_and_gradient(second_order, adapted, clip, decay):
    rates = [
        {
            n: torch.tensor([0.1, 0.2 / (k + 1)], dtype=torch.float64).requires_grad_()
            for n in adapted
        }
        for k in range(3)
    ]
    params = start(grad=True)
    leaves = [*params.values(), *(rate for step in rates for rate in step.values())]
    objective = Objective(Bend(), [ROWS], decay)
    found = adapt(objective, spread(params), rates, second_order=second_order, clip_norm=clip)
    expected = slow(params, rates, second_order=second_order, clip=clip, decay=decay)
    for name in params:
        torch.testing.assert_close(found[name], expected[name])
    torch.testing.assert_close(
        torch.autograd.grad(loss(found), leaves), torch.autograd.grad(loss(expected), leaves)
    )


def test_second_order_gradient_is_that_of_finite_differences():
    def outer(w: Tensor, v: Tensor, rate: Tensor) -> Tensor:
        rates = [{"w": rate, "v": rate}] * 2
        found = adapt(OBJECTIVE, spread({"w": w, "v": v}), rates, second_order=True, clip_norm=1.5)
        return misses(Bend()(found, ROWS.inputs))

    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(outer, (*start(grad=True).values(), rate))


def test_rates_alone_can_be_learned():
    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    found = adapt(OBJECTIVE, spread(start()), [{"w": rate}] * 3, second_order=True)
    expected = slow(start(grad=True), [{"w": rate}] * 3, second_order=True)
    torch.testing.assert_close(
        torch.autograd.grad(loss(found), rate), torch.autograd.grad(loss(expected), rate)
    )


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_without_gradients_it_adapts_alike_and_keeps_no_graph(second_order, clip):
    params = start(grad=True)
    rates = [{"w": 0.1, "v": torch.tensor(0.1, requires_grad=True)}] * 3
    options = {"second_order": second_order, "clip_norm": clip}
    with torch.no_grad():
        found = adapt(OBJECTIVE, spread(params), rates, **options)
    traced = adapt(OBJECTIVE, spread(params), rates, **options)
    for name in params:
        assert not found[name].requires_grad
        torch.testing.assert_close(found[name], traced[name].detach())


def test_no_step_changes_nothing():
    params = spread(start())
    assert adapt(OBJECTIVE, params, [], second_order=True) is params


def test_a_clipped_step_has_the_norm_it_may_have():
    params = spread(start())
    found = adapt(OBJECTIVE, params, [{"w": 1.0, "v": 1.0}], second_order=False, clip_norm=0.25)
    moves = torch.cat([found[n] - params[n] for n in params], 1)
    torch.testing.assert_close(moves.norm(dim=1), torch.full((3,), 0.25, dtype=torch.float64))


def test_clipping_leaves_a_task_without_gradient_alone():
    params = {n: torch.zeros(3, 2, dtype=torch.float64, requires_grad=True) for n in ("w", "v")}
    found = adapt(OBJECTIVE, params, [{"w": 0.1, "v": 0.1}], second_order=True, clip_norm=1.0)
    grads = torch.autograd.grad(loss(found), list(params.values()))
    assert all(grad.isfinite().all() for grad in grads)


def test_the_path_leads_through_every_step():
    rates = [{"w": 0.1, "v": 0.1}] * 3
    path = trajectory(OBJECTIVE, spread(start()), rates, second_order=True)
    for steps, here in enumerate(path):
        expected = adapt(OBJECTIVE, spread(start()), rates[:steps], second_order=True)
        torch.testing.assert_close(here, expected)


def test_every_step_has_its_rows_and_statistics():
    doubled = Rows(2 * ROWS.inputs, misses)
    rates = [{"w": 0.1, "v": 0.1}]
    turns = adapt(Objective(Bend(), [ROWS, doubled]), spread(start()), rates * 3, second_order=True)
    by_hand = spread(start())
    for rows in (ROWS, doubled, ROWS):
        by_hand = adapt(Objective(Bend(), [rows]), by_hand, rates, second_order=True)
    torch.testing.assert_close(turns, by_hand)

    moments = [{"shift": (torch.tensor(k), torch.tensor(0))} for k in (0.0, 1.0)]
    shifted = adapt(
        Objective(Bend(), [ROWS], statistics=moments), spread(start()), rates * 2, second_order=True
    )
    lower = Rows(ROWS.inputs, lambda outputs: misses(outputs + 1.0))
    expected = adapt(
        Objective(Bend(), [ROWS, lower]), spread(start()), rates * 2, second_order=True
    )
    torch.testing.assert_close(shifted, expected)


@pytest.mark.parametrize("second_order", [True, False])
def test_steps_in_one_go_equal_steps_one_by_one(second_order):
    network = Perceptron([2, 5, 1], activation="silu")
    generator = torch.Generator().manual_seed(0)
    params = {
        n: p.double().requires_grad_() for n, p in network.initial_parameters(generator).items()
    }
    inputs = torch.randn(4, 6, 2, generator=generator, dtype=torch.float64)
    rows = Rows(inputs, lambda outputs: (outputs - 1).square().mean((1, 2)))
    rates = [dict.fromkeys(params, 0.1)] * 3
    tasks = {n: p.expand(4, *p.shape) for n, p in params.items()}
    objective = Objective(network, [rows])
    assert objective.descends_at_once()
    together = adapt(objective, tasks, rates, second_order=second_order)
    single = trajectory(objective, tasks, rates, second_order=second_order)[-1]
    values = list(params.values())
    for found in (together, single):
        for name, value in found.items():
            torch.testing.assert_close(value, single[name])
    torch.testing.assert_close(
        torch.autograd.grad(rows.loss(network(together, inputs)).sum(), values),
        torch.autograd.grad(rows.loss(network(single, inputs)).sum(), values),
    )


def test_rows_are_a_tensor():
    with pytest.raises(SettingError, match=r"inputs are given as ndarray; give a tensor"):
        Rows(torch.ones(2, 1, 1).numpy(), misses)
