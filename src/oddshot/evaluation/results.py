"""Rows of a benchmark on disk: written one by one, read again, whatever stopped the run."""

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from oddshot.data.sources import writing
from oddshot.errors import SettingError
from oddshot.evaluation.peers import OWN
from oddshot.priors import Prior
from oddshot.wording import counted

METRICS = ("auroc", "ap", "ap_norm")
SECONDS = ("fit_seconds", "score_seconds")
SEEN = "the prior has seen this family in meta-training; allow_seen=True tests it all the same"

Run: TypeAlias = tuple[str, str, str, int, int, str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one detector: a row of ``results.csv``.

    Parameters
    ----------
    protocol, table, family, collection, k, seed, detector
        What ran. A protocol's name says all that is particular, see
        `oddshot.evaluation.row_names.RowName`. In adbench k is the per cent of anomalies that are
        labelled.
    seen
        Whether the prior has seen the table's family in meta-training.
    auroc, ap, ap_norm
        On the test part; ``nan`` where the run failed.
    fit_seconds, score_seconds
        Wall clock, one thread.
    error
        Why it failed; empty where it did not.
    shown
        In novel-type the type of anomaly that the labels show.
    content
        What the table held, see `oddshot.evaluation.contents.content_of`.
    machine
        Processor, cores and versions, see `oddshot.evaluation.machine.machine`.
    """

    protocol: str
    table: str
    family: str
    collection: str
    k: int
    seed: int
    detector: str
    seen: bool = False
    auroc: float = float("nan")
    ap: float = float("nan")
    ap_norm: float = float("nan")
    fit_seconds: float = float("nan")
    score_seconds: float = float("nan")
    error: str = ""
    shown: str = ""
    content: str = ""
    machine: str = ""


_COLUMNS = [field.name for field in fields(Result)]
_ADDED = ("shown", "content", "machine")  # after the first files were written
_TABLE = ["collection", "table"]
_KEY = ["protocol", *_TABLE, "k", "seed", "shown", "detector"]


def read_results(out: Path) -> pd.DataFrame:
    """Read the rows that `run_benchmark` wrote; of a repeated run the last counts.

    Columns that files of older versions do not have are empty: ``shown``, ``content``, ``machine``.

    Raises
    ------
    SettingError
        The folder holds no results.
    """
    file = out / "results.csv"
    if not os.path.exists(file):
        raise SettingError(f"{out} holds no results.csv; run the benchmark first")
    text = dict.fromkeys(("table", "family", "collection", "detector", "error", *_ADDED), str)
    numbers = (*METRICS, *SECONDS)
    missing = {name: ["nan", ""] for name in numbers}
    frame = pd.read_csv(file, dtype=text, keep_default_na=False, na_values=missing)
    for name in _ADDED:
        if name not in frame:
            frame[name] = ""
    return frame.drop_duplicates(_KEY, keep="last", ignore_index=True)


def read_folders(folders: Sequence[Path]) -> pd.DataFrame:
    """Read the rows of several folders that `run_benchmark` wrote.

    Where two hold the same run, the later one counts. "oddshot" carries the folder's name where its
    prior is another than in the first folder that has one.

    Raises
    ------
    SettingError
        A folder holds no results, or two sampled the tables of one protocol to different sizes, or
        ran it on different tables of one name.
    """
    parts: list[pd.DataFrame] = []
    first_prior: str | None = None
    sizes: dict[str, tuple[Path, int | None]] = {}
    contents: dict[tuple[str, str, str], tuple[Path, str]] = {}
    for folder in folders:
        rows, settings = read_results(folder), _read_settings(folder / "settings.json")
        prior = settings.get("prior")
        first_prior = first_prior or prior
        if prior and prior != first_prior:
            rows["detector"] = rows["detector"].replace({OWN: f"{OWN} ({folder.name})"})
        for protocol in sorted(set(rows["protocol"])):
            kept, size = sizes.setdefault(protocol, (folder, settings.get("max_rows")))
            if size != settings.get("max_rows"):
                raise SettingError(
                    f"{kept} and {folder} hold {protocol} with max_rows = {size} and "
                    f"{settings.get('max_rows')}; such runs are not comparable, report them apart"
                )
        held = rows.loc[rows["content"] != "", ["protocol", *_TABLE, "content"]].drop_duplicates()
        for protocol, collection, table, content in held.itertuples(index=False, name=None):
            kept, before = contents.setdefault((protocol, collection, table), (folder, content))
            if content != before:
                raise SettingError(
                    f"{kept} and {folder} hold {protocol} on table {table!r} with different "
                    "content; such runs are not comparable, report them apart"
                )
        parts.append(rows)
    if not parts:
        raise SettingError("no folder of results; give one that the benchmark wrote")
    return pd.concat(parts).drop_duplicates(_KEY, keep="last", ignore_index=True)


def append_results(file: Path, results: list[Result]) -> None:
    """Write rows at the end of a file, on the disk before this returns."""
    new = not os.path.exists(file) or file.stat().st_size == 0
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(_COLUMNS)
        writer.writerows(
            [_cell_text(getattr(result, name)) for name in _COLUMNS] for result in results
        )
        stream.flush()
        os.fsync(stream.fileno())


def _cell_text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())


def repair_and_read(
    file: Path, *, contents: Mapping[tuple[str, str], str], asked_seen: bool
) -> set[Run]:
    """Cut a last line that a kill tore, and return the runs that need not be repeated.

    Parameters
    ----------
    file
        As `append_results` of this version or of an older one wrote it; columns that it lacks are
        added.
    contents
        What the tables hold now, by collection and name.
    asked_seen
        Whether runs that were left out because the prior has seen the table are to be made.

    Raises
    ------
    SettingError
        The file has other columns, or rows of a table that held something else.
    """
    if not os.path.exists(file):
        return set()
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        file.write_bytes(whole)
    if not whole:
        return set()
    _add_columns(file, whole)
    results = read_results(file.parent)
    _check_contents(file, results, contents)
    if asked_seen:
        results = results[results["error"] != SEEN]
    return set(runs_of(results))


def _add_columns(file: Path, content: bytes) -> None:
    """Add the columns that older versions did not write."""
    head, *lines = content.splitlines()
    columns = head.decode().split(",")
    added = _COLUMNS[len(columns) :]
    if columns + added != _COLUMNS or not set(added) <= set(_ADDED):
        raise SettingError(f"{file} has other columns than this version writes; choose another out")
    if added:
        whole = [
            ",".join(_COLUMNS).encode(),
            *(line + b"," * len(added) for line in lines if line),
            b"",
        ]
        with writing(file) as new:
            new.write(b"\n".join(whole))


def _check_contents(
    file: Path, results: pd.DataFrame, contents: Mapping[tuple[str, str], str]
) -> None:
    """Refuse rows of a table that held something else; what is not known counts as the same."""
    held = results[[*_TABLE, "content"]].drop_duplicates().itertuples(index=False, name=None)
    changed = sorted(
        {
            table
            for collection, table, before in held
            if before and (contents.get((collection, table)) or before) != before
        }
    )
    if changed:
        named = ", ".join(map(repr, changed[:3])) + (", ..." if len(changed) > 3 else "")
        raise SettingError(
            f"the content of {counted(len(changed), 'tables')} has changed since {file.parent} was "
            f"written, or which column holds labels or groups: {named}; restore it, delete the "
            f"lines of such tables in {file}, or choose another folder"
        )


def runs_of(results: pd.DataFrame) -> Iterator[Run]:
    """Tell what ran in each row."""
    return results[_KEY].itertuples(index=False, name=None)


def check_settings(file: Path, *, max_rows: int | None, prior: Prior | None) -> None:
    """Refuse to mix rows of other settings into one file; runs without a prior go with any."""
    settings = {"max_rows": max_rows, "prior": prior.fingerprint if prior is not None else None}
    kept = _read_settings(file)
    if kept:
        if settings["prior"] is None or kept["prior"] is None:
            settings["prior"] = kept["prior"] = settings["prior"] or kept["prior"]
        for name, value in settings.items():
            if value != kept[name]:
                raise SettingError(
                    f"{file.parent} holds results with {name} = {kept[name]}, not {value}; "
                    "choose another folder"
                )
    try:
        file.write_text(json.dumps(settings) + "\n", encoding="utf-8")
    except OSError as error:
        raise SettingError(
            f"{file.parent}: nothing can be written there ({error.strerror}); choose another folder"
        ) from error


def _read_settings(file: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if os.path.exists(file):
        settings = json.loads(file.read_text(encoding="utf-8"))
    return settings
