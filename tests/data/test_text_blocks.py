"""Delimited text, a block of rows at a time."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from oddshot.data import text_blocks
from oddshot.data.sources import read_table, written_cells
from oddshot.data.text_blocks import DelimitedBlocks, is_long_text
from oddshot.errors import SourceError

TEXT = "kg;colour;code;note;fraud\n" + "".join(
    f'{i},5;{"red" if i % 3 else ""};{code}{i};"no; {i}";{"1" if i == 2 else ""}\n'
    for i, code in enumerate(["00"] * 8 + ["A"] * 4)
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TEXT)
    return path


def test_blocks_are_the_table_that_is_read_as_a_whole(path):
    blocks = DelimitedBlocks(path, block_rows=5)
    assert (blocks.rows, blocks.notes) == (12, ())
    assert [len(frame) for frame in blocks.frames()] == [5, 5, 2]
    whole = read_table(path).rows
    assert blocks.columns == list(whole.columns)
    together = pd.concat(blocks.frames(), ignore_index=True)
    pd.testing.assert_frame_equal(together, whole)
    assert together["code"].tolist()[:2] == ["000", "001"]  # a text in all blocks, as some hold A8
    places = np.array([0, 4, 5, 11])
    pd.testing.assert_frame_equal(blocks.take(places), whole.iloc[places].reset_index(drop=True))


def test_codes_are_text_in_all_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "PART", 8)
    path = tmp_path / "codes.csv"
    path.write_text("code,n,share\n51,1,0.5\n14,20,1\n,3,2\n05,4,0\n51,5,1\n")
    blocks = DelimitedBlocks(path, block_rows=2)
    together = pd.concat(blocks.frames(), ignore_index=True)
    pd.testing.assert_frame_equal(together, read_table(path).rows, check_dtype=False)
    assert together["code"].tolist()[3] == "05"
    assert together["n"].tolist() == [1, 20, 3, 4, 5]


@pytest.mark.parametrize("column", ["fraud", "4", "-1"])
def test_a_column_is_read_as_labels(path, column):
    expected = [1 if i == 2 else -1 for i in range(12)]
    assert DelimitedBlocks(path, block_rows=5).labels(column).tolist() == expected


def test_rows_are_written_as_they_stand_with_new_columns(path, tmp_path):
    blocks = DelimitedBlocks(path, block_rows=5)
    new = {"score": np.arange(12) / 8, "odd": np.arange(12) > 6}
    for name in ("out.csv", "out.tsv", "out.csv.gz"):
        blocks.write_beside(new, tmp_path / name)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "kg;colour;code;note;fraud;score;odd"
    assert lines[3] == '2,5;red;002;"no; 2";1;0,25;False'
    assert len(lines) == 13
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()).decode().splitlines() == lines
    assert (tmp_path / "out.tsv").read_text().splitlines()[3].split("\t")[0] == "2,5"
    assert {p.name for p in tmp_path.iterdir()} == {"table.csv", "out.csv", "out.tsv", "out.csv.gz"}


def test_compressed_files_other_encodings_and_no_header(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress("1,caf\xe9\n2,th\xe9\n\n3,eau\n".encode("latin-1")))
    blocks = DelimitedBlocks(path, block_rows=2)
    assert blocks.notes == (
        "not UTF-8: read as Windows-1252",
        "No header was found; columns are counted from 0.",
    )
    assert blocks.columns == ["0", "1"]
    assert pd.concat(blocks.frames())["1"].tolist() == ["caf\xe9", "th\xe9", "eau"]
    blocks.write_beside({"n": np.arange(3)}, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "0,1,n\n1,caf\xe9,0\n2,th\xe9,1\n3,eau,2\n"


def test_names_come_without_spaces_around_them(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(" a ; label ;a\n1,5;1;3\n2,5;;4\n")
    blocks = DelimitedBlocks(path)
    whole = read_table(path)
    assert blocks.columns == list(whole.rows.columns) == ["a", "label", "a.1"]
    assert blocks.notes == whole.notes
    assert blocks.labels("label").tolist() == blocks.labels(" label ").tolist() == [1, -1]
    blocks.write_beside({"n": np.arange(2)}, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "a;label;a;n\n1,5;1;3;0\n2,5;;4;1\n"


def test_lines_above_a_table_are_left_out(tmp_path):
    path, out = tmp_path / "table.csv", tmp_path / "out.csv"
    rows = "day;amount;shop;by\n" + "".join(f"{n};{n},5;a;b\n" for n in range(9))
    for above, lines in (("Export of 2024\n", 1), ("Export; made 2024-05-01\n", 1), ("#\na\n", 2)):
        path.write_text(above + rows)
        assert is_long_text(path, least_bytes=0)
        blocks = DelimitedBlocks(path, block_rows=4)
        assert blocks.notes == read_table(path).notes
        assert f"{lines} line" in blocks.notes[0]
        assert pd.concat(blocks.frames())["amount"].tolist() == [n + 0.5 for n in range(9)]
        blocks.write_beside({"n": np.arange(9)}, out)
        assert out.read_text().splitlines()[:2] == ["day;amount;shop;by;n", "0;0,5;a;b;0"]
        path.write_text(above + rows + "9;9,5\n")
        with pytest.raises(SourceError, match=f"line {lines + 11} has 2 fields"):
            DelimitedBlocks(path)


def test_a_matrix_with_its_index_and_a_label_keeps_its_header(tmp_path):
    path, out = tmp_path / "table.csv", tmp_path / "out.csv"
    kinds = ["odd", "fine", "fine", "odd", "fine"]
    pd.DataFrame(np.arange(15.0).reshape(5, 3)).assign(label=kinds).to_csv(path)
    blocks, whole, written = (
        DelimitedBlocks(path, block_rows=2),
        read_table(path),
        written_cells(path),
    )
    assert blocks.columns == list(whole.rows.columns) == ["Unnamed: 0", "0", "1", "2", "label"]
    assert (blocks.rows, len(whole.rows)) == (5, 5)
    assert blocks.notes == whole.notes
    assert written is not None
    assert list(written[0].columns) == ["", "0", "1", "2", "label"]
    blocks.write_beside({"anomaly_score": np.arange(5.0)}, out)
    assert out.read_text().splitlines()[:2] == [
        ",0,1,2,label,anomaly_score",
        "0,0.0,1.0,2.0,odd,0.0",
    ]
    assert len(read_table(out).rows) == 5


def test_truth_values_in_some_blocks_and_numbers_in_others_are_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,c\nTrue,True,1\nFalse,False,0\n1,,1\n0,True,0\n")
    together = pd.concat(DelimitedBlocks(path, block_rows=2).frames(), ignore_index=True)
    assert together["a"].tolist() == read_table(path).rows["a"].tolist()
    assert together["a"].tolist() == ["True", "False", "1", "0"]
    assert together["c"].tolist() == [1, 0, 1, 0]


CELLS = ["1", "2.5", "a", "b c", "", " ", '""', ' "x"', '"x,y"', '"p\nq"', "\t", "#", "True", "NA"]
LINES = ["", "  ", "\t", " \t", '""', ' ""', '"', ",", "#x", "'", 'a"b,1', '"a"b,1', '\t"a\n1",2']
SMALL_LINES = st.sampled_from(LINES) | st.tuples(*[st.sampled_from(CELLS)] * 2).map(",".join)


@given(st.lists(SMALL_LINES, min_size=2, max_size=7), st.sampled_from(["\n", "\r\n"]))
def test_blocks_hold_what_is_read_as_a_whole_or_both_are_refused(lines, end):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_bytes(end.join(["u,v", "1,2", *lines, ""]).encode())
        assume(is_long_text(path, least_bytes=0))  # else it is read as a whole
        found = []
        for read in (lambda: read_table(path).rows, lambda: pd.concat(frames(path))):
            try:
                found.append(read().astype(object).map(plain).to_numpy().tolist())
            except SourceError as error:
                found.append(str(error))
        assert found[0] == found[1]


@pytest.mark.parametrize(("sep", "decimal"), [(",", "."), (";", ",")])
def test_numbers_are_read_to_the_last_digit(tmp_path, sep, decimal):
    written = pd.DataFrame(np.random.default_rng(0).lognormal(size=(200, 2)), columns=["a", "b"])
    written.to_csv(tmp_path / "table.csv", index=False, sep=sep, decimal=decimal)
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "table.csv").rows, written, check_exact=True
    )
    blocks = DelimitedBlocks(tmp_path / "table.csv", block_rows=90).frames()
    pd.testing.assert_frame_equal(pd.concat(blocks), written, check_exact=True)


def frames(path):
    blocks = DelimitedBlocks(path, block_rows=2)
    blocks.write_beside({"n": np.arange(blocks.rows)}, path.with_name("out.csv"))
    return blocks.frames()


def plain(cell):
    return cell if isinstance(cell, str | bool) else str(float("nan" if cell is None else cell))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n1,2\n""\n3,4\n', "line 3 has 1 fields, the lines above 2"),
        ("a,b\r  \r,\r3,2\r", "2 rows are counted in it, but 1 read; end its lines with"),
        ("a,b\n1,\0\n", "is not a text but binary"),
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, the lines above 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields"),
        ("a,b\n", "holds a header and no row"),
        ("  \n", "is empty"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text, newline="")
    with pytest.raises(SourceError, match=message):
        DelimitedBlocks(path)


def test_a_damaged_file_and_a_folder_that_is_not_there(path, tmp_path):
    damaged = tmp_path / "damaged.csv.gz"
    damaged.write_bytes(gzip.compress(TEXT.encode())[:-20])
    with pytest.raises(SourceError, match="cannot be read"):
        DelimitedBlocks(damaged)
    with pytest.raises(SourceError, match="cannot write"):
        DelimitedBlocks(path).write_beside({"n": np.arange(12)}, tmp_path / "none" / "out.csv")


def test_only_large_text_of_several_columns_is_long(path, tmp_path):
    assert is_long_text(path, least_bytes=100)
    assert not is_long_text(path, least_bytes=10_000)
    assert not is_long_text(tmp_path, least_bytes=0)
    single = tmp_path / "single.csv"
    single.write_text("a\n" + "1\n" * 100)
    assert not is_long_text(single, least_bytes=100)
    single.write_text('"weight, kg"\n' + "1\n" * 100)
    assert not is_long_text(single, least_bytes=100)
    parquet = tmp_path / "table.txt"
    pd.DataFrame({"a": range(100)}).to_parquet(parquet)
    assert not is_long_text(parquet, least_bytes=100)
    other = path.rename(tmp_path / "table.jsonl")
    assert not is_long_text(other, least_bytes=100)


def test_a_header_longer_than_the_sample_keeps_all_names(tmp_path):
    path = tmp_path / "genes.csv"
    names = [f"gene {place:030}" for place in range(8000)]
    path.write_text(",".join(names) + "\n" + f"{'1,' * 7999}2\n" * 30)
    blocks = DelimitedBlocks(path, block_rows=20)
    assert (blocks.columns, blocks.rows) == (names, 30)
    assert is_long_text(path, least_bytes=100)


def test_a_long_header_of_many_lines_is_refused_and_never_cut(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text('kg,"' + "a note\n" * 40_000 + '",colour\n' + "1,x,red\n" * 30)
    with pytest.raises(SourceError, match="2 of the header's 3 names; leave out line breaks"):
        DelimitedBlocks(path)
