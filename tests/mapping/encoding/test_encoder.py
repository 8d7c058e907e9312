import datetime
import decimal
import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from oddshot.errors import DataError
from oddshot.mapping.encoding.encoder import Encoder

N = 60


def mixed_frame(n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    colours = rng.choice(["red", "green", "blue"], n)
    return pd.DataFrame(
        {
            "kg": np.where(rng.random(n) < 0.2, np.nan, rng.normal(5, 2, n)),
            "count": rng.integers(0, 5, n),
            "ok": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
            "colour": pd.Series(np.where(rng.random(n) < 0.1, None, colours), dtype=object),
            "town": rng.choice([f"town {i}" for i in range(20)], n),
            "seen": pd.date_range("2024-01-01", periods=n, freq="7h"),
            "text": [f"row {i} says nothing new" for i in range(n)],
            "user_id": rng.permutation(n) * 3,
            "price": rng.normal(size=n).astype(str),
        }
    )


def kind(values: Any, name: str = "column") -> str:
    other = np.arange(len(values)) % 2
    encoder = Encoder().fit(pd.DataFrame({name: values, "other": other}))
    return encoder.kinds_[name]


def column(encoder: Encoder, X: Any, source: str, what: str) -> np.ndarray:
    return encoder.transform(X)[:, encoder.encoded_names_.index((source, what))]


# What a column holds


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, 2.5, 1.0], "number"),
        ([1, None, 3], "number"),
        (["1.5", " 2", "-3e5", "?", None], "number"),
        ([1, 2.5, True, "3"], "number"),
        ([decimal.Decimal("1.5"), decimal.Decimal(2)], "number"),
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


def test_every_column_is_accounted_for() -> None:
    frame = mixed_frame()
    notes = Encoder().fit(frame).report()
    assert [note.column for note in notes] == list(frame.columns)
    assert {note.column: note.reason for note in notes if not note.used} == {
        "text": "free text (60 different in 60 rows)",
        "user_id": "identifier (all integers differ, and the name says so)",
    }
    assert all(note.reason for note in notes if note.column in ("kg", "town"))


# How it is written


def test_numbers_with_gaps_and_infinities() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0, np.nan]})
    encoder = Encoder().fit(frame)
    assert encoder.encoded_names_ == [("x", "value"), ("x", "missing")]
    new = pd.DataFrame({"x": [3.0, np.nan, np.inf, -np.inf]})
    np.testing.assert_array_equal(encoder.transform(new), [[3, 0], [2, 1], [4 + 3, 0], [1 - 3, 0]])


def test_gaps_that_fit_did_not_see_lie_far_outside_without_a_flag() -> None:
    encoder = Encoder().fit(np.array([[1.0], [2.0], [9.0]]))
    ranges = 3 * (9 - 1)  # from the least value less a range to the largest and a range
    np.testing.assert_array_equal(encoder.transform(np.array([[np.nan]])), [[2.0 + 10 * ranges]])


def test_a_constant_with_gaps_keeps_the_flag_alone() -> None:
    encoder = Encoder().fit(pd.DataFrame({"x": [5.0, None, 5.0]}))
    assert encoder.encoded_names_ == [("x", "missing")]
    np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"x": [9, None]})), [[0], [1]])


@pytest.mark.parametrize("huge", [1e300, -1e300, 1.7e308, np.inf])
def test_huge_values_do_not_overflow_later(huge: float) -> None:
    X = np.array([[1.0], [2.0], [3.0], [4.0], [huge]])
    encoded = Encoder().fit(X).transform(X)
    assert np.isfinite(np.square(encoded).sum())
    assert np.abs(encoded).max() <= 1e7
    only = np.array([[huge], [-huge], [huge], [0.0]])
    assert np.isfinite(Encoder().fit(only).transform(only) ** 3).all()


def test_levels_stand_in_order_with_gaps_and_rarity() -> None:
    frame = pd.DataFrame({"c": ["b", "a", None, "b"]})
    encoder = Encoder().fit(frame)
    assert [what for _, what in encoder.encoded_names_] == ["= a", "= b", "missing", "rarity"]
    rare = -np.log10([0.25, 0.5, 0.25, 0.5 / 4])
    new = pd.DataFrame({"c": ["a", " b ", None, "never seen"]})
    np.testing.assert_allclose(
        encoder.transform(new),
        np.column_stack([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], rare]),
    )


