"""Truth values, in the spellings in which they come."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.frames import MISSING_WORDS

TRUE_WORDS, FALSE_WORDS = ("y", "yes", "true"), ("n", "no", "false")


def are_booleans(values: Sequence[Any]) -> bool:
    """Whether all values are true or false, in some spelling."""
    return all(
        isinstance(v, bool | np.bool_)
        or (isinstance(v, str) and v.strip().lower() in ("true", "false"))
        or _is_missing_word(v)
        for v in values
    ) and not all(map(_is_missing_word, values))


def booleans_or_none(values: Sequence[Any]) -> FloatArray | None:
    """All values as 0 or 1, missing words as NaN; ``None`` if one is no truth value."""
    parsed = np.empty(len(values))
    for i, value in enumerate(values):
        truth = truth_or_none(value)
        if truth is None:
            return None
        parsed[i] = truth
    return parsed


def truth_or_none(value: Any) -> float | None:
    """Give 1 for true, 0 for false, NaN for a missing word; ``None`` for what is neither."""
    if isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in TRUE_WORDS + FALSE_WORDS:
            return float(word in TRUE_WORDS)
        return np.nan if _is_missing_word(word) else None
    if isinstance(value, numbers.Real) and value in (0, 1):  # how files may bring booleans back
        return float(value)
    return None


def _is_missing_word(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in MISSING_WORDS
