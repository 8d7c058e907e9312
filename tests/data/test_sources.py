import gzip
import io
import json
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from pyarrow import feather, parquet

from oddshot.data.sources import (
    can_write,
    fingerprint,
    read_table,
    writable_suffixes,
    write_table,
    written_cells,
)
from oddshot.errors import DataError, LabelError, SourceError
from oddshot.mapping.encoding.encoder import Encoder

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[3] / "shared/data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no development data in {DATA}; set ODDSHOT_DATA"
)

FRAME = pd.DataFrame(
    {
        "kg": [1.5, 0.1 + 0.2, np.nan, 1e-30],
        "count": [1, 2, 3, 2**60],
        "colour": ["red", "ünï", None, "a, b"],
        "is odd": [True, False, True, False],
        "when": pd.to_datetime(["2020-01-01 10:00", "2020-01-02 00:00", None, "2021-05-05 01:00"]),
    }
)
HUGE = io.BytesIO()
np.lib.format.write_array_header_1_0(
    HUGE, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 100)}
)


@pytest.mark.parametrize("suffix", [".parquet", ".pq", ".feather", ".arrow", ".ipc"])
def test_typed_files_keep_everything(tmp_path: Path, suffix: str) -> None:
    write_table(FRAME, tmp_path / f"t{suffix}")
    table = read_table(tmp_path / f"t{suffix}")
    assert table.name == "t"
    pd.testing.assert_frame_equal(table.rows, FRAME)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".jsonl", ".ndjson", ".jsonl.gz"])
def test_text_files_keep_names_order_and_numbers(tmp_path: Path, suffix: str) -> None:
    write_table(FRAME, tmp_path / f"t.v2{suffix}")
    table = read_table(tmp_path / f"t.v2{suffix}")
    assert table.name == "t.v2"
    assert isinstance(table.rows, pd.DataFrame)
    pd.testing.assert_frame_equal(table.rows[["kg", "count", "is odd"]], FRAME.iloc[:, [0, 1, 3]])
    assert table.rows["colour"].tolist()[1::2] == ["ünï", "a, b"]
    assert table.rows.isna().sum().tolist() == [1, 0, 1, 0, 1]


def test_integers_with_gaps_stay_integers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": pd.array([2**60 + 1, None], dtype="Int64"), "b": [True, None]})
    write_table(frame, tmp_path / "t.parquet")
    rows = read_table(tmp_path / "t.parquet").rows
    assert isinstance(rows, pd.DataFrame)
    assert rows["n"][0] == 2**60 + 1
    assert list(map(str, rows.dtypes)) == ["Int64", "boolean"]


def test_a_named_index_in_a_parquet_file_is_a_column(tmp_path: Path) -> None:
    FRAME.set_index("count").to_parquet(tmp_path / "t.parquet")
    rows = read_table(tmp_path / "t.parquet").rows
    assert isinstance(rows, pd.DataFrame)
    assert set(rows.columns) == set(FRAME.columns)


def test_npz_with_labels(tmp_path: Path) -> None:
    X = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.savez(tmp_path / "t.npz", X=X, y=np.array([0, 0, 1, 0, 0, 1.0]))
    table = read_table(tmp_path / "t.npz")
    assert isinstance(table.rows, np.ndarray)
    np.testing.assert_array_equal(table.rows, X)
    assert table.rows.dtype == np.float32
    assert table.labels is not None
    assert table.labels.sum() == 2
    np.savez(tmp_path / "u.npz", X=X)
    assert read_table(tmp_path / "u.npz").labels is None
    assert read_table(tmp_path / "t.npz", label_column="y").rows.shape == (6, 2)