def test_a_gap_that_fit_did_not_see_is_an_unseen_level() -> None:
    encoder = Encoder().fit(pd.DataFrame({"c": ["a", "b", "a"]}))
    gap, unseen = encoder.transform(pd.DataFrame({"c": [None, "z"]}))
    np.testing.assert_array_equal(gap, unseen)


def test_many_levels_are_told_by_their_rarity() -> None:
    levels = np.repeat([f"l{i}" for i in range(5000)], 2).tolist() + ["common"] * 10_000
    encoder = Encoder().fit(pd.DataFrame({"c": levels}))
    assert encoder.encoded_names_ == [("c", "rarity")]
    new = pd.DataFrame({"c": ["common", "l7", "new"]})
    np.testing.assert_allclose(
        encoder.transform(new)[:, 0], -np.log10([0.5, 2 / 20_000, 0.5 / 20_000])
    )


def test_which_of_many_levels_it_is_stands_aside() -> None:
    levels = [f"l{i:02}" for i in range(13)] * 2
    encoder = Encoder().fit(pd.DataFrame({"c": levels}))
    new = pd.DataFrame({"c": ["l03", "never", " l12"]})
    encoded = encoder.transform(new, aside=True)
    np.testing.assert_array_equal(encoded[:, :1], encoder.transform(new))
    np.testing.assert_array_equal(encoded[:, 1], [3, 13, 12])
    assert encoder.aside_names_ == [("c", "level")]
    settings, arrays = encoder.state()
    again = Encoder.from_state(json.loads(json.dumps(settings)), arrays)
    np.testing.assert_array_equal(again.transform(new, aside=True), encoded)
    for column in settings["columns"]:
        column.pop("told_apart", None)  # as an older version saved it
    assert Encoder.from_state(settings, arrays).aside_names_ == []


def test_levels_are_found_where_they_are_written() -> None:
    few, many = ["a", "b", None, "a"] * 7, [f"l{i % 14}" for i in range(28)]
    encoder = Encoder().fit(pd.DataFrame({"few": few, "many": many, "x": range(28)}))
    (count, at), (more, place) = encoder.levels_at()
    encoded = encoder.transform(pd.DataFrame({"few": few, "many": many, "x": 1.0}), aside=True)
    assert (count, more) == (3, 14)
    assert encoded[:4, at].argmax(axis=1).tolist() == [0, 1, 2, 0]
    assert len(np.unique(encoded[:, place])) == 14


def test_booleans_are_0_and_1() -> None:
    encoder = Encoder().fit(pd.DataFrame({"b": [True, False, None, True]}))
    new = pd.DataFrame({"b": ["FALSE", "true", None, 1]})
    np.testing.assert_array_equal(encoder.transform(new), [[0, 0], [1, 0], [1, 1], [1, 0]])


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
        moments.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
        moments.astype(object),
        moments.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
    ):
        np.testing.assert_allclose(encoder.transform(pd.DataFrame({"d": same})), meant, atol=1e-9)


# Rows at scoring


def test_columns_are_found_by_name() -> None:
    frame = mixed_frame()
    encoder = Encoder().fit(frame)
    shuffled = frame[sorted(frame.columns)].assign(extra=1)
    np.testing.assert_array_equal(encoder.transform(shuffled), encoder.transform(frame))


def test_missing_columns_are_listed() -> None:
    encoder = Encoder().fit(mixed_frame())
    with pytest.raises(DataError, match=r"2 columns that fit was given: 'colour', 'kg'"):
        encoder.transform(mixed_frame().drop(columns=["kg", "colour"]))


def test_another_width_is_told_in_scikit_learns_words() -> None:
    encoder = Encoder().fit(np.random.default_rng(0).normal(size=(9, 4)))
    for rows in (np.ones((2, 3)), sp.csr_matrix(np.ones((2, 3))), pd.DataFrame(np.ones((2, 3)))):
        with pytest.raises(
            DataError,
            match="X has 3 features, but Encoder is expecting 4 features as input",
        ):
            encoder.transform(rows)


def test_rows_without_names_are_taken_by_position() -> None:
    X = np.random.default_rng(0).normal(size=(9, 3))
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    encoded = Encoder().fit(frame).transform(X)
    np.testing.assert_array_equal(encoded, Encoder().fit(X).transform(frame))
    np.testing.assert_array_equal(encoded, X)


def test_counted_columns_are_found_in_another_order_too() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)))
    encoder = Encoder().fit(frame)
    np.testing.assert_array_equal(encoder.transform(frame[[2, 0, 1]]), frame.to_numpy())


def test_types_may_change_between_fit_and_scoring() -> None:
    frame = mixed_frame()
    encoder = Encoder().fit(frame)
    for new in (
        frame.astype({"kg": "str", "count": "str", "ok": "str", "seen": "str"}),
        frame.astype({"kg": "float32"}).astype({"kg": object, "count": float, "price": float}),
        frame.astype({"colour": "category", "town": "string"}),
        pa.Table.from_pandas(frame),
        pl.from_pandas(frame),
    ):
        np.testing.assert_allclose(encoder.transform(new), encoder.transform(frame), rtol=1e-6)


def test_levels_survive_a_change_of_type() -> None:
    encoder = Encoder().fit(pd.DataFrame({"c": pd.Categorical([1, 2, 2, 3])}))
    meant = encoder.transform(pd.DataFrame({"c": [1, 2]}))
    for same in ([1.0, 2.0], ["1", "2 "], pd.Categorical(["1", "2"])):
        np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"c": same})), meant)
    assert meant[:, 0].tolist() == [1, 0]
    np.testing.assert_array_equal(encoder.transform(np.array([[1.0], [2.0]])), meant)


@pytest.mark.parametrize(
    "spellings",
    [
        ([True, False, True], ["True", "False", "True"], ["true", "false", "true"], [1, 0, 1]),
        ([1, 2, 3], [1.0, 2.0, 3.0], ["1.0", "2.0", "3.0"], ["1", "2", "3"]),
    ],
)
def test_a_level_is_one_in_every_spelling_whichever_came_first(spellings) -> None:
    frames = [pd.DataFrame({"c": pd.Categorical(cells)}) for cells in spellings]
    for first in frames:
        encoder = Encoder().fit(first)
        meant = encoder.transform(first)
        for other, cells in zip(frames, spellings, strict=True):
            np.testing.assert_array_equal(encoder.transform(other), meant)
            np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"c": cells})), meant)


def test_codes_and_levels_that_stand_side_by_side_stay_apart() -> None:
    levels = pd.DataFrame({"c": pd.Categorical(["1", "1.0", "01", "True"])})
    assert len(np.unique(Encoder().fit(levels).transform(levels), axis=0)) == 4
    encoder = Encoder().fit(pd.DataFrame({"c": pd.Categorical(["01", "02"])}))
    assert not encoder.transform(pd.DataFrame({"c": [1, 2]}))[:, :2].any()


