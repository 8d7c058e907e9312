"""The detector: a prior, fitted to one data set with whatever labels there are."""

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from oddshot.detectors.base import AnomalyDetector
from oddshot.detectors.calibrated import stand_for_normal
from oddshot.detectors.calibration import OWN, SPLIT, Calibration
from oddshot.detectors.checked_labels import checked_labels
from oddshot.detectors.drift import Drift, DriftMonitor
from oddshot.detectors.explanation import Explanations
from oddshot.detectors.explanation_table import TableExplainer
from oddshot.detectors.fitted_images import FittedImages
from oddshot.detectors.fitted_table import FittedTable
from oddshot.detectors.kept_rows import KeptRows
from oddshot.detectors.novelty import Novelty
from oddshot.detectors.ranking import Ranking
from oddshot.detectors.refreshing import refreshed_context
from oddshot.detectors.suggestion import (
    FRUITLESS,
    SPREAD,
    UNCERTAIN_SHARE,
    Suggestions,
    suggest,
)
from oddshot.episodes import NORMAL, Float32Array, FloatArray, LabelArray
from oddshot.errors import DataError, PriorError, SettingError, require
from oddshot.frames import take_rows, to_rows
from oddshot.mapping.encode import ColumnNote
from oddshot.mapping.mapping import Pool
from oddshot.mapping.quality import QUALITIES, Quality
from oddshot.persistence import load_state, save_state
from oddshot.priors import Prior
from oddshot.thresholds.surprise import Surprise

_LEAST_TO_HOLD_OUT = 4


