"""What a detector's verdicts rest on: scored calibration rows, and the rule of its threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import Float32Array, FloatArray
from oddshot.thresholds.conformal import calibration_rows_needed, least_p_value
from oddshot.wording import counted, share_of

IndexArray = NDArray[np.intp]

MOST_NAMED = 3  # columns that one doubt names
MANY_FIRST_GAPS = 0.01  # share of new rows with a gap in a column that had none
ENOUGH_OWN, ENOUGH_A_COLUMN = 50, 15  # rows given to fit; below, new ones score plainly higher
OWN, GIVEN, SPLIT, CROSS = "own", "given", "split", "cross"
HOW = {
    OWN: "rows given to fit, each compared with all but itself: approximate",
    GIVEN: "rows that the detector has not learned from",
    SPLIT: "rows given to fit, held out in one part",
    CROSS: "rows given to fit, held out part by part",
}


@dataclass(frozen=True, slots=True, repr=False)
class Calibration:
    """Scores of calibration rows.

    Parameters
    ----------
    method
        "own": rows given to `fit`, each scored without itself; "given": rows given to `calibrate`;
        "split" and "cross": rows given to `fit`, in one part or in several, each scored by a
        detector made without its part.
    scores
        Scores (m_k,) by part, in decades of the detector that gave them.
    clean
        Whether all of these rows are known to be normal. Anomalies among them make p-values larger
        than need be.
    parts
        Which of the rows that the detector keeps are held out, by part, each as often as it counts
        (see `expected_again`); empty for "own", "given".
    numbers
        Shape (m, p): given rows in numbers, to weight them for a shift; ``None`` where the detector
        has them itself.
    doubt
        Why new rows may score higher than these; empty where nothing speaks for that.
    weights
        Shape (m,), part by part: what each row counts where rows come in groups, which count 1
        each (see `group_weights`); ``None``: rows count alike.
    left_out
        How many rows do not calibrate that came with these: known anomalies, and unlabelled ones
        beside many known normal ones.
    new_groups
        Columns that seem to name what rows belong to, and hold what these rows cannot stand for.
    """

    method: str
    scores: tuple[FloatArray, ...]
    clean: bool
    parts: tuple[IndexArray, ...] = ()
    numbers: Float32Array | None = None
    doubt: str = ""
    weights: FloatArray | None = None
    left_out: int = 0
    new_groups: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """Why nothing is promised although rows are enough, in a few words; or nothing."""
        names = " or ".join(map(repr, self.new_groups[:MOST_NAMED]))
        return f"not promised for rows of a new {names}" if names else ""

    def doubted(self, *doubts: str, new_groups: tuple[str, ...] = ()) -> "Calibration":
        """Give the same rows, doubted for these reasons, and for columns that name groups."""
        told = filter(None, [*doubts, doubt_of_groups(new_groups)])
        return replace(self, doubt="; ".join(told), new_groups=new_groups)

    @property
    def pooled(self) -> FloatArray:
        """Scores (m,) of all calibration rows."""
        return np.concatenate(self.scores)

    @property
    def rows(self) -> int:
        """Number of calibration rows, m."""
        return sum(map(len, self.scores))

    @property
    def worth(self) -> int:
        """Number of groups where rows come in such, else of rows."""
        return self.rows if self.weights is None else round(self.weights.sum())

    @property
    def unit(self) -> str:
        """What counts as one: "rows" or "groups"."""
        return "rows" if self.weights is None else "groups"

    @property
    def described(self) -> str:
        """How many rows, or rows in groups, there are, in words."""
        rows = counted(self.rows, "calibration rows")
        return rows if self.weights is None else f"{rows} in {counted(self.worth, self.unit)}"

    @property
    def least_p_value(self) -> float:
        """The smallest p-value there can be: 1 / (m + 1), with m rows or groups."""
        return least_p_value(self.worth)

    def promises(self, alpha: float) -> bool:
        """Whether there are rows, or groups, enough for a p-value of alpha."""
        return self.worth >= calibration_rows_needed(alpha)

    def __str__(self) -> str:
        grouped = "" if self.weights is None else f", in {counted(self.worth, self.unit)}"
        return f"{self.rows:,} {HOW[self.method]}{grouped}"

    def __repr__(self) -> str:
        return f"<Calibration: {self}>"

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what `from_state` needs, as JSON and as arrays."""
        arrays: dict[str, NDArray[Any]] = {f"scores{i}": s for i, s in enumerate(self.scores)}
        arrays |= {f"part{i}": part.astype(np.int64) for i, part in enumerate(self.parts)}
        optional = {"numbers": self.numbers, "weights": self.weights}
        arrays |= {name: array for name, array in optional.items() if array is not None}
        meta = {"method": self.method, "clean": self.clean, "scores": len(self.scores)}
        return meta | {"left_out": self.left_out}, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> "Calibration":
        """Make the calibration again."""
        count = int(meta["scores"])
        held_out = meta["method"] in (SPLIT, CROSS)
        return cls(
            meta["method"],
            tuple(arrays[f"scores{i}"] for i in range(count)),
            bool(meta["clean"]),
            tuple(arrays[f"part{i}"].astype(np.intp) for i in range(count * held_out)),
            arrays.get("numbers"),
            weights=arrays.get("weights"),
            left_out=int(meta.get("left_out", 0)),  # an older version did not count them
        )


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """How a threshold was chosen.

    Parameters
    ----------
    rule
        "contamination", "alpha", "fdr", "budget", "stretches" (a budget of a series), "f_beta",
        "cost", or "value": as given.
    settings
        What was asked for.
    basis
        The rows that it was chosen on.
    promised
        Whether these were enough, and stand for new rows. Where not, ``alpha`` and budgets went by
        the tail of the scores, and ``fdr`` selected few or none.
    automatic
        What a contamination of "auto" went by: "scores" of the rows; "labels" of anomalies beside
        them; or "normal rows", which all are known to be; ``None`` where a share was asked for.
    why
        Why it is not promised, where rows are enough.

    Examples
    --------
    >>> str(ThresholdRule("alpha", {"alpha": 0.05}, basis="1,000 rows"))
    'at most 5% of normal rows are expected above it (from 1,000 rows)'
    """

    rule: str
    settings: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    basis: str = ""
    promised: bool = True
    automatic: str | None = None
    why: str = ""

    def __str__(self) -> str:
        value = self.settings
        told = {
            "contamination": "about {share:.3g}% of the rows given to fit are above it",
            "alpha": "at most {alpha:.3g}% of normal rows are expected above it",
            "fdr": "at most {fdr:.3g}% of the rows above it are expected to be normal",
            "budget": "at most {alerts:,.0f} of {rows:,.0f} rows are expected above it",
            "stretches": "stretches above it to be expected: at most {alerts:,.0f} in {rows:,.0f} "
            "readings",
            "f_beta": "the best F{beta:g}",
            "cost": "the least cost, a false alarm at {false_alarm:.15g} and a miss at {miss:.15g}",
            "value": "{value:.4g}, as given",
        }[self.rule]
        shares = {n: 100 * value[n] for n in ("share", "alpha", "fdr") if n in value}
        said = told.format(**{**value, **shares})
        if self.automatic is not None:
            said += ", chosen automatically"
            said += " by known anomalies" if self.automatic == "labels" else ""
        if not self.basis:
            return said
        lacking = "" if self.promised else f"; {self.why or 'too few rows to promise it'}"
        return f"{said} (from {self.basis}{lacking})"

    @property
    def rests_on_batch(self) -> bool:
        """Whether it was chosen on rows given to `set_threshold`, which are not kept."""
        if self.rule in ("budget", "stretches"):  # a pair rests on calibration rows, and says which
            return self.basis == batch_basis(int(self.settings["rows"]))
        return self.rule in ("fdr", "f_beta", "cost")

    def state(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return {
            "rule": self.rule,
            "settings": dict(self.settings),
            "basis": self.basis,
            "promised": self.promised,
            "automatic": self.automatic,
            **({"why": self.why} if self.why else {}),
        }


def doubt_of_own(rows: int, columns: int = 0) -> str:
    """Say why new rows may score higher than so many given to `fit`; empty where these are enough.

    ``columns`` is how many they have, 0 where that does not matter.

    >>> doubt_of_own(75, 5), doubt_of_own(75, 6)[:56]
    ('', '75 rows given to fit are too few of 6 columns to stand f')
    """
    if rows >= max(ENOUGH_OWN, ENOUGH_A_COLUMN * columns):
        return ""
    wide = f" of {counted(columns, 'columns')}" if rows >= ENOUGH_OWN else ""
    return (
        f"{rows:,} rows given to fit are too few{wide} to stand for new ones, which score higher; "
        "call calibrate, or give more rows"
    )


def doubt_of_gaps(share: float) -> str:
    """Say that a share of new rows will have the first gap of a column; empty where it is small.

    >>> doubt_of_gaps(0.002)
    ''
    """
    if share < MANY_FIRST_GAPS:
        return ""
    return (
        f"about {share_of(share)} of new rows are to be expected with a gap in a column where fit "
        "saw none, and score higher than those given to fit; call calibrate and go by p_values, or "
        "give it rows that fit has not seen"
    )


def doubt_of_groups(columns: Sequence[str]) -> str:
    """Say that new rows are of groups that columns name and fit has not seen; or nothing.

    >>> doubt_of_groups([])
    ''
    """
    if not columns:
        return ""
    names = ", ".join(map(repr, columns[:MOST_NAMED]))
    which = "column" if len(columns) == 1 else "columns"
    return (
        f"{which} {names} may name what rows belong to, and rows of new ones score higher than "
        "these; leave it out, and calibrate by it (--leave-out, --group-column; groups in Python)"
    )


def batch_basis(rows: int) -> str:
    """Name so many rows that a budget was given for."""
    return f"{rows:,} rows"


def expected_again(copies: FloatArray, occurrences: FloatArray) -> NDArray[np.intp]:
    """How often each row that is compared with counts, to stand for new rows.

    A new row that equals one given to `fit` is scored like that one, without it: as if it were new.
    Rows that were there once so stand for themselves, for rows not seen before, and for themselves
    as they come again. By Turing's estimate (Good 1953) the second come as often as the first, and
    the third twice as often as there are rows that were seen twice.

    Parameters
    ----------
    copies
        Shape (m,): how many rows given to `fit` each stands for.
    occurrences
        Shape (m,): how many rows given to `fit` were equal to it.

    Examples
    --------
    >>> expected_again(np.array([1.0, 1, 2, 2, 5]), np.array([1.0, 1, 2, 2, 5])).tolist()
    [3, 3, 2, 2, 5]
    """
    times = np.maximum(np.rint(copies), 1).astype(np.intp)
    once, twice = occurrences == 1, float((copies / occurrences)[occurrences == 2].sum())
    if once.any():
        times[once] += round(2 * twice / once.sum())
    return times
