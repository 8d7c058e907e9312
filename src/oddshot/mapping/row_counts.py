"""How often each of many different rows was there, by a checksum of each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.row_places import checksums

USUAL = 10  # times as many rows as one of those that are drawn stands for


class RowCounts:
    """Counts (K,) of different rows (K, d), of which 12 bytes each are kept.

    Rows are known by 64 bits: of a million of them, one in ten thousand million new ones is taken
    for another.

    Parameters
    ----------
    sums
        Shape (K,): checksums of the rows.
    counts
        Shape (K,): how often each was there.

    Examples
    --------
    >>> rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> counts = RowCounts(checksums(rows), np.array([5.0, 1.0]))
    >>> counts.of(np.array([[3.0, 4.0], [4.0, 3.0], [1.0, 2.0]])).tolist()
    [1.0, 0.0, 5.0]
    """

    def __init__(self, sums: NDArray[np.uint64], counts: FloatArray) -> None:
        order = np.argsort(sums, kind="stable")
        self._sums, self._counts = sums[order], counts[order]

    @property
    def total(self) -> float:
        """How many rows were there, copies among them."""
        return float(self._counts.sum())

    def of(self, rows: FloatArray) -> FloatArray:
        """How often each row (n, d) was there: 0 where it never was."""
        at, found = self._places(rows)
        return np.where(found, self._counts[at], 0.0)

    def without(self, rows: FloatArray) -> "RowCounts":
        """Forget rows (n, d)."""
        at, found = self._places(rows)
        return RowCounts(np.delete(self._sums, at[found]), np.delete(self._counts, at[found]))

    def state(self) -> dict[str, NDArray[Any]]:
        """Give what `restored` needs."""
        return {"sums": self._sums.view(np.int64), "counts": self._counts.astype(np.uint32)}

    @classmethod
    def restored(cls, arrays: dict[str, NDArray[Any]]) -> "RowCounts":
        """Read what `state` gave."""
        sums, counts = arrays["sums"], arrays["counts"]
        if len(sums) != len(counts) or not len(sums):
            raise ValueError(f"{len(sums)} checksums of rows and {len(counts)} counts")
        return cls(sums.astype(np.int64).view(np.uint64), counts.astype(np.float64))

    def _places(self, rows: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where each row (n, d) is, were it here, and whether it is."""
        sought = checksums(rows)
        at = np.minimum(np.searchsorted(self._sums, sought), len(self._sums) - 1)
        return at, np.asarray(self._sums[at] == sought)


def are_usual(counts: FloatArray, total: float, most: int) -> NDArray[np.bool_]:
    """Tell which of different rows (n,) are always among the ``most`` that are drawn.

    Those that are more than ten times as many as each of these stands for: a tenth of them at most.

    >>> are_usual(np.array([500.0, 100, 20, 1]), total=1000, most=50)
    array([ True, False, False, False])
    """
    return np.asarray(counts > USUAL * total / most)
