"""Ask a detector for all that a report shows beside the scores."""

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import clone

from oddshot.data.images import Images, looks_like_images, to_images
from oddshot.detectors.explanations.explanation import Explanation
from oddshot.episodes import UNLABELLED
from oddshot.errors import LabelWarning, require
from oddshot.frames import as_frame, take_rows, to_rows
from oddshot.reports.detection import scored
from oddshot.reports.evidence import Evidence, LabelEffect
from oddshot.reports.page import detection_page
from oddshot.reports.page_rows import MAX_CARDS, number_shown
from oddshot.reports.plane import row_map
from oddshot.reports.thumbnails import data_uri
from oddshot.thresholds.automatic import CLEAN_ALARMS, LEAST, MOST, REACH

if TYPE_CHECKING:
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.frames import RawRows
    from oddshot.reports.detection import Detection

EXPLAINED_CELLS = 4_000_000  # scored to explain, in some seconds; see `_most_explained`
ODD_CELLS = 24_000_000  # the same for odd rows with a card, in some twenty seconds
SUGGESTED = 8
MAX_CANDIDATES = 2000
MAX_REFITTED_CELLS = 1_000_000
PICTURES, ORDINARY = 30, 10


def detection_report(detector: "FewShotDetector", X: Any, *, source: str = "the table") -> str:
    """Score rows or images, and tell what was found as one HTML page.

    Parameters
    ----------
    detector
        Fitted.
    X
        What to score, as for `FewShotDetector.anomaly_score`.
    source
        What the page calls it.

    Returns
    -------
    str
        The page: write it to a file and open it, no network is needed.

    Raises
    ------
    DataError
        As `FewShotDetector.anomaly_score`.
    SettingError
        If it is another detector, which has no reasons or suggestions to show.

    Examples
    --------
    >>> from oddshot import FewShotDetector
    >>> rows = np.random.default_rng(0).normal(size=(300, 3))
    >>> rows[7, 1] = 9
    >>> page = detection_report(FewShotDetector().fit(rows), rows, source="readings")
    >>> "readings" in page
    True
    """
    needed = ("calibration_", "column_report_", "explain", "suggest", "threshold_rule_")
    fits = all(hasattr(type(detector), name) for name in needed)
    require(fits, "detector", type(detector).__name__, "a FewShotDetector")
    rows = to_images(X) if looks_like_images(X) else to_rows(X)
    found = scored(
        _table(rows),
        detector.anomaly_score(rows),
        detector.threshold_,
        source=source,
        columns=detector.column_report_,
    )
    return detection_page(found, gathered(detector, rows, found))


def _table(rows: "RawRows | Images") -> pd.DataFrame:
    if isinstance(rows, Images):
        return pd.DataFrame({"file": rows.names})
    return rows if isinstance(rows, pd.DataFrame) else as_frame(rows)


def gathered(detector: "FewShotDetector", rows: "RawRows | Images", found: "Detection") -> Evidence:
    """Gather the evidence for a report.

    It takes as long as scoring some ten thousand rows; with labels, and up to a million cells, as
    long as another fit without them.

    Parameters
    ----------
    detector
        The one that scored.
    rows
        What it scored, without a column of labels.
    found
        The scores.
    """
    evidence = Evidence(
        rule=_rule(detector),
        compared=detector.calibration_.rows,
        plane=row_map(rows, found),
    )
    if isinstance(rows, Images):
        return _with_pictures(evidence, rows, found)
    return replace(
        evidence,
        explained=_explained(detector, rows, found),
        suggested=_suggested(detector, rows, found),
        effect=_effect(detector, rows, found),
    )


def _rule(detector: "FewShotDetector") -> str:
    """Say how the threshold was chosen, not what came of it: that is counted on the page."""
    rule = detector.threshold_rule_
    if rule.rule != "contamination":
        return str(rule)
    if rule.automatic is None:
        share = f"{100 * rule.settings['share']:.3g}%"
        return f"{share} of the {rule.basis} learned from were to be above it, as asked for"
    if rule.automatic == "normal rows":
        return (
            f"automatically. All {rule.basis} learned from are known to be normal, and "
            f"{CLEAN_ALARMS:.0%} of them may be above it, as false alarms"
        )
    if rule.automatic == "labels":
        return (
            f"automatically, where it should find most for its alarms among the {rule.basis}, "
            "judged by how many of these, and of the known anomalies, score higher"
        )
    return (
        f"automatically, by the scores of the {rule.basis} (as they are before they become "
        f"rarities): odd is what lies more than {REACH:g} times as far above the middle as the "
        f"upper quarter begins, but at least {LEAST:.1%} and at most {MOST:.0%} of these rows"
    )


def _with_pictures(evidence: Evidence, images: Images, found: "Detection") -> Evidence:
    """Add thumbnails of the oddest, of typical ones, and of those nearest to the threshold."""
    order, ordinary = found.order, found.order[::-1][:ORDINARY]
    nearest = np.argsort(np.abs(found.scores - found.threshold), kind="stable")
    doubtful = nearest[found.unlabelled[nearest]][:SUGGESTED]
    shown = np.unique(np.concatenate([order[:PICTURES], ordinary, doubtful]))
    return replace(
        evidence,
        pictures={n: data_uri(images.pixels[n]) for n in shown.tolist()},
        ordinary=tuple(ordinary.tolist()),
        suggested=tuple(doubtful.tolist()),
    )


def _explained(
    detector: "FewShotDetector", rows: "RawRows", found: "Detection"
) -> dict[int, Explanation]:
    """Explain the rows that are shown; nothing where a single column is the only reason.

    Changes that would make a row normal are looked for where they are shown.
    """
    used = sum(note.used for note in found.columns)
    if used < 2:
        return {}
    most = _most_explained(used, found.flagged)
    places = found.order[: min(number_shown(found), most)]
    parts = [(places[:MAX_CARDS], True), (places[MAX_CARDS:], False)]
    return {
        place: row
        for part, changes in parts
        if len(part)
        for place, row in zip(
            part.tolist(), detector.explain(take_rows(rows, part), changes=changes), strict=True
        )
    }


def _most_explained(columns: int, odd: int) -> int:
    """Bound the rows to explain, of which some are odd: one takes ``8 * columns + 300`` scorings.

    >>> [_most_explained(columns, 9) for columns in (10, 100, 300, 512, 1000, 3000)]
    [1052, 36, 9, 9, 2, 1]
    """
    cells = (8 * columns + 300) * columns
    return max(EXPLAINED_CELLS // cells, min(ODD_CELLS // cells, odd, MAX_CARDS), 1)


def _suggested(detector: "FewShotDetector", rows: "RawRows", found: "Detection") -> tuple[int, ...]:
    """Rows worth a label, among the oddest ones without."""
    candidates = found.order[found.unlabelled[found.order]][:MAX_CANDIDATES]
    if not len(candidates):
        return ()
    picked = detector.suggest(take_rows(rows, candidates), SUGGESTED).positions
    return tuple(candidates[picked].tolist())


def _effect(detector: "FewShotDetector", rows: "RawRows", found: "Detection") -> LabelEffect | None:
    """Rank the rows without labels; nothing where there are none, or it would take long."""
    if found.labels is None or not (found.labels != UNLABELLED).any():
        return None
    if rows.shape[0] * rows.shape[1] > MAX_REFITTED_CELLS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)  # of columns that may hold labels: there are
        scores = clone(detector).fit(rows).anomaly_score(rows)
    ranks = rankdata(-scores, method="ordinal").astype(np.intp)
    return LabelEffect(ranks, found.rows[found.rank].to_numpy(dtype=np.intp))
