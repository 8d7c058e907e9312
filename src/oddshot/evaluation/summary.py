"""What the rows of a benchmark say: detectors compared on what all of them finished."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oddshot.evaluation.machine import machine_of_runs
from oddshot.evaluation.metrics import Interval, mean_ranks, paired_bootstrap, win_rates
from oddshot.evaluation.peers import OWN
from oddshot.evaluation.protocols import NOVEL_TYPE
from oddshot.evaluation.results import METRICS, SECONDS, SEEN
from oddshot.evaluation.row_names import UNSEEN_TYPES, RowName

_TABLE = ["collection", "table"]
_CELL = [*_TABLE, "seed", "shown"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How detectors compare on one protocol and k.

    Parameters
    ----------
    protocol, k
        What is compared.
    tables, cells, left_out
        Number of tables, of (table, seed, shown type) cells that every detector finished, and of
        other cells.
    scores
        One row per detector, best AUROC first: for each of auroc, ap and ap_norm the mean over
        tables, ``_median``, and mean ``_rank``; the share of tables ``_win`` on which the
        reference beats it; and seconds on the same cells: the median over tables of the median
        over a table's cells. No column where there is no such cell.
    differences
        For each other detector and metric: reference minus detector, with its 95% interval over
        tables. Empty where the reference did not take part.
    labels_add
        In novel-type for each detector that also runs without labels, and each metric: what it
        gains over itself without them on the same splits, with its 95% interval over tables. On
        unseen types a loss is the price of the labels.
    missing
        Detectors that took part and finished nothing.
    by_cell
        The figures behind ``scores``, see `finished_by_all`.
    """

    protocol: str
    k: int
    tables: int
    cells: int
    left_out: int
    scores: pd.DataFrame
    differences: dict[tuple[str, str], Interval]
    labels_add: dict[tuple[str, str], Interval]
    missing: tuple[str, ...]
    by_cell: pd.DataFrame

    @property
    def by_table(self) -> pd.DataFrame:
        """Means of ``by_cell``: one row per (collection, table)."""
        return table_means(self.by_cell)

    def of(
        self, detector: str, metric: str = "auroc", *, cells: pd.Index | None = None
    ) -> "pd.Series[float]":
        """Return a detector's means by table, indexed by (collection, table).

        ``cells``: those of `shared_cells`, in place of all.
        """
        figures = self.by_cell if cells is None else self.by_cell.loc[cells]
        column: pd.Series[float] = table_means(figures)[metric, detector]
        return column


@dataclass(frozen=True, slots=True)
class Summary:
    """Comparisons of all protocols and k, with what they do not show.

    Parameters
    ----------
    reference
        The detector that the others are compared with.
    comparisons
        One per protocol and k.
    skipped_seen
        By detector, tables that it was not tested on, because its prior has seen their family.
    tested_seen
        By detector, tables that it was tested on although its prior has seen them.
    failures
        Detector and error of each other run that failed, with the table of every such run.
    machine
        Processor, cores and versions that the runs were made with, and which of them differ.
    """

    reference: str
    comparisons: tuple[Comparison, ...]
    skipped_seen: dict[str, tuple[str, ...]]
    tested_seen: dict[str, tuple[str, ...]]
    failures: dict[tuple[str, str], tuple[str, ...]]
    machine: str


def summarise(results: pd.DataFrame, *, reference: str = OWN) -> Summary:
    """Compare detectors on the cells that all of them finished.

    A table's seeds, and types that labels show, are averaged first; means, ranks, wins and
    intervals are over tables.

    Parameters
    ----------
    results
        What `run_benchmark` returned.
    reference
        The detector that the others are compared with.
    """
    failed = results[results["error"] != ""]
    skipped = failed[failed["error"] == SEEN]
    others = failed[failed["error"] != SEEN]
    parts = others["protocol"].map(lambda name: RowName.parse(name).part)
    runs = others[parts != UNSEEN_TYPES]  # the parts of a trial fail together
    failures: dict[tuple[str, str], list[str]] = {}
    for detector, error, table in zip(runs["detector"], runs["error"], runs["table"], strict=True):
        failures.setdefault((detector, error), []).append(table)
    tested = results[results["seen"] & (results["error"] == "")]
    settings = sorted(set(zip(results["protocol"], results["k"], strict=True)))
    return Summary(
        reference=reference,
        comparisons=tuple(_compare(results, protocol, k, reference) for protocol, k in settings),
        skipped_seen=_tables_by_detector(skipped),
        tested_seen=_tables_by_detector(tested),
        failures={
            of: tuple(tables)
            for of, tables in sorted(failures.items(), key=lambda found: -len(found[1]))
        },
        machine=machine_of_runs(Counter(results["machine"])),
    )


