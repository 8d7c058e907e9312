"""Prototypes of classes and distances to them, for many tasks side by side.

``B`` tasks have ``S`` support rows each, embedded in ``e`` dimensions. Which rows belong to a class
is a mask, so classes of different sizes, and absent ones, go through together.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

DISTANCES = ("euclidean", "cosine", "mahalanobis")

_LLOYD = 5  # iterations; supports of a hundred rows settle in fewer


@dataclass(frozen=True, slots=True)
class Prototypes:
    """What stands for a class: the means of K groups of its rows.

    Parameters
    ----------
    centres
        Shape (B, K, e).
    shares
        Shape (B, K): the part of the class's rows that each stands for. 0 where there is no such
        group, all of them where a task has no row of the class.
    groups
        Shape (B, S, K): 1 where a row belongs to a group, else 0.
    """

    centres: Tensor
    shares: Tensor
    groups: Tensor

    @classmethod
    def of(cls, rows: Tensor, members: Tensor, count: int = 1) -> "Prototypes":
        """Group the rows of a class by k-means, and take means.

        One prototype is the mean of the class (Snell et al. 2017, equation 1). Several are found by
        Lloyd's iterations, which start from the row closest to the mean, and then always from the
        row farthest from those that there are (Gonzalez 1985), so that nothing is random and the
        order of rows has no influence. Derivatives go through the means, not through the grouping.

        Parameters
        ----------
        rows
            Shape (B, S, e).
        members
            Shape (B, S), True for rows of the class.
        count
            K; a class of fewer different rows has fewer groups.

        Examples
        --------
        >>> rows = torch.tensor([[[0.0], [1.0], [8.0], [9.0], [-50.0]]])
        >>> members = torch.tensor([[True, True, True, True, False]])
        >>> Prototypes.of(rows, members, 2).centres.flatten().tolist()
        [0.5, 8.5]
        """
        if count == 1:
            groups = members[..., None].to(rows.dtype)
        else:
            groups = _grouped(rows.detach(), members, count)
        sizes = groups.sum(1)
        centres = groups.mT @ rows / sizes.clamp(min=1)[..., None]
        return cls(centres, sizes / sizes.sum(1, keepdim=True).clamp(min=1), groups)

    def scatter(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the covariance (B, e, e) of rows about their prototypes, and their number (B,)."""
        members = self.groups.sum(2, keepdim=True)
        off = (rows - self.groups @ self.centres) * members
        size = members.sum((1, 2))
        return off.mT @ off / size.clamp(min=1)[:, None, None], size


def squared_euclidean(rows: Tensor, centres: Tensor) -> Tensor:
    """Squared Euclidean distances (B, n, K) of rows (B, n, e) to centres (B, K, e)."""
    return (rows[:, :, None] - centres[:, None]).square().sum(-1)


def cosine(rows: Tensor, centres: Tensor) -> Tensor:
    """One minus the cosine: distances (B, n, K) from 0 to 2; of a vector of length 0, 1."""
    lengths = [values.square().sum(-1, keepdim=True).clamp(min=1e-12) for values in (rows, centres)]
    rows, centres = (v * torch.rsqrt(n) for v, n in zip((rows, centres), lengths, strict=True))
    return 1 - rows @ centres.mT


def whitening(covariance: Tensor, shrinkage: float) -> Tensor:
    """Return F (B, e, e), so that ``(x - p) F`` has the squared length of a Mahalanobis distance.

    The distance is ``(x - p)^T M^-1 (x - p)`` with ``M = (1 - shrinkage) * covariance + shrinkage *
    I``, which has an inverse even where one row is all there is.

    Parameters
    ----------
    covariance
        Shape (B, e, e).
    shrinkage
        In (0, 1]; at 1 the distance is Euclidean.

    Examples
    --------
    >>> factor = whitening(torch.tensor([[[7.0]]]), 0.5)
    >>> ((torch.tensor([[[2.0]]]) @ factor) ** 2).item()
    1.0
    """
    wide = covariance.double()  # in single precision a small shrinkage can be lost in rounding
    identity = torch.eye(wide.shape[-1], dtype=wide.dtype, device=wide.device)
    lower = torch.linalg.cholesky(torch.lerp(wide, identity.expand_as(wide), shrinkage))
    inverse = torch.linalg.solve_triangular(lower, identity, upper=False)
    factor: Tensor = inverse.mT.to(covariance.dtype)
    return factor


