"""Verdicts that keep a promise: p-values, selections and probabilities, after `fit`."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ks_2samp
from sklearn.utils.validation import check_is_fitted

from oddshot.detectors.given.groups import Groups
from oddshot.detectors.given.labels import checked_labels
from oddshot.detectors.given.tables import index_of
from oddshot.detectors.verdicts.calibration import GIVEN, OWN, Calibration, doubt_of_own
from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    UNLABELLED,
    Float32Array,
    FloatArray,
    GivenLabels,
    LabelArray,
)
from oddshot.errors import (
    CalibrationError,
    CalibrationWarning,
    LabelError,
    SettingError,
    is_whole,
    require,
)
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.mapping.row_places import RowPlaces
from oddshot.thresholds.conformal import (
    at_most,
    calibration_rows_needed,
    check_level,
    conformal_p_values,
    group_weights,
    least_p_value,
)
from oddshot.thresholds.covariate_shift import ShiftWeights
from oddshot.thresholds.discoveries import discoveries, least_discoveries, weighted_discoveries
from oddshot.thresholds.probability import LEAST, CalibrationReport, Probability
from oddshot.thresholds.surprise import Surprise

ENOUGH_NORMAL = 100  # known normal rows, from which on they calibrate without unlabelled ones
PICKED = 0.001  # chance of the difference from which on these count as picked
MAX_CALIBRATION = 10_000
FOLDS = 5  # that `calibrate` holds out one after the other
LEARNED = 0.25  # share of rows to calibrate with that may be copies of rows learned from


class Shown(NamedTuple):
    """Raw scores of the rows given to `fit`.

    Parameters
    ----------
    typical
        Shape (m,): of unlabelled and known normal rows.
    known
        Shape (k,): of known anomalies.
    clean
        Whether all but these are known to be normal.
    drawn_for
        Shape (m + k,): how many of the rows given to `fit` each was drawn for, by kind; ``None``:
        all of them are here.
    """

    typical: FloatArray
    known: FloatArray
    clean: bool
    drawn_for: FloatArray | None = None

    @property
    def raw(self) -> FloatArray:
        """Scores that are mixed as those of the rows given to `fit`.

        All of them, known anomalies last. Where kinds of rows were drawn for more and for fewer,
        such as known anomalies, which are kept first, of the latter no more than their share.
        """
        scores = np.concatenate([self.typical, self.known])
        if self.drawn_for is None:
            return scores
        most = self.drawn_for.max()
        kinds = [(scores[self.drawn_for == each], each) for each in np.unique(self.drawn_for)]
        return np.concatenate([_evenly(of, round(len(of) * each / most)) for of, each in kinds])


class CalibratedVerdicts(ABC):
    """What a detector can promise of its scores, once it is fitted.

    The promises rest on calibration rows (`calibration_`): at first the rows given to `fit`, each
    scored without itself, which is approximate; after `calibrate` rows that the scoring detector
    has not learned from.
    """

    _scale: Surprise
    _shown: Shown | None = None
    _calibration: Calibration | None = None
    _probability: Probability | None = None

    @abstractmethod
    def anomaly_score(self, X: Any) -> FloatArray:
        """Anomaly score of every row (n,): >= 0, near 0 for typical rows, higher = odder."""

    @property
    def calibration_(self) -> Calibration:
        """The rows that p-values rest on; ``str`` of it says which."""
        check_is_fitted(self)
        return self._doubted(self._calibration or self._own_calibration())

    def p_values(self, X: Any, *, shift: bool = False) -> FloatArray:
        """How often a normal row would score as high: conformal p-values.

        Parameters
        ----------
        X
            Rows, as for `anomaly_score`.
        shift
            Weight the calibration rows by how much likelier they are among ``X``, for new rows that
            are distributed otherwise; p-values then depend on ``X`` as a whole. Tables only.

        Returns
        -------
        ndarray
            Shape (n,), in (0, 1], low = odd; no lower than ``1 / (m + 1)`` with m calibration rows,
            or m groups of them.

        Raises
        ------
        DataError
            As `anomaly_score`.
        SettingError
            If ``shift`` is True and the calibration rows come in groups, or are not known in
            numbers, as those of images.

        Warns
        -----
        CalibrationWarning
            If they rest on rows given to `fit` that are too few to stand for new ones.

        Notes
        -----
        Of normal rows that are drawn as the calibration rows were, at most a share alpha has a
        p-value of alpha or less, on average over calibrations: exactly after ``calibrate`` with
        rows or by "split", 2 alpha + 2 K / m at worst after "cross" of m rows in K parts, about so
        before. Where rows repeat, "split" and "cross" hold about so. Calibration rows that hide
        anomalies make p-values larger. See `conformal_p_values`.

        Examples
        --------
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(0).normal(size=(400, 3))
        >>> detector = FewShotDetector().fit(rows[:300]).calibrate(rows[300:])
        >>> detector.p_values([[9.0, 9.0, 9.0], [0.0, 0.0, 0.0]]).round(2).tolist()
        [0.01, 1.0]
        """
        calibration = self.calibration_
        if calibration.doubt:
            warnings.warn(calibration.doubt, CalibrationWarning, stacklevel=2)
        weights = self._shift_weights(calibration, X) if shift else None
        return p_values_of(self._scores_by_part(calibration, X), calibration, weights)

    def select(
        self, X: Any, *, alpha: float = 0.1, method: str = "fdr", shift: bool = False
    ) -> NDArray[np.bool_]:
        """Select anomalies at a promised rate of error; `predict` and its threshold stay apart.

        Parameters
        ----------
        X
            Rows, as for `anomaly_score`.
        alpha
            The rate, in (0, 1).
        method
            "fdr": of the rows selected in this batch, a share alpha is expected to be normal
            (Benjamini-Hochberg). "each": of normal rows, a share alpha is selected.
        shift
            As for `p_values`. With "fdr", weighted conformalised selection keeps the rate (see
            `weighted_discoveries`); after ``calibrate(method="cross")`` it is Benjamini-Hochberg,
            which under weights has no proof.

        Returns
        -------
        ndarray
            Shape (n,) of bool.

        Raises
        ------
        DataError, SettingError
            As `p_values`, or if ``alpha`` or ``method`` has a value it cannot take.

        Warns
        -----
        CalibrationWarning
            If there are too few calibration rows to promise it; then fewer rows are selected, or
            none. Or as `p_values`.

        Examples
        --------
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(0).normal(size=(400, 3))
        >>> detector = FewShotDetector().fit(rows[:300]).calibrate(rows[300:])
        >>> detector.select([[9.0, 9.0, 9.0], [0.0, 0.0, 0.0]]).tolist()
        [True, False]
        """
        check_level("alpha", alpha)
        require(method in ("fdr", "each"), "method", method, "'fdr' or 'each'")
        calibration, batch = self.calibration_, method == "fdr"
        weights = self._shift_weights(calibration, X) if shift else None
        scores = self._scores_by_part(calibration, X)
        if batch and weights is not None and len(scores) == 1:
            selected = weighted_discoveries(
                scores[0], calibration.scores[0], weights.new, weights.calibration, alpha
            )
        else:
            p_values = p_values_of(scores, calibration, weights)
            selected = discoveries(p_values, alpha) if batch else at_most(p_values, alpha)
        lack = lack_of_rows(calibration, alpha, selected, batch=batch, weights=weights)
        if lack:
            warnings.warn(lack, CalibrationWarning, stacklevel=2)
        return selected

    def calibrate(
        self,
        X: Any = None,
        y: GivenLabels | None = None,
        *,
        method: str | None = None,
        folds: int | None = None,
        groups: ArrayLike | None = None,
        probability: str = "auto",
        prevalence: float | None = None,
    ) -> Self:
        """Let promises rest on rows that the scoring detector has not learned from.

        Scores and threshold stay as they are; call `set_threshold` for a new one.

        Parameters
        ----------
        X
            Rows that were not given to `fit`, best normal ones; 10,000 are used at most. ``None``:
            rows given to `fit` are held out, and detectors made without them, which then score
            every new row for its p-value.
        y
            Labels of ``X``. Known anomalies do not calibrate p-values; with 5 of them and 5 known
            normal rows `predict_proba` becomes available.
        method
            Without ``X``: "cross" holds out every row, in ``folds`` parts; "split" half of them,
            once: exact, by a detector of the other half. ``None`` is "cross".
        folds
            Parts of "cross", 2 or more; ``None`` is 5. Each costs a fit, and a p-value as many
            scores.
        groups
            Shape (n,): which rows belong together, such as those of one customer, patient or day;
            of ``X``, or, without it, of the rows given to `fit`. Groups are held out whole, and
            count as one each: promises then hold for rows of new groups, and 1% takes 99 groups.
        probability, prevalence
            As method and prevalence of `Probability`, where ``y`` has labels enough for it.

        Returns
        -------
        AnomalyDetector
            The detector itself.

        Raises
        ------
        LabelError
            If ``y`` is not as `fit` takes it, or all rows of ``X`` are labelled as anomalies.
        DataError
            As `anomaly_score`; without ``X``, if rows are too few to hold some out. If ``groups``
            has not one value for each row, or nobody knows any more which row is which.
        SettingError
            If a setting has a value it cannot take or nothing to change, or the detector cannot be
            made again.

        Warns
        -----
        CalibrationWarning
            If, as far as can be told, more than a quarter of ``X`` were given to `fit`. If 100
            known normal rows or more score clearly higher than unlabelled ones: these do not
            calibrate alone.
        LabelWarning
            If ``y`` or ``groups`` has the index of the table in another order, as far as can be
            told: both go by position.
        """
        check_is_fitted(self)
        chances = Probability(probability, prevalence=prevalence)
        if X is None:
            require(y is None, "y", "given", "left out where X is")
            require(prevalence is None, "prevalence", prevalence, "left out where X is")
            require(probability == "auto", "probability", probability, "left out where X is")
            require(method in (None, "split", "cross"), "method", method, "'split' or 'cross'")
            count = FOLDS if folds is None else folds
            require(is_whole(count) and count >= 2, "folds", folds, "a whole number from 2 on")
            for_cross = folds is None or method != "split"
            require(for_cross, "folds", folds, "left out where method is 'split', which has none")
            together = None if groups is None else Groups.of(groups, index=self._learned_index)
            made = copy(self)
            made._calibration = made._held_out_calibration(method or "cross", int(count), together)
            made._probability = None
            self._become(made)
            return self
        require(method is None, "method", method, "left out where X is given")
        require(folds is None, "folds", folds, "left out where X is given")
        scores, numbers = self._scores_and_numbers(X)
        labels = checked_labels(y, len(scores), X)
        kinds = [int((labels == kind).sum()) for kind in (ANOMALY, NORMAL)]
        enough = min(kinds) >= LEAST
        of_labels = (
            f"left out where y has fewer than {LEAST} known anomalies and {LEAST} normal rows"
        )
        require(enough or prevalence is None, "prevalence", prevalence, of_labels)
        require(enough or probability == "auto", "probability", probability, of_labels)
        together = (
            None if groups is None else Groups.of(groups, rows=len(scores), index=index_of(X))
        )
        picked = look_picked(scores, labels)
        trusted = np.flatnonzero(labels != ANOMALY if picked else stand_for_normal(labels))
        if not len(trusted):
            raise LabelError(
                f"all {len(labels)} rows given to calibrate are labelled as anomalies; "
                "p-values need normal or unlabelled rows"
            )
        left_out = len(labels) - len(trusted)
        if len(trusted) > MAX_CALIBRATION:
            trusted = np.random.default_rng(0).permutation(trusted)[:MAX_CALIBRATION]
        known = labels != UNLABELLED
        self._warn_of_learned_rows(
            numbers,
            "calibrate with",
            "promises do not hold; give rows that it has not seen, or hold some out with "
            "method='cross' (--calibrate cross)",
            stacklevel=3,
        )
        if picked:
            warnings.warn(told_as_picked(labels), CalibrationWarning, stacklevel=2)
        if enough:
            chances.fit(scores[known], labels[known] == ANOMALY)
        made = copy(self)
        made._probability = chances if enough else None
        made._calibration = Calibration(
            GIVEN,
            (scores[trusted],),
            bool((labels[trusted] == NORMAL).all()),
            numbers=None if numbers is None else numbers[trusted],
            weights=None if together is None else group_weights(together.numbers[trusted]),
            left_out=left_out,
        )
        self._become(made)
        return self

    @property
    def predict_proba(self) -> Callable[[Any], FloatArray]:
        """Probabilities (n, 2) of rows X (n, d): normal, anomaly.

        They are those of rows mixed as the labelled rows of `calibrate`, or by its ``prevalence``;
        ``probability_report_`` says how far to believe them.

        Raises
        ------
        CalibrationError
            If there are no labels to learn them from (an `AttributeError` too, as where a
            scikit-learn estimator has no such method).
        """
        found = self._known_probability()

        def predict_proba(X: Any) -> FloatArray:
            odd = found.apply(self.anomaly_score(X))
            return np.stack([1 - odd, odd], axis=1)

        return predict_proba

    @property
    def probability_report_(self) -> CalibrationReport:
        """Brier score and calibration curve of `predict_proba`, cross-fitted on labelled rows.

        With a ``prevalence`` these are weighted, so that anomalies have that share among them.
        """
        return self._known_probability().report

    @property
    def _threshold_calibration(self) -> Calibration:
        """Calibration rows whose scores compare with those of `anomaly_score`."""
        return self.calibration_

    def _become(self, made: Self) -> None:
        """Take over all of a copy in which something was done: what is stopped leaves no half."""
        self.__dict__ = vars(made)

    def _own_calibration(self) -> Calibration:
        clean = self._shown is not None and self._shown.clean
        own = self._scale.apply(self._scale.reference)
        left_out = 0 if self._shown is None else len(self._shown.known)
        doubt = doubt_of_own(len(own), self._columns_compared)
        return Calibration(OWN, (own,), clean, doubt=doubt, left_out=left_out)

    def _doubted(self, calibration: Calibration, *doubts: str) -> Calibration:
        """Doubt rows as they are, for more reasons, and where columns name what rows belong to.

        Groups that are held out whole stand for new ones by levels, but not by running numbers.
        """
        by_groups = calibration.weights is not None
        names = tuple(
            note.column
            for note in self._columns_told
            if note.used and note.cause == "groups" and not (by_groups and note.kind == "category")
        )
        return calibration.doubted(calibration.doubt, *doubts, new_groups=names)

    @property
    def _columns_told(self) -> Sequence[ColumnNote]:
        """What became of the columns of a table whose rows calibrate."""
        return ()

    @property
    def _columns_compared(self) -> int:
        """How many columns shape the scores of rows given to `fit`; 0 where that does not count."""
        return 0

    def _held_out_calibration(self, method: str, folds: int, groups: Groups | None) -> Calibration:  # noqa: ARG002
        """Calibrate on rows given to `fit`, held out."""
        raise SettingError(
            f"{type(self).__name__} cannot be made again without some of its rows; give calibrate "
            "rows X that fit has not seen"
        )

    def _scores_by_part(self, calibration: Calibration, X: Any) -> list[FloatArray]:  # noqa: ARG002
        """Score rows as the calibration rows of each part were scored."""
        return [self.anomaly_score(X)]

    def _numbers(self, X: Any) -> Float32Array | None:  # noqa: ARG002
        """Give rows of X in numbers (n, p), ``None`` where that is not known."""
        return None

    def _scores_and_numbers(self, X: Any) -> tuple[FloatArray, Float32Array | None]:
        """Give what `anomaly_score` and `_numbers` give."""
        return self.anomaly_score(X), self._numbers(X)

    def _learned_numbers(self) -> Float32Array | None:
        """Give rows that were learned from in numbers (m, p), ``None`` where that is not known."""
        return None

    @property
    def _learned_index(self) -> "pd.Index[Any] | None":
        """The index of the rows given to `fit`, ``None`` where it is not known."""
        return None

    def _warn_of_learned_rows(
        self, numbers: Float32Array | None, purpose: str, so: str, *, stacklevel: int
    ) -> None:
        """Warn of rows (n, p) that were learned from: new ones score higher."""
        learned = self._learned_numbers()
        if numbers is None or learned is None:
            return
        found = RowPlaces(learned.astype(np.float64)).of(numbers.astype(np.float64)) >= 0
        kinds = max(len(np.unique(column)) for column in learned.T)
        if found.mean() > LEARNED and kinds > len(learned) / 2:  # else rows may meet by chance
            warnings.warn(
                f"the detector has learned from {int(found.sum()):,} of the {len(numbers):,} rows "
                f"to {purpose}, and scores new ones higher: {so}",
                CalibrationWarning,
                stacklevel=stacklevel,
            )

    def _calibration_numbers(self, calibration: Calibration) -> Float32Array | None:
        """Give the calibration rows in numbers (m, p), part by part."""
        return calibration.numbers

    def _shift_weights(self, calibration: Calibration, X: Any) -> ShiftWeights:
        if calibration.weights is not None:
            raise SettingError(
                "shift is True, but the calibration rows come in groups; calibrate without groups "
                "to weight single rows"
            )
        numbers, new = self._calibration_numbers(calibration), self._numbers(X)
        if numbers is None or new is None:
            raise SettingError(
                f"shift is True, but this {type(self).__name__} keeps no rows in numbers; leave it "
                "out, and calibrate with rows drawn like the new ones"
            )
        return ShiftWeights.estimate(new, numbers)

    def _known_probability(self) -> Probability:
        check_is_fitted(self)
        if self._probability is None:
            raise CalibrationError(
                f"probabilities need labels that fit has not seen: calibrate(X, y) with {LEAST} "
                f"known anomalies and {LEAST} known normal rows or more; p_values needs none"
            )
        return self._probability


def _evenly(scores: FloatArray, number: int) -> FloatArray:
    """Take so many of scores (n,), as evenly among them as they lie.

    >>> _evenly(np.array([5.0, 1.0, 4.0, 2.0, 3.0, 0.0]), 2)
    array([1., 4.])
    """
    at = (np.arange(number) + 0.5) * len(scores) / max(number, 1) - 0.5
    return np.asarray(np.sort(scores)[np.rint(at).astype(np.intp)])


def stand_for_normal(labels: LabelArray) -> NDArray[np.bool_]:
    """Tell which rows (n,) calibrate: those known to be normal, where they are 100 or more.

    Else all that are not known to be anomalies.
    """
    normal = labels == NORMAL
    return np.asarray(normal if normal.sum() >= ENOUGH_NORMAL else labels != ANOMALY)


def look_picked(scores: FloatArray, labels: LabelArray) -> bool:
    """Tell whether known normal rows, 100 or more, score clearly higher than unlabelled ones.

    So do rows that a person was shown because they are odd: they are no sample of normal rows.
    Smirnov's one-sided test; anomalies that hide among the unlabelled rows do not lead to that.

    Parameters
    ----------
    scores, labels
        Shape (n,): raw scores, each seen without itself, and labels of 0 or -1.

    Examples
    --------
    >>> scores, labels = np.arange(1000.0), np.full(1000, -1, np.int8)
    >>> labels[-100:] = 0
    >>> look_picked(scores, labels), look_picked(scores, labels[::-1])
    (True, False)
    """
    normal, others = scores[labels == NORMAL], scores[labels == UNLABELLED]
    if len(normal) < ENOUGH_NORMAL or not len(others):
        return False
    return bool(ks_2samp(normal, others, alternative="less", method="asymp").pvalue < PICKED)


def told_as_picked(labels: LabelArray) -> str:
    """Say of labels (n,) that those of normal rows are not such as `look_picked` trusts."""
    return (
        f"{int((labels == NORMAL).sum()):,} known normal rows score higher than unlabelled ones, "
        "as rows do that were picked because they are odd: they do not stand for other normal "
        "rows, and p-values and alpha do not rest on them alone"
    )


def lack_of_rows(
    calibration: Calibration,
    alpha: float,
    selected: NDArray[np.bool_],
    *,
    batch: bool,
    weights: ShiftWeights | None = None,
) -> str:
    """Say why there are too few calibration rows for a verdict; empty where they are enough.

    Parameters
    ----------
    calibration, alpha
        What it rests on, and the rate that was asked for.
    selected
        Shape (n,): the verdict.
    batch
        Whether alpha is a false discovery rate, which a batch keeps together.
    weights
        Of a shift.
    """
    if not calibration.promises(alpha):
        return too_few(calibration, alpha)
    if calibration.doubt or selected.any():
        return calibration.doubt
    rows, worth = calibration.worth, calibration.described
    if weights is not None:
        rows = int(weights.effective_rows)
        worth += f", weighted for a shift and worth {rows:,},"
    if not batch:
        enough = calibration_rows_needed(alpha)
        told = f"nothing is selected: {worth} are few for {alpha:g}; it takes {enough:,}"
        return told if rows < enough else ""
    needed = least_discoveries(rows, len(selected), alpha)
    if needed == 1:
        return ""
    more = "" if calibration.clean else ", and only known normal ones: these may hide anomalies"
    return (
        f"nothing is selected: with {worth} no p-value is below {least_p_value(rows):.2g}, so of "
        f"{len(selected):,} rows at a false discovery rate of {alpha:g} either {needed:,} stand "
        f"out from all of them or none is selected; give smaller batches or more "
        f"{'calibration rows' if calibration.unit == 'rows' else 'groups'}{more}"
    )


def p_values_of(
    scores: list[FloatArray], calibration: Calibration, weights: ShiftWeights | None = None
) -> FloatArray:
    """P-values (n,) of rows by their scores (n,) for each part, under the weights of a shift."""
    if weights is None:
        return conformal_p_values(
            scores, calibration.scores, calibration_weights=calibration.weights
        )
    new, counted = weights.new, weights.calibration
    return conformal_p_values(scores, calibration.scores, weights=new, calibration_weights=counted)


def too_few(calibration: Calibration, alpha: float) -> str:
    """Say that calibration rows cannot promise a rate."""
    needed = calibration_rows_needed(alpha)
    return (
        f"{calibration.described} cannot promise {alpha:g}: no p-value is below "
        f"{calibration.least_p_value:.2g}; it takes {needed:,} {calibration.unit}"
    )
