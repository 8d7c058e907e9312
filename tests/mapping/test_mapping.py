import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from oddshot.episodes import Batch, Episode
from oddshot.errors import DataError
from oddshot.mapping.coordinates.evidence import EVIDENCE, TABLE
from oddshot.mapping.coordinates.labelled import LABELLED_NAMES
from oddshot.mapping.editions import Edition
from oddshot.mapping.mapping import (
    COORDINATES,
    LABEL_FREE,
    MAX_SUPPORT_ROWS,
    Mapping,
    map_episode,
    support_sample,
)
from oddshot.mapping.support import draw_support

FREE = len(LABEL_FREE)
DATA = np.random.default_rng(0)
KINDS = {
    "normal": DATA.normal(size=(90, 3)),
    "skewed": np.exp(2 * DATA.normal(size=(90, 3))),
    "discrete": DATA.integers(0, 4, size=(90, 3)).astype(float),
    "binary": DATA.integers(0, 2, size=(90, 4)).astype(float),
    "copied rows": np.repeat(DATA.normal(size=(30, 3)), 3, axis=0),
    "copied columns": np.repeat(DATA.normal(size=(90, 2)), 2, axis=1),
    "one column": DATA.normal(size=(90, 1)),
    "wide": DATA.normal(size=(90, 120)),
}


def given_labels(rows, known=0, normal=0):
    """Labels of the first rows: known anomalies, then known normal ones."""
    labels = np.full(len(rows), -1, np.int8)
    labels[:known] = 1
    labels[known : known + normal] = 0
    return labels


def fitted(rows, labels, seed=0, **settings):
    return Mapping(**settings).fit(draw_support(rows, labels, seed=seed))


def near(rows, seed=1):
    """New rows close to given ones, of the same kind."""
    rng = np.random.default_rng(seed)
    chosen = np.stack([rng.permutation(column) for column in rows.T], axis=1)[:12]
    return chosen + 0.1 * rows.std(axis=0) * rng.normal(size=chosen.shape)


def assert_same(found, expected, atol=1e-5):
    """Alike but for the last digits, in which linear algebra may differ from run to run."""
    np.testing.assert_allclose(found, expected, atol=atol, rtol=0)


def assert_finite(mapping, *arrays):
    summary = mapping.summary_
    for values in (mapping.typical_, mapping.known_, summary.evidence, summary.table, *arrays):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


# One table with labels, looked at from all sides

ROWS = np.random.default_rng(1).normal(size=(100, 3)) @ np.diag([1, 10, 0.1])
ROWS[:4] += [4, 0, -0.3]
LABELS = given_labels(ROWS, known=4)
NEW = np.r_[near(ROWS), ROWS[:4] + 0.1 * ROWS.std(axis=0)]


@pytest.fixture(scope="module")
def mapping():
    return fitted(ROWS, LABELS)


@pytest.fixture(scope="module")
def whole(mapping):
    return mapping.transform(NEW)


def test_shapes_and_names(mapping, whole):
    assert COORDINATES == LABEL_FREE + LABELLED_NAMES
    assert len(set(COORDINATES)) == len(COORDINATES)
    assert mapping.typical_.shape == (96, len(COORDINATES), 2)
    assert mapping.known_.shape == (4, len(COORDINATES), 2)
    assert whole.shape == (16, len(COORDINATES), 2)
    assert mapping.summary_.evidence.shape == (len(COORDINATES), len(EVIDENCE))
    assert mapping.summary_.table.shape == (len(TABLE),)
    assert mapping.transform(NEW[:0]).shape == (0, len(COORDINATES), 2)
    assert_finite(mapping, whole)


