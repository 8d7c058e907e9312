"""Which rows belong together: those of one customer, one patient, one day."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from oddshot.detectors.given.tables import told_of_another_order
from oddshot.errors import DataError, LabelWarning
from oddshot.frames import to_array


@dataclass(frozen=True, slots=True)
class Groups:
    """The group of each row.

    Parameters
    ----------
    numbers
        Shape (n,): equal for rows of one group.
    """

    numbers: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        groups: ArrayLike,
        *,
        rows: int | None = None,
        index: "pd.Index[Any] | None" = None,
    ) -> Self:
        """Read groups (n,) by any values.

        ``rows`` is how many there must be, ``index`` that of their table, where it is known.

        Raises
        ------
        DataError
            If they are not one-dimensional, not one for each row, or one is missing.

        Warns
        -----
        LabelWarning
            If their index is that of the table in another order: they go by position.
        """
        values = groups if isinstance(groups, pd.Series) else _one_by_one(groups)
        if values.dtype.kind == "V":
            raise DataError("groups is an array of records; give one value for each row")
        if values.ndim != 1:
            raise DataError(f"groups has the shape {values.shape}; give one value for each row")
        if rows is not None and len(values) != rows:
            raise DataError(f"X has {rows} rows but groups has {len(values)}; give one a row")
        shuffled = told_of_another_order("groups", groups, index)
        if shuffled:
            warnings.warn(shuffled, LabelWarning, stacklevel=3)
        numbers, _ = pd.factorize(pd.Series(values).reset_index(drop=True))
        missing = int((numbers < 0).sum())
        if missing:
            raise DataError(
                f"groups is missing for {missing:,} of {len(values):,} rows, first in row "
                f"{int(np.argmin(numbers))}; give each row a group"
            )
        return cls(numbers.astype(np.intp))

    def of_few(self, alike: Sequence[NDArray[np.intp]]) -> Self:
        """Give each of some rows a group, of those that it has: the one with the fewest so far.

        Parameters
        ----------
        alike
            For each row, which of the n rows are equal to it and stand behind it; they may be of
            several groups.

        Examples
        --------
        >>> groups = Groups(np.array([0, 1, 0, 1, 2]))
        >>> groups.of_few([np.array([0, 1]), np.array([2, 3]), np.array([4])]).numbers.tolist()
        [0, 1, 2]
        """
        taken: Counter[int] = Counter()
        chosen = []
        for places in alike:
            mine = np.unique(self.numbers[places]).tolist()
            chosen.append(min(mine, key=taken.__getitem__))
            taken[chosen[-1]] += 1
        return type(self)(np.array(chosen, dtype=np.intp))

    def dealt(self, order: NDArray[np.intp], parts: int) -> tuple[NDArray[np.intp], ...]:
        """Deal some of the rows, in a random order, into parts of like sizes, groups whole.

        Raises
        ------
        DataError
            If all these rows are of one group.

        Examples
        --------
        >>> groups = Groups(np.array([0, 0, 0, 1, 1, 2]))
        >>> [part.tolist() for part in groups.dealt(np.array([5, 4, 3, 2, 1, 0]), 2)]
        [[2, 1, 0], [4, 3, 5]]
        """
        by_group: dict[int, list[int]] = {}
        for row in order.tolist():
            by_group.setdefault(int(self.numbers[row]), []).append(row)
        if len(by_group) < 2:
            raise DataError(
                f"all {len(order):,} rows that can be held out are of one group, which leaves "
                "none to compare with; leave the groups out, or calibrate with rows of other groups"
            )
        dealt: list[list[int]] = [[] for _ in range(min(parts, len(by_group)))]
        for rows in sorted(by_group.values(), key=len, reverse=True):
            min(dealt, key=len).extend(rows)
        return tuple(np.array(part, dtype=np.intp) for part in dealt)


def _one_by_one(groups: ArrayLike) -> NDArray[Any]:
    """Make an array of values, tuples and the like among them; those that are masked are gaps."""
    if isinstance(groups, np.ma.MaskedArray):
        groups = groups.astype(object)  # of other types a gap would change the numbers
    if isinstance(groups, list) and any(isinstance(value, tuple) for value in groups):
        values = np.empty(len(groups), dtype=object)
        values[:] = groups
        return values
    values = to_array(groups, "groups")
    if values.dtype.kind in "US" and not isinstance(groups, np.ndarray):
        return np.asarray(groups, dtype=object)  # else a gap among texts becomes one, too
    return values
