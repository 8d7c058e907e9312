"""What metric-based learners share: a row is judged by its embedding beside the support's."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import softplus

from oddshot.episodes import ANOMALY, UNLABELLED, MappedTask
from oddshot.learners.learner import (
    Detector,
    Learner,
    Shape,
    TaskBatch,
    beside_facts,
    normal_rows,
    require_normal_rows,
    require_queries,
)
from oddshot.learners.metric import Prototypes, trimmed
from oddshot.learners.standardisation import (
    moments,
    standard_facts,
    standard_rows,
    unstandardised,
)
from oddshot.losses import binary_cross_entropy, ranking_loss
from oddshot.networks import (
    ENCODERS,
    ConvolutionalEncoder,
    Encoder,
    Params,
    PerceptronEncoder,
    ResidualEncoder,
    part_of,
)

Likeness: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]

_ENCODER, _DIRECT = "encoder.", "direct."  # prefixes among the parameters


@dataclass(frozen=True, slots=True)
class Classes:
    """The embedded supports of B tasks.

    Parameters
    ----------
    rows
        Shape (B, S, e).
    unlabelled
        Shape (B, S): True for rows of which nothing is known.
    normal, anomalous
        The prototypes of both classes; in tasks without a known anomaly the latter have no share.
    """

    rows: Tensor
    unlabelled: Tensor
    normal: Prototypes
    anomalous: Prototypes


class EmbeddingLearner(Learner):
    """A detector by likeness to the normal rows of the support, and to its known anomalies.

    How much a row is like a class is a logit: ``n`` for the normal class, ``a`` for the known
    anomalies. The score is ``-n + log(1 + exp(a))``. Without a known anomaly that is ``-n``. With
    some, likeness to them raises the score, but a row that is like neither class, an anomaly of a
    type that nobody has shown, keeps all that its distance from the normal rows gave it.

    Normal rows are those known to be normal and the unlabelled ones; see ``trim``.

    **Tables.** The embedding reads mapped rows beside the facts on their table, both standardised
    by what the supports of the training tasks look like. Label-aware coordinates are 0 in every
    support, since a row would be judged by its own label, but not in queries: a distance would
    mistake that for oddness. Their spread over the supports is 0 as well, and what has no spread is
    left out of the embedding. They count through the ``direct`` part instead, which is taken off
    ``n``: a perceptron on the row's own coordinates, all of them, and the facts.

    **Images.** A mapped row is an image, its coordinates the pixels and its channels the colours;
    see ``image``. There is no direct part.

    Settings that all such learners have:

    encoder
        "perceptron", "conv4" or "residual", see `oddshot.networks.encoders`.
    image
        Height and width of images; empty: rows are no images.
    hidden
        Widths of the hidden layers, of "perceptron".
    embedding
        Width of the embedding; of convolutional encoders also the filters, a multiple of 8.
    direct
        Widths of the hidden layers of the direct part; ``None``: there is none.
    prototypes, anomaly_prototypes
        How many there are of each class, at most.
    trim
        Share of the unlabelled rows to leave out, those farthest from the rest of the support:
        where these may hold anomalies, about the share of anomalies that is expected.
    outer_loss
        "bce" or "ranking".
    beta
        How classes weigh in "bce": 1 alike, 0 by their rows.
    """

    outer_losses: ClassVar[tuple[str, ...]] = ("bce", "ranking")

    def __init__(
        self,
        shape: Shape,
        *,
        encoder: str,
        image: Sequence[int],
        hidden: Sequence[int],
        embedding: int,
        direct: Sequence[int] | None,
        prototypes: int,
        anomaly_prototypes: int,
        trim: float,
        outer_loss: str,
        beta: float,
        **own: Any,
    ) -> None:
        super().__init__(
            shape,
            encoder=encoder,
            image=list(image),
            hidden=list(hidden),
            embedding=embedding,
            direct=None if direct is None else list(direct),
            prototypes=prototypes,
            anomaly_prototypes=anomaly_prototypes,
            trim=trim,
            outer_loss=outer_loss,
            beta=beta,
            **own,
        )
        self._require(encoder in ENCODERS, "encoder", encoder, " or ".join(ENCODERS))
        fits = not image or (len(image) == 2 and image[0] * image[1] == shape.coordinates)
        pixels = f"empty, or the height and width of images of {shape.coordinates} pixels"
        self._require(fits, "image", list(image), pixels)
        needs = encoder == "perceptron" or len(image) > 0
        self._require(needs, "encoder", encoder, "perceptron where the setting image is empty")
        for name, widths in (("hidden", hidden), ("direct", direct or ())):
            self._require(all(w >= 1 for w in widths), name, list(widths), "widths of 1 or more")
        for name, count in (
            ("embedding", embedding),
            ("prototypes", prototypes),
            ("anomaly_prototypes", anomaly_prototypes),
        ):
            self._require(count >= 1, name, count, "1 or more")
        fits = encoder == "perceptron" or embedding % 8 == 0
        self._require(fits, "embedding", embedding, f"a multiple of 8 with encoder {encoder!r}")
        self._require(0 <= trim < 1, "trim", trim, "a share from 0 to below 1")
        self._require(0 <= beta <= 1, "beta", beta, "from 0 to 1")
        losses = " or ".join(self.outer_losses)
        self._require(outer_loss in self.outer_losses, "outer_loss", outer_loss, losses)
        self._outer_loss, self._beta = outer_loss, beta
        self._image, self._counts, self._trim = tuple(image), (prototypes, anomaly_prototypes), trim
        inputs = shape.coordinates * shape.channels + (0 if image else shape.table)
        self._encoder: Encoder
        if encoder == "perceptron":
            self._encoder = PerceptronEncoder([inputs, *hidden, embedding])
        else:
            kind = ConvolutionalEncoder if encoder == "conv4" else ResidualEncoder
            self._encoder = kind(channels=shape.channels, filters=embedding)
        self._direct: PerceptronEncoder | None = None
        if direct is not None and not image:
            self._direct = PerceptronEncoder([inputs, *direct, 1])

    @abstractmethod
    def _likeness_parameters(self, generator: torch.Generator) -> Params:
        """Draw what the likeness needs besides embeddings."""

    @abstractmethod
    def _likeness(self, params: Params, classes: Classes) -> Likeness:
        """Compare with both classes: embeddings (B, n, e) to logits n and a (B, n).

        Where a task has no known anomaly, a is minus infinity.
        """

    def initial_parameters(self, generator: torch.Generator) -> Params:
        """Draw encoder, direct part and likeness; means are 0 and gains 1."""
        params = _prefixed(_ENCODER, self._encoder.initial_parameters(generator))
        params |= self._likeness_parameters(generator)
        if self._direct:
            params |= _prefixed(_DIRECT, self._direct.initial_parameters(generator))
        return params if self._image else params | unstandardised(self.shape)

    def constants(self, tasks: Sequence[MappedTask]) -> Params:
        """Take mean and inverse spread of support rows and facts, over the training tasks.

        Raises
        ------
        DataError
            If the support of a task has neither normal nor unlabelled rows, or no query has what
            the outer loss learns from.
        """
        require_normal_rows(tasks)
        require_queries(tasks, ranked=self._outer_loss == "ranking")
        return {} if self._image else moments(tasks)

    def meta_loss(
        self,
        params: Params,
        batch: TaskBatch,
        *,
        done: float = 1.0,  # noqa: ARG002
    ) -> Tensor:
        """Outer loss (B,) on the queries."""
        normal, anomalous = self._logits(params, batch)(batch.query)
        return self._loss(normal, anomalous, batch.query_labels, batch.query_mask)

    def detector(self, params: Params, batch: TaskBatch) -> Detector:
        """Embed each task's support and find its prototypes; scores are logits.

        Raises
        ------
        DataError
            If the support of a task has neither normal nor unlabelled rows.
        """
        logits = self._logits(params, batch)

        def score(rows: Tensor) -> Tensor:
            return odds(*logits(rows))

        return score

    def _loss(self, normal: Tensor, anomalous: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """Loss (B,) of logits, labels and mask (B, n)."""
        scores = odds(normal, anomalous)
        if self._outer_loss == "ranking":
            return ranking_loss(scores, labels, mask)
        return binary_cross_entropy(scores, labels, mask, beta=self._beta)

    def _logits(self, params: Params, batch: TaskBatch) -> Likeness:
        """Compare with both classes: rows (B, n, C, channels) to logits n and a (B, n)."""
        facts = batch.table if self._image else standard_facts(params, batch.table)
        likeness = self._likeness(params, self._classes(params, batch, facts))

        def logits(rows: Tensor) -> tuple[Tensor, Tensor]:
            normal, anomalous = likeness(self._embedded(params, facts, rows))
            if self._direct:
                direct = part_of(params, _DIRECT)
                flat = beside_facts(facts, rows).flatten(0, 1)
                normal = normal - self._direct(direct, flat).view(normal.shape)
            return normal, anomalous

        return logits

    def _classes(self, params: Params, batch: TaskBatch, facts: Tensor) -> Classes:
        mask, labels = batch.support_mask, batch.support_labels
        normal, anomalous = normal_rows(batch), mask & (labels == ANOMALY)
        rows = self._embedded(params, facts, batch.support.masked_fill(~mask[..., None, None], 0))
        normal = trimmed(rows, normal, labels == UNLABELLED, self._trim)
        of_normal, of_anomalous = self._counts
        return Classes(
            rows,
            labels == UNLABELLED,
            Prototypes.of(rows, normal, of_normal),
            Prototypes.of(rows, anomalous, of_anomalous),
        )

    def _embedded(self, params: Params, facts: Tensor, rows: Tensor) -> Tensor:
        """Embed rows (B, n, C, channels) as (B, n, e)."""
        if self._image:
            seen = rows.reshape(-1, *self._image, self.shape.channels).permute(0, 3, 1, 2)
        else:
            seen = beside_facts(facts, standard_rows(params, rows)).flatten(0, 1)
        found = self._encoder(part_of(params, _ENCODER), seen)
        return found.view(*rows.shape[:2], self._encoder.width)


def odds(normal: Tensor, anomalous: Tensor) -> Tensor:
    """Make logits n and a a score, ``-n + log(1 + exp(a))``, see `EmbeddingLearner`."""
    return softplus(anomalous) - normal


def _prefixed(prefix: str, params: Params) -> Params:
    return {prefix + name: value for name, value in params.items()}
