"""A comparison of a window with a context, in words, and how to go on."""

import shlex
from math import floor, log10

from oddshot.detectors.drift.finding import Drift
from oddshot.wording import counted, share_of

SHOWN = 5
ENOUGH_ROWS = 100  # fewer teach a new detector little, see docs/drift.md
FEW = 0.1  # old rows, as a share of the new ones
MANY_NORMAL = 0.02  # of the new rows: so many old ones can be told from these
SAYS_MORE = {"levels": "new levels", "missing": "unreadable"}  # of the same column


def lines_of(window: str, found: Drift) -> list[str]:
    """Say in a few lines what was found, the verdict first.

    Parameters
    ----------
    window
        What the window is called.
    found
        The comparison.
    """
    flagged = (
        ""
        if found.flagged is None
        else f"; {share_of(found.flagged)} flagged, {share_of(found.promised)} at fit"
    )
    lost = any(change.p == 0 for change in found.columns)  # no test is needed to tell
    tested = "of the other columns " if lost else ""
    lines = [
        f"{window}: {found.verdict} ({tested}p {found.p:.3g}, effect {found.effect:.2f}{flagged})"
    ]
    if found.least_p > found.alpha:
        lines.append(
            f"  too few rows: {found.rows} against {found.context_rows} of the context cannot give "
            f"a p of {found.alpha:g}; give larger windows, or a larger alpha"
        )
    elif found.drifted and found.rows_needed is not None:
        lines.append(
            f"  an effect so large shows from {found.rows_needed:,} rows on; {found.rows:,} were "
            f"compared, which show one of {found.least_effect:.2f}"
        )
    told = {(change.column, change.kind) for change in found.moved}
    moved = [c for c in found.moved if (c.column, SAYS_MORE.get(c.kind)) not in told]
    lines += [f"  {c.column}: {c.detail}" for c in moved[:SHOWN]]
    if len(moved) > SHOWN:
        lines.append(f"  and {len(moved) - SHOWN} more")
    unread = [c for c in found.columns if c.kind == "unreadable" and c not in found.moved]
    lines += [f"  {c.column}: {c.detail}" for c in unread[:SHOWN]]
    fresh = [change.column for change in found.columns if change.kind == "new column"]
    if fresh:
        lines.append(f"  new, and ignored: {', '.join(fresh[:SHOWN])}")
    return lines


def advice(found: Drift, folder: str, file: str, *, rows: int, normal: int) -> list[str]:
    """Say how to go on after a drift, so that the same rows raise no alarm again.

    Parameters
    ----------
    found
        The comparison.
    folder, file
        What the detector, and the file of new rows, are called.
    rows
        How many rows the file has.
    normal
        How many old rows stay for they are known to be normal.
    """
    words = ["oddshot", "refresh", folder, file]
    words += [f"--factor={column}={x:g}" for column, x in found.factors.items()]
    renewed = dict.fromkeys(change.column for change in found.moved if change.renewed)
    left_out = [word for column in renewed for word in ("--leave-out", column)]
    words += left_out  # the next levels would be new to any context
    words += ["--keep", "0"] * found.outdated
    command = shlex.join([*words, "--out", "NEWER"])
    lacking = list(dict.fromkeys(change.column for change in found.moved if change.lacking))
    first = ""
    if lacking:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        first = f"repair {', '.join(lacking[:SHOWN])}{more} in the file, or, if it stays so: "
    if found.outdated and rows < ENOUGH_ROWS:
        first += f"with {ENOUGH_ROWS} such rows or more, and not {rows}: "
    lines = [f"  to go on: {first}{command}"]
    if found.outdated and normal > MANY_NORMAL * rows:
        fit = shlex.join(["oddshot", "fit", file, *left_out, "--out", "NEWER"])
        lines.append(
            f"  {counted(normal, 'old rows')} known to be normal would stay; if they are so no "
            f"more: {fit}"
        )
    return lines


def told_of_old_rows(old: int, new: int, *, normal: int, keep: float, again: str) -> str:
    """Say that old rows outnumber new ones, and what share would make them few; else nothing.

    Parameters
    ----------
    old, new
        How many rows, known anomalies not counted, stay, and are new.
    normal
        How many of the old ones stay for they are known to be normal.
    keep
        The share of the others that stays.
    again
        By which command it is seen whether that matters.

    Examples
    --------
    >>> told = told_of_old_rows(1008, 288, normal=0, keep=0.25, again="oddshot watch new may.csv")
    >>> told.split(", which ")[0], told.split(": ")[1]
    ('1,008 old rows outnumber the 288 new ones', '--keep 0.007 leaves 28 of them, --keep 0 none.')
    """
    if old <= new:
        return ""
    told = (
        f"{old:,} old rows outnumber the {counted(new, 'new ones')}, which may go on looking odd "
        f"beside them ({again} tells)"
    )
    if old == normal:
        return f"{told}; all of these are known to be normal, and stay whatever --keep is."
    share = FEW * new * keep / (old - normal)
    digits = 10.0 ** floor(log10(share))
    share = floor(share / digits) * digits
    few = round(share * (old - normal) / keep)
    leaves = f"--keep {share:.3g} leaves {few:,} of them, --keep 0 none"
    normal_too = f", beside {normal:,} that are known to be normal" if normal else ""
    return f"{told}: {leaves}{normal_too}."
