"""Later dates come to where fit saw rows: not to holes, nor to where one wrong date stands."""

import json

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.encoding.seen_time import SeenTime

JANUARY = pd.date_range("2024-01-01", periods=30 * 24, freq="h")  # from a Monday on


def fitted(*parts: pd.DatetimeIndex) -> tuple[Encoder, pd.DataFrame]:
    when = np.concatenate(parts)
    rows = pd.DataFrame({"when": when, "x": np.arange(len(when)) % 7})
    encoder = Encoder().fit(rows)
    settings, arrays = encoder.state()
    return Encoder.from_state(json.loads(json.dumps(settings)), arrays), rows


def days(encoder: Encoder, when) -> np.ndarray:
    place = encoder.encoded_names_.index(("when", "days"))
    return encoder.transform(pd.DataFrame({"when": pd.to_datetime(when), "x": 1}))[:, place]


def since(when: str, first: str) -> float:
    return (pd.Timestamp(when) - pd.Timestamp(first)) / pd.Timedelta(days=1)


@pytest.mark.parametrize("stray", ["1970-01-01 00:00", "2019-05-03 07:00", "2034-01-17 00:35"])
def test_one_wrong_date_is_no_time_to_go_on_from(stray):
    wrong = pd.DatetimeIndex([stray])
    (alone, _), (encoder, rows) = fitted(JANUARY), fitted(JANUARY, wrong)
    later = pd.date_range("2024-02-02", periods=40 * 24, freq="h")
    first = min(JANUARY[0], wrong[0])
    moved = days(encoder, later) + since(str(first), "2024-01-01")
    np.testing.assert_allclose(moved, days(alone, later), atol=1e-6)
    assert days(encoder, wrong)[0] == pytest.approx(
        since(stray, str(first))
    )  # it stays where it is
    assert encoder.encoded_names_ == alone.encoded_names_
    (note,) = (note for note in encoder.report() if note.column == "when")
    assert f"as {stray[:10]}, are odd" in note.reason
    shuffled = Encoder().fit(rows.sample(frac=1, random_state=0))
    np.testing.assert_array_equal(shuffled.transform(rows), encoder.transform(rows))
    far = since("1990-01-01", str(first))
    assert days(encoder, ["1990-01-01"])[0] == pytest.approx(far)  # from January, as it was


def test_time_without_holes_is_no_other_than_it_was():
    for when in (JANUARY, JANUARY[::24], pd.date_range("2020-03-01", periods=900, freq="29h")):
        encoder, _ = fitted(when)
        assert encoder.recipes[0].seen == SeenTime()
        assert "seen" not in encoder.state()[0]["columns"][0]


def test_dates_in_a_hole_and_later_ones_come_to_where_rows_are():
    march = pd.date_range("2024-03-04", periods=7 * 24, freq="h")
    encoder, _ = fitted(JANUARY[: 7 * 24], march)
    for when in ("2024-01-20", "2024-03-20", "2030-06-01"):
        asked = pd.date_range(when, periods=14 * 24, freq="h")
        found = days(encoder, asked)
        assert ((found < 7) | (found >= since("2024-03-04", "2024-01-01"))).all()
        assert found.max() <= since(str(march[-1]), "2024-01-01")
        whole = (asked - JANUARY[0]) / pd.Timedelta(days=7) - found / 7
        np.testing.assert_allclose(whole, np.round(whole), atol=1e-9)  # weekday and hour stay


def test_weekdays_of_which_fit_saw_one_each_are_not_used():
    march = pd.date_range("2024-03-01", periods=3 * 24, freq="h")
    encoder, _ = fitted(JANUARY[: 3 * 24], march)
    assert not any("weekday" in what for _, what in encoder.encoded_names_)
    weekends_off = JANUARY[JANUARY.day_of_week < 5]
    encoder, _ = fitted(weekends_off)
    assert any("weekday" in what for _, what in encoder.encoded_names_)
    monday = days(encoder, pd.date_range("2024-02-05", periods=24, freq="h"))
    assert {*np.floor(monday % 7)} == {0.0}


def test_a_hole_leaves_the_season_as_it_is_elsewhere():
    whole = pd.date_range("2022-01-01", "2023-03-31", freq="h")
    encoder, _ = fitted(whole[(whole < "2022-07-01") | (whole >= "2022-09-01")])
    spring = pd.date_range("2024-04-05", "2024-06-20", freq="5h")
    seasons = (days(encoder, spring) - (spring - whole[0]) / pd.Timedelta(days=1)) / 364
    np.testing.assert_allclose(seasons, np.round(seasons), atol=1e-9)
    summer = days(encoder, pd.date_range("2024-07-05", "2024-08-25", freq="5h"))
    before, after = since("2022-07-01", "2022-01-01"), since("2022-09-01", "2022-01-01")
    assert ((summer < before) | (summer >= after)).all()
    assert ((summer > before - 15) & (summer < after + 15)).all()  # the nearest weeks


def table(*parts: pd.DatetimeIndex, seed: int = 0) -> pd.DataFrame:
    when, generator = np.concatenate(parts), np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "at": pd.DatetimeIndex(when).astype(str),
            "a": generator.normal(size=len(when)),
            "b": generator.gamma(3, size=len(when)),
        }
    )


def hours(first: str, number_of_days: int) -> pd.DatetimeIndex:
    return pd.date_range(first, periods=24 * number_of_days, freq="h")


@pytest.mark.parametrize(
    ("parts", "later"),
    [
        ((JANUARY, pd.DatetimeIndex(["1970-01-01"])), "2024-02-01"),
        ((JANUARY[: 14 * 24], pd.DatetimeIndex(["2034-01-17 00:35"])), "2024-01-16"),
        ((hours("2024-01-01", 3), hours("2024-03-01", 3)), "2024-03-04"),
        ((JANUARY[: 14 * 24], hours("2024-01-18", 1)[::5]), "2024-01-19"),
    ],
)
def test_later_rows_are_no_odder(parts, later):
    rows = table(*parts)
    detector = FewShotDetector(random_state=0).fit(rows)
    next_ones = table(hours(later, 8), seed=9)
    odd = detector.anomaly_score(next_ones) > detector.threshold_
    assert max(share.mean() for share in np.split(odd, 8)) < 0.2
    assert odd.mean() < 0.08
    if len(parts[1]) == 1:
        assert detector.anomaly_score(rows.iloc[[-1]])[0] > detector.threshold_
