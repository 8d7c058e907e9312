"""The tables of a page: the oddest rows, their reasons, rows to label, columns."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from oddshot.detectors.explanations.alternatives import CounterExample
from oddshot.detectors.explanations.explanation import Explanation
from oddshot.detectors.explanations.words import digits_of, telling, told
from oddshot.episodes import ANOMALY, NORMAL
from oddshot.mapping.cells.notation import find_notation
from oddshot.reports.detection import Detection
from oddshot.reports.evidence import Evidence
from oddshot.reports.page_cells import brief, cell, clock_of, name_of, number, safe, text_of
from oddshot.wording import counted

MAX_SHOWN_ROWS, MAX_IMAGES = 50, 30
LEAST_SHOWN, BESIDE = 15, 5  # rows, and how many below the threshold, to compare with
MAX_CARDS = 12  # a card is long; of the other rows the two main reasons are told
MAX_COLUMNS = 10
MAX_OTHERS = 3  # that the detector did not use, and a person may know the row by
MAX_TO_LABEL = 6  # columns beside the rows to label
MAX_NOTES = 100
REASONS = 4
ISOLATE, POP = "\u2068", "\u2069"
NO_ISOLATES = dict.fromkeys(map(ord, (ISOLATE, POP)))
SET_OFF = re.compile(f"{ISOLATE}([^{POP}]*){POP}")
LABELS = {ANOMALY: "anomaly", NORMAL: "normal"}

SCROLL = "More columns are to the right: scroll the table sideways \u2192"

Column = tuple[str, Callable[[int], str]]


def number_shown(found: Detection, top: int = MAX_SHOWN_ROWS) -> int:
    """Count the oddest ones to list: those that are odd and some others, but not too many."""
    odd = np.flatnonzero(found.rows[found.verdict].to_numpy(dtype=bool)[found.order])
    wanted = max(int(odd[-1]) + 1 + BESIDE if len(odd) else 0, LEAST_SHOWN)
    return min(wanted, top if found.columns else min(top, MAX_IMAGES), len(found.rows))


def as_written(found: Detection, evidence: Evidence) -> Evidence:
    """Write the cells in reasons as people do, times as exactly as their column has them."""
    own = found.rows.iloc[:, : found.own]
    clocks = {str(name): clock_of(own.iloc[:, i]) for i, name in enumerate(own.columns)}

    def written(row: Explanation) -> Explanation:
        digits = digits_of(row)

        def said(name: str, value: Any) -> str:
            return _said(clocks[name](value) if name in clocks else value, digits[name])

        def each(cells: Mapping[str, Any]) -> dict[str, Any]:
            return {name: said(name, value) for name, value in cells.items()}

        def example(other: CounterExample) -> CounterExample:
            return replace(other, values=each(other.values))

        return replace(
            row,
            values=tuple(map(said, row.columns, row.values)),
            typical=example(row.typical),
            anomaly=row.anomaly and example(row.anomaly),
            change=row.change and replace(row.change, values=each(row.change.values)),
        )

    return replace(
        evidence, explained={place: written(row) for place, row in evidence.explained.items()}
    )


def oddest(found: Detection, evidence: Evidence, count: int) -> str:
    """List the oddest rows, sortable by every column."""
    places = found.order[:count].tolist()
    keys, telling, hidden = _telling_columns(found, evidence)
    columns = [
        *_name_columns(found, evidence, keys),
        *_why(evidence, places),
        *_verdict_columns(found),
        *(_own(found, i) for i in telling),
    ]
    said = "Press a heading to sort. Those above the threshold carry a mark on the left."
    if isinstance(found.rows.index, pd.RangeIndex) and found.columns:
        said += " Rows are counted from 0."
    if 0 < len(evidence.explained) < len(places):
        explained = len(evidence.explained)
        which = "oddest" if explained == 1 else f"{explained} oddest"
        said += f" Reasons are given for the {which} only: of so many columns more would take long."
    if hidden:
        said += f" {counted(hidden, 'more columns')} {'is' if hidden == 1 else 'are'} not shown."
    table = _table(found, places, columns, f"The oddest {found.things}", sortable=True)
    return f'<p class="soft">{said}</p>{table}'


def to_label(found: Detection, evidence: Evidence) -> str:
    """List the rows that are worth a label."""
    places = [*evidence.suggested]
    keys, telling, _ = _telling_columns(found, evidence)
    columns = [
        *_name_columns(found, evidence, keys),
        *_why(evidence, places),
        *_verdict_columns(found, labels=False),
        *(_own(found, i) for i in telling[: MAX_TO_LABEL - len(keys)]),
    ]
    caption = f"{found.things.capitalize()} to label, the most useful first"
    return _table(found, places, columns, caption, sortable=False)


def reasons(found: Detection, evidence: Evidence) -> str:
    """Show for the oddest rows which columns make them odd, and what would make them normal."""
    kinds = found.sureness()
    return "".join(
        f'<article class="card"><h3>Row {brief(name_of(found, n), 30)} '
        f"{_mark(kinds[n])}</h3>{_contributions(row)}"
        + "".join(f"<p>{_sentence(line)}</p>" for line in told(_isolated(row), top=0)[1:])
        + "</article>\n"
        for n, row in [*evidence.explained.items()][:MAX_CARDS]
    )


def reason_of(row: Explanation | None) -> str:
    """Name the two columns that make a row odd most of all; nothing where it is not explained."""
    if row is None:
        return ""
    said = ", ".join(
        f"{brief(column, 24)} = {brief(value, 24)}" for column, value, _ in telling(row, 2)
    )
    return said or ("no single column, but the mixture" if row.flagged else "nothing stands out")


def left_out(found: Detection) -> str:
    """Name the columns that were not used, or used in a way one should know of."""
    noted = [note for note in found.columns if not note.used or note.reason]
    if not noted:
        return "<p>Every column was used.</p>"
    noted.sort(key=lambda note: note.used)
    rows = "".join(
        f'<tr><th scope="row">{brief(note.column)}</th><td>{"yes" if note.used else "no"}</td>'
        f"<td>{brief(note.reason, 160)}</td></tr>"
        for note in noted[:MAX_NOTES]
    )
    more = len(noted) - MAX_NOTES
    head = "".join(f'<th scope="col">{name}</th>' for name in ("column", "used", "why"))
    caption = "Columns that were left out, or need a word"
    return _wide("plain", caption, head, rows) + (f"<p>{_more_noted(more)}</p>" if more > 0 else "")


def _more_noted(number: int) -> str:
    return f"{counted(number, 'more columns')} {'needs' if number == 1 else 'need'} a word."


def strip(found: Detection, evidence: Evidence) -> str:
    """Show ordinary images, to compare the odd ones with."""
    return (
        '<ul class="strip">'
        + "".join(
            f'<li><img src="{evidence.pictures[n]}" alt="">{brief(name_of(found, n), 24)}</li>'
            for n in evidence.ordinary
        )
        + "</ul>"
    )


def _table(
    found: Detection, places: list[int], columns: list[Column], caption: str, *, sortable: bool
) -> str:
    flags = found.rows[found.verdict].to_numpy(dtype=bool)
    head = "".join(
        _head(name, of(places[0]), sortable=sortable, first=not i)
        for i, (name, of) in enumerate(columns)
    )
    body = "".join(
        f"<tr{' class=flagged' if flags[n] else ''}>{''.join(of(n) for _, of in columns)}</tr>\n"
        for n in places
    )
    table = _wide("sortable" if sortable else "", caption, head, body)
    return f'<p class="hint" hidden>{SCROLL}</p>{table}'


def _wide(kind: str, caption: str, head: str, body: str) -> str:
    """Make a table that can be scrolled by keys, too: so it is a region with a name."""
    return (
        f'<div class="wide" role="region" aria-label="{caption}" tabindex="0">'
        f"<table{f' class={kind}' if kind else ''}><caption>{caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(name: str, example: str, *, sortable: bool, first: bool) -> str:
    """Make a heading; the first column is the one that the table is sorted by."""
    align = ' class="n"' if example.startswith('<td class="n"') else ""
    if not sortable:
        return f'<th scope="col"{align}>{name}</th>'
    order = "ascending" if first else "none"
    button = f'<button type="button">{name}</button>'
    return f'<th scope="col"{align} aria-sort="{order}">{button}</th>'


def _name_columns(found: Detection, evidence: Evidence, keys: list[int]) -> list[Column]:
    """Columns that say which row it is: rank, name or picture, score, and what identifies it."""
    ranks, scores = found.rows[found.rank].to_numpy(), found.scores
    columns: list[Column] = [("rank", lambda n: cell(int(ranks[n])))]
    if evidence.pictures:
        columns.append(("picture", lambda n: _picture(evidence.pictures.get(n))))
    columns += [
        (found.things[:-1], lambda n: cell(name_of(found, n))),
        ("score", lambda n: f'<td class="n" data-k="{scores[n]:.9g}">{scores[n]:.3g}</td>'),
    ]
    return [*columns, *(_own(found, i) for i in keys)]


def _why(evidence: Evidence, places: list[int]) -> list[Column]:
    """Make the column of reasons, if one of these rows has any."""
    if not any(n in evidence.explained for n in places):
        return []
    return [("why", lambda n: f'<td class="why">{reason_of(evidence.explained.get(n))}</td>')]


def _verdict_columns(found: Detection, *, labels: bool = True) -> list[Column]:
    """Columns that say how sure it is, and what was said of it before."""
    scores, kinds, known = found.scores, found.sureness(), found.labels
    columns: list[Column] = [
        ("sure", lambda n: f'<td data-k="{scores[n]:.9g}">{_mark(kinds[n])}</td>')
    ]
    if labels and known is not None and (known >= 0).any():
        columns.append(("label", lambda n: f"<td>{LABELS.get(int(known[n]), '')}</td>"))
    return columns


def _own(found: Detection, position: int) -> Column:
    """Make a column of the user's."""
    values, name = found.rows.iloc[:, position], found.rows.columns[position]
    clock, read = clock_of(values), _reader(found, str(name), values)
    return brief(name, 28), lambda n: cell(clock(values.iat[n]), read(values.iat[n]))


