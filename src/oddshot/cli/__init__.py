"""The command line ``oddshot``; ``oddshot --help`` lists its commands.

Exit codes: 0 done; 1 every run of `bench` failed; 2 a mistake of the user's, a full disk or too
little memory, in one line on standard error; 3 `watch` found drift; 130 stopped with Ctrl-C; 143
ended by SIGTERM. Any other exception is a defect of ours and escapes with its traceback.

Nothing heavy is imported before a command needs it, so that ``oddshot --help`` answers at once.
"""

import codecs
import errno
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from oddshot.cli.benching import bench, bench_report
from oddshot.cli.console import complain
from oddshot.cli.demonstrating import demo
from oddshot.cli.detecting import detect, fit, score
from oddshot.cli.explain import explain
from oddshot.cli.label import label
from oddshot.cli.series import series
from oddshot.cli.training import meta_train
from oddshot.cli.watch import refresh, watch
from oddshot.errors import OddshotError, SettingError, first_line

# Newer versions of Typer carry a copy of Click of their own: find its base error from Typer's.
_UsageError: Any = typer.BadParameter.__mro__[2]
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _OneLineErrors(TyperGroup):
    """Prints a user's mistake, and warnings of ours, in one line; exits with 2 after a mistake."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show(warnings.showwarning)
                code = super().main(*args, **{**extra, "standalone_mode": False})
        except SystemExit as stop:
            # Typer's and Rich's, where whoever read our lines has left, as `head` does
            if not isinstance(stop.__context__, BrokenPipeError):
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except OddshotError as error:
            message = str(error)
        except _UsageError as error:
            message = error.format_message()
        except OSError as error:
            if error.errno not in _FULL:
                raise
            message = f"cannot write all ({error.strerror}); make room where the output goes"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except MemoryError as error:
            message = (
                f"this needs more memory than there is ({first_line(error)}); give fewer rows or "
                "columns, or a long CSV or Parquet file with --out, which is read in blocks"
            )
        else:
            sys.exit(code if isinstance(code, int) else 0)
        complain(message)
        sys.exit(2)


class _NoEmptyPaths(TyperCommand):
    """Refuses empty paths, as of a variable that was not set: they would mean this folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # the shell asks how a line may go on
            return super().parse_args(ctx, args)
        given, _, _ = self.make_parser(ctx).parse_args(args=[*args])
        for param in self.params:
            values = given.get(param.name)
            if "" in (values if isinstance(values, list | tuple) else [values]) and _is_path(param):
                called = param.opts[0] if param.param_type_name == "option" else param.metavar
                raise SettingError(f"{called} is empty; give a path, or leave it out")
        return super().parse_args(ctx, args)


def _is_path(param: Any) -> bool:
    return re.search("PATH|FILE|DIR|FOLDER|HTML|OUT|TABLE", param.metavar or "") is not None


def _show(otherwise: Callable[..., None]) -> Callable[..., None]:
    """Show warnings of ours without the line of code that they come from, each of them once."""
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **extra: Any) -> None:
        if category.__module__.startswith("oddshot."):
            if str(message) not in said:
                complain(str(message))
            said.add(str(message))
        else:
            otherwise(message, category, *where, **extra)

    return show


app = typer.Typer(
    cls=_OneLineErrors,
    name="oddshot",
    help="Find the odd rows of a table, from no labels or a handful of them.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (demo, detect, fit, score, explain, series):
    app.command(cls=_NoEmptyPaths)(command)
app.command("meta-train", cls=_NoEmptyPaths)(meta_train)
app.command(cls=_NoEmptyPaths)(bench)
app.command("bench-report", cls=_NoEmptyPaths)(bench_report)
app.command(cls=_NoEmptyPaths)(label)
app.command(cls=_NoEmptyPaths)(watch)
app.command(cls=_NoEmptyPaths)(refresh)


def main() -> None:
    """Run the command line; letters that the output's encoding lacks are written as escapes."""
    codecs.register_error("oddshot", _bytes_or_escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="oddshot")
    with _cleaning_up():
        app()


def _bytes_or_escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write a letter that cannot be encoded as an escape, and a path's bytes as they came."""
    assert isinstance(error, UnicodeEncodeError)
    letter = error.object[error.start]
    is_byte = "\udc80" <= letter <= "\udcff"  # PEP 383: in a path that the locale cannot decode
    written: str | bytes
    if is_byte:
        written = letter.encode("utf-8", "surrogateescape")
    else:
        written = letter.encode("ascii", "backslashreplace").decode("ascii")
    return written, error.start + 1


@contextmanager
def _cleaning_up() -> Iterator[None]:
    """Clean up after SIGTERM as after Ctrl-C: it becomes an exception, and exits with 143."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"oddshot {version('oddshot')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
