import io
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from oddshot.data.sources import read_table, written_cells
from oddshot.data.streams import Held, hold, is_read_once, read_bytes, title_of
from oddshot.errors import SourceError

TEXT = b"zip;kg\n08505;1.5\n00012;N/A\n"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    return path


def test_what_can_be_read_but_once(tmp_path: Path, pipe: Path) -> None:
    (tmp_path / "file.csv").write_bytes(TEXT)
    (tmp_path / "link.csv").symlink_to(tmp_path / "file.csv")
    (tmp_path / "linked.csv").symlink_to(pipe)
    once = [name for name in ("-", os.devnull, pipe, tmp_path / "linked.csv") if is_read_once(name)]
    assert len(once) == 4
    for other in (tmp_path / "file.csv", tmp_path / "link.csv", tmp_path, "nowhere", "a\0b"):
        assert not is_read_once(other)
        assert hold(other) is other


def test_a_pipe_that_is_held_is_read_again_and_again(pipe: Path) -> None:
    threading.Thread(target=pipe.write_bytes, args=(TEXT,), daemon=True).start()
    held = hold(pipe)
    assert held == Held(str(pipe), TEXT)
    assert hold(held) is held
    assert title_of(held) == repr(str(pipe))
    for _ in range(2):
        table = read_table(held)
        assert (table.name, table.rows.shape) == ("pipe", (2, 2))
        written = written_cells(held)
        assert written is not None
        cells, dialect = written
        assert cells.to_numpy().tolist() == [["08505", "1.5"], ["00012", "N/A"]]
        assert dialect.delimiter == ";"


def test_standard_input_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(TEXT)))
    held = hold("-")
    assert (read_table(held).name, title_of(held)) == ("stdin", "standard input")
    assert read_bytes(held) == TEXT


def test_standard_input_that_is_closed_or_only_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SourceError, match=r"^standard input is closed; pipe a table into it"):
        read_table("-")
    with Path(os.devnull).open("wb") as buffer:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=buffer))
        with pytest.raises(SourceError, match="standard input cannot be read"):
            read_table("-")
