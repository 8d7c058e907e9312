"""New types of anomaly: how much of the label-free view stays where there are known anomalies.

A head that has seen labels looks for more of the same. What is odd in another way can then rank
lower than it did without labels. A floor prevents that: both heads' scores become surprise against
the table's own rows, and a row has the higher one of what the labels say and a share of what it had
without them. The floor ends where rows begin to be rare: a new type comes before nearly all normal
rows, and what looks like the known anomalies comes first, also where copies of them hide among the
rows and make them less rare than the oddest normal row is.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from oddshot.episodes import ANOMALY, Float32Array, FloatArray, MappedTask
from oddshot.errors import SettingError, is_number
from oddshot.mapping.coordinates.evidence import EVIDENCE, TABLE
from oddshot.mapping.coordinates.label_free import LABEL_FREE
from oddshot.thresholds.surprise import Surprise

BOUND = 1.3  # decades, where the floor ends: one row in twenty
BEND = 4  # how sharply it does; both were chosen by both sides, docs/results/novel-types.md
_OF_LABELS = [EVIDENCE.index(name) for name in ("known_rank", "known_decades", "known_z")]
_FACTS_OF_LABELS = [TABLE.index(name) for name in ("any_known", "known")]


@dataclass(frozen=True, slots=True)
class Novelty:
    """What share of its label-free surprise a row keeps.

    Parameters
    ----------
    weight
        0: none, 1: all. ``None``: as much as the label-free view is worth on this table, by how
        high it ranks the known anomalies: Somers' D of them and the typical rows, where that is
        positive.

    Examples
    --------
    >>> Novelty.checked("auto"), Novelty.checked(0.5)
    (Novelty(weight=None), Novelty(weight=0.5))
    """

    weight: float | None = None

    @classmethod
    def checked(cls, novel: float | str) -> Self:
        """Read what the user gave: "auto" or a number from 0 to 1; `SettingError` for others."""
        if isinstance(novel, str) and novel == "auto":
            return cls()
        if not (is_number(novel) and 0 <= float(novel) <= 1):
            raise SettingError(f"novel is {novel!r}; it must be 'auto' or a number from 0 to 1")
        return cls(float(novel))

    def floor(self, told: FloatArray, free: FloatArray, known: FloatArray) -> "Floor":
        """Learn from raw scores how far the floor lies below what labels say.

        Parameters
        ----------
        told, free
            Raw scores (m,) of typical rows with labels and without, each obtained without itself.
        known
            Raw scores (k,) of the known anomalies without labels.
        """
        of_told, of_free = Surprise().fit(told), Surprise().fit(free)
        return Floor(of_told, of_free, self._weight(of_free.apply(known)))

    def _weight(self, surprise: FloatArray) -> float:
        """Share of the floor, if the known anomalies have a label-free surprise (k,)."""
        if self.weight is not None:
            return self.weight
        return max(0.0, 1 - 2 * float(np.mean(10**-surprise)))


LABELS_ALONE = Novelty(0.0)


@dataclass(frozen=True, slots=True)
class Floor:
    """The scales of a detector's scores with labels and without, and the floor's weight."""

    told: Surprise
    free: Surprise
    weight: float

    def apply(self, told: FloatArray, free: FloatArray) -> FloatArray:
        """Surprise (n,), in decades, of rows with these raw scores (n,) by either detector."""
        seen, floor = self.told.apply(told), bounded(self.weight * self.free.apply(free))
        return np.asarray(np.maximum(seen, floor))


def bounded(floor: FloatArray) -> FloatArray:
    """Keep a floor (n,), in decades, below its bound and in its order: a minimum, rounded off.

    Examples
    --------
    >>> bounded(np.array([0.0, 0.5, 1.3, 4.0])).round(2).tolist()
    [0.0, 0.5, 1.09, 1.3]
    """
    low, high = np.minimum(floor, BOUND), np.maximum(floor, BOUND)  # no power of a large number
    return np.asarray(low / (1 + (low / high) ** BEND) ** (1 / BEND))


def without_labels(task: MappedTask) -> MappedTask:
    """Forget the known anomalies of a task: what a head without labels adapts to."""
    stays = task.support_labels != ANOMALY
    evidence, table = task.summary.evidence.copy(), task.summary.table.copy()
    evidence[:, _OF_LABELS] = 0
    table[_FACTS_OF_LABELS] = 0
    return replace(
        task,
        support=task.support[stays],
        support_labels=task.support_labels[stays],
        summary=replace(task.summary, evidence=evidence, table=table),
    )


def blind(coordinates: Float32Array) -> Float32Array:
    """Forget the label-aware ones of coordinates (n, C, 2)."""
    forgotten = coordinates.copy()
    forgotten[:, len(LABEL_FREE) :] = 0
    return forgotten
