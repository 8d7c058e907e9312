import io
import zipfile

import numpy as np
import pytest

from oddshot.data.archives import UNREADABLE, check_length, read_arrays, read_shapes


def test_shapes_are_those_of_the_arrays(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, X=np.zeros((4, 3)), y=np.zeros(4), name=np.array(["a", "bc"]))
    with path.open("rb") as file:
        arrays = read_arrays(file)
    assert read_shapes(path, ("name", "X", "none")) == {"name": (2,), "X": (4, 3)}
    assert {name: array.shape for name, array in arrays.items()} == {
        "X": (4, 3),
        "y": (4,),
        "name": (2,),
    }


def test_headers_of_the_second_version_are_read(tmp_path):
    path = tmp_path / "arrays.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("X.npy", "w") as file:
        np.lib.format.write_array(file, np.zeros((2, 5)), version=(2, 0))
    assert read_shapes(path, ("X",)) == {"X": (2, 5)}


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04garbage"])
def test_damage_raises_what_it_says(tmp_path, content):
    path = tmp_path / "arrays.npz"
    path.write_bytes(content)
    with pytest.raises(UNREADABLE):
        read_shapes(path, ("X",))
    with path.open("rb") as file, pytest.raises(UNREADABLE):
        read_arrays(file)


def test_more_is_declared_than_there_is(tmp_path):
    header = io.BytesIO()
    declared = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 100)}
    np.lib.format.write_array_header_1_0(header, declared)
    content = header.getvalue() + bytes(100)
    with pytest.raises(ValueError, match="declares 800,000,000,000 bytes, and 100 follow"):
        check_length(io.BytesIO(content), len(content))
    with zipfile.ZipFile(tmp_path / "arrays.npz", "w") as archive:
        archive.writestr("X.npy", content)
    with open(tmp_path / "arrays.npz", "rb") as file, pytest.raises(ValueError, match="declares"):
        read_arrays(file)
