"""Raw scores of rows that lie among known normal ones, lowered towards that of a typical row.

A person who says "normal" of a false alarm expects the like of it to fall. The head cannot do that
where other rows are unlabelled: it sees the normal ones among these, where they count no more.
"""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.coordinates.distances import squared_distances
from oddshot.mapping.coordinates.labelled import Seen
from oddshot.mapping.coordinates.nearest import AT_ONCE
from oddshot.mapping.mapping import Mapping, Pool
from oddshot.mapping.threading import cut, in_blocks, one_blas_thread
from oddshot.thresholds.surprise import Surprise

TYPICAL = 0.3  # decades of the median row: nothing is lowered further
NOBODY = 0.3  # what speaks against normal rows where nothing else is near, in rows equal to it
AGAINST = 5.0  # known normal rows that a known anomaly outweighs
DECIMALS = 9  # of a share: what differs by rounding errors alone must tie


class Lowering:
    """Lowers raw scores of rows near known normal ones; others stay as they are.

    A row at surprise s gets ``s - strength * share * (s - 0.3)`` where s is above 0.3, with

        share = n / (n + 0.3 + 5 a)

    and n and a the sums of its likeness to the known normal rows and to the known anomalies.
    Likeness is ``exp(-d**2)``, and d**2 the mean over the three spaces of the squared distance in
    units of both rows' distance to their fifth neighbour (Zelnik-Manor and Perona 2004): what is
    near depends on how dense the rows are there; what stands aside (see
    `oddshot.mapping.encoding.encoder.Encoder`) adds 1 where it differs. A known normal row is no
    neighbour of itself, so that rows of the support are judged as new ones are.

    With known anomalies the strength is how well the share tells these from the known normal rows:
    Somers' D, each row without itself, where that is positive. Without, it is 1. Where no row is
    known to be normal, or all but anomalies are, nothing is lowered.

    Parameters
    ----------
    mapping
        What the table taught.
    scale
        Of the raw scores of the mapping's typical rows.
    """

    def __init__(self, mapping: Mapping, scale: Surprise) -> None:
        normal = mapping.typical_rows_.seen[: mapping.normal_among_unlabelled_]
        known = mapping.known_rows_.seen
        self._threads, self._places, self._scale = mapping.threads, mapping.places_, scale
        self._normal, self._known, self._strength = normal, known, 1.0
        if len(normal) and len(known):
            of_normal = self._share(normal, own=np.arange(len(normal)))
            of_known = self._share(known, own_known=np.arange(len(known)))
            self._strength = max(0.0, _somers_d(of_normal, of_known))

    def apply(self, scores: FloatArray, pool: Pool) -> FloatArray:
        """Raw scores (n,) of a pool of n rows, lowered."""
        if not len(self._normal) or not self._strength:
            return scores
        decades = self._scale.apply(scores)
        odd = np.flatnonzero(decades > TYPICAL)
        own = self._places.of(pool.replaced[odd])  # known normal rows are the first of them
        own[own >= len(self._normal)] = -1
        seen = pool.seen[odd]
        share = np.concatenate(
            in_blocks(
                lambda block: self._share(seen[block], own=own[block]),
                len(odd),
                threads=self._threads,
            )
        )
        near = np.flatnonzero(share)
        least = decades[odd[near]]
        least -= self._strength * share[near] * (least - TYPICAL)
        lowered = scores.copy()
        lowered[odd[near]] = self._scale.scores_at(least)
        return lowered

    @one_blas_thread
    def _share(
        self,
        rows: Seen,
        *,
        own: NDArray[np.intp] | None = None,
        own_known: NDArray[np.intp] | None = None,
    ) -> FloatArray:
        """How far normal rows outweigh what else is near (n,), in [0, 1).

        ``own`` and ``own_known`` are places (n,) of the rows among the known normal ones and among
        the known anomalies, -1 for those that are none.
        """
        found = []
        for block in cut(len(rows), AT_ONCE):
            normal = _likeness(rows[block], self._normal, own, block).sum(axis=1)
            against = NOBODY + np.zeros(len(normal))
            if len(self._known):
                likeness = _likeness(rows[block], self._known, own_known, block)
                against += AGAINST * likeness.sum(axis=1)
            found.append(np.round(normal / (normal + against), DECIMALS))
        return np.concatenate(found)


def _likeness(rows: Seen, others: Seen, own: NDArray[np.intp] | None, block: slice) -> FloatArray:
    """Likeness (n, m) of rows to others, 0 to themselves: ``own[block]``, where that is given."""
    exponents = np.zeros((len(rows), len(others)))
    spaces = zip(rows.views.named().values(), others.views.named().values(), strict=True)
    for at, (points, theirs) in enumerate(spaces):
        squares = squared_distances(points.astype(np.float64), theirs.astype(np.float64))
        squares *= np.exp(-rows.fifths[:, at, None])
        squares *= np.exp(-others.fifths[:, at])
        exponents -= squares
    exponents /= rows.fifths.shape[1]
    for column, levels in zip(np.rint(rows.aside).T, others.aside.T, strict=True):
        alike = len(levels) and (levels == levels[0]).all()
        exponents -= column[:, None] != (levels[:1] if alike else levels)
    likeness = np.exp(exponents)
    if own is not None:
        mine = np.flatnonzero(own[block] >= 0)
        likeness[mine, own[block][mine]] = 0.0
    return np.asarray(likeness)


def _somers_d(higher: FloatArray, lower: FloatArray) -> float:
    """How much more often values (n,) are above others (m,) than below them, -1 to 1.

    >>> _somers_d(np.array([1.0, 3.0]), np.array([2.0]))
    0.0
    """
    return float(np.sign(higher[:, None] - lower).mean())