def _reader(found: Detection, name: str, values: "pd.Series[Any]") -> Callable[[Any], float | None]:
    """Make what reads the texts of a column that was read as numbers."""
    texts = pd.Series(dtype=object)
    if any(str(note.column) == name and note.kind == "number" for note in found.columns):
        texts = values[values.map(lambda value: isinstance(value, str)).astype(bool)]
    notation = find_notation(texts.unique().tolist()) if len(texts) else None

    def read(value: Any) -> float | None:
        numbers = notation.read([value]) if notation and isinstance(value, str) else None
        return None if numbers is None else float(numbers[0])

    return read


def _telling_columns(found: Detection, evidence: Evidence) -> tuple[list[int], list[int], int]:
    """Positions of the user's columns to show, and how many are not shown.

    First a few that the detector did not use, such as identifiers; then those that it used, of many
    those that contribute most to the explained rows. Labels are shown anyway.
    """
    if not found.columns:
        return [], [], 0
    names = [str(name) for name in found.rows.columns[: found.own]]
    used = {str(note.column) for note in found.columns if note.used}
    identifiers = {str(note.column) for note in found.columns if note.cause == "identifier"}
    known = {found.label_column, *(str(note.column) for note in found.columns)}
    keys = [i for i, name in enumerate(names) if name not in known]
    keys += [i for i, name in enumerate(names) if name in identifiers]
    order = {name: i for i, name in enumerate(evidence.telling())}
    telling = [i for i, name in enumerate(names) if name in used]
    telling.sort(key=lambda i: order.get(names[i], len(order)))
    keys, telling = keys[:MAX_OTHERS], telling[:MAX_COLUMNS]
    others = sum(name != found.label_column for name in names)
    return keys, telling, others - len(keys) - len(telling)


