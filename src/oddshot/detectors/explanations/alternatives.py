"""Rows beside an explained one: others that the detector knows, and itself with changes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CounterExample:
    """A row that the detector knows, beside the explained one.

    Parameters
    ----------
    place
        Where it stood among the rows given to `fit`, from 0, as ``X.iloc`` counts; ``None`` where
        it was not kept, or came with a label later.
    values
        By column, as they were given; of a row that was not kept, as far as they can be read back
        (see `oddshot.mapping.encoding.decode.decode`).
    score
        Its anomaly score.
    differing
        Columns in which the two rows differ, most of all first, measured in spreads of the typical
        rows.
    """

    place: int | None
    values: dict[str, Any]
    score: float
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one or two columns after which a row is no longer an anomaly.

    Parameters
    ----------
    values
        By column, what to put there: cells of a typical row, as they were given; of one that was
        not kept, as far as they can be read back.
    score
        Anomaly score of the changed row, at most 0.95 of the threshold. Of a row that was given to
        `fit`: as if it had stood there in place of the row.
    """

    values: dict[str, Any]
    score: float
