import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from oddshot.mapping.encoding.encoder import Encoder
from small_frames import kind


@pytest.mark.parametrize(
    "name", ["id", "ID", "user_id", "customer-id", "Row ID", "index", "uuid", "userId", "bugID"]
)
def test_integers_that_differ_are_identifiers_if_named_so(name: str) -> None:
    assert kind([7, 3, 90], name) == "left out"
    assert kind([7, 3, 3], name) == "number"  # a customer that comes again
    assert kind([7.5, 3.1, 9.2], name) == "number"


@pytest.mark.parametrize("name", ["valid", "humid", "period", "indexed", "rowing", "paid"])
def test_other_names_are_no_identifiers(name: str) -> None:
    assert kind([7, 3, 90], name) == "number"


def test_matrices_are_numbers_whatever_they_look_like() -> None:
    X = np.column_stack([np.arange(50.0), np.arange(50.0)[::-1] ** 2])
    for rows in (X, X.astype(int), pd.DataFrame(X), sp.csr_matrix(X)):
        assert list(Encoder().fit(rows).kinds_.values()) == ["number", "number"]


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        (np.arange(20), "left out"),
        (np.arange(18), "number"),
        (np.arange(100) * 3, "number"),
        (np.r_[np.arange(50), np.arange(60, 110)], "left out"),
        (np.delete(np.arange(0, 10_000, 10), [7, 90]), "number"),
        (np.r_[np.arange(99), 5000], "number"),
        (np.r_[np.arange(99), 98], "number"),
        (np.arange(100) / 2, "number"),
    ],
)
def test_numbers_that_never_meet_name_rows(numbers, kind):
    rows = pd.DataFrame({"cycle": numbers, "x": np.arange(len(numbers)) % 5})
    assert Encoder().fit(rows).kinds_["cycle"] == kind


def steps(start: float, count: int = 300) -> np.ndarray:
    """Steps of a counter: 0.2, but for rounding, of which more is left the higher it stands."""
    return np.diff(np.round(np.arange(count + 1) * 0.2 + start, 1))


@pytest.mark.parametrize("unit", [1.0, 3.7, 1e-9, -1e12 / 7])
def test_what_rounding_alone_leaves_is_constant_whatever_the_unit(unit):
    size = np.random.default_rng(0).normal(size=300)
    encoder = Encoder().fit(np.column_stack([steps(100) * unit, size]))
    assert encoder.recipes[0].why == f"constant ({0.2 * unit:.11g})"
    later = np.column_stack([steps(600) * unit, size])
    assert not encoder.transform(later, aside=True)[:, -1].any()
    assert encoder.transform(later * 1.01, aside=True)[:, -1].all()


def test_beside_other_values_too_it_counts_as_one():
    (recipe,) = Encoder().fit(np.r_[steps(100), 0.5, np.inf][:, None]).recipes
    assert recipe.usual == (0.2,)
    assert np.unique(recipe.read(pd.Series(steps(600)))).tolist() == [0.2]


@pytest.mark.parametrize(
    "numbers",
    [
        1.7e9 + np.arange(300) % 7 / 4,
        1e15 + np.arange(300) % 3,
        1e9 * (1 + np.arange(300) * 1e-13) + 0.5,
        5_432_123 + np.arange(300) % 5 / 1000,
    ],
    ids=["moments", "whole numbers", "none comes again", "millimetres of a northing"],
)
def test_small_differences_of_large_numbers_are_no_rounding(numbers):
    assert (
        list(Encoder().fit(np.column_stack([numbers, numbers])).kinds_.values()) == ["number"] * 2
    )


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([-999] * 3, -999),
        ([65535] * 4, 65535),
        ([-999] * 2, None),  # too few
        ([-997] * 9, None),  # no code
        ([-9] * 9, None),  # not far
        ([-9.5] * 9, None),
    ],
)
def test_codes_for_gaps_far_outside_are_told(values: list[float], code: float | None) -> None:
    rows = pd.DataFrame({"temp": np.r_[np.linspace(10, 60, 80), values]})
    sparse = sp.csr_matrix(np.r_[np.zeros(40), rows["temp"]][:, None])
    for encoder in (Encoder().fit(rows), Encoder().fit(sparse)):
        restored = Encoder.from_state(*encoder.state())
        for note in (encoder.report()[0], restored.report()[0]):
            if code is None:
                assert (note.cause, note.reason) == ("", "")
            else:
                assert note.cause == "code"
                assert note.reason == (
                    f"{code} in {len(values)} rows, far outside of all other values, may stand for "
                    "gaps; if so, leave such cells empty"
                )


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ([-99, -77], "-99 in 4 rows and -77 in 4 rows"),
        ([88, 99], "88 in 4 rows and 99 in 4 rows"),
        ([98, 99], "98 in 4 rows and 99 in 4 rows"),
        ([97, 98, 99], "97 in 4 rows and 98 in 4 rows and 99 in 4 rows"),
        ([-8, -9], "-9 in 4 rows and -8 in 4 rows"),
        ([-999, 99], "-999 in 4 rows and 99 in 4 rows"),
        ([77, 88], ""),  # none that is a code alone
        ([8, 9], ""),  # a scale may go on so
        ([98.5, 99], ""),
        ([50, 99], ""),
    ],
)
def test_codes_beside_each_other_are_told_in_one_note(codes: list[float], told: str) -> None:
    rows = pd.DataFrame({"q": np.r_[np.tile(np.arange(1.0, 6.0), 40), np.repeat(codes, 4)]})
    encoder = Encoder().fit(rows)
    far = ", far outside of all other values, may stand for gaps; if so, leave such cells empty"
    for (note,) in (encoder.report(), Encoder.from_state(*encoder.state()).report()):
        assert (note.cause, note.reason) == (("code", told + far) if told else ("", ""))


