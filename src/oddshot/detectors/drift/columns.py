"""One column in the context and in a window of new rows: whether it moved, and how to say it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.distinct import distinct_values
from oddshot.mapping.cells.level_names import level_key, level_name
from oddshot.mapping.cells.reading import read_booleans, read_numbers
from oddshot.mapping.cells.spellings import Spellings, without_gaps
from oddshot.mapping.encoding.category import NEARLY_ALL, ONE_HOT_LEVELS
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.mapping.encoding.recipe import Recipe
from oddshot.thresholds.two_sample import (
    Divisions,
    differences,
    differences_p,
    level_shares,
    level_shares_p,
)
from oddshot.wording import digits_apart, share_of, short, short_number

MOST_LEVELS = 30  # rarer ones are compared as one
UNITS = (24.0, 60.0, 3600.0, 2.54, 0.3048, 1.609344, 0.45359237)  # times, lengths, pounds
UNIT_QUANTILES = np.linspace(0.1, 0.9, 9)
FEW_DIGITS = 4  # of numbers that are told, but for more where these are alike in as many
UNIT_REACH = 3.0  # a smaller factor is a change like any other, unless it is one of these


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """What became of one column.

    Parameters
    ----------
    column
        Its name; its position where it has none.
    kind
        "values", "levels", "new levels", "missing" or "unreadable", which are tested; "lost",
        "unreadable" where more than half of the cells are, and "new column", which are seen.
    p
        Adjusted for the number of tests in the window, the higher one of the bulk's and of all
        rows'; 0 for a column that is lost or more than half unreadable, 1 for a new one, which a
        detector ignores.
    effect
        The share of rows that would have to change, at the least: largest difference of cumulative
        shares of numbers, half the sum of differences of shares of levels; in [0, 1].
    detail
        What changed, in words.
    factor
        Where numbers look multiplied as by a change of unit: by what.
    lacking
        Whether new rows lack what there was before, as if something were broken: the column is
        lost, or more cells are empty or cannot be read.
    renewed
        Whether nearly all new rows hold levels that fit did not see, of a column that has many, as
        of numbers of lots: later rows will bring others, whatever the context is.
    """

    column: str
    kind: str
    p: float
    effect: float
    detail: str
    factor: float | None = None
    lacking: bool = False
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class ColumnTest:
    """A test before its p-value is adjusted for the others.

    Parameters
    ----------
    change
        What is told.
    p
        Shape (D,): of the bulk, for each division.
    whole
        The p-value of the observed division of all rows. If one column moved far, the oddest rows
        are all on one side, and setting them aside moves other columns of the bulk: these have not
        moved as a whole.
    """

    change: ColumnChange
    p: FloatArray
    whole: float


@dataclass(frozen=True, slots=True)
class Sides:
    """Context and window, pooled, and how they are divided.

    Parameters
    ----------
    frame
        Shape (N, d): rows of the context, then of the window.
    divisions
        Of all rows.
    bulk
        Shape (N,): which rows are not among the oddest.
    bulk_divisions
        Of these.
    """

    frame: pd.DataFrame
    divisions: Divisions
    bulk: NDArray[np.bool_]
    bulk_divisions: Divisions

    @property
    def new(self) -> NDArray[np.bool_]:
        """Which rows are the window's."""
        return self.divisions.new[:, 0]

    def among(self, rows: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Divisions]:
        """Bulk rows among some of all rows."""
        chosen = self.bulk & rows
        if chosen.sum() == self.bulk.sum():
            return chosen, self.bulk_divisions
        return chosen, self.divisions.among(chosen)


def compared_kinds(frame: pd.DataFrame, notes: Iterable[ColumnNote | Recipe]) -> dict[str, str]:
    """Tell the kind of each column that can drift: "number", "boolean" or "category".

    Dates go on by themselves, and identifiers and free text never come back: they are not compared.
    A column that was constant is.
    """
    kinds = {}
    for place, note in enumerate(notes):
        if note.kind in ("number", "boolean", "category"):
            kinds[note.column] = note.kind
        elif note.cause == "constant":
            column = frame.iloc[:, place]
            kinds[note.column] = "number" if column.dtype.kind in "iuf" else "category"
    return kinds


def test_columns(
    sides: Sides, kinds: dict[str, str], elsewhere: pd.DataFrame
) -> Iterator[ColumnTest]:
    """Test each column: values of the bulk; gaps, and levels not seen ``elsewhere``, of all rows.

    Parameters
    ----------
    sides
        Context and window.
    kinds
        Of `compared_kinds`.
    elsewhere
        Shape (e, d): rows of the context that are in neither side. A level is new if it is not
        among theirs: then it is as new to the context's side as to the window's.
    """
    for name, kind in kinds.items():
        column = sides.frame[name]
        if kind == "category":
            spellings = _spellings(column[~sides.new], elsewhere[name])
            levels = _levels(column, spellings)
            gaps = levels == ""
            yield from _test_levels(name, sides, levels, gaps)
            known = {*_levels(elsewhere[name], spellings), ""}
            yield from _test_new_levels(name, sides, levels, known)
        else:
            values = read_values(column, kind)
            gaps = np.isnan(values)
            yield from _test_values(name, sides, values, gaps)
        yield from _test_gaps(name, sides, gaps)


test_columns.__test__ = False  # type: ignore[attr-defined] # no test of pytest's


def read_values(column: "pd.Series[Any]", kind: str) -> FloatArray:
    """Shape (n,): numbers or truth values; NaN where missing, DataError where neither."""
    return read_booleans(column) if kind == "boolean" else read_numbers(column)


def test_unread(name: str, told: str, strays: NDArray[np.bool_], sides: Sides) -> ColumnTest:
    """Test what is no number or date, rows (N,) of both sides; ``told``: how to say it."""
    (test,) = _test_share(name, "unreadable", "", strays, sides)
    return replace(test, change=replace(test.change, detail=told))


test_unread.__test__ = False  # type: ignore[attr-defined] # no test of pytest's


def _test_values(
    name: str, sides: Sides, values: FloatArray, gaps: NDArray[np.bool_]
) -> Iterator[ColumnTest]:
    bulk, divisions = sides.among(~gaps)
    if not _both(sides.new[bulk]):
        return
    found = differences(values[bulk], divisions)
    old, new = values[~gaps & ~sides.new], values[~gaps & sides.new]
    factor = unit_factor(old, new)
    detail = _moved(old, new) if factor is None else _rescaled(factor)
    change = ColumnChange(name, "values", 1.0, float(found[0]), detail, factor)
    observed = Divisions.of(sides.new[~gaps, None])
    whole = differences_p(differences(values[~gaps], observed), observed)
    yield ColumnTest(change, differences_p(found, divisions), float(whole[0]))


def _test_levels(
    name: str, sides: Sides, levels: NDArray[np.object_], gaps: NDArray[np.bool_]
) -> Iterator[ColumnTest]:
    bulk, divisions = sides.among(~gaps)
    if not _both(sides.new[bulk]):
        return
    names, codes, counts = np.unique(levels, return_inverse=True, return_counts=True)
    order = np.lexsort((names, -counts))
    rank = np.empty(len(names), dtype=np.intp)
    rank[order] = np.minimum(np.arange(len(names)), MOST_LEVELS)
    known, codes = rank[codes[~gaps]], rank[codes[bulk]]
    shares = level_shares(codes, divisions)
    most = int(np.abs(shares[:, 0]).argmax())
    chosen = codes == most
    before, after = (float(chosen[sides.new[bulk] == side].mean()) for side in (False, True))
    which = f"{short(names[order[most]])!r}" if most < MOST_LEVELS else "rare levels"
    change = ColumnChange(
        name,
        "levels",
        1.0,
        min(float(np.abs(shares[:, 0]).sum() / 2), 1.0),
        f"{which}: {share_of(before)} of rows before, {share_of(after)} now",
    )
    observed = Divisions.of(sides.new[~gaps, None])
    whole = level_shares_p(known, level_shares(known, observed), observed)
    yield ColumnTest(change, level_shares_p(codes, shares, divisions), float(whole[0]))


