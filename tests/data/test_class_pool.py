from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from oddshot.data.class_pool import ClassPool, EpisodeRows
from oddshot.errors import DataError, SettingError


def frequencies(drawn, possible):
    """How often each of the possible tuples was drawn."""
    count = {tuple(outcome): 0 for outcome in possible}
    for outcome in drawn.tolist():
        count[tuple(outcome)] += 1
    return list(count.values())


def assert_equal(one: EpisodeRows, other: EpisodeRows, part: slice = slice(None)) -> None:
    for name in EpisodeRows.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name)[part])


@given(
    counts=st.lists(st.integers(5, 12), min_size=3, max_size=6),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)),
    seed=st.integers(0, 2**32),
    first=st.integers(0, 2**40),
)
@settings(max_examples=60)
def test_few_shot_episodes_are_what_they_say(counts, sizes, seed, first):
    ways, shots, queries = sizes
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) * 7, counts))
    pool = ClassPool(labels)
    drawn = pool.few_shot(9, seed=seed, first=first, ways=ways, shots=shots, queries=queries)
    assert len(drawn) == 9
    for part, labelled, each in (
        (drawn.support, drawn.support_labels, shots),
        (drawn.query, drawn.query_labels, queries),
    ):
        assert part.shape == labelled.shape == (9, ways * each)
        true = np.take_along_axis(pool.classes[drawn.classes], labelled, axis=1)
        np.testing.assert_array_equal(labels[part], true)
        np.testing.assert_array_equal(labelled, np.sort(labelled))
    for episode in range(9):
        assert len(set(drawn.classes[episode])) == ways
        rows = np.concatenate([drawn.support[episode], drawn.query[episode]])
        assert len(set(rows)) == len(rows)


@given(
    counts=st.lists(st.integers(4, 9), min_size=2, max_size=5),
    shots=st.integers(1, 2),
    queries=st.integers(1, 2),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60)
