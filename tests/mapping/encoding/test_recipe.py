import datetime
import decimal
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from oddshot.mapping.encoding.category import Category
from oddshot.mapping.encoding.date import Date
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.encoding.left_out import LeftOut
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import recipe
from small_frames import kind

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


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("R$ {:.2f}", "read as numbers in 'R$'"),
        ("US$ {:.2f}M", "read as numbers in 'US$' with 'K' for 1,000, 'M' for 1,000,000"),
        ("{:.0f} min 5 sec", "read as durations in days"),
    ],
)
def test_what_stands_beside_numbers_is_told(written, told):
    found = look([written.format(float(price)) for price in PRICES])
    assert (found.kind, found.cause) == ("number", "unit")
    assert found.reason().startswith(told)


def test_amounts_that_are_not_read_resemble_no_dates():
    found = look([f"Konto {float(price) + 100:,.2f}" for price in PRICES])
    assert found.cause == "identifier"


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


def test_dates_in_a_format_that_is_not_read_are_told():
    found = look(STAMPS.strftime("%b %d %H:%M:%S"))
    assert isinstance(found, LeftOut)
    assert found.reason() == "dates in a format that is not read (as 'Apr 01 00:00:00')"


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
    told = "read as numbers, commas before decimals, points between thousands"
    assert (found.cause, found.reason()) == ("points", told)


@pytest.mark.parametrize(
    "values",
    [
        STAMPS.as_unit("ms").asi8.astype(str),
        STAMPS.as_unit("s").asi8.astype(str),
        STAMPS.strftime("%Y%m%d%H%M%S"),
        STAMPS.strftime("%Y%m%d%H%M"),
        STAMPS.strftime("%Y%m%d"),
        [*STAMPS.strftime("%Y%m%d%H%M%S"), "unknown"],
        ((STAMPS - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)).astype(str),
    ],
    ids=["ms", "s", "to the second", "to the minute", "days", "with a stray", "serial"],
)
def test_digits_of_dates_stored_as_text_are_dates(values):
    rows = pd.DataFrame({"event_date": pd.Series([*values], dtype=object)})
    encoder = Encoder.from_state(*Encoder().fit(rows).state())
    (found,) = encoder.recipes
    assert isinstance(found, Date)
    days = found.days(rows["event_date"])[:1000] + found.origin
    np.testing.assert_allclose(np.floor(days), np.floor(STAMPS.as_unit("s").asi8 / 86400))
    np.testing.assert_array_equal(encoder.transform(rows[-1:]), encoder.transform(rows)[-1:])


def test_numbers_that_may_be_times_are_told():
    since = STAMPS.as_unit("ms").asi8
    for values in (since, since.astype(str)):
        found = look(values, "logged")
        assert (found.kind, found.cause) == ("number", "time")
        assert found.reason() == (
            "may be milliseconds since 1970, from 2023-01-01 to 2024-01-10; if so, give dates, or "
            "a name such as 'event_date', since later rows lie outside of all that was seen"
        )
    told = Encoder().fit(pd.DataFrame({"logged": since}))
    assert Encoder.from_state(*told.state()).report() == told.report()


