"""Order statistics of a column's numbers, and the limits that follow for what is written."""

import numpy as np

from oddshot.episodes import FloatArray

CLIP_SPREADS = 1e6
LARGEST = 1e100  # squares and cubes of encoded values, summed over a table, stay finite


def limits_of(finite: FloatArray, zeros: int) -> tuple[float, float, float, float, float]:
    """Fill, low, high, below and above of a `Number` from its sorted finite values."""
    if not len(finite) + zeros:
        return 0.0, -1.0, 1.0, -1.0, 1.0
    median = _quantile(finite, zeros, 0.5)
    reach = CLIP_SPREADS * _spread(finite, zeros)
    low, high = np.clip([median - reach, median + reach], -LARGEST, LARGEST)
    fill, least, most = np.clip(
        [median, order_statistic(finite, zeros, 0), order_statistic(finite, zeros, -1)], low, high
    )
    width = (most - least) or 1.0
    return (
        float(fill),
        float(low),
        float(high),
        float(max(least - width, low)),
        float(min(most + width, high)),
    )


def one_differs(finite: FloatArray, zeros: int, others: int) -> bool:
    """Tell whether all cells but one are equal: sorted ones, zeros, others that are not finite."""
    count = len(finite) + zeros
    if count + others < 3 or others > 1:
        return False
    low, second, below, high = (order_statistic(finite, zeros, k) for k in (0, 1, -2, -1))
    if others:
        return low == high
    return (low == below) != (second == high)


def order_statistic(ordered: FloatArray, zeros: int, k: int) -> float:
    """Give the k-th smallest of sorted values beside which so many zeros stand unwritten."""
    if not zeros:
        return float(ordered[k])
    k %= len(ordered) + zeros
    negative = int(np.searchsorted(ordered, 0.0))
    if k < negative:
        return float(ordered[k])
    return 0.0 if k < negative + zeros else float(ordered[k - zeros])


def _quantile(ordered: FloatArray, zeros: int, q: float) -> float:
    place = q * (len(ordered) + zeros - 1)
    below, share = int(place), place - int(place)
    lower = order_statistic(ordered, zeros, below)
    return (
        lower
        if not share
        else (1 - share) * lower + share * order_statistic(ordered, zeros, below + 1)
    )


def _spread(finite: FloatArray, zeros: int) -> float:
    """Width of the middle half, or of the first wider middle part that has a width."""
    for tail in (0.25, 0.05, 0.005, 0.0):
        lower, upper = np.clip(
            [_quantile(finite, zeros, q) for q in (tail, 1 - tail)], -LARGEST, LARGEST
        )
        if upper > lower:
            return float(upper - lower)
    return 1.0
