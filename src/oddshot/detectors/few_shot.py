"""The detector: a prior, fitted to one data set with whatever labels there are.

What it can do, by file:

=============================== ================================================================
few_shot                        fit, save, load
adapted_prior                   anomaly_score, column_report_
base                            predict, decision_function, score_samples: scikit-learn's face
verdicts/adjustable_threshold   threshold_, set_threshold
verdicts/calibrated             p_values, select, calibrate, predict_proba
learns_from_answers             partial_fit, rank, suggest
gives_reasons                   explain, importance
keeps_up                        check_drift, drift_monitor, refresh, unseen_levels,
                                outside_shares, missing_shares
=============================== ================================================================

It keeps a `FittedTable`, or `FittedImages`, which turn rows into raw scores.
"""

import warnings
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from oddshot.detectors.corrections.novelty import Novelty
from oddshot.detectors.fitted.images import FittedImages
from oddshot.detectors.fitted.table import FittedTable
from oddshot.detectors.given.labels import checked_labels, warn_of_labels_among
from oddshot.detectors.given.tables import table_rows
from oddshot.detectors.gives_reasons import GivesReasons
from oddshot.detectors.keeps_up import KeepsUp
from oddshot.detectors.learns_from_answers import LearnsFromAnswers
from oddshot.detectors.verdicts.calibrated import told_as_picked
from oddshot.episodes import FloatArray, GivenLabels
from oddshot.errors import (
    CalibrationWarning,
    LabelWarning,
    PriorError,
    SavedScoresWarning,
    SettingError,
)
from oddshot.mapping.quality import QUALITIES, Quality
from oddshot.mapping.support import EACH_ITSELF
from oddshot.persistence import load_state, reading_state, save_state
from oddshot.priors import Prior, plain
from oddshot.wording import counted

MOST_OFF = 0.5  # decades by which a loaded detector's scores may be off, with a warning


