"""How much likelier a row is among new rows than among calibration rows."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from oddshot.episodes import Float32Array, FloatArray
from oddshot.errors import DataError

LEAST_ROWS = 20  # on either side, to tell one from the other
_DIRECTIONS = 20
_MOST_RATIO = 20.0
_REACH = 3.0  # quartile distances: an anomaly far out says little on how the bulk has moved
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, slots=True)
class ShiftWeights:
    """Likelihood ratios of new against calibration rows.

    Parameters
    ----------
    new, calibration
        Shapes (n,) and (m,), between 1/20 and 20.
    """

    new: FloatArray
    calibration: FloatArray

    @property
    def effective_rows(self) -> float:
        """Equally weighted rows that the calibration rows are worth (Kish 1965)."""
        return float(self.calibration.sum() ** 2 / (self.calibration**2).sum())

    @classmethod
    def estimate(
        cls, new: FloatArray | Float32Array, calibration: FloatArray | Float32Array
    ) -> "ShiftWeights":
        """Let a logistic classifier tell new rows (n, p) from calibration rows (m, p).

        Its odds are the likelihood ratio (Tibshirani et al. 2019, section 2.3). Cross-validation
        chooses how far it is held back, so that without a shift the weights are near 1. It sees
        where columns have moved, in at most 20 principal directions, and not how their spread has
        changed. Rows that are new because they are anomalies count as shifted: that costs power,
        never validity.

        Raises
        ------
        DataError
            If there are fewer than 20 rows on either side.
        """
        if min(len(new), len(calibration)) < LEAST_ROWS:
            raise DataError(
                f"{len(new)} new rows and {len(calibration)} calibration rows; to weight for a "
                f"shift give {LEAST_ROWS} of each or more"
            )
        rows = np.concatenate([new, calibration]).astype(np.float64)
        is_new = np.arange(len(rows)) < len(new)
        scaled = RobustScaler().fit(rows[~is_new]).transform(rows)
        scaled = np.clip(scaled, -_REACH, _REACH)
        directions = PCA(min(_DIRECTIONS, *scaled.shape), random_state=0)
        classifier = LogisticRegression(class_weight="balanced", max_iter=500)
        search = GridSearchCV(
            make_pipeline(directions, classifier),
            {"logisticregression__C": _STRENGTHS},
            scoring="neg_log_loss",
            cv=StratifiedKFold(5, shuffle=True, random_state=0),
        ).fit(scaled, is_new)
        odds = np.exp(search.decision_function(scaled))
        ratios = np.clip(odds, 1 / _MOST_RATIO, _MOST_RATIO)
        return cls(ratios[is_new], ratios[~is_new])
