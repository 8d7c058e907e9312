"""What is said on the console, and bars for long work."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import typer

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 220  # columns of text where there is no terminal to ask


def console_of_stdout() -> "Console":
    """Return a console on standard output: no colour and no narrow lines where it is piped."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def say(console: "Console", line: str) -> None:
    """Print a line as it is: nothing in it is markup, and no path in it is cut."""
    console.print(line, markup=False, soft_wrap=True)


def complain(message: str) -> None:
    """Print what is wrong on standard error, in one line."""
    print(f"oddshot: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error where that is a terminal, nothing elsewhere."""
    with stages() as report:
        yield lambda done, total: report(what, done, total, {})


@contextmanager
def tells_what_is_kept(kept: Callable[[], str]) -> Iterator[None]:
    """After Ctrl-C, say what is kept, and exit with 130."""
    try:
        yield
    except KeyboardInterrupt:
        what = kept()
        after = (
            f"{what}, and the same command goes on from there"
            if what
            else ("nothing is kept yet; the same command starts anew")
        )
        typer.echo(f"oddshot: stopped; {after}", err=True)
        raise typer.Exit(130) from None


class StageReport(Protocol):
    """Hears how far a stage of long work is, and the figures that come along."""

    def __call__(self, stage: str, done: int, total: int, info: dict[str, Any]) -> None:
        """Show it."""
        ...


@contextmanager
def stages() -> Iterator[StageReport]:
    """Show one bar per stage on standard error, with the figures that come along."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, Any] = {}
    latest: dict[str, Any] = {}  # a figure that comes seldom stays until the next

    def report(stage: str, done: int, total: int, info: dict[str, Any]) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage.capitalize(), total=total, figures="")
            latest.clear()
        latest.update(info)
        figures = "  ".join(
            f"{name.replace('_', ' ')} {value:.4g}"
            for name, value in latest.items()
            if isinstance(value, int | float)
        )
        bars.update(tasks[stage], completed=done, total=total, figures=figures)

    with bars:
        yield report
