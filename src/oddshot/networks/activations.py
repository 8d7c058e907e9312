"""Functions between layers, with what their derivatives multiply."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn.functional import silu


class Activation(ABC):
    """A function by element, with what its derivatives multiply."""

    @staticmethod
    @abstractmethod
    def value(a: Tensor) -> Tensor:
        """``act(a)``."""

    @staticmethod
    @abstractmethod
    def times_slope(factor: Tensor, a: Tensor, h: Tensor) -> Tensor:
        """``factor * act'(a)``, given also ``h = act(a)``."""

    @staticmethod
    @abstractmethod
    def add_curvature(to: Tensor, u: Tensor, rise: Tensor, a: Tensor) -> Tensor:
        """``to + u * rise * act''(a)``."""


class _ReLU(Activation):
    @staticmethod
    def value(a: Tensor) -> Tensor:
        return torch.relu(a)

    @staticmethod
    def times_slope(factor: Tensor, a: Tensor, h: Tensor) -> Tensor:  # noqa: ARG004
        result: Tensor = torch.ops.aten.threshold_backward.default(factor, h, 0)
        return result

    @staticmethod
    def add_curvature(to: Tensor, u: Tensor, rise: Tensor, a: Tensor) -> Tensor:  # noqa: ARG004
        return to


class _SiLU(Activation):
    @staticmethod
    def value(a: Tensor) -> Tensor:
        return silu(a)

    @staticmethod
    def times_slope(factor: Tensor, a: Tensor, h: Tensor) -> Tensor:  # noqa: ARG004
        result: Tensor = torch.ops.aten.silu_backward.default(factor, a)
        return result

    @staticmethod
    def add_curvature(to: Tensor, u: Tensor, rise: Tensor, a: Tensor) -> Tensor:
        gate = torch.sigmoid(a)
        bend = gate * (1 - gate) * (2 + a * (1 - 2 * gate))
        return to + u * rise * bend


ACTIVATIONS: dict[str, type[Activation]] = {"relu": _ReLU, "silu": _SiLU}
