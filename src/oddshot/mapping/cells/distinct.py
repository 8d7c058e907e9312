"""The different values of a column, and where each occurs."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Column: TypeAlias = "pd.Series[Any]"
NESTED = (list, dict, set, tuple, frozenset, np.ndarray, pd.Series, pd.DataFrame)


def distinct_values(column: Column) -> tuple[NDArray[np.intp], Sequence[Any]]:
    """Codes (n,), -1 where missing, and the values they stand for."""
    try:
        codes, distinct = pd.factorize(column)
    except TypeError:  # values that cannot be hashed: go by what they look like
        codes, distinct = pd.factorize(column.map(str, na_action="ignore"))
    if isinstance(distinct.dtype, pd.StringDtype):
        return codes, distinct.to_numpy(dtype=object).tolist()  # one by one they take long
    return codes, list(distinct)


def occurrences(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """How often each of the distinct values occurs that have the codes (n,)."""
    return np.bincount(codes[codes >= 0])


def nested_type(column: Column) -> str | None:
    """Name the type of the first list, dict, array or the like in a column of objects."""
    if column.dtype != object:
        return None
    return next((type(value).__name__ for value in column if isinstance(value, NESTED)), None)
