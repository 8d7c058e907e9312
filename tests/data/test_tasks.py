from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.data.tasks import EpisodeSettings, EpisodeStream, InMemory, draw_episode
from oddshot.episodes import Table
from oddshot.errors import DataError, SettingError, TrainingError

LABELS = (np.arange(1000) % 10 == 0).astype(np.int8)  # 900 normal rows, 100 anomalies
ROWS = np.random.default_rng(0).normal(size=(1000, 3))
SMALL = EpisodeSettings(
    planted_share=0.0, min_rows=20, max_rows=100, max_query_normal=30, max_query_anomalous=10
)


def toy(name="toy", family="", rows=ROWS, labels=LABELS):
    return InMemory(Table(name, rows, labels, family, "toys"))


def stream(*tables, seed=1, settings=SMALL):
    return EpisodeStream(tables or [toy()], seed=seed, settings=settings)


def only(regime, **changes):
    shares = dict.fromkeys(("contaminated", "one_class", "mixed"), 0.0)
    return replace(SMALL, **{**shares, regime: 1.0}, **changes)


def drawn(settings, count=40, labels=LABELS):
    """Truth of the support, labels given to it and truth of the query, of many episodes."""
    for number in range(count):
        support, query, y = draw_episode(labels, np.random.default_rng(number), settings)
        assert len(np.unique(support)) == len(support) == len(y)
        assert not set(support) & set(query)
        yield labels[support], y, labels[query]


def assert_same(found, expected):
    assert (found.name, found.family, found.seed) == (expected.name, expected.family, expected.seed)
    for mine, theirs in ((found.support, expected.support), (found.query, expected.query)):
        np.testing.assert_array_equal(mine.rows, theirs.rows)
        np.testing.assert_array_equal(mine.labels, theirs.labels)


# A stream


def test_an_episode_depends_on_seed_and_number_alone():
    one, other = stream(toy("a"), toy("b")), stream(toy("b"), toy("a"))
    forward = [one.episode(number) for number in range(6)]
    backward = [other.episode(number) for number in reversed(range(6))]
    for expected, found in zip(forward, reversed(backward), strict=True):
        assert_same(found, expected)


def test_numbers_and_seeds_give_different_episodes():
    seeds = [stream(seed=seed).episode(number).seed for seed in (1, 2) for number in range(20)]
    assert len(set(seeds)) == 40
    supports = {stream(seed=seed).episode(0).support.rows.tobytes() for seed in range(5)}
    assert len(supports) == 5


def test_episodes_are_named_after_table_and_number():
    episode = stream(toy("pump", "machines")).episode(7)
    assert (episode.name, episode.family) == ("toys/pump#7", "machines")


def test_families_count_alike_and_tables_within_a_family():
    tables = [toy(f"a{i}", "large") for i in range(4)] + [toy("b", "small")]
    episodes = [stream(*tables).episode(number) for number in range(300)]
    families = Counter(episode.family for episode in episodes)
    assert abs(families["large"] - 150) < 35  # four standard deviations
    names = Counter(episode.name.split("#")[0] for episode in episodes)
    assert all(15 < names[f"toys/a{i}"] < 65 for i in range(4))


def test_rows_carry_their_own_labels():
    rows = np.column_stack([np.arange(1000.0), LABELS])
    for number in range(10):
        episode = stream(toy(rows=rows)).episode(number)
        np.testing.assert_array_equal(episode.query.rows[:, 1], episode.query.labels)
        truth, given_labels = episode.support.rows[:, 1], episode.support.labels
        known = given_labels != -1
        np.testing.assert_array_equal(truth[known], given_labels[known])


def test_no_query_row_stands_in_the_support_not_even_as_a_copy():
    rows = np.repeat(np.arange(250.0), 4)[np.random.default_rng(0).permutation(1000)][:, None]
    for number in range(20):
        episode = stream(toy(rows=rows)).episode(number)
        assert not set(episode.query.rows.ravel()) & set(episode.support.rows.ravel())
        assert len(episode.query)


def test_frames_of_mixed_columns_keep_their_kinds():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "kg": ROWS[:, 0],
            "colour": rng.choice(["red", "blue", None], 1000),
            "kind": pd.Categorical(rng.choice(["a", "b"], 1000)),
            "seen": pd.date_range("2024-01-01", periods=1000),
        },
        index=np.arange(1000) + 5000,
    )
    episode = stream(toy(rows=frame)).episode(0)
    for batch in (episode.support, episode.query):
        assert (batch.rows.dtypes == frame.dtypes).all()
    assert not set(episode.support.rows.index) & set(episode.query.rows.index)


def test_unlabelled_rows_of_a_table_are_left_out():
    labels = np.where(np.arange(1000) < 500, -1, LABELS).astype(np.int8)
    rows = np.arange(1000.0)[:, None]
    for number in range(10):
        episode = stream(toy(rows=rows, labels=labels)).episode(number)
        assert min(episode.support.rows.min(), episode.query.rows.min()) >= 500


def test_what_cannot_be_drawn_from_is_named():
    with pytest.raises(TrainingError, match="no table to draw episodes from"):
        EpisodeStream([], seed=0)
    with pytest.raises(DataError, match="'toy' has no labels"):
        stream(toy(labels=None)).episode(0)
    with pytest.raises(DataError, match=r"'toy' needs rows labelled 1 and 0; it has \[0\]"):
        stream(toy(labels=np.zeros(1000, np.int8))).episode(0)


# What the support says


