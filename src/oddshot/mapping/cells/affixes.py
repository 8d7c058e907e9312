"""What stands before all numbers of a column: a currency, as in R$ 1.234,50 or Rs. 500.00."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from oddshot.frames import MISSING_WORDS

SIGN = (
    r"[$\u00a2-\u00a5\u058f\u060b\u07fe\u07ff\u09f2\u09f3\u09fb\u0af1\u0bf9\u0e3f\u17db\u20a0-\u20cf"
    r"\ua838\ufdfc\ufe69\uff04\uffe0\uffe1\uffe5\uffe6]"
)  # of a currency, as Unicode has them
# these are read where not all numbers have one, too
USUAL = (
    r"(?:[$\u20ac\u00a3\u00a5\u20b9]|EUR|USD|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK|BRL)"
)
# of ISO 4217, but for words, as ALL and TRY
CODES = frozenset(
    {"AED", "ARS", "BDT", "BGN", "BHD", "CLP", "EGP", "HKD", "HUF", "IDR", "ILS", "ISK", "JOD",
     "KES", "KRW", "KWD", "KZT", "LKR", "MXN", "MYR", "NGN", "NZD", "OMR", "PKR", "QAR", "RSD",
     "RUB", "SAR", "SGD", "THB", "TND", "TWD", "TZS", "UAH", "UGX", "UYU", "VND", "ZAR"}
)  # fmt: skip
NAMES = frozenset(
    {"rs", "rp", "kr", "fr", "sfr", "rm", "ksh", "tsh", "ush", "tk", "fcfa", "cfa", "kč", "zł",
     "ft", "tl", "\u0440\u0443\u0431", "r", "lei", "s/"}
)  # fmt: skip
# what is counted, or has chapters
NO_MONEY = frozenset(
    {"v", "ver", "vers", "rev", "no", "nr", "num", "fig", "ch", "chap", "sec", "art", "tab", "kap",
     "abs", "vol", "para", "item", "part", "step", "lot"}
)  # fmt: skip
MANY, MOST = 20, 0.95  # texts, and the share of them that one of which it is not sure stands before
LONGEST = 64  # characters
_HEAD = r"[<>\u2264\u2265=\s(+\u2212-]*"
_LETTERS = r"[^\W\d_]"
_BEFORE = re.compile(
    rf"{_HEAD}(?P<affix>{_LETTERS}{{0,3}}{SIGN}|{_LETTERS}{{1,4}}(?:/\.?|\.)?)"
    rf"(?P<gap>\s?)[+\u2212(\s-]*(?P<number>\d.*)"
)
_CENTS = re.compile(r"[\d.,'\u2019 \u00a0\u2009\u202f]*\d[.,]\d\d\D*")
_THOUSANDS = re.compile(
    r"[1-9]\d{0,2}(?:[.,'\u2019 \u00a0\u2009\u202f]\d{2,3})*[.,'\u2019 ]\d{3}(?!\d)"
)
_CURRENCY = re.compile(rf"{_LETTERS}{{0,3}}{SIGN}|{USUAL}")


def find_before(texts: Sequence[str]) -> str:
    """Find the one thing that stands before all numbers, as letters or a sign of a currency.

    Codes are not to be read as numbers. So letters that are no known code of a currency need two
    decimals behind all numbers, or, if they are a known abbreviation, somewhere two or thousands
    that are set apart. What may stand before some numbers alone, as $, is not told.

    >>> find_before(["R$ 1.234,50", "-R$ 7,00"]), find_before(["AB 1234", "AB 1235"])
    ('R$', '')
    """
    begun = [text for text in texts if not text[:1].isdecimal()]
    few = (1 - MOST) * len(texts)
    strays = len(texts) - len(begun)
    spelled: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    told_apart: Counter[str] = Counter()
    for text in begun:
        if strays > few:
            return ""
        found = _BEFORE.fullmatch(text) if len(text) <= LONGEST else None
        if found is None:
            strays += not _may_be_none(text)
            continue
        affix, number = found["affix"], found["number"]
        cents = _CENTS.fullmatch(number) is not None
        if not _may_be_money(affix, number, cents=cents):
            strays += 1
            continue
        thousands = _THOUSANDS.match(number) is not None
        spelled[affix] += 1
        marked[affix] += cents or thousands
        told_apart[affix] += thousands or found["gap"] != ""
    if not spelled:
        return ""
    before = min(spelled, key=lambda affix: (-spelled[affix], affix))
    alike = [affix for affix in spelled if _key(affix) == _key(before)]
    total = sum(spelled[affix] for affix in alike)
    if strays + spelled.total() - total > few:
        return ""
    if is_sure(before):
        return before
    codes = len(before) == 1 and not any(told_apart[affix] for affix in alike)  # A12.50
    money = total >= MANY and any(marked[affix] for affix in alike) and not codes
    return before if money else ""


def is_sure(affix: str) -> bool:
    """Whether what stands before a number can be nothing but a currency."""
    return affix in CODES or re.search(SIGN, affix) is not None


def without(text: str, before: str) -> str | None:
    """Give a text without what stands before its number; ``None`` if it does not stand there.

    >>> without("-Rs. 5", "Rs."), without("RS 5", "Rs."), without("5", "Rs.")
    ('-5', '5', None)
    """
    found = _pattern(before).match(text)
    return None if found is None else found[1] + text[found.end() :]


def currencies(texts: Sequence[str]) -> set[str]:
    """Give the currencies that stand in texts, those alone that are read without asking others."""
    return {found.group() for text in texts if (found := _CURRENCY.search(text))}


@lru_cache(maxsize=256)
def _pattern(before: str) -> re.Pattern[str]:
    bare = re.escape(before.rstrip("."))
    return re.compile(rf"({_HEAD}){bare}\.?\s*(?!{_LETTERS})", re.IGNORECASE)


def _key(affix: str) -> str:
    return affix.rstrip(".").lower()


def _may_be_money(affix: str, number: str, *, cents: bool) -> bool:
    if re.fullmatch(USUAL, affix):
        return False
    if is_sure(affix):
        return True
    if _key(affix) in NO_MONEY or re.match(r"0\d", number):
        return False
    return cents or _key(affix) in NAMES


def _may_be_none(text: str) -> bool:
    """Whether a text is a gap, or nothing as spreadsheets write it: R$ -."""
    return text.lower() in MISSING_WORDS or text.endswith("-")
