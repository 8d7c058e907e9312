import pytest

from oddshot.errors import SettingError
from oddshot.reports.writing import write_file


def test_text_and_bytes_replace_what_was_there(tmp_path):
    path = tmp_path / "new" / "a.html"
    write_file(path, "ä")
    assert path.read_bytes() == "ä".encode()
    write_file(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert [file.name for file in path.parent.iterdir()] == ["a.html"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"cannot write .*file/a.html"):
        write_file(tmp_path / "file" / "a.html", "")
