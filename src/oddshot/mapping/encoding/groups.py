"""Columns that name what rows belong to, as a patient of several visits."""

import numpy as np
from numpy.typing import ArrayLike

from oddshot.mapping.cells.column_names import says_group

FEWEST_GROUPS = 20
FEWEST_EACH, MOST_EACH = 1.5, 50.0  # rows of a group, on average
EVEN = 3.0  # times as many in the largest group as on average; and as many rows more


def names_groups(name: str, counts: ArrayLike) -> bool:
    """Tell whether a column names groups of rows, by its name and how often values occur (m,).

    Its values are many, and each occurs a few times, about equally often.

    >>> names_groups("patient_id", [4] * 100), names_groups("age", [4] * 100)
    (True, False)
    >>> names_groups("shop_id", [300] * 40), names_groups("icd key", [400, *[2] * 100])
    (False, False)
    """
    tally = np.asarray(counts)
    if not says_group(name) or len(tally) < FEWEST_GROUPS:
        return False
    each = float(tally.mean())
    return FEWEST_EACH <= each <= MOST_EACH and bool(tally.max() <= EVEN * (each + 1))


def told_groups(groups: int, rows: int) -> str:
    """Say what to do with such a column."""
    return (
        f"may name what rows belong to, as a lot or a customer ({groups:,} values in {rows:,} "
        "rows), and new ones would be odd; if so, leave it out, and calibrate by it (--leave-out, "
        "--group-column; groups in Python)"
    )
