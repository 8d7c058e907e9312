"""Levels of quality: how many rows are compared with, and what is left out, to be faster."""

from dataclasses import dataclass

from oddshot.mapping.support import MAX_TYPICAL


@dataclass(frozen=True, slots=True)
class Quality:
    """One level.

    Parameters
    ----------
    max_typical
        Typical rows to compare with, at most.
    left_out
        Names of the label-free blocks that are not computed; their coordinates are 0 for all rows.
    """

    max_typical: int
    left_out: tuple[str, ...] = ()


# what is left out costs most of those without which a prior loses nothing (docs/speed.md)
QUALITIES = {
    "fast": Quality(512, ("Subsets", "Isolation")),
    "standard": Quality(MAX_TYPICAL),
}
