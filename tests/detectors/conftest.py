"""What several tests of detectors share: one that is fitted, and a table of all kinds."""

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from small_detectors import detector, few_labels, odd_among

collect_ignore = ["conftest.py"]  # for doctests: two of one name cannot be imported


@pytest.fixture(scope="module")
def fitted() -> FewShotDetector:
    return detector().fit(odd_among()[0], few_labels())


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Columns of all kinds; "fee" has gaps."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "fee": np.where(rng.random(90) < 0.1, np.nan, rng.lognormal(size=90)),
            "land": rng.choice(["AT", "DE", "CH"], 90),
            "paid": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 9e6, 90), "s"),
            "weight": rng.normal(70, 9, 90),
        }
    )