def test_a_constant_level_is_one_in_every_spelling() -> None:
    encoder = Encoder().fit(pd.DataFrame({"c": pd.Categorical([True, True]), "x": [1.5, 2.5]}))
    new = pd.DataFrame({"c": ["True", "1.0", "other"], "x": 1.5})
    assert encoder.transform(new, aside=True)[:, -1].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("values", "bad", "message"),
    [
        ([1.5, 2.5], "ERR", "column 'x' holds 'ERR' in row 2, where a number was learned"),
        ([True, False], "perhaps", "holds 'perhaps' in row 2, where true or false was learned"),
        (["2020-01-01", "2021-01-01"], "soon", "holds 'soon' in row 2, where a date was learned"),
        (["2020-01-01", "2021-01-01"], 5.0, "holds 5.0 in row 2, where a date was learned"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(
    values: list[Any], bad: Any, message: str
) -> None:
    encoder = Encoder().fit(pd.DataFrame({"x": values}))
    with pytest.raises(DataError, match=message):
        encoder.transform(pd.DataFrame({"x": [values[0], bad]}, dtype=object))


def test_nested_values_at_scoring_are_an_unseen_level() -> None:
    encoder = Encoder().fit(pd.DataFrame({"c": ["a", "b", "a"]}))
    encoded = encoder.transform(pd.DataFrame({"c": ["a", {"no": 1}, ["b"]]}))
    assert encoded[:, 0].tolist() == [1, 0, 0]
    assert encoded[1, -1] == encoded[2, -1] == -np.log10(0.5 / 3)


def test_a_row_is_encoded_alike_alone_or_in_company() -> None:
    frame = mixed_frame()
    encoder = Encoder().fit(frame)
    alone = np.vstack([encoder.transform(frame.iloc[[i]]) for i in range(len(frame))])
    np.testing.assert_array_equal(alone, encoder.transform(frame))


def test_no_rows_at_scoring_give_no_rows() -> None:
    frame = mixed_frame()
    encoder = Encoder().fit(frame)
    assert encoder.transform(frame.iloc[:0]).shape == (0, len(encoder.encoded_names_))


# What cannot be learned from


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((0, 3)), r"X has 0 rows; give at least 1 .* 0 sample\(s\), shape=\(0, 3\)"),
        (np.ones((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
        (np.ones((1, 3)), r"X has 1 row; give at least 2 .* 1 sample\(s\)"),
        ("january.csv", "X is 'january.csv', a path or a text; read the table first"),
        (pd.DataFrame({"a": []}), r"0 sample\(s\)"),
        (np.ones((5, 2)), r"no column is left to learn from \('0': constant \(1\); '1': con"),
        (pd.DataFrame({"t": ["a", "b"], "e": [None, None]}), "'t': identifier .*; 'e': all val"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "several columns are named 'a'"),
        (np.ones(3), "Reshape your data"),
        (np.ones((2, 2, 2)), "dim 3"),
        (np.array([[1 + 1j], [2.0]]), "Complex data not supported"),
        (pd.DataFrame({"z": [1 + 1j, 2.0]}), "Complex data not supported"),
        ([[1, 2], [3]], "different lengths"),
    ],
)
def test_unusable_tables_are_explained(X: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Encoder().fit(X)


def test_an_encoder_that_is_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError, match="call fit first"):
        Encoder().transform(np.ones((2, 2)))


# Invariances


def test_columns_of_a_permuted_frame_are_permuted() -> None:
    frame = mixed_frame()
    encoder, other = Encoder().fit(frame), Encoder().fit(frame[frame.columns[::-1]])
    assert sorted(encoder.encoded_names_) == sorted(other.encoded_names_)
    order = [other.encoded_names_.index(name) for name in encoder.encoded_names_]
    np.testing.assert_array_equal(other.transform(frame)[:, order], encoder.transform(frame))


@pytest.mark.parametrize("scale", [1e-6, 3.7, 1e6])
@pytest.mark.parametrize("shift", [0.0, -12.5])
def test_units_pass_through(scale: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    X = np.exp(3 * rng.normal(size=(80, 3)))
    X[3, 0], X[5, 1], X[7, 2], X[9, 2] = np.nan, np.inf, 1e30, -np.inf
    changed = Encoder().fit(X * scale + shift).transform(X * scale + shift)
    encoder = Encoder().fit(X)
    value = [what == "value" for _, what in encoder.encoded_names_]
    encoded = encoder.transform(X)
    encoded[:, value] = encoded[:, value] * scale + shift
    np.testing.assert_allclose(changed, encoded, rtol=1e-6, atol=1e-8 * scale)


CELLS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(["1.5", "?", "2020-01-01", "31.12.2020", "true", "a b c d", "red", "\x00"]),
    st.dates(),
    st.datetimes(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.timedeltas(),
    st.lists(st.integers(), max_size=2),
)
COLUMN_CELLS = [
    CELLS,
    st.floats(),
    st.floats(-1e3, 1e3) | st.none(),
    st.integers(),
    st.booleans() | st.none(),
    st.sampled_from(["red", "green", "blue", None]),
    st.text(max_size=3),
    st.dates() | st.none(),
    st.datetimes(),
    st.dates().map(str),
    st.integers(-5, 5).map(str),
]


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(2, 25))
    cells = draw(st.lists(st.sampled_from(COLUMN_CELLS), min_size=1, max_size=5))
    columns = [draw(st.lists(cell, min_size=rows, max_size=rows)) for cell in cells]
    series = [pd.Series(c, dtype=object, name=f"c{i}") for i, c in enumerate(columns)]
    frame = pd.concat(series, axis=1)
    return frame.infer_objects() if draw(st.booleans()) else frame


@settings(max_examples=150, deadline=None)
@given(frames(), st.randoms(use_true_random=False))
def test_mixed_frames_become_finite_numbers_whatever_the_order(
    frame: pd.DataFrame, random: Any
) -> None:
    frame["anchor"] = np.arange(len(frame)) % 2
    encoder = Encoder().fit(frame)
    encoded = encoder.transform(frame)
    assert encoded.shape == (len(frame), len(encoder.encoded_names_))
    assert encoded.dtype == np.float64
    assert np.isfinite(encoded).all()
    np.testing.assert_array_equal(Encoder().fit(frame).transform(frame), encoded)
    order = random.sample(range(len(frame)), len(frame))
    permuted = frame.iloc[order]
    np.testing.assert_array_equal(encoder.transform(permuted), encoded[order])
    np.testing.assert_array_equal(Encoder().fit(permuted).transform(permuted), encoded[order])
    settings_, arrays = encoder.state()
    restored = Encoder.from_state(json.loads(json.dumps(settings_)), arrays)
    np.testing.assert_array_equal(restored.transform(frame), encoded)


# State, sparse rows, speed


@pytest.mark.parametrize("X", [mixed_frame(), np.random.default_rng(0).normal(size=(20, 3))])
def test_an_encoder_comes_back_from_json_and_arrays(X: Any) -> None:
    encoder = Encoder().fit(X)
    settings_, arrays = encoder.state()
    restored = Encoder.from_state(json.loads(json.dumps(settings_, allow_nan=False)), arrays)
    np.testing.assert_array_equal(restored.transform(X), encoder.transform(X))
    assert restored.report() == encoder.report()
    assert restored.encoded_names_ == encoder.encoded_names_
    assert restored.state()[0] == settings_
    np.testing.assert_array_equal(restored.state()[1]["numbers"], arrays["numbers"])
    assert (restored.feature_names_in_ is None) == isinstance(X, np.ndarray)


@pytest.mark.parametrize("density", [0.02, 0.5, 0.9])
def test_sparse_rows_are_encoded_as_dense_ones(density: float) -> None:
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((50, 40)) < density, rng.normal(size=(50, 40)), 0.0)
    dense[3, 4], dense[5, 6] = np.nan, np.inf
    meant = Encoder().fit(dense)
    frame = pd.DataFrame.sparse.from_spmatrix(
        sp.csr_matrix(dense), columns=[f"c{i}" for i in range(40)]
    )
    for rows in (sp.csr_matrix(dense), sp.coo_array(dense), sp.csc_matrix(dense), frame):
        encoder = Encoder().fit(rows)
        np.testing.assert_array_equal(encoder.state()[1]["numbers"], meant.state()[1]["numbers"])
        np.testing.assert_array_equal(encoder.transform(rows), meant.transform(dense))
    np.testing.assert_array_equal(
        meant.transform(sp.csr_matrix(dense)[:7]), meant.transform(dense)[:7]
    )


def test_object_arrays_and_lists_are_read_by_content() -> None:
    rows = [["red", 1, None], ["blue", 2.5, 3], ["red", 4, 5]]
    from_list, from_array = Encoder().fit(rows), Encoder().fit(np.array(rows, dtype=object))
    assert from_list.kinds_ == {"0": "category", "1": "number", "2": "number"}
    assert from_array.kinds_ == from_list.kinds_
    assert from_list.feature_names_in_ is None
    np.testing.assert_array_equal(from_list.transform(rows), from_array.transform(rows))


def test_plain_matrices_stay_as_they_are() -> None:
    X = np.random.default_rng(0).normal(size=(2000, 20))
    encoded = Encoder().fit(X).transform(X)
    np.testing.assert_array_equal(encoded, X)
    assert encoded is not X
    encoded[:] = 0  # the user's rows are another array
    assert X.any()


@pytest.mark.parametrize("days", [106751992, 999999999, -999999999])
def test_durations_beyond_what_pandas_can_hold_are_numbers(days):
    column = [datetime.timedelta(days=days), datetime.timedelta(hours=12), None]
    encoder = Encoder().fit(pd.DataFrame({"a": pd.Series(column, dtype=object)}))
    assert encoder.kinds_ == {"a": "number"}
    encoded = encoder.transform(pd.DataFrame({"a": pd.Series(column[1:2], dtype=object)}))
    assert encoded[0, 0] == 0.5


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["$1,100.50", "$3", "-$2,000,000"], [1100.5, 3.0, -2e6]),
        (["8.1%", "12 %", "+7%"], [0.081, 0.12, 0.07]),
        (["(3,000)", "12", "1,250."], [-3000.0, 12.0, 1250.0]),
        (["1'250 €", "€ 7", "\N{MINUS SIGN}1\N{NO-BREAK SPACE}000"], [1250.0, 7.0, -1000.0]),
    ],
)
def test_amounts_are_numbers_as_people_write_them(texts, numbers):
    encoder = Encoder().fit(pd.DataFrame({"x": [*texts, "5"]}))
    assert encoder.kinds_ == {"x": "number"}
    np.testing.assert_allclose(encoder.transform(pd.DataFrame({"x": texts}))[:, 0], numbers)


