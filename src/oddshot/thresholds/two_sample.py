"""Two-sample tests on one set of permutations, and the sizes that belong beside a p-value.

Reference rows and new rows are pooled and divided in two, first as they came, then at random many
times. Every statistic is computed for all divisions at once, so that any combination of statistics
is judged by the same permutations and its p-value is exact, for few rows and many ties as well.

A division is a row of weights, ``1 / n`` for each of n new rows and ``-1 / m`` for each of m
reference rows: a product with it is a difference of means.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, kstwobign, rankdata

from oddshot.episodes import Float32Array, FloatArray

RIDGE = 0.1  # times the number of rows; points have variance 1


@dataclass(frozen=True, slots=True)
class Divisions:
    """Pooled rows divided in D ways, the observed one first.

    Parameters
    ----------
    new
        Shape (N, D) bool: which of the N rows count as new.
    weights
        Shape (N, D) float32, see the module.
    pairs
        Shape (D,): ``n m / (n + m)``, by which a squared difference of means is scaled.
    """

    new: NDArray[np.bool_]
    weights: Float32Array
    pairs: FloatArray

    @classmethod
    def permuted(
        cls,
        new: NDArray[np.bool_],
        blocks: NDArray[np.intp],
        *,
        count: int,
        generator: np.random.Generator,
    ) -> "Divisions":
        """Divide as observed, then ``count`` times at random.

        Parameters
        ----------
        new
            Shape (N,): which rows are new.
        blocks
            Shape (N,): rows with one number change sides together, since they resemble each other;
            no block holds rows of both sides. Blocks of one row each: rows are independent.
        count, generator
            How many permutations, and what draws them.

        Examples
        --------
        >>> new = np.arange(6) >= 4
        >>> generator = np.random.default_rng(0)
        >>> divided = Divisions.permuted(new, np.arange(6), count=99, generator=generator)
        >>> divided.new.shape, divided.new.sum(axis=0).tolist() == [2] * 100
        ((6, 100), True)
        """
        _, first, codes = np.unique(blocks, return_index=True, return_inverse=True)
        sides = np.tile(new[first], (count + 1, 1))
        generator.permuted(sides[1:], axis=1, out=sides[1:])
        return cls.of(np.ascontiguousarray(sides.T[codes]))

    @classmethod
    def of(cls, new: NDArray[np.bool_]) -> "Divisions":
        """Weigh divisions (N, D); one with an empty side weighs nothing."""
        after = new.sum(axis=0, dtype=np.float64)
        before = len(new) - after
        both = (after > 0) & (before > 0)
        shares = [np.where(both, 1 / np.maximum(n, 1), 0) for n in (after, before)]
        weights = np.where(new, shares[0], -shares[1]).astype(np.float32)
        return cls(new, weights, np.where(both, after * before / max(len(new), 1), 0))

    def among(self, rows: NDArray[np.bool_]) -> "Divisions":
        """Return the same divisions of some of the rows, chosen (N,) without a look at sides."""
        return self if rows.all() else Divisions.of(self.new[rows])


def discriminants(
    points: FloatArray, folds: NDArray[np.intp], divisions: Divisions
) -> Float32Array:
    """Tell the sides apart: for each row and each division a number, higher = rather new, (N, D).

    A classifier two-sample test (Lopez-Paz and Oquab 2017), whose classifier, ridge regression, is
    linear in the labels: all divisions are fitted at once.

    Parameters
    ----------
    points
        Shape (N, q), of any scale.
    folds
        Shape (N,): a row is judged by what rows of other folds taught.
    divisions
        D divisions of the N rows into two sides.
    """
    scaled = (points - points.mean(axis=0)) / np.maximum(points.std(axis=0), 1e-9)
    scaled, labels = scaled.astype(np.float32), divisions.new.astype(np.float32)
    told = np.zeros(labels.shape, dtype=np.float32)
    for fold in np.unique(folds):
        others = folds != fold
        if not others.any():
            continue
        centre = scaled[others].mean(axis=0)
        taught = scaled[others] - centre
        penalty = RIDGE * len(taught) * np.eye(taught.shape[1], dtype=np.float32)
        slopes = np.linalg.solve(taught.T @ taught + penalty, taught.T @ labels[others])
        told[~others] = (scaled[~others] - centre) @ slopes
    return told


def separation(told: Float32Array, divisions: Divisions) -> FloatArray:
    """Difference of the sides' means of `discriminants`, in their standard deviations; (D,)."""
    between = (divisions.weights * told).sum(axis=0, dtype=np.float64)
    # rounded: a division that was drawn again is told apart in single precision
    return np.asarray((between / np.maximum(told.std(axis=0), 1e-9)).round(4))


