import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from oddshot.errors import DateWarning
from oddshot.mapping.encoding.encoder import Encoder

SPELLINGS = {
    "month": lambda day: f"{day:%Y-%m}",
    "month with a name": lambda day: f"{day:%b %Y}",
    "quarter": lambda day: f"{day.year}-Q{day.quarter}",
    "fiscal year": lambda day: f"FY{day.year}",
    "week": lambda day: f"{day:%G-W%V}",
    "written day": lambda day: f"{day:%a %d %b %Y}",
    "first of the month": lambda day: str(day.date().replace(day=1)),
    "day": lambda day: str(day.date()),
}


def test_dates_elapse_and_turn() -> None:
    days = pd.to_datetime(["2024-01-01 00:00", "2024-01-09 06:00", "2024-01-17 12:00"])  # a Monday
    frame = pd.DataFrame({"d": days})
    encoder = Encoder().fit(frame)
    assert [what for _, what in encoder.encoded_names_] == [
        "days", "hour sin", "hour cos", "weekday sin", "weekday cos",
    ]  # fmt: skip
    encoded = encoder.transform(frame)
    np.testing.assert_allclose(encoded[:, 0], [0, 8.25, 16.5])
    np.testing.assert_allclose(encoded[:, 1:3], [[0, 1], [1, 0], [0, -1]], atol=1e-12)
    angles = 2 * np.pi * np.arange(3) / 7
    np.testing.assert_allclose(encoded[:, 3], np.sin(angles))
    np.testing.assert_allclose(encoded[:, 4], np.cos(angles))


def test_circles_only_where_hours_and_weekdays_vary_and_gaps_are_their_centre() -> None:
    weekly = pd.Series(pd.date_range("2024-01-01", periods=5, freq="7D"))
    assert Encoder().fit(pd.DataFrame({"d": weekly})).encoded_names_ == [("d", "days")]
    short = pd.Series(pd.date_range("2024-01-01 08:00", periods=40, freq="h"))
    assert Encoder().fit(pd.DataFrame({"d": short})).encoded_names_ == [("d", "days")]
    frame = pd.DataFrame({"d": pd.to_datetime(["2024-01-01", None, "2024-01-19"])})
    encoder = Encoder().fit(frame)
    assert [what for _, what in encoder.encoded_names_] == [
        "days", "missing", "weekday sin", "weekday cos",
    ]  # fmt: skip
    np.testing.assert_array_equal(encoder.transform(frame)[1], [9, 1, 0, 0])


def test_one_moment_is_one_date_in_every_spelling() -> None:
    moments = pd.Series(pd.date_range("2024-01-01", periods=40, freq="5h"))
    encoder = Encoder().fit(pd.DataFrame({"d": moments}))
    meant = encoder.transform(pd.DataFrame({"d": moments}))
    for same in (
        moments.astype(str),
        moments.astype(object),
        moments.dt.strftime("%Y-%m-%dT%H:%M:%S"),
    ):
        np.testing.assert_allclose(encoder.transform(pd.DataFrame({"d": same})), meant, atol=1e-9)


def test_hours_and_days_are_those_that_are_written() -> None:
    """Over a change of clocks the day begins when people's does; order and UTC do not matter."""
    moments = pd.Series(pd.date_range("2024-03-20", periods=400, freq="h", tz="Europe/Berlin"))
    naive = pd.DataFrame({"d": moments.dt.tz_localize(None)})
    written = moments.map(pd.Timestamp.isoformat)
    assert {text[-6:] for text in written} == {"+01:00", "+02:00"}
    meant = Encoder().fit(naive).transform(naive)
    stamps = pd.Series(pd.array(moments, dtype=pd.ArrowDtype(pa.timestamp("us", "Europe/Berlin"))))
    for same in (moments, written, written.str.replace("T", " "), stamps):
        frame = pd.DataFrame({"d": same})
        encoder = Encoder().fit(frame)
        np.testing.assert_allclose(encoder.transform(frame), meant, atol=1e-9)
    for table in (pl.DataFrame({"d": moments}), pa.table({"d": pa.array(moments)})):
        np.testing.assert_allclose(encoder.transform(table), meant, atol=1e-9)


