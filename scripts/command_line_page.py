#!/usr/bin/env python
"""Write docs/command-line.md, every command with its options, from the commands themselves."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from oddshot.cli import app
from oddshot.data.sources import writable_suffixes

PAGE = Path(__file__).parents[1] / "docs" / "command-line.md"
TOP = """\
# The command line

<!-- Written by scripts/command_line_page.py from the help of the commands: run it, do not edit. -->

All commands with their options, as `oddshot COMMAND --help` (`-h`) shows them, too.
`oddshot --version` tells the version; after `oddshot --install-completion` the shell completes
commands and options.

Exit codes: 0, done; 1, every run of `bench` failed; 2, a mistake in what was given, a full disk or
too little memory, told in one line on standard error (of `watch`, see [drift](drift.md)); 3,
`watch` raised an alarm; 130, stopped with Ctrl-C; 143, ended by SIGTERM.

A table that is written keeps its rows and columns, in their order, as they were written; behind
them come

| column | what it holds |
|---|---|
| `anomaly_stretch` | of `series`: which stretch a reading lies in, the oddest is 1, none 0 |
| `anomaly_p` | with `--alpha` or `--fdr`: how often a normal row scores as high |
| `anomaly_reasons` | with `--reasons N`: why the N oddest rows are odd, in words; else empty |
| `anomaly_score` | 0 and more, higher is odder; `10**-score` is the share of rows that are as odd |
| `anomaly` | is it one: labelled rows by their label (not in `score`), others by the threshold |
| `anomaly_rank` | 1 for the oddest row |

Where the table has such a column already the new one is called `anomaly_2`, and so on. Text with
decimal commas gets scores with decimal commas. Names of tables that are written end in
{suffixes}. Tables that are read may be `.npy`, `.npz` and `.arff`, too.
"""
VALUES = {int: "N", float: "X", str: "NAME"}  # what stands for a value without a name of its own


def page() -> str:
    """Return the page in Markdown."""
    commands: dict[str, Any] = typer.main.get_command(app).commands
    rows = [
        f"| [`{name}`](#{name}) | {_paragraphs(command)[0]} |" for name, command in commands.items()
    ]
    contents = "\n".join(["| command | what it does |", "|---|---|", *rows, ""])
    return "\n".join(
        [TOP.format(suffixes=writable_suffixes()), contents, *map(_section, commands.values())]
    )


def _section(command: Any) -> str:
    options = [
        f"| {_named(param)} | {_written(_told(param))} | {_default(param)} |"
        for param in command.params
    ]
    usage = " ".join(["oddshot", command.name, *_needed(command.params), "[OPTIONS]"])
    return "\n".join(
        [
            f"## {command.name}",
            "",
            "\n\n".join(_paragraphs(command)),
            "",
            f"    {usage}",
            "",
            "| option | what it means | default |",
            "|---|---|---|",
            *options,
            "",
        ]
    )


def _paragraphs(command: Any) -> list[str]:
    """Say what a command does, each paragraph in one line."""
    return [_written(" ".join(part.split())) for part in command.help.split("\n\n")]


def _needed(params: list[Any]) -> Iterator[str]:
    """Arguments, and options that a command does not run without."""
    for param in params:
        if param.param_type_name == "argument":
            yield param.metavar
        elif param.required:
            yield f"{param.opts[0]} {_value(param)}"


def _named(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{param.metavar}`"
    if param.is_flag:
        return ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    return f"`{param.opts[0]} {_value(param)}`"


def _value(param: Any) -> str:
    return str(param.metavar or VALUES[type(param.default)])


def _told(param: Any) -> str:
    again = getattr(param, "multiple", False) and "repeat" not in param.help
    return f"{param.help[:-1]}; repeat it for more." if again else str(param.help)


def _default(param: Any) -> str:
    if param.required:
        return "required"
    value = param.default
    if isinstance(value, bool):
        return f"`{param.opts[0]}`" if value else ""
    if isinstance(value, Path):
        return f"`{value.as_posix()}`"
    return f"`{value}`" if isinstance(value, int | float | str) and value != "" else ""


def _written(text: str) -> str:
    """Write help as Markdown: options as code, pages beside this one as links."""
    text = re.sub(r"(?<![\w`-])--[a-z][a-z-]*", r"`\g<0>`", text.replace("|", "\\|"))
    return re.sub(r"\bdocs/([\w-]+\.md)", r"[\1](\1)", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
