"""The scikit-learn face of every detector."""

from abc import abstractmethod
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from oddshot.episodes import FloatArray
from oddshot.errors import SettingError
from oddshot.thresholds.automatic import automatic_share
from oddshot.thresholds.surprise import Surprise


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """What follows from an anomaly score and a threshold.

    Subclasses have the constructor arguments ``contamination`` and ``random_state``; ``fit`` sets
    the scale of the scores and a threshold on it.
    """

    contamination: float | str
    random_state: int | np.random.RandomState | None
    contamination_: float
    offset_: float
    _scale: Surprise

    @abstractmethod
    def anomaly_score(self, X: Any) -> FloatArray:
        """Anomaly score of every row (n,): >= 0, near 0 for typical rows, higher = odder."""

    def fit_predict(self, X: Any, y: ArrayLike | None = None) -> NDArray[np.int64]:
        """Adapt to a data set with whatever labels there are, then judge it.

        scikit-learn's other outlier detectors ignore ``y`` here.
        """
        return self.fit(X, y).predict(X)  # type: ignore[no-any-return]

    def score_samples(self, X: Any) -> FloatArray:
        """``-anomaly_score(X)``: scikit-learn's sign, lower = odder; shape (n,)."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> FloatArray:
        """``score_samples(X) - offset_``: below 0 for anomalies; shape (n,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """+1 for normal rows, -1 for anomalies; shape (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    @property
    def threshold_(self) -> float:
        """Anomaly score above which a row counts as an anomaly."""
        check_is_fitted(self)
        return -float(self.offset_)

    def _set_columns(self, columns: dict[str, Any]) -> None:
        """Set scikit-learn's attributes on columns, and unset those an earlier fit saw."""
        for name in ("n_features_in_", "feature_names_in_"):
            if name in columns:
                setattr(self, name, columns[name])
            elif hasattr(self, name):
                delattr(self, name)

    def _set_threshold(self, raw: FloatArray, share: float | None, *, clean: bool) -> None:
        """Flag a share of raw scores (n,) of the rows given to `fit`; ``None``: as they look."""
        self.contamination_ = automatic_share(raw, clean=clean) if share is None else share
        surprises = self._scale.apply(raw)
        self.offset_ = float(np.percentile(-surprises, 100 * self.contamination_))

    def _checked_contamination(self) -> float | None:
        value = self.contamination
        if isinstance(value, str) and value == "auto":
            return None
        if isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) <= 0.5:
            return float(value)
        raise SettingError(
            f"contamination is {value!r}; it must be 'auto' or a number above 0 and at most 0.5"
        )

    def _drawn_seed(self) -> int:
        state = self.random_state
        if isinstance(state, np.random.RandomState):
            return int(state.randint(2**31 - 1))
        if state is None or (isinstance(state, int | np.integer) and state >= 0):
            return int(state or 0)
        raise SettingError(
            f"random_state is {state!r}; it must be None, a whole number from 0 on, "
            "or a numpy.random.RandomState"
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags
