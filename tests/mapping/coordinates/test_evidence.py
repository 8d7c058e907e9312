import numpy as np
import pytest

from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.evidence import (
    EVIDENCE,
    TABLE,
    corrected,
    gather_evidence,
    hollowness,
    told_by_known,
    told_by_new,
)
from oddshot.mapping.coordinates.spaces import Views

RNG = np.random.default_rng(0)
COUNT, COORDINATES, FREE = 100, 6, 4
TYPICAL = RNG.exponential(size=(COUNT, COORDINATES, 2)).astype(np.float32)
COLUMNS = RNG.normal(size=(COUNT, 3)).astype(np.float32)


def gathered(typical=TYPICAL, known=None, columns=COLUMNS, normal_share=0.25, normal=0):
    views = Views(columns, columns, columns, columns[:, :0])
    if known is None:
        known = np.zeros((0, *typical.shape[1:]), np.float32)
    return gather_evidence(
        typical,
        known,
        label_free=FREE,
        far=0,
        near=1,
        centre=0,
        spread=[1, 2],
        reference=Reference(views, views[:0]),
        normal_share=normal_share,
        normal=normal,
    )


def evidence(summary, name):
    return summary.evidence[:, EVIDENCE.index(name)]


def fact(summary, name):
    return summary.table[TABLE.index(name)]


def test_every_coordinate_has_all_evidence_and_the_table_all_facts():
    summary = gathered(known=TYPICAL[:3])
    assert summary.evidence.shape == (COORDINATES, len(EVIDENCE))
    assert summary.table.shape == (len(TABLE),)
    assert summary.evidence.dtype == summary.table.dtype == np.float32
    assert np.isfinite(summary.evidence).all()
    assert np.isfinite(summary.table).all()


@pytest.mark.parametrize("count", [2, 10])
def test_known_anomalies_tell_which_coordinates_find_them(count):
    known = RNG.exponential(size=(count, COORDINATES, 2)).astype(np.float32)
    summary = gathered(known=known)
    trust = count / (count + 2)
    for coordinate in range(COORDINATES):
        decades, z = known[:, coordinate, 0], known[:, coordinate, 1]
        for name, expected in (
            ("known_rank", np.mean([0.5 - 10.0**-d for d in decades])),
            ("known_decades", np.mean(decades)),
            ("known_z", np.mean(z)),
        ):
            assert evidence(summary, name)[coordinate] == pytest.approx(trust * expected, rel=1e-5)
    assert fact(summary, "any_known") == 1
    assert fact(summary, "known") == pytest.approx(np.log(count + 1) / np.log(51))


def test_one_known_anomaly_is_no_evidence_on_what_was_fitted_to_it():
    summary = gathered(known=TYPICAL[:1] + 1)
    assert (summary.evidence[:FREE, :3] != 0).all()
    assert (summary.evidence[FREE:, :3] == 0).all()


def test_known_normal_rows_among_unlabelled_ones_tell_which_coordinates_take_them_for_odd():
    known = TYPICAL[:4] + RNG.exponential(size=(4, COORDINATES, 2)).astype(np.float32)
    known[0, 0, 1] = TYPICAL[0, 0, 1]  # a tie
    plain, found = gathered(known=known), gathered(known=known, normal=30)
    share, trust = 30 / 40, 4 / 6
    for c in range(COORDINATES):
        pairs = [(o > n) + (o == n) / 2 for o in known[:, c, 1] for n in TYPICAL[:30, c, 1]]
        rank = (1 - share) * evidence(plain, "known_rank")[c]
        rank += share * trust * (np.mean(pairs) - 0.5)
        assert evidence(found, "known_rank")[c] == pytest.approx(rank, abs=1e-6)
        for channel, name in enumerate(("known_decades", "known_z")):
            excess = TYPICAL[:30, c, channel].mean() - TYPICAL[:, c, channel].mean()
            expected = evidence(plain, name)[c] - share * trust * excess
            assert evidence(found, name)[c] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_array_equal(found.evidence[:, 3:], plain.evidence[:, 3:])
    np.testing.assert_array_equal(gathered(normal=30).evidence, gathered().evidence)


