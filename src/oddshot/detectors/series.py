"""The detector of odd stretches in a series."""

import warnings
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from oddshot.detectors.base import AnomalyDetector
from oddshot.detectors.explanations.explanation import Explanations
from oddshot.detectors.few_shot import FewShotDetector
from oddshot.detectors.given.labels import checked_labels
from oddshot.detectors.given.tables import table_rows
from oddshot.detectors.verdicts.adjustable_threshold import Choice, warned
from oddshot.detectors.verdicts.calibrated import Shown
from oddshot.detectors.verdicts.calibration import ThresholdRule, batch_basis
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, FloatArray, GivenLabels, LabelArray
from oddshot.errors import DataError, SeriesWarning, SettingError, is_number
from oddshot.frames import RawRows, hash_rows
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.mapping.windows import Place, Windowed, Windows
from oddshot.persistence import load_state, reading_state, save_state, under
from oddshot.priors import Prior
from oddshot.thresholds.choices import stretch_threshold
from oddshot.thresholds.surprise import Surprise

FEWEST_WINDOWS = 4  # lengths of a window that a series has at least, to be learned from
FOLDS = 10
COUNTER_SHARE, COUNTER_STEPS = 0.95, 50  # of the steps of a counter are no falls; at least so many
COUNTER_PARTS, COUNTER_REACH = 10, 0.8  # of the series; share of them, and of the reach, it rises
NOT_A_TABLE = "a series is a table of readings, one a row"
_WINDOWS, _JUDGE, _OWN = "windows.", "judge.", "own."  # before the names of arrays in a file


@dataclass(frozen=True, slots=True)
class Stretch:
    """Readings in a row that are odd.

    Parameters
    ----------
    places
        Shape (n,): their places in the series as it was given, in the order of time.
    peak
        The place of the oddest one.
    score
        Its anomaly score.
    """

    places: NDArray[np.intp]
    peak: int
    score: float

    def __len__(self) -> int:
        return len(self.places)


class Judged(NamedTuple):
    """A series with its scores, for all that is told of it.

    Parameters
    ----------
    windows
        The series as windows.
    of_windows
        Shape (m,): their scores.
    in_time
        Shape (n,): anomaly scores of the readings, in the order of time.
    """

    windows: Windowed
    of_windows: FloatArray
    in_time: FloatArray

    @property
    def scores(self) -> FloatArray:
        """Anomaly scores (n,) in the order in which readings are given."""
        scores = np.empty(len(self.in_time))
        scores[self.windows.order] = self.in_time
        return scores


