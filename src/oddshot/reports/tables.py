"""Summaries of benchmarks as tables: for the terminal (Rich) and as Markdown.

Both show the same cells, made once by `comparison_cells`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from oddshot.evaluation.protocols import ADBENCH, FEW_LABEL, NOVEL_TYPE
from oddshot.evaluation.published import Published
from oddshot.evaluation.row_names import RowName
from oddshot.evaluation.summary import Comparison, Summary
from oddshot.wording import counted

NUMBER = re.compile(r"\d[\d,.]*(?<=\d)")


def comparison_cells(comparison: Comparison, reference: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and one row of text per detector, best AUROC first.

    Columns: mean and median AUROC, mean and median AP, AP norm, mean ranks (AUROC, AP), in
    novel-type what labels add to the same detector without them, on what share of tables the
    reference wins, its lead with the 95% interval over tables, and median seconds.
    """
    compared = f"{reference}_win" if comparison.differences else ""
    header = ["detector", "AUROC", "median", "AP", "median", "AP norm", "rank", "rank AP"]
    if comparison.labels_add:
        header += ["labels add, AUROC", "labels add, AP"]
    if compared:
        header += [f"{reference} wins", f"{reference} leads, AUROC", f"{reference} leads, AP"]
    header += ["fit s, median", "score s, median"]
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
        if comparison.labels_add:
            added = (comparison.labels_add.get((detector, metric)) for metric in ("auroc", "ap"))
            cells += ["" if gain is None else str(gain) for gain in added]
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
        if not rows:  # a remark tells why
            continue
        table = RichTable(
            title=comparison_title(comparison), title_justify="left", title_style="bold"
        )
        for position, name in enumerate(header):
            table.add_column(escape(name), justify="right" if position else "left")
        for row in rows:
            table.add_row(
                *(escape(cell) for cell in row),
                style="bold green" if row[0] == summary.reference else "",
            )
        parts.append(table)
    parts += [Text(f"{line}\n") for line in remarks(summary)]
    return Group(*parts)


