"""A prior for tables, adapted to one: rows are encoded, mapped and judged."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from oddshot.detectors.corrections.few_rows import (
    LEAST_ROWS,
    CrossConformal,
    Fewer,
    can_spare,
)
from oddshot.detectors.corrections.novelty import LABELS_ALONE, Novelty
from oddshot.detectors.fitted.heads import Heads
from oddshot.detectors.fitted.judge import Judge
from oddshot.detectors.fitted.kept_rows import KeptRows, rows_of_support, sampled_rows
from oddshot.detectors.given.groups import Groups
from oddshot.detectors.given.tables import some_rows, table_rows
from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    UNLABELLED,
    Float32Array,
    FloatArray,
    LabelArray,
)
from oddshot.errors import DataError
from oddshot.frames import RawRows, as_frame
from oddshot.learners import restore
from oddshot.mapping.editions import Edition
from oddshot.mapping.encoding.category import Category
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.mapping import (
    Mapping,
    Pool,
    last_told,
)
from oddshot.mapping.quality import QUALITIES, Quality
from oddshot.mapping.row_counts import RowCounts, are_usual
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.support import (
    EACH_ITSELF,
    MAX_TYPICAL,
    MOST_COPIES,
    DrawnFor,
    Support,
    draw_support,
)
from oddshot.priors import Prior
from oddshot.thresholds.surprise import Surprise

PROBES = 16


class FittedTable:
    """What `FewShotDetector` keeps of a table; raw scores have any scale, higher = odder.

    Parameters
    ----------
    prior
        A prior for tables.
    encoder, mapping
        What the table taught: how columns become numbers, and rows to compare with.
    kept
        The same rows as the user gave them; ``None`` where an older version saved the detector.
    copies
        Shape (m,): how many rows given to fit each typical row of the mapping's base stands for;
        ``None``: for itself.
    counts
        How often each different row was there, where normal rows count once and some are not among
        the typical ones of the base; else ``None``.
    novelty
        What stays of the label-free view where there are known anomalies.
    spares_rows
        Whether new rows are judged by detectors that some rows were held out from, see
        `CrossConformal`; ``None``: where rows are few, or levels rare. While labels leave fewer
        than three rows to compare with, none is held out, whatever is asked.
    told_by_known
        Evidence (C,) of each kind that known anomalies give, in the place of the mapping's own.
        ``None``: this, or what comes of rows held out where new ones are judged so.
    overlap
        Whether rows overlap, as windows of a series do: their like is beside those that are held
        out, and nearest to them, so that none is spared, and none raised for being alone.

    Attributes
    ----------
    clean
        Whether all rows to compare with are known to be normal.
    """

    @np.errstate(under="ignore")
    def __init__(
        self,
        prior: Prior,
        encoder: Encoder,
        mapping: Mapping,
        *,
        kept: KeptRows | None = None,
        copies: FloatArray | None = None,
        counts: RowCounts | None = None,
        novelty: Novelty = LABELS_ALONE,
        spares_rows: bool | None = None,
        told_by_known: dict[str, FloatArray] | None = None,
        overlap: bool = False,
    ) -> None:
        self.prior, self.encoder = prior, encoder
        self.kept = None if kept is None else kept.with_levels(encoder.levels_by_type)
        self._mapping, self._novelty = mapping, novelty
        self.clean = mapping.support.normal_share == 1.0
        self._copies = np.ones(len(mapping.base.typical)) if copies is None else copies
        self._counts = counts
        if spares_rows is None:
            spares_rows = not overlap and can_spare(mapping.base, encoder.rarer)
        self._overlap, self._may_spare_rows = overlap, spares_rows
        self.spares_rows = spares_rows and len(mapping.support.typical) >= LEAST_ROWS
        self._of_new = CrossConformal()
        if told_by_known is None and self._known_come_as_new:
            told_by_known = self._of_new.told_by_known(self)
        self._told_by_known = told_by_known or {}
        self._judge = Judge(
            Heads(prior, mapping, told_by_known=self._told_by_known, novelty=novelty),
            encoder,
            mapping,
            novelty=novelty,
            copies=self.copies,
            solitude=not self.clean and not overlap,
            normal_once=self.normal_once,
            counts=counts,
        )

    @property
    def typical_scores(self) -> FloatArray:
        """Raw scores (m,) of unlabelled and known normal rows, each seen without itself."""
        return self._judge.typical_scores

    @property
    def unlowered_scores(self) -> FloatArray:
        """The same as they were before the like of known normal rows was lowered."""
        return self._judge.unlowered_scores

    @property
    def stands_for_new(self) -> bool:
        """Whether scores of typical rows stand for those of new ones, few as they may be."""
        return self.spares_rows

    @property
    def known_scores(self) -> FloatArray:
        """Raw scores (k,) of the known anomalies."""
        return self.scored_arranged(self._mapping.support.known)

    @property
    def unseen_known_scores(self) -> FloatArray:
        """Raw scores (k,) of the known anomalies as new ones of their kinds may have them.

        Label-aware coordinates come from what has seen the other half of them. Where rows were held
        out to judge new ones, they are judged so, too; none where an older version did not.
        """
        if self.spares_rows:
            if not self._known_come_as_new:
                return np.zeros(0)
            scale = Surprise().fit(self.unlowered_scores)
            return scale.scores_at(self._of_new.surprise_of_known(self))
        return self._judge.told_of_known()

    @property
    def _known_come_as_new(self) -> bool:
        """Whether there are known anomalies, to be compared with rows that were held out."""
        mapping = self._mapping
        return (
            self.spares_rows
            and mapping.edition >= Edition.TYPICAL_AS_NEW
            and len(mapping.known_) > 0
        )

    @property
    def normal_once(self) -> bool:
        """Whether rows are all known to be normal, and each stands for all that equal it."""
        new = self._mapping.edition >= Edition.NORMAL_ONCE
        return new and self.clean and bool((self.copies > 1).any())

    @classmethod
    @np.errstate(under="ignore")
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
        spares_rows: bool | None = None,
        edition: int = Edition.NEWEST,
        told_by_known: dict[str, FloatArray] | None = None,
        drawn_for: DrawnFor = EACH_ITSELF,
        overlap: bool = False,
        not_learned: dict[str, str] | None = None,
    ) -> Self:
        """Adapt a prior to rows (n, d) with labels (n,), which were ``drawn_for`` others.

        Columns that are ``not_learned`` are left out whatever they hold, and why.
        """
        restore(prior)  # first: it tells at once whether it can
        encoder = Encoder(owner="FewShotDetector").fit(rows, not_learned=not_learned)
        known = int((labels == ANOMALY).sum())
        if known > len(labels) - 2:
            raise DataError(
                f"{known} of {len(labels)} rows are labelled as anomalies; at least 2 unlabelled "
                "or normal rows are needed to compare with"
            )
        aside = len(encoder.aside_names_)
        named = encoder.feature_names_in_ is not None
        encoded = np.empty((rows.shape[0], len(encoder.encoded_names_) + aside))
        filled = 0
        for block in encoder.blocks(rows, aside=True):
            encoded[filled : filled + len(block)] = block
            filled += len(block)
        support = draw_support(
            encoded,
            labels,
            seed=seed,
            max_typical=quality.max_typical,
            copies_once=True,
            normal_once=edition >= Edition.NORMAL_ONCE,
            aside=aside,
            names=[*encoder.encoded_names_, *encoder.aside_names_] if named else (),
            flags=encoder.flags,
            threads=threads,
        )
        support = replace(support, drawn_for=support.drawn_for.times(drawn_for))
        most = MOST_COPIES * quality.max_typical
        if (labels == NORMAL).all() and support.copies is not None and support.copies.max() > 1:
            kept = sampled_rows(rows, labels, encoded, support, most=most)
        else:
            kept = KeptRows.of(rows, labels, rows_of_support(encoded, labels, support), seed)
        del encoded  # of wide tables it is the larger part of the memory
        return cls(
            prior,
            encoder,
            Mapping(threads=threads, left_out=quality.left_out, edition=edition).fit(support),
            kept=kept,
            copies=support.copies,
            counts=support.counts,
            novelty=novelty,
            spares_rows=spares_rows,
            told_by_known=told_by_known,
            overlap=overlap,
        )

    def scored(self, X: Any) -> FloatArray:
        """Raw scores (n,) of rows (n, d).

        Raises
        ------
        DataError
            If there is no row, or columns are missing or hold what `fit` has not seen there.
        """
        return np.concatenate([self.scored_arranged(block) for block in self._blocks(X)])

    @np.errstate(under="ignore")
    def pool(self, X: Any) -> Pool:
        """See rows (n, d) by all that needs no label, to judge them again and again.

        Raises
        ------
        DataError
            As `scored`.
        """
        return self._mapping.pool(self.arranged(X))

    def arranged(self, X: Any) -> FloatArray:
        """Rows (n, d) encoded (n, p + q), columns in the support's order; errors as of `scored`."""
        return np.concatenate([*self._blocks(X)])

    def holds(self, X: Any) -> NDArray[np.bool_]:
        """Tell which rows (n, d) are among those compared with; errors as of `scored`."""
        return self.holds_arranged(self.arranged(X))

    def holds_arranged(self, rows: FloatArray) -> NDArray[np.bool_]:
        """As `holds`, of encoded rows (n, p + q) whose columns are in the support's order."""
        return np.asarray(self._mapping.places_.of(rows) >= 0)

    def labels_of(self, pool: Pool) -> LabelArray:
        """Labels (n,) of the kept rows that a pool's rows are; -1 for all others."""
        labels = np.append(self.kept_labels, UNLABELLED)[self._mapping.places_.of(pool.rows)]
        labels[RowPlaces(self._mapping.support.known).of(pool.rows) >= 0] = ANOMALY
        return labels.astype(np.int8)

    @np.errstate(under="ignore")
    def judged(self, pool: Pool, *, together: bool = True) -> FloatArray:
        """Raw scores (n,) of a pool, of this table or one that it came from by `with_labels`."""
        told = self._judge.told(self._mapping.judge(pool), pool.rows)
        return self._settled(told, pool, together=together)

    def with_labels(self, pool: Pool, labels: LabelArray, X: Any) -> Self:
        """Adapt to what has become known of a pool of rows X (n, d): see `Mapping.with_labels`."""
        told = last_told(pool.rows, labels)
        if not len(told):
            return self
        kept = self.kept
        if kept is not None:
            known, frame = self.arranged(kept.frame), as_frame(table_rows(X), told)
            kept = kept.with_labels(known, frame, pool[told].rows, labels[told])
        return type(self)(
            self.prior,
            self.encoder,
            self._mapping.with_labels(pool, labels),
            kept=kept,
            copies=self._copies,
            counts=self._counts,
            novelty=self._novelty,
            spares_rows=self._may_spare_rows,
            overlap=self._overlap,
        )

    def seen(self, X: Any) -> tuple[FloatArray, Float32Array, FloatArray]:
        """Rows (n, d) encoded (n, p + q), mapped (n, C, 2), and their raw scores (n,).

        Columns of encoded rows are in canonical order; errors as of `scored`.
        """
        encoded = self.arranged(X)
        return encoded, *self.seen_arranged(encoded)

    @np.errstate(under="ignore")
    def seen_arranged(self, rows: FloatArray) -> tuple[Float32Array, FloatArray]:
        """As `seen`, of encoded rows (n, p + q) in the support's order: mapped, and raw scores."""
        pool = self._mapping.pool(rows)
        coordinates = self._mapping.judge(pool)
        return coordinates, self._settled(self._judge.told(coordinates, pool.rows), pool)

    def probe(self) -> FloatArray:
        """Raw scores of a few rows, to tell whether a loaded detector gives what it gave before."""
        return self.scored_arranged(self._mapping.support.typical[:PROBES])

    @np.errstate(under="ignore")
    def held_out(self, part: NDArray[np.intp]) -> tuple[Self, FloatArray]:
        """Fit again without some of the kept rows: what comes of it, and their raw scores by it.

        The rows that stay teach how columns are written, too, where some have levels, or only rows
        of the part have gaps: else the rarity of a level counts the rows that are held out, and a
        column is known to have gaps by them. Elsewhere, or where not all rows are kept as they were
        given, see `without`.
        """
        kept = self.kept
        levels = any(isinstance(recipe, Category) for recipe in self.encoder.recipes)
        rows_of = self._rows_of if levels or self._alone_in_gaps(part) else None
        if kept is None or rows_of is None:
            return self.without(part)
        others = np.delete(
            np.arange(len(rows_of)), part
        )  # of different rows that are compared with
        known = np.flatnonzero(kept.labels == ANOMALY)
        rest = np.sort(np.concatenate([known, *(rows_of[at] for at in others)]))
        try:
            adapted = type(self).fit(
                self.prior,
                kept.frame.iloc[rest],
                kept.labels[rest],
                seed=self.seed,
                threads=self._mapping.threads,
                quality=Quality(MAX_TYPICAL, self._mapping.left_out),
                novelty=self._novelty,
                spares_rows=False,
                edition=self._mapping.edition,
                told_by_known=self._told_by_known,
                overlap=self._overlap,
                not_learned=self.encoder.identifiers,
            )
        except DataError:  # no column varies without these rows
            return self.without(part)
        first = kept.frame.iloc[[rows_of[at][0] for at in part]]
        return adapted, adapted.scored(first)

    @np.errstate(under="ignore")
    def raised_as_new(self, part: NDArray[np.intp]) -> FloatArray:
        """Raw scores (k,) to which levels raise some of the typical rows, were they new.

        See `Judge.raised_as_new`.
        """
        return self._judge.raised_as_new(part)

    def _alone_in_gaps(self, part: NDArray[np.intp]) -> bool:
        """Whether a column has gaps in typical rows of this part, and in no other row."""
        gaps, of_known = self._gaps
        others = np.concatenate([np.delete(gaps, part, axis=0), of_known]).any(axis=0)
        return bool((gaps[part].any(axis=0) & ~others).any())

    @property
    def _gaps(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Gaps of typical rows (m, g) and known anomalies (k, g) where gaps are flagged."""
        support, columns = self.support, self.support.places[self.encoder.gaps_at()]
        return support.typical[:, columns] > 0, support.known[:, columns] > 0

    @property
    def first_gaps(self) -> float:
        """Share of new rows to be expected with a gap in a column that had none (Good 1953).

        As many rows given to `fit` have the only gap of a column. Not told, 0, where not all of
        them are kept to compare with.
        """
        (gaps, of_known), rows = self._gaps, float(self.copies.sum())
        if self.kept is None:
            return 0.0
        known = max(len(of_known), int((self.kept.labels == ANOMALY).sum()))  # copies count once
        if rows + known < self.kept.given:
            return 0.0
        alone = self.copies @ gaps + of_known.sum(axis=0) == 1
        return float(gaps[:, alone].any(axis=1).sum()) / rows

    def without(self, part: NDArray[np.intp]) -> tuple[Self, FloatArray]:
        """Adapt again without some rows of the support, and score these by what comes of it.

        How columns are written in numbers stays as all rows taught it, but for the rarity of
        levels, which no longer counts them.
        """
        return self.adapted_to(self.mapped_without(part))

    @np.errstate(under="ignore")
    def mapped_without(self, part: NDArray[np.intp]) -> Fewer:
        """Do what `without` does, but for the head."""
        support = self._mapping.support
        rest = np.delete(np.arange(len(support.typical)), part)
        share = float((self.kept_labels[rest] == NORMAL).mean())
        encoder, typical, known = self.encoder, support.typical, support.known
        if self._mapping.edition >= Edition.RECOUNTS_LEVELS:
            encoder = encoder.without(support.as_encoded(typical[part]), self._counted[part])
            typical, known = (_rewritten(encoder, support, rows) for rows in (typical, known))
        copies = self.copies[rest] if self.normal_once else None
        fewer = replace(
            support, typical=typical[rest], known=known, normal_share=share, copies=copies
        )
        mapping = self._mapping.of_other(fewer)
        return Fewer(encoder, mapping, typical[part], self.kept_labels[part])

    def adapted_to(self, fewer: Fewer) -> tuple[Self, FloatArray]:
        """Adapt to what was learned without some rows, and score these by what comes of it."""
        adapted = type(self)(
            self.prior,
            fewer.encoder,
            fewer.mapping,
            copies=fewer.mapping.base.copies,
            novelty=self._novelty,
            spares_rows=False,
            told_by_known=self._told_by_known,
            overlap=self._overlap,
        )
        return adapted, adapted.scored_arranged(fewer.held_out)

    def scored_anew(self, rows: FloatArray) -> FloatArray:
        """As `scored_arranged`, of rows that were encoded before some rows were held out."""
        if self._mapping.edition >= Edition.RECOUNTS_LEVELS:
            rows = _rewritten(self.encoder, self.support, rows)
        return self.scored_arranged(rows)

    def groups_of(self, groups: Groups) -> Groups:
        """Find the groups of the typical rows (m,) among those of the rows (n,) given to fit.

        A row that stands for equal ones of several groups gets one of these.

        Raises
        ------
        DataError
            If there are not as many as rows given to fit, or not all of these rows are kept.
        """
        kept, rows_of = self.kept, self._rows_of
        if kept is None or rows_of is None:
            raise DataError(
                "groups are given, but the detector no longer knows which of the rows given to fit "
                "those are that it keeps (labels came later, columns are many, or an older version "
                "saved it); fit again, or give calibrate rows X of other groups"
            )
        given = kept.given or max(len(groups.numbers), int(kept.places.max()) + 1)
        if len(groups.numbers) != given:
            raise DataError(
                f"fit was given {given:,} rows but groups has {len(groups.numbers):,}; give one "
                "for each of these rows, in their order"
            )
        return groups.of_few([kept.places[rows] for rows in rows_of])

    @cached_property
    def _rows_of(self) -> list[NDArray[np.intp]] | None:
        """Which kept rows each typical row stands for; ``None`` where not all are as given."""
        kept = self.kept
        if kept is None or (kept.places < 0).any():
            return None
        found = kept.rows_of(self.arranged(kept.frame), self._mapping.support.typical)
        return found if min(map(len, found)) else None

    @property
    def kept_labels(self) -> LabelArray:
        """Labels (m,) of the rows that ``typical_scores`` belong to: 0 or -1."""
        return self._mapping.support.labels

    @property
    def labelled_both_ways(self) -> int:
        """How many different rows are a known anomaly here and known to be normal there."""
        support = self._mapping.support
        normal = RowPlaces(support.typical[support.labels == NORMAL])
        odd = support.known[normal.of(support.known) >= 0]
        return len(np.unique(RowPlaces(odd).of(odd)))

    @cached_property
    def came_later(self) -> NDArray[np.bool_]:
        """Which of these rows (m,) came with a label after fit, which has not seen them."""
        return np.asarray(self._counted == 0)

    @cached_property
    def labels_at_fit(self) -> LabelArray:
        """Labels (m,) of these rows, but for those that came after fit: these are -1 here."""
        base = self._mapping.base
        at = RowPlaces(base.typical).of(self._mapping.support.typical)
        told = np.append(base.labels, UNLABELLED)[at] == NORMAL
        return np.where(told, self.kept_labels, UNLABELLED).astype(np.int8)

    @cached_property
    def copies(self) -> FloatArray:
        """How many rows given to fit each of these rows (m,) stands for."""
        return np.where(self._counted > 0, self._counted, 1.0)

    @cached_property
    def _counted(self) -> FloatArray:
        """The same, but 0 of those that came with a label later: the encoder has not seen them."""
        base = RowPlaces(self._mapping.base.typical).of(self._mapping.support.typical)
        return np.where(base >= 0, self._copies[base], 0.0)

    @cached_property
    def occurrences(self) -> FloatArray:
        """How many rows given to fit were equal to each of these rows (m,)."""
        rows = self._mapping.support.typical
        first = self._mapping.places_.of(rows)
        return self.copies * np.bincount(first, minlength=len(rows))[first]

    @property
    def drawn_for(self) -> tuple[FloatArray, FloatArray]:
        """How many rows given to fit each typical row (m,) and known anomaly (k,) was drawn for.

        Copies aside. Those that came with a label later stand for themselves.
        """
        base, support = self._mapping.base, self._mapping.support
        of_base, _ = base.drawn_for_each
        if self._counts is not None:  # the most usual ones are there for themselves
            usual = are_usual(self._copies, self._counts.total, len(base.typical))
            left_out = self._counts.total - self._copies.sum()
            times = 1 + left_out / max(self._copies[~usual].sum(), 1)
            of_base = np.where(usual, of_base / times, of_base)
        before = RowPlaces(base.typical).of(support.typical)
        known_before = RowPlaces(base.known).of(support.known)
        return (
            np.where(before >= 0, of_base[before], 1.0),
            np.where(known_before >= 0, base.drawn_for.known, 1.0),
        )

    @property
    def teaching(self) -> int:
        """How many of these, from the first on, can be held out."""
        return len(self._mapping.support.typical)

    @property
    def kept_numbers(self) -> Float32Array:
        """These rows in numbers (m, p)."""
        return self._numbers_of(self._mapping.support.typical)

    def numbers(self, X: Any) -> Float32Array:
        """Rows (n, d) in numbers (n, p); errors as those of `scored`."""
        return np.concatenate([self._numbers_of(block) for block in self._blocks(X)])

    def scores_and_numbers(self, X: Any) -> tuple[FloatArray, Float32Array]:
        """Give what `scored` and `numbers` give; rows are encoded once."""
        found = [(self.scored_arranged(rows), self._numbers_of(rows)) for rows in self._blocks(X)]
        scores, numbers = zip(*found, strict=True)
        return np.concatenate(scores), np.concatenate(numbers)

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
        return self.encoder.report()

    @property
    def columns(self) -> dict[str, Any]:
        """scikit-learn's attributes on the columns that `fit` saw."""
        return self.encoder.seen_columns

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `restored` needs, as JSON and as arrays."""
        support, (rows_later, labels_later) = self._mapping.base, self._mapping.later
        settings, arrays = self.encoder.state()
        kept, rows = ({}, {}) if self.kept is None else self.kept.state()
        meta = {"encoder": settings, "normal_share": support.normal_share, "kept": kept}
        meta |= {"left_out": list(self._mapping.left_out), "spares_rows": self._may_spare_rows}
        meta |= {"edition": self._mapping.edition, "overlap": self._overlap}
        meta |= {"drawn_for": list(support.drawn_for)}
        counted = {} if self._counts is None else self._counts.state()
        return meta, {
            "support.columns": np.asarray(support.columns, dtype=np.int64),
            "support.typical": support.typical,
            "support.known": support.known,
            "support.copies": self._copies,
            "later.rows": rows_later,
            "later.labels": labels_later,
            **{f"encoder.{name}": array for name, array in arrays.items()},
            **{f"kept.{name}": array for name, array in rows.items()},
            **{f"counted.{name}": array for name, array in counted.items()},
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
        encoder = Encoder.from_state(
            meta["encoder"], parts.get("encoder", {}), owner="FewShotDetector"
        )
        columns = parts["support"]["columns"].astype(np.intp)
        encoded = len(encoder.encoded_names_) + len(encoder.aside_names_)
        if not np.array_equal(np.sort(columns), np.arange(encoded)):
            raise ValueError(f"support.columns is no order of the {encoded} encoded columns")
        flags, places = encoder.flags, np.argsort(columns)

        def kept(rows: FloatArray) -> FloatArray:
            return np.ascontiguousarray(encoder.as_written_now(rows[:, places])[:, columns])

        support = Support(
            columns,
            kept(parts["support"]["typical"]),
            kept(parts["support"]["known"]),
            float(meta["normal_share"]),
            int(meta["seed"]),
            len(encoder.aside_names_),
            flags=flags[columns[: len(flags)]],
            drawn_for=DrawnFor(*map(float, meta.get("drawn_for", ()))),  # an older one: 1 each
        )
        mapping = Mapping(
            threads=threads,
            left_out=tuple(meta.get("left_out", ())),
            edition=meta.get("edition", Edition.COUNTS_NORMAL if meta.get("counts_normal") else 1),
        ).fit(support)
        later = parts.get("later", {})  # none in what an older version saved
        if later and len(later["labels"]):
            pool = mapping.pool(kept(later["rows"]))
            mapping = mapping.with_labels(pool, later["labels"].astype(np.int8))
        return cls(
            prior,
            encoder,
            mapping,
            kept=KeptRows.restored(meta["kept"], parts["kept"]) if meta.get("kept") else None,
            copies=parts["support"].get("copies"),  # an older version counted none
            counts=RowCounts.restored(parts["counted"]) if "counted" in parts else None,
            novelty=Novelty.checked(meta.get("novel", 0.0)),
            spares_rows=meta.get("spares_rows", False),  # an older version held none out
            overlap=meta.get("overlap", False),  # an older version did not ask
        )

    @np.errstate(under="ignore")
    def scored_arranged(
        self, rows: FloatArray, instead_of: FloatArray | None = None, *, together: bool = True
    ) -> FloatArray:
        """Raw scores (n,) of encoded rows (n, p + q) whose columns are in the support's order.

        Each as if it had been there instead of another (n, p + q), see `Mapping.pool`. Without
        ``together`` no row is raised by how its cells go together.
        """
        if not len(rows):
            return np.zeros(0)
        return self.judged(self._mapping.pool(rows, instead_of), together=together)

    @np.errstate(under="ignore")
    def scored_both_ways(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `scored_arranged`, with ``together`` and without; rows are mapped once."""
        pool = self._mapping.pool(rows)
        told = self._judge.told(self._mapping.judge(pool), pool.rows)
        unraised = self._unraised(told, pool)
        with_, without = (
            self._judge.raised(unraised, pool, together=together) for together in (True, False)
        )
        return with_, without

    def _blocks(self, X: Any) -> Iterator[FloatArray]:
        """Do what `arranged` does, block by block."""
        blocks = self.encoder.blocks(some_rows(X), aside=True)
        return map(self._mapping.support.arranged, blocks)

    def _numbers_of(self, rows: FloatArray) -> Float32Array:
        """Numbers (m, p) of encoded rows (m, p + q) whose columns are in the support's order."""
        reach = 1e30  # far below what single precision holds
        return np.clip(rows[:, : self._mapping.support.width], -reach, reach).astype(np.float32)

    def _settled(self, told: FloatArray, pool: Pool, *, together: bool = True) -> FloatArray:
        """Make what is told (n,) of a pool of n rows their raw scores."""
        return self._judge.raised(self._unraised(told, pool), pool, together=together)

    def _unraised(self, told: FloatArray, pool: Pool) -> FloatArray:
        told = self._judge.lowered(told, pool)
        if self.spares_rows:
            new = np.flatnonzero(self._mapping.places_.of(pool.replaced) < 0)
            told = told.copy()
            surprise = self._of_new.surprise(self, pool.rows[new])
            told[new] = self._judge.scores_as_new(surprise, pool.rows[new])
        return told

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made when needed."""
        kept = {name: value for name, value in vars(self).items() if name != "_rows_of"}
        return kept | {"_of_new": CrossConformal()}


def _rewritten(encoder: Encoder, support: Support, rows: FloatArray) -> FloatArray:
    """Write rows (n, p + q), columns in the support's order, by the counts of this encoder."""
    if not encoder.levels_at():
        return rows
    return support.arranged(encoder.rewritten(support.as_encoded(rows)))
