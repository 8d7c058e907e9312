"""Priors that need no training, for tests that need any prior."""

from functools import cache

import torch

from oddshot.learners import Shape, make_learner, prior_settings
from oddshot.mapping.coordinates.calibration import CHANNELS
from oddshot.mapping.coordinates.evidence import EVIDENCE, TABLE
from oddshot.mapping.mapping import COORDINATES
from oddshot.priors import Prior


@cache
def untrained_prior(learner: str = "gated") -> Prior:
    """Wrap what a learner's meta-training starts from; of "gated": near-equal positive weights."""
    made = make_learner(learner, Shape(len(COORDINATES), CHANNELS, len(EVIDENCE), len(TABLE)))
    start = made.initial_parameters(torch.Generator().manual_seed(0))
    tensors = {name: value.numpy() for name, value in start.items()}
    return Prior(learner, prior_settings(made), tensors, {"families": []})