def mixture(distances: Tensor, shares: Tensor) -> Tensor:
    """Distance (B, n) to the prototypes of a class, given that to each (B, n, K).

    It is ``-log(sum_k shares_k exp(-distances_k))``, the negative log-likelihood of a mixture, so
    that a group of a single row, perhaps an anomaly nobody knows of, draws less than a large one.
    Infinite where a task has no prototype of the class.
    """
    # filled after the fact: a fill has no derivative, where that of the logarithm can be NaN
    absent = (shares == 0)[:, None]
    return -torch.logsumexp((shares.log()[:, None] - distances).masked_fill(absent, -torch.inf), -1)


def nearest_rows(distances: Tensor, sizes: Tensor, count: int) -> Tensor:
    """Mean distance (B, n) to the nearest rows of a class, each seen as its prototype.

    So a prototype of fewer rows, perhaps of anomalies that nobody knows of, draws only in part; the
    prototypes behind it make up for the rest.

    Parameters
    ----------
    distances
        Shape (B, n, K): to each prototype.
    sizes
        Shape (B, K): how many rows each stands for.
    count
        How many rows are taken, of classes that have fewer all. At 1 it is the distance to the
        nearest prototype.

    Returns
    -------
    Tensor
        Infinite where a task has no row of the class.

    Examples
    --------
    >>> distances, sizes = torch.tensor([[[4.0, 1.0, 9.0]]]), torch.tensor([[3.0, 1.0, 5.0]])
    >>> nearest_rows(distances, sizes, 1).item(), nearest_rows(distances, sizes, 3).item()
    (1.0, 3.0)
    """
    ordered, order = distances.masked_fill((sizes == 0)[:, None], torch.inf).sort(-1)
    sizes = sizes[:, None].expand_as(distances).take_along_dim(order, -1)
    taken = (count - (sizes.cumsum(-1) - sizes)).clamp(min=0).minimum(sizes)
    total = taken.sum(-1)
    mean = ordered.masked_fill(taken == 0, 0).mul(taken).sum(-1) / total.clamp(min=1)
    return mean.masked_fill(total == 0, torch.inf)


def trimmed(rows: Tensor, members: Tensor, doubtful: Tensor, share: float) -> Tensor:
    """Leave out the doubtful members that lie farthest from the others.

    How far a row lies off is the radius of the ball about it that holds a quarter of the class.
    That is large for few strange rows even where the class has several groups.

    Parameters
    ----------
    rows
        Shape (B, S, e).
    members, doubtful
        Shape (B, S): rows of the class, and which of them may be left out.
    share
        Part of the doubtful rows to leave out, in [0, 1), rounded down to whole rows.

    Returns
    -------
    Tensor
        Shape (B, S): the members that are left.
    """
    if not share:
        return members
    rows, doubtful = rows.detach(), doubtful & members
    gaps = torch.cdist(rows, rows)
    gaps = gaps.masked_fill(~members[:, None], torch.inf).sort(-1).values
    quarter = (members.sum(1) / 4).ceil().long().clamp(max=rows.shape[1] - 1)
    radii = gaps.take_along_dim(quarter[:, None, None], -1)[..., 0]
    radii = radii.masked_fill(~doubtful, -torch.inf)
    ranks = (-radii).argsort(1).argsort(1)
    left_out: Tensor = ranks < (share * doubtful.sum(1, keepdim=True)).floor()
    return members & ~(doubtful & left_out)


def _grouped(rows: Tensor, members: Tensor, count: int) -> Tensor:
    """Find groups (B, S, K) of rows; where fewer rows differ, the last ones are empty."""
    weights = members[..., None].to(rows.dtype)
    mean = (rows * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1)
    first = squared_euclidean(rows, mean)[..., 0].masked_fill(~members, torch.inf).argmin(1)
    centres = rows.take_along_dim(first[:, None, None], 1)
    for _ in range(count - 1):
        gaps = squared_euclidean(rows, centres).amin(-1).masked_fill(~members, -1.0)
        far = rows.take_along_dim(gaps.argmax(1)[:, None, None], 1)
        centres = torch.cat([centres, far], 1)
    for _ in range(_LLOYD):
        groups = _closest(rows, centres) * weights
        sizes = groups.sum(1)[..., None]
        centres = torch.where(sizes > 0, groups.mT @ rows / sizes.clamp(min=1), centres)
    return _closest(rows, centres) * weights


def _closest(rows: Tensor, centres: Tensor) -> Tensor:
    closest = squared_euclidean(rows, centres).argmin(-1, keepdim=True)
    groups = rows.new_zeros(*rows.shape[:2], centres.shape[1])
    return groups.scatter(2, closest, 1.0)
