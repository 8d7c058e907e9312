"""The one inner loop: gradient descent on many tasks side by side."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from oddshot.learners.learner import Params


def adapt(
    objective: Callable[[Params], Tensor],
    params: Params,
    rates: Mapping[str, Tensor | float],
    *,
    steps: int,
    second_order: bool,
) -> Params:
    """Take ``steps`` gradient steps on each task's own parameters.

    ``theta' = theta - alpha * grad L(theta)``, repeated (Finn et al. 2017, equation 1).

    Parameters
    ----------
    objective
        Parameters to losses (B,); task b's loss depends on slice b of the parameters alone.
    params
        Parameters with a leading task axis B.
    rates
        Step size by name, a number or a tensor that broadcasts against the parameter; parameters
        without one stay as they are.
    steps
        Number of steps, >= 0.
    second_order
        Let outer gradients flow through the inner gradients; otherwise those are constants.

    Returns
    -------
    Params
        Adapted parameters. Under ``torch.no_grad()`` they carry no graph, whatever is asked.

    Examples
    --------
    >>> start = {"w": torch.tensor([1.0, 2.0])}
    >>> adapt(lambda p: p["w"] ** 2, start, {"w": 0.25}, steps=1, second_order=False)
    {'w': tensor([0.5000, 1.0000])}
    """
    graph = second_order and torch.is_grad_enabled()
    for _ in range(steps):
        with torch.enable_grad():
            fast = {
                name: params[name]
                if graph and params[name].requires_grad
                else params[name].detach().requires_grad_()
                for name in rates
            }
            total = objective({**params, **fast}).sum()
            grads = torch.autograd.grad(total, tuple(fast.values()), create_graph=graph)
        moved = zip(rates.items(), grads, strict=True)
        params = {**params, **{name: params[name] - rate * grad for (name, rate), grad in moved}}
    return params
