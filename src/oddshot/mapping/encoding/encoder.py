"""Rows of any kind as rows of finite numbers.

========== ================================================== ====================================
kind       recognised by                                      written as
========== ================================================== ====================================
number     a numeric type, durations, numbers stored as text  its value; a flag if fit saw gaps
           (also $1,100.50, (3,000) for a minus, 8.1%,
           1.234 among 345 and 900.000, 1:30 pm)
boolean    a boolean type, the words true and false           0 or 1; a flag if fit saw gaps
category   a categorical type, text that repeats              one column a level (up to 12 levels,
           (also y, yes and true as one, n, no and false,     a gap is a level), then its rarity;
           where these are the two levels)                    which of more levels stands aside
date       a date type, dates stored as text (also May 2023,  days since the first, see `Date`; a
           2023-Q2, 2023-W20, FY2023, Mon 5 June 2023)        flag if fit saw gaps; written hour and
                                                              weekday on a circle if they vary, no
                                                              weekday where all begin a month
constant   the same in all rows that fit saw                  nothing; whether a new row differs
                                                              stands aside (where no more than 64
                                                              columns are constant; and not of one
                                                              that is named as time is)
left out   empty, free text, identifiers, nested              nothing; `Encoder.report` says why
========== ================================================== ====================================

All is decided from the content of the rows given to `fit`, never from their order (but for a note:
what stands in blocks of rows, as numbers of lots do, may name what these belong to); numeric
columns keep their unit, so a rescaling or shift of one passes through. A few texts among numbers
or dates that cannot be read are gaps, and `Encoder.report` names them. A gap where fit saw none
becomes a value far outside of the column's range. What stands aside is no quantity: it is written
only where it is asked for, behind all other columns.
"""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from oddshot.episodes import FloatArray
from oddshot.errors import CellError, DataError
from oddshot.frames import RawRows, as_frame, take_rows, to_rows
from oddshot.mapping.encoding.blocks_of_rows import with_groups_in_blocks
from oddshot.mapping.encoding.category import Category
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.mapping.encoding.date import Date
from oddshot.mapping.encoding.dates_together import with_dates_together
from oddshot.mapping.encoding.layout import Layout
from oddshot.mapping.encoding.left_out import Constant, LeftOut, differ, names_rows
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.number_block import NumberBlock
from oddshot.mapping.encoding.portable import portable
from oddshot.mapping.encoding.recipe import Recipe, recipe, recipes_of_matrix
from oddshot.mapping.encoding.recipe_state import recipes_from_state, state_of_recipes
from oddshot.mapping.encoding.recounted import recipes_without, rewritten
from oddshot.mapping.encoding.repeated_names import without_repeated_names
from oddshot.mapping.encoding.source_columns import (
    as_matrix,
    by_name,
    check_size,
    column_at,
    found_by_name,
    holds_long_integers,
    names_given,
    warn_of_lonely_columns,
    warn_of_lost_names,
)
from oddshot.mapping.encoding.unseen import never_seen
from oddshot.mapping.threading import cut