@pytest.mark.parametrize("text", ["(5", "5)", "5-6", "30 00", "1,000,00", "$", "%"])
def test_what_only_looks_like_an_amount_is_a_text(text):
    assert Encoder().fit(pd.DataFrame({"x": [text, text, "5", "6"]})).kinds_ == {"x": "category"}


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


@pytest.mark.parametrize(
    ("texts", "numbers", "told"),
    [
        (["12.5 kg", "3 kg", "1,200 kg"], [12.5, 3, 1200], "in 'kg'"),
        (["21.5°C", "-3 °C"], [21.5, -3], "in '°C'"),
        (
            ["1.50M", "900K"],
            [1.5e6, 9e5],
            "with 'K' for 1,000, 'M' for 1,000,000, 'B' for 1,000,000,000",
        ),
        (["12.50 CR", "3.10 DR"], [12.5, -3.1], "with 'DR' for -1, 'CR' for 1"),
    ],
)
def test_units_are_read_and_told(texts, numbers, told):
    encoder = Encoder().fit(pd.DataFrame({"x": [*texts, texts[0]]}))
    note = encoder.report()[0]
    assert (note.kind, note.cause, note.reason) == ("number", "unit", f"read as numbers {told}")
    again = Encoder.from_state(*encoder.state())
    np.testing.assert_allclose(again.transform(pd.DataFrame({"x": texts}))[:, 0], numbers)
    with pytest.raises(DataError, match="'x' holds '5 lb' in row 1"):
        again.transform(pd.DataFrame({"x": ["5 lb"]}))


