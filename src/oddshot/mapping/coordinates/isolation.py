"""Isolation depth, and how often a row shares a leaf with a known anomaly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.tree import ExtraTreeRegressor
from sklearn.utils.random import sample_without_replacement

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.spaces import Views

TREES, SAMPLES = 100, 256


class Isolation:
    """Mean depth at which random splits isolate a row (Liu, Ting and Zhou 2008), negated.

    Attributes
    ----------
    typical_leaves_
        Shape (m, trees): leaves of the reference's typical rows.
    """

    names = ("isolation",)

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:
        """See `Block`: a row is in few of the small samples, so none is left out."""
        points = reference.typical.standard
        self._trees = _grown(points, seed=int(generator.integers(2**31)))
        self._depths = [_leaf_depths(tree) for tree in self._trees]
        self.typical_leaves_ = self.leaves(points)
        return self.depths(self.typical_leaves_)

    def transform(self, rows: Views, own: NDArray[np.intp] | None = None) -> FloatArray:  # noqa: ARG002
        """See `Block`: a row is in few of the small samples, so none is left out."""
        return self.depths(self.leaves(rows.standard))

    def leaves(self, points: Float32Array) -> NDArray[np.uint16]:
        """Leaf of every row in every tree; shape (n, trees), a tree's leaves side by side."""
        found = np.empty((len(self._trees), len(points)), dtype=np.uint16)
        for leaves, tree in zip(found, self._trees, strict=True):
            leaves[:] = tree.apply(points)
        return found.T

    def depths(self, leaves: NDArray[np.uint16]) -> FloatArray:
        """Negated mean depth of the leaves; shape (n, 1)."""
        total = np.zeros(len(leaves))
        for depths, found in zip(self._depths, leaves.T, strict=True):
            total -= depths[found]
        return total[:, None] / len(self._depths)


def _grown(points: Float32Array, *, seed: int) -> list[Any]:
    """Grow the trees that scikit-learn's `IsolationForest` grows.

    One by one, because the forest's own checks take five times longer.
    """
    count, width = points.shape
    size, most = min(SAMPLES, count), np.iinfo(np.int32).max
    targets = np.random.RandomState(seed).uniform(size=(count, 1))  # splits do not look at them
    random = np.random.RandomState(0)  # seeded again for each tree: to make one takes longer
    trees = []
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for own in np.random.RandomState(seed).randint(most, size=TREES):
            random.seed(own)
            of_splits = random.randint(most)
            random.seed(own)
            sample_without_replacement(width, width, random_state=random)  # of the columns: all
            drawn = np.sort(sample_without_replacement(count, size, random_state=random))
            random.seed(of_splits)
            model = ExtraTreeRegressor(
                max_features=1, max_depth=int(np.ceil(np.log2(max(size, 2)))), random_state=random
            )
            trees.append(model.fit(points[drawn], targets[drawn], check_input=False).tree_)
    return trees


def _leaf_depths(tree: Any) -> FloatArray:
    """Depth of every node, with the expected depth of the rows that share it added."""
    depths = tree.compute_node_depths() - 1.0  # scikit-learn counts from 1
    return np.asarray(depths + _expected_depth(tree.n_node_samples.astype(np.float64)))


def _expected_depth(sizes: FloatArray) -> FloatArray:
    """Mean depth of an unsuccessful search in a tree of ``sizes`` rows (Liu et al., eq. 1)."""
    more = np.maximum(sizes, 2.0)
    harmonic = np.log(np.maximum(more - 1, 1)) + np.euler_gamma
    depth = 2 * harmonic - 2 * (more - 1) / more
    return np.where(sizes > 2, depth, np.where(sizes == 2, 1.0, 0.0))