def test_npz_with_training_and_test_rows(tmp_path: Path) -> None:
    arrays = {
        "train": np.ones((3, 2), np.float32),
        "test": np.zeros((2, 2), np.float32),
        "test_labels": np.array([0, 1], np.int8),
        "feature_names": np.array(["kg", "cm"]),
    }
    np.savez(tmp_path / "t.npz", **arrays)
    table = read_table(tmp_path / "t.npz")
    assert isinstance(table.rows, pd.DataFrame)
    assert list(table.rows.columns) == ["kg", "cm"]
    assert table.labels is not None
    assert table.labels.tolist() == [0, 0, 0, 0, 1]
    np.savez(tmp_path / "t.npz", **{**arrays, "feature_names": np.array(["same", "same"])})
    assert isinstance(read_table(tmp_path / "t.npz").rows, np.ndarray)
    np.savez(tmp_path / "t.npz", **{**arrays, "test": np.zeros((2, 3))})
    with pytest.raises(SourceError, match=r"train is \(3, 2\) and test \(2, 3\)"):
        read_table(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("label_column", "rest"),
    [("y", ["a", "7"]), (1, ["a", "7"]), ("1", ["a", "7"]), (-1, ["a", "y"]), ("7", ["a", "y"])],
)
def test_the_label_column_is_found_and_taken_out(label_column: Any, rest: list[str]) -> None:
    frame = pd.DataFrame({"a": [5, 6], "y": [0, 1], "7": [1, 0]}, index=[10, 20])
    table = read_table(frame, label_column=label_column)
    assert isinstance(table.rows, pd.DataFrame)
    assert list(table.rows.columns) == rest
    assert list(table.rows.index) == [10, 20]
    assert table.labels is not None
    assert table.labels.tolist() == ([0, 1] if "7" in rest else [1, 0])
    assert list(frame.columns) == ["a", "y", "7"]  # the user's frame stays as it is


@pytest.mark.parametrize("asked", ["label", "label ", " label"])
def test_spaces_around_a_label_column_do_not_matter(asked: str) -> None:
    frame = pd.DataFrame({"a": [5, 6], " label ": [0, 1]})
    assert list(read_table(frame, label_column=asked).rows.columns) == ["a"]
    both = pd.DataFrame({"label": [0, 1], "label ": [1, 0]})
    if asked in both:
        assert asked not in read_table(both, label_column=asked).rows
    else:
        with pytest.raises(SourceError, match="several columns 'label'"):
            read_table(both, label_column=asked)


def test_label_column_of_a_matrix() -> None:
    table = read_table(np.array([[1.5, 0.0], [2.5, 1.0]]), label_column=-1)
    np.testing.assert_array_equal(table.rows, [[1.5], [2.5]])
    assert table.labels is not None
    assert table.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("label_column", "error", "message"),
    [
        ("fruad", SourceError, "no column 'fruad'; near it: 'Fraud'"),
        ("zzz", SourceError, "no column 'zzz'; it has 'kg', 'Fraud', 'two', 'two'"),
        (9, SourceError, "no column number 9; it has 4, counted from 0"),
        ("-9", SourceError, "no column number -9"),
        ("two", SourceError, "several columns 'two'"),
        ("Fraud", LabelError, "column 'Fraud' holds 'maybe' in row 1"),
    ],
)
def test_label_column_errors(label_column: Any, error: type[Exception], message: str) -> None:
    frame = pd.DataFrame([[1, "no", 3, 4], [1, "maybe", 3, 4]])
    frame.columns = pd.Index(["kg", "Fraud", "two", "two"])
    with pytest.raises(error, match=message):
        read_table(frame, label_column=label_column)


def test_only_labels_are_no_table() -> None:
    with pytest.raises(DataError, match="no column beside the labels"):
        read_table(pd.DataFrame({"y": [0, 1]}), label_column="y")


def test_tables_in_memory() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    for table in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        pd.testing.assert_frame_equal(read_table(table).rows, frame)
    matrix = np.ones((3, 2), np.float32)
    assert read_table(matrix, name="ones").rows is matrix
    sparse = read_table(sp.csr_matrix(np.eye(3))).rows
    assert isinstance(sparse, pd.DataFrame)
    assert sparse.sparse.density == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="Reshape your data"):
        read_table(np.ones(3))


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        (b"a,b\n1,2\n3,4\n", (2, 2)),
        (b'{"a": 1, "b": 2}\n\n{"b": 3, "c": 4}\n', (2, 3)),
        (b"@relation r\n@attribute a real\n@data\n1\n2\n3\n", (3, 1)),
        (gzip.compress(b"a;b\n1;2\n", mtime=0), (1, 2)),
        (FRAME.to_parquet(), FRAME.shape),
    ],
)
def test_standard_input_is_told_by_content(
    monkeypatch: pytest.MonkeyPatch, content: bytes, shape: tuple[int, int]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    table = read_table("-")
    assert table.name == "stdin"
    assert table.rows.shape == shape


def test_arrow_streams_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.schema({"a": pa.int64()})) as stream:
        stream.write_table(pa.table({"a": [1, 2]}))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(sink.getvalue())))
    assert read_table("-").rows.shape == (2, 1)