def test_one_class_episodes_are_what_they_say(counts, shots, queries, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    drawn = ClassPool(labels).one_class(9, seed=seed, shots=shots, queries=queries)
    assert drawn.support.shape == (9, shots)
    assert drawn.query.shape == (9, 2 * queries)
    assert (drawn.support_labels == 0).all()
    assert (labels[drawn.support] == drawn.classes).all()
    np.testing.assert_array_equal(drawn.query_labels, labels[drawn.query] != drawn.classes)
    assert (drawn.query_labels.sum(axis=1) == queries).all()
    for episode in range(9):
        rows = np.concatenate([drawn.support[episode], drawn.query[episode]])
        assert len(set(rows)) == len(rows)


def test_all_ordered_choices_of_rows_are_equally_likely():
    pool = ClassPool(np.zeros(5))
    drawn = pool.few_shot(60_000, seed=1, ways=1, shots=2, queries=2)
    rows = np.concatenate([drawn.support, drawn.query], axis=1)
    assert chisquare(frequencies(rows, permutations(range(5), 4))).pvalue > 0.01


def test_a_class_can_be_used_up():
    drawn = ClassPool(np.zeros(4)).few_shot(24_000, seed=2, ways=1, shots=3, queries=1)
    rows = np.concatenate([drawn.support, drawn.query], axis=1)
    assert chisquare(frequencies(rows, permutations(range(4)))).pvalue > 0.01


def test_all_ordered_choices_of_classes_are_equally_likely_whatever_their_size():
    pool = ClassPool(np.repeat(np.arange(5), [2, 3, 50, 7, 2]))
    drawn = pool.few_shot(60_000, seed=3, ways=3, shots=1, queries=1)
    assert chisquare(frequencies(drawn.classes, permutations(range(5), 3))).pvalue > 0.01


def test_rows_of_large_classes_are_equally_likely_in_every_part():
    pool = ClassPool(np.arange(3000) % 3)
    drawn = pool.few_shot(3000, seed=4, ways=2, shots=5, queries=15)
    for part in (drawn.support, drawn.query):
        assert chisquare(np.bincount(part.ravel(), minlength=3000)).pvalue > 0.01
        column = part[:, 3] // 300  # one place of the episode alone
        assert chisquare(np.bincount(column)).pvalue > 0.01


def test_normal_classes_and_anomalous_rows_are_equally_likely():
    labels = np.repeat(np.arange(3), [4, 9, 6])
    drawn = ClassPool(labels).one_class(60_000, seed=5, shots=1, queries=2)
    assert chisquare(np.bincount(drawn.classes[:, 0])).pvalue > 0.01
    for normal in range(3):
        odd = drawn.query[drawn.classes[:, 0] == normal, 2:]
        possible = permutations(np.flatnonzero(labels != normal).tolist(), 2)
        assert chisquare(frequencies(odd, possible)).pvalue > 0.01


def test_an_episode_depends_on_the_seed_and_its_number_alone():
    pool = ClassPool(np.arange(200) % 10)
    for draw in (pool.few_shot, pool.one_class):
        sizes = {"shots": 3, "queries": 5}
        whole = draw(50, seed=6, **sizes)
        assert_equal(draw(7, seed=6, first=20, **sizes), whole, slice(20, 27))
        assert_equal(draw(1, seed=6, first=49, **sizes), whole, slice(49, 50))
        other = draw(50, seed=7, **sizes)
        assert (whole.support != other.support).any(axis=1).mean() > 0.9
        assert len({tuple(rows) for rows in whole.query.tolist()}) == 50


def test_labels_may_be_strings_in_any_order():
    pool = ClassPool(["dog", "cat", "dog", "cat", "cow", "cow"])
    assert pool.classes.tolist() == ["cat", "cow", "dog"]
    drawn = pool.few_shot(20, seed=0, ways=3, shots=1, queries=1)
    names = np.array(["dog", "cat", "dog", "cat", "cow", "cow"])
    np.testing.assert_array_equal(names[drawn.support], pool.classes[drawn.classes])


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (SettingError, "ways is 4, but the pool has 3 classes; ask for fewer", {"ways": 4}),
        (SettingError, "shots is 0; it must be a whole number, 1 or more", {"shots": 0}),
        (SettingError, "queries is -1; it must be a whole number, 1 or more", {"queries": -1}),
        (SettingError, "seed is -1; it must be a whole number, 0 or more", {"seed": -1}),
        (SettingError, "first is -2; it must be a whole number, 0 or more", {"first": -2}),
        (DataError, r"class 'b' has 5 rows, but an episode takes 2 \+ 4 ", {"queries": 4}),
    ],
)
def test_few_shot_refuses_what_the_pool_cannot_give(error, message, arguments):
    pool = ClassPool(["a"] * 9 + ["b"] * 5 + ["c"] * 7)
    with pytest.raises(error, match=message):
        pool.few_shot(3, **{"seed": 0, "ways": 2, "shots": 2, "queries": 3, **arguments})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 9 + [1] * 4, r"class 1 has 4 rows, but an episode takes 2 \+ 3 "),
        ([0] * 9 + [1] * 2, "beside the largest class the pool has 2 rows, .* 3 anomalies"),
        ([0] * 9, "beside the largest class the pool has 0 rows"),
        ([], "beside the largest class the pool has 0 rows"),
    ],
)
def test_one_class_refuses_what_the_pool_cannot_give(labels, message):
    with pytest.raises(DataError, match=message):
        ClassPool(labels).one_class(3, seed=0, shots=2, queries=3)


def test_labels_in_more_dimensions_are_refused():
    with pytest.raises(DataError, match=r"class labels have shape \(2, 3\); give one label a row"):
        ClassPool(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("argument", "value"),
    [("shots", 1.5), ("queries", "3"), ("episodes", True), ("seed", None), ("first", 0.5)],
)
def test_numbers_are_whole(argument, value):
    arguments = {"episodes": 1, "seed": 0, argument: value}
    with pytest.raises(SettingError, match=f"{argument} is {value!r}; it must be a whole number"):
        ClassPool([0, 0, 1, 1]).one_class(**arguments)


@pytest.mark.parametrize("gap", [None, float("nan")])
def test_a_gap_is_no_class(gap):
    with pytest.raises(DataError, match=r"row 1 has no class \((nan|None)\); name one"):
        ClassPool([0.5, gap, 1.5])
    with pytest.raises(DataError, match=r"class labels cannot be sorted .*; give numbers"):
        ClassPool(np.array(["a", 1], dtype=object))
