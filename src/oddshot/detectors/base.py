"""The scikit-learn face of every detector."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin

from oddshot.detectors.verdicts.adjustable_threshold import AdjustableThreshold, checked_share
from oddshot.episodes import FloatArray, GivenLabels
from oddshot.errors import SettingError, is_whole


class AnomalyDetector(AdjustableThreshold, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """What follows from an anomaly score and a threshold.

    Subclasses have the constructor arguments ``contamination`` and ``random_state``; ``fit`` sets
    the scale of the scores and a threshold on it.
    """

    contamination: float | str
    random_state: int | np.random.RandomState | None

    def fit_predict(self, X: Any, y: GivenLabels | None = None) -> NDArray[np.int64]:
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

    def _set_columns(self, columns: dict[str, Any]) -> None:
        """Set scikit-learn's attributes on columns, and unset those an earlier fit saw."""
        for name in ("n_features_in_", "feature_names_in_"):
            if name in columns:
                setattr(self, name, columns[name])
            elif hasattr(self, name):
                delattr(self, name)

    def _checked_contamination(self) -> float | None:
        return checked_share(self.contamination)

    def _drawn_seed(self) -> int:
        state = self.random_state
        if isinstance(state, np.random.RandomState):
            return int(state.randint(2**31 - 1))
        if state is None or (is_whole(state) and state >= 0):
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
