"""What a comparison of new rows with a context found, and what follows from it."""

from dataclasses import asdict, dataclass
from typing import Any

from scipy.stats import binom

from oddshot.detectors.drift.columns import ColumnChange
from oddshot.wording import share_of

FAR_MORE = 3.0  # times the promised share of flagged rows


@dataclass(frozen=True, slots=True, repr=False)
class Drift:
    """A window of new rows, compared with the context of a detector.

    Printed, it says its verdict; `to_dict` gives all of it.

    Parameters
    ----------
    rows, context_rows
        How many rows were compared, of the window and of the context.
    seen
        How many rows the window has, divided by ``block``.
    alpha
        Share of windows without a change that may be called drift.
    p
        The p-value for drift: of `p_rows` and `p_columns` together.
    p_rows, p_columns
        For the rows as a whole, and for the columns that are left, one by one.
    least_p
        The lowest p-value that so many rows can have.
    effect
        How far the bulk differs, in [0, 1]: largest difference of cumulative shares, along the best
        direction that is found (cross-fitted) or in a column that moved. About `least_effect` can
        come from chance.
    least_effect
        The effect from which so many rows are significant.
    rows_needed
        How many new rows show such an effect; ``None`` if no number does with this context. Far
        fewer than `rows`: the drift is plain. As many: it is small, whatever the p-value says.
    columns
        All columns that were tested, lost or found new, most significant first.
    flagged
        Share of the window above the detector's threshold, what cannot be read taken for gaps;
        ``None`` where columns are lost, or more than half unreadable.
    promised
        Share of the rows given to `fit` above it.
    p_more
        The p-value for more odd rows than in the context.
    not_compared
        Columns that are left out of the comparison: dates, identifiers, free text.
    """

    rows: int
    context_rows: int
    seen: int
    alpha: float
    p: float
    p_rows: float
    p_columns: float
    least_p: float
    effect: float
    least_effect: float
    rows_needed: int | None
    columns: tuple[ColumnChange, ...]
    flagged: float | None
    promised: float
    p_more: float
    not_compared: tuple[str, ...]

    def __str__(self) -> str:
        flagged = "" if self.flagged is None else f", {share_of(self.flagged)} flagged"
        return f"{self.verdict} (p {self.p:.3g}, effect {self.effect:.2f}{flagged})"

    def __repr__(self) -> str:
        return f"<Drift: {self}; see to_dict()>"

    @property
    def drifted(self) -> bool:
        """Whether the bulk has moved, or a column is lost or more than half unreadable."""
        return self.p <= self.alpha or any(c.p == 0 for c in self.columns)

    @property
    def more_anomalies(self) -> bool:
        """Whether there are more odd rows, and the bulk stayed.

        By `p_more`; or because far more are flagged than promised, as by a column that is not
        compared.
        """
        return (self.p_more <= self.alpha or self._far_more_flagged()) and not self.drifted

    def _far_more_flagged(self) -> bool:
        """Tell whether more are flagged than chance gives where three times the share is usual."""
        if self.flagged is None:
            return False
        usual = min(1.0, FAR_MORE * self.promised + 0.01)
        surplus = binom.sf(round(self.flagged * self.seen) - 1, self.seen, usual)
        return bool(surplus <= self.alpha / 10)

    @property
    def moved(self) -> tuple[ColumnChange, ...]:
        """The columns that moved, where there is drift."""
        return tuple(c for c in self.columns if self.drifted and c.p <= self.alpha)

    @property
    def factors(self) -> dict[str, float]:
        """By what the numbers of columns that moved look multiplied, as `refresh` takes it."""
        return {c.column: c.factor for c in self.moved if c.factor is not None}

    @property
    def outdated(self) -> bool:
        """Whether rows of the context are no longer such as come in, whatever is done with them.

        Old rows that stay beside new ones would go on looking other than these: give `refresh`
        ``keep=0``. Columns that are lost are left out there, and numbers that are only multiplied
        can be by `factors`.
        """
        settled = all(c.kind == "lost" or c.factor is not None for c in self.moved)
        explained = self.p > self.alpha or bool(self.factors)
        return self.drifted and not (settled and explained)

    @property
    def verdict(self) -> str:
        """Say it in a word or two: "quiet", "more anomalies", "drift: amount, place"."""
        if self.drifted:
            names = list(dict.fromkeys(change.column for change in self.moved))
            more = f" and {len(names) - 3} more columns" if len(names) > 3 else ""
            return f"drift: {', '.join(names[:3]) or 'the rows as a whole'}{more}"
        return "more anomalies" if self.more_anomalies else "quiet"

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            "verdict": self.verdict,
            "drifted": self.drifted,
            "more_anomalies": self.more_anomalies,
            **asdict(self),
            "columns": [asdict(change) for change in self.columns],
            "moved": list(dict.fromkeys(change.column for change in self.moved)),
        }