def test_the_order_of_rows_and_columns_does_not_matter(mapping, whole):
    rng = np.random.default_rng(2)
    rows, columns = rng.permutation(100), rng.permutation(3)
    other = fitted(ROWS[np.ix_(rows, columns)], LABELS[rows])
    assert_same(other.transform(NEW[:, columns]), whole)
    assert_same(other.typical_, mapping.typical_)
    assert_same(other.known_, mapping.known_)
    assert_same(other.summary_.evidence, mapping.summary_.evidence)
    assert_same(other.summary_.table, mapping.summary_.table)


def test_the_unit_of_a_column_does_not_matter(mapping, whole):
    unit, shift = np.array([2.54, 1e6, 1e-9]), np.array([-3.0, 1e6, 1e-9])
    other = fitted(ROWS * unit + shift, LABELS)
    assert_same(other.transform(NEW * unit + shift), whole, atol=1e-4)
    assert_same(other.summary_.evidence, mapping.summary_.evidence, atol=1e-4)
    assert_same(other.summary_.table, mapping.summary_.table, atol=1e-4)


def test_a_row_is_mapped_alike_alone_in_blocks_and_in_company(mapping, whole):
    alone = np.concatenate([mapping.transform(row[None]) for row in NEW])
    assert_same(alone, whole)
    blocks = np.concatenate([mapping.transform(NEW[:5]), mapping.transform(NEW[5:])])
    assert_same(blocks, whole)
    company = mapping.transform(np.r_[NEW * 100, NEW])[16:]
    assert_same(company, whole)


def test_a_support_row_has_the_coordinates_it_had_there(mapping):
    found = mapping.transform(ROWS[LABELS == -1])
    arranged = mapping.support.arranged(ROWS[LABELS == -1])
    places = [np.flatnonzero((mapping.support.typical == row).all(axis=1))[0] for row in arranged]
    np.testing.assert_array_equal(found, mapping.typical_[places])
    np.testing.assert_array_equal(mapping.transform_arranged(arranged), found)


def test_a_support_row_was_compared_with_all_but_itself(mapping):
    """Moved by a hair it is a new row, and finds itself as its nearest neighbour."""
    nearest = COORDINATES.index("knn1_standard")
    moved = mapping.transform(ROWS[4:] * (1 + 1e-9))[:, nearest, 1]
    assert (moved < mapping.transform(ROWS[4:])[:, nearest, 1]).all()


def test_the_seed_decides_what_is_random_and_threads_do_not(mapping, whole):
    again = fitted(ROWS, LABELS, threads=2)
    assert_same(again.transform(NEW), whole)
    assert_same(again.known_, mapping.known_)
    other = fitted(ROWS, given_labels(ROWS), seed=1)
    assert not np.array_equal(other.transform(NEW)[:, :FREE], whole[:, :FREE])


def test_what_labels_bring_is_as_random_after_a_copy(mapping, whole):
    for copied in (deepcopy(mapping), pickle.loads(pickle.dumps(mapping))):
        told = copied.with_labels(mapping.pool(NEW[:0]), np.zeros(0, np.int8))
        np.testing.assert_array_equal(told.known_, mapping.known_)
        np.testing.assert_array_equal(told.transform(NEW), whole)


def test_mapping_changes_nothing(mapping, whole):
    before = mapping.typical_.copy()
    rows = NEW.copy()
    support_sample(mapping)
    mapping.transform(rows)
    np.testing.assert_array_equal(mapping.typical_, before)
    np.testing.assert_array_equal(rows, NEW)


def test_label_free_coordinates_do_not_look_at_known_anomalies(mapping, whole):
    without = fitted(ROWS[4:], LABELS[4:])
    # known anomalies are rows too: they change the order in which samples are drawn
    drawn = ("subset", "density", "isolation")
    kept = [i for i, name in enumerate(LABEL_FREE) if not name.startswith(drawn)]
    assert_same(without.transform(NEW)[:, kept], whole[:, kept])
    assert (without.transform(NEW)[:, FREE:] == 0).all()
    assert (without.typical_[:, FREE:] == 0).all()
    assert without.known_.shape == (0, len(COORDINATES), 2)


