"""Descent whose inner gradients are constants: no step has to be remembered.

So weights take their steps in place, and the first layer, which sees the same rows at every step,
needs none before the last: where there are fewer rows than inputs its outputs take the steps.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from oddshot.networks.activations import Activation
from oddshot.networks.linear_layers import (
    add_outer,
    add_product,
    affine_or_shared,
    back_or_shared,
)
from oddshot.networks.loss_slopes import slope_of
from oddshot.networks.network import Loss


def descended(
    act: type[Activation],
    values: Sequence[Tensor],
    inputs: Tensor,
    loss: Loss,
    steps: Sequence[Mapping[int, float]],
) -> list[Tensor]:
    """Return parameters after gradient steps; what is given stays as it is.

    Parameters
    ----------
    act
        Between the layers.
    values
        Weights and biases by turns, of each task.
    inputs
        Rows (B, n, in).
    loss
        Outputs to losses (B,).
    steps
        For each the rates by place among ``values``; those without one stay.
    """
    ones = inputs.new_ones(len(inputs), 1, inputs.shape[1])
    layers = [_Layer(w, b, ones) for w, b in zip(values[::2], values[1::2], strict=True)]
    if _by_outputs(inputs, steps):
        layers[0] = _FirstLayer(values[0], values[1], ones, inputs)
    for rates in steps:
        h, a = [inputs], [layers[0].outputs(inputs)]
        for layer in layers[1:]:
            h.append(act.value(a[-1]))
            a.append(layer.outputs(h[-1]))
        d = slope_of(loss, a[-1])
        for at in range(len(layers) - 1, 0, -1):
            u = back_or_shared(d, layers[at].weight)  # before that takes its step
            layers[at].step(h[at], d, rates.get(2 * at), rates.get(2 * at + 1))
            d = act.times_slope(u, a[at - 1], h[at])
        layers[0].step(inputs, d, rates.get(0), rates.get(1))
    return [value for layer in layers for value in layer.values()]


def _by_outputs(inputs: Tensor, steps: Sequence[Mapping[int, float]]) -> bool:
    """Whether steps of the first layer's outputs are cheaper than those of its weights."""
    _, rows, width = inputs.shape
    return rows < width and all(rates.get(0) == rates.get(1) for rates in steps)


class _Layer:
    """Weights and biases that take steps, from the first on in memory of their own.

    A bias is the weight of an input that is always 1; ``ones`` (B, 1, n) are those of all rows.
    """

    def __init__(self, weight: Tensor, bias: Tensor, ones: Tensor) -> None:
        self.weight, self.bias, self._ones = weight, bias, ones
        self._own_weight = self._own_bias = False

    def outputs(self, h: Tensor) -> Tensor:
        return affine_or_shared(h, self.weight, self.bias)

    def step(
        self, h: Tensor, d: Tensor, weight_rate: float | None, bias_rate: float | None
    ) -> None:
        """Descend along ``h^T d`` and the sum of d."""
        if weight_rate is not None:
            self.weight = add_outer(self.weight, h, d, -weight_rate, own=self._own_weight)
            self._own_weight = True
        if bias_rate is not None:
            self.bias = add_product(self.bias, self._ones, d, -bias_rate, own=self._own_bias)
            self._own_bias = True

    def values(self) -> tuple[Tensor, Tensor]:
        return self.weight, self.bias


class _FirstLayer(_Layer):
    """The first layer, in whose place its outputs take the steps.

    Steps ``-rate_s X^T d_s`` of the weights and ``-rate_s 1^T d_s`` of the biases add up to a way,
    the sum D of ``-rate_s d_s``: on it the outputs ``X W + b`` move by ``(X X^T + 1) D``. Weights
    and biases are made from it at last.
    """

    def __init__(self, weight: Tensor, bias: Tensor, ones: Tensor, inputs: Tensor) -> None:
        super().__init__(weight, bias, ones)
        self._inputs = inputs
        self._before = super().outputs(inputs)
        self._products = torch.baddbmm(inputs.new_ones(1, 1, 1), inputs, inputs.mT)
        self._way: Tensor | None = None

    def outputs(self, h: Tensor) -> Tensor:  # noqa: ARG002
        if self._way is None:
            return self._before
        return torch.baddbmm(self._before, self._products, self._way)

    def step(
        self,
        h: Tensor,  # noqa: ARG002
        d: Tensor,
        weight_rate: float | None,
        bias_rate: float | None,  # noqa: ARG002 - which is the same
    ) -> None:
        if weight_rate is None:
            return
        if self._way is None:
            self._way = d * -weight_rate
        else:
            self._way.add_(d, alpha=-weight_rate)

    def values(self) -> tuple[Tensor, Tensor]:
        if self._way is not None:
            super().step(self._inputs, self._way, -1.0, -1.0)
        return super().values()
