"""Episodes as row numbers, many at once, from a pool of rows that belong to classes.

Episode *i* depends on the seed and *i* alone: each takes the same number of random numbers from a
counter-based generator (Philox, Salmon et al. 2011), which starts anywhere at no cost. Processes
that ask for different numbers share one stream without repeating it, and a resumed run goes on
with the numbers it has not had.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from oddshot.data.splits import IndexArray
from oddshot.episodes import ANOMALY, NORMAL
from oddshot.errors import DataError, SettingError, first_line, is_whole, require


@dataclass(frozen=True, slots=True)
class EpisodeRows:
    """B episodes of the same size, as row numbers of the pool; no row occurs twice in an episode.

    Parameters
    ----------
    support, query
        Shapes (B, S) and (B, Q): row numbers.
    support_labels, query_labels
        Shapes (B, S) and (B, Q): what each row is within its episode.
    classes
        Shape (B, ways): positions in ``ClassPool.classes`` of the classes that were drawn.
    """

    support: IndexArray
    support_labels: IndexArray
    query: IndexArray
    query_labels: IndexArray
    classes: IndexArray

    def __len__(self) -> int:
        return len(self.support)


class ClassPool:
    """Rows with a class each, to draw episodes from.

    Parameters
    ----------
    labels
        Shape (n,): the class of each row, numbers or strings.

    Attributes
    ----------
    classes
        Shape (C,): the different labels, sorted.

    Raises
    ------
    DataError
        If ``labels`` is not one-dimensional, a row has none (None or NaN), or they are of kinds
        that cannot be compared.

    Examples
    --------
    >>> pool = ClassPool(["a", "a", "a", "b", "b", "b", "c", "c", "c"])
    >>> episodes = pool.few_shot(4, seed=0, ways=2, shots=1, queries=2)
    >>> episodes.support.shape, episodes.query.shape, episodes.query_labels[0].tolist()
    ((4, 2), (4, 4), [0, 0, 1, 1])
    >>> later = pool.few_shot(1, seed=0, first=3, ways=2, shots=1, queries=2)
    >>> bool((later.query == episodes.query[3:]).all())
    True
    """

    def __init__(self, labels: ArrayLike) -> None:
        given = np.asarray(labels)
        if given.ndim != 1:
            raise DataError(f"class labels have shape {given.shape}; give one label a row")
        if (gaps := pd.isna(given)).any():
            row = int(np.flatnonzero(gaps)[0])
            raise DataError(f"row {row} has no class ({given[row]}); name one, or leave it out")
        try:
            self.classes, classes, self._counts = np.unique(
                given, return_inverse=True, return_counts=True
            )
        except TypeError as error:
            raise DataError(
                f"class labels cannot be sorted ({first_line(error)}); give numbers, or strings"
            ) from error
        self._starts = np.cumsum(self._counts) - self._counts
        self._rows: IndexArray = np.argsort(classes, kind="stable")  # class by class

    def few_shot(
        self,
        episodes: int,
        *,
        seed: int,
        first: int = 0,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
    ) -> EpisodeRows:
        """Draw classification episodes: some classes, some rows of each.

        Every choice of classes, and within a class every choice of rows, is equally likely. Labels
        are 0..ways-1 in the order of ``EpisodeRows.classes``; with two ways they can be read as one
        normal and one anomalous class, both shown in the support.

        Parameters
        ----------
        episodes, seed, first
            Draw episodes ``first``, ``first + 1``, ... of the seed's stream, so many of them.
        ways
            Classes of an episode.
        shots, queries
            Support and query rows of each class.

        Returns
        -------
        EpisodeRows
            S = ways * shots, Q = ways * queries, class by class.

        Raises
        ------
        SettingError
            If there are fewer classes than ``ways``, or an argument is not whole or too small.
        DataError
            If a class has fewer than ``shots + queries`` rows.
        """
        _check(episodes, seed, first, ways=ways, shots=shots, queries=queries)
        if ways > len(self.classes):
            raise SettingError(
                f"ways is {ways}, but the pool has {len(self.classes)} classes; ask for fewer"
            )
        self._check_rows(shots, queries)
        each = shots + queries
        uniforms = _uniforms(seed, first, episodes, ways * (1 + each))
        classes = _distinct(uniforms[:, :ways], np.full(episodes, len(self.classes)))
        drawn = classes.ravel()
        places = _distinct(uniforms[:, ways:].reshape(-1, each), self._counts[drawn])
        rows = self._rows[self._starts[drawn, None] + places].reshape(episodes, ways, each)
        return EpisodeRows(
            support=rows[:, :, :shots].reshape(episodes, -1),
            support_labels=_repeat(np.repeat(np.arange(ways), shots), episodes),
            query=rows[:, :, shots:].reshape(episodes, -1),
            query_labels=_repeat(np.repeat(np.arange(ways), queries), episodes),
            classes=classes,
        )

    def one_class(
        self, episodes: int, *, seed: int, first: int = 0, shots: int = 10, queries: int = 10
    ) -> EpisodeRows:
        """Draw detection episodes whose support is normal and whose query is half anomalous.

        One class, every one equally likely, is normal (label 0); the anomalies (label 1) are rows
        of all other classes, every row equally likely. A support of one class beside a balanced
        query is how OC-MAML meta-trains (Frikha et al. 2021).

        Parameters
        ----------
        episodes, seed, first
            Draw episodes ``first``, ``first + 1``, ... of the seed's stream, so many of them.
        shots
            Support rows, all normal.
        queries
            Query rows of either kind: so many normal ones, then as many anomalies.

        Returns
        -------
        EpisodeRows
            S = shots, Q = 2 * queries; ``classes`` (B, 1) holds the normal class.

        Raises
        ------
        SettingError
            If an argument is not whole or too small.
        DataError
            If there is one class only, a class has fewer than ``shots + queries`` rows, or all
            other classes together have fewer than ``queries``.
        """
        _check(episodes, seed, first, shots=shots, queries=queries)
        total, most = len(self._rows), max(self._counts, default=0)
        if total - most < max(1, queries):
            raise DataError(
                f"beside the largest class the pool has {total - most} rows, but an episode takes "
                f"{queries} anomalies of other classes; give more classes or ask for fewer"
            )
        self._check_rows(shots, queries)
        each = shots + queries
        uniforms = _uniforms(seed, first, episodes, 1 + each + queries)
        classes = _distinct(uniforms[:, :1], np.full(episodes, len(self.classes)))
        starts, counts = self._starts[classes], self._counts[classes]
        normal = starts + _distinct(uniforms[:, 1 : 1 + each], counts[:, 0])
        others = _distinct(uniforms[:, 1 + each :], total - counts[:, 0])
        odd = others + np.where(others < starts, 0, counts)  # step over the normal class
        return EpisodeRows(
            support=self._rows[normal[:, :shots]],
            support_labels=np.full((episodes, shots), NORMAL, np.int64),
            query=self._rows[np.concatenate([normal[:, shots:], odd], axis=1)],
            query_labels=_repeat(np.repeat([NORMAL, ANOMALY], queries), episodes),
            classes=classes,
        )

    def _check_rows(self, shots: int, queries: int) -> None:
        smallest = int(np.argmin(self._counts))
        if self._counts[smallest] < shots + queries:
            raise DataError(
                f"class {self.classes[smallest].item()!r} has {self._counts[smallest]} rows, but "
                f"an episode takes {shots} + {queries} (shots + queries) of a class; "
                "ask for fewer or leave the class out"
            )


def _uniforms(seed: int, first: int, episodes: int, each: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), shape (episodes, each), of which row i is number ``first + i``'s own."""
    blocks = -(-each // 4)  # every value of Philox's counter gives four numbers
    stream = np.random.Philox(seed).advance(first * blocks)
    return np.random.Generator(stream).random((episodes, 4 * blocks))[:, :each]


def _distinct(uniforms: NDArray[np.float64], sizes: IndexArray) -> IndexArray:
    """Turn uniforms (m, k) into k different numbers below each of the sizes (m,).

    The first k steps of a Fisher-Yates shuffle: step j swaps place j with a place drawn from
    j..size-1. No step reads a place that another one wrote, unless two drew the same; so where all
    draws differ, they are the result, and nothing as long as a class has to be permuted.
    """
    steps = np.arange(uniforms.shape[1])
    drawn = steps + (uniforms * (sizes[:, None] - steps)).astype(np.int64)
    ordered = np.sort(drawn, axis=1)
    clash = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    drawn[clash] = _play_out(drawn[clash])
    return drawn


def _play_out(drawn: IndexArray) -> IndexArray:
    """Make the swaps of `_distinct` one after the other, for draws (m, k), on what they touch."""
    shuffles, steps = drawn.shape
    # Places 0..k-1 hold themselves; behind them come the drawn ones, equal draws at one place.
    values = np.concatenate([_repeat(np.arange(steps), shuffles), drawn], axis=1)
    same = (drawn[:, :, None] == drawn[:, None, :]).argmax(axis=2)
    places = np.where(drawn < steps, drawn, steps + same)
    each = np.arange(shuffles)
    for step in range(steps):
        there = places[:, step]
        taken = values[each, there]
        values[each, there] = values[:, step]
        values[:, step] = taken
    return values[:, :steps]


def _repeat(values: IndexArray, times: int) -> IndexArray:
    return np.tile(values, (times, 1))


def _check(episodes: int, seed: int, first: int, **sizes: int) -> None:
    for name, value in {"episodes": episodes, **sizes}.items():
        require(is_whole(value) and value >= 1, name, value, "a whole number, 1 or more")
    for name, value in {"seed": seed, "first": first}.items():
        require(is_whole(value) and value >= 0, name, value, "a whole number, 0 or more")
