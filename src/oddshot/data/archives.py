"""Files of arrays, as `numpy.save` and `numpy.savez` write them."""

import math
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

# what reading one raises that is damaged, is none, or holds Python objects
UNREADABLE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def read_arrays(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Read all arrays, by name; one of `UNREADABLE` is raised where that fails.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = BytesIO()
    >>> np.savez(file, X=np.zeros((2, 3)))
    >>> _ = file.seek(0)
    >>> read_arrays(file)["X"].shape
    (2, 3)
    """
    loaded = np.load(file, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        raise ValueError("it holds one array without a name, and is no archive of arrays")
    with loaded as archive:
        for member in archive.zip.infolist():
            with archive.zip.open(member) as content:
                check_length(content, member.file_size)
        return {name: archive[name] for name in archive.files}


def check_length(file: IO[bytes], length: int) -> None:
    """Refuse an array, in a file of so many bytes, whose header declares more than follows it.

    Raises
    ------
    ValueError
        If it does; one of `UNREADABLE` if there is no header.
    """
    shape, dtype = _header(file)
    declared, held = math.prod(shape) * dtype.itemsize, length - file.tell()
    if declared > held and not dtype.hasobject:
        raise ValueError(f"its header declares {declared:,} bytes, and {held:,} follow")


def read_shapes(path: Path, names: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Read the shapes of those of some arrays that are there, by name; errors as `read_arrays`."""
    with zipfile.ZipFile(path) as archive:
        held = {member.removesuffix(".npy"): member for member in archive.namelist()}
        return {name: _shape(archive, held[name]) for name in names if name in held}


def _shape(archive: zipfile.ZipFile, member: str) -> tuple[int, ...]:
    with archive.open(member) as file:
        return _header(file)[0]


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(file)]
    shape, _, dtype = read(file)
    return shape, dtype
