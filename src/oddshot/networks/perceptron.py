"""Multilayer perceptrons for many tasks, with gradients and Hessian products written out.

Second-order meta-learning spends its time on gradients of gradients. Automatic differentiation
finds them, but at this size half the time goes into bookkeeping; the formulas are short.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from oddshot.errors import SettingError, require
from oddshot.networks.activations import ACTIVATIONS, Activation
from oddshot.networks.first_order import descended
from oddshot.networks.linear_layers import (
    add,
    add_back,
    add_outer,
    affine,
    affine_or_shared,
    back,
    back_or_shared,
    outer,
    rise_of,
    total,
)
from oddshot.networks.loss_slopes import require_nothing_learned, slope_and_bend, slope_of
from oddshot.networks.network import (
    Loss,
    Network,
    Params,
    Rates,
    Statistics,
    differentiable_once,
    one_a_task,
    require_names,
)


class Perceptron(Network):
    """Fully connected layers with a smooth or piecewise linear activation between them.

    Its formulas know the derivatives by its parameters alone, and no derivative of what they return
    as a gradient. Where a loss is to pass on a gradient to something else, its inputs or what the
    loss learns, or a gradient is to be differentiated, they refuse.

    Parameters
    ----------
    widths
        Number of inputs, of hidden units layer by layer, and of outputs.
    activation
        "relu" or "silu". The second is smooth, so that second derivatives say something.

    Raises
    ------
    SettingError
        If there are less than two widths, one is below 1, or no activation has that name.

    Examples
    --------
    >>> network = Perceptron([3, 8, 1])
    >>> params = network.initial_parameters(torch.Generator().manual_seed(0))
    >>> tasks = {name: value.expand(5, *value.shape) for name, value in params.items()}
    >>> network(tasks, torch.zeros(5, 4, 3)).shape
    torch.Size([5, 4, 1])
    """

    def __init__(self, widths: Sequence[int], *, activation: str = "relu") -> None:
        if len(widths) < 2 or min(widths) < 1:
            raise SettingError(
                f"a perceptron cannot have the widths {list(widths)}; give inputs, hidden layers "
                "and outputs, all 1 or more"
            )
        known = " or ".join(ACTIVATIONS)
        require(activation in ACTIVATIONS, "activation", activation, known)
        self._widths = list(widths)
        self._names = [name for layer in range(len(widths) - 1) for name in _names(layer)]
        self._known = frozenset(self._names)
        self._act = ACTIVATIONS[activation]

    @property
    def head(self) -> frozenset[str]:
        """Weight and bias of the last layer."""
        return frozenset(_names(len(self._widths) - 2))

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw weights (in, out) with variance 2 / in (He et al. 2015); biases (1, out) are 0."""
        params: Params = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(self._widths)):
            weight, bias = _names(layer)
            params[weight] = (
                torch.randn(fan_in, fan_out, generator=generator, dtype=torch.float32)
                * (2 / fan_in) ** 0.5
            )
            params[bias] = torch.zeros(1, fan_out, dtype=torch.float32)
        return params

    def run(
        self,
        params: Params,
        inputs: Tensor,
        statistics: Statistics | None = None,  # noqa: ARG002
    ) -> tuple[Tensor, Statistics]:
        """Run each task's layers on its rows (B, n, in): outputs (B, n, out), no statistics.

        Raises
        ------
        SettingError
            If rows have another shape.
        """
        self._require_rows(inputs)
        return _forward(self._act, self._values(params), inputs, affine)[1][-1], {}

    def losses(
        self, params: Params, inputs: Tensor, loss: Loss, *, through: Params | None = None
    ) -> Tensor:
        """As `Network.losses` says, the derivative written out; inputs are constants.

        Raises
        ------
        SettingError
            As from `descend`.
        """
        learning = torch.is_grad_enabled()
        self._require_rows(inputs, constant=learning)
        values = self._values(params)
        to = values if through is None else self._values(through)
        with _full_precision(inputs):
            losses: Tensor = _Losses.apply(self._act, inputs, (loss, learning), values, *to)  # type: ignore[no-untyped-call]
        return losses

    def gradient(
        self, params: Params, names: tuple[str, ...], inputs: Tensor, loss: Loss, *, graph: bool
    ) -> Params:
        """Differentiate as `Network.gradient` says, by formula; inputs are constants.

        It always runs in the precision of the parameters, under autocast too. A `SmoothLoss` spares
        differentiating the loss automatically.

        Raises
        ------
        SettingError
            As from `descend`.
        """
        self._require_rows(inputs, constant=graph)
        values = self._values(params)
        places = [self._place(name) for name in names]
        with _full_precision(inputs):
            if graph:
                grads = _Gradient.apply(self._act, inputs, loss, places, *values)  # type: ignore[no-untyped-call]
            else:
                with torch.no_grad():
                    h, a = _forward(self._act, values, inputs, affine_or_shared)
                    slope = slope_of(loss, a[-1])
                    _, d = _backward(self._act, values[::2], h, a, slope)
                    grads = [_gradient(h, d, place) for place in places]
        return dict(zip(names, grads, strict=True))

    def descend(
        self,
        params: Params,
        rates: Sequence[Rates],
        inputs: Tensor,
        loss: Loss,
        *,
        graph: bool,
    ) -> Params:
        """Descend as `Network.descend` says; where all rates are numbers, by formula in one go.

        Raises
        ------
        SettingError
            If rows have another shape, the loss returns another than (B,), or a gradient would have
            to reach the rows, or something that the loss learns.
        """
        self._require_rows(inputs, constant=graph)
        if any(isinstance(rate, Tensor) for step in rates for rate in step.values()):
            return super().descend(params, rates, inputs, loss, graph=graph)
        values = self._values(params)
        steps = [{self._place(name): rate for name, rate in step.items()} for step in rates]
        with _full_precision(inputs):
            descent = _Descent if graph else _ConstantDescent
            moved = descent.apply(self._act, inputs, loss, steps, *values)  # type: ignore[no-untyped-call]
        return dict(zip(self._names, moved, strict=True))

    def _values(self, params: Params) -> tuple[Tensor, ...]:
        require_names(params, self._known)
        return tuple(params[name] for name in self._names)

    def _require_rows(self, inputs: Tensor, *, constant: bool = False) -> None:
        if inputs.ndim != 3 or inputs.shape[2] != self._widths[0]:
            raise SettingError(
                f"rows have the shape {tuple(inputs.shape)}; this network takes (tasks, rows, "
                f"{self._widths[0]})"
            )
        if constant and inputs.requires_grad:
            raise SettingError(
                "the rows require a gradient, but the formulas of linear layers take them for "
                "constants; detach them, or put what makes them into the module"
            )

    def _place(self, name: str) -> int:
        return self._names.index(name)


