"""The drawings of a page: how scores are distributed, and the map of the rows, as SVG."""

import numpy as np

from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, FloatArray
from oddshot.reports.detection import Detection
from oddshot.reports.evidence import RowMap
from oddshot.reports.page_cells import name_of, safe
from oddshot.wording import counted

BINS = 48
WIDTH, HEIGHT = 760, 220
LEFT = 46  # at least, beside the counts
MARGIN, LETTER = 10, 8  # widths of the gap and of a digit
MAP_HEIGHT = 460
LOGARITHMIC_FROM = 60  # in the longest bar; a bar of one row must be seen beside it
ODD_POINT = '<circle class="point" cx="10" cy="10" r="5"/>'
OTHER_POINT = '<path class="cloud" d="M10 10h0"/>'
NEARLY_ALL = 0.95  # of the differences: the map then shows what is odd
ONE_ROW = 0.3  # decades: how high one row stands on a logarithmic axis


def histogram(found: Detection) -> str:
    """Draw how many rows have which score, and the threshold."""
    scores, threshold, things = found.scores, found.threshold, found.things
    top = float(scores.max(initial=0.0))
    edges = _edges(threshold, max(min(top, max(4 * threshold, 6.0)), 1.05 * threshold, 1e-9))
    end = float(edges[-1])
    counts, _ = np.histogram(np.minimum(scores, end), edges)
    log = bool(counts.max() >= LOGARITHMIC_FROM)
    heights = _heights(counts.astype(np.float64), float(counts.max()), log=log)
    steps = _count_ticks(float(counts.max()), log=log)
    left = max(LEFT, MARGIN + LETTER * max(len(f"{count:,}") for count, _ in steps))
    across = left + edges / end * (WIDTH - left)
    bars = "".join(
        f'<rect class="{"odd" if edges[i] > threshold else "usual"}" x="{across[i] + 0.5:.1f}" '
        f'y="{HEIGHT - height:.1f}" width="{max(across[i + 1] - across[i] - 1, 1):.1f}" '
        f'height="{height:.1f}"><title>{counts[i]:,} {things}: score {edges[i]:.3g} '
        f"{'and more' if edges[i + 1] == end < top else f'to {edges[i + 1]:.3g}'}</title></rect>"
        for i, height in enumerate(heights)
        if counts[i]
    )
    ticks = "".join(
        f'<line class="axis" x1="{left}" x2="{WIDTH}" y1="{HEIGHT - at:.1f}" '
        f'y2="{HEIGHT - at:.1f}"/><text x="{left - 6}" y="{HEIGHT - at + 4:.1f}" '
        f'text-anchor="end">{count:,}</text>'
        for count, at in steps
    )
    places = "".join(
        f'<text x="{left + value / end * (WIDTH - left):.1f}" y="{HEIGHT + 18}" '
        f'text-anchor="middle">{value:g}</text>'
        for value in _round_steps(end)
    )
    at = left + threshold / end * (WIDTH - left)
    beyond = " Higher ones are counted in the last bar." if top > end else ""
    scale = " Each line upwards stands for ten times as many." if log else ""
    return (
        f'<figure><svg viewBox="0 -26 {WIDTH + 14} {HEIGHT + 68}" role="img" '
        f'aria-label="Distribution of anomaly scores: {found.flagged:,} of {len(scores):,} '
        f'{things} are above the threshold of {threshold:.3g}">{ticks}{bars}'
        f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="-6" y2="{HEIGHT}"/>'
        f'<text class="strong" x="{at:.1f}" y="-11" '
        f'text-anchor="{"end" if at > WIDTH / 2 else "start"}">threshold {threshold:.3g}</text>'
        f'{places}<text x="{(WIDTH + left) / 2}" y="{HEIGHT + 38}" text-anchor="middle">'
        f"anomaly score</text></svg><figcaption>How many {things} have which score; those above "
        f"the threshold are coloured.{scale}{beyond}</figcaption></figure>"
    )


