"""The detector: a prior, fitted to one data set with whatever labels there are."""

import warnings
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from oddshot.data.labels import parse_labels
from oddshot.episodes import (
    ANOMALY,
    NORMAL,
    UNLABELLED,
    Float32Array,
    FloatArray,
    LabelArray,
    MappedTask,
)
from oddshot.errors import DataError, LabelError, LabelWarning, PriorError, SettingError
from oddshot.frames import RawRows, to_rows
from oddshot.learners import Detector, Learner, Params, Shape, collate, restore
from oddshot.mapping.encode import ColumnNote, Encoder
from oddshot.mapping.mapping import Mapping, support_sample
from oddshot.mapping.support import Support, draw_support
from oddshot.persistence import load_state, save_state
from oddshot.priors import Prior
from oddshot.thresholds.automatic import automatic_share
from oddshot.thresholds.surprise import Surprise

BLOCK_ROWS = 4096
PROBES = 16


class FewShotDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Detect anomalies with no labels, a handful, or known normal rows only.

    A meta-trained prior turns the data set, seen through the mapping, into a detector.

    Parameters
    ----------
    prior
        "default" for the prior that ships with the package, a `Prior`, or the folder of one.
    contamination
        "auto", or the expected share of anomalies among the rows given to `fit`, in (0, 0.5]: that
        share is flagged.
    random_state
        Seed, or a NumPy generator state; ``None`` is the seed 0, so that results repeat.
    n_jobs
        Threads for tree models, as in scikit-learn. Scores do not depend on it.

    Attributes
    ----------
    threshold_
        Anomaly score above which a row counts as an anomaly.
    offset_
        ``-threshold_``, on scikit-learn's scale.
    contamination_
        Share of the rows given to `fit` that ``threshold_`` flags.
    column_report_
        What became of every column, and why one was left out.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    An anomaly score of ``s`` says that a share of ``10**-s`` of the data set's own rows score as
    high: 0.3 is the median row, 1 the start of the top tenth, 2 of the top hundredth; it goes on
    beyond what the rows themselves can show (see `Surprise`). Known anomalies do not count among
    these rows.

    A row given to `fit` gets at scoring the score it had there, compared with all rows but itself;
    any row scores alike alone and in company. Scores do not depend on the order of rows or columns,
    nor on a column's unit. At most 4,096 rows are kept to compare with.

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

    def __init__(
        self,
        *,
        prior: Prior | str | Path = "default",
        contamination: float | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.prior = prior
        self.contamination = contamination
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Adapt the prior to a data set.

        Parameters
        ----------
        X
            Shape (n, d): array, sparse matrix, pandas, polars or pyarrow table, of numbers,
            categories, dates and missing values.
        y
            Shape (n,): 1 known anomaly, 0 known normal, -1 (or missing) unlabelled. ``None``:
            nothing is labelled. Numbers other than these are no labels: they are ignored with a
            `LabelWarning`, so that the detector can stand where scikit-learn passes any target.

        Returns
        -------
        FewShotDetector
            The detector itself.

        Raises
        ------
        DataError
            If no column or no row to compare with is left.
        LabelError
            If ``y`` holds words that are no labels, or has another length than ``X``.
        SettingError, PriorError
            If a parameter has a value it cannot take.
        """
        contamination = self._checked_contamination()
        prior = Prior.find(self.prior)
        rows = to_rows(X)
        labels = _checked_labels(y, rows.shape[0])
        encoder = Encoder().fit(rows)
        if (labels == ANOMALY).sum() > rows.shape[0] - 2:
            raise DataError(
                f"{(labels == ANOMALY).sum()} of {rows.shape[0]} rows are labelled as anomalies; "
                "at least 2 unlabelled or normal rows are needed to compare with"
            )
        encoded = np.concatenate([*_encoded(encoder, rows)])
        support = draw_support(encoded, labels, seed=self._drawn_seed())
        self._assemble(prior, encoder, support)

        raw = np.concatenate([self._reference_scores, self._known_scores])
        clean = support.normal_share == 1.0
        share = automatic_share(raw, clean=clean) if contamination is None else contamination
        self.contamination_ = share
        self.offset_ = float(np.percentile(-self._scale.apply(raw), 100 * share))
        return self

    def fit_predict(self, X: Any, y: ArrayLike | None = None) -> NDArray[np.int64]:
        """Adapt to a data set with whatever labels there are, then judge it.

        scikit-learn's other outlier detectors ignore ``y`` here.
        """
        return self.fit(X, y).predict(X)

    def anomaly_score(self, X: Any) -> FloatArray:
        """Anomaly score of every row: >= 0, near 0 for typical rows, higher = odder.

        Parameters
        ----------
        X
            Shape (n, d): the columns that `fit` saw; a table's are found by name.

        Returns
        -------
        ndarray
            Shape (n,) float64, in decades of surprise (see the notes of the class).

        Raises
        ------
        DataError
            If there is no row, or columns are missing or hold what `fit` has not seen there.
        """
        check_is_fitted(self)
        rows = to_rows(X)
        if not rows.shape[0]:
            raise DataError(
                f"Found array with 0 sample(s) (shape={rows.shape}) "
                "while a minimum of 1 is required."
            )
        scores = [self._scored(block) for block in _encoded(self._encoder, rows)]
        return self._scale.apply(np.concatenate(scores))

    def score_samples(self, X: Any) -> FloatArray:
        """``-anomaly_score(X)``: scikit-learn's sign, lower = odder; shape (n,)."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> FloatArray:
        """``score_samples(X) - offset_``: below 0 for anomalies; shape (n,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """+1 for normal rows, -1 for anomalies; shape (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    @property
    def threshold_(self) -> float:
        """Anomaly score above which a row counts as an anomaly."""
        check_is_fitted(self)
        return -float(self.offset_)

    @property
    def column_report_(self) -> list[ColumnNote]:
        """What became of every column."""
        check_is_fitted(self)
        return self._encoder.report()

    def save(self, path: str | Path) -> None:
        """Write the fitted detector into the folder ``path``: JSON and safetensors, no pickle.

        Raises
        ------
        PriorError
            If the folder cannot be written.
        """
        check_is_fitted(self)
        support = self._mapping.support
        settings, arrays = self._encoder.state()
        share = self._checked_contamination()
        meta = {
            "learner": self._prior.learner,
            "settings": dict(self._prior.settings),
            "provenance": dict(self._prior.provenance),
            "encoder": settings,
            "contamination": "auto" if share is None else share,
            "contamination_": self.contamination_,
            "offset": self.offset_,
            "normal_share": support.normal_share,
            "seed": support.seed,
        }
        tensors = {
            "support.columns": np.asarray(support.columns, dtype=np.int64),
            "support.typical": support.typical,
            "support.known": support.known,
            "probe.scores": self._scored_arranged(support.typical[:PROBES]),
            **{f"prior.{name}": array for name, array in self._prior.tensors.items()},
            **{f"encoder.{name}": array for name, array in arrays.items()},
        }
        save_state(path, kind="detector", meta=meta, tensors=tensors)

    @classmethod
    def load(cls, path: str | Path) -> "FewShotDetector":
        """Read a detector that `save` wrote; models are fitted again on the rows it kept.

        Raises
        ------
        PriorError
            If ``path`` holds no detector, a damaged one or one of a newer version, or if it does
            not give the scores that it gave when it was saved.
        """
        meta, tensors = load_state(path, kind="detector")
        try:
            detector = cls._restored(meta, tensors)
        except PriorError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise PriorError(
                f"{path}: the saved detector is incomplete or changed "
                f"({type(error).__name__}: {error}); restore it or save again"
            ) from error
        found = detector._scored_arranged(detector._mapping.support.typical[:PROBES])
        if not np.allclose(found, tensors["probe.scores"], rtol=1e-3, atol=1e-3):
            raise PriorError(
                f"{path}: the detector does not give the scores it gave when it was saved "
                f"(off by up to {np.abs(found - tensors['probe.scores']).max():.3g}); "
                "load it with the versions it was saved with, or fit again"
            )
        return detector

    @classmethod
    def _restored(cls, meta: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> "FewShotDetector":
        parts: dict[str, dict[str, NDArray[Any]]] = {"prior": {}, "encoder": {}, "support": {}}
        for name, array in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = array
        prior = Prior(meta["learner"], meta["settings"], parts["prior"], meta["provenance"])
        detector = cls(
            prior=prior, contamination=meta["contamination"], random_state=int(meta["seed"])
        )
        support = Support(
            parts["support"]["columns"].astype(np.intp),
            parts["support"]["typical"],
            parts["support"]["known"],
            float(meta["normal_share"]),
            int(meta["seed"]),
        )
        detector._assemble(prior, Encoder.from_state(meta["encoder"], parts["encoder"]), support)
        detector.contamination_ = float(meta["contamination_"])
        detector.offset_ = float(meta["offset"])
        return detector

    def _assemble(self, prior: Prior, encoder: Encoder, support: Support) -> None:
        """Build all that scoring needs; the same from `fit` and from a file."""
        restored = restore(prior)  # first: it tells at once whether it can
        mapping = Mapping(threads=self._threads()).fit(support)
        self._head = _head(*restored, mapping)
        self._prior, self._encoder, self._mapping = prior, encoder, mapping
        self._reference_scores = self._judged(self._mapping.typical_)
        self._known_scores = self._scored_arranged(support.known)
        self._scale = Surprise().fit(self._reference_scores)
        self.n_features_in_ = encoder.n_features_in_
        if encoder.feature_names_in_ is not None:
            self.feature_names_in_ = encoder.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # an earlier fit saw names

    def _scored(self, encoded: FloatArray) -> FloatArray:
        return self._scored_arranged(self._mapping.support.arranged(encoded))

    def _scored_arranged(self, rows: FloatArray) -> FloatArray:
        if not len(rows):
            return np.zeros(0)
        return self._judged(self._mapping.transform_arranged(rows))

    def _judged(self, coordinates: Float32Array) -> FloatArray:
        """Raw scores (n,) of mapped rows (n, C, 2)."""
        with torch.no_grad():
            scores: FloatArray = self._head(torch.from_numpy(coordinates)[None].double())[0].numpy()
        return scores

    def _checked_contamination(self) -> float | None:
        value = self.contamination
        if isinstance(value, str) and value == "auto":
            return None
        if isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) <= 0.5:
            return float(value)
        raise SettingError(
            f"contamination is {value!r}; it must be 'auto' or a number above 0 and at most 0.5"
        )

    def _drawn_seed(self) -> int:
        state = self.random_state
        if isinstance(state, np.random.RandomState):
            return int(state.randint(2**31 - 1))
        if state is None or (isinstance(state, int | np.integer) and state >= 0):
            return int(state or 0)
        raise SettingError(
            f"random_state is {state!r}; it must be None, a whole number from 0 on, "
            "or a numpy.random.RandomState"
        )

    def _threads(self) -> int:
        try:
            return int(effective_n_jobs(self.n_jobs))
        except (TypeError, ValueError) as error:
            raise SettingError(
                f"n_jobs is {self.n_jobs!r}; it must be None, a number of threads, or -1 for all"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the head, a function that a learner made."""
        return {name: v for name, v in super().__getstate__().items() if name != "_head"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the head again from prior and mapping."""
        super().__setstate__(state)
        if "_mapping" in state:
            self._head = _head(*restore(self._prior), self._mapping)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _head(learner: Learner, params: Params, mapping: Mapping) -> Detector:
    """Adapt a prior to a mapped support.

    In double precision: sums in single precision differ with the number of rows scored at once.
    """
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
    with torch.no_grad():
        return learner.detector(
            {name: value.double() for name, value in params.items()},
            collate([task]).to(torch.float64),
        )


def _checked_labels(y: ArrayLike | None, rows: int) -> LabelArray:
    if y is None:
        return np.full(rows, UNLABELLED, dtype=np.int8)
    try:
        values = column_or_1d(y if isinstance(y, pd.Series) else np.asarray(y), warn=True)
    except ValueError as error:
        raise LabelError(f"y cannot be read: {error}") from error
    if values.dtype.kind == "O":
        values = pd.Series(values).infer_objects().to_numpy()  # numbers may stand in objects
    if len(values) != rows:
        raise LabelError(f"X has {rows} rows but y has {len(values)}; give one label a row")
    if values.dtype.kind in "iuf":
        known = np.isin(values, (ANOMALY, NORMAL, UNLABELLED)) | np.isnan(values)
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            warnings.warn(
                f"y holds {values[row]} in row {row}, which is no label (1 anomaly, 0 normal, "
                "-1 unlabelled); all of y is ignored",
                LabelWarning,
                stacklevel=3,
            )
            return np.full(rows, UNLABELLED, dtype=np.int8)
    return parse_labels(values)


def _encoded(encoder: Encoder, rows: RawRows) -> Iterator[FloatArray]:
    """Encode block by block, so that memory does not grow with the number of rows."""
    for start in range(0, rows.shape[0], BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        part = rows.iloc[block] if isinstance(rows, pd.DataFrame) else rows[block]
        try:
            yield encoder.transform(part)
        except DataError:
            encoder.transform(rows)  # raises again, with the number the row has among all
            raise
