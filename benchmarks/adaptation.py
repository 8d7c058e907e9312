"""Whether gradient steps on the support make better detectors of mapped rows than none.

    scripts/train-priors    # maps the episodes
    OMP_NUM_THREADS=1 python benchmarks/adaptation.py runs/episodes --out results/adaptation

Families are divided as ``meta_train(holdout_fold=(i, 4))`` does it. Every variant is trained on the
families of the other folds, with the same seed, steps and batches, and tested on the episodes of
fold i. AUROC and AP are means over the episodes of a family, then over families, apart for clean
supports (all rows known to be normal, beside k known anomalies) and contaminated ones. A variant is
compared with its twin, which takes no step, by a paired bootstrap over families. What ``--out``
holds already is not run again. Writes one CSV a run, and ``summary.md``.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from oddshot.episodes import ANOMALY, UNLABELLED, MappedTask
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision, paired_bootstrap
from oddshot.learners import (
    LEARNERS,
    Detector,
    Learner,
    Params,
    Shape,
    TaskBatch,
    collate,
    restore,
)
from oddshot.learners.adaptation import Adaptation
from oddshot.learners.gated import GatedLearner
from oddshot.learners.gradient import GradientLearner
from oddshot.learners.inner_loop import Rows
from oddshot.learners.learner import beside_facts
from oddshot.losses import binary_cross_entropy, ranking_loss
from oddshot.mapping.mapping import HOLLOW, LABEL_FREE, PLAIN
from oddshot.meta_training import anchored_to, in_fold
from oddshot.networks import Perceptron
from oddshot.priors import Prior
from oddshot.reports.tables import markdown_table
from oddshot.task_store import TaskStore
from oddshot.training import train

FOLDS = 4
BATCH = 32
FEW, MANY = 1, 5  # known anomalies that bound the groups
GROUPS = ("clean, k = 0", "clean, k > 0", "k = 0", "k = 1", "k = 2 to 5", "k > 5")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to make detectors from supports, and what it is compared with.

    Parameters
    ----------
    learner, settings
        Name and settings of the learner.
    twin
        The variant that takes no step.
    recipe
        Arguments of `train` besides those that all variants share.
    change
        What is done to every task first.
    """

    learner: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    twin: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    change: Callable[[MappedTask], MappedTask] | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and compare what there is."""
    parser = argparse.ArgumentParser(description="Adaptation by gradient steps on mapped episodes.")
    parser.add_argument("episodes", type=Path, help="store of mapped episodes")
    parser.add_argument("--variant", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--fold", nargs="+", type=int, choices=range(FOLDS), default=[0, 1])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # the networks are too small to share
    print(f"machine: {machine()}", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    LEARNERS.update({kind.name: kind for kind in OWN_LEARNERS})
    store = TaskStore.open(given.episodes)
    for fold in given.fold:
        for name in given.variant:
            path = given.out / f"{name}-fold{fold}-seed{given.seed}-steps{given.steps}.csv"
            if not path.exists():
                found = run(VARIANTS[name], store, fold, seed=given.seed, steps=given.steps)
                found.assign(variant=name, fold=fold).to_csv(path, index=False)
                mean = found.groupby("group")["auroc"].mean()
                print(f"{path.stem}: {found['seconds'][0]:.0f} s, {mean.to_dict()}", flush=True)
    ending = f"seed{given.seed}-steps{given.steps}.csv"
    results = pd.concat([pd.read_csv(path) for path in sorted(given.out.glob(f"*-{ending}"))])
    summary = as_markdown(results)
    (given.out / "summary.md").write_text(summary)
    print(summary)


def run(variant: Variant, store: TaskStore, fold: int, *, seed: int, steps: int) -> pd.DataFrame:
    """Train on the other folds and test on this one: a row for every episode."""
    families = {task.family for task in store}
    unseen = {family for family in families if in_fold(family, fold, FOLDS)}
    seen: Sequence[MappedTask] = store.of_families(families - unseen)
    judged: Sequence[MappedTask] = store.of_families(unseen)
    groups = [group(task) for task in judged]
    if variant.change:
        seen, judged = ([variant.change(task) for task in part] for part in (seen, judged))
    began = time.perf_counter()
    prior = train(
        seen,
        learner=variant.learner,
        settings=variant.settings,
        seed=seed,
        steps=steps,
        batch_size=BATCH,
        **variant.recipe,
    )
    found = pd.DataFrame(test(prior, judged, groups))
    return found.assign(seconds=time.perf_counter() - began)


def test(
    prior: Prior, tasks: Sequence[MappedTask], groups: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Judge the queries of tasks that belong to groups: a row for each that has both classes."""
    learner, params = restore(prior)
    for first in range(0, len(tasks), BATCH):
        part = tasks[first : first + BATCH]
        batch = collate(part)
        with torch.no_grad():
            scored = learner.detector(params, batch)(batch.query).double().numpy()
        for task, name, scores in zip(part, groups[first:], scored, strict=False):
            truth = task.query_labels
            if len(np.unique(truth)) == 2:
                found = scores[: len(truth)]
                yield {
                    "family": task.family,
                    "group": name,
                    "auroc": auroc(truth, found),
                    "ap": average_precision(truth, found),
                }


