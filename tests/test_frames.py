import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from oddshot.data.delimited import read_delimited
from oddshot.data.labels import parse_labels
from oddshot.errors import DataError
from oddshot.frames import MISSING_WORDS, frame_from_arrow, sparse_columns, to_rows
from oddshot.mapping.cells.reading import read_numbers

UNION = pa.UnionArray.from_sparse(
    pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
)


def test_frames_come_back_as_they_are() -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 8])
    assert to_rows(frame) is frame


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_keep_their_type_and_memory(dtype: str) -> None:
    array = np.ones((3, 2), dtype)
    assert to_rows(array) is array


@pytest.mark.parametrize("dtype", ["int8", "uint64", "bool", "float16"])
def test_other_numbers_become_float64(dtype: str) -> None:
    rows = to_rows(np.ones((3, 2), dtype))
    assert rows.dtype == np.float64


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.coo_array, sp.csc_array, sp.lil_matrix])
def test_sparse_matrices_become_csr(make: type) -> None:
    rows = to_rows(make(np.eye(3, dtype=np.int32)))
    assert isinstance(rows, sp.csr_array)
    assert rows.dtype == np.float64


@pytest.mark.parametrize("name", ["indices", "indptr"])
@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_matrix])
def test_places_outside_a_sparse_matrix_are_refused(make: type, name: str) -> None:
    for places in ([0, 10**9, 2], [0, -1, 2], [0, 10**9, 2, 0]):
        matrix = make(np.eye(3))
        if len(places) == len(getattr(matrix, name)):
            setattr(matrix, name, np.array(places, dtype=np.int32))
            with pytest.raises(DataError, match=r"X is a damaged sparse matrix .* must be"):
                to_rows(matrix)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([(1.0, 2.0)], dtype=[("a", float), ("b", float)]), "an array of records; give"),
        (np.rec.fromarrays([[1.0], [2.0]], names="a,b"), r"records; give pandas\.DataFrame\(X\)$"),
        ([{"a": 1, "b": 2}], r"X is a list of dicts; give pandas\.DataFrame\(X\)$"),
        ({"a": [1, 2]}, r"X is a dict; give pandas\.DataFrame\(X\)$"),
        ({"a": 1, "b": "x"}, r"X is a dict; give pandas\.DataFrame\(\[X\]\)$"),
        (None, "X is None; give a table"),
        (pd.Series([1, 2]), r"X is a Series, .* of one column X\[\['name'\]\], of one row X\.iloc"),
        ((row for row in [[1, 2], [3, 4]]), r"X is a generator, which gives its rows once; give l"),
        (3, r"X is 3, one number; give the rows: a table, as X\.iloc\[\[3\]\]"),
        (np.float64(0.5), r"X is 0\.5, one number; give the rows"),
        (torch.ones(3, 2, dtype=torch.bfloat16), r"X is a Tensor of bfloat16.* by \.float\(\)$"),
        (torch.ones(3, 2, requires_grad=True), r"X is a Tensor that cannot .* Use tensor\.detach"),
        (
            pl.DataFrame({"a": [1]}, schema={"a": pl.Int128}),
            "column 'a' of X is of the type Int128",
        ),
        (
            pl.DataFrame({"b": [1], "a": [object()]}, schema={"b": pl.Int8, "a": pl.Object}),
            "column 'a' of X is of the type Object, which cannot be read; cast it",
        ),
        (pa.table({"u": UNION}), "column 'u' is of the type sparse_union.* cannot be read; cast"),
        (
            pd.DataFrame({"u": pd.arrays.ArrowExtensionArray(pa.chunked_array([UNION]))}),
            "column 'u' is of the type sparse_union.* cannot be read; cast it",
        ),
    ],
)
def test_what_is_nearly_a_table_is_told_how_to_become_one(X, message) -> None:
    with pytest.raises(DataError, match=message):
        to_rows(X)


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csr_array])
def test_entries_written_twice_are_summed_elsewhere_than_in_the_callers_matrix(make) -> None:
    data, places, ends = np.array([1.0, 2.0, 3.0]), np.array([1, 1, 0]), np.array([0, 2, 3])
    given = make((data, places, ends), shape=(2, 2))
    for array in (data, places, ends):
        array.setflags(write=False)
    assert to_rows(given).toarray().tolist() == [[0, 3], [3, 0]]
    assert given.nnz == 3
    assert given.data.tolist() == [1, 2, 3]


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i4", "<f8"])
def test_numbers_come_in_the_byte_order_of_this_machine(dtype: str) -> None:
    array = np.arange(6).reshape(3, 2).astype(dtype)
    frame = pd.DataFrame(array, columns=["a", "a"], index=[7, 8, 9])
    for given in (array, frame):
        rows = to_rows(given)
        types = list(rows.dtypes) if isinstance(rows, pd.DataFrame) else [rows.dtype]
        assert all(found.isnative for found in types)
        np.testing.assert_array_equal(rows, array)
    assert to_rows(frame).index.tolist() == [7, 8, 9]
    assert to_rows(frame.assign(b="x"))["b"].tolist() == ["x", "x", "x"]


