"""What the levels of a category are called, whichever type their cells have."""

import numbers
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from oddshot.frames import CODE_TEXT, LETTER_CODE, MISSING_WORDS, PHONE_TEXT
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
    """Give the same for codes that were read as numbers: 05 and 5, 3E11 and 300000000000.

    >>> [code_key(name) for name in ("05", "5.0", "00", "0.5", "3E11")]
    ['5', '5', '0', '0.5', '300000000000']
    """
    key = level_key(name)
    if LETTER_CODE.fullmatch(key):
        return str(int(float(key)))
    return key.lstrip("0") or "0" if CODE_TEXT.fullmatch(key) else key


def are_codes(values: Sequence[Any]) -> bool:
    """Whether digits are written as in codes, which are levels, not quantities.

    Some are with leading zeros, as in postcodes; or all as phone numbers, a plus and 8 to 15
    digits; or all with an E, as rooms have it, but no point or sign, as numbers would.

    >>> [are_codes(texts) for texts in (["12", "07"], ["4E29", "3E11"], ["4E29", "12"])]
    [True, True, False]
    >>> are_codes(["+4930123456", "-"]), are_codes(["+4930123456", "-7"])
    (True, False)
    """
    texts = [value.strip() for value in values if isinstance(value, str)]
    if any(map(CODE_TEXT.fullmatch, texts)):
        return True
    if len(texts) < len(values):
        return False
    return _matching(PHONE_TEXT, texts) > 0 or _matching(LETTER_CODE, texts) > 1


def _matching(pattern: re.Pattern[str], texts: Sequence[str]) -> int:
    """Count texts that match where all but gaps do, else 0."""
    found = 0
    for text in texts:
        if pattern.fullmatch(text):
            found += 1
        elif text.lower() not in MISSING_WORDS:
            return 0
    return found