class SeriesDetector(AnomalyDetector):
    """Detect odd stretches of a series: one or many columns, read again and again.

    Every stretch of ``window`` readings in a row becomes a row of a table, see
    `oddshot.mapping.windows`, and a `FewShotDetector` judges these: what each column looks like,
    and how far it is off what the others tell where it follows them. A reading is as odd as the
    windows that it lies in, on average.

    Parameters
    ----------
    window
        Readings of a window, 2 or more: about as many as what is looked for lasts.
    time
        Name, or place, of a column of dates or numbers that puts readings in order, or name of a
        data frame's index; ``None`` if they come in order. Dates with offsets are put in order by
        UTC; a season of days, weeks or shifts goes by the clock that is written.
    period
        After how long a season starts anew: a number in the unit of ``time``, or of dates a text
        such as "1D"; "auto" looks for one; ``None``: none. A season needs ``time``.
    prior
        As of `FewShotDetector`.
    contamination
        "auto", or the expected share of odd readings, in (0, 0.5]: that share is flagged.
    random_state, n_jobs, quality, novel
        As of `FewShotDetector`.

    Attributes
    ----------
    threshold_, offset_, contamination_
        As of `FewShotDetector`, of readings.
    period_
        The period that was found or given, in days or in the unit of ``time``; or ``None``.
    detector_
        The `FewShotDetector` of windows.
    column_report_
        What became of every column.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    Windows that overlap are nearly alike, so a detector that has seen one finds its neighbours
    typical. The readings given to `fit` are therefore scored by detectors that have seen no window
    near them: the series is cut into ten parts, and each is judged by what the others teach. A
    series that is scored later is recognised window by window where it was given to `fit`.

    Scores are decades of surprise, as of `FewShotDetector`: of readings like those given to `fit` a
    share ``10**-s`` scores ``s`` or more. Readings that follow each other are no independent rows:
    p-values and promised rates hold for a reading taken by itself, false alarms come in stretches,
    and a machine that has not been seen in all its states raises more of them.

    A budget of `set_threshold` counts stretches: ``budget=3, X=later`` finds at most three in these
    readings, and ``budget=(3, 1000)`` as many in 1,000 like those given to `fit`. A lower threshold
    may have fewer stretches again, as they grow together; the threshold is the lowest from which on
    none has more.

    A reading's score rests on what comes after it, too: the latest reading is judged by the one
    window that it ends, and again as further readings come.

    Examples
    --------
    >>> hours = np.arange(600)
    >>> load = np.sin(hours * np.pi / 12) + np.random.default_rng(0).normal(0, 0.1, 600)
    >>> load[400:412] = 0.0
    >>> series = {"hour": hours, "load": load}
    >>> import pandas as pd
    >>> detector = SeriesDetector(window=12, time="hour").fit(pd.DataFrame(series))
    >>> float(detector.period_)
    24.0
    >>> bool(400 <= detector.stretches(pd.DataFrame(series))[0].peak < 412)
    True
    """

    detector_: FewShotDetector
    _windows: Windows
    _in_time: FloatArray | None = None  # raw scores of the readings given to fit, in this order
    _gaps: Mapping[str, float] = MappingProxyType({})  # and the shares without a value, by column

    def __init__(
        self,
        *,
        window: int = 24,
        time: Place | None = None,
        period: float | str | None = "auto",
        prior: Prior | str | Path = "default",
        contamination: float | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        quality: str = "standard",
        novel: float | str = "auto",
    ) -> None:
        self.window = window
        self.time = time
        self.period = period
        self.prior = prior
        self.contamination = contamination
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.quality = quality
        self.novel = novel

    def fit(self, X: Any, y: GivenLabels | None = None) -> Self:
        """Learn what windows of a series look like.

        Parameters
        ----------
        X
            Shape (n, d): the readings, one a row, as `FewShotDetector.fit` takes tables.
        y
            Shape (n,): 1 a reading that is known to be odd, 0 one known to be normal, -1 (or
            missing) unlabelled. ``None``: nothing is known. A window is odd where it holds half of
            a stretch of odd readings, or half of it is one; normal where all its readings are.

        Returns
        -------
        SeriesDetector
            The detector itself.

        Raises
        ------
        DataError
            If the series is shorter than four windows, ``time`` is lacking or has gaps, or no
            column is left.
        LabelError, PriorError, SettingError
            As `FewShotDetector.fit`, or if ``window`` or ``period`` has a value it cannot take.

        Warns
        -----
        SeriesWarning
            If a column counts up: later readings will lie outside of all that was seen. If more
            than a tenth of the readings repeat a moment, or steps in time are too irregular to look
            for a season. If the index has dates, and ``time`` is ``None``.
        """
        share, seed = self._checked_contamination(), self._drawn_seed()
        rows = _readings(X)
        windows = Windows(self.window, time=self.time, period=self.period)
        least = FEWEST_WINDOWS * windows.size
        if rows.shape[0] < least:
            raise DataError(
                f"the series has {rows.shape[0]} readings; with a window of {windows.size} at "
                f"least {least} are needed to learn from: give more, or a smaller window"
            )
        order, _, described = windows.fit(rows).of(rows)
        readings = checked_labels(y, len(order), X)[order]
        labels = window_labels(readings, windows.size)
        judge = FewShotDetector(
            prior=self.prior,
            random_state=seed,
            n_jobs=self.n_jobs,
            quality=self.quality,
            novel=self.novel,
        )
        judge._overlap = True
        odd = readings == ANOMALY
        if (labels != ANOMALY).sum() < windows.size:
            raise DataError(
                f"{int(odd.sum())} of {len(odd)} readings are labelled as odd, which leaves "
                f"{int((labels != ANOMALY).sum())} windows of {windows.size} without one; more are "
                "needed to compare with"
            )
        own = _judged_apart(judge, described, labels, windows.size)
        judge.fit(described, labels)
        unjudged = np.isnan(own)
        if unjudged.any():
            own[unjudged] = judge.anomaly_score(described[unjudged])
        made = copy(self)  # taken over when all is done: who stops it keeps the old detector
        made.detector_, made._windows, made._seed = judge, windows, seed
        made._gaps = windows.missing_shares(rows)
        _warn_of_counters({name: v[order] for name, v in windows.numbers(rows).items()})
        own = made._recognised(hash_rows(described), own)
        made._in_time = raw = covering_means(own, windows.size)
        made._scale = Surprise().fit(raw[~odd])
        made._set_columns(_columns(rows))
        clean = bool((readings[~odd] == NORMAL).all())
        made._set_threshold(Shown(raw[~odd], raw[odd], clean), share)
        self._become(made)
        return self

    def anomaly_score(self, X: Any) -> FloatArray:
        """Anomaly score of every reading: >= 0, near 0 for typical ones, higher = odder.

        Parameters
        ----------
        X
            Shape (n, d), n at least ``window``: a series by itself. To score the next readings of
            one that is known, put the last ``window - 1`` of it in front.

        Returns
        -------
        ndarray
            Shape (n,) float64, in decades of surprise, in the order in which readings are given.

        Raises
        ------
        DataError
            If there are fewer readings than a window has, or columns are missing or hold what `fit`
            has not seen there.

        Warns
        -----
        SeriesWarning
            If the season that was found is not exact enough for when readings were made, or these
            follow each other faster or slower, or repeat their times more, than at `fit`.
        DateWarning
            If times have offsets from UTC where those of `fit` had none, or the other way round.
        """
        return self._judged(X).scores

    def stretches(self, X: Any) -> list[Stretch]:
        """Find the odd stretches of a series: readings above the threshold, gathered.

        Two of them that are less than a window apart are one.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`.

        Returns
        -------
        list
            The oddest first.
        """
        return self._stretches(self._judged(X))

    def _stretches(self, judged: Judged) -> list[Stretch]:
        """Find the odd stretches of a series that was judged before."""
        scores, order = judged.in_time, judged.windows.order
        above = np.flatnonzero(scores > self.threshold_)
        if not len(above):
            return []
        breaks = np.flatnonzero(np.diff(above) >= self._windows.size) + 1
        found = []
        for part in np.split(above, breaks):
            inside = np.arange(part[0], part[-1] + 1)
            peak = inside[int(np.argmax(scores[inside]))]
            found.append(Stretch(order[inside], int(order[peak]), float(scores[peak])))
        return sorted(found, key=lambda stretch: stretch.score, reverse=True)

    def explain(self, X: Any, places: int | ArrayLike, *, changes: bool = False) -> Explanations:
        """Say why readings are odd: of the oddest window that each lies in, which columns and how.

        Parameters
        ----------
        X
            Shape (n, d), as for `anomaly_score`.
        places
            Which of the readings, such as the peaks of stretches: one or more whole numbers, or
            n truth values.
        changes
            As of `FewShotDetector.explain`.

        Returns
        -------
        Explanations
            One for each place, see `FewShotDetector.explain`; its columns are those of windows,
            such as "pressure mean".

        Raises
        ------
        DataError, SettingError
            As `anomaly_score`, or if a place is that of no reading, or none is given.
        """
        return self._explained(self._judged(X), places, changes=changes)

    def _explained(
        self, judged: Judged, places: int | ArrayLike, *, changes: bool = False
    ) -> Explanations:
        """Say of a series that was judged before why readings are odd."""
        order, _, described = judged.windows
        scores, size, at = judged.of_windows, self._windows.size, np.argsort(order)
        oddest = []
        for moment in at[_checked_places(places, len(order))]:
            first = max(moment - size + 1, 0)
            oddest.append(first + int(np.argmax(scores[first : min(moment + 1, len(scores))])))
        return self.detector_.explain(described.iloc[oddest], changes=changes)

    def windows(self, X: Any) -> Windowed:
        """Give a series (n, d) as the windows that `detector_` judges; errors as `anomaly_score`.

        With these rows all that `FewShotDetector` has is at hand, such as ``check_drift``.
        """
        check_is_fitted(self)
        return self._windows.of(_readings(X))

    def numbers(self, X: Any) -> dict[str, FloatArray]:
        """Columns of numbers (n,) of a series by name, as they are read; NaN where missing."""
        check_is_fitted(self)
        return self._windows.numbers(_readings(X))

    def missing_shares(self, X: Any) -> dict[str, tuple[float, float]]:
        """Tell where cells of a series (n, d) are missing, and how many were among those of `fit`.

        Returns
        -------
        dict
            By column with gaps in X, in the order of fit: the share of gaps then, and now. Empty
            for detectors that an older version saved.
        """
        check_is_fitted(self)
        now = self._windows.missing_shares(_readings(X))
        return {
            column: (self._gaps[column], share)
            for column, share in now.items()
            if share and column in self._gaps
        }

    def unseen_levels(self, X: Any) -> dict[str, float]:
        """Tell how many readings (n, d) hold levels that `fit` did not see, by column of levels."""
        check_is_fitted(self)
        return self._windows.unseen_shares(_readings(X))

    def outside_shares(self, X: Any) -> dict[str, float]:
        """Tell how many readings (n, d) hold a number that is outside of all that `fit` saw."""
        check_is_fitted(self)
        return self._windows.outside_shares(_readings(X))

    @property
    def period_(self) -> float | None:
        """The period in days, or in the unit of ``time``; ``None`` where there is none."""
        check_is_fitted(self)
        return self._windows.period_

    @property
    def has_dates(self) -> bool:
        """Whether times are dates."""
        check_is_fitted(self)
        return self._windows.has_dates

    @property
    def column_report_(self) -> list[ColumnNote]:
        """What became of every column."""
        check_is_fitted(self)
        return self._windows.report_

    def save(self, path: str | Path) -> None:
        """Write the fitted detector into the folder ``path``: JSON and safetensors, no pickle.

        Raises
        ------
        PriorError
            If the folder cannot be written.
        """
        check_is_fitted(self)
        (windows, learned), (judge, kept) = self._windows.state(), self.detector_._state()
        verdicts, calibration = self._verdict_state()
        shown = self._shown_or_reference()
        meta = {
            "windows": windows,
            "judge": judge,
            "contamination": self.contamination,
            "seed": self._seed,
            "clean": shown.clean,
            "gaps": dict(self._gaps),
            "n_features_in": self.n_features_in_,
            "feature_names_in": [*map(str, getattr(self, "feature_names_in_", []))],
            **verdicts,
        }
        tensors = {
            **{f"{_WINDOWS}{name}": array for name, array in learned.items()},
            **{f"{_JUDGE}{name}": array for name, array in kept.items()},
            f"{_OWN}codes": self._codes,
            f"{_OWN}scores": self._own,
            "reference": self._scale.reference,
            "known": shown.known,
            **calibration,
        }
        if self._in_time is not None:
            tensors[f"{_OWN}in_time"] = self._in_time
        save_state(path, kind="series detector", meta=meta, tensors=tensors)

    @classmethod
    def load(cls, path: str | Path, *, n_jobs: int | None = None) -> "SeriesDetector":
        """Read a detector that `save` wrote; ``n_jobs`` is as for the constructor.

        Raises
        ------
        PriorError, SavedScoresWarning
            As `FewShotDetector.load`.
        """
        meta, tensors = load_state(path, kind="series detector")
        with reading_state(path):
            windows = Windows.from_state(meta["windows"], under(_WINDOWS, tensors))
            kept = under(_JUDGE, tensors)
            judge = FewShotDetector._from_state(meta["judge"], kept, n_jobs=n_jobs)
            detector = cls(
                window=windows.size,
                time=windows.time,
                period=windows.period,
                prior=judge.prior,
                contamination=meta["contamination"],
                random_state=int(meta["seed"]),
                n_jobs=n_jobs,
                quality=judge.quality,
                novel=judge.novel,
            )
            detector.detector_, detector._windows, detector._seed = judge, windows, meta["seed"]
            detector._codes, detector._own = tensors[f"{_OWN}codes"], tensors[f"{_OWN}scores"]
            detector._in_time = tensors.get(f"{_OWN}in_time")
            detector._gaps = meta.get("gaps", {})
            detector._scale = Surprise().fit(tensors["reference"])
            shown = detector._scale.reference, tensors["known"], bool(meta["clean"])
            detector._shown = Shown(*shown)
            names = meta["feature_names_in"]
            columns = {"n_features_in_": int(meta["n_features_in"])}
            known = {"feature_names_in_": np.array(names, dtype=object)} if names else {}
            detector._set_columns(columns | known)
            detector._restore_verdicts(meta, tensors)
            judge._compare(kept["probe.scores"], path)
        return detector

    def _judged(self, X: Any) -> Judged:
        """Score a series (n, d) once for all that is asked of it; errors as `anomaly_score`."""
        windows = self.windows(X)
        of_windows = self._of_windows(windows.rows)
        raw = covering_means(of_windows, self._windows.size)
        return Judged(windows, of_windows, self._scale.apply(raw))

    def _by_budget(self, budget: int | tuple[int, int], X: Any, y: Any) -> Choice:
        alerts, rows = self._checked_budget(budget, X, y)
        size = self._windows.size
        if rows is None:
            scores = self._judged(X).in_time
            settings = {"alerts": alerts, "rows": len(scores)}
            rule = ThresholdRule("stretches", settings, batch_basis(len(scores)))
            return stretch_threshold(scores, size, alerts), rule
        if self._in_time is None:
            raise SettingError(
                f"budget is {budget!r}, and an older version saved this detector without the order "
                "of its readings; fit it again, or give a number of alerts and X"
            )
        own, lack = self._scale.apply(self._in_time), ""
        expected = alerts * len(own) / rows
        threshold = stretch_threshold(own, size, max(int(expected), 1))
        if expected < 1:
            threshold -= float(np.log10(expected))
            lack = (
                f"{len(own):,} readings given to fit are too few to tell of {alerts} stretches in "
                f"{rows:,}; the threshold goes by the tail of the scores"
            )
        basis = f"{len(own):,} readings given to fit"
        settings = {"alerts": alerts, "rows": rows}
        return warned(threshold, ThresholdRule("stretches", settings, basis, not lack), lack)

    def _of_windows(self, described: pd.DataFrame) -> FloatArray:
        """Scores (m,) of windows; those given to `fit` have what they had there."""
        codes = hash_rows(described)
        at = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        known = self._codes[at] == codes
        scores = self._own[at]
        if not known.all():
            scores[~known] = self.detector_.anomaly_score(described.iloc[np.flatnonzero(~known)])
        return scores

    def _recognised(self, codes: NDArray[np.uint64], own: FloatArray) -> FloatArray:
        """Remember the scores (m,) of windows given to `fit`; equal ones get their mean."""
        self._codes, place = np.unique(codes, return_inverse=True)
        self._own = np.bincount(place, own) / np.bincount(place)
        return self._own[place]


