"""Values as pieces of HTML: escaped, cut where they are long, numbers as people write them."""

import re
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from oddshot.reports.detection import Detection
from oddshot.wording import DIGITS, short_number

MAX_SHOWN, MAX_TITLE = 48, 200
LONG_WORD, LONG_PART = 10, 16  # a longer word may be broken after a mark, and a part of it anywhere
MARKS = re.compile(r"(?<=[_./\\@:;,|-])(?=[^\W\d_])")
DATE = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)")
MANY_TEXTS = 1000
DAY, MINUTE = 10, 16  # letters of "2024-03-01 12:30" that stay
GAP = "missing"
CONTROLS = {code: 0x2400 + code for code in range(32)} | {127: 0x2421}


def safe(text: object) -> str:
    """Escape text for element and attribute alike; what no file can hold becomes a question mark.

    Examples
    --------
    >>> safe('<b title="&">')
    '&lt;b title=&quot;&amp;&quot;&gt;'
    """
    writable = str(text).translate(CONTROLS).encode("utf-8", "replace").decode("utf-8")
    return escape(writable)


def brief(text: object, most: int = MAX_SHOWN) -> str:
    """Write a text that came from the user: its direction is its own, a long one is cut.

    The whole, up to 200 characters, is shown on hovering.

    Examples
    --------
    >>> brief("amount")
    '<bdi>amount</bdi>'
    >>> brief("x" * 9, most=4)
    '<bdi title="xxxxxxxxx">xxx…</bdi>'
    """
    whole = str(text)
    if len(whole) <= most:
        return f"<bdi>{breakable(whole)}</bdi>"
    title = whole if len(whole) <= MAX_TITLE else whole[: MAX_TITLE - 1] + "…"
    return f'<bdi title="{safe(title)}">{breakable(whole[: most - 1])}…</bdi>'


def breakable(text: str) -> str:
    """Escape a text, and say where a line may break that is too narrow for one of its words.

    Long words break after a mark inside them, and within only where they are longer still; a date
    stays whole.

    Examples
    --------
    >>> breakable("merchant_category"), breakable("monthly order")
    ('merchant_<wbr>category', 'monthly order')
    """
    return DATE.sub(r'<span class="whole">\g<0></span>', " ".join(map(_word, text.split(" "))))


def _word(word: str) -> str:
    if len(word) <= LONG_WORD:
        return safe(word)
    parts = [
        part[at : at + LONG_PART]
        for part in MARKS.split(word)
        for at in range(0, len(part), LONG_PART)
    ]
    return "<wbr>".join(map(safe, parts))


def cell(value: Any, key: float | None = None) -> str:
    """Write a cell of a table, with a number to sort by where it is one, or is read as ``key``.

    Examples
    --------
    >>> cell(1234567.0)
    '<td class="n" data-k="1234567.0">1,234,567</td>'
    >>> cell("5%", 0.05)
    '<td data-k="0.05"><bdi>5%</bdi></td>'
    >>> cell(float("nan"))
    '<td class="gap" data-k="">missing</td>'
    """
    if is_missing(value):
        return f'<td class="gap" data-k="">{GAP}</td>'
    if is_number(value):
        return f'<td class="n" data-k="{_sort_key(value)}">{number(value)}</td>'
    sort_by = "" if key is None else f' data-k="{_sort_key(key)}"'
    return f"<td{sort_by}>{brief(text_of(value))}</td>"


def _sort_key(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value)).replace("inf", "Infinity")


def number(value: Any, digits: int = DIGITS) -> str:
    """Write a number with the digits that count, large ones whole and with thousands.

    Whole numbers of an integer type stay as they are: they may be years or identifiers.

    Examples
    --------
    >>> number(0.123456789), number(250000.0), number(2024), number(1.5e-7)
    ('0.12346', '250,000', '2024', '1.5e-07')
    """
    if isinstance(value, int | np.integer):
        return str(value)
    return short_number(float(value), digits, thousands=True)


def name_of(found: Detection, place: int) -> object:
    """Name a row by its label in the table, an image by its file."""
    return found.rows.index[place] if found.columns else found.rows.iat[place, 0]


def text_of(value: object) -> str:
    """Write one value for a reader: short numbers, nothing where nothing is, no idle clock."""
    if is_missing(value):
        return ""
    if isinstance(value, pd.Timestamp) and value == value.normalize():
        return str(value.date())
    return short_number(float(value)) if isinstance(value, float | np.floating) else str(value)


def clock_of(values: "pd.Series[Any]") -> Callable[[Any], Any]:
    """Make what writes the times of a column alike: as exactly as any of them is, no more.

    Of texts, those that are there tell how exact times are written. Other values are left alone.

    Examples
    --------
    >>> times = pd.Series(pd.to_datetime(["2024-01-06 04:07", "2024-01-07 00:00"]))
    >>> [clock_of(times)(time) for time in times]
    ['2024-01-06 04:07', '2024-01-07 00:00']
    """
    if isinstance(values.dtype, np.dtype | pd.DatetimeTZDtype) and values.dtype.kind == "M":
        clocks = values.dropna().dt
        idle = bool((clocks.second == 0).all() and (clocks.microsecond == 0).all())
        by_day = bool((clocks.normalize() == values.dropna()).all())
        kept = DAY if by_day else MINUTE if idle else None
    else:
        some = values.head(MANY_TEXTS)
        colons = max((text.count(":") for text in some if isinstance(text, str)), default=0)
        kept = {0: DAY, 1: MINUTE}.get(colons)
    return lambda value: _time(value, kept) if isinstance(value, pd.Timestamp) else value


def _time(value: pd.Timestamp, kept: int | None) -> str:
    """Write a time; what it has is never left out, whatever the others have."""
    if kept == DAY and value == value.normalize():
        return str(value.date())
    if kept in (DAY, MINUTE) and value == value.floor("min"):
        return str(value)[:MINUTE] + str(value)[MINUTE + 3 :]
    return str(value)


def is_number(value: object) -> bool:
    """Tell numbers from truth values and all else."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_missing(value: object) -> bool:
    """Tell gaps, however they are written."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
