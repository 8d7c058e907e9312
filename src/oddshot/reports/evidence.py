"""What a report shows beside scores: reasons, a map, pictures, what labels did and which help."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oddshot.detectors.explanations.explanation import Explanation
from oddshot.episodes import FloatArray

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RowMap:
    """Some rows as points of a plane, those alike near each other.

    Parameters
    ----------
    places
        Shape (m,): which rows.
    points
        Shape (m, 2): where they lie; axes have no unit.
    share
        How much of the rows' spread the plane shows, from 0 to 1.
    """

    places: IndexArray
    points: FloatArray
    share: float


@dataclass(frozen=True, slots=True)
class LabelEffect:
    """How the ranking differs from one by the same detector without labels.

    Parameters
    ----------
    before, after
        Shape (n,): the rank of every row without and with the labels; 1 is the oddest.

    Examples
    --------
    >>> LabelEffect(np.array([1, 4, 2, 3]), np.array([3, 1, 2, 4])).risen(2).tolist()
    [1]
    """

    before: IndexArray
    after: IndexArray

    def shared(self, top: int) -> int:
        """Count the rows that are among the ``top`` oddest in both."""
        return int(((self.before <= top) & (self.after <= top)).sum())

    def risen(self, top: int) -> IndexArray:
        """Name the rows that rose from outside into the ``top`` oddest, the farthest first."""
        inside = np.flatnonzero((self.after <= top) & (self.before > top))
        rise = self.before[inside] - self.after[inside]
        return inside[np.argsort(-rise, kind="stable")]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a report shows beside the scores; parts that are empty are left out.

    Rows are named by their places in the table, from 0.

    Parameters
    ----------
    rule
        How the threshold was chosen, as a sentence without a full stop.
    compared
        How many rows the verdicts rest on.
    explained
        Reasons of the oddest rows, by place.
    plane
        A map of the rows.
    suggested
        Rows that are worth a label, the first one first.
    effect
        What labels did.
    pictures
        Thumbnails as ``data:`` URIs, by place.
    ordinary
        Places of typical images, to compare with.
    """

    rule: str = ""
    compared: int = 0
    explained: Mapping[int, Explanation] = field(default_factory=dict)
    plane: RowMap | None = None
    suggested: tuple[int, ...] = ()
    effect: LabelEffect | None = None
    pictures: Mapping[int, str] = field(default_factory=dict)
    ordinary: tuple[int, ...] = ()

    def telling(self) -> list[str]:
        """Columns by their mean absolute contribution to the explained rows, largest first."""
        if not self.explained:
            return []
        found = [*self.explained.values()]
        sizes = np.abs([row.contributions for row in found]).mean(axis=0)
        return [found[0].columns[i] for i in np.argsort(-sizes, kind="stable")]
