"""`FewShotDetector` as one of PyOD's detectors, for code that is written for these.

Needs PyOD (``pip install 'oddshot[pyod]'``); nothing else imports this module.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from oddshot.detectors.few_shot import FewShotDetector
from oddshot.episodes import FloatArray, GivenLabels
from oddshot.errors import require
from oddshot.priors import Prior

try:
    from pyod.models.base import BaseDetector
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'PyODFewShot needs PyOD, which is not installed; pip install "oddshot[pyod]"',
        name=error.name,
    ) from error


class PyODFewShot(BaseDetector):  # type: ignore[misc]
    """`FewShotDetector` with PyOD's face: `decision_function`, ``labels_`` of 0 and 1.

    PyOD sets the threshold itself, by ``contamination``, as for all of its detectors. Thresholds
    that hold, reasons and drift are those of ``detector_``.

    Parameters
    ----------
    contamination
        Share of the rows given to `fit` that are flagged, above 0 and at most 0.5; or, as PyOD
        has it, an object that finds the threshold, such as those of ``pyod.models.thresholds``.
    prior, random_state, n_jobs, quality, novel
        As for `FewShotDetector`.

    Attributes
    ----------
    detector_
        The fitted `FewShotDetector`.
    decision_scores_
        Shape (n,): scores of the rows given to `fit`, each compared with all but itself; higher =
        odder.
    threshold_, labels_
        As of any detector of PyOD's.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(300, 3))
    >>> rows[:3] += 6
    >>> detector = PyODFewShot(contamination=0.01).fit(rows)
    >>> np.flatnonzero(detector.labels_).tolist()
    [0, 1, 2]
    """

    def __init__(
        self,
        contamination: Any = 0.1,
        *,
        prior: Prior | str | Path = "default",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        quality: str = "standard",
        novel: float | str = "auto",
    ) -> None:
        super().__init__(contamination=contamination)
        self.prior = prior
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.quality = quality
        self.novel = novel

    def fit(self, X: Any, y: GivenLabels | None = None) -> Self:
        """Adapt the prior to rows X (n, d); labels y (n,) and errors as of `FewShotDetector.fit`.

        1 is a known anomaly, 0 known to be normal, -1 unlabelled. PyOD's unsupervised detectors
        ignore ``y``; this one does not.
        """
        share = self.contamination
        fits = 0 < share <= 0.5 if isinstance(share, float | int) else hasattr(share, "fit")
        wanted = "a float above 0, up to 0.5, or one of PyOD's threshold objects"
        require(fits, "contamination", share, wanted)
        self._set_n_classes(None)
        self.detector_ = FewShotDetector(
            prior=self.prior,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            quality=self.quality,
            novel=self.novel,
        ).fit(X, y)
        self.decision_scores_ = self.detector_.anomaly_score(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Anomaly scores (n,) of rows X (n, d), higher = odder: `FewShotDetector.anomaly_score`."""
        check_is_fitted(self, "detector_")
        return self.detector_.anomaly_score(X)

    def score_samples(self, X: Any) -> FloatArray:
        """Negated `decision_function`, (n,): scikit-learn's sign, low for anomalies.

        By it `oddshot.roc_auc_scorer` and `oddshot.average_precision_scorer` judge.
        """
        return -self.decision_function(X)
