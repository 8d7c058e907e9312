"""Time one step of meta-training against the ways others write it, exactness first.

    OMP_NUM_THREADS=1 python benchmarks/meta_step.py [--network perceptron conv4 series] [--compile]

A step is the meta-gradient of a batch of tasks and an update by Adam. On one thread each, by turns,
after a step to warm up; medians, and ratios to the plain loop. Before anything is timed, each way's
meta-gradient is compared in float64 with the plain loop's, on the code that is timed.

- plain loop: a copy of the module for every task, ``torch.autograd.grad`` for every inner step, as
  learn2learn's ``MAML.clone`` and ``adapt`` do (its 0.2.0 does not build on Python 3.11, so the
  loop is written out here); "bare": the same without modules, parameters in a dictionary.
- higher: that package's own loop, if it is installed.
- vmap: ``torch.func.vmap`` of ``grad`` over ``functional_call``.
- jax: ``jit`` of ``grad`` of ``vmap``, if JAX is installed; its compilation is timed apart.
- oddshot: ``Adaptation.meta_loss``; and of any module, by ``from_module``. Of the convolutions over
  series, for which there are no formulas, also as `ModuleNetwork` side by side and one by one.
"""

import argparse
import copy
import os
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from oddshot.evaluation.machine import machine
from oddshot.learners.adaptation import Adaptation
from oddshot.learners.inner_loop import Rows
from oddshot.networks import (
    ConvolutionalNetwork,
    ModuleNetwork,
    Network,
    Perceptron,
    SmoothCrossEntropy,
    from_module,
)
from oddshot.reports.tables import markdown_table

RATE = 0.05
NETWORKS = ("perceptron", "conv4", "series")


def main() -> None:
    """Compare, then time, every way on the networks asked for."""
    parser = argparse.ArgumentParser(description="Speed of a step of meta-training.")
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=["perceptron", "conv4"])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=None, help="32; for conv4 16")
    parser.add_argument("--compile", action="store_true", help="time torch.compile too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.empty(8_000_000).fill_(0)  # keeps glibc from handing memory back, for all alike
    print(f"machine: {machine()}, one thread")
    problems: list[Problem] = []
    if "perceptron" in given.network:
        problems.append(perceptron(given.tasks or 32))
    if "conv4" in given.network:
        problems += [
            conv4(given.tasks or 16, shots=shots, queries=queries, pooling=pooling)
            for pooling in (False, True)
            for shots, queries in ((1, 5), (1, 15), (5, 15))
        ]
    if "series" in given.network:
        problems += [
            series(given.tasks or 64, rows=1, filters=8, length=32),
            series(given.tasks or 16, rows=15, filters=64, length=256),
        ]
    for problem in problems:
        for second_order in (True, False):
            print(f"\n{problem.name}, {'second' if second_order else 'first'} order\n")
            print(measure(problem, second_order=second_order, given=given))


class Problem:
    """Tasks, the network as a module and as one of ours, and the loss of one task.

    Parameters
    ----------
    name
        Of the table.
    module
        What the others run.
    network, translate
        Ours, if there is one, and how the module's parameters are named and laid out there.
    tasks
        Support inputs and targets, then the query's, each with the task axis first.
    loss
        Outputs and targets of one task to a number.
    smooth
        Outputs' loss for many tasks, from targets, as ours takes it.
    steps, chunk
        Inner steps, and how many tasks' queries run together.
    """

    def __init__(
        self,
        name: str,
        *,
        module: nn.Module,
        network: Any,
        translate: Callable[[dict[str, Tensor]], dict[str, Tensor]],
        tasks: tuple[Tensor, Tensor, Tensor, Tensor],
        loss: Callable[[Tensor, Tensor], Tensor],
        smooth: Callable[[Tensor], Any],
        steps: int,
        chunk: int | None,
    ) -> None:
        self.name, self.module, self.network, self.translate = name, module, network, translate
        self.tasks, self.loss, self.smooth = tasks, loss, smooth
        self.steps, self.chunk = steps, chunk

    def double(self) -> "Problem":
        """Return the same in float64."""
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module).double()
        x, y, u, v = self.tasks
        real = [t.double() if t.is_floating_point() else t for t in (y, v)]
        twin.tasks = (x.double(), real[0], u.double(), real[1])
        return twin


