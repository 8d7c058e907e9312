"""Figures of a benchmark as SVG for an HTML page: colours come from the page's style.

All text is escaped; nothing is fetched, and no script is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from oddshot.evaluation.ranks import RankComparison

COLOURS = 8  # classes c0 to c7 of `FIGURE_STYLE`; more detectors repeat them with dashes
BOLD_LETTER = 7.5  # how wide one is on average, in a title
FIGURE_STYLE = """
svg { max-width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .quiet { fill: var(--quiet); } svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .line { fill: none; stroke-width: 1.8; } svg .own { stroke-width: 3.2; }
svg .axis { stroke: var(--ink); stroke-width: 1; }
svg .clique { stroke: var(--ink); stroke-width: 5; }
svg .band { opacity: .13; stroke: none; } svg .bold { font-weight: 650; }
""" + "".join(
    f".c{number} {{ stroke: var(--c{number}); fill: var(--c{number}); }}\n"
    for number in range(COLOURS)
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A line with a band: one point for each x that the detector was measured at.

    Parameters
    ----------
    name
        The detector.
    points
        Index x; columns mean, low and high.
    """

    name: str
    points: pd.DataFrame


def palette(names: Sequence[str], reference: str) -> dict[str, str]:
    """Give each detector classes of its own: a colour, dashes from the ninth on.

    Examples
    --------
    >>> palette(["knn", "oddshot"], "oddshot")
    {'oddshot': 'c0 own', 'knn': 'c1'}
    """
    order = sorted(set(names), key=lambda name: (name != reference, name))
    classes = {}
    for number, name in enumerate(order):
        own = " own" if name == reference else ""
        dashed = f" d{number // COLOURS}" if number >= COLOURS else ""
        classes[name] = f"c{number % COLOURS}{own}{dashed}"
    return classes


def legend(classes: dict[str, str]) -> str:
    """Name the lines."""
    entries = "".join(
        f'<span><svg viewBox="0 0 26 10" width="26" height="10" aria-hidden="true">'
        f'<line class="line {kind}" x1="1" x2="25" y1="5" y2="5"{_dashes(kind)}/></svg>'
        f"{escape(name)}</span>"
        for name, kind in classes.items()
    )
    return f'<p class="legend">{entries}</p>'


def rank_diagram(found: RankComparison, *, title: str, reference: str) -> str:
    """Draw Demsar's critical-difference diagram: bars join what may differ by chance alone."""
    ranks = found.ranks
    names, worst = [str(name) for name in ranks.index], max(len(ranks), 2)
    left, right, axis = 160.0, 440.0, 62.0

    def place(rank: float) -> float:
        return left + (rank - 1) / (worst - 1) * (right - left)

    parts = [_text(300, 14, title, anchor="middle", kind="bold")]
    wide = found.critical_difference / (worst - 1) * (right - left)
    if wide <= right - left:
        parts.append(_line(left, left + wide, 30, 30, "axis"))
        label = f"Nemenyi critical difference {found.critical_difference:.2f}"
        parts.append(_text(left + wide + 6, 34, label, kind="quiet"))
    parts.append(_line(left, right, axis, axis, "axis"))
    for rank in range(1, worst + 1):
        parts.append(_line(place(rank), place(rank), axis - 5, axis, "axis"))
        parts.append(_text(place(rank), axis - 9, str(rank), anchor="middle"))
    for number, clique in enumerate(found.cliques):
        at = axis + 9 + 8 * number
        ends = [place(float(ranks[name])) for name in (clique[0], clique[-1])]
        parts.append(_line(ends[0] - 3, ends[1] + 3, at, at, "clique"))
    below = axis + 22 + 8 * len(found.cliques)
    half = (len(names) + 1) // 2
    for number, name in enumerate(names):
        first = number < half
        row = number if first else len(names) - 1 - number
        at, x = below + 18 * row, place(float(ranks[name]))
        edge = left - 12 if first else right + 12
        parts.append(
            _line(x, x, axis, at, "grid") + _line(min(x, edge), max(x, edge), at, at, "grid")
        )
        shown = f"{name} {ranks[name]:.2f}"
        kind = "bold" if name == reference else ""
        parts.append(
            _text(edge - 4 if first else edge + 4, at + 4, shown, "end" if first else "start", kind)
        )
    return _svg(600, below + 18 * half + 4, title, parts)


def curves(
    lines: Sequence[Curve],
    classes: dict[str, str],
    *,
    title: str,
    below: str,
    ticks: Sequence[float],
) -> str:
    """Draw means, and the reference's band; x stands at equal steps, whatever its values."""
    wide, high, left, top = 520.0, 280.0, 46.0, 26.0
    own = [line.points for line in lines if "own" in classes[line.name]]
    shown = np.concatenate(
        [pd.concat([line.points["mean"] for line in lines]), *map(np.ravel, own)]
    )
    low, up = float(shown.min()), float(shown.max())
    marks = _round_marks(low, up)
    low, up = min(low, marks[0]), max(up, marks[-1])

    def y(value: float) -> float:
        return top + (up - value) / (up - low or 1.0) * high

    def x(value: float) -> float:
        return left + 14 + list(ticks).index(value) / max(len(ticks) - 1, 1) * (wide - 28)

    parts = [_text(left, 14, title, kind="bold")]
    for mark in marks:
        parts.append(_line(left, left + wide, y(mark), y(mark), "grid"))
        parts.append(_text(left - 6, y(mark) + 4, f"{mark:.2f}", anchor="end"))
    for tick in ticks:
        parts.append(_text(x(tick), top + high + 18, f"{tick:g}", anchor="middle"))
    parts.append(_text(left + wide / 2, top + high + 36, below, anchor="middle", kind="quiet"))
    for band in (True, False):
        for line in lines:
            points, kind = line.points, classes[line.name]
            at = [x(float(value)) for value in points.index]
            if band and "own" not in kind:
                continue
            if band:
                around = [*zip(at, points["high"], strict=True)]
                around += [*zip(at[::-1], points["low"].iloc[::-1], strict=True)]
                corners = " ".join(f"{px:.1f},{y(float(py)):.1f}" for px, py in around)
                parts.append(f'<polygon class="band {kind}" points="{corners}"/>')
                continue
            corners = " ".join(
                f"{px:.1f},{y(float(py)):.1f}" for px, py in zip(at, points["mean"], strict=True)
            )
            parts.append(f'<polyline class="line {kind}" points="{corners}"{_dashes(kind)}/>')
            for px, value, point in zip(at, points.index, points.itertuples(), strict=True):
                said = (
                    f"{line.name}, {value:g}: {point.mean:.3f} [{point.low:.3f}, {point.high:.3f}]"
                )
                parts.append(_dot(px, y(float(point.mean)), 3.2, kind, said))  # type: ignore[arg-type]
    return _svg(left + wide + 12, top + high + 44, title, parts)


def difference_dots(differences: "pd.Series[float]", *, title: str) -> str:
    """Draw one dot for each table, smallest difference first; names where there is room."""
    ordered = differences.sort_values()
    named = len(ordered) <= 40
    step, top = (16.0, 26.0) if named else (max(420.0 / len(ordered), 1.5), 26.0)
    left, wide = (210.0 if named else 30.0), 340.0
    reach = max(float(ordered.abs().max()), 0.01)
    marks = [mark for mark in _round_marks(-reach, reach) if -reach <= mark <= reach]

    def x(value: float) -> float:
        return left + (value + reach) / (2 * reach) * wide

    high = step * len(ordered)
    parts = [_text(8, 14, title, kind="bold")]
    for mark in marks:
        parts.append(_line(x(mark), x(mark), top, top + high, "axis" if mark == 0 else "grid"))
        parts.append(_text(x(mark), top + high + 16, f"{mark:+.2f}", anchor="middle"))
    for number, (name, value) in enumerate(ordered.items()):
        at, label = top + (number + 0.5) * step, str(name)
        kind = "c0" if value >= 0 else "c1"
        if named:
            parts.append(_text(left - 8, at + 4, _short(label), anchor="end"))
        start, end = sorted((x(0.0), x(float(value))))
        parts.append(
            f'<line class="{kind}" x1="{start:.1f}" x2="{end:.1f}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(
            _dot(x(float(value)), at, 3.6 if named else 2.2, kind, f"{label}: {value:+.3f}")
        )
    room = max(left + wide + 30, 16 + BOLD_LETTER * len(title))  # which may be the wider one
    return _svg(room, top + high + 24, title, parts)


def time_against_score(scores: pd.DataFrame, classes: dict[str, str], *, title: str) -> str:
    """Draw median seconds (to fit plus to score, powers of ten) against mean AUROC."""
    seconds = (scores["fit_seconds"] + scores["score_seconds"]).clip(lower=1e-4)
    times = np.log10(seconds)
    wide, high, left, top = 430.0, 260.0, 46.0, 26.0
    first, last = int(np.floor(times.min())), int(np.ceil(times.max()))
    last = max(last, first + 1)
    marks = _round_marks(float(scores["auroc"].min()), float(scores["auroc"].max()))

    def x(power: float) -> float:
        return left + (power - first) / (last - first) * wide

    def y(value: float) -> float:
        return top + 8 + (marks[-1] - value) / (marks[-1] - marks[0]) * (high - 16)

    parts = [_text(left, 14, title, kind="bold")]
    for mark in marks:
        parts.append(_line(left, left + wide, y(mark), y(mark), "grid"))
        parts.append(_text(left - 6, y(mark) + 4, f"{mark:.2f}", anchor="end"))
    for power in range(first, last + 1):
        parts.append(_line(x(power), x(power), top, top + high, "grid"))
        parts.append(_text(x(power), top + high + 16, f"{10.0**power:g} s", anchor="middle"))
    drawn = zip(map(str, scores.index), times, scores["auroc"], seconds, strict=True)
    for label, power, auroc, taken in drawn:
        at = (x(float(power)), y(float(auroc)))
        parts.append(_dot(*at, 5, classes[label], f"{label}: {taken:.3g} s, {auroc:.3f}"))
        parts.append(
            _text(at[0] + 8, at[1] + 4, label, kind="bold" if "own" in classes[label] else "")
        )
    return _svg(left + wide + 110, top + high + 24, title, parts)


def _round_marks(low: float, high: float) -> list[float]:
    """Round numbers that enclose a range: three to nine of them."""
    span = max(high - low, 0.01)
    step = next(s for s in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0) if span / s <= 7)
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _short(name: str) -> str:
    return name if len(name) <= 34 else f"{name[:33]}…"


def _dashes(kind: str) -> str:
    for token in kind.split():
        if token.startswith("d"):
            return f' stroke-dasharray="{3 * int(token[1:]) + 2} 4"'
    return ""


def _dot(x: float, y: float, radius: float, kind: str, said: str) -> str:
    circle = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">'
    return f"{circle}<title>{escape(said)}</title></circle>"


def _line(x1: float, x2: float, y1: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(wide: float, high: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
