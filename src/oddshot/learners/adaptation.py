"""Optimisation-based meta-learning of any network: MAML and its family as arguments of one rule.

- MAML (Finn et al. 2017): gradient steps on the support, the outer gradient goes through them.
- FOMAML (the same, section 5.2): inner gradients are constants, ``second_order=False``.
- ANIL (Raghu et al. 2020): only the last layer adapts, ``adapts="head"``.
- Meta-SGD (Li et al. 2017): learns a step size for each parameter, ``learn_rates="parameter"``.
- Reptile (Nichol et al. 2018): the outer step goes to where the inner ones went, ``reptile=True``.
- MAML++ (Antoniou et al. 2019): rates by layer and step, ``learn_rates="step"``; ``multi_step``.
- One-class MAML (Frikha et al. 2021): the support holds normal rows only, the query both classes.
  That is a matter of the rows, so every one of the above can do it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from oddshot.errors import DataError, SettingError, is_number, is_whole, require
from oddshot.learners.inner_loop import Objective, Rows, adapt, task_sums, trajectory
from oddshot.networks import Network, Params, Rates, Statistics, redirect
from oddshot.networks.host import differentiable, out_of_inference
from oddshot.networks.network import depends_on_more, differentiable_once, one_a_task

RATE = "rate."  # prefix of learned step sizes among the parameters

_ADAPTS = ("all", "head", "biases")
_LEARN_RATES = ("no", "parameter", "step")
_NORMALISATION = ("batch", "support", "stored")
# as torch's layers and `Perceptron` call them; nn.MultiheadAttention's bias_k and bias_v are tokens
_BIAS = re.compile(r"bias\d*|.*_bias|bias_(ih|hh)(_l\d+(_reverse)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """How the parameters of a network become those of a task, and how they learn to.

    Parameters
    ----------
    steps, rate
        Number and size of the gradient steps on the support.
    second_order
        Differentiate through the inner gradients.
    adapts
        "all" parameters, those of the "head", or the "biases" alone: those whose last name is
        "bias", with a number or as recurrent layers number them, or ends in "_bias".
    learn_rates
        "no"; "parameter": a step size for every number that adapts; "step": one for every tensor
        and step. They start at ``rate``.
    clip_norm
        Largest Euclidean norm of a task's inner gradient.
    decay
        Weight of ``|theta|^2 / 2`` in the inner loss.
    multi_step
        Share of meta-training during which the outer loss is also taken before the last step; the
        weight of the earlier steps falls to 0 over that time (Antoniou et al. 2019, section 4).
        Reptile, which has no outer gradient, passes it over.
    reptile
        Move towards the adapted parameters instead of following the outer loss.
    normalisation
        Whose moments batch normalisation uses for query rows. "batch": those of the task's query
        rows together, which is transductive, a row's output depends on the others; "support":
        those of the support, at the same parameters (in `meta_loss`, where every step has its own
        rows, of the first step's); "stored": averages over training tasks, kept
        for every step (see `collect`), while meta-training itself is as with "batch". Without
        batch normalisation it makes no difference.

    Raises
    ------
    SettingError
        If a setting has a value it cannot take.

    Examples
    --------
    >>> from oddshot.networks import Perceptron
    >>> fomaml = Adaptation(steps=5, rate=0.1, second_order=False)
    >>> network = Perceptron([2, 1])
    >>> params = fomaml.initial_parameters(network, torch.Generator().manual_seed(0))
    >>> targets = torch.tensor([[[1.0]], [[0.0]]])
    >>> rows = Rows(torch.ones(2, 1, 2), lambda outputs: (outputs - targets).square().sum((1, 2)))
    >>> fomaml.meta_loss(network, params, rows, rows).shape
    torch.Size([2])
    """

    steps: int = 3
    rate: float = 0.05
    second_order: bool = True
    adapts: str = "all"
    learn_rates: str = "no"
    clip_norm: float | None = None
    decay: float = 0.0
    multi_step: float = 0.0
    reptile: bool = False
    normalisation: str = "support"

    def __post_init__(self) -> None:
        steps, rate, clip, decay = self.steps, self.rate, self.clip_norm, self.decay
        require(is_whole(steps) and steps >= 0, "steps", steps, "a whole number, 0 or more")
        require(is_number(rate) and rate > 0, "rate", rate, "a number above 0")
        for name in ("second_order", "reptile"):
            value = getattr(self, name)
            require(isinstance(value, bool), name, value, "True or False")
        require(self.adapts in _ADAPTS, "adapts", self.adapts, " or ".join(_ADAPTS))
        require(
            self.learn_rates in _LEARN_RATES,
            "learn_rates",
            self.learn_rates,
            " or ".join(_LEARN_RATES),
        )
        fits = clip is None or (is_number(clip) and clip > 0)
        require(fits, "clip_norm", clip, "a number above 0, or None")
        require(is_number(decay) and decay >= 0, "decay", decay, "a number, 0 or more")
        fits = is_number(self.multi_step) and 0 <= self.multi_step <= 1
        require(fits, "multi_step", self.multi_step, "a share from 0 to 1")
        require(
            self.normalisation in _NORMALISATION,
            "normalisation",
            self.normalisation,
            " or ".join(_NORMALISATION),
        )
        require(
            not (self.reptile and self.learn_rates != "no"),
            "learn_rates",
            self.learn_rates,
            "no where reptile is on: its outer step has no gradient for them",
        )

    def transductive(self, network: Network) -> bool:
        """Whether a query row's output depends on the other query rows."""
        return network.normalises and self.normalisation == "batch"

    def initial_parameters(self, network: Network, generator: torch.Generator) -> Params:
        """Draw the network's parameters, and add the step sizes that are learned."""
        _require_network(network)
        require(isinstance(generator, torch.Generator), "generator", generator, "a torch.Generator")
        params = network.initial_parameters(generator)
        if self.learn_rates == "no":
            return params
        rates = {}
        for name in self._adapting(network, params):
            shape = params[name].shape if self.learn_rates == "parameter" else (self.steps,)
            rates[RATE + name] = torch.full(shape, self.rate, dtype=params[name].dtype)
        return {**params, **rates}

    @differentiable()
    def adapted(
        self,
        network: Network,
        params: Params,
        support: Rows | Sequence[Rows],
        *,
        steps: int | None = None,
        statistics: Sequence[Statistics] | None = None,
    ) -> Params:
        """Return each task's own parameters (B, ...).

        Parameters
        ----------
        network, params
            What to adapt; parameters without a task axis, as `initial_parameters` gives them.
        support
            Rows of B tasks, one and the same for all steps or one for each.
        steps
            Another number of them; learned rates of the last step go on.
        statistics
            What `collect` returned for as many steps, if normalisation is "stored".

        Raises
        ------
        SettingError
            If ``steps`` or ``statistics`` do not go with the settings, the network has nothing to
            adapt, or the loss returns another shape than (B,).
        DataError
            If there are no tasks or no rows, or the steps see different numbers of tasks.
        """
        steps = self.steps if steps is None else steps
        rates = self._rates(network, params, steps)
        if network.normalises and self.normalisation == "stored" and statistics is None:
            raise _no_statistics()
        if statistics is not None and len(statistics) <= steps:
            raise SettingError(
                f"statistics are of {len(statistics) - 1} steps, but {steps} are to be taken; "
                f"collect them with steps={steps}"
            )
        shared = _shared(params)
        objective = self._objective(network, support, statistics)
        return adapt(
            objective,
            _start(shared, objective),
            rates,
            second_order=self.second_order,
            clip_norm=self.clip_norm,
        )

    def outputs(
        self,
        network: Network,
        adapted: Params,
        support: Tensor,
        query: Tensor,
        *,
        statistics: Sequence[Statistics] | None = None,
    ) -> Tensor:
        """Run adapted networks on query rows (B, n, ...), normalised as it was chosen."""
        if not network.normalises or self.normalisation == "batch":
            return network(adapted, query)
        if statistics is not None:
            return network(adapted, query, statistics[-1])
        if self.normalisation == "stored":
            raise _no_statistics()
        return network(adapted, query, network.run(adapted, support)[1])

    @differentiable()
    def meta_loss(
        self,
        network: Network,
        params: Params,
        support: Rows | Sequence[Rows],
        query: Rows | Sequence[Rows],
        *,
        done: float = 1.0,
    ) -> Tensor:
        """Outer loss (B,), whose gradient by ``params`` is the meta-gradient of each task.

        Parameters
        ----------
        network, params, support
            As for `adapted`.
        query
            Rows of the same tasks. A sequence: of the first few tasks, of the next, and so on; they
            are run and differentiated one after another, which takes less memory and keeps large
            rows in the processor's cache.
        done
            Share of meta-training that is over, for ``multi_step``.

        Raises
        ------
        SettingError
            If ``done`` is no share, the network has nothing to adapt, a loss returns another shape
            than (B,), or a gradient would have to go where the way of computing it does not lead:
            that of a query in parts, and of networks with formulas of their own, ends at the
            parameters.
        DataError
            If there are no tasks, no rows of the support, or none of a query whose loss is not
            finite then; or support and query are of different numbers of tasks.
        """
        fits = is_number(done) and 0 <= done <= 1
        require(fits, "done", done, "a share from 0 to 1")
        shared = _shared(params)
        objective = self._objective(network, support)
        _require_tasks(len(objective.rows[0].inputs), query)
        rates = self._rates(network, params, self.steps)
        if self.reptile:
            start = _start(shared, objective)
            return self._towards_adapted(shared, objective, start, rates, query)
        weights = self._step_weights(done)
        through = None if self.second_order or self.learn_rates != "no" else shared
        with torch.set_grad_enabled(torch.is_grad_enabled() and through is None):
            follow = trajectory if len(weights) > 1 else _last
            path = follow(
                objective,
                _start(shared, objective),
                rates,
                second_order=self.second_order,
                clip_norm=self.clip_norm,
            )
        losses = [
            self._query_losses(objective, step, query, through) for step in path[-len(weights) :]
        ]
        if len(losses) == 1:
            return losses[0]
        return torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum(0)

    def compiled(
        self,
        network: Network,
        loss: Callable[[Tensor, Tensor], Tensor],
        *,
        backend: str = "inductor",
    ) -> Callable[..., tuple[Tensor, Params]]:
        """Compile the meta-gradient with ``torch.compile``, for shapes that stay the same.

        The first call takes half a minute or so and needs a C++ compiler; calls with other shapes
        compile anew. It suits networks without hand-written derivatives, which gain nothing;
        compare with `meta_loss` before you rely on it (see ``benchmarks/meta_step.py --compile``).
        The outer loss is that after the last step, as if ``multi_step`` were over.

        Parameters
        ----------
        network
            As for `adapted`; `ConvolutionalNetwork` cannot be compiled.
        loss
            Outputs (B, n, ...) and targets (B, n, ...) to losses (B,).
        backend
            Of ``torch.compile``.

        Returns
        -------
        Callable
            From parameters, support inputs, support targets, query inputs and query targets to the
            outer losses (B,) and the gradient of their mean.

        Raises
        ------
        SettingError
            If ``reptile`` is on: its outer step is no gradient; and from the callable, if the loss
            returns another shape than (B,).
        DataError
            From the callable, as from `meta_loss`.
        """
        require(not self.reptile, "reptile", self.reptile, "off where the gradient is compiled")

        def outer(
            params: Params, x: Tensor, y: Tensor, u: Tensor, v: Tensor
        ) -> tuple[Tensor, Tensor]:
            support = Rows(x, lambda outputs: loss(outputs, y))
            objective = _FunctionalObjective(network, [support], self.decay)
            adapted = trajectory(
                objective,
                _for_tasks(_shared(params), objective),
                self._rates(network, params, self.steps),
                second_order=self.second_order,
                clip_norm=self.clip_norm,
            )[-1]
            losses = loss(self._training_outputs(network, adapted, x, u), v)
            return losses.mean(), losses

        derivative = torch.compile(torch.func.grad(outer, has_aux=True), backend=backend)

        def gradient(params: Params, *tasks: Tensor) -> tuple[Tensor, Params]:
            _require_some("support", tasks[0])
            _require_some("query", tasks[2], of=1)
            network.prepare(params)
            grads, losses = derivative({n: p.detach() for n, p in params.items()}, *tasks)
            _require_finite_if_none(losses, tasks[2])
            return one_a_task(losses, len(tasks[0])), grads  # what is traced cannot refuse

        return gradient

    @differentiable()
    @torch.no_grad()
    def collect(
        self,
        network: Network,
        params: Params,
        tasks: Iterable[tuple[Rows, Rows]],
        *,
        steps: int | None = None,
    ) -> list[Statistics]:
        """Average the moments of batch normalisation over tasks, for each step and for queries.

        Parameters
        ----------
        network, params
            As for `adapted`.
        tasks
            Supports and queries of training tasks, in batches.
        steps
            Another number of them, as for `adapted`.

        Returns
        -------
        list of Statistics
            Before each step those of the support, and at last those of the query; shapes (1, C).
        """
        steps = self.steps if steps is None else steps
        sums: list[dict[str, tuple[Tensor, Tensor]]] = []
        count = 0
        for support, query in tasks:
            objective = self._objective(network, support)
            _require_some("query", query.inputs)
            path = trajectory(
                objective,
                _start(_shared(params), objective),
                self._rates(network, params, steps),
                second_order=False,
                clip_norm=self.clip_norm,
            )
            inputs = [support.inputs] * steps + [query.inputs]
            found = [network.run(p, x)[1] for p, x in zip(path, inputs, strict=True)]
            totals = [
                {n: (m.sum(0, keepdim=True), v.sum(0, keepdim=True)) for n, (m, v) in s.items()}
                for s in found
            ]
            count += len(support.inputs)
            sums = totals if not sums else [_add(a, b) for a, b in zip(sums, totals, strict=True)]
        if not count:
            raise SettingError("there is no task to collect statistics from; give at least one")
        return [{n: (m / count, v / count) for n, (m, v) in step.items()} for step in sums]

    def _objective(
        self,
        network: Network,
        support: Rows | Sequence[Rows],
        statistics: Sequence[Statistics] | None = None,
    ) -> Objective:
        rows = _parts("support", support)
        if not rows:
            raise DataError("the support holds no rows; give those of one step at least")
        for part in rows:
            _require_some("support", part.inputs)
        counts = {len(part.inputs) for part in rows}
        if len(counts) > 1:
            raise DataError(
                f"steps see {' and '.join(map(str, sorted(counts)))} tasks; give each step rows of "
                "the same tasks"
            )
        rows = [replace(part, inputs=out_of_inference(part.inputs)) for part in rows]
        return Objective(network, rows, self.decay, statistics)

    def _adapting(self, network: Network, params: Params) -> list[str]:
        if self.adapts == "all":
            return list(params)
        if self.adapts == "head":
            return [name for name in params if name in network.head]
        biases = [name for name in params if _BIAS.fullmatch(name.rpartition(".")[2])]
        require(bool(biases), "adapts", self.adapts, "all or head for a network without biases")
        return biases

    def _rates(self, network: Network, params: Params, steps: int) -> list[Rates]:
        _require_network(network)
        require(is_whole(steps) and steps >= 0, "steps", steps, "a whole number, 0 or more")
        names = self._adapting(network, _shared(params))
        if not names:
            raise SettingError(
                f"none of the {len(params)} parameters adapts, for adapts is {self.adapts!r}; give "
                "those of initial_parameters, by their names"
            )
        if self.learn_rates == "no":
            return [dict.fromkeys(names, self.rate)] * steps
        lacking = [RATE + name for name in names if RATE + name not in params]
        if lacking:
            raise SettingError(
                f"the parameters lack {', '.join(map(repr, lacking))}, for learn_rates is "
                f"{self.learn_rates!r}; give those of this Adaptation's initial_parameters"
            )
        learned = {name: params[RATE + name] for name in names}
        if self.learn_rates == "parameter":
            return [learned] * steps
        if steps and not self.steps:
            raise SettingError(
                "learn_rates is 'step', but there are rates for no step; construct the Adaptation "
                "with steps of 1 or more"
            )
        last = self.steps - 1
        return [{n: rate[min(k, last)] for n, rate in learned.items()} for k in range(steps)]

    def _step_weights(self, done: float) -> list[float]:
        """Weights of the outer loss after the last steps, adding up to 1."""
        if self.steps < 2 or done >= self.multi_step:
            return [1.0]
        early = (1 - done / self.multi_step) / self.steps
        return [early] * (self.steps - 1) + [1 - early * (self.steps - 1)]

    def _query_losses(
        self,
        objective: Objective,
        adapted: Params,
        query: Rows | Sequence[Rows],
        through: Params | None,
    ) -> Tensor:
        support = objective.rows[0].inputs
        if isinstance(query, Rows):
            return self._losses(objective.network, adapted, support, query, through)
        values: list[Tensor] = []
        slopes: list[tuple[Tensor, ...]] = []
        first = 0
        for rows in query:
            part = slice(first, first := first + len(rows.inputs))
            leaves = {n: p[part].detach().requires_grad_() for n, p in adapted.items()}
            losses = self._losses(objective.network, leaves, support[part], rows, None)
            values.append(losses.detach())
            if losses.requires_grad:
                if depends_on_more(losses, list(leaves.values())):
                    raise SettingError(
                        "a query in parts passes on no gradient but that by the parameters, and "
                        "its rows or its loss depend on another tensor that requires one; detach "
                        "that, or give the query as one Rows"
                    )
                slopes.append(
                    torch.autograd.grad(losses.sum(), list(leaves.values()), materialize_grads=True)
                )
        value = torch.cat(values)
        if not slopes:
            return value
        known = [torch.cat(parts) for parts in zip(*slopes, strict=True)]
        to = adapted if through is None else through
        prepaid: Tensor = _Prepaid.apply(value, known, *(to[n] for n in adapted))  # type: ignore[no-untyped-call]
        return prepaid

    def _losses(
        self,
        network: Network,
        adapted: Params,
        support: Tensor,
        query: Rows,
        through: Params | None,
    ) -> Tensor:
        if network.normalises:
            if through is not None:
                adapted = redirect(adapted, through)
            outputs = self._training_outputs(network, adapted, support, query.inputs)
            losses = one_a_task(query.loss(outputs), len(outputs))
        else:
            losses = network.losses(adapted, query.inputs, query.loss, through=through)
        _require_finite_if_none(losses, query.inputs)
        return losses

    def _training_outputs(
        self, network: Network, adapted: Params, support: Tensor, query: Tensor
    ) -> Tensor:
        training = self if self.normalisation != "stored" else replace(self, normalisation="batch")
        return training.outputs(network, adapted, support, query)

    def _towards_adapted(
        self,
        shared: Params,
        objective: Objective,
        start: Params,
        rates: Sequence[Rates],
        query: Rows | Sequence[Rows],
    ) -> Tensor:
        """Outer loss by value, with the gradient ``theta - theta'`` (Nichol et al. 2018, eq. 2)."""
        with torch.no_grad():
            end = adapt(objective, start, rates, second_order=False, clip_norm=self.clip_norm)
            value = self._query_losses(objective, end, query, None)
        pulls = [task_sums(shared[name] * (start[name] - end[name]).detach()) for name in shared]
        pull = torch.stack(pulls).sum(0)
        return value + (pull - pull.detach())


class _FunctionalObjective(Objective):
    """The same objective, differentiated by ``torch.func``, which compiles."""

    def _of_loss(
        self,
        params: Params,
        names: tuple[str, ...],
        rows: Rows,
        step: int,  # noqa: ARG002
        *,
        graph: bool,
    ) -> Params:
        def total(fast: Params) -> Tensor:
            return rows.loss(self.network({**params, **fast}, rows.inputs)).sum()

        grads: Params = torch.func.grad(total)({name: params[name] for name in names})
        return grads if graph else {name: grad.detach() for name, grad in grads.items()}


class _Prepaid(torch.autograd.Function):
    """Losses of tasks whose derivatives by the parameters are known already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, known: Sequence[Tensor], *params: Tensor) -> Tensor:
        ctx.known, ctx.ranks = known, [p.ndim for p in params]
        return value.clone()

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, factors: Tensor) -> tuple[Any, ...]:
        grads = []
        for slope, rank in zip(ctx.known, ctx.ranks, strict=True):
            shared = rank < slope.ndim  # without a task axis: the sum over tasks
            weighted = factors.view(-1, *(1,) * (slope.ndim - 1)) * slope
            grads.append(weighted.sum(0) if shared else weighted)
        return (None, None, *grads)


def _require_network(network: Network) -> None:
    if not isinstance(network, Network):
        raise SettingError(
            f"network is {type(network).__name__}; make a module one with "
            "oddshot.networks.from_module"
        )


def _parts(side: str, rows: Rows | Sequence[Rows]) -> Sequence[Rows]:
    parts = [rows] if isinstance(rows, Rows) else rows
    if not isinstance(parts, Sequence) or not all(isinstance(part, Rows) for part in parts):
        raise SettingError(
            f"the {side} is given as {type(rows).__name__}; give Rows(inputs, loss), or a list of "
            "them"
        )
    return parts


def _require_tasks(tasks: int, query: Rows | Sequence[Rows]) -> None:
    parts = _parts("query", query)
    for part in parts:
        _require_some("query", part.inputs, of=1)
    found = sum(len(part.inputs) for part in parts)
    if found != tasks:
        raise DataError(
            f"the support is of {tasks} tasks, the query of {found}; give both of the same tasks"
        )


def _require_some(side: str, inputs: Tensor, *, of: int = 2) -> None:
    """Refuse inputs without tasks, and without rows where ``of`` is 2."""
    if 0 in inputs.shape[:of]:
        missing = "tasks" if len(inputs) == 0 else "rows"
        raise DataError(
            f"the {side} holds no {missing}: its inputs have the shape {tuple(inputs.shape)}, "
            "tasks and rows first; give one of each at least"
        )


def _require_finite_if_none(losses: Tensor, query: Tensor) -> None:
    """Refuse a query without rows, unless the loss knows what to make of none."""
    if query.shape[1] == 0 and not losses.isfinite().all():
        _require_some("query", query)


def _no_statistics() -> SettingError:
    return SettingError(
        "normalisation is 'stored', but no statistics are given; collect them first"
    )


def _last(
    objective: Objective, params: Params, rates: Sequence[Rates], **options: Any
) -> list[Params]:
    return [adapt(objective, params, rates, **options)]


def _shared(params: Params) -> Params:
    return {name: value for name, value in params.items() if not name.startswith(RATE)}


def _start(shared: Params, objective: Objective) -> Params:
    return _for_tasks({n: out_of_inference(v) for n, v in shared.items()}, objective)


def _for_tasks(shared: Params, objective: Objective) -> Params:
    tasks = len(objective.rows[0].inputs)
    return {name: value.expand(tasks, *value.shape) for name, value in shared.items()}


def _add(one: Statistics, other: Statistics) -> Statistics:
    return {n: (m + other[n][0], v + other[n][1]) for n, (m, v) in one.items()}