@pytest.mark.parametrize(
    ("above", "lines"),
    [("Export of May\n", 1), ("# Bank\nAccount;7\n\n", 2), ("", 0)],
)
def test_titles_and_comments_above_a_table(tmp_path: Path, above: str, lines: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text(above + "day;amount;shop\n" + "".join(f"{n};{n},5;a\n" for n in range(9)))
    table = read_table(path)
    assert isinstance(table.rows, pd.DataFrame)
    assert list(table.rows.columns) == ["day", "amount", "shop"]
    assert len(table.rows) == 9
    written = written_cells(path)
    assert written is not None
    cells, dialect = written
    assert (dialect.delimiter, dialect.decimal) == (";", ",")
    assert cells.iloc[0].tolist() == ["0", "0,5", "a"]
    told = (f"Left out above the table: {lines} line{'s' * (lines > 1)}.",) if lines else ()
    assert table.notes == told
    path.write_text(path.read_text() + "sum;7\n")
    with pytest.raises(SourceError, match=f"line {above.count(chr(10)) + 11} has 2 fields"):
        read_table(path)


def test_gzip_is_known_by_content_whatever_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert read_table(tmp_path / "t.csv").rows.shape == (1, 2)
    (tmp_path / "t.csv.gz").write_bytes(b"a,b\n1,2\n")
    assert read_table(tmp_path / "t.csv.gz").rows.shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b" \n\n", "is empty"),
        ("t.csv", b"a,b\n", "header and no row"),
        ("t.csv", b"a,b\n1,2\n3\n", "line 3 has 1 fields"),
        ("t.csv", bytes(range(256)) * 20, "not a text but binary"),
        ("t.csv", b"PK\x03\x04rest", "an archive or a spreadsheet"),
        ("t.csv.gz", b"\x1f\x8bgarbage", "damaged gzip"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20], "damaged gzip"),
        ("t.xlsx", b"anything", "unknown suffix '.xlsx'"),
        ("t.pkl", b"anything", "unknown suffix '.pkl'"),
        ("t.parquet", b"a,b\n1,2\n", "does not hold what its suffix says"),
        ("t.parquet", b"PAR1garbage", "damaged"),
        ("t.feather", b"ARROW1garbage", "damaged"),
        ("t.npz", b"garbage", "does not hold what its suffix says"),
        ("t.npz", b"PK\x03\x04garbage", "damaged file of arrays"),
        (
            "t.npy",
            HUGE.getvalue() + bytes(100),
            r"declares 800,000,000,000 bytes, and 100 follow\)",
        ),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', "line 2 is no JSON"),
        ("t.jsonl", b"[1, 2]\n", "line 1 is no JSON object"),
        ("t.jsonl", b"{}\n", "without a field"),
        ("t.jsonl", b'{"a": "x"}\n{"a": "\\ud800"}\n', "line 2 holds half a letter"),
        ("t.jsonl", b'{"\\uDC00": "x"}\n', "line 1 holds half a letter"),
        ("t.jsonl", b'{"a": ' + b"9" * 5000 + b"}\n", "line 1 holds a whole number of thousands"),
        ("t.jsonl", b'{"a": 1}\n' + b"[" * 200_000 + b"\n", "line 2 .* too deep to be read"),
        ("t.arff", b"@relation r\n", "no @data line"),
    ],
)
def test_unreadable_files_are_explained_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        read_table(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'none\.csv' does not exist; check the path"):
        read_table("none.csv")
    for name in ("part1.csv", "part2.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(
        SourceError, match=r"it stands for 2 files \(.*part1.csv', ...\); tables are"
    ):
        read_table(tmp_path / "part*.csv")
    with pytest.raises(SourceError, match="is a folder; give one file in it"):
        read_table(tmp_path)
    with pytest.raises(SourceError, match="cannot be read"):
        read_table("a\0b.csv")
    with pytest.raises(SourceError, match="it is too long for a path"):
        read_table("x" * 300)


DAMAGED_PLACES = {
    "csr": {"indices": [0, 10**9, 5], "indptr": [0, 1, 2, 3]},
    "csc": {"indices": [0, 1, 10**9], "indptr": [0, 1, 2, 3, 3]},
    "bsr": {"data": np.ones((3, 1, 2)), "indices": [0, 1, 10**9], "indptr": [0, 1, 2, 3]},
    "coo": {"row": [0, 1, 2], "col": [0, 10**9, 1]},
}


@pytest.mark.parametrize("kind", DAMAGED_PLACES)
def test_places_outside_a_sparse_matrix_are_refused(tmp_path: Path, kind: str) -> None:
    arrays = {"data": np.ones(3), **DAMAGED_PLACES[kind]}
    np.savez(tmp_path / "t.npz", format=kind, shape=[3, 4], **arrays)
    with pytest.raises(SourceError, match=r"t\.npz'.* damaged"):
        read_table(tmp_path / "t.npz")


@pytest.mark.parametrize(("kind", "shape"), [("lil", [3, 4]), (7, [3, 4]), ("csr", [[3], [4]])])
def test_what_is_no_sparse_matrix_is_refused(tmp_path: Path, kind: Any, shape: Any) -> None:
    places = {"indices": [0, 1, 2], "indptr": [0, 1, 2, 3]}
    np.savez(tmp_path / "t.npz", format=kind, shape=shape, data=np.ones(3), **places)
    with pytest.raises(SourceError, match=r"t\.npz' is a damaged file of arrays"):
        read_table(tmp_path / "t.npz")


def damaged_texts(wrong: int) -> bytes:
    """Give an Arrow file whose texts lie, by their offsets, so far behind what it holds."""
    texts = pa.array([f"text {i}" for i in range(300)], pa.large_string())
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[:301]
    sink = pa.BufferOutputStream()
    table = pa.table({"a": np.arange(300.0), "text": texts})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    assert content.count(offsets.tobytes()) == 1
    moved = offsets.copy()
    moved[150:300] += wrong
    return content.replace(offsets.tobytes(), moved.tobytes())


@pytest.mark.parametrize("wrong", [60_000, 2**44])
def test_texts_outside_an_arrow_file_are_refused(tmp_path: Path, wrong: int) -> None:
    (tmp_path / "t.arrow").write_bytes(damaged_texts(wrong))
    with pytest.raises(SourceError, match=r"t\.arrow' is damaged .*; write or copy it again"):
        read_table(tmp_path / "t.arrow")


@pytest.mark.parametrize("place", [b'"numpy_type"', b'{"index_columns"', b'"pandas_type"'])
@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
def test_damaged_metadata_of_pandas_are_refused(tmp_path: Path, suffix: str, place: bytes) -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1.0], "b": ["x"]}, index=["y"]))
    known = table.schema.metadata[b"pandas"]
    assert place in known
    table = table.replace_schema_metadata({b"pandas": known.replace(place, b"xx" + place[2:])})
    if suffix == ".parquet":
        parquet.write_table(table, tmp_path / "t.parquet")
    else:
        feather.write_feather(table, tmp_path / "t.arrow")
    with pytest.raises(SourceError, match=rf"t\{suffix}': the table's cells or metadata are dama"):
        read_table(tmp_path / f"t{suffix}")