def plane(found: Detection, where: RowMap) -> str:
    """Draw the map: typical rows as a cloud, odd ones as points, those with a label marked."""
    low, high = where.points.min(axis=0), where.points.max(axis=0)
    unit = (where.points - low) / np.where(high > low, high - low, 1.0)
    x = np.round(14 + unit[:, 0] * (WIDTH - 28), 1)
    y = np.round(14 + (1 - unit[:, 1]) * (MAP_HEIGHT - 28), 1)
    odd = found.rows[found.verdict].to_numpy(dtype=bool)[where.places]
    cloud = "".join(f"M{a:g} {b:g}h0" for a, b in zip(x[~odd], y[~odd], strict=True))
    scores, thing = found.scores, found.things[:-1]
    points = "".join(
        f'<circle class="point" cx="{x[i]:g}" cy="{y[i]:g}" r="5"><title>{thing} '
        f"{safe(str(name_of(found, place))[:60])}, score {scores[place]:.3g}"
        "</title></circle>"
        for i in np.flatnonzero(odd)
        for place in [int(where.places[i])]
    )
    labels = np.full(len(x), UNLABELLED) if found.labels is None else found.labels[where.places]
    marks, legend = "", [(ODD_POINT, f"odd {thing}"), (OTHER_POINT, f"other {thing}")]
    for label, kind in ((ANOMALY, "anomaly"), (NORMAL, f"normal {thing}")):
        at = np.flatnonzero(labels == label)
        marks += "".join(_told(label, x[i], y[i]) for i in at)
        if len(at):
            legend.append((_told(label, 10, 10), f"known {kind}"))
    hidden = (
        f", so an odd {thing} may well lie in the crowd: what makes it odd is then not to be seen "
        "from this side"
        if where.share < NEARLY_ALL
        else ""
    )
    some = f" {len(where.places):,} of {len(scores):,} are drawn." * (len(x) < len(scores))
    odd_ones = counted(int(odd.sum()), "odd ones")
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {MAP_HEIGHT}" role="img" aria-label="Map of the '
        f'{found.things}: {odd_ones} among {len(x):,}"><path class="cloud" '
        f'd="{cloud}"/>{marks}{points}</svg>{_legend(legend)}<figcaption>'
        f"{found.things.capitalize()} that are alike lie near each other; odd ones are coloured, "
        f"and named on pointing at them.{some} "
        f"The two directions show {where.share:.0%} of all differences{hidden}."
        "</figcaption></figure>"
    )


def _told(label: int, x: float, y: float) -> str:
    """Mark what was known: an anomaly by a ring, a normal one by a square."""
    if label == ANOMALY:
        return f'<circle class="told" cx="{x:g}" cy="{y:g}" r="8"/>'
    return f'<path class="told" d="M{x - 7:g} {y - 7:g}h14v14h-14z"/>'


def _legend(items: list[tuple[str, str]]) -> str:
    """Say what the marks of the map mean."""
    return (
        '<ul class="legend">'
        + "".join(
            f'<li><svg viewBox="0 0 20 20" aria-hidden="true">{mark}</svg>{name}</li>'
            for mark, name in items
        )
        + "</ul>"
    )


def _edges(threshold: float, end: float) -> FloatArray:
    """Edges of equal bins from 0 to at least an end, one of them right above the threshold."""
    if not 0 < threshold < end:
        return np.linspace(0.0, end, BINS + 1)
    below = max(int(BINS * threshold / end), 1)
    above = min(int(np.ceil((end / threshold - 1) * below)), BINS - below)
    beyond = max(threshold * above / below, end - threshold)  # equal, unless all is beyond
    edges = np.linspace(0.0, threshold, below + 1)[:-1]
    first = np.nextafter(threshold, np.inf)  # a score at the threshold is not above it
    return np.concatenate([edges, np.linspace(first, threshold + beyond, above + 1)])


def _heights(counts: FloatArray, most: float, *, log: bool) -> FloatArray:
    if not log:
        return counts / max(most, 1.0) * HEIGHT
    decades = np.where(counts > 0, np.log10(np.maximum(counts, 1)) + ONE_ROW, 0)
    return np.asarray(decades / (np.log10(most) + ONE_ROW) * HEIGHT)


def _count_ticks(most: float, *, log: bool) -> list[tuple[int, float]]:
    """Choose counts to write beside the axis; give their heights, too."""
    counts = [10**n for n in range(int(np.log10(most)) + 1)] if log else _round_steps(most, 4)
    whole = sorted({int(count) for count in counts if float(count).is_integer()})
    heights = _heights(np.array(whole, dtype=np.float64), most, log=log)
    return list(zip(whole, heights.tolist(), strict=True))


def _round_steps(end: float, about: int = 8) -> list[float]:
    """Round numbers from 0 to an end, about so many."""
    rough = end / about
    size = 10.0 ** np.floor(np.log10(rough))
    step = next(f * size for f in (1, 2, 5, 10) if f * size >= rough)
    return [round(step * i, 10) for i in range(int(end / step) + 1)]