def test_without_known_anomalies_there_is_none():
    summary = gathered()
    assert (summary.evidence[:, :3] == 0).all()
    assert fact(summary, "any_known") == fact(summary, "known") == 0


def test_agreement_is_the_correlation_with_the_mean_of_the_label_free_coordinates():
    decades = TYPICAL[:, :, 0].astype(float)
    consensus = decades[:, :FREE].mean(axis=1)
    expected = [np.corrcoef(column, consensus)[0, 1] for column in decades.T]
    summary = gathered()
    np.testing.assert_allclose(evidence(summary, "agreement"), expected, atol=1e-6)
    assert fact(summary, "agreement") == pytest.approx(np.mean(expected[:FREE]), abs=1e-6)


def test_the_top_twentieth_of_a_coordinate_is_looked_at_by_others():
    summary = gathered()
    decades, z = TYPICAL[:, :, 0], TYPICAL[:, :, 1]
    consensus = decades[:, :FREE].mean(axis=1)
    for coordinate in range(COORDINATES):
        top = np.argsort(-z[:, coordinate])[: COUNT // 20]
        found = summary.evidence[coordinate]
        for name, expected in (
            ("top_consensus", consensus[top].mean() - consensus.mean()),
            ("top_far", decades[top, 0].mean()),
            ("top_near", decades[top, 1].mean()),
        ):
            assert found[EVIDENCE.index(name)] == pytest.approx(expected, abs=1e-5)
    assert fact(summary, "far_is_near") == evidence(summary, "top_near")[0]
    assert fact(summary, "near_is_far") == evidence(summary, "top_far")[1]


def test_of_equally_high_rows_the_first_ones_are_looked_at():
    tied = TYPICAL.copy()
    tied[:, 2, 1] = np.where(np.arange(COUNT) < 3, 2.0, 1.0)
    tied[10:20, 2, 1] = -1.0
    expected = tied[[0, 1, 2, 3, 4], 0, 0].mean()
    assert evidence(gathered(tied), "top_far")[2] == pytest.approx(expected)
    assert evidence(gathered(tied), "distinct")[2] == pytest.approx(3 / COUNT)


def test_the_shape_of_a_coordinates_distribution():
    z = TYPICAL[:, :, 1].astype(float)
    summary = gathered()
    high = np.quantile(z, 0.99, axis=0)
    np.testing.assert_allclose(evidence(summary, "tail99"), high, rtol=1e-5)
    np.testing.assert_allclose(evidence(summary, "tail_max"), z.max(axis=0) - high, rtol=1e-4)
    np.testing.assert_allclose(evidence(summary, "skew"), -np.quantile(z, 0.1, axis=0), rtol=1e-5)
    rounded = TYPICAL.copy()
    rounded[:, 2] = rounded[:, 2].round()
    levels = len(np.unique(rounded[:, 2, 1]))
    assert evidence(gathered(rounded), "distinct")[2] == pytest.approx(levels / COUNT)
    assert evidence(summary, "distinct")[3] == 1


def test_facts_on_the_table():
    columns = COLUMNS.copy()
    columns[:, 0] = np.arange(COUNT) % 2
    summary = gathered(columns=columns)
    assert fact(summary, "normal_share") == 0.25
    assert fact(summary, "rows") == pytest.approx(-1)  # 100 in decades, from 1000
    assert fact(summary, "columns") == pytest.approx(np.log10(0.3))
    assert fact(summary, "discrete") == pytest.approx(1 / 3)


def test_the_effective_rank_counts_directions():
    assert fact(gathered(), "effective_rank") == pytest.approx(1, abs=0.05)
    copies = np.repeat(COLUMNS[:, :1], 3, axis=1)
    assert fact(gathered(columns=copies), "effective_rank") == pytest.approx(1 / 3, abs=1e-3)


def test_the_order_of_rows_does_not_matter():
    order = RNG.permutation(COUNT)
    known = TYPICAL[:4] + 1
    found = gathered(TYPICAL[order], known[::-1], COLUMNS[order])
    expected = gathered(TYPICAL, known, COLUMNS)
    np.testing.assert_allclose(found.evidence, expected.evidence, atol=1e-5)
    np.testing.assert_allclose(found.table, expected.table, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_few_and_equal_rows(count):
    summary = gathered(
        np.zeros((count, COORDINATES, 2), np.float32), columns=np.zeros((count, 3), np.float32)
    )
    assert np.isfinite(summary.evidence).all()
    assert np.isfinite(summary.table).all()


def test_the_middle_is_empty_where_all_ways_say_so():
    far = RNG.permutation(400).astype(float)
    alone = np.column_stack([far, -far])
    assert hollowness(far, alone[:, :1]) == pytest.approx(19.5 / 399)
    assert hollowness(far, alone[:, 1:]) == pytest.approx(1 - 19.5 / 399)
    assert hollowness(far, alone) == pytest.approx(19.5 / 399)
    assert hollowness(far, alone[:, :0]) == 0
    summary = gathered()
    expected = hollowness(TYPICAL[:, 0, 0].astype(float), TYPICAL[:, 1:3, 0].astype(float))
    assert summary.hollow == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2, 15, 21, 40, 200])
