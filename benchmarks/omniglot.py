"""Few-shot classification and one-class detection of Omniglot characters, learner by learner.

    python benchmarks/omniglot.py few-shot --learner maml --shots 1 --out runs/omniglot
    python benchmarks/omniglot.py one-class --learner maml --shots 2 --out runs/omniglot
    python benchmarks/omniglot.py report --out runs/omniglot

Alphabets are split into 20 to meta-train on (with rotations), 4 to keep the best parameters by, and
6 to test on (without rotations). The network is that of Finn et al. 2017: four convolutions of
stride 2 with batch normalisation (``--pooling``: of stride 1, with max-pooling). A run is stopped
and taken up again as one likes; it ends with the same parameters. ``report`` sets all results
beside the published ones, which were found on 1,200 characters drawn at random from all 1,623, so
that an alphabet can be on both sides.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from figures import mean_and_interval, panels
from sklearn.metrics import roc_auc_score
from torch import Tensor

from oddshot.data.omniglot import Characters, ImageTasks, read_omniglot, split_alphabets
from oddshot.evaluation.machine import machine
from oddshot.learners.adaptation import Adaptation
from oddshot.learners.inner_loop import Rows
from oddshot.losses import binary_cross_entropy, cross_entropy
from oddshot.networks import ConvolutionalNetwork, Params, Statistics
from oddshot.persistence import is_saved, load_state, replace_file, save_state
from oddshot.reports.tables import markdown_table

VARIANTS: dict[str, dict[str, Any]] = {
    "maml": {},
    "fomaml": {"second_order": False},
    "anil": {"adapts": "head"},
    "meta_sgd": {"learn_rates": "parameter"},
    "maml_rates": {"learn_rates": "step"},  # a rate for each tensor and step, as in MAML++
    "reptile": {"reptile": True, "second_order": False},
}
# Accuracy in percent: transductive, and not. Finn et al. 2017, table 1; Nichol et al. 2018, table 2
# (first-order MAML and Reptile); Frikha et al. 2021, who do not say which.
PUBLISHED = {
    ("few-shot", "maml", 1): (98.7, None),
    ("few-shot", "maml", 5): (99.9, None),
    ("few-shot", "fomaml", 1): (98.3, None),
    ("few-shot", "fomaml", 5): (99.2, None),
    ("few-shot", "reptile", 1): (97.68, 95.39),
    ("few-shot", "reptile", 5): (99.48, 98.90),
    ("one-class", "maml", 2): (96.6, 96.6),
    ("one-class", "maml", 10): (97.6, 97.6),
}
OPTIONS = ("pooling", "augment", "smooth")
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
TRAIN, CHOOSE, TEST = range(3)  # streams of tasks


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one learner, or report on all that were run."""
    given = parse(arguments)
    torch.set_num_threads(given.threads)
    if given.command == "report":
        report(given.out)
        return
    # One large block, freed again, keeps glibc from handing memory back after every step.
    torch.empty(8_000_000).fill_(0)
    run = Run(given)
    print(f"machine: {machine()}")
    print(f"{run.name}: {'transductive' if run.transductive else 'not transductive'}; {run.parts}")
    run.train()
    run.test()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Few-shot learning of Omniglot characters.")
    parser.add_argument("command", choices=["few-shot", "one-class", "report"])
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/omniglot"))
    parser.add_argument("--learner", choices=list(VARIANTS), default="maml")
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--queries", type=int, default=5, help="rows of a class in training")
    parser.add_argument("--normalisation", choices=["batch", "support", "stored"], default="batch")
    parser.add_argument("--steps", type=int, default=1, help="inner steps in training")
    parser.add_argument("--test-steps", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.4, help="of the inner steps")
    parser.add_argument("--inner-batch", type=int, default=10, help="rows of a Reptile step")
    parser.add_argument("--meta-batch", type=int, default=16)
    parser.add_argument("--chunk", type=int, default=4, help="tasks whose queries run together")
    parser.add_argument("--iterations", type=int, default=7000)
    parser.add_argument("--outer-rate", type=float, default=None)
    parser.add_argument("--pooling", action="store_true", help="instead of stride 2")
    parser.add_argument("--augment", action="store_true", help="mirror and warp training tasks")
    parser.add_argument("--smooth", action="store_true", help="all drawings, by a pixel")
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=int, default=500, help="iterations between validations")
    parser.add_argument("--test-tasks", type=int, default=1000)
    return parser.parse_args(arguments)


