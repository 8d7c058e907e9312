import pytest
import torch

from oddshot.networks.activations import ACTIVATIONS

PLACES = torch.linspace(-5, 5, 40, dtype=torch.float64)  # none of them 0, where relu has a corner


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_those_of_autograd(name):
    act, a = ACTIVATIONS[name], PLACES.clone().requires_grad_()
    h = act.value(a)
    torch.testing.assert_close(h, getattr(torch.nn.functional, name)(a))
    (slope,) = torch.autograd.grad(h.sum(), a, create_graph=True)
    factor = torch.cos(PLACES)
    torch.testing.assert_close(act.times_slope(factor, PLACES, h.detach()), factor * slope.detach())
    bend = torch.zeros_like(PLACES)
    if slope.requires_grad:
        (bend,) = torch.autograd.grad(slope.sum(), a, materialize_grads=True)
    to, rise = torch.sin(PLACES), PLACES.square()
    torch.testing.assert_close(
        act.add_curvature(to, factor, rise, PLACES), to + factor * rise * bend
    )