def _contributions(row: Explanation) -> str:
    """Draw what each column adds to a row's score, beside the nearest typical row."""
    top = [(c, v, part) for c, v, part in row.top(REASONS) if round(part, 2) > 0]
    if not top:
        if not row.flagged:
            return "<p>No column stands out.</p>"
        return "<p>No single column makes it odd: it is the mixture.</p>"
    longest = max(part for _, _, part in top)
    lines = "".join(
        f'<tr><th scope="row">{brief(column, 32)}</th><td>{brief(value, 32)}</td>'
        f"<td>{brief(row.typical.values[column], 32)}</td>"
        f'<td><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="odd" width="{max(100 * part / longest, 1):.0f}" height="10"/></svg>'
        f"{part:+.2g}</td></tr>"
        for column, value, part in top
    )
    return (
        '<table><thead><tr><th scope="col">column</th><th scope="col">here</th>'
        '<th scope="col">typical row</th><th scope="col">adds to score</th></tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


def _said(value: object, digits: int) -> str:
    if isinstance(value, float | np.floating) and not np.isnan(value):
        return number(value, digits)
    return text_of(value) or "missing"


def _picture(uri: str | None) -> str:
    return f'<td><img src="{uri}" alt=""></td>' if uri else "<td></td>"


def _mark(kind: str) -> str:
    name = str(kind) or "usual"
    return f'<span class="mark {name.split()[0]}">{name}</span>'


def _isolated(row: Explanation) -> Explanation:
    """Set names and cells, as they are written, off from the words of sentences around them."""

    def example(other: CounterExample) -> CounterExample:
        differing = tuple(map(_set_off, other.differing))
        return replace(other, values=each(other.values), differing=differing)

    def each(cells: Mapping[str, Any]) -> dict[str, Any]:
        return {_set_off(name): _set_off(value) for name, value in cells.items()}

    return replace(
        row,
        columns=tuple(map(_set_off, row.columns)),
        values=tuple(map(_set_off, row.values)),
        typical=example(row.typical),
        anomaly=row.anomaly and example(row.anomaly),
        change=row.change and replace(row.change, values=each(row.change.values)),
    )


def _set_off(text: object) -> str:
    return f"{ISOLATE}{str(text).translate(NO_ISOLATES)}{POP}"


def _sentence(line: str) -> str:
    """Write a sentence as HTML: what is set off keeps its own direction, and is cut if long."""
    parts = SET_OFF.split(line)
    return "".join(brief(part, 32) if i % 2 else safe(part) for i, part in enumerate(parts))