def perceptron(tasks: int) -> Problem:
    """32-64-64-1, support 10, query 30, five inner steps."""
    torch.manual_seed(0)
    layers = [nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)]

    def translate(params: dict[str, Tensor]) -> dict[str, Tensor]:
        ours = {}
        for layer in range(3):
            ours[f"weight{layer}"] = params[f"{2 * layer}.weight"].mT.contiguous()
            ours[f"bias{layer}"] = params[f"{2 * layer}.bias"][None]
        return ours

    draws = [(torch.randn(tasks, n, 32), torch.randint(2, (tasks, n, 1)).float()) for n in (10, 30)]
    return Problem(
        f"perceptron 32-64-64-1, {tasks} tasks, support 10, query 30, 5 inner steps",
        module=nn.Sequential(*layers),
        network=Perceptron([32, 64, 64, 1]),
        translate=translate,
        tasks=(*draws[0], *draws[1]),
        loss=binary_cross_entropy_with_logits,
        smooth=SmoothCrossEntropy,
        steps=5,
        chunk=None,
    )


def conv4(tasks: int, *, shots: int, queries: int, pooling: bool) -> Problem:
    """Build MAML's Omniglot network, five ways, one inner step."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for block in range(4):
        stride = 1 if pooling else 2
        conv = nn.Conv2d(1 if block == 0 else 64, 64, 3, stride, 1, bias=False)
        # no running averages: vmap could not write them, and nobody reads them
        norm = nn.BatchNorm2d(64, track_running_stats=False)
        layers += [conv, norm, nn.ReLU(), *([nn.MaxPool2d(2)] if pooling else [])]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 5)]
    module = nn.Sequential(*layers)
    width = len(layers[:-3]) // 4

    def translate(params: dict[str, Tensor]) -> dict[str, Tensor]:
        ours = {}
        for block in range(4):
            weight = params[f"{width * block}.weight"]
            ours[f"weight{block}"] = weight.permute(0, 2, 3, 1).contiguous()
            ours[f"scale{block}"] = params[f"{width * block + 1}.weight"]
            ours[f"bias{block}"] = params[f"{width * block + 1}.bias"]
        head = len(layers) - 1
        ours["weight4"] = params[f"{head}.weight"].mT.contiguous()
        ours["bias4"] = params[f"{head}.bias"]
        return ours

    return Problem(
        f"conv4-64 {'with pooling' if pooling else 'of stride 2'}, {tasks} tasks, support "
        f"{5 * shots}, query {5 * queries}, 1 inner step",
        module=module,
        network=ConvolutionalNetwork(pooling=pooling),
        translate=translate,
        tasks=(*five_ways(tasks, shots, 1, 28, 28), *five_ways(tasks, queries, 1, 28, 28)),
        loss=cross_entropy,
        smooth=smooth_cross_entropy,
        steps=1,
        chunk=1 if pooling else 4,
    )


def series(tasks: int, *, rows: int, filters: int, length: int) -> Problem:
    """Two convolutions over series of four channels, five ways, one inner step."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for channels in (4, filters):
        layers += [nn.Conv1d(channels, filters, 5, padding=2), nn.ReLU()]
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(filters, 5))
    return Problem(
        f"two convolutions of {filters} filters over series of {length}, {tasks} tasks, support "
        f"{5 * rows}, query {5 * rows}, 1 inner step",
        module=module,
        network=None,
        translate=lambda params: params,
        tasks=(*five_ways(tasks, rows, 4, length), *five_ways(tasks, rows, 4, length)),
        loss=cross_entropy,
        smooth=smooth_cross_entropy,
        steps=1,
        chunk=None,
    )


def five_ways(tasks: int, rows: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Draw rows of each of five classes, and give their labels."""
    labels = torch.arange(5).repeat(rows).expand(tasks, -1)
    return torch.rand(tasks, 5 * rows, *shape), labels


def smooth_cross_entropy(labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Cross-entropy of several classes, for many tasks."""
    return lambda out: cross_entropy(out.mT, labels, reduction="none").mean(1)


Way = Callable[[], Any]


def measure(problem: Problem, *, second_order: bool, given: argparse.Namespace) -> str:
    """Check every way, time them by turns, and lay out the medians."""
    double = problem.double()
    gradient, params = plain_loop(double, second_order=second_order)
    reference = gradient()
    ours = list(problem.translate(dict(zip(params, reference, strict=True))).values())
    ways: dict[str, tuple[Way, dict[str, Tensor]]] = {}
    errors = {}
    for name, build in contestants(problem, compiled=given.compile).items():
        try:
            gradient, _ = build(double, second_order=second_order)
            errors[name] = distance(gradient(), ours if name == "oddshot" else reference)
            ways[name] = build(problem, second_order=second_order)
            ways[name][0]()
        except ModuleNotFoundError as error:
            print(f"{name} is left out: {error.name} is not installed")
        except Exception as error:  # a peer that cannot run this network is no reason to stop
            print(f"{name} is left out: {type(error).__name__}: {str(error).splitlines()[0]}")
            ways.pop(name, None)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.repeats):
        for name, (gradient, params) in ways.items():
            step = partial(
                adam_step, gradient, torch.optim.Adam(params.values(), 1e-12, fused=True)
            )
            step()  # warm caches, and Adam's state
            began = time.perf_counter()
            step()
            times[name].append(1000 * (time.perf_counter() - began))
    medians = {name: median(of) for name, of in times.items()}
    rows = [
        [name, f"{errors[name]:.0e}", f"{ms:.2f}", f"{medians['plain loop'] / ms:.1f}"]
        for name, ms in medians.items()
    ]
    return markdown_table(["", "error in float64", "ms", "times the plain loop"], rows)


def contestants(
    problem: Problem, *, compiled: bool
) -> dict[str, Callable[..., tuple[Way, dict[str, Tensor]]]]:
    """Name all ways; each turns a problem into its meta-gradient and the parameters it is of."""
    ways: dict[str, Callable[..., tuple[Way, dict[str, Tensor]]]] = {
        "plain loop": plain_loop,
        "plain loop, bare": bare_loop,
        "higher": with_higher,
        "vmap": with_vmap,
        "jax": with_jax,
        "oddshot": with_oddshot,
        "oddshot, from_module": partial(with_oddshot, wrap=from_module),
    }
    if problem.network is None:
        del ways["oddshot"]
        for name, choice in (("side by side", False), ("one by one", True)):
            wrap = partial(ModuleNetwork, one_by_one=choice)
            ways[f"oddshot, {name}"] = partial(with_oddshot, wrap=wrap)
    if compiled:
        ways["vmap, compiled"] = partial(with_vmap, compiled=True)
        ways["oddshot, compiled"] = with_compiled
    return ways


def adam_step(gradient: Way, optimizer: torch.optim.Optimizer) -> None:
    """Follow a meta-gradient; that of JAX stays where it is, so Adam sees zeros."""
    found = gradient()
    values = optimizer.param_groups[0]["params"]
    for number, value in enumerate(values):
        grad = found[number]
        value.grad = grad if isinstance(grad, Tensor) else torch.zeros_like(value)
    optimizer.step()


def distance(found: Any, reference: list[Tensor]) -> float:
    """Largest difference relative to the largest number of any tensor."""
    largest = max(float(grad.abs().max()) for grad in reference)
    pairs = zip(found, reference, strict=True)
    return max(float((torch.as_tensor(f) - r).abs().max()) for f, r in pairs) / largest


def leaves(problem: Problem) -> dict[str, Tensor]:
    """Copy the module's parameters."""
    named = problem.module.named_parameters()
    return {name: value.detach().clone().requires_grad_() for name, value in named}


