import pytest
import torch
from torch import Tensor

from oddshot.learners.inner_loop import adapt

TARGETS = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 3.0]], dtype=torch.float64)


def objective(params: dict[str, Tensor]) -> Tensor:
    """A loss that is no quadratic, one for each of three tasks."""
    miss = torch.tanh(params["w"]) * params["v"] - TARGETS
    return miss.square().sum(-1)


def start(*, grad: bool = False) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    names = ("w", "v")
    params = {n: torch.randn(2, generator=generator, dtype=torch.float64) for n in names}
    return {n: p.requires_grad_(grad) for n, p in params.items()}


def spread(params: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: p.expand(3, -1) for n, p in params.items()}


def slow(params, rates, *, steps, second_order):
    """One task after the other, as the paper writes it."""
    adapted = []
    for task in range(3):
        mine = dict(params)
        for _ in range(steps):
            miss = torch.tanh(mine["w"]) * mine["v"] - TARGETS[task]
            loss = miss.square().sum()
            grads = torch.autograd.grad(loss, [mine[n] for n in rates], create_graph=True)
            for (name, rate), grad in zip(rates.items(), grads, strict=True):
                mine[name] = mine[name] - rate * (grad if second_order else grad.detach())
        adapted.append(mine)
    return {n: torch.stack([mine[n].expand(2) for mine in adapted]) for n in params}


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("adapted", [("w", "v"), ("v",)])
def test_equals_the_slow_loop_in_value_and_gradient(second_order, adapted):
    rates = {n: torch.tensor([0.1, 0.2], dtype=torch.float64).requires_grad_() for n in adapted}
    params = start(grad=True)
    leaves = [*params.values(), *rates.values()]
    found = adapt(objective, spread(params), rates, steps=3, second_order=second_order)
    expected = slow(params, rates, steps=3, second_order=second_order)
    for name in params:
        torch.testing.assert_close(found[name], expected[name])
    torch.testing.assert_close(
        torch.autograd.grad(objective(found).sum(), leaves),
        torch.autograd.grad(objective(expected).sum(), leaves),
    )


def test_second_order_gradient_is_that_of_finite_differences():
    def outer(w: Tensor, v: Tensor, rate: Tensor) -> Tensor:
        rates = {"w": rate, "v": rate}
        params = spread({"w": w, "v": v})
        return objective(adapt(objective, params, rates, steps=2, second_order=True))

    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(outer, (*start(grad=True).values(), rate))


def test_rates_alone_can_be_learned():
    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    found = adapt(objective, spread(start()), {"w": rate}, steps=3, second_order=True)
    expected = slow(start(grad=True), {"w": rate}, steps=3, second_order=True)
    torch.testing.assert_close(
        torch.autograd.grad(objective(found).sum(), rate),
        torch.autograd.grad(objective(expected).sum(), rate),
    )


@pytest.mark.parametrize("second_order", [True, False])
def test_without_gradients_it_adapts_alike_and_keeps_no_graph(second_order):
    params = start(grad=True)
    rates = {"w": 0.1, "v": torch.tensor(0.1, requires_grad=True)}
    with torch.no_grad():
        found = adapt(objective, spread(params), rates, steps=3, second_order=second_order)
    traced = adapt(objective, spread(params), rates, steps=3, second_order=second_order)
    for name in params:
        assert not found[name].requires_grad
        torch.testing.assert_close(found[name], traced[name].detach())


def test_no_step_changes_nothing():
    params = spread(start())
    assert adapt(objective, params, {"w": 0.1}, steps=0, second_order=True) is params
