"""A sum of coordinates whose weights are read off the data set: which to trust on this table."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import gelu, softplus

from oddshot.episodes import ANOMALY, UNLABELLED, MappedTask
from oddshot.learners.learner import Detector, Learner, Shape, TaskBatch, require_queries
from oddshot.losses import ranking_loss
from oddshot.networks import Params

_START = -3.5  # softplus(-3.5) = 0.03: every coordinate has a say, none much
_REACH = 3.0  # in standard deviations: no table is stranger than this to the gate
_FILLED, _HOLLOW = 0.25, 0.4  # below the first one anchor alone, above the second the other


class GatedLearner(Learner):
    """Weights for coordinates as a function of the evidence on them, meta-trained to rank.

    The detector is ``f(x) = sum_ck w_ck(summary) s_ck(x)`` over coordinates c and channels k. The
    channels are the two of the mapping and hinges of its robust z, ``max(z - t, 0)``, so that few
    extreme coordinates can outweigh many ordinary ones. The weights come from a small network,
    shared by all coordinates, that sees a coordinate's evidence, the table's facts and what it has
    learned of that coordinate; and they are positive: odder by a coordinate never means less odd.
    That keeps what was learned on one collection of tables valid on others (docs/experiments.md).

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    hidden
        Width of the network.
    embedding
        Numbers learned for each coordinate.
    hinges
        Thresholds t of the hinges, in units of the robust z channel.
    hardness
        See `ranking_loss`: how much more the normal rows at the top of the ranking count.
    anchor, anchor_shares, anchor_weight
        Places of coordinates whose mean surprise, times the weight, is added where a support has
        unlabelled rows and no known anomaly. There evidence says least, what helps on one
        collection hurts on another, and plain detectors are hard to beat: shrink towards them. It
        is no part of the meta-loss, which would only learn to offset it (docs/experiments.md).
        With shares, one for each place, the mean is a weighted one.
    anchor_hollow
        Places of coordinates whose mean replaces the anchor's where the middle of the data is
        empty: partly from a `SupportSummary.hollow` of 0.25 on, wholly from 0.4. Empty: never.

    Raises
    ------
    SettingError
        If a setting has a value it cannot take.
    """

    name: ClassVar[str] = "gated"

    def __init__(
        self,
        shape: Shape,
        *,
        hidden: int = 16,
        embedding: int = 4,
        hinges: Sequence[float] = (0.5, 1.0, 1.5, 2.0, 2.5),
        hardness: float = 0.5,
        anchor: Sequence[int] = (),
        anchor_shares: Sequence[float] | None = None,
        anchor_weight: float = 5.0,
        anchor_hollow: Sequence[int] = (),
    ) -> None:
        super().__init__(
            shape,
            hidden=hidden,
            embedding=embedding,
            hinges=list(hinges),
            hardness=hardness,
            anchor=list(anchor),
            anchor_shares=None if anchor_shares is None else list(anchor_shares),
            anchor_weight=anchor_weight,
            anchor_hollow=list(anchor_hollow),
        )
        for name, value in (("hidden", hidden), ("embedding", embedding)):
            self._require(value >= 1, name, value, "1 or more")
        for name, amount in (("hardness", hardness), ("anchor_weight", anchor_weight)):
            self._require(amount >= 0, name, amount, "0 or more")
        for name, places in (("anchor", anchor), ("anchor_hollow", anchor_hollow)):
            self._require(
                all(0 <= place < shape.coordinates for place in places),
                name,
                list(places),
                f"places of coordinates, 0 to {shape.coordinates - 1}",
            )
        shares = [1.0] * len(anchor) if anchor_shares is None else [float(s) for s in anchor_shares]
        self._require(
            len(shares) == len(anchor) and all(share > 0 for share in shares),
            "anchor_shares",
            shares,
            f"one number above 0 for each of the {len(anchor)} places of the anchor",
        )
        self._hidden, self._embedding, self._hardness = hidden, embedding, hardness
        self._hinges = torch.tensor([float(t) for t in hinges], dtype=torch.float32)
        self._channels = shape.channels + len(self._hinges)
        self._plain = torch.zeros(shape.coordinates, self._channels, dtype=torch.float32)
        for place, share in zip(anchor, shares, strict=True):
            self._plain[place, 0] += anchor_weight * share / sum(shares)
        self._hollow = torch.zeros_like(self._plain) if anchor_hollow else self._plain
        for place in anchor_hollow:
            self._hollow[place, 0] += anchor_weight / len(anchor_hollow)

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw a gate that starts close to equal weights."""

        def normal(*size: int, scale: float) -> Tensor:
            return scale * torch.randn(*size, generator=generator, dtype=torch.float32)

        count = self.shape.coordinates
        seen = self.shape.evidence + self.shape.table + self._embedding
        return {
            "weight": torch.zeros(count, self._channels, dtype=torch.float32),
            "table": torch.zeros(self.shape.table, count, self._channels, dtype=torch.float32),
            "embedding": normal(count, self._embedding, scale=0.3),
            "gate_in": normal(seen, self._hidden, scale=seen**-0.5),
            "gate_bias": torch.zeros(self._hidden, dtype=torch.float32),
            "gate_out": normal(self._hidden, self._channels, scale=0.1 * self._hidden**-0.5),
            "evidence_mean": torch.zeros(count, self.shape.evidence, dtype=torch.float32),
            "evidence_spread": torch.ones(count, self.shape.evidence, dtype=torch.float32),
            "table_mean": torch.zeros(self.shape.table, dtype=torch.float32),
            "table_spread": torch.ones(self.shape.table, dtype=torch.float32),
        }

    def constants(self, tasks: Sequence[MappedTask]) -> Params:
        """Take mean and spread of evidence and facts over the training tasks.

        Raises
        ------
        DataError
            If no query has both classes.
        """
        require_queries(tasks, ranked=True)
        evidence = np.stack([task.summary.evidence for task in tasks])
        table = np.stack([task.summary.table for task in tasks])
        values = {
            "evidence_mean": evidence.mean(axis=0),
            "evidence_spread": evidence.std(axis=0) + 1e-2,
            "table_mean": table.mean(axis=0),
            "table_spread": table.std(axis=0) + 1e-3,
        }
        return {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}

    def meta_loss(
        self,
        params: Params,
        batch: TaskBatch,
        *,
        done: float = 1.0,  # noqa: ARG002
    ) -> Tensor:
        """Ranking loss (B,) on the queries, the anchor left out."""
        scores = self._score(self._weights(params, batch), batch.query)
        return ranking_loss(scores, batch.query_labels, batch.query_mask, hardness=self._hardness)

    def detector(self, params: Params, batch: TaskBatch) -> Detector:
        """Read the weights off the summary; the rows of the support are not looked at."""
        weights = self._weights(params, batch)
        filled = ((_HOLLOW - batch.hollow) / (_HOLLOW - _FILLED)).clamp(0, 1).to(weights)
        anchor = torch.lerp(
            self._hollow.to(weights), self._plain.to(weights), filled[:, None, None]
        )
        weights = weights + _without_a_hint(batch)[:, None, None] * anchor
        return partial(self._score, weights)

    def _score(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Weighted sums (B, n) of rows (B, n, C, 2) in the precision of the rows."""
        weights, given = weights.to(rows.dtype), rows.shape[-1]
        scores = torch.einsum("bnck,bck->bn", rows, weights[..., :given])
        for place, hinge in enumerate(self._hinges.tolist(), given):
            hinged = torch.relu(rows[..., 1] - hinge)  # one by one: together they leave the cache
            scores = scores + torch.einsum("bnc,bc->bn", hinged, weights[..., place])
        return scores

    def _weights(self, params: Params, batch: TaskBatch) -> Tensor:
        """Positive weights (B, C, K)."""
        evidence = (batch.evidence - params["evidence_mean"]) / params["evidence_spread"]
        table = (batch.table - params["table_mean"]) / params["table_spread"]
        evidence, table = evidence.clamp(-_REACH, _REACH), table.clamp(-_REACH, _REACH)
        shape = (*evidence.shape[:2], -1)
        seen = torch.cat(
            [evidence, table[:, None].expand(*shape), params["embedding"].expand(*shape)], -1
        )
        gate = gelu(seen @ params["gate_in"] + params["gate_bias"]) @ params["gate_out"]
        linear = torch.einsum("bg,gck->bck", table, params["table"])
        return softplus(_START + params["weight"] + linear + gate)


def _without_a_hint(batch: TaskBatch) -> Tensor:
    """Tell tasks whose support has unlabelled rows and no known anomaly: (B,) of 1 and 0."""
    labels = batch.support_labels
    unlabelled = ((labels == UNLABELLED) & batch.support_mask).any(1)
    known = ((labels == ANOMALY) & batch.support_mask).any(1)
    return (unlabelled & ~known).to(batch.table.dtype)
