"""A context brought up to date: new rows, a share of the old ones, and all labels."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.detectors.drift.unread import Unread, without_words
from oddshot.detectors.fitted.kept_rows import KeptRows, joined
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, FloatArray, LabelArray
from oddshot.errors import DataError, SettingError, is_number, require
from oddshot.mapping.cells.distinct import distinct_values
from oddshot.mapping.cells.reading import read_numbers
from oddshot.mapping.encoding.category import NEARLY_ALL
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.encoding.left_out import names_rows
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import Recipe
from oddshot.mapping.row_places import RowPlaces

SHOWN = 5
KINDS = {
    "number": "a number",
    "boolean": "true or false",
    "category": "a category",
    "date": "a date",
    "left out": "left out",
}


class ContextWarning(UserWarning):
    """A column of the old context, or of the new rows, is left out of a refreshed one, or retyped.

    It says which column, and why.
    """


def refreshed_context(
    kept: KeptRows,
    X: Any,
    labels: LabelArray,
    *,
    keep: float,
    factors: Mapping[str, float],
    seed: int,
) -> tuple[pd.DataFrame, LabelArray, int]:
    """Rows and labels for a new fit, and how many of them are old; see `FewShotDetector.refresh`.

    Parameters
    ----------
    kept
        The old context.
    X, labels
        New rows (n, d) and their labels (n,) of 1, 0, -1.
    keep, factors
        As for `FewShotDetector.refresh`.
    seed
        Chooses the old rows that stay.

    Raises
    ------
    DataError
        If old and new rows share no column.
    SettingError
        If ``keep`` is no share, or ``factors`` names no column of numbers.

    Warns
    -----
    ContextWarning
        If columns are left out.
    """
    require(is_number(keep) and 0 <= keep <= 1, "keep", keep, "a share from 0 to 1")
    new = kept.aligned(X)
    old = _rescaled(kept.named_frame, factors)
    levels = [name for name in kept.levels if name not in factors]
    always = stays_anyway(kept.labels)
    others = np.flatnonzero(~always & kept.stand_for_all)
    drawn = np.random.default_rng([seed, 7]).permutation(others)[: round(keep * len(others))]
    stay = np.sort(np.concatenate([np.flatnonzero(always), drawn]))
    if not len(stay):
        there = {name: "category" for name in levels if name in new}
        return kept.named_as_given(new.astype(there)), labels, 0
    columns = [name for name in old.columns if name in new.columns]
    if not columns:
        raise DataError(
            f"old and new rows share no column; the old ones have "
            f"{', '.join(map(repr, list(old.columns)[:10]))}"
        )
    _tell("lost", [name for name in old.columns if name not in columns])
    _tell("not known to the rows that stay", [n for n in new.columns if n not in columns])
    rows = kept.named_as_given(joined(old.iloc[stay][columns], new[columns], levels))
    labels = np.concatenate([kept.labels[stay], labels])
    still, labels = _each_once(_encoded(rows), labels, len(stay))
    if not still.all():
        rows = rows[still].reset_index(drop=True)
    return rows, labels[still], int(still[: len(stay)].sum())


def _encoded(rows: pd.DataFrame) -> FloatArray:
    """Encode rows (n, p + q) by what they teach themselves: equal ones are equal."""
    encoder = Encoder().fit(rows)
    return np.concatenate([*encoder.blocks(rows, aside=True)])


def _each_once(
    encoded: FloatArray, labels: LabelArray, old: int
) -> tuple[NDArray[np.bool_], LabelArray]:
    """Leave out old rows that are among the new ones; what is newly said of a row counts.

    Of equal rows as many old ones go as there are new ones, labelled ones first; then each new one
    takes the label of one of these, unless a new one has a label: then no older label counts. Of
    rows that are normal still, such as recur, those stay that outnumber the new ones.

    Parameters
    ----------
    encoded, labels
        Shapes (n, p + q) and (n,).
    old
        How many of the rows are old: they stand first.

    Returns
    -------
    tuple
        Which rows (n,) stay, and their labels.

    Examples
    --------
    >>> rows, labels = np.array([[1.0], [2], [3], [1], [2]]), np.array([1, 1, -1, 0, -1], np.int8)
    >>> stay, told = _each_once(rows, labels, 3)
    >>> stay, told[stay]
    (array([False, False,  True,  True,  True]), array([-1,  0,  1], dtype=int8))
    """
    of_row = pd.DataFrame({"kind": RowPlaces(encoded).of(encoded), "at": np.arange(len(labels))})
    before = of_row.iloc[np.argsort(labels[:old] == UNLABELLED, kind="stable")]
    sides = [side.assign(nth=side.groupby("kind").cumcount()) for side in (before, of_row[old:])]
    pairs = sides[0].merge(sides[1], on=["kind", "nth"])
    kinds = of_row["kind"].to_numpy()
    newly, newly_odd = np.zeros((2, len(labels)), dtype=np.bool_)
    newly[kinds[old:][labels[old:] != UNLABELLED]] = True
    newly_odd[kinds[old:][labels[old:] == ANOMALY]] = True
    stays, told = np.ones(len(labels), dtype=np.bool_), labels.copy()
    before_odd, before_normal = labels[:old] == ANOMALY, labels[:old] == NORMAL
    stays[:old] = ~(before_odd & newly[kinds[:old]] | before_normal & newly_odd[kinds[:old]])
    stays[pairs["at_x"]] = False
    heirs = pairs[~newly[pairs["kind"]]]
    told[heirs["at_y"]] = labels[heirs["at_x"]]
    return stays, told


def stays_anyway(labels: LabelArray) -> NDArray[np.bool_]:
    """Tell which rows (k,) of an old context, labelled so, stay whatever ``keep`` is.

    >>> stays_anyway(np.array([1, 0, -1], np.int8)), stays_anyway(np.array([1, 0, 0], np.int8))
    (array([ True,  True, False]), array([ True, False, False]))
    """
    clean = bool((labels[labels != ANOMALY] == NORMAL).all())
    return np.asarray(labels == ANOMALY if clean else labels != UNLABELLED)


def still_identifiers(old: Sequence[Recipe], rows: pd.DataFrame) -> dict[str, str]:
    """Name columns that were left out for they named the rows, and name new ones (n, d), too.

    Nearly all new cells differ there. Beside those of old rows, of which but a share stays, a
    running number would look like a quantity. Said is, too, why they were left out.
    """
    found = {}
    for recipe in old:
        if names_rows(recipe) and recipe.column in rows:
            codes, distinct = distinct_values(rows[recipe.column])
            if len(distinct) >= NEARLY_ALL * (codes >= 0).sum():
                found[recipe.column] = recipe.reason()
    return found


def warn_of_other_kinds(old: Sequence[Recipe], new: Sequence[Recipe], rows: pd.DataFrame) -> None:
    """Tell of columns that are of another kind in a refreshed context, left out, or mostly gaps.

    Parameters
    ----------
    old, new
        How columns were read, and how they are.
    rows
        Shape (n, d): the new rows, columns named by texts.

    Warns
    -----
    ContextWarning
        For each of up to five such columns: what it was and is, and why; then one for all others.
    """
    before = {recipe.column: recipe for recipe in old}
    told = [
        changed
        for now in new
        if now.column in before and (changed := _changed(before[now.column], now, rows))
    ]
    for words in told[:SHOWN]:
        warnings.warn(words, ContextWarning, stacklevel=3)
    if len(told) > SHOWN:
        words = f"{len(told) - SHOWN} more column(s) are of another kind, or hold mostly gaps now"
        warnings.warn(words, ContextWarning, stacklevel=3)


def _changed(was: Recipe, now: Recipe, rows: pd.DataFrame) -> str:
    """Say how a column is read otherwise than it was; empty where it is not."""
    name, column = repr(now.column), rows[now.column]
    if was.kind != now.kind:
        unread = Unread.of(was, column)
        why = [unread.told if unread else "", now.reason()]
        why += [f"it was left out as {was.reason()}"] if was.kind == "left out" else []
        told = "; ".join(filter(None, why)) or "so all rows together look"
        return f"column {name} was {KINDS[was.kind]} and is {KINDS[now.kind]} now: {told}"
    if isinstance(was, Number) and isinstance(now, Number):
        held = was.notation.holds
        if held not in ("", now.notation.holds):
            unread = Unread.of(was, column)
            return f"column {name} held {held}: {unread.told}" if unread else ""
    unread = Unread.of(without_words(now), column) if isinstance(now, Number) else None
    return f"column {name}: {unread.told}; such count as gaps" if unread and unread.mostly else ""


def _rescaled(frame: pd.DataFrame, factors: Mapping[str, float]) -> pd.DataFrame:
    """Multiply columns of numbers."""
    changed = {}
    for name, factor in factors.items():
        if name not in frame:
            raise SettingError(
                f"factors names the column {name!r}; the detector knows "
                f"{', '.join(map(repr, list(frame.columns)[:10]))}"
            )
        positive = is_number(factor) and 0 < factor < np.inf
        require(positive, f"factors[{name!r}]", factor, "a positive number")
        try:
            changed[name] = factor * read_numbers(frame[name])
        except DataError as error:
            raise SettingError(
                f"factors names {name!r}, which is no column of numbers: {error}"
            ) from error
    return frame.assign(**changed)


def _tell(what: str, names: list[str]) -> None:
    if names:
        shown = ", ".join(map(repr, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")
        warnings.warn(
            f"{len(names)} column(s) left out, {what}: {shown}", ContextWarning, stacklevel=4
        )
