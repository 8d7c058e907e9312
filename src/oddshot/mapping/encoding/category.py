"""Columns of levels: which one a cell holds, how rare it is, and how surprising a new one."""

import re
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddshot.episodes import FloatArray
from oddshot.mapping.cells.distinct import Column, distinct_values
from oddshot.mapping.cells.level_names import are_codes, level_name
from oddshot.mapping.cells.spellings import Spellings, means_gap
from oddshot.mapping.encoding.groups import names_groups, told_groups
from oddshot.mapping.encoding.portable import portable

ONE_HOT_LEVELS = 12
UNSEEN_COUNT = 0.5  # the count behind the rarity of a level that fit did not see
OFTEN_NEW, FEW_NEW = 0.01, 3  # share and number of rows, each the only one of its level, from
# which on new levels are to be expected
HALF = 0.5  # between the zeros and ones of levels
NEARLY = 1e-9  # apart, as rarities are that are one but for rounding
ADDRESS = re.compile(r"[0-9a-f]+(?:[.:-][0-9a-f]*){3,}(?:/\d+)?", re.IGNORECASE)  # in networks
NEARLY_ALL = 0.9  # share of distinct texts from which a column names its rows


@dataclass(frozen=True)
class Category:
    """A column of levels with their counts at fit; the level ``None`` stands for a gap.

    Which of more than 12 levels a cell holds stands aside; not so in what an older version saved,
    whose levels were not ``told_apart``, nor found ``by_meaning``, see `Spellings`. A level with a
    count of 0 is one that fit did not see. What kept cells from being numbers or dates, where most
    are, is told as ``mixed``. A column may be one of levels ``by_type``, whatever these look like.
    Of one that seems to name ``groups`` of rows by where these stand: how many, of how many rows.
    """

    column: str
    levels: list[str | None]
    counts: list[int]
    kind: str = "category"
    told_apart: bool = False
    mixed: str = ""
    by_meaning: bool = False
    by_type: bool = False
    groups: tuple[int, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether one row at fit differed from all others."""
        return len(self.counts) == 2 and min(self.counts) == 1

    @property
    def cause(self) -> str:
        """Say what its reason is about, or nothing.

        "groups", "digits" that begin most levels, "mixed" cells, "words" for gaps beside such.
        """
        if self._told_groups():
            return "groups"
        if self._may_be_numbers():
            return "digits"
        return "mixed" if self.mixed else "words" if self._words() else ""

    def outputs(self) -> list[str]:
        """Meaning of each encoded column."""
        if not self._one_hot():
            return ["rarity"]
        return ["missing" if level is None else f"= {level}" for level in self.levels] + ["rarity"]

    def aside(self) -> list[str]:
        """Meaning of each column that stands aside, see `Encoder`."""
        return ["level"] * (self.told_apart and not self._one_hot())

    def read_aside(self, column: Column) -> FloatArray:
        """Shape (n,): the place of each cell's level, behind all others for an unseen one."""
        return self._places(column).astype(np.float64)

    def reason(self) -> str:
        """Say what a user should know of it; often nothing."""
        return "; ".join(filter(None, [self._told_of_rarity(), self._told_of_words()]))

    def _told_of_words(self) -> str:
        words = self._words()
        if not words:
            return ""
        return (
            f"{words[0]!r} is a level beside gaps; text files, as CSV, cannot tell the two apart: "
            "write the level otherwise if rows come from such"
        )

    def _words(self) -> list[str]:
        """Give the levels that are words for gaps, told apart from these."""
        levels = [level for level in self.levels if level is not None and self.by_meaning]
        return [level for level in levels if means_gap(level)]

    def _told_of_rarity(self) -> str:
        if self._one_hot():
            return ""
        groups = self._told_groups()
        told = f"{told_groups(*groups)}; " if groups else ""
        told += f"{len(self.levels)} levels: their rarity is used"
        if self.told_apart:
            told += ", with labels those of known anomalies"
        if self.mixed:
            told += f"; {self.mixed}"
        if self.cause == "digits":
            told += "; if they are numbers, write them as such, in one unit"
        return told

    def _told_groups(self) -> tuple[int, ...]:
        """Count the groups that it seems to name, and the rows in them; or nothing."""
        if self._one_hot():
            return ()
        known = self._known()
        named = (len(known), sum(known)) if names_groups(self.column, known) else ()
        return self.groups or named

    def _known(self) -> list[int]:
        """Give the counts of the levels that are no gap."""
        levels = zip(self.levels, self.counts, strict=True)
        return [count for level, count in levels if level is not None]

    def write(self, column: Column, encoded: FloatArray) -> None:
        """Write up to 12 levels as 0 or 1, then ``-log10`` of the level's share of fitted rows."""
        self.write_places(self._places(column), encoded)

    def write_places(self, at: NDArray[np.intp], encoded: FloatArray) -> None:
        """Do the same for places (n,) of levels."""
        encoded[:, -1] = self._rarities[at]
        if self._one_hot():
            encoded[:, :-1] = at[:, None] == np.arange(len(self.levels))

    def places_written(self, written: FloatArray) -> NDArray[np.intp]:
        """Places (n,) of levels, from columns of zeros and ones (n, levels) or from places (n, 1).

        Behind all others for a level that fit did not see.
        """
        unseen = len(self.levels)
        if self._one_hot():
            at = np.where(written.max(axis=1) > HALF, written.argmax(axis=1), unseen)
        else:
            at = np.rint(written[:, 0]).astype(np.intp)
        gone = np.array([count == 0 for count in self.counts] + [False])
        return np.where(gone[at], unseen, at)

    def rarer(self) -> float:
        """How much rarer a row's level is if it does not count itself: the mean over rows.

        In standard deviations of the rarity; 0 where all levels are as rare.
        """
        counts = np.array(self.counts, dtype=np.float64)
        rows, without = counts.sum(), np.maximum(counts - 1, UNSEEN_COUNT)
        shares = counts / rows
        rarity = -np.log10(shares)
        spread = np.sqrt(shares @ (rarity - shares @ rarity) ** 2)
        if spread < NEARLY:
            return 0.0
        return float(shares @ (-np.log10(without / (rows - 1)) - rarity) / spread)

    def without(self, at: NDArray[np.intp], times: FloatArray) -> "Category":
        """Count anew without rows whose levels have the places (n,), each ``times`` (n,)."""
        gone = np.bincount(at, weights=times, minlength=len(self.levels) + 1)
        left = np.rint(np.maximum(np.array(self.counts) - gone[:-1], 0)).astype(int)
        return replace(self, counts=left.tolist()) if left.any() else self

    def is_unseen(self, column: Column) -> NDArray[np.bool_]:
        """Tell which cells (n,) are of a level that fit did not see."""
        return np.equal(self._places(column), len(self.levels))

    def is_missing(self, column: Column) -> NDArray[np.bool_]:
        """Tell which cells (n,) are gaps."""
        if not self.by_meaning:
            return np.asarray(column.isna(), dtype=np.bool_)
        codes, distinct = distinct_values(column)
        gaps = (self._spellings.find(level_name(value)) is None for value in distinct)
        return np.array([*gaps, True])[codes]  # a gap has the code -1

    def _places(self, column: Column) -> NDArray[np.intp]:
        """Places (n,) of the cells' levels, behind all others for one that fit did not see."""
        codes, distinct = distinct_values(column)
        unseen = len(self.levels)
        gap = self._by_name.get(None, unseen)
        found = map(self._spellings.find, map(level_name, distinct))
        places = [gap if level is None else self._by_name.get(level, unseen) for level in found]
        return np.array([*places, gap])[codes]  # a gap has the code -1

    # columns may have as many levels as rows: what stands for them is made once, not block by block

    @cached_property
    def _by_name(self) -> dict[str | None, int]:
        """Places of the levels that fit saw."""
        return {level: i for i, level in enumerate(self.levels) if self.counts[i]}

    @cached_property
    def _spellings(self) -> Spellings:
        """The same levels, in all spellings."""
        known = (level for level in self._by_name if level is not None)
        return Spellings(known, by_meaning=self.by_meaning)

    @cached_property
    def _rarities(self) -> FloatArray:
        """Rarity (levels + 1,) of each level, and of one that fit did not see."""
        unseen = self.unseen_count()
        counts = np.array([count or unseen for count in (*self.counts, 0)])
        return portable(-np.log10(counts / sum(self.counts)))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made when needed."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def unseen_count(self) -> float:
        """Count behind the rarity of a level that fit did not see.

        Where new levels come often it is that of the levels seen once: each of these was as new.
        """
        often = max(OFTEN_NEW * sum(self.counts), FEW_NEW)
        return 1.0 if self.counts.count(1) >= often else UNSEEN_COUNT

    def unseen(self, normal: int = 0) -> tuple[float, float] | None:
        """Rarity that stands for a level fit did not see, and how surprising such a level is.

        The surprise, in decades, is that of Good (1953): the share of rows whose level is the only
        one of its kind is the chance that the next row's level is new. ``None`` where that is
        common, as it is once so many rows with such levels are known to be ``normal``.
        """
        rows, alone = sum(self.counts), self.counts.count(1) + normal
        if self.unseen_count() != UNSEEN_COUNT or normal >= FEW_NEW:
            return None
        rarity, surprise = portable(-np.log10((np.array([0, alone]) + UNSEEN_COUNT) / rows))
        return float(rarity), float(surprise)

    def _may_be_numbers(self) -> bool:
        """Whether nearly all of many levels begin with a digit, and are no codes or addresses."""
        if self._one_hot() or self.by_type:
            return False
        levels = [level for level in self.levels if level is not None]
        begun = [level for level in levels if level[:1].isdigit()]
        addresses = sum(ADDRESS.fullmatch(level) is not None for level in begun)
        return (
            len(begun) >= NEARLY_ALL * len(levels)
            and 2 * addresses < len(begun)
            and not are_codes(levels)
        )

    def _one_hot(self) -> bool:
        return len(self.levels) <= ONE_HOT_LEVELS
