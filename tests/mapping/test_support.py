from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.support import (
    LEAST_NORMAL,
    MAX_KNOWN,
    MAX_TYPICAL,
    MOST_COPIES,
    REPEATED_KINDS,
    REPEATED_NORMAL,
    REPEATED_ROWS,
    draw_support,
)

seeds = st.integers(0, 10**6)


def table(seed: int, rows: int = 40, columns: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Rows of eighths, some of them equal, with labels of all kinds."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-40, 40, size=(rows, columns)) / 8
    matrix[: rows // 4] = matrix[rows // 4 : 2 * (rows // 4)]
    return matrix, rng.choice(np.array([-1, 0, 1], np.int8), rows)


def assert_same(found, expected, change=lambda rows: rows):
    np.testing.assert_array_equal(found.typical, change(expected.typical))
    np.testing.assert_array_equal(found.known, change(expected.known))
    assert found.normal_share == expected.normal_share


@given(seeds)
def test_the_order_given_does_not_matter(seed):
    rows, labels = table(seed)
    rng = np.random.default_rng(seed)
    order, columns = rng.permutation(len(rows)), rng.permutation(rows.shape[1])
    expected = draw_support(rows, labels, seed=3, max_typical=10)
    found = draw_support(rows[np.ix_(order, columns)], labels[order], seed=3, max_typical=10)
    assert_same(found, expected)
    np.testing.assert_array_equal(found.arranged(rows[:, columns]), expected.arranged(rows))
    np.testing.assert_array_equal(found.as_encoded(found.arranged(rows)), rows)


@given(seeds)
def test_the_unit_of_a_column_does_not_matter(seed):
    rows, labels = table(seed)
    rng = np.random.default_rng(seed)
    unit, shift = 2.0 ** rng.integers(-9, 9, rows.shape[1]), rng.integers(-9, 9, rows.shape[1])
    expected = draw_support(rows, labels, seed=3, max_typical=10)
    found = draw_support((rows + shift) * unit, labels, seed=3, max_typical=10)
    np.testing.assert_array_equal(found.columns, expected.columns)
    at = expected.columns
    assert_same(found, expected, lambda kept: (kept + shift[at]) * unit[at])


@given(seeds)
def test_columns_that_stand_aside_are_last_in_order_and_tell_rows_apart(seed):
    rows, labels = table(seed)
    rng = np.random.default_rng(seed)
    aside = rng.integers(3, size=(len(rows), 2)).astype(float)
    whole = np.column_stack([rows, aside])
    found = draw_support(whole, labels, seed=3, copies_once=True, aside=2)
    alone = draw_support(rows, labels, seed=3, copies_once=True)
    assert found.width == 4
    np.testing.assert_array_equal(found.columns[:4], alone.columns)
    assert set(found.columns[4:].tolist()) == {4, 5}
    different = np.unique(np.column_stack([whole, labels]), axis=0)
    assert len(found.typical) <= (different[:, -1] != 1).sum() + (labels == 0).sum()
    order, columns = rng.permutation(len(rows)), [*rng.permutation(4), 4, 5]
    again = draw_support(
        whole[np.ix_(order, columns)], labels[order], seed=3, copies_once=True, aside=2
    )
    assert_same(again, found)


@given(seeds)
def test_the_names_of_levels_do_not_matter(seed):
    """Which of equal rows stand where is decided by the other rows of their levels."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(4, size=(60, 2)).astype(float)
    levels = rng.integers(6, size=60)
    renamed = rng.permutation(6)[levels]
    labels = np.full(60, -1, dtype=np.int8)
    found, other = (
        draw_support(np.column_stack([rows, named]), labels, seed=3, aside=1)
        for named in (levels, renamed)
    )
    np.testing.assert_array_equal(found.typical[:, :2], other.typical[:, :2])
    assert len({*zip(found.typical[:, 2], other.typical[:, 2], strict=True)}) >= 6


def test_all_rows_are_kept_where_there_is_room():
    rows, labels = table(0)
    support = draw_support(rows, labels, seed=0)
    for kept, given_rows in (
        (support.typical, rows[labels != 1]),
        (support.known, rows[labels == 1]),
    ):
        expected = given_rows[:, support.columns].tolist()
        assert sorted(kept.tolist()) == sorted(expected)
    assert support.normal_share == pytest.approx((labels == 0).sum() / (labels != 1).sum())


@pytest.mark.parametrize(
    ("unlabelled", "normal", "kept_normal", "kept"),
    [(30, 0, 0, 10), (0, 30, 10, 10), (30, 30, 5, 10), (30, 2, 2, 10), (4, 3, 3, 7)],
)
def test_known_normal_rows_fill_up_to_half_of_the_places(unlabelled, normal, kept_normal, kept):
    labels = np.repeat(np.array([-1, 0], np.int8), [unlabelled, normal])
    rows = np.arange(float(len(labels)))[:, None]  # a row's number is its content
    support = draw_support(rows, labels, seed=0, max_typical=10)
    assert len(support.typical) == kept
    assert (support.typical[:, 0] >= unlabelled).sum() == kept_normal
    assert support.normal_share == kept_normal / kept
    assert len(np.unique(support.typical)) == kept
    assert support.known.shape == (0, 1)


def once(rows, labels):
    """Unlabelled rows and known anomalies as they should be kept, by a loop."""
    rows = [tuple(row) for row in rows]
    told = {row for row, label in zip(rows, labels, strict=True) if label != -1}
    odd = {row for row, label in zip(rows, labels, strict=True) if label == 1}
    copies = Counter(rows)
    share = np.mean([copies[row] > 1 for row in rows])
    common = share >= REPEATED_ROWS and np.mean([n > 1 for n in copies.values()]) >= REPEATED_KINDS
    most = np.median([copies[row] for row in rows])
    kept, known = [], []
    for row, label in zip(rows, labels, strict=True):
        if label == 1 and (common or copies[row] > MOST_COPIES or row not in known):
            known.append(row)
        if label == -1 and (
            copies[row] > MOST_COPIES
            or (
                row not in odd and kept.count(row) + 1 <= most
                if common
                else row not in {*told, *kept}
            )
        ):
            kept.append(row)
    normal = sum(label == 0 for label in labels)
    every, all_known = (
        [row for row, told in zip(rows, labels, strict=True) if told == label] for label in (-1, 1)
    )
    usual = sum(rows.count(row) > MOST_COPIES for row in rows)
    if len(kept) + normal > 1 and 2 * usual < len(rows):
        return sorted(kept), sorted(known)
    return sorted(every), sorted(all_known)


def test_copies_of_a_known_anomaly_stay_where_there_is_little_else():
    rows, labels = np.zeros((5, 2)), np.array([1, -1, -1, -1, -1], np.int8)
    rows[4] = 1
    assert len(draw_support(rows, labels, seed=0, copies_once=True).typical) == 4


@given(st.integers(0, 10**6), st.integers(4, 80), st.integers(1, 3), st.integers(2, 20))
def test_copies_count_once_but_for_those_of_usual_rows(seed, rows, columns, levels):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, levels, size=(rows, columns)).astype(float)
    labels = rng.choice(np.array([1, 0, -1], np.int8), size=rows, p=[0.1, 0.1, 0.8])
    support = draw_support(table, labels, seed=0, copies_once=True)
    table = table[:, support.columns]
    normal = round(support.normal_share * len(support.typical))
    unlabelled, known = once(table, labels)
    assert sorted(map(tuple, support.typical[normal:])) == unlabelled
    assert sorted(map(tuple, support.known)) == known
    told_normal = sorted(map(tuple, table[labels == 0]))
    assert sorted(map(tuple, support.typical[:normal])) == told_normal


def test_where_rows_repeat_copies_stay_but_not_those_of_anomalies():
    rows = np.repeat(np.arange(12.0), [4] * 10 + [1, 3])[:, None]
    labels = np.full(len(rows), -1, np.int8)
    labels[0] = 1
    found = draw_support(rows, labels, seed=0, copies_once=True)
    assert len(found.typical) == len(rows) - 4
    more = np.r_[rows, np.full((5, 1), 20.0)]  # eight of which are one too many
    found = draw_support(np.r_[more, more[-3:]], np.full(52, -1, np.int8), seed=0, copies_once=True)
    assert len(found.typical) == 44 + 4
    few = np.r_[np.arange(90.0), np.repeat(np.arange(-10.0, 0.0), 10)][:, None]
    found = draw_support(few, np.full(190, -1, np.int8), seed=0, copies_once=True)
    assert len(found.typical) == 100


@given(st.integers(0, 10**6), st.integers(90, 300), st.floats(0, 0.6))
def test_normal_rows_count_once_where_many_repeat(seed, rows, repeated):
    rng = np.random.default_rng(seed)
    table = rng.permutation(rows).astype(float)[:, None]
    again = rng.random(rows) < repeated
    table[again] = rng.integers(0, rows, again.sum())[:, None]
    labels = np.zeros(rows, np.int8)
    found = draw_support(table, labels, seed=0, copies_once=True, normal_once=True)
    values, counts = np.unique(table, return_counts=True)
    often = counts[counts > 1].sum() >= REPEATED_NORMAL * rows and len(values) >= LEAST_NORMAL
    if not often:
        assert sorted(found.typical[:, 0]) == sorted(table[:, 0])
        assert (found.copies == 1).all()
        return
    order = np.argsort(found.typical[:, 0])
    assert found.typical[order, 0].tolist() == values.tolist()
    assert found.copies[order].tolist() == counts.tolist()


@pytest.mark.parametrize("label", [1, -1])
def test_normal_rows_count_once_only_where_all_are_normal(label):
    rows = np.repeat(np.arange(150.0), 3)[:, None]
    labels = np.zeros(450, np.int8)
    labels[0] = label
    asked, not_asked = (
        draw_support(rows, labels, seed=0, copies_once=True, normal_once=once)
        for once in (True, False)
    )
    np.testing.assert_array_equal(asked.typical, not_asked.typical)
    np.testing.assert_array_equal(asked.copies, not_asked.copies)


def test_all_different_normal_rows_are_counted_where_some_are_drawn():
    rows = np.repeat(np.arange(300.0), [3] * 298 + [100, 200])[:, None]
    labels = np.zeros(len(rows), np.int8)
    found = draw_support(rows, labels, seed=0, max_typical=150, copies_once=True, normal_once=True)
    assert len(found.typical) == 150
    assert found.counts.total == len(rows)
    assert found.counts.of(np.arange(301.0)[:, None]).tolist() == [3] * 298 + [100, 200, 0]
    assert {298.0, 299.0} <= {*found.typical[:, 0]}  # the most usual ones are always there
    assert found.drawn_for.normal == pytest.approx(298 / 148)
    every = draw_support(rows, labels, seed=0, copies_once=True, normal_once=True)
    assert every.counts is None


def test_more_different_normal_rows_than_are_counted_stay_as_they_are(monkeypatch):
    monkeypatch.setattr("oddshot.mapping.support.MOST_COUNTED", 140)
    rows = np.repeat(np.arange(150.0), 3)[:, None]
    found = draw_support(rows, np.zeros(450, np.int8), seed=0, copies_once=True, normal_once=True)
    assert len(found.typical) == 450


def test_rows_left_out_are_stood_for_by_their_copies():
    rows = np.repeat(np.arange(13.0), [4] * 10 + [1, 3, 9])[:, None]
    found = draw_support(rows, np.full(53, -1, np.int8), seed=0, copies_once=True)
    assert len(found.typical) == 44 + 4
    assert found.copies.sum() == 53
    assert set(found.copies[found.typical[:, 0] == 12]) == {9 / 4}
    alone = np.concatenate([np.arange(-20.0, 0)[:, None], rows[41:44]])
    once = draw_support(alone, np.full(23, -1, np.int8), seed=0, copies_once=True)
    assert sorted(once.copies) == [1] * 20 + [3]


def test_rows_that_are_drawn_stand_for_all_of_their_kind():
    labels = np.repeat([1, 0, -1], [900, 300, 2000])
    rows = np.random.default_rng(0).normal(size=(3200, 2))
    rows[1200:1500] = rows[1500:1800]  # these count once
    support = draw_support(rows, labels, seed=0, max_typical=500, copies_once=True)
    assert (len(support.typical), len(support.known)) == (500, 512)
    assert support.drawn_for == pytest.approx(
        (300 / 250, 2000 / support.copies[250:].sum(), 900 / 512)
    )
    typical, known = support.drawn_for_each
    assert (support.copies @ typical, known.sum()) == pytest.approx((2300, 900))
    of_all = draw_support(rows[:3000], labels[:3000], seed=0)
    assert of_all.drawn_for[:2] == (1, 1)


def test_bounds_hold_for_large_tables():
    labels = np.repeat(np.array([1, -1], np.int8), [MAX_KNOWN + 50, MAX_TYPICAL + 50])
    support = draw_support(np.random.default_rng(0).normal(size=(len(labels), 2)), labels, seed=0)
    assert support.typical.shape == (MAX_TYPICAL, 2)
    assert support.known.shape == (MAX_KNOWN, 2)


def test_the_seed_decides_the_draw():
    rows, labels = table(0, rows=200)
    first = draw_support(rows, labels, seed=1, max_typical=20)
    assert_same(draw_support(rows, labels, seed=1, max_typical=20), first)
    assert not np.array_equal(
        draw_support(rows, labels, seed=2, max_typical=20).typical, first.typical
    )


def test_every_row_has_the_same_chance():
    labels = np.full(40, -1, np.int8)
    rows = np.arange(40.0)[:, None]
    drawn = [draw_support(rows, labels, seed=s, max_typical=10).typical for s in range(400)]
    counts = np.bincount(np.concatenate(drawn).ravel().astype(int), minlength=40)
    assert counts.min() > 60  # 100 expected, standard deviation 9
    assert counts.max() < 140


def test_columns_that_only_rank_alike_are_ordered_by_content():
    x = np.random.default_rng(0).normal(size=30)
    rows, labels = np.column_stack([x, np.exp(x)]), np.full(30, -1, np.int8)
    assert_same(draw_support(rows[:, ::-1], labels, seed=0), draw_support(rows, labels, seed=0))
