"""Columns each of whose values stands in rows next to each other: what these rows belong to.

Lots, batches and shipments come one after the other, whatever their column is called. This alone
looks at the order of the rows; it tells something, and changes no number.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.mapping.cells.column_names import goes_on, may_say_group, says_group, says_time
from oddshot.mapping.cells.distinct import Column, distinct_values
from oddshot.mapping.cells.level_names import level_name
from oddshot.mapping.cells.notation import DURATIONS
from oddshot.mapping.cells.reading import read_numbers
from oddshot.mapping.encoding.category import ONE_HOT_LEVELS, Category
from oddshot.mapping.encoding.groups import FEWEST_EACH, FEWEST_GROUPS
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import Recipe

MOST_EACH = 0.1  # share of the rows in the largest group
IN_ONE_RUN = 0.9  # share of the values with several rows that stand in one run of these
OF_A_SIZE = 0.6  # share of the groups with equally many rows, two or more
COLLISIONS = 20.0  # integers within groups**2 / 20 would be met twice if they were drawn
COUNTED = re.compile(r"(\D*)(\d{1,15})")


def with_groups_in_blocks(
    recipes: list[Recipe], rows: pd.DataFrame, *, named: bool
) -> list[Recipe]:
    """Let columns of levels or whole numbers be told to name groups if their rows stand together.

    Each of 20 values or more stands in one run of rows, and does not come again. Where the rows
    are sorted by them, as by age, they may be any quantity: there all groups must be of one size,
    or the values counted behind a stem, as L1001, or the name be one of what rows belong to.
    Numbers under another name must run on, too.
    """
    found = list(recipes)
    for place, one in enumerate(recipes):
        if isinstance(one, Number | Category) and not one.groups and _may_name(one, named=named):
            groups = _groups(one, rows.iloc[:, place])
            found[place] = replace(one, groups=groups) if groups else one
    return found


def _may_name(one: Number | Category, *, named: bool) -> bool:
    if goes_on(one.column) or says_time(one.column):
        return False
    if isinstance(one, Category):
        return len(one.levels) > ONE_HOT_LEVELS
    if not named or one.kind != "number" or one.may_be or one.last_year or one.dated_by:
        return False
    width = (one.above - one.below) / 3  # moved out by it
    return one.notation.holds != DURATIONS and 2 * one.fill % 1 == 0 and width >= FEWEST_GROUPS - 1


def _groups(one: Number | Category, column: Column) -> tuple[int, ...]:
    """Count the values that stand in runs of rows, and these rows; nothing where they do not."""
    if isinstance(one, Number):
        cells = read_numbers(column, one.notation)
        cells = cells[np.isfinite(cells)]
        if (cells != np.floor(cells)).any():
            return ()
        codes, numbers = pd.factorize(cells)
    else:
        codes, texts = distinct_values(column)
        codes = codes[codes >= 0]
    counts = np.bincount(codes)
    if not _in_blocks(codes, counts):
        return ()
    if not (may_say_group(one.column) or says_group(one.column)) and not (
        _run_on(numbers, counts)
        if isinstance(one, Number)
        else _are_names([*map(level_name, texts)], counts)
    ):
        return ()
    return len(counts), len(codes)


def _in_blocks(codes: NDArray[np.intp], counts: NDArray[np.intp]) -> bool:
    """Tell whether codes (n,), numbered as they appear, stand in runs, a few rows each."""
    if len(counts) < FEWEST_GROUPS or len(codes) < FEWEST_EACH * len(counts):
        return False
    again = counts > 1
    starts = np.append(True, codes[1:] != codes[:-1])
    runs = np.bincount(codes[starts], minlength=len(counts))
    enough = 2 * again.sum() >= FEWEST_GROUPS and counts.max() <= MOST_EACH * len(codes)
    return bool(enough and (runs[again] == 1).mean() >= IN_ONE_RUN)


def _run_on(values: NDArray[np.float64], counts: NDArray[np.intp]) -> bool:
    """Tell whether whole numbers, as they appear, are counted, and not what rows are sorted by."""
    if np.ptp(values) > len(values) ** 2 / COLLISIONS:
        return False
    return not _are_sorted(values) or _of_a_size(counts)


def _are_names(texts: Sequence[str], counts: NDArray[np.intp]) -> bool:
    """Tell whether texts, as they appear, are counted behind one stem, or not sorted."""
    parts = [COUNTED.fullmatch(text) for text in texts]
    found = [part for part in parts if part is not None]
    if len(found) == len(texts) and len({part[1] for part in found}) == 1:
        numbers = np.array([int(part[2]) for part in found], dtype=np.float64)
        if np.ptp(numbers) <= len(numbers) ** 2 / COLLISIONS:
            return True
    places = np.argsort(np.argsort(np.array(texts, dtype=object), kind="stable"))
    return not _are_sorted(places) or _of_a_size(counts)


def _are_sorted(values: NDArray[np.generic]) -> bool:
    steps = np.sign(np.diff(values.astype(np.float64)))
    return bool((steps >= 0).all() or (steps <= 0).all())


def _of_a_size(counts: NDArray[np.intp]) -> bool:
    return bool(np.bincount(counts)[2:].max(initial=0) >= OF_A_SIZE * len(counts))
