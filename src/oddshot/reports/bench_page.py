"""A benchmark as one HTML page: no script, nothing from the network, every name escaped."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape

import numpy as np
import pandas as pd

from oddshot.evaluation.metrics import paired_bootstrap
from oddshot.evaluation.protocols import ADBENCH, FEW_LABEL, NOVEL_TYPE
from oddshot.evaluation.published import Published
from oddshot.evaluation.ranks import compare_ranks
from oddshot.evaluation.robustness import DUPLICATES, IRRELEVANT, LABEL_ERRORS, Disturbance
from oddshot.evaluation.row_names import RowName
from oddshot.evaluation.summary import Comparison, Summary, shared_cells, tables_among
from oddshot.reports.bench_figures import (
    FIGURE_STYLE,
    Curve,
    curves,
    difference_dots,
    legend,
    palette,
    rank_diagram,
    time_against_score,
)
from oddshot.reports.tables import (
    comparison_cells,
    comparison_title,
    published_cells,
    published_title,
    remarks,
    setting_title,
)
from oddshot.wording import counted

DRAWS = 2000  # of the bootstrap behind a band
BELOW = {
    DUPLICATES: "times that every anomaly occurs",
    IRRELEVANT: "share of columns that are noise",
    LABEL_ERRORS: "share of labels that are wrong",
}
ALONG = {
    FEW_LABEL: "labelled anomalies",
    ADBENCH: "labelled anomalies, per cent",
    NOVEL_TYPE: "labelled anomalies of the seen type",
}
MEASURES = (("auroc", "AUROC"), ("ap", "average precision"))
STYLE = (
    """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --quiet: #5b6778; --rule: #d9dee5;
  --mark: #eef4fb; --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b0528c; --c4: #b57f00;
  --c5: #2f8fc4; --c6: #6e6e6e; --c7: #1c2430; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --ink: #e6eaf0; --quiet: #9aa6b6;
  --rule: #333c49; --mark: #1d2a3a; --c0: #4db2ef; --c1: #ff9248; --c2: #35cf9e; --c3: #e69ac6;
  --c4: #f0bd4a; --c5: #9cd6f7; --c6: #a8a8a8; --c7: #e6eaf0; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink); }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.4rem; } h3 { font-size: 1rem; }
