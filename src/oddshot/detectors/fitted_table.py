"""A prior for tables, adapted to one: rows are encoded, mapped and judged."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from oddshot.detectors.kept_rows import KeptRows, as_frame
from oddshot.detectors.novelty import LABELS_ALONE, Novelty, without_labels
from oddshot.detectors.tables import some_rows, table_rows
from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    Float32Array,
    FloatArray,
    LabelArray,
    MappedTask,
)
from oddshot.errors import DataError, PriorError
from oddshot.frames import RawRows
from oddshot.learners import Detector, Learner, Params, Shape, collate, restore
from oddshot.mapping.encode import ColumnNote, Encoder
from oddshot.mapping.mapping import Mapping, Pool, last_told, support_sample
from oddshot.mapping.outside import Outside
from oddshot.mapping.quality import QUALITIES, Quality
from oddshot.mapping.support import Support, draw_support
from oddshot.mapping.threading import Narrowing, in_blocks
from oddshot.priors import Prior
from oddshot.thresholds.surprise import Surprise

PROBES = 16
ENOUGH_ROWS, ENOUGH_PER_COLUMN = 50, 5  # with so many, new rows look like those of the support
FOLDS, ENOUGH_HELD_OUT = 5, 200  # as many of the folds are held out as give so many rows
LEAST_ROWS = 4  # of fewer none can be spared
OUTSIDE_WITH_LABELS = 1.5  # decades at most; what it trades stands in docs/results/novel-types.md
_SHARE_OF_OWN = 1e-3  # of a raised row's own decades: they order rows, and count for nothing else


class FittedTable:
    """What `FewShotDetector` keeps of a table; raw scores have any scale, higher = odder.

    Parameters
    ----------
    prior
        A prior for tables.
    encoder, support
        What the table taught, and its rows to compare with.
    threads
        Threads for tree models.
    kept
        The same rows as the user gave them; ``None`` where an older version saved the detector.
    left_out
        See `Mapping`.
    novelty
        What stays of the label-free view where there are known anomalies.

    Attributes
    ----------
    typical_scores
        Shape (m,): unlabelled and known normal rows, each compared with all but itself.
    clean
        Whether all rows to compare with are known to be normal.
    """

    def __init__(
        self,
        prior: Prior,
        encoder: Encoder,
        support: Support,
        *,
        threads: int,
        kept: KeptRows | None = None,
        left_out: Sequence[str] = (),
        novelty: Novelty = LABELS_ALONE,
    ) -> None:
        self.prior, self._encoder, self.kept = prior, encoder, kept
        self._threads, self._left_out, self._novelty = threads, tuple(left_out), novelty
        self.spares_rows = len(support.typical) >= LEAST_ROWS and not _many(support)
        restore(prior)  # first: it tells at once whether it can
        self._settle(Mapping(threads=threads, left_out=self._left_out).fit(support))

    def _settle(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._head = _head(*restore(self.prior), mapping, self._novelty)
        typical = self._judged(mapping.typical_)
        place = np.argsort(mapping.support.columns)  # of an encoded column in the support
        unseen = {int(place[at]): told for at, told in self._encoder.unseen_levels().items()}
        self._outside = Outside().fit(mapping.support.typical, mapping.places_, unseen)
        self._scale = Surprise().fit(typical)
        self._without: list[tuple[FittedTable, Surprise]] = []  # made when first needed
        self.typical_scores = self._raised(typical, mapping.support.typical)
        self.clean = mapping.support.normal_share == 1.0

    @property
    def stands_for_new(self) -> bool:
        """Whether scores of typical rows stand for those of new ones."""
        return self.spares_rows or _many(self._mapping.base)

    @property
    def known_scores(self) -> FloatArray:
        """Raw scores (k,) of the known anomalies."""
        return self.scored_arranged(self._mapping.support.known)

    @classmethod
    def fit(
        cls,
        prior: Prior,
        rows: RawRows,
        labels: LabelArray,
        *,
        seed: int,
        threads: int,
        quality: Quality = QUALITIES["standard"],
        novelty: Novelty = LABELS_ALONE,
    ) -> Self:
        """Adapt a prior to rows (n, d) with labels (n,)."""
        encoder = Encoder().fit(rows)
        known = int((labels == ANOMALY).sum())
        if known > len(labels) - 2:
            raise DataError(
                f"{known} of {len(labels)} rows are labelled as anomalies; at least 2 unlabelled "
                "or normal rows are needed to compare with"
            )
        encoded = np.empty((rows.shape[0], len(encoder.encoded_names_)))
        filled = 0
        for block in encoder.blocks(rows):
            encoded[filled : filled + len(block)] = block
            filled += len(block)
        support = draw_support(
            encoded,
            labels,
            seed=seed,
            max_typical=quality.max_typical,
            copies_once=True,
            threads=threads,
        )
        kept = KeptRows.of(rows, encoded, labels, support)
        del encoded  # of wide tables it is the larger part of the memory
        left_out = quality.left_out
        return cls(
            prior, encoder, support, threads=threads, kept=kept, left_out=left_out, novelty=novelty
        )

    def scored(self, X: Any) -> FloatArray:
        """Raw scores (n,) of rows (n, d).

        Raises
        ------
        DataError
            If there is no row, or columns are missing or hold what `fit` has not seen there.
        """
        return np.concatenate([self.scored_arranged(block) for block in self._blocks(X)])

    def pool(self, X: Any) -> Pool:
        """See rows (n, d) by all that needs no label, to judge them again and again.

        Raises
        ------
        DataError
            As `scored`.
        """
        return self._mapping.pool(self.arranged(X))

    def arranged(self, X: Any) -> FloatArray:
        """Rows (n, d) encoded (n, p), columns in the support's order; errors as of `scored`."""
        return np.concatenate([*self._blocks(X)])

    def holds(self, X: Any) -> NDArray[np.bool_]:
        """Tell which rows (n, d) are among those compared with; errors as of `scored`."""
        return np.asarray(self._mapping.places_.of(self.arranged(X)) >= 0)

    def judged(self, pool: Pool) -> FloatArray:
        """Raw scores (n,) of a pool, of this table or one that it came from by `with_labels`."""
        return self._settled(self._judged(self._mapping.judge(pool)), pool.rows)

    def with_labels(self, pool: Pool, labels: LabelArray, X: Any) -> Self:
        """Adapt to what has become known of a pool of rows X (n, d): see `Mapping.with_labels`."""
        told = last_told(pool.rows, labels)
        if not len(told):
            return self
        fitted = object.__new__(type(self))  # `copy` would make a head, and `_settle` another
        vars(fitted).update(vars(self))
        if self.kept is not None:
            known, frame = self.arranged(self.kept.frame), as_frame(table_rows(X), told)
            fitted.kept = self.kept.with_labels(known, frame, pool[told].rows, labels[told])
        fitted._settle(self._mapping.with_labels(pool, labels))
        return fitted

    def seen(self, X: Any) -> tuple[FloatArray, Float32Array, FloatArray]:
        """Rows (n, d) encoded (n, p), mapped (n, C, 2), and their raw scores (n,).

        Columns of encoded rows are in canonical order; errors as of `scored`.
        """
        encoded = self.arranged(X)
        coordinates = self._mapping.transform_arranged(encoded)
        return encoded, coordinates, self._settled(self._judged(coordinates), encoded)

    def probe(self) -> FloatArray:
        """Raw scores of a few rows, to tell whether a loaded detector gives what it gave before."""
        return self.scored_arranged(self._mapping.support.typical[:PROBES])

    def held_out(self, part: NDArray[np.intp]) -> tuple[Self, FloatArray]:
        """Adapt again without some of the kept rows: what comes of it, and their raw scores by it.

        How columns are written in numbers stays as all rows taught it.
        """
        support = self._mapping.support
        rest = np.delete(np.arange(len(support.typical)), part)
        share = float((self.kept_labels[rest] == NORMAL).mean())
        fewer = replace(support, typical=support.typical[rest], normal_share=share)
        adapted = type(self)(
            self.prior,
            self._encoder,
            fewer,
            threads=self._threads,
            left_out=self._left_out,
            novelty=self._novelty,
        )
        adapted.spares_rows = False
        return adapted, adapted.scored_arranged(support.typical[part])

    @property
    def kept_labels(self) -> LabelArray:
        """Labels (m,) of the rows that ``typical_scores`` belong to: 0 or -1."""
        return self._mapping.support.labels

    @property
    def teaching(self) -> int:
        """How many of these, from the first on, can be held out."""
        return len(self._mapping.support.typical)

    @property
    def kept_numbers(self) -> Float32Array:
        """These rows in numbers (m, p)."""
        return _single(self._mapping.support.typical)

    def numbers(self, X: Any) -> Float32Array:
        """Rows (n, d) in numbers (n, p); errors as those of `scored`."""
        return np.concatenate([_single(block) for block in self._blocks(X)])

    @property
    def encoder(self) -> Encoder:
        """How columns are written as numbers."""
        return self._encoder

    @property
    def support(self) -> Support:
        """The encoded rows to compare with."""
        return self._mapping.support

    @property
    def seed(self) -> int:
        """Seed of all that is random."""
        return self._mapping.support.seed

    @property
    def column_report(self) -> list[ColumnNote]:
        """What became of every column."""
        return self._encoder.report()

    @property
    def columns(self) -> dict[str, Any]:
        """scikit-learn's attributes on the columns that `fit` saw."""
        return self._encoder.seen_columns

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `restored` needs, as JSON and as arrays."""
        support, (rows_later, labels_later) = self._mapping.base, self._mapping.later
        settings, arrays = self._encoder.state()
        kept, rows = ({}, {}) if self.kept is None else self.kept.state()
        meta = {"encoder": settings, "normal_share": support.normal_share, "kept": kept}
        meta |= {"left_out": list(self._left_out), "spares_rows": self.spares_rows}
        return meta, {
            "support.columns": np.asarray(support.columns, dtype=np.int64),
            "support.typical": support.typical,
            "support.known": support.known,
            "later.rows": rows_later,
            "later.labels": labels_later,
            **{f"encoder.{name}": array for name, array in arrays.items()},
            **{f"kept.{name}": array for name, array in rows.items()},
        }

    @classmethod
    def restored(
        cls,
        prior: Prior,
        meta: dict[str, Any],
        parts: dict[str, dict[str, NDArray[Any]]],
        *,
        threads: int,
    ) -> Self:
        """Adapt again to the rows that were kept: ``meta`` and arrays by part and name."""
        support = Support(
            parts["support"]["columns"].astype(np.intp),
            parts["support"]["typical"],
            parts["support"]["known"],
            float(meta["normal_share"]),
            int(meta["seed"]),
        )
        encoder = Encoder.from_state(meta["encoder"], parts.get("encoder", {}))
        kept = KeptRows.restored(meta["kept"], parts["kept"]) if meta.get("kept") else None
        left_out = meta.get("left_out", ())
        novelty = Novelty.checked(meta.get("novel", 0.0))
        fitted = cls(
            prior, encoder, support, threads=threads, kept=kept, left_out=left_out, novelty=novelty
        )
        fitted.spares_rows = meta.get("spares_rows", False)  # an older version held none out
        later = parts.get("later", {})  # none in what an older version saved
        if later and len(later["labels"]):
            mapping = fitted._mapping
            pool = mapping.pool(later["rows"])
            fitted._settle(mapping.with_labels(pool, later["labels"].astype(np.int8)))
        return fitted

    def scored_arranged(self, rows: FloatArray) -> FloatArray:
        """Raw scores (n,) of encoded rows (n, p) whose columns are in the support's order."""
        if not len(rows):
            return np.zeros(0)
        return self._settled(self._judged(self._mapping.transform_arranged(rows)), rows)

    def _blocks(self, X: Any) -> Iterator[FloatArray]:
        """Do what `arranged` does, block by block."""
        return map(self._mapping.support.arranged, self._encoder.blocks(some_rows(X)))

    def _settled(self, judged: FloatArray, rows: FloatArray) -> FloatArray:
        """Make what the head says (n,) of rows (n, p) their raw scores.

        With few rows for the number of columns a new row looks odder than those of the support,
        which have shaped all that it is compared by. Then new rows are judged by detectors from
        which a part of the support was held out, and the share of held-out rows that are as odd,
        over all parts, is their surprise: cross-conformal (Vovk 2015).
        """
        if self.spares_rows:
            new = np.flatnonzero(self._mapping.places_.of(rows) < 0)
            judged = judged.copy()
            judged[new] = self._scale.scores_at(self._surprise_of_new(rows[new]))
        return self._raised(judged, rows)

    def _surprise_of_new(self, rows: FloatArray) -> FloatArray:
        """Surprise (n,), in decades, of new rows (n, p)."""
        if not len(rows):
            return np.zeros(0)
        judges = self._without or self._held_out_in_folds()
        self._without = judges  # at once: another thread may be scoring, too
        shares = [10 ** -scale.apply(fitted.scored_arranged(rows)) for fitted, scale in judges]
        return np.asarray(-np.log10(np.mean(shares, axis=0)))

    def _held_out_in_folds(self) -> "list[tuple[FittedTable, Surprise]]":
        """Adapt without each of some folds; beside it the scale of that fold's raw scores."""
        shuffled = np.random.default_rng([self.seed, 9]).permutation(self.teaching)
        folds = np.array_split(shuffled, min(FOLDS, self.teaching))
        held_out = map(self.held_out, folds[: -(-ENOUGH_HELD_OUT // len(folds[0]))])
        return [(fitted, Surprise().fit(raw)) for fitted, raw in held_out]

    def _raised(self, scores: FloatArray, rows: FloatArray) -> FloatArray:
        """Raise raw scores (n,) to the decades of rows (n, p) that lie outside in a column.

        Where labels tell what is looked for, to no more than stands out from most rows, so that it
        comes first. New rows that lie outside all alike, as by their date, keep their order.
        """
        decades = self._outside.decades(rows)
        out = np.flatnonzero(decades)
        if not len(out):
            return scores
        own = self._scale.apply(scores[out])
        most = OUTSIDE_WITH_LABELS if len(self._mapping.known_) else np.inf
        least = np.minimum(decades[out], most) + _SHARE_OF_OWN * own
        raised = scores.copy()
        raised[out] = np.maximum(scores[out], self._scale.scores_at(least))
        return raised

    def _judged(self, coordinates: Float32Array) -> FloatArray:
        """Raw scores (n,) of mapped rows (n, C, 2)."""
        rows = torch.from_numpy(coordinates)[None]

        def judge(block: slice) -> FloatArray:
            with torch.no_grad():  # a setting of the thread's own
                return np.asarray(self._head(rows[:, block].double())[0].numpy())

        with _ONE_TORCH_THREAD.held():
            return np.concatenate(in_blocks(judge, len(coordinates), threads=self._threads))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the head, a function that a learner made."""
        return {name: v for name, v in vars(self).items() if name != "_head"} | {"_without": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the head again from prior and mapping."""
        vars(self).update(state)
        self._head = _head(*restore(self.prior), self._mapping, self._novelty)


def _head(learner: Learner, params: Params, mapping: Mapping, novelty: Novelty) -> Detector:
    """Adapt a prior to a mapped support."""
    rows, labels = support_sample(mapping)
    task = MappedTask(
        name="",
        family="",
        seed=mapping.support.seed,
        support=rows,
        support_labels=labels,
        query=rows[:0],
        query_labels=labels[:0],
        context=mapping.context_,
    )
    if learner.shape != Shape.of(task):
        raise PriorError(
            f"the prior reads rows of {learner.shape}, but this version of Oddshot maps rows to "
            f"{Shape.of(task)}; load or train a prior for this version"
        )
    told = _adapted(learner, params, task)
    if not len(mapping.known_) or novelty == LABELS_ALONE:
        return told
    free = _adapted(learner, params, without_labels(task))
    return novelty.floored(told, free, mapping.typical_, mapping.known_)


def _adapted(learner: Learner, params: Params, task: MappedTask) -> Detector:
    """In double precision: sums in single precision differ with the number of rows at once."""
    with _ONE_TORCH_THREAD.held(), torch.no_grad():
        return learner.detector(
            {name: value.double() for name, value in params.items()},
            collate([task]).to(torch.float64),
        )


def _many(support: Support) -> bool:
    """Tell whether typical rows are so many that new ones look no odder than these."""
    rows, width = support.typical.shape
    return bool(rows >= max(ENOUGH_ROWS, ENOUGH_PER_COLUMN * width))


def _narrow_torch() -> int:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    return threads


# these sums are so small that more threads would mostly wait
_ONE_TORCH_THREAD = Narrowing(_narrow_torch, torch.set_num_threads)


def _single(rows: FloatArray) -> Float32Array:
    reach = 1e30  # far below what single precision holds
    return np.clip(rows, -reach, reach).astype(np.float32)
