"""How messages say numbers, numbers of things, and what is too long to be shown."""

from collections.abc import Iterable
from math import floor, isfinite, log10

DIGITS, MOST_DIGITS = 5, 12  # numbers that are alike in twelve digits differ by rounding
LEAST_PLAIN, MOST_PLAIN = 1e-4, 1e15  # with an exponent beyond
THOUSANDS_FROM = 1e5
LEAST_SHARE = 0.001
LONGEST_PATH, SHOWN = 1024, 80


def counted(number: int, things: str) -> str:
    """Say a number of things, which are named in the plural.

    >>> counted(1, "rows"), counted(1, "known anomalies"), counted(1500, "rows")
    ('1 row', '1 known anomaly', '1,500 rows')
    """
    if number != 1:
        return f"{number:,} {things}"
    one = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    return f"1 {one}"


def short_number(value: float, digits: int = DIGITS, *, thousands: bool = False) -> str:
    """Write a number with the digits that count; whole ones of more digits are not rounded.

    ``thousands``: commas between them, from 100,000 on.

    >>> short_number(0.123456), short_number(5812412.25), short_number(99999.6, thousands=True)
    ('0.12346', '5812412', '100,000')
    """
    if not (isfinite(value) and LEAST_PLAIN <= abs(value) < MOST_PLAIN):
        return f"{value:.{digits}g}"
    decimals = max(digits - 1 - floor(log10(abs(value))), 0)
    rounded = round(value, decimals)
    mark = "," if thousands and abs(rounded) >= THOUSANDS_FROM else ""
    text = f"{rounded:{mark}.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def digits_apart(values: Iterable[float], digits: int = DIGITS) -> int:
    """Count the digits that numbers told side by side need so that different ones differ.

    >>> digits_apart([1000.04, 1000.0]), digits_apart([1.5, 1.5])
    (6, 5)
    """
    numbers = {float(value) for value in values}
    different = len({short_number(number, MOST_DIGITS) for number in numbers})
    return next(
        count
        for count in range(digits, MOST_DIGITS + 1)
        if count == MOST_DIGITS
        or len({short_number(number, count) for number in numbers}) == different
    )


def share_of(share: float) -> str:
    """Say a share of rows in percent; one that is neither none nor all is not called so.

    >>> share_of(0.25), share_of(0.0), share_of(0.0003), share_of(0.9998)
    ('25.0%', '0.0%', 'under 0.1%', 'over 99.9%')
    """
    if 0 < share < LEAST_SHARE:
        return f"under {LEAST_SHARE:.1%}"
    if 1 - LEAST_SHARE < share < 1:
        return f"over {1 - LEAST_SHARE:.1%}"
    return f"{share:.1%}"


def short(text: str) -> str:
    """Cut a text that is longer than any path, as the content of a file in the place of its name.

    >>> short("sales.csv"), len(short("1,2" * 9999))
    ('sales.csv', 83)
    """
    return text if len(text) <= LONGEST_PATH else f"{text[:SHOWN]}..."