def test_one_known_anomaly_is_not_held_out():
    mapping = fitted(ROWS, given_labels(ROWS, known=1))
    assert (mapping.known_[:, FREE:] == 0).all()
    assert (mapping.known_[:, :FREE] != 0).all()
    assert (mapping.typical_[:, FREE:, 0] > 0).any(axis=0).all()


def test_typical_rows_are_the_scale(mapping):
    """Half lie below 0.3 decades, a tenth above 1, but for ties, whatever the coordinate."""
    decades = mapping.typical_[:, :, 0]
    np.testing.assert_allclose((decades > 0.3).mean(axis=0), 0.5, atol=0.1)
    np.testing.assert_allclose((decades > 1).mean(axis=0), 0.1, atol=0.1)
    np.testing.assert_allclose(np.median(mapping.typical_[:, :, 1], axis=0), 0, atol=0.05)


def test_far_rows_are_odd_by_every_label_free_coordinate(mapping):
    far = np.random.default_rng(3).choice([-8.0, 8.0], size=(30, 3)) * [1, 10, 0.1]
    decades = np.median(mapping.transform(far)[:, :FREE, 0], axis=0)
    for name, value in zip(LABEL_FREE, decades, strict=True):
        assert value > 1, name  # in the top tenth


def test_rows_near_the_known_anomalies_are_odd_by_every_label_aware_coordinate(mapping):
    rng = np.random.default_rng(4)
    close = ROWS[:4].mean(axis=0) + 0.5 * rng.normal(size=(30, 3)) * [1, 10, 0.1]
    typical = rng.normal(size=(30, 3)) * [1, 10, 0.1]
    truth = np.repeat([0, 1], 30)
    found = mapping.transform(np.r_[typical, close])
    for name, values in zip(LABELLED_NAMES, found[:, FREE:, 1].T, strict=True):
        assert roc_auc_score(truth, values) > 0.85, name


def test_held_out_anomalies_of_one_kind_are_found_by_label_aware_coordinates(mapping):
    assert mapping.known_[:, FREE:, 0].mean() > 1
    assert np.mean(mapping.known_[:, FREE:, 0].mean(axis=0) > 0.5) > 0.9


def test_a_sample_of_the_support(mapping):
    rows, labels = support_sample(mapping)
    assert labels.tolist() == [1] * 4 + [-1] * MAX_SUPPORT_ROWS
    np.testing.assert_array_equal(rows[:4, :FREE], mapping.known_[:, :FREE])
    assert (rows[:, FREE:] == 0).all()  # a row would be judged by its own label
    free = {row.tobytes() for row in mapping.typical_[:, :FREE]}
    assert {row.tobytes() for row in rows[4:, :FREE]} <= free
    again, _ = support_sample(mapping)
    np.testing.assert_array_equal(again, rows)


def test_a_sample_of_normal_rows_is_labelled_normal():
    rows, labels = support_sample(fitted(ROWS[:10], given_labels(ROWS[:10], normal=10)))
    assert labels.tolist() == [0] * 10
    assert len(rows) == 10
    mixed = fitted(ROWS[:10], given_labels(ROWS[:10], normal=9))
    assert support_sample(mixed)[1].tolist() == [-1] * 10


# Tables of other kinds, without labels


@pytest.fixture
def few_trees(monkeypatch):
    """A small isolation forest: these tests are about the rows, and fit often."""
    monkeypatch.setattr("oddshot.mapping.coordinates.isolation.TREES", 10)


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_table_depends_on_orders_and_units(kind):
    rows = KINDS[kind]
    rng = np.random.default_rng(5)
    order, columns = rng.permutation(len(rows)), rng.permutation(rows.shape[1])
    unit = np.exp(3 * rng.normal(size=rows.shape[1]))
    shift = unit * rng.normal(size=rows.shape[1])
    labels = given_labels(rows)
    new = np.r_[rows[:5], near(rows)]
    base = fitted(rows, labels)
    expected = base.transform(new)
    assert_finite(base, expected)
    other = fitted((rows * unit + shift)[np.ix_(order, columns)], labels)
    assert_same(other.transform((new * unit + shift)[:, columns]), expected, atol=1e-4)
    assert_same(other.summary_.evidence, base.summary_.evidence, atol=1e-4)
    alone = np.concatenate([base.transform(row[None]) for row in new[-3:]])
    assert_same(alone, expected[-3:], atol=1e-4)


