"""Small modules, and tasks for them in float64."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from oddshot.learners.inner_loop import Rows

EXACT = {"rtol": 1e-9, "atol": 1e-9}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(make, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def mlp() -> nn.Module:
    return built(lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)))


def linear_layers(act: type[nn.Module]) -> nn.Module:
    return built(
        lambda: nn.Sequential(nn.Linear(3, 6), act(), nn.Linear(6, 4), act(), nn.Linear(4, 2))
    )


def conv_net() -> nn.Module:
    def block(channels: int) -> nn.Module:
        conv = nn.Conv2d(channels, 3, 3, padding=1)
        return nn.Sequential(conv, nn.BatchNorm2d(3), nn.SiLU(), nn.AvgPool2d(2))

    return built(lambda: nn.Sequential(block(1), block(3), nn.Flatten(), nn.Linear(3, 2)))


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def support_and_query(tasks: int, support, query, *, outputs: int = 2):
    """Support, its targets, query and its truth."""
    return (
        normal(tasks, *support),
        normal(tasks, support[0], outputs, seed=2),
        normal(tasks, *query, seed=3),
        normal(tasks, query[0], outputs, seed=4),
    )


def as_rows(drawn) -> tuple[Rows, Rows]:
    support, targets, query, truth = drawn
    return Rows(support, loss_to(targets)), Rows(query, loss_to(truth))


def loss_to(targets: Tensor):
    return lambda outputs: (outputs - targets).square().flatten(1).mean(1)


def trained(network, *, dtype: torch.dtype = torch.float64):
    drawn = network.initial_parameters(generator())
    return {name: value.to(dtype).requires_grad_() for name, value in drawn.items()}


def of_tasks(params, tasks: int):
    return {name: value.expand(tasks, *value.shape) for name, value in params.items()}


def scattered(network, tasks: int):
    """Different parameters for every task."""
    params = of_tasks(trained(network), tasks)
    return {
        name: (value + 0.1 * normal(*value.shape, seed=seed)).detach().requires_grad_()
        for seed, (name, value) in enumerate(params.items())
    }


def looped(module: nn.Module, params, inputs: Tensor) -> Tensor:
    return torch.stack(
        [
            functional_call(module, {n: p[task] for n, p in params.items()}, (inputs[task],))
            for task in range(len(inputs))
        ]
    )
