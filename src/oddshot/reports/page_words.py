"""What was found, in words for people who are not data scientists."""

import re
from math import ceil, log10
from pathlib import PurePath
from shlex import quote

import numpy as np

from oddshot.episodes import ANOMALY, NORMAL
from oddshot.reports.detection import CLEAR, CLEAR_TO, KNOWN, LIKELY, LIKELY_TO, POSSIBLE, Detection
from oddshot.reports.evidence import Evidence, LabelEffect
from oddshot.reports.page_cells import safe
from oddshot.wording import counted, digits_apart, short_number

TOP = 50


def headline(found: Detection) -> str:
    """Say in one short sentence how many are odd.

    Examples
    --------
    >>> import pandas as pd
    >>> from oddshot.reports.detection import scored
    >>> rows = pd.DataFrame({"file": ["a.png", "b.png"]})
    >>> headline(scored(rows, np.array([0.1, 3.0]), 1.0, source="photos", columns=()))
    '1 of 2 images looks odd'
    """
    if len(found.rows) == 1:
        return f"The one {found.things[:-1]} {'looks' if found.flagged else 'does not look'} odd"
    if not found.flagged:
        return f"None of {len(found.rows):,} {found.things} looks odd"
    verb = "looks" if found.flagged == 1 else "look"
    return f"{found.flagged:,} of {len(found.rows):,} {found.things} {verb} odd"


def meaning(found: Detection) -> str:
    """Say what a score is, and what the threshold asks."""
    known = found.labels is not None and bool((found.labels >= 0).any())
    labelled = f", and labelled {found.things} are what they are labelled as" if known else ""
    new = f"of {found.things} like those it learned from, " if found.labels is None else ""
    return (
        f"Oddshot gave every {found.things[:-1]} a score for how unusual it is: {new}one in ten "
        f"{'' if new else f'{found.things} '}scores 1 or more, one in a hundred 2, one in a "
        "thousand 3, and so on. "
        f"Those above {found.threshold:.3g}, the threshold, are called odd here{labelled}. Odd "
        "does not mean wrong: it means worth a person's look, the highest score first."
    )


def title_of_list(found: Detection, shown: int) -> str:
    """Name the list of the ``shown`` oddest: how many of them are odd, and what the others are.

    Examples
    --------
    >>> import pandas as pd
    >>> from oddshot.reports.detection import scored
    >>> rows = pd.DataFrame({"file": ["a.png", "b.png", "c.png"]})
    >>> found = scored(rows, np.array([0.1, 3.0, 0.2]), 1.0, source="photos", columns=())
    >>> title_of_list(found, 3)
    'The odd image, and the next 2'
    """
    things = found.things
    verdicts = found.rows[found.verdict].to_numpy(dtype=bool)[found.order[:shown]]
    odd, others = int(verdicts.sum()), int((~verdicts).sum())
    if not odd:
        return "The oddest " + (f"{shown} {things}" if shown > 1 else things[:-1])
    if odd < found.flagged:
        return f"The {shown} oddest of {found.flagged:,} odd {things}"
    first = f"The odd {things[:-1]}" if odd == 1 else f"The {odd} odd {things}"
    if not others:
        return first
    in_order = bool(verdicts[:odd].all())  # none between that is known to be normal
    return f"{first}, and " + (f"the next {others}" if in_order else f"{others} more")


