"""Regression of sinusoids from a few points (Finn et al. 2017, section 5.1), learner by learner.

    OMP_NUM_THREADS=1 python benchmarks/sinusoid.py --out results/sinusoid [--learner maml reptile]

A task is y = A sin(x - p) with A from U(0.1, 5), p from U(0, pi) and x from U(-5, 5). A perceptron
with two hidden layers of 40 ReLU units is meta-trained on K points a task, with one gradient step
of 0.01 (Reptile: ten of 0.005, each on K other points), and tested on 600 unseen tasks after 0 to
10 steps on K points; the error is taken on 100 other points. Beside it stands what the paper calls
pretrained: the same network fitted to the points of all tasks together, fine-tuned with the rate
that does best on tasks of their own. Writes the errors with 95% intervals as CSV, Markdown and PNG.

Unlike the paper's, the outer rate falls along a cosine, and weights start as He et al. 2015 say.
Meta-SGD learns rates for a single step; where it takes more, they may be too large and diverge.
"""

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from figures import mean_and_interval, panels

from oddshot.evaluation.machine import machine
from oddshot.learners.adaptation import Adaptation
from oddshot.learners.inner_loop import Rows
from oddshot.networks import Params, Perceptron, SmoothSquaredError
from oddshot.reports.figures import COLOURS, MARKERS
from oddshot.reports.tables import markdown_table

