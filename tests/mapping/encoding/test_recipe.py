import json

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.encoding.recipe import Category, Date, LeftOut, Number, recipe

RNG = np.random.default_rng(0)
PRICES = [f"{price:.2f}" for price in RNG.lognormal(3, 1, 1000)]
STAMPS = pd.date_range("2023-01-01", periods=1000, freq="9h")


def look(values, name="column"):
    return recipe(name, pd.Series(values, dtype=object), named=True)


@pytest.mark.parametrize("stray", ["unknown", "2023-02-30", "31/12/2023"])
def test_a_stray_among_dates_is_a_gap_and_told(stray):
    found = look([*STAMPS.strftime("%Y-%m-%d"), stray])
    assert isinstance(found, Date)
    assert found.cause == "words"
    assert found.reason() == (
        f"read as dates; {stray!r} and gaps become the median and are flagged"
    )
    assert [*found.outputs()[:2]] == ["days", "missing"]


@pytest.mark.parametrize("stray", ["12O.50", "12.50 (corrected)", "~500", "12..50", "12,50"])
def test_a_malformed_number_is_a_gap_and_told(stray):
    found = look([*PRICES, stray])
    assert isinstance(found, Number)
    assert found.cause == "words"
    assert found.reason().startswith(f"read as numbers; {stray!r} and gaps become the median")


def test_an_object_column_of_numbers_with_one_text():
    found = look([*RNG.normal(size=400), "x7"])
    assert (found.kind, found.notation.words) == ("number", ("x7",))


def test_identifiers_stay_so_with_one_malformed():
    found = look([*map(str, RNG.permutation(500) + 7), "1O5"], "ticket")
    assert found.reason() == "identifier (a running number)"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            [f"12O.{n}" if n < 30 else price for n, price in enumerate(PRICES)],
            "mixed (970 of 1,000 cells are numbers; '12O.0' is not)",
        ),
        (
            [("$", "€")[n % 2] + price for n, price in enumerate(PRICES)],
            "mixed (numbers in several currencies: $, €)",
        ),
        (
            [price + (" kg", " g")[n % 2] for n, price in enumerate(PRICES)],
            "mixed (numbers in several units: g, kg)",
        ),
        (
            STAMPS[:500].strftime("%Y-%m-%d %H:%M").union(STAMPS[500:].strftime("%d/%m/%Y %H:%M")),
            "mixed (500 of 1,000 cells are dates as '2023-01-01 00:00'; '01/01/2024 06:00' is not)",
        ),
    ],
)
def test_what_is_the_matter_with_mixed_columns_is_said(values, why):
    found = look(values)
    assert isinstance(found, LeftOut)
    assert (found.reason(), found.cause) == (why, "mixed")


def test_levels_most_of_which_are_numbers_are_told():
    codes = [f"{'A' * (n % 5 == 0)}{n % 300}" for n in range(1000)]
    found = look(codes)
    assert isinstance(found, Category)
    assert found.cause == "mixed"
    assert found.reason().endswith("800 of 1,000 cells are numbers; 'A0' is not")


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ([f"name {n}" for n in range(300)], "identifier"),
        ([f"{n:05}" for n in range(300)], "identifier"),
        ([f"20{n % 20:02}-{n % 20 + 1:02}" for n in range(300)], "digits"),
        ([f"{n % 30}.{n % 7}.{n % 5}" for n in range(300)], "digits"),
        ([f"word {n % 30}" for n in range(300)], ""),
        ([*("123A" * 20)], ""),
    ],
)
def test_other_texts_are_not_called_mixed(values, cause):
    assert look(values).cause == cause


def test_points_between_thousands_are_told():
    amounts = [f"{int(amount):,}".replace(",", ".") for amount in RNG.lognormal(7, 2, 300)]
    found = look(amounts)
    assert (found.cause, found.reason()) == ("points", "read as numbers, points between thousands")


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


def test_a_stray_is_a_gap_later_too():
    rows = pd.DataFrame({"day": [*STAMPS.strftime("%Y-%m-%d"), "unknown"], "p": [*PRICES, "~500"]})
    encoder = Encoder.from_state(*Encoder().fit(rows).state())
    new = encoder.transform(pd.DataFrame({"day": ["unknown", "2024-03-01"], "p": ["~500", "7"]}))
    flags = [at for at, (_, what) in enumerate(encoder.encoded_names_) if what == "missing"]
    np.testing.assert_array_equal(new[:, flags], [[1, 1], [0, 0]])


def orders(count: int, start: str, seed: int) -> pd.DataFrame:
    """Orders of a year, each shipped one to five days later."""
    rng = np.random.default_rng(seed)
    ordered = pd.Timestamp(start) + pd.to_timedelta(rng.integers(0, 365, count), unit="D")
    shipped = ordered + pd.to_timedelta(rng.integers(1, 6, count), unit="D")
    return pd.DataFrame({"shipped": shipped, "ordered": ordered, "kg": rng.normal(size=count)})


def days_between(encoder: Encoder, rows: pd.DataFrame) -> np.ndarray:
    at = {name: place for place, name in enumerate(encoder.encoded_names_)}
    encoded = encoder.transform(rows)
    return encoded[:, at["shipped", "days"]] - encoded[:, at["ordered", "days"]]


def test_dates_that_go_together_are_moved_together():
    rows, later = orders(400, "2023-01-01", 0), orders(200, "2025-03-01", 1)
    encoder = Encoder().fit(rows)
    fixed = days_between(encoder, rows)[0] - (rows["shipped"] - rows["ordered"]).dt.days[0]
    told = (later["shipped"] - later["ordered"]).dt.days.to_numpy()
    np.testing.assert_allclose(days_between(encoder, later) - fixed, told)
    whole = encoder.transform(later)
    assert np.abs(whole[:, 0]).max() < 400
    again = Encoder.from_state(*encoder.state())
    np.testing.assert_array_equal(again.transform(later), whole)


