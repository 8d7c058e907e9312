"""Rows found again by their content, bit for bit."""

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray


class RowPlaces:
    """Places of rows (m, d) by their content; of equal rows the first counts.

    >>> places = RowPlaces(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
    >>> places.of(np.array([[3.0, 4.0], [4.0, 3.0], [1.0, 2.0]])).tolist()
    [1, -1, 0]
    """

    def __init__(self, rows: FloatArray) -> None:
        self._bits = _bits(rows)
        self._checksums, self._first = np.unique(checksums(rows), return_index=True)
        # copies of these, and rows that only have the checksum of another
        others = np.delete(np.arange(len(rows)), self._first)
        self._others = {self._bits[at].tobytes(): at for at in others[::-1]}

    def of(self, rows: FloatArray) -> NDArray[np.intp]:
        """Place (n,) of each row (n, d), -1 for all others.

        Checksums tell most rows apart; where they agree, bits are compared.
        """
        found = np.full(len(rows), -1, dtype=np.intp)
        if not len(self._checksums):
            return found
        bits = _bits(rows)
        sought = checksums(rows)
        at = np.searchsorted(self._checksums, sought)
        at[at == len(self._checksums)] = 0
        alike = np.flatnonzero(self._checksums[at] == sought)
        first = self._first[at[alike]]
        equal = (bits[alike] == self._bits[first]).all(axis=1)
        found[alike[equal]] = first[equal]
        for place in alike[~equal]:
            found[place] = self._others.get(bits[place].tobytes(), -1)
        return found


def checksums(rows: FloatArray) -> NDArray[np.uint64]:
    """Sum up rows (n, d) in 64 bits each: of every number its bits times a number of its column.

    >>> np.unique(checksums(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))).size
    2
    """
    numbers = np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64)
    bits = _bits(rows)
    folded = bits >> np.uint64(29)  # of short numbers the upper bits alone differ
    folded ^= bits
    return np.asarray(folded @ (numbers | np.uint64(1)))


def _bits(rows: FloatArray) -> NDArray[np.uint64]:
    return np.ascontiguousarray(rows, dtype=np.float64).view(np.uint64)