def test_levels_that_may_be_numbers_are_told():
    generator = np.random.default_rng(0)
    sizes = [f"{n} {('kg', 'g')[n % 2]}" for n in generator.integers(1, 60, 300)]
    note = Encoder().fit(pd.DataFrame({"x": sizes})).report()[0]
    assert note.cause == "digits"
    assert note.reason.endswith("if they are numbers, write them as such, in one unit")


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


def test_words_among_numbers_are_gaps_and_it_is_said():
    temperature = [f"{80 + n / 7:.2f}" for n in range(200)]
    temperature[7], temperature[100] = "ERR", "99999.0"
    rows = pd.DataFrame({"t": temperature, "x": np.arange(200) % 5})
    encoder = Encoder().fit(rows)
    assert encoder.report()[0].reason.startswith("read as numbers; 'ERR' and gaps")
    again = Encoder.from_state(*encoder.state())
    encoded = again.transform(pd.DataFrame({"t": ["ERR", "90"], "x": 1}))
    assert encoded[:, 1].tolist() == [1.0, 0.0]
    assert encoded[1, 0] == 90
    with pytest.raises(DataError, match="'t' holds 'off' in row 1, where a number was learned"):
        again.transform(pd.DataFrame({"t": ["off"], "x": 1}))


def test_decimal_commas_are_remembered():
    rows = pd.DataFrame({"price": [f"{n}.{n:03d},50" for n in range(1, 50)]})
    encoder = Encoder.from_state(*Encoder().fit(rows).state())
    seen = encoder.transform(pd.DataFrame({"price": ["6.257", "1,5"]}))
    assert seen[:, 0].tolist() == [6257.0, 1.5]


def test_days_before_months_where_dates_lie_far_closer_together():
    days = [f"{day:02d}/{month:02d}/2024" for month in (5, 6) for day in range(1, 13)]
    encoder = Encoder().fit(pd.DataFrame({"when": days}))
    encoder.transform(pd.DataFrame({"when": ["31/05/2024"]}))


