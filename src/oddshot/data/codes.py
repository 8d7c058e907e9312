"""Columns of delimited text that look like whole numbers, and are codes: these are text.

As numbers, codes such as 007 would lose their leading zeros, long ones their last digits, phone
numbers their plus, and 4E29 would have thirty digits.
"""

import re

import numpy as np
import pandas as pd

from oddshot.frames import CODE_TEXT, LETTER_CODE, PHONE_TEXT

EXACT = 2.0**53  # whole numbers up to this are exact as floats
LONG = 16  # digits of those that may be none
LOOKED_AT_FIRST = 64  # cells
PART = 2**18  # bytes
PLUS = re.compile(r"\+[1-9]\d{7}")  # as phone numbers begin
DIGITS = np.isin(np.arange(256), [*b"0123456789"])


def whole_numbers(frame: pd.DataFrame) -> list[str]:
    """Name the columns in which all cells are read as whole numbers, or as gaps beside these."""
    return [str(name) for name, column in frame.items() if _is_whole(column)]


def _is_whole(column: "pd.Series[float]") -> bool:
    if column.dtype.kind == "f":
        values = column.to_numpy()
        first = values[:LOOKED_AT_FIRST]
        if (first != np.floor(first))[~np.isnan(first)].any():
            return False
        known = values[~np.isnan(values)]
        return bool(len(known) and (known == np.floor(known)).all())
    if column.dtype.kind == "O":  # numbers of many digits
        return pd.api.types.infer_dtype(column, skipna=True) == "integer"
    return column.dtype.kind in "iu"


def lose_digits(frame: pd.DataFrame) -> bool:
    """Tell whether some numbers are so large, beside gaps, that not all of their digits are kept.

    >>> lose_digits(pd.DataFrame({"a": [2.0**53, np.nan]})), lose_digits(pd.DataFrame({"a": [7.0]}))
    (True, False)
    """
    floats = frame.select_dtypes("float").to_numpy()
    return bool((np.abs(floats) >= EXACT).any())


def may_hold_codes(text: str, delimiter: str) -> bool:
    r"""Tell, quickly, whether a field of a text may be digits that begin with 0, or a phone number.

    >>> [may_hold_codes(text, ",") for text in ("1,05\n", "1,+4930123456\n", "1,+5\n")]
    [True, True, False]
    """
    return PLUS.search(text) is not None or holds_leading_zeros(text, delimiter)


def holds_leading_zeros(text: str, delimiter: str) -> bool:
    r"""Tell, quickly, whether a field of a text, or a word in one, may be digits that begin with 0.

    >>> [holds_leading_zeros(text, ",") for text in ("1,05\n", '1,"007"', "0.5,0\n", "01.02.24,10")]
    [True, True, False, False]
    """
    content = np.frombuffer(f"\n{text}\n".encode(), dtype=np.uint8)
    border = np.isin(np.arange(256), [*f'\r\n" {delimiter}'.encode()])
    for start in range(0, len(content) - 2, PART):
        before, zero, digit = (content[start + i : start + i + PART] for i in range(3))
        found = (zero[: len(digit)] == ord("0")) & (digit - np.uint8(ord("0")) < 10)
        found &= before[: len(digit)] - np.uint8(ord("0")) >= 10  # at once for most
        at = np.flatnonzero(found) + start
        at = at[border[content[at]]] + 3
        while len(at):
            if border[content[at]].any():
                return True
            at = at[DIGITS[content[at]]] + 1
    return False


def codes_among(cells: pd.DataFrame) -> set[str]:
    """Name the columns of texts that are codes."""
    return {str(name) for name, column in cells.items() if _are_codes(column)}


def _are_codes(column: "pd.Series[str]") -> bool:
    texts = column.dropna().unique()
    words = [text.strip() for text in np.asarray(texts, dtype=object).tolist()]  # at once
    if any(word[:1] == "0" and CODE_TEXT.fullmatch(word) for word in words):
        return True
    if words and all(map(PHONE_TEXT.fullmatch, words)):
        return True
    if len(words) > 1 and all(map(LETTER_CODE.fullmatch, words)):
        return True
    long = {int(word) for word in words if len(word) >= LONG and word.isdecimal()}
    return len({*map(float, long)}) < len(long)
