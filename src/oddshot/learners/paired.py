"""Two heads that judge in different ways, and their scores together."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from oddshot.episodes import MappedTask
from oddshot.learners.gated import GatedLearner, without_a_hint
from oddshot.learners.learner import Detector, Learner, Shape, TaskBatch
from oddshot.learners.prototypical import PrototypicalLearner
from oddshot.networks import Params, part_of

_GATED, _PROTOTYPICAL = "gated.", "prototypical."


class PairedLearner(Learner):
    """A positive sum of coordinates, and beside it likeness to what is known in a learned space.

    The detector is ``f(x) = g(x) + share p(x)``, g being that of `GatedLearner` and p that of
    `PrototypicalLearner`. Both are meta-trained at once, each by its own loss; they have no
    parameter in common, and err on different tables (docs/experiments.md). Their scores are as
    steep as their losses make them, so the sum needs no other scale. Where a support has unlabelled
    rows and no known anomaly, g alone counts, with its anchor.

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    share
        How much the second head counts. 0: not at all.
    gated, prototypical
        Settings of the two; what is not named keeps its default.

    Raises
    ------
    SettingError
        If a setting has a value it cannot take.
    """

    name: ClassVar[str] = "paired"

    def __init__(
        self,
        shape: Shape,
        *,
        share: float = 0.25,
        gated: Mapping[str, Any] | None = None,
        prototypical: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            shape, share=share, gated=dict(gated or {}), prototypical=dict(prototypical or {})
        )
        self._require(share >= 0, "share", share, "0 or more")
        self._share = share
        self._gated = GatedLearner(shape, **(gated or {}))
        self._prototypical = PrototypicalLearner(shape, **(prototypical or {}))

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw those of both."""
        return _together(
            self._gated.initial_parameters(generator),
            self._prototypical.initial_parameters(generator),
        )

    def constants(self, tasks: Sequence[MappedTask]) -> Params:
        """Take those of both."""
        return _together(self._gated.constants(tasks), self._prototypical.constants(tasks))

    def meta_loss(self, params: Params, batch: TaskBatch, *, done: float = 1.0) -> Tensor:
        """Sum both losses (B,)."""
        first = self._gated.meta_loss(part_of(params, _GATED), batch, done=done)
        second = self._prototypical.meta_loss(part_of(params, _PROTOTYPICAL), batch, done=done)
        return first + second

    def detector(self, params: Params, batch: TaskBatch) -> Detector:
        """Adapt both to the support; add their scores where it gives a hint."""
        gated = self._gated.detector(part_of(params, _GATED), batch)
        shares = self._share * (1 - without_a_hint(batch))
        if not shares.any():
            return gated
        prototypical = self._prototypical.detector(part_of(params, _PROTOTYPICAL), batch)

        def scores(rows: Tensor) -> Tensor:
            return gated(rows) + shares[:, None].to(rows.dtype) * prototypical(rows)

        return scores


def _together(gated: Params, prototypical: Params) -> Params:
    return {
        **{f"{_GATED}{name}": value for name, value in gated.items()},
        **{f"{_PROTOTYPICAL}{name}": value for name, value in prototypical.items()},
    }