def group(task: MappedTask) -> str:
    """Tell episodes apart by what their support knows."""
    known = int((task.support_labels == ANOMALY).sum())
    if not (task.support_labels == UNLABELLED).any():
        return GROUPS[0] if known == 0 else GROUPS[1]
    return GROUPS[2 + (known > 0) + (known > FEW) + (known > MANY)]


def lent(task: MappedTask) -> MappedTask:
    """Move rows of the query to the support, as many anomalies as are known, and replace it.

    Label-aware coordinates are fitted on the known anomalies, so those have none that can be
    trusted, but new rows do. This lends the support more labels than the user gave: an upper bound
    on what coordinates that leave rows out could bring.
    """
    anomalous = np.flatnonzero(task.query_labels == ANOMALY)
    normal = np.flatnonzero(task.query_labels != ANOMALY)
    known = min(int((task.support_labels == ANOMALY).sum()), len(anomalous) // 2)
    if not known:
        return task
    rest = int(task.support_labels[-1])
    moved = np.concatenate([anomalous[:known], normal[: len(normal) // 2]])
    labels = np.full(len(moved), rest, np.int8)
    labels[:known] = ANOMALY
    kept = np.setdiff1d(np.arange(len(task.query)), moved)
    return replace(
        task,
        support=task.query[moved],
        support_labels=labels,
        query=task.query[kept],
        query_labels=task.query_labels[kept],
    )


def label_free(task: MappedTask) -> MappedTask:
    """Hide label-aware coordinates, so that labels count in the inner loop alone."""
    query, evidence = task.query.copy(), task.summary.evidence.copy()
    query[:, len(LABEL_FREE) :] = 0
    evidence[len(LABEL_FREE) :] = 0
    return replace(task, query=query, summary=replace(task.summary, evidence=evidence))


class LabelledRowsLearner(GradientLearner):
    """MAML whose inner loop leaves unlabelled rows out."""

    name = "labelled_rows"

    def _support(self, batch: TaskBatch) -> Rows:
        known = batch.support_mask & (batch.support_labels != UNLABELLED)
        return super()._support(replace(batch, support_mask=known))


class SelfSupervisedLearner(Learner):
    """MAML whose inner loop needs no label: predict some coordinates of a row from the others.

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    labelled
        Take cross-entropy of the known anomalies against the other rows too.
    """

    name = "self_supervised"

    def __init__(self, shape: Shape, *, labelled: bool = False) -> None:
        super().__init__(shape, labelled=labelled)
        self._labelled = labelled
        hidden = [at for at, name in enumerate(LABEL_FREE) if name.endswith("_quantile")]
        self._hidden = torch.tensor(hidden)
        inputs = shape.coordinates * shape.channels + shape.table
        self._network = Perceptron([inputs, 32, 1 + len(hidden)], activation="silu")
        self._adaptation = Adaptation(steps=3, rate=0.05, learn_rates="step")

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw the network and the rates."""
        return self._adaptation.initial_parameters(self._network, generator)

    def meta_loss(self, params: Params, batch: TaskBatch, *, done: float = 1.0) -> Tensor:
        """Ranking loss (B,) on the queries."""

        def loss(outputs: Tensor) -> Tensor:
            return ranking_loss(outputs[..., 0], batch.query_labels, batch.query_mask)

        query = Rows(beside_facts(batch.table, batch.query), loss)
        return self._adaptation.meta_loss(
            self._network, params, self._support(batch), query, done=done
        )

    def detector(self, params: Params, batch: TaskBatch) -> Detector:
        """Score with the first output of the adapted network."""
        adapted = self._adaptation.adapted(self._network, params, self._support(batch))
        return lambda rows: self._network(adapted, beside_facts(batch.table, rows))[..., 0]

    def _support(self, batch: TaskBatch) -> Rows:
        targets = batch.support[:, :, self._hidden, 0]
        shares = batch.support_mask / batch.support_mask.sum(1, keepdim=True)

        def loss(outputs: Tensor) -> Tensor:
            errors = (outputs[..., 1:] - targets).square().mean(-1)
            total = (shares * errors).sum(1)
            if self._labelled:
                total = total + binary_cross_entropy(
                    outputs[..., 0], batch.support_labels, batch.support_mask, balanced=True
                )
            return total

        seen = batch.support.index_fill(2, self._hidden, 0.0)
        return Rows(beside_facts(batch.table, seen), loss)


class SteppingGate(GatedLearner):
    """The gated head whose weights are corrected by steps on the support.

    Exponentiated gradient (Kivinen and Warmuth 1997, section 3), which keeps weights positive:
    ``w <- w exp(-rate dL/dw)``, L the ranking loss of known anomalies against all other rows, so
    that nothing moves without labels. Rates are learned for each step, coordinate and channel, and
    count ``k / (k + 2)`` where k anomalies are known. Label-aware coordinates of support rows are
    0: their weights stay.
    """

    name = "stepping_gate"
    inner_steps = 3
    first_rate = 0.1

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw the gate; all rates start alike."""
        params = super().initial_parameters(generator)
        rates = torch.full((self.inner_steps, *params["weight"].shape), self.first_rate)
        return {**params, "rate": rates}

    def _weights(self, params: Params, batch: TaskBatch) -> Tensor:
        weights = super()._weights(params, batch)
        graph = torch.is_grad_enabled()
        known = ((batch.support_labels == ANOMALY) & batch.support_mask).sum(1)[:, None, None]
        for rate in params["rate"]:
            with torch.enable_grad():
                here = weights if graph else weights.detach().requires_grad_()
                scores = self._score(here, batch.support)
                loss = ranking_loss(scores, batch.support_labels, batch.support_mask).sum()
                (slope,) = torch.autograd.grad(loss, here, create_graph=graph)
            weights = weights * torch.exp(-rate * known / (known + 2) * slope)
        return weights


class OneStepGate(SteppingGate):
    """A single step."""

    name = "one_step_gate"
    inner_steps = 1


class BoldGate(SteppingGate):
    """Rates start ten times as high."""

    name = "bold_gate"
    first_rate = 1.0


OWN_LEARNERS: tuple[type[Learner], ...] = (
    LabelledRowsLearner,
    SelfSupervisedLearner,
    SteppingGate,
    OneStepGate,
    BoldGate,
)


def _network(learner: str = "maml", *, twin: str | None = "none", **settings: Any) -> Variant:
    return Variant(learner=learner, settings={"outer_loss": "ranking", **settings}, twin=twin)


def _gate(learner: str = "gated", *, twin: str | None = None) -> Variant:
    recipe = {"learning_rate": 0.003, "weight_decay": 0.1}
    return Variant(learner=learner, settings=anchored_to(PLAIN, HOLLOW), twin=twin, recipe=recipe)


def _variants() -> dict[str, Variant]:
    rates = {"learn_rates": "step"}
    steady = _network(inner_steps=0, twin=None)
    variants = {
        "none": steady,
        "maml": _network(),
        "maml-step-rates": _network(**rates),
        "maml-bold": _network(inner_rate=0.5, inner_steps=5),
        "gated": _gate(),
        "gated-3-steps": _gate("stepping_gate", twin="gated"),
        "meta_sgd": _network("meta_sgd"),
        "anil": _network("anil"),
        "fomaml": _network("fomaml"),
        "reptile": replace(
            _network("reptile"),
            recipe={"optimizer": "sgd", "learning_rate": 0.5, "weight_decay": 0.0},
        ),
        "step-rates-1-step": _network(inner_steps=1, **rates),
        "step-rates-5-steps": _network(inner_steps=5, **rates),
        "biases": _network(adapts="biases", **rates),
        "one-class": _network(one_class=True, **rates),
        "beta-0": _network(beta=0.0, **rates),
        "beta-0.9": _network(beta=0.9, **rates),
        "focal": _network(inner_loss="focal", **rates),
        "labelled-rows": _network("labelled_rows", **rates),
        "self-supervised": Variant(learner="self_supervised", twin="none"),
        "self-supervised-and-labels": Variant(
            learner="self_supervised", settings={"labelled": True}, twin="none"
        ),
        "gated-1-step": _gate("one_step_gate", twin="gated"),
        "gated-bold": _gate("bold_gate", twin="gated"),
    }
    for ending, change in (("lent", lent), ("label-free", label_free)):
        for name in ("none", "maml-step-rates"):
            twin = variants[name].twin
            variants[f"{name}-{ending}"] = replace(
                variants[name], twin=twin and f"{twin}-{ending}", change=change
            )
    faster = {"learning_rate": 0.003, "weight_decay": 0.1}  # as the gated head
    variants["none-faster"] = replace(steady, recipe=faster)
    variants["maml-step-rates-faster"] = replace(
        variants["maml-step-rates"], recipe=faster, twin="none-faster"
    )
    return variants


VARIANTS = _variants()


def as_markdown(results: pd.DataFrame) -> str:
    """Set means side by side, and differences to the twins with their 95% intervals."""
    families = results.groupby(["group", "family", "variant"])[["auroc", "ap"]].mean()
    means = families.groupby(["variant", "group"]).mean()
    runs = results.groupby(["variant", "fold"])["seconds"].first().groupby("variant")
    groups = [name for name in GROUPS if name in set(results["group"])]
    found = [name for name in VARIANTS if name in runs.groups]
    rows = []
    for name in found:
        cells = [f"{means['auroc'][name, g]:.3f}/{means['ap'][name, g]:.3f}" for g in groups]
        rows.append([name, *cells, str(runs.size()[name]), f"{runs.mean()[name]:.0f}"])
    text = "AUROC/AP\n\n" + markdown_table(["", *groups, "folds", "s a fold"], rows)
    for metric in ("auroc", "ap"):
        scores = families[metric].unstack("variant")
        rows = []
        for name in found:
            twin = VARIANTS[name].twin
            if twin in found:
                pairs = [scores.loc[g, [name, twin]].dropna() for g in groups]
                cells = [f"{paired_bootstrap(p[name], p[twin])} ({len(p)})" for p in pairs]
                rows.append([f"{name} - {twin}", *cells])
        text += f"\n{metric.upper()}, difference, in brackets its interval and the families\n\n"
        text += markdown_table(["", *groups], rows)
    return text


if __name__ == "__main__":
    main()