def _test_new_levels(
    name: str, sides: Sides, levels: NDArray[np.object_], known: set[str]
) -> Iterator[ColumnTest]:
    unseen = ~np.isin(levels, [*known])
    found, counts = np.unique(levels[unseen & sides.new], return_counts=True)
    if not len(found):
        return
    first = ", ".join(repr(short(level)) for level in found[np.argsort(-counts, kind="stable")][:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    (test,) = _test_share(name, "new levels", f"{first}{more} in", unseen, sides)
    many = len({*levels[~sides.new], *known} - {""}) > ONE_HOT_LEVELS
    renewed = many and bool(unseen[sides.new].mean() > NEARLY_ALL)
    yield replace(test, change=replace(test.change, renewed=renewed))


def _test_gaps(name: str, sides: Sides, gaps: NDArray[np.bool_]) -> Iterator[ColumnTest]:
    if gaps.any():
        yield from _test_share(name, "missing", "missing in", gaps, sides)


def _test_share(
    name: str, kind: str, what: str, rows: NDArray[np.bool_], sides: Sides
) -> Iterator[ColumnTest]:
    codes = rows.astype(np.intp)
    shares = level_shares(codes, sides.divisions)
    before, after = (float(rows[sides.new == side].mean()) for side in (False, True))
    detail = f"{what} {share_of(after)} of rows, {share_of(before)} before"
    lacking = kind in ("missing", "unreadable") and after > before
    change = ColumnChange(name, kind, 1.0, abs(after - before), detail, lacking=lacking)
    p = level_shares_p(codes, shares, sides.divisions)
    yield ColumnTest(change, p, float(p[0]))


@np.errstate(all="ignore")  # of infinities, and of the largest numbers, there is no unit
def unit_factor(old: FloatArray, new: FloatArray) -> float | None:
    """Tell by what numbers (m,) were multiplied to give others (n,); ``None`` if they were not.

    Nine quantiles have to be multiples by one factor, up to a tenth of the largest and a quarter of
    the largest distance from the median (far from 0, a shift looks like a factor otherwise). Within
    a tenth of a power of ten, or a twentieth of a common unit, that is the answer; other
    factors have to be above 3, or under a third.

    Examples
    --------
    >>> metres = np.random.default_rng(0).gamma(4.0, 2.0, size=500)
    >>> unit_factor(metres, 1000 * metres), unit_factor(metres, metres + 5)
    (1000.0, None)
    """
    before, after = np.quantile(old, UNIT_QUANTILES), np.quantile(new, UNIT_QUANTILES)
    if np.ptp(before) == 0 or not np.isfinite([*before, *after]).all():
        return None
    factor = float(before @ after / (before @ before))
    if not 0 < factor < np.inf:
        return None
    rest = after - factor * before
    about_median = factor * (before - np.median(before))
    if np.abs(rest).max() > min(
        0.1 * np.abs(factor * before).max(), 0.25 * np.abs(about_median).max()
    ):
        return None
    decade = 10.0 ** round(float(np.log10(factor)))
    if decade != 1 and abs(factor / decade - 1) < 0.1:
        return decade
    for unit in (*UNITS, *(1 / unit for unit in UNITS)):
        if abs(factor / unit - 1) < 0.05:
            return unit
    return None if 1 / UNIT_REACH < factor < UNIT_REACH else factor


def _rescaled(factor: float) -> str:
    by = f"{factor:.4g}" if factor > 1 else f"1/{1 / factor:.4g}"
    return f"multiplied by {by}, as by another unit"


@np.errstate(all="ignore")
def _moved(old: FloatArray, new: FloatArray) -> str:
    """Say where numbers went: their median, their spread, or the share below some value."""
    quarters = [np.quantile(side, (0.25, 0.5, 0.75)) for side in (old, new)]
    (low, middle, high), (new_low, new_middle, new_high) = quarters
    widths = high - low, new_high - new_low
    if min(widths) > 0:
        ratio = widths[1] / widths[0]
        if abs(new_middle - middle) < 0.2 * widths[0] and not 0.8 < ratio < 1.25:
            return f"middle half {ratio:.2g} times as wide"
        digits = digits_apart((middle, new_middle), FEW_DIGITS)
        before, now = (short_number(float(value), digits) for value in (middle, new_middle))
        return f"median {before} before, {now} now"
    grid = np.unique(np.concatenate([old, new]))
    shares = [np.searchsorted(np.sort(side), grid, "right") / len(side) for side in (old, new)]
    most = int(np.abs(shares[1] - shares[0]).argmax())
    before, after = (share[most] for share in shares)
    below = short_number(float(grid[most]), FEW_DIGITS)
    return f"at most {below} in {share_of(before)} of rows before, {share_of(after)} now"


def _spellings(*context: "pd.Series[Any]") -> Spellings:
    """How the levels of a context are called; one level is named as it was first."""
    names: dict[str, str] = {}
    gaps = 0
    for codes, distinct in map(distinct_values, context):
        gaps += int((codes < 0).sum())
        for name in map(level_name, distinct):
            names.setdefault(level_key(name), name)
    levels, _ = without_gaps(dict.fromkeys(names.values(), 1), gaps)
    return Spellings(levels)


def _levels(column: "pd.Series[Any]", spellings: Spellings) -> NDArray[np.object_]:
    """Names (n,) of levels; empty where missing."""
    codes, distinct = distinct_values(column)
    names = [spellings.find(level_name(value)) or "" for value in distinct]
    # each name once: an array of texts would take the length of the longest for every row
    return np.array([*names, ""], dtype=object)[codes]  # a gap has the code -1


def _both(new: NDArray[np.bool_]) -> bool:
    return bool(new.any() and not new.all())
