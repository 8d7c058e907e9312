import json

import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.columns import Category, Date, LeftOut, Number, recipe
from oddshot.mapping.encode import Encoder

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