def window_labels(readings: LabelArray, size: int) -> LabelArray:
    """Label each window of a size by the labels (n,) of its readings.

    1 where it holds half of a stretch of odd readings or half of it is such a stretch, 0 where all
    its readings are normal, else -1; shape (n - size + 1,).

    >>> window_labels(np.array([0, 0, 1, 0, -1, 0, 0], dtype=np.int8), 2).tolist()
    [0, 1, 1, -1, -1, 0]
    """
    count = len(readings) - size + 1
    labels = np.full(count, UNLABELLED, dtype=np.int8)
    labels[_inside(readings == NORMAL, size) == size] = NORMAL
    edges = np.diff((readings == ANOMALY).astype(np.int8), prepend=0, append=0)
    for start, stop in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
        needed = (min(int(stop - start), size) + 1) // 2
        first, last = start + needed - size, stop - needed
        labels[max(first, 0) : last + 1] = ANOMALY
    return labels


def covering_means(scores: FloatArray, size: int) -> FloatArray:
    """Give each of n readings the mean score of the windows (n - size + 1,) that it lies in.

    >>> covering_means(np.array([1.0, 3.0]), 2).tolist()
    [1.0, 2.0, 3.0]
    """
    padded = np.pad(scores, size - 1)
    sums = np.convolve(padded, np.ones(size), "valid")
    counts = np.convolve(np.pad(np.ones(len(scores)), size - 1), np.ones(size), "valid")
    return np.asarray(sums / counts)


