"""Which rows a data set is seen against: a bounded, seeded draw in canonical order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, FloatArray, LabelArray
from oddshot.mapping.canonical import column_order, dense_ranks, nameless, row_order
from oddshot.mapping.row_counts import RowCounts, are_usual
from oddshot.mapping.row_places import checksums
from oddshot.mapping.threading import run_all

MAX_TYPICAL = 4096
MAX_KNOWN = 512
MOST_COPIES = 10
REPEATED_ROWS, REPEATED_KINDS = 0.5, 0.15  # of all rows, of different ones, where copies are usual
REPEATED_NORMAL, LEAST_NORMAL = 0.3, 100  # of rows that are all normal; different ones among them
BLOCK_ROWS = 65_536
MOST_COUNTED = 1_000_000  # of these: 12 megabytes


class DrawnFor(NamedTuple):
    """How many rows of its kind each row that was drawn stands for: 1 where all were.

    >>> DrawnFor.of(np.array([-1, -1, -1, 1]), np.array([-1, 1]))
    DrawnFor(normal=1.0, unlabelled=3.0, known=1.0)
    """

    normal: float = 1.0
    unlabelled: float = 1.0
    known: float = 1.0

    @classmethod
    def of(
        cls,
        labels: LabelArray,
        drawn: LabelArray,
        copies: FloatArray | None = None,
        drawn_copies: FloatArray | None = None,
    ) -> "DrawnFor":
        """Compare labels (n,) with those that were drawn (m,), each of so many copies."""
        copies = np.ones(len(labels)) if copies is None else copies
        drawn_copies = np.ones(len(drawn)) if drawn_copies is None else drawn_copies
        shares = []
        for kind in (NORMAL, UNLABELLED, ANOMALY):
            every, kept = copies[labels == kind], drawn_copies[drawn == kind]
            some = 0 < len(kept) < len(every)
            shares.append(float(every.sum() / kept.sum()) if some else 1.0)
        return cls(*shares)

    def times(self, other: "DrawnFor") -> "DrawnFor":
        """Stand for rows that were drawn themselves."""
        return DrawnFor(*(mine * theirs for mine, theirs in zip(self, other, strict=True)))


EACH_ITSELF = DrawnFor()


@dataclass(frozen=True, slots=True)
class Support:
    """The rows that were kept, columns and rows in canonical order.

    Parameters
    ----------
    columns
        Shape (p + q,): the canonical order of the encoded columns; behind them, of those that stand
        aside (see `oddshot.mapping.encoding.encoder.Encoder`).
    typical
        Shape (m, p + q): unlabelled and known normal rows.
    known
        Shape (k, p + q): known anomalies.
    normal_share
        Share of ``typical`` that is known to be normal.
    seed
        Seed of all that is random in a mapping fitted on this support.
    aside
        How many columns stand aside, q.
    copies
        Shape (m,): how many equal rows each typical row stands for; ``None``: for itself.
    flags
        Shape (p,): which of the columns are flags of gaps, in canonical order; ``None``: none.
    drawn_for
        How many rows, by kind, each of these stands for where only a part was kept; of different
        normal rows those that are not the most usual, which are always kept.
    counts
        How often each different row was there, columns as here, where normal rows count once and
        not all of them were kept; else ``None``.
    """

    columns: NDArray[np.intp]
    typical: FloatArray
    known: FloatArray
    normal_share: float
    seed: int
    aside: int = 0
    copies: FloatArray | None = None
    flags: NDArray[np.bool_] | None = None
    drawn_for: DrawnFor = EACH_ITSELF
    counts: RowCounts | None = None

    @property
    def width(self) -> int:
        """How many columns are quantities, p: the others stand aside."""
        return len(self.columns) - self.aside

    @property
    def places(self) -> NDArray[np.intp]:
        """Shape (p + q,): where each encoded column stands in canonical order."""
        return np.argsort(self.columns)

    @property
    def labels(self) -> LabelArray:
        """Labels (m,) of the typical rows, 0 or -1: known normal ones stand first."""
        normal = np.arange(len(self.typical)) < round(self.normal_share * len(self.typical))
        return np.where(normal, NORMAL, UNLABELLED).astype(np.int8)

    @property
    def drawn_for_each(self) -> tuple[FloatArray, FloatArray]:
        """How many rows each typical row (m,) and known anomaly (k,) was drawn for."""
        normal, unlabelled, known = self.drawn_for
        typical = np.where(self.labels == NORMAL, normal, unlabelled)
        return typical, np.full(len(self.known), known)

    def arranged(self, rows: FloatArray) -> FloatArray:
        """Bring the columns of encoded rows (n, p + q) into canonical order."""
        return np.ascontiguousarray(rows[:, self.columns])

    def as_encoded(self, rows: FloatArray) -> FloatArray:
        """Bring the columns of arranged rows (n, p + q) back into the order they were encoded in.

        >>> rows = np.array([[7.0, 8.0, 9.0]])
        >>> support = Support(np.array([2, 0, 1]), rows, rows[:0], 0.0, 0)
        >>> support.as_encoded(support.arranged(rows))
        array([[7., 8., 9.]])
        """
        return np.asarray(rows[:, self.places])


def draw_support(
    rows: FloatArray,
    labels: LabelArray,
    *,
    seed: int,
    max_typical: int = MAX_TYPICAL,
    copies_once: bool = False,
    normal_once: bool = False,
    aside: int = 0,
    names: Sequence[tuple[str, str]] = (),
    flags: NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> Support:
    """Keep at most ``max_typical`` typical rows, so that the cost per scored row is bounded.

    Known normal rows come first, up to half of the places where there are unlabelled rows too.

    Parameters
    ----------
    rows, labels
        Encoded rows (n, p + q), finite, and their labels (n,) of 1, 0, -1.
    seed
        Decides the draw, together with the content of the rows; their order does not matter.
    max_typical
        Bound on unlabelled and known normal rows together.
    copies_once
        Whether an unlabelled row that equals another counts once, and not at all where that one is
        labelled: copies of an anomaly, unlike others of its kind, do not make it less odd. Equal
        known anomalies count once, too: each would vouch for the others being found. A row
        that occurs more than `MOST_COPIES` times keeps all of them, for their number tells that it
        is usual; and where half of the rows do, all rows stay. Where half of the rows, and not few
        different ones, have a copy, to come alone is what is odd: there a row that equals no known
        anomaly counts as often as the median row occurs.
    aside
        How many of the last columns stand aside, q. They make rows different, and that is all.
    names
        What the p + q columns are called, where the user named them: tells those apart of which one
        is a multiple of another.
    flags
        Shape (p,): which of the columns are flags of gaps; ``None``: none.
    threads
        Threads over columns. The result does not depend on it.
    """
    generator = np.random.default_rng(seed)
    ranks = dense_ranks(rows, threads=threads)
    width = rows.shape[1] - aside
    heights = run_all([partial(_height, column) for column in rows.T[:width]], threads=threads)
    place = {name: at for at, name in enumerate(sorted(names))}
    called = [np.array([place[name] for name in names])] if names else []
    ties = [np.array(heights), *(places[:width] for places in called)]
    columns = column_order(ranks[:, :width], ties, threads=threads)
    levels = None
    if aside:
        levels_of = nameless(ranks[:, width:], ranks[:, columns])
        behind = width + column_order(levels_of, [places[width:] for places in called])
        levels = ranks[:, behind]
        columns = np.concatenate([columns, behind])
    order = row_order(ranks[:, columns[:width]], levels)
    stands_for = np.ones(len(rows))
    if copies_once:
        order, stands = _without_copies(order, ranks, labels, normal_once=normal_once)
        stands_for[order] = stands
    known = _sample(order[labels[order] == ANOMALY], MAX_KNOWN, generator)
    unlabelled = order[labels[order] == UNLABELLED]
    most = max_typical // 2 if len(unlabelled) else max_typical
    normal, counts = order[labels[order] == NORMAL], None
    usual = np.zeros(len(rows), dtype=np.bool_)
    if len(normal) > most and stands_for[normal].max() > 1:  # all rows are known to be normal
        counts = _counted(rows, normal, columns, stands_for[normal])
        usual[normal] = are_usual(stands_for[normal], len(rows), most)
    always, others = np.flatnonzero(usual[normal]), np.flatnonzero(~usual[normal])
    drawn = _sample(others, most - len(always), generator)
    normal = normal[np.sort(np.concatenate([always, drawn]))]
    unlabelled = _sample(unlabelled, max_typical - len(normal), generator)
    typical = np.concatenate([normal, unlabelled])
    kept = np.concatenate([typical, known])
    of_all, of_kept = order[~usual[order]], kept[~usual[kept]]
    drawn_for = DrawnFor.of(
        labels[of_all], labels[of_kept], stands_for[of_all], stands_for[of_kept]
    )
    return Support(
        columns,
        rows[np.ix_(typical, columns)],
        rows[np.ix_(known, columns)],
        len(normal) / max(len(typical), 1),
        seed,
        aside,
        stands_for[typical],
        None if flags is None else flags[columns[:width]],
        drawn_for,
        counts,
    )


def _counted(
    rows: FloatArray, places: NDArray[np.intp], columns: NDArray[np.intp], counts: FloatArray
) -> RowCounts:
    """Count different rows of a table (n, p + q), at these places (K,), block by block."""
    blocks = np.array_split(places, -(-len(places) // BLOCK_ROWS))
    sums = [checksums(rows[np.ix_(block, columns)]) for block in blocks]
    return RowCounts(np.concatenate(sums), counts)


def _height(column: FloatArray) -> float:
    """Tell how high the mean of a column (n,) lies between its ends, to six decimals."""
    values = np.sort(column)
    low, high = values[0], values[-1]
    if high == low:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.round(np.nan_to_num((values.mean() - low) / (high - low)), 6))


def _without_copies(
    order: NDArray[np.intp],
    ranks: NDArray[np.uint64],
    labels: LabelArray,
    *,
    normal_once: bool,
) -> tuple[NDArray[np.intp], FloatArray]:
    """Leave out copies that are unlabelled, or known anomalies, of rows that are not most usual.

    And, where asked to, all copies of rows that are all known to be normal and often repeat, if
    different ones are no more than can be counted.

    Returns
    -------
    tuple
        What stays of ``order``, and how many rows each stands for.
    """
    new = np.arange(len(order)) == 0
    for column in ranks.T:  # one by one: all in this order at once are as large as the table
        ordered = column[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    group = np.cumsum(new) - 1  # equal rows stand side by side
    free = labels[order] == UNLABELLED
    count = np.cumsum(free)
    nth = count - (count - free)[new][group]  # of the free ones of its group
    told = np.bincount(group, weights=~free) > 0
    copies = np.bincount(group)
    usual, repeated = copies > MOST_COPIES, copies > 1
    if normal_once and (labels == NORMAL).all():
        often = repeated[group].mean() >= REPEATED_NORMAL
        often = often and LEAST_NORMAL <= len(copies) <= MOST_COUNTED
        return (order[new], copies.astype(np.float64)) if often else (order, np.ones(len(order)))
    stays = ~told[group] & (nth <= 1)
    odd = labels[order] == ANOMALY
    count_odd = np.cumsum(odd)
    again = odd & (count_odd - (count_odd - odd)[new][group] > 1)
    if repeated[group].mean() >= REPEATED_ROWS and repeated.mean() >= REPEATED_KINDS:
        has_odd = np.bincount(group, weights=odd) > 0
        stays = ~has_odd[group] & (nth <= np.median(copies[group]))
        again[:] = False  # so do those to come
    stays |= ~(free | again) | usual[group]
    too_few = (labels[order[stays]] != ANOMALY).sum() < 2
    if too_few or usual[group].mean() >= 0.5:
        return order, np.ones(len(order))
    whole, held = (np.bincount(group, weights=w)[group][stays] for w in (free, free & stays))
    return order[stays], np.where(free[stays], whole / np.maximum(held, 1), 1.0)


def _sample(index: NDArray[np.intp], most: int, generator: np.random.Generator) -> NDArray[np.intp]:
    if len(index) <= most:
        return index
    return index[np.sort(generator.permutation(len(index))[:most])]
