"""How a column of texts is looked at: levels, names of its rows, or free text."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from oddshot.mapping.cells.date_notation import closest_date_format, resembles_date
from oddshot.mapping.cells.distinct import Column, distinct_values
from oddshot.mapping.cells.level_names import are_codes, level_name
from oddshot.mapping.cells.notation import closest_notation, what_more
from oddshot.mapping.cells.periods import may_mean_else
from oddshot.mapping.cells.spellings import without_gaps
from oddshot.mapping.cells.units import units_differ
from oddshot.mapping.encoding.category import NEARLY_ALL, ONE_HOT_LEVELS, Category
from oddshot.mapping.encoding.left_out import LeftOut, constant_recipe
from oddshot.wording import counted

MOSTLY, UNLIKE = 0.5, 0.6  # shares of texts that are no numbers, or not dates of one format, where
# it is told how many cells are
SAMPLE = 200  # texts that tell whether to look at all
CLOCK = re.compile(r"(?<![\d,])\d\d?[:.]\d\d")


def category_recipe(name: str, column: Column, *, may_be_id: bool) -> LeftOut | Category:
    """Look at a column of levels, or of texts, which may be an identifier instead."""
    codes, distinct = distinct_values(column)
    written: dict[str, int] = {}
    for value, count in zip(distinct, np.bincount(codes[codes >= 0]), strict=True):
        level = level_name(value)
        written[level] = written.get(level, 0) + int(count)
    tally, gaps = without_gaps(written, int((codes < 0).sum()))
    known = len(codes) - gaps
    texts = sorted(tally)
    if not texts:
        return LeftOut(name, "all values are missing")
    if len(texts) == 1 and not gaps:
        why = f"constant ({texts[0]!r})"
        return constant_recipe(name, why, texts[0], holds="category", rows=known)
    mixed = _mixed(texts, tally) if may_be_id and len(texts) > ONE_HOT_LEVELS else ""
    if may_be_id and (why := _says_too_much(texts, known)):
        why = f"dates in a format that is not read (as {texts[0]!r})" if _are_dates(texts) else why
        return LeftOut(name, f"mixed ({mixed})" if mixed else why)
    levels: list[str | None] = [*texts]
    counts = [tally[level] for level in texts]
    by_type = isinstance(column.dtype, pd.CategoricalDtype)
    if gaps:
        levels.append(None)
        counts.append(gaps)
    return Category(
        name, levels, counts, told_apart=True, mixed=mixed, by_meaning=True, by_type=by_type
    )


def _says_too_much(texts: list[str], known: int) -> str:
    """Why texts are no levels; empty if they are."""
    share = f"({len(texts):,} different in {counted(known, 'rows')})"
    words = np.mean([len(text.split()) for text in texts])
    if words >= 3 and len(texts) > max(ONE_HOT_LEVELS, known / 2):
        return f"free text {share}"
    if len(texts) == known or len(texts) > max(ONE_HOT_LEVELS, NEARLY_ALL * known):
        return f"identifier {share}"
    return ""


def _mixed(texts: list[str], tally: Mapping[str, int]) -> str:
    """Say why sorted texts are no numbers or dates although most cells are; else empty."""
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    most = len(sample) * MOSTLY
    if are_codes(texts):
        return ""
    if len(closest_notation(sample, most=most)[1]) <= most:
        strays = {texts[at] for at in closest_notation(texts, most=len(texts))[1]}
        return _told_strays(tally, strays, "numbers") if strays else what_more(texts)
    if more := units_differ(sample):
        return more
    if sum(map(resembles_date, sample)) < len(sample) - most:
        return ""
    form, read, unread = closest_date_format(texts, unlikely=UNLIKE)
    if not read or not unread or may_mean_else(read, form):
        return ""
    return _told_strays(tally, {*unread}, f"dates as {read[0]!r}")


def _are_dates(texts: list[str]) -> bool:
    """Tell whether sorted texts, none of which is read as a date, resemble dates with a clock."""
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    return all(CLOCK.search(text) and resembles_date(text) for text in sample)


def _told_strays(tally: Mapping[str, int], strays: set[str], what: str) -> str:
    """Say how many cells are something, and give one that is not: of the most common the first."""
    others = sum(tally[stray] for stray in strays)
    total = sum(tally.values())
    shown = min(strays, key=lambda stray: (-tally[stray], stray))
    return f"{total - others:,} of {total:,} cells are {what}; {shown!r} is not"
