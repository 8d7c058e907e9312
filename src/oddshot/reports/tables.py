"""Summaries of benchmarks as tables: for the terminal (Rich) and as Markdown.

Both show the same cells, made once by `comparison_cells`.
"""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from oddshot.evaluation.benchmarks import Comparison, Summary


def comparison_cells(comparison: Comparison, reference: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and one row of text per detector, best AUROC first.

    Columns: mean and median AUROC, mean and median AP, AP norm, mean ranks (AUROC, AP), on what
    share of tables the reference wins, and its lead with the 95% interval over tables.
    """
    compared = f"{reference}_win" if comparison.differences else ""
    header = ["detector", "AUROC", "median", "AP", "median", "AP norm", "rank", "rank AP"]
    if compared:
        header += [f"{reference} wins", f"{reference} leads, AUROC", f"{reference} leads, AP"]
    header += ["fit s", "score s"]
    if "auroc" not in comparison.scores:
        return header, []
    rows: list[list[str]] = []
    for name, row in comparison.scores.iterrows():
        detector = str(name)
        cells = [
            detector,
            f"{row['auroc']:.3f}",
            f"{row['auroc_median']:.3f}",
            f"{row['ap']:.3f}",
            f"{row['ap_median']:.3f}",
            f"{row['ap_norm']:.3f}",
            f"{row['auroc_rank']:.2f}",
            f"{row['ap_rank']:.2f}",
        ]
        if compared and detector == reference:
            cells += ["", "", ""]
        elif compared:
            cells += [
                f"{row['auroc_win']:.0%} / {row['ap_win']:.0%}",
                str(comparison.differences[detector, "auroc"]),
                str(comparison.differences[detector, "ap"]),
            ]
        rows.append([*cells, f"{row['fit_seconds']:.2f}", f"{row['score_seconds']:.2f}"])
    return header, rows


def summary_for_terminal(summary: Summary) -> Group:
    """Lay a summary out for a Rich console."""
    parts: list[RichTable | Text] = []
    for comparison in summary.comparisons:
        header, rows = comparison_cells(comparison, summary.reference)
        table = RichTable(title=_title(comparison), title_justify="left", title_style="bold")
        for position, name in enumerate(header):
            table.add_column(escape(name), justify="right" if position else "left")
        for row in rows:
            table.add_row(
                *(escape(cell) for cell in row),
                style="bold green" if row[0] == summary.reference else "",
            )
        parts.append(table)
    parts += [Text(f"{line}\n") for line in _remarks(summary)]
    return Group(*parts)


def summary_as_markdown(summary: Summary) -> str:
    """Write a summary as a Markdown page."""
    lines = ["# Benchmark", ""]
    for comparison in summary.comparisons:
        header, rows = comparison_cells(comparison, summary.reference)
        lines += [f"## {_title(comparison)}", ""]
        lines.append(markdown_table(header, rows))
    lines += [f"- {_markdown(remark)}" for remark in _remarks(summary)]
    return "\n".join(lines) + "\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay cells out as Markdown; the first column is text, the others are figures.

    Examples
    --------
    >>> print(markdown_table(["", "AUROC"], [["kNN", "0.75"]]), end="")
    |  | AUROC |
    |---|---:|
    | kNN | 0.75 |
    """
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(_markdown(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _title(comparison: Comparison) -> str:
    k = f", k = {comparison.k}" if comparison.protocol == "few-label" else ""
    title = (
        f"{comparison.protocol}{k}: {_count(comparison.tables, 'table')}, "
        f"{_count(comparison.cells, 'split')} that every detector finished"
    )
    if comparison.left_out:
        title += f" ({comparison.left_out} left out)"
    return title


def _remarks(summary: Summary) -> Iterator[str]:
    if any(comparison.differences for comparison in summary.comparisons):
        yield (
            f"'{summary.reference} wins': share of tables, by AUROC / by AP, ties half. 'Leads': "
            "mean difference over tables with its paired bootstrap 95% interval. A table's splits "
            "are averaged first."
        )
    if summary.skipped_seen:
        yield (
            f"oddshot was not tested on {_count(len(summary.skipped_seen), 'table')} whose family "
            f"its prior has seen in meta-training: {_listed(summary.skipped_seen)}"
        )
    if summary.tested_seen:
        yield (
            f"Not a fair test of oddshot: its prior has seen the families of "
            f"{_count(len(summary.tested_seen), 'table')}: {_listed(summary.tested_seen)}"
        )
    for comparison in summary.comparisons:
        if comparison.missing:
            yield (
                f"No run of {comparison.protocol}, k = {comparison.k} was finished by "
                f"{_listed(comparison.missing)}: not compared there"
            )
    for (detector, error), times in summary.failures.items():
        yield f"{detector} failed {_count(times, 'time')}: {error}"
    yield f"Machine: {summary.machine}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def _markdown(text: str) -> str:
    return text.replace("|", "\\|")
