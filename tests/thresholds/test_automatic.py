import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from oddshot.thresholds.automatic import CLEAN_ALARMS, LEAST, MOST, REACH, automatic_share

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
    assert share == pytest.approx(
        min(max(sum(s > limit for s in scores) / len(scores), LEAST), MOST)
    )


@given(score_arrays, st.sampled_from([0.125, 4.0]), st.integers(-50, 50))
def test_order_and_unit_of_scores_do_not_matter(scores, unit, shift):
    expected = automatic_share(scores, clean=False)
    assert automatic_share(scores[::-1] * unit + shift, clean=False) == expected


def test_known_normal_rows_cost_a_fixed_share_of_alarms():
    scores = np.r_[np.zeros(50), np.full(50, 100.0)]
    assert automatic_share(scores, clean=True) == CLEAN_ALARMS


def test_equal_scores_flag_the_least():
    assert automatic_share(np.ones(100), clean=False) == LEAST
