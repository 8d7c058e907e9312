"""Steps without a graph, against a loop that lets autograd differentiate one task at a time."""

from itertools import pairwise

import pytest
import torch

from oddshot.networks.activations import ACTIVATIONS
from oddshot.networks.first_order import descended
from small_losses import Curved

TASKS = 3


def made(widths, rows, *, shared):
    """Weights and biases by turns of each task, inputs, and a loss."""
    generator = torch.Generator().manual_seed(0)

    def draw(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    values = []
    for before, after in pairwise(widths):
        for size in ((before, after), (1, after)):
            value = draw(1 if shared else TASKS, *size)
            values.append(value.expand(TASKS, *size) if shared else value)
    return values, draw(TASKS, rows, widths[0]), Curved(draw(TASKS, rows, widths[-1]))


def slowly(activation, values, inputs, loss, steps):
    act = {"relu": torch.relu, "silu": torch.nn.functional.silu}[activation]
    tasks = []
    for task in range(TASKS):
        mine = [value[task].clone().requires_grad_() for value in values]
        for rates in steps:
            h = inputs[task]
            for at in range(0, len(mine), 2):
                h = (h if at == 0 else act(h)) @ mine[at] + mine[at + 1]
            grads = torch.autograd.grad((loss.weights[task] * torch.cos(h)).sum(), mine)
            mine = [
                m - rates.get(at, 0) * g for at, (m, g) in enumerate(zip(mine, grads, strict=True))
            ]
        tasks.append([m.detach() for m in mine])
    return [torch.stack(found) for found in zip(*tasks, strict=True)]


STEPS = {
    "even": [dict.fromkeys(range(6), 0.005 * (k + 1)) for k in range(4)],
    "head": [{4: 0.02, 5: 0.03}] * 3,
    "no first layer": [{2: 0.02, 3: 0.02}] * 3,
    "first layer's weights alone": [{0: 0.01}] * 3,
    "first layer's biases alone": [{1: 0.01}] * 3,
    "first layer's by different rates": [{0: 0.01, 1: 0.02, 4: 0.01}] * 3,
    "first layer now and then": [{4: 0.02}, {0: 0.01, 1: 0.01}, {4: 0.02}],
    "none": [],
}


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("rows", [4, 9], ids=["few rows", "many rows"])  # than inputs
@pytest.mark.parametrize("shared", [True, False])
def test_steps_are_those_of_the_slow_loop(activation, steps, rows, *, shared):
    values, inputs, loss = made([6, 4, 3, 1], rows, shared=shared)
    before = [value.clone() for value in values]
    found = descended(ACTIVATIONS[activation], values, inputs, loss, steps)
    expected = slowly(activation, values, inputs, loss, steps)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(values, before)  # what is given stays


def test_a_loss_that_does_not_tell_its_slope_is_differentiated():
    values, inputs, loss = made([6, 4, 1], 4, shared=True)
    steps = [dict.fromkeys(range(4), 0.01)] * 3
    with torch.no_grad():
        found = descended(ACTIVATIONS["silu"], values, inputs, loss.__call__, steps)
    torch.testing.assert_close(found, descended(ACTIVATIONS["silu"], values, inputs, loss, steps))
