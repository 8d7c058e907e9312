import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.cells.notation import find_notation
from oddshot.mapping.cells.spans import days_of_span

MINUTE = 1 / 1440


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("7 years 1 months", 7 * 365.25 + 365.25 / 12),
        ("8 min 25 sec", (8 + 25 / 60) * MINUTE),
        ("3h 41m", 221 * MINUTE),
        ("3h41m", 221 * MINUTE),
        ("3H 41M", 221 * MINUTE),
        ("1 hr, 5 mins and 6 secs.", 65.1 * MINUTE),
        ("2 weeks 1 day", 15.0),
        ("2 Tage 3 Std. 5 Minuten", 2.125 + 5 * MINUTE),
        ("-1.5 h", -90 * MINUTE),
        ("PT2M47S", (2 + 47 / 60) * MINUTE),
        ("P1Y2M3DT4H", 365.25 * (1 + 2 / 12) + 3 + 4 / 24),
        ("P2W", 14.0),
    ],
)
def test_lengths_of_time_are_read_in_days(text, days):
    np.testing.assert_allclose(days_of_span(text), days)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "5", "h", "5 kg", "7y 1m", "5m 3h", "3 h 4 h", "5 days ago", "3h 41"]
)
def test_what_only_looks_so_is_none(text):
    assert days_of_span(text) is None


@pytest.mark.parametrize("iso", [True, False])
def test_a_column_of_them_holds_durations(iso):
    lengths = pd.to_timedelta(np.arange(60, 9000, 67), unit="s")
    texts = [
        length.isoformat() if iso else f"{length.seconds // 60} min {length.seconds % 60} sec"
        for length in lengths
    ]
    found = find_notation([*texts, "n/a"])
    assert found.spans
    np.testing.assert_allclose(found.read(texts), lengths / pd.Timedelta(days=1))
    assert found.read(["5 kg"]) is None


def test_one_unit_behind_all_is_a_unit():
    assert find_notation(["5 h", "7.5 h"]).units == (("h", 1.0),)
    assert find_notation(["5 min", "7 min"]).units == (("min", 1.0),)
    assert find_notation(["5 m", "7 s"]) is None
    assert find_notation(["1 day", "2 days"]).spans
    assert find_notation(["1 h", "30 min"]).read(["1 h", "30 min"]).tolist() == [1 / 24, 1 / 48]
