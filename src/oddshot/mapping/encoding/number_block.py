"""All columns of numbers and dates written at once."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.frames import RawRows
from oddshot.mapping.cells.notation import DURATIONS
from oddshot.mapping.encoding.date import Date
from oddshot.mapping.encoding.dates_together import move_with_dates
from oddshot.mapping.encoding.layout import Layout
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.source_columns import as_matrix

YEARS_ON = 10.0  # so many years later are time going on


@dataclass(frozen=True, slots=True)
class NumberBlock:
    """The q columns of numbers and dates at once.

    `numbers` are their recipes, `source` (q,) their positions in the rows, `gap` to `last` (q,)
    their parameters; `varying` and `flagged` pick those with a value and those with a flag, which
    stand at `value_at` and `flag_at` in the encoded rows, `rounded` those with usual values.
    `dated` and `lasting`: whether there are dates among them, and durations.
    """

    numbers: list[Number]
    source: NDArray[np.intp]
    gap: FloatArray
    low: FloatArray
    high: FloatArray
    below: FloatArray
    above: FloatArray
    last: FloatArray
    varying: NDArray[np.intp]
    value_at: NDArray[np.intp]
    flagged: NDArray[np.intp]
    flag_at: NDArray[np.intp]
    rounded: list[int]
    dated: bool
    lasting: bool

    @classmethod
    def of(cls, layout: Layout) -> "NumberBlock":
        """Gather the number recipes of all columns."""
        numbers = [(i, r) for i, r in enumerate(layout.recipes) if isinstance(r, Number)]
        source = np.array([i for i, _ in numbers], dtype=np.intp)
        varies = np.array([r.varies for _, r in numbers], dtype=bool)
        missing = np.array([r.missing for _, r in numbers], dtype=bool)
        limits = np.array([(r.gap(), r.low, r.high, r.below, r.above) for _, r in numbers])
        gap, low, high, below, above = limits.reshape(-1, 5).T
        last = np.array([r.last_year or np.inf for _, r in numbers])
        start = np.array(layout.starts, dtype=np.intp)[source]
        return cls(
            numbers=[r for _, r in numbers],
            source=source,
            gap=gap,
            low=low,
            high=high,
            below=below,
            above=above,
            last=last,
            varying=np.flatnonzero(varies),
            value_at=start[varies],
            flagged=np.flatnonzero(missing),
            flag_at=(start + varies)[missing],
            rounded=[j for j, (_, r) in enumerate(numbers) if r.usual],
            dated=any(isinstance(r, Date) for _, r in numbers),
            lasting=any(r.notation.holds == DURATIONS for _, r in numbers),
        )

    def read(self, rows: RawRows) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Read the columns of rows (n, d).

        Returns
        -------
        tuple
            The columns as a copy (n, q), and of each column of dates by its name the days (n,)
            since 1970; NaN where missing.
        """
        used = self.source
        by_column = self.dated or (self.lasting and isinstance(rows, pd.DataFrame))
        matrix = None if by_column else as_matrix(rows)
        if matrix is not None:
            chosen = matrix if len(used) == matrix.shape[1] else matrix[:, used]
            dense = chosen.toarray() if sp.issparse(chosen) else chosen
            read = np.array(dense, dtype=np.float64, order="C")
            for j in self.rounded:
                read[:, j] = self.numbers[j].unrounded(read[:, j])
            return read, {}
        assert isinstance(rows, pd.DataFrame)
        columns = np.empty((len(rows), len(used)))
        moments: dict[str, FloatArray] = {}
        days: dict[str, FloatArray] = {}
        for j, (i, number) in enumerate(zip(used, self.numbers, strict=True)):
            if isinstance(number, Date):
                moments[number.column] = number.moments(rows.iloc[:, i])
                days[number.column] = moments[number.column] - number.origin
                columns[:, j] = number.folded(days[number.column])
            else:
                columns[:, j] = number.read(rows.iloc[:, i])
        if days:
            move_with_dates(self.numbers, columns, days)
        return columns, moments

    def write(self, values: FloatArray, encoded: FloatArray) -> None:
        """Write `values` (n, q), which are used up, into `encoded` (n, p)."""
        if len(self.flagged):
            encoded[:, self.flag_at] = np.isnan(values[:, self.flagged])
        if not np.isfinite(values).all():
            for unusable, stand_in in (
                (values == np.inf, self.above),
                (values == -np.inf, self.below),
                (np.isnan(values), self.gap),
            ):
                row, column = np.nonzero(unusable)
                values[row, column] = stand_in[column]
        if np.isfinite(self.last).any():  # years go on
            later = (values > self.last) & (values <= self.last + YEARS_ON)
            values[:] = np.where(later, self.last, values)
        np.clip(values, self.low, self.high, out=values)
        if len(self.varying) == encoded.shape[1]:
            encoded[:] = values
        else:
            encoded[:, self.value_at] = values[:, self.varying]
