"""How surprising the columns of a row are given each other, by mixtures of Gaussians."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from oddshot.episodes import Float32Array, FloatArray
from oddshot.mapping.coordinates.spaces import Views
from oddshot.mapping.outside import Outside, with_own
from oddshot.mapping.row_places import RowPlaces

COMPONENTS = (1, 2, 4, 8)
LEAST_ROWS, ROWS_A_COLUMN = 10, 2  # of a component
MOST_FITTED = 1024  # rows
FEW_LEVELS, MOST_COLUMNS = 20, 48
ENOUGH_ROWS, ENOUGH_A_COLUMN = 300, 10
FLOOR = 3e-3  # of variances, in spaces whose columns vary by about 1
ITERATIONS, TOLERANCE = 20, 0.02
_MOST_OWN = 0.9  # no component is said to come from one of its rows alone
_LEAST = -1e3  # log density of one row, when mixtures are compared
_HALF_LOG_2_PI = 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True, slots=True)
class _Pulled:
    """Rows (n, d) as the k components of a mixture see them.

    ``joint`` (k, n) is a component's log density, its weight counted; ``pulled`` (k, n, d) is its
    precision matrix times what lies between the row and its mean; ``diagonal`` (k, n or 1, d) is
    that of its precision matrix.
    """

    joint: FloatArray
    pulled: FloatArray
    diagonal: FloatArray

    def log_density(self) -> FloatArray:
        """Log density (n,) by all components."""
        return np.asarray(logsumexp(self.joint, axis=0))

    def surprise(self) -> FloatArray:
        """Sum (n,) over the columns of -log p(column | all others), where that exceeds 0.

        Without column j a component's density is the whole one by that of the residual of j, which
        is ``(Pz)_j / P_jj`` with a variance of ``1 / P_jj``.
        """
        given = (np.square(self.pulled) / self.diagonal - np.log(self.diagonal)) / 2
        given += _HALF_LOG_2_PI
        if len(given) == 1:
            terms = given[0]
        else:
            given += (self.joint - self.log_density())[:, :, None]
            terms = _log_sum(given.astype(np.float32))
        return np.asarray(np.maximum(terms, 0).sum(axis=1, dtype=np.float64))


def _log_sum(terms: Float32Array) -> Float32Array:
    """Log of the sum of exponentials over the first axis; overwrites the terms."""
    highest = terms.max(axis=0)
    terms -= highest
    return np.asarray(np.log(np.exp(terms, out=terms).sum(axis=0)) + highest)


class Mixture:
    """A mixture of Gaussians with full covariances, of as many as make left-out rows likeliest.

    Fitted by scikit-learn, to 1,024 rows at most. What a row adds to the components is taken out
    again in closed form, its share in each kept as it is: for one Gaussian that is what comes of
    fitting without the row, but for the floor of variances.
    """

    def fit(self, points: FloatArray) -> FloatArray:
        """Fit to points (m, d); returns the surprise (m,) of each, by what the others make."""
        rows, width = points.shape
        drawn = np.random.default_rng(0).permutation(rows)
        fitted_on, others = np.sort(drawn[:MOST_FITTED]), np.sort(drawn[MOST_FITTED:])
        best: tuple[float, _Components, _Pulled] | None = None
        for count in COMPONENTS:
            if count > 1 and len(fitted_on) < count * max(LEAST_ROWS, ROWS_A_COLUMN * width):
                break
            components = _Components.fit(points[fitted_on], count)
            without = components.without(points[fitted_on])
            likelihood = float(np.maximum(without.log_density(), _LEAST).sum())
            if best is None or likelihood > best[0]:
                best = likelihood, components, without
        assert best is not None
        _, self._components, kept = best
        own = np.empty(rows)
        own[fitted_on], own[others] = kept.surprise(), self.surprise(points[others])
        return own

    def surprise(self, points: FloatArray) -> FloatArray:
        """Surprise (n,) of other points (n, d)."""
        return self._components.seen(points).surprise()


class _Rough(GaussianMixture):  # type: ignore[misc]
    """One that is good enough after its last step, and does not warn that it would go on.

    Filters of warnings belong to the whole process, where others may fit at the same time.
    """

    @property
    def converged_(self) -> bool:
        return True

    @converged_.setter
    def converged_(self, _: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class _Components:
    """k Gaussians: means (k, d), precision matrices (k, d, d), constants and rows (k,)."""

    means: FloatArray
    precisions: FloatArray
    constants: FloatArray
    rows: FloatArray

    @classmethod
    def fit(cls, points: FloatArray, count: int) -> Self:
        """Fit so many components to points (m, d)."""
        rows, width = points.shape
        if count == 1:
            covariance = np.cov(points.T, bias=True).reshape(width, width)
            means, shares = points.mean(axis=0)[None], np.ones(1)
            precisions = np.linalg.inv(covariance + FLOOR * np.eye(width))[None]
        else:
            model = _Rough(
                count, reg_covar=FLOOR, max_iter=ITERATIONS, tol=TOLERANCE, random_state=0
            ).fit(points)
            means, precisions, shares = model.means_, model.precisions_, model.weights_
        volumes = np.linalg.slogdet(precisions).logabsdet / 2
        constants = np.log(shares) + volumes - width * _HALF_LOG_2_PI
        return cls(means, np.asarray(precisions, np.float64), constants, shares * rows)

    def seen(self, points: FloatArray) -> _Pulled:
        """See points (n, d)."""
        return self._look(points)[0]

    def without(self, points: FloatArray) -> _Pulled:
        """See the points (n, d) that were fitted on, each as if it had not been.

        A point of weight r in a component of N rows takes r / N of it along: the mean moves, and
        the covariance loses a matrix of rank one (Sherman and Morrison 1950).
        """
        whole, distances = self._look(points)
        responsible = np.exp(whole.joint - whole.log_density())
        share = np.minimum(responsible / self.rows[:, None], _MOST_OWN)
        ratio = share / (1 - share)
        left = 1 - np.minimum(ratio * distances, _MOST_OWN)
        farther = distances / ((1 - share) * left)
        volume = 0.5 * (points.shape[1] * np.log1p(-share) - np.log(left))
        weight = np.log1p(-share) - np.log1p(-min(1 / len(points), _MOST_OWN))
        drawn = (ratio / left)[:, :, None] * whole.pulled**2
        return _Pulled(
            whole.joint + 0.5 * (distances - farther) + volume + weight,
            whole.pulled / left[:, :, None],
            (1 - share)[:, :, None] * (whole.diagonal + drawn),
        )

    def _look(self, points: FloatArray) -> tuple[_Pulled, FloatArray]:
        """See points (n, d), and give their squared distances (k, n)."""
        pulled = np.empty((len(self.means), *points.shape))
        distances = np.empty(pulled.shape[:2])
        for at, (mean, precision) in enumerate(zip(self.means, self.precisions, strict=True)):
            beside = points - mean
            np.matmul(beside, precision, out=pulled[at])
            distances[at] = np.einsum("nd,nd->n", pulled[at], beside)
        diagonal = np.diagonal(self.precisions, axis1=1, axis2=2)[:, None, :]
        return _Pulled(self.constants[:, None] - 0.5 * distances, pulled, diagonal), distances


class Dependencies:
    """How surprising a row is by columns that no longer go together as they did in typical rows.

    -log p(column | all others), summed over the columns, by a `Mixture` in the standardised and one
    in the quantile space. As `Outside` has it, this counts where it lies outside of all that
    typical rows have there. Columns of few levels are left out, for Gaussians close in on levels;
    and nothing is looked at where columns are fewer than 2 or more than 48, or rows fewer than 300
    or ten a column, for there new rows look odder than typical ones.

    Examples
    --------
    >>> from oddshot.mapping.coordinates.spaces import Spaces
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(500, 1)) * [1, 0] + 0.05 * rng.normal(size=(500, 2))
    >>> rows[:, 1] += np.abs(rows[:, 0])
    >>> spaces = Spaces().fit(rows)
    >>> seen = Dependencies().fit(spaces.view(rows), RowPlaces(rows))
    >>> new = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, 0.0]])
    >>> (seen.decades(spaces.view(new), new) > 2).tolist()
    [False, False, True]
    """

    def fit(self, typical: Views, places: RowPlaces) -> Self:
        """Learn from typical rows (m, ...); ``places`` tells them from others."""
        ordered = np.sort(typical.standard, axis=0)
        levels = 1 + (ordered[1:] != ordered[:-1]).sum(axis=0)
        self._columns = np.flatnonzero(levels > FEW_LEVELS)
        self._places, self._mixtures = places, (Mixture(), Mixture())
        count = len(self._columns)
        self._looks = 2 <= count <= MOST_COLUMNS and len(typical) >= max(
            ENOUGH_ROWS, ENOUGH_A_COLUMN * count
        )
        if self._looks:
            self._own = self._surprises(typical, Mixture.fit)
            self._outside = Outside().fit(self._own, RowPlaces(self._own))
        return self

    def decades(
        self, views: Views, rows: FloatArray, instead_of: FloatArray | None = None
    ) -> FloatArray:
        """Surprise (n,) of rows, seen and (n, p + q), mostly 0; typical ones without themselves.

        See `Outside.decades` for ``instead_of`` (n, p + q).
        """
        if not self._looks:
            return np.zeros(len(rows))
        seen = self._surprises(views, Mixture.surprise)
        values = with_own(seen, self._own, self._places.of(rows))
        if instead_of is None:
            return self._outside.decades(values)
        replaced = with_own(values, self._own, self._places.of(instead_of))
        return self._outside.decades(values, replaced)

    def _surprises(
        self, views: Views, surprise: Callable[[Mixture, FloatArray], FloatArray]
    ) -> FloatArray:
        """Surprises (n, 2) of rows, by space."""
        found = []
        for mixture, view in zip(self._mixtures, (views.standard, views.quantile), strict=True):
            found.append(surprise(mixture, view[:, self._columns].astype(np.float64)))
        return np.column_stack(found)
