import datetime
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

from oddshot.errors import CellError, DataError
from oddshot.mapping.cells.notation import find_notation
from oddshot.mapping.encoding.encoder import BLOCK_ROWS, Encoder
from small_frames import mixed_frame

# What a column holds


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
        *(
            ([f"12.5 {unit}", f"3 {unit}"], [12.5, 3], f"in '{unit}'")
            for unit in ("s", "N", "W", "E", "N·m", "Nm", "Ohm*m", "%RH", "1/min", "min⁻¹")
        ),
    ],
)
def test_units_are_read_and_told(texts, numbers, told):
    encoder = Encoder().fit(pd.DataFrame({"x": [*texts, texts[0]]}))
    note = encoder.report()[0]
    assert (note.kind, note.cause, note.reason) == ("number", "unit", f"read as numbers {told}")
    again = Encoder.from_state(*encoder.state())
    np.testing.assert_allclose(again.transform(pd.DataFrame({"x": texts}))[:, 0], numbers)
    with pytest.raises(DataError, match="'x' holds '5 lb' in row 0"):
        again.transform(pd.DataFrame({"x": ["5 lb"]}))


def test_letters_of_the_compass_are_no_units():
    north, values = [f"{v}.5 N" for v in range(40)], np.arange(40) + 0.5
    kinds = Encoder().fit(pd.DataFrame({"latitude": north, "force": north, "x": values})).kinds_
    assert (kinds["latitude"], kinds["force"]) == ("left out", "number")
    both = [*north[:39], "9.5 S"]
    assert Encoder().fit(pd.DataFrame({"force": both, "x": values})).kinds_["force"] == "left out"


def test_a_unit_that_begins_with_a_digit_stands_apart():
    notation = find_notation(["12.5 1/min", "3 1/min"])
    assert notation.read(["12.5 1/min"]).tolist() == [12.5]
    assert notation.read(["12.51/min"]) is None


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
    with pytest.raises(DataError, match="'t' holds 'off' in row 0, where a number was learned"):
        again.transform(pd.DataFrame({"t": ["off"], "x": 1}))


# Rows at scoring


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


@pytest.mark.parametrize(
    ("values", "bad", "message"),
    [
        ([1.5, 2.5], "ERR", "column 'x' holds 'ERR' in row 1, where a number was learned"),
        ([True, False], "perhaps", "holds 'perhaps' in row 1, where true or false was learned"),
        (["2020-01-01", "2021-01-01"], "soon", "holds 'soon' in row 1, where a date was learned"),
        (["2020-01-01", "2021-01-01"], 5.0, "holds 5.0 in row 1, where a date was learned"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(
    values: list[Any], bad: Any, message: str
) -> None:
    encoder = Encoder().fit(pd.DataFrame({"x": values}))
    with pytest.raises(DataError, match=message):
        encoder.transform(pd.DataFrame({"x": [values[0], bad]}, dtype=object))


def test_a_row_is_counted_among_all_where_it_is_encoded_in_a_block():
    rows = pd.DataFrame({"x": np.arange(6 * BLOCK_ROWS) / 7})
    encoder = Encoder().fit(rows)
    rows = rows.astype(object)
    rows.iloc[-3, 0] = "ERR"
    with pytest.raises(CellError, match=f"'x' holds 'ERR' in row {len(rows) - 3}, where"):
        list(encoder.blocks(rows))


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
        (
            pd.DataFrame({"line": [f"job {i} ended well" for i in range(40)]}),
            r"'line': free text .*; make columns of free text.* TfidfVectorizer\(min_df=2\)",
        ),
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


@settings(max_examples=150)
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


# Matrices and lists


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


def test_what_is_not_learned_is_left_out_whatever_it_holds():
    rows = pd.DataFrame({"txn": np.arange(40) % 7, "x": np.arange(40) / 7})
    encoder = Encoder().fit(rows, not_learned={"txn": "identifier (as before)"})
    assert encoder.kinds_ == {"txn": "left out", "x": "number"}
    assert encoder.identifiers == {"txn": "identifier (as before)"}


TOOK = pd.Series(pd.to_timedelta(np.arange(40) % 13, "h"), name="took")


@pytest.mark.parametrize("learned", [TOOK, TOOK.astype(object), TOOK.astype(str)])
def test_durations_are_no_whole_numbers_of_an_unknown_unit(learned):
    encoder = Encoder().fit(learned.to_frame())
    expected = encoder.transform(TOOK.to_frame())
    days = TOOK / pd.Timedelta(days=1)
    for alike in (learned, days, TOOK.astype("timedelta64[s]"), TOOK.astype(str)):
        np.testing.assert_allclose(encoder.transform(alike.to_frame("took")), expected)
    for wrong in (TOOK.astype("int64"), TOOK.astype("int64").astype("Int64")):
        with pytest.raises(DataError, match=r"'took' holds whole numbers, where durations were"):
            encoder.transform(wrong.to_frame())
    with pytest.raises(DataError, match=r"'took' holds 0 in row 0, where a duration was learned"):
        encoder.transform(TOOK.astype("int64").astype(object).to_frame())
    gaps = pd.DataFrame({"took": pd.array([None, None], dtype="Int64")})
    assert encoder.transform(gaps).shape == (2, 1)


@pytest.mark.parametrize(
    "learned", [np.arange(40) / 7, np.arange(40) % 11, [str(n / 7) for n in range(40)]]
)
def test_numbers_are_no_durations(learned):
    encoder = Encoder().fit(pd.DataFrame({"took": learned, "n": 1.5 + np.arange(40) % 9}))
    for wrong in (TOOK, TOOK.astype(object), TOOK.astype(str)):
        with pytest.raises(DataError, match=r"'took' holds .* where (numbers|a number) w"):
            encoder.transform(pd.DataFrame({"took": wrong, "n": 1}))
