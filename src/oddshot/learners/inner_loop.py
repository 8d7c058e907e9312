"""The one inner loop: gradient descent on many tasks side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oddshot.errors import SettingError
from oddshot.networks import Loss, Network, Params, Rates, Statistics, autograd_gradient, step_down


@dataclass(frozen=True, slots=True)
class Rows:
    """What a network sees of B tasks, and how well it does there.

    Parameters
    ----------
    inputs
        Shape (B, n, ...).
    loss
        Outputs of the network (B, n, ...) to losses (B,); another shape is refused.
    """

    inputs: Tensor
    loss: Loss

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, Tensor):
            raise SettingError(
                f"inputs are given as {type(self.inputs).__name__}; give a tensor, such as "
                "torch.tensor(inputs)"
            )


@dataclass(frozen=True, slots=True)
class Objective:
    """What the inner loop descends: the loss of a network on rows.

    Parameters
    ----------
    network
        With parameters that carry a task axis.
    rows
        One for every step; the sequence starts over where it is shorter than the loop.
    decay
        Weight of ``|theta|^2 / 2``.
    statistics
        For every step what batch normalisation uses instead of the rows' own moments.
    """

    network: Network
    rows: Sequence[Rows]
    decay: float = 0.0
    statistics: Sequence[Statistics] | None = None

    def gradient(self, params: Params, names: tuple[str, ...], step: int, *, graph: bool) -> Params:
        """Differentiate each task's loss in a step by its own parameters."""
        rows = self.rows[step % len(self.rows)]
        grads = self._of_loss(params, names, rows, step, graph=graph)
        if self.decay:
            pull = {n: params[n] if graph else params[n].detach() for n in names}
            grads = {name: grad + self.decay * pull[name] for name, grad in grads.items()}
        return grads

    def _of_loss(
        self, params: Params, names: tuple[str, ...], rows: Rows, step: int, *, graph: bool
    ) -> Params:
        if self.statistics is None:
            return self.network.gradient(params, names, rows.inputs, rows.loss, graph=graph)
        moments = self.statistics[step]
        return autograd_gradient(
            lambda fast: rows.loss(self.network(fast, rows.inputs, moments)),
            params,
            names,
            graph=graph,
        )

    def descends_at_once(self) -> bool:
        """Tell whether all steps are alike, so that the network can take them in one go."""
        return len(self.rows) == 1 and self.statistics is None and not self.decay


def adapt(
    objective: Objective,
    params: Params,
    rates: Sequence[Rates],
    *,
    second_order: bool,
    clip_norm: float | None = None,
) -> Params:
    """Take a gradient step on each task's own parameters for every element of ``rates``.

    ``theta' = theta - alpha * grad L(theta)``, repeated (Finn et al. 2017, equation 1).

    Parameters
    ----------
    objective
        What to descend.
    params
        Parameters with a leading task axis B.
    rates
        For each step the step sizes by name, numbers or tensors that broadcast against the
        parameter; parameters without one stay as they are.
    second_order
        Let outer gradients flow through the inner gradients; otherwise those are constants.
    clip_norm
        Scale a task's gradient down to this Euclidean norm where it is longer.

    Returns
    -------
    Params
        Adapted parameters; under ``torch.no_grad()`` they carry no graph, whatever is asked.

    Examples
    --------
    >>> from oddshot.networks import Perceptron
    >>> network = Perceptron([1, 1])
    >>> start = {"weight0": torch.tensor([[[1.0]], [[2.0]]]), "bias0": torch.zeros(2, 1, 1)}
    >>> rows = Rows(torch.ones(2, 1, 1), lambda outputs: outputs.square().sum((1, 2)))
    >>> rates = [{"weight0": 0.25}]
    >>> adapt(Objective(network, [rows]), start, rates, second_order=False)["weight0"].flatten()
    tensor([0.5000, 1.0000])
    """
    if objective.descends_at_once() and clip_norm is None:
        rows = objective.rows[0]
        graph = second_order and torch.is_grad_enabled()
        return objective.network.descend(params, rates, rows.inputs, rows.loss, graph=graph)
    return trajectory(objective, params, rates, second_order=second_order, clip_norm=clip_norm)[-1]


def trajectory(
    objective: Objective,
    params: Params,
    rates: Sequence[Rates],
    *,
    second_order: bool,
    clip_norm: float | None = None,
) -> list[Params]:
    """Return the parameters before the first step, after it, and so on; see `adapt`."""
    graph = second_order and torch.is_grad_enabled()
    path = [params]
    for step, step_rates in enumerate(rates):
        here = path[-1]
        grads = objective.gradient(here, tuple(step_rates), step, graph=graph)
        if clip_norm is not None:
            grads = _clip(grads, clip_norm)
        path.append({**here, **step_down(here, step_rates, grads)})
    return path


def task_sums(values: Tensor) -> Tensor:
    """Sum values (B, ...) of tasks, of which each may be one number: (B,)."""
    return values.unsqueeze(-1).flatten(1).sum(1)


def _clip(grads: Params, limit: float) -> Params:
    squares = torch.stack([task_sums(grad.square()) for grad in grads.values()]).sum(0)
    # the norm has no derivative at 0, where nothing is scaled anyway
    norms = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()
    scale = (limit / norms).clamp(max=1)
    return {n: grad * scale.view(-1, *(1,) * (grad.ndim - 1)) for n, grad in grads.items()}
