"""From scores to the probability of an anomaly, learned from labelled rows."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import StratifiedKFold

from oddshot.episodes import FloatArray
from oddshot.errors import DataError, require
from oddshot.thresholds.conformal import check_level

METHODS = ("platt", "beta", "isotonic")
LEAST = 5  # labelled rows of either kind
MANY = 100  # labelled rows of the rarer kind, from which on steps fit better than a curve
_FOLDS, _GROUPS = 5, 10
_LEAST_SHARE = 1e-6


class Probability:
    """A rising map from anomaly scores to probabilities.

    "platt" is a logistic curve fitted to targets drawn in from 0 and 1, which keeps few labels from
    claiming certainty (Platt 1999); "beta" adds a second bend at low scores, ``logit p = a s ln 10
    + b ln(1 - 10**-s) + c`` with a, b >= 0, which is beta calibration (Kull et al. 2017) of ``1 -
    10**-s``, a score's rank among typical rows; "isotonic" is a rising step function
    (Zadrozny and Elkan 2002), for many labels, which ends where Platt's targets are.

    Parameters
    ----------
    method
        One of these, or "auto": "platt", and where the rarer kind has 100 labelled rows "isotonic",
        or "beta" with a prevalence: steps say no more of a score than how the rows that share its
        step are mixed, which is little where anomalies are far rarer than among these.
    prevalence
        Share of anomalies among the rows to come, in (0, 1), where it is not that among the
        labelled ones: odds are multiplied accordingly (Saerens et al. 2002).

    Attributes
    ----------
    report
        How far the probabilities of labelled rows can be believed, each found without the row.

    Examples
    --------
    >>> scores = np.r_[np.linspace(0, 2, 90), np.linspace(1, 4, 10)]
    >>> found = Probability().fit(scores, np.arange(100) >= 90)
    >>> found.apply(np.array([0.1, 2.0, 4.0])).round(2).tolist()
    [0.0, 0.23, 0.97]
    """

    def __init__(self, method: str = "auto", *, prevalence: float | None = None) -> None:
        allowed = "'auto', " + ", ".join(map(repr, METHODS))
        require(method in (*METHODS, "auto"), "probability", method, f"one of {allowed}")
        if prevalence is not None:
            check_level("prevalence", prevalence)
        self.method, self._prevalence, self._odds = method, prevalence, 1.0

    def fit(self, scores: FloatArray, truth: NDArray[np.bool_]) -> Self:
        """Learn from scores (n,) in decades, of rows that are anomalies (n,) or not.

        Raises
        ------
        DataError
            If there are fewer than 5 of either kind.
        """
        anomalies, normal = int(truth.sum()), int((~truth).sum())
        if min(anomalies, normal) < LEAST:
            raise DataError(
                f"{anomalies} labelled anomalies and {normal} labelled normal rows; probabilities "
                f"need {LEAST} of each, p-values need no label"
            )
        if self.method == "auto":
            of_many = "isotonic" if self._prevalence is None else "beta"
            self.method = of_many if min(anomalies, normal) >= MANY else "platt"
        self._fit(scores, truth)
        held_out = np.zeros(len(scores))
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        for seen, unseen in folds.split(scores[:, None], truth):
            part = Probability(self.method, prevalence=self._prevalence)
            held_out[unseen] = part._fit(scores[seen], truth[seen]).apply(scores[unseen])
        self.report = CalibrationReport.of(held_out, truth, prevalence=self._prevalence)
        return self

    def apply(self, scores: FloatArray) -> FloatArray:
        """Probability (n,) of being an anomaly."""
        if self.method == "isotonic":
            found = np.interp(scores, *self._steps)
        else:
            found = expit(self._features(scores) @ self._weights)
        return np.asarray(self._odds * found / (self._odds * found + 1 - found))

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs, as JSON can hold it."""
        parameters = self._steps if self.method == "isotonic" else self._weights
        return {
            "method": self.method,
            "prevalence": self._prevalence,
            "odds": self._odds,
            "parameters": parameters.tolist(),
            "report": self.report.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Probability":
        """Make the map again."""
        found = cls(state["method"], prevalence=state["prevalence"])
        found._odds = float(state["odds"])
        found.report = CalibrationReport(**{n: _array(v) for n, v in state["report"].items()})
        if found.method == "isotonic":
            found._steps = np.array(state["parameters"])
        else:
            found._weights = np.array(state["parameters"])
        return found

    def _fit(self, scores: FloatArray, truth: NDArray[np.bool_]) -> Self:
        anomalies, rows = int(truth.sum()), len(truth)
        high, low = (anomalies + 1) / (anomalies + 2), 1 / (rows - anomalies + 2)
        if self._prevalence is not None:
            odds = anomalies / (rows - anomalies)
            self._odds = self._prevalence / (1 - self._prevalence) / odds
        if self.method == "isotonic":
            steps = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip")
            steps.fit(scores, truth)
            self._steps = np.stack([steps.X_thresholds_, steps.y_thresholds_])
            return self
        targets, features = np.where(truth, high, low), self._features(scores)

        def loss(weights: FloatArray) -> tuple[float, FloatArray]:
            logits = features @ weights
            likelihood = targets * log_expit(logits) + (1 - targets) * log_expit(-logits)
            return -float(likelihood.mean()), features.T @ (expit(logits) - targets) / rows

        start = np.zeros(features.shape[1])
        start[-1] = logit(anomalies / rows)
        bounds = [(0.0, None)] * (len(start) - 1) + [(None, None)]
        self._weights = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
        return self

    def _features(self, scores: FloatArray) -> FloatArray:
        columns = [scores * np.log(10), np.ones(len(scores))]
        if self.method == "beta":
            shares = np.clip(-np.expm1(-scores * np.log(10)), _LEAST_SHARE, 1)
            columns.insert(1, np.log(shares))
        return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """How far probabilities can be believed, on rows that they were not learned from.

    Parameters
    ----------
    brier
        Mean squared difference of probability and truth (Brier 1950); 0 is best.
    brier_of_share
        That of telling every row the share of anomalies: what must be beaten.
    expected, observed
        The calibration curve: mean probability, and share of anomalies, in up to 10 groups of rows
        of equal size, rising.

    Notes
    -----
    With a prevalence, labelled anomalies and normal rows are weighted so that anomalies have this
    share: all four then say how far to believe the probabilities among rows mixed so.
    """

    brier: float
    brier_of_share: float
    expected: FloatArray
    observed: FloatArray

    @classmethod
    def of(
        cls,
        probabilities: FloatArray,
        truth: NDArray[np.bool_],
        *,
        prevalence: float | None = None,
    ) -> "CalibrationReport":
        """Compare probabilities (n,) with the truth (n,), of rows mixed by a ``prevalence``."""
        among = float(truth.mean())
        share = among if prevalence is None else prevalence
        weights = np.where(truth, share / among, (1 - share) / (1 - among))
        brier = float(np.average((probabilities - truth) ** 2, weights=weights))
        ends = np.quantile(probabilities, np.linspace(0, 1, _GROUPS + 1)[1:-1])
        group = np.searchsorted(ends, probabilities)
        worth = np.bincount(group, weights, _GROUPS)
        some = worth > 0
        expected, observed = (
            np.bincount(group, weights * values, _GROUPS)[some] / worth[some]
            for values in (probabilities, truth)
        )
        return cls(brier, share * (1 - share), expected, observed)

    def state(self) -> dict[str, Any]:
        """Return the values as JSON can hold them."""
        return {
            "brier": self.brier,
            "brier_of_share": self.brier_of_share,
            "expected": self.expected.tolist(),
            "observed": self.observed.tolist(),
        }


def _array(value: Any) -> Any:
    return np.array(value) if isinstance(value, list) else value
