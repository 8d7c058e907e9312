"""Rows of any kind as rows of finite numbers.

========== ================================================== ====================================
kind       recognised by                                      written as
========== ================================================== ====================================
number     a numeric type, durations, numbers stored as text  its value; a flag if fit saw gaps
           (also $1,100.50, (3,000) for a minus, 8.1%,
           1.234 among 345 and 900.000, 1:30 pm)
boolean    a boolean type, the words true and false           0 or 1; a flag if fit saw gaps
category   a categorical type, text that repeats              one column a level (up to 12 levels,
                                                              a gap is a level), then its rarity;
                                                              which of more levels stands aside
date       a date type, dates stored as text (also May 2023,  days since the first, see `Date`; a
           2023-Q2, 2023-W20, FY2023, Mon 5 June 2023)        flag if fit saw gaps; hour and weekday
                                                              (UTC) on a circle if they vary, no
                                                              weekday where all begin a month
constant   the same in all rows that fit saw                  nothing; whether a new row differs
                                                              stands aside (where no more than 64
                                                              columns are constant; and not of one
                                                              that is named as time is)
left out   empty, free text, identifiers, nested              nothing; `Encoder.report` says why
========== ================================================== ====================================

All is decided from the content of the rows given to `fit`, never from their order; numeric columns
keep their unit, so a rescaling or shift of one passes through. A few texts among numbers
or dates that cannot be read are gaps, and `Encoder.report` names them. A gap where fit saw none
becomes a value far outside of the column's range. What stands aside is no quantity: it is written
only where it is asked for, behind all other columns.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from oddshot.episodes import FloatArray
from oddshot.errors import DataError
from oddshot.frames import RawRows, as_frame, check_unique, sparse_columns, take_rows, to_rows
from oddshot.mapping.columns import (
    NEARLY,
    NEARLY_ALL,
    PLAIN,
    UNSEEN_COUNT,
    Category,
    Constant,
    Date,
    LeftOut,
    Number,
    Recipe,
    beside_each_other,
    calendar_part,
    may_name_rows,
    number_recipe,
    part_of,
    recipe,
)
from oddshot.mapping.notation import Notation
from oddshot.mapping.threading import cut
from oddshot.wording import counted

BLOCK_ROWS = 4096
NARROW_CELLS = 2**20  # of narrow tables more rows go into a block, up to so many cells
YEARS_ON = 10.0  # so many years later are time going on
MOST_CONSTANTS = 64  # where more columns are constant one of them often changes, and they cost time
LIMITS = ("fill", "low", "high", "below", "above", "missing", "varies")  # of a `Number`
KINDS = {
    Number: "number",
    Date: "date",
    Category: "category",
    Constant: "constant",
    LeftOut: "left out",
}


@dataclass(frozen=True, slots=True)
class ColumnNote:
    """What became of one source column, and what a user should know of it (often nothing).

    Parameters
    ----------
    column, kind
        Its name, and what it holds, see the table above.
    used
        Whether scores depend on it.
    reason
        Why it is used in this way, or not at all, in words for the user.
    cause
        The same for programs: "constant", "identifier", "free text", ... of a column that is left
        out; "words" of numbers or dates among which texts were taken for gaps, "unit" of those with
        one, "points" of those with points between thousands; "digits" of levels that may be
        numbers, "mixed" of texts most of which are numbers or dates.
    """

    column: str
    kind: str
    used: bool
    reason: str
    cause: str = ""


class Encoder:
    """Learn from some rows how each column is written as numbers, then write any rows so.

    Parameters
    ----------
    owner
        What errors say that expects the rows.

    Attributes
    ----------
    n_features_in_
        Number of source columns, d.
    feature_names_in_
        Shape (d,): their names; ``None`` where fit saw a matrix, or a data frame whose columns are
        merely counted.
    kinds_
        Kind of every source column by name (by position, "0", "1", ..., where it has none).
    encoded_names_
        Source column and meaning ("value", "missing", "= red", "rarity", ...) of each of the p
        encoded columns.
    aside_names_
        The same ("level", "changed") of each of the q columns that stand aside: places of levels,
        and 1 where what was constant at fit is not.

    Examples
    --------
    >>> rows = pd.DataFrame({"kg": [1.5, None, 2.0, 1.0], "colour": ["red", "red", "blue", "red"]})
    >>> encoder = Encoder().fit(rows)
    >>> [f"{column} {what}" for column, what in encoder.encoded_names_]
    ['kg value', 'kg missing', 'colour = blue', 'colour = red', 'colour rarity']
    >>> encoder.transform(pd.DataFrame({"colour": ["green"], "kg": ["7"]})).round(2).tolist()
    [[7.0, 0.0, 0.0, 0.0, 0.9]]
    """

    n_features_in_: int
    feature_names_in_: NDArray[np.object_] | None
    kinds_: dict[str, str]
    encoded_names_: list[tuple[str, str]]
    aside_names_: list[tuple[str, str]]

    def __init__(self, *, owner: str = "Encoder") -> None:
        self._owner = owner

    def fit(self, X: Any) -> Self:
        """Decide kind and encoding of every column.

        Parameters
        ----------
        X
            Shape (n, d), at least 2 rows: anything `to_rows` takes.

        Raises
        ------
        DataError
            If there are too few rows or columns, two columns share a name, or none is left.
        """
        rows = to_rows(X)
        _check_size(rows)
        names = _names(rows)
        labels = names or [str(i) for i in range(rows.shape[1])]
        matrix = _as_matrix(rows)
        if matrix is not None:
            recipes = _recipes_of_matrix(matrix, labels, named=names is not None)
        else:
            assert isinstance(rows, pd.DataFrame)
            recipes = [
                recipe(label, rows.iloc[:, i], named=names is not None)
                for i, label in enumerate(labels)
            ]
            recipes = _with_dates_together(recipes, rows)
        if isinstance(rows, pd.DataFrame):
            recipes = _of_different_rows(recipes, rows, named=names is not None)
        if sum(isinstance(r, Constant) for r in recipes) > MOST_CONSTANTS:
            recipes = [LeftOut(r.column, r.why) if isinstance(r, Constant) else r for r in recipes]
        self._settle(recipes, named=names is not None)
        if not self.encoded_names_:
            reasons = "; ".join(f"{note.column!r}: {note.reason}" for note in self.report()[:5])
            raise DataError(f"no column is left to learn from ({reasons}); give one that varies")
        return self

    def transform(self, X: Any, *, aside: bool = False) -> FloatArray:
        """Write rows as numbers.

        Parameters
        ----------
        X
            Shape (n, d). The columns of a data frame are found by name, in any order, and others
            are ignored. A matrix, or a frame whose columns are merely counted, is taken by position
            and needs the width that `fit` saw. Columns that are left out may be missing in a data
            frame. Sparse rows become dense: give blocks of them.
        aside
            Whether to write what stands aside, too.

        Returns
        -------
        ndarray
            Shape (n, p) float64, finite; (n, p + q) with what stands aside.

        Raises
        ------
        DataError
            If columns are missing, the width differs, or a column of numbers or dates holds
            something else.
        """
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError("this Encoder is not fitted yet; call fit first")
        rows = self.aligned(to_rows(X))
        width = len(self.encoded_names_)
        whole = np.empty((rows.shape[0], width + (len(self._aside) if aside else 0)))
        encoded = whole[:, :width]
        self._numbers.write(self._numeric_columns(rows), encoded)
        for i, column_recipe in self._special:
            assert isinstance(rows, pd.DataFrame)
            start = self._starts[i]
            stop = start + len(column_recipe.outputs())
            column_recipe.write(rows.iloc[:, i], encoded[:, start:stop])
        encoded += 0.0  # -0.0 becomes 0.0: a mapping knows its own rows by their bytes
        for place, (i, beside) in enumerate(self._aside if aside else (), width):
            whole[:, place] = beside.read_aside(_column(rows, i))
        return whole

    def blocks(self, rows: RawRows, *, aside: bool = False) -> Iterator[FloatArray]:
        """Do the same for rows (n, d) block by block, so that memory does not grow with n."""
        cells = NARROW_CELLS // max(1, len(self.encoded_names_))
        for block in cut(rows.shape[0], min(4 * BLOCK_ROWS, max(BLOCK_ROWS, cells))):
            try:
                yield self.transform(take_rows(rows, block), aside=aside)
            except DataError:
                self.transform(rows)  # raises again, with the number the row has among all
                raise

    @property
    def seen_columns(self) -> dict[str, Any]:
        """scikit-learn's attributes on the columns that `fit` saw."""
        columns: dict[str, Any] = {"n_features_in_": self.n_features_in_}
        if self.feature_names_in_ is not None:
            columns["feature_names_in_"] = self.feature_names_in_
        return columns

    @property
    def recipes(self) -> list[Recipe]:
        """How each source column is written, in their order; their outputs stand side by side."""
        return self._recipes

    def never_seen(self, normal: FloatArray | None = None) -> dict[int, tuple[float, float]]:
        """Tell by which value in which column a row is known that holds what fit did not see.

        Positions are those of rows with what stands aside. Beside the value stands how surprising
        it is, in decades, the number of columns considered (Bonferroni): of a level see
        `Category.unseen`; columns are left out where new levels are common. A column that was
        constant changes as often as it has happened to others that one row at fit differed from
        all the rest (Good 1953), all of them together.

        What rows that came later and are known to be ``normal`` (k, p + q) hold has been seen
        since: such levels count as seen once each, and a constant that has changed there is none.
        """
        width = len(self.encoded_names_)
        if normal is None:
            normal = np.zeros((0, width + len(self._aside)))
        levels = {}
        for start, r in zip(self._starts, self._recipes, strict=True):
            if isinstance(r, Category) and (told := r.unseen()) is not None:
                place = start + len(r.outputs()) - 1
                seen = int((np.abs(normal[:, place] - told[0]) < NEARLY).sum())
                if (unseen := r.unseen(seen)) is not None:
                    levels[place] = unseen
        considered = np.log10(max(len(levels), 1))
        changed = (normal[:, width:] == 1).sum(axis=0)
        alone = sum(r.alone for r in self._recipes if isinstance(r, Number | Category))
        alone += sum(
            bool(changed[i] == 1) for i, (_, r) in enumerate(self._aside) if isinstance(r, Constant)
        )
        constants = {
            width + i: (1.0, -float(np.log10((alone + UNSEEN_COUNT) / r.rows)))
            for i, (_, r) in enumerate(self._aside)
            if isinstance(r, Constant) and not changed[i]
        }
        corrected = {place: (rarity, told - considered) for place, (rarity, told) in levels.items()}
        return corrected | constants

    def gaps_at(self) -> NDArray[np.intp]:
        """Places (g,) of the encoded columns that flag gaps among numbers or dates."""
        return self._numbers.flag_at

    def levels_at(self) -> list[tuple[int, slice]]:
        """Tell of each column of categories how many levels it has, and where these are written.

        In rows with what stands aside: one column a level, or a single one with the level's place.
        Columns are left out that an older version saved, see `Category`.
        """
        return [(len(category.levels), at) for _, category, at in self._told_apart()]

    @property
    def rarer(self) -> float:
        """How much rarer a row's levels are if it does not count itself, in standard deviations.

        Summed over the columns that are written by their rarity alone.
        """
        return sum(category.rarer() for _, category, _ in self._told_apart() if category.aside())

    def _told_apart(self) -> list[tuple[int, Category, slice]]:
        """Give place and recipe of these columns, and where their levels are written."""
        aside = [name for name, _ in self.aside_names_]
        found = []
        for i, (start, r) in enumerate(zip(self._starts, self._recipes, strict=True)):
            if not (isinstance(r, Category) and r.told_apart):
                continue
            at = slice(start, start + len(r.outputs()) - 1)
            if r.aside():
                place = len(self.encoded_names_) + aside.index(r.column)
                at = slice(place, place + 1)
            found.append((i, r, at))
        return found

    def without(self, rows: FloatArray, times: FloatArray) -> "Encoder":
        """Count levels as if some rows had not been there; all else stays.

        Parameters
        ----------
        rows
            Shape (n, p + q): those rows, encoded.
        times
            Shape (n,): how many rows of `fit` each stands for.
        """
        recipes: list[Recipe] = list(self._recipes)
        for i, category, at in self._told_apart():
            recipes[i] = category.without(category.places_written(rows[:, at]), times)
        encoder = Encoder(owner=self._owner)
        encoder._settle(recipes, named=self.feature_names_in_ is not None)
        return encoder

    def rewritten(self, rows: FloatArray) -> FloatArray:
        """Write rows (n, p + q) as this encoder does, which another wrote that had other counts."""
        told_apart = self._told_apart()
        if not told_apart:
            return rows
        rows = rows.copy()
        for i, category, at in told_apart:
            places = category.places_written(rows[:, at])
            start = self._starts[i]
            category.write_places(places, rows[:, start : start + len(category.outputs())])
            if category.aside():
                rows[:, at] = places[:, None]
        return rows + 0.0  # see `transform`

    def unseen_shares(self, rows: RawRows) -> dict[str, float]:
        """Tell in what share of rows (n, d) a column holds what fit did not see, by column.

        Columns of categories, and those that were constant and stand aside.
        """
        frame = as_frame(self.aligned(rows))
        return {
            r.column: float(r.is_unseen(frame.iloc[:, i]).mean())
            for i, r in enumerate(self._recipes)
            if isinstance(r, Category | Constant)
        }

    def report(self) -> list[ColumnNote]:
        """Say what became of each source column, in their order."""
        return [
            ColumnNote(r.column, r.kind, bool(r.outputs()), r.reason(), r.cause)
            for r in self._recipes
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Give all that was learned, as a part for JSON and a part of arrays.

        Returns
        -------
        tuple
            The settings, and {"numbers": (q, 7) float64}, one row a column of numbers.
        """
        columns = [{"recipe": KINDS[type(r)]} | _settings(r) for r in self._recipes]
        numbers = [
            [getattr(r, name) for name in LIMITS] for r in self._recipes if type(r) is Number
        ]
        table = np.array(numbers, dtype=np.float64).reshape(-1, len(LIMITS))
        return {"named": self.feature_names_in_ is not None, "columns": columns}, {"numbers": table}

    @classmethod
    def from_state(
        cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]], *, owner: str = "Encoder"
    ) -> "Encoder":
        """Restore an encoder from the two parts that `state` gave; it encodes exactly alike."""
        rows = iter(arrays["numbers"].tolist())
        encoder = cls(owner=owner)
        encoder._settle(
            [_restored(dict(column), rows) for column in settings["columns"]],
            named=settings["named"],
        )
        return encoder

    def _settle(self, recipes: list[Recipe], *, named: bool) -> None:
        outputs = [r.outputs() for r in recipes]
        starts = np.cumsum([0, *map(len, outputs)])[:-1]
        names = np.array([r.column for r in recipes], dtype=object)
        self._recipes = recipes
        self._starts = starts.tolist()
        self.n_features_in_ = len(recipes)
        self.feature_names_in_ = names if named else None
        self.kinds_ = {r.column: r.kind for r in recipes}
        self.encoded_names_ = [
            (r.column, what) for r, row in zip(recipes, outputs, strict=True) for what in row
        ]
        self.aside_names_ = [(r.column, what) for r in recipes for what in r.aside()]
        self._aside = [
            (i, r)
            for i, r in enumerate(recipes)
            if isinstance(r, Category | Constant) and r.aside()
        ]
        self._numbers = _NumberBlock.of(recipes, starts)
        self._special = [(i, r) for i, r in enumerate(recipes) if isinstance(r, Date | Category)]

    def aligned(self, rows: RawRows) -> RawRows:
        """Give the fitted columns (n, d) in the fitted order; errors as of `transform`."""
        labels = [r.column for r in self._recipes]
        if isinstance(rows, pd.DataFrame) and not _counted(rows.columns):
            named = self.feature_names_in_ is not None
            if named or set(labels) <= {str(name) for name in rows.columns}:
                left_out = {
                    r.column: r.value if isinstance(r, Constant) else np.nan
                    for r in self._recipes
                    if isinstance(r, LeftOut)
                }
                rows = _by_name(rows, labels, left_out)
        if rows.shape[1] != self.n_features_in_:
            raise DataError(
                f"X has {rows.shape[1]} features, but {self._owner} is expecting "
                f"{self.n_features_in_} features as input"
            )
        if self._special and not isinstance(rows, pd.DataFrame):
            dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
            rows = pd.DataFrame(dense, columns=labels)
        return rows

    def _numeric_columns(self, rows: RawRows) -> FloatArray:
        """Shape (n, q): the columns of the number block, as a copy; NaN where missing."""
        used = self._numbers.source
        matrix = None if self._numbers.dated else _as_matrix(rows)
        if matrix is not None:
            chosen = matrix if len(used) == matrix.shape[1] else matrix[:, used]
            dense = chosen.toarray() if sp.issparse(chosen) else chosen
            return np.array(dense, dtype=np.float64, order="C")
        assert isinstance(rows, pd.DataFrame)
        columns = np.empty((len(rows), len(used)))
        days: dict[str, FloatArray] = {}
        for j, i in enumerate(used):
            number = self._recipes[i]
            assert isinstance(number, Number)
            if isinstance(number, Date):
                days[number.column] = number.days(rows.iloc[:, i])
                columns[:, j] = number.folded(days[number.column])
            else:
                columns[:, j] = number.read(rows.iloc[:, i])
        if days:
            self._move_with_dates(columns, days)
        return columns

    def _move_with_dates(self, columns: FloatArray, days: dict[str, FloatArray]) -> None:
        """Move what goes with a column of dates, in the number block (n, q), as these were moved.

        ``days`` are those of each column of dates, as they are.
        """
        recipes = [self._recipes[i] for i in self._numbers.source]
        at = {r.column: j for j, r in enumerate(recipes)}
        for j, r in enumerate(recipes):
            if isinstance(r, Date) and r.beside:
                moved = columns[:, at[r.beside]] - days[r.beside]
                columns[:, j] = r.folded(days[r.column], moved)
        for j, r in enumerate(recipes):
            if isinstance(r, Number) and r.dated_by:
                date = recipes[at[r.dated_by]]
                assert isinstance(date, Date)
                after, before = (
                    calendar_part(on + date.origin, r.part)
                    for on in (columns[:, at[r.dated_by]], days[r.dated_by])
                )
                columns[:, j] += np.nan_to_num(after - before)


def _of_different_rows(recipes: list[Recipe], rows: pd.DataFrame, *, named: bool) -> list[Recipe]:
    """Leave out columns that name the rows, although copies of rows repeat their names.

    Rows are copies where all columns agree; the others must tell nearly all rows apart, or many
    agree by chance.
    """
    found = list(recipes)
    used = [i for i, one in enumerate(recipes) if not isinstance(one, LeftOut)]
    for place in used if len(used) > 1 else ():
        column = rows.iloc[:, place]
        if not may_name_rows(recipes[place], column, named=named):
            continue
        others = rows.iloc[:, [i for i in used if i != place]]
        copies, repeated = np.zeros(len(rows), dtype=bool), column.duplicated(keep=False).to_numpy()
        copies[repeated] = rows.iloc[:, used][repeated].duplicated().to_numpy()
        if not copies.any() or others[~copies].duplicated().mean() > 1 - NEARLY_ALL:
            continue
        different = recipe(recipes[place].column, column[~copies], named=named)
        if isinstance(different, LeftOut):
            found[place] = different
    return found


def _with_dates_together(recipes: list[Recipe], rows: pd.DataFrame) -> list[Recipe]:
    """Let columns of dates that go together, and of their parts, be moved together."""
    at = [i for i, r in enumerate(recipes) if isinstance(r, Date)]
    dates = [r for r in recipes if isinstance(r, Date)]
    if not dates:
        return recipes
    days = [r.days(rows.iloc[:, i]) + r.origin for i, r in zip(at, dates, strict=True)]
    found: dict[int, Recipe] = dict(zip(at, beside_each_other(dates, days), strict=True))
    for i, r in enumerate(recipes):
        if type(r) is Number and r.may_be_part():
            values = r.read(rows.iloc[:, i])
            of = [(d.column, part_of(values, on)) for d, on in zip(dates, days, strict=True)]
            for column, part in sorted(pair for pair in of if pair[1])[:1]:
                found[i] = replace(r, dated_by=column, part=part, last_year=0.0)
    return [found.get(i, r) for i, r in enumerate(recipes)]


def _counted(columns: "pd.Index[Any]") -> bool:
    """Tell whether columns are counted from 0, in their order, as pandas does without names."""
    return isinstance(columns, pd.RangeIndex) and (columns.start, columns.step) == (0, 1)


@dataclass(frozen=True, slots=True)
class _NumberBlock:
    """The q columns of numbers and dates at once.

    `source` (q,) are their positions in the rows, `gap` to `last` (q,) their parameters;
    `varying` and `flagged` pick those with a value and those with a flag, which stand at `value_at`
    and `flag_at` in the encoded rows.
    """

    source: NDArray[np.intp]
    gap: FloatArray
    low: FloatArray
    high: FloatArray
    below: FloatArray
    above: FloatArray
    last: FloatArray
    varying: NDArray[np.intp]
    value_at: NDArray[np.intp]
    flagged: NDArray[np.intp]
    flag_at: NDArray[np.intp]
    dated: bool

    @classmethod
    def of(cls, recipes: list[Recipe], starts: NDArray[np.intp]) -> "_NumberBlock":
        """Gather the number recipes of all columns, whose outputs begin at `starts`."""
        numbers = [(i, r) for i, r in enumerate(recipes) if isinstance(r, Number)]
        source = np.array([i for i, _ in numbers], dtype=np.intp)
        varies = np.array([r.varies for _, r in numbers], dtype=bool)
        missing = np.array([r.missing for _, r in numbers], dtype=bool)
        limits = np.array([(r.gap(), r.low, r.high, r.below, r.above) for _, r in numbers])
        gap, low, high, below, above = limits.reshape(-1, 5).T
        last = np.array([r.last_year or np.inf for _, r in numbers])
        start = starts[source]
        return cls(
            source=source,
            gap=gap,
            low=low,
            high=high,
            below=below,
            above=above,
            last=last,
            varying=np.flatnonzero(varies),
            value_at=start[varies],
            flagged=np.flatnonzero(missing),
            flag_at=(start + varies)[missing],
            dated=any(isinstance(r, Date) for _, r in numbers),
        )

    def write(self, values: FloatArray, encoded: FloatArray) -> None:
        """Write `values` (n, q), which are used up, into `encoded` (n, p)."""
        if len(self.flagged):
            encoded[:, self.flag_at] = np.isnan(values[:, self.flagged])
        if not np.isfinite(values).all():
            for unusable, stand_in in (
                (values == np.inf, self.above),
                (values == -np.inf, self.below),
                (np.isnan(values), self.gap),
            ):
                row, column = np.nonzero(unusable)
                values[row, column] = stand_in[column]
        if np.isfinite(self.last).any():  # years go on
            later = (values > self.last) & (values <= self.last + YEARS_ON)
            values[:] = np.where(later, self.last, values)
        np.clip(values, self.low, self.high, out=values)
        if len(self.varying) == encoded.shape[1]:
            encoded[:] = values
        else:
            encoded[:, self.value_at] = values[:, self.varying]


def _column(rows: RawRows, place: int) -> "pd.Series[Any]":
    """Give one column of a frame or a matrix."""
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[:, place]
    column: Any = rows[:, [place]]
    return pd.Series((column.toarray() if sp.issparse(column) else column)[:, 0])


def _recipes_of_matrix(matrix: Any, labels: list[str], *, named: bool) -> list[Recipe]:
    if not sp.issparse(matrix):
        return [
            recipe(label, pd.Series(matrix[:, i].astype(np.float64)), named=named)
            for i, label in enumerate(labels)
        ]
    by_column = sp.csc_array(matrix, dtype=np.float64)
    written = np.split(by_column.data, by_column.indptr[1:-1])
    return [
        number_recipe(label, values, zeros=matrix.shape[0] - len(values), named=named)
        for label, values in zip(labels, written, strict=True)
    ]


def _as_matrix(rows: RawRows) -> Any:
    """Give the rows as a matrix where all columns are plain numbers, else ``None``."""
    if not isinstance(rows, pd.DataFrame):
        return rows
    if all(isinstance(t, np.dtype) and t.kind in "iuf" for t in rows.dtypes):
        return rows.to_numpy()
    return sparse_columns(rows)


def _names(rows: RawRows) -> list[str] | None:
    if not isinstance(rows, pd.DataFrame) or isinstance(rows.columns, pd.RangeIndex):
        return None
    names = [str(name) for name in rows.columns]
    check_unique(names)
    return names


def _by_name(rows: pd.DataFrame, names: list[str], left_out: dict[str, Any]) -> pd.DataFrame:
    """Give columns in the order of ``names``; for those left out, a value stands in."""
    given = [str(name) for name in rows.columns]
    if given == names:
        return rows
    missing = sorted(set(names) - set(given) - left_out.keys())
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise DataError(
            f"X lacks {counted(len(missing), 'columns')} that fit was given: {shown}; "
            f"the rows have {', '.join(map(repr, given[:10]))}{', ...' if len(given) > 10 else ''}"
        )
    check_unique([name for name in given if name in set(names)])
    there = [name for name in names if name in given]
    rows = rows.iloc[:, [given.index(name) for name in there]]
    if there == names:
        return rows
    absent = {name: left_out[name] for name in names if name not in there}
    return rows.set_axis(there, axis=1).assign(**absent)[names]


def _check_size(rows: RawRows) -> None:
    samples, columns = rows.shape
    if columns < 1:
        raise DataError(
            f"Found array with 0 feature(s) (shape={rows.shape}) while a minimum of 1 is required."
        )
    if samples < 2:
        least = 1 if samples == 0 else 2
        raise DataError(
            f"X has {counted(samples, 'rows')}; give at least {least} (found array with "
            f"{samples} sample(s), shape={rows.shape})"
        )


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Give what a recipe says, without what the array of numbers keeps, and a plain notation."""
    told = asdict(recipe)
    for name in LIMITS if type(recipe) is Number else ():
        del told[name]
    for name, usual in (
        ("notation", asdict(PLAIN)),
        ("alone", False),
        ("mixed", ""),
        ("begun", []),
        ("beside", ""),
        ("by_years", False),
        ("last_year", 0.0),
        ("dated_by", ""),
        ("part", ""),
    ):
        if told.get(name) == usual:
            del told[name]
    return told


def _restored(column: dict[str, Any], rows: Iterator[list[float]]) -> Recipe:
    kind = column.pop("recipe")
    if "notation" in column:
        told = column["notation"]
        units = tuple((unit, float(factor)) for unit, factor in told.get("units", ()))
        column["notation"] = Notation(told["comma"], tuple(told["words"]), units)
    if kind == "number":
        fill, low, high, below, above, missing, varies = next(rows)
        return Number(
            column.pop("column"),
            column.pop("kind"),
            *(fill, low, high, below, above),
            missing > 0,
            varies > 0,
            **column,
        )
    if kind == "date":
        return Date(**column)
    if kind == "constant":
        return Constant(**column)
    return Category(**column) if kind == "category" else LeftOut(**column)
