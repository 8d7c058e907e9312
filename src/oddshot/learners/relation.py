"""Relation networks as detectors: a learned judgement of how much two embeddings are alike."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from oddshot.learners.embedding import Classes, EmbeddingLearner, Likeness
from oddshot.learners.learner import Shape
from oddshot.learners.metric import Prototypes
from oddshot.losses import row_weights
from oddshot.networks import Params, PerceptronEncoder, part_of

_RELATION = "relation."


class RelationLearner(EmbeddingLearner):
    """A network compares embeddings with prototypes (Sung et al. 2018), instead of a distance.

    It reads a prototype p and an embedding q, side by side (there, equation 1), and beside them the
    squares of their differences, which spares it learning to subtract. Its answer, through a
    sigmoid, is the relation score in [0, 1]: how much q is like p. Of several prototypes the one
    that is most alike counts. A row's score is the logarithm of
    ``(1 - r_normal) / r_normal / (1 - r_anomalous)``, see `EmbeddingLearner`; with no known anomaly
    ``r_anomalous`` is 0.

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    encoder, image, hidden, embedding, direct
        What embeds a row, see `EmbeddingLearner`.
    relation
        Widths of the hidden layers of the network that compares.
    prototypes, anomaly_prototypes, trim
        How classes are summed up, see `EmbeddingLearner`. There they are sums of embeddings; means,
        here, do not grow with the support.
    outer_loss, beta
        "squared": relation scores of both classes should be 1 for rows of the class and 0 for
        others, by squared error (there, equation 2); or what the score is judged by, see
        `EmbeddingLearner`. In all but "ranking" classes weigh by ``beta``.

    Raises
    ------
    SettingError
        If a setting has a value it cannot take.
    """

    name: ClassVar[str] = "relation"
    outer_losses = ("squared", "bce", "ranking")

    def __init__(
        self,
        shape: Shape,
        *,
        encoder: str = "perceptron",
        image: Sequence[int] = (),
        hidden: Sequence[int] = (64,),
        embedding: int = 64,
        direct: Sequence[int] | None = (32,),
        relation: Sequence[int] = (32,),
        prototypes: int = 1,
        anomaly_prototypes: int = 1,
        trim: float = 0.0,
        outer_loss: str = "squared",
        beta: float = 1.0,
    ) -> None:
        super().__init__(
            shape,
            encoder=encoder,
            image=image,
            hidden=hidden,
            embedding=embedding,
            direct=direct,
            relation=list(relation),
            prototypes=prototypes,
            anomaly_prototypes=anomaly_prototypes,
            trim=trim,
            outer_loss=outer_loss,
            beta=beta,
        )
        self._require(
            all(w >= 1 for w in relation), "relation", list(relation), "widths of 1 or more"
        )
        self._relation = PerceptronEncoder([3 * embedding, *relation, 1])

    def _likeness_parameters(self, generator: torch.Generator) -> Params:
        drawn = self._relation.initial_parameters(generator)
        return {_RELATION + name: value for name, value in drawn.items()}

    def _likeness(self, params: Params, classes: Classes) -> Likeness:
        own = part_of(params, _RELATION)

        def relation(rows: Tensor, to: Prototypes) -> Tensor:
            queries, centres = rows[:, :, None], to.centres[:, None]
            gaps = (queries - centres).square()
            seen = torch.cat([centres.expand_as(gaps), queries.expand_as(gaps), gaps], -1)
            each = self._relation(own, seen.flatten(0, 2)).view(seen.shape[:3])
            return each.masked_fill((to.shares == 0)[:, None], -torch.inf).amax(-1)

        return lambda rows: (relation(rows, classes.normal), relation(rows, classes.anomalous))

    def _loss(self, normal: Tensor, anomalous: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        if self._outer_loss != "squared":
            return super()._loss(normal, anomalous, labels, mask)
        truth = (labels > 0).to(normal.dtype)
        errors = (torch.sigmoid(normal) - (1 - truth)).square()
        compared = anomalous > -torch.inf
        errors = errors + compared * (torch.sigmoid(anomalous) - truth).square()
        weights = row_weights(labels, mask, normal, beta=self._beta)
        return (weights * errors.masked_fill(~mask, 0)).sum(1)
