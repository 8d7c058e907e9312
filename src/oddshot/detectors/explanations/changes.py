"""The smallest change of one or two columns after which an odd row is normal."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from oddshot.detectors.explanations.nearness import Nearness
from oddshot.detectors.explanations.shapley import Score
from oddshot.episodes import FloatArray

COLUMNS = 3  # of the largest contributions, tried alone and in pairs
VALUES = 24  # tried in a column
ROWS = 32  # typical rows whose values in two columns are tried together


@dataclass(frozen=True, slots=True)
class Changed:
    """A changed row (p,), what was changed, and what came of it.

    Parameters
    ----------
    row
        Shape (p,).
    groups
        The groups of columns that were changed.
    source
        Shape (p,): the typical row whose values they got.
    score
        The changed row's.
    """

    row: FloatArray
    groups: tuple[int, ...]
    source: FloatArray
    score: float


def smallest_changes(
    score: Score,
    rows: FloatArray,
    contributions: FloatArray,
    nearness: Nearness,
    *,
    threshold: float,
) -> list[Changed | None]:
    """Search the values of typical rows for the smallest change that makes each row normal.

    One column: of the three that contribute most, each gets up to 24 of the values that typical
    rows have there, evenly spaced by their distance from the row's own. Two columns, where one does
    not do: each pair of the three gets the values of the 32 nearest typical rows together. The
    smallest change is that of the least distance, in spreads of the typical rows.

    Cost: at most 168 evaluations a row, in two calls for all.

    Parameters
    ----------
    score
        Encoded rows (m, p), and the places (m,) of the rows that were changed, to scores (m,).
    rows
        Shape (n, p): anomalies.
    contributions
        Shape (n, g); groups without any are left alone.
    nearness
        Typical rows, and what each source column's encoded columns are.
    threshold
        A row is normal once its score is no higher.

    Returns
    -------
    list
        ``None`` for a row that nothing that was tried makes normal.
    """
    found: list[Changed | None] = [None] * len(rows)
    for size in (1, 2):
        left = [n for n, changed in enumerate(found) if changed is None]
        tries = [_tries(rows[n], contributions[n], nearness, size) for n in left]
        if not any(map(len, tries)):
            continue
        counts = [len(tried) for tried in tries]
        scores = score(np.concatenate([tried.rows for tried in tries]), np.repeat(left, counts))
        reached_by = np.split(scores, np.cumsum(counts)[:-1])
        for n, tried, reached in zip(left, tries, reached_by, strict=True):
            found[n] = tried.smallest(reached, threshold)
    return found


@dataclass(frozen=True, slots=True)
class _Tries:
    """Changed rows (c, p), the groups changed in each, by which rows, and how far they are (c,)."""

    rows: FloatArray
    groups: list[tuple[int, ...]]
    sources: FloatArray
    distances: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    def smallest(self, scores: FloatArray, threshold: float) -> Changed | None:
        """Of what is normal, the nearest to the row."""
        normal = np.flatnonzero(scores <= threshold)
        if not len(normal):
            return None
        best = normal[np.argmin(self.distances[normal])]
        return Changed(self.rows[best], self.groups[best], self.sources[best], float(scores[best]))


def _tries(row: FloatArray, contributions: FloatArray, nearness: Nearness, size: int) -> _Tries:
    """Put the values of typical rows into every ``size`` of the leading groups."""
    order = np.argsort(-contributions, kind="stable")[:COLUMNS]
    leading = [int(group) for group in order if contributions[group] > 0]
    apart = nearness.apart(row, nearness.typical)
    nearest = nearness.nearest(row, ROWS) if size > 1 else np.zeros(0, np.intp)
    rows, changed, distances = [np.empty((0, len(row)))], [], [np.empty(0)]
    sources = [np.empty((0, len(row)))]
    for which in combinations(leading, size):
        places = nearest if size > 1 else _spaced(apart[:, which[0]])
        tried = np.repeat(row[None], len(places), axis=0)
        for group in which:
            columns = nearness.groups[group]
            tried[:, columns] = nearness.typical[np.ix_(places, columns)]
        rows.append(tried)
        sources.append(nearness.typical[places])
        changed += [which] * len(places)
        distances.append(apart[places][:, which].sum(axis=1))
    return _Tries(np.concatenate(rows), changed, np.concatenate(sources), np.concatenate(distances))


def _spaced(distances: FloatArray) -> NDArray[np.intp]:
    """Places of up to 24 rows at different distances above 0, evenly spaced in their order."""
    _, places = np.unique(distances, return_index=True)
    places = places[distances[places] > 0]
    at = np.linspace(0, len(places) - 1, min(VALUES, len(places)))
    return places[at.round().astype(np.intp)]
