"""A perceptron that no input can lower."""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor
from torch.nn.functional import softplus

from oddshot.errors import require
from oddshot.networks.network import Params


class MonotonePerceptron:
    """A perceptron whose output rises with every input: its weights are exponentials.

    Half of each hidden layer bends upwards (softplus), half downwards, so that the network is not
    bound to be convex (Runje and Shankaranarayana 2023), and a positive sum of the inputs stands
    beside the layers. What it learned where it saw rows goes on beyond them: a row that is odder in
    everything is never judged to be less odd.

    Parameters
    ----------
    widths
        Of the inputs, of the hidden layers (even numbers), and of the output.

    Raises
    ------
    SettingError
        If there are less than two, one is below 1, or a hidden one is odd.

    Examples
    --------
    >>> network = MonotonePerceptron([2, 8, 1])
    >>> params = network.initial_parameters(torch.Generator().manual_seed(0))
    >>> low, high = network(params, torch.tensor([[0.0, 0.0], [1.0, 0.5]]))[:, 0].tolist()
    >>> low < high
    True
    """

    def __init__(self, widths: Sequence[int]) -> None:
        fits = len(widths) >= 2 and min(widths) >= 1 and all(w % 2 == 0 for w in widths[1:-1])
        require(fits, "widths", list(widths), "two or more numbers from 1, even ones in between")
        self._widths = tuple(widths)

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw ``log_weight{i}`` (in, out), about 1 / in on average, and ``bias{i}`` (out).

        ``log_direct`` (in, out) makes the sum that stands beside the layers, at first the mean.
        """
        direct = torch.full(
            (self._widths[0], self._widths[-1]), -log(self._widths[0]), dtype=torch.float32
        )
        params: Params = {"log_direct": direct}
        for layer, width in enumerate(self._widths[1:]):
            seen = self._widths[layer]
            drawn = torch.randn(seen, width, generator=generator, dtype=torch.float32)
            params[f"log_weight{layer}"] = 0.5 * drawn - log(seen)
            params[f"bias{layer}"] = 0.5 * torch.randn(
                width, generator=generator, dtype=torch.float32
            )
        return params

    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        """Map inputs (..., n, in) to outputs (..., n, out).

        Parameters may have leading axes too, say one for tasks: (B, in, out) and (B, out).
        """
        layers = len(self._widths) - 1
        direct = inputs @ params["log_direct"].exp()
        for layer in range(layers):
            weight, bias = params[f"log_weight{layer}"].exp(), params[f"bias{layer}"]
            inputs = inputs @ weight + bias.unsqueeze(-2)
            if layer < layers - 1:
                upwards, downwards = inputs.chunk(2, -1)
                inputs = torch.cat([softplus(upwards), -softplus(-downwards)], -1)
        return inputs + direct
