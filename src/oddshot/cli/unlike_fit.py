"""What a user is told of new rows that are unlike those of fit."""

from collections import Counter
from typing import TYPE_CHECKING

from oddshot.wording import counted, share_of

if TYPE_CHECKING:
    import pandas as pd

    from oddshot.detectors.few_shot import FewShotDetector
    from oddshot.detectors.series import SeriesDetector

MANY_UNSEEN = 0.2  # share of rows with levels that fit did not see, of which a user is told
UNUSUAL, CLEARLY = 3.0, 1e-3  # times as many flagged, or gaps, as at fit, and how surely
MOST_OUTSIDE = 0.5  # share of rows with numbers outside of those of fit, the same where many more
# rows are flagged
MOST_TOLD = 5  # columns that have become empty, or are outside
WATCH = "oddshot watch tells whether the rows have moved"


class UnlikeFit:
    """Looks at new rows, all at once or block by block, beside those that a detector has seen.

    Parameters
    ----------
    detector
        Fitted before.
    remedy
        What is told where far more are flagged than at fit.
    together
        So many rows that follow each other count as one, for they resemble each other.
    """

    def __init__(
        self,
        detector: "FewShotDetector | SeriesDetector",
        *,
        remedy: str = WATCH,
        together: int = 1,
    ) -> None:
        self._detector, self._remedy, self._together = detector, remedy, together
        self._rows = 0
        self._new: list[str] = []
        self._gaps_at_fit: dict[str, float] = {}
        self._gaps: Counter[str] = Counter()
        self._unseen: Counter[str] = Counter()
        self._outside: Counter[str] = Counter()

    def look_at(self, frame: "pd.DataFrame") -> None:
        """Count gaps and what fit did not see in rows (k, d), and note columns that are new."""
        rows = len(frame)
        self._rows += rows
        known = {str(name) for name in getattr(self._detector, "feature_names_in_", ())}
        self._new = [str(name) for name in frame if str(name) not in known] if known else []
        for column, (before, now) in self._detector.missing_shares(frame).items():
            self._gaps_at_fit[column] = before
            self._gaps[column] += round(now * rows)
        for column, share in self._detector.unseen_levels(frame).items():
            self._unseen[column] += round(share * rows)
        for column, share in self._detector.outside_shares(frame).items():
            self._outside[column] += round(share * rows)

    def told(self, flagged: int) -> tuple[str, ...]:
        """Say in what they are unlike: columns, gaps, levels, far more anomalies.

        Parameters
        ----------
        flagged
            How many of all rows are above the threshold.
        """
        notes = []
        if self._new:
            notes.append(f"Not there at fit, and ignored: {', '.join(map(repr, self._new[:5]))}.")
        emptied = [
            note.column
            for note in self._detector.column_report_
            if self._far_more(self._gaps[note.column], self._gaps_at_fit.get(note.column, 0.0))
        ]
        for column in emptied[:MOST_TOLD]:
            now, before = self._gaps[column] / self._rows, self._gaps_at_fit[column]
            notes.append(
                f"Column {column!r} is empty in {share_of(now)} of rows, {share_of(before)} at fit."
            )
        if len(emptied) > MOST_TOLD:
            notes.append(f"So are {counted(len(emptied) - MOST_TOLD, 'more columns')}.")
        for column, count in self._unseen.items():
            if count > MANY_UNSEEN * self._rows and column not in emptied:
                notes.append(
                    f"Column {column!r} holds what fit did not see in {count / self._rows:.0%} of "
                    "rows; if that does not matter, fit again with --leave-out."
                )
        usual = self._detector.contamination_
        if self._far_more(flagged, usual):
            notes.extend(self._told_outside())
            notes.append(f"That is far more than the {share_of(usual)} at fit; {self._remedy}.")
        return tuple(notes)

    def _told_outside(self) -> list[str]:
        """Name columns of which most numbers are outside of all that fit saw."""
        shares = {column: count / max(self._rows, 1) for column, count in self._outside.items()}
        most = [column for column, share in shares.items() if share > MOST_OUTSIDE]
        notes = [
            f"Column {column!r} is below or above all that fit saw in {share_of(shares[column])} "
            "of rows; if that does not matter, fit again with --leave-out."
            for column in most[:MOST_TOLD]
        ]
        if len(most) > MOST_TOLD:
            notes.append(f"So are {counted(len(most) - MOST_TOLD, 'more columns')}.")
        return notes

    def _far_more(self, count: int, share: float) -> bool:
        """Tell whether so many of the rows are plainly more than three times a share."""
        from scipy.stats import binom

        usual = min(1.0, UNUSUAL * share + 0.01)
        seen, rows = count // self._together, self._rows // self._together
        return bool(binom.sf(seen - 1, rows, usual) < CLEARLY)
