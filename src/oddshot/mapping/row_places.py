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
        self._by_content = {row.tobytes(): place for place, row in reversed([*enumerate(rows)])}
        numbers = np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64)
        self._weights = numbers | np.uint64(1)
        self._checksums = np.unique(self._checksum(rows))

    def of(self, rows: FloatArray) -> NDArray[np.intp]:
        """Place (n,) of each row (n, d), -1 for all others.

        Checksums tell most rows apart, all at once; what they leave is looked up one by one.
        """
        found = np.full(len(rows), -1, dtype=np.intp)
        if not len(self._checksums):
            return found
        sought = self._checksum(rows)
        at = np.searchsorted(self._checksums, sought)
        alike = self._checksums[np.minimum(at, len(self._checksums) - 1)] == sought
        for place in np.flatnonzero(alike):
            found[place] = self._by_content.get(rows[place].tobytes(), -1)
        return found

    def _checksum(self, rows: FloatArray) -> NDArray[np.uint64]:
        """Bits of every number times a number of its column's own, summed over the row."""
        bits = np.ascontiguousarray(rows, dtype=np.float64).view(np.uint64)
        folded = bits >> np.uint64(29)  # of short numbers the upper bits alone differ
        folded ^= bits
        return np.asarray(folded @ self._weights)
