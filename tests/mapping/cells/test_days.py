import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.cells.days import (
    OFFSET,
    begin_months,
    days_of_texts,
    minutes_ahead,
    usual_spelling,
    usual_spellings,
)


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
    assert minutes_ahead([text]) == [minutes]
    np.testing.assert_allclose(days_of_texts([text], form), [1.25])
    np.testing.assert_allclose(days_of_texts([text], form, local=False), [1.25 - minutes / 1440])


@st.composite
def moments(draw):
    """Texts as people and programs write moments, and some that are none."""
    day, month = draw(st.integers(0, 32)), draw(st.integers(0, 13))
    days = ("2024-{1:02}-{0:02}", "{0:02}.{1:02}.2024", "{1}/{0}/24", "{0}/Mar/2024", "{0} mar 24")
    clocks = ("05:30", "5:30 PM", "05:30:07", "05.30.07", "05:30:07.25", "05:30:07,250", "0530", "")
    zones = ("Z", " utc", "+01:00", "-0330", " +05", " CET", " EST 2024", "gmt05z", "\u0663", "\n")
    text = draw(st.sampled_from(days)).format(day, month) + draw(st.sampled_from([" ", "T", ":"]))
    text += draw(st.sampled_from(clocks)) + draw(st.sampled_from(["", "", *zones]))
    return draw(st.sampled_from(["{}", "{}", "[{}]", " {} ", "{}\n1"])).format(text)


def minutes_one_by_one(text):
    """Minutes ahead of UTC by a look at that text alone."""
    text = usual_spelling(text)
    ends = [found for found in OFFSET.finditer(text) if found.end() == len(text)]
    if not ends:
        return None
    offset = ends[0]["offset"]
    if offset[0] not in "+-":
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return int(f"{offset[0]}1") * (60 * int(digits[:2]) + int(digits[2:]))


@given(st.lists(st.one_of(moments(), st.text("0123456789-+.:,[] TZceuts\n", max_size=25))))
def test_texts_are_read_together_as_one_by_one(texts):
    assert usual_spellings(texts) == [*map(usual_spelling, texts)]
    assert minutes_ahead(texts) == [*map(minutes_one_by_one, texts)]
    for form in ("ISO8601", "%d.%m.%Y %H:%M", "%m/%d/%y %I:%M %p"):
        alone = [days_of_texts([text], form)[0] for text in texts]
        np.testing.assert_array_equal(days_of_texts(texts, form), alone)
