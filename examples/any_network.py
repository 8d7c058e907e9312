"""Meta-learn any PyTorch module: five points of a sine wave are enough to know the whole of it.

    python examples/any_network.py

Every task is another wave. MAML learns a start from which three gradient steps on five points fit
the wave, and beside it stands a start that was fitted to all waves together. With the arguments of
`Adaptation` the same lines are FOMAML, ANIL, Meta-SGD or Reptile.

What one learns: fitted to all waves at once, a network learns their mean and has no way to tell
them apart; a start that is *made to be adapted* is no better before the steps, and much after.
"""

import math

import torch
from torch import nn

from oddshot.learners import Adaptation, Rows
from oddshot.networks import Params, from_module


def main() -> None:
    """Print the error on unseen waves before and after three steps."""
    module = nn.Sequential(
        nn.Linear(1, 40), nn.SiLU(), nn.Linear(40, 40), nn.SiLU(), nn.Linear(40, 1)
    )
    network = from_module(module, redraw=True)
    generator = torch.Generator().manual_seed(0)
    support, query = waves(500, torch.Generator().manual_seed(1))
    print("learner          before  after three steps")
    for name, adaptation in {
        "maml": Adaptation(steps=3, rate=0.02),
        "all at once": Adaptation(steps=0, rate=0.02),
    }.items():
        params = adaptation.initial_parameters(network, generator)
        values = [value.requires_grad_() for value in params.values()]
        outer = torch.optim.Adam(values, 2e-3)
        for _ in range(1500):
            outer.zero_grad()
            adaptation.meta_loss(network, params, *waves(25, generator)).mean().backward()
            outer.step()

        def error(
            steps: int, adaptation: Adaptation = adaptation, params: Params = params
        ) -> float:
            with torch.no_grad():
                adapted = adaptation.adapted(network, params, support, steps=steps)
                return float(query.loss(network(adapted, query.inputs)).mean())

        print(f"{name:15}  {error(0):6.2f}  {error(3):17.2f}")


def waves(tasks: int, generator: torch.Generator) -> tuple[Rows, Rows]:
    """Draw five points of each wave to adapt to, and fifty to be judged by."""
    amplitudes = 0.5 + 4.5 * torch.rand(tasks, 1, 1, generator=generator)
    phases = math.pi * torch.rand(tasks, 1, 1, generator=generator)
    inputs = 10 * torch.rand(tasks, 55, 1, generator=generator) - 5
    targets = amplitudes * torch.sin(inputs - phases)

    def rows(part: slice) -> Rows:
        return Rows(inputs[:, part], lambda out: (out - targets[:, part]).square().mean((1, 2)))

    return rows(slice(0, 5)), rows(slice(5, None))


if __name__ == "__main__":
    main()
