"""Encoded rows back in the user's units."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from oddshot.episodes import FloatArray
from oddshot.mapping.encoding.category import UNSEEN_COUNT, Category
from oddshot.mapping.encoding.date import Date
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.encoding.number import Number

EPOCH = pd.Timestamp("1970-01-01")
SECOND = 86400


def decode(encoder: Encoder, encoded: FloatArray) -> pd.DataFrame:
    """Read encoded rows as the rows that they were.

    Parameters
    ----------
    encoder
        The one that encoded them.
    encoded
        Shape (n, p), or (n, p + q) with what stands aside.

    Returns
    -------
    DataFrame
        Shape (n, source columns), named after these, of objects: numbers, truth values,
        ``pandas.Timestamp`` (as written, to the second), levels, and ``None`` for a gap; no columns
        that are left out, but with what stands aside those that were constant, "another value"
        where they are not. Where which of many levels it is does not stand aside, a category comes
        back as the level where its count is unique, else in words: "one of 40 levels with 3 rows
        each".

    Examples
    --------
    >>> rows = pd.DataFrame({"kg": [1.5, None, 2.0, 1.0], "colour": ["red", "red", "blue", "red"]})
    >>> encoder = Encoder().fit(rows)
    >>> decode(encoder, encoder.transform(rows)).values.tolist()
    [[1.5, 'red'], [None, 'red'], [2.0, 'blue'], [1.0, 'red']]
    """
    readers: dict[type, Callable[[Any, FloatArray], list[Any]]] = {
        Number: _numbers,
        Date: _dates,
        Category: _levels,
    }
    start, width = 0, len(encoder.encoded_names_)
    beside = encoded[:, width:].T
    aside = dict(zip([column for column, _ in encoder.aside_names_], beside, strict=False))
    columns: dict[str, list[Any]] = {}
    for recipe in encoder.recipes:
        stop = start + len(recipe.outputs())
        if recipe.column in aside:
            columns[recipe.column] = _aside(recipe, aside[recipe.column])
        elif start < stop:
            columns[recipe.column] = readers[type(recipe)](recipe, encoded[:, start:stop])
        start = stop
    return pd.DataFrame(columns, dtype=object)


def _aside(recipe: Any, read: FloatArray) -> list[Any]:
    """Levels by their places, or whether constants are what they were."""
    places = np.rint(read).astype(np.intp)
    if isinstance(recipe, Category):
        cells: list[Any] = [*recipe.levels, "a level not seen at fit"]
    else:
        value = bool(recipe.value) if recipe.holds == "boolean" else recipe.value
        cells = [value, "another value"]
    return [cells[place] for place in places]


def _numbers(number: Number, encoded: FloatArray) -> list[Any]:
    values = encoded[:, 0] if number.varies else np.full(len(encoded), number.fill)
    plain = [bool(v) if number.kind == "boolean" else float(v) for v in values]
    if not number.missing:
        return plain
    gaps = encoded[:, int(number.varies)] > 0.5
    return [None if gap else value for value, gap in zip(plain, gaps, strict=True)]


def _dates(date: Date, encoded: FloatArray) -> list[Any]:
    return [
        None if days is None else EPOCH + pd.Timedelta(round((days + date.origin) * SECOND), "s")
        for days in _numbers(date, encoded)
    ]


def _levels(category: Category, encoded: FloatArray) -> list[Any]:
    count = len(category.levels)
    if encoded.shape[1] > 1:
        known = [*category.levels, "a level not seen at fit"]
        at = np.where(encoded[:, :-1].max(axis=1) > 0.5, encoded[:, :-1].argmax(axis=1), count)
        return [known[place] for place in at]
    rows = sum(category.counts)
    found = np.rint(10 ** -encoded[:, 0] * rows * 2) / 2  # counts, and a half for unseen levels
    return [_level_with(category, float(times)) for times in found]


def _level_with(category: Category, times: float) -> str | None:
    if times == UNSEEN_COUNT:
        return "a level not seen at fit"
    alike = [level for level, n in zip(category.levels, category.counts, strict=True) if n == times]
    if len(alike) == 1:
        return alike[0]
    return f"one of {len(alike)} levels with {times:.0f} row{'s' * (times != 1)} each"
