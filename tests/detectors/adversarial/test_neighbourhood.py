import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oddshot.detectors.adversarial.neighbourhood import Neighbourhood, has_shades, inner_rows
from oddshot.errors import DataError

NOBODY = torch.zeros(0, 3, dtype=torch.float64)


def draw(rows: int, *, seed: int = 0, columns: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, columns)))


def slowly(rows: Tensor, known: Tensor, row: Tensor, count: int) -> list[float]:
    """The features of a row that is none of the rows, before they are standardised."""
    others = torch.cdist(rows, rows).sort(1).values
    density = others[:, 5]  # the row itself stands first
    edge = 0.05 * float(density.median())
    distances = [(float(torch.dist(row, other)), i) for i, other in enumerate(rows)]
    nearest = sorted(distances)[:count]
    near = [np.log(d + edge) for d, _ in nearest]
    relative = [
        n - np.log(float(density[i]) + edge) for n, (_, i) in zip(near, nearest, strict=True)
    ]
    to_known = [-np.log(min(float(torch.dist(row, k)) for k in known) + edge)] if len(known) else []
    return [float(value) for value in (*near, *relative, *to_known)]


@pytest.mark.parametrize("many", [40, 203])  # few are sorted at once, many by groups
@pytest.mark.parametrize("known", [0, 4])
def test_features_are_what_a_slow_loop_finds(known, many):
    rows, new, known = draw(many), draw(7, seed=1), draw(known, seed=2)
    view = Neighbourhood.of(rows, known, count=6)
    found = view(new) * view.spread + view.centre
    expected = [slowly(rows, known, row, 6) for row in new]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert view.width == found.shape[1] == 12 + (len(known) > 0)


def test_of_rows_that_are_as_near_the_first_are_taken():
    rows, new = draw(40).round(), draw(7, seed=1).round() + 0.5
    view = Neighbourhood.of(rows, NOBODY, count=6)
    assert len(torch.cdist(new[:1], rows).unique()) < 40
    found = view(new) * view.spread + view.centre
    others = torch.cdist(rows, rows.unique(dim=0)).sort(1).values[:, 5]
    nearest = torch.cdist(new, rows).sort(dim=1, stable=True).indices[:, :6]
    expected = (others[nearest] + view.edge).log()
    np.testing.assert_allclose(found[:, :6] - found[:, 6:], expected, rtol=1e-9)


def test_copies_of_rows_do_not_make_it_denser():
    rows = draw(40)
    view = Neighbourhood.of(torch.cat([rows, rows[:20], rows[:20]]), NOBODY, count=6)
    np.testing.assert_allclose(view.density[:40], Neighbourhood.of(rows, NOBODY, count=6).density)
    assert not Neighbourhood.of(torch.ones(5, 3), torch.zeros(0, 3), count=3).density.any()


def test_features_relative_to_density_can_be_left_out():
    rows, new, known = draw(40), draw(7, seed=1), draw(2, seed=2)
    whole = Neighbourhood.of(rows, known, count=6)
    view = Neighbourhood.of(rows, known, count=6, relative=False)
    assert view.width == 7
    np.testing.assert_allclose(view(new), whole(new)[:, [0, 1, 2, 3, 4, 5, 12]])


@pytest.mark.parametrize(("binary", "shades"), [(0, True), (4, True), (5, False), (8, False)])
def test_shades_are_missing_where_most_columns_have_two_values(binary, shades):
    rows = draw(30, columns=8)
    rows[:, :binary] = (rows[:, :binary] > 0).double()
    assert has_shades(rows) is shades
    assert has_shades(torch.cat([rows, torch.ones(30, 20)], 1)) is shades  # constants do not count
    assert has_shades(torch.ones(4, 2))


def test_features_of_the_rows_themselves_are_standardised():
    rows = draw(60)
    features = Neighbourhood.of(rows, draw(3, seed=2), count=5)(rows)
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(features.std(0), 1, rtol=1e-6)


