"""Losses that know their own derivatives, so that nothing has to differentiate them."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


class SmoothLoss(ABC):
    """A loss that adds up over outputs and knows its own derivatives."""

    @abstractmethod
    def __call__(self, outputs: Tensor) -> Tensor:
        """Turn outputs (B, n, o) into losses (B,)."""

    @abstractmethod
    def slope(self, outputs: Tensor) -> Tensor:
        """Differentiate by each output: shape (B, n, o)."""

    @abstractmethod
    def curvature(self, outputs: Tensor) -> Tensor:
        """Differentiate twice by each output: shape (B, n, o)."""


class SmoothCrossEntropy(SmoothLoss):
    """Weighted cross-entropy of ``sigmoid(outputs)``.

    Parameters
    ----------
    targets
        Shape (B, n, 1) of 1 and 0, real numbers.
    weights
        Shape (B, n, 1); ``None``: rows of a task weigh alike and add up to 1.

    Examples
    --------
    >>> SmoothCrossEntropy(torch.tensor([[[1.0], [0.0]]]))(torch.zeros(1, 2, 1))
    tensor([0.6931])
    """

    def __init__(self, targets: Tensor, weights: Tensor | None = None) -> None:
        even = torch.full_like(targets, 1 / max(targets.shape[1], 1))
        self._targets, self._weights = targets, even if weights is None else weights

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return losses (B,), in nats."""
        costs = binary_cross_entropy_with_logits(outputs, self._targets, reduction="none")
        return (self._weights * costs).sum((1, 2))

    def slope(self, outputs: Tensor) -> Tensor:
        """Weigh chance less target."""
        return self._weights * (torch.sigmoid(outputs) - self._targets)

    def curvature(self, outputs: Tensor) -> Tensor:
        """Weigh the variance of the chance."""
        chance = torch.sigmoid(outputs)
        return self._weights * chance * (1 - chance)


class SmoothSquaredError(SmoothLoss):
    """Mean squared error of a task's rows.

    Parameters
    ----------
    targets
        Shape (B, n, o).

    Examples
    --------
    >>> SmoothSquaredError(torch.zeros(1, 2, 1))(torch.tensor([[[1.0], [3.0]]]))
    tensor([5.])
    """

    def __init__(self, targets: Tensor) -> None:
        self._targets, self._scale = targets, 2 / targets.shape[1:].numel()

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return losses (B,)."""
        return (outputs - self._targets).square().mean((1, 2))

    def slope(self, outputs: Tensor) -> Tensor:
        """Return twice the error, over the number of outputs."""
        return (outputs - self._targets) * self._scale

    def curvature(self, outputs: Tensor) -> Tensor:
        """Return a constant."""
        return torch.full_like(outputs, self._scale)
