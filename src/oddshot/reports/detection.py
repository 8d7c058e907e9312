"""What a detection found, as one value: the user's table with scores, and what to say about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, FloatArray, LabelArray
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.wording import counted, share_of

NEW_COLUMNS = ("anomaly_score", "anomaly", "anomaly_rank")
P_VALUE, REASONS = "anomaly_p", "anomaly_reasons"  # columns before these, where they were asked for

KNOWN, CLEAR, LIKELY, POSSIBLE = "known", "clear", "likely", "worth a look"
MOST_TOLD = 5  # columns left out, and columns with a note
CLEAR_TO, LIKELY_TO = 0.1, 0.5  # ordinary rows that are expected to score as high


@dataclass(frozen=True, slots=True)
class Detection:
    """A scored table.

    Parameters
    ----------
    source
        What was scored, as the user calls it.
    rows
        The user's rows and columns in their order, and three more columns at the end.
    score, verdict, rank
        The names of these: anomaly score (higher is odder), whether the row is labelled as an
        anomaly, or not as normal and above the threshold, and the place by score (1 is the oddest).
    threshold
        Scores above it are called anomalies.
    columns
        What became of each column; none where the rows are images.
    labels
        Shape (n,) of 1, 0, -1, as the detector was fitted; ``None`` where it was fitted before.
    notes
        What else a reader should be told.
    own
        How many of the columns, the first ones, are the user's.
    label_column
        Which of these the labels came from, if any did.
    options
        What else `oddshot` was given and needs again to learn from the same: words of a command.
    """

    source: str
    rows: pd.DataFrame
    score: str
    verdict: str
    rank: str
    threshold: float
    columns: Sequence[ColumnNote]
    labels: LabelArray | None = None
    notes: tuple[str, ...] = ()
    own: int = 0
    label_column: str | None = None
    options: tuple[str, ...] = ()

    @property
    def flagged(self) -> int:
        """Number of rows that count as anomalies."""
        return int(self.rows[self.verdict].sum())

    @property
    def scores(self) -> FloatArray:
        """Shape (n,): anomaly scores."""
        return self.rows[self.score].to_numpy(dtype=np.float64)

    @property
    def order(self) -> NDArray[np.intp]:
        """Shape (n,): places of the rows, the oddest first."""
        return np.argsort(self.rows[self.rank].to_numpy(), kind="stable")

    @property
    def unlabelled(self) -> NDArray[np.bool_]:
        """Shape (n,): rows that nothing was said of."""
        if self.labels is None:
            return np.ones(len(self.rows), dtype=np.bool_)
        return np.asarray(self.labels == UNLABELLED)

    def sureness(self) -> NDArray[np.str_]:
        """Say how sure each verdict is (n,); empty for rows that do not count as anomalies.

        "known": it was labelled as an anomaly, which its score rests on. Else, with
        ``e = n * 10**-score``, how many of n ordinary rows would score as high: "clear" up to 0.1,
        "likely" up to 0.5, "worth a look" beyond, as the oddest of the rows that were learned from
        always has an e of about 1.

        Examples
        --------
        >>> rows = pd.DataFrame({"x": range(100)})
        >>> found = scored(rows, np.r_[3.5, 2.5, 1.5, np.zeros(97)], 1, source="a", columns=())
        >>> found.sureness()[:4].tolist()
        ['clear', 'likely', 'worth a look', '']
        """
        expected = len(self.rows) * 10.0**-self.scores
        known = np.zeros(len(expected), bool) if self.labels is None else self.labels == ANOMALY
        kinds = [KNOWN, CLEAR, LIKELY]
        sure = np.select([known, expected <= CLEAR_TO, expected <= LIKELY_TO], kinds, POSSIBLE)
        return np.asarray(np.where(self.rows[self.verdict].to_numpy(dtype=bool), sure, ""))

    @property
    def things(self) -> str:
        """What a reader would call the rows."""
        return "rows" if self.columns else "images"

    def with_column(
        self, name: str, values: Sequence[str] | FloatArray | NDArray[np.int64], what: str
    ) -> "Detection":
        """Put one more new column before the scores, and note what it holds."""
        free = free_name(name, self.rows)
        table = self.rows.copy()
        table.insert(table.shape[1] - len(NEW_COLUMNS), free, values)
        return replace(self, rows=table, notes=(*self.notes, f"Column '{free}': {what}."))

    def top(self, number: int) -> pd.DataFrame:
        """Return the oddest rows, oddest first, the three new columns in front."""
        new = [self.rank, self.score, self.verdict]
        old = list(range(self.rows.shape[1] - len(new)))  # with p-values and reasons
        picked = self.rows.iloc[self.order[:number]]
        return pd.concat([picked[new], picked.iloc[:, old]], axis=1)

    def told(self) -> list[str]:
        """Say in plain sentences what was done and found."""
        used = [note for note in self.columns if note.used]
        of = f"; {len(used)} of {len(self.columns)} columns used" if self.columns else ""
        lines = [f"{self.source}: {counted(len(self.rows), self.things)}{of}."]
        left_out = [
            f"Left out: column '{note.column}' ({note.reason})."
            for note in self.columns
            if not note.used
        ]
        causes = {"time", "words", "unit", "points", "marks", "bounds", "digits", "mixed"}
        if self.labels is not None:
            causes |= {"code", "groups", "angle"}  # which are of the rows given to fit
        noted = [
            f"Column '{note.column}': {note.reason}."
            for note in self.columns
            if note.cause in causes
        ]
        lines += [*_first(left_out, "more columns left out"), *_first(noted, "more such columns")]
        if self.labels is not None:
            anomalies = int((self.labels == ANOMALY).sum())
            normal = int((self.labels == NORMAL).sum())
            if anomalies or normal:
                unknown = len(self.labels) - anomalies - normal
                lines.append(
                    f"Labels: {counted(anomalies, 'known anomalies')}, "
                    f"{counted(normal, f'known normal {self.things}')}, "
                    f"{counted(unknown, self.things)} without a label."
                )
            else:
                option = "--label-column" if self.columns else "--labels"
                lines.append(f"Labels: none. A few labelled anomalies would help ({option}).")
        above = int((self.scores > self.threshold).sum())
        told = f"{counted(above, self.things)} score{'s' * (above == 1)}"
        share = above / max(len(self.rows), 1)
        lines.append(f"Threshold {self.threshold:.4g}: {told} above it ({share_of(share)}).")
        return lines + list(self.notes)


def scored(
    rows: pd.DataFrame,
    scores: FloatArray,
    threshold: float,
    *,
    source: str,
    columns: Sequence[ColumnNote],
    labels: LabelArray | None = None,
    notes: Sequence[str] = (),
    label_column: str | None = None,
) -> Detection:
    """Put scores beside the rows they belong to.

    A column of the user's is never replaced: where it has the name of a new one, the new one gets
    another name, and a note says so.

    Parameters
    ----------
    rows
        Shape (n, d): the user's table.
    scores
        Shape (n,), higher is odder.
    threshold, source, columns, labels, notes, label_column
        As for `Detection`.

    Examples
    --------
    >>> rows = pd.DataFrame({"anomaly": ["no", "no"], "x": [1, 9]})
    >>> found = scored(rows, np.array([0.1, 3.0]), 1.0, source="two", columns=())
    >>> found.rows
      anomaly  x  anomaly_score  anomaly_2  anomaly_rank
    0      no  1            0.1      False             2
    1      no  9            3.0       True             1
    >>> found.notes
    ("The file has a column 'anomaly' already; the new one is called 'anomaly_2'.",)
    """
    found = scored_beside(
        [str(name) for name in rows.columns],
        scores,
        threshold,
        source=source,
        columns=columns,
        labels=labels,
        notes=notes,
    )
    return replace(
        found,
        rows=pd.concat([rows, found.rows.set_axis(rows.index)], axis=1),
        own=rows.shape[1],
        label_column=label_column,
    )


def scored_beside(
    names: Sequence[str],
    scores: FloatArray,
    threshold: float,
    *,
    source: str,
    columns: Sequence[ColumnNote],
    labels: LabelArray | None = None,
    notes: Sequence[str] = (),
) -> Detection:
    """As `scored`, for a table too long for memory: the new columns alone.

    Parameters
    ----------
    names
        The columns that the table has.
    scores, threshold, source, columns, labels, notes
        As for `scored`.
    """
    free: dict[str, str] = {}
    said = list(notes)
    for wanted in NEW_COLUMNS:
        name = free_name(wanted, names)
        if name != wanted:
            said.append(
                f"The file has a column '{wanted}' already; the new one is called '{name}'."
            )
        free[wanted] = name
    score, verdict, rank = free.values()
    ranks = rankdata(-scores, method="ordinal").astype(np.int64)
    above = scores > threshold
    normal = np.zeros(len(scores), dtype=np.bool_) if labels is None else labels == NORMAL
    if cleared := int((above & normal).sum()):
        said.append(
            f"Labelled normal, though above the threshold, and called no anomaly: {cleared:,}."
        )
    known = np.zeros(len(scores), dtype=np.bool_) if labels is None else labels == ANOMALY
    if missed := int((known & ~above).sum()):
        said.append(
            f"Labelled as anomalies, though not above the threshold, and called such: {missed:,}."
        )
    return Detection(
        source=source,
        rows=pd.DataFrame({score: scores, verdict: (above & ~normal) | known, rank: ranks}),
        score=score,
        verdict=verdict,
        rank=rank,
        threshold=threshold,
        columns=columns,
        labels=labels,
        notes=tuple(said),
    )


def _first(lines: list[str], things: str) -> list[str]:
    """Tell some lines about columns, and how many more there are."""
    more = len(lines) - MOST_TOLD
    if more <= 1:
        return lines
    where = "detect --report, or column_report_ in Python, tells of them"
    return [*lines[:MOST_TOLD], f"And {counted(more, things)}; {where}."]


def free_name(wanted: str, names: Iterable[object]) -> str:
    """Name a new column so that it has none of the names there are.

    >>> free_name("label", ["label", "label_2"])
    'label_3'
    """
    taken = {str(name) for name in names}
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name
