"""How a row lies among the rows of a data set, as numbers that rise with oddness."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from oddshot.errors import DataError

_DENSITY = 5  # neighbours that tell how dense it is around a row
_EDGE = 0.05  # of the typical distance: nothing closer is told apart
_LEAST_SPREAD = 0.1
_GROUP = 8
_SAMPLE = 1024  # rows that tell how far out others are
_SHADES = 0.5  # share of columns that must have more than two values
_WIDE = 0.1  # rank of the neighbour that tells what is far out, as a share of the rows


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Logarithms of distances to the nearest of some normal rows, and what they are relative to.

    The features of a row are ``log d_j``, for the j-th nearest of the rows, then ``log d_j - log
    s_j``, s_j being the distance of that neighbour to a near neighbour of its own (a local outlier
    factor, Breunig et al. 2000, neighbour by neighbour) unless ``relative`` is false, and, where
    anomalies are known, ``-log`` of the distance to the nearest of them; each standardised over the
    normal rows. A row that equals one of the rows *is* that row, and is compared with the others.
    They can be differentiated.

    Parameters
    ----------
    rows
        Shape (m, d): normal rows to compare with.
    density
        Shape (m,): s, of each; copies of a row count once.
    known
        Shape (a, d): known anomalies; a may be 0.
    count
        Neighbours of a row.
    relative
        Whether there are features relative to s.
    edge
        Added to all distances.
    centre, spread
        Shape (F,): what features are standardised with.
    """

    rows: Tensor
    density: Tensor
    known: Tensor
    count: int
    relative: bool
    edge: Tensor
    centre: Tensor
    spread: Tensor

    @classmethod
    def of(
        cls, rows: Tensor, known: Tensor, *, count: int, relative: bool = True
    ) -> "Neighbourhood":
        """Compare rows (m, d) with each other.

        Raises
        ------
        DataError
            If there are fewer than 3 rows.
        """
        if len(rows) < 3:
            raise DataError(f"{len(rows)} normal or unlabelled rows are too few; give 3 or more")
        count = min(count, len(rows) - 1)
        near = _fifth_distances(rows)
        positive = near[near > 0]
        edge = _EDGE * (positive.median() if len(positive) else torch.ones(()))
        one = torch.ones(count + relative * count + (len(known) > 0), dtype=rows.dtype)
        plain = cls(rows, near, known, count, relative, edge, torch.zeros_like(one), one)
        features = plain(rows)
        spread = features.std(0).clamp_min(_LEAST_SPREAD)
        return cls(rows, near, known, count, relative, edge, features.mean(0), spread)

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
            nearest = _smallest(_squares(rows, self.rows), self.count + 1)
        distances = _distances(rows, _taken(self.rows, nearest))
        own = (distances[:, :1] <= 1e-3 * self.edge).to(nearest.dtype)
        places = own + torch.arange(self.count)
        distances = distances.gather(1, places)
        near = (distances + self.edge).log()
        parts = [near]
        if self.relative:
            density = (self.density.take(nearest.gather(1, places)) + self.edge).log()
            parts.append(near - density)
        if len(self.known):
            with torch.no_grad():
                closest = _squares(rows, self.known).argmin(1, keepdim=True)
            parts.append(-(_distances(rows, _taken(self.known, closest)) + self.edge).log())
        return (torch.cat(parts, 1) - self.centre) / self.spread


def _fifth_distances(rows: Tensor) -> Tensor:
    """Distance (m,) of each row to the fifth nearest of the different ones; 0 if all are equal."""
    different, own = torch.unique(rows, dim=0, return_inverse=True)
    if len(different) == 1:
        return rows.new_zeros(len(rows))
    distances = torch.cdist(rows, different)
    distances[torch.arange(len(rows)), own] = torch.inf
    return distances.topk(min(_DENSITY, len(different) - 1), largest=False).values[:, -1]


def has_shades(rows: Tensor) -> bool:
    """Whether at least half of the columns of rows (n, d) have more than two values.

    Where most have two, distances take few values, and how they compare with those of other rows
    misleads.
    """
    low, high = rows.amin(0), rows.amax(0)
    shades = ((rows != low) & (rows != high)).any(0)
    return bool(shades[low < high].double().mean() >= _SHADES) or bool((low == high).all())


def inner_rows(rows: Tensor, trim: float) -> Tensor:
    """Places (k,), in order, of rows (n, d) without the share ``trim`` that is farthest out.

    Far out is a row whose neighbour of rank ``n / 10`` is far: a cluster of anomalies that is
    smaller than a tenth of the rows does not hide itself.
    """
    count = len(rows)
    cut = int(trim * count)
    if not cut:
        return torch.arange(count)
    sample = rows[:: -(-count // _SAMPLE)]  # rows come in an order that means nothing
    rank = 1 + max(1, round(_WIDE * len(sample)))
    squares = _squares(rows, sample).numpy()
    squares.partition(rank - 1, axis=1)  # several times as fast as kthvalue
    far = torch.from_numpy(squares[:, rank - 1])
    return far.round(decimals=9).sort(stable=True).indices[: count - cut].sort().values


def _smallest(values: Tensor, count: int) -> Tensor:
    """Places (n, count) of the smallest of squares (n, m), in their order.

    What differs by rounding errors of single precision ties, and then places decide, the first if m
    is small, so that a row has the same neighbours in whatever company. The smallest lie in the
    ``count`` groups of values with the smallest minima, so that only those have to be sorted out.
    """
    values = values.float()
    if torch.onnx.is_in_onnx_export():  # which knows PyTorch alone; among equals its first is taken
        return values.clamp_min(0).topk(count, largest=False).indices
    places = torch.arange(values.shape[1])
    if len(places) >= 2 * _GROUP * count:
        lacking = -len(places) % _GROUP
        padded = pad(values, (0, lacking), value=torch.inf) if lacking else values
        groups = padded.view(len(padded), _GROUP, -1)
        width = groups.shape[2]
        chosen = _sorted_out(groups.amin(1), places[:width], count)
        places = (width * torch.arange(_GROUP)[:, None] + chosen[:, None]).flatten(1)
        values = padded.gather(1, places)
    return _sorted_out(values, places, count)


def _sorted_out(values: Tensor, places: Tensor, count: int) -> Tensor:
    """Those ``count`` of the places (n, m) or (m,) that hold the smallest values (n, m), sorted.

    Floats from 0 on are in the order of their bits. With the place beneath them a value is one
    whole number, and numbers alone are sorted out several times as fast as ``topk`` does it.
    """
    bits = values.clamp_min(0).view(torch.int32)  # rounding errors can be below 0
    keys = (bits.long() << 32 | places).numpy()
    keys.partition(count - 1, axis=1)
    return torch.from_numpy(np.sort(keys[:, :count])) & (2**32 - 1)


def _squares(rows: Tensor, others: Tensor) -> Tensor:
    """Squared distances (n, m) of rows (n, d) to others (m, d)."""
    lengths = rows.square().sum(1, keepdim=True) + others.square().sum(1)
    squares: Tensor = lengths.addmm_(rows, others.T, alpha=-2)
    return squares


def _distances(rows: Tensor, others: Tensor) -> Tensor:
    """Distances (n, k) of rows (n, d) to k others each (n, k, d); differentiable at 0."""
    return ((rows[:, None] - others).square().sum(-1) + 1e-12).sqrt()


def _taken(rows: Tensor, places: Tensor) -> Tensor:
    """``rows[places]``, faster: rows (m, d) at places (n, k), as (n, k, d)."""
    return rows.index_select(0, places.flatten()).view(*places.shape, -1)
