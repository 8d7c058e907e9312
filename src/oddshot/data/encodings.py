"""How the letters of a text file are written, where it is not plain UTF-8."""

import codecs
from typing import NamedTuple

BAD = "\ufffd"
FEW = 0.1  # bad bytes for each letter beyond ASCII that can be read, up to which it is UTF-8
WINDOWS, OLDER = "cp1252", "latin-1"
MARKS = {  # at the beginning; those of UTF-16 begin some of UTF-32, so these go first
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


class Encoding(NamedTuple):
    """A codec, what it does with bytes that it cannot read, and what a reader is told."""

    codec: str
    errors: str
    note: str


def marked(data: bytes) -> str | None:
    """Tell the codec of a text whose first bytes are its mark, but for UTF-8's.

    >>> marked("a".encode("utf-32")), marked("a".encode("utf-16")), marked(b"a")
    ('utf-32', 'utf-16', None)
    """
    return next((codec for codec, marks in MARKS.items() if data.startswith(marks)), None)


def other_than_utf8(data: bytes) -> Encoding:
    r"""Tell how bytes that are no clean UTF-8 are best read.

    UTF-8 with a few damaged letters stays so: else all others would be misread. What is not is
    Windows-1252, as most programs write that write no UTF-8; Latin-1 where bytes occur that it does
    not know.

    Parameters
    ----------
    data
        The text, or its beginning.

    Examples
    --------
    >>> other_than_utf8("5 €".encode("cp1252")).note
    'not UTF-8: read as Windows-1252'
    >>> other_than_utf8("größer grün schön über ".encode() * 5 + b"gr\xfcn").note
    'UTF-8 but for 1 bad byte(s), the first in line 1: written as a question mark in a diamond'
    """
    text = data.decode("utf-8-sig", errors="replace")
    bad = text.count(BAD)
    beyond = sum(letter > "\x7f" for letter in text) - bad
    if bad <= FEW * beyond:
        line = text[: text.index(BAD)].count("\n") + 1 if bad else 1
        note = (
            f"UTF-8 but for {bad:,} bad byte(s), the first in line {line:,}: written as a question "
            "mark in a diamond"
        )
        return Encoding("utf-8-sig", "replace", note)
    try:
        data.decode(WINDOWS)
    except UnicodeDecodeError:
        return Encoding(OLDER, "strict", "not UTF-8: read as Latin-1")
    return Encoding(WINDOWS, "strict", "not UTF-8: read as Windows-1252")