def differences(values: FloatArray | Float32Array, divisions: Divisions) -> FloatArray:
    """Kolmogorov and Smirnov's largest difference of cumulative shares, in [0, 1], shape (D,).

    Examples
    --------
    >>> divided = Divisions.of(np.array([[False], [False], [True], [True]]))
    >>> differences(np.array([1.0, 2.0, 2.0, 3.0]), divided)
    array([0.5])
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # of each run of equal values
    risen = np.cumsum(divisions.weights[order], axis=0)[last]
    # rounded: single-precision sums of one division's terms differ with their order
    found = np.abs(risen).max(axis=0).astype(np.float64).round(5)
    return np.asarray(np.minimum(found, 1.0))


def differences_p(found: FloatArray, divisions: Divisions) -> FloatArray:
    """Asymptotic p-values (D,) of `differences`; of ties, too large."""
    return np.asarray(kstwobign.sf(found * np.sqrt(divisions.pairs)))


def level_shares(codes: NDArray[np.intp], divisions: Divisions) -> FloatArray:
    """Differences (L, D) of the shares of levels 0 to L - 1."""
    shares = np.zeros((int(codes.max()) + 1, divisions.weights.shape[1]))
    for level in range(len(shares)):
        shares[level] = divisions.weights[codes == level].sum(axis=0, dtype=np.float64)
    return np.clip(shares.round(9), -1.0, 1.0)


def level_shares_p(codes: NDArray[np.intp], shares: FloatArray, divisions: Divisions) -> FloatArray:
    """Asymptotic p-values (D,) of `level_shares` by Pearson's chi-squared test."""
    pooled = np.bincount(codes, minlength=len(shares)) / len(codes)
    statistic = divisions.pairs * (shares**2 / np.maximum(pooled, 1e-12)[:, None]).sum(axis=0)
    return np.asarray(chi2.sf(statistic, max(np.count_nonzero(pooled) - 1, 1)))


def permutation_p(statistic: FloatArray) -> FloatArray:
    """Share of divisions (D,) with a statistic at least as high as each has, itself included.

    The first, of the observed division, is a p-value that is at most alpha in a share of at most
    alpha of all cases without a difference (Phipson and Smyth 2010).
    """
    return np.asarray(rankdata(-statistic, method="max") / len(statistic))


def family_p(p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Judge T tests together, without assuming that they are independent.

    Parameters
    ----------
    p
        Shape (T, D): what each test says of each division, lower = more different.

    Returns
    -------
    tuple
        For each division (D,), how low the lowest of its T values is among all divisions: the
        p-value of "some test", as of `permutation_p`. And p-values (T,) of the tests on the
        observed division, adjusted for their number: the chance that any of them is at most alpha,
        if its own hypothesis holds, is at most alpha (Westfall and Young 1993, single-step minP).

    Examples
    --------
    >>> together, adjusted = family_p(np.array([[0.01, 0.5, 0.9, 0.2], [0.3, 0.02, 0.6, 0.4]]))
    >>> together.tolist(), adjusted.tolist()
    ([0.25, 0.5, 1.0, 0.75], [0.25, 0.75])
    """
    least = p.min(axis=0)
    return permutation_p(-least), np.searchsorted(np.sort(least), p[:, 0], "right") / len(least)


def least_effect(new: int, reference: int, alpha: float) -> float:
    """Difference of cumulative shares from which so many rows are significant at alpha.

    Examples
    --------
    >>> round(least_effect(1000, 1000, 0.01), 3), round(least_effect(50, 1000, 0.01), 3)
    (0.073, 0.236)
    """
    return float(min(1.0, _critical(alpha) * np.sqrt(1 / new + 1 / reference)))


def rows_needed(effect: float, reference: int, alpha: float) -> int | None:
    """Tell how many new rows show a difference of cumulative shares; ``None``: no number does.

    Examples
    --------
    >>> rows_needed(0.2, 1000, 0.01), rows_needed(0.02, 1000, 0.01)
    (71, None)
    """
    rest = (effect / _critical(alpha)) ** 2 - 1 / reference
    return int(np.ceil(1 / rest)) if rest > 0 else None


def _critical(alpha: float) -> float:
    """Kolmogorov's distribution beyond its first term: ``2 exp(-2 c**2) = alpha``."""
    return float(np.sqrt(-np.log(alpha / 2) / 2))
