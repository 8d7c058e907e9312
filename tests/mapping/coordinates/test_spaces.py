import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import rankdata

from oddshot.mapping.coordinates.spaces import MAX_WHITENED, MAX_WIDTH, Spaces

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 3)) * [1.0, 10.0, 0.1] + [5.0, 0.0, -2.0]


def assert_same(found, expected, atol=1e-6):
    for name, points in expected.named().items():
        np.testing.assert_allclose(getattr(found, name), points, atol=atol)


def test_standard_is_a_robust_z():
    low, middle, high = np.quantile(ROWS, (0.25, 0.5, 0.75), axis=0)
    expected = (ROWS - middle) / ((high - low) / 1.349)
    np.testing.assert_allclose(Spaces().fit(ROWS).view(ROWS).standard, expected, atol=1e-6)


def test_beyond_8_standard_grows_like_a_logarithm_and_keeps_the_order():
    spaces = Spaces().fit(ROWS[:, :1])
    unit = (np.quantile(ROWS[:, 0], 0.75) - np.quantile(ROWS[:, 0], 0.25)) / 1.349
    z = np.array([-1e12, -9, -8, 0, 8, 9, 100, 1e12])
    found = spaces.view((np.median(ROWS[:, 0]) + z * unit)[:, None]).standard[:, 0]
    expected = np.sign(z) * np.where(abs(z) > 8, 8 + np.log1p(np.maximum(abs(z) - 8, 0)), abs(z))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_wild_value_moves_the_scale_of_typical_ones_little():
    rows = RNG.normal(size=(1000, 3))
    wild = rows.copy()
    wild[:4] = 1e9
    found, expected = Spaces().fit(wild).view(rows), Spaces().fit(rows).view(rows)
    assert np.abs(found.standard - expected.standard).max() < 0.1


def test_quantile_is_the_normal_score_of_the_mid_rank():
    rows = RNG.integers(0, 4, size=(50, 2)).astype(float)
    expected = ndtri((rankdata(rows, method="average", axis=0) - 0.5) / 50)
    found = Spaces().fit(rows).view(rows).quantile
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_quantile_stops_at_the_ends_and_rises_in_between():
    spaces = Spaces().fit(ROWS)
    path = np.linspace(-1e3, 1e3, 4001)[:, None] * np.ones(3)
    quantile = spaces.view(path).quantile
    assert (np.diff(quantile, axis=0) >= 0).all()
    np.testing.assert_allclose(quantile[0], ndtri(0.5 / 200), atol=1e-6)
    np.testing.assert_allclose(quantile[-1], ndtri(1 - 0.5 / 200), atol=1e-6)


def test_whitened_columns_are_uncorrelated_and_of_one_size():
    mixed = RNG.normal(size=(500, 3)) @ np.array([[1, 0.9, 0], [0, 0.4, 0], [0, 0.5, 1]])
    whitened = Spaces().fit(mixed).view(mixed).whitened
    covariance = np.cov(whitened.T, bias=True)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-4)
    assert ((np.diag(covariance) > 0.8) & (np.diag(covariance) <= 1)).all()  # a floor keeps it down


def test_whitening_leaves_out_axes_that_do_not_vary():
    rows = np.column_stack([ROWS, ROWS[:, 0] * 2 + 1])
    assert Spaces().fit(rows).view(rows).whitened.shape == (200, 3)
    wide = RNG.normal(size=(100, 60))
    assert Spaces().fit(wide).view(wide).whitened.shape == (100, MAX_WHITENED)


@pytest.mark.parametrize("shape", [(40, 600), (220, 200)])
def test_wide_tables_are_cut(shape):
    rows = RNG.normal(size=shape)
    views = Spaces().fit(rows).view(rows)
    assert views.standard.shape[1] == views.quantile.shape[1] <= min(MAX_WIDTH, shape[0])
    assert all(np.isfinite(points).all() for points in views.named().values())


@pytest.mark.parametrize(("width", "kept"), [(192, 0), (193, 193), (2048, 2048), (2049, 0)])
def test_columns_of_a_wide_table_are_kept_beside(width, kept):
    rows = RNG.normal(size=(30, width)) * 3 + 1
    views = Spaces().fit(rows).view(rows)
    assert views.wide.shape == (30, kept)
    assert views.columns.shape[1] == (kept or views.standard.shape[1])
    if kept:
        np.testing.assert_allclose(np.median(views.columns, axis=0), 0, atol=1e-6)
        assert views[2:5].wide.tolist() == views.wide[2:5].tolist()


def test_cutting_a_wide_table_keeps_distances():
    hidden = RNG.normal(size=(300, 20)) @ RNG.normal(size=(20, 250))
    cut = Spaces().fit(hidden)
    low, middle, high = np.quantile(hidden, (0.25, 0.5, 0.75), axis=0)
    standard = (hidden - middle) / ((high - low) / 1.349)
    found = np.linalg.norm(np.diff(cut.view(hidden).standard, axis=0), axis=1)
    np.testing.assert_allclose(found, np.linalg.norm(np.diff(standard, axis=0), axis=1), rtol=0.01)


@pytest.mark.parametrize("width", [3, 250])
def test_a_rows_view_depends_on_that_row_alone(width):
    rows = RNG.normal(size=(60, width))
    spaces = Spaces().fit(rows)
    whole = spaces.view(rows)
    alone = [spaces.view(row[None]) for row in rows]
    for name, points in whole.named().items():
        parts = np.concatenate([getattr(view, name) for view in alone])
        np.testing.assert_allclose(parts, points, atol=1e-5)


@given(st.integers(-6, 6), st.floats(-5, 5))
def test_the_unit_of_a_column_does_not_matter(power, shift):
    scaled = ROWS * [1, 10.0**power, 1] + [0, shift * 10.0**power, 0]
    assert_same(Spaces().fit(scaled).view(scaled), Spaces().fit(ROWS).view(ROWS), atol=1e-5)


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((5, 2)),
        np.array([[1.0, 2.0]]),
        np.array([[0.0], [1.0]]),
        np.column_stack([np.ones(30), np.r_[np.zeros(29), 1.0]]),
        RNG.normal(size=(20, 3)) * [1e-12, 1, 1e12],
    ],
    ids=["constant", "one row", "two rows", "one odd value", "huge ranges"],
)
def test_degenerate_rows_have_finite_views(rows):
    spaces = Spaces().fit(rows)
    for points in spaces.view(np.r_[rows, rows + 1, rows - 1e6]).named().values():
        assert points.dtype == np.float32
        assert np.isfinite(points).all()


def test_views_can_be_indexed_by_row():
    views = Spaces().fit(ROWS).view(ROWS)
    assert len(views) == 200
    assert len(views[:7]) == 7
    np.testing.assert_array_equal(views[np.array([5, 2])].whitened, views.whitened[[5, 2]])
