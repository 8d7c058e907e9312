"""How a row lies among the rows of a data set, as numbers that rise with oddness."""

from dataclasses import dataclass

import torch
from torch import Tensor

from oddshot.errors import DataError

_DENSITY = 5  # neighbours that tell how dense it is around a row
_EDGE = 0.05  # of the typical distance: nothing closer is told apart
_LEAST_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Logarithms of distances to the nearest of some normal rows, and what they are relative to.

    The features of a row are ``log d_j``, for the j-th nearest of the rows, then ``log d_j - log
    s_j``, s_j being the distance of that neighbour to a near neighbour of its own (a local outlier
    factor, Breunig et al. 2000, neighbour by neighbour), and, where anomalies are known, ``-log``
    of the distance to the nearest of them; each standardised over the normal rows. A row that
    equals one of the rows *is* that row, and is compared with the others. They can be
    differentiated.

    Parameters
    ----------
    rows
        Shape (m, d): normal rows to compare with.
    density
        Shape (m,): s, of each.
    known
        Shape (a, d): known anomalies; a may be 0.
    count
        Neighbours of a row.
    edge
        Added to all distances.
    centre, spread
        Shape (F,): what features are standardised with.
    """

    rows: Tensor
    density: Tensor
    known: Tensor
    count: int
    edge: Tensor
    centre: Tensor
    spread: Tensor

    @classmethod
    def of(cls, rows: Tensor, known: Tensor, *, count: int) -> "Neighbourhood":
        """Compare rows (m, d) with each other.

        Raises
        ------
        DataError
            If there are fewer than 3 rows.
        """
        if len(rows) < 3:
            raise DataError(f"{len(rows)} normal or unlabelled rows are too few; give 3 or more")
        count = min(count, len(rows) - 1)
        distances = torch.cdist(rows, rows).fill_diagonal_(torch.inf)
        near = distances.topk(min(_DENSITY, len(rows) - 1), largest=False).values[:, -1]
        positive = near[near > 0]
        edge = _EDGE * (positive.median() if len(positive) else torch.ones(()))
        one = torch.ones(2 * count + (len(known) > 0), dtype=rows.dtype)
        plain = cls(rows, near, known, count, edge, torch.zeros_like(one), one)
        features = plain(rows)
        spread = features.std(0).clamp_min(_LEAST_SPREAD)
        return cls(rows, near, known, count, edge, features.mean(0), spread)

    @property
    def typical(self) -> Tensor:
        """How far a row typically is from a near neighbour, the fifth: a distance."""
        return self.density.median()

    @property
    def width(self) -> int:
        """F, the number of features."""
        return len(self.centre)

    def __call__(self, rows: Tensor) -> Tensor:
        """Features (n, F) of rows (n, d)."""
        with torch.no_grad():
            # what differs by rounding errors alone ties, and then the first row is the nearest: so
            # in double precision neighbours are the same in whatever company, and elsewhere
            squares = _squares(rows, self.rows).float().to(rows.dtype)
            turns = 1 + 1e-12 * torch.arange(len(self.rows), dtype=rows.dtype)
            nearest = (squares * turns).topk(self.count + 1, largest=False).indices
        distances = _distances(rows, self.rows[nearest])
        own = (distances[:, :1] <= 1e-3 * self.edge).to(nearest.dtype)
        places = own + torch.arange(self.count)
        distances = distances.gather(1, places)
        near = (distances + self.edge).log()
        density = (self.density[nearest.gather(1, places)] + self.edge).log()
        parts = [near, near - density]
        if len(self.known):
            with torch.no_grad():
                closest = _squares(rows, self.known).argmin(1, keepdim=True)
            parts.append(-(_distances(rows, self.known[closest]) + self.edge).log())
        return (torch.cat(parts, 1) - self.centre) / self.spread


def _squares(rows: Tensor, others: Tensor) -> Tensor:
    """Squared distances (n, m) of rows (n, d) to others (m, d)."""
    lengths = rows.square().sum(1, keepdim=True) + others.square().sum(1)
    return lengths - 2 * rows @ others.T


def _distances(rows: Tensor, others: Tensor) -> Tensor:
    """Distances (n, k) of rows (n, d) to k others each (n, k, d); differentiable at 0."""
    return ((rows[:, None] - others).square().sum(-1) + 1e-12).sqrt()
