"""A prior's heads for a mapped table: raw scores of mapped rows, with its labels and without."""

from collections.abc import Mapping as MappingOf
from typing import Any

import numpy as np
import torch

from oddshot.detectors.corrections.novelty import LABELS_ALONE, Novelty, blind, without_labels
from oddshot.episodes import Float32Array, FloatArray, MappedTask
from oddshot.errors import PriorError
from oddshot.learners import Detector, Learner, Params, Shape, collate, restore
from oddshot.mapping.coordinates.evidence import corrected
from oddshot.mapping.mapping import Mapping, support_sample
from oddshot.mapping.threading import ONE_TORCH_THREAD, in_blocks
from oddshot.networks.host import plain_torch
from oddshot.priors import Prior


class Heads:
    """What a prior's learner makes of a mapped support; raw scores have any scale, higher = odder.

    Parameters
    ----------
    prior
        A prior for tables.
    mapping
        Fitted to the support.
    told_by_known
        Evidence (C,) of each kind that known anomalies give, in the place of the mapping's own.
    novelty
        What stays of the label-free view where there are known anomalies.

    Raises
    ------
    PriorError
        If the prior reads rows of another shape.
    """

    def __init__(
        self,
        prior: Prior,
        mapping: Mapping,
        *,
        told_by_known: MappingOf[str, FloatArray],
        novelty: Novelty,
    ) -> None:
        self._prior, self._mapping = prior, mapping
        self._told_by_known, self._novelty = told_by_known, novelty
        self._told, self._free = self._made()

    def told(self, coordinates: Float32Array) -> FloatArray:
        """Raw scores (n,) of mapped rows (n, C, 2), by all labels."""
        return self._said(self._told, coordinates)

    def free(self, coordinates: Float32Array) -> FloatArray | None:
        """Raw scores (n,) as if nothing were labelled; ``None`` where these set no floor."""
        return None if self._free is None else self._said(self._free, blind(coordinates))

    def _said(self, head: Detector, coordinates: Float32Array) -> FloatArray:
        """Raw scores (n,) of mapped rows (n, C, 2) by a head."""
        rows = torch.from_numpy(coordinates)[None]

        def judge(block: slice) -> FloatArray:
            with plain_torch(), torch.no_grad():  # a setting of the thread's own
                return np.asarray(head(rows[:, block].double())[0].numpy())

        with ONE_TORCH_THREAD.held():
            threads = self._mapping.threads
            return np.concatenate(in_blocks(judge, len(coordinates), threads=threads))

    @plain_torch()
    def _made(self) -> tuple[Detector, Detector | None]:
        """Adapt the prior: with labels, and without where these leave a floor."""
        learner, params = restore(self._prior)
        rows, labels = support_sample(self._mapping)
        task = MappedTask(
            name="",
            family="",
            seed=self._mapping.support.seed,
            support=rows,
            support_labels=labels,
            query=rows[:0],
            query_labels=labels[:0],
            summary=corrected(self._mapping.summary_, self._told_by_known),
        )
        if learner.shape != Shape.of(task):
            raise PriorError(
                f"the prior reads rows of {learner.shape}, but this version of Oddshot maps rows "
                f"to {Shape.of(task)}; load or train a prior for this version"
            )
        told = _adapted(learner, params, task)
        if not len(self._mapping.known_) or self._novelty == LABELS_ALONE:
            return told, None
        return told, _adapted(learner, params, without_labels(task))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the heads, functions that a learner made."""
        return {name: v for name, v in vars(self).items() if name not in ("_told", "_free")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the heads again from prior and mapping."""
        vars(self).update(state)
        self._told, self._free = self._made()


def _adapted(learner: Learner, params: Params, task: MappedTask) -> Detector:
    """In double precision: sums in single precision differ with the number of rows at once."""
    with ONE_TORCH_THREAD.held(), torch.no_grad():
        return learner.detector(
            {name: value.double() for name, value in params.items()},
            collate([task]).to(torch.float64),
        )