def test_the_unit_of_a_column_does_not_matter_in_wide_tables():
    rng = np.random.default_rng(6)
    rows, new = rng.normal(size=(40, 600)), rng.normal(size=(10, 600))
    unit = np.exp(rng.normal(size=600))
    labels = given_labels(rows)
    expected = fitted(rows, labels).transform(new)
    assert_same(fitted(rows * unit, labels).transform(new * unit), expected, atol=1e-3)


@pytest.mark.parametrize("width", [4, pytest.param(60, marks=pytest.mark.xfail(
    reason="residuals, histograms and the whitened space are fitted on the row itself: with many"
    " columns for the number of rows every new row is odd by them"
))])  # fmt: skip
def test_fresh_rows_of_the_same_kind_are_not_odd(width):
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(500, width))
    decades = fitted(rows, given_labels(rows)).transform(rng.normal(size=(500, width)))[:, :FREE, 0]
    for name, share in zip(LABEL_FREE, (decades > 1).mean(axis=0), strict=True):
        assert share < 0.25, name  # 0.1 if a fresh row were like any other


# Tables at the edge of what can be compared


@pytest.mark.usefixtures("few_trees")
def test_a_coordinate_that_all_rows_share_does_not_drown_the_others():
    rows = np.random.default_rng(0).normal(size=(24, 13))  # each has a histogram bin to itself
    new = np.random.default_rng(1).normal(size=(24, 13))
    labels = given_labels(rows, normal=24)
    largest = {
        edition: fitted(rows, labels, edition=edition).transform(new)[:, :, 1].max()
        for edition in (Edition.SEES_NO_SCALE - 1, Edition.SEES_NO_SCALE)
    }
    assert largest[Edition.SEES_NO_SCALE - 1] > 13
    assert largest[Edition.SEES_NO_SCALE] < 6


@pytest.mark.parametrize(
    "rows",
    [
        DATA.normal(size=(2, 3)),
        DATA.normal(size=(5, 1)),
        np.ones((20, 2)),
        np.column_stack([np.ones(29), np.arange(29) == 7]).astype(float),
        DATA.normal(size=(40, 600)),
        DATA.normal(size=(60, 4)) * [1e-12, 1e-6, 1e6, 1e12],
        DATA.standard_cauchy(size=(60, 2)) ** 5,
        np.r_[np.zeros(20), 1e100, -1e100][:, None],
    ],
    ids=["two rows", "one column", "constant", "one odd value", "wide", "ranges", "tails", "huge"],
)
def test_edges(rows):
    rows = np.r_[rows[:1] + 1, rows]
    mapping = fitted(rows, given_labels(rows, known=1))
    assert_finite(mapping, mapping.transform(np.r_[rows[:3], rows[:3] + 1, rows[:3] * 1e3]))


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_rows_without_labels(count):
    mapping = fitted(ROWS[:count], LABELS[-count:])
    assert_finite(mapping, mapping.transform(ROWS))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_as_few_rows_as_there_can_be_with_several_known_anomalies(count):
    rows = DATA.normal(size=(count + 3, 2))
    mapping = fitted(rows, given_labels(rows, known=3))
    assert_finite(mapping, mapping.transform(rows), mapping.transform(rows + 0.1))


