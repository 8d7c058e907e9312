"""How a column of numbers is looked at: constant, an identifier, or a quantity."""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.column_names import says_group, says_identifier, says_year
from oddshot.mapping.cells.digit_codes import why_codes
from oddshot.mapping.cells.notation import DURATIONS, PLAIN, Notation
from oddshot.mapping.cells.number_dates import likely_times
from oddshot.mapping.encoding.groups import names_groups
from oddshot.mapping.encoding.left_out import LeftOut, constant_recipe
from oddshot.mapping.encoding.limits import limits_of, one_differs, order_statistic
from oddshot.mapping.encoding.number import FIRST_YEAR, LAST_YEAR, ROUNDED, Number

USUAL_SHARE, FEWEST_USUAL, MOST_USUAL = 0.001, 3, 256  # of rows that hold a value; of values
LEFT_BY_ROUNDING = 1e-10  # of a number: what sums and differences of doubles are off, and more
AGAIN = 2  # rows or more that hold each value that rounding alone left, on average
CODES = (  # that instruments and forms write where there is no value
    *(-1.0, -9.0, -99.0, -127.0, -128.0, -999.0, -9999.0, -32768.0, -99999.0, -999999.0),
    *(99.0, 127.0, 255.0, 999.0, 9999.0, 32767.0, 65535.0, 99999.0, 999999.0),
)
BESIDE = frozenset(  # these, or what forms write beside them: "refused" beside "don't know"
    {*CODES, -7.0, -8.0, -66.0, -97.0, 66.0, 97.0}
    | {sign * float(digit * size) for sign in (-1, 1) for digit in "78" for size in range(2, 6)}
    | {sign * (10.0**size - 2) for sign in (-1, 1) for size in range(2, 7)}
    | {sign * (10.0**size - 3) for sign in (-1, 1) for size in range(3, 7)}
)
FEWEST_CODES, CODE_RANGES = 3, 2.0  # rows that hold it; how far outside, in ranges of the others
MOST_BESIDE = 3  # codes next to each other
COLLISIONS = 10.0  # pairs of equal integers that chance would give; numbers of rows have none


def number_recipe(
    name: str,
    values: FloatArray,
    *,
    kind: str = "number",
    zeros: int = 0,
    named: bool = False,
    notation: Notation = PLAIN,
) -> LeftOut | Number:
    """Look at a column of numbers.

    Parameters
    ----------
    name, named
        As for `recipe`.
    values
        Shape (m,): the numbers, with NaN and infinities.
    kind
        "number" or "boolean".
    zeros
        So many zeros stand beside `values`: those that a sparse column does not write.
    notation
        How they were written.
    """
    finite = _as_one(np.sort(values[np.isfinite(values)]))
    missing = bool(np.isnan(values).any())
    if named and not zeros and (notation.words or len(finite) == len(values)):
        why = _names_rows(name, finite)
        if why:
            return LeftOut(name, why)
    plain = notation.holds != DURATIONS and not (notation.units or notation.comma)
    if named and not zeros and kind == "number" and plain and not np.isinf(values).any():
        why = why_codes(name, finite)
        if why:
            return LeftOut(name, why)
    ends = [order_statistic(finite, zeros, k) for k in (0, -1)] if len(finite) + zeros else []
    different = {*ends, *np.unique(values[np.isinf(values)]).tolist()}
    if not different:
        return LeftOut(name, "all values are missing")
    count = len(values) + zeros
    if len(different) == 1 and not missing:
        value = different.pop()
        why = f"constant ({bool(value) if kind == 'boolean' else f'{value + 0.0:.15g}'})"
        if not np.isfinite(value):
            return LeftOut(name, why)
        return constant_recipe(name, why, value, holds=kind, rows=count, notation=notation)
    varies = len(different) > 1
    limits = limits_of(finite, zeros)
    alone = one_differs(finite, zeros, count - len(finite) - zeros)
    quantity = kind == "number" and notation.holds != DURATIONS
    last = _last_year(name, finite) if named and not zeros else 0.0
    return Number(
        name,
        kind,
        *limits,
        missing,
        varies,
        notation=notation,
        alone=alone,
        last_year=last,
        usual=_usual(finite, count) if kind == "number" else (),
        code=_code(finite, zeros) if quantity else (),
        may_be=likely_times(name, values) if quantity and not zeros else "",
        groups=_groups(name, finite) if named and not zeros and kind == "number" else (),
    )


