"""Optimisation-based meta-learning: a small network that a few gradient steps adapt."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import silu

from oddshot.errors import SettingError
from oddshot.learners.inner_loop import adapt
from oddshot.learners.learner import Detector, Learner, Params, Shape, TaskBatch
from oddshot.losses import binary_cross_entropy, focal_loss, ranking_loss

Loss: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

# Balanced, so that five anomalies among five hundred rows pull as hard as the rest together.
_INNER_LOSSES: dict[str, Loss] = {
    "bce": partial(binary_cross_entropy, balanced=True),
    "focal": partial(focal_loss, alpha=0.5, balanced=True),
}
_OUTER_LOSSES: dict[str, Loss] = {**_INNER_LOSSES, "ranking": ranking_loss}


class GradientLearner(Learner):
    """MAML (Finn et al. 2017): an initialisation from which a few steps make a good detector.

    The network reads a mapped row beside the facts on its table and gives one score. The inner
    loop takes gradient steps on the support: known anomalies are class 1, all other rows class 0;
    without a known anomaly it is one-class. The outer loss is taken on the query, and its gradient
    goes through the inner steps.

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    hidden
        Widths of the hidden layers; empty: a linear detector.
    inner_steps, inner_rate
        Number and size of the gradient steps on the support.
    learn_rates
        Learn a step size for every parameter, starting from ``inner_rate`` (Meta-SGD, Li et al.
        2017).
    inner_loss
        "bce" or "focal".
    outer_loss
        "bce", "focal" or "ranking".
    second_order
        Differentiate through the inner gradients; False is FOMAML.
    inner_decay
        Weight of ``|theta|^2 / 2`` in the inner loss.

    Raises
    ------
    SettingError
        If a setting has a value it cannot take.
    """

    name: ClassVar[str] = "maml"

    def __init__(
        self,
        shape: Shape,
        *,
        hidden: Sequence[int] = (32,),
        inner_steps: int = 3,
        inner_rate: float = 0.05,
        learn_rates: bool = False,
        inner_loss: str = "bce",
        outer_loss: str = "bce",
        second_order: bool = True,
        inner_decay: float = 0.0,
    ) -> None:
        super().__init__(
            shape,
            hidden=list(hidden),
            inner_steps=inner_steps,
            inner_rate=inner_rate,
            learn_rates=learn_rates,
            inner_loss=inner_loss,
            outer_loss=outer_loss,
            second_order=second_order,
            inner_decay=inner_decay,
        )
        _require(all(width >= 1 for width in hidden), "hidden", hidden, "widths of 1 or more")
        _require(inner_steps >= 0, "inner_steps", inner_steps, "0 or more")
        _require(inner_rate > 0, "inner_rate", inner_rate, "a number above 0")
        _require(inner_decay >= 0, "inner_decay", inner_decay, "0 or more")
        _require(inner_loss in _INNER_LOSSES, "inner_loss", inner_loss, " or ".join(_INNER_LOSSES))
        _require(outer_loss in _OUTER_LOSSES, "outer_loss", outer_loss, " or ".join(_OUTER_LOSSES))
        self._widths = [shape.coordinates * shape.channels + shape.table, *hidden, 1]
        self._inner_loss = _INNER_LOSSES[inner_loss]
        self._outer_loss = _OUTER_LOSSES[outer_loss]
        self._steps, self._rate, self._learn_rates = inner_steps, inner_rate, learn_rates
        self._second_order, self._decay = second_order, inner_decay

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw weights with variance 2 / fan-in (He et al. 2015); biases are 0."""
        params: Params = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(self._widths)):
            weight = torch.randn(fan_in, fan_out, generator=generator)
            params[f"weight{layer}"] = weight * (2 / fan_in) ** 0.5
            params[f"bias{layer}"] = torch.zeros(1, fan_out)
        if self._learn_rates:
            rates = {f"rate.{n}": torch.full_like(p, self._rate) for n, p in params.items()}
            params.update(rates)
        return params

    def meta_loss(self, params: Params, batch: TaskBatch) -> Tensor:
        """Outer loss (B,) of the adapted detectors on the queries."""
        scores = self.detector(params, batch)(batch.query)
        return self._outer_loss(scores, batch.query_labels, batch.query_mask)

    def detector(self, params: Params, batch: TaskBatch) -> Detector:
        """Adapt the network to each task's support; scores are logits of being an anomaly."""
        shared = {n: p for n, p in params.items() if not n.startswith("rate.")}
        rates = {n: params.get(f"rate.{n}", self._rate) for n in shared}
        tasks = len(batch)
        adapted = adapt(
            partial(self._support_loss, batch),
            {n: p.expand(tasks, *p.shape) for n, p in shared.items()},
            rates,
            steps=self._steps,
            second_order=self._second_order,
        )
        return partial(self._score, adapted, batch.table)

    def _support_loss(self, batch: TaskBatch, params: Params) -> Tensor:
        scores = self._score(params, batch.table, batch.support)
        loss = self._inner_loss(scores, batch.support_labels, batch.support_mask)
        if self._decay:
            squares = torch.stack([p.square().sum((1, 2)) for p in params.values()])
            loss = loss + self._decay / 2 * squares.sum(0)
        return loss

    def _score(self, params: Params, table: Tensor, rows: Tensor) -> Tensor:
        """Run each task's own network over its rows (B, n, C, 2)."""
        facts = table[:, None, :].expand(-1, rows.shape[1], -1)
        values = torch.cat([rows.flatten(2), facts], -1)
        last = len(self._widths) - 2
        for layer in range(last + 1):
            values = torch.baddbmm(params[f"bias{layer}"], values, params[f"weight{layer}"])
            if layer < last:
                values = silu(values)  # smooth, so that second derivatives say something
        return values.squeeze(-1)


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise SettingError(f"maml setting {name} is {value!r}; it must be {allowed}")
