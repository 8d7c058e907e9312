"""New domains: meta-training without a field, a collection, or a kind of table, judged on it.

    python benchmarks/domains.py ../shared/data --episodes runs/episodes [--out runs/domains] \
        [--domains NAME,...] [--steps 2000]

Domains are the fields of oddbench (`oddshot.data.fields`), the collections (adbench, oddbench,
ovrbench), and tables against embeddings of images and texts. The families of a domain are dealt
into two halves. Each half is judged by a prior trained without the whole domain, and by one trained
without this half alone; what lies between them is the loss. Training and judging use the mapped
episodes that scripts/train-priors keeps, and AUROC on their queries: mapped with nothing but their
own support, with labels or without. Training ends after --steps, or after a hundred passes over the
tasks where these are few. A domain's figures are kept in a file of --out as soon as it
is done; a second call goes on from there.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from oddshot import Prior
from oddshot.data.collections import TableRef, load_collection
from oddshot.data.fields import OTHER
from oddshot.evaluation.domains import loss, query_auroc, tables_by_field
from oddshot.evaluation.metrics import paired_bootstrap
from oddshot.evaluation.protocols import left_out_families
from oddshot.mapping.mapping import HOLLOW, PLAIN
from oddshot.meta_training import anchored_to, train
from oddshot.task_store import TaskStore

COLLECTIONS = ("adbench", "oddbench", "ovrbench")
EMBEDDINGS = ("image_vit", "image_resnet", "text_bert")
FEWEST = 3  # families of a domain
BATCH, RATE, DECAY = 32, 0.003, 0.1  # as scripts/train-priors
PASSES = 100  # over the tasks, at most: what is left of some domains are a few tasks


def main(arguments: list[str] | None = None) -> None:
    """Run the domains that are not done yet, then print the figures."""
    parser = argparse.ArgumentParser(description="New domains.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--episodes", type=Path, default=Path("runs/episodes"))
    parser.add_argument("--out", type=Path, default=Path("runs/domains"))
    parser.add_argument("--domains", help="names, separated by commas; all by default")
    parser.add_argument("--steps", type=int, default=2000)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    refs = {name: load_collection(given.data / name) for name in COLLECTIONS}
    every = [ref for name in COLLECTIONS for ref in refs[name]]
    found = domains(refs)
    wanted = given.domains.split(",") if given.domains else list(found)
    for name in wanted:
        if name not in found:
            raise SystemExit(f"there is no domain {name!r}; choose from {', '.join(found)}")
    given.out.mkdir(parents=True, exist_ok=True)
    store = TaskStore.open(given.episodes)
    for name in wanted:
        path = given.out / f"{name.replace(' ', '-').replace('/', '-')}.json"
        if not path.exists():
            began = time.perf_counter()
            path.write_text(json.dumps(judge(name, found[name], every, store, given.steps)))
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    results = [row for p in sorted(given.out.glob("*.json")) for row in json.loads(p.read_text())]
    text = summarise(pd.DataFrame(results), given.steps)
    (given.out / "summary.md").write_text(text)
    print(text)


def domains(refs: dict[str, list[TableRef]]) -> dict[str, list[TableRef]]:
    """Name every domain that has families enough to be dealt into halves."""
    every = [ref for group in refs.values() for ref in group]
    embeddings = [ref for ref in every if ref.collection in EMBEDDINGS]
    found = {
        "embeddings": embeddings,
        "tables": [ref for ref in every if ref not in embeddings],
        **refs,
        **{n: r for n, r in tables_by_field(refs["oddbench"]).items() if n != OTHER},
    }
    return {n: group for n, group in found.items() if len({r.family for r in group}) >= FEWEST}


def judge(
    name: str, domain: list[TableRef], every: list[TableRef], store: TaskStore, steps: int
) -> list[dict[str, object]]:
    """AUROC of both priors, by family of the domain."""
    families = sorted({ref.family for ref in domain})
    dealt = np.random.default_rng(0).permutation(families)
    rows: list[dict[str, object]] = []
    outside = None
    for half in np.array_split(dealt, 2):
        judged = [ref for ref in domain if ref.family in half]
        without_domain, without_half = left_out_families(domain, judged)
        outside = outside or trained(every, without_domain, store, steps)
        inside = trained(every, without_half, store, steps)
        tasks = store.of_families(without_half)
        in_domain, out_of_domain = query_auroc(inside, tasks), query_auroc(outside, tasks)
        for family, lost in zip(sorted(in_domain), loss(in_domain, out_of_domain), strict=True):
            rows.append(
                {
                    "domain": name,
                    "family": family,
                    "inside": in_domain[family],
                    "outside": out_of_domain[family],
                    "lost": lost,
                }
            )
    return rows


def trained(
    every: Sequence[TableRef], left_out: Sequence[str], store: TaskStore, steps: int
) -> Prior:
    """Train a prior like the shipped one, without some families."""
    kept = {ref.family for ref in every} - set(left_out)
    tasks = store.of_families(kept)
    return train(
        tasks,
        learner="gated",
        settings=anchored_to(PLAIN, HOLLOW),
        steps=max(1, min(steps, PASSES * len(tasks) // BATCH)),
        batch_size=BATCH,
        learning_rate=RATE,
        weight_decay=DECAY,
        provenance={"families": sorted(kept)},
    )


def summarise(found: pd.DataFrame, steps: int) -> str:
    """Write the table of the page of results: means over families, the loss with its interval."""
    lines = [
        f"{steps} steps; machine: {platform.processor() or platform.machine()}, "
        f"{os.cpu_count()} cores.",
        "",
        "| domain | families | in-domain | never seen | lost, points [95%] |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, rows in found.groupby("domain"):
        lost = paired_bootstrap(100 * rows["inside"], 100 * rows["outside"])
        lines.append(
            f"| {name} | {len(rows)} | {rows['inside'].mean():.3f} | {rows['outside'].mean():.3f} "
            f"| {lost.mean:+.1f} [{lost.low:+.1f}, {lost.high:+.1f}] |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
