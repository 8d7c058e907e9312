"""What is said about rows: which columns made them odd, rows to compare with, a way to normal."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oddshot.detectors.explanations.alternatives import Change, CounterExample
from oddshot.detectors.explanations.words import told
from oddshot.episodes import FloatArray
from oddshot.errors import is_whole, require
from oddshot.wording import counted

PRINTED = 10  # rows whose explanation is printed
NAMED = 3  # columns of each, in a notebook


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """Why a row has its anomaly score: ``score = baseline + contributions.sum()``.

    Printed, it says so in sentences.

    Parameters
    ----------
    row
        The row's label in the data frame, its place (from 0) in another table.
    score
        Anomaly score, in decades of surprise.
    baseline
        Mean score of the typical rows that stood in for this one: those that agree with it in most
        columns.
    threshold
        Scores above it are anomalies.
    columns, values, contributions
        Length d, the columns that the detector uses: their names, the row's cells as they were
        given, and each column's part of the score. Negative: its value makes the row less odd.
    typical
        The nearest typical row.
    anomaly
        The nearest known anomaly other than the row itself; ``None`` where there is none.
    change
        The smallest change found that makes the row normal: of one column, or of two where one does
        not do. ``None`` where none was found or looked for, or the row is normal already.
    """

    row: Hashable
    score: float
    baseline: float
    threshold: float
    columns: tuple[str, ...]
    values: tuple[Any, ...]
    contributions: FloatArray
    typical: CounterExample
    anomaly: CounterExample | None
    change: Change | None

    @property
    def flagged(self) -> bool:
        """Whether the row is an anomaly."""
        return self.score > self.threshold

    def __str__(self) -> str:
        return "\n".join(told(self, sought=False))

    def __repr__(self) -> str:
        most = ", ".join(f"{name} {part:+.2g}" for name, _, part in self.top())
        return f"<Explanation of row {self.row}: score {self.score:.3g}, {most}>"

    def top(self, number: int = 3) -> list[tuple[str, Any, float]]:
        """Column, value and contribution of the largest contributions above 0, largest first.

        Raises
        ------
        SettingError
            If ``number`` is no whole number, 0 or more.
        """
        _check_number("number", number)
        order = np.argsort(-self.contributions, kind="stable")[:number]
        return [
            (self.columns[i], self.values[i], float(self.contributions[i]))
            for i in order
            if self.contributions[i] > 0
        ]


@dataclass(frozen=True, slots=True, repr=False)
class Explanations:
    """The explanations of some rows, in their order: a sequence, and tables of it.

    Printed, it says in sentences why the first ten have their scores.

    Examples
    --------
    >>> from oddshot import FewShotDetector
    >>> rows = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=[*"abc"])
    >>> rows.loc[7, "b"] = 9
    >>> found = FewShotDetector().fit(rows).explain(rows.loc[[7]])
    >>> found[0].top(1)[0][:2]
    ('b', 9.0)
    >>> found.to_frame().columns.tolist()
    ['row', 'score', 'rank', 'column', 'value', 'contribution', 'typical']
    """

    rows: tuple[Explanation, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Explanation:
        return self.rows[place]

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.rows)

    def __str__(self) -> str:
        left = len(self) - PRINTED
        more = [f"(and {counted(left, 'more rows')})"] if left > 0 else []
        return "\n\n".join([*map(str, self.rows[:PRINTED]), *more])

    def __repr__(self) -> str:
        return f"<Explanations of {counted(len(self), 'rows')}: print them, or see to_frame()>"

    def _repr_html_(self) -> str:
        """Show a notebook the first ten rows, with the columns that a printed one names."""
        shown = Explanations(self.rows[:PRINTED]).to_frame(top=NAMED).to_html(index=False)
        left = len(self) - PRINTED
        return shown + (
            f"<p>and {counted(left, 'more rows')}: see to_frame()</p>" if left > 0 else ""
        )

    def to_frame(self, top: int | None = None) -> pd.DataFrame:
        """Lay the contributions out, a line for each row and column.

        Parameters
        ----------
        top
            Only so many columns a row, those of the largest contributions.

        Returns
        -------
        DataFrame
            Columns ``row`` and ``score``; ``rank`` of the column among the row's (1 contributes
            most), ``column``, ``value``, ``contribution``, and the value that the nearest
            ``typical`` row has there.

        Raises
        ------
        SettingError
            If ``top`` is no whole number, 0 or more.
        """
        if top is not None:
            _check_number("top", top)
        lines = [
            (
                found.row,
                found.score,
                rank + 1,
                found.columns[i],
                found.values[i],
                float(found.contributions[i]),
                found.typical.values[found.columns[i]],
            )
            for found in self.rows
            for rank, i in enumerate(np.argsort(-found.contributions, kind="stable")[:top])
        ]
        names = ["row", "score", "rank", "column", "value", "contribution", "typical"]
        return pd.DataFrame(lines, columns=names)

    def importance(self) -> "pd.Series[float]":
        """Mean absolute contribution of every column over the rows, largest first."""
        sizes = np.abs([found.contributions for found in self.rows]).mean(axis=0)
        found = pd.Series(sizes, index=list(self.rows[0].columns), name="importance")
        return found.sort_values(ascending=False, kind="stable")


def _check_number(name: str, value: object) -> None:
    fits = is_whole(value) and value >= 0  # type: ignore[operator]
    require(fits, name, value, "a whole number, 0 or more")