def test_an_anomaly_can_be_a_copy_of_a_typical_row():
    rows = np.r_[ROWS[:30], ROWS[:1]]
    mapping = fitted(rows, given_labels(rows, known=1))
    assert_finite(mapping, mapping.transform(rows))


# Episodes


def episode(rows, labels, query, seed=3):
    truth = np.zeros(len(query), np.int8)
    return Episode("toy#1", "toys", seed, Batch(rows, labels), Batch(query, truth))


def test_an_episode_is_mapped_as_its_support_sees_it(mapping, whole):
    task = map_episode(episode(ROWS, LABELS, NEW, seed=0))
    assert (task.name, task.family, task.seed) == ("toy#1", "toys", 0)
    assert_same(task.query, whole)
    assert_same(task.summary.evidence, mapping.summary_.evidence)
    rows, labels = support_sample(mapping)
    assert_same(task.support, rows)
    np.testing.assert_array_equal(task.support_labels, labels)
    np.testing.assert_array_equal(task.query_labels, 0)


def test_the_query_teaches_nothing():
    frame = pd.DataFrame({"kg": ROWS[:, 0], "colour": np.where(ROWS[:, 1] > 0, "red", "blue")})
    labels = given_labels(frame)
    few = map_episode(episode(frame, labels, frame[:3].assign(kg=[9.0, 8.0, None])))
    many = map_episode(
        episode(frame, labels, pd.concat([frame[:3].assign(kg=[9.0, 8.0, None])] * 9))
    )
    assert_same(many.summary.evidence, few.summary.evidence)
    assert_same(many.support, few.support)
    assert_same(many.query[:3], few.query)
    assert np.isfinite(many.query).all()


# Labels that came later


def told(mapping, rows, labels):
    pool = mapping.pool(mapping.support.arranged(rows))
    return mapping.with_labels(pool, np.asarray(labels, dtype=np.int8))


def test_anomalies_from_outside_the_support_are_as_if_they_had_been_there(mapping):
    """Exactly so: the label-free part never looks at known anomalies."""
    found = told(mapping, ROWS[:3] * 1.1, [1, 1, 1])
    whole = replace(mapping.support, known=found.support.known)
    before = len(mapping.support.known)
    arranged = mapping.support.arranged(ROWS[:3] * 1.1)
    np.testing.assert_array_equal(whole.known[:before], mapping.support.known)
    np.testing.assert_array_equal(
        np.unique(whole.known[before:], axis=0), np.unique(arranged, axis=0)
    )
    expected = Mapping().fit(whole)
    np.testing.assert_array_equal(found.transform(NEW), expected.transform(NEW))
    np.testing.assert_array_equal(found.typical_, expected.typical_)
    np.testing.assert_array_equal(found.known_, expected.known_)
    np.testing.assert_array_equal(found.summary_.evidence, expected.summary_.evidence)


def test_an_earlier_edition_keeps_the_order_in_which_labels_came():
    rows, labels = ROWS[:5] * 1.1, np.array([1, 0, 1, 1, 0])
    for edition in (Edition.ORDERS_ANSWERS - 1, Edition.ORDERS_ANSWERS):
        mapping = fitted(ROWS, given_labels(ROWS, known=3), edition=edition)
        one, other = told(mapping, rows, labels), told(mapping, rows[::-1], labels[::-1])
        alike = [
            np.array_equal(*found)
            for found in zip(
                (one.support.known, one.support.typical),
                (other.support.known, other.support.typical),
                strict=True,
            )
        ]
        assert alike == [edition == Edition.ORDERS_ANSWERS] * 2


def test_a_row_of_the_support_moves_from_typical_to_known(mapping):
    found = told(mapping, ROWS[10:12], [1, 1])
    assert len(found.support.typical) == len(mapping.support.typical) - 2
    assert len(found.support.known) == len(mapping.support.known) + 2
    np.testing.assert_array_equal(
        found.transform(ROWS[10:12])[:, :FREE], mapping.transform(ROWS[10:12])[:, :FREE]
    )  # it stays among the neighbours: said so, not exact
    aware = found.transform(ROWS[10:12])[:, FREE:, 0].mean()
    assert aware > mapping.transform(ROWS[10:12])[:, FREE:, 0].mean() + 0.5


