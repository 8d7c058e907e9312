"""Levels that are known, found again as other programs write them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from oddshot.frames import MISSING_WORDS
from oddshot.mapping.cells.distinct import Column, distinct_values
from oddshot.mapping.cells.level_names import code_key, level_key, level_name, truth_key

TRUTHS = {"0", "1"}  # keys of truth values


class Spellings:
    """Levels by their names, and by what all spellings of one share.

    Words for gaps are gaps, but for those that are levels themselves, in any letter case; y, yes
    and true are one where there are two levels, the other being n, no or false; 5 and 05 where one
    of them is a level.

    Parameters
    ----------
    levels
        Names of those that are known.
    by_meaning
        Whether to do so; an older version knew but ``level_key``, took words for levels, and named
        bytes as Python writes them.

    Examples
    --------
    >>> [Spellings(["05", "51"]).find(name) for name in ("5", "51.0", "n/a", "7")]
    ['05', '51', None, '7']
    >>> [Spellings(["N", "Y"]).find(name) for name in ("yes", "False", "maybe")]
    ['Y', 'N', 'maybe']
    """

    def __init__(self, levels: Iterable[str], *, by_meaning: bool = True) -> None:
        self._levels = dict.fromkeys(levels)
        self._by_meaning = by_meaning
        self._keys = [level_key]
        if by_meaning:
            two = len(self._levels) == len(TRUTHS)
            pair = two and {*map(truth_key, self._levels)} == TRUTHS
            self._keys += [truth_key, code_key] if pair else [code_key]

    def find(self, name: str) -> str | None:
        """Give the level that a name means: the name itself for a new one, ``None`` for a gap."""
        if name in self._levels:
            return name
        if self._by_meaning and means_gap(name):
            return self._words.get(name.lower())
        of_bytes = repr(name.encode("utf-8", "surrogatepass"))
        if not self._by_meaning and of_bytes in self._levels:
            return of_bytes
        found = (known.get(key(name)) for key, known in zip(self._keys, self._known, strict=True))
        return next((level for level in found if level is not None), name)

    @cached_property
    def _words(self) -> dict[str, str]:
        """Levels that are words for gaps by these in small letters, each of which is but one's."""
        words = [level for level in self._levels if means_gap(level)]
        shared = Counter(map(str.lower, words))
        return {word.lower(): word for word in words if shared[word.lower()] == 1}

    @cached_property
    def _known(self) -> list[dict[str, str]]:
        """Levels by each of the keys, made where a name is none of theirs."""
        known = [{key(level): level for level in self._levels} for key in self._keys]
        if self._by_meaning:  # 005 is neither 05 nor 5, where both are levels
            shared = Counter(map(code_key, self._levels))
            known[-1] = {key: level for key, level in known[-1].items() if shared[key] == 1}
        return known


def means_gap(name: str) -> bool:
    """Tell whether the name of a level is a word for a gap, or empty."""
    return name.lower() in MISSING_WORDS


def without_gaps(counts: Mapping[str, int], gaps: int) -> tuple[dict[str, int], int]:
    """Count words for gaps among these: levels with their counts, and the number of gaps.

    Where there are gaps beside such words, the words are told apart from them.

    >>> without_gaps({"a": 2, "": 1, "N/A": 3}, 0), without_gaps({"a": 2, "N/A": 3}, 0)
    (({'a': 2, 'N/A': 3}, 1), ({'a': 2}, 3))
    """
    gaps += counts.get("", 0)
    levels = {name: n for name, n in counts.items() if name and not (means_gap(name) and not gaps)}
    return levels, gaps or sum(counts.values()) - sum(levels.values())


def gap_cells(column: Column) -> NDArray[np.bool_]:
    """Tell which cells (n,) are gaps, or hold words for these."""
    codes, distinct = distinct_values(column)
    return np.array([*(means_gap(level_name(value)) for value in distinct), True])[codes]