def finished_by_all(results: pd.DataFrame) -> pd.DataFrame:
    """Keep what every detector has finished, of those that have finished anything.

    Parameters
    ----------
    results
        Rows of `run_benchmark` of one protocol and k.

    Returns
    -------
    DataFrame
        One row per cell (collection, table, seed, shown), columns (metric, detector).
    """
    return _by_cell(results[results["error"] == ""], METRICS).dropna()


def shared_cells(settings: Sequence[pd.DataFrame]) -> pd.Index:
    """Cells that stand in all of several frames of `finished_by_all`.

    Figures over others differ by the tables and splits that they are over.
    """
    if not settings:
        return pd.Index([])
    shared = settings[0].index
    for cells in settings[1:]:
        shared = shared.intersection(cells.index)
    return shared


def tables_among(cells: pd.Index) -> int:
    """Count the tables of cells."""
    return len({cell[: len(_TABLE)] for cell in cells})


def table_means(by_cell: pd.DataFrame) -> pd.DataFrame:
    """Average the cells of each table: one row per (collection, table)."""
    return by_cell.groupby(level=_TABLE).mean()


def _tables_by_detector(results: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    return {
        str(detector): tuple(sorted(set(rows["table"])))
        for detector, rows in results.groupby("detector")
    }


def _compare(results: pd.DataFrame, protocol: str, k: int, reference: str) -> Comparison:
    rows = results[(results["protocol"] == protocol) & (results["k"] == k)]
    ok = rows[rows["error"] == ""]
    detectors = sorted(set(ok["detector"]))
    missing = tuple(sorted(set(rows["detector"]) - set(detectors)))
    wide = finished_by_all(rows)
    by_table = table_means(wide)
    all_cells = len(rows[_CELL].drop_duplicates())
    columns: dict[str, Any] = {}
    differences: dict[tuple[str, str], Interval] = {}
    for metric in METRICS if len(by_table) else ():
        values = pd.DataFrame(by_table[metric])
        columns[metric] = values.mean()
        columns[f"{metric}_median"] = values.median()
        columns[f"{metric}_rank"] = mean_ranks(values)
        if reference in detectors:
            columns[f"{metric}_win"] = win_rates(values, of=reference)
            for other in detectors:
                if other != reference:
                    pair = paired_bootstrap(values[reference], values[other])
                    differences[other, metric] = pair
    for name in SECONDS if len(by_table) else ():
        seconds = _by_cell(ok, [name])[name].loc[wide.index]
        columns[name] = seconds.groupby(level=_TABLE).median().median()
    scores = pd.DataFrame(columns, index=pd.Index(detectors, name="detector"))
    if "auroc" in scores:
        scores = scores.sort_values("auroc", ascending=False)
    return Comparison(
        protocol=protocol,
        k=k,
        tables=len(by_table),
        cells=len(wide),
        left_out=all_cells - len(wide),
        scores=scores,
        differences=differences,
        labels_add=_labels_add(results, protocol, wide) if k else {},
        missing=missing,
        by_cell=wide,
    )


def _labels_add(
    results: pd.DataFrame, protocol: str, wide: pd.DataFrame
) -> dict[tuple[str, str], Interval]:
    """Compare each detector with itself without labels, where the protocol is novel-type."""
    if RowName.parse(protocol).protocol != NOVEL_TYPE:
        return {}
    same = (results["protocol"] == protocol) & (results["k"] == 0) & (results["error"] == "")
    plain = _by_cell(results[same], METRICS)
    added = (wide - plain).loc[wide.index.intersection(plain.index)].dropna(axis=1, how="all")
    found: dict[tuple[str, str], Interval] = {}
    for detector in sorted(set(added.columns.get_level_values("detector"))):
        for metric in METRICS:
            values = added[metric, detector].dropna().groupby(level=_TABLE).mean()
            found[detector, metric] = paired_bootstrap(values, np.zeros(len(values)))
    return found


def _by_cell(rows: pd.DataFrame, figures: Sequence[str]) -> pd.DataFrame:
    """One row for each split of each table, columns (figure, detector)."""
    return rows.pivot(index=_CELL, columns="detector", values=list(figures))
