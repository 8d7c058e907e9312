"""The mapping: fit on a support, then turn any rows into calibrated coordinates.

The coordinates mean the same on every data set; learners work on them (see `MappedTask`).
"""

from typing import Self

import numpy as np

from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    UNLABELLED,
    Context,
    Episode,
    Float32Array,
    FloatArray,
    LabelArray,
    MappedTask,
)
from oddshot.mapping.block import Block, Reference
from oddshot.mapping.calibration import CHANNELS, Calibration
from oddshot.mapping.encode import Encoder
from oddshot.mapping.evidence import gather_evidence
from oddshot.mapping.isolation import Isolation
from oddshot.mapping.labelled import LABELLED_NAMES, Labelled, Seen
from oddshot.mapping.neighbours import Neighbours, Subsets
from oddshot.mapping.shape import Shape
from oddshot.mapping.spaces import NAMES, Spaces, Views
from oddshot.mapping.support import Support, draw_support
from oddshot.mapping.tails import Tails
from oddshot.mapping.threading import one_blas_thread

MAX_SUPPORT_ROWS = 64

LABEL_FREE = Neighbours.names + Subsets.names + Tails.names + Shape.names + Isolation.names
LABELLED = LABELLED_NAMES
COORDINATES = LABEL_FREE + LABELLED
PLAIN = (
    "knn50_standard",
    "subset8_standard",
    "subset32_standard",
    "density_standard",
    "bin_sum",
    "far_norm",
    "mahalanobis_trimmed",
    "isolation",
)  # distance from everything: good detectors by themselves, contaminated or not


class Mapping:
    """Rows to calibrated coordinates, against one support.

    Parameters
    ----------
    threads
        Threads for tree models. The result does not depend on it.

    Attributes
    ----------
    typical_
        Calibrated coordinates of the kept typical rows, each computed without itself;
        (m, C, 2) float32.
    known_
        Calibrated coordinates of the kept known anomalies, label-aware ones from blocks that have
        seen the other half of them (0 where there is only one); (k, C, 2).
    context_
        Evidence on coordinates and table.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 4))
    >>> labels = np.full(200, -1, dtype=np.int8)
    >>> mapping = Mapping().fit(draw_support(rows, labels, seed=0))
    >>> mapping.transform(rows[:5]).shape == (5, len(COORDINATES), 2)
    True
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads

    @one_blas_thread
    def fit(self, support: Support) -> Self:
        """Compare the support's rows with each other, and freeze."""
        generator = np.random.default_rng([support.seed, 1])
        self.support = support
        self._spaces = Spaces().fit(support.typical)
        self._reference = Reference(
            self._spaces.view(support.typical), self._spaces.view(support.known)
        )
        places = reversed([*enumerate(support.typical)])  # the first of equal rows is kept
        self._own = {row.tobytes(): place for place, row in places}
        raw = self._fit_label_free(generator)
        free = self._free_calibration.apply(raw)
        self.typical_ = _empty(len(support.typical))
        self.known_ = _empty(len(support.known))
        self.typical_[:, : len(LABEL_FREE)] = free
        if len(support.known):
            typical = _seen(self._reference.typical, raw, free)
            known = self._seen(self._reference.known)
            self._labelled = Labelled.of(self._neighbours, self._isolation, threads=self._threads)
            self.typical_[:, len(LABEL_FREE) :] = self._labelled.fit(typical, known, generator)
            self.known_[:, : len(LABEL_FREE)] = _unflat(known.coordinates)
            self.known_[:, len(LABEL_FREE) :] = self._labelled.held_out(typical, known, generator)
        self.context_: Context = gather_evidence(
            self.typical_,
            self.known_,
            label_free=len(LABEL_FREE),
            far=LABEL_FREE.index("subset8_standard"),
            near=LABEL_FREE.index("lof20_standard"),
            reference=self._reference,
            normal_share=support.normal_share,
        )
        return self

    def transform(self, rows: FloatArray) -> Float32Array:
        """Calibrated coordinates (n, C, 2) of encoded rows (n, d), each alone.

        A row that stands in the support gets the coordinates it had there, where it was compared
        with all rows but itself.
        """
        return self.transform_arranged(self.support.arranged(rows))

    @one_blas_thread
    def transform_arranged(self, rows: FloatArray) -> Float32Array:
        """As `transform`, of rows whose columns are in the support's order already."""
        out = _empty(len(rows))
        own = np.array([self._own.get(row.tobytes(), -1) for row in rows], dtype=np.intp)
        out[own >= 0] = self.typical_[own[own >= 0]]
        new = np.flatnonzero(own < 0)
        if len(new):
            out[new] = self._transform_new(self._spaces.view(rows[new]))
        return out

    def _transform_new(self, views: Views) -> Float32Array:
        out = _empty(len(views))
        seen = self._seen(views)
        out[:, : len(LABEL_FREE)] = _unflat(seen.coordinates)
        if len(self.known_):
            out[:, len(LABEL_FREE) :] = self._labelled.transform(seen)
        return out

    def _seen(self, views: Views) -> Seen:
        raw = np.concatenate([block.transform(views) for block in self._free], axis=1)
        return _seen(views, raw, self._free_calibration.apply(raw))

    def _fit_label_free(self, generator: np.random.Generator) -> FloatArray:
        self._neighbours, self._isolation = Neighbours(), Isolation()
        self._free: tuple[Block, ...] = (
            self._neighbours,
            Subsets(),
            Tails(),
            Shape(),
            self._isolation,
        )
        raw = np.concatenate(
            [block.fit(self._reference, generator) for block in self._free], axis=1
        )
        self._free_calibration = Calibration().fit(raw)
        return raw