@dataclass(slots=True)
class _Trace:
    """What one pass forward and one back leave behind.

    Layer l maps ``h[l]`` to ``a[l] = h[l] W[l] + b[l]``, and ``h[l + 1] = act(a[l])``; ``d[l]`` is
    the derivative of the loss by ``a[l]``, ``u[l]`` that by ``h[l + 1]``.
    """

    act: type[Activation]
    weights: Sequence[Tensor]
    h: list[Tensor]
    a: list[Tensor]
    u: list[Tensor]
    d: list[Tensor]
    bend: Callable[[Tensor], Tensor]  # outputs' direction to change of the loss's slope

    @classmethod
    def of(
        cls, act: type[Activation], values: Sequence[Tensor], inputs: Tensor, loss: Loss
    ) -> "_Trace":
        h, a = _forward(act, values, inputs, affine_or_shared)
        slope, bend = slope_and_bend(loss, a[-1])
        return cls(act, values[::2], h, a, *_backward(act, values[::2], h, a, slope), bend)

    def descend(self, value: Tensor, place: int, rate: float, *, own: bool) -> Tensor:
        """Take a step with the parameter at a place, within its memory if that is our own."""
        layer, is_bias = divmod(place, 2)
        d = self.d[layer]
        if is_bias:
            return add(value, total(d), -rate, own=own)
        return add_outer(value, self.h[layer], d, -rate, own=own)

    def hessian_product(self, v: Sequence[Tensor | None]) -> list[Tensor]:
        """Multiply the Hessian of the loss with a direction (Pearlmutter 1994, section 4).

        Directions of weights and biases in turn, and the products come in that order; ``None`` is
        0.
        """
        products: list[Tensor] = []
        for h, d in zip(self.h, self.d, strict=True):
            tasks, width = len(d), d.shape[-1]
            products += [d.new_zeros(tasks, h.shape[-1], width), d.new_zeros(tasks, 1, width)]
        self.step_back(products, v, -1.0)
        return products

    def step_back(self, to: list[Tensor], v: Sequence[Tensor | None], rate: float) -> None:
        """Subtract ``rate`` times the `hessian_product` from tensors of our own, in place."""
        for layer, (turn, move) in self._turns(v):
            add(to[2 * layer + 1], total(turn), -rate, own=True)
            add_outer(to[2 * layer], self.h[layer], turn, -rate, own=True)
            if move is not None:
                add_outer(to[2 * layer], move, self.d[layer], -rate, own=True)

    def _turns(
        self, v: Sequence[Tensor | None]
    ) -> Iterator[tuple[int, tuple[Tensor, Tensor | None]]]:
        """Change of ``d[l]`` and of ``h[l]`` along a direction, from the last layer to the first.

        By the time that those of a layer are handed out its own direction is no longer needed.
        """
        along, lifts = v[::2], v[1::2]
        moves: list[Tensor | None] = [None]  # of h; inputs do not move
        rises: list[Tensor | None] = []  # of a
        for layer, weight in enumerate(self.weights):
            if layer:
                rise = rises[-1]
                a, h = self.a[layer - 1], self.h[layer]
                moves.append(None if rise is None else self.act.times_slope(rise, a, h))
            rises.append(rise_of(self.h[layer], moves[-1], weight, along[layer], lifts[layer]))
        last = rises[-1]
        turn = torch.zeros_like(self.d[-1]) if last is None else self.bend(last)
        for layer in range(len(self.weights) - 1, -1, -1):
            here, below, direction = turn, rises[layer - 1], along[layer]
            if layer:
                turn = back(turn, self.weights[layer])
                if direction is not None:
                    turn = add_back(turn, self.d[layer], direction)
                a = self.a[layer - 1]
                turn = self.act.times_slope(turn, a, self.h[layer])
                if below is not None:
                    turn = self.act.add_curvature(turn, self.u[layer - 1], below, a)
            yield layer, (here, moves[layer])