def test_where_the_middle_is_full_nothing_is_said_however_few_the_rows(count):
    far = np.arange(float(count))
    assert hollowness(far, far[:, None]) < 0.1
    assert hollowness(np.zeros(count), far[:, None]) < 0.1


@pytest.mark.parametrize(("count", "expected"), [(15, 0.05), (21, 0.099), (40, 0.55), (200, 0.95)])
def test_the_fewer_the_rows_the_less_is_said_of_an_empty_middle(count, expected):
    far = np.arange(float(count))
    assert hollowness(far, -far[:, None]) == pytest.approx(expected, abs=0.01)


def squashed(z):
    """Coordinates (n, C, 2) of robust z (n, C); their decades are not looked at."""
    return np.stack([np.zeros_like(z), np.arcsinh(z)], axis=2).astype(np.float32)


def anew(typical, known, normal=None):
    normal = np.zeros(len(typical), dtype=bool) if normal is None else normal
    known = [squashed(rows) for rows in known]
    return told_by_new(squashed(typical), known, label_free=FREE, normal=normal)


def test_known_anomalies_as_odd_as_new_rows_tell_nothing():
    new, odd = RNG.normal(size=(2, 400, COORDINATES)) + 5
    told = anew(new, [odd])
    assert np.abs(told["known_rank"]).max() < 0.06
    as_if_seen = told_by_known(squashed(new), squashed(odd) + 2, label_free=FREE)
    assert as_if_seen["known_rank"].min() > 0.4


def test_where_a_mapping_puts_new_rows_does_not_matter():
    new, odd = RNG.normal(size=(60, COORDINATES)), RNG.normal(size=(5, COORDINATES)) + 1
    here, there = anew(new, [odd]), anew(7 * new + 3, [7 * odd + 3])
    for name in here:
        np.testing.assert_allclose(here[name], there[name], rtol=1e-4, atol=1e-5)


def test_every_mapping_counts_alike_and_the_order_of_rows_does_not():
    new, odd = RNG.normal(size=(60, COORDINATES)), RNG.normal(size=(2, 5, COORDINATES)) + 1
    normal, order = np.arange(60) % 3 == 0, RNG.permutation(60)
    both, one, other = (anew(new, known, normal) for known in (odd, odd[:1], odd[1:]))
    mixed = anew(new[order], odd, normal[order])
    for name in both:
        np.testing.assert_allclose(both[name], (one[name] + other[name]) / 2)
        np.testing.assert_allclose(both[name], mixed[name])


def test_of_one_known_anomaly_what_looks_at_labels_tells_nothing():
    told = anew(RNG.normal(size=(60, COORDINATES)), [np.full((1, COORDINATES), 4.0)])
    for values in told.values():
        assert (values[:FREE] > 0).all()
        assert not values[FREE:].any()


def test_evidence_is_corrected_where_it_is_told():
    summary = gathered(known=TYPICAL[:3])
    better = corrected(summary, {"known_z": np.arange(COORDINATES)})
    np.testing.assert_array_equal(evidence(better, "known_z"), np.arange(COORDINATES))
    others = [at for at, name in enumerate(EVIDENCE) if name != "known_z"]
    np.testing.assert_array_equal(better.evidence[:, others], summary.evidence[:, others])
    np.testing.assert_array_equal(corrected(summary, {}).evidence, summary.evidence)
