"""Labels that come one after the other: taken in, rows ranked anew, the next ones suggested."""

import warnings
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from oddshot.detectors.adapted_prior import AdaptedPrior
from oddshot.detectors.given.labels import checked_labels
from oddshot.detectors.labelling.ranking import Ranking
from oddshot.detectors.labelling.suggestion import (
    FRUITLESS,
    SPREAD,
    UNCERTAIN_SHARE,
    Suggestions,
    suggest,
)
from oddshot.episodes import ANOMALY, NORMAL, FloatArray, GivenLabels, LabelArray
from oddshot.errors import CalibrationWarning, LabelWarning
from oddshot.mapping.mapping import Pool
from oddshot.wording import counted


class LearnsFromAnswers(AdaptedPrior):
    """Takes in what becomes known of rows, in a fraction of the time of a fit."""

    def partial_fit(self, X: Any, y: GivenLabels | None = None) -> Self:
        """Take in labels that came after `fit`, in a fraction of its time; the first call fits.

        Only what looks at labels is fitted again. The neighbours, quantiles and scales that rows
        are compared with remain those of `fit`; a row given to it that turns out to be an anomaly
        leaves the typical rows, but still counts as a neighbour. So scores are close to those of a
        `fit` with all labels at once, and not the same. They depend neither on the order of these
        rows nor on how they were divided into calls.

        What `calibrate` learned is forgotten. The rule of the threshold, that of `fit` or of
        `set_threshold`, is applied anew, alpha and a budget of so many in so many rows by the rows
        that the detector compares with. Rules that rested on a batch ``X`` (a number of alerts,
        fdr, f_beta, cost) cannot be: then the threshold is that of `fit`.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`: rows given to `fit`, or others.
        y
            Shape (n,): labels as for `fit`. Of equal rows the last label counts; unlabelled rows
            teach nothing, and with these alone all stays as it is.

        Returns
        -------
        FewShotDetector
            The detector itself.

        Raises
        ------
        DataError, LabelError
            As `fit` and `anomaly_score`, or if no row would be left to compare with.
        SettingError
            If the prior is one for images: fit again with all labels.

        Warns
        -----
        CalibrationWarning
            If the threshold rested on a batch, or what it promised cannot be promised any more.
        LabelWarning
            If equal rows are labelled both ways.

        Examples
        --------
        >>> import numpy as np
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> rows[:9] += [4, 0, 0]
        >>> detector = FewShotDetector().fit(rows)
        >>> before = detector.anomaly_score(rows[2:9]).mean()
        >>> bool(detector.partial_fit(rows[:2], [1, 1]).anomaly_score(rows[2:9]).mean() > before)
        True
        """
        if not hasattr(self, "_fitted"):
            return self.fit(X, y)
        self._checked_contamination()
        pool = self._table("partial_fit").pool(X)
        labels = checked_labels(y, len(pool), X)
        both = _labelled_both_ways(pool, labels)
        if both:
            warnings.warn(
                f"{counted(both, 'rows')} labelled as an anomaly and as normal in one call: of "
                "equal rows the last label counts",
                LabelWarning,
                stacklevel=2,
            )
        made, lack = self._told(pool, labels, X)
        self._become(made)
        if lack:
            warnings.warn(lack, CalibrationWarning, stacklevel=2)
        return self

    def rank(self, X: Any) -> Ranking[Self]:
        """Rank rows so that they can be ranked again at once when some of them are labelled.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`, which gives the same scores.

        Returns
        -------
        Ranking
            It has ``scores``, ``order``, ``add_labels`` and a ``detector`` that knows the labels;
            this detector stays as it is.

        Raises
        ------
        DataError
            As `anomaly_score`.
        SettingError
            If the prior is one for images.
        """
        return Ranking(self, X)

    @np.errstate(under="ignore")
    def suggest(
        self,
        X: Any,
        n: int = 10,
        *,
        uncertain: float = UNCERTAIN_SHARE,
        spread: float = SPREAD,
        fruitless: float = FRUITLESS,
        leave_out: ArrayLike = (),
    ) -> Suggestions:
        """Pick rows that are worth a person's look and have no label yet.

        Rows that this detector knows the label of are recognised by their content. To go on after
        the answers at once, keep a ranking: see `oddshot.detectors.labelling.suggestion.suggest`.

        Parameters
        ----------
        X
            Shape (m, d), as for `anomaly_score`.
        n, uncertain, spread, fruitless, leave_out
            How many; share of rows near the threshold; how much less a near copy is worth, and the
            like of what was answered "normal" before any anomaly is known; rows not to pick: see
            `oddshot.detectors.labelling.suggestion.suggest`.

        Returns
        -------
        Suggestions
            ``positions``, ``scores``, and ``why`` each was picked, the first one first.

        Raises
        ------
        DataError, LabelError, SettingError
            As `rank`, or if a parameter has a value it cannot take.

        Examples
        --------
        >>> import numpy as np
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> rows[7] += 9
        >>> FewShotDetector().fit(rows).suggest(rows, 2).positions[0]
        np.int64(7)
        """
        return suggest(
            self.rank(X),
            n,
            uncertain=uncertain,
            spread=spread,
            fruitless=fruitless,
            leave_out=leave_out,
        )

    def _ranked(self, pool: Pool) -> FloatArray:
        """Anomaly scores (n,) of a pool."""
        return self._scale.apply(self._table("rank").judged(pool))

    def _told(self, pool: Pool, labels: LabelArray, X: Any) -> tuple[Self, str]:
        """Return a detector that knows labels (n,) of a pool of rows X, too.

        Beside it what its threshold no longer keeps, as of `_renew_threshold`.
        """
        contamination, told = self._checked_contamination(), copy(self)
        fitted = self._table("rank").with_labels(pool, labels, X)
        if fitted is self._fitted:
            return told, ""
        told._keep(fitted)
        told._answers_calibrate = False
        return told, told._renew_threshold(told._shown_rows(), contamination)


def _labelled_both_ways(pool: Pool, labels: LabelArray) -> int:
    """Count different rows of a pool that labels (n,) call an anomaly here and normal there."""
    anomalies, normal = (
        {row.tobytes() for row in pool.rows[labels == label]} for label in (ANOMALY, NORMAL)
    )
    return len(anomalies & normal)
