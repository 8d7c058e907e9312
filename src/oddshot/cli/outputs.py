"""Writing what was found; what cannot be written is refused before any work is done."""

import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from oddshot.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

    from oddshot.data.streams import Source


def check_outputs(file: str, out: Path | None, report: Path | None) -> None:
    """Refuse a table and a page that cannot be written, or would overwrite what is read.

    Raises
    ------
    SettingError
        If that is so.
    """
    if out is not None:
        check_table_output("--out", file, out)
    if report is None:
        return
    if out is not None and out.resolve() == report.resolve():
        raise SettingError(f"--out and --report are both {out}; choose two names")
    check_page(file, report)


def check_page(file: str, report: Path) -> None:
    """Do the same for a page."""
    _check(f"--report {report}", file, report)
    if report.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"--report {report}: it is a web page; give a name that ends in .html")


def check_table_output(option: str, file: str, path: Path) -> None:
    """Do the same for one table."""
    from oddshot.data.sources import can_write, writable_suffixes

    _check(f"{option} {path}", file, path)
    if not can_write(path):
        suffixes = writable_suffixes()
        raise SettingError(f"{option} {path}: give a name that ends in {suffixes}")


def check_picture(option: str, file: str, path: Path) -> None:
    """Do the same for a picture."""
    _check(f"{option} {path}", file, path)
    if path.suffix.lower() != ".png":
        raise SettingError(f"{option} {path}: it is a picture; give a name that ends in .png")


def make_folder(called: str, folder: Path, what: str = "the folder") -> None:
    """Make a folder for what is written.

    Raises
    ------
    SettingError
        If that cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"{called}: {what} cannot be made ({error.strerror}); choose another"
        ) from error


def write_beside(
    source: "Source | None", frame: "pd.DataFrame", added: "pd.DataFrame", out: Path
) -> None:
    """Write a table as it came, and new columns beside it.

    Parameters
    ----------
    source
        Where the table was read, if it was. What stands there is written again, if ``out`` is
        of the same kind: cells of delimited text as they are, with what stands between them (in
        `.tsv` tabs), Parquet with its types and index, JSON lines with objects inside each other.
    frame
        Shape (n, d): the table as it was understood, for all else.
    added
        Shape (n, a): the new columns.
    out
        The file to write.
    """
    import pandas as pd

    from oddshot.data.blocks import ParquetBlocks, is_parquet
    from oddshot.data.sources import (
        is_delimited,
        is_json_lines,
        write_table,
        written_cells,
        written_records,
    )

    if source is not None and ParquetBlocks.written_to(out) and is_parquet(source):
        beside = {str(name): column.to_numpy() for name, column in added.items()}
        ParquetBlocks(source).write_beside(beside, out)
        return
    written = written_cells(source) if source is not None and is_delimited(out) else None
    rows, like = (frame, None) if written is None else written
    if (
        source is not None
        and is_json_lines(out)
        and (nested := written_records(source)) is not None
    ):
        rows = nested
    write_table(pd.concat([rows, added.set_axis(rows.index, axis=0)], axis=1), out, like=like)


def _check(called: str, file: str, path: Path) -> None:
    from oddshot.persistence import replaceable

    if file != "-" and os.path.exists(path) and os.path.exists(file) and path.samefile(file):
        raise SettingError(f"{called} is the file that is read; choose another name")
    if os.path.isdir(path):
        raise SettingError(f"{called} is a folder; give the name of a file")
    make_folder(called, path.parent, "its folder")
    try:
        with TemporaryFile(dir=replaceable(path).parent):
            pass
    except OSError as error:
        raise SettingError(
            f"{called} cannot be written ({error.strerror}); give a file in a folder you may write"
        ) from error
