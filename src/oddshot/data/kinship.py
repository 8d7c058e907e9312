"""Tables that share rows, though neither their files' names nor their columns tell so.

Collections are put together from the same public data: one brings a table of another with a column
less, or without names. What was learned from one of these must not be judged on the other.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.episodes import Rows
from oddshot.frames import as_frame

VARIED = 4  # different values of a row that can tell which row it is
LEAST_ROWS = 20  # in common
OF_ROWS = 0.25  # in common of the different rows of the smaller table, whatever columns are called
OF_NAMES, OF_NAMED_ROWS = 0.8, 0.05  # of the narrower table's names, and rows where so many agree
_SORTED = 64  # columns of a row that are looked at to see how varied it is


@dataclass(frozen=True, slots=True)
class Print:
    """What tells a table's origin.

    Parameters
    ----------
    width
        Number of columns.
    codes
        Shape (u,), rising: one number for each different row that is varied.
    names
        Letters and digits of the columns' names, in small, so that "Order Date" is order_date; none
        where they have none, nor what two columns are called.
    """

    width: int
    codes: NDArray[np.uint64]
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """Take it from rows (n, d).

        Examples
        --------
        >>> rows = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0]])
        >>> len(Print.of(rows).codes), (Print.of(rows).codes == Print.of(rows[:, ::-1]).codes).all()
        (1, np.True_)
        """
        names = frozenset(_places(rows)) if isinstance(rows, pd.DataFrame) else frozenset()
        return cls(rows.shape[1], _codes(rows), names)


def ties_of(
    families: Sequence[str], prints: Sequence[Print], rows_of: Callable[[int], Rows]
) -> dict[str, set[str]]:
    """Tell which families have tables that share rows.

    Two tables share rows where a quarter of the smaller one's are in the other, whatever the order
    of the columns; or a twentieth by the columns of equal names, however these are spelt, if they
    are four fifths of the narrower one's. Rows with fewer than four different values do not count.

    Parameters
    ----------
    families, prints
        Of every table.
    rows_of
        Number of a table to its rows, asked where names agree.

    Returns
    -------
    dict
        Of each family that has such tables the other families that do.
    """
    ties: dict[str, set[str]] = defaultdict(set)
    for one, other in {*_alike(prints), *_named_alike(families, prints, rows_of)}:
        if families[one] != families[other]:
            ties[families[one]].add(families[other])
            ties[families[other]].add(families[one])
    return dict(ties)


def kin_of(ties: Mapping[str, set[str]], excluded: Collection[str]) -> set[str]:
    """Families tied to excluded ones, or to others that are; not these themselves.

    >>> sorted(kin_of({"a": {"b"}, "b": {"a", "c"}, "c": {"b"}}, {"a"}))
    ['b', 'c']
    """
    found, ahead = set(excluded), list(excluded)
    while ahead:
        new = ties.get(ahead.pop(), set()) - found
        found |= new
        ahead += sorted(new)
    return found - set(excluded)


def _alike(prints: Sequence[Print]) -> Iterable[tuple[int, int]]:
    """Pairs of tables of equal width that share enough rows."""
    by_width: dict[int, list[int]] = defaultdict(list)
    for number, table in enumerate(prints):
        by_width[table.width].append(number)
    for numbers in by_width.values():
        codes = np.concatenate([prints[number].codes for number in numbers])
        owners = np.repeat(numbers, [len(prints[number].codes) for number in numbers])
        order = np.lexsort((owners, codes))
        codes, owners = codes[order], owners[order]
        times: dict[tuple[int, int], int] = defaultdict(int)
        starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
        sizes = np.diff(np.append(starts, len(codes)))
        for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
            for pair in combinations(owners[start : start + size].tolist(), 2):
                times[pair] += 1
        for (one, other), count in times.items():
            if _enough(count, prints[one].codes, prints[other].codes, OF_ROWS):
                yield one, other


def _named_alike(
    families: Sequence[str], prints: Sequence[Print], rows_of: Callable[[int], Rows]
) -> Iterable[tuple[int, int]]:
    """Pairs of tables that share most names, and enough rows by the columns that have them."""
    holders: dict[str, list[int]] = defaultdict(list)
    for number, table in enumerate(prints):
        for name in table.names:
            holders[name].append(number)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for numbers in holders.values():
        for one, other in combinations(numbers, 2):
            if families[one] != families[other]:
                shared[one, other] += 1
    for (one, other), count in sorted(shared.items()):
        narrower = min(len(prints[one].names), len(prints[other].names))
        if count < max(VARIED, OF_NAMES * narrower):
            continue
        names = sorted(prints[one].names & prints[other].names)
        mine, theirs = (_codes(_columns(rows_of(number), names)) for number in (one, other))
        common = len(np.intersect1d(mine, theirs, assume_unique=True))
        if _enough(common, mine, theirs, OF_NAMED_ROWS):
            yield one, other


def _enough(
    common: int, mine: NDArray[np.uint64], theirs: NDArray[np.uint64], share: float
) -> bool:
    return common >= max(LEAST_ROWS, share * min(len(mine), len(theirs)))


def _columns(rows: Rows, names: Sequence[str]) -> pd.DataFrame:
    frame = as_frame(rows)
    places = _places(frame)
    return frame.iloc[:, [places[name] for name in names]]


def _places(frame: pd.DataFrame) -> dict[str, int]:
    """Places of columns by their names' letters and digits, where these are one column's alone."""
    plain = ["".join(filter(str.isalnum, str(name))).lower() for name in frame.columns]
    count = Counter(plain)
    return {name: place for place, name in enumerate(plain) if name and count[name] == 1}


def _codes(rows: Rows) -> NDArray[np.uint64]:
    """Different codes, rising, of the varied rows: sums of the hashes of their cells."""
    sums = np.zeros(len(rows), dtype=np.uint64)
    first: list[NDArray[np.uint64]] = []
    for _, column in as_frame(rows).items():
        hashes = _hashes(column.to_numpy())
        sums += hashes
        if len(first) < _SORTED:
            first.append(hashes)
    if not first:
        return sums[:0]
    ordered = np.sort(np.column_stack(first), axis=1)
    values = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
    return np.unique(sums[values >= VARIED])


def _hashes(column: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Hash cells; numbers in single precision, as collections differ in that."""
    if column.dtype.kind in "biuf":
        with np.errstate(over="ignore"):
            column = column.astype(np.float32) + np.float32(0)  # of -0.0 it makes 0.0
    else:
        column = np.asarray([str(cell) for cell in column], dtype=object)
    return np.asarray(pd.util.hash_array(column, categorize=True), dtype=np.uint64)
