"""Columns that name the rows although copies of rows repeat their names: found and left out."""

import numpy as np
import pandas as pd

from oddshot.mapping.cells.distinct import Column
from oddshot.mapping.cells.reading import read_numbers
from oddshot.mapping.encoding.category import NEARLY_ALL, ONE_HOT_LEVELS, Category
from oddshot.mapping.encoding.left_out import LeftOut
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import Recipe, recipe

MAY_NAME = 0.25  # share of different cells from which these may name rows, some of which repeat


def without_repeated_names(
    recipes: list[Recipe], rows: pd.DataFrame, *, named: bool
) -> list[Recipe]:
    """Leave out columns that name the rows, although copies of rows repeat their names.

    Rows are copies where all columns agree; the others must tell nearly all rows apart, or many
    agree by chance.
    """
    found = list(recipes)
    used = [i for i, one in enumerate(recipes) if not isinstance(one, LeftOut)]
    for place in used if len(used) > 1 else ():
        column = rows.iloc[:, place]
        if not _may_name_rows(recipes[place], column, named=named):
            continue
        others = rows.iloc[:, [i for i in used if i != place]]
        copies, repeated = np.zeros(len(rows), dtype=bool), column.duplicated(keep=False).to_numpy()
        copies[repeated] = rows.iloc[:, used][repeated].duplicated().to_numpy()
        if not copies.any() or others[~copies].duplicated().mean() > 1 - NEARLY_ALL:
            continue
        different = recipe(recipes[place].column, column[~copies], named=named)
        if isinstance(different, LeftOut):
            found[place] = different
    return found


def _may_name_rows(found: Recipe, column: Column, *, named: bool) -> bool:
    """Tell whether a column might name the rows if copies of them were left out.

    It holds texts, or integers under a name that the user gave, and a share ``MAY_NAME`` of its
    cells differ.
    """
    least = len(column) * MAY_NAME
    if isinstance(found, Category):
        return len(found.levels) > max(ONE_HOT_LEVELS, least)
    if not named or not isinstance(found, Number) or found.kind != "number" or found.missing:
        return False
    if 2 * found.fill % 1 or found.above - found.below < least:  # at once for most columns
        return False
    values = read_numbers(column, found.notation)
    return bool((values == np.floor(values)).all()) and least < len(np.unique(values)) < len(values)
