"""Refusing what cannot be written, before any work is done."""

from pathlib import Path

from oddshot.errors import SettingError


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
    _check(f"--report {report}", file, report)
    if out is not None and out.resolve() == report.resolve():
        raise SettingError(f"--out and --report are both {out}; choose two names")
    if report.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"--report {report}: it is a web page; give a name that ends in .html")


def check_table_output(option: str, file: str, path: Path) -> None:
    """Do the same for one table."""
    from oddshot.data.sources import FORMATS, WRITERS, table_suffix

    _check(f"{option} {path}", file, path)
    if FORMATS.get(table_suffix(path)) not in WRITERS:
        raise SettingError(
            f"{option} {path}: give a name that ends in .csv, .tsv, .jsonl or .parquet"
        )


def _check(called: str, file: str, path: Path) -> None:
    if file != "-" and path.exists() and Path(file).exists() and path.samefile(file):
        raise SettingError(f"{called} is the file that is read; choose another name")
    if path.is_dir():
        raise SettingError(f"{called} is a folder; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"{called}: its folder cannot be made ({error.strerror}); choose another"
        ) from error
