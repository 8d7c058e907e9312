"""The threshold of a fitted detector, chosen again by any of several rules."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from oddshot.detectors.given.labels import checked_labels
from oddshot.detectors.verdicts.calibrated import (
    CalibratedVerdicts,
    Shown,
    lack_of_rows,
    p_values_of,
    too_few,
)
from oddshot.detectors.verdicts.calibration import (
    OWN,
    Calibration,
    ThresholdRule,
    batch_basis,
)
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, FloatArray, GivenLabels
from oddshot.errors import (
    CalibrationWarning,
    LabelError,
    SettingError,
    is_number,
    is_whole,
    require,
)
from oddshot.persistence import under
from oddshot.thresholds.automatic import automatic_share, share_by_labels
from oddshot.thresholds.choices import (
    budget_threshold,
    check_beta,
    cost_threshold,
    f_beta_threshold,
    share_threshold,
)
from oddshot.thresholds.conformal import check_level, threshold_at
from oddshot.thresholds.discoveries import discoveries
from oddshot.thresholds.probability import Probability
from oddshot.thresholds.surprise import Surprise
from oddshot.wording import counted

_CALIBRATION = "calibration."  # before the names of its arrays in a file
_FEW = 10  # labelled anomalies, below which a threshold is chosen by chance
MOST_BELOW = 0.1  # share of the rows to flag which a threshold may leave out in silence
MOST_SHARE = 0.5
Choice = tuple[float, ThresholdRule]


class AdjustableThreshold(CalibratedVerdicts):
    """A threshold that `fit` sets by the expected contamination, and a user by what they need."""

    contamination: float | str
    contamination_: float
    offset_: float
    _rule: ThresholdRule

    @property
    def threshold_(self) -> float:
        """Anomaly score above which a row counts as an anomaly."""
        check_is_fitted(self)
        return -float(self.offset_)

    @property
    def threshold_rule_(self) -> ThresholdRule:
        """How the threshold was chosen; ``str`` of it is a sentence."""
        check_is_fitted(self)
        return self._rule

    def set_threshold(
        self,
        *,
        alpha: float | None = None,
        fdr: float | None = None,
        budget: int | tuple[int, int] | None = None,
        contamination: float | str | None = None,
        f_beta: float | None = None,
        cost: tuple[float, float] | None = None,
        value: float | None = None,
        X: Any = None,
        y: GivenLabels | None = None,
    ) -> Self:
        """Choose another threshold by one rule; nothing is fitted again.

        Parameters
        ----------
        alpha
            Share of normal rows that may be above it, by the calibration rows.
        fdr
            Share of normal rows among those of the batch ``X`` above it.
        budget
            Alerts: a number, less than that of the rows ``X``; or ``(20, 1000)``, 20 of 1,000 rows
            like those given to `fit`, or to `calibrate` where these are unlabelled, for batches of
            any size. Of a `SeriesDetector` an alert is a stretch, and rows are readings.
        contamination
            Share of the rows given to `fit` above it, or "auto".
        f_beta
            The beta of the best F-beta, from a millionth to a million, on ``X`` with labels ``y``.
        cost
            Prices ``(false_alarm, miss)``, for the least cost on ``X`` with labels ``y``.
        value
            The threshold itself, in the unit of the scores: 0 or more.
        X, y
            Rows, and their labels, for rules that need them. Labelled rows must not have been given
            to `fit`: a known anomaly that taught the detector is found too easily.

        Returns
        -------
        AnomalyDetector
            The detector itself; ``threshold_rule_`` says what was done.

        Raises
        ------
        SettingError
            If not exactly one rule is given, its value is one it cannot take, or ``X`` or ``y`` is
            lacking, or given where the rule takes none.
        LabelError
            If ``y`` is not as `fit` takes it, or lacks known anomalies or known normal rows.
        DataError
            As `anomaly_score`.

        Warns
        -----
        CalibrationWarning
            If there are too few rows to promise it; alpha and budget then go by the exponential
            tail of the scores. Or if rows that share a score are left out, so that the threshold
            misses more than a tenth of a budget or share. Or if fewer than ten labelled anomalies
            are to choose by, or, as far as can be told, more than a quarter of labelled rows ``X``
            were given to `fit`.

        Examples
        --------
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> detector = FewShotDetector().fit(rows).set_threshold(budget=5, X=rows)
        >>> int((detector.predict(rows) == -1).sum()), str(detector.threshold_rule_)
        (5, 'at most 5 of 300 rows are expected above it (from 300 rows)')
        """
        check_is_fitted(self)
        rules: dict[str, tuple[Any, Callable[[Any, Any, Any], Choice]]] = {
            "alpha": (alpha, self._by_alpha),
            "fdr": (fdr, self._by_fdr),
            "budget": (budget, self._by_budget),
            "contamination": (contamination, self._by_share),
            "f_beta": (f_beta, self._by_f_beta),
            "cost": (cost, self._by_cost),
            "value": (value, self._by_value),
        }
        asked = [name for name, (value, _) in rules.items() if value is not None]
        if len(asked) != 1:
            raise SettingError(
                f"set_threshold was given {' and '.join(asked) or 'no rule'}; give one of "
                f"{', '.join(rules)}"
            )
        wanted, choose = rules[asked[0]]
        made = copy(self)
        threshold, made._rule = choose(wanted, X, y)
        made.offset_ = -threshold
        made.contamination_ = self._flagged_share(threshold)
        self._become(made)
        return self

    def _set_threshold(self, shown: Shown, share: float | None) -> None:
        """Flag a share of the rows given to `fit`; ``None``: as they look."""
        self._shown = shown
        self._calibration = self._probability = None
        threshold, self._rule = self._by_contamination("auto" if share is None else share)
        self.offset_ = -threshold
        self.contamination_ = self._flagged_share(threshold)

    def _renew_threshold(self, shown: Shown, share: float | None) -> str:
        """Apply the rule that holds to a detector that has learned more since.

        Where rows that it rested on are not kept, a share of the rows is flagged as in
        `_set_threshold`.

        Returns
        -------
        str
            What no longer holds, for a warning; empty where nothing is lost.
        """
        rule = self._rule
        if rule.rests_on_batch:
            self._set_threshold(shown, share)
            return (
                f"the threshold was chosen by {rule.rule} on rows that are not kept, and labels "
                "have changed the scores since: "
                f"contamination={'auto' if share is None else share!r} sets it now; call "
                "set_threshold again"
            )
        self._shown = shown
        self._calibration = self._probability = None
        threshold, self._rule, lack = self._again(rule)
        self.offset_ = -threshold
        self.contamination_ = self._flagged_share(threshold)
        return lack if rule.promised else ""

    def _again(self, rule: ThresholdRule) -> tuple[float, ThresholdRule, str]:
        """Apply a rule that needs no rows of its own, and say what it lacks."""
        asked = rule.settings
        if rule.rule == "value":
            return *self._by_value(asked["value"], None, None), ""
        if rule.rule == "contamination":
            return *self._by_contamination("auto" if rule.automatic else asked["share"]), ""
        return self._at_share(rule.rule, asked)

    def _verdict_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `_restore_verdicts` needs, as JSON and as arrays."""
        meta: dict[str, Any] = {
            "contamination_": self.contamination_,
            "offset": self.offset_,
            "threshold_rule": self.threshold_rule_.state(),
        }
        arrays: dict[str, NDArray[Any]] = {}
        if self._calibration is not None:
            meta["calibration"], arrays = self._calibration.state()
        if self._probability is not None:
            meta["probability"] = self._probability.state()
        return meta, {f"{_CALIBRATION}{name}": array for name, array in arrays.items()}

    def _restore_verdicts(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Take threshold, calibration and probabilities from a file, as far as it has them."""
        self.contamination_, self.offset_ = float(meta["contamination_"]), float(meta["offset"])
        saved = meta.get("threshold_rule")
        self._rule = ThresholdRule(**saved) if saved else _share_rule(self.contamination_)
        if not saved or "automatic" not in saved:
            self._rule = self._with_origin(self._rule)
        if "calibration" in meta:
            kept = under(_CALIBRATION, arrays)
            self._calibration = Calibration.from_state(meta["calibration"], kept)
        if "probability" in meta:
            self._probability = Probability.from_state(meta["probability"])

    def _by_contamination(self, value: float | str, X: Any = None, y: Any = None) -> Choice:
        _leave_out(X, y, "contamination")
        share = checked_share(value)
        shown, raw, automatic = self._shown_or_reference(), self._scale.reference, None
        basis = f"{len(raw):,} rows"
        if share is not None:
            raw = shown.raw
            basis = f"{len(raw):,} rows"
        else:  # known anomalies, far above those to come, say nothing about them
            basis += " that are no known anomalies" if len(shown.known) else ""
            basis += ", copies counted once" if len(raw) < len(shown.typical) else ""
            share, automatic = self._automatic()
        return share_threshold(self._scale.apply(raw), share), _share_rule(share, basis, automatic)

    def _by_share(self, value: float | str, X: Any, y: Any) -> Choice:
        """Choose so, and tell of ties; `fit` does not, for it was seldom asked for a share."""
        threshold, rule = self._by_contamination(value, X, y)
        if rule.automatic is None:
            scores = self._scale.apply(self._shown_or_reference().raw)
            wanted = round(rule.settings["share"] * len(scores))

            def remedy(rows: int) -> str:
                share = ceil(1e4 * rows / len(scores)) / 1e4
                return f"a contamination of {share:g}" if share <= MOST_SHARE else ""

            _warn_of_ties(scores, threshold, wanted, remedy, stacklevel=4)
        return threshold, rule

    def _automatic(self) -> tuple[float, str]:
        """Share of the rows that "auto" flags, and what it goes by."""
        scores = self._scores_to_judge_by()
        if self._shown_or_reference().clean:
            return automatic_share(scores[0], clean=True), "normal rows"
        by_scores = min(automatic_share(raw, clean=False) for raw in scores)
        by_labels = share_by_labels(scores[-1], self._known_to_judge_by())
        return max((by_scores, "scores"), (by_labels, "labels"))

    def _scores_to_judge_by(self) -> Sequence[FloatArray]:
        """Raw scores (m,) of rows that are no known anomalies; the least share counts."""
        return (self._scale.reference,)

    def _known_to_judge_by(self) -> FloatArray:
        """Raw scores (k,) of known anomalies by what has not seen them, like the last of these."""
        return np.zeros(0)

    def _with_origin(self, rule: ThresholdRule) -> ThresholdRule:
        """Tell of a rule that an older version saved whether its share was asked for."""
        if rule.rule != "contamination" or self.contamination != "auto":
            return rule
        share, automatic = self._automatic()
        alike = np.isclose(rule.settings["share"], share, rtol=1e-3)
        return replace(rule, automatic=automatic) if alike else rule

    def _by_alpha(self, alpha: float, X: Any, y: Any) -> Choice:
        _leave_out(X, y, "alpha")
        check_level("alpha", alpha)
        return warned(*self._at_share("alpha", {"alpha": float(alpha)}))

    def _by_fdr(self, level: float, X: Any, y: Any) -> Choice:
        check_level("fdr", level)
        _need(X, "fdr", "X, the batch of rows that it is to hold in")
        _leave_out(None, y, "fdr")
        calibration, scores = self._threshold_calibration, self.anomaly_score(X)
        by_part = [scores]
        if calibration.parts:
            calibration = self.calibration_
            by_part = self._scores_by_part(calibration, X)
        selected = discoveries(p_values_of(by_part, calibration), level)
        lack = lack_of_rows(calibration, level, selected, batch=True)
        odd, rest = scores[selected], scores[~selected]
        threshold = float(rest.max()) if len(rest) else float(np.nextafter(odd.min(), -np.inf))
        below = int((odd <= threshold).sum())
        told = (
            f"p-values select {counted(len(odd), 'rows')}, of which {below:,} are not above the "
            "threshold, for rows that are not selected score as high: select gives all of them"
        )
        for warning in filter(None, [lack, told if below > MOST_BELOW * len(odd) else ""]):
            warnings.warn(warning, CalibrationWarning, stacklevel=3)
        basis = f"a batch of {len(scores):,}, and {calibration}"
        settings, why = {"fdr": float(level)}, calibration.why if lack else ""
        return threshold, ThresholdRule("fdr", settings, basis, not lack, why=why)

    def _by_budget(self, budget: int | tuple[int, int], X: Any, y: Any) -> Choice:
        alerts, rows = self._checked_budget(budget, X, y)
        if rows is not None:
            return warned(*self._at_share("budget", {"alerts": alerts, "rows": rows}))
        scores = self.anomaly_score(X)
        settings = {"alerts": alerts, "rows": len(scores)}
        rule = ThresholdRule("budget", settings, batch_basis(len(scores)))
        threshold = budget_threshold(scores, alerts)
        _warn_of_ties(scores, threshold, alerts, lambda rows: f"a budget of {rows:,}", stacklevel=4)
        return threshold, rule

    @staticmethod
    def _checked_budget(budget: int | tuple[int, int], X: Any, y: Any) -> tuple[int, int | None]:
        """Give the alerts, and of how many rows they are; ``None``: of those of X."""
        _leave_out(None, y, "budget")
        pair = budget if isinstance(budget, tuple | list) else (budget,)
        whole = all(is_whole(v) and v >= 1 for v in pair)
        fits = whole and len(pair) in (1, 2)
        require(fits, "budget", budget, "a number of alerts, or a pair: alerts, and of how many")
        if len(pair) == 2 and pair[0] >= pair[1]:
            raise SettingError(
                f"budget is {budget!r}; give fewer alerts than rows, as in (20, 1000): no "
                "threshold is needed to look at them all"
            )
        if len(pair) == 2:
            _leave_out(X, y, "a budget of alerts in so many rows")
            return int(pair[0]), int(pair[1])
        _need(X, "budget", "X, the rows it is for, or a pair such as (20, 1000)")
        return int(pair[0]), None

    def _by_f_beta(self, beta: float, X: Any, y: Any) -> Choice:
        check_beta(beta)
        scores, truth, basis, enough = self._labelled(X, y, "f_beta")
        rule = ThresholdRule("f_beta", {"beta": float(beta)}, basis, enough)
        return f_beta_threshold(scores, truth, beta), rule

    def _by_cost(self, prices: tuple[float, float], X: Any, y: Any) -> Choice:
        fits = isinstance(prices, tuple | list) and len(prices) == 2 and all(map(is_number, prices))
        require(fits and min(prices) > 0, "cost", prices, "two prices above 0: false alarm, miss")
        scores, truth, basis, enough = self._labelled(X, y, "cost")
        settings = {"false_alarm": float(prices[0]), "miss": float(prices[1])}
        rule = ThresholdRule("cost", settings, basis, enough)
        return cost_threshold(scores, truth, **settings), rule

    def _by_value(self, value: float, X: Any, y: Any) -> Choice:
        _leave_out(X, y, "value")
        require(is_number(value) and value >= 0, "value", value, "a number, 0 or more")
        return float(value), ThresholdRule("value", {"value": float(value)})

    def _at_share(self, rule: str, asked: Mapping[str, float]) -> tuple[float, ThresholdRule, str]:
        """Choose by the share of rows that may exceed it, and say why it cannot be promised."""
        share = asked["alpha"] if rule == "alpha" else asked["alerts"] / asked["rows"]
        calibration = self._threshold_calibration
        if rule == "budget" and calibration.left_out:
            calibration = self._with_all_rows(calibration)
        threshold = threshold_at(calibration.pooled, share, weights=calibration.weights)
        lack, why = calibration.doubt, calibration.why
        if not np.isfinite(threshold):
            scale, decades = Surprise().fit(calibration.pooled), -np.log10([share])
            threshold = float(scale.scores_at(decades)[0])
            lack = f"{too_few(calibration, share)}; the threshold goes by the tail of the scores"
            why = ""
        return threshold, ThresholdRule(rule, asked, str(calibration), not lack, why=why), lack

    def _with_all_rows(self, calibration: Calibration) -> Calibration:
        """Take in the rows given to `fit` that do not calibrate, for alerts count all rows alike.

        Of other rows it is doubted instead: those with labels are seldom mixed as new ones will be.
        """
        if calibration.method == OWN:
            own = self._scale.apply(self._shown_or_reference().raw)
            return replace(calibration, scores=(own,), clean=False)
        doubt = (
            f"{counted(calibration.left_out, 'rows')} do not calibrate (known anomalies, or "
            "unlabelled rows beside many normal ones), and a budget counts their like, too: there "
            "may be more alerts; give a number of alerts and X, the rows that it is for"
        )
        return calibration.doubted(doubt, new_groups=calibration.new_groups)

    def _labelled(
        self, X: Any, y: Any, rule: str
    ) -> tuple[FloatArray, NDArray[np.bool_], str, bool]:
        """Scores and truth of labelled rows, what to call them, and whether they are enough."""
        if X is None or y is None:
            raise SettingError(f"{rule} needs rows X and labels y that fit has not seen; give both")
        scores, numbers = self._scores_and_numbers(X)
        labels = checked_labels(y, len(scores), X)
        known, anomalies = labels != UNLABELLED, int((labels == ANOMALY).sum())
        normal = int((labels == NORMAL).sum())
        if not anomalies or not normal:
            raise LabelError(
                f"y holds {anomalies} known anomalies and {normal} known normal rows; {rule} needs "
                "both kinds"
            )
        if anomalies < _FEW:
            warnings.warn(
                f"the threshold is chosen on {anomalies} labelled anomalies; with fewer than "
                f"{_FEW} it is as much chance as choice",
                CalibrationWarning,
                stacklevel=4,
            )
        self._warn_of_learned_rows(
            numbers,
            "choose a threshold on",
            "the threshold suits these alone; give rows that it has not seen",
            stacklevel=5,
        )
        basis = f"{anomalies:,} labelled anomalies and {normal:,} labelled normal rows"
        return scores[known], (labels == ANOMALY)[known], basis, anomalies >= _FEW

    def _flagged_share(self, threshold: float) -> float:
        return float((self._scale.apply(self._shown_or_reference().raw) > threshold).mean())

    def _shown_or_reference(self) -> Shown:
        """Rows given to `fit`, as far as they are known: an older version saved a part."""
        return self._shown or Shown(self._scale.reference, np.zeros(0), clean=False)


def warned(threshold: float, rule: ThresholdRule, lack: str) -> Choice:
    """Warn a caller of `set_threshold` of what a threshold lacks."""
    if lack:
        warnings.warn(lack, CalibrationWarning, stacklevel=4)
    return threshold, rule


def _warn_of_ties(
    scores: FloatArray,
    threshold: float,
    wanted: int,
    remedy: Callable[[int], str],
    *,
    stacklevel: int,
) -> None:
    """Warn where rows that share a score are left out, so that far fewer are above it than wanted.

    ``remedy`` says what takes in so many rows, if anything does.
    """
    above, tied = int((scores > threshold).sum()), int((scores == threshold).sum())
    if tied < 2 or wanted - above <= MOST_BELOW * wanted:
        return
    are = "row is" if above == 1 else "rows are"
    taking = remedy(above + tied) if above + tied < len(scores) else ""
    more = f"; {taking} takes them in" if taking else ""
    warnings.warn(
        f"{above:,} {are} above the threshold and not {wanted:,}, for {tied:,} rows share the next "
        f"score{more}",
        CalibrationWarning,
        stacklevel=stacklevel,
    )


def checked_share(value: object) -> float | None:
    """Check an expected contamination; ``None`` stands for "auto".

    Raises
    ------
    SettingError
        If it is neither "auto" nor a number in (0, 0.5].
    """
    if isinstance(value, str) and value == "auto":
        return None
    if is_number(value) and 0 < float(value) <= MOST_SHARE:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    raise SettingError(
        f"contamination is {value!r}; it must be 'auto' or a number above 0 and at most 0.5"
    )


def _share_rule(
    share: float, basis: str = "the rows given to fit", automatic: str | None = None
) -> ThresholdRule:
    return ThresholdRule("contamination", {"share": share}, basis, automatic=automatic)


def _need(value: Any, rule: str, what: str) -> None:
    if value is None:
        raise SettingError(f"{rule} needs {what}")


def _leave_out(X: Any, y: Any, rule: str) -> None:
    for name, value in (("X", X), ("y", y)):
        if value is not None:
            raise SettingError(f"{rule} takes no {name}; leave it out")
