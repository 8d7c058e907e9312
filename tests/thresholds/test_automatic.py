import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from oddshot.thresholds.automatic import (
    CLEAN_ALARMS,
    ENOUGH_KNOWN,
    FEW_KNOWN,
    LEAST,
    LIFT,
    LIFT_OF_FEW,
    MOST,
    MOST_BY_LABELS,
    REACH,
    automatic_share,
    share_by_labels,
)

eighths = st.integers(-800, 800).map(lambda n: n / 8)
score_arrays = nps.arrays(np.float64, st.integers(1, 60), elements=eighths)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("count", [100, 1000])
def test_a_group_that_stands_off_is_found(share, count):
    odd = round(share * count)
    scores = np.r_[np.linspace(-1, 1, count - odd), np.full(odd, 50.0)]
    assert automatic_share(scores, clean=False) == pytest.approx(share)


@given(score_arrays)
def test_it_stays_within_its_bounds(scores):
    share = automatic_share(scores, clean=False)
    assert LEAST <= share <= MOST
    ordered = np.sort(scores)
    limit = np.median(ordered) + REACH * (np.quantile(ordered, 0.75) - np.median(ordered))
    assert share == pytest.approx(max(sum(s > limit for s in scores) / len(scores), LEAST))


def test_a_quarter_is_the_most_that_is_flagged():
    nearly = np.r_[np.zeros(301), np.full(100, 50.0)]
    assert automatic_share(nearly, clean=False) == pytest.approx(MOST, abs=0.001)
    more = np.r_[np.linspace(-1, 1, 600), np.linspace(49, 51, 390), np.full(10, 1e3)]
    assert automatic_share(more, clean=False) == 0.01  # what stands off the large group


@given(score_arrays, st.sampled_from([0.125, 4.0]), st.integers(-50, 50))
def test_order_and_unit_of_scores_do_not_matter(scores, unit, shift):
    expected = automatic_share(scores, clean=False)
    assert automatic_share(scores[::-1] * unit + shift, clean=False) == expected


def test_known_normal_rows_cost_a_fixed_share_of_alarms():
    scores = np.r_[np.zeros(50), np.full(50, 100.0)]
    assert automatic_share(scores, clean=True) == CLEAN_ALARMS


def test_equal_scores_flag_the_least():
    assert automatic_share(np.ones(100), clean=False) == LEAST


known_arrays = nps.arrays(np.float64, st.integers(ENOUGH_KNOWN, 30), elements=eighths)


def by_hand(scores, known):
    """Every threshold in turn."""
    thresholds = sorted({*scores, *known})
    m, k, hidden, best, chosen = len(scores), len(known), 0.5, 0.0, 0.0
    for t in thresholds:
        above, found = sum(s >= t for s in scores) / m, sum(s >= t for s in known) / k
        if found:
            hidden = min(hidden, (above + 1 / m) / found)
    for t in thresholds:
        above, found = sum(s >= t for s in scores) / m, sum(s >= t for s in known) / k
        found = max(found - (found * (1 - found) / k + 0.25 / k**2) ** 0.5, 0)
        if above > MOST_BY_LABELS or found < (LIFT if k >= FEW_KNOWN else LIFT_OF_FEW) * above:
            continue
        if found / (hidden + above) > best + 1e-12:
            best, chosen = found / (hidden + above), above
    return max(LEAST, chosen)


@given(score_arrays, known_arrays)
def test_labels_choose_the_best_expected_f1(scores, known):
    found = share_by_labels(scores, known)
    assert LEAST <= found <= MOST_BY_LABELS
    assert found == pytest.approx(by_hand(scores, known))


@given(score_arrays, known_arrays, st.sampled_from([0.125, 4.0]), st.integers(-50, 50))
def test_order_and_unit_of_scores_do_not_matter_to_labels(scores, known, unit, shift):
    found = share_by_labels(scores[::-1] * unit + shift, known[::-1] * unit + shift)
    assert found == share_by_labels(scores, known)


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_anomalies_like_the_known_ones_are_flagged(share):
    rng = np.random.default_rng(0)
    odd = round(share * 1000)
    scores = np.r_[rng.normal(size=1000 - odd), rng.normal(4, 1, odd)]
    assert share_by_labels(scores, rng.normal(4, 1, 20)) == pytest.approx(share, rel=0.3)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_two_known_anomalies_are_enough_where_they_stand_out(count):
    scores = np.r_[np.linspace(-1, 1, 950), np.linspace(3, 4, 50)]
    assert share_by_labels(scores, np.full(count, 3.5)) >= 0.02
    midway = np.r_[np.full(count - 1, 0.2), 3.5]
    assert share_by_labels(scores, midway) <= 0.05


def test_few_labels_or_none_that_stands_out_say_little():
    scores = np.linspace(0, 1, 100)
    assert share_by_labels(scores, np.full(ENOUGH_KNOWN - 1, 0.95)) == LEAST
    assert share_by_labels(scores, np.zeros(20)) == LEAST
    alike = np.quantile(scores, np.linspace(0, 1, 50))
    assert share_by_labels(scores, alike) == LEAST
