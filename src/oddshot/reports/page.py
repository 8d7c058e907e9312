"""A detection as one HTML page: no script, nothing from the network, every value escaped."""

from html import escape

import numpy as np
import pandas as pd

from oddshot.reports.detection import Detection

BINS = 40
WIDTH, HEIGHT = 720, 180
MAX_COLUMNS = 30

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c2430; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #d9dee5; text-align: left;
         white-space: nowrap; max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
tr.flagged td:first-child { border-left: 4px solid #d55e00; }
svg text { font-size: 12px; fill: #4a5568; }
"""


def detection_page(found: Detection, *, top: int = 50) -> str:
    """Return the page: what was done, a histogram of scores, the oddest rows, columns left out.

    Parameters
    ----------
    found
        The scored table.
    top
        How many of the oddest rows are shown, so that the page stays small.
    """
    title = escape(f"Oddshot: {found.source}")
    said = "".join(f"<li>{escape(line)}</li>" for line in found.told())
    shown = min(top, len(found.rows))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{title}</h1>\n<ul>{said}</ul>\n"
        f"<h2>Scores</h2>\n{_histogram(found)}\n"
        f"<h2>The {shown} oddest {found.things}</h2>\n{_rows(found, shown)}\n"
        f"{_columns(found)}</body></html>\n"
    )


def _histogram(found: Detection) -> str:
    """Draw counts of scores on a square-root scale, where single odd rows can still be seen."""
    scores = found.rows[found.score].to_numpy(dtype=np.float64)
    if not len(scores):
        return f"<p>No {found.things}.</p>"
    top = max(float(scores.max()), found.threshold, 1e-9)
    counts, edges = np.histogram(scores, bins=BINS, range=(0.0, top))
    heights = np.sqrt(counts) / max(np.sqrt(counts.max()), 1.0) * HEIGHT
    step = WIDTH / BINS
    bars = "".join(
        f'<rect x="{i * step + 0.5:.1f}" y="{HEIGHT - height:.1f}" width="{step - 1:.1f}" '
        f'height="{height:.1f}" fill="{_colour(edges[i], found.threshold)}">'
        f"<title>{int(counts[i])} {found.things} score {edges[i]:.3g} to {edges[i + 1]:.3g}</title>"
        "</rect>"
        for i, height in enumerate(heights)
        if counts[i]
    )
    place = found.threshold / top * WIDTH
    anchor = "end" if place > WIDTH / 2 else "start"
    return (
        f'<svg viewBox="-10 -18 {WIDTH + 20} {HEIGHT + 42}" width="{WIDTH}" role="img" '
        'aria-label="Histogram of anomaly scores">'
        f'{bars}<line x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}" stroke="#4a5568"/>'
        f'<line x1="{place:.1f}" x2="{place:.1f}" y1="-4" y2="{HEIGHT}" stroke="#1c2430" '
        'stroke-dasharray="5 4"/>'
        f'<text x="{place:.1f}" y="-7" text-anchor="{anchor}">'
        f"threshold {found.threshold:.3g}</text>"
        f'<text x="0" y="{HEIGHT + 18}">0</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 18}" text-anchor="end">{top:.3g}</text>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT + 18}" text-anchor="middle">anomaly score '
        f"(number of {found.things} on a square-root scale)</text></svg>"
    )


def _rows(found: Detection, shown: int) -> str:
    table = found.top(shown)
    hidden = max(table.shape[1] - MAX_COLUMNS, 0)
    table = table.iloc[:, :MAX_COLUMNS]
    head = "".join(f"<th>{escape(str(name))}</th>" for name in table.columns)
    verdicts = table[found.verdict].to_numpy()
    body = "".join(
        f'<tr class="{"flagged" if verdicts[number] else ""}">'
        + "".join(f"<td>{escape(text_of(value))}</td>" for value in row)
        + "</tr>\n"
        for number, row in enumerate(table.itertuples(index=False, name=None))
    )
    note = f"<p>{hidden} more columns are not shown.</p>" if hidden else ""
    return (
        f"<p>{found.things.capitalize()} above the threshold carry a mark.</p>"
        f'<div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}"
    )


def _columns(found: Detection) -> str:
    """Name the columns that were left out; nothing for images, which have none."""
    if not found.columns:
        return ""
    left_out = [note for note in found.columns if not note.used]
    if not left_out:
        return "<h2>Columns</h2>\n<p>Every column was used.</p>\n"
    rows = "".join(
        f"<tr><td>{escape(str(note.column))}</td><td>{escape(note.reason)}</td></tr>"
        for note in left_out
    )
    return (
        "<h2>Columns</h2>\n<table><thead><tr><th>left out</th><th>why</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>\n"
    )


def text_of(value: object) -> str:
    """Write one cell for a reader: short numbers, nothing where nothing is."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.5g}"
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    return str(value)


def _colour(edge: float, threshold: float) -> str:
    return "#d55e00" if edge >= threshold else "#7a8aa0"
