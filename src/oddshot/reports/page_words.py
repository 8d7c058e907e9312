"""What was found, in words for people who are no data scientists."""

import numpy as np

from oddshot.episodes import ANOMALY, NORMAL
from oddshot.reports.detection import CLEAR, KNOWN, LIKELY, POSSIBLE, Detection
from oddshot.reports.evidence import Evidence, LabelEffect

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
    if not found.flagged:
        return f"None of {len(found.rows):,} {found.things} looks odd"
    verb = "looks" if found.flagged == 1 else "look"
    return f"{found.flagged:,} of {len(found.rows):,} {found.things} {verb} odd"


def meaning(found: Detection) -> str:
    """Say what a score is, and what the threshold asks."""
    return (
        f"Oddshot gave every {found.things[:-1]} a score for how unusual it is: one in ten "
        f"{found.things} scores 1 or more, one in a hundred 2, one in a thousand 3, and so on. "
        f"Those above {found.threshold:.3g}, the threshold, are called odd here. Odd does not mean "
        "wrong: it means worth a person's look, the highest score first."
    )


def sure(found: Detection, evidence: Evidence) -> list[str]:
    """Say how sure the verdicts are, and on what they rest."""
    kinds, things, many = found.sureness(), found.things, f"{len(found.rows):,}"
    counts = {kind: int((kinds == kind).sum()) for kind in (KNOWN, CLEAR, LIKELY, POSSIBLE)}
    why = {
        KNOWN: "labelled as anomalies before, and learned from",
        CLEAR: f"among {many} ordinary {things}, fewer than one in ten such sets would hold one "
        "as odd",
        LIKELY: f"among {many} ordinary {things}, less than one as odd is to be expected",
        POSSIBLE: f"{many} ordinary {things} have some as odd among them, by chance alone",
    }
    lines = [f"{count:,} {kind}: {why[kind]}." for kind, count in counts.items() if count]
    if evidence.rule:
        lines.append(f"How the threshold was chosen: {evidence.rule}.")
    if evidence.compared:
        lines.append(
            f"There are {evidence.compared:,} {things} to compare with. Being rarer than one in "
            f"{evidence.compared + 1:,} cannot be counted from these: higher scores carry on the "
            "trend of the highest ones."
        )
    return lines


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
            lines.append(
                f"{count:,} known {name}: {int(above[known[kind]].sum()):,} of them are above the "
                f"threshold; the middle one is number {int(np.median(ranks[known[kind]])):,} of "
                f"{len(ranks):,}."
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
