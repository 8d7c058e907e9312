"""Raw scores of rows that are odd by few columns or by how these go together, raised to that."""

import numpy as np

from oddshot.episodes import NORMAL, FloatArray
from oddshot.mapping.bonds import Bonds
from oddshot.mapping.combinations import Combinations, Levels, levels_met
from oddshot.mapping.editions import Edition
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.mapping import Mapping, Pool
from oddshot.mapping.mixtures import Dependencies
from oddshot.mapping.outside import Outside
from oddshot.thresholds.surprise import Surprise

MOST_WITH_LABELS = 1.5  # decades; what it trades stands in docs/results/novel-types.md
MOST_DEPENDENCIES, BEYOND = 2.5, 0.3  # decades; of those beyond it the logarithm counts, so much
SHARE_OF_OWN = 1e-3  # of a raised row's own decades: they order rows, and count for nothing else


class Raising:
    """Raises raw scores of rows by single cells, and how these go together; others stay.

    Bonds count where no anomaly is known: with labels they cost more than they bring. Dependencies
    count where, besides, all rows are known to be normal: unlabelled anomalies would be among what
    they are learned from. Where labels tell what is looked for, rows are raised to no more than
    stands out from most rows, so that it comes first. New rows that lie outside all alike, as by
    their date, keep their order.

    Parameters
    ----------
    encoder, mapping
        What the table taught.
    scale
        Of the raw scores of the mapping's typical rows.
    copies
        Shape (m,): how many rows each typical row stands for.
    """

    def __init__(
        self, encoder: Encoder, mapping: Mapping, scale: Surprise, copies: FloatArray
    ) -> None:
        support = mapping.support
        place = support.places
        normal = support.as_encoded(support.typical[support.labels == NORMAL])
        unseen = {int(place[at]): told for at, told in encoder.never_seen(normal).items()}
        self._outside = Outside().fit(support.typical, mapping.places_, unseen, aside=support.aside)
        self._bonds: Bonds | None = None
        if mapping.edition >= Edition.SEES_BONDS and not len(support.known):
            self._bonds = Bonds().fit(support.typical, mapping.places_, aside=support.aside)
        self._places = mapping.places_
        self._levels_at = [
            (count, place[at], int(place[rarity])) for count, at, rarity in encoder.levels_at()
        ]
        known = np.array([count for count, *_ in self._levels_at], dtype=np.intp)
        self._met = Combinations().fit(self._levels(support.typical), known, copies)
        self._most = MOST_WITH_LABELS if len(support.known) else np.inf
        self._dependencies: Dependencies | None = None
        clean = support.normal_share == 1 and not len(support.known)
        if clean and mapping.edition >= Edition.SEES_DEPENDENCIES:
            seen = mapping.typical_rows_.seen
            self._dependencies = Dependencies().fit(seen.views, mapping.places_)
        self._bounds = mapping.edition >= Edition.BOUNDS_DEPENDENCIES
        self._scale = scale

    def apply(
        self,
        scores: FloatArray,
        pool: Pool,
        scale: Surprise | None = None,
        *,
        together: bool = True,
    ) -> FloatArray:
        """Raw scores (n,) of a pool's rows that judge all of it.

        ``scale`` is that of scores of another kind. Without ``together`` only single cells count.
        """
        scale, rows = scale or self._scale, pool.rows
        decades = self._outside.decades(rows, pool.instead_of)
        if together:
            decades = np.maximum(decades, self._together(pool))
        out = np.flatnonzero(decades)
        if not len(out):
            return scores
        without = scale.apply(scores[out])
        least = np.minimum(decades[out], self._most) + SHARE_OF_OWN * without
        raised = scores.copy()
        raised[out] = np.maximum(scores[out], scale.scores_at(least))
        return raised

    def as_new(self, rows: FloatArray, part: Levels) -> FloatArray:
        """Decades (k,) that some of the typical rows have at most by their levels as new rows.

        ``part`` (k,) tells which of the typical ``rows`` (m, p + q): these are compared with the
        others, by whether others hold a level, and two levels together. 0 where others do.
        """
        levels = self._levels(rows)
        decades = self._met.decades_without(levels, part)
        held = levels_met(levels[part], np.delete(levels, part, axis=0))
        for column, (_, _, rarity) in enumerate(self._levels_at):
            unseen = np.where(held[:, column], 0.0, self._outside.decades_unseen(rarity))
            decades = np.maximum(decades, unseen)
        most = np.minimum(decades, self._most)
        return np.asarray(most / (1 - SHARE_OF_OWN))  # a row's own decades, not above these, added

    def _together(self, pool: Pool) -> FloatArray:
        """Decades (n,) of a pool's rows by how their cells go together, 0 where they do."""
        rows, instead_of = pool.rows, pool.instead_of
        decades = np.zeros(len(rows))
        if self._bonds:
            decades = np.maximum(decades, self._bonds.decades(rows, instead_of))
        if self._dependencies:
            broken = self._dependencies.decades(pool.seen.views, rows, instead_of)
            decades = np.maximum(decades, _bounded(broken) if self._bounds else broken)
        if self._met.pairs:
            own, levels = self._places.of(pool.replaced) >= 0, self._levels(rows)
            gone = None if instead_of is None else self._levels(instead_of)
            decades = np.maximum(decades, self._met.decades(levels, own, gone))
        return decades

    def _levels(self, rows: FloatArray) -> Levels:
        """Places (n, c) of the levels of rows (n, p + q), behind all others an unseen one's."""
        levels = np.empty((len(rows), len(self._levels_at)), dtype=np.intp)
        for column, (count, at, _) in enumerate(self._levels_at):
            if len(at) == 1:  # the place itself: a column of categories has two levels at least
                levels[:, column] = np.rint(rows[:, at[0]])
            else:
                held = rows[:, at]
                levels[:, column] = np.where(held.max(axis=1) > 0.5, held.argmax(axis=1), count)
        return levels


def _bounded(decades: FloatArray) -> FloatArray:
    """Let decades (n,) by dependencies count little where they are many.

    Where new normal rows are other than those of fit, whole groups of them break dependencies, by
    far, and would come before all anomalies.
    """
    beyond = np.maximum(decades - MOST_DEPENDENCIES, 0.0)
    return np.asarray(np.minimum(decades, MOST_DEPENDENCIES) + BEYOND * np.log1p(beyond))
