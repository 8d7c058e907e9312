"""What the learners adapt: networks whose parameters have a leading task axis.

Every task has its own parameters, so one call runs B different networks, each on its own rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from functools import wraps
from typing import Any, TypeAlias

import torch
from torch import Tensor

from oddshot.errors import SettingError

Params: TypeAlias = dict[str, Tensor]
Statistics: TypeAlias = dict[str, tuple[Tensor, Tensor]]
Rates: TypeAlias = Mapping[str, Tensor | float]
Loss: TypeAlias = Callable[[Tensor], Tensor]


class Network(ABC):
    """A function of parameters and rows, run for many tasks side by side.

    It holds no parameters itself: an inner loop makes many copies of them.
    """

    @property
    def normalises(self) -> bool:
        """Whether there is batch normalisation, so that rows of a call can depend on each other."""
        return False

    @property
    @abstractmethod
    def head(self) -> frozenset[str]:
        """Names of the parameters of the last layer, which is all that ANIL adapts."""

    @abstractmethod
    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw parameters without a task axis; float32, unless a module's own are float64."""

    @abstractmethod
    def run(
        self, params: Params, inputs: Tensor, statistics: Statistics | None = None
    ) -> tuple[Tensor, Statistics]:
        """Run each task's network on its rows.

        Parameters
        ----------
        params
            Tensors (B, ...).
        inputs
            Shape (B, n, ...).
        statistics
            Mean and variance (B, channels) by batch normalisation layer, to normalise with;
            ``None``: those of the task's rows in this call.

        Returns
        -------
        tuple
            Outputs (B, n, ...), and the statistics that were used; empty where the network has no
            batch normalisation.
        """

    def prepare(self, params: Params) -> None:  # noqa: B027 - most have nothing to make
        """Make what the first run makes for parameters of that kind; compilation needs it made."""

    def __call__(
        self, params: Params, inputs: Tensor, statistics: Statistics | None = None
    ) -> Tensor:
        """Return the outputs of `run` alone."""
        return self.run(params, inputs, statistics)[0]

    def losses(
        self, params: Params, inputs: Tensor, loss: Loss, *, through: Params | None = None
    ) -> Tensor:
        """Return ``loss(outputs)`` (B,), differentiable once by the parameters.

        With ``through``, parameters without a task axis, the derivatives by ``params`` go to those
        instead, summed over tasks: the gradient step of first-order methods.

        Raises
        ------
        SettingError
            If the loss returns another shape than (B,).
        """
        if through is not None:
            params = redirect(params, through)
        return one_a_task(loss(self(params, inputs)), len(inputs))

    def gradient(
        self, params: Params, names: tuple[str, ...], inputs: Tensor, loss: Loss, *, graph: bool
    ) -> Params:
        """Differentiate ``loss(outputs)`` by each task's own parameters.

        Parameters
        ----------
        params
            Tensors (B, ...).
        names
            Parameters to differentiate by.
        inputs
            Rows (B, n, ...).
        loss
            Outputs to losses (B,); task b's loss depends on its own outputs alone.
        graph
            Let the result be differentiated once more.

        Raises
        ------
        SettingError
            If the loss returns another shape than (B,).
        """
        return autograd_gradient(lambda p: loss(self(p, inputs)), params, names, graph=graph)

    def descend(
        self,
        params: Params,
        rates: Sequence[Rates],
        inputs: Tensor,
        loss: Loss,
        *,
        graph: bool,
    ) -> Params:
        """Take a step ``value - rate * gradient`` for each element of ``rates``.

        Parameters
        ----------
        params, inputs, loss
            As for `gradient`.
        rates
            For each step the step sizes by name; parameters without one stay as they are.
        graph
            Let derivatives of the result flow through the gradients; otherwise those are constants.
        """
        for step in rates:
            grads = self.gradient(params, tuple(step), inputs, loss, graph=graph)
            params = {**params, **step_down(params, step, grads)}
        return params


def step_down(params: Params, rates: Rates, grads: Params) -> Params:
    """``value - rate * gradient`` for every gradient."""
    down: Params = {}
    for name, grad in grads.items():
        rate = rates[name]
        if isinstance(rate, Tensor):
            down[name] = params[name] - rate * grad
        else:
            down[name] = torch.sub(params[name], grad, alpha=rate)
    return down


def autograd_gradient(
    objective: Callable[[Params], Tensor], params: Params, names: tuple[str, ...], *, graph: bool
) -> Params:
    """Differentiate losses (B,) of parameters by those that are named.

    A parameter that the objective does not use has gradient 0.

    Raises
    ------
    SettingError
        If the objective returns another shape than (B,).
    """
    tasks = len(next(iter(params.values())))
    with torch.enable_grad():
        fast = {
            name: params[name]
            if graph and params[name].requires_grad
            else params[name].detach().requires_grad_()
            for name in names
        }
        total = one_a_task(objective({**params, **fast}), tasks).sum()
        grads = torch.autograd.grad(
            total, tuple(fast.values()), create_graph=graph, materialize_grads=True
        )
    return dict(zip(names, grads, strict=True))


def one_a_task(losses: Tensor, tasks: int) -> Tensor:
    """Return losses (B,); in another shape they would weigh tasks otherwise, and are refused."""
    if losses.shape != (tasks,):
        raise SettingError(
            f"the loss returned shape {tuple(losses.shape)}; it must return one value for each "
            f"task, shape ({tasks},)"
        )
    return losses


def require_names(params: Params, names: Set[str]) -> None:
    """Refuse parameters of other names than those that a network has."""
    if params.keys() == names:
        return
    named = [
        f"{how} {', '.join(map(repr, sorted(which)))}"
        for how, which in (
            ("lack", names - params.keys()),
            ("hold, unknown to the network,", params.keys() - names),
        )
        if which
    ]
    said = " and ".join(named)
    raise SettingError(f"the parameters {said}; give those of initial_parameters, by their names")


def depends_on_more(losses: Tensor, leaves: Sequence[Tensor]) -> bool:
    """Tell whether a derivative of losses leads anywhere else than to ``leaves``."""
    known, seen, ahead = {id(leaf) for leaf in leaves}, set(), [losses.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in known:
            return True
        ahead += [before for before, _ in node.next_functions]
    return False


def differentiable_once(backward: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Refuse to differentiate once more what a ``backward`` returns, which would be constants."""

    @wraps(backward)
    def once(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise SettingError(
                "a gradient is to be differentiated again (create_graph), but those of linear "
                "layers by formula, and of a query in parts, have no derivative; run the module as "
                "a ModuleNetwork, with its query as one Rows"
            )
        return backward(ctx, *grads)

    return once


def redirect(params: Params, through: Params) -> Params:
    """Let the derivatives by tasks' parameters go to shared ones, summed over tasks."""
    redirected: Params = {}
    for name, value in params.items():
        redirected[name] = _Redirect.apply(through[name], value)  # type: ignore[no-untyped-call]
    return redirected


class _Redirect(torch.autograd.Function):
    """The values of tasks, with the derivative of what they share."""

    @staticmethod
    def forward(ctx: Any, shared: Tensor, values: Tensor) -> Tensor:  # noqa: ARG004
        return values.detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grad.sum(0), None


def part_of(params: Params, prefix: str) -> Params:
    """Return the parameters whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): v for n, v in params.items() if n.startswith(prefix)}
