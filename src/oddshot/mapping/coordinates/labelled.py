"""Coordinates that look at the known anomalies: distances, directions, small supervised models."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dtrtri

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.calibration import CHANNELS, CoordinateScale
from oddshot.mapping.coordinates.distances import (
    against,
    extended,
    median,
    settle_close,
    squared_distances,
)
from oddshot.mapping.coordinates.levels import KnownLevels, LevelDistances
from oddshot.mapping.coordinates.nearest import AT_ONCE
from oddshot.mapping.coordinates.neighbours import Neighbours
from oddshot.mapping.coordinates.spaces import NAMES, Views
from oddshot.mapping.coordinates.supervised import CrossFitted, Logistic, Trees
from oddshot.mapping.threading import cut

KERNEL_ROWS = 512
HELD_OUT_ROWS = 512
TREES, HELD_OUT_TREES = 100, 32
NORMAL_WORTH = 10.0  # unlabelled rows that a known normal one counts for
LEAVES_COLUMNS, LEAVES_ALL = 4, 10  # rows in a leaf at least
MANY_KNOWN = 75.0  # known anomalies; from there on leaves are smaller


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows as the label-free part of the mapping has seen them.

    Parameters
    ----------
    views
        The n rows in every space.
    fifths
        Shape (n, 3): log distance to the fifth typical neighbour in every space.
    coordinates
        Shape (n, 2C) float32: calibrated label-free coordinates.
    leaves
        Shape (n, trees): leaves of the isolation trees.
    aside
        Shape (n, q) float32: what stands aside, see `oddshot.mapping.encoding.encoder.Encoder`.
    """

    views: Views
    fifths: FloatArray
    coordinates: Float32Array
    leaves: NDArray[np.uint16]
    aside: Float32Array

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: slice | NDArray[np.intp]) -> "Seen":
        return Seen(
            self.views[index],
            self.fifths[index],
            self.coordinates[index],
            self.leaves[index],
            self.aside[index],
        )

    def room(self, rows: int) -> "Seen":
        """Make room for other rows of the same kind, to be `put` there."""
        views = (np.empty((rows, v.shape[1]), v.dtype) for v in self.views.arrays())
        return Seen(
            Views(*views),
            np.empty((rows, self.fifths.shape[1])),
            np.empty((rows, self.coordinates.shape[1]), np.float32),
            np.empty((self.leaves.shape[1], rows), np.uint16).T,
            np.empty((rows, self.aside.shape[1]), np.float32),
        )

    def put(self, places: slice | NDArray[np.intp], rows: "Seen") -> None:
        """Write rows to some places."""
        trees = zip(self.leaves.T, rows.leaves.T, strict=True)  # a tree's leaves side by side
        others = zip(self._by_row(), rows._by_row(), strict=True)
        for mine, given in (*others, *trees):
            mine[places] = given

    def followed_by(self, other: "Seen") -> "Seen":
        """Put the rows of both together."""
        whole = self.room(len(self) + len(other))
        whole.put(slice(len(self)), self)
        whole.put(slice(len(self), None), other)
        return whole

    def _by_row(self) -> tuple[NDArray[Any], ...]:
        return *self.views.arrays(), self.fifths, self.coordinates, self.aside


class LabelledBlock(Protocol):
    """As `Block`, but fitted on known anomalies too; all coordinates are higher near them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        ...

    def fit(self, typical: Seen, known: Seen, generator: np.random.Generator) -> FloatArray:
        """Freeze the block; returns honest coordinates of the typical rows, (m, len(names))."""
        ...

    def transform(self, rows: Seen) -> FloatArray:
        """Coordinates of ``rows``; shape (n, len(names)), one row independent of the others."""
        ...


class KnownDistances:
    """How near the known anomalies are, by themselves and relative to the typical rows.

    In all spaces rows of another level than a known anomaly are farther, see `LevelDistances`.
    """

    names = tuple(
        f"known_{kind}_{space}" for space in NAMES for kind in ("nearest", "relative", "kernel")
    )

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def fit(self, typical: Seen, known: Seen, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `LabelledBlock`."""
        self._known = {name: p.astype(np.float64) for name, p in known.views.named().items()}
        self._levels = LevelDistances().fit(typical.aside, known.aside)
        self._width = {}
        for name, points in typical.views.named().items():
            middle = points.astype(np.float64) - np.median(points, axis=0)
            self._width[name] = float(np.median((middle**2).sum(axis=1))) or 1.0
        return self.transform(typical)

    def transform(self, rows: Seen) -> FloatArray:
        """See `LabelledBlock`."""
        columns = []
        between_levels = self._levels.squares(rows.aside)
        for fifth, (name, points) in zip(rows.fifths.T, rows.views.named().items(), strict=True):
            exact, known = points.astype(np.float64), self._known[name]
            squares = squared_distances(exact, known)
            settle_close(squares, exact, known)
            squares += between_levels
            nearest = self._neighbours.log(name, np.sqrt(squares.min(axis=1)))
            kernel = np.log(np.exp(-squares / self._width[name]).mean(axis=1) + 1e-6)
            columns += [-nearest, fifth - nearest, kernel]
        return np.column_stack(columns)


