"""Thresholds where rows held out, and new ones, hold levels that no other row holds."""

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.errors import CalibrationWarning
from small_priors import untrained_prior

PATIENTS, VISITS = 100, 4


def patients(rng: np.random.Generator, count: int, visits: int) -> pd.DataFrame:
    """Draw rows of so many patients; names are those of a patient, numbers those of a visit."""
    levels = {"icd": 12, "centre": 4, "drug": 6}
    drawn = {
        name: np.repeat(rng.choice([f"{name}{i}" for i in range(among)], count), visits)
        for name, among in levels.items()
    }
    return pd.DataFrame({**drawn, **{f"x{i}": rng.normal(size=count * visits) for i in range(4)}})


@pytest.fixture(scope="module", params=range(2))
def held_out(request):
    rng = np.random.default_rng(request.param)
    rows, new = patients(rng, PATIENTS, VISITS), patients(rng, 300, 1)
    made = FewShotDetector(prior=untrained_prior()).fit(rows)
    return made.calibrate(groups=np.repeat(np.arange(PATIENTS), VISITS)), new


def test_new_levels_are_as_surprising_in_parts_as_in_the_whole(held_out):
    made, new = held_out
    assert (made.p_values(new) <= 0.05).mean() < 0.1
    for alpha in (0.05, 0.1):
        assert made.set_threshold(alpha=alpha).threshold_rule_.promised
        assert (made.predict(new) == -1).mean() <= alpha


def test_a_false_discovery_rate_goes_by_the_p_values_that_select_does(held_out):
    made, new = held_out
    odd = new.head(40).assign(x0=40.0, x1=-40.0)
    batch = pd.concat([new, odd], ignore_index=True)
    selected = made.select(batch, alpha=0.4)
    found = made.set_threshold(fdr=0.4, X=batch).predict(batch) == -1
    assert found[-40:].all()
    assert not (found & ~selected).any()
    with pytest.warns(CalibrationWarning, match="nothing is selected"):
        assert (made.set_threshold(fdr=0.1, X=new).predict(new) == 1).all()


def test_numbers_alone_have_no_new_levels():
    rows = np.random.default_rng(0).normal(size=(200, 3))
    made = FewShotDetector(prior=untrained_prior()).fit(rows).calibrate()
    for mine, theirs in zip(
        made._threshold_calibration.scores, made.calibration_.scores, strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
