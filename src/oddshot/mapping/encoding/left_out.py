"""Columns that are left out, and those that were constant: whether a new cell differs is told."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.errors import DataError
from oddshot.mapping.cells.column_names import goes_on
from oddshot.mapping.cells.distinct import Column, distinct_values
from oddshot.mapping.cells.level_names import level_key, level_name
from oddshot.mapping.cells.notation import PLAIN, Notation
from oddshot.mapping.cells.reading import read_numbers
from oddshot.mapping.cells.spellings import gap_cells
from oddshot.mapping.cells.truth_values import booleans_or_none

SAME, NEXT_TO_0 = 1e-6, 1e-12  # of a number, and beside 0: as much may be rounding
IDENTIFIER = "identifier"  # the cause of a column that names the rows
WHOLE = 2.0**53  # smaller whole numbers are exact


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that is not encoded, and why."""

    column: str
    why: str
    kind: str = "left out"

    @property
    def cause(self) -> str:
        """The reason in a word or two: "constant", "identifier", "free text", ..."""
        return self.why.partition(" (")[0]

    def outputs(self) -> list[str]:
        """Meaning of each encoded column."""
        return []

    def aside(self) -> list[str]:
        """Meaning of each column that stands aside, see `Encoder`."""
        return []

    def reason(self) -> str:
        """Say what a user should know of it; often nothing."""
        return self.why


@dataclass(frozen=True, slots=True)
class Constant(LeftOut):
    """A column that held one value in all rows at fit: left out, but another value stands aside.

    Parameters
    ----------
    value
        The one value.
    holds
        What kind of value it is: "number", "boolean" or "category".
    rows
        How many rows held it.
    notation
        How numbers were written.
    """

    value: float | str = field(kw_only=True)
    holds: str = field(kw_only=True)
    rows: int = field(kw_only=True)
    notation: Notation = field(default=PLAIN, kw_only=True)

    def aside(self) -> list[str]:
        """Meaning of each column that stands aside, see `Encoder`."""
        return ["changed"]

    def read_aside(self, column: Column) -> FloatArray:
        """Shape (n,): 1 where a cell holds anything else, or nothing."""
        if self.holds != "category" and column.dtype.kind in "iufm":
            return self._differ(read_numbers(column))
        codes, distinct = distinct_values(column)
        return np.array([*map(self._other, distinct), 1.0])[codes]  # a gap has the code -1

    def is_unseen(self, column: Column) -> NDArray[np.bool_]:
        """Tell which cells (n,) hold what fit did not see."""
        return np.asarray(self.read_aside(column) != 0)

    def is_missing(self, column: Column) -> NDArray[np.bool_]:
        """Tell which cells (n,) are gaps."""
        if self.holds != "category":
            return np.asarray(column.isna(), dtype=np.bool_)
        return gap_cells(column)

    def _other(self, cell: Any) -> float:
        if self.holds == "category":
            name = level_key(level_name(cell))
            return float(name != level_key(str(self.value)))
        if self.holds == "boolean":
            truth = booleans_or_none([cell])
            return 1.0 if truth is None else float(truth[0] != self.value)
        try:
            number = read_numbers(pd.Series([cell], dtype=object), self.notation)
        except DataError:
            return 1.0
        return float(self._differ(number)[0])

    def _differ(self, numbers: FloatArray) -> FloatArray:
        return differ(numbers, np.float64(self.value))


def names_rows(recipe: object) -> bool:
    """Tell whether a column is left out for it names the rows."""
    return isinstance(recipe, LeftOut) and recipe.cause == IDENTIFIER


def differ(numbers: FloatArray, value: FloatArray | np.float64) -> FloatArray:
    """Tell by 1 which numbers (n,) or (n, c) are not the value, or those (c,) of their columns.

    >>> differ(np.array([[7.0, 0.1 + 0.2], [8.0, 0.3]]), np.array([7.0, 0.3])).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    with np.errstate(over="ignore"):
        alike = np.isclose(numbers, value, rtol=SAME, atol=np.where(value == 0, NEXT_TO_0, 0.0))
    whole = (np.rint(numbers) == numbers) & (np.rint(value) == value) & (np.abs(value) < WHOLE)
    return np.where(np.where(whole, numbers == value, alike), 0.0, 1.0)


def constant_recipe(name: str, why: str, value: float | str, **told: Any) -> LeftOut:
    """Watch a constant, but for one named as time is: that goes on, and changes in all rows."""
    return LeftOut(name, why) if goes_on(name) else Constant(name, why, value=value, **told)
