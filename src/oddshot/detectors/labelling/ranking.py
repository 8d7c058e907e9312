"""Rows of a table, ranked anew as labels come in; what needs no label is done once."""

import warnings
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oddshot.data.labels import parse_labels
from oddshot.detectors.fitted.table import FittedTable
from oddshot.episodes import UNLABELLED, FloatArray, GivenLabels, LabelArray
from oddshot.errors import CalibrationWarning, LabelError
from oddshot.frames import to_array
from oddshot.mapping.mapping import Pool, last_told
from oddshot.wording import counted


class LearnsLabels(Protocol):
    """A fitted detector that can take in labels of rows it has mapped already."""

    @property
    def threshold_(self) -> float:
        """Anomaly score above which a row counts as an anomaly."""

    def _table(self, what: str) -> FittedTable:
        """Return the table it was fitted to, or tell that ``what`` needs one."""

    def _ranked(self, pool: Pool) -> FloatArray:
        """Anomaly scores (n,) of a pool."""

    def _told(self, pool: Pool, labels: LabelArray, X: Any) -> tuple[Self, str]:
        """Return one that knows labels (n,) of a pool of rows X, and what it no longer keeps."""


DetectorT = TypeVar("DetectorT", bound=LearnsLabels)


class Ranking(Generic[DetectorT]):
    """What `FewShotDetector.rank` returns: rows, their scores, and the labels they got meanwhile.

    The rows' label-free coordinates are kept (about 1 KB a row), and all that looks at labels is
    fitted anew when labels come, as `FewShotDetector.partial_fit` does: a fraction of a second for
    10,000 rows. It starts from the detector that made the ranking each time, so that a label which
    is taken back leaves no trace.

    Attributes
    ----------
    rows
        Shape (n, d): as they were given.
    labels
        Shape (n,) of 1, 0, -1: what was added here, row by row; those given to `fit` are known
        besides. Of equal rows the newest label counts, see `known_labels`.
    scores
        Shape (n,): anomaly scores by `detector`, higher is odder.
    detector
        A detector that knows these labels, too. The one that made the ranking stays as it is.
    pool
        The rows as the mapping sees them.

    Examples
    --------
    >>> from oddshot import FewShotDetector
    >>> rows = np.random.default_rng(0).normal(size=(300, 3))
    >>> rows[:9] += [4, 0, 0]
    >>> ranking = FewShotDetector().fit(rows).rank(rows)
    >>> bool(np.median(ranking.add_labels([0, 1], [1, 1]).scores[2:9]) > 1)
    True
    >>> ranking.add_labels([1], [-1]).labels[:3].tolist()
    [1, -1, -1]
    """

    rows: Any
    labels: LabelArray
    scores: FloatArray
    detector: DetectorT
    pool: Pool

    def __init__(self, detector: DetectorT, rows: Any) -> None:
        self.rows, self.detector, self._first = rows, detector, detector
        self.pool = detector._table("rank").pool(rows)
        self.labels = np.full(len(self.pool), UNLABELLED, dtype=np.int8)
        self._warned = False
        self._when = np.zeros(len(self.pool), dtype=np.intp)  # the place of each label among all
        self.scores = detector._ranked(self.pool)

    def __len__(self) -> int:
        return len(self.pool)

    def __repr__(self) -> str:
        known = int((self.labels != UNLABELLED).sum())
        above = int((self.scores > self.detector.threshold_).sum())
        return (
            f"<Ranking of {counted(len(self), 'rows')}: {above:,} above the threshold, "
            f"{counted(known, 'labels')} added; see order>"
        )

    @property
    def order(self) -> NDArray[np.intp]:
        """Positions (n,) of the rows, the oddest first; equally odd ones in their order."""
        return np.argsort(-self.scores, kind="stable")

    def add_labels(self, positions: ArrayLike, labels: GivenLabels) -> Self:
        """Take in what has become known of some rows, and rank all anew.

        Parameters
        ----------
        positions
            Shape (a,): which of the rows; of one that is named twice the last label counts, and of
            equal rows the newest, whichever of them it is given for.
        labels
            Shape (a,): 1 an anomaly, 0 normal, -1 takes an earlier label back; then the one before
            it of an equal row counts again.

        Returns
        -------
        Ranking
            The ranking itself.

        Raises
        ------
        LabelError
            If there are not as many labels as positions, they are no labels, or a position is not
            that of a row. The ranking is as before then.
        DataError
            If no row would be left to compare with.

        Warns
        -----
        CalibrationWarning
            As `FewShotDetector.partial_fit`, at most once.
        """
        places = np.atleast_1d(np.asarray(positions))
        if places.ndim != 1 or (len(places) and places.dtype.kind not in "iu"):
            raise LabelError(f"positions are {positions!r}; give whole numbers in a list")
        outside = places[(places < 0) | (places >= len(self))]
        if len(outside):
            raise LabelError(
                f"position {outside[0]} is that of no row; they go from 0 to {len(self) - 1}"
            )
        told = parse_labels(np.atleast_1d(to_array(labels, "labels", LabelError)), column="labels")
        if len(told) != len(places):
            raise LabelError(f"{len(places)} positions but {len(told)} labels; give one for each")
        all_told, when = self.labels.copy(), self._when.copy()
        all_told[places.astype(np.intp)] = told
        when[places.astype(np.intp)] = 1 + when.max(initial=0) + np.arange(len(places))
        detector, lack = self._first._told(self.pool, self._newest(all_told, when), self.rows)
        self.scores, self.detector = detector._ranked(self.pool), detector
        self.labels, self._when = all_told, when
        if lack and not self._warned:
            warnings.warn(lack, CalibrationWarning, stacklevel=2)
        self._warned |= bool(lack)
        return self

    def known_labels(self) -> LabelArray:
        """Labels (n,) that the detector knows: those added, and those given to `fit`."""
        return self.detector._table("rank").labels_of(self.pool)

    def _newest(self, labels: LabelArray, when: NDArray[np.intp]) -> LabelArray:
        """Labels (n,), of equal rows the newest alone."""
        told = np.flatnonzero(labels != UNLABELLED)
        told = told[np.argsort(when[told])]
        counts = told[last_told(self.pool.rows[told], labels[told])]
        newest = np.full_like(labels, UNLABELLED)
        newest[counts] = labels[counts]
        return newest