class FewShotDetector(LearnsFromAnswers, GivesReasons, KeepsUp):
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
        Share of the rows given to `fit` that ``threshold_`` flags, by those that are kept.
    threshold_rule_, calibration_
        How the threshold was chosen, and the rows that p-values rest on; ``str`` of either is a
        phrase.
    column_report_
        What became of every column, and why one was left out; empty for images.
    n_features_in_, feature_names_in_
        As in scikit-learn; images have none.

    Notes
    -----
    An anomaly score of ``s`` says that a share of ``10**-s`` of the data set's own rows score as
    high: 0.3 is the median row, 1 the start of the top tenth, 2 of the top hundredth; it goes on
    beyond what the rows themselves can show (see `Surprise`), with fewer than four of them less
    than twice as far. Known anomalies do not count among these rows.

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

    _used: dict[str, Any]  # settings by which scores differ, as they were in the last fit
    _overlap = False  # see `FittedTable`
    _drawn_for = EACH_ITSELF  # the rows given to `fit`
    _not_learned: dict[str, str] | None = None  # columns that are left out, and why

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

    def fit(self, X: Any, y: GivenLabels | None = None) -> Self:
        """Adapt the prior to a data set.

        Parameters
        ----------
        X
            Shape (n, d): array, sparse matrix, pandas, polars or pyarrow table, of numbers,
            categories, dates and missing values. With a prior for images: what
            `oddshot.data.images.to_images` takes. Rows to compare with are kept, with columns that
            are left out, too, and `save` writes them.
        y
            Shape (n,): 1 known anomaly, 0 known normal, -1 (or missing) unlabelled. ``None``:
            nothing is labelled, but what `Images` know themselves. Where more than a tenth are
            other numbers, all of it is ignored with a `LabelWarning`, so that the detector can
            stand where scikit-learn passes any target.

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
            If ``y`` holds words, or a few numbers among labels, that are no labels, or has another
            length than ``X``.
        SettingError, PriorError
            If a parameter has a value it cannot take.

        Warns
        -----
        CalibrationWarning
            If 100 known normal rows or more score clearly higher than unlabelled ones: these do not
            calibrate alone.
        SparseWarning
            If many columns of a sparse matrix have a value in one row alone.
        LabelWarning
            If ``y`` is ignored, looks like scikit-learn's predictions, where 1 is normal, or has
            the index of ``X`` in another order; if a column of ``X`` holds labels; or if equal rows
            are labelled both ways.
        """
        contamination, quality = self._checked_contamination(), self._checked_quality()
        novelty = Novelty.checked(self.novel)
        prior = Prior.find(self.prior)
        fitted: FittedTable | FittedImages
        if prior.reads_images:
            if quality is not QUALITIES["standard"]:
                raise SettingError(
                    f"quality is {self.quality!r}, which compares with fewer rows of a table; with "
                    "images, leave it out"
                )
            images = FittedImages.read(prior, X)
            labels = checked_labels(images.labels if y is None else y, len(images))
            seed = self._drawn_seed()
            fitted = FittedImages.fit(prior, images, labels, seed=seed, novelty=novelty)
        else:
            rows = table_rows(X)
            labels = checked_labels(y, rows.shape[0], X)
            warn_of_labels_among(rows, labels)
            fitted = FittedTable.fit(
                prior,
                rows,
                labels,
                seed=self._drawn_seed(),
                threads=self._threads(),
                quality=quality,
                novelty=novelty,
                drawn_for=self._drawn_for,
                overlap=self._overlap,
                not_learned=self._not_learned,
            )
            both = 0 if self._overlap else fitted.labelled_both_ways
            if both:
                warnings.warn(
                    f"{counted(both, 'rows')} labelled as an anomaly and as normal: all labels of "
                    "equal rows count; give them one label, or correct it by partial_fit",
                    LabelWarning,
                    stacklevel=2,
                )
        novel = self.novel if isinstance(self.novel, str) else float(self.novel)
        made = copy(self)  # taken over when all is done: who stops it keeps the old detector
        made._used = {"quality": self.quality, "novel": novel}
        made._keep(fitted)
        made._normal_rows_are_old = made._answers_calibrate = False
        doubts = self._doubts_normal_rows and not self._overlap
        made._normal_rows_are_picked = doubts and made._normal_rows_look_picked()
        made._set_threshold(made._shown_rows(), contamination)
        self._become(made)
        if self._normal_rows_are_picked:
            warnings.warn(told_as_picked(fitted.kept_labels), CalibrationWarning, stacklevel=2)
        return self

    def save(self, path: str | Path) -> None:
        """Write the fitted detector into the folder ``path``: JSON and safetensors, no pickle.

        The folder holds the rows that are kept to compare with as they were given to `fit`, with
        the columns that were left out, since `refresh` decides anew which are. What shall not be
        there must not be given to `fit`.

        Raises
        ------
        PriorError
            If the folder cannot be written.
        """
        meta, tensors = self._state()
        save_state(path, kind="detector", meta=meta, tensors=tensors)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `_from_state` needs, as JSON and as arrays."""
        check_is_fitted(self)
        prior, share = self._fitted.prior, self._checked_contamination()
        (state, arrays), (verdicts, calibration) = self._fitted.state(), self._verdict_state()
        meta = {
            "learner": prior.learner,
            "settings": plain(prior.settings),
            "provenance": plain(prior.provenance),
            "contamination": "auto" if share is None else share,
            **self._used,
            "seed": self._fitted.seed,
            "normal_rows_are_old": self._normal_rows_are_old,
            "normal_rows_are_picked": self._normal_rows_are_picked,
            "answers_calibrate": self._answers_calibrate,
            **verdicts,
            **state,
        }
        tensors = {
            "probe.scores": self._fitted.probe(),
            **{f"prior.{name}": array for name, array in prior.tensors.items()},
            **calibration,
            **arrays,
        }
        return meta, tensors

    @classmethod
    def load(cls, path: str | Path, *, n_jobs: int | None = None) -> "FewShotDetector":
        """Read a detector that `save` wrote; models are fitted again on the rows it kept.

        ``n_jobs`` is as for the constructor.

        Raises
        ------
        PriorError
            If ``path`` holds no detector, a damaged one or one of a newer version, or if it gives
            scores that are off by half a decade or more from those it gave when it was saved.

        Warns
        -----
        SavedScoresWarning
            If they are off by less, as an older version, another version of scikit-learn or another
            kind of processor may bring about.
        """
        meta, tensors = load_state(path, kind="detector")
        with reading_state(path):
            detector = cls._from_state(meta, tensors, n_jobs=n_jobs)
            detector._compare(tensors["probe.scores"], path)
        return detector

    def _compare(self, saved: FloatArray, path: str | Path) -> None:
        """Refuse raw scores of a few rows that are not those that were saved, or warn of them."""
        found = self._fitted.probe()
        if np.allclose(found, saved, rtol=1e-3, atol=1e-3):
            return
        off = float(np.abs(self._scale.apply(found) - self._scale.apply(saved)).max())
        told = (
            f"{path}: the detector does not give the scores it gave when it was saved (off by up "
            f"to {off:.2g} decades)"
        )
        if not off < MOST_OFF:
            raise PriorError(f"{told}; load it with the versions it was saved with, or fit again")
        warnings.warn(
            f"{told}: it was saved by other versions or on another processor; fit again to be sure",
            SavedScoresWarning,
            stacklevel=3,
        )

    @classmethod
    def _from_state(
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
        detector._normal_rows_are_old = bool(meta.get("normal_rows_are_old", False))
        detector._normal_rows_are_picked = bool(meta.get("normal_rows_are_picked", False))
        detector._answers_calibrate = bool(meta.get("answers_calibrate", True))  # of an older one
        detector._shown = detector._shown_rows()
        detector._restore_verdicts(meta, tensors)
        return detector

    def _checked_quality(self) -> Quality:
        if not isinstance(self.quality, str) or self.quality not in QUALITIES:
            raise SettingError(
                f"quality is {self.quality!r}; it must be {' or '.join(map(repr, QUALITIES))}"
            )
        return QUALITIES[self.quality]