def test_an_index_named_as_a_column_is_a_column_of_that_name(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 6], name="a")).to_parquet(tmp_path / "t.parquet")
    rows = read_table(tmp_path / "t.parquet").rows
    assert isinstance(rows, pd.DataFrame)
    assert [*rows.columns] == ["a", "a"]
    assert rows.to_numpy().tolist() == [[5, 1], [6, 2]]


def test_npz_errors(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", images=np.ones((2, 2)), names=np.ones(2))
    with pytest.raises(SourceError, match="holds the arrays images, names; it needs X"):
        read_table(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", X=np.array([[{}]], dtype=object))
    with pytest.raises(SourceError, match="holds Python objects"):
        read_table(tmp_path / "t.npz")
    np.savez(tmp_path / "t.npz", X=np.ones((0, 3)))
    with pytest.raises(SourceError, match="rows and columns"):
        read_table(tmp_path / "t.npz")
    with zipfile.ZipFile(tmp_path / "t", "w") as archive:
        archive.writestr("t.csv", "a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"'.*t' is an archive or a spreadsheet; save the table"):
        read_table(tmp_path / "t")
    np.savez(tmp_path / "t.npz", X=np.ones((2, 3)), y=np.array([0, 7]))
    with pytest.raises(LabelError, match="holds 7 in row 1"):
        read_table(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(3), r"holds an array of shape \(3,\); it needs numbers in rows and columns"),
        (np.float64(3), r"holds an array of shape \(\); it needs numbers"),
        (np.zeros(3, dtype=[("a", int)]), "holds records; it needs numbers in rows and columns"),
        (np.ones((2, 2)) * 1j, "'.*': Complex data not supported"),
    ],
)
def test_arrays_that_are_no_table(tmp_path: Path, array: Any, message: str) -> None:
    np.save(tmp_path / "t.npy", array)
    np.savez(tmp_path / "t.npz", array)
    for name in ("t.npy", "t.npz"):
        with pytest.raises(SourceError, match=message) as caught:
            read_table(tmp_path / name)
        assert name in str(caught.value)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_columns_of_one_name_are_no_damage(tmp_path: Path, suffix: str) -> None:
    columns = [pa.array([1.0, 2.0]), pa.array([3.0, 4.0])]
    table = pa.Table.from_arrays(columns, names=["a", "a"])
    with open(tmp_path / f"t{suffix}", "wb") as file:
        if suffix == ".parquet":
            parquet.write_table(table, file)
        else:
            feather.write_feather(table, file)
    rows = read_table(tmp_path / f"t{suffix}").rows
    assert list(rows) == ["a", "a"]
    with pytest.raises(DataError, match="several columns are named 'a'; rename them"):
        Encoder().fit(rows)


def test_writing_is_atomic_and_explains_itself(tmp_path: Path) -> None:
    write_table(FRAME, tmp_path / "t.csv")
    before = (tmp_path / "t.csv").read_bytes()
    with pytest.raises(SourceError, match=r"cannot write 't\.xlsx': its suffix is none of \.csv"):
        write_table(FRAME, tmp_path / "t.xlsx")
    with pytest.raises(SourceError, match="its suffix"):
        write_table(FRAME, tmp_path / "t.parquet.gz")
    with pytest.raises(SourceError, match="No such file or directory"):
        write_table(FRAME, tmp_path / "none" / "t.csv")
    with pytest.raises(SourceError, match=r"write a \.csv file"):
        write_table(pd.DataFrame({"mixed": [1, "a", [2]]}), tmp_path / "t.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_bytes() == before


def test_a_table_can_be_written_under_every_suffix_that_is_named(tmp_path: Path) -> None:
    texts, others = writable_suffixes().split(" (each also .gz), ")
    for suffix in (
        *texts.split(", "),
        *others.split(", "),
        *texts.replace(",", ".gz,").split(", "),
    ):
        assert can_write(tmp_path / f"t{suffix}")
        write_table(FRAME, tmp_path / f"t{suffix}")
        assert read_table(tmp_path / f"t{suffix}").rows.shape == FRAME.shape
    for suffix in (".xlsx", ".npz", ".parquet.gz", ".gz", ""):
        assert not can_write(tmp_path / f"t{suffix}")


def test_writing_follows_a_link_and_leaves_pipes_alone(tmp_path: Path) -> None:
    link, target, pipe = tmp_path / "link.csv", tmp_path / "t.csv", tmp_path / "pipe.csv"
    link.symlink_to(target)
    write_table(FRAME, link)
    assert link.is_symlink()
    assert len(target.read_bytes()) > 0
    os.mkfifo(pipe)
    with pytest.raises(SourceError, match=r"pipe\.csv': it is a device or a pipe, no file; give"):
        write_table(FRAME, pipe)
    assert pipe.is_fifo()


def test_writing_gzip_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    write_table(FRAME, tmp_path / "a.csv.gz")
    write_table(FRAME, tmp_path / "b.csv.gz")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_json_lines_can_say_infinity_gaps_and_lists(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [np.inf, np.nan], "b": [[1, 2], None]})
    write_table(frame, tmp_path / "t.jsonl")
    assert (tmp_path / "t.jsonl").read_text() == (
        '{"a": "inf", "b": [1, 2]}\n{"a": null, "b": null}\n'
    )


@needs_data
@pytest.mark.parametrize(
    ("file", "label_column", "shape", "encoded"),
    [
        ("mixed/adult.csv", None, (16281, 15), 46),
        ("mixed/german_credit.csv", None, (1000, 21), 75),
        ("mixed/horse_colic.csv", None, (300, 28), 58),  # kinds of lesions as 02208 are codes
        ("mixed/solar_flare.arff", "class", (1066, 11), 52),
        ("nsl_kdd/train_20_percent.csv.gz", None, (25192, 43), 55),
        ("nsl_kdd/attack_types.csv", None, (24, 2), 7),
        ("skab/valve1_0.csv", "anomaly", (1147, 10), 10),
        ("nab/realAWSCloudwatch/grok_asg_anomaly.csv", None, (4621, 2), 6),
    ],
)
def test_real_files(
    file: str, label_column: str | None, shape: tuple[int, int], encoded: int
) -> None:
    table = read_table(DATA / file, label_column=label_column)
    assert table.rows.shape == shape
    written = Encoder().fit(table.rows).transform(table.rows)
    assert written.shape == (shape[0], encoded)
    assert np.isfinite(written).all()


def test_nested_cells_are_written_in_full(tmp_path):
    nested = pd.DataFrame(
        {"list": [np.arange(2000), None], "map": [{"a": [1, 2]}, {}], "n": [1, 2]}
    )
    write_table(nested, tmp_path / "t.jsonl")
    first = json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0])
    assert first == {"list": [*range(2000)], "map": {"a": [1, 2]}, "n": 1}
    write_table(nested, tmp_path / "t.csv")
    cells = pd.read_csv(tmp_path / "t.csv")
    assert json.loads(cells["list"][0]) == [*range(2000)]
    assert json.loads(cells["map"][0]) == {"a": [1, 2]}
    assert cells["list"].isna().tolist() == [False, True]


