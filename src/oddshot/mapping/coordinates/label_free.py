"""The label-free part of the mapping: frozen on a support, whatever is labelled later."""

from collections.abc import Collection
from typing import Self

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.coordinates.block import Block, Reference
from oddshot.mapping.coordinates.calibration import CHANNELS, FLAT, CoordinateScale
from oddshot.mapping.coordinates.isolation import Isolation
from oddshot.mapping.coordinates.labelled import Seen
from oddshot.mapping.coordinates.neighbours import Neighbours, Subsets
from oddshot.mapping.coordinates.shape import Ellipsoids
from oddshot.mapping.coordinates.spaces import NAMES, Spaces, Views
from oddshot.mapping.coordinates.spikes import spiked_columns
from oddshot.mapping.coordinates.tails import Tails
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.support import Support
from oddshot.mapping.threading import in_blocks

LABEL_FREE = Neighbours.names + Subsets.names + Tails.names + Ellipsoids.names + Isolation.names


class LabelFree:
    """Spaces, label-free blocks and their calibration, on the rows of one support.

    Parameters
    ----------
    threads
        Threads over blocks of rows. The result does not depend on it.
    left_out
        Names of blocks that are not computed; their coordinates are 0 for all rows.
    flat
        See `CoordinateScale`.
    flags
        Shape (p,): which of the support's columns are flags of gaps, see `Ellipsoid`; ``None``:
        none. Not looked at in tables that are seen along principal axes.
    spikes
        Whether columns in which one value stands in most rows are seen as such.

    Attributes
    ----------
    typical_, known_
        The support's rows as they are seen: a typical row without itself.
    neighbours_
        The block that finds neighbours.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        left_out: Collection[str] = (),
        flat: float = FLAT,
        flags: NDArray[np.bool_] | None = None,
        spikes: bool = True,
    ) -> None:
        self._threads, self._left_out, self._flat = threads, left_out, flat
        self._flags, self._spikes = flags, spikes

    def fit(self, support: Support, generator: np.random.Generator) -> Self:
        """Compare the support's typical rows with each other, and freeze."""
        self._width = support.width
        columns = support.typical[:, : self._width]
        flags = self._flags
        spiked = spiked_columns(columns, flags) if self._spikes else None
        self._spaces = Spaces().fit(columns, spiked)
        if spiked is not None:  # in the ellipsoid they are as flags are
            flags = spiked if flags is None else flags | spiked
        views = self._view(support.typical)
        reference = Reference(views, self._view(support.known))
        self.neighbours_, self._isolation = Neighbours(threads=self._threads), Isolation()
        every: tuple[Block, ...] = (
            self.neighbours_,
            Subsets(threads=self._threads),
            Tails(),
            Ellipsoids(flags),
            self._isolation,
        )
        self._blocks = [block for block in every if type(block).__name__ not in self._left_out]
        self._names = [name for block in self._blocks for name in block.names]
        raw = np.concatenate([block.fit(reference, generator) for block in self._blocks], axis=1)
        self._scale = CoordinateScale(flat=self._flat).fit(raw)
        self._own = RowPlaces(support.typical)
        grown = self._isolation in self._blocks
        leaves = self._isolation.typical_leaves_ if grown else self._leaves(views)
        self.typical_ = self._as_seen(views, raw, leaves, support.typical[:, self._width :])
        self.known_ = self.look(support.known)
        return self

    def look(self, rows: FloatArray, instead_of: FloatArray | None = None) -> Seen:
        """See rows (n, p + q), columns in the support's order, each alone.

        A typical row of the support is seen as it was there, without itself. Another row is seen
        without the one that it is there instead of (n, p + q), where that is a typical one.
        """
        seen = self.typical_.room(len(rows))
        replaced = None if instead_of is None else self.places(instead_of)
        in_blocks(
            lambda block: self._look(
                rows[block], None if replaced is None else replaced[block], seen[block]
            ),
            len(rows),
            threads=self._threads,
        )
        return seen

    def places(self, rows: FloatArray) -> np.ndarray:
        """Place (n,) of each row among the support's typical rows, -1 for all others."""
        return self._own.of(rows)

    def _look(self, rows: FloatArray, replaced: NDArray[np.intp] | None, seen: Seen) -> None:
        """Write how ``rows`` are seen, in the places of those that are replaced, to ``seen``."""
        own = self.places(rows)
        place = own if replaced is None else replaced
        known, new = np.flatnonzero(own >= 0), np.flatnonzero((own < 0) & (place < 0))
        instead = np.flatnonzero((own < 0) & (place >= 0))
        if len(known):
            seen.put(known, self.typical_[own[known]])
        if len(new):
            seen.put(new, self._look_at_new(rows[new]))
        if len(instead):
            seen.put(instead, self._look_at_new(rows[instead], place[instead]))

    def _view(self, rows: FloatArray) -> Views:
        """Rows (n, p + q) in every space, without what stands aside."""
        return self._spaces.view(rows[:, : self._width])

    def _look_at_new(self, rows: FloatArray, own: NDArray[np.intp] | None = None) -> Seen:
        """See other rows, in the place of none or of some typical ones; see `Block`."""
        views = self._view(rows)
        leaves = self._leaves(views)
        raw = [
            self._isolation.depths(leaves)
            if block is self._isolation
            else block.transform(views, own)
            for block in self._blocks
        ]
        aside = rows[:, self._width :]
        return self._as_seen(views, np.concatenate(raw, axis=1), leaves, aside)

    def _leaves(self, views: Views) -> NDArray[np.uint16]:
        """Leaves (n, trees) of the isolation trees; none where these are left out."""
        if self._isolation in self._blocks:
            return self._isolation.leaves(views.standard)
        return np.zeros((len(views), 0), dtype=np.uint16)

    def _as_seen(
        self, views: Views, raw: FloatArray, leaves: NDArray[np.uint16], aside: FloatArray
    ) -> Seen:
        fifths = raw[:, [self._names.index(f"knn5_{space}") for space in NAMES]]
        coordinates = np.zeros((len(raw), len(LABEL_FREE), CHANNELS), dtype=np.float32)
        coordinates[:, [LABEL_FREE.index(n) for n in self._names]] = self._scale.apply(raw)
        flat = coordinates.reshape(len(raw), len(LABEL_FREE) * CHANNELS)
        return Seen(views, fifths, flat, leaves, aside.astype(np.float32))
