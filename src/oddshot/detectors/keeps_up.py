"""Whether new rows still come from where the context came from, and a new context."""

from collections.abc import Mapping
from typing import Any, Self

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from oddshot.detectors.adapted_prior import AdaptedPrior
from oddshot.detectors.drift.finding import Drift
from oddshot.detectors.drift.monitor import DriftMonitor
from oddshot.detectors.drift.refreshing import (
    refreshed_context,
    still_identifiers,
    warn_of_other_kinds,
)
from oddshot.detectors.fitted.kept_rows import KeptRows
from oddshot.detectors.fitted.table import FittedTable
from oddshot.detectors.given.labels import checked_labels
from oddshot.detectors.verdicts.calibrated import ENOUGH_NORMAL
from oddshot.episodes import NORMAL, UNLABELLED, GivenLabels
from oddshot.errors import DataError
from oddshot.frames import to_rows


class KeepsUp(AdaptedPrior):
    """Notices that rows have changed, and learns a new context with the labels of the old one."""

    def check_drift(
        self, X: Any, *, alpha: float = 0.01, block: int = 1, permutations: int = 999
    ) -> Drift:
        """Tell whether new rows still come from where the rows given to `fit` came from.

        Labels of the new rows are not needed. More odd rows beside a bulk that stayed are told as
        more anomalies and not as drift. For many windows, `drift_monitor` makes once what all need.

        Parameters
        ----------
        X
            Shape (n, d): new rows; columns may be lost or new. Of more than 1,024 rows, so many are
            compared.
        alpha
            Share of windows without a change that may be called drift, 0.00005 or more: the promise
            holds for independent rows, and on average over contexts.
        block
            Rows that follow each other in time resemble each other: in stretches of so many rows,
            which are kept together. 1: they are independent.
        permutations
            How many, up to 59,999; ``alpha`` needs ``3 / alpha - 1`` of them.

        Returns
        -------
        Drift
            p-value, effect, number of rows that it takes to see it, and the columns that moved.

        Raises
        ------
        DataError
            If the detector holds fewer than 20 rows to compare with, or was saved by a version that
            did not keep them; if no column is left to compare; or if ``X`` has no row, or all are
            of the half of the rows given to `fit` that others are seen by.
        SettingError
            If a parameter has a value it cannot take, or the prior is one for images.

        Examples
        --------
        >>> import numpy as np
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(1).gamma(2.0, size=(400, 3))
        >>> detector = FewShotDetector().fit(rows[:200])
        >>> detector.check_drift(rows[200:]).verdict
        'quiet'
        >>> detector.check_drift(rows[200:] * [1, 1, 1000]).factors
        {'2': 1000.0}
        """
        return self.drift_monitor(block=block).check(X, alpha=alpha, permutations=permutations)

    def drift_monitor(self, *, block: int = 1) -> DriftMonitor:
        """Make what `check_drift` needs for one window after the other: call its ``check``.

        Parameters
        ----------
        block
            As for `check_drift`, which names the errors.
        """
        fitted, kept = self._raw_context("check_drift")
        return DriftMonitor(
            kept,
            fitted.encoder.recipes,
            fitted.prior,
            share=self.contamination_,
            seed=fitted.seed,
            threads=self._threads(),
            block=block,
            flags=lambda rows: self.anomaly_score(rows) > self.threshold_,
        )

    def refresh(
        self,
        X: Any,
        y: GivenLabels | None = None,
        *,
        keep: float = 0.25,
        factors: Mapping[str, float] | None = None,
    ) -> Self:
        """Fit a new detector on new rows, with the labels and the prior of this one.

        This one stays as it is. The threshold of the new one is set anew. Its promises rest on the
        unlabelled rows, unless 100 new rows, or half of them, are known to be normal: normal rows
        known before are not drawn as the new ones are.

        Parameters
        ----------
        X, y
            New rows and their labels, as for `fit`. Where old rows are among them, each counts
            once: by its new label, or, where no equal row has one, by the old one.
        keep
            Share of the old unlabelled rows that stay in the context; of the old rows, where all
            were known to be normal. Known anomalies always stay, and known normal rows beside
            unlabelled ones. At most the rows that are kept to compare with can stay.
        factors
            By what to multiply columns of the old rows first, such as `Drift.factors`, so that
            labels outlive a change of unit.

        Returns
        -------
        FewShotDetector
            With the settings of this one. While old rows or labels stay, columns that the new rows
            lack, and those that the old rows lack, are left out with a `ContextWarning`; once none
            stay, the new columns are all there are. Which columns are learned from is decided
            anew, but one that named the rows stays left out while nearly all new cells differ, too.

        Raises
        ------
        DataError
            As `fit` does, or if the detector was saved by a version that did not keep its rows, or
            old and new rows share no column.
        SettingError
            If ``keep`` is no share, ``factors`` names no column, or the prior is one for images.

        Warns
        -----
        ContextWarning
            If a column is left out, or is of another kind than before, as a date in another format.

        Examples
        --------
        >>> import numpy as np
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> detector = FewShotDetector().fit(rows)
        >>> newer = detector.refresh(rows + 5)
        >>> bool(newer.anomaly_score(rows + 5).mean() < detector.anomaly_score(rows + 5).mean())
        True
        """
        fitted, kept = self._raw_context("refresh")
        rows = to_rows(X)
        told = checked_labels(y, rows.shape[0], X)
        context, labels, old = refreshed_context(
            kept,
            rows,
            told,
            keep=keep,
            factors=factors or {},
            seed=fitted.seed,
        )
        detector: Self = clone(self)
        some_are_old = bool((labels[:old] == NORMAL).any())
        detector._not_learned = still_identifiers(fitted.encoder.recipes, kept.aligned(rows))
        detector._doubts_normal_rows = not some_are_old  # these may look odd by the change alone
        detector.fit(context, labels)
        detector._doubts_normal_rows = True
        detector._not_learned = None  # another fit decides by its own rows
        normal, others = (int((labels[old:] == kind).sum()) for kind in (NORMAL, UNLABELLED))
        detector._normal_rows_are_old = some_are_old and normal < min(ENOUGH_NORMAL, others)
        newer, _ = detector._raw_context("refresh")
        warn_of_other_kinds(fitted.encoder.recipes, newer.encoder.recipes, kept.aligned(rows))
        return detector

    def unseen_levels(self, X: Any) -> dict[str, float]:
        """Tell how many rows of X have levels that `fit` did not see, or change a constant.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`.

        Returns
        -------
        dict
            By column of categories, and by column that was constant at fit and is watched (but for
            those named as time is): the share of such rows. Empty for images.

        Examples
        --------
        >>> import pandas as pd
        >>> from oddshot import FewShotDetector
        >>> rows = pd.DataFrame({"shop": ["a", "b"] * 20, "amount": range(40)})
        >>> FewShotDetector().fit(rows).unseen_levels(rows.assign(shop=rows["shop"].str.upper()))
        {'shop': 1.0}
        """
        check_is_fitted(self)
        if not isinstance(self._fitted, FittedTable):
            return {}
        return self._fitted.encoder.unseen_shares(to_rows(X))

    def outside_shares(self, X: Any) -> dict[str, float]:
        """Tell how many rows of X hold numbers that are outside of all that `fit` saw.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`.

        Returns
        -------
        dict
            By column of numbers (but for years, which go on): the share of such rows. Empty for
            images.

        Examples
        --------
        >>> import pandas as pd
        >>> from oddshot import FewShotDetector
        >>> rows = pd.DataFrame({"patient": [*range(10)] * 4, "weight": [*range(20)] * 2})
        >>> FewShotDetector().fit(rows).outside_shares(rows.assign(patient=rows["patient"] + 10))
        {'patient': 1.0, 'weight': 0.0}
        """
        check_is_fitted(self)
        if not isinstance(self._fitted, FittedTable):
            return {}
        return self._fitted.encoder.outside_shares(to_rows(X))

    def missing_shares(self, X: Any) -> dict[str, tuple[float, float]]:
        """Tell where cells of X are missing, and how many were among the rows that `fit` kept.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`.

        Returns
        -------
        dict
            By column with gaps in X, in the order of fit: the share of gaps then, and now. Empty
            for images, and for detectors whose rows an older version did not keep.

        Examples
        --------
        >>> import numpy as np
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(0).normal(size=(40, 2))
        >>> detector = FewShotDetector().fit(rows)
        >>> rows[:10, 1] = np.nan
        >>> detector.missing_shares(rows)
        {'1': (0.0, 0.25)}
        """
        check_is_fitted(self)
        fitted = self._fitted
        if not isinstance(fitted, FittedTable) or fitted.kept is None:
            return {}
        now = fitted.encoder.missing_shares(to_rows(X))
        if not any(now.values()):
            return {}
        frame = fitted.kept.frame[fitted.kept.stand_for_all]
        before = fitted.encoder.missing_shares(frame)
        return {column: (before[column], share) for column, share in now.items() if share}

    def _raw_context(self, what: str) -> tuple[FittedTable, KeptRows]:
        """Return a table and its rows as the user gave them."""
        fitted = self._table(what)
        if fitted.kept is None:
            raise DataError(
                f"{what} needs rows that this detector did not keep when it was saved; "
                "fit it again with this version"
            )
        return fitted, fitted.kept
