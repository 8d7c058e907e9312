"""Values in the gap between two peaks are told, and nothing else is."""

import numpy as np
import pytest

from oddshot import FewShotDetector
from oddshot.mapping.apart import BEGINS, Apart, _to_next
from oddshot.mapping.row_places import RowPlaces


def apart(rows, **settings):
    return Apart().fit(rows, RowPlaces(rows), **settings)


def two_peaks(rng, count=400, noise=1):
    peaks = rng.choice([-5.0, 5.0], count) + rng.normal(0, 0.5, count)
    return np.column_stack([peaks, rng.normal(size=(count, noise))])


def test_distances_are_those_of_a_plain_search():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(150, 3)).round(1)
    found = apart(rows)
    distances = found._from_others(rows, np.sort(rows, axis=0))
    for at, column in enumerate(rows.T):
        plain = np.abs(column[:, None] - column)
        np.fill_diagonal(plain, np.inf)
        np.testing.assert_array_equal(distances[:, at], plain.min(axis=1))
    values, ordered = rng.normal(size=50), np.sort(rows[:, 0])
    inside = (values > ordered[0]) & (values < ordered[-1])
    plain = np.abs(values[:, None] - ordered).min(axis=1)
    np.testing.assert_allclose(_to_next(values, ordered), np.where(inside, plain, 0))


def test_a_value_between_the_peaks_in_the_support_and_in_new_rows():
    rng = np.random.default_rng(0)
    rows = two_peaks(rng)
    new = two_peaks(rng, 300)
    new[:2, 0] = [0.0, 1.0]
    found = apart(rows).decades(new)
    assert (found[:2] >= BEGINS).all()
    assert not found[2:].any()
    rows[5, 0] = 0.0
    own = apart(rows).decades(rows)
    assert own[5] >= BEGINS
    assert not np.delete(own, 5).any()


@pytest.mark.parametrize("rows", [50, 100, 1000])
def test_rows_of_the_same_kind_are_hardly_ever_raised(rows):
    raised = looked = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        normal = rng.normal(size=(rows + 500, 5))
        third = rng.random((rows + 500, 1)) < 0.1
        for drawn in (
            normal,
            rng.standard_t(2, size=normal.shape),
            np.exp(2 * normal),
            rng.random(normal.shape),
            normal + 8 * third,
            rng.poisson(30, normal.shape).astype(float),
        ):
            raised += (apart(drawn[:rows]).decades(drawn[rows:]) > 0).sum()
            looked += 500
    assert raised <= 0.001 * looked


def test_alone_in_company_in_other_units_and_beside_what_stands_aside():
    rng = np.random.default_rng(0)
    rows, new = two_peaks(rng), two_peaks(rng, 30)
    new[:3, 0] = [-1, 0, 1]
    found = apart(rows).decades(new)
    alone = np.concatenate([apart(rows).decades(row[None]) for row in new])
    np.testing.assert_array_equal(alone, found)
    units = np.array([1024.0, 0.25])
    np.testing.assert_array_equal(apart(rows * units).decades(new * units), found)
    with_aside = np.column_stack([rows, rng.integers(0, 40, len(rows))])
    others = np.column_stack([new, np.full(len(new), 1000)])
    np.testing.assert_array_equal(apart(with_aside, aside=1).decades(others), found)


def test_where_there_is_too_little_nothing_is_looked_at():
    rng = np.random.default_rng(0)
    for rows in (two_peaks(rng, 99), np.ones((200, 2)), rng.integers(0, 9, (200, 2)).astype(float)):
        assert not apart(rows).decades(rows + 0.37).any()


def test_in_the_empty_middle_beside_noise_a_row_is_flagged():
    rng = np.random.default_rng(1)
    rows = two_peaks(rng, 300)
    rows[5] = [0.0, 0.2]
    detector = FewShotDetector(random_state=0).fit(rows)
    assert detector.anomaly_score(rows).argmax() == 5
    assert detector.predict(rows)[5] == -1
