"""Learners: from mapped tasks to a detector, meta-trained over many of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from inspect import signature
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import torch

from oddshot.errors import PriorError, SettingError, first_line, is_number, is_whole, require
from oddshot.learners.adaptation import Adaptation
from oddshot.learners.autoencoder import AutoencoderLearner
from oddshot.learners.gated import GatedLearner
from oddshot.learners.gradient import (
    FirstOrderLearner,
    GradientLearner,
    HeadLearner,
    RateLearner,
    ReptileLearner,
)
from oddshot.learners.inner_loop import Rows
from oddshot.learners.learner import Detector, Learner, Shape, TaskBatch, collate
from oddshot.learners.prototypical import PrototypicalLearner
from oddshot.learners.relation import RelationLearner
from oddshot.networks import Params
from oddshot.networks.host import plain_torch
from oddshot.priors import Prior, plain

__all__ = [
    "LEARNERS",
    "Adaptation",
    "Detector",
    "Learner",
    "Params",
    "Rows",
    "Shape",
    "TaskBatch",
    "collate",
    "find_learner",
    "make_learner",
    "prior_settings",
    "restore",
]

LEARNERS: dict[str, type[Learner]] = {
    learner.name: learner
    for learner in (
        GatedLearner,
        GradientLearner,
        FirstOrderLearner,
        HeadLearner,
        RateLearner,
        ReptileLearner,
        PrototypicalLearner,
        RelationLearner,
        AutoencoderLearner,
    )
}


def make_learner(
    learner: str | type[Learner], shape: Shape, settings: Mapping[str, Any] | None = None
) -> Learner:
    """Build a learner.

    Parameters
    ----------
    learner
        One of ``LEARNERS``, by name, or a class.
    shape
        Widths of the mapped tasks.
    settings
        Keyword arguments of the learner; what is not named keeps its default.

    Raises
    ------
    SettingError
        If no learner has that name or a class none of its own, or the learner has no such setting
        or cannot take its value; the message lists what there is.

    Examples
    --------
    >>> make_learner("maml", Shape(4, 2, 3, 2), {"hidden": [8]}).settings["hidden"]
    [8]
    """
    name, kind = find_learner(learner)
    settings = plain(settings or {})
    _require_settings(name, kind, settings)
    return kind(shape, **settings)


def find_learner(learner: str | type[Learner]) -> tuple[str, type[Learner]]:
    """Return the name and the class of a learner that is given by either.

    Raises
    ------
    SettingError
        If no learner has that name, or if a class has none, or that of another.
    """
    if isinstance(learner, type) and issubclass(learner, Learner):
        name = getattr(learner, "name", None)
        fits = isinstance(name, str) and LEARNERS.get(name, learner) is learner
        require(fits, f"name of learner {learner.__name__}", name, "a word of its own")
        return learner.name, learner
    if learner not in LEARNERS:
        raise SettingError(f"no learner is called {learner!r}; choose one of {', '.join(LEARNERS)}")
    return learner, LEARNERS[learner]


def _require_settings(name: str, kind: type[Learner], settings: Mapping[str, Any]) -> None:
    """Refuse settings that a learner has not, and values of another kind than it takes."""
    parameters = signature(kind).parameters
    known = [n for n in parameters if n not in {"shape", *kind.fixed}]
    unknown = [n for n in settings if n not in known]
    if unknown:
        raise SettingError(
            f"learner {name!r} has no setting {unknown[0]!r}; choose among {', '.join(known)}"
        )
    hints = get_type_hints(kind.__init__)
    for setting, value in settings.items():
        fits, allowed = _values_of(hints.get(setting))
        default = parameters[setting].default
        as_default = "" if default is None else f", as {default!r}"
        require(fits(value), f"{name} setting {setting}", value, f"{allowed}{as_default}")


_KINDS: dict[type, tuple[Callable[[object], bool], str, str]] = {
    bool: (lambda value: isinstance(value, bool), "True or False", "True and False"),
    str: (lambda value: isinstance(value, str), "a word", "words"),
    int: (is_whole, "a whole number", "whole numbers"),
    float: (is_number, "a finite number", "finite numbers"),
}


def _values_of(hint: Any) -> tuple[Callable[[object], bool], str]:
    """Tell which values a setting with a type hint can have, and what they are called.

    A hint that no learner here has, in one that was added to ``LEARNERS``, allows any.
    """
    parts = get_args(hint)
    if hint in _KINDS:
        return _KINDS[hint][:2]
    if len(parts) == 2 and NoneType in parts:
        fits, allowed = _values_of(next(part for part in parts if part is not NoneType))
        return lambda value: value is None or fits(value), f"{allowed}, or None"
    if get_origin(hint) not in {Sequence, list, tuple} or parts[0] not in _KINDS:
        return lambda _: True, "anything"
    fits_item, _, items = _KINDS[parts[0]]

    def is_list(value: object) -> bool:
        if isinstance(value, str) or not isinstance(value, Sequence):
            return False
        return all(fits_item(item) for item in value)

    return is_list, f"a list of {items}"


def prior_settings(learner: Learner) -> dict[str, Any]:
    """Return what a prior must remember to build ``learner`` again."""
    return {"shape": asdict(learner.shape), **learner.settings}


@plain_torch()
def restore(prior: Prior) -> tuple[Learner, Params]:
    """Build the learner and the parameters that a prior holds.

    Raises
    ------
    PriorError
        If the prior is of a learner that this version lacks, or its settings or tensors do not fit.
    """
    if prior.learner not in LEARNERS:
        raise PriorError(
            f"{prior!r} cannot be used here: no learner is called {prior.learner!r}; register one "
            f"of your own (oddshot.learners.LEARNERS[{prior.learner!r}] = its class), or train or "
            "load another"
        )
    settings = plain(prior.settings)
    try:
        learner = make_learner(prior.learner, Shape(**settings.pop("shape")), settings)
        expected = learner.initial_parameters(torch.Generator().manual_seed(0))
    except (SettingError, KeyError, TypeError, RuntimeError) as error:
        raise PriorError(
            f"{prior!r} cannot be used here: {first_line(error)}; train or load another"
        ) from error
    params = {name: torch.tensor(array) for name, array in prior.tensors.items()}
    if {n: p.shape for n, p in expected.items()} != {n: p.shape for n, p in params.items()}:
        raise PriorError(
            f"{prior!r} has tensors that its settings do not call for; train or load another"
        )
    return learner, params
