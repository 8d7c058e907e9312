import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from oddshot import FewShotDetector
from oddshot.mapping.coordinates.spaces import Spaces
from oddshot.mapping.coordinates.spikes import reach, spiked_columns


def rain(rows, share, rng):
    """Amounts, which most rows have none of."""
    return np.where(rng.random(rows) < share, rng.gamma(3, 2, rows).round(1), 0.0)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.r_[np.zeros(88), np.arange(1.0, 13)], True),
        (np.r_[np.zeros(80), np.arange(1.0, 21)], False),  # all others may be anomalies
        (np.r_[np.zeros(96), np.arange(1.0, 5)], False),  # others are what is rare
        (np.r_[np.zeros(88), np.repeat([1.0, 2.0, 3.0], [6, 3, 3])], False),  # levels
        (np.r_[np.zeros(88), np.ones(12)], False),  # a flag
        (np.zeros(100), False),
        (np.arange(100.0), False),
    ],
)
def test_one_value_stands_in_nine_of_ten_rows_and_others_are_not_rare(column, expected):
    mixed = np.random.default_rng(0).permutation(column)
    assert spiked_columns(np.column_stack([mixed, mixed * -2 + 5])).tolist() == [expected] * 2


def test_what_is_beside_a_spike_is_about_one_unit_out():
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=1000), rain(1000, 0.1, rng)])
    spiked = spiked_columns(rows)
    standard = Spaces().fit(rows, spiked).view(rows).standard
    wet = rows[:, 1] > 0
    assert np.median(standard[wet, 1]) == pytest.approx(1.0)
    assert reach(rows[:, 1]) == np.median(rows[wet, 1])
    as_before = Spaces().fit(rows).view(rows).standard
    np.testing.assert_array_equal(standard[:, 0], as_before[:, 0])
    assert np.median(as_before[wet, 1]) > 3


def test_flags_of_gaps_that_are_not_rare_are_such_columns():
    flags = (np.arange(100) % [[10], [40], [1]] == 0).T.astype(float)
    assert spiked_columns(flags, np.array([True, True, True])).tolist() == [True, False, False]
    assert not spiked_columns(flags, np.array([False, False, False])).any()


@pytest.mark.parametrize(("empty", "least"), [(0.0, 0.6), (np.nan, 0.45)])
def test_rows_with_a_value_where_most_have_none_do_not_hide_what_is_odd(empty, least):
    rng = np.random.default_rng(1)

    def rows(count, anomalies):
        drawn, odd = rng.normal(size=(count, 8)), np.arange(count) < anomalies
        drawn[odd, rng.integers(0, 8, count)[odd]] += 4.5
        amounts = rain(count, 0.1, rng)
        amounts[amounts == 0] = empty
        return np.column_stack([drawn, amounts]), odd

    detector = FewShotDetector(random_state=0).fit(rows(1500, 30)[0])
    new, odd = rows(1500, 100)
    assert average_precision_score(odd, detector.anomaly_score(new)) > least