def _forward(
    act: type[Activation],
    values: Sequence[Tensor],
    inputs: Tensor,
    affine: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> tuple[list[Tensor], list[Tensor]]:
    """Return what goes into each layer, and what comes out before the activation."""
    h: list[Tensor] = [inputs]
    a: list[Tensor] = []
    for layer in range(0, len(values), 2):
        if layer:
            h.append(act.value(a[-1]))
        a.append(affine(h[-1], values[layer], values[layer + 1]))
    return h, a


def _backward(
    act: type[Activation],
    weights: Sequence[Tensor],
    h: list[Tensor],
    a: list[Tensor],
    slope: Tensor,
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the derivatives u and d of `_Trace`, given that by the outputs."""
    d, u = [slope], []
    for layer in range(len(weights) - 1, 0, -1):
        u.append(back_or_shared(d[-1], weights[layer]))
        d.append(act.times_slope(u[-1], a[layer - 1], h[layer]))
    return u[::-1], d[::-1]


def _gradient(h: list[Tensor], d: list[Tensor], place: int) -> Tensor:
    """Of the losses, by the parameter at a place of the flat list."""
    layer, is_bias = divmod(place, 2)
    return total(d[layer]) if is_bias else outer(h[layer], d[layer])


class _Losses(torch.autograd.Function):
    """Losses of tasks, whose derivatives go to their parameters, or summed to what they share."""

    @staticmethod
    def forward(
        ctx: Any,
        act: type[Activation],
        inputs: Tensor,
        judged: tuple[Loss, bool],
        values: Sequence[Tensor],
        *to: Tensor,
    ) -> Tensor:
        loss, learning = judged
        h, a = _forward(act, values, inputs, affine_or_shared)
        ctx.state = act, values[::2], h, a, loss
        ctx.summed = to[0].ndim < values[0].ndim
        with torch.set_grad_enabled(learning):  # outputs carry no graph here: the loss's own shows
            losses = one_a_task(loss(a[-1]), len(inputs))
        require_nothing_learned(learning and losses.requires_grad)
        return losses

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, factors: Tensor) -> tuple[Any, ...]:
        act, weights, h, a, loss = ctx.state
        slope = factors[:, None, None] * slope_of(loss, a[-1])
        grads: list[Tensor] = []
        for rows, d in zip(h, _backward(act, weights, h, a, slope)[1], strict=True):
            if ctx.summed:
                flat = d.reshape(-1, d.shape[-1])
                grads += [rows.reshape(-1, rows.shape[-1]).mT @ flat, flat.sum(0, keepdim=True)]
            else:
                grads += [outer(rows, d), total(d)]
        return (None, None, None, None, *grads)


class _Gradient(torch.autograd.Function):
    """The gradient as a function of the parameters; its derivative is the Hessian."""

    @staticmethod
    def forward(
        ctx: Any,
        act: type[Activation],
        inputs: Tensor,
        loss: Loss,
        places: list[int],
        *values: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.places = places
        ctx.trace = _Trace.of(act, values, inputs, loss)
        return tuple(_gradient(ctx.trace.h, ctx.trace.d, place) for place in places)

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *along: Tensor | None) -> tuple[Any, ...]:
        directions: list[Tensor | None] = [None] * (2 * len(ctx.trace.weights))
        for place, direction in zip(ctx.places, along, strict=True):
            directions[place] = direction
        return (None, None, None, None, *ctx.trace.hessian_product(directions))


class _Descent(torch.autograd.Function):
    """Parameters to parameters some steps on; its derivative walks the steps back."""

    @staticmethod
    def forward(
        ctx: Any,
        act: type[Activation],
        inputs: Tensor,
        loss: Loss,
        steps: Sequence[Mapping[int, float]],
        *values: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.steps, ctx.traces = steps, []
        current, own = list(values), [False] * len(values)
        for rates in steps:
            trace = _Trace.of(act, current, inputs, loss)
            for place, rate in rates.items():
                current[place] = trace.descend(current[place], place, rate, own=own[place])
                # a trace goes on needing its weights, save those of the first layer
                own[place] = place == 0 or place % 2 == 1
            ctx.traces.append(trace)
        # traces hold some of them, and what is returned holds the traces: not to be one ring
        return tuple(value.detach() for value in current)

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *along: Tensor) -> tuple[Any, ...]:
        v = [direction.clone() for direction in along]
        for rates, trace in zip(reversed(ctx.steps), reversed(ctx.traces), strict=True):
            even = len(set(rates.values())) == 1
            scale = next(iter(rates.values())) if even else 1.0
            directions = [
                (v[place] if even else rates[place] * v[place]) if place in rates else None
                for place in range(len(v))
            ]
            trace.step_back(v, directions, scale)
        return (*(None,) * 4, *v)


class _ConstantDescent(torch.autograd.Function):
    """The same, save that to its derivative the steps are constants."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ARG004
        act: type[Activation],
        inputs: Tensor,
        loss: Loss,
        steps: Sequence[Mapping[int, float]],
        *values: Tensor,
    ) -> tuple[Tensor, ...]:
        return tuple(descended(act, values, inputs, loss, steps))

    @staticmethod
    def backward(ctx: Any, *along: Tensor) -> tuple[Any, ...]:  # noqa: ARG004
        return (*(None,) * 4, *along)


def _full_precision(inputs: Tensor) -> AbstractContextManager[None]:
    """Turn autocast off: small steps are lost in half precision."""
    kind = inputs.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _names(layer: int) -> tuple[str, str]:
    return f"weight{layer}", f"bias{layer}"
