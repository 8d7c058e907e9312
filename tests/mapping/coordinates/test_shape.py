import numpy as np
import pytest

from oddshot.mapping.coordinates.shape import EXPLAINED, Ellipsoid, Ellipsoids, Residual

RNG = np.random.default_rng(0)
MIXING = np.array([[1, 0.8, 0, 0], [0, 0.5, 0, 0], [0, 0, 2, 0.3], [0, 0, 0, 1]])
ROWS = RNG.normal(size=(200, 4)) @ MIXING + [1, 0, -2, 0]
NEW = 2 * RNG.normal(size=(20, 4)) @ MIXING


def shrunken(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and covariance shrunken towards its diagonal."""
    count, width = points.shape
    shrinkage = min(0.9, max(0.01, width / (width + count)))
    covariance = np.cov(points.T, bias=True)
    diagonal = np.diag(np.diag(covariance) + 1e-6)
    return points.mean(axis=0), (1 - shrinkage) * covariance + shrinkage * diagonal


def slow(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Distance, and residuals of regressions of every column on all others."""
    mean, covariance = shrunken(reference)
    out = []
    for z in points - mean:
        residuals = []
        for j in range(len(z)):
            others = [i for i in range(len(z)) if i != j]
            slopes = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, j])
            variance = covariance[j, j] - slopes @ covariance[others, j]
            residuals.append((z[j] - slopes @ z[others]) ** 2 / variance)
        distance = z @ np.linalg.solve(covariance, z)
        out.append(np.log1p([distance, sum(residuals), max(residuals)]))
    return np.array(out)


def test_dependencies_are_residuals_of_regressions():
    model = Ellipsoid(trim=False)
    model.fit(ROWS)
    np.testing.assert_allclose(model.coordinates(NEW), slow(NEW, ROWS), rtol=1e-9)


def test_the_correction_for_a_rows_own_weight_is_close_to_removing_the_row():
    """Close only: the mean and the diagonal that the covariance is drawn to stay as they are.

    Their part is of order 1 / n in the covariance, so below a tenth in the logarithm for 200 rows.
    Of the oddest row only the distance is compared: the variance of its residuals, which it raises
    itself, is not corrected. Uncorrected, its distance would be off by several times as much.
    """
    rows = np.r_[ROWS, [[9.0, -6.0, 8.0, -5.0]]]
    found = Ellipsoid(trim=False).fit(rows)
    removed = np.array([slow(row[None], np.delete(rows, i, 0))[0] for i, row in enumerate(rows)])
    np.testing.assert_allclose(found[:-1], removed[:-1], atol=0.1)
    np.testing.assert_allclose(found[-1, 0], removed[-1, 0], atol=0.1)
    plain = slow(rows[-1:], rows)
    assert removed[-1, 0] - plain[0, 0] > 0.5


def test_trimming_keeps_anomalies_out_of_the_ellipsoid():
    clump = RNG.normal(size=(30, 4)) * 0.1 + [6, -6, 0, 0]
    plain, trimmed = Ellipsoid(trim=False), Ellipsoid(trim=True)
    rows = np.r_[ROWS, clump]
    margins = [
        values[200:, 0].min() - values[:200, 0].max()
        for values in (model.fit(rows) for model in (plain, trimmed))
    ]
    assert margins[1] > margins[0] + 1
    assert margins[1] > 0


def test_a_broken_dependency_is_odd_though_no_column_is():
    model = Ellipsoid(trim=False)
    typical = model.fit(ROWS)
    apart = np.array([1.5, -1.0, 0, 0])  # where the columns go together
    broken = ROWS.mean(axis=0) + apart
    (found,) = model.coordinates(broken[None])
    assert (found > np.quantile(typical, 0.99, axis=0)).all()


@pytest.mark.parametrize("share", EXPLAINED)
def test_the_residual_is_the_distance_from_the_leading_plane(share):
    model = Residual(share)
    own = model.fit(ROWS)
    mean = ROWS.mean(axis=0)
    _, sizes, axes = np.linalg.svd(ROWS - mean)
    rank = next(r for r in range(1, 5) if (sizes[:r] ** 2).sum() >= share * (sizes**2).sum())
    plane = axes[: min(rank, 3)]
    for points, found in ((ROWS, own), (NEW, model.coordinates(NEW))):
        beside = (points - mean) - (points - mean) @ plane.T @ plane
        np.testing.assert_allclose(found[:, 0], np.log1p((beside**2).sum(axis=1)), atol=1e-9)


def test_rows_in_the_plane_have_no_residual_and_rows_beside_it_have():
    flat = RNG.normal(size=(100, 2)) @ RNG.normal(size=(2, 5))
    model = Residual(0.9)
    assert np.abs(Residual(1.0 - 1e-9).fit(flat)).max() < 1e-6
    typical = model.fit(flat)
    beside = flat + RNG.normal(size=5)
    assert np.median(model.coordinates(beside)) > np.median(typical) + 0.1


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[:1],
        ROWS[:2],
        ROWS[:5],
        ROWS[:, :1],
        np.ones((10, 3)),
        np.repeat(ROWS[:, :1], 3, axis=1),
    ],
    ids=["one row", "two rows", "five rows", "one column", "constant", "copied columns"],
)
def test_degenerate_rows(see, rows):
    block = Ellipsoids()
    reference, new = see(rows, np.r_[rows, rows + 1])
    typical, found = block.fit(reference, RNG), block.transform(new)
    assert typical.shape == (len(rows), len(block.names))
    for values in (typical, found):
        assert np.isfinite(values).all()
        assert (values >= 0).all()


def test_rows_outside_the_trimmed_part_look_as_new_ones_do():
    # most columns hold a few rows that are far off: what trimming leaves out
    generator = np.random.default_rng(1)
    points = (generator.random((4000, 6)) < 0.03).astype(float) / 0.17
    points += generator.normal(0, 0.01, points.shape)
    model = Ellipsoid(trim=True)
    own, new = model.fit(points[:2000]), model.coordinates(points[2000:])
    for of_own, of_new in zip(own.T, new.T, strict=True):
        assert 0.02 < (of_new > np.quantile(of_own, 0.95)).mean() < 0.1


def flagged(rng, width=4):
    """Rows of normal columns, and a flag for each that is set in the same two hundredths."""
    rows = rng.normal(size=(500, 2 * width))
    rows[:, width:] = np.where(np.arange(500) < 10, 5.0, -0.1)[:, None]
    return rows, np.arange(2 * width) >= width


def test_rare_flags_have_the_variance_that_they_have_among_all_rows():
    rows, flags = flagged(np.random.default_rng(0), width=1)
    trimmed = Ellipsoid(trim=True, flags=flags).fit(rows)[:, 0]
    assert 3 < np.median(trimmed[:10]) < 5  # about the log of the inverse of their share
    assert np.median(Ellipsoid(trim=True).fit(rows)[:10, 0]) > 10


def test_flags_that_go_together_count_once():
    rows, flags = flagged(np.random.default_rng(0))
    one = np.delete(rows, [5, 6, 7], axis=1)
    many, single = (
        Ellipsoid(trim=True, flags=which).fit(each)[:10, 0]
        for each, which in ((rows, flags), (one, flags[[0, 1, 2, 3, 4]]))
    )
    np.testing.assert_allclose(many, single, atol=0.1)


def test_what_is_no_flag_is_as_it_was():
    rows = np.random.default_rng(0).normal(size=(100, 3))
    plain, none = Ellipsoid(trim=True).fit(rows), np.zeros(3, dtype=bool)
    assert (Ellipsoid(trim=True, flags=none).fit(rows) == plain).all()