class Run:
    """One learner on one kind of task, from the first iteration to its result."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.one_class = given.command == "one-class"
        characters = read_omniglot(given.data)
        self.parts = split_alphabets(characters.alphabets)
        train = characters.of_alphabets(self.parts["train"]).with_rotations()
        self.characters: list[Characters] = [
            train.with_reflections() if given.augment else train,
            characters.of_alphabets(self.parts["validation"]),
            characters.of_alphabets(self.parts["test"]),
        ]
        self.adaptation = Adaptation(
            steps=given.steps,
            rate=given.rate,
            normalisation=given.normalisation,
            **VARIANTS[given.learner],
        )
        outputs = 1 if self.one_class else given.ways
        self.network = ConvolutionalNetwork(
            filters=given.filters, outputs=outputs, pooling=given.pooling
        )
        self.transductive = self.adaptation.transductive(self.network)
        self.name = f"{given.command}-{given.learner}-{given.shots}-{given.normalisation}"
        self.name += "-pooling" if given.pooling else ""
        self.name += "-augment" if given.augment else ""
        self.name += "-smooth" if given.smooth else ""
        self.folder = given.out / self.name
        params = self.adaptation.initial_parameters(
            self.network, torch.Generator().manual_seed(given.seed)
        )
        self.params = {n: p.requires_grad_() for n, p in params.items()}
        self.best, self.best_accuracy = dict(params), 0.0
        self.iteration, self.seconds = 0, 0.0
        self.curve: list[tuple[int, float]] = []
        reptile = self.adaptation.reptile
        self.outer_rate = given.outer_rate or (1.0 if reptile else 1e-3)
        kind = torch.optim.SGD if reptile else torch.optim.Adam
        self.outer = kind(list(self.params.values()), self.outer_rate)
        # what decides the parameters; a checkpoint of something else is not taken up
        self.identity = {
            k: v
            for k, v in vars(given).items()
            if k not in {"out", "data", "threads", "test_tasks"}
        }

    def train(self) -> None:
        """Meta-train to the last iteration, from the checkpoint if there is one."""
        self.restore()
        while self.iteration < self.given.iterations:
            began = time.perf_counter()
            left = 1 - self.iteration / self.given.iterations
            done = 1 - left
            cosine = (1 + np.cos(np.pi * done)) / 2
            self.outer.param_groups[0]["lr"] = self.outer_rate * (
                left if self.adaptation.reptile else cosine
            )
            loss = self.loss(done)
            if not loss.isfinite():
                raise SystemExit(
                    f"{self.name}: the loss is not finite in iteration {self.iteration + 1} of "
                    f"seed {self.given.seed}; lower --rate or --outer-rate"
                )
            values = list(self.params.values())
            for value, grad in zip(values, torch.autograd.grad(loss, values), strict=True):
                value.grad = grad
            self.outer.step()
            self.iteration += 1
            self.seconds += time.perf_counter() - began
            if self.iteration % self.given.every == 0 or self.iteration == self.given.iterations:
                self.validate(loss.item())
                self.save()

    def loss(self, done: float) -> Tensor:
        """Outer loss of the tasks of this iteration."""
        first, size = self.iteration * self.given.meta_batch, self.given.meta_batch
        if self.adaptation.reptile:
            tasks = self.draw(TRAIN, size, first=first, shots=10)
            everything = self.rows(tasks.query, tasks.query_labels)
            return self.adaptation.meta_loss(
                self.network, self.params, list(self.batches(tasks)), everything
            ).mean()
        tasks = self.draw(TRAIN, size, first=first)
        support = self.rows(tasks.support, tasks.support_labels)
        parts = [slice(k, k + self.given.chunk) for k in range(0, size, self.given.chunk)]
        query = [self.rows(tasks.query[part], tasks.query_labels[part]) for part in parts]
        return self.adaptation.meta_loss(
            self.network, self.params, support, query, done=done
        ).mean()

    def batches(self, tasks: ImageTasks) -> Iterator[Rows]:
        """Give every inner step of Reptile rows of its own choice from the support."""
        rng = np.random.default_rng([self.given.seed, self.iteration])
        rows = tasks.support.shape[1]
        size = min(self.given.inner_batch, rows)
        for _ in range(self.given.steps):
            chosen = torch.from_numpy(rng.permutation(rows)[:size])
            yield self.rows(tasks.support[:, chosen], tasks.support_labels[:, chosen])

    def draw(
        self, stream: int, tasks: int, *, first: int = 0, shots: int | None = None
    ) -> ImageTasks:
        """Draw tasks of a part of the split."""
        drawn = self.drawn(stream, tasks, first=first, shots=shots)
        if stream == TRAIN and self.given.augment:
            drawn = drawn.warped(np.random.default_rng([self.given.seed, first]))
        return drawn.smoothed() if self.given.smooth else drawn

    def drawn(self, stream: int, tasks: int, *, first: int, shots: int | None) -> ImageTasks:
        """Draw tasks as they are."""
        given, characters = self.given, self.characters[stream]
        seed = given.seed if stream == TRAIN else 0  # one and the same test for every seed
        shots = shots or given.shots
        if self.one_class:
            return characters.one_class(
                tasks, seed=3 * seed + stream, first=first, shots=shots, queries=10
            )
        queries = given.queries if stream == TRAIN else 15
        return characters.few_shot(
            tasks,
            seed=3 * seed + stream,
            first=first,
            ways=given.ways,
            shots=shots,
            queries=min(queries, characters.images.shape[1] - shots),
        )

    def rows(self, images: Tensor, labels: Tensor) -> Rows:
        """Set images beside the loss of their labels."""
        every = torch.ones_like(labels, dtype=torch.bool)
        if self.one_class:
            return Rows(images, lambda out: binary_cross_entropy(out[..., 0], labels, every))
        return Rows(images, lambda out: cross_entropy(out, labels, every))

    def measure(self, params: Params, stream: int, tasks: int) -> dict[str, list[float]]:
        """Accuracy, and for detection AUROC, of each of some unseen tasks."""
        found: dict[str, list[float]] = {"accuracy": []}
        statistics = self.statistics(params)
        for first in range(0, tasks, 20):
            batch = self.draw(stream, min(20, tasks - first), first=first)
            support = self.rows(batch.support, batch.support_labels)
            with torch.no_grad():
                adapted = self.adaptation.adapted(
                    self.network,
                    params,
                    support,
                    steps=self.given.test_steps,
                    statistics=statistics,
                )
                outputs = self.adaptation.outputs(
                    self.network, adapted, batch.support, batch.query, statistics=statistics
                )
            if self.one_class:
                odd = outputs[..., 0] > 0
                right = (odd == (batch.query_labels == 1)).float().mean(1)
                scores = zip(batch.query_labels, outputs[..., 0], strict=True)
                found.setdefault("auroc", []).extend(
                    float(roc_auc_score(truth, score)) for truth, score in scores
                )
            else:
                right = (outputs.argmax(-1) == batch.query_labels).float().mean(1)
            found["accuracy"].extend(right.tolist())
        return found

    def statistics(self, params: Params) -> list[Statistics] | None:
        """Moments of batch normalisation over training tasks, where they are to be stored."""
        if self.given.normalisation != "stored":
            return None
        batches = (self.draw(TRAIN, 20, first=20 * k) for k in range(10))
        return self.adaptation.collect(
            self.network,
            params,
            (
                (self.rows(b.support, b.support_labels), self.rows(b.query, b.query_labels))
                for b in batches
            ),
            steps=self.given.test_steps,
        )

    def validate(self, loss: float) -> None:
        """Measure accuracy on the validation alphabets, and remember the best parameters."""
        params = {name: value.detach() for name, value in self.params.items()}
        accuracy = float(np.mean(self.measure(params, CHOOSE, 200)["accuracy"]))
        self.curve.append((self.iteration * self.given.meta_batch, accuracy))
        if accuracy > self.best_accuracy:
            self.best, self.best_accuracy = {n: p.clone() for n, p in params.items()}, accuracy
        rate = self.iteration * self.given.meta_batch / self.seconds
        print(
            f"{self.name} {self.iteration}/{self.given.iterations}: loss {loss:.3f}, validation "
            f"{accuracy:.4f}, {rate:.0f} tasks/s",
            flush=True,
        )

    def test(self) -> None:
        """Measure on the test alphabets, and write ``result.json``."""
        found = self.measure(self.best, TEST, self.given.test_tasks)
        result = {
            **{k: str(v) if isinstance(v, Path) else v for k, v in vars(self.given).items()},
            "transductive": self.transductive,
            "split": {part: list(names) for part, names in self.parts.items()},
            "validation": self.best_accuracy,
            "curve": self.curve,
            "seconds": self.seconds,
            "machine": machine(),
        }
        for name, values in found.items():
            result[name], result[f"{name}_interval"] = mean_and_interval(values)
        replace_file(self.folder / "result.json", json.dumps(result, indent=1).encode())
        measured = {n: f"{result[n]:.4f} ± {result[f'{n}_interval']:.4f}" for n in found}
        print(self.name, measured)

    def save(self) -> None:
        """Write a checkpoint, atomically."""
        tensors = {f"params/{n}": p.detach().numpy() for n, p in self.params.items()}
        tensors |= {f"best/{n}": p.detach().numpy() for n, p in self.best.items()}
        for name, value in self.params.items():
            for moment, kept in self.outer.state.get(value, {}).items():
                if moment in MOMENTS:
                    tensors[f"{moment}/{name}"] = kept.numpy()
        meta = {
            "identity": self.identity,
            "iteration": self.iteration,
            "seconds": self.seconds,
            "best": self.best_accuracy,
            "curve": self.curve,
        }
        save_state(self.folder / "checkpoint", kind="omniglot", meta=meta, tensors=tensors)

    def restore(self) -> None:
        """Go on from a checkpoint of the same run."""
        path = self.folder / "checkpoint"
        if not is_saved(path):
            return
        meta, arrays = load_state(path, kind="omniglot")
        if meta["identity"] != self.identity:
            raise SystemExit(f"{path} belongs to a run with other options; use another --out")
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        self.iteration, self.seconds = meta["iteration"], meta["seconds"]
        self.best_accuracy, self.curve = meta["best"], [tuple(point) for point in meta["curve"]]
        for name, value in self.params.items():
            value.data.copy_(tensors[f"params/{name}"])
            self.best[name] = tensors[f"best/{name}"]
            if f"step/{name}" in tensors:
                self.outer.state[value] = {m: tensors[f"{m}/{name}"] for m in MOMENTS}


def report(out: Path) -> None:
    """Set all results beside the published ones, as Markdown, CSV and a figure."""
    results = [json.loads(path.read_text()) for path in sorted(out.glob("*/result.json"))]
    if not results:
        raise SystemExit(f"no result.json in the folders of {out}; run few-shot or one-class first")
    rows = []
    for found in results:
        known = PUBLISHED.get((found["command"], found["learner"], found["shots"]), (None, None))
        published = known[0 if found["transductive"] else 1]
        rows.append(
            [
                f"{found['command']}, {found['learner']}, K = {found['shots']}"
                + "".join(f", {option}" for option in OPTIONS if found.get(option)),
                found["normalisation"] + (" (transductive)" if found["transductive"] else ""),
                *(_percent(found, name) for name in ("accuracy", "auroc")),
                "" if published is None else f"{published:g}",
                f"{found['iterations'] * found['meta_batch']:,}",
                f"{found['seconds'] / 60:.0f}",
            ]
        )
    header = ["", "normalisation", "accuracy %", "AUROC %", "published", "tasks", "minutes"]
    table = markdown_table(header, rows)
    (out / "omniglot.md").write_text(table)
    pd.DataFrame(rows, columns=header).to_csv(out / "omniglot.csv", index=False)
    draw_curves(results, out / "omniglot.png")
    print(table)


def _percent(found: dict[str, Any], name: str) -> str:
    if name not in found:
        return ""
    return f"{100 * found[name]:.2f} ± {100 * found[f'{name}_interval']:.2f}"


def draw_curves(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw validation accuracy against tasks seen, a panel for each kind of task."""
    kinds = sorted({(found["command"], found["shots"]) for found in results})
    figure, axes = panels(len(kinds))
    for ax, kind in zip(axes, kinds, strict=True):
        for found in (r for r in results if (r["command"], r["shots"]) == kind):
            tasks, accuracy = np.array(found["curve"]).T
            style = "-" if found["transductive"] else "--"
            label = f"{found['learner']}, {found['normalisation']}"
            label += "".join(f", {option}" for option in OPTIONS if found.get(option))
            ax.plot(tasks / 1000, 100 * accuracy, style, label=label)
        ax.set(title=f"{kind[0]}, K = {kind[1]}", xlabel="thousand tasks", ylim=(80, 100))
        ax.legend(frameon=False, fontsize=7)
    axes[0].set_ylabel("validation accuracy, %")
    figure.savefig(path)


if __name__ == "__main__":
    main()