def test_contaminated_supports_hide_anomalies_among_unlabelled_rows():
    hidden = []
    for truth, y, _ in drawn(only("contaminated", max_known=2)):
        assert set(y) <= {1, -1}
        assert (truth[y == 1] == 1).all()
        hidden.append((truth[y == -1] == 1).mean())
    assert np.mean(np.array(hidden) > 0) > 0.5
    assert max(hidden) < 0.2


def test_one_class_supports_hold_known_normal_rows_and_hide_nothing():
    with_known = 0
    for truth, y, _ in drawn(only("one_class")):
        assert set(y) <= {1, 0}
        np.testing.assert_array_equal(truth, y)
        with_known += (y == 1).any()
    assert 2 < with_known < 20  # a quarter of 40


def test_mixed_supports_hold_known_normal_rows_beside_unlabelled_ones():
    for truth, y, _ in drawn(only("mixed")):
        assert (y == 0).sum() >= 5
        assert (truth[y == 0] == 0).all()
        assert (truth[y == 1] == 1).all()
    assert any(((y == -1) & (truth == 1)).any() for truth, y, _ in drawn(only("mixed")))


def test_regimes_come_in_their_shares():
    settings = replace(SMALL, contaminated=0.5, one_class=0.25, mixed=0.25)
    regimes = Counter()
    for _, y, _ in drawn(settings, count=400):
        regimes["mixed" if {0, -1} <= set(y) else "one_class" if 0 in y else "contaminated"] += 1
    # a mixed support whose rows are all known counts as one-class here
    assert abs(regimes["contaminated"] - 200) < 40
    assert abs(regimes["one_class"] - 100) < 40


@pytest.mark.parametrize(
    ("regime", "setting"), [("contaminated", "unlabelled_share"), ("one_class", "known_share")]
)
def test_the_share_of_episodes_with_known_anomalies_can_be_0_or_1(regime, setting):
    for share in (0.0, 1.0):
        known = share if regime == "one_class" else 1 - share
        for _, y, _ in drawn(only(regime, **{setting: share})):
            assert (y == 1).any() == bool(known)


def test_the_number_of_known_anomalies_is_log_uniform():
    settings = only("contaminated", unlabelled_share=0.0, max_known=20)
    counts = [int((y == 1).sum()) for _, y, _ in drawn(settings, count=300)]
    assert (min(counts), max(counts)) == (1, 20)
    # as many in [1, 4) as in [4, 21), since 4 is near the root of 21
    assert 0.35 < np.mean(np.array(counts) < 4) < 0.6


def test_some_supports_keep_the_contamination_and_others_draw_less():
    own = [
        np.mean(t == 1) for t, _, _ in drawn(only("contaminated", natural_share=1.0, max_known=1))
    ]
    np.testing.assert_allclose(own, 60 / 690, atol=0.03)  # after the query has taken its part
    less = [
        np.mean(t == 1) for t, _, _ in drawn(only("contaminated", natural_share=0.0, max_known=1))
    ]
    assert np.median(less) < 0.05
    assert max(less) < 0.12


def test_a_heavily_contaminated_table_can_be_thinned():
    half = (np.arange(1000) % 2).astype(np.int8)
    settings = only("contaminated", natural_share=0.0, max_known=1)
    assert all(np.mean(t == 1) < 0.22 for t, _, _ in drawn(settings, labels=half))


# Sizes


@given(
    normal=st.integers(3, 300),
    anomalous=st.integers(1, 60),
    low=st.integers(2, 200),
    more=st.integers(0, 300),
    most_known=st.integers(1, 50),
    seed=st.integers(0, 10**6),
)
def test_sizes_stay_within_their_bounds(*, normal, anomalous, low, more, most_known, seed):
    settings = EpisodeSettings(
        min_rows=low, max_rows=low + more, max_known=most_known, max_query_normal=40
    )
    labels = np.repeat(np.array([0, 1], np.int8), [normal, anomalous])
    support, query, y = draw_episode(labels, np.random.default_rng(seed), settings)
    assert not set(support) & set(query)
    known = (y == 1).sum()
    assert known <= min(most_known, anomalous - 1)
    assert len(support) <= low + more + known + 1
    truth = labels[query]
    assert 1 <= (truth == 0).sum() <= min(40, max(1, 0.3 * normal))
    assert 1 <= (truth == 1).sum() <= max(1, 0.4 * anomalous)
    assert (labels[support] == 0).any()


def test_the_number_of_rows_is_log_uniform():
    settings = only("one_class", known_share=0.0, min_rows=20, max_rows=500)
    sizes = np.array([len(y) for _, y, _ in drawn(settings, count=300)])
    assert sizes.min() >= 18
    assert sizes.max() <= 500
    assert 0.4 < np.mean(sizes < 100) < 0.6  # 100 is the root of 20 * 500


def test_a_small_table_gives_all_it_has():
    labels = np.repeat(np.array([0, 1], np.int8), [20, 2])
    for truth, y, query in drawn(EpisodeSettings(natural_share=1.0), labels=labels):
        assert (truth == 0).sum() == 14
        assert sorted(query) == [0] * 6 + [1]
        assert len(y) >= 14


@pytest.mark.parametrize(
    "options",
    [
        {"contaminated": 0.0, "one_class": 0.0, "mixed": 0.0},
        {"mixed": -0.1},
        {"known_share": 1.5},
        {"min_rows": 500, "max_rows": 100},
        {"max_known": 0},
        {"contaminated": float("nan")},
        {"planted_share": "0.3"},
        {"min_rows": 2.5},
        {"max_known": 2.5},
        {"max_query_normal": None},
    ],
)
def test_settings_name_what_they_cannot_be(options):
    with pytest.raises(SettingError, match=f"episode settings: .*{next(iter(options))}"):
        EpisodeSettings(**options)