class KnownCoordinates:
    """Nearness to the known anomalies in label-free coordinates, also relative to a row's size."""

    names = ("nearest_coordinates", "relative_coordinates")

    def fit(self, typical: Seen, known: Seen, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `LabelledBlock`."""
        self._known = known.coordinates.astype(np.float64)
        return self.transform(typical)

    def transform(self, rows: Seen) -> FloatArray:
        """See `LabelledBlock`."""
        coordinates = rows.coordinates.astype(np.float64)
        squares = squared_distances(coordinates, self._known).min(axis=1)
        nearest = np.log(np.sqrt(squares + 1.0))
        size = np.log(np.sqrt((coordinates**2).sum(axis=1) + 1.0))
        return np.column_stack([-nearest, size - nearest])


class NaiveBayes:
    """Log density ratio of known anomalies to typical rows, columns taken one by one.

    Known anomalies: a normal distribution in every quantile or whitened column, its variance
    shrunken towards that of the typical rows; these are standard normal by construction.
    """

    names = ("bayes_quantile", "bayes_whitened")

    def fit(self, typical: Seen, known: Seen, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `LabelledBlock`: the typical rows do not enter."""
        self._moments = {}
        for space in ("quantile", "whitened"):
            points = known.views.named()[space].astype(np.float64)
            count = len(points)
            mean = points.mean(axis=0) * count / (count + 0.5)
            variance = (2 + ((points - mean) ** 2).sum(axis=0)) / (2 + count)
            self._moments[space] = mean, np.minimum(variance, 4.0)
        return self.transform(typical)

    def transform(self, rows: Seen) -> FloatArray:
        """See `LabelledBlock`."""
        columns = []
        for space, (mean, variance) in self._moments.items():
            points = np.clip(rows.views.named()[space].astype(np.float64), -6, 6)
            constant = (mean**2 / variance + np.log(variance)).sum()
            ratios = points**2 @ (1 - 1 / variance) + points @ (2 * mean / variance) - constant
            columns.append(0.5 * ratios)
        return np.column_stack(columns)


class KnownLeaves:
    """Share of isolation trees in which a row falls into a known anomaly's leaf."""

    names = ("known_leaves",)

    def fit(self, typical: Seen, known: Seen, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `LabelledBlock`."""
        self._known = known.leaves
        return self.transform(typical)

    def transform(self, rows: Seen) -> FloatArray:
        """See `LabelledBlock`."""
        if not self._known.shape[1]:  # isolation is left out
            return np.zeros((len(rows), 1))
        shared = np.zeros((len(self._known), len(rows)), dtype=np.uint16)
        for leaves, known in zip(rows.leaves.T, self._known.T, strict=True):
            shared += known[:, None] == leaves
        shares = shared / self._known.shape[1]
        return np.asarray(0.5 * shares.max(axis=0) + 0.5 * shares.mean(axis=0))[:, None]


class Directions:
    """Fisher's direction from typical rows to known anomalies, shrunken (Fisher 1936)."""

    names = ("direction_standard", "direction_quantile")

    def fit(self, typical: Seen, known: Seen, generator: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """See `LabelledBlock`: the direction hardly depends on any one typical row."""
        self._directions = {}
        for space in ("standard", "quantile"):
            points = typical.views.named()[space].astype(np.float64)
            width = points.shape[1]
            shrinkage = min(0.95, max(0.1, 2 * width / (width + len(points))))
            covariance = np.cov(points.T, bias=True).reshape(width, width)
            pooled = (1 - shrinkage) * covariance + shrinkage * np.eye(width)
            towards = known.views.named()[space].astype(np.float64).mean(axis=0)
            self._directions[space] = np.linalg.solve(pooled, towards - points.mean(axis=0))
        return self.transform(typical)

    def transform(self, rows: Seen) -> FloatArray:
        """See `LabelledBlock`."""
        named = rows.views.named()
        return np.column_stack([named[s] @ d for s, d in self._directions.items()])


class KernelRidge:
    """Regression on 1 (known anomaly) and 0 (typical) with a Gaussian kernel.

    Leave-one-out scores of the typical rows come in closed form from the inverse
    (Rasmussen and Williams 2006, eq. 5.12).
    """

    names = ("kernel_standard", "kernel_quantile")

    def fit(self, typical: Seen, known: Seen, generator: np.random.Generator) -> FloatArray:
        """See `LabelledBlock`."""
        drawn = np.sort(generator.permutation(len(typical))[:KERNEL_ROWS])
        self._models = {}
        columns = []
        for space in ("standard", "quantile"):
            rows = typical.views.named()[space].astype(np.float64)
            anomalies = known.views.named()[space].astype(np.float64)
            points = np.concatenate([rows[drawn], anomalies])
            target = np.concatenate([np.zeros(len(drawn)), np.ones(len(anomalies))])
            squares = squared_distances(points, points)
            among = squares[: len(drawn), : len(drawn)].astype(np.float32)  # enough for a width
            width = median(among) or 1.0
            noise = np.concatenate([np.full(len(drawn), 0.5), np.full(len(anomalies), 0.05)])
            squares *= -2  # all in place from here on: these matrices are large
            squares /= width
            kernel = np.exp(squares, out=squares)
            kernel[np.diag_indices_from(kernel)] += noise
            factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
            weights = cho_solve(factor, target, check_finite=False)
            half, _ = dtrtri(factor[0], lower=1)
            half = np.tril(half)
            inverse = np.square(half, out=half).sum(axis=0)  # its diagonal
            self._models[space] = (against(points) * (-2 / width), weights)
            scores = self._scores(rows, space)
            scores[drawn] = (target - weights / inverse)[: len(drawn)]
            columns.append(scores)
        return np.column_stack(columns)

    def transform(self, rows: Seen) -> FloatArray:
        """See `LabelledBlock`."""
        named = rows.views.named()
        return np.column_stack(
            [self._scores(named[space].astype(np.float64), space) for space in self._models]
        )

    def _scores(self, rows: FloatArray, space: str) -> FloatArray:
        against_points, weights = self._models[space]
        scores = np.empty(len(rows))
        for block in cut(len(rows), AT_ONCE):
            kernel = extended(rows[block]) @ against_points
            scores[block] = np.exp(kernel, out=kernel) @ weights
        return scores


class Supervised:
    """Trees on columns and label-free coordinates; logistic regression on either.

    Columns are followed by what stands aside, see `KnownLevels`.

    Parameters
    ----------
    trees
        How many in a forest.
    normal
        The first ``normal`` typical rows are known to be so, the others may hide anomalies: one
        counts as much as ten of these.
    many
        From so many known anomalies on leaves are smaller.
    """

    names = ("trees_columns", "trees_all", "logistic_columns", "logistic_coordinates")

    def __init__(self, *, trees: int, normal: int = 0, many: float = MANY_KNOWN) -> None:
        self._forest, self._normal, self._many = partial(Trees, trees=trees), normal, many

    def fit(self, typical: Seen, known: Seen, generator: np.random.Generator) -> FloatArray:
        """See `LabelledBlock`."""
        halves = generator.permutation(len(typical)) % 2
        self._levels = KnownLevels().fit(typical.aside, known.aside)
        leaves = [leaf_size(n, len(known), self._many) for n in (LEAVES_COLUMNS, LEAVES_ALL)]
        self._models = [
            *(CrossFitted(partial(self._forest, leaf=leaf)) for leaf in leaves),
            CrossFitted(lambda: Logistic(strength=0.1)),
            CrossFitted(lambda: Logistic(strength=0.01)),
        ]
        worth = np.where(np.arange(len(typical)) < self._normal, NORMAL_WORTH, 1.0)
        inputs = zip(self._models, self._inputs(typical), self._inputs(known), strict=True)
        return np.column_stack(
            [
                model.fit(rows, anomalies, halves, int(generator.integers(2**31)), worth)
                for model, rows, anomalies in inputs
            ]
        )

    def transform(self, rows: Seen) -> FloatArray:
        """See `LabelledBlock`."""
        inputs = zip(self._models, self._inputs(rows), strict=True)
        return np.column_stack([model.scores(points) for model, points in inputs])

    def _inputs(self, rows: Seen) -> tuple[FloatArray, ...]:
        columns = rows.views.columns.astype(np.float64)
        columns = np.concatenate([columns, self._levels.of(rows.aside)], axis=1)
        robust = rows.coordinates[:, 1::CHANNELS]
        return (
            columns,
            np.concatenate([columns, robust], axis=1),
            np.concatenate([columns, rows.views.quantile], axis=1),
            rows.coordinates.astype(np.float64),
        )


def leaf_size(least: int, known: int, many: float = MANY_KNOWN) -> int:
    """Rows that a leaf holds at least: fewer where many anomalies are known, as they tell more.

    >>> [leaf_size(10, known) for known in (5, 75, 150, 1_000)]
    [10, 10, 5, 1]
    """
    return max(1, round(least * min(1.0, many / known)))


LABELLED_NAMES = (
    KnownDistances.names
    + KnownCoordinates.names
    + NaiveBayes.names
    + KnownLeaves.names
    + Directions.names
    + KernelRidge.names
    + Supervised.names
)


class Labelled:
    """All label-aware blocks together, calibrated on the typical rows."""

    names = LABELLED_NAMES

    def __init__(self, make: Callable[[int, int], tuple[LabelledBlock, ...]]) -> None:
        self._make = make

    @classmethod
    def of(cls, neighbours: Neighbours, *, many: float = MANY_KNOWN) -> "Labelled":
        """Build the blocks on what the neighbours' block has learned already.

        ``many`` is as for `Supervised`.
        """
        return cls(partial(_blocks, neighbours, many))

    def fit(
        self,
        typical: Seen,
        known: Seen,
        generator: np.random.Generator,
        *,
        trees: int = TREES,
        normal: int = 0,
    ) -> Float32Array:
        """Freeze all blocks; returns calibrated coordinates (m, L, 2) of the typical rows.

        The first ``normal`` of these are known to be so, and there are others; 0: all count alike.
        """
        self._blocks = self._make(trees, normal)
        values = np.concatenate([b.fit(typical, known, generator) for b in self._blocks], axis=1)
        self._scale = CoordinateScale().fit(values)
        return self._scale.apply(values)

    def transform(self, rows: Seen) -> Float32Array:
        """Calibrated coordinates (n, L, 2)."""
        return self._scale.apply(
            np.concatenate([block.transform(rows) for block in self._blocks], axis=1)
        )

    def held_out(
        self, typical: Seen, known: Seen, generator: np.random.Generator, *, normal: int = 0
    ) -> Float32Array:
        """Coordinates (k, L, 2) of known anomalies by blocks that have seen the other half of them.

        They tell which blocks find anomalies that they were not shown. 0 where there is only one
        known anomaly. At most ``HELD_OUT_ROWS`` typical rows are used.
        """
        out = np.zeros((len(known), len(self.names), CHANNELS), dtype=np.float32)
        if len(known) < 2:
            return out
        places = np.sort(generator.permutation(len(typical))[:HELD_OUT_ROWS])
        drawn, normal = typical[places], int((places < normal).sum())
        halves = generator.permutation(len(known)) % 2
        for half in (0, 1):
            other = Labelled(self._make)
            seen = known[np.flatnonzero(halves == half)]
            other.fit(drawn, seen, generator, trees=HELD_OUT_TREES, normal=normal)
            held = np.flatnonzero(halves != half)
            out[held] = other.transform(known[held])
        return out


def _blocks(
    neighbours: Neighbours, many: float, trees: int, normal: int
) -> tuple[LabelledBlock, ...]:
    """All blocks, yet to be fitted; a lambda in its place could not be pickled."""
    return (
        KnownDistances(neighbours),
        KnownCoordinates(),
        NaiveBayes(),
        KnownLeaves(),
        Directions(),
        KernelRidge(),
        Supervised(trees=trees, normal=normal, many=many),
    )
