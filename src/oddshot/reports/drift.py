"""A comparison of a window with a context, in words."""

from oddshot.detectors.drift.monitor import Drift

SHOWN = 5
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
        else f"; {found.flagged:.1%} flagged, {found.promised:.1%} at fit"
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
