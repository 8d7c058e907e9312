"""Whether new rows still come from where a detector's context came from.

Two questions are kept apart. *Drift*: has the bulk of the rows moved? *More anomalies*: are there
more odd rows, beside a bulk that stayed? The oddest rows of context and window together, three in
ten of the smaller side, are set aside before the bulk is compared; set aside or not is decided
without a look at the side, so the permutations stay exact.

A detector has seen its context, and finds new rows a little odder. So half of the context is held
out: a second detector is fitted to the other half, and both the held-out rows and the window are
new to it. On all that they are compared by, they differ by chance alone if nothing has changed.
"""

from collections.abc import Callable
from dataclasses import replace
from math import comb
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from oddshot.detectors.drift.columns import (
    ColumnChange,
    Sides,
    compared_kinds,
    test_columns,
    test_unread,
)
from oddshot.detectors.drift.finding import Drift
from oddshot.detectors.drift.unread import Unread, strays
from oddshot.detectors.fitted.kept_rows import KeptRows
from oddshot.detectors.fitted.table import FittedTable
from oddshot.episodes import ANOMALY, FloatArray
from oddshot.errors import DataError, is_number, is_whole, require
from oddshot.mapping.coordinates.label_free import LABEL_FREE
from oddshot.mapping.encoding.left_out import Constant
from oddshot.mapping.encoding.number import Number
from oddshot.mapping.encoding.recipe import Recipe
from oddshot.mapping.row_places import RowPlaces
from oddshot.priors import Prior
from oddshot.thresholds.two_sample import (
    Divisions,
    differences,
    discriminants,
    family_p,
    least_effect,
    permutation_p,
    rows_needed,
    separation,
)

SET_ASIDE = 0.3  # of as many rows as the smaller side has
MOST_FITTED = 512
MOST_COMPARED = 1024  # a side; more rows would find smaller differences, and cost their square
MOST_PERMUTATIONS = 59_999  # all of them at once, of 2,048 rows, take some gigabytes
LEAST_ALPHA = 5e-5  # that so many can show
FEWEST_CONTEXT = 20
MEET = 0.05  # share of held-out rows up to which rows are said to be all different
FOLDS = 5