def support_sample(mapping: Mapping) -> tuple[Float32Array, LabelArray]:
    """Bounded sample of a mapping's own rows, for learners that adapt on rows.

    Returns
    -------
    tuple
        Coordinates (s, C, 2), label-aware ones 0, and labels (s,): known anomalies first, then
        typical rows (0 where all of them are known to be normal, else -1).
    """
    known = mapping.known_[:MAX_SUPPORT_ROWS]
    typical = mapping.typical_
    generator = np.random.default_rng([mapping.support.seed, 2])
    drawn = np.sort(generator.permutation(len(typical))[:MAX_SUPPORT_ROWS])
    rows = np.concatenate([known, typical[drawn]])
    rows[:, len(LABEL_FREE) :] = 0
    rest = NORMAL if mapping.support.normal_share == 1 else UNLABELLED
    labels = np.array([ANOMALY] * len(known) + [rest] * len(drawn), dtype=np.int8)
    return rows, labels


def map_episode(episode: Episode) -> MappedTask:
    """Encode and map an episode: all is learned from its support, the query is only transformed."""
    encoder = Encoder().fit(episode.support.rows)
    support = draw_support(
        encoder.transform(episode.support.rows), episode.support.labels, seed=episode.seed
    )
    mapping = Mapping().fit(support)
    rows, labels = support_sample(mapping)
    return MappedTask(
        name=episode.name,
        family=episode.family,
        seed=episode.seed,
        support=rows,
        support_labels=labels,
        query=mapping.transform(encoder.transform(episode.query.rows)),
        query_labels=episode.query.labels,
        context=mapping.context_,
    )


def _empty(rows: int) -> Float32Array:
    return np.zeros((rows, len(COORDINATES), CHANNELS), dtype=np.float32)


def _seen(views: Views, raw: FloatArray, free: Float32Array) -> Seen:
    """Rows for the label-aware blocks, out of raw and calibrated label-free coordinates."""
    fifths = raw[:, [LABEL_FREE.index(f"knn5_{space}") for space in NAMES]]
    return Seen(views, fifths, free.reshape(len(free), -1).astype(np.float64))


def _unflat(coordinates: FloatArray) -> Float32Array:
    return coordinates.reshape(len(coordinates), -1, CHANNELS).astype(np.float32)
