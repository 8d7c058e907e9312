"""Thresholds where a column names what rows belong to: all its values are new next week."""

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.errors import CalibrationWarning
from small_priors import untrained_prior

WHY = "not promised for rows of a new 'lot'"


def week(number: int, *, as_text: bool) -> pd.DataFrame:
    lots = 1000 + 60 * number + np.arange(300) // 5
    drawn = np.random.default_rng(number).normal(size=(300, 3))
    return pd.DataFrame(
        {"lot": [f"L{lot}" for lot in lots] if as_text else lots, **dict(enumerate(drawn.T))}
    ).rename(columns=str)


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("method", [None, "cross", "given"])
def test_nothing_is_promised_where_a_column_names_groups(method, as_text, tmp_path):
    made = FewShotDetector(prior=untrained_prior()).fit(week(0, as_text=as_text))
    if method == "given":
        made.calibrate(week(1, as_text=as_text))
    elif method:
        made.calibrate(method=method)
    with pytest.warns(CalibrationWarning, match="column 'lot' may name what rows belong to"):
        rule = made.set_threshold(alpha=0.1).threshold_rule_
    assert not rule.promised
    assert f"; {WHY})" in str(rule)
    made.save(tmp_path)
    assert FewShotDetector.load(tmp_path).threshold_rule_ == rule
    with pytest.warns(CalibrationWarning, match="rows of new ones score higher"):
        made.p_values(week(2, as_text=as_text))


def test_groups_of_it_that_are_held_out_stand_for_new_ones_by_name_but_not_by_number():
    rows, new = week(0, as_text=True), week(1, as_text=True)
    made = FewShotDetector(prior=untrained_prior()).fit(rows).calibrate(groups=rows["lot"])
    assert made.set_threshold(alpha=0.1).threshold_rule_.promised
    assert (made.predict(new) == -1).mean() < 0.15
    rows = week(0, as_text=False)
    made = FewShotDetector(prior=untrained_prior()).fit(rows).calibrate(groups=rows["lot"])
    with pytest.warns(CalibrationWarning, match="leave it out, and calibrate by it"):
        assert not made.set_threshold(alpha=0.1).threshold_rule_.promised
    left = FewShotDetector(prior=untrained_prior()).fit(rows.drop(columns="lot"))
    assert left.calibrate(groups=rows["lot"]).set_threshold(alpha=0.1).threshold_rule_.promised