def test_a_stray_is_a_gap_later_too():
    rows = pd.DataFrame({"day": [*STAMPS.strftime("%Y-%m-%d"), "unknown"], "p": [*PRICES, "~500"]})
    encoder = Encoder.from_state(*Encoder().fit(rows).state())
    new = encoder.transform(pd.DataFrame({"day": ["unknown", "2024-03-01"], "p": ["~500", "7"]}))
    flags = [at for at, (_, what) in enumerate(encoder.encoded_names_) if what == "missing"]
    np.testing.assert_array_equal(new[:, flags], [[1, 1], [0, 0]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, 2.5, 1.0], "number"),
        ([1, None, 3], "number"),
        (["1.5", " 2", "-3e5", "?", None], "number"),
        ([1, 2.5, True, "3"], "number"),
        ([decimal.Decimal("1.5"), decimal.Decimal(2)], "number"),
        ([decimal.Decimal("sNaN"), decimal.Decimal(2), decimal.Decimal(3)], "number"),
        ([decimal.Decimal("Infinity"), decimal.Decimal(2), decimal.Decimal(3)], "number"),
        (pd.to_timedelta([1, 2, 2], unit="h"), "number"),
        ([datetime.time(1), datetime.time(2, 30)], "number"),
        ([10**400, 1, 2], "number"),
        (pd.array([1, None, 2], dtype="Int64"), "number"),
        (pd.array([1, None, 2], dtype=pd.ArrowDtype(pa.int64())), "number"),
        ([True, False, True], "boolean"),
        ([True, None, False], "boolean"),
        (["True", "false", "TRUE", None], "boolean"),
        (["yes", "no", "yes"], "category"),
        ([1, "a", None, 1, "a"], "category"),
        (pd.Categorical([1, 2, 2]), "category"),
        (pd.Categorical(["a", "b", "c"]), "category"),
        (["02134", "10001", "02134"], "category"),
        (pd.cut(np.array([1.0, 2, 3, 3]), 2), "category"),
        (["1.2.3", "1.2.3", "10.1"], "category"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "date"),
        (pd.to_datetime(["2020-01-01", None, "2020-01-02"], utc=True), "date"),
        ([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)], "date"),
        (pd.period_range("2020-01", periods=3, freq="M"), "date"),
        ([*pd.period_range("2020-01", periods=3, freq="M"), None], "date"),
        (["2020-01-01", "2020-02-03T10:00:00Z", "?"], "date"),
        (["2020-01-01 10:00:00", "2020-01-02 11:30:00.5"], "date"),
        (["31.12.2020", "01.02.2021"], "date"),
        (["12/31/2020 10:00", "01/02/2021 09:30"], "date"),
        (["31/12/2020", "01/02/2021"], "date"),
        (["3 Jan 2020", "14 Feb 2021"], "date"),
        (["Jan 3, 2020", "Feb 14, 2021"], "date"),
        (pd.array([datetime.date(2020, 1, 1)] * 2 + [None], pd.ArrowDtype(pa.date32())), "date"),
        ([1, 1, 1], "left out"),
        (["a", "a"], "left out"),
        ([None, None], "left out"),
        (["?", ""], "left out"),
        ([np.inf, np.inf], "left out"),
        ([[1], [2]], "left out"),
        ([{"a": 1}, {"a": 2}], "left out"),
        (["a", "b", "c"], "left out"),
        ([f"name{i % 29}" for i in range(30)], "left out"),
        ([f"a text of words {i * 2 // 3}" for i in range(40)], "left out"),
        (np.random.default_rng(0).permutation(30) + 5, "left out"),
    ],
)
def test_kinds(values: Any, expected: str) -> None:
    assert kind(values) == expected


@pytest.mark.parametrize("text", ["(5", "5)", "5-6", "30 00", "1,000,00", "$", "%"])
def test_what_only_looks_like_an_amount_is_a_text(text):
    assert Encoder().fit(pd.DataFrame({"x": [text, text, "5", "6"]})).kinds_ == {"x": "category"}


@pytest.mark.parametrize(
    ("name", "values", "written"),
    [
        ("day", [20240101 + day for day in range(28)], "%Y%m%d"),
        ("createdAt", [1.7e12 + 6e7 * n for n in range(50)], "ms"),
        ("event_time", [1.7e9 + 60 * n for n in range(50)], "s"),
        ("amount", [20000000 + 7919 * n for n in range(60)], None),
        ("balance", [1.7e9 + 60 * n for n in range(50)], None),
        ("time", [0.5 + n for n in range(50)], None),
        ("update_time", [1.7e9 + 60 * n for n in range(50)], "s"),
        ("response_time", [1.7e9 + 60 * n for n in range(50)], None),
        ("responseTime", [1.7e9 + 60 * n for n in range(50)], None),
        ("time", [1.7e9] * 40 + [1.7e9 + 1], None),
    ],
)
def test_dates_written_as_numbers(name, values, written):
    rows = pd.DataFrame({name: values, "x": np.arange(len(values)) % 5})
    encoder = Encoder.from_state(*Encoder().fit(rows).state())
    if written is None:
        assert encoder.kinds_[name] in ("number", "left out")
        return
    assert encoder.recipes[0].date_format == written
    texts = rows.astype({name: "int64"}).astype({name: str})
    np.testing.assert_array_equal(encoder.transform(texts), encoder.transform(rows))


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        ([f"{day:02d}.01.24" for day in range(1, 29)], "%d.%m.%y"),
        ([f"{day:02d}/01/24" for day in range(1, 29)], "%d/%m/%y"),
        ([f"24-01-{day:02d}" for day in range(1, 29)], "%y-%m-%d"),
        ([f"{day:02d}-01-24" for day in range(1, 29)], "%d-%m-%y"),
    ],
)
def test_years_of_two_digits(texts, form):
    assert Encoder().fit(pd.DataFrame({"when": texts})).recipes[0].date_format == form


