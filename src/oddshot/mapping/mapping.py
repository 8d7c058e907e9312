"""The mapping: fit on a support, then turn any rows into calibrated coordinates.

The coordinates mean the same on every data set; learners work on them (see `MappedTask`).
"""

from collections.abc import Collection
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    UNLABELLED,
    Episode,
    Float32Array,
    FloatArray,
    LabelArray,
    MappedTask,
    SupportSummary,
)
from oddshot.errors import DataError
from oddshot.mapping.canonical import dense_ranks, row_order
from oddshot.mapping.coordinates.block import Reference
from oddshot.mapping.coordinates.calibration import CHANNELS, FLAT
from oddshot.mapping.coordinates.evidence import gather_evidence
from oddshot.mapping.coordinates.label_free import LABEL_FREE, LabelFree
from oddshot.mapping.coordinates.labelled import LABELLED_NAMES, MANY_KNOWN, Labelled, Seen
from oddshot.mapping.editions import Edition
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.support import MOST_COPIES, Support, draw_support
from oddshot.mapping.threading import in_blocks, one_blas_thread, run_all

MAX_SUPPORT_ROWS = 64

COORDINATES = LABEL_FREE + LABELLED_NAMES
PLAIN = {
    "mahalanobis_trimmed": 4.0,
    "bin_sum": 1.0,
    "far_norm": 1.0,
    "density_quantile": 1.0,
}  # detectors that stay good in contaminated rows, and their shares in a mean (docs/experiments.md)
HOLLOW = (
    "isolation",
    "knn50_standard",
    "density_standard",
)  # in their place, see `SupportSummary.hollow`


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows and how the label-free part of a mapping has seen them, to be judged again and again.

    About 1 KB a row.

    Parameters
    ----------
    rows
        Shape (n, p + q): encoded, columns in the support's order.
    seen
        The same rows, seen by `Mapping.pool`.
    instead_of
        Shape (n, p + q): the rows whose places they take among those compared with; ``None``: each
        its own.
    """

    rows: FloatArray
    seen: Seen
    instead_of: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: NDArray[np.intp]) -> "Pool":
        instead_of = None if self.instead_of is None else self.instead_of[index]
        return Pool(self.rows[index], self.seen[index], instead_of)

    @property
    def replaced(self) -> FloatArray:
        """The rows (n, p + q) whose places the rows take: themselves, where nothing is said."""
        return self.rows if self.instead_of is None else self.instead_of

    def followed_by(self, other: "Pool") -> "Pool":
        """Put two pools together, in this order."""
        return Pool(np.concatenate([self.rows, other.rows]), self.seen.followed_by(other.seen))


class Mapping:
    """Rows to calibrated coordinates, against one support.

    Parameters
    ----------
    threads
        Threads over blocks of rows and over models. The result does not depend on it.
    left_out
        Names of label-free blocks that are not computed; their coordinates are 0 for all rows.
    edition
        See `Edition`; a number stands for one that a detector was saved with.

    Attributes
    ----------
    support
        The rows that were kept, as they are labelled now.
    base
        The same as `fit` got them; the label-free part knows nothing else.
    typical_
        Calibrated coordinates of the typical rows, each computed without itself; (m, C, 2) float32.
    known_
        Calibrated coordinates of the known anomalies, label-aware ones from blocks that have
        seen the other half of them (0 where there is only one); (k, C, 2).
    typical_rows_, known_rows_
        The same rows and how they are seen; of the typical ones those known to be normal first.
    normal_among_unlabelled_
        How many of the typical rows are known to be normal; 0 where all are, or where they do not
        count more than others.
    summary_
        Evidence on coordinates and table.
    places_
        Where a row stands among the typical ones.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 4))
    >>> labels = np.full(200, -1, dtype=np.int8)
    >>> mapping = Mapping().fit(draw_support(rows, labels, seed=0))
    >>> mapping.transform(rows[:5]).shape == (5, len(COORDINATES), 2)
    True
    """

    def __init__(
        self, *, threads: int = 1, left_out: Collection[str] = (), edition: int = Edition.NEWEST
    ) -> None:
        self.threads, self.left_out, self.edition = threads, tuple(left_out), edition

    @one_blas_thread
    def fit(self, support: Support) -> Self:
        """Compare the support's rows with each other, and freeze."""
        self.base = support
        flat = FLAT if self.edition >= Edition.SEES_NO_SCALE else 0.0
        flags = support.flags if self.edition >= Edition.GAPS_TOGETHER else None
        free = LabelFree(
            threads=self.threads,
            left_out=self.left_out,
            flat=flat,
            flags=flags,
            spikes=self.edition >= Edition.SEES_SPIKES,
        )
        self._free = free.fit(support, np.random.default_rng(_seeds(support)))
        self._later = Pool(support.typical[:0], self._free.typical_[:0])
        self._later_labels = np.zeros(0, dtype=np.int8)
        self._fit_labelled()
        return self

    def of_other(self, support: Support) -> "Mapping":
        """Fit a mapping of the same kind to another support."""
        return Mapping(threads=self.threads, left_out=self.left_out, edition=self.edition).fit(
            support
        )

    @one_blas_thread
    def with_labels(self, pool: Pool, labels: LabelArray) -> "Mapping":
        """Return a mapping that has the labels (n,) of a pool, too; this one stays as it is.

        The label-free part is shared: its neighbours, quantiles and scales remain those of the
        support, and a row of the support that turns out to be an anomaly still counts as a
        neighbour there. All that looks at labels is fitted anew: such a row leaves the typical rows
        and joins the known anomalies; rows newly known to be normal join the typical rows. What was
        said of equal rows before, in the same pool too, no longer counts. Nor does the order in
        which other rows came, or how they were divided into calls.
        """
        told = last_told(pool.rows, labels)
        pool, labels = pool[told], labels[told]
        said = {row.tobytes() for row in pool.rows}
        stays = np.array([row.tobytes() not in said for row in self._later.rows], dtype=bool)
        mapping = copy(self)
        mapping._later = self._later[np.flatnonzero(stays)].followed_by(pool)
        mapping._later_labels = np.concatenate([self._later_labels[stays], labels])
        mapping._fit_labelled()
        return mapping

    @property
    def later(self) -> tuple[FloatArray, LabelArray]:
        """Rows (a, p + q), in the support's columns, and labels (a,) that came after `fit`."""
        return self._later.rows, self._later_labels

    @one_blas_thread
    def pool(self, rows: FloatArray, instead_of: FloatArray | None = None) -> Pool:
        """See rows (n, p + q), whose columns are in the support's order, by what needs no label.

        Each as if it had been there instead of another (n, p + q), where that is given and is a
        typical one.
        """
        return Pool(rows, self._free.look(rows, instead_of), instead_of)

    @one_blas_thread
    def judge(self, pool: Pool) -> Float32Array:
        """Calibrated coordinates (n, C, 2) of a pool, of this mapping or one with other labels."""
        out = np.empty((len(pool), len(COORDINATES), CHANNELS), dtype=np.float32)
        in_blocks(
            lambda block: self._judge(pool.rows[block], pool.seen[block], out[block]),
            len(pool),
            threads=self.threads,
        )
        return out

    def _judge(self, rows: FloatArray, seen: Seen, out: Float32Array) -> None:
        """Write the coordinates of rows that are so seen to ``out``."""
        out[:, : len(LABEL_FREE)] = _unflat(seen.coordinates)
        out[:, len(LABEL_FREE) :] = 0
        own = self.places_.of(rows)
        new = np.flatnonzero(own < 0)
        if len(self.known_) and len(new):
            out[new, len(LABEL_FREE) :] = self._labelled.transform(seen[new])
        out[own >= 0] = self.typical_[own[own >= 0]]

    def transform(self, rows: FloatArray) -> Float32Array:
        """Calibrated coordinates (n, C, 2) of encoded rows (n, p + q), each alone.

        A row that stands in the support gets the coordinates it had there, where it was compared
        with all rows but itself.
        """
        return self.transform_arranged(self.support.arranged(rows))

    def transform_arranged(self, rows: FloatArray) -> Float32Array:
        """As `transform`, of rows whose columns are in the support's order already."""
        return self.judge(self.pool(rows))

    def _fit_labelled(self) -> None:
        """Fit all that looks at labels, on the support's and on those that came later."""
        typical, known, normal = self._by_label()
        self.support = replace(
            self.base,
            typical=typical.rows,
            known=known.rows,
            normal_share=float(normal.mean()),
            copies=None,
        )
        self.places_ = RowPlaces(typical.rows)
        self.typical_rows_, self.known_rows_ = typical, known
        tells = self.edition >= Edition.COUNTS_NORMAL and not normal.all()
        told = int(normal.sum()) if tells else 0
        self.normal_among_unlabelled_ = told
        self.typical_, self.known_ = _empty(len(typical)), _empty(len(known))
        self.typical_[:, : len(LABEL_FREE)] = _unflat(typical.seen.coordinates)
        self.known_[:, : len(LABEL_FREE)] = _unflat(known.seen.coordinates)
        if len(known):
            many = MANY_KNOWN if self.edition >= Edition.SMALLER_LEAVES else np.inf
            self._labelled = Labelled.of(self._free.neighbours_, many=many)
            one, other = map(np.random.default_rng, _seeds(self.base).spawn(2))
            self.typical_[:, len(LABEL_FREE) :], self.known_[:, len(LABEL_FREE) :] = run_all(
                [
                    partial(self._labelled.fit, typical.seen, known.seen, one, normal=told),
                    partial(self._labelled.held_out, typical.seen, known.seen, other, normal=told),
                ],
                threads=self.threads,
            )
        if self.edition >= Edition.COPIES_ALIKE:  # what is random made them differ
            self.typical_ = self.typical_[self.places_.of(typical.rows)]
        self.summary_: SupportSummary = gather_evidence(
            self.typical_,
            self.known_,
            label_free=len(LABEL_FREE),
            far=LABEL_FREE.index("far_norm" if "Subsets" in self.left_out else "subset8_standard"),
            near=LABEL_FREE.index("lof20_standard"),
            centre=LABEL_FREE.index("mahalanobis_trimmed"),
            spread=[
                LABEL_FREE.index(name)
                for name, block in (("knn50_standard", "Neighbours"), ("isolation", "Isolation"))
                if block not in self.left_out
            ],
            reference=Reference(typical.seen.views, known.seen.views),
            normal_share=self.support.normal_share,
            normal=told,
        )

    def _by_label(self) -> tuple[Pool, Pool, NDArray[np.bool_]]:
        """Typical rows, normal ones first, known anomalies, and which typical ones are normal."""
        base, later, labels = self.base, self._later, self._later_labels
        typical = Pool(base.typical, self._free.typical_)
        known = Pool(base.known, self._free.known_)
        normal = base.labels == NORMAL
        if not len(later):
            return typical, known, normal
        places = self._free.places(later.rows)
        normal[places[(places >= 0) & (labels == NORMAL)]] = True
        stays = np.ones(len(typical), dtype=bool)
        stays[places[(places >= 0) & (labels == ANOMALY)]] = False
        stays[_few_copies(base.typical, later.rows[labels == ANOMALY]) & ~normal] = False
        joining = self._in_order(later[np.flatnonzero((places < 0) & (labels == NORMAL))])
        order = np.concatenate([np.flatnonzero(normal & stays), np.flatnonzero(~normal & stays)])
        if len(joining) + len(order) < 2:
            raise DataError(
                f"of {len(typical)} rows to compare with all but {len(joining) + len(order)} are "
                "labelled as anomalies; at least 2 must stay"
            )
        moves, odd = np.ones(len(later), dtype=bool), labels == ANOMALY
        if self.edition >= Edition.ORDERS_ANSWERS:  # what is known already stays where it is
            moves[odd] = RowPlaces(known.rows).of(later.rows[odd]) < 0
        still = RowPlaces(later.rows[moves]).of(known.rows) < 0
        found = self._in_order(later[np.flatnonzero(odd & moves)])
        return (
            joining.followed_by(typical[order]),
            known[np.flatnonzero(still)].followed_by(found),
            np.concatenate([np.ones(len(joining), dtype=bool), normal[order]]),
        )

    def _in_order(self, pool: Pool) -> Pool:
        """Bring rows that were labelled later into an order that depends on these rows alone."""
        if self.edition < Edition.ORDERS_ANSWERS:
            return pool
        ranks, width = dense_ranks(pool.rows), self.base.width
        return pool[row_order(ranks[:, :width], ranks[:, width:])]


