"""Derivatives of losses by the outputs of a network, by formula where the loss knows it."""

from collections.abc import Callable

import torch
from torch import Tensor

from oddshot.errors import SettingError
from oddshot.networks.network import Loss, depends_on_more, one_a_task
from oddshot.networks.smooth_losses import SmoothLoss


def slope_of(loss: Loss, outputs: Tensor) -> Tensor:
    """Return the derivative by the outputs; run it without a graph, and it has none."""
    if isinstance(loss, SmoothLoss):
        return loss.slope(outputs)
    with torch.enable_grad():
        leaf = outputs.detach().requires_grad_()
        losses = one_a_task(loss(leaf), len(outputs))
        return torch.autograd.grad(losses.sum(), leaf)[0]


def slope_and_bend(loss: Loss, outputs: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the derivative by the outputs, and how it changes along a direction of them."""
    if isinstance(loss, SmoothLoss):
        with torch.enable_grad():
            slope = loss.slope(outputs)
        require_nothing_learned(slope.requires_grad)
        return slope, lambda direction: loss.curvature(outputs) * direction
    with torch.enable_grad():
        leaf = outputs.detach().requires_grad_()
        losses = one_a_task(loss(leaf), len(outputs))
        require_nothing_learned(depends_on_more(losses, [leaf]))
        (slope,) = torch.autograd.grad(losses.sum(), leaf, create_graph=True)
    if not slope.requires_grad:
        return slope, torch.zeros_like

    def bend(direction: Tensor) -> Tensor:
        return torch.autograd.grad(slope, leaf, direction, retain_graph=True)[0]

    return slope.detach(), bend


def require_nothing_learned(learned: bool) -> None:
    """Refuse a loss whose derivative leads anywhere else than to the outputs."""
    if learned:
        raise SettingError(
            "the loss depends on a tensor that requires a gradient, which the formulas of linear "
            "layers do not pass on; detach it, or run the module as a ModuleNetwork"
        )