def test_months_before_days_where_one_of_both_never_changes():
    first = [f"{month:02d}/01/{year}" for year in range(2020, 2025) for month in range(1, 13)]
    encoder = Encoder().fit(pd.DataFrame({"when": first}))
    encoder.transform(pd.DataFrame({"when": ["01/31/2025"]}))


def test_columns_that_are_left_out_may_be_missing_later():
    rows = pd.DataFrame({"id": range(30), "x": [*range(10)] * 3, "same": 1})
    encoder = Encoder().fit(rows)
    np.testing.assert_array_equal(encoder.transform(rows[["x"]]), encoder.transform(rows))
    with pytest.raises(DataError, match="'x'"):
        encoder.transform(rows[["id", "same"]])


def counted(rows: int = 80, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    town = [f"town {i}" for i in rng.integers(30, size=rows)]
    few = pd.Series([*"abcd", None])[rng.integers(5, size=rows)]
    return pd.DataFrame({"town": town, "x": rng.normal(size=rows), "few": few.to_numpy()})


def test_levels_are_counted_anew_without_some_rows():
    rows = counted()
    encoder = Encoder().fit(rows)
    encoded = encoder.transform(rows, aside=True)
    fewer = encoder.without(encoded[:20], np.ones(20))
    as_if = Encoder().fit(rows[20:])
    new = counted(seed=1)
    np.testing.assert_array_equal(fewer.transform(new), as_if.transform(new))
    written = fewer.transform(new, aside=True)
    rewritten = fewer.rewritten(encoder.transform(new, aside=True))
    np.testing.assert_array_equal(rewritten, written)
    np.testing.assert_array_equal(fewer.rewritten(written), written)
    np.testing.assert_array_equal(encoder.rewritten(encoded), encoded)


def test_a_level_of_which_no_row_is_left_was_never_seen():
    rows = pd.DataFrame({"few": [*"aaabbc"], "x": range(6)})
    encoder = Encoder().fit(rows)
    gone = encoder.transform(rows, aside=True)[[5]]
    fewer = encoder.without(gone, np.ones(1))
    written = fewer.transform(rows)
    np.testing.assert_array_equal(written[5], fewer.transform(rows.assign(few="d"))[5])
    assert fewer.unseen_shares(rows) == {"few": 1 / 6}
    assert encoder.unseen_shares(rows) == {"few": 0.0}
    assert encoder.without(gone, np.full(1, 9.0)).unseen_shares(rows) == {"few": 1 / 6}


def test_numbers_are_not_written_anew():
    rows = np.random.default_rng(0).normal(size=(20, 3))
    encoder = Encoder().fit(rows)
    assert encoder.rewritten(rows) is rows
    assert encoder.rarer == 0


def test_the_rarer_levels_are_the_more_a_row_counts_for_its_own():
    found = [Encoder().fit(counted(rows)).rarer for rows in (60, 200, 800)]
    assert found[0] > found[1] > found[2] > 0
    every = pd.DataFrame({"town": [f"town {i}" for i in range(20)] * 3, "x": range(60)})
    assert Encoder().fit(every).rarer == 0  # all are as rare


@pytest.mark.parametrize("times", [1, 2])
def test_copies_of_rows_do_not_make_an_identifier_something_else(times: int) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"kg": rng.normal(size=200)})
    rows["order"] = [f"A{i:05d}" for i in range(200)]
    rows["number"] = np.arange(5000, 5200)
    some = rows.sample(60 if times == 1 else 200, random_state=0)
    copied = pd.concat([rows, some], ignore_index=True)
    encoder = Encoder().fit(copied)
    assert encoder.kinds_ == {"kg": "number", "order": "left out", "number": "left out"}
    assert {note.reason for note in encoder.report() if not note.used} == {
        "identifier (200 different in 200 rows)",
        "identifier (a running number)",
    }
    other = rows.assign(kg=-rows["kg"])  # the same names on rows that differ
    kept = Encoder().fit(pd.concat([rows, other[:60]], ignore_index=True))
    assert kept.kinds_ == {"kg": "number", "order": "category", "number": "number"}


def test_cities_of_a_country_are_no_copies_of_each_other() -> None:
    rng = np.random.default_rng(0)
    city = rng.integers(0, 90, 200)
    rows = pd.DataFrame(
        {"city": [f"town {c}" for c in city], "country": [f"c{c % 3}" for c in city]}
    )
    assert Encoder().fit(rows).kinds_["city"] == "category"
