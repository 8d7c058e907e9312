"""Whole numbers that are codes: of phones, cards, devices, accounts or documents."""

import numpy as np

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.column_names import says_code, says_phone

FEWEST_DIGITS, MOST_DIGITS = 8, 19
PHONE_DIGITS = 15  # of a phone number, at most
CHECKED, FEWEST_CHECKED = 13, 10  # digits and numbers from which check digits are no chance
FEWEST_EVEN, AT_END = 100, 0.02  # numbers that fill all of their digits; share of these, at ends
EVEN = 1.5  # times one by the root of how many these are: so far off they may be of evenness
EXACT = 2.0**53  # smaller whole numbers are exact as floats


def why_codes(name: str, ordered: FloatArray) -> str:
    """Say why whole numbers are codes and no quantities; empty where they may be either.

    They are where all differ, have one number of digits, eight or more, and the name says so (of
    phone numbers these are 8 to 15); or all end in the check digit of cards and devices (Luhn), or
    they fill all numbers with as many digits evenly, as drawn ones do.

    Parameters
    ----------
    name
        Of the column.
    ordered
        Shape (n,): its numbers, sorted.

    Examples
    --------
    >>> amounts = np.array([10_400_350.0, 20_720_120.0, 31_000_000.0])
    >>> why_codes("card_no", amounts)
    'identifier (all integers differ, and the name says so)'
    >>> why_codes("turnover", amounts)
    ''
    """
    least, most = 10.0 ** (FEWEST_DIGITS - 1), 10.0**MOST_DIGITS
    if len(ordered) < 2 or ordered[0] < least or ordered[-1] >= most:
        return ""
    if np.any(ordered != np.floor(ordered)) or np.any(np.diff(ordered) == 0):
        return ""
    digits = len(f"{ordered[0]:.0f}")
    one_count = ordered[-1] < 10.0**digits
    may_be_phones = says_phone(name) and ordered[-1] < 10.0**PHONE_DIGITS
    if may_be_phones or (one_count and says_code(name)):
        return "identifier (all integers differ, and the name says so)"
    if one_count and _are_checked(ordered, digits):
        return "identifier (all integers differ, and end in a check digit)"
    if one_count and _are_even(ordered, digits):
        return f"identifier (all integers differ, and fill all that have {digits} digits)"
    return ""


def _are_checked(ordered: FloatArray, digits: int) -> bool:
    """Tell whether numbers end in the check digit of Luhn."""
    if digits < CHECKED or len(ordered) < FEWEST_CHECKED or ordered[-1] >= EXACT:
        return False
    left, total = ordered.astype(np.int64), np.zeros(len(ordered), dtype=np.int64)
    for place in range(digits):
        left, digit = np.divmod(left, 10)
        times = digit * (1 + place % 2)
        total += times - 9 * (times > 9)
    return not np.any(total % 10)


def _are_even(ordered: FloatArray, digits: int) -> bool:
    """Tell whether numbers lie evenly from the least with their digits to the greatest."""
    if len(ordered) < FEWEST_EVEN:
        return False
    least = 10.0 ** (digits - 1)
    places = (ordered - least) / (9 * least)
    if places[0] > AT_END or places[-1] < 1 - AT_END:
        return False
    expected = (np.arange(len(places)) + 0.5) / len(places)
    return bool(np.abs(places - expected).max() < EVEN / np.sqrt(len(places)))
