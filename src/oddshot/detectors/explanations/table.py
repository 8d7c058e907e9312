"""Explain the rows of a table: stand-ins, contributions, rows to compare with, a way to normal."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oddshot.detectors.explanations.alternatives import Change, CounterExample
from oddshot.detectors.explanations.changes import Changed, smallest_changes
from oddshot.detectors.explanations.explanation import Explanation, Explanations
from oddshot.detectors.explanations.nearness import Nearness
from oddshot.detectors.explanations.shapley import Attribution, Score, attribute
from oddshot.detectors.fitted.table import FittedTable
from oddshot.episodes import FloatArray
from oddshot.errors import SettingError, is_whole, require
from oddshot.frames import RawRows, as_frame
from oddshot.mapping.encoding.decode import decode
from oddshot.mapping.encoding.encoder import BLOCK_ROWS, Encoder
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.threading import cut

STAND_INS = 4
FixedColumns: TypeAlias = "Sequence[str | int] | pd.Index[Any] | pd.Series[Any] | NDArray[Any]"
SETTLED = 0.95  # of the threshold: what is closer may be an anomaly once all is fitted again


class TableExplainer:
    """Explains rows by scoring mixtures of them and of typical rows.

    Parameters
    ----------
    fitted
        The detector's table.
    scale
        Raw scores (m,) to anomaly scores (m,).
    threshold
        Anomaly scores above it are anomalies.
    """

    def __init__(
        self, fitted: FittedTable, scale: Callable[[FloatArray], FloatArray], threshold: float
    ) -> None:
        self._fitted, self._scale, self._threshold = fitted, scale, threshold
        self._support, encoder = fitted.support, fitted.encoder
        names = [column for column, _ in encoder.encoded_names_ + encoder.aside_names_]
        sources = np.array([names[at] for at in self._support.columns])
        used = [recipe.column for recipe in encoder.recipes if recipe.outputs()]
        # what was constant at fit comes last, and matters to rows that differ there alone
        self._columns = (*used, *(column for column in names if column not in used))
        self._used = len(used)
        self._known_scores = scale(fitted.known_scores)
        encoded = self._support.typical[:0]
        if fitted.kept is not None:
            encoded = fitted.arranged(fitted.kept.frame)
        self._kept = RowPlaces(encoded)
        self._nearness = Nearness(
            self._support.typical,
            scale(fitted.typical_scores),
            [np.flatnonzero(sources == column) for column in self._columns],
            aside=self._support.aside,
        )

    def explain(self, rows: RawRows, *, changes: bool, fixed: FixedColumns = ()) -> Explanations:
        """Explain rows (n, d).

        ``changes``: search what would make the anomalies normal, but for columns that are
        ``fixed``.
        """
        encoder, stay = self._fitted.encoder, self._named(fixed)
        arranged = self._fitted.arranged(rows)
        nearness = self._nearness
        nearest = np.stack([nearness.nearest(row, STAND_INS) for row in arranged])
        found = self._attributed(arranged, _copied(nearness.typical[nearest]))
        odd = np.flatnonzero((found.scores > self._threshold) & changes)
        changed = dict(zip(odd.tolist(), self._changes(arranged, found, odd, stay), strict=True))
        labels = rows.index.tolist() if isinstance(rows, pd.DataFrame) else range(len(arranged))
        cells = _cells(rows, self._columns, encoder)
        return Explanations(
            tuple(
                Explanation(
                    row=label,
                    score=float(found.scores[n]),
                    baseline=float(found.baselines[n]),
                    threshold=self._threshold,
                    columns=self._columns,
                    values=cells[n],
                    contributions=found.contributions[n],
                    typical=self._typical(arranged[n], int(nearest[n, 0])),
                    anomaly=self._anomaly(arranged[n]),
                    change=changed.get(n),
                )
                for n, label in enumerate(labels)
            )
        )

    def _attributed(self, rows: FloatArray, stand_ins: FloatArray) -> Attribution:
        """Contributions (n, g): a column that was constant plays where it differs somewhere.

        Mixtures of two rows break what goes together. So that counts only where without it a row
        would be no anomaly; what it adds elsewhere is shared out.
        """
        found = Attribution(
            *(np.zeros((len(rows), *more)) for more in ((), (), (len(self._columns),)))
        )
        both = [self._fitted.scored_both_ways(rows[at]) for at in cut(len(rows), BLOCK_ROWS)]
        scores, without = (self._scale(np.concatenate(raw)) for raw in zip(*both, strict=True))
        together = (scores > without) & (without <= self._threshold)
        games = np.column_stack([self._changed(rows, stand_ins), together])
        for game in np.unique(games, axis=0):
            alike = np.flatnonzero((games == game).all(axis=1))
            also = (self._used + np.flatnonzero(game[:-1])).tolist()
            players = [*range(self._used), *also]
            groups = [self._nearness.groups[group] for group in players]
            score = self._score_of(rows[alike], together=bool(game[-1]))
            own = (scores if game[-1] else without)[alike]
            part = attribute(score, rows[alike], stand_ins[alike], groups, scores=own)
            found.scores[alike], found.baselines[alike] = part.scores, part.baselines
            found.contributions[np.ix_(alike, players)] = part.contributions
        return found.raised_to(scores)

    def _changed(self, rows: FloatArray, stand_ins: FloatArray) -> NDArray[np.bool_]:
        """In which columns that were constant (n, c) rows (n, p + q) are unlike their stand-ins."""
        places = [int(group[0]) for group in self._nearness.groups[self._used :]]
        others = np.rint(stand_ins[:, :, places])
        return np.asarray((np.rint(rows[:, None, places]) != others).any(axis=1))

    def _score_of(self, rows: FloatArray, *, together: bool = True) -> Score:
        """Score mixtures and changes of rows (n, p + q), each as if it had been there instead.

        So what comes of a row that the detector has learned from has no near copy there.
        """

        def score(mixed: FloatArray, places: NDArray[np.intp]) -> FloatArray:
            raw = [
                self._fitted.scored_arranged(mixed[at], rows[places[at]], together=together)
                for at in cut(len(mixed), BLOCK_ROWS)
            ]
            return self._scale(np.concatenate(raw))

        return score

    def _typical(self, row: FloatArray, place: int) -> CounterExample:
        nearness = self._nearness
        return self._beside(row, nearness.typical[place], float(nearness.scores[place]))

    def _anomaly(self, row: FloatArray) -> CounterExample | None:
        """Return the nearest known anomaly that is another row."""
        known = self._support.known
        others = np.flatnonzero((known != row).any(axis=1))
        if not len(others):
            return None
        place = others[self._nearness.distances(row, known[others]).argmin()]
        return self._beside(row, known[place], float(self._known_scores[place]))

    def _beside(self, row: FloatArray, other: FloatArray, score: float) -> CounterExample:
        apart = self._nearness.apart(row, other[None])[0]
        order = np.argsort(-apart, kind="stable")
        differing = tuple(self._columns[group] for group in order if apart[group] > 0)
        return CounterExample(*self._as_given(other), score, differing)

    def _as_given(self, row: FloatArray) -> tuple[int | None, dict[str, Any]]:
        """Place among the rows given to `fit`, and cells by column, of a row (p + q,)."""
        kept, (at,) = self._fitted.kept, self._kept.of(row[None])
        if kept is None or at < 0:
            return None, self._decoded(row)
        (cells,) = _cells(kept.frame.iloc[[at]], self._columns, self._fitted.encoder)
        place = int(kept.places[at])
        return place if place >= 0 else None, dict(zip(self._columns, cells, strict=True))

    def _changes(
        self,
        rows: FloatArray,
        found: Attribution,
        odd: NDArray[np.intp],
        stay: Collection[str],
    ) -> list[Change | None]:
        """Search the smallest changes of the odd ones among rows (n, p + q)."""
        free = [column not in stay for column in self._columns]
        changed = smallest_changes(
            self._score_of(rows[odd]),
            rows[odd],
            found.contributions[odd] * free,
            self._nearness,
            threshold=SETTLED * self._threshold,
        )
        return [None if one is None else self._change(one) for one in changed]

    def _named(self, fixed: FixedColumns) -> set[str]:
        """Find the names of columns that are fixed, by name or place.

        A number that is a name is no place; nor is any where all names are numbers, as those of a
        part of the columns of a frame without names are.
        """
        names = list(self._fitted.encoder.kinds_)
        ways = "a list of columns, by name or place"
        listed = isinstance(fixed, list | tuple | pd.Index | pd.Series | np.ndarray)
        require(listed and getattr(fixed, "ndim", 1) == 1, "fixed", fixed, ways)
        numbered = all(map(str.isdecimal, names))
        found = set()
        for given in fixed:
            if (isinstance(given, str) or is_whole(given)) and str(given) in names:
                found.add(str(given))
            elif is_whole(given) and not numbered and 0 <= int(given) < len(names):
                found.add(names[int(given)])
            else:
                raise SettingError(
                    f"fixed names column {given!r}, which was not there at fit; name one of "
                    f"{', '.join(map(repr, names[:10]))}{', ...' if len(names) > 10 else ''}"
                )
        return found

    def _change(self, changed: Changed) -> Change:
        _, values = self._as_given(changed.source)
        columns = [self._columns[group] for group in changed.groups]
        return Change({column: values[column] for column in columns}, changed.score)

    def _decoded(self, arranged: FloatArray) -> dict[str, Any]:
        """Cells by column, as far as an encoded row (p + q,) can be read back."""
        decoded = decode(self._fitted.encoder, self._support.as_encoded(arranged[None]))
        return {column: decoded[column].iloc[0] for column in self._columns}


def _copied(rows: FloatArray) -> FloatArray:
    """Rows that are equal but for the last bit: the mapping does not take them for its own.

    Else a stand-in, and what comes of a row that is changed into it, would be seen without it, and
    one that is nearly it would not.
    """
    return np.nextafter(rows, np.inf)


def _cells(rows: RawRows, columns: tuple[str, ...], encoder: Encoder) -> list[tuple[Any, ...]]:
    """Give the cells of some columns as they were given, a tuple for each row.

    Where a constant one is not there, its value stands in.
    """
    frame, names = as_frame(encoder.aligned(rows)), list(encoder.kinds_)
    places = [names.index(name) for name in columns]
    return list(frame.iloc[:, places].itertuples(index=False, name=None))