def test_what_lies_between_two_dates_decides_and_not_their_order_in_the_table():
    rows, later = orders(400, "2023-01-01", 0), orders(50, "2025-03-01", 1)
    encoder = Encoder().fit(rows)
    turned = Encoder().fit(rows[["kg", "ordered", "shipped"]])
    np.testing.assert_array_equal(days_between(turned, later), days_between(encoder, later))
    rng = np.random.default_rng(2)
    free = rows.assign(shipped=rng.permutation(rows["shipped"]))
    assert not any(getattr(r, "beside", "") for r in Encoder().fit(free).recipes)


def test_a_date_whose_companion_is_missing_is_moved_by_itself():
    rows, later = orders(400, "2023-01-01", 0), orders(50, "2025-03-01", 1)
    rows.loc[:20, "ordered"] = pd.NaT
    encoder = Encoder().fit(rows)
    (follower,) = (r.column for r in encoder.recipes if getattr(r, "beside", ""))
    later[{"ordered": "shipped", "shipped": "ordered"}[follower]] = pd.NaT
    encoded = encoder.transform(later)
    assert np.isfinite(encoded).all()
    place = encoder.encoded_names_.index((follower, "days"))
    assert np.ptp(encoded[:, place]) < 400


def test_later_orders_are_flagged_no_more_often_and_late_deliveries_are():
    rows, later = orders(800, "2023-01-01", 0), orders(300, "2025-03-01", 1)
    later.loc[:4, "shipped"] += pd.Timedelta(days=120)
    detector = FewShotDetector(random_state=0).fit(rows)
    found = detector.predict(later) == -1
    assert found[:5].all()
    assert found[5:].mean() < 0.1


def sales(count: int, start: str, days: int, seed: int) -> pd.DataFrame:
    """Rows with a date, and what people make of it."""
    rng = np.random.default_rng(seed)
    on = pd.Timestamp(start) + pd.to_timedelta(rng.integers(0, days, count), unit="D")
    return pd.DataFrame(
        {
            "on": on,
            "year": on.year,
            "month": on.month,
            "quarter": on.quarter,
            "period": 100 * on.year + on.month,
            "kg": rng.normal(size=count),
        }
    )


def test_parts_of_a_date_are_moved_with_it():
    rows, later = sales(500, "2022-01-01", 730, 0), sales(200, "2024-02-01", 200, 1)
    encoder = Encoder().fit(rows)
    assert {r.column: r.part for r in encoder.recipes if getattr(r, "part", "")} == {
        "year": "year",
        "month": "month",
        "quarter": "quarter",
        "period": "year and month",
    }
    at = {name: place for place, (name, _) in enumerate(encoder.encoded_names_)}
    encoded = encoder.transform(later)
    assert set(encoded[:, at["year"]]) <= {2022, 2023}
    period = 100 * encoded[:, at["year"]] + encoded[:, at["month"]]
    np.testing.assert_array_equal(encoded[:, at["period"]], period)
    np.testing.assert_array_equal(encoded[:, at["quarter"]], (encoded[:, at["month"]] + 2) // 3)
    wrong = later.assign(year=later["year"] + 3)  # stays as wrong as it is
    assert (encoder.transform(wrong)[:, at["year"]] - encoded[:, at["year"]] == 3).all()
    again = Encoder.from_state(*encoder.state())
    np.testing.assert_array_equal(again.transform(later), encoded)
    np.testing.assert_array_equal(encoder.transform(rows)[:, at["year"]], rows["year"])


def test_a_number_that_is_mostly_a_month_is_none():
    rows = sales(500, "2022-01-01", 730, 0)
    rows.loc[:9, "month"] = 1
    assert not any(r.part == "month" for r in Encoder().fit(rows).recipes if hasattr(r, "part"))


def test_seasons_stay_where_a_year_was_seen():
    rows, later = sales(500, "2022-01-01", 730, 0), sales(200, "2024-02-01", 200, 1)
    days = Encoder().fit(rows[["on", "kg"]]).transform(later[["on", "kg"]])[:, 0]
    first = rows["on"].min()
    moved = (later["on"] - first).dt.days.to_numpy() - days
    assert (moved % 364 == 0).all()
    assert 0 <= days.min() <= days.max() <= 730


def test_later_rows_with_parts_of_dates_are_flagged_no_more_often():
    rows, later = sales(800, "2022-01-01", 730, 0), sales(300, "2024-02-01", 200, 1)
    detector = FewShotDetector(random_state=0).fit(rows)
    assert (detector.predict(later) == -1).mean() < 0.08
    assert (detector.predict(later.assign(year=2019)) == -1).mean() > 0.9


def test_years_go_on_for_ten_years_and_what_is_no_year_does_not():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"Model Year": rng.integers(2015, 2023, 300), "kg": rng.normal(size=300)})
    new = pd.DataFrame({"Model Year": [2022, 2025, 2032, 2033, 2203, 1990], "kg": 0.0})
    for named, expected in (
        ("Model Year", [2022, 2022, 2022, 2033, 2203, 1990]),
        ("size", [2022, 2025, 2032, 2033, 2203, 1990]),
    ):
        encoder = Encoder().fit(rows.rename(columns={"Model Year": named}))
        for kept in (encoder, Encoder.from_state(*encoder.state())):
            encoded = kept.transform(new.rename(columns={"Model Year": named}))
            assert encoded[:, 0].tolist() == expected
    halves = rows.assign(**{"Model Year": rows["Model Year"] + 0.5})
    assert Encoder().fit(halves).transform(new)[1, 0] == 2025