def test_levels_that_may_be_numbers_are_told():
    generator = np.random.default_rng(0)
    sizes = [f"{n} {('kg', 'g')[n % 2]}" for n in generator.integers(1, 60, 300)]
    note = Encoder().fit(pd.DataFrame({"x": sizes})).report()[0]
    assert note.cause == "digits"
    assert note.reason.endswith("if they are numbers, write them as such, in one unit")


def test_days_before_months_where_dates_lie_far_closer_together():
    days = [f"{day:02d}/{month:02d}/2024" for month in (5, 6) for day in range(1, 13)]
    encoder = Encoder().fit(pd.DataFrame({"when": days}))
    encoder.transform(pd.DataFrame({"when": ["31/05/2024"]}))


def test_months_before_days_where_one_of_both_never_changes():
    first = [f"{month:02d}/01/{year}" for year in range(2020, 2025) for month in range(1, 13)]
    encoder = Encoder().fit(pd.DataFrame({"when": first}))
    encoder.transform(pd.DataFrame({"when": ["01/31/2025"]}))


@pytest.mark.parametrize("first", [2**60, 12345678901234567890])
@pytest.mark.parametrize("dtype", ["uint64", str])
def test_long_whole_numbers_that_floats_take_for_one_are_levels(first, dtype):
    cells = pd.Series([first + i % 6 for i in range(60)]).astype(dtype)
    found = recipe("account", cells, named=True)
    assert isinstance(found, Category)
    assert found.levels == [str(first + i) for i in range(6)]
    each = recipe("account", pd.Series([first + i for i in range(60)]).astype(dtype), named=True)
    assert each.cause == "identifier"


def test_long_whole_numbers_in_a_frame_of_numbers_are_levels():
    frame = pd.DataFrame({"x": RNG.normal(size=60), "account": 2**60 + np.arange(60) % 6})
    encoder = Encoder().fit(frame)
    assert encoder.kinds_ == {"x": "number", "account": "category"}
    assert len(np.unique(encoder.transform(frame)[:, 1:], axis=0)) == 6


@pytest.mark.parametrize("cells", [[2**60, 2**60 + 1, 5], [2.0**60, 2.0**61], [2**60, 2**61]])
def test_other_large_numbers_are_numbers(cells):
    assert isinstance(recipe("x", pd.Series(cells * 20), named=True), Number)


def test_marks_and_limits_are_told():
    found = look([*PRICES, *["9.1 H", "<0.5 L"] * 20])
    assert isinstance(found, Number)
    assert found.cause == "marks"
    assert found.reason() == (
        "read as numbers, without marks as 'H'; limits count as values: 20 with <"
    )
    limits = look([*PRICES, *["<0.5", ">1000", ">1000"] * 20])
    assert limits.cause == "bounds"
    assert limits.reason() == "limits count as values: 20 with < and 40 with >"
    numbers = pd.DataFrame({"c": [*PRICES, "9.1 H"], "d": [*PRICES, "<0.5"]})
    encoder = Encoder().fit(numbers)
    settings, arrays = encoder.state()
    again = Encoder.from_state(json.loads(json.dumps(settings)), arrays)
    assert again.recipes == encoder.recipes
