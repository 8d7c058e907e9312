"""Published results, to set beside measured ones over the same data sets.

Three sources, each for one protocol: ADBench (Han et al. 2022, tables D4 to D19) for "adbench",
Livernoche et al. 2023 for "dte", and the means over ODDBench's 790 tables for "one-class". They
were measured by others, on their own splits and their own samples of the rows.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from oddshot.data.collections import without_number
from oddshot.errors import SettingError
from oddshot.evaluation.protocols import ADBENCH, DTE, ONE_CLASS
from oddshot.evaluation.summary import Comparison

FILES: Mapping[str, str] = {
    ADBENCH: "adbench_paper_per_dataset.csv.gz",
    DTE: "dte_paper_per_dataset.csv.gz",
    ONE_CLASS: "oddbench790_taskbridge_table4.csv",
}
SOURCES: Mapping[str, str] = {
    ADBENCH: "ADBench, Han et al. 2022, tables D4 to D19",
    DTE: "Livernoche et al. 2023, semi-supervised setting",
    ONE_CLASS: "means over all 790 tables of ODDBench",
}
COPIED = {
    "breastw", "glass", "hepatitis", "ionosphere", "lymphography", "pima",
    "stamps", "vertebral", "wbc", "wdbc", "wine", "wpbc",
}  # fmt: skip
"""Data sets of fewer than 1,000 rows: for "dte" these were filled up with copies before the split,
so that copies of test rows were trained on, and the figures do not compare."""
_METRICS = {"AUCROC": "auroc", "AUCPR": "ap"}


@dataclass(frozen=True, slots=True)
class Published:
    """Published means beside measured ones.

    Parameters
    ----------
    source
        Who published them.
    tables
        Names of the data sets that both means are over; empty where the published ones are over
        another set of tables, which `same` tells.
    same
        Whether both are over the same data sets.
    scores
        Index (kind, detector) with kind "published" or "measured", columns auroc and ap from 0 to
        1, best AUROC first; over no mixture of splits.
    left_out
        Names of data sets that were measured and published and do not compare, see `COPIED`.
    """

    source: str
    tables: tuple[str, ...]
    same: bool
    scores: pd.DataFrame
    left_out: tuple[str, ...] = ()


def published_beside(comparison: Comparison, anchors: Path) -> Published | None:
    """Find what was published for a comparison's protocol, labels and data sets.

    Data sets are the same where their names are, but for letter case and a number in front, as in
    6_cardio.

    Parameters
    ----------
    comparison
        Measured results.
    anchors
        Folder of the published ones, see `FILES`.

    Returns
    -------
    Published or None
        ``None`` where nothing was published for the protocol, these labels or any of the tables.

    Raises
    ------
    SettingError
        The folder lacks the file.
    """
    protocol = comparison.protocol
    if protocol not in FILES or comparison.by_table.empty:
        return None
    measured = comparison.by_table[["auroc", "ap"]]
    left_out: tuple[str, ...] = ()
    if protocol == ONE_CLASS:
        ours = measured[measured.index.get_level_values("collection") == "oddbench"]
        if ours.empty:
            return None
        names: tuple[str, ...] = ()
        theirs = _oddbench(_read(anchors, protocol))
    else:
        per_table = _per_table(_read(anchors, protocol), comparison)
        tables = measured.index.get_level_values("table")
        places = tables.str.lower().map(without_number)
        found = set(places) & set(per_table.index)
        shared = sorted(found - COPIED if protocol == DTE else found)
        if not shared:
            return None
        left_out = tuple(sorted(set(tables[places.isin(found - set(shared))])))
        ours = measured[places.isin(shared)]
        names = tuple(sorted(tables[places.isin(shared)]))
        whole = per_table.loc[shared].dropna(axis=1)  # of methods that finished all of them
        theirs = whole.mean().unstack(0)
    both = {"published": theirs, "measured": ours.mean().unstack(0)}
    scores = pd.concat(both, names=["kind", "detector"])[["auroc", "ap"]]
    scores = scores.sort_values("auroc", ascending=False, na_position="last")
    return Published(SOURCES[protocol], names, protocol != ONE_CLASS, scores, left_out)


def _read(anchors: Path, protocol: str) -> pd.DataFrame:
    file = anchors / FILES[protocol]
    if not os.path.isfile(file):
        raise SettingError(f"{anchors} holds no {file.name}; give the folder of published results")
    return pd.read_csv(file, dtype={"la_pct": str})


def _per_table(rows: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """One row per data set, columns (metric, method), from 0 to 1."""
    if comparison.protocol == ADBENCH:
        share = "unsup" if comparison.k == 0 else str(comparison.k)
        rows = rows[rows["la_pct"] == share]
    else:
        rows = rows[rows["setting"] == "semi(normal-only)"].rename(columns={"mean": "value"})
    rows = rows[rows["metric"].isin(list(_METRICS))]
    rows = rows.assign(
        metric=rows["metric"].map(_METRICS),
        dataset=rows["dataset"].str.lower(),
        value=rows["value"] / 100,
    )
    return rows.pivot_table(index="dataset", columns=["metric", "algorithm"], values="value")


def _oddbench(rows: pd.DataFrame) -> pd.DataFrame:
    named = rows.set_index("algorithm")[["avg_aucroc", "avg_aucpr"]] / 100
    return named.set_axis(["auroc", "ap"], axis=1)
