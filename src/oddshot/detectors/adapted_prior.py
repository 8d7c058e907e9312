"""What `FewShotDetector` is once a prior is adapted: scores, and what they are calibrated by."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import current_process
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from joblib import effective_n_jobs, parallel_config
from sklearn.utils.validation import check_is_fitted

from oddshot.detectors.base import AnomalyDetector
from oddshot.detectors.corrections.few_rows import LEAST_TO_HALVE, most_decades
from oddshot.detectors.fitted.images import FittedImages
from oddshot.detectors.fitted.table import FittedTable
from oddshot.detectors.given.groups import Groups
from oddshot.detectors.verdicts.calibrated import FOLDS, Shown, look_picked, stand_for_normal
from oddshot.detectors.verdicts.calibration import (
    OWN,
    SPLIT,
    Calibration,
    IndexArray,
    doubt_of_gaps,
    doubt_of_own,
    expected_again,
)
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, Float32Array, FloatArray, GivenLabels
from oddshot.errors import DataError, SettingError, is_whole, require
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.thresholds.conformal import group_weights
from oddshot.thresholds.surprise import Surprise

_NOT_BY_GROUPS = (
    "rows are so few that the threshold rests on each of those given to fit, not on their groups: "
    "rows of new groups score higher; go by p_values, or give calibrate rows of other groups"
)


class AdaptedPrior(AnomalyDetector):
    """Scores rows by a prior that was adapted to a table or to images.

    Subclasses have the constructor argument ``n_jobs``.
    """

    n_jobs: int | None
    _fitted: FittedTable | FittedImages
    _parts: "list[_Part] | None" = None
    _normal_rows_are_old = False  # known before `refresh`: new rows are not drawn as they were
    _normal_rows_are_picked = False  # given to `fit`, and odd: no sample of normal rows
    _doubts_normal_rows = True  # whether `fit` asks if they are
    _answers_calibrate = False  # those that came after `fit`, as where an older version saved them

    @abstractmethod
    def fit(self, X: Any, y: GivenLabels | None = None) -> Self:
        """Adapt the prior to rows X (n, d) with labels y (n,)."""

    def anomaly_score(self, X: Any) -> FloatArray:
        """Anomaly score of every row: >= 0, near 0 for typical rows, higher = odder.

        Parameters
        ----------
        X
            Shape (n, d): the columns that `fit` saw; a table's are found by name. With a prior for
            images: images of any size.

        Returns
        -------
        ndarray
            Shape (n,) float64, in decades of surprise (see the notes of the class).

        Raises
        ------
        DataError
            If there is no row, columns are missing or hold what `fit` has not seen there, or X is a
            table and the prior one for images, or the other way round.
        """
        check_is_fitted(self)
        return self._scale.apply(self._fitted.scored(X))

    @property
    def column_report_(self) -> list[ColumnNote]:
        """What became of every column."""
        check_is_fitted(self)
        return self._fitted.column_report

    def _keep(self, fitted: FittedTable | FittedImages) -> None:
        """Set all that scoring needs; the same from `fit` and from a file."""
        self._fitted, self._parts = fitted, None
        most = most_decades(len(fitted.typical_scores))
        self._scale = Surprise(most=most).fit(fitted.typical_scores)
        self._set_columns(fitted.columns)

    def _scores_to_judge_by(self) -> Sequence[FloatArray]:
        """Raw scores (m,) of the rows to compare with, those before lowering beside them.

        What lies among known normal rows may be alarms that were rejected, and are none now, or so
        many rows that others only stand out because these were lowered.
        """
        own = super()._scores_to_judge_by()
        if isinstance(self._fitted, FittedTable):
            return (*own, self._fitted.unlowered_scores)
        return own

    def _known_to_judge_by(self) -> FloatArray:
        """Raw scores of the known anomalies of a table as new ones of their kinds may have them."""
        if isinstance(self._fitted, FittedTable):
            return self._fitted.unseen_known_scores
        return super()._known_to_judge_by()

    def _shown_rows(self) -> Shown:
        """Raw scores of the rows given to `fit`, as far as they are kept."""
        fitted = self._fitted
        ends = np.rint(np.cumsum(fitted.copies)).astype(np.intp)  # seven copies may count as three
        typical = np.repeat(fitted.typical_scores, np.diff(ends, prepend=0))
        shown = Shown(typical, fitted.known_scores, fitted.clean)
        if not isinstance(fitted, FittedTable):
            return shown
        of_typical, of_known = fitted.drawn_for
        each = np.concatenate([np.repeat(of_typical, np.diff(ends, prepend=0)), of_known])
        return shown if (each == each[0]).all() else shown._replace(drawn_for=each)

    def _table(self, what: str) -> FittedTable:
        """Return a table, which ``what`` needs."""
        check_is_fitted(self)
        if isinstance(self._fitted, FittedImages):
            raise SettingError(
                f"{what} takes tables only, and the prior reads images; these have scores and "
                "thresholds, and fit takes all labels at once"
            )
        return self._fitted

    def _own_calibration(self) -> Calibration:
        labels, scores = self._fitted.kept_labels, self._fitted.typical_scores
        used = self._used_to_calibrate()
        clean = bool((labels[used] == NORMAL).all())
        own = np.repeat(self._scale.apply(scores[used]), self._times(used)[used])
        stands = self._fitted.stands_for_new
        few = "" if stands else doubt_of_own(len(scores), self._columns_compared)
        doubt = "; ".join(filter(None, [few, doubt_of_gaps(self._fitted.first_gaps)]))
        return Calibration(OWN, (own,), clean, doubt=doubt, left_out=self._left_out(used))

    @property
    def _columns_told(self) -> Sequence[ColumnNote]:
        return self._fitted.column_report

    @property
    def _columns_compared(self) -> int:
        """The columns of a table that are not left out."""
        return sum(note.used for note in self._fitted.column_report)

    def _left_out(self, used: IndexArray) -> int:
        """How many rows given to `fit`, as far as they are kept, do not calibrate."""
        known = 0 if self._shown is None else len(self._shown.known)
        return len(self._fitted.kept_labels) - len(used) + known

    @property
    def _threshold_calibration(self) -> Calibration:
        """Rows that were held out are doubted where they have met gaps that new ones will not.

        And where rows are few, and these are on the scale of their part alone, those given to `fit`
        count: their own scores stand for those of new ones there.
        """
        found = self.calibration_
        if not found.parts:
            return found
        if not self._fitted.spares_rows:
            scores = self._raised_as_new(found)
            doubt = doubt_of_gaps(self._fitted.first_gaps)
            return self._doubted(replace(found, scores=scores, doubt=doubt))
        own = self._own_calibration()
        return self._doubted(own if found.weights is None else replace(own, doubt=_NOT_BY_GROUPS))

    def _raised_as_new(self, calibration: Calibration) -> tuple[FloatArray, ...]:
        """Scores by part, those of rows with new levels no lower than new rows have them.

        A level, or two together, that no other row holds is as surprising as rows are many, and
        the detector of a part has seen fewer: new rows like those would all be above its scores.
        """
        if not isinstance(self._fitted, FittedTable):
            return calibration.scores
        raised = [self._scale.apply(self._fitted.raised_as_new(p)) for p in calibration.parts]
        return tuple(map(np.maximum, calibration.scores, raised))

    def _held_out_calibration(self, method: str, folds: int, groups: Groups | None) -> Calibration:
        fitted, labels = self._fitted, self._fitted.kept_labels
        used = self._used_to_calibrate()
        used = used[used < fitted.teaching]
        if len(used) < LEAST_TO_HALVE:
            raise DataError(
                f"{len(used)} rows are too few to hold some of them out; give calibrate rows X "
                f"that fit has not seen, or fit {LEAST_TO_HALVE} or more"
            )
        fits = method == SPLIT or folds <= max(len(used), FOLDS)  # by default fewer rows do, too
        require(fits, "folds", folds, f"no more than the {len(used):,} rows that can be held out")
        shuffled = np.random.default_rng([fitted.seed, 3]).permutation(used)
        count = 2 if method == SPLIT else min(folds, len(used))
        of_rows = None if groups is None else fitted.groups_of(groups)
        dealt = (
            tuple(np.array_split(shuffled, count))
            if of_rows is None
            else of_rows.dealt(shuffled, count)
        )
        held_out = dealt[:1] if method == SPLIT else dealt
        self._parts, raw = _adapted_without(fitted, held_out)
        times = self._times(used)
        scores = [
            np.repeat(part.scale.apply(of_part), times[rows])
            for part, of_part, rows in zip(self._parts, raw, held_out, strict=True)
        ]
        parts = tuple(np.repeat(rows, times[rows]) for rows in held_out)
        weights = None if of_rows is None else group_weights(of_rows.numbers[np.concatenate(parts)])
        clean = bool((labels[used] == NORMAL).all())
        left_out = self._left_out(used)
        return Calibration(method, tuple(scores), clean, parts, weights=weights, left_out=left_out)

    def _scores_by_part(self, calibration: Calibration, X: Any) -> list[FloatArray]:
        if not calibration.parts:
            return [self.anomaly_score(X)]
        if self._parts is None:  # as after loading
            held_out = [np.array([*dict.fromkeys(part.tolist())]) for part in calibration.parts]
            self._parts, _ = _adapted_without(self._fitted, held_out)
        return [part.scale.apply(part.fitted.scored(X)) for part in self._parts]

    def _numbers(self, X: Any) -> Float32Array | None:
        return self._fitted.numbers(X) if isinstance(self._fitted, FittedTable) else None

    def _scores_and_numbers(self, X: Any) -> tuple[FloatArray, Float32Array | None]:
        if not isinstance(self._fitted, FittedTable):
            return super()._scores_and_numbers(X)
        raw, numbers = self._fitted.scores_and_numbers(X)
        return self._scale.apply(raw), numbers

    @property
    def _learned_index(self) -> "pd.Index[Any] | None":
        kept = self._fitted.kept if isinstance(self._fitted, FittedTable) else None
        return None if kept is None else kept.index

    def _learned_numbers(self) -> Float32Array | None:
        return self._fitted.kept_numbers if isinstance(self._fitted, FittedTable) else None

    def _calibration_numbers(self, calibration: Calibration) -> Float32Array | None:
        if calibration.numbers is not None or not isinstance(self._fitted, FittedTable):
            return calibration.numbers
        if calibration.parts:
            return self._fitted.kept_numbers[np.concatenate(calibration.parts)]
        used = self._used_to_calibrate()
        return self._fitted.kept_numbers[np.repeat(used, self._times(used)[used])]

    def _normal_rows_look_picked(self) -> bool:
        """Whether rows that `fit` was told are normal are odder than unlabelled ones."""
        fitted = self._fitted
        own = fitted.unlowered_scores if isinstance(fitted, FittedTable) else fitted.typical_scores
        return look_picked(own, fitted.kept_labels)

    def _used_to_calibrate(self) -> IndexArray:
        """Which of the rows to compare with calibrate, of those that are kept.

        Rows that were answered to be normal were asked for because they are odd. Alone they would
        stand for no others, and left out they would be lacking: they stand with the unlabelled rows
        where `fit` saw them, and with all where it was told that its rows are normal.
        """
        fitted, labels = self._fitted, self._fitted.kept_labels
        if not self._answers_calibrate:
            labels = fitted.labels_at_fit
        if self._normal_rows_are_old:
            stand = labels == UNLABELLED
        elif self._normal_rows_are_picked:
            stand = labels != ANOMALY
        else:
            stand = stand_for_normal(labels)
        if not self._answers_calibrate and (labels[~fitted.came_later] == UNLABELLED).any():
            stand &= ~fitted.came_later
        return np.flatnonzero(stand)

    def _times(self, used: IndexArray) -> IndexArray:
        """How often each of the rows to compare with (m,) counts, of which some are ``used``."""
        fitted = self._fitted
        times = np.ones(len(fitted.kept_labels), dtype=np.intp)
        if isinstance(fitted, FittedTable) and fitted.normal_once:  # a new row is told from these
            drawn_for, _ = fitted.drawn_for
            each = fitted.copies[used] * drawn_for[used] / drawn_for[used].max(initial=0)
            times[used] = np.maximum(np.rint(each), 1)
        else:
            times[used] = expected_again(fitted.copies[used], fitted.occurrences[used])
        return times

    def _threads(self) -> int:
        count = self.n_jobs
        fits = count is None or (is_whole(count) and count != 0)
        require(fits, "n_jobs", count, "None, a number of threads, or -1 for all")
        # a process of a pool may start no others, and joblib thinks of such: these are threads
        inside = {"backend": "threading"} if current_process().daemon else {}
        with parallel_config(**inside):
            return int(effective_n_jobs(count))


class _Part(NamedTuple):
    """A prior adapted without a part of the rows, and the scale of its scores."""

    fitted: FittedTable | FittedImages
    scale: Surprise


def _adapted_without(
    fitted: FittedTable | FittedImages, parts: Sequence[IndexArray]
) -> tuple[list[_Part], list[FloatArray]]:
    """Adapt without each of the parts, and give its raw scores.

    Scores are seen against the rows that are left, or, where these are few, the part's own.
    """
    adapted, raw = [], []
    for part in parts:
        rest, scores = fitted.held_out(part)
        reference = scores if fitted.spares_rows else rest.typical_scores
        adapted.append(_Part(rest, Surprise().fit(reference)))
        raw.append(scores)
    return adapted, raw
