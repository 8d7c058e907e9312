"""What became of one source column."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColumnNote:
    """What became of one source column, and what a user should know of it (often nothing).

    Parameters
    ----------
    column, kind
        Its name, and what it holds, see
        `oddshot.mapping.encoding.encoder`.
    used
        Whether scores depend on it.
    reason
        Why it is used in this way, or not at all, in words for the user.
    cause
        The same for programs: "constant", "identifier", "free text", ... of a column that is left
        out; "groups" of one that seems to name what rows belong to; "code" of numbers one of which
        may stand for gaps, as -999, and of dates one of which does, as 9999-12-31, "time" of
        numbers that may be times and are not named so; "words" of numbers or dates among which
        texts were taken for gaps, "unit" of those with one, "points" of those with points between
        thousands, "marks" of those with H, L or stars beside them, "bounds" of those among which
        some are limits, as <0.5, "angle" of directions that fill a turn; "digits" of levels that
        may be numbers, "mixed" of texts most of which are numbers or dates, "words" also of levels
        one of which is a word for a gap.
    """

    column: str
    kind: str
    used: bool
    reason: str
    cause: str = ""