def _checked_places(given: int | ArrayLike, readings: int) -> NDArray[np.intp]:
    """Read places of some of n readings: whole numbers, or n truth values."""
    places = np.atleast_1d(np.asarray(given))
    if places.dtype.kind == "b" and places.shape == (readings,):
        places = np.flatnonzero(places)
    if not places.size:
        raise SettingError(f"places: none is given; they go from 0 to {readings - 1}")
    if places.ndim != 1 or places.dtype.kind not in "iu":
        raise SettingError(
            f"places are of the type {places.dtype} and the shape {places.shape}; give whole "
            f"numbers from 0 to {readings - 1}, or {readings} truth values"
        )
    wrong = places[(places < 0) | (places >= readings)]
    if len(wrong):
        raise SettingError(
            f"places: {wrong[0]} is that of no reading; they go from 0 to {readings - 1}"
        )
    return places.astype(np.intp)


def _judged_apart(
    judge: FewShotDetector, described: pd.DataFrame, labels: LabelArray, size: int
) -> FloatArray:
    """Scores (m,) of windows, each by what has seen none near it.

    NaN where that has nothing to learn from, as without the one burst of a signal that is flat.
    """
    own = np.full(len(described), np.nan)
    for part, rest in _parts(len(described), size):
        try:
            judge.fit(described.iloc[rest], labels[rest])
        except DataError:
            continue
        own[part] = judge.anomaly_score(described.iloc[part])
    return own


