"""Isolation depth, and how often a row shares a leaf with a known anomaly."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.block import Reference
from oddshot.mapping.spaces import Views

TREES, SAMPLES = 100, 256


class Isolation:
    """Mean depth at which random splits isolate a row (Liu, Ting and Zhou 2008), negated."""

    names = ("isolation",)

    def fit(self, reference: Reference, generator: np.random.Generator) -> FloatArray:
        """See `Block`: a row is in few of the small samples, so none is left out."""
        points = reference.typical.standard
        forest = IsolationForest(
            n_estimators=TREES,
            max_samples=min(SAMPLES, len(points)),
            random_state=int(generator.integers(2**31)),
        ).fit(points)
        self._trees = [estimator.tree_ for estimator in forest.estimators_]
        self._depths = [_leaf_depths(tree) for tree in self._trees]
        return self.transform(reference.typical)

    def transform(self, rows: Views) -> FloatArray:
        """See `Block`."""
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


def _leaf_depths(tree: object) -> FloatArray:
    """Depth of every node, with the expected depth of the rows that share it added."""
    left, right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    sizes = tree.n_node_samples.astype(np.float64)  # type: ignore[attr-defined]
    depths = np.zeros(len(left))
    for node in range(len(left)):  # a parent's number is below its children's
        if left[node] >= 0:
            depths[left[node]] = depths[right[node]] = depths[node] + 1
    return depths + _expected_depth(sizes)


def _expected_depth(sizes: FloatArray) -> FloatArray:
    """Mean depth of an unsuccessful search in a tree of ``sizes`` rows (Liu et al., eq. 1)."""
    more = np.maximum(sizes, 2.0)
    harmonic = np.log(np.maximum(more - 1, 1)) + np.euler_gamma
    depth = 2 * harmonic - 2 * (more - 1) / more
    return np.where(sizes > 2, depth, np.where(sizes == 2, 1.0, 0.0))
