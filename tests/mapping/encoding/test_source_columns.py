import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from oddshot.errors import ColumnNameWarning, DataError, SparseWarning
from oddshot.frames import to_rows
from oddshot.mapping.encoding.encoder import Encoder
from small_frames import mixed_frame


def test_columns_are_found_by_name() -> None:
    frame = mixed_frame()
    encoder = Encoder().fit(frame)
    shuffled = frame[sorted(frame.columns)].assign(extra=1)
    np.testing.assert_array_equal(encoder.transform(shuffled), encoder.transform(frame))


def test_missing_columns_are_listed() -> None:
    encoder = Encoder().fit(mixed_frame())
    with pytest.raises(DataError, match=r"2 columns that fit was given: 'colour', 'kg'"):
        encoder.transform(mixed_frame().drop(columns=["kg", "colour"]))


def test_objects_that_are_missing_in_all_rows_are_gaps():
    rows = pd.DataFrame(
        {
            "paid.value": np.arange(40) / 7,
            "paid.in.code": ["EUR", "USD"] * 20,
            "paid.day": pd.date_range("2024-01-01", periods=40).astype(str),
            "paid.when": pd.date_range("2024-01-01", periods=40, freq="7h"),
            "paid.took": pd.to_timedelta(np.arange(40) % 13, "h"),
            "paid.back": [True, False, False, True] * 10,
            "paid.state": "fine",
        }
    )
    encoder = Encoder().fit(rows)
    gaps = encoder.transform(rows[:1].map(lambda _: None), aside=True)
    empty = pd.DataFrame({"paid": [None], "other": [1]})
    np.testing.assert_array_equal(encoder.transform(empty, aside=True), gaps)
    inner = rows[:1].drop(columns="paid.in.code").assign(**{"paid.in": None})
    expected = encoder.transform(rows[:1].assign(**{"paid.in.code": None}))
    np.testing.assert_array_equal(encoder.transform(inner), expected)
    with pytest.raises(DataError, match="lacks 6 columns"):
        encoder.transform(pd.DataFrame({"paid": [1.0]}))


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


def test_names_that_are_no_unicode_are_refused():
    names = pd.Index(["a", "\udce9"], dtype=object)
    with pytest.raises(DataError, match=r"the name of column '\\udce9' is no Unicode text; rename"):
        Encoder().fit(pd.DataFrame(np.eye(3, 2), columns=names))


@pytest.mark.parametrize("kept", [slice(1, None), slice(None, None, 2)])
def test_counted_columns_that_are_left_of_others_are_found_by_name(kept):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 5)))
    rows = frame.iloc[:, kept]
    encoder = Encoder().fit(rows)
    assert [note.column for note in encoder.report()] == [str(name) for name in rows.columns]
    expected = encoder.transform(rows)
    for others in (rows.iloc[:, ::-1], frame, frame.iloc[:, ::-1]):
        np.testing.assert_array_equal(encoder.transform(others), expected)
    np.testing.assert_array_equal(encoder.transform(rows.to_numpy()), expected)
    counted = rows.set_axis(pd.RangeIndex(rows.shape[1]), axis=1)
    np.testing.assert_array_equal(encoder.transform(counted), expected)


def test_columns_that_are_left_out_may_be_missing_later():
    rows = pd.DataFrame({"id": range(30), "x": [*range(10)] * 3, "same": 1})
    encoder = Encoder().fit(rows)
    np.testing.assert_array_equal(encoder.transform(rows[["x"]]), encoder.transform(rows))
    with pytest.raises(DataError, match="'x'"):
        encoder.transform(rows[["id", "same"]])


@pytest.mark.parametrize(
    ("learned", "scored", "message"),
    [
        (mixed_frame(), mixed_frame().to_numpy(), "X has no names of columns, but fit was given"),
        (
            np.random.default_rng(0).normal(size=(9, 2)),
            pd.DataFrame(np.ones((2, 2)), columns=["b", "a"]),
            "X has names of columns, but fit was given none",
        ),
    ],
)
def test_names_that_are_lost_between_fit_and_scoring_are_told(learned, scored, message):
    encoder = Encoder().fit(learned)
    with pytest.warns(ColumnNameWarning, match=message) as told:
        list(encoder.blocks(to_rows(scored)))
    assert len(told) == 1


@pytest.mark.parametrize(
    ("learned", "scored"),
    [
        (mixed_frame(), mixed_frame().iloc[:, ::-1]),
        (np.eye(3), pd.DataFrame(np.eye(3))),
        (pd.DataFrame(np.eye(3)), np.eye(3)),
        (np.eye(3), pd.DataFrame(np.eye(3), columns=["2", "1", "0"])),
        (pd.DataFrame(np.eye(3), columns=[2, 1, 0]), pd.DataFrame(np.eye(3))),
        (np.eye(3), sp.csr_matrix(np.eye(3))),
        (pl.DataFrame({"a": [1, 2, 3]}), pa.table({"a": [1.0, 2.0]})),
    ],
)
def test_nothing_is_told_where_no_names_are_lost(learned, scored):
    list(Encoder().fit(learned).blocks(to_rows(scored)))


def words(rows, own):
    """Counts of three common words, and of one that a row has to itself in the first rows."""
    common = np.random.default_rng(0).poisson(2, (rows, 3)) + 1.0
    return np.hstack([common, np.eye(rows)[:, :own]])


def test_words_of_single_rows_are_warned_of_in_sparse_matrices_alone():
    with pytest.warns(SparseWarning, match="140 of 143 columns have a value in one row alone"):
        Encoder().fit(sp.csr_matrix(words(200, 140)))
    Encoder().fit(sp.csr_matrix(words(200, 90)))
    Encoder().fit(words(200, 140))
