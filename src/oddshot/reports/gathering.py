"""Ask a detector for all that a report shows beside the scores."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import clone

from oddshot.data.images import Images, looks_like_images, to_images
from oddshot.detectors.explanation import Explanation
from oddshot.episodes import UNLABELLED
from oddshot.frames import as_frame, take_rows, to_rows
from oddshot.reports.detection import scored
from oddshot.reports.evidence import Evidence, LabelEffect
from oddshot.reports.page import detection_page
from oddshot.reports.plane import row_map
from oddshot.reports.thumbnails import data_uri

if TYPE_CHECKING:
    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.frames import RawRows
    from oddshot.reports.detection import Detection

MAX_EXPLAINED = 12
EXPLAINED_CELLS = 6_000_000  # scored to explain; a row of d columns takes (8 d + 300) d
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

    Examples
    --------
    >>> from oddshot import FewShotDetector
    >>> rows = np.random.default_rng(0).normal(size=(300, 3))
    >>> rows[7, 1] = 9
    >>> page = detection_report(FewShotDetector().fit(rows), rows, source="readings")
    >>> "readings" in page
    True
    """
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

    It takes as long as scoring some thousand rows; with labels, and up to a million cells, as long
    as another fit without them.

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
        rule=str(detector.threshold_rule_),
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
    """Explain the oddest rows; nothing where a single column is the only reason there can be."""
    if sum(note.used for note in found.columns) < 2:
        return {}
    columns = rows.shape[1]
    number = max(EXPLAINED_CELLS // ((8 * columns + 300) * columns), 1)
    places = found.order[: min(number, MAX_EXPLAINED)]
    return dict(zip(places.tolist(), detector.explain(take_rows(rows, places)), strict=True))


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
    scores = clone(detector).fit(rows).anomaly_score(rows)
    ranks = rankdata(-scores, method="ordinal").astype(np.intp)
    return LabelEffect(ranks, found.rows[found.rank].to_numpy(dtype=np.intp))
