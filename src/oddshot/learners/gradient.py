"""MAML and its family on mapped tables: a network that a few gradient steps adapt."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from oddshot.episodes import ANOMALY, MappedTask
from oddshot.errors import SettingError
from oddshot.learners.adaptation import Adaptation
from oddshot.learners.inner_loop import Rows
from oddshot.learners.learner import (
    Detector,
    Learner,
    Shape,
    TaskBatch,
    beside_facts,
    require_normal_rows,
    require_queries,
)
from oddshot.losses import (
    binary_cross_entropy,
    deviation_loss,
    focal_loss,
    ranking_loss,
    row_weights,
)
from oddshot.networks import Params, Perceptron, SmoothCrossEntropy
from oddshot.networks.host import differentiable

_Score: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

_INNER = ("bce", "focal")
_OUTER = (*_INNER, "deviation", "ranking")


class GradientLearner(Learner):
    """MAML (Finn et al. 2017): an initialisation from which a few steps make a good detector.

    The network reads a mapped row beside the facts on its table and gives one score. The inner
    loop takes gradient steps on the support: known anomalies are class 1, all other rows class 0;
    without a known anomaly it is one-class. The outer loss is taken on the query, and its gradient
    goes through the inner steps. See `Adaptation` for what varies.

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    hidden
        Widths of the hidden layers; empty: a linear detector.
    inner_steps, inner_rate, inner_decay, clip_norm
        Number and size of the gradient steps on the support, the weight of ``|theta|^2 / 2`` in
        the inner loss, and the largest norm of an inner gradient.
    learn_rates
        "no", "parameter" (Meta-SGD, Li et al. 2017) or "step" (by tensor and step, MAML++).
    multi_step
        Share of meta-training during which the outer loss is also taken before the last step; not
        with ``reptile``.
    inner_loss
        "bce" or "focal".
    outer_loss
        "bce", "focal", "deviation" or "ranking". Reptile learns from its inner loss alone, so there
        it is no more than the figure that is reported.
    beta
        How classes weigh in the losses that add up over rows, see `binary_cross_entropy`: 1 gives
        both the same weight, so that five anomalies among five hundred rows pull as hard as the
        rest together.
    alpha, gamma
        Of the focal loss.
    label_smoothing
        Of cross-entropy outside; other outer losses know none.
    one_class
        Leave known anomalies out of the inner loop: OC-MAML (Frikha et al. 2021). Reptile, which
        learns from its inner loop alone, leaves them out when it adapts and not in meta-training:
        else it would learn that everything is normal.
    second_order
        Differentiate through the inner gradients; False is FOMAML.
    adapts
        "all" parameters, those of the "head" (ANIL), or the "biases".
    reptile
        Move towards the parameters that all rows of a task adapt to, support and query alike.

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
        inner_decay: float = 0.0,
        clip_norm: float | None = None,
        learn_rates: str = "no",
        multi_step: float = 0.0,
        inner_loss: str = "bce",
        outer_loss: str = "bce",
        beta: float = 1.0,
        alpha: float = 0.5,
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
        one_class: bool = False,
        second_order: bool = True,
        adapts: str = "all",
        reptile: bool = False,
    ) -> None:
        varied = {
            "learn_rates": learn_rates,
            "second_order": second_order,
            "adapts": adapts,
            "reptile": reptile,
            **self.fixed,
        }
        super().__init__(
            shape,
            hidden=list(hidden),
            inner_steps=inner_steps,
            inner_rate=inner_rate,
            inner_decay=inner_decay,
            clip_norm=clip_norm,
            multi_step=multi_step,
            inner_loss=inner_loss,
            outer_loss=outer_loss,
            beta=beta,
            alpha=alpha,
            gamma=gamma,
            label_smoothing=label_smoothing,
            one_class=one_class,
            **{name: value for name, value in varied.items() if name not in self.fixed},
        )

        self._require(inner_loss in _INNER, "inner_loss", inner_loss, " or ".join(_INNER))
        self._require(outer_loss in _OUTER, "outer_loss", outer_loss, " or ".join(_OUTER))
        self._require(inner_steps >= 0, "inner_steps", inner_steps, "0 or more")
        self._require(inner_rate > 0, "inner_rate", inner_rate, "a number above 0")
        self._require(inner_decay >= 0, "inner_decay", inner_decay, "0 or more")
        self._require(all(w >= 1 for w in hidden), "hidden", list(hidden), "widths of 1 or more")
        for setting, share in (("beta", beta), ("label_smoothing", label_smoothing)):
            self._require(0 <= share <= 1, setting, share, "from 0 to 1")
        self._require(0 < alpha < 1, "alpha", alpha, "between 0 and 1")
        self._require(gamma >= 0, "gamma", gamma, "0 or more")
        try:
            self._adaptation = Adaptation(
                steps=inner_steps,
                rate=inner_rate,
                decay=inner_decay,
                clip_norm=clip_norm,
                multi_step=multi_step,
                **varied,
            )
        except SettingError as error:
            raise SettingError(f"{self.name} setting {error}") from None
        inputs = shape.coordinates * shape.channels + shape.table
        # silu is smooth, so that second derivatives say something
        self._network = Perceptron([inputs, *hidden, 1], activation="silu")
        self._beta, self._one_class = beta, one_class
        focal = partial(focal_loss, alpha=alpha, gamma=gamma, beta=beta)
        self._inner_loss: _Score | None = None if inner_loss == "bce" else focal
        outer: dict[str, _Score] = {
            "bce": partial(binary_cross_entropy, beta=beta, label_smoothing=label_smoothing),
            "focal": focal,
            "deviation": partial(deviation_loss, beta=beta),
            "ranking": ranking_loss,
        }
        self._outer_loss = outer[outer_loss]

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw the network, and the step sizes that are learned."""
        return self._adaptation.initial_parameters(self._network, generator)

    def constants(self, tasks: Sequence[MappedTask]) -> Params:
        """Return nothing: everything is trained.

        Raises
        ------
        DataError
            If no query has what the outer loss learns from, or, with ``one_class``, the support of
            a task has neither normal nor unlabelled rows. Reptile learns from any row.
        """
        if not self._adaptation.reptile:
            require_queries(tasks, ranked=self._outer_loss is ranking_loss)
            if self._one_class:
                require_normal_rows(tasks)
        return {}

    @differentiable()
    def meta_loss(self, params: Params, batch: TaskBatch, *, done: float = 1.0) -> Tensor:
        """Outer loss (B,) of the adapted detectors on the queries."""
        outer = self._outer_loss

        def loss(outputs: Tensor) -> Tensor:
            return outer(outputs.squeeze(-1), batch.query_labels, batch.query_mask)

        query = Rows(beside_facts(batch.table, batch.query), loss)
        if self._adaptation.reptile:  # all that it learns it learns from these rows
            support = self._support(_all_rows(batch), one_class=False)
        else:
            support = self._support(batch, one_class=self._one_class)
        return self._adaptation.meta_loss(self._network, params, support, query, done=done)

    @differentiable()
    def detector(self, params: Params, batch: TaskBatch) -> Detector:
        """Adapt the network to each task's support; scores are logits of being an anomaly."""
        adapted = self._adaptation.adapted(
            self._network, params, self._support(batch, one_class=self._one_class)
        )
        table = batch.table

        def score(rows: Tensor) -> Tensor:
            return self._network(adapted, beside_facts(table, rows)).squeeze(-1)

        return score

    def _support(self, batch: TaskBatch, *, one_class: bool) -> Rows:
        labels, mask = batch.support_labels, batch.support_mask
        if one_class:
            mask = mask & (labels != ANOMALY)
        inputs = beside_facts(batch.table, batch.support)
        inner = self._inner_loss
        if inner is None:
            weights = row_weights(labels, mask, inputs, beta=self._beta)
            targets = (labels == ANOMALY).to(inputs.dtype)
            return Rows(inputs, SmoothCrossEntropy(targets[..., None], weights[..., None]))
        return Rows(inputs, lambda outputs: inner(outputs.squeeze(-1), labels, mask))


class FirstOrderLearner(GradientLearner):
    """FOMAML (Finn et al. 2017, section 5.2): MAML whose inner gradients are constants."""

    name = "fomaml"
    fixed = MappingProxyType({"second_order": False})


class HeadLearner(GradientLearner):
    """ANIL (Raghu et al. 2020): MAML that adapts the last layer alone."""

    name = "anil"
    fixed = MappingProxyType({"adapts": "head"})


class RateLearner(GradientLearner):
    """Meta-SGD (Li et al. 2017): MAML that learns a step size for every parameter."""

    name = "meta_sgd"
    fixed = MappingProxyType({"learn_rates": "parameter"})


class ReptileLearner(GradientLearner):
    """Reptile (Nichol et al. 2018): a start that lies close to what tasks adapt to."""

    name = "reptile"
    fixed = MappingProxyType({"reptile": True, "second_order": False, "learn_rates": "no"})


def _all_rows(batch: TaskBatch) -> TaskBatch:
    """Let the query be part of the support, with its labels."""
    return replace(
        batch,
        support=torch.cat([batch.support, batch.query], 1),
        support_labels=torch.cat([batch.support_labels, batch.query_labels], 1),
        support_mask=torch.cat([batch.support_mask, batch.query_mask], 1),
    )