def test_a_row_of_the_rows_is_compared_with_the_others():
    rows = draw(50)
    view = Neighbourhood.of(rows, NOBODY, count=5)
    found = view(rows[:1]) * view.spread + view.centre
    others = torch.cdist(rows[:1], rows[1:]).sort(1).values[:, :5]
    np.testing.assert_allclose(found[:, :5], (others + view.edge).log(), rtol=1e-6)


def test_rows_that_go_away_from_all_rows_grow_odder_in_every_feature():
    view = Neighbourhood.of(draw(50), NOBODY, count=5)
    away = view(torch.tensor([[5.0, 0, 0], [10, 0, 0], [100, 0, 0]]).double())
    assert (away.diff(dim=0) > 0).all()


def test_nearness_to_a_known_anomaly_is_odd():
    known = torch.full((1, 3), 8.0, dtype=torch.float64)
    view = Neighbourhood.of(draw(50), known, count=5)
    toward = view(torch.tensor([[0.0, 0, 0], [4, 4, 4], [8, 8, 8]]).double())[:, -1]
    assert (toward.diff() > 0).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), whole=st.booleans(), position=st.integers(0, 39))
def test_a_row_has_the_same_features_alone_and_in_company(seed, whole, position):
    rows, company = draw(30, seed=seed), draw(40, seed=seed + 1)
    if whole:  # distances tie
        rows, company = rows.round(), company.round()
    view = Neighbourhood.of(rows, NOBODY, count=4)
    alone = view(company[position : position + 1])
    np.testing.assert_allclose(alone[0], view(company)[position], atol=1e-9)


def test_features_can_be_differentiated_even_where_a_row_is_one_of_the_rows():
    rows = draw(30)
    view = Neighbourhood.of(rows, draw(2, seed=2), count=4)
    new = torch.cat([draw(3, seed=1), rows[:1]]).requires_grad_()
    (slope,) = torch.autograd.grad(view(new).sum(), new)
    assert slope.isfinite().all()
    apart = draw(3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(view, apart)


def test_equal_rows_are_neighbours_at_no_distance():
    rows = draw(10).repeat(5, 1)
    view = Neighbourhood.of(rows, NOBODY, count=3)
    features = view(torch.cat([rows[:10], draw(3, seed=1)]))
    assert features.isfinite().all()
    assert features[:10, 0].max() < features[10:, 0].min()
    assert (
        Neighbourhood.of(torch.ones(5, 3), torch.zeros(0, 3), count=3)(rows.float())
        .isfinite()
        .all()
    )


def test_there_are_never_more_neighbours_than_other_rows():
    view = Neighbourhood.of(draw(4), NOBODY, count=10)
    assert view.count == 3
    assert view(draw(2, seed=1)).shape == (2, 6)


@pytest.mark.parametrize("rows", [0, 2])
def test_too_few_rows(rows):
    with pytest.raises(DataError, match=f"{rows} normal or unlabelled rows are too few; give 3"):
        Neighbourhood.of(draw(rows), NOBODY, count=2)


def test_the_outermost_rows_are_left_out():
    rows = torch.cat([draw(180), 0.1 * draw(15, seed=1) + 5, draw(5, seed=2) + 20])
    kept = inner_rows(rows, 0.1).tolist()
    assert len(kept) == 180
    assert kept == sorted(kept)
    assert not set(kept) & {*range(180, 200)}  # neither scattered ones nor a small cluster


def test_many_rows_are_compared_with_some():
    rows = torch.cat([draw(2900), draw(100, seed=1) + 6])
    assert max(inner_rows(rows, 0.05).tolist()) < 2900


@pytest.mark.parametrize(("rows", "trim"), [(4, 0.2), (50, 0.0), (0, 0.2)])
def test_nothing_is_left_out_of_few_rows_or_by_no_share(rows, trim):
    assert inner_rows(draw(rows), trim).tolist() == [*range(rows)]
