"""Cells of new rows that cannot be read as what a detector learned, told rather than refused."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import Recipe

LEARNED = {"boolean": "true or false", "date": "a date"}
MOST = 0.5  # share of the cells that are not empty, beyond which nothing is left to compare


@dataclass(frozen=True, slots=True)
class Unread:
    """What cannot be read in a column of numbers or dates.

    Parameters
    ----------
    cells
        Shape (n,): which cells cannot be read.
    strays
        Shape (n,): the same, and those that are no numbers or dates either but known from fit.
    mostly
        Whether they are more than half of the cells that are not empty.
    told
        How many they are, and the first, in words.
    """

    cells: NDArray[np.bool_]
    strays: NDArray[np.bool_]
    mostly: bool
    told: str

    @classmethod
    def of(cls, recipe: Recipe, column: "pd.Series[Any]") -> Self | None:
        """Look for them in a column (n,); ``None`` where there are none, or any text is a level."""
        if not isinstance(recipe, Number):
            return None
        cells = recipe.unread(column)
        if not cells.any():
            return None
        first, count = int(np.argmax(cells)), int(cells.sum())
        cell = column.astype(object).iloc[first]
        learned = recipe.notation.learned if recipe.kind == "number" else LEARNED[recipe.kind]
        told = (
            f"{count:,} of {len(cells):,} cells cannot be read, as {cell!r} in row "
            f"{first}, where {learned} was learned"
        )
        mostly = count > MOST * int(column.notna().sum())
        return cls(cells, strays(recipe, column), mostly, told)


def strays(recipe: Number, column: "pd.Series[Any]") -> NDArray[np.bool_]:
    """Tell which cells (n,) are no numbers or dates, and no gaps, whether fit saw such or not."""
    return without_words(recipe).unread(column)


def without_words(recipe: Number) -> Number:
    """Read alike, but take no words for gaps."""
    return replace(recipe, notation=replace(recipe.notation, words=()))
