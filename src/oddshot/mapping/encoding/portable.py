"""Numbers that every processor computes alike."""

import numpy as np

from oddshot.episodes import FloatArray

_DECIMALS = 12


def portable(values: FloatArray) -> FloatArray:
    """Round values (any shape), about 1 in size, to digits that no processor has otherwise.

    Logarithms and sines differ in the last bit from one kind of processor to the next, and a
    mapping knows its own rows by their bytes.

    >>> portable(np.array([0.1 + 0.2])).tolist()
    [0.3]
    """
    return np.asarray(np.round(values, _DECIMALS))
