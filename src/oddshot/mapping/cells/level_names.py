"""What the levels of a category are called, whichever type their cells have."""

import numbers
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

CODE_TEXT = re.compile(r"0\d+")  # leading zeros: a postcode, not a quantity
WHOLE_TEXT = re.compile(r"^(-?(?:0|[1-9]\d*))\.0+$")


def level_name(value: Any) -> str:
    """Name a category's level; 3, 3.0 and " 3" are one level."""
    if isinstance(value, str):
        return value.strip()
    whole = isinstance(value, numbers.Real | np.bool_) and value % 1 == 0
    return str(int(value)) if whole else str(value)


def level_key(name: str) -> str:
    """Give what the names of a level share that one value has, written by other programs.

    >>> [level_key(name) for name in ("True", "false", "3.0", "3", "03.0", "red")]
    ['1', '0', '3', '3', '03.0', 'red']
    """
    word = name.lower()
    if word in ("true", "false"):
        return str(int(word == "true"))
    return WHOLE_TEXT.sub(r"\1", name)


def are_codes(values: Sequence[Any]) -> bool:
    """Whether digits are written with leading zeros, as in postcodes: levels, not quantities."""
    return any(isinstance(value, str) and CODE_TEXT.fullmatch(value.strip()) for value in values)
