"""How surprising it is that a row holds what fit did not see."""

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.encoding.category import NEARLY, UNSEEN_COUNT, Category
from oddshot.mapping.encoding.layout import Layout
from oddshot.mapping.encoding.left_out import Constant
from oddshot.mapping.encoding.number import Number


def never_seen(layout: Layout, normal: FloatArray | None) -> dict[int, tuple[float, float]]:
    """Tell by which value in which column such a row is known, and how surprising it is.

    See `Encoder.never_seen`, of which ``normal`` (k, p + q) are the known normal rows.
    """
    width = layout.width
    if normal is None:
        normal = np.zeros((0, width + len(layout.aside)))
    levels = {}
    for start, r in zip(layout.starts, layout.recipes, strict=True):
        if isinstance(r, Category) and (told := r.unseen()) is not None:
            place = start + len(r.outputs()) - 1
            seen = int((np.abs(normal[:, place] - told[0]) < NEARLY).sum())
            if (unseen := r.unseen(seen)) is not None:
                levels[place] = unseen
    considered = np.log10(max(len(levels), 1))
    changed = (normal[:, width:] == 1).sum(axis=0)
    alone = sum(r.alone for r in layout.recipes if isinstance(r, Number | Category))
    alone += sum(
        bool(changed[i] == 1) for i, (_, r) in enumerate(layout.aside) if isinstance(r, Constant)
    )
    constants = {
        width + i: (1.0, -float(np.log10((alone + UNSEEN_COUNT) / r.rows)))
        for i, (_, r) in enumerate(layout.aside)
        if isinstance(r, Constant) and not changed[i]
    }
    corrected = {place: (rarity, told - considered) for place, (rarity, told) in levels.items()}
    return corrected | constants
