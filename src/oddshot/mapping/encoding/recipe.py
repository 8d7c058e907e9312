"""What one column holds, and the recipe by which its cells become numbers.

`recipe` looks at a column and answers one of five values: `Number`, `Date`, `Category`, `Constant`,
`LeftOut`. Nothing depends on the order of the rows.
"""

import re
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp

from oddshot.episodes import FloatArray
from oddshot.errors import DataError
from oddshot.mapping.cells.column_names import says_place
from oddshot.mapping.cells.date_notation import find_date_format
from oddshot.mapping.cells.days import COMPACT
from oddshot.mapping.cells.distinct import Column, distinct_values, nested_type, occurrences
from oddshot.mapping.cells.level_names import are_codes, level_name
from oddshot.mapping.cells.notation import (
    DURATIONS,
    NUMBERS,
    Notation,
    count_bounds,
    find_notation,
    what_is_held,
)
from oddshot.mapping.cells.number_dates import find_number_date, no_dates, zeros_for_none
from oddshot.mapping.cells.reading import read_booleans, read_numbers
from oddshot.mapping.cells.truth_values import are_booleans
from oddshot.mapping.encoding.category import Category
from oddshot.mapping.encoding.category_recipe import category_recipe
from oddshot.mapping.encoding.date import Date
from oddshot.mapping.encoding.date_recipe import date_recipe
from oddshot.mapping.encoding.left_out import WHOLE, Constant, LeftOut
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.number_recipe import number_recipe

WHOLE_NUMBER = re.compile(r"[+-]?\d+")

Recipe: TypeAlias = LeftOut | Constant | Number | Date | Category


def recipe(name: str, column: Column, *, named: bool) -> Recipe:
    """Look at one column of a data frame.

    Parameters
    ----------
    name
        What the column is called.
    column
        Shape (n,): its cells.
    named
        Whether the user gave that name; only then can integers be an identifier, or numbers dates.
    """
    kind = column.dtype.kind
    if column.isna().all():
        return LeftOut(name, "all values are missing")
    if isinstance(column.dtype, pd.CategoricalDtype):
        return category_recipe(name, column, may_be_id=False)
    if kind == "b":
        return number_recipe(name, read_booleans(column), kind="boolean")
    if kind in "iufm":
        return _of_numbers(name, column, named=named)
    if kind == "c":
        raise DataError(f"Complex data not supported: column {name!r}; give real numbers")
    if kind == "M" or isinstance(column.dtype, pd.PeriodDtype):
        return date_recipe(name, column, "ISO8601")
    return _by_content(name, column, named=named)


def _of_numbers(name: str, column: Column, *, named: bool) -> Recipe:
    kind = column.dtype.kind
    values = read_numbers(column)
    if kind in "iu" and _collapse(values, column):
        return category_recipe(name, column, may_be_id=True)
    written = find_number_date(name, values) if named and kind != "m" else None
    if written:
        return date_recipe(name, column, written, words=no_dates(values, written))
    notation = Notation(holds=DURATIONS if kind == "m" else NUMBERS)
    return number_recipe(name, values, named=named, notation=notation)


def _by_content(name: str, column: Column, *, named: bool) -> Recipe:
    if nested := nested_type(column):
        return LeftOut(name, f"nested values ({nested}); give plain columns")
    codes, distinct = distinct_values(column)
    if are_booleans(distinct):
        return number_recipe(name, read_booleans(column), kind="boolean")
    coded = are_codes(distinct)
    if coded and (zeros := zeros_for_none(distinct)):
        others = recipe(name, column.mask(column.isin(zeros)), named=named)
        if isinstance(others, Date) and others.date_format in COMPACT:
            words = (*others.notation.words, *(zero.strip() for zero in zeros))
            return date_recipe(name, column, others.date_format, words=words)
    place = says_place(name)
    notation = None if coded else find_notation(distinct, occurrences(codes), place=place)
    if notation is not None:
        return _of_written_numbers(name, column, notation, named=named)
    if (dates := find_date_format(distinct)) is not None:
        return date_recipe(name, column, dates.form, words=dates.words)
    return category_recipe(name, column, may_be_id=True)


def _of_written_numbers(name: str, column: Column, notation: Notation, *, named: bool) -> Recipe:
    codes, distinct = distinct_values(column)
    holds = DURATIONS if notation.spans else what_is_held(distinct, notation.words)
    notation = replace(notation, holds=holds)
    values = read_numbers(column, notation)
    plain = named and notation == Notation(words=notation.words, holds=NUMBERS)
    written = find_number_date(name, values) if plain else None
    if written:
        words = (*notation.words, *no_dates(values, written))
        return date_recipe(name, column, written, words=words)
    if _collapse(values, column):
        return category_recipe(name, column, may_be_id=True)
    found = number_recipe(name, values, named=named, notation=notation)
    bounds = count_bounds(distinct, occurrences(codes))
    return replace(found, bounds=bounds) if isinstance(found, Number) and any(bounds) else found


def _collapse(values: FloatArray, column: Column) -> bool:
    """Tell whether whole numbers (n,) are so long that different ones become one as floats."""
    known = values[~np.isnan(values)]
    if not len(known) or not (np.abs(known) >= WHOLE).all():
        return False
    names = map(level_name, distinct_values(column)[1])
    whole = {int(name) for name in names if WHOLE_NUMBER.fullmatch(name)}
    return len(np.unique(known)) < len(whole)


def recipes_of_matrix(matrix: Any, labels: list[str], *, named: bool) -> list[Recipe]:
    """Look at the columns of a matrix (n, d) of numbers, dense or sparse."""
    if not sp.issparse(matrix):
        return [
            recipe(label, pd.Series(matrix[:, i].astype(np.float64)), named=named)
            for i, label in enumerate(labels)
        ]
    by_column = sp.csc_array(matrix, dtype=np.float64)
    written = np.split(by_column.data, by_column.indptr[1:-1])
    return [
        number_recipe(
            label,
            values,
            zeros=matrix.shape[0] - len(values),
            named=named,
            notation=Notation(holds=NUMBERS),
        )
        for label, values in zip(labels, written, strict=True)
    ]
