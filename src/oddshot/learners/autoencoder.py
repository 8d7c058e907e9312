"""The meta-trained adversarially augmented autoencoder: a start that a few steps adapt."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import log
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from oddshot.episodes import ANOMALY, MappedTask
from oddshot.learners.adversarial import (
    PLAYERS,
    AdversarialAutoencoder,
    Chance,
    adversarial_loss,
    discrimination_loss,
    hold_off_loss,
    spread_of,
)
from oddshot.learners.learner import (
    Detector,
    Learner,
    Shape,
    TaskBatch,
    normal_rows,
    require_normal_rows,
    require_queries,
)
from oddshot.learners.standardisation import (
    moments,
    standard_facts,
    standard_rows,
    unstandardised,
)
from oddshot.losses import binary_cross_entropy, ranking_loss
from oddshot.networks import Params, PerceptronCoder
from oddshot.networks.host import differentiable, out_of_inference

_OUTER: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "ranking": ranking_loss,
    "bce": partial(binary_cross_entropy, balanced=True),
}
_RATE = "rate."  # prefix of logarithms of step sizes among the parameters
_FLAT = 1e-16  # mean squared slope below which a step is shorter
_SEED = 0  # of what is drawn in the inner loop, the same for every task
_FIRST = -5.0  # softplus of it, the first weight of label-aware coordinates, is close to 0


class AutoencoderLearner(Learner):
    """The four networks of `oddshot.learners.adversarial`, started where few steps are enough.

    A task's networks begin with the meta-learned parameters. In each inner step every player goes
    down its own loss on the support: encoder and decoder L_rec, the discriminator
    ``lambda_1 L_dis``, the generator ``lambda_2 (L_adv + hold-off)``. That needs no label: normal
    and unlabelled rows are taken for normal; known anomalies, where there are any, join the virtual
    ones. A row's score is the discriminator's logit.

    Steps have a length that does not depend on the loss: each task's gradient is scaled to a root
    mean square of 1 in every tensor, because those of the discriminator, whose weights are
    exponentials, differ by orders of magnitude. Their length falls to 0 in a straight line, which
    averages out what is drawn.

    Networks see rows standardised by what the supports of the training tasks look like. Higher is
    odder in mapped coordinates, so virtual anomalies go upwards only, and the discriminator is
    monotone. Label-aware coordinates are 0 in every support, have no spread there, and so stay out
    of the game; in new rows they add to the score with weights that are positive, depend on the
    facts on the table, and are meta-learned alone.

    What is drawn in the inner loop is the same for every task and call, and does not depend on the
    order of rows: a detector is a function of its support. Rows are no images here.

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    hidden
        Width of the hidden layers, an even number.
    inner_steps, test_steps
        Steps on the support in meta-training, and when a detector is made.
    inner_rate, lambda_1, lambda_2
        Length of the first step, and how much faster than the autoencoder discriminator and
        generator go.
    learn_rates
        Learn the three step sizes; they start at what ``inner_rate`` and the two factors say.
    virtual
        Virtual anomalies in a step.
    reach, far, hold_off
        Least and largest radius of virtual anomalies, share of codes from the whole box, and
        weight of what keeps them off the normal rows; see `oddshot.learners.adversarial`.
    outer_loss
        How adapted scores are judged on the query: "ranking", or "bce", both classes alike.
    upkeep
        Weight, beside that, of L_rec on the normal rows of the query and of the generator's loss,
        both after adaptation. Without them encoder, decoder and generator would learn only through
        ``second_order``.
    second_order
        Differentiate through the inner gradients.

    Raises
    ------
    SettingError
        If a setting has a value it cannot take.

    Examples
    --------
    >>> learner = AutoencoderLearner(Shape(4, 2, 3, 2), hidden=8)
    >>> params = learner.initial_parameters(torch.Generator().manual_seed(0))
    >>> round(params["rate.discriminator"].exp().item(), 3)
    0.03
    """

    name: ClassVar[str] = "aae"

    def __init__(
        self,
        shape: Shape,
        *,
        hidden: int = 32,
        inner_steps: int = 8,
        test_steps: int = 20,
        inner_rate: float = 0.003,
        lambda_1: float = 10.0,
        lambda_2: float = 1.0,
        learn_rates: bool = True,
        virtual: int = 32,
        reach: tuple[float, float] = (0.1, 2.0),
        far: float = 0.3,
        hold_off: float = 1.0,
        outer_loss: str = "ranking",
        upkeep: float = 1.0,
        second_order: bool = False,
    ) -> None:
        super().__init__(
            shape,
            hidden=hidden,
            inner_steps=inner_steps,
            test_steps=test_steps,
            inner_rate=inner_rate,
            lambda_1=lambda_1,
            lambda_2=lambda_2,
            learn_rates=learn_rates,
            virtual=virtual,
            reach=list(reach),
            far=far,
            hold_off=hold_off,
            outer_loss=outer_loss,
            upkeep=upkeep,
            second_order=second_order,
        )

        self._require(hidden >= 2 and hidden % 2 == 0, "hidden", hidden, "an even number above 0")
        for name, steps in (("inner_steps", inner_steps), ("test_steps", test_steps)):
            self._require(steps >= 0, name, steps, "0 or more")
        for name, amount in (
            ("inner_rate", inner_rate),
            ("lambda_1", lambda_1),
            ("lambda_2", lambda_2),
        ):
            self._require(amount > 0, name, amount, "a number above 0")
        self._require(virtual >= 1, "virtual", virtual, "1 or more")
        fits = len(reach) == 2 and 0 < reach[0] <= reach[1]
        self._require(fits, "reach", list(reach), "two numbers above 0, the smaller first")
        self._require(0 <= far <= 1, "far", far, "a share from 0 to 1")
        for name, weight in (("hold_off", hold_off), ("upkeep", upkeep)):
            self._require(weight >= 0, name, weight, "0 or more")
        self._require(outer_loss in _OUTER, "outer_loss", outer_loss, " or ".join(_OUTER))
        self._steps, self._test_steps = inner_steps, test_steps
        self._first_rates = dict(
            zip(PLAYERS, (inner_rate, inner_rate * lambda_1, inner_rate * lambda_2), strict=True)
        )
        self._learn_rates, self._second_order = learn_rates, second_order
        self._virtual, self._reach, self._far = virtual, (reach[0], reach[1]), far
        self._hold_off, self._upkeep, self._outer_loss = hold_off, upkeep, _OUTER[outer_loss]
        width = shape.coordinates * shape.channels
        self._networks = AdversarialAutoencoder(
            PerceptronCoder(width, hidden=hidden), width, hidden=hidden, one_sided=True
        )

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw the four networks; means are 0 and gains 1."""
        width = self.shape.coordinates * self.shape.channels
        params = {
            **self._networks.initial_parameters(generator),
            "known_weight": torch.full((width,), _FIRST, dtype=torch.float32),
            "known_by_facts": torch.zeros(self.shape.table, width, dtype=torch.float32),
            **unstandardised(self.shape),
        }
        if self._learn_rates:
            for player, rate in self._first_rates.items():
                params[_RATE + player] = torch.tensor(log(rate), dtype=torch.float32)
        return params

    def constants(self, tasks: Sequence[MappedTask]) -> Params:
        """Take mean and inverse spread of support rows and facts, over the training tasks.

        Raises
        ------
        DataError
            If the support of a task has neither normal nor unlabelled rows, or no query has
            anything to learn from.
        """
        require_normal_rows(tasks)
        require_queries(tasks, ranked=self._outer_loss is ranking_loss and not self._upkeep)
        return moments(tasks)

    @differentiable()
    def meta_loss(
        self,
        params: Params,
        batch: TaskBatch,
        *,
        done: float = 1.0,  # noqa: ARG002
    ) -> Tensor:
        """Outer loss (B,) of the adapted detectors on the queries, and upkeep of the others."""
        support = self._support(params, batch)
        adapted = self._adapted(params, support, self._steps)
        scores = self._score(params, adapted, batch.table, batch.query)
        loss = self._outer_loss(scores, batch.query_labels, batch.query_mask)
        if not self._upkeep:
            return loss
        rows = standard_rows(params, batch.query).flatten(2)
        normal = batch.query_mask & (batch.query_labels != ANOMALY)
        kept = self._networks.reconstruction_loss(adapted, rows, normal)
        owners = _owners(adapted)
        others = {n: v if owners[n] == "generator" else v.detach() for n, v in adapted.items()}
        *_, chance = self._chances(self._steps + 1, support)
        generator = self._losses(support, chance, others)["generator"]
        return loss + self._upkeep * (kept + generator)

    @differentiable()
    def detector(self, params: Params, batch: TaskBatch) -> Detector:
        """Adapt all four networks to each task's support; scores are logits of being an anomaly.

        Raises
        ------
        DataError
            If the support of a task has neither normal nor unlabelled rows.
        """
        adapted = self._adapted(params, self._support(params, batch), self._test_steps)
        return partial(self._score, params, adapted, batch.table)

    def _score(self, params: Params, adapted: Params, table: Tensor, rows: Tensor) -> Tensor:
        """Logits (B, n) of mapped rows (B, n, C, channels)."""
        facts = standard_facts(params, table)
        weights = softplus(params["known_weight"] + facts @ params["known_by_facts"])
        # supports show nothing of what is judged directly
        weights = weights * (params["row_gain"].flatten() == 0)
        direct = torch.einsum("bnd,bd->bn", rows.flatten(2), weights)
        return self._networks.score(adapted, standard_rows(params, rows).flatten(2)) + direct

    def _adapted(self, params: Params, support: "_Support", steps: int) -> Params:
        """Return the networks' parameters (B, ...) after some steps of the players' game."""
        graph = self._second_order and torch.is_grad_enabled()
        rates = {
            player: params[_RATE + player].exp() if self._learn_rates else rate
            for player, rate in self._first_rates.items()
        }
        owners = _owners(params)
        start = {n: out_of_inference(params[n]) for n in owners}
        here = {n: value.expand(len(support.rows), *value.shape) for n, value in start.items()}
        for step, chance in enumerate(self._chances(steps, support)):
            left = 1 - step / steps
            slopes = self._slopes(support, chance, here, graph=graph)
            for name, player in owners.items():
                size = left * rates[player]
                here[name] = here[name] - size * _of_unit_size(slopes[name])
        return here

    def _slopes(
        self, support: "_Support", chance: Chance, params: Params, *, graph: bool
    ) -> Params:
        """Differentiate each player's loss by its own parameters, which is all that moves it."""
        slopes: Params = {}
        with torch.enable_grad():
            here = {
                name: value if graph and value.requires_grad else value.detach().requires_grad_()
                for name, value in params.items()
            }
            for player, loss in self._losses(support, chance, here).items():
                own = {name: here[name] for name, owner in _owners(here).items() if owner == player}
                found = torch.autograd.grad(
                    loss.sum(), tuple(own.values()), create_graph=graph, retain_graph=True
                )
                slopes |= dict(zip(own, found, strict=True))
        return slopes

    def _losses(self, support: "_Support", chance: Chance, params: Params) -> dict[str, Tensor]:
        """Tell what each player goes down: (B,), by player."""
        networks = self._networks
        virtual = networks.virtual(params, support.models, chance, support.spread) * support.alive
        everyone = torch.ones_like(virtual[..., 0], dtype=torch.bool)
        scores, fooled = (networks.score(params, rows) for rows in (support.rows, virtual))
        odd, is_odd = torch.cat([fooled, scores], 1), torch.cat([everyone, support.known], 1)
        crowding = hold_off_loss(virtual, support.rows, support.normal)
        return {
            "autoencoder": networks.reconstruction_loss(params, support.rows, support.normal),
            "discriminator": discrimination_loss(scores, support.normal, odd, is_odd),
            "generator": adversarial_loss(fooled, everyone) + self._hold_off * crowding,
        }

    def _support(self, params: Params, batch: TaskBatch) -> "_Support":
        normal = normal_rows(batch)
        known = batch.support_mask & (batch.support_labels == ANOMALY)
        mapped = batch.support.masked_fill(~batch.support_mask[..., None, None], 0).flatten(2)
        order = _in_order(mapped, normal)
        # as many from every part of the order
        places = torch.arange(self._virtual, device=order.device) * normal.sum(1, keepdim=True)
        chosen = order.gather(1, places // self._virtual)[..., None]
        rows = standard_rows(params, mapped.view_as(batch.support)).flatten(2)
        return _Support(
            rows=rows,
            normal=normal,
            known=known,
            models=rows.gather(1, chosen.expand(-1, -1, rows.shape[2])),
            spread=spread_of(rows, normal),
            alive=params["row_gain"].flatten() > 0,
        )

    def _chances(self, steps: int, support: "_Support") -> Iterator[Chance]:
        """Draw for one task, step by step, and let all have the same."""
        generator = torch.Generator().manual_seed(_SEED)
        models = support.models
        for _ in range(steps):
            chance = Chance.draw(
                (1, *models.shape[1:]),
                generator,
                reach=self._reach,
                far=self._far,
                one_sided=True,
            )
            yield Chance(
                directions=chance.directions.to(models).expand_as(models),
                radii=chance.radii.to(models).expand(*models.shape[:2], 1),
                far=chance.far.to(models.device).expand(*models.shape[:2], 1),
                places=chance.places.to(models).expand_as(models),
            )


@dataclass(frozen=True, slots=True)
class _Support:
    """The supports of B tasks.

    Parameters
    ----------
    rows
        Shape (B, S, d): standardised; padding is what 0 becomes.
    normal, known
        Shape (B, S): rows taken for normal, and known anomalies.
    models
        Shape (B, V, d): the normal rows that virtual anomalies are made from.
    spread
        Shape (B, 1, 1): of the normal rows.
    alive
        Shape (d,): coordinates that supports show anything of.
    """

    rows: Tensor
    normal: Tensor
    known: Tensor
    models: Tensor
    spread: Tensor
    alive: Tensor


def _owners(names: Iterable[str]) -> dict[str, str]:
    """Say which player a parameter belongs to; those outside the game are left out."""
    return {n: player for n in names for player, parts in PLAYERS.items() if n.startswith(parts)}


def _of_unit_size(slopes: Tensor) -> Tensor:
    """Scale each task's slopes (B, ...) to a root mean square of 1."""
    square = slopes.square().flatten(1).mean(1)
    return slopes * (square + _FLAT).rsqrt().view(-1, *(1,) * (slopes.ndim - 1))


def _in_order(rows: Tensor, members: Tensor) -> Tensor:
    """Put members (B, n) of rows (B, n, d) first, in an order that their content decides: (B, n).

    The order is that of a fixed random projection.
    """
    generator = torch.Generator().manual_seed(_SEED)
    axis = torch.randn(rows.shape[2], generator=generator, dtype=torch.float64)
    places = (rows.double() @ axis.to(rows.device)).masked_fill(~members, torch.inf)
    return places.argsort(1)
