"""Anomalies of known types, planted among real rows.

The four types are those of Han et al. 2022 ("ADBench", section 3.3), after Steinbuss and Böhm 2021
("Generating Artificial Outliers in the Absence of Genuine Ones"). There normal rows are drawn from
fitted models too; here they stay what they are.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from oddshot.episodes import ANOMALY, NORMAL, FloatArray, Rows, Table
from oddshot.errors import DataError, SettingError

ANOMALY_TYPES = ("local", "cluster", "global", "dependency")
WIDENED = 5.0  # variance of local anomalies, distance of clusters: times that of normal rows
BOX = 1.1
MOST_FITTED, MOST_COMPONENTS = 500, 3
FULL_WIDTH = 20  # beyond, mixtures have diagonal covariances
FEW_LEVELS = 10


def plant(rows: Rows, kind: str, count: int, generator: np.random.Generator) -> Rows:
    """Make anomalies out of normal rows.

    Parameters
    ----------
    rows
        Shape (n, d), n > 1: normal rows; a data frame where columns are not all numbers.
    kind
        "local": drawn from a mixture of Gaussians fitted to the rows, its covariances widened;
        "cluster": drawn from the mixture, one of its centres moved away; "global": evenly from a
        box a little larger than that of the rows; "dependency": every column drawn by itself, so
        that only how columns go together is odd. The first three touch columns of numbers; others
        are drawn by themselves.
    count
        How many.
    generator
        Where randomness comes from.

    Returns
    -------
    ndarray or DataFrame
        Shape (count, d), of the type of ``rows``.

    Raises
    ------
    SettingError
        If there is no such kind.
    DataError
        If there are fewer than 2 rows.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 1)) @ np.ones((1, 2))
    >>> odd = plant(rows, "dependency", 50, np.random.default_rng(1))
    >>> bool(np.abs(odd[:, 0] - odd[:, 1]).max() > 1)
    True
    """
    if kind not in ANOMALY_TYPES:
        raise SettingError(f"anomaly type is {kind!r}; choose one of {', '.join(ANOMALY_TYPES)}")
    if len(rows) < 2:
        raise DataError(f"{len(rows)} rows are too few to plant anomalies among; give 2 or more")
    if not isinstance(rows, pd.DataFrame):
        return _planted(np.asarray(rows, dtype=np.float64), kind, count, generator)
    drawn = {name: rows[name].iloc[generator.integers(len(rows), size=count)] for name in rows}
    odd = pd.DataFrame({name: column.to_numpy() for name, column in drawn.items()})
    numeric = pd.Index([name for name in rows if rows[name].dtype.kind in "iuf"])
    if len(numeric):
        values = rows[numeric].to_numpy(dtype=np.float64)
        odd[numeric] = _planted(values, kind, count, generator)
    return odd


def with_planted(table: Table, kind: str, share: float, generator: np.random.Generator) -> Table:
    """Replace a labelled table's anomalies by planted ones, a share of all rows (at least 2)."""
    assert table.labels is not None
    at = np.flatnonzero(table.labels == NORMAL)
    count = max(2, round(share / (1 - share) * len(at)))
    together: Rows
    if isinstance(table.rows, pd.DataFrame):
        odd = plant(table.rows.iloc[at], kind, count, generator)
        together = pd.concat([table.rows.iloc[at], pd.DataFrame(odd)], ignore_index=True)
    else:
        together = np.concatenate([table.rows[at], plant(table.rows[at], kind, count, generator)])
    labels = np.array([NORMAL] * len(at) + [ANOMALY] * count, dtype=np.int8)
    return Table(f"{table.name}+{kind}", together, labels, table.family, table.collection)


def _planted(
    values: FloatArray, kind: str, count: int, generator: np.random.Generator
) -> FloatArray:
    """Make anomalies (count, d) out of numbers (n, d), with gaps where rows have gaps."""
    gaps = np.isnan(values)[generator.integers(len(values), size=count)]
    if kind == "dependency":
        places = generator.integers(len(values), size=(count, values.shape[1]))
        return np.take_along_axis(values, places, axis=0)
    filled = np.where(np.isnan(values), _medians(values), values)
    centre, scale = filled.mean(axis=0), filled.std(axis=0)
    z = (filled - centre) / np.where(scale > 0, scale, 1.0)
    if kind == "global":
        low, high = z.min(axis=0), z.max(axis=0)
        odd = (low + high) / 2 + BOX * (high - low) * (generator.random((count, len(low))) - 0.5)
    else:
        odd = _from_mixture(z, kind, count, generator)
    odd = _on_levels(odd * scale + centre, filled)
    return np.where(gaps, np.nan, odd)


def _from_mixture(
    z: FloatArray, kind: str, count: int, generator: np.random.Generator
) -> FloatArray:
    """Draw (count, d) from a mixture fitted to z (n, d), and changed as the kind says."""
    fitted_on = z[generator.permutation(len(z))[:MOST_FITTED]]
    mixture = GaussianMixture(
        min(MOST_COMPONENTS, 1 + len(fitted_on) // 50),
        covariance_type="full" if z.shape[1] <= FULL_WIDTH else "diag",
        reg_covar=1e-3,
        max_iter=30,
        tol=1e-2,
        random_state=int(generator.integers(2**31)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a rough fit is good enough
        mixture.fit(fitted_on)
    noise = generator.normal(size=(count, z.shape[1]))
    if kind == "local":
        parts = generator.choice(len(mixture.weights_), size=count, p=mixture.weights_)
        noise *= np.sqrt(WIDENED)
    else:
        parts = np.full(count, generator.choice(len(mixture.weights_), p=mixture.weights_))
        direction = generator.normal(size=z.shape[1])
        noise += WIDENED * direction / np.linalg.norm(direction)
    covariances = mixture.covariances_[parts]
    if covariances.ndim == 2:
        spread = np.sqrt(covariances) * noise
    else:
        spread = np.einsum("nij,nj->ni", np.linalg.cholesky(covariances), noise)
    return np.asarray(mixture.means_[parts] + spread)


def _on_levels(odd: FloatArray, values: FloatArray) -> FloatArray:
    """Bring anomalies to a column's levels where it has few: a value in between gives them away."""
    for column in range(values.shape[1]):
        levels = np.unique(values[:, column])
        if len(levels) <= max(FEW_LEVELS, len(values) // 20):
            place = np.searchsorted((levels[1:] + levels[:-1]) / 2, odd[:, column])
            odd[:, column] = levels[place]
        elif (levels == np.round(levels)).all():
            odd[:, column] = np.round(odd[:, column])
    return odd


def _medians(values: FloatArray) -> FloatArray:
    """Medians (d,) of what is there, 0 of a column of gaps."""
    empty = np.isnan(values).all(axis=0)
    return np.where(empty, 0.0, np.nanmedian(np.where(empty, 0.0, values), axis=0))
