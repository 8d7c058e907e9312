import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.cells.days import begin_months, days_of_texts, offset_of, usual_spelling


def test_days_that_begin_months():
    first = pd.date_range("2020-01-01", periods=30, freq="MS")
    days = ((first - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)).to_numpy()
    assert begin_months(days)
    assert not begin_months(days + 1)
    assert not begin_months(np.append(days, days[0] + 0.5))


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("2026-03-02 06:06:58,123", "2026-03-02 06:06:58.123"),
        ("2026-03-02 06:06:58 UTC", "2026-03-02 06:06:58Z"),
        ("2026-03-02T06:06:58 cest", "2026-03-02T06:06:58+02:00"),
        ("[02/Mar/2026:06:06:58 -0330]", "02/Mar/2026 06:06:58 -0330"),
        ("Mon Mar 02 06:06:58 EST 2026", "Mon Mar 02 06:06:58-05:00 2026"),
        ("02-MAR-26 06.06.58.5 AM", "02-MAR-26 06:06:58.5 AM"),
        *((text, text) for text in ("12.05.24", "1,234", "Jun 5, 2023", "a UTC", "5 EST")),
    ],
)
def test_spellings_of_moments(text, spelled):
    assert usual_spelling(text) == spelled


@pytest.mark.parametrize(
    ("text", "form", "minutes"),
    [
        ("02/01/1970 06:00:00 UTC", "%d/%m/%Y %H:%M:%S", 0),
        ("02.01.1970 06:00 +0130", "%d.%m.%Y %H:%M", 90),
        ("01/02/1970 6:00 AM EST", "%m/%d/%Y %I:%M %p", -300),
        ("[02/Jan/1970:06:00:00 -0200]", "written day", -120),
        ("1970-01-02 06:00:00,000 CET", "ISO8601", 60),
    ],
)
def test_offsets_are_told_in_any_format(text, form, minutes):
    assert offset_of(text) == minutes
    np.testing.assert_allclose(days_of_texts([text], form), [1.25])
    np.testing.assert_allclose(days_of_texts([text], form, local=False), [1.25 - minutes / 1440])
