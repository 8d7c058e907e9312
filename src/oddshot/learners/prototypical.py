"""Prototypical networks as detectors: how far a row lies from what is known, in a learned space."""

from collections.abc import Sequence
from math import log
from typing import ClassVar

import torch
from torch import Tensor

from oddshot.learners.embedding import Classes, EmbeddingLearner, Likeness
from oddshot.learners.learner import Shape
from oddshot.learners.metric import (
    DISTANCES,
    Prototypes,
    cosine,
    mixture,
    nearest_rows,
    squared_euclidean,
    whitening,
)
from oddshot.networks import Params

_COVARIANCES = ("pooled", "class")


class PrototypicalLearner(EmbeddingLearner):
    """Distances to prototypes in a learned space (Snell et al. 2017), with a class for the unseen.

    A softmax over negative distances says which class a row is of (there, equation 2): normal, a
    known anomaly, or neither. The last is a class without prototype, at the same distance from
    every row, the radius r. The score is the logarithm of the odds that a row is not normal::

        d_normal(x) + log(exp(-d_anomalous(x)) + exp(-r))

    Far from both it is ``d_normal - r``, so anomalies of a type that nobody has shown still score
    high, close to a known anomaly it is ``d_normal - d_anomalous``; with no known anomaly it is
    ``d_normal - r`` everywhere, one-way. A task's radius is ``u + v m``, m being the mean
    distance of its own normal rows, u and v learned.

    Parameters
    ----------
    shape
        Widths of the mapped tasks.
    encoder, image, hidden, embedding, direct
        What embeds a row, see `EmbeddingLearner`.
    prototypes, anomaly_prototypes, trim
        How classes are summed up, see `EmbeddingLearner`.
    soft
        Distance to several prototypes: of the `mixture`, or to the nearest, see `nearest_rows`.
    neighbours
        Where not soft: how many unlabelled rows the nearest prototypes must stand for; a known
        normal one is enough by itself. Several make up for anomalies among the unlabelled rows.
    distance
        "euclidean" (squared), "cosine", or "mahalanobis", times a learned scale.
    covariance, shrinkage
        Of Mahalanobis distances: the covariance of the support's embeddings about their prototypes,
        that of both classes "pooled", or of the "class", mixed with the pooled one, which counts
        like one more row of n + 1 (Bateni et al. 2020, equation 2); and the share, above 0, of the
        identity in it, see `whitening`.
    outer_loss, beta
        What the scores are judged by, see `EmbeddingLearner`.

    Raises
    ------
    SettingError
        If a setting has a value it cannot take.
    """

    name: ClassVar[str] = "prototypical"

    def __init__(
        self,
        shape: Shape,
        *,
        encoder: str = "perceptron",
        image: Sequence[int] = (),
        hidden: Sequence[int] = (64,),
        embedding: int = 64,
        direct: Sequence[int] | None = (32,),
        prototypes: int = 1,
        anomaly_prototypes: int = 1,
        trim: float = 0.0,
        soft: bool = True,
        neighbours: int = 1,
        distance: str = "euclidean",
        covariance: str = "pooled",
        shrinkage: float = 0.5,
        outer_loss: str = "ranking",
        beta: float = 1.0,
    ) -> None:
        super().__init__(
            shape,
            encoder=encoder,
            image=image,
            hidden=hidden,
            embedding=embedding,
            direct=direct,
            prototypes=prototypes,
            anomaly_prototypes=anomaly_prototypes,
            trim=trim,
            soft=soft,
            neighbours=neighbours,
            distance=distance,
            covariance=covariance,
            shrinkage=shrinkage,
            outer_loss=outer_loss,
            beta=beta,
        )
        self._require(distance in DISTANCES, "distance", distance, " or ".join(DISTANCES))
        self._require(
            covariance in _COVARIANCES, "covariance", covariance, " or ".join(_COVARIANCES)
        )
        self._require(0 < shrinkage <= 1, "shrinkage", shrinkage, "a share above 0, at most 1")
        self._require(neighbours >= 1, "neighbours", neighbours, "1 or more")
        self._distance, self._soft, self._neighbours = distance, soft, neighbours
        self._covariance, self._shrinkage = covariance, shrinkage
        # so that distances are about 1 at first
        self._first_scale = 10.0 if distance == "cosine" else 1 / embedding

    def _likeness_parameters(self, generator: torch.Generator) -> Params:  # noqa: ARG002
        return {
            "log_scale": torch.tensor(log(self._first_scale), dtype=torch.float32),
            "radius": torch.ones(2, dtype=torch.float32),
        }

    def _likeness(self, params: Params, classes: Classes) -> Likeness:
        scale = params["log_scale"].exp()
        of_normal, of_anomalous = self._spaces(classes)

        counts = torch.where(classes.unlabelled, 1, self._neighbours)[..., None]

        def distances(rows: Tensor, to: Prototypes, factor: Tensor | None) -> Tensor:
            if self._distance == "cosine":
                each = cosine(rows, to.centres)
            elif factor is None:
                each = squared_euclidean(rows, to.centres)
            else:
                each = squared_euclidean(rows @ factor, to.centres @ factor)
            if self._soft:
                return mixture(scale * each, to.shares)
            return nearest_rows(scale * each, (to.groups * counts).sum(1), self._neighbours)

        own = distances(classes.rows, classes.normal, of_normal)
        members = classes.normal.groups.sum(2)
        mean = (own * members).sum(1) / members.sum(1)
        radius = (params["radius"][0] + params["radius"][1] * mean)[:, None]

        def likeness(rows: Tensor) -> tuple[Tensor, Tensor]:
            return (
                radius - distances(rows, classes.normal, of_normal),
                radius - distances(rows, classes.anomalous, of_anomalous),
            )

        return likeness

    def _spaces(self, classes: Classes) -> tuple[Tensor | None, Tensor | None]:
        """Return what rows are multiplied with before distances to both classes are taken."""
        if self._distance != "mahalanobis":
            return None, None
        found = [of.scatter(classes.rows) for of in (classes.normal, classes.anomalous)]
        sizes = [size[:, None, None] for _, size in found]
        (normal, _), (anomalous, _) = found
        pooled = (sizes[0] * normal + sizes[1] * anomalous) / (sizes[0] + sizes[1])
        if self._covariance == "pooled":
            factor = whitening(pooled, self._shrinkage)
            return factor, factor
        mixed = [
            (n * c + pooled) / (n + 1) for n, c in zip(sizes, (normal, anomalous), strict=True)
        ]
        return whitening(mixed[0], self._shrinkage), whitening(mixed[1], self._shrinkage)