def _warn_of_counters(numbers: Mapping[str, FloatArray]) -> None:
    """Warn of columns (n,), in the order of time, that count up all along, as meters do."""
    for column, cells in numbers.items():
        values = cells[np.isfinite(cells)]
        if len(values) <= COUNTER_STEPS:
            continue
        ends = values[np.linspace(0, len(values) - 1, COUNTER_PARTS + 1).astype(np.intp)]
        reach, begin, end = float(np.ptp(values)), float(ends[0]), float(ends[-1])
        never_falls = (np.diff(values) >= 0).mean() >= COUNTER_SHARE
        all_along = (np.diff(ends) >= reach / (4 * COUNTER_PARTS)).mean() >= COUNTER_REACH
        if never_falls and all_along and end - begin >= COUNTER_REACH * reach > 0:
            warnings.warn(
                f"column {column!r} counts up, from {begin:.6g} to {end:.6g}: later readings lie "
                "outside of all that was seen, and look odd for that. Give its differences "
                f"instead, as df[{column!r}].diff(), or leave it out",
                SeriesWarning,
                stacklevel=3,
            )


def _inside(marked: NDArray[np.bool_], size: int) -> NDArray[np.intp]:
    """How many readings of each window are marked."""
    sums = np.cumsum(np.concatenate([[0], marked]))
    return np.asarray(sums[size:] - sums[:-size], dtype=np.intp)