@np.errstate(over="ignore", under="ignore")
def _as_one(ordered: FloatArray) -> FloatArray:
    """Take sorted values that rounding alone sets apart for one, as most of their rows hold it.

    As the steps of a counter: 0.2, in four values that differ by 1e-14. Values that are measured
    hardly come again where they are so near each other, and whole numbers are exact.
    """
    steps = np.diff(ordered)
    near = steps <= LEFT_BY_ROUNDING * np.abs(ordered[1:])
    hardly = np.flatnonzero(near & (steps > 0))
    if not len(hardly):
        return ordered
    ordered = ordered.copy()
    edges = np.concatenate([[0], np.flatnonzero(~near) + 1, [len(ordered)]])
    for place in np.unique(np.searchsorted(edges, hardly, side="right")):
        group = ordered[edges[place - 1] : edges[place]]  # a view
        values, counts = np.unique(group, return_counts=True)
        by_rounding = values[-1] - values[0] <= LEFT_BY_ROUNDING * np.abs(values).max()
        fractions = (values != np.floor(values)).any()
        if by_rounding and fractions and AGAIN * len(values) <= len(group):
            group[:] = float(f"{values[np.argmax(counts)]:.11g}")  # as near as to none but these
    return ordered


def _code(ordered: FloatArray, zeros: int) -> tuple[float, ...]:
    """Find codes for gaps among sorted values, as -999, each before the rows in which it stands.

    One or several next to each other are the least or the greatest, far outside of all others, of
    which there are three or more.
    """
    if not len(ordered) or BESIDE.isdisjoint(ordered[[0, -1]].tolist()):  # at once for most
        return ()
    known, counts = np.unique(np.append(ordered, np.zeros(min(zeros, 1))), return_counts=True)
    found: list[float] = []
    while (group := _codes_at_end(known, counts)) is not None:
        pairs = zip(known[group].tolist(), counts[group].tolist(), strict=True)
        found += [float(part) for pair in pairs for part in pair]
        others = np.delete(np.arange(len(known)), group)
        known, counts = known[others], counts[others]
    return tuple(found)


@np.errstate(over="ignore")
def _codes_at_end(known: FloatArray, counts: NDArray[np.intp]) -> slice | None:
    """Find the fewest codes at an end of rising values; ``None`` where none is far from others."""
    for size in range(1, min(MOST_BESIDE, len(known) - FEWEST_CODES) + 1):
        for group, others in (
            (slice(0, size), known[size:]),
            (slice(len(known) - size, len(known)), known[: len(known) - size]),
        ):
            codes = known[group]
            apart = max(others[0] - codes[-1], codes[0] - others[-1])
            far = apart > CODE_RANGES * (others[-1] - others[0])
            if far and counts[group].min() >= FEWEST_CODES and _are_codes(codes):
                return group
    return None


def _are_codes(values: FloatArray) -> bool:
    """Tell whether all of some values are codes, and one of those that stand alone among them."""
    return BESIDE.issuperset(values.tolist()) and not {*CODES}.isdisjoint(values.tolist())


@np.errstate(over="ignore", under="ignore")
def _usual(ordered: FloatArray, rows: int) -> tuple[float, ...]:
    """Give fractions that many rows hold, of sorted values, but none that has others next to it.

    Whole numbers are exact in any precision that is written; and where other values are within
    rounding, they are no rounding.
    """
    differs = ordered[1:] != ordered[:-1]
    if differs.all():
        return ()
    first = np.flatnonzero(np.append(True, differs))
    values, counts = ordered[first], np.diff(np.append(first, len(ordered)))
    margin = 2 * ROUNDED * np.abs(values)
    apart = np.append(True, np.diff(values) > margin[1:]) & np.append(
        np.diff(values) > margin[:-1], True
    )
    often = counts >= max(FEWEST_USUAL, USUAL_SHARE * rows)
    chosen = np.flatnonzero(apart & often & (values != np.floor(values)))
    most = chosen[np.argsort(-counts[chosen], kind="stable")[:MOST_USUAL]]
    return tuple(values[np.sort(most)].tolist())


def _names_rows(name: str, ordered: FloatArray) -> str:
    """Why integers only name the rows; empty if they may mean something."""
    with np.errstate(over="ignore"):
        steps = np.diff(ordered)
    if len(ordered) < 2 or np.any(ordered != np.floor(ordered)) or np.any(steps == 0):
        return ""
    if says_identifier(name):
        return "identifier (all integers differ, and the name says so)"
    pairs = len(ordered) ** 2 / 2
    if ordered[-1] > ordered[0] + pairs / COLLISIONS:
        return ""
    # measured values would meet somewhere; those of a grid, as depths or whole minutes, do not
    grid = np.gcd.reduce(steps.astype(np.int64)) > 1
    return "" if grid else "identifier (a running number)"


def _groups(name: str, ordered: FloatArray) -> tuple[int, ...]:
    """Count the groups that sorted whole numbers seem to name, and the rows in them."""
    if not says_group(name) or (ordered != np.floor(ordered)).any():
        return ()
    _, counts = np.unique(ordered, return_counts=True)
    return (len(counts), len(ordered)) if names_groups(name, counts) else ()


def _last_year(name: str, ordered: FloatArray) -> float:
    """Give the last of years, told by the column's name and the numbers; 0 if they are none."""
    if not says_year(name) or not len(ordered) or (ordered != np.floor(ordered)).any():
        return 0.0
    first, last = float(ordered[0]), float(ordered[-1])
    return last if first >= FIRST_YEAR and last <= LAST_YEAR else 0.0