def test_it_is_close_to_a_fit_with_all_labels(mapping):
    labels = LABELS.copy()
    labels[4:7] = 1
    fresh, later = fitted(ROWS, labels).transform(NEW), told(mapping, ROWS[4:7], [1] * 3)
    consensus = [found[:, :, 1].mean(axis=1) for found in (fresh, later.transform(NEW))]
    assert np.corrcoef(*consensus)[0, 1] > 0.95


def test_known_normal_rows_count_as_typical(mapping):
    new = near(ROWS)
    found = told(mapping, np.r_[ROWS[20:30], new[:5]], [0] * 15)
    assert len(found.support.typical) == len(mapping.support.typical) + 5
    assert found.support.normal_share == pytest.approx(15 / 101)
    assert found.summary_.table[TABLE.index("normal_share")] == pytest.approx(15 / 101)
    normal = {row.tobytes() for row in found.support.typical[:15]}  # they stand first
    assert normal == {row.tobytes() for row in found.support.arranged(np.r_[ROWS[20:30], new[:5]])}


def test_the_last_label_of_a_row_counts(mapping):
    first = told(mapping, NEW[:2], [1, 1])
    corrected = told(first, NEW[:1], [0])
    once = told(mapping, NEW[:2], [0, 1])
    assert corrected.later[1].tolist() == [1, 0]
    assert len(corrected.support.known) == len(once.support.known)
    assert corrected.support.normal_share == once.support.normal_share
    twice = told(mapping, NEW[[0, 1, 0]], [1, 1, 0])
    np.testing.assert_array_equal(twice.support.known, once.support.known)
    np.testing.assert_array_equal(twice.support.typical, once.support.typical)
    no_anomaly = told(mapping, ROWS[:1], [0])
    assert len(no_anomaly.support.known) == len(mapping.support.known) - 1


def test_labels_leave_the_mapping_itself_alone(mapping, whole):
    before = mapping.support
    told(mapping, NEW, [1] * len(NEW))
    assert mapping.support is before
    np.testing.assert_array_equal(mapping.transform(NEW), whole)


def test_unlabelled_rows_teach_nothing(mapping, whole):
    found = told(mapping, NEW, [-1] * len(NEW))
    np.testing.assert_array_equal(found.transform(NEW), whole)


def test_a_pool_is_judged_by_mappings_with_other_labels(mapping):
    pool = mapping.pool(mapping.support.arranged(NEW))
    found = mapping.with_labels(pool, np.array([1] * 2 + [-1] * (len(NEW) - 2), dtype=np.int8))
    np.testing.assert_array_equal(found.judge(pool), found.transform(NEW))


@pytest.mark.parametrize("anomalies", [4, 5])
def test_two_typical_rows_must_stay(anomalies):
    mapping = fitted(ROWS[:5], LABELS[-5:])
    with pytest.raises(DataError, match=f"all but {5 - anomalies} are labelled as an"):
        told(mapping, ROWS[:anomalies], [1] * anomalies)
    told(mapping, ROWS[:3], [1] * 3)


def test_equal_typical_rows_have_equal_coordinates():
    rows = np.repeat(np.random.default_rng(0).normal(size=(6, 3)), 20, axis=0)
    made = fitted(rows, given_labels(rows, known=20))
    first = made.places_.of(made.support.typical)
    assert len(np.unique(first)) == 5
    np.testing.assert_array_equal(made.typical_, made.typical_[first])
    before = fitted(rows, given_labels(rows, known=20), edition=Edition.COPIES_ALIKE - 1)
    assert (before.typical_ != before.typical_[first]).any()