def sure(found: Detection, evidence: Evidence) -> list[str]:
    """Say how sure the verdicts are, and on what they rest."""
    kinds, things, many = (
        found.sureness(),
        found.things,
        counted(len(found.rows), f"ordinary {found.things}"),
    )
    counts = {kind: int((kinds == kind).sum()) for kind in (KNOWN, CLEAR, LIKELY, POSSIBLE)}
    why = {
        KNOWN: "labelled as anomalies before, and learned from",
        CLEAR: f"among {many}, fewer than one in ten such sets would hold one as odd",
        LIKELY: f"among {many}, fewer than one in two such sets would hold one as odd",
        POSSIBLE: f"among {many} some are as odd, by chance alone",
    }
    lines = [f"{count:,} {kind}: {why[kind]}." for kind, count in counts.items() if count]
    if counts[POSSIBLE] and not counts[CLEAR] + counts[LIKELY]:
        highest = float(found.scores[kinds == POSSIBLE].max())
        lines.append(_needed(len(found.rows), things, highest))
        if found.labels is not None:  # they were learned from
            lines.append(
                f"Of {things} that were learned from one is always the oddest, also where all are "
                "ordinary: look at it, or score others."
            )
    if evidence.rule:
        rule = evidence.rule if found.columns else re.sub(r"\brows\b", things, evidence.rule)
        lines.append(f"How the threshold was chosen: {rule}.")
    if evidence.compared:
        lines.append(
            f"{'There is' if evidence.compared == 1 else 'There are'} "
            f"{counted(evidence.compared, things)} to compare with. Being rarer than one in "
            f"{evidence.compared + 1:,} cannot be counted from these: higher scores carry on the "
            "trend of the highest ones."
        )
    return lines


def _needed(rows: int, things: str, highest: float) -> str:
    """Say why no verdict is clearer: which scores that takes, see `Detection.sureness`."""
    likely, clear = (ceil(10 * log10(rows / most)) / 10 for most in (LIKELY_TO, CLEAR_TO))
    return (
        f"None can be clearer: with {counted(rows, things)} a score of {likely:.1f} is needed for "
        f'"{LIKELY}", and {clear:.1f} for "{CLEAR}"; the highest of these is '
        f"{short_number(highest, digits_apart([highest, likely], digits=3))}."
    )


def how_to_label(found: Detection) -> str:
    """Say, as HTML, which command takes labels of the rows that are shown."""
    source = found.source
    is_path = bool(PurePath(source).suffix) or "/" in source
    if not found.columns:
        command = _command(
            "detect",
            source if is_path or " " not in source else "FOLDER",
            "--labels",
            "TABLE",
            *found.options,
        )
        return (
            "Say of these whether they are anomalies or normal, in a table with the columns file "
            f"and label: 1 for an anomaly, 0 for a normal one. Then run {command} in a terminal: "
            "it learns from each."
        )
    column = [] if found.label_column is None else ["--label-column", found.label_column]
    command = _command("label", source if is_path else "FILE", *column, *found.options)
    return (
        f"To say of these whether they are anomalies or normal, run {command} in a terminal: it "
        "asks about one row after the other, and learns from each answer."
    )


def _command(*words: str) -> str:
    return f"<code>oddshot {safe(' '.join(map(quote, words)))}</code>"


def labels_told(found: Detection, effect: LabelEffect | None) -> list[str]:
    """Say which labels there were and what they did; nothing where the detector came ready."""
    if found.labels is None:
        return []
    ranks, things = found.rows[found.rank].to_numpy(), found.things
    above = found.scores > found.threshold
    known = {kind: found.labels == kind for kind in (ANOMALY, NORMAL)}
    lines = []
    for kind, name in ((ANOMALY, "anomalies"), (NORMAL, f"normal {things}")):
        count = int(known[kind].sum())
        if count:
            place = f"number {int(np.median(ranks[known[kind]])):,} of {len(ranks):,}"
            over = int(above[known[kind]].sum())
            side = "above" if over else "not above"
            lines.append(
                f"{counted(count, f'known {name}')}: {side} the threshold, {place}."
                if count == 1
                else f"{counted(count, f'known {name}')}: {over:,} of them above the threshold; "
                f"the middle one is {place}."
            )
    if not lines:
        return [f"No {things[:-1]} had a label. A few labelled anomalies help a lot."]
    if effect is not None:
        top = min(TOP, len(ranks))
        if known[ANOMALY].any():
            before = int(np.median(effect.before[known[ANOMALY]]))
            lines.append(
                f"Without the labels, the middle known anomaly would be number {before:,}."
            )
        lines.append(
            f"Of the {top} oddest {things}, {effect.shared(top):,} are also among the {top} oddest "
            f"without the labels; the labels brought in {top - effect.shared(top):,}."
        )
    return lines
