"""Every error that a user's input can cause, as one tree.

::

    OddshotError (ValueError)
    |-- DataError          a table, file or column that cannot be used
    |   |-- SourceError    a file that cannot be found, read or understood
    |   |-- LabelError     a label column or ``y`` that holds something else than labels
    |   `-- CellError      a cell that holds something else than its column did at fit
    |-- SettingError       an option with a value it cannot take
    |   `-- CalibrationError   a probability without labels to learn it from
    |-- PriorError         a prior or detector file that is damaged, foreign or of another version
    `-- TrainingError      meta-training that cannot go on (no task left, a loss that is not finite)

A message names the thing, the value and the remedy. The command line prints it in one line and
exits with 2; every other exception is a defect of ours and escapes with its traceback.
"""

from math import isfinite
from numbers import Integral, Real


class OddshotError(ValueError):
    """Base of all errors that a user's input can cause."""


class DataError(OddshotError):
    """A table, file or column cannot be used."""


class SourceError(DataError):
    """A file cannot be found, read or understood."""


class LabelError(DataError):
    """A label column, or ``y``, holds something else than labels."""


class CellError(DataError):
    """A cell holds something else than its column did at fit.

    Parameters
    ----------
    told
        What holds what.
    row
        Where: a row of data, counted from 0.
    remedy
        What follows the row.

    Examples
    --------
    >>> print(CellError("column 'kg' holds 'abc'", 3, "; correct it").below(1000))
    column 'kg' holds 'abc' in row 1003; correct it
    """

    def __init__(self, told: str, row: int | None = None, remedy: str = "") -> None:
        super().__init__(told if row is None else f"{told} in row {row}{remedy}")
        self._told, self.row, self._remedy = told, row, remedy

    def below(self, rows: int) -> "CellError":
        """Count so many rows above those it came from."""
        row = None if self.row is None else rows + self.row
        return CellError(self._told, row, self._remedy)


class SettingError(OddshotError):
    """An option has a value that it cannot take."""


class PriorError(OddshotError):
    """A prior or a saved detector is damaged, foreign or of another version."""


class TrainingError(OddshotError):
    """Meta-training cannot go on."""


class CalibrationError(SettingError, AttributeError):
    """A probability was asked of a detector that knows no labels to learn it from."""


class CalibrationWarning(UserWarning):
    """There are too few calibration rows for what was asked."""


class LabelWarning(UserWarning):
    """Labels, or groups, were given that are none, or may be meant otherwise."""


class ColumnNameWarning(UserWarning):
    """Columns are taken by their place, since either `fit` or the rows to score lack names."""


class SparseWarning(UserWarning):
    """Sparse columns were made from the rows of `fit`, which they tell from all new ones."""


class DateWarning(UserWarning):
    """Dates are written in another time zone, or with none, than those learned from."""


class SeriesWarning(UserWarning):
    """A series has moments or a pace that do not fit, or a column that will be out of range."""


class SavedScoresWarning(UserWarning):
    """A detector that was loaded gives slightly other scores than it gave when it was saved."""


def is_whole(value: object) -> bool:
    """Whether a value is a whole number; True and False are none, nor are durations."""
    return isinstance(value, Integral) and not (isinstance(value, bool) or _lasts(value))


def is_number(value: object) -> bool:
    """Whether a value is a finite number; True and False are none, nor are durations."""
    if not isinstance(value, Real) or isinstance(value, bool) or _lasts(value):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # a whole number beyond all floating ones
        return False


def _lasts(value: object) -> bool:
    """Whether a value is one of NumPy's durations, which count as its whole numbers."""
    return getattr(getattr(value, "dtype", None), "kind", "") == "m"


def first_line(error: Exception) -> str:
    r"""Give the first line of what an exception says, without a full stop, or else its kind.

    >>> first_line(OSError("It is cut off.\nAt byte 7.")), first_line(EOFError())
    ('It is cut off', 'EOFError')
    """
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def require(holds: bool, name: str, value: object, allowed: str) -> None:
    """Refuse the value of an argument, naming what is allowed, unless a condition holds.

    Examples
    --------
    >>> require(0 > 0, "rate", 0, "a number above 0")
    Traceback (most recent call last):
    oddshot.errors.SettingError: rate is 0; it must be a number above 0
    """
    if not holds:
        raise SettingError(f"{name} is {value!r}; it must be {allowed}")
