"""Learners: from mapped tasks to a detector, meta-trained over many of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from inspect import signature
from numbers import Integral, Real
from typing import Any

import torch

from oddshot.errors import PriorError, SettingError, require
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


def make_learner(name: str, shape: Shape, settings: Mapping[str, Any] | None = None) -> Learner:
    """Build a learner by name.

    Parameters
    ----------
    name
        One of ``LEARNERS``.
    shape
        Widths of the mapped tasks.
    settings
        Keyword arguments of the learner; what is not named keeps its default.

    Raises
    ------
    SettingError
        If no learner has that name, or it lacks a setting or cannot take its value; the message
        lists what there is.

    Examples
    --------
    >>> make_learner("maml", Shape(4, 2, 3, 2), {"hidden": [8]}).settings["hidden"]
    [8]
    """
    if name not in LEARNERS:
        raise SettingError(f"no learner is called {name!r}; choose one of {', '.join(LEARNERS)}")
    kind, settings = LEARNERS[name], plain(settings or {})
    parameters = signature(kind).parameters
    known = [n for n in parameters if n not in {"shape", *kind.fixed}]
    unknown = [n for n in settings if n not in known]
    if unknown:
        raise SettingError(
            f"learner {name!r} has no setting {unknown[0]!r}; choose among {', '.join(known)}"
        )
    for setting, value in settings.items():
        default = parameters[setting].default
        fits, allowed = _kinds(default)
        require(
            default is None or value is None or fits(value),
            f"{name} setting {setting}",
            value,
            f"{allowed}, as {default!r}",
        )
    return kind(shape, **settings)


def _kinds(default: object) -> tuple[Callable[[object], bool], str]:
    """Tell what values stand where a default does, and what they are called."""
    if isinstance(default, bool):
        return lambda value: isinstance(value, bool), "True or False"
    if isinstance(default, str):
        return lambda value: isinstance(value, str), "a word"
    if isinstance(default, Integral):
        return lambda value: isinstance(value, Integral), "a whole number"
    if isinstance(default, Real):
        return lambda value: isinstance(value, Real), "a number"
    return lambda value: isinstance(value, Sequence) and not isinstance(value, str), "a list"


def prior_settings(learner: Learner) -> dict[str, Any]:
    """Return what a prior must remember to build ``learner`` again."""
    return {"shape": asdict(learner.shape), **learner.settings}


def restore(prior: Prior) -> tuple[Learner, Params]:
    """Build the learner and the parameters that a prior holds.

    Raises
    ------
    PriorError
        If the prior is of a learner that this version lacks, or its settings or tensors do not fit.
    """
    settings = plain(prior.settings)
    try:
        learner = make_learner(prior.learner, Shape(**settings.pop("shape")), settings)
    except (SettingError, KeyError, TypeError) as error:
        raise PriorError(
            f"{prior!r} cannot be used here: {error}; train or load another"
        ) from error
    params = {name: torch.tensor(array) for name, array in prior.tensors.items()}
    expected = learner.initial_parameters(torch.Generator().manual_seed(0))
    if {n: p.shape for n, p in expected.items()} != {n: p.shape for n, p in params.items()}:
        raise PriorError(
            f"{prior!r} has tensors that its settings do not call for; train or load another"
        )
    return learner, params
