import numpy as np
import pandas as pd

from oddshot.mapping.cells.days import begin_months


def test_days_that_begin_months():
    first = pd.date_range("2020-01-01", periods=30, freq="MS")
    days = ((first - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)).to_numpy()
    assert begin_months(days)
    assert not begin_months(days + 1)
    assert not begin_months(np.append(days, days[0] + 0.5))