def test_other_offsets_than_those_of_fit_are_told() -> None:
    moments = pd.Series(pd.date_range("2024-01-01", periods=40, freq="5h"))
    aware = moments.dt.tz_localize("UTC")
    frames = {
        "without an offset from UTC": moments,
        "in UTC": aware,
        "with offsets from UTC": aware.dt.tz_convert("Asia/Tokyo"),
    }
    for learned, first in frames.items():
        encoder = Encoder().fit(pd.DataFrame({"d": first}))
        for given, other in frames.items():
            for cells in (other, other.astype(str)):
                frame = pd.DataFrame({"d": cells})
                if given == learned:
                    encoder.transform(frame)
                    continue
                with pytest.warns(DateWarning, match=f"'d' has dates {given}, .* were {learned}"):
                    encoder.transform(frame)
        encoder.transform(pd.DataFrame({"d": [None, None]}))


def test_what_an_older_version_saved_goes_by_utc() -> None:
    moments = pd.Series(pd.date_range("2024-01-01", periods=40, freq="5h", tz="Asia/Tokyo"))
    frame = pd.DataFrame({"d": moments})
    naive = pd.DataFrame({"d": moments.dt.tz_convert(None)})
    settings, arrays = Encoder().fit(frame).state()
    assert settings["columns"][0].pop("offsets") == "other"
    settings["columns"][0]["origin"] -= 9 / 24
    old = Encoder.from_state(settings, arrays)
    np.testing.assert_allclose(old.transform(frame), Encoder().fit(naive).transform(naive))


def test_time_goes_on_and_that_is_not_odd():
    days = pd.date_range("2024-01-01", "2024-01-31", freq="h")
    rows = pd.DataFrame({"when": days, "x": np.arange(len(days)) % 7})
    encoder = Encoder().fit(rows)
    at = encoder.encoded_names_.index(("when", "days"))

    def seen(*when: str) -> list[float]:
        given = pd.DataFrame({"when": pd.to_datetime([*when], format="ISO8601"), "x": 1})
        return encoder.transform(given)[:, at].tolist()

    assert seen("2024-01-05 06:00", "2024-01-31") == [4.25, 30.0]
    later = pd.date_range("2024-02-01 07:00", "2033-12-31", freq="h")
    found = np.array(seen(*map(str, later)))
    assert found.min() >= 7  # the first and the last of four weeks have few neighbours
    assert found.max() < 21
    np.testing.assert_allclose(found % 7, (later - days[0]) / pd.Timedelta(days=1) % 7)
    assert np.bincount((found // 7).astype(int)).min(where=[False, True, True], initial=9e9) > 3e4
    assert seen("1970-01-01", "2099-01-01") == [-19723.0, 27394.0]


@pytest.mark.parametrize(
    ("start", "periods", "freq", "later"),
    [
        ("2024-01-01 08:00", 2880, "10s", "2024-01-01 16:00"),  # one shift, the next
        ("2024-01-01", 2880, "1min", "2024-01-03"),  # two days
        ("2024-01-01", 96, "1h", "2024-01-05"),  # Monday to Thursday
        ("2024-01-01", 31, "1D", "2024-02-01"),
    ],
)
def test_what_comes_next_lies_within_what_was_there(start, periods, freq, later):
    rows = pd.DataFrame({"when": pd.date_range(start, periods=periods, freq=freq), "x": 1.5})
    rows.loc[0, "x"] = 2.5
    encoder = Encoder().fit(rows)
    own = encoder.transform(rows)
    next_ones = encoder.transform(
        rows.assign(when=pd.date_range(later, periods=periods, freq=freq))
    )
    assert (next_ones >= own.min(axis=0) - 1e-9).all()
    assert (next_ones <= own.max(axis=0) + 1e-9).all()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_later_periods_lie_where_those_of_fit_do(spelling):
    spell = SPELLINGS[spelling]
    step = "40h" if spelling in ("quarter", "fiscal year") else "9h"
    old = pd.date_range("2023-01-01", periods=1500, freq=step)
    later = pd.date_range(old[-1] + pd.Timedelta(days=7), periods=500, freq=step)
    rows = pd.DataFrame({"day": [*map(spell, old)], "x": np.arange(1500) % 7})
    encoder = Encoder().fit(rows)
    assert encoder.kinds_["day"] == "date"
    settings, arrays = encoder.state()
    encoder = Encoder.from_state(json.loads(json.dumps(settings)), arrays)
    own = encoder.transform(rows)
    new = encoder.transform(pd.DataFrame({"day": [*map(spell, later)], "x": 1}))
    assert (new >= own.min(axis=0) - 1e-9).all()
    assert (new <= own.max(axis=0) + 1e-9).all()
    if spelling not in ("week", "written day", "day"):
        assert {*new[:, 0]} <= {*own[:, 0]}
        assert not any("weekday" in what for _, what in encoder.encoded_names_)
