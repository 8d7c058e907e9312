"""Recipes as settings for JSON and an array of numbers, and back."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.notation import PLAIN, Notation
from oddshot.mapping.encoding.category import Category
from oddshot.mapping.encoding.date import Date
from oddshot.mapping.encoding.left_out import Constant, LeftOut
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import Recipe
from oddshot.mapping.encoding.seen_time import SeenTime

LIMITS = ("fill", "low", "high", "below", "above", "missing", "varies")  # of a `Number`
KINDS = {
    Number: "number",
    Date: "date",
    Category: "category",
    Constant: "constant",
    LeftOut: "left out",
}


def state_of_recipes(recipes: list[Recipe]) -> tuple[list[dict[str, Any]], FloatArray]:
    """Give settings of each column, and an array (q, 7), one row a column of numbers."""
    columns = [{"recipe": KINDS[type(r)]} | _settings(r) for r in recipes]
    numbers = [[getattr(r, name) for name in LIMITS] for r in recipes if type(r) is Number]
    return columns, np.array(numbers, dtype=np.float64).reshape(-1, len(LIMITS))


def recipes_from_state(columns: list[dict[str, Any]], numbers: NDArray[Any]) -> list[Recipe]:
    """Restore recipes from the two parts that `state_of_recipes` gave."""
    rows = iter(numbers.tolist())
    return [_restored(dict(column), rows) for column in columns]


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Give what a recipe says, without what the array of numbers keeps, and a plain notation."""
    told = asdict(recipe)
    if "notation" in told:
        plain = asdict(PLAIN)
        told["notation"] = {k: v for k, v in told["notation"].items() if v != plain[k]}
    for name in LIMITS if type(recipe) is Number else ():
        del told[name]
    for name, usual in (
        ("alone", False),
        ("mixed", ""),
        ("by_meaning", False),
        ("by_type", False),
        ("notation", {}),
        ("begun", []),
        ("beside", ""),
        ("by_years", False),
        ("seen", asdict(SeenTime())),
        ("offsets", ""),
        ("last_year", 0.0),
        ("usual", ()),
        ("code", ()),
        ("may_be", ""),
        ("groups", ()),
        ("bounds", ()),
        ("dated_by", ""),
        ("part", ""),
    ):
        if told.get(name) == usual:
            del told[name]
    return told


def _restored(column: dict[str, Any], rows: Iterator[list[float]]) -> Recipe:
    """Restore a recipe from its settings, and the next of rows of `LIMITS`."""
    kind = column.pop("recipe")
    if "notation" in column:
        told = column["notation"]
        units = tuple((unit, float(factor)) for unit, factor in told.get("units", ()))
        column["notation"] = Notation(
            told.get("comma", False),
            tuple(told.get("words", ())),
            units,
            told.get("holds", ""),
            tuple(told.get("marks", ())),
            told.get("before", ""),
            told.get("spans", False),
        )
    if kind == "category":
        return Category(**column | {"groups": tuple(column.get("groups", ()))})
    if kind == "number":
        for name in ("usual", "code", "groups", "bounds"):
            column[name] = tuple(column.get(name, ()))
        fill, low, high, below, above, missing, varies = next(rows)
        return Number(
            column.pop("column"),
            column.pop("kind"),
            *(fill, low, high, below, above),
            missing > 0,
            varies > 0,
            **column,
        )
    if kind == "date":
        seen, code = _seen_time(column.pop("seen", {})), tuple(column.pop("code", ()))
        return Date(**column, seen=seen, code=code)
    if kind == "constant":
        return Constant(**column)
    return LeftOut(**column)


def _seen_time(told: dict[str, Any]) -> SeenTime:
    lists = {name: tuple(told.get(name, ())) for name in ("usual", "scarce", "strays")}
    return SeenTime(told.get("start", 0.0), told.get("cell", 0.0), **lists)
