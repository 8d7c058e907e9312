"""New types of anomaly: labels show one type, the test part holds that one and others.

    python benchmarks/novel_types.py ../shared/data --prior runs/without-classical \
        [--image-prior runs/detection/prototypical] [--tables N] \
        [--out runs/novel-types] [--parts nsl-category,nsl-type,planted,omniglot,few-label]

Parts: NSL-KDD with attacks by category and by type; the classical tables with four planted types
and their own anomalies as a fifth; sets of Omniglot drawings, in which eight characters of the test
alphabets are normal and five others the types; and, as what the remedy may cost, the few-label
protocol on the classical tables as they are. For each type in turn as the one that labels show, and
k = 1, 5 and 10 labels: Oddshot with three settings of `novel`, and supervised peers; Oddshot
without labels is what unseen types are compared with. Every table is kept in a file of --out as
soon as it is done; a second call goes on from there. The priors must not have seen the tables, nor
the alphabets (`benchmarks/omniglot_detection.py train`).
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from oddshot import FewShotDetector, Prior
from oddshot.data.collections import load_collection
from oddshot.data.omniglot import read_omniglot, split_alphabets
from oddshot.episodes import LabelArray, Rows
from oddshot.errors import OddshotError
from oddshot.evaluation.metrics import auroc, average_precision
from oddshot.evaluation.novel_types import (
    SHARE,
    TypedTable,
    drawn_types,
    judge,
    nsl_kdd,
    planted,
    types_to_show,
)
from oddshot.evaluation.peers import find_peers
from oddshot.evaluation.protocols import few_label, novel_type

PARTS = ("nsl-category", "nsl-type", "planted", "omniglot", "few-label")
LABELS = (1, 5, 10)
SETTINGS: dict[str, float | str] = {
    "Oddshot, novel=0": 0.0,
    'Oddshot, novel="auto"': "auto",
    "Oddshot, novel=1": 1.0,
}
PEERS = ("catboost", "extra-trees", "xgbod")
UNLABELLED = "Oddshot, no labels"
MOST_NORMAL, MOST_ROWS = 1200, 4000
SPLITS = (1, 2, 3)  # of the few-label protocol, as `oddshot bench` has them
NORMAL_CHARACTERS, ODD_CHARACTERS, DRAWING_SHARE, DRAWING_SETS = 8, 5, 0.125, 12


def main(arguments: list[str] | None = None) -> None:
    """Run what is not done yet, then print the figures."""
    parser = argparse.ArgumentParser(description="New types of anomaly.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--prior", default="default")
    parser.add_argument("--image-prior", default="runs/detection/prototypical")
    parser.add_argument("--out", type=Path, default=Path("runs/novel-types"))
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--tables", type=int, help="only so many classical tables, at random")
    parser.add_argument("--peers", default=",".join(PEERS), help="none: an empty string")
    given = parser.parse_args(arguments)
    prior, peers = Prior.find(given.prior), [name for name in given.peers.split(",") if name]
    given.out.mkdir(parents=True, exist_ok=True)
    for part in given.parts.split(","):
        made = (
            drawings(given.data, Prior.find(given.image_prior), peers)
            if part == "omniglot"
            else jobs(part, given.data, prior, peers, given.tables)
        )
        for name, run in made:
            path = given.out / f"{part}-{name}.json"
            if not path.exists():
                began = time.perf_counter()
                path.write_text(json.dumps(list(run())))
                print(f"{part} {name}: {time.perf_counter() - began:.0f} s", flush=True)
    found = [
        row for path in sorted(given.out.glob("*.json")) for row in json.loads(path.read_text())
    ]
    text = summarise(pd.DataFrame(found))
    (given.out / "summary.md").write_text(text)
    print(text)


def jobs(
    part: str, data: Path, prior: Prior, peers: list[str], most: int | None
) -> Iterator[tuple[str, Any]]:
    """Name and work of each table of a part."""
    if part.startswith("nsl"):
        by = part.removeprefix("nsl-")
        yield "nsl_kdd", lambda: on_types(part, nsl_kdd(data / "nsl_kdd", by=by), prior, peers)
        return
    refs = load_collection(data / "adbench" / "classical")
    for place in np.random.default_rng(0).permutation(len(refs))[:most]:
        ref = refs[place]
        if ref.family in prior.seen_families:
            raise SystemExit(f"the prior was trained on the family of {ref.name}; give another")
        if part == "few-label":
            yield ref.name, lambda ref=ref: on_few_labels(ref.load(), prior)
        else:
            yield ref.name, lambda ref=ref: on_planted(ref.load(), prior, peers)


def drawings(data: Path, prior: Prior, peers: list[str]) -> Iterator[tuple[str, Any]]:
    """Name and work of each set of drawings."""
    every = read_omniglot(data / "omniglot")
    characters = every.of_alphabets(split_alphabets(every.alphabets)["test"])
    for number in range(DRAWING_SETS):
        typed = drawn_types(
            characters,
            normal=NORMAL_CHARACTERS,
            odd=ODD_CHARACTERS,
            generator=np.random.default_rng(number),
        )
        table = replace(typed.table, name=f"set {number}")
        typed = replace(typed, table=table)
        yield str(number), lambda typed=typed: on_types("omniglot", typed, prior, peers)


def on_planted(table: Any, prior: Prior, peers: list[str]) -> Iterator[dict[str, object]]:
    """Figures of every detector on planted types, the same ones each time."""
    return on_types("planted", planted(table, share=SHARE, max_normal=MOST_NORMAL), prior, peers)


def on_types(
    part: str, typed: TypedTable, prior: Prior, peers: list[str]
) -> Iterator[dict[str, object]]:
    """Figures of every detector, for each type in turn as the one that is seen."""
    for seen in types_to_show(typed):
        for k in (0, *LABELS):
            try:
                trial = novel_type(
                    typed.table,
                    typed.types,
                    seen=seen,
                    k=k,
                    seed=1,
                    share=DRAWING_SHARE if prior.reads_images else SHARE,
                    max_normal=MOST_NORMAL,
                )
            except OddshotError as error:
                print(f"left out: {error}")
                continue
            shown = trial.trial.X_train, trial.trial.y_train, trial.trial.X_test
            for name, scores in scored(*shown, prior, peers):
                for one in judge(trial, scores):
                    yield {
                        "part": part,
                        "table": typed.table.name,
                        "seen": seen,
                        "k": k,
                        "detector": name,
                        **one,
                    }


def on_few_labels(table: Any, prior: Prior) -> Iterator[dict[str, object]]:
    """Figures of the few-label protocol, for each setting of `novel`."""
    for k, seed in product(LABELS, SPLITS):
        try:
            trial = few_label(table, k=k, seed=seed, max_rows=MOST_ROWS)
        except OddshotError as error:
            print(f"left out: {error}")
            continue
        for name, scores in scored(trial.X_train, trial.y_train, trial.X_test, prior, []):
            yield {
                "part": "few-label",
                "table": table.name,
                "seen": "genuine",
                "k": k,
                "detector": name,
                "type": "genuine",
                "novel": False,
                "anomalies": int(trial.y_test.sum()),
                "auroc": auroc(trial.y_test, scores),
                "ap": average_precision(trial.y_test, scores),
            }


def scored(
    rows: Rows, labels: LabelArray, test: Rows, prior: Prior, peers: list[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Scores of the test rows by every detector that these labels allow."""
    given, asked = (as_images(part) if prior.reads_images else part for part in (rows, test))
    if not (labels == 1).any():
        yield UNLABELLED, FewShotDetector(prior=prior).fit(given, labels).anomaly_score(asked)
        return
    for name, novel in SETTINGS.items():
        detector = FewShotDetector(prior=prior, novel=novel).fit(given, labels)
        yield name, detector.anomaly_score(asked)
    for peer in find_peers(peers) if peers else ():
        yield peer.name, peer.fit(rows, labels, seed=1)(test)