def test_arrays_of_numpy_and_scipy(tmp_path):
    matrix = np.eye(6)
    np.save(tmp_path / "a.npy", matrix)
    np.savez(tmp_path / "b.npz", embeddings=matrix)
    sp.save_npz(tmp_path / "c.npz", sp.csr_matrix(matrix))
    for name in ("a.npy", "b.npz", "c.npz"):
        np.testing.assert_array_equal(np.asarray(read_table(tmp_path / name).rows), matrix)
    np.save(tmp_path / "d.npy", np.array([{}], dtype=object))
    with pytest.raises(SourceError, match="holds Python objects"):
        read_table(tmp_path / "d.npy")


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n1;x;2\n2;y;3\n3;z;1\n",  # a header one field short, as R writes it
        "a,b,c\n1,2,3,\n4,5,6,\n7,8,9,\n",
        "1,2\n3,4,5,6\n7,8,9,10\n1,2,3,4\n",
    ],
)
def test_what_may_be_a_row_is_not_taken_for_a_title(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SourceError, match="fields, the lines above"):
        read_table(tmp_path / "t.csv")


def test_fingerprints_follow_content_alone(tmp_path):
    for name, content in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).write_text(content)
    found = [fingerprint(tmp_path / name) for name in "abc"]
    assert found[0] == found[1] != found[2]
    with pytest.raises(SourceError, match="cannot be read"):
        fingerprint(tmp_path / "none")


def test_a_table_that_is_replaced_stays_as_private_as_it_was(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    path.chmod(0o600)
    write_table(pd.DataFrame({"a": [1]}), path)
    assert path.read_text() == "a\n1\n"
    assert path.stat().st_mode & 0o777 == 0o600
