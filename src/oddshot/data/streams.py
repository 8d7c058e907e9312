"""Bytes as they come: from a file, or from what can be read but once.

Reading takes away what a pipe or standard input holds, be it the first few bytes. What is needed
again is held in memory (`hold`).
"""

import errno
import glob
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from oddshot.errors import SourceError
from oddshot.wording import counted, short


@dataclass(frozen=True, slots=True)
class Held:
    """All that came from standard input or a pipe.

    Attributes
    ----------
    path
        Where it came from, "-" for standard input; what `str` gives.
    data
        Its bytes.
    """

    path: str
    data: bytes

    def __str__(self) -> str:
        return self.path


Source = str | os.PathLike[str] | Held


def is_read_once(source: Source) -> bool:
    """Tell standard input ("-"), pipes and devices from files, folders and what is not there.

    Examples
    --------
    >>> is_read_once("-"), is_read_once("/dev/null"), is_read_once("nowhere.csv")
    (True, True, False)
    """
    if isinstance(source, Held):
        return False
    is_other = os.path.exists(source) and not (os.path.isfile(source) or os.path.isdir(source))
    return is_other or str(source) == "-"


def hold(source: Source) -> Source:
    """Read what can be read but once, so that it can be read again; give all else as it is.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    return Held(str(source), read_bytes(source)) if is_read_once(source) else source


def read_bytes(source: Source) -> bytes:
    """Read all that there is.

    Raises
    ------
    SourceError
        If it cannot be found or read.
    """
    if isinstance(source, Held):
        return source.data
    called, standard = title_of(source), str(source) == "-"
    if standard and sys.stdin is None:
        raise SourceError(f"{called} is closed; pipe a table into it, or give a file")
    try:
        return sys.stdin.buffer.read() if standard else Path(source).read_bytes()
    except FileNotFoundError as error:
        raise SourceError(f"{called} does not exist; {_remedy(str(source))}") from error
    except IsADirectoryError as error:
        raise SourceError(f"{called} is a folder; give one file in it") from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            why = "it is too long for a path; give that of a file, or - for standard input"
            raise SourceError(f"{called} cannot be read: {why}") from error
        raise SourceError(f"{called} cannot be read: {error}; check path and rights") from error


def _remedy(path: str) -> str:
    found = sorted(glob.glob(path)) if glob.has_magic(path) else []
    if not found:
        return "check the path"
    return (
        f"it stands for {counted(len(found), 'files')} ({found[0]!r}, ...); tables are read one "
        "file at a time: give one, or put them together"
    )


def title_of(source: Source) -> str:
    """Name a source in a message."""
    path = str(source)
    return "standard input" if path == "-" else repr(short(path))
