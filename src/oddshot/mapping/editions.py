"""Versions of what a table is compared by: a detector that was saved scores as it did then."""

from enum import IntEnum


class Edition(IntEnum):
    """What the mapping and what rests on it do, each named by what came with it.

    A detector keeps the edition that it was fitted by; what a later one brought does not count for
    it. Several names of one edition came together.

    Examples
    --------
    >>> Edition.NEWEST >= Edition.SECOND_OPINION
    True
    """

    FIRST = 1
    COUNTS_NORMAL = 2
    """Known normal rows among unlabelled ones count more than these."""
    SMALLER_LEAVES = 3
    """Trees have smaller leaves where many anomalies are known."""
    RECOUNTS_LEVELS = 4
    """Rows that are held out do not count in the rarity of levels."""
    SEES_DEPENDENCIES = 5
    """Clean rows whose columns no longer go together are raised."""
    SECOND_OPINION = 6
    """Trees are asked where labels are many."""
    SEES_BONDS = 6
    """Cells that break a line which other rows follow are raised."""
    SEES_NO_SCALE = 7
    """A label-free coordinate that all rows share has no scale; it had a millionth."""
    COPIES_ALIKE = 7
    """Equal typical rows have equal coordinates."""
    SEES_SOLITUDE = 7
    """Unlabelled rows far from all others are raised."""
    ORDERS_ANSWERS = 8
    """Rows that are labelled later stand in an order that depends on these rows alone."""
    TYPICAL_AS_NEW = 9
    """Where rows are few, known anomalies are compared with rows that were held out."""
    BOUNDS_DEPENDENCIES = 10
    """Columns that no longer go together count little beyond two and a half decades."""
    GAPS_TOGETHER = 11
    """Rare flags of gaps vary as they do among all rows, and those that go together count once."""
    NORMAL_ONCE = 12
    """Rows all known to be normal count once where many repeat; what equals several is lowered."""
    SEES_SPIKES = 12
    """What is beside the one value that most rows have in a column is not odd for that alone."""
    NEWEST = 12
