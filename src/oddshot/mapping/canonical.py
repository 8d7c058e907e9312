"""An order of columns and rows that depends on their content alone.

Subsamples, folds and trees are drawn by position. Bringing columns and rows into a canonical order
before anything random happens makes scores independent of the order a user happened to have, and
of the units of the columns: only ranks within a column enter, in exact integer arithmetic.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.threading import cut, run_all

_MIX = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = 3
_CELLS = 1 << 16  # of a block of rows, which then stays in a core's cache


def dense_ranks(matrix: FloatArray, *, threads: int = 1) -> NDArray[np.uint64]:
    """Rank every column from 0, equal values alike; shape (n, d).

    >>> dense_ranks(np.array([[5.0], [2.0], [5.0]])).ravel().tolist()
    [1, 0, 1]
    """
    ranks = np.empty(matrix.shape, dtype=np.uint64)

    def rank(column: int) -> None:
        column_values = np.ascontiguousarray(matrix[:, column])
        order = np.argsort(column_values)  # equal ones in any order: they get one rank
        values = column_values[order]
        steps = np.empty(len(values), dtype=np.uint64)
        steps[:1] = 0
        steps[1:] = values[1:] != values[:-1]
        ranks[order, column] = np.cumsum(steps, dtype=np.uint64)

    run_all([partial(rank, column) for column in range(matrix.shape[1])], threads=threads)
    return ranks


def column_order(
    ranks: NDArray[np.uint64],
    ties: Sequence[NDArray[np.number]] = (),
    *,
    threads: int = 1,
) -> NDArray[np.intp]:
    """Order columns by a fingerprint of how their ranks meet those of all others.

    Fingerprints of rows and columns refine each other, as colours do in graph isomorphism
    (Weisfeiler and Leman 1968).

    Parameters
    ----------
    ranks
        Shape (n, d), see `dense_ranks`.
    ties
        Each of shape (d,), the first one first: what tells columns apart whose ranks are the same,
        as of ``x`` and ``exp(x)``; must not depend on unit or row order.
    threads
        Threads over blocks of rows. The result does not depend on it.
    """
    step = max(1, _CELLS // max(1, ranks.shape[1]))
    blocks = cut(len(ranks), step)

    def codes(weights: NDArray[np.uint64], block: slice) -> NDArray[np.uint64]:
        return np.asarray(_scramble(ranks[block]) @ weights)

    def meeting(row_codes: NDArray[np.uint64], block: slice) -> NDArray[np.uint64]:
        return np.asarray(_scramble(row_codes[block]) @ _scramble(ranks[block] + np.uint64(1)))

    mixed = np.ones(ranks.shape[1], dtype=np.uint64)
    for _ in range(_ROUNDS):
        row_codes = np.concatenate(
            run_all([partial(codes, mixed, b) for b in blocks], threads=threads)
        )
        met = run_all([partial(meeting, row_codes, b) for b in blocks], threads=threads)
        columns = np.asarray(np.sum(met, axis=0, dtype=np.uint64))
        mixed = _scramble(columns)
    return np.lexsort((*reversed(ties), columns, ranks.max(axis=0)))


def row_order(
    ranks: NDArray[np.uint64], aside: NDArray[np.uint64] | None = None
) -> NDArray[np.intp]:
    """Order rows by a hash of their ranks (n, d), column by column; equal rows stand together.

    Levels ``aside`` (n, q) only order rows whose ranks are equal, by `nameless` levels first.
    """
    code = _hashed(ranks)
    if aside is None:
        return np.argsort(code, kind="stable")
    return np.lexsort((_hashed(aside), _hashed(nameless(aside, ranks)), code))


def nameless(levels: NDArray[np.uint64], ranks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Give levels (n, q) numbers that go by the rows (n, d) that hold them, not by their names.

    >>> ranks = np.array([[0], [1], [1]], dtype=np.uint64)
    >>> levels = np.array([[0], [1], [0]], dtype=np.uint64)
    >>> bool((nameless(levels, ranks) == nameless(1 - levels, ranks)).all())
    True
    """
    code = _scramble(_hashed(ranks))
    found = np.empty_like(levels)
    for column, out in zip(levels.T, found.T, strict=True):
        sums = np.zeros(int(column.max(initial=0)) + 1, dtype=np.uint64)
        np.add.at(sums, column.astype(np.intp), code)
        out[:] = np.unique(sums[column.astype(np.intp)], return_inverse=True)[1]
    return found


def _hashed(ranks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the ranks (n, d) of each row, column by column, into a code (n,)."""
    with np.errstate(over="ignore"):
        code = np.zeros(len(ranks), dtype=np.uint64)
        for column in ranks.T:
            code = _scramble(code * _MIX + column + np.uint64(1))
    return code


def _scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix bits, as the finaliser of SplitMix64 does (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = values ^ (values >> np.uint64(30))
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed
