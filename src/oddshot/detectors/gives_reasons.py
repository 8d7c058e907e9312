"""Why a row is odd, column by column."""

from typing import TYPE_CHECKING, Any

import numpy as np

from oddshot.detectors.adapted_prior import AdaptedPrior
from oddshot.detectors.explanations.explanation import Explanations
from oddshot.detectors.explanations.table import FixedColumns, TableExplainer
from oddshot.detectors.given.tables import table_rows
from oddshot.errors import DataError, is_whole, require
from oddshot.frames import take_rows, to_rows

if TYPE_CHECKING:
    import pandas as pd


class GivesReasons(AdaptedPrior):
    """Explains scores of rows of a table by their columns."""

    @np.errstate(under="ignore")
    def explain(self, X: Any, *, changes: bool = True, fixed: FixedColumns = ()) -> Explanations:
        """Say of every row which columns make its score, and what would make it normal.

        A row's score is its baseline plus the contributions of its columns. The baseline is the
        mean score of four typical rows that agree with it in most columns; contributions are
        Shapley values of putting the row's values into these, exact for the four columns that
        matter most and the rest together (see `oddshot.detectors.explanations.shapley.attribute`).
        A category or a date counts as one column, a missing value as a value.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`; a row costs about ``8 * d + 128`` scorings.
        changes
            Whether to look for the smallest change that makes an anomaly normal; up to 168 more.
        fixed
            Names, or places, of columns that the smallest change leaves alone, such as an age or a
            site: a list, an index or an array. Where columns are named by numbers, these are meant.

        Returns
        -------
        Explanations
            One `Explanation` for each row, in their order; ``to_frame()`` makes a table of them.

        Raises
        ------
        DataError
            As `anomaly_score`.
        SettingError
            If the prior is one for images, which have no columns, ``changes`` is no truth value, or
            ``fixed`` holds what is no column.

        Examples
        --------
        >>> from oddshot import FewShotDetector
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> rows[7, 1] = 9
        >>> (found,) = FewShotDetector().fit(rows).explain(rows[[7]])
        >>> [column for column, value, contribution in found.top(1)]
        ['1']
        >>> bool(np.isclose(found.baseline + found.contributions.sum(), found.score))
        True
        """
        require(isinstance(changes, bool), "changes", changes, "True or False")
        explainer, rows = self._explainer(), table_rows(X)
        if not rows.shape[0]:
            raise DataError("X has no rows to explain; give at least one")
        return explainer.explain(rows, changes=changes, fixed=fixed)

    @np.errstate(under="ignore")
    def importance(self, X: Any, *, most: int = 200) -> "pd.Series[float]":
        """How much each column matters: its mean absolute contribution over the anomalies of X.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`. If no row is an anomaly, all count.
        most
            Only so many of them are explained, evenly spaced from the oddest to the least odd.

        Returns
        -------
        Series
            By column, in decades of surprise, largest first.

        Raises
        ------
        DataError, SettingError
            As `explain`, or if ``most`` is below 1.
        """
        require(is_whole(most) and most >= 1, "most", most, "a whole number, 1 or more")
        explainer, scores = self._explainer(), self.anomaly_score(X)
        order = np.argsort(-scores, kind="stable")
        counted = order[: int((scores > self.threshold_).sum()) or len(order)]
        spaced = np.linspace(0, len(counted) - 1, min(most, len(counted))).round().astype(np.intp)
        some = take_rows(to_rows(X), counted[spaced])
        return explainer.explain(some, changes=False).importance()

    def _explainer(self) -> TableExplainer:
        return TableExplainer(self._table("explain"), self._scale.apply, self.threshold_)