class FewShotDetector(AnomalyDetector):
    """Detect anomalies with no labels, a handful, or known normal rows only.

    A meta-trained prior turns the data set into a detector: a table, seen through the mapping, or
    a set of images.

    Parameters
    ----------
    prior
        "default" for the prior for tables that ships with the package, "images" for that for small
        grey images, a `Prior`, or the folder of one.
    contamination
        "auto", or the expected share of anomalies among the rows given to `fit`, in (0, 0.5]: that
        share is flagged.
    random_state
        Seed, or a NumPy generator state; ``None`` is the seed 0, so that results repeat.
    n_jobs
        Threads over blocks of rows and over models, as in scikit-learn: ``None`` is 1, -1 all
        cores. Scores do not depend on it. Tables only.
    quality
        "standard", or "fast": compare with at most 512 typical rows instead of 4,096, and leave
        out random subsets and isolation. What that gains and costs is measured in docs/speed.md.
        Tables only.
    novel
        Where there are known anomalies: what share of the surprise that a row has without labels it
        has at least, from 0 (labels alone) to 1 (all of it), so that anomalies of new types are not
        lost; "auto": the more, the better the known anomalies are found without labels (of images
        always 0.7). What looks like the known ones comes first all the same. What that gains and
        costs is measured in docs/results/novel-types.md.

    Attributes
    ----------
    threshold_
        Anomaly score above which a row counts as an anomaly.
    offset_
        ``-threshold_``, on scikit-learn's scale.
    contamination_
        Share of the rows given to `fit` that ``threshold_`` flags.
    column_report_
        What became of every column, and why one was left out; empty for images.
    n_features_in_, feature_names_in_
        As in scikit-learn; images have none.

    Notes
    -----
    An anomaly score of ``s`` says that a share of ``10**-s`` of the data set's own rows score as
    high: 0.3 is the median row, 1 the start of the top tenth, 2 of the top hundredth; it goes on
    beyond what the rows themselves can show (see `Surprise`). Known anomalies do not count among
    these rows.

    A row given to `fit` gets at scoring the score it had there, compared with all rows but itself;
    any row scores alike alone and in company. Scores do not depend on the order of rows or columns,
    nor on a column's unit. At most 4,096 rows are kept to compare with.

    Images are brought to the size and colours that the prior reads. With n of them to compare with,
    a new normal one has the highest score of all in one case of n + 1: expect alarms where there
    are few.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(300, 3))
    >>> rows[:3] += 6
    >>> labels = np.full(300, -1)
    >>> labels[0] = 1
    >>> detector = FewShotDetector().fit(rows, labels)
    >>> sorted(np.argsort(-detector.anomaly_score(rows))[:3].tolist())
    [0, 1, 2]
    """

    _parts: "list[_Part] | None" = None
    _used: dict[str, Any]  # settings by which scores differ, as they were in the last fit

    def __init__(
        self,
        *,
        prior: Prior | str | Path = "default",
        contamination: float | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        quality: str = "standard",
        novel: float | str = "auto",
    ) -> None:
        self.prior = prior
        self.contamination = contamination
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.quality = quality
        self.novel = novel

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Adapt the prior to a data set.

        Parameters
        ----------
        X
            Shape (n, d): array, sparse matrix, pandas, polars or pyarrow table, of numbers,
            categories, dates and missing values. With a prior for images: what
            `oddshot.data.images.to_images` takes.
        y
            Shape (n,): 1 known anomaly, 0 known normal, -1 (or missing) unlabelled. ``None``:
            nothing is labelled, but what `Images` know themselves. Numbers other than these are no
            labels: they are ignored with a `LabelWarning`, so that the detector can stand where
            scikit-learn passes any target.

        Returns
        -------
        FewShotDetector
            The detector itself.

        Raises
        ------
        DataError
            If no column or no row to compare with is left, or X is a table and the prior one for
            images, or the other way round.
        LabelError
            If ``y`` holds words that are no labels, or has another length than ``X``.
        SettingError, PriorError
            If a parameter has a value it cannot take.
        """
        contamination, quality = self._checked_contamination(), self._checked_quality()
        novelty = Novelty.checked(self.novel)
        prior = Prior.find(self.prior)
        fitted: FittedTable | FittedImages
        if prior.reads_images:
            images = FittedImages.read(prior, X)
            labels = checked_labels(images.labels if y is None else y, len(images))
            seed = self._drawn_seed()
            fitted = FittedImages.fit(prior, images, labels, seed=seed, novelty=novelty)
        else:
            rows = FittedTable.read(X)
            labels = checked_labels(y, rows.shape[0])
            fitted = FittedTable.fit(
                prior,
                rows,
                labels,
                seed=self._drawn_seed(),
                threads=self._threads(),
                quality=quality,
                novelty=novelty,
            )
        novel = self.novel if isinstance(self.novel, str) else float(self.novel)
        self._used = {"quality": self.quality, "novel": novel}
        self._keep(fitted)
        self._set_threshold(self._raw_scores(), contamination, clean=fitted.clean)
        return self

    def partial_fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Take in labels that came after `fit`, in a fraction of its time; the first call fits.

        Only what looks at labels is fitted again. The neighbours, quantiles and scales that rows
        are compared with remain those of `fit`; a row given to it that turns out to be an anomaly
        leaves the typical rows, but still counts as a neighbour. So scores are close to those of a
        `fit` with all labels at once, and not the same. The threshold is set anew, as by `fit`, and
        what `calibrate` learned is forgotten.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`: rows given to `fit`, or others.
        y
            Shape (n,): labels as for `fit`. Of equal rows the last label counts; unlabelled rows
            teach nothing.

        Returns
        -------
        FewShotDetector
            The detector itself.

        Raises
        ------
        DataError, LabelError
            As `fit` and `anomaly_score`, or if no row would be left to compare with.
        SettingError
            If the prior is one for images: fit again with all labels.

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> rows[:9] += [4, 0, 0]
        >>> detector = FewShotDetector().fit(rows)
        >>> before = detector.anomaly_score(rows[2:9]).mean()
        >>> bool(detector.partial_fit(rows[:2], [1, 1]).anomaly_score(rows[2:9]).mean() > before)
        True
        """
        if not hasattr(self, "_fitted"):
            return self.fit(X, y)
        contamination, fitted = self._checked_contamination(), self._fitted_table("partial_fit")
        pool = fitted.pool(X)
        self._keep(fitted.with_labels(pool, checked_labels(y, len(pool)), X))
        self._set_threshold(self._raw_scores(), contamination, clean=self._fitted.clean)
        return self

    def rank(self, X: Any) -> Ranking:
        """Rank rows so that they can be ranked again at once when some of them are labelled.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`, which gives the same scores.

        Returns
        -------
        Ranking
            It has ``scores``, ``order``, ``add_labels`` and a ``detector`` that knows the labels;
            this detector stays as it is.

        Raises
        ------
        DataError
            As `anomaly_score`.
        SettingError
            If the prior is one for images.
        """
        check_is_fitted(self)
        return Ranking(self, X)

    def suggest(
        self,
        X: Any,
        n: int = 10,
        *,
        uncertain: float = UNCERTAIN_SHARE,
        spread: float = SPREAD,
        fruitless: float = FRUITLESS,
        leave_out: ArrayLike = (),
    ) -> Suggestions:
        """Pick rows that are worth a person's look and have no label yet.

        Rows that this detector knows the label of are recognised by their content. To go on after
        the answers at once, keep a ranking: see `oddshot.detectors.suggestion.suggest`.

        Parameters
        ----------
        X
            Shape (m, d), as for `anomaly_score`.
        n, uncertain, spread, fruitless, leave_out
            How many; share of rows near the threshold; how much less a near copy is worth, and the
            like of what was answered "normal" before any anomaly is known; rows not to pick: see
            `oddshot.detectors.suggestion.suggest`.

        Returns
        -------
        Suggestions
            ``positions``, ``scores``, and ``why`` each was picked, the first one first.

        Raises
        ------
        DataError, LabelError, SettingError
            As `rank`, or if a parameter has a value it cannot take.

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> rows[7] += 9
        >>> FewShotDetector().fit(rows).suggest(rows, 2).positions[0]
        np.int64(7)
        """
        return suggest(
            self.rank(X),
            n,
            uncertain=uncertain,
            spread=spread,
            fruitless=fruitless,
            leave_out=leave_out,
        )

    def anomaly_score(self, X: Any) -> FloatArray:
        """Anomaly score of every row: >= 0, near 0 for typical rows, higher = odder.

        Parameters
        ----------
        X
            Shape (n, d): the columns that `fit` saw; a table's are found by name. With a prior for
            images: images of any size.

        Returns
        -------
        ndarray
            Shape (n,) float64, in decades of surprise (see the notes of the class).

        Raises
        ------
        DataError
            If there is no row, columns are missing or hold what `fit` has not seen there, or X is a
            table and the prior one for images, or the other way round.
        """
        check_is_fitted(self)
        return self._scale.apply(self._fitted.scored(X))

    def explain(self, X: Any, *, changes: bool = True) -> Explanations:
        """Say of every row which columns make its score, and what would make it normal.

        A row's score is its baseline plus the contributions of its columns. The baseline is the
        mean score of four typical rows that agree with it in most columns; contributions are
        Shapley values of putting the row's values into these, exact for the four columns that
        matter most and the rest together (see `oddshot.detectors.explanation_shapley.attribute`).
        A category or a date counts as one column, a missing value as a value.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`; a row costs about ``8 * d + 128`` scorings.
        changes
            Whether to look for the smallest change that makes an anomaly normal; up to 168 more.

        Returns
        -------
        Explanations
            One `Explanation` for each row, in their order; ``to_frame()`` makes a table of them.

        Raises
        ------
        DataError
            As `anomaly_score`, and with a prior for images, which have no columns.

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> rows[7, 1] = 9
        >>> (found,) = FewShotDetector().fit(rows).explain(rows[[7]])
        >>> [column for column, value, contribution in found.top(1)]
        ['1']
        >>> bool(np.isclose(found.baseline + found.contributions.sum(), found.score))
        True
        """
        explainer, rows = self._explainer(), FittedTable.read(X)
        if not rows.shape[0]:
            raise DataError("X has no rows to explain; give at least one")
        return explainer.explain(rows, changes=changes)

    def importance(self, X: Any, *, most: int = 200) -> "pd.Series[float]":
        """How much each column matters: its mean absolute contribution over the anomalies of X.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`. If no row is an anomaly, all count.
        most
            Only so many of them are explained, evenly spaced from the oddest to the least odd.

        Returns
        -------
        Series
            By column, in decades of surprise, largest first.

        Raises
        ------
        DataError
            As `explain`.
        SettingError
            If ``most`` is below 1.
        """
        require(most >= 1, "most", most, "1 or more")
        explainer, scores = self._explainer(), self.anomaly_score(X)
        order = np.argsort(-scores, kind="stable")
        counted = order[: int((scores > self.threshold_).sum()) or len(order)]
        spaced = np.linspace(0, len(counted) - 1, min(most, len(counted))).round().astype(np.intp)
        some = take_rows(to_rows(X), counted[spaced])
        return explainer.explain(some, changes=False).importance()

    def _explainer(self) -> TableExplainer:
        check_is_fitted(self)
        if isinstance(self._fitted, FittedImages):
            raise DataError(
                "the prior reads images, which have no columns to explain a score by; "
                "explain and importance take tables"
            )
        return TableExplainer(self._fitted, self._scale.apply, self.threshold_)

    @property
    def column_report_(self) -> list[ColumnNote]:
        """What became of every column."""
        check_is_fitted(self)
        return self._fitted.column_report

    def check_drift(
        self, X: Any, *, alpha: float = 0.01, block: int = 1, permutations: int = 999
    ) -> Drift:
        """Tell whether new rows still come from where the rows given to `fit` came from.

        Labels of the new rows are not needed. More odd rows beside a bulk that stayed are told as
        more anomalies and not as drift. For many windows, `drift_monitor` makes once what all need.

        Parameters
        ----------
        X
            Shape (n, d): new rows; columns may be lost or new. Of more than 1,024 rows, so many are
            compared.
        alpha
            Share of windows without a change that may be called drift: the promise holds for
            independent rows, and on average over contexts.
        block
            Rows that follow each other in time resemble each other: in stretches of so many rows,
            which are kept together. 1: they are independent.
        permutations
            How many; ``alpha`` needs ``3 / alpha`` of them.

        Returns
        -------
        Drift
            p-value, effect, number of rows that it takes to see it, and the columns that moved.

        Raises
        ------
        DataError
            If the detector holds images, fewer than 20 rows to compare with, or was saved by a
            version that did not keep them; or if no column is left to compare.
        SettingError
            If a parameter has a value it cannot take.

        Examples
        --------
        >>> rows = np.random.default_rng(1).gamma(2.0, size=(400, 3))
        >>> detector = FewShotDetector().fit(rows[:200])
        >>> detector.check_drift(rows[200:]).verdict
        'quiet'
        >>> detector.check_drift(rows[200:] * [1, 1, 1000]).factors
        {'2': 1000.0}
        """
        return self.drift_monitor(block=block).check(X, alpha=alpha, permutations=permutations)

    def drift_monitor(self, *, block: int = 1) -> DriftMonitor:
        """Make what `check_drift` needs for one window after the other: call its ``check``.

        Parameters
        ----------
        block
            As for `check_drift`, which names the errors.
        """
        fitted, kept = self._raw_context("check_drift")
        return DriftMonitor(
            kept,
            fitted.column_report,
            fitted.prior,
            share=self.contamination_,
            seed=fitted.seed,
            threads=self._threads(),
            block=block,
            flags=lambda rows: self.anomaly_score(rows) > self.threshold_,
        )

    def refresh(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        keep: float = 0.25,
        factors: Mapping[str, float] | None = None,
    ) -> "FewShotDetector":
        """Fit a new detector on new rows, with the labels and the prior of this one.

        This one stays as it is. The threshold of the new one is set anew.

        Parameters
        ----------
        X, y
            New rows and their labels, as for `fit`.
        keep
            Share of the old unlabelled rows that stay in the context; of the old rows, where all
            were known to be normal. Known anomalies always stay, and known normal rows beside
            unlabelled ones. At most the rows that are kept to compare with can stay.
        factors
            By what to multiply columns of the old rows first, such as `Drift.factors`, so that
            labels outlive a change of unit.

        Returns
        -------
        FewShotDetector
            With the settings of this one. While old rows or labels stay, columns that the new rows
            lack, and those that the old rows lack, are left out with a `ContextWarning`; once none
            stay, the new columns are all there are.

        Raises
        ------
        DataError
            As `fit` does, or if the detector holds images, was saved by a version that did not keep
            its rows, or old and new rows share no column.
        SettingError
            If ``keep`` is no share, or ``factors`` names no column.

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(size=(300, 3))
        >>> detector = FewShotDetector().fit(rows)
        >>> newer = detector.refresh(rows + 5)
        >>> bool(newer.anomaly_score(rows + 5).mean() < detector.anomaly_score(rows + 5).mean())
        True
        """
        fitted, kept = self._raw_context("refresh")
        rows = to_rows(X)
        context, labels = refreshed_context(
            kept,
            rows,
            checked_labels(y, rows.shape[0]),
            keep=keep,
            factors=factors or {},
            seed=fitted.seed,
        )
        detector: FewShotDetector = clone(self)
        return detector.fit(context, labels)

    def save(self, path: str | Path) -> None:
        """Write the fitted detector into the folder ``path``: JSON and safetensors, no pickle.

        Raises
        ------
        PriorError
            If the folder cannot be written.
        """
        check_is_fitted(self)
        prior, share = self._fitted.prior, self._checked_contamination()
        (state, arrays), (verdicts, calibration) = self._fitted.state(), self._verdict_state()
        meta = {
            "learner": prior.learner,
            "settings": dict(prior.settings),
            "provenance": dict(prior.provenance),
            "contamination": "auto" if share is None else share,
            **self._used,
            "seed": self._fitted.seed,
            **verdicts,
            **state,
        }
        tensors = {
            "probe.scores": self._fitted.probe(),
            **{f"prior.{name}": array for name, array in prior.tensors.items()},
            **calibration,
            **arrays,
        }
        save_state(path, kind="detector", meta=meta, tensors=tensors)

    @classmethod
    def load(cls, path: str | Path, *, n_jobs: int | None = None) -> "FewShotDetector":
        """Read a detector that `save` wrote; models are fitted again on the rows it kept.

        ``n_jobs`` is as for the constructor.

        Raises
        ------
        PriorError
            If ``path`` holds no detector, a damaged one or one of a newer version, or if it does
            not give the scores that it gave when it was saved.
        """
        meta, tensors = load_state(path, kind="detector")
        try:
            detector = cls._restored(meta, tensors, n_jobs=n_jobs)
        except PriorError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise PriorError(
                f"{path}: the saved detector is incomplete or changed "
                f"({type(error).__name__}: {error}); restore it or save again"
            ) from error
        found = detector._fitted.probe()
        if not np.allclose(found, tensors["probe.scores"], rtol=1e-3, atol=1e-3):
            raise PriorError(
                f"{path}: the detector does not give the scores it gave when it was saved "
                f"(off by up to {np.abs(found - tensors['probe.scores']).max():.3g}); "
                "load it with the versions it was saved with, or fit again"
            )
        return detector

    @classmethod
    def _restored(
        cls, meta: dict[str, Any], tensors: dict[str, NDArray[Any]], *, n_jobs: int | None
    ) -> "FewShotDetector":
        parts: dict[str, dict[str, NDArray[Any]]] = {"prior": {}, "support": {}, "encoder": {}}
        for name, array in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = array
        prior = Prior(meta["learner"], meta["settings"], parts["prior"], meta["provenance"])
        used = {"quality": meta["quality"], "novel": meta["novel"]}
        detector = cls(
            prior=prior,
            contamination=meta["contamination"],
            random_state=int(meta["seed"]),
            n_jobs=n_jobs,
            **used,
        )
        detector._used = used
        if prior.reads_images:
            detector._keep(FittedImages.restored(prior, meta, parts))
        else:
            threads = detector._threads()
            detector._keep(FittedTable.restored(prior, meta, parts, threads=threads))
        detector._shown = detector._raw_scores(), detector._fitted.clean
        detector._restore_verdicts(meta, tensors)
        return detector

    def _raw_scores(self) -> FloatArray:
        """Raw scores of all rows given to `fit` that are kept, known anomalies at the end."""
        return np.concatenate([self._fitted.typical_scores, self._fitted.known_scores])

    def _own_calibration(self) -> Calibration:
        labels, scores = self._fitted.kept_labels, self._fitted.typical_scores
        used = np.flatnonzero(stand_for_normal(labels))
        clean = bool((labels[used] == NORMAL).all())
        return Calibration(OWN, (self._scale.apply(scores[used]),), clean)

    def _held_out_calibration(self, method: str, folds: int) -> Calibration:
        fitted, labels = self._fitted, self._fitted.kept_labels
        used = np.flatnonzero(stand_for_normal(labels))
        used = used[used < fitted.teaching]
        if len(used) < _LEAST_TO_HOLD_OUT:
            raise DataError(
                f"{len(used)} rows are too few to hold some of them out; give calibrate rows X "
                f"that fit has not seen, or fit {_LEAST_TO_HOLD_OUT} or more"
            )
        shuffled = np.random.default_rng([fitted.seed, 3]).permutation(used)
        count = 2 if method == SPLIT else min(folds, len(used))
        parts = tuple(np.array_split(shuffled, count)[: 1 if method == SPLIT else count])
        adapted, raw = zip(*map(fitted.held_out, parts), strict=True)
        self._parts = [_Part.of(part) for part in adapted]
        scores = [part.scale.apply(r) for part, r in zip(self._parts, raw, strict=True)]
        return Calibration(method, tuple(scores), bool((labels[used] == NORMAL).all()), parts)

    def _scores_by_part(self, calibration: Calibration, X: Any) -> list[FloatArray]:
        if not calibration.parts:
            return [self.anomaly_score(X)]
        if self._parts is None:  # as after loading
            self._parts = [_Part.of(self._fitted.held_out(p)[0]) for p in calibration.parts]
        return [part.scale.apply(part.fitted.scored(X)) for part in self._parts]

    def _numbers(self, X: Any) -> Float32Array | None:
        return self._fitted.numbers(X) if isinstance(self._fitted, FittedTable) else None

    def _calibration_numbers(self, calibration: Calibration) -> Float32Array | None:
        if calibration.numbers is not None or not isinstance(self._fitted, FittedTable):
            return calibration.numbers
        used = np.flatnonzero(stand_for_normal(self._fitted.kept_labels))
        places = np.concatenate(calibration.parts) if calibration.parts else used
        return self._fitted.kept_numbers[places]

    def _keep(self, fitted: FittedTable | FittedImages) -> None:
        """Set all that scoring needs; the same from `fit` and from a file."""
        self._fitted, self._parts = fitted, None
        self._scale = Surprise().fit(fitted.typical_scores)
        self._set_columns(fitted.columns)

    def _raw_context(self, what: str) -> tuple[FittedTable, KeptRows]:
        """Return a table and its rows as the user gave them."""
        check_is_fitted(self)
        if not isinstance(self._fitted, FittedTable):
            raise DataError(f"{what} compares tables; this detector holds images")
        if self._fitted.kept is None:
            raise DataError(
                f"{what} needs rows that this detector did not keep when it was saved; "
                "fit it again with this version"
            )
        return self._fitted, self._fitted.kept

    def _fitted_table(self, what: str) -> FittedTable:
        if isinstance(self._fitted, FittedImages):
            raise SettingError(f"{what} takes tables only; for images call fit with all labels")
        return self._fitted

    def _ranked(self, pool: Pool) -> FloatArray:
        """Anomaly scores (n,) of a pool."""
        return self._scale.apply(self._fitted_table("rank").judged(pool))

    def _told(self, pool: Pool, labels: LabelArray, X: Any) -> "FewShotDetector":
        """Return a detector that knows labels (n,) of a pool of rows X, too."""
        contamination, told = self._checked_contamination(), copy(self)
        told._keep(self._fitted_table("rank").with_labels(pool, labels, X))
        told._set_threshold(told._raw_scores(), contamination, clean=told._fitted.clean)
        return told

    def _checked_quality(self) -> Quality:
        if not isinstance(self.quality, str) or self.quality not in QUALITIES:
            raise SettingError(
                f"quality is {self.quality!r}; it must be {' or '.join(map(repr, QUALITIES))}"
            )
        return QUALITIES[self.quality]

    def _threads(self) -> int:
        try:
            return int(effective_n_jobs(self.n_jobs))
        except (TypeError, ValueError) as error:
            raise SettingError(
                f"n_jobs is {self.n_jobs!r}; it must be None, a number of threads, or -1 for all"
            ) from error


class _Part(NamedTuple):
    """A prior adapted without a part of the rows, and the scale of its scores."""

    fitted: FittedTable | FittedImages
    scale: Surprise

    @classmethod
    def of(cls, fitted: FittedTable | FittedImages) -> "_Part":
        return cls(fitted, Surprise().fit(fitted.typical_scores))