def test_arrow_and_polars_tables_keep_types() -> None:
    table = pa.table({"n": [1, None], "b": [None, True], "s": ["x", "y"], "f": [0.5, None]})
    for rows in (to_rows(table), to_rows(pl.from_arrow(table)), frame_from_arrow(table)):
        assert list(map(str, rows.dtypes)) == ["Int64", "boolean", "str", "float64"]
        assert list(rows.columns) == ["n", "b", "s", "f"]
    small = pa.table({"n": pa.array([1, None], pa.uint8())})
    assert str(to_rows(small).dtypes["n"]) == "UInt8"


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([[1], None, [2]]),
        pa.array([{"x": 1}, None, {"x": 2}]),
        pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        pa.RunEndEncodedArray.from_arrays([1, 2, 3], [1.5, None, 2.5]),
        pa.array([bytes(16), None, bytes(range(16))], pa.uuid()),
    ],
    ids=lambda cells: str(cells.type),
)
def test_types_that_pandas_cannot_compare_are_read_as_those_of_arrow(cells) -> None:
    table = pa.table({"n": [1, 2, 3], "c": cells})
    frame = table.to_pandas(types_mapper=pd.ArrowDtype).set_axis([7, 8, 9])
    assert isinstance(frame.dtypes["c"], pd.ArrowDtype)
    rows, expected = to_rows(frame), to_rows(table).set_axis([7, 8, 9])
    pd.testing.assert_series_equal(rows["c"], expected["c"])
    again = frame_from_arrow(pa.Table.from_pandas(frame))  # whose metadata pandas cannot read
    assert list(again) == ["n", "c"]
    pd.testing.assert_series_equal(again["c"], rows["c"].reset_index(drop=True))


class ForeignFrame:
    """A frame of another library, which NumPy reads as a matrix."""

    def __init__(self, table):
        self.table, self.columns = table, [*map(str, table.columns)]

    def __array__(self, dtype=None, copy=None):
        return self.table.to_numpy(dtype)


@pytest.mark.parametrize("method", ["to_arrow", "to_pandas"])
def test_frames_of_other_libraries_keep_names_and_types(method) -> None:
    table = pd.DataFrame({"n": pd.array([1, None], "Int64"), "day": pd.to_datetime(["2024", None])})
    foreign = ForeignFrame(table)
    with pytest.raises(DataError, match="X is a ForeignFrame, whose names of columns cannot be"):
        to_rows(foreign)
    made = pa.Table.from_pandas(table) if method == "to_arrow" else table
    setattr(foreign, method, lambda: made)
    pd.testing.assert_frame_equal(to_rows(foreign), table, check_dtype=False)


def test_arrow_columns_whose_names_were_numbers_in_pandas() -> None:
    frame = pd.DataFrame({0: pd.array([1, None], dtype="Int64"), 1: [0.5, 1.5]})
    found = to_rows(pa.Table.from_pandas(frame))
    assert [str(dtype) for dtype in found.dtypes] == ["Int64", "float64"]
    assert found[0].isna().tolist() == [False, True]


