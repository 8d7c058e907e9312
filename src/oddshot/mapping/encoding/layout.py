"""Where the outputs of each recipe stand in encoded rows, and what stands aside of them."""

from dataclasses import dataclass

import numpy as np

from oddshot.mapping.encoding.category import Category
from oddshot.mapping.encoding.left_out import Constant
from oddshot.mapping.encoding.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Layout:
    """Recipes of d columns, and the p encoded columns and q aside that they write.

    Parameters
    ----------
    recipes
        One a source column, in their order; their outputs stand side by side.
    starts
        Where those of each begin.
    encoded_names, aside_names
        Source column and meaning of each encoded column, and of each that stands aside.
    aside
        Position and recipe of each column that writes the latter.
    """

    recipes: list[Recipe]
    starts: list[int]
    encoded_names: list[tuple[str, str]]
    aside_names: list[tuple[str, str]]
    aside: list[tuple[int, Category | Constant]]

    @classmethod
    def of(cls, recipes: list[Recipe]) -> "Layout":
        """Lay out the outputs of recipes."""
        outputs = [r.outputs() for r in recipes]
        return cls(
            recipes=recipes,
            starts=np.cumsum([0, *map(len, outputs)])[:-1].tolist(),
            encoded_names=[
                (r.column, what) for r, row in zip(recipes, outputs, strict=True) for what in row
            ],
            aside_names=[(r.column, what) for r in recipes for what in r.aside()],
            aside=[
                (i, r)
                for i, r in enumerate(recipes)
                if isinstance(r, Category | Constant) and r.aside()
            ],
        )

    @property
    def width(self) -> int:
        """Number of encoded columns, p."""
        return len(self.encoded_names)

    def told_apart(self) -> list[tuple[int, Category, slice]]:
        """Give place and recipe of columns of categories, and where their levels are written.

        Columns are left out that an older version saved, see `Category`.
        """
        aside = [name for name, _ in self.aside_names]
        found = []
        for i, (start, r) in enumerate(zip(self.starts, self.recipes, strict=True)):
            if not (isinstance(r, Category) and r.told_apart):
                continue
            at = slice(start, start + len(r.outputs()) - 1)
            if r.aside():
                place = self.width + aside.index(r.column)
                at = slice(place, place + 1)
            found.append((i, r, at))
        return found
