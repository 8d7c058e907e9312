import numpy as np
import pytest

from oddshot.errors import DataError
from oddshot.thresholds.conformal import conformal_p_values
from oddshot.thresholds.covariate_shift import ShiftWeights


def test_without_a_shift_all_rows_count_nearly_alike():
    rng = np.random.default_rng(0)
    weights = ShiftWeights.estimate(rng.normal(size=(200, 8)), rng.normal(size=(800, 8)))
    assert weights.effective_rows > 700
    assert weights.new.mean() == pytest.approx(1, abs=0.2)


def test_weights_follow_the_likelihood_ratio():
    rng = np.random.default_rng(0)
    old = rng.normal(size=(2000, 3)) * [1, 100, 0.01]
    weights = ShiftWeights.estimate(rng.normal(size=(1000, 3)) * [1, 100, 0.01] + [1, 0, 0], old)
    expected = np.exp(old[:, 0] - 0.5)
    assert np.corrcoef(np.log(weights.calibration), np.log(expected))[0, 1] > 0.95
    assert 200 < weights.effective_rows < 1500
    assert weights.calibration.max() <= 20


def test_estimated_weights_mend_false_alarms():
    rng = np.random.default_rng(0)
    plain, weighted = [], []
    for _ in range(4):
        old, new = rng.normal(size=(900, 2)), rng.normal([1, 0], 1, size=(600, 2))
        scores, calibration = np.abs(new).max(1), np.abs(old).max(1)
        found = ShiftWeights.estimate(new, old)
        plain.append((conformal_p_values(scores, calibration) <= 0.1).mean())
        p = conformal_p_values(
            scores, calibration, weights=found.new, calibration_weights=found.calibration
        )
        weighted.append((p <= 0.1).mean())
    assert np.mean(plain) > 0.18
    assert np.mean(weighted) < 0.14


def test_columns_may_be_constant_or_far_out():
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[:, 0], rows[3, 1] = 5.0, 1e30
    weights = ShiftWeights.estimate(rows[:30].astype(np.float32), rows[30:].astype(np.float32))
    assert np.isfinite(weights.new).all()
    assert np.isfinite(weights.calibration).all()


def test_too_few_rows_are_refused():
    with pytest.raises(DataError, match="3 new rows and 40 calibration rows; to weight"):
        ShiftWeights.estimate(np.zeros((3, 2)), np.zeros((40, 2)))
