"""What a mapped table says of rows: its heads, and the corrections one after another."""

import numpy as np
from numpy.typing import NDArray

from oddshot.detectors.corrections.lowering import Lowering
from oddshot.detectors.corrections.novelty import Floor, Novelty
from oddshot.detectors.corrections.raising import Raising
from oddshot.detectors.corrections.repeated import Repeated, decades_less
from oddshot.detectors.corrections.second_opinion import SecondOpinion, asked_for
from oddshot.detectors.corrections.solitary import Solitary
from oddshot.detectors.fitted.heads import Heads
from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.editions import Edition
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.mapping import Mapping, Pool
from oddshot.mapping.row_counts import RowCounts
from oddshot.thresholds.surprise import Surprise


class Judge:
    """Heads of a prior and what corrects them; raw scores have any scale, higher = odder.

    A row goes through `told`, `lowered` and `raised`, in this order.

    Parameters
    ----------
    heads
        Of a prior, for the mapped table.
    encoder, mapping
        What the table taught.
    novelty
        As the heads have it.
    copies
        Shape (m,): how many rows given to fit each typical row stands for.
    solitude
        Whether rows far from all others are raised, where no anomaly is known.
    normal_once
        Whether typical rows are different ones that are all known to be normal, and ``copies`` tell
        how usual each is.
    counts
        How often each different row was there, where those are not all; else ``None``.

    Attributes
    ----------
    typical_scores
        Shape (m,): unlabelled and known normal rows, each compared with all but itself.
    unlowered_scores
        The same as they were before the like of known normal rows was lowered.
    """

    def __init__(
        self,
        heads: Heads,
        encoder: Encoder,
        mapping: Mapping,
        *,
        novelty: Novelty,
        copies: FloatArray,
        solitude: bool,
        normal_once: bool,
        counts: RowCounts | None = None,
    ) -> None:
        self._heads, self._mapping = heads, mapping
        self._opinion: SecondOpinion | None = None
        self._floor: Floor | None = None
        self._solitary: Solitary | None = None
        self._repeated: Repeated | None = None
        own = heads.told(mapping.typical_)
        self._counts = None if counts is None else counts.without(mapping.support.known)
        if normal_once:
            self._repeated = Repeated(
                Surprise().fit(own), mapping.support.typical, copies, self._counts
            )
            own = self._repeated.of_typical(own)
        if solitude and mapping.edition >= Edition.SEES_SOLITUDE and not len(mapping.known_):
            self._solitary = Solitary(Surprise().fit(own), mapping.typical_)
            own = self._solitary.apply(own, mapping.typical_)
        if asked_for(mapping):
            opinion = SecondOpinion(mapping, own, heads.told(mapping.known_))
            if opinion.counts:
                self._opinion, own = opinion, opinion.of_typical(own)
        free, known = heads.free(mapping.typical_), heads.free(mapping.known_)
        if free is not None and known is not None:
            self._floor = novelty.floor(own, free, known)
            own = self._floor.apply(own, free)
        unlowered = Surprise().fit(own)
        self._lowering = Lowering(mapping, unlowered)
        typical = self._lowering.apply(own, mapping.typical_rows_)
        self._scale = Surprise().fit(typical)
        self._raising = Raising(encoder, mapping, self._scale, copies)
        self.typical_scores = self._raising.apply(typical, mapping.typical_rows_)
        self.unlowered_scores = self.typical_scores
        if typical is not own:
            self.unlowered_scores = self._raising.apply(own, mapping.typical_rows_, unlowered)

    def told(self, coordinates: Float32Array, rows: FloatArray) -> FloatArray:
        """Raw scores (n,) of rows (n, p + q), mapped (n, C, 2), as the heads see them."""
        told = self._heads.told(coordinates)
        if self._repeated:
            told = self._repeated.apply(told, rows)
        if self._solitary:
            return self._solitary.apply(told, coordinates)
        if self._opinion:
            told = self._opinion.of(told, rows)
        return self._floored(told, coordinates)

    def told_of_known(self) -> FloatArray:
        """Raw scores (k,) of the known anomalies, each by what has seen the other half of them."""
        told = self._heads.told(self._mapping.known_)
        if self._opinion:
            told = self._opinion.of_known(told)
        return self._floored(told, self._mapping.known_)

    def lowered(self, told: FloatArray, pool: Pool) -> FloatArray:
        """Lower those of what is told (n,) of a pool that are the like of known normal rows."""
        return self._lowering.apply(told, pool)

    def raised(self, lowered: FloatArray, pool: Pool, *, together: bool) -> FloatArray:
        """Raise those of scores (n,) whose rows hold what typical rows do not.

        Without ``together`` no row is raised by how its cells go together.
        """
        return self._raising.apply(lowered, pool, together=together)

    def raised_as_new(self, part: NDArray[np.intp]) -> FloatArray:
        """Scores (k,) that typical rows at these places would have by their levels, were they new.

        At most: see `Raising.as_new`. Very low ones where nothing raises them.
        """
        return self.scores_at(self._raising.as_new(self._mapping.support.typical, part))

    def scores_as_new(self, decades: FloatArray, rows: FloatArray) -> FloatArray:
        """As `scores_at`, of rows (n, p + q) that detectors judged which counted fewer of them."""
        if self._counts is not None:
            decades = decades_less(decades, self._counts.of(rows) + 1)
        return self.scores_at(decades)

    def scores_at(self, decades: FloatArray) -> FloatArray:
        """Scores (n,) that are so surprising among those of typical rows, not yet raised."""
        return np.asarray(self._scale.scores_at(decades))

    def _floored(self, told: FloatArray, coordinates: Float32Array) -> FloatArray:
        free = self._heads.free(coordinates)
        return told if self._floor is None or free is None else self._floor.apply(told, free)