def published_cells(found: Published) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of published means beside measured ones, best AUROC first."""
    kinds, names = (map(str, found.scores.index.get_level_values(level)) for level in (0, 1))
    figures = zip(found.scores["auroc"], found.scores["ap"], strict=True)
    rows = [
        [name, kind, *("" if np.isnan(figure) else f"{figure:.3f}" for figure in pair)]
        for name, kind, pair in zip(names, kinds, figures, strict=True)
    ]
    return ["detector", "from", "AUROC", "AP"], rows


def published_title(found: Published) -> str:
    """Say who published the figures, and what they are over."""
    if found.same:
        over = (
            f"both over the same {counted(len(found.tables), 'data sets')}, each on its own splits"
        )
        if found.left_out:
            over += f" (without {', '.join(found.left_out)}: the published runs trained on copies)"
    else:
        over = "not the tables measured here: only the order of magnitude compares"
    return f"Published beside measured: {found.source}; {over}"


def summary_as_markdown(summary: Summary, published: Sequence[Published | None] = ()) -> str:
    """Write a summary as a Markdown page.

    Parameters
    ----------
    summary
        What was measured.
    published
        What to set beside each comparison, in their order; ``None``: nothing.
    """
    beside = published or [None] * len(summary.comparisons)
    lines = ["# Benchmark", ""]
    for comparison, theirs in zip(summary.comparisons, beside, strict=True):
        header, rows = comparison_cells(comparison, summary.reference)
        lines += [f"## {comparison_title(comparison)}", ""]
        lines.append(markdown_table(header, rows))
        if theirs is not None:
            lines += [f"{published_title(theirs)}.", ""]
            lines.append(markdown_table(*published_cells(theirs)))
    lines += [f"- {_markdown(remark)}" for remark in remarks(summary)]
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


def setting_title(protocol: str, k: int) -> str:
    """Name a protocol and how much is labelled.

    Examples
    --------
    >>> setting_title("few-label", 5), setting_title("adbench", 1), setting_title("dte", 0)
    ('few-label, k = 5', 'adbench, 1% of anomalies labelled', 'dte')
    """
    plain = RowName.parse(protocol).protocol
    if plain in (FEW_LABEL, NOVEL_TYPE):
        return f"{protocol}, k = {k}"
    if plain == ADBENCH:
        return f"{protocol}, {f'{k}%' if k else 'none'} of anomalies labelled"
    return protocol


def comparison_title(comparison: Comparison) -> str:
    """Name a comparison, and say how much it is over."""
    title = (
        f"{setting_title(comparison.protocol, comparison.k)}: "
        f"{counted(comparison.tables, 'tables')}, "
        f"{counted(comparison.cells, 'splits')} that every "
        f"{'compared detector' if comparison.missing else 'detector'} finished"
    )
    asides = [f"{comparison.left_out} left out"] if comparison.left_out else []
    if missing := len(comparison.missing):
        asides.append(f"{missing} of {missing + len(comparison.scores)} detectors finished none")
    return f"{title} ({'; '.join(asides)})" if asides else title


def remarks(summary: Summary) -> Iterator[str]:
    """Say what the figures mean, and what they leave out."""
    if any(comparison.differences for comparison in summary.comparisons):
        yield (
            f"'{summary.reference} wins': share of tables, by AUROC / by AP, ties half. 'Leads': "
            "mean difference over tables with its paired bootstrap 95% interval. A table's splits "
            "are averaged first."
        )
    if any(comparison.labels_add for comparison in summary.comparisons):
        yield (
            "'Labels add': mean difference to the same detector without labels on the same splits, "
            "with its interval; on unseen types a loss is the price of the labels. Each type is in "
            "turn the one that labels show; unseen ones count alike, however many rows they have."
        )
    if any(RowName.parse(comparison.protocol).domain for comparison in summary.comparisons):
        yield (
            "leave-domain-out: tables of the field in brackets, by the names of their columns; "
            "oddshot's prior has learned from none of their families."
        )
    for detector, tables in summary.skipped_seen.items():
        yield (
            f"{detector} was not tested on {counted(len(tables), 'tables')} whose "
            f"family its prior has seen in meta-training: {_listed(tables)}"
        )
    for detector, tables in summary.tested_seen.items():
        yield (
            f"Not a fair test of {detector}: its prior has seen the families of "
            f"{counted(len(tables), 'tables')}: {_listed(tables)}"
        )
    for comparison in summary.comparisons:
        if comparison.missing:
            yield (
                f"No run of {setting_title(comparison.protocol, comparison.k)} was finished by "
                f"{_listed(comparison.missing)}: not compared there"
            )
        if len(comparison.scores) and not comparison.cells:
            yield (
                f"No split of {setting_title(comparison.protocol, comparison.k)} was finished by "
                f"all of {_listed(tuple(map(str, comparison.scores.index)))}: nothing is compared "
                "there; compare fewer with --detectors"
            )
    yield from _failures(summary)
    yield f"Machine: {summary.machine}"


def _failures(summary: Summary) -> Iterator[str]:
    """Tell what failed: in one line what differs by detector, table or numbers alone."""
    kinds: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for (detector, error), tables in summary.failures.items():
        kinds.setdefault((detector, NUMBER.sub("0", error)), {})[error] = tables
    alike: dict[tuple[str, bool, tuple[str, ...]], list[str]] = {}
    for (detector, _), errors in kinds.items():
        tables = tuple(sorted(chain.from_iterable(errors.values())))
        alike.setdefault((min(errors), len(errors) > 1, tables), []).append(detector)
    for (error, vary, tables), detectors in alike.items():
        each = " each" if len(detectors) > 1 else ""
        yield (
            f"{_listed(tuple(detectors))} failed {counted(len(tables), 'times')}{each}, on "
            f"{_listed(tuple(sorted(set(tables))))}: {error}{' (numbers vary)' if vary else ''}"
        )


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def _markdown(text: str) -> str:
    return text.replace("|", "\\|")
