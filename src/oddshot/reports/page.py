"""A detection as one HTML page: all inside it, nothing from the network, every value escaped."""

from pathlib import PurePath

from oddshot.reports.detection import CLEAR, KNOWN, Detection
from oddshot.reports.evidence import Evidence
from oddshot.reports.page_cells import brief, name_of, safe
from oddshot.reports.page_charts import histogram, plane
from oddshot.reports.page_rows import (
    MAX_CARDS,
    MAX_SHOWN_ROWS,
    as_written,
    left_out,
    number_shown,
    oddest,
    reason_of,
    reasons,
    strip,
    to_label,
)
from oddshot.reports.page_style import SCRIPT, STYLE, policy
from oddshot.reports.page_words import (
    TOP,
    headline,
    how_to_label,
    labels_told,
    meaning,
    sure,
    title_of_list,
)

RISEN = 5
MAX_NOTE, MAX_NOTES = 600, 30


def detection_page(
    found: Detection, evidence: Evidence | None = None, *, top: int = MAX_SHOWN_ROWS
) -> str:
    """Return the page: what was found and how sure, the oddest rows and why, scores, a map, labels.

    Parameters
    ----------
    found
        The scored table.
    evidence
        Reasons, map, pictures and labels, see `oddshot.reports.gathering.gathered`; parts that are
        not there are left out.
    top
        How many of the oddest rows are shown, so that the page stays small; of images 30 at most.
    """
    evidence = as_written(found, evidence or Evidence())
    name = PurePath(found.source).name or found.source
    parts = "\n".join(part for part in _sections(found, evidence, top) if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy()}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(name)}: {headline(found)}</title><style>{STYLE}</style></head><body>\n"
        f"{_summary(found, evidence)}\n<main>\n{parts}\n</main>\n<footer><p>Made by Oddshot. "
        "The page holds all it needs and asks no network; it shows rows of your data, so share it "
        f"as you would share these.</p></footer>\n<script>{SCRIPT}</script></body></html>\n"
    )


def _summary(found: Detection, evidence: Evidence) -> str:
    """Tell the main things at the top."""
    kinds = found.sureness()
    clear = int((kinds == CLEAR).sum())
    used = sum(note.used for note in found.columns)
    known = int((kinds == KNOWN).sum())
    tiles = [
        ("main", f"{found.flagged:,}", "looks odd" if found.flagged == 1 else "look odd"),
        *([("", f"{known:,}", "of these known before")] if known else []),
        ("", f"{clear:,}", "clear case" if clear == 1 else "clear cases"),
        ("", f"{len(found.rows):,}", f"{found.things} in all"),
        *([("", f"{used:,} of {len(found.columns):,}", "columns used")] if found.columns else []),
    ]
    drawn = "".join(
        f'<div class="{kind}"><dt>{what}</dt><dd>{value}</dd></div>' for kind, value, what in tiles
    )
    notes = [
        line if len(line) <= MAX_NOTE else line[: MAX_NOTE - 1] + "…"
        for line in found.notes[:MAX_NOTES]
        if not evidence.rule or evidence.rule not in line  # it is told below
    ]
    said = _list(notes)
    return (
        f'<header><p class="source">Oddshot report: {safe(found.source)}</p>'
        f"<h1>{headline(found)}</h1>\n<p>{safe(meaning(found))}</p>\n{_first(found, evidence)}"
        f'<dl class="tiles">{drawn}'
        f"</dl>{said}<h2>How sure is this?</h2>{_list(sure(found, evidence))}</header>"
    )


def _first(found: Detection, evidence: Evidence) -> str:
    """Name the oddest row and what makes it odd."""
    place = int(found.order[0]) if len(found.rows) else -1
    reason = reason_of(evidence.explained.get(place))
    if not reason or not found.flagged:
        return ""
    return f"<p>The oddest is row {brief(name_of(found, place), 30)}: {reason}.</p>"


def _sections(found: Detection, evidence: Evidence, top: int) -> list[str]:
    shown, things = number_shown(found, top), found.things
    explained, cards = len(evidence.explained), min(len(evidence.explained), MAX_CARDS)
    which = f" Shown for the {cards} oddest rows." if cards < explained else ""
    if not len(found.rows):
        return [f"<p>No {things}.</p>"]
    labels = labels_told(found, evidence.effect)
    return [
        _section(title_of_list(found, shown), oddest(found, evidence, shown)),
        _section(
            "Why these rows",
            evidence.explained
            and "<p>What each column adds to the score, beside the most similar typical row."
            f'{which}</p><div class="cards">{reasons(found, evidence)}</div>',
        ),
        _section("Ordinary images, to compare with", evidence.ordinary and strip(found, evidence)),
        _section("Scores", histogram(found)),
        _section(f"A map of the {things}", evidence.plane and plane(found, evidence.plane)),
        _section("What the labels did", labels and _list(labels) + _risen(found, evidence)),
        _section(
            "Labels that would help most",
            evidence.suggested and f"<p>{how_to_label(found)}</p>{to_label(found, evidence)}",
        ),
        _section("Columns", found.columns and left_out(found)),
    ]


def _section(title: str, content: object) -> str:
    """Put a heading above what there is; nothing where there is nothing."""
    return f"<section><h2>{title}</h2>\n{content}</section>" if content else ""


def _list(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{safe(line)}</li>" for line in lines) + "</ul>" if lines else ""


def _risen(found: Detection, evidence: Evidence) -> str:
    """Name the rows that labels brought up."""
    if evidence.effect is None:
        return ""
    effect, top = evidence.effect, min(TOP, len(found.rows))
    risen = [n for n in effect.risen(top) if found.unlabelled[n]][:RISEN]
    lines = [
        f"{found.things[:-1].capitalize()} {name_of(found, n)} rose from place "
        f"{effect.before[n]:,} to {effect.after[n]:,}."
        for n in risen
    ]
    return f"<p>Rows without a label that they raised most:</p>{_list(lines)}" if lines else ""
