"""Levels counted anew: as if some rows had not been there, and rows written by other counts."""

from oddshot.episodes import FloatArray
from oddshot.mapping.encoding.layout import Layout
from oddshot.mapping.encoding.recipe import Recipe


def recipes_without(layout: Layout, rows: FloatArray, times: FloatArray) -> list[Recipe]:
    """Give recipes that do not count some rows (n, p + q), encoded, each ``times`` (n,)."""
    recipes: list[Recipe] = list(layout.recipes)
    for i, category, at in layout.told_apart():
        recipes[i] = category.without(category.places_written(rows[:, at]), times)
    return recipes


def rewritten(layout: Layout, rows: FloatArray) -> FloatArray:
    """Write rows (n, p + q) as a layout's counts have it, which were written by others."""
    told_apart = layout.told_apart()
    if not told_apart:
        return rows
    rows = rows.copy()
    for i, category, at in told_apart:
        places = category.places_written(rows[:, at])
        start = layout.starts[i]
        category.write_places(places, rows[:, start : start + len(category.outputs())])
        if category.aside():
            rows[:, at] = places[:, None]
    return rows + 0.0  # see `Encoder.transform`
