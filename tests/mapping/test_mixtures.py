"""Mixtures: left-out rows in closed form, conditional densities, what they find."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from oddshot import FewShotDetector
from oddshot.detectors.fitted.table import FittedTable
from oddshot.episodes import FloatArray
from oddshot.mapping import mixtures
from oddshot.mapping.coordinates.spaces import Spaces
from oddshot.mapping.editions import Edition
from oddshot.mapping.mixtures import MOST_FITTED, Dependencies, Mixture, _Components
from oddshot.mapping.row_places import RowPlaces
from small_priors import untrained_prior

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(60, 4)) @ np.array(
    [[1, 0.8, 0, 0], [0, 0.5, 0, 0.3], [0, 0, 1, 0], [0, 0, 0, 1]]
)


def bent(rng: np.random.Generator, count: int) -> FloatArray:
    """Rows whose second column follows the first by a tent."""
    rows = rng.normal(size=(count, 5))
    rows[:, 1] = np.abs(rows[:, 0]) + 0.05 * rng.normal(size=count)
    return rows


def test_one_component_without_a_row_is_what_the_other_rows_make(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mixtures, "FLOOR", 0.0)
    found = _Components.fit(POINTS, 1).without(POINTS).surprise()
    for at, row in enumerate(POINTS):
        others = _Components.fit(np.delete(POINTS, at, axis=0), 1)
        np.testing.assert_allclose(others.seen(row[None]).surprise()[0], found[at], atol=1e-9)


def test_surprise_against_densities_written_out() -> None:
    components = _Components.fit(POINTS, 3)
    shares = components.rows / len(POINTS)
    covariances = np.linalg.inv(components.precisions)

    def density(kept: list[int]) -> FloatArray:
        parts = [
            share
            * multivariate_normal(mean[kept], covariance[np.ix_(kept, kept)]).pdf(POINTS[:, kept])
            for share, mean, covariance in zip(shares, components.means, covariances, strict=True)
        ]
        return np.sum(parts, axis=0)

    whole = density([0, 1, 2, 3])
    given = [np.log(density([c for c in range(4) if c != j]) / whole) for j in range(4)]
    seen = components.seen(POINTS)
    np.testing.assert_allclose(seen.log_density(), np.log(whole), rtol=1e-9)
    expected = np.maximum(given, 0).sum(axis=0)
    np.testing.assert_allclose(seen.surprise(), expected, rtol=1e-5, atol=1e-5)


def test_fitted_rows_are_no_less_surprising_than_new_ones_of_their_kind() -> None:
    rows = np.random.default_rng(1).normal(size=(400, 6))
    mixture = Mixture()
    own, new = mixture.fit(rows[:200]), mixture.surprise(rows[200:])
    assert abs(own.mean() - new.mean()) < 0.5
    assert mixture.surprise(rows[:200]).mean() < own.mean()  # each counted in its own place


def test_rows_that_leave_a_bent_line_count_and_others_do_not() -> None:
    rng = np.random.default_rng(2)
    normal, new, odd = bent(rng, 800), bent(rng, 400), bent(rng, 100)
    odd[:, 1] += np.where(odd[:, 1] > 1, -1.0, 1.5)
    spaces = Spaces().fit(normal)
    seen = Dependencies().fit(spaces.view(normal), RowPlaces(normal))
    own, others, broken = (seen.decades(spaces.view(rows), rows) for rows in (normal, new, odd))
    assert (broken > 0).mean() > 0.8
    assert (others > 0).mean() < 0.01
    assert (own > 0).mean() < 0.01


def test_the_detector_looks_only_where_all_rows_are_known_normal() -> None:
    rng = np.random.default_rng(3)
    normal, odd = bent(rng, 400), bent(rng, 40)
    odd[:, 1] += np.where(odd[:, 1] > 1, -1.0, 1.5)
    clean = FewShotDetector(prior=untrained_prior()).fit(normal, np.zeros(400, dtype=int))
    unlabelled = FewShotDetector(prior=untrained_prior()).fit(normal)
    assert unlabelled._fitted._judge._raising._dependencies is None
    assert (
        (clean.anomaly_score(odd) >= 2).mean() > 0.5 > (unlabelled.anomaly_score(odd) >= 2).mean()
    )
    few = np.where(np.arange(440) < 400, 0, 1)
    told = FewShotDetector(prior=untrained_prior()).fit(np.concatenate([normal, odd]), few)
    assert told._fitted._judge._raising._dependencies is None


def test_an_earlier_edition_does_not_look() -> None:
    rows, labels = bent(np.random.default_rng(3), 400), np.zeros(400, dtype=np.int8)
    earlier, now = (
        FittedTable.fit(untrained_prior(), rows, labels, seed=0, threads=1, edition=edition)
        for edition in (Edition.SEES_DEPENDENCIES - 1, Edition.SEES_DEPENDENCIES)
    )
    assert earlier._judge._raising._dependencies is None
    assert now._judge._raising._dependencies is not None


@pytest.mark.parametrize("rows", [
    np.random.default_rng(3).normal(size=(150, 5)),
    np.random.default_rng(3).normal(size=(300, 40)),
    np.random.default_rng(3).normal(size=(900, 60)),
    np.random.default_rng(3).normal(size=(300, 1)),
    np.random.default_rng(3).integers(10, size=(300, 5)).astype(float),
])  # fmt: skip
def test_nothing_is_looked_at_where_rows_columns_or_levels_are_few(rows: FloatArray) -> None:
    spaces = Spaces().fit(rows)
    seen = Dependencies().fit(spaces.view(rows), RowPlaces(rows))
    new = np.random.default_rng(4).permuted(rows, axis=0)
    assert not seen.decades(spaces.view(new), new).any()


def test_no_filter_of_warnings_is_touched_and_none_is_given() -> None:
    rng = np.random.default_rng(6)
    heavy = rng.standard_t(1.5, size=(300, 4))
    twice = np.repeat(rng.normal(size=(30, 4)), 6, axis=0)
    before = list(warnings.filters)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda points: Mixture().fit(points), [heavy, twice] * 3))
    assert list(warnings.filters) == before


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_and_equal_ones(rows: int) -> None:
    mixture = Mixture()
    for points in (np.zeros((rows, 3)), RNG.normal(size=(rows, 3))):
        assert np.isfinite(mixture.fit(points)).all()
        assert np.isfinite(mixture.surprise(points + 50.0)).all()


def test_rows_beyond_those_fitted_are_new_ones() -> None:
    points = np.random.default_rng(4).normal(size=(MOST_FITTED + 200, 2))
    mixture = Mixture()
    own = mixture.fit(points)
    differ = np.abs(own - mixture.surprise(points)) > 1e-12
    assert differ.sum() == MOST_FITTED