@pytest.mark.parametrize(
    "values",
    [np.arange(100), np.r_[18:80, 98, 99, 98, 99, 98, 99], np.r_[-9:40, -9, -9, -8, -8]],
    ids=["percent", "age", "temperature"],
)
def test_a_scale_that_runs_on_to_codes_is_none(values: np.ndarray) -> None:
    rows = pd.DataFrame({"q": np.tile(values, 4)})
    assert Encoder().fit(rows).report()[0].cause == ""


def test_values_of_flags_and_durations_are_no_codes() -> None:
    flags = pd.Series([-1.0, 0.0, 1.0] * 9 + [99.0] * 5)
    assert Encoder().fit(pd.DataFrame({"x": flags})).report()[0].cause == "code"
    assert Encoder().fit(pd.DataFrame({"x": flags[flags != 0]})).report()[0].cause == ""  # two else
    lasting = pd.DataFrame({"x": pd.to_timedelta(flags * 1e9)})
    assert Encoder().fit(lasting).report()[0].cause == ""


@pytest.mark.parametrize("as_text", [False, True])
def test_columns_that_name_groups_of_rows_are_told(as_text: bool) -> None:
    visits = np.random.default_rng(0).permutation(np.repeat(np.arange(1000, 1100), 4))
    rows = pd.DataFrame({"patient_id": visits, "age": visits})
    rows = rows.astype("str").radd("P") if as_text else rows
    encoder = Encoder().fit(rows)
    for note, other in (encoder.report(), Encoder.from_state(*encoder.state()).report()):
        assert note.cause == "groups"
        assert note.used
        assert (
            "may name what rows belong to, as a lot or a customer (100 values in 400 rows)"
            in note.reason
        )
        assert other.cause == ""


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("shop_id", np.repeat(np.arange(10), 40)),  # levels
        ("case_id", np.r_[np.zeros(300), np.arange(100)]),  # uneven
        ("visit_no", np.arange(400) * 1.5),  # no whole numbers
        ("number of rooms", np.tile(np.arange(100), 4)),
    ],
)
def test_other_columns_are_not(name: str, values: np.ndarray) -> None:
    assert Encoder().fit(pd.DataFrame({name: values})).report()[0].cause == ""


def test_codes_of_many_digits_are_identifiers_and_phone_numbers_in_text_levels() -> None:
    numbers = np.random.default_rng(0).choice(10**8, 300, replace=False) + 491700000000
    rows = pd.DataFrame({"phone": numbers, "turnover": numbers})
    assert [*Encoder().fit(rows).kinds_.values()] == ["left out", "number"]
    rows["phone"] = rows["phone"].mask(rows.index < 30)
    assert [*Encoder().fit(rows).kinds_.values()] == ["left out", "number"]
    written = pd.DataFrame({"x": [f"+{n}" for n in numbers], "turnover": numbers})
    assert [*Encoder().fit(written).kinds_.values()] == ["left out", "number"]
    written["x"] = written["x"].iloc[np.arange(300) % 20].to_numpy()
    assert [*Encoder().fit(written).kinds_.values()] == ["category", "number"]