def test_arrow_columns_with_equal_names_all_stay() -> None:
    table = pa.Table.from_arrays([pa.array([1, None]), pa.array([2, 3])], names=["a", "a"])
    assert to_rows(table).shape == (2, 2)


def test_decimals_that_allow_no_comparison_are_gaps() -> None:
    cells = [decimal.Decimal("sNaN"), decimal.Decimal(2), decimal.Decimal("NaN")]
    frame = pd.DataFrame({"a": [1, 2, 3], "d": pd.Series(cells, dtype=object)}, index=[3, 1, 2])
    for rows in (to_rows(frame), to_rows(frame.to_numpy())):
        assert rows.iloc[:, 1].isna().tolist() == [True, False, True]
    assert to_rows(frame).index.tolist() == [3, 1, 2]


def test_only_frames_of_sparse_numbers_give_a_matrix() -> None:
    matrix = sp.csr_array(np.eye(3))
    frame = pd.DataFrame.sparse.from_spmatrix(matrix)
    found = sparse_columns(frame)
    assert found is not None
    np.testing.assert_array_equal(found.toarray(), np.eye(3))
    assert sparse_columns(frame.assign(dense=1.0)) is None
    assert sparse_columns(pd.DataFrame(np.eye(3))) is None
    assert sparse_columns(pd.DataFrame(index=[0, 1])) is None


def test_rows_of_different_lengths_and_dimensions() -> None:
    with pytest.raises(DataError, match="different lengths"):
        to_rows([[1], [2, 3]])
    with pytest.raises(DataError, match=r"1D array.* Reshape your data"):
        to_rows(np.ones(2))
    with pytest.raises(DataError, match=r"a scalar.* Reshape your data"):
        to_rows(np.array(5))
    with pytest.raises(DataError, match="dim 3"):
        to_rows(np.ones((1, 1, 1)))
    with pytest.raises(DataError, match="Complex data"):
        to_rows(sp.csr_matrix(np.eye(2) * 1j))


def test_a_polars_column_or_plan_is_no_table():
    frame = pl.DataFrame({"a": [1, 2]})
    with pytest.raises(DataError, match="X is a Series, not a table"):
        to_rows(frame["a"])
    with pytest.raises(DataError, match=r"X is a LazyFrame, a plan and not yet a table"):
        to_rows(frame.lazy())


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("word", sorted(MISSING_WORDS))
def test_a_word_for_a_gap_is_one_in_files_memory_and_labels(word, spell) -> None:
    said = spell(word)
    frame, _ = read_delimited(f"a,b\n1.5,x\n{said},y\n", "f")
    assert frame["a"].isna().tolist() == [False, True]
    assert np.isnan(read_numbers(pd.Series(["1.5", said]))).tolist() == [False, True]
    assert parse_labels(["1", said]).tolist() == [1, -1]


def test_masked_cells_are_gaps():
    texts = np.ma.masked_array([["a", "b"], ["c", "d"]], mask=[[0, 1], [0, 0]])
    assert to_rows(texts).isna().to_numpy().tolist() == [[False, True], [False, False]]
    X = np.ma.masked_array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])
    np.testing.assert_array_equal(to_rows(X), [[1.0, np.nan], [3.0, 4.0]])


def test_bytes_are_text():
    numbers = np.array([[1.5, 2.0], [3.0, 4.25]])
    frame = to_rows(numbers.astype("S"))
    assert frame.values.tolist() == [["1.5", "2.0"], ["3.0", "4.25"]]
    cells = [None, np.nan, b"caf\xc3\xa9", b"caf\xe9", "text"]
    column = to_rows(pd.DataFrame({"c": pd.Series(cells, dtype=object), "n": range(5)}))["c"]
    assert column.isna().tolist() == [True, True, False, False, False]
    assert column.tolist()[2:] == ["caf\u00e9", "caf\u00e9", "text"]
    assert to_rows(pa.table({"c": [b"red", None]}))["c"].tolist()[0] == "red"
