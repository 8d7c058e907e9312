"""What goes wrong with real tables, done to a trial on purpose.

After Han et al. 2022 ("ADBench", section 4.3): anomalies that occur several times, columns that
have nothing to do with them, and labels that are wrong. Two things differ: ADBench draws the copies
at random, here every anomaly has as many; and ADBench swaps labels both ways where every row is
labelled, while here few are.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from oddshot.data.splits import IndexArray
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, FloatArray, LabelArray, Rows
from oddshot.errors import DataError, SettingError
from oddshot.evaluation.protocols import Trial, take

DUPLICATES, IRRELEVANT, LABEL_ERRORS = "duplicates", "irrelevant", "label-errors"
_REACH = {DUPLICATES: (1.0, 100.0), IRRELEVANT: (0.0, 0.9), LABEL_ERRORS: (0.0, 1.0)}


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One kind of trouble and how much of it.

    Parameters
    ----------
    kind
        "duplicates": every anomaly of both parts occurs ``amount`` times; copies are unlabelled.
        "irrelevant": so large a share of the columns is uniform noise that was added, each in the
        range of a column of the table. "label-errors": so large a share of the labels that say
        "anomaly" is on normal rows; the anomalies that they belong to are unlabelled.
    amount
        Times (a whole number), or a share. Columns are rounded up, so that there is one at least;
        whether a fraction of a label is wrong is drawn, so that the share is right on average.

    Raises
    ------
    SettingError
        The kind is unknown, or the amount out of its range.

    Examples
    --------
    >>> str(Disturbance.parse("irrelevant=0.3"))
    'irrelevant=0.3'
    """

    kind: str
    amount: float

    def __post_init__(self) -> None:
        if self.kind not in _REACH:
            raise SettingError(
                f"unknown disturbance {self.kind!r}; choose from {', '.join(_REACH)}, "
                "as irrelevant=0.3"
            )
        low, high = _REACH[self.kind]
        whole = self.kind != DUPLICATES or float(self.amount).is_integer()
        if not (low <= self.amount <= high and whole):
            kind = "a whole number " if self.kind == DUPLICATES else ""
            raise SettingError(f"{self}; give {kind}from {low:g} to {high:g}")

    @classmethod
    def parse(cls, text: str) -> "Disturbance":
        """Read ``kind=amount``.

        Raises
        ------
        SettingError
            It is written otherwise.
        """
        kind, _, written = text.partition("=")
        try:
            amount = float(written)
        except ValueError:
            raise SettingError(
                f"disturbance {text!r}; write a kind and an amount, as duplicates=3, "
                "irrelevant=0.3 or label-errors=0.1"
            ) from None
        return cls(kind.strip(), amount)

    def __str__(self) -> str:
        return f"{self.kind}={self.amount:g}"

    @property
    def needs_labels(self) -> bool:
        """Whether there is nothing to disturb where no anomaly is labelled."""
        return self.kind == LABEL_ERRORS

    def applied(self, trial: Trial) -> Trial:
        """Return the disturbed trial; what is drawn depends on the trial's seed alone.

        Raises
        ------
        SettingError
            Wrong labels are asked for where none is given.
        """
        rng = np.random.default_rng([trial.seed, 77])
        if self.kind == DUPLICATES:
            return _with_copies(trial, int(self.amount))
        if self.kind == IRRELEVANT:
            return _with_noise(trial, self.amount, rng)
        return _with_wrong_labels(trial, self.amount, rng)


def _with_copies(trial: Trial, times: int) -> Trial:
    truth = _truth(trial)
    odd_train = np.repeat(np.flatnonzero(truth == ANOMALY), times - 1)
    odd_test = np.repeat(np.flatnonzero(trial.y_test == ANOMALY), times - 1)
    more_train = np.concatenate([np.arange(len(trial.y_train)), odd_train])
    more_test = np.concatenate([np.arange(len(trial.y_test)), odd_test])
    y_train = trial.y_train[more_train]
    y_train[len(trial.y_train) :] = UNLABELLED
    return replace(
        trial,
        X_train=take(trial.X_train, more_train),
        y_train=y_train,
        truth_train=truth[more_train],
        X_test=take(trial.X_test, more_test),
        y_test=trial.y_test[more_test],
    )


def _with_noise(trial: Trial, share: float, rng: np.random.Generator) -> Trial:
    columns = trial.X_train.shape[1]
    count = int(np.ceil(share / (1 - share) * columns - 1e-9))
    if not count:
        return trial
    low, high = _ranges(trial.X_train)
    of = rng.integers(len(low), size=count)
    place = rng.permutation(columns + count)
    X_train, X_test = (
        _beside(rows, rng.uniform(low[of], high[of], size=(len(rows), count)), place)
        for rows in (trial.X_train, trial.X_test)
    )
    return replace(trial, X_train=X_train, X_test=X_test)


def _with_wrong_labels(trial: Trial, share: float, rng: np.random.Generator) -> Trial:
    labelled = np.flatnonzero(trial.y_train == ANOMALY)
    normal = np.flatnonzero((_truth(trial) == NORMAL) & (trial.y_train == UNLABELLED))
    if not len(labelled):
        raise SettingError(f"{LABEL_ERRORS} needs labelled anomalies; choose k or la above 0")
    wrong = min(int(share * len(labelled) + rng.uniform()), len(labelled), len(normal))
    y_train = trial.y_train.copy()
    y_train[rng.permutation(labelled)[:wrong]] = UNLABELLED
    y_train[rng.permutation(normal)[:wrong]] = ANOMALY
    return replace(trial, y_train=y_train)


def _truth(trial: Trial) -> LabelArray:
    if trial.truth_train is None:
        raise DataError(f"the trial of {trial.table!r} keeps no truth of its training rows")
    return trial.truth_train


def _ranges(rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Smallest and largest number of each column that holds some; 0 and 1 where none does."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    numbers = frame.select_dtypes("number").astype(np.float64)
    numbers = numbers.replace([np.inf, -np.inf], np.nan).dropna(axis=1, how="all")
    if not numbers.shape[1]:
        return np.zeros(1), np.ones(1)
    return numbers.min().to_numpy(), numbers.max().to_numpy()


def _beside(rows: Rows, noise: FloatArray, place: IndexArray) -> Rows:
    if not isinstance(rows, pd.DataFrame):
        return np.concatenate([rows, noise], axis=1)[:, place]
    taken, names, number = set(map(str, rows.columns)), list[str](), 0
    while len(names) < noise.shape[1]:
        if f"noise {number}" not in taken:
            names.append(f"noise {number}")
        number += 1
    added = pd.DataFrame(noise, columns=names, index=rows.index)
    return pd.concat([rows, added], axis=1).iloc[:, place]