def _parts(windows: int, size: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Cut windows, in the order of time, into parts; with each, all that share no reading with it.

    Where little would be left to learn from, those that share the fewest.
    """
    places = np.arange(windows)
    for part in np.array_split(places, min(FOLDS, windows)):
        apart: NDArray[np.intp] = np.maximum(part[0] - places, places - part[-1])
        rest = np.flatnonzero(apart >= min(size, np.sort(apart)[-(windows // 2)]))
        yield part, rest


def _readings(X: Any) -> RawRows:
    """Bring a series to rows; errors as `table_rows`."""
    in_a_row = isinstance(X, list | tuple) and len(X) > 0 and is_number(X[0])
    if in_a_row or len(getattr(X, "shape", ())) == 1:
        raise DataError(
            f"X is one column of readings ({type(X).__name__}), and {NOT_A_TABLE}; give a table of "
            "one column, as series.to_frame() or values.reshape(-1, 1) are, or with one of times "
            "beside it"
        )
    return table_rows(X, but=NOT_A_TABLE)


def _columns(rows: RawRows) -> dict[str, Any]:
    """scikit-learn's attributes on the columns of a series."""
    columns: dict[str, Any] = {"n_features_in_": rows.shape[1]}
    names = getattr(rows, "columns", None)
    if names is not None and all(isinstance(name, str) for name in names):
        columns["feature_names_in_"] = np.array(names, dtype=object)
    return columns