.wide { overflow-x: auto; } .pair { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.pair > * { flex: 0 1 auto; } .quiet, .legend { color: var(--quiet); }
.legend span { margin-right: 1.1rem; white-space: nowrap; } .legend svg { display: inline; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem; }
th, td { padding: .25rem .55rem; border-bottom: 1px solid var(--rule); text-align: right;
  white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
tr.own { background: var(--mark); font-weight: 650; }
tr.theirs td { font-style: italic; color: var(--quiet); }
@media print { body { max-width: none; margin: 0; } details > * { display: block; }
  h2 { break-after: avoid; } svg, tr { break-inside: avoid; } }
"""
    + FIGURE_STYLE
)


def bench_page(
    summary: Summary,
    *,
    published: Sequence[Published | None] = (),
    title: str = "Benchmark of anomaly detectors",
) -> str:
    """Return the page.

    Curves against labels and against disturbances come first, then for each protocol and number of
    labels its table, published figures where there are some, ranks with what may be chance, time
    against accuracy, and the difference to the best other detector table by table.

    Parameters
    ----------
    summary
        What was measured.
    published
        What to set beside each comparison, in their order; ``None``: nothing.
    title
        Of the page.
    """
    beside = published or [None] * len(summary.comparisons)
    names = [str(name) for found in summary.comparisons for name in found.scores.index]
    classes = palette(names, summary.reference)
    notes = "".join(f"<li>{escape(line)}</li>" for line in remarks(summary))
    sections = [
        *_against_labels(summary, classes),
        *_against_disturbances(summary, classes),
        *(
            _section(comparison, summary.reference, theirs, classes)
            for comparison, theirs in zip(summary.comparisons, beside, strict=True)
        ),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n<ul class='quiet'>{notes}</ul>\n"
        + "\n".join(sections)
        + "</body></html>\n"
    )


def _section(
    comparison: Comparison, reference: str, theirs: Published | None, classes: dict[str, str]
) -> str:
    parts = [f"<h2>{escape(comparison_title(comparison))}</h2>"]
    header, rows = comparison_cells(comparison, reference)
    marks = ["own" if row[0] == reference else "" for row in rows]
    parts.append(_table(header, rows, marks))
    if theirs is not None:
        parts.append(f"<h3>{escape(published_title(theirs))}</h3>")
        header, rows = published_cells(theirs)
        kinds = {"published": "theirs", "measured": ""}
        marks = ["own" if row[0] == reference else kinds[row[1]] for row in rows]
        parts.append(_table(header, rows, marks))
    if len(comparison.scores) > 1 and comparison.tables:
        parts += _ranks(comparison.by_table, reference) if comparison.tables > 1 else []
        said = "Seconds (median to fit plus median to score) against mean AUROC"
        parts.append(
            f'<div class="pair">{time_against_score(comparison.scores, classes, title=said)}'
        )
        parts.append(_dots(comparison, reference) + "</div>")
    return "\n".join(parts)


def _ranks(scores: pd.DataFrame, reference: str) -> Iterator[str]:
    yield '<div class="pair">'
    for metric, name in MEASURES:
        found = compare_ranks(pd.DataFrame(scores[metric]))
        chance = "" if np.isnan(found.friedman) else f" (Friedman p = {found.friedman:.2g})"
        yield rank_diagram(found, title=f"Mean rank by {name}{chance}", reference=reference)
    yield (
        "</div><p class='quiet'>Bars join neighbours in rank of which no two differ "
        "(Wilcoxon's signed-rank test, Holm's correction, 5%).</p>"
    )


def _dots(comparison: Comparison, reference: str) -> str:
    """Draw the reference minus the best other detector, table by table."""
    others = [str(name) for name in comparison.scores.index if name != reference]
    if reference not in comparison.scores.index:
        return ""
    difference = comparison.of(reference) - comparison.of(others[0])
    several = difference.index.get_level_values("collection").nunique() > 1
    places = [(str(collection), str(table)) for collection, table in difference.index]
    names = [f"{collection}/{table}" if several else table for collection, table in places]
    difference.index = pd.Index(names)
    interval = comparison.differences[others[0], "auroc"]
    return difference_dots(
        difference, title=f"AUROC, {reference} minus {others[0]}: mean {interval}"
    )


def _against_labels(summary: Summary, classes: dict[str, str]) -> Iterator[str]:
    for protocol in dict.fromkeys(comparison.protocol for comparison in summary.comparisons):
        parsed = RowName.parse(protocol)
        if parsed.disturbance or parsed.protocol not in ALONG:
            continue
        below = ALONG[parsed.protocol]
        found = {c.k: c for c in summary.comparisons if c.protocol == protocol and c.tables}
        shared = shared_cells([c.by_cell for c in found.values()])
        if len(found) < 2 or not len(shared):
            continue
        names = sorted({str(name) for c in found.values() for name in c.scores.index})
        figures = []
        for metric, called in MEASURES:
            lines = [
                Curve(
                    name,
                    _points(
                        {
                            float(k): c.of(name, metric, cells=shared)
                            for k, c in sorted(found.items())
                            if name in c.scores.index
                        }
                    ),
                )
                for name in names
            ]
            ticks = [float(k) for k in sorted(found)]
            figures.append(curves(lines, classes, title=f"Mean {called}", below=below, ticks=ticks))
        yield (
            f"<h2>{escape(protocol)}: against the number of labels</h2>"
            f"<p class='quiet'>{counted(tables_among(shared), 'tables')}, "
            f"{counted(len(shared), 'splits')} that every detector finished at every one of these. "
            f"Band: bootstrap 95% interval of the reference's mean over tables; those of the "
            f"others show when a dot is pointed at.</p>"
            f"{legend(classes)}"
            f'<div class="pair">{"".join(figures)}</div>'
        )


def _against_disturbances(summary: Summary, classes: dict[str, str]) -> Iterator[str]:
    """Draw what a detector loses to itself undisturbed, table by table."""
    plain = {(c.protocol, c.k): c for c in summary.comparisons}
    kinds: dict[tuple[str, int, str], dict[float, Comparison]] = {}
    figures: list[str] = []
    for comparison in summary.comparisons:
        parsed = RowName.parse(comparison.protocol)
        protocol = str(replace(parsed, disturbance=""))
        if parsed.disturbance and (protocol, comparison.k) in plain:
            trouble = Disturbance.parse(parsed.disturbance)
            key = (protocol, comparison.k, trouble.kind)
            kinds.setdefault(key, {})[trouble.amount] = comparison
    for (protocol, k, kind), amounts in kinds.items():
        quiet = plain[protocol, k]
        found = {(1.0 if kind == DUPLICATES else 0.0): quiet, **amounts}
        shared = shared_cells([c.by_cell for c in found.values()])
        if not len(shared):
            continue
        lines: list[Curve] = []
        for name in map(str, quiet.scores.index):
            losses = {
                amount: c.of(name, cells=shared) - quiet.of(name, cells=shared)
                for amount, c in sorted(found.items())
                if name in c.scores.index
            }
            lines.append(Curve(name, _points(losses)))
        title = f"{setting_title(protocol, k)}, {counted(tables_among(shared), 'tables')}"
        figures.append(curves(lines, classes, title=title, below=BELOW[kind], ticks=sorted(found)))
    if figures:
        yield (
            "<h2>Robustness</h2><p class='quiet'>Change of a detector's AUROC from its own without "
            "the disturbance, mean over tables; band: the reference's bootstrap 95% interval."
            f"</p>{legend(classes)}<div class='pair'>{''.join(figures)}</div>"
        )


def _points(values: "dict[float, pd.Series[float]]") -> pd.DataFrame:
    rows = {}
    for x, column in values.items():
        found = paired_bootstrap(column, np.zeros(len(column)), draws=DRAWS)
        ends = [found.mean if np.isnan(end) else end for end in (found.low, found.high)]
        rows[x] = [found.mean, *ends]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], marks: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f'<tr class="{mark}">' + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row, mark in zip(rows, marks, strict=True)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'
