"""What is said on the console, and bars for long work.

Cells, names of columns and paths must not talk to the terminal: whatever is printed here shows a
replacement character for each control character.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

PIPE_WIDTH = 220  # columns of text where there is no terminal to ask
CONTROL = re.compile(  # the last ones as bytes of a path that could not be decoded
    "[\x00-\x08\x0b-\x1f\x7f-\x9f]|\udcc2[\udc80-\udc9f]"
)


def console_of_stdout() -> "Console":
    """Return a console on standard output: no colour and no narrow lines where it is piped."""
    console = _console()
    return console if console.is_terminal else _console(width=PIPE_WIDTH)


def say(console: "Console", *lines: str) -> None:
    """Print lines as they are: nothing in them is markup, none is broken, no path is cut."""
    for line in lines:
        console.print(_in_one_line(line), markup=False, soft_wrap=True)


def complain(message: str) -> None:
    """Print what is wrong on standard error, in one line."""
    line = _in_one_line(" ".join(message.split()))
    print(f"oddshot: {line}", file=sys.stderr)  # noqa: T201


def without_control(text: str) -> str:
    r"""Show what would steer a terminal, but for line feeds and tabs, as a replacement character.

    >>> without_control("a\x1b[2J\x9b31m\n\tb")
    'a�[2J�31m\n\tb'
    """
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _in_one_line(text: str) -> str:
    return without_control(text).replace("\n", "\N{REPLACEMENT CHARACTER}")


def _console(**options: Any) -> "Console":
    """Make a console for which nothing in a text is a control character or the code of an emoji."""
    from rich.console import Console

    class Safe(Console):
        def render_str(self, text: str, **how: Any) -> "Text":
            return super().render_str(without_control(text), **how)  # before it is measured

        def render(
            self, renderable: "RenderableType", options: "ConsoleOptions | None" = None
        ) -> "Iterable[Segment]":
            for segment in super().render(renderable, options):
                text = segment.text if segment.control else without_control(segment.text)
                yield segment._replace(text=text)

    return Safe(highlight=False, emoji=False, **options)


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
        complain(f"stopped; {after}")
        raise typer.Exit(130) from None


class StageReport(Protocol):
    """Hears how far a stage of long work is, and the figures that come along."""

    def __call__(self, stage: str, done: int, total: int, info: dict[str, Any]) -> None:
        """Show it."""
        ...


@contextmanager
def stages() -> Iterator[StageReport]:
    """Show one bar per stage on standard error, with the figures that come along."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = _console(stderr=True)
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