class DriftMonitor:
    """Compares windows with a context, as `FewShotDetector.check_drift` does, many in a row.

    What every window needs is made once.

    Parameters
    ----------
    kept
        The context, known anomalies included.
    recipes
        How the detector reads each column.
    prior
        The detector's own.
    share
        Share of the context above the detector's threshold.
    seed, threads
        The detector's own.
    block
        Rows that follow each other come in stretches of so many that resemble each other; whole
        stretches change sides. 1: rows are independent.
    flags
        The detector's verdict on rows: shape (n,) bool; ``None``: it is not told.

    Raises
    ------
    DataError
        If the context has fewer than 20 rows, or no column that can be compared.
    SettingError
        If ``block`` is below 1.
    """

    def __init__(
        self,
        kept: KeptRows,
        recipes: list[Recipe],
        prior: Prior,
        *,
        share: float,
        seed: int,
        threads: int,
        block: int = 1,
        flags: Callable[[Any], NDArray[np.bool_]] | None = None,
    ) -> None:
        require(is_whole(block) and block >= 1, "block", block, "a whole number from 1 on")
        self._recipes, self._prior, self._threads = recipes, prior, threads
        self._share, self._seed, self._block, self._flags = share, seed, block, flags
        frame = kept.named_frame
        self._kept, self._kinds = kept, compared_kinds(frame, recipes)
        self._readers = _readers(recipes, self._kinds)
        self._not_compared = tuple(str(name) for name in frame if name not in self._kinds)
        if not self._kinds:
            raise DataError("no column can be compared: dates, identifiers and texts are not")
        lens, held_out = _halves(kept, block, seed)
        known = np.flatnonzero(kept.labels == ANOMALY)
        frame = self._read(frame)
        self._elsewhere = frame.iloc[np.concatenate([lens, known])]
        self._lens = FittedTable.fit(
            prior,
            self._elsewhere,
            kept.labels[np.concatenate([lens, known])],
            seed=seed,
            threads=threads,
        )
        # what the lens was fitted on looks like no other row: it is left out on both sides, unless
        # rows are of so few kinds that new ones meet it often
        encoded = self._lens.arranged(frame.iloc[held_out])
        met = self._lens.holds_arranged(encoded)
        self._apart = bool(met.mean() <= MEET)
        if self._apart:
            held_out, encoded = held_out[~met], encoded[~met]
        self._held_out, self._context = held_out, frame.iloc[held_out]
        self._context_blocks = kept.succession[held_out] // block
        self._seen = self._look(encoded)
        self._others: dict[frozenset[str], DriftMonitor] = {}  # without columns that were lost

    def check(self, X: Any, *, alpha: float = 0.01, permutations: int = 999) -> Drift:
        """Compare new rows (n, d) with the context; see `FewShotDetector.check_drift`."""
        require(is_number(alpha) and 0 < alpha < 1, "alpha", alpha, "a share between 0 and 1")
        require(alpha >= LEAST_ALPHA, "alpha", alpha, f"{LEAST_ALPHA:g} or more")
        least = max(int(np.ceil(3 / alpha)) - 1, 1)  # of two tests, the lower p-value counts
        enough = is_whole(permutations) and least <= permutations <= MOST_PERMUTATIONS
        allowed = f"a whole number from {least:,} to {MOST_PERMUTATIONS:,} where alpha is {alpha:g}"
        require(enough, "permutations", permutations, allowed)
        window = self._kept.aligned(X)
        if not len(window):
            raise DataError("there is no new row to compare; give some")
        gone, unread = self._gone(window)
        if gone:
            names = frozenset(change.column for change in gone)
            if names not in self._others:
                self._others[names] = self._without(names)
            readable = window.drop(columns=[name for name in window if name in names])
            monitor, flags = self._others[names], None
        else:
            monitor, readable, flags = self, window, self._flags
        if unread:
            gaps = {name: readable[name].mask(found.cells) for name, found in unread.items()}
            readable = readable.assign(**gaps)
            X = self._kept.named_as_given(readable)
        flagged = None if flags is None else float(flags(X).mean())
        found = monitor._compared(readable, unread, alpha, permutations, flagged)
        columns = (*gone, *found.columns)
        return replace(found, columns=columns, not_compared=self._not_compared)

    def _compared(
        self,
        window: pd.DataFrame,
        unread: dict[str, Unread],
        alpha: float,
        permutations: int,
        flagged: float | None,
    ) -> Drift:
        new_columns = [
            ColumnChange(str(name), "new column", 1.0, 0.0, "not among those of the context")
            for name in window
            if name not in self._kept.named_frame
        ]
        places, seen = np.arange(len(window)), len(window)
        if len(places) > MOST_COMPARED:
            drawn = np.random.default_rng([self._seed, 3]).permutation(places)
            places = np.sort(drawn[:MOST_COMPARED])
        window = self._read(window.iloc[places])
        encoded = self._lens.arranged(window)
        if self._apart:
            new = ~self._lens.holds_arranged(encoded)
            if not new.any():
                raise DataError(
                    f"all {len(window)} new rows are rows given to fit, half of which are what the "
                    "others are seen by; give rows that came later"
                )
            window, encoded, places = window[new], encoded[new], places[new]
        pooled = self._pooled(window, encoded, places // self._block, permutations)
        sides = pooled.sides
        tests = [*test_columns(sides, self._kinds, self._elsewhere)]
        tests += [
            test_unread(
                name,
                f"{found.told}; such count as gaps",
                np.concatenate([self._strays(name), found.strays[places]]),
                sides,
            )
            for name, found in unread.items()
        ]
        told = discriminants(pooled.points, pooled.folds, sides.bulk_divisions)
        rows_p = permutation_p(separation(told, sides.bulk_divisions))
        columns_p, adjusted = family_p(
            np.array([test.p for test in tests]) if tests else np.ones((1, permutations + 1))
        )
        together, _ = family_p(np.array([rows_p, columns_p]))
        changes = [
            replace(test.change, p=max(float(p), min(1.0, test.whole * len(tests))))
            for test, p in zip(tests, adjusted, strict=False)
        ]
        changes.sort(key=lambda change: (change.p, -change.effect))
        moved = [change.effect for change in changes if change.p <= alpha and together[0] <= alpha]
        observed = Divisions.of(sides.new[sides.bulk, None])
        effect = max([float(differences(told[:, 0], observed)[0]), *moved])
        n, m = int(sides.new.sum()), int((~sides.new).sum())
        return Drift(
            rows=n,
            context_rows=m,
            seen=max(seen // self._block, 1),
            alpha=alpha,
            p=float(together[0]),
            p_rows=float(rows_p[0]),
            p_columns=float(columns_p[0]),
            least_p=max(1 / (permutations + 1), 1 / pooled.ways),
            effect=effect,
            least_effect=least_effect(n, m, alpha),
            rows_needed=rows_needed(effect, m, alpha),
            columns=(*changes, *new_columns),
            flagged=flagged,
            promised=self._share,
            p_more=self._more(pooled.scores, sides.divisions),
            not_compared=self._not_compared,
        )

    def _pooled(
        self,
        window: pd.DataFrame,
        encoded: FloatArray,
        blocks: NDArray[np.intp],
        permutations: int,
    ) -> "_Pooled":
        """Context and window as one table, and as points seen through the lens."""
        looks = zip(self._seen, self._look(encoded), strict=True)
        encoded, odd, scores = map(np.concatenate, looks)
        new = np.arange(len(encoded)) >= len(self._context)
        blocks = np.concatenate([self._context_blocks, blocks + self._context_blocks.max() + 1])
        divisions = Divisions.permuted(
            new, blocks, count=permutations, generator=np.random.default_rng([self._seed, 8])
        )
        aside = round(SET_ASIDE * min(new.sum(), (~new).sum()))
        generator = np.random.default_rng([self._seed, 4])
        bulk = np.ones(len(new), dtype=np.bool_)
        bulk[np.lexsort((generator.random(len(new)), -scores))[:aside]] = False
        numbers, codes = np.unique(blocks, return_inverse=True)
        folds = generator.permutation(len(numbers))[codes] % FOLDS
        if self._apart:  # rows that are on both sides would be told by their twins: the wrong way
            folds = folds[RowPlaces(encoded).of(encoded)]
        frame = pd.concat([self._context, window], ignore_index=True)
        return _Pooled(
            Sides(frame, divisions, bulk, divisions.among(bulk)),
            rankdata(np.hstack([encoded, odd])[bulk], axis=0),
            folds[bulk],
            scores,
            _ways(len(numbers), len(np.unique(blocks[new]))),
        )

    def _more(self, scores: FloatArray, divisions: Divisions) -> float:
        """Permutation p-value of the share of rows above the lens' own threshold."""
        above = scores > np.quantile(self._lens.typical_scores, 1 - self._share)
        excess = divisions.weights[above].sum(axis=0, dtype=np.float64)
        return float(permutation_p(excess.round(6))[0])

    def _look(self, encoded: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rows (n, p) as the lens sees them: as they are, label-free coordinates (n, C), scores."""
        coordinates, scores = self._lens.seen_arranged(encoded)
        return encoded, coordinates[:, : len(LABEL_FREE), 1].astype(np.float64), scores

    def _gone(self, window: pd.DataFrame) -> tuple[list[ColumnChange], dict[str, Unread]]:
        """Columns that are not there, or mostly cannot be read, and what cannot of the others."""
        gone, unread = [], {}
        for name in {**self._kinds, **self._readers}:
            if name not in window:
                told = "not among the new columns"
                gone.append(ColumnChange(name, "lost", 0.0, 1.0, told, lacking=True))
                continue
            reader = self._readers.get(name)
            found = None if reader is None else Unread.of(reader, window[name])
            if found is not None and found.mostly:
                gone.append(ColumnChange(name, "unreadable", 0.0, 1.0, found.told, lacking=True))
            elif found is not None:
                unread[name] = found
        return gone, unread

    def _read(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Take the columns that are compared, numbers and truth values as they are read."""
        numbers = {
            name: self._readers[name].read(rows[name])
            for name, kind in self._kinds.items()
            if kind != "category"
        }
        return rows[[*self._kinds]].assign(**numbers)

    def _strays(self, name: str) -> NDArray[np.bool_]:
        """Tell where the context's rows hold what is no number or date."""
        return strays(self._readers[name], self._kept.named_frame[name].iloc[self._held_out])

    def _without(self, names: frozenset[str]) -> "DriftMonitor":
        """Make a monitor of the other columns."""
        stay = [i for i, recipe in enumerate(self._recipes) if recipe.column not in names]
        if not {*self._kinds} - names:
            raise DataError(
                "no column of the context is left to compare: "
                f"{', '.join(map(repr, sorted(names)[:10]))} are lost or cannot be read"
            )
        kept = self._kept
        return DriftMonitor(
            replace(kept, frame=kept.named_frame.iloc[:, stay]),
            [self._recipes[i] for i in stay],
            self._prior,
            share=self._share,
            seed=self._seed,
            threads=self._threads,
            block=self._block,
        )


class _Pooled(NamedTuple):
    """Context and window; of the bulk (b,) ranks (b, q) of what is seen, and folds; of all scores.

    ``ways``: in how many ways that tell apart the rows can be divided.
    """

    sides: Sides
    points: FloatArray
    folds: NDArray[np.intp]
    scores: FloatArray
    ways: int


def _readers(recipes: list[Recipe], kinds: dict[str, str]) -> dict[str, Number]:
    """By column of numbers, truth values or dates: how its cells are read."""
    plain = Number("", "number", 0.0, 0.0, 0.0, 0.0, 0.0, missing=False, varies=False)
    readers = {}
    for recipe in recipes:
        if isinstance(recipe, Number):
            readers[recipe.column] = recipe
        elif kinds.get(recipe.column) == "number":  # it was constant
            notation = recipe.notation if isinstance(recipe, Constant) else plain.notation
            readers[recipe.column] = replace(plain, column=recipe.column, notation=notation)
    return readers


def _halves(kept: KeptRows, block: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to fit on and rows to hold out, at random, whole blocks each."""
    typical = np.flatnonzero((kept.labels != ANOMALY) & kept.stand_for_all)
    numbers, codes = np.unique(kept.succession[typical] // block, return_inverse=True)
    if len(typical) < FEWEST_CONTEXT or len(numbers) < 2:
        raise DataError(
            f"the context has {len(typical)} rows in {len(numbers)} blocks of {block}; "
            f"at least {FEWEST_CONTEXT} rows, in 2 blocks, are needed to see drift"
        )
    generator = np.random.default_rng([seed, 5])
    first = generator.permutation(len(numbers)) < len(numbers) // 2
    sides = []
    for side, most in ((first, MOST_FITTED), (~first, MOST_COMPARED)):
        rows = typical[side[codes]]
        sides.append(rows[np.sort(generator.permutation(len(rows))[:most])])
    return sides[0], sides[1]


def _ways(blocks: int, new: int) -> int:
    """In how many ways blocks can be divided, of which some are new.

    Where half of them are, two divisions that swap the sides differ alike: no statistic has a sign.

    >>> _ways(5, 2), _ways(6, 3)
    (10, 10)
    """
    ways = comb(blocks, new)
    return ways // 2 if 2 * new == blocks else ways