def _seeds(support: Support) -> np.random.SeedSequence:
    """Seeds of a mapping, the same however often labels come.

    Made anew each time: before NumPy 2, a copy of a generator has lost those it came from.
    """
    return np.random.SeedSequence([support.seed, 1])


def _few_copies(rows: FloatArray, odd: FloatArray) -> NDArray[np.bool_]:
    """Tell which rows (m, p + q) equal one of others (k, p + q), if not too many equal the same."""
    alike = RowPlaces(odd).of(rows)
    found = alike >= 0
    few = np.bincount(alike[found], minlength=len(odd) + 1) <= MOST_COPIES
    return np.asarray(found & few[alike])


def last_told(rows: FloatArray, labels: LabelArray) -> NDArray[np.intp]:
    """Positions, rising, of the labelled rows (n, p + q); of equal ones the last.

    >>> last_told(np.array([[1.0], [2.0], [1.0], [3.0]]), np.array([1, 0, 0, -1])).tolist()
    [1, 2]
    """
    last = {rows[at].tobytes(): at for at in np.flatnonzero(labels != UNLABELLED)}
    return np.sort(np.fromiter(last.values(), dtype=np.intp, count=len(last)))


def support_sample(mapping: Mapping) -> tuple[Float32Array, LabelArray]:
    """Bounded sample of a mapping's own rows, for learners that adapt on rows.

    Returns
    -------
    tuple
        Coordinates (s, C, 2), label-aware ones 0, and labels (s,): known anomalies first, then
        typical rows (0 where all of them are known to be normal, else -1).
    """
    known = mapping.known_[:MAX_SUPPORT_ROWS]
    typical = mapping.typical_
    generator = np.random.default_rng([mapping.support.seed, 2])
    drawn = np.sort(generator.permutation(len(typical))[:MAX_SUPPORT_ROWS])
    rows = np.concatenate([known, typical[drawn]])
    rows[:, len(LABEL_FREE) :] = 0
    rest = NORMAL if mapping.support.normal_share == 1 else UNLABELLED
    labels = np.array([ANOMALY] * len(known) + [rest] * len(drawn), dtype=np.int8)
    return rows, labels


def map_episode(episode: Episode) -> MappedTask:
    """Encode and map an episode: all is learned from its support, the query is only transformed."""
    encoder = Encoder().fit(episode.support.rows)
    support = draw_support(
        encoder.transform(episode.support.rows),
        episode.support.labels,
        seed=episode.seed,
        flags=encoder.flags,
    )
    mapping = Mapping().fit(support)
    rows, labels = support_sample(mapping)
    return MappedTask(
        name=episode.name,
        family=episode.family,
        seed=episode.seed,
        support=rows,
        support_labels=labels,
        query=mapping.transform(encoder.transform(episode.query.rows)),
        query_labels=episode.query.labels,
        summary=mapping.summary_,
    )


def _empty(rows: int) -> Float32Array:
    return np.zeros((rows, len(COORDINATES), CHANNELS), dtype=np.float32)


def _unflat(coordinates: Float32Array) -> Float32Array:
    return coordinates.reshape(len(coordinates), len(LABEL_FREE), CHANNELS)