NETWORK = Perceptron([1, 40, 40, 1])
# A pretrained network is one that takes no inner step while it learns.
LEARNERS = {
    "maml": Adaptation(steps=1, rate=0.01),
    "fomaml": Adaptation(steps=1, rate=0.01, second_order=False),
    "anil": Adaptation(steps=1, rate=0.01, adapts="head"),
    "meta_sgd": Adaptation(steps=1, rate=0.01, learn_rates="parameter"),
    "reptile": Adaptation(steps=10, rate=0.005, reptile=True),
    "pretrained": Adaptation(steps=0),
}
FINE_TUNING_RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
TEST_TASKS, TEST_STEPS, TEST_ROWS = 600, 10, 100
TRAIN, CHOOSE, TEST = range(3)  # streams of tasks that share nothing


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every learner for every number of shots, test it, and write what was found."""
    parser = argparse.ArgumentParser(description="Few-shot regression of sinusoids.")
    names = [name for name in LEARNERS if name != "pretrained"]
    parser.add_argument("--learner", nargs="+", choices=names, default=["maml"])
    parser.add_argument("--shots", nargs="+", type=int, default=[5, 10])
    parser.add_argument("--iterations", type=int, default=70_000)
    parser.add_argument("--meta-batch", type=int, default=25, help="tasks of an iteration")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # one network is too small to share
    print(f"machine: {machine()}")
    found = []
    for shots in given.shots:
        for name in [*given.learner, "pretrained"]:
            began = time.perf_counter()
            params = train(
                LEARNERS[name], shots, given.iterations, given.meta_batch, seed=given.seed
            )
            seconds = time.perf_counter() - began
            adaptation = LEARNERS[name] if name != "pretrained" else fine_tuning(params, shots)
            errors = test(adaptation, params, shots, stream=TEST)
            print(
                f"{name}, {shots} shots: {seconds:.0f} s, "
                f"{given.iterations * given.meta_batch / seconds:,.0f} tasks/s, rate "
                f"{adaptation.rate}, error {errors[1].mean():.3f} after 1 step, "
                f"{errors[-1].mean():.3f} after {TEST_STEPS}",
                flush=True,
            )
            for step, of_tasks in enumerate(errors):
                error, interval = mean_and_interval(of_tasks)
                found.append((name, shots, step, error, interval, adaptation.rate, seconds))
    columns = ["learner", "shots", "steps", "error", "interval", "rate", "seconds"]
    results = pd.DataFrame(found, columns=columns)
    given.out.mkdir(parents=True, exist_ok=True)
    results.to_csv(given.out / "sinusoid.csv", index=False, float_format="%.6g")
    table = as_markdown(results)
    (given.out / "sinusoid.md").write_text(table)
    draw_curves(results, given.out / "sinusoid.png")
    print(table)


def sinusoids(seeds: Sequence[int], tasks: int, *sizes: int) -> list[Rows]:
    """Draw points of as many sinusoids: for every size the inputs (tasks, size, 1)."""
    rng = np.random.default_rng(seeds)
    amplitudes, phases = rng.uniform((0.1, 0.0), (5.0, math.pi), (tasks, 2)).T[:, :, None, None]
    inputs = rng.uniform(-5, 5, (tasks, sum(sizes), 1))
    targets = amplitudes * np.sin(inputs - phases)
    points = torch.from_numpy(np.stack([inputs, targets])).float()
    ends = np.cumsum(sizes)[:-1].tolist()
    return [Rows(x, SmoothSquaredError(y)) for x, y in torch.tensor_split(points, ends, dim=2)]


def train(
    adaptation: Adaptation, shots: int, iterations: int, meta_batch: int, *, seed: int
) -> Params:
    """Meta-train with Adam, whose rate of 0.001 falls to 0 along a cosine."""
    params = adaptation.initial_parameters(NETWORK, torch.Generator().manual_seed(seed))
    values = [value.requires_grad_() for value in params.values()]
    outer = torch.optim.Adam(values, 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(outer, iterations)
    supports = adaptation.steps if adaptation.reptile else 1
    for iteration in range(iterations):
        *support, query = sinusoids([seed, TRAIN, iteration], meta_batch, *[shots] * (supports + 1))
        loss = adaptation.meta_loss(NETWORK, params, support, query).mean()
        for value, grad in zip(values, torch.autograd.grad(loss, values), strict=True):
            value.grad = grad
        outer.step()
        schedule.step()
    return {name: value.detach() for name, value in params.items()}


def fine_tuning(params: Params, shots: int) -> Adaptation:
    """Choose the rate of the lowest error after the last step."""
    choices = [Adaptation(rate=rate) for rate in FINE_TUNING_RATES]
    errors = [test(choice, params, shots, stream=CHOOSE)[-1].mean() for choice in choices]
    return choices[int(np.nanargmin(errors))]


def test(adaptation: Adaptation, params: Params, shots: int, *, stream: int) -> list[np.ndarray]:
    """Errors (tasks,) on unseen tasks after 0, 1, ... steps; the tasks are those of any seed."""
    support, query = sinusoids([0, stream], TEST_TASKS, shots, TEST_ROWS)
    errors = []
    with torch.no_grad():
        for steps in range(TEST_STEPS + 1):
            adapted = adaptation.adapted(NETWORK, params, support, steps=steps)
            errors.append(query.loss(NETWORK(adapted, query.inputs)).numpy())
    return errors


def as_markdown(results: pd.DataFrame) -> str:
    """Give each learner and number of shots a row, with the errors after some steps."""
    steps = (0, 1, 2, 5, TEST_STEPS)
    rows = []
    for (shots, learner), curve in results.groupby(["shots", "learner"], sort=False):
        at = curve.set_index("steps")
        cells = [
            f"{at['error'][k]:.3f} ± {at['interval'][k]:.3f}"
            if at["error"][k] < 10 * at["error"][0]
            else "diverges"
            for k in steps
        ]
        rows.append([f"{learner}, {shots} shots", *cells, f"{at['seconds'][0]:.0f}"])
    header = ["", *[f"{k} steps" if k != 1 else "1 step" for k in steps], "training s"]
    return markdown_table(header, rows)


def draw_curves(results: pd.DataFrame, path: Path) -> None:
    """Draw the error against the number of gradient steps, one panel for each number of shots."""
    figure, axes = panels(results["shots"].nunique())
    top = 1.2 * results["error"][results["steps"] == 0].max()
    shown = results[results["error"] < top]  # what diverges would flatten all others
    for ax, (shots, curves) in zip(axes, shown.groupby("shots"), strict=True):
        for place, (learner, curve) in enumerate(curves.groupby("learner", sort=False)):
            colour = COLOURS[place]
            low, high = (curve["error"] + sign * curve["interval"] for sign in (-1, 1))
            ax.plot(
                curve["steps"], curve["error"], color=colour, marker=MARKERS[place], label=learner
            )
            ax.fill_between(curve["steps"], low, high, color=colour, alpha=0.2, linewidth=0)
        ax.set(title=f"{shots} points", xlabel="gradient steps", ylim=(0, top))
    axes[0].set_ylabel("mean squared error")
    axes[0].legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