BLOCK_ROWS = 4096
NARROW_CELLS = 2**20  # of narrow tables more rows go into a block, up to so many cells
SPLIT_TEXTS = (
    "make columns of free text, as time, level and template (numbers masked) of a log's lines; or "
    "count words in Python, numbers masked, by TfidfVectorizer(min_df=2) of scikit-learn"
)
MOST_CONSTANTS = 64  # that are watched, whatever it takes, and more of them
CONSTANT_CELLS = 2**21  # as long as they have no more cells


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

    def fit(self, X: Any, *, not_learned: dict[str, str] | None = None) -> Self:
        """Decide kind and encoding of every column.

        Parameters
        ----------
        X
            Shape (n, d), at least 2 rows: anything `to_rows` takes.
        not_learned
            Columns that are left out whatever they hold, and why.

        Raises
        ------
        DataError
            If there are too few rows or columns, two columns share a name, or none is left.

        Warns
        -----
        SparseWarning
            If many columns of a sparse matrix have a value in one row alone.
        """
        rows = to_rows(X)
        check_size(rows)
        names = names_given(rows)
        labels = names or [str(i) for i in range(rows.shape[1])]
        matrix = None if holds_long_integers(rows) else as_matrix(rows)
        if matrix is not None:
            recipes = recipes_of_matrix(matrix, labels, named=names is not None)
            if sp.issparse(matrix):
                warn_of_lonely_columns(matrix)
        else:
            assert isinstance(rows, pd.DataFrame)
            recipes = [
                recipe(label, rows.iloc[:, i], named=names is not None)
                for i, label in enumerate(labels)
            ]
            recipes = with_dates_together(recipes, rows)
        why = not_learned or {}
        recipes = [LeftOut(r.column, why[r.column]) if r.column in why else r for r in recipes]
        if isinstance(rows, pd.DataFrame):
            recipes = without_repeated_names(recipes, rows, named=names is not None)
            recipes = with_groups_in_blocks(recipes, rows, named=names is not None)
        constants = sum(isinstance(recipe, Constant) for recipe in recipes)
        if constants > max(MOST_CONSTANTS, CONSTANT_CELLS // rows.shape[0]):
            recipes = [LeftOut(r.column, r.why) if isinstance(r, Constant) else r for r in recipes]
        self._settle(recipes, named=names is not None)
        if not self.encoded_names_:
            notes = self.report()
            reasons = "; ".join(f"{note.column!r}: {note.reason}" for note in notes[:5])
            texts = any(note.cause == "free text" for note in notes)
            remedy = SPLIT_TEXTS if texts else "give one that varies"
            raise DataError(f"no column is left to learn from ({reasons}); {remedy}")
        return self

    def transform(self, X: Any, *, aside: bool = False) -> FloatArray:
        """Write rows as numbers.

        Parameters
        ----------
        X
            Shape (n, d). The columns of a data frame are found by name, in any order, and others
            are ignored. A matrix, or a frame whose columns are merely counted and are not those of
            `fit`, is taken by position and needs the width that `fit` saw. Columns that are left
            out may be missing in a data frame. Sparse rows become dense: give blocks of them.
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

        Warns
        -----
        DateWarning
            If dates have offsets from UTC where those of `fit` had none, or the other way round.
        """
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError("this Encoder is not fitted yet; call fit first")
        rows = self.aligned(to_rows(X))
        width, asides = self._layout.width, self._layout.aside if aside else []
        whole = np.empty((rows.shape[0], width + len(asides)))
        encoded = whole[:, :width]
        numbers, moments = self._numbers.read(rows)
        self._numbers.write(numbers, encoded)
        for i, column_recipe in self._special:
            assert isinstance(rows, pd.DataFrame)
            start = self._layout.starts[i]
            outputs = encoded[:, start : start + len(column_recipe.outputs())]
            if isinstance(column_recipe, Date):
                column_recipe.warn_of_offsets(rows.iloc[:, i])
                column_recipe.write(moments[column_recipe.column], outputs)
            else:
                column_recipe.write(rows.iloc[:, i], outputs)
        encoded += 0.0  # -0.0 becomes 0.0: a mapping knows its own rows by their bytes
        self._write_aside(rows, asides, whole[:, width:])
        return whole

    def _write_aside(
        self, rows: RawRows, asides: list[tuple[int, Category | Constant]], beside: FloatArray
    ) -> None:
        """Write what stands aside of rows (n, d) into (n, q)."""
        matrix = as_matrix(rows) if len(asides) > MOST_CONSTANTS else None
        if matrix is not None:  # one by one, hundreds of columns take long
            values = {
                k: float(r.value)
                for k, (_, r) in enumerate(asides)
                if isinstance(r, Constant) and r.holds != "category"
            }
            chosen = matrix[:, [asides[k][0] for k in values]]
            numbers = chosen.toarray() if sp.issparse(chosen) else chosen
            beside[:, [*values]] = differ(numbers.astype(np.float64), np.array([*values.values()]))
        for k, (place, column_recipe) in enumerate(asides):
            if matrix is None or k not in values:
                beside[:, k] = column_recipe.read_aside(column_at(rows, place))

    def blocks(self, rows: RawRows, *, aside: bool = False) -> Iterator[FloatArray]:
        """Do the same for rows (n, d) block by block, so that memory does not grow with n.

        Warns
        -----
        ColumnNameWarning
            If either `fit` or the rows have no names of columns, so that these go by position.
        """
        names = [r.column for r in self.recipes]
        warn_of_lost_names(rows, names, named=self.feature_names_in_ is not None)
        cells = NARROW_CELLS // max(1, len(self.encoded_names_))
        for block in cut(rows.shape[0], min(4 * BLOCK_ROWS, max(BLOCK_ROWS, cells))):
            try:
                encoded = self.transform(take_rows(rows, block), aside=aside)
            except CellError as error:
                raise error.below(block.start) from None
            yield encoded

    def as_written_now(self, encoded: FloatArray) -> FloatArray:
        """Bring encoded rows (n, p + q) that were kept to the digits that rows are written in.

        On another processor, or by an older version, the last ones may have been others.
        """
        rounded = [
            place
            for place, (_, meaning) in enumerate(self.encoded_names_)
            if meaning == "rarity" or meaning.endswith((" sin", " cos"))
        ]
        encoded = encoded.copy()
        encoded[:, rounded] = portable(encoded[:, rounded])
        return encoded

    @property
    def flags(self) -> NDArray[np.bool_]:
        """Shape (p,): which of the encoded columns are flags of gaps."""
        return np.array([meaning == "missing" for _, meaning in self.encoded_names_], dtype=bool)

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
        return self._layout.recipes

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
        return never_seen(self._layout, normal)

    def gaps_at(self) -> NDArray[np.intp]:
        """Places (g,) of the encoded columns that flag gaps among numbers or dates."""
        return self._numbers.flag_at

    def levels_at(self) -> list[tuple[int, slice, int]]:
        """Tell of each column of categories how many levels it has, and where these are written.

        In rows with what stands aside: one column a level, or a single one with the level's place.
        Behind that, where their rarity is. Columns are left out that an older version saved, see
        `Category`.
        """
        starts = self._layout.starts
        return [
            (len(category.levels), at, starts[i] + len(category.outputs()) - 1)
            for i, category, at in self._layout.told_apart()
        ]

    @property
    def levels_by_type(self) -> list[str]:
        """Name the columns that are levels for their type, whatever their cells look like."""
        return [r.column for r in self.recipes if isinstance(r, Category) and r.by_type]

    @property
    def identifiers(self) -> dict[str, str]:
        """Name the columns that are left out for they name the rows, and say why."""
        return {r.column: r.reason() for r in self.recipes if names_rows(r)}

    @property
    def rarer(self) -> float:
        """How much rarer a row's levels are if it does not count itself, in standard deviations.

        Summed over the columns that are written by their rarity alone.
        """
        told_apart = self._layout.told_apart()
        return sum(category.rarer() for _, category, _ in told_apart if category.aside())

    def without(self, rows: FloatArray, times: FloatArray) -> "Encoder":
        """Count levels as if some rows had not been there; all else stays.

        Parameters
        ----------
        rows
            Shape (n, p + q): those rows, encoded.
        times
            Shape (n,): how many rows of `fit` each stands for.
        """
        encoder = Encoder(owner=self._owner)
        recipes = recipes_without(self._layout, rows, times)
        encoder._settle(recipes, named=self.feature_names_in_ is not None)
        return encoder

    def rewritten(self, rows: FloatArray) -> FloatArray:
        """Write rows (n, p + q) as this encoder does, which another wrote that had other counts."""
        return rewritten(self._layout, rows)

    def unseen_shares(self, rows: RawRows) -> dict[str, float]:
        """Tell in what share of rows (n, d) a column holds what fit did not see, by column.

        Columns of categories, and those that were constant and stand aside.
        """
        frame = as_frame(self.aligned(rows))
        return {
            r.column: float(r.is_unseen(frame.iloc[:, i]).mean())
            for i, r in enumerate(self.recipes)
            if isinstance(r, Category | Constant)
        }

    def outside_shares(self, rows: RawRows) -> dict[str, float]:
        """Tell in what share of rows (n, d) a number is outside of all that fit saw, by column.

        Years go on by themselves, and are not among them.
        """
        frame = as_frame(self.aligned(rows))
        return {
            r.column: float(r.outside(frame.iloc[:, i]).mean())
            for i, r in enumerate(self.recipes)
            if isinstance(r, Number) and r.varies and not r.last_year
        }

    def missing_shares(self, rows: RawRows) -> dict[str, float]:
        """Tell in what share of rows (n, d) a column has no value, by column that is used."""
        frame = as_frame(self.aligned(rows))
        shares = {}
        for i, r in enumerate(self.recipes):
            column = frame.iloc[:, i]
            if isinstance(r, Number):
                shares[r.column] = float(np.isnan(r.read(column)).mean())
            elif isinstance(r, Category | Constant):
                shares[r.column] = float(r.is_missing(column).mean())
        return shares

    def report(self) -> list[ColumnNote]:
        """Say what became of each source column, in their order."""
        return [
            ColumnNote(r.column, r.kind, bool(r.outputs()), r.reason(), r.cause)
            for r in self.recipes
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Give all that was learned, as a part for JSON and a part of arrays.

        Returns
        -------
        tuple
            The settings, and {"numbers": (q, 7) float64}, one row a column of numbers.
        """
        columns, numbers = state_of_recipes(self.recipes)
        named = self.feature_names_in_ is not None
        return {"named": named, "columns": columns}, {"numbers": numbers}

    @classmethod
    def from_state(
        cls, settings: dict[str, Any], arrays: dict[str, NDArray[Any]], *, owner: str = "Encoder"
    ) -> "Encoder":
        """Restore an encoder from the two parts that `state` gave; it encodes exactly alike."""
        encoder = cls(owner=owner)
        recipes = recipes_from_state(settings["columns"], arrays["numbers"])
        encoder._settle(recipes, named=settings["named"])
        return encoder

    def _settle(self, recipes: list[Recipe], *, named: bool) -> None:
        layout = Layout.of(recipes)
        names = np.array([r.column for r in recipes], dtype=object)
        self._layout = layout
        self.n_features_in_ = len(recipes)
        self.feature_names_in_ = names if named else None
        self.kinds_ = {r.column: r.kind for r in recipes}
        self.encoded_names_ = layout.encoded_names
        self.aside_names_ = layout.aside_names
        self._numbers = NumberBlock.of(layout)
        self._special = [(i, r) for i, r in enumerate(recipes) if isinstance(r, Date | Category)]

    def aligned(self, rows: RawRows) -> RawRows:
        """Give the fitted columns (n, d) in the fitted order; errors as of `transform`."""
        labels = [r.column for r in self.recipes]
        named = self.feature_names_in_ is not None
        if isinstance(rows, pd.DataFrame) and found_by_name(rows.columns, labels, named=named):
            left_out = {
                r.column: r.value if isinstance(r, Constant) else np.nan
                for r in self.recipes
                if isinstance(r, LeftOut)
            }
            rows = by_name(rows, labels, left_out)
        if rows.shape[1] != self.n_features_in_:
            raise DataError(
                f"X has {rows.shape[1]} features, but {self._owner} is expecting "
                f"{self.n_features_in_} features as input"
            )
        if self._special and not isinstance(rows, pd.DataFrame):
            dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
            rows = pd.DataFrame(dense, columns=labels)
        return rows