def as_images(rows: Rows) -> np.ndarray:
    """Pixels (n, H * H) from 0 to 255 as grey images (n, H, H)."""
    side = round(rows.shape[1] ** 0.5)
    return np.asarray(rows, dtype=np.uint8).reshape(-1, side, side)


def summarise(found: pd.DataFrame) -> str:
    """Write the tables of the page of results; a type's anomalies count as one."""
    tables = found[["part", "table"]].drop_duplicates()["part"].value_counts()
    told = ", ".join(f"{part}: {count}" for part, count in tables.items())
    machine = platform.processor() or platform.machine()
    lines = [f"Tables: {told}. Machine: {machine}, {os.cpu_count()} cores.", ""]
    each = ["part", "table", "seen", "k", "detector", "novel"]
    means = found.groupby(each)[["auroc", "ap"]].mean().reset_index()
    plain = means[means["detector"] == UNLABELLED].drop(columns=["k", "detector"])
    labelled = means[means["detector"] != UNLABELLED]
    both = labelled.merge(plain, on=["part", "table", "seen", "novel"], suffixes=("", "_plain"))
    for part in PARTS[:-1]:
        here = both[both["part"] == part]
        if not len(here):
            continue
        for novel in (False, True):
            lines += [f"### {part}: {'unseen types' if novel else 'the seen type'}", ""]
            side = here[here["novel"] == novel]
            lines += against_unlabelled(side)
    few = labelled[labelled["part"] == "few-label"]
    if len(few):
        lines += ["### Few labels, tables as they are", ""]
        lines += table_of(few.groupby(["detector", "k"])[["auroc", "ap"]].mean())
    return "\n".join(lines)


def against_unlabelled(side: pd.DataFrame) -> list[str]:
    """AUROC / AP, and in brackets the difference from the detector without labels, in points."""
    plain = side.groupby(["table", "seen"])[["auroc_plain", "ap_plain"]].first().mean()
    lines = [f"Without labels {plain['auroc_plain']:.3f}/{plain['ap_plain']:.3f}.", ""]
    lines += ["| detector | " + " | ".join(f"k = {k}" for k in LABELS) + " |"]
    lines += ["|---|" + "---:|" * len(LABELS)]
    for detector in [*SETTINGS, *PEERS]:
        cells = []
        for k in LABELS:
            rows = side[(side["detector"] == detector) & (side["k"] == k)]
            if not len(rows):
                cells.append("")
                continue
            change = 100 * (rows["auroc"] - rows["auroc_plain"]).mean()
            cells.append(f"{rows['auroc'].mean():.3f}/{rows['ap'].mean():.3f} ({change:+.1f})")
        if any(cells):
            lines.append(f"| {detector} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def table_of(means: pd.DataFrame) -> list[str]:
    """AUROC / AP by detector and k."""
    lines = ["| detector | " + " | ".join(f"k = {k}" for k in LABELS) + " |"]
    lines += ["|---|" + "---:|" * len(LABELS)]
    for detector in SETTINGS:
        pairs = [means.loc[(detector, k)] for k in LABELS if (detector, k) in means.index]
        cells = [f"{pair['auroc']:.3f}/{pair['ap']:.3f}" for pair in pairs]
        lines.append(f"| {detector} | " + " | ".join(cells) + " |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
