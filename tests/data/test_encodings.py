from pathlib import Path

import pandas as pd
import pytest

from oddshot.data.sources import read_table


@pytest.mark.parametrize(
    ("encoding", "notes"),
    [("utf-8-sig", 0), ("utf-16", 0), ("utf-32", 0), ("latin-1", 1), ("utf-8", 0)],
)
def test_encodings(tmp_path: Path, encoding: str, notes: int) -> None:
    (tmp_path / "t.csv").write_bytes("größe,ä\n1,é\n2,x\n".encode(encoding))
    table = read_table(tmp_path / "t.csv")
    assert isinstance(table.rows, pd.DataFrame)
    assert list(table.rows.columns) == ["größe", "ä"]
    assert table.rows["ä"][0] == "é"
    assert len(table.notes) == notes


def test_what_is_not_utf8_is_windows_1252_as_most_programs_write(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("price;x\n5,5 €;1\n7,1 €;2\n".encode("cp1252"))
    table = read_table(tmp_path / "t.csv")
    assert isinstance(table.rows, pd.DataFrame)
    assert table.rows["price"].tolist() == ["5,5 €", "7,1 €"]
    assert table.notes == ("not UTF-8: read as Windows-1252",)
    (tmp_path / "t.csv").write_bytes(b"name,x\n\x81,1\n")
    assert read_table(tmp_path / "t.csv").notes == ("not UTF-8: read as Latin-1",)


def test_one_damaged_letter_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    lines = ["größe,x", *(f"grün,{n}" for n in range(30))]
    (tmp_path / "t.csv").write_bytes("\n".join(lines).encode() + b"\ngr\xfcn,7\n")
    table = read_table(tmp_path / "t.csv")
    assert isinstance(table.rows, pd.DataFrame)
    assert table.rows["größe"].tolist() == ["grün"] * 30 + ["gr\ufffdn"]
    assert table.notes[0].startswith("UTF-8 but for 1 bad byte(s), the first in line 32")
