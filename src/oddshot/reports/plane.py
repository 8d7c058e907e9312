"""A map of rows: the plane in which they spread most."""

from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA

from oddshot.data.images import Images
from oddshot.episodes import UNLABELLED, FloatArray
from oddshot.errors import DataError
from oddshot.frames import as_frame
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.reports.evidence import IndexArray, RowMap

if TYPE_CHECKING:
    from oddshot.frames import RawRows
    from oddshot.reports.detection import Detection

MAX_POINTS = 2000
MAX_ODD = 500
LEAST = 5
REACH = 1e100  # squares of numbers must be numbers


def row_map(rows: "RawRows | Images", found: "Detection") -> RowMap | None:
    """Lay rows out by the two principal components of their numbers; ``None`` if too few.

    Numbers are centred by the median, scaled by the quartiles and drawn in by the inverse
    hyperbolic sine, so that a single far value neither sets the plane nor leaves the picture.

    Parameters
    ----------
    rows
        What was scored, n rows or images.
    found
        Their scores. The oddest rows above the threshold, labelled rows and a random part of the
        others become points, at most 2,000; of a table, the columns that the detector used.
    """
    places = _some(found)
    numbers = _numbers(rows, found, places)
    if len(places) < LEAST or numbers.shape[1] < 1:
        return None
    if numbers.shape[1] == 1:
        numbers = np.repeat(numbers, 2, axis=1)
    pca = PCA(2, svd_solver="randomized", random_state=0)
    points = pca.fit_transform(numbers)
    return RowMap(places, points, float(pca.explained_variance_ratio_.sum()))


def _some(found: "Detection") -> IndexArray:
    """Choose rows to show, rising."""
    rank = found.rows[found.rank].to_numpy()
    first = rank <= min(found.flagged, MAX_ODD)
    if found.labels is not None:
        first |= (found.labels != UNLABELLED) & (np.cumsum(found.labels != UNLABELLED) <= MAX_ODD)
    others = np.random.default_rng(0).permutation(np.flatnonzero(~first))
    return np.sort(np.concatenate([np.flatnonzero(first), others[: MAX_POINTS - first.sum()]]))


def _numbers(rows: "RawRows | Images", found: "Detection", places: IndexArray) -> FloatArray:
    """Rows (m, p) in numbers of like size; columns that do not vary are left out."""
    if isinstance(rows, Images):
        numbers = rows.pixels[places].reshape(len(places), -1).astype(np.float64)
        return np.asarray(numbers[:, numbers.std(axis=0) > 0])
    used = {str(note.column) for note in found.columns if note.used}
    frame = as_frame(rows, places)
    frame = frame.loc[:, [str(name) in used for name in frame.columns]]
    try:
        numbers = Encoder().fit(frame).transform(frame)
    except DataError:  # nothing varies among these rows
        return np.empty((len(places), 0))
    numbers = np.clip(numbers, -REACH, REACH)
    centre = np.median(numbers, axis=0)
    low, high = np.quantile(numbers, [0.25, 0.75], axis=0)
    scale = np.where(high > low, (high - low) / 1.35, numbers.std(axis=0))
    return np.asarray(np.arcsinh((numbers - centre)[:, scale > 0] / scale[scale > 0]))