def plain_loop(problem: Problem, *, second_order: bool) -> tuple[Way, dict[str, Tensor]]:
    """Loop over tasks with a copy of the module each."""
    module, params = problem.module, dict(problem.module.named_parameters())

    def gradient() -> list[Tensor]:
        total: Any = 0
        for x, y, u, v in zip(*problem.tasks, strict=True):
            mine = clone(module)
            for _ in range(problem.steps):
                loss = problem.loss(mine(x), y)
                values = list(mine.parameters())
                grads = torch.autograd.grad(loss, values, create_graph=second_order)
                replace_parameters(mine, iter(grads))
            total = total + problem.loss(mine(u), v)
        return list(torch.autograd.grad(total / len(problem.tasks[0]), list(params.values())))

    return gradient, params


def clone(module: nn.Module) -> nn.Module:
    """Copy a module so that its parameters are the results of operations on the original's."""
    twin = module.__new__(type(module))
    twin.__dict__ = module.__dict__.copy()
    twin._parameters = {n: p if p is None else p.clone() for n, p in module._parameters.items()}
    twin._buffers = module._buffers.copy()
    twin._modules = {n: m if m is None else clone(m) for n, m in module._modules.items()}
    return twin


def replace_parameters(module: nn.Module, grads: Any) -> None:
    """Put ``parameter - rate * gradient`` in the place of each parameter."""
    for name, value in module._parameters.items():
        if value is not None:
            module._parameters[name] = value - RATE * next(grads)
    for part in module._modules.values():
        replace_parameters(part, grads)


def bare_loop(problem: Problem, *, second_order: bool) -> tuple[Way, dict[str, Tensor]]:
    """Loop over tasks with parameters in a dictionary."""
    params = leaves(problem)

    def gradient() -> list[Tensor]:
        total: Any = 0
        for x, y, u, v in zip(*problem.tasks, strict=True):
            mine = params
            for _ in range(problem.steps):
                loss = problem.loss(functional_call(problem.module, mine, (x,)), y)
                grads = torch.autograd.grad(loss, list(mine.values()), create_graph=second_order)
                mine = {n: p - RATE * g for (n, p), g in zip(mine.items(), grads, strict=True)}
            total = total + problem.loss(functional_call(problem.module, mine, (u,)), v)
        return list(torch.autograd.grad(total / len(problem.tasks[0]), list(params.values())))

    return gradient, params


def with_higher(problem: Problem, *, second_order: bool) -> tuple[Way, dict[str, Tensor]]:
    """Loop over tasks with the package ``higher``."""
    import higher

    module = problem.module
    inner = torch.optim.SGD(module.parameters(), RATE)
    params = dict(module.named_parameters())

    def gradient() -> list[Tensor]:
        module.zero_grad()
        for x, y, u, v in zip(*problem.tasks, strict=True):
            options = {"copy_initial_weights": False, "track_higher_grads": second_order}
            with higher.innerloop_ctx(module, inner, **options) as (mine, descend):
                for _ in range(problem.steps):
                    descend.step(problem.loss(mine(x), y))
                (problem.loss(mine(u), v) / len(problem.tasks[0])).backward()
        return [value.grad for value in params.values()]

    return gradient, params


def with_vmap(
    problem: Problem, *, second_order: bool, compiled: bool = False
) -> tuple[Way, dict[str, Tensor]]:
    """Run tasks side by side under ``vmap``."""
    params = leaves(problem)

    def of_task(mine: dict[str, Tensor], x: Tensor, y: Tensor, u: Tensor, v: Tensor) -> Tensor:
        def inner(mine: dict[str, Tensor]) -> Tensor:
            return problem.loss(functional_call(problem.module, mine, (x,)), y)

        for _ in range(problem.steps):
            grads = grad(inner)(mine)
            if not second_order:
                grads = {n: g.detach() for n, g in grads.items()}
            mine = {n: p - RATE * grads[n] for n, p in mine.items()}
        return problem.loss(functional_call(problem.module, mine, (u,)), v)

    def outer(shared: dict[str, Tensor]) -> Tensor:
        return vmap(of_task, in_dims=(None, 0, 0, 0, 0))(shared, *problem.tasks).mean()

    derivative = grad(outer)
    if compiled:
        derivative = torch.compile(derivative)

    def gradient() -> list[Tensor]:
        return list(derivative({n: p.detach() for n, p in params.items()}).values())

    return gradient, params


