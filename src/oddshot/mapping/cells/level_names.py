"""What the levels of a category are called, whichever type their cells have."""

import numbers
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from oddshot.frames import CODE_TEXT, MISSING_WORDS, PHONE_TEXT
from oddshot.mapping.cells.truth_values import FALSE_WORDS, TRUE_WORDS

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


def truth_key(name: str) -> str:
    """Give the same for levels that are truth values.

    >>> [truth_key(name) for name in ("Y", "true", "1", "No", "maybe")]
    ['1', '1', '1', '0', 'maybe']
    """
    word = name.lower()
    return "1" if word in TRUE_WORDS else "0" if word in FALSE_WORDS else level_key(name)


def code_key(name: str) -> str:
    """Give the same for codes that lost their leading zeros where they were read as numbers.

    >>> [code_key(name) for name in ("05", "5.0", "00", "0.5")]
    ['5', '5', '0', '0.5']
    """
    key = level_key(name)
    return key.lstrip("0") or "0" if CODE_TEXT.fullmatch(key) else key


def are_codes(values: Sequence[Any]) -> bool:
    """Whether digits are levels, not quantities.

    Some are written with leading zeros, as in postcodes, or all as phone numbers: a plus and 8 to
    15 digits.

    >>> [are_codes(texts) for texts in (["05", "17"], ["+4930123456", "-"], ["+4930123456", "-7"])]
    [True, True, False]
    """
    if any(isinstance(value, str) and CODE_TEXT.fullmatch(value.strip()) for value in values):
        return True
    known = [v for v in values if not (isinstance(v, str) and v.strip().lower() in MISSING_WORDS)]
    return bool(known) and all(
        isinstance(value, str) and PHONE_TEXT.fullmatch(value.strip()) for value in known
    )
