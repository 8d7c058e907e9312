import numpy as np
import pandas as pd

from oddshot import FewShotDetector
from oddshot.mapping.encoding.encoder import Encoder


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