def with_jax(problem: Problem, *, second_order: bool) -> tuple[Way, dict[str, Tensor]]:
    """Run tasks side by side in JAX, compiled; perceptrons only."""
    import jax
    from jax import numpy as jnp

    if not isinstance(problem.network, Perceptron):
        raise NotImplementedError("only the perceptron is written out in JAX")
    jax.config.update("jax_enable_x64", True)
    params = leaves(problem)
    numbers = {n: jnp.asarray(p.detach().numpy()) for n, p in params.items()}
    tasks = [jnp.asarray(t.numpy()) for t in problem.tasks]

    def forward(mine: Any, x: Any) -> Any:
        for layer in (0, 2, 4):
            x = x @ mine[f"{layer}.weight"].T + mine[f"{layer}.bias"]
            x = jax.nn.relu(x) if layer < 4 else x
        return x

    def loss(mine: Any, x: Any, y: Any) -> Any:
        s = forward(mine, x)
        return (jnp.maximum(s, 0) - s * y + jnp.log1p(jnp.exp(-jnp.abs(s)))).mean()

    def of_task(mine: Any, x: Any, y: Any, u: Any, v: Any) -> Any:
        for _ in range(problem.steps):
            grads = jax.grad(loss)(mine, x, y)
            grads = grads if second_order else jax.lax.stop_gradient(grads)
            mine = jax.tree.map(lambda p, g: p - RATE * g, mine, grads)
        return loss(mine, u, v)

    side_by_side = jax.vmap(of_task, in_axes=(None, 0, 0, 0, 0))
    derivative = jax.jit(jax.grad(lambda mine: side_by_side(mine, *tasks).mean()))
    began = time.perf_counter()
    jax.block_until_ready(derivative(numbers))
    print(f"jax took {time.perf_counter() - began:.1f} s to compile")

    def gradient() -> Any:
        found = jax.block_until_ready(derivative(numbers))
        return [found[name] for name in params]

    return gradient, params


def with_oddshot(
    problem: Problem, *, second_order: bool, wrap: Callable[[nn.Module], Network] | None = None
) -> tuple[Way, dict[str, Tensor]]:
    """Take `Adaptation.meta_loss`, of our network or of the module as it is."""
    adaptation = Adaptation(
        steps=problem.steps, rate=RATE, second_order=second_order, normalisation="batch"
    )
    network = wrap(problem.module) if wrap else problem.network
    params = leaves(problem)
    mine = params if wrap else {n: p.detach() for n, p in problem.translate(params).items()}
    mine = {n: p.detach().requires_grad_() for n, p in mine.items()}
    x, y, u, v = problem.tasks
    support = Rows(x, problem.smooth(y))
    query: Rows | list[Rows] = Rows(u, problem.smooth(v))
    if problem.chunk and not wrap:
        parts = [slice(k, k + problem.chunk) for k in range(0, len(x), problem.chunk)]
        query = [Rows(u[part], problem.smooth(v[part])) for part in parts]

    def gradient() -> list[Tensor]:
        loss = adaptation.meta_loss(network, mine, support, query).mean()
        return list(torch.autograd.grad(loss, list(mine.values())))

    return gradient, mine


def with_compiled(problem: Problem, *, second_order: bool) -> tuple[Way, dict[str, Tensor]]:
    """Take `Adaptation.compiled`."""
    adaptation = Adaptation(
        steps=problem.steps, rate=RATE, second_order=second_order, normalisation="batch"
    )
    params = leaves(problem)
    derivative = adaptation.compiled(
        from_module(problem.module), lambda outputs, targets: problem.smooth(targets)(outputs)
    )
    began = time.perf_counter()
    derivative(params, *problem.tasks)
    print(f"oddshot took {time.perf_counter() - began:.0f} s to compile")
    return (lambda: list(derivative(params, *problem.tasks)[1].values())), params


if __name__ == "__main__":
    main()
