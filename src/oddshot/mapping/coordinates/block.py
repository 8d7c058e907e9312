"""What the blocks of coordinates have in common."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.coordinates.spaces import Views


@dataclass(frozen=True, slots=True)
class Reference:
    """The rows that a data set is seen against, in canonical order.

    ``typical`` (m, ...) are unlabelled or known normal rows, ``known`` (k, ...) known anomalies.
    """

    typical: Views
    known: Views

    @property
    def width(self) -> int:
        """Number of columns of the standardised space."""
        return int(self.typical.standard.shape[1])


class Block(Protocol):
    """A family of coordinates; higher values are odder.

    ``fit`` returns the coordinates of the reference's typical rows, each computed as if that row
    had not been there; ``transform`` those of any other rows.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        ...

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:
        """Freeze the block on ``reference``; returns shape (m, len(names))."""
        ...

    def transform(self, rows: Views, own: NDArray[np.intp] | None = None) -> FloatArray:
        """Coordinates of ``rows``; shape (n, len(names)), one row independent of the others.

        ``own`` (n,): each takes the place of this typical row of the reference, which counts no
        more; ``None``: of none.
        """
        ...
