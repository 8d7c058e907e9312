"""`AAEDetector` taken apart: contamination, ablation, labels, speed, embeddings.

    cd benchmarks; data=../../shared/data
    python autoencoder.py contamination $data/adbench/classical
    python autoencoder.py ablation $data/adbench/classical $data/oddbench
    python autoencoder.py labels $data/adbench/classical
    python autoencoder.py mvtec $data/adbench/image_vit $data/adbench/image_resnet
    python autoencoder.py speed

One thread. A study takes so many tables of each folder (``--tables``), one of a family, drawn by a
fixed seed among those that have the rows for it. Means over tables, a table's splits averaged
first; a table on which a detector failed is left out for all, and named. ``--out`` keeps every
run's figures, and the curve of contamination.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

from oddshot.data.collections import load_collection
from oddshot.data.splits import few_label_split
from oddshot.detectors.autoencoder import AAEDetector
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, Table
from oddshot.errors import DataError, OddshotError
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision, paired_bootstrap
from oddshot.evaluation.models import Scorer
from oddshot.evaluation.peers import find_peers
from oddshot.evaluation.protocols import Trial, few_label, one_class
from oddshot.reports.tables import markdown_table

Fit: TypeAlias = Callable[[Trial], Scorer]
Maker: TypeAlias = Callable[[Table, int], dict[str, Trial]]

SHARES = (0.0, 0.01, 0.05, 0.1, 0.2)
LABELS = (0, 1, 5, 20)
FULL = "full"
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    "G unmoved, `lambda_2=1e-6`": {"lambda_2": 1e-6},
    "`hold_off=0`": {"hold_off": 0.0},
    "`reconstruction=0.5`": {"reconstruction": 0.5},
    "`reconstruction=1`": {"reconstruction": 1.0},
    "`gradient_penalty=0.1`": {"gradient_penalty": 0.1},
    "`patience=2`": {"patience": 2},
    "`neighbours=5`": {"neighbours": 5},
    "`neighbours=10`": {"neighbours": 10},
    "`reach=(0.5, 3)`": {"reach": (0.5, 3.0)},
}
METRICS = ("auroc", "ap")


def main() -> None:
    """Run one study and print its table."""
    parser = argparse.ArgumentParser(description="What AAEDetector does, and what does it.")
    studies = parser.add_subparsers(dest="study", required=True)
    for name, (_, tables) in STUDIES.items():
        study = studies.add_parser(name)
        study.add_argument("folders", nargs="+")
        study.add_argument("--tables", type=int, default=tables, help="of each folder")
        study.add_argument("--seeds", type=int, nargs="+", default=[1])
        study.add_argument("--out", type=Path)
    speed = studies.add_parser("speed")
    speed.add_argument("--rows", type=int, default=10_000)
    speed.add_argument("--columns", type=int, default=20)
    speed.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"machine: {machine()}, one thread\n")
    if given.study == "speed":
        compare_speed(given.rows, given.columns, given.repeats)
    else:
        STUDIES[given.study][0](given)


def contamination(given: argparse.Namespace) -> None:
    """Unlabelled anomalies among the training rows; the rest of a trial stays as it is."""
    fits = {"AAE": aae(), "AAE, `trim=0`": aae(trim=0.0)}
    fits |= {name: peer(name) for name in ("knn", "autoencoder")}
    found = run_study(given, lambda table, seed: contaminated(table, seed=seed), fits)
    print(as_table(found, list(fits)))
    if given.out is not None:
        draw_contamination(found, given.out / "contamination.png")


def ablation(given: argparse.Namespace) -> None:
    """One setting changed at a time, on clean training rows."""
    fits = {name: aae(**settings) for name, settings in VARIANTS.items()}
    found = run_study(
        given, lambda table, seed: {"": one_class(table, seed=seed, max_rows=1000)}, fits
    )
    by_table = {m: found.pivot_table(m, "table", "detector") for m in METRICS}
    rows = []
    for name in VARIANTS:
        cells = [name, *(f"{by_table[m][name].mean():.3f}" for m in METRICS)]
        pairs = [paired_bootstrap(by_table[m][name], by_table[m][FULL]) for m in METRICS]
        rows.append([*cells, *(map(str, pairs) if name != FULL else ("", ""))])
    head = ["", "AUROC", "AP", "difference, AUROC", "difference, AP"]
    print(markdown_table(head, rows))


def labels(given: argparse.Namespace) -> None:
    """Few labels in a contaminated training part."""
    fits = {"AAE": aae(), **{name: peer(name) for name in ("knn", "extra-trees")}}
    found = run_study(
        given,
        lambda table, seed: {
            f"k = {k}": few_label(table, k=k, seed=seed, max_rows=2000) for k in LABELS
        },
        fits,
    )
    print(as_table(found, list(fits)))


def mvtec(given: argparse.Namespace) -> None:
    """Embeddings of images by networks that were trained on others, one class."""
    fits = {"AAE": aae(), "knn": peer("knn")}
    found = run_study(
        given, lambda table, seed: {table.collection: one_class(table, seed=seed)}, fits, "MVTec"
    )
    print(as_table(found, list(fits)))


STUDIES: dict[str, tuple[Callable[[argparse.Namespace], None], int]] = {
    "contamination": (contamination, 5),
    "ablation": (ablation, 4),
    "labels": (labels, 4),
    "mvtec": (mvtec, 8),
}


def compare_speed(rows: int, columns: int, repeats: int, epochs: int = 10) -> None:
    """Time `fit` beside PyOD's autoencoder, by turns; medians, of the processor's time too.

    An epoch of PyOD's shows every row once. AAE draws its batches from at most 4,096 rows, so ten
    epochs can mean as many rows as PyOD sees, or ten times the rows that it keeps.
    """
    generator = np.random.default_rng(0)
    X = generator.normal(size=(rows, columns)) @ generator.normal(size=(columns, columns))
    batch = AAEDetector().batch_size
    all_rows, kept_rows = (math.ceil(epochs * n / batch) for n in (rows, min(rows, 4096)))
    contestants: dict[str, Callable[[], object]] = {
        f"AAE, {all_rows} steps of {batch}: as many rows as {epochs} epochs of all": (
            lambda: AAEDetector(steps=all_rows, random_state=0).fit(X)
        ),
        f"AAE, {kept_rows} steps of {batch}: {epochs} epochs of the rows it keeps": (
            lambda: AAEDetector(steps=kept_rows, random_state=0).fit(X)
        ),
        f"PyOD's AutoEncoder, {epochs} epochs, batches of 32 (its default)": (
            lambda: pyod_autoencoder(X, epochs, 32)
        ),
        f"PyOD's AutoEncoder, {epochs} epochs, batches of {batch}": (
            lambda: pyod_autoencoder(X, epochs, batch)
        ),
    }
    AAEDetector(steps=5).fit(X[:500])  # imports and first calls are not what is measured
    pyod_autoencoder(X[:500], 1, 32)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            began = time.process_time(), time.perf_counter()
            run()
            times[name].append((time.process_time() - began[0], time.perf_counter() - began[1]))
    print(f"fit of {rows} x {columns}, median of {repeats} turns\n")
    cells = [
        [name, *(f"{seconds:.2f}" for seconds in np.median(t, 0))] for name, t in times.items()
    ]
    print(markdown_table(["", "processor, s", "clock, s"], cells))


def pyod_autoencoder(X: np.ndarray, epochs: int, batch: int) -> object:
    """Fit PyOD's, with its other defaults."""
    from pyod.models.auto_encoder import AutoEncoder

    detector = AutoEncoder(epoch_num=epochs, batch_size=batch, device="cpu", verbose=0)
    return detector.fit(X)


def aae(**settings: Any) -> Fit:
    """Give what fits `AAEDetector` with these settings."""

    def fit(trial: Trial) -> Scorer:
        detector = AAEDetector(**settings, random_state=trial.seed)
        return detector.fit(trial.X_train, trial.y_train).anomaly_score

    return fit


def peer(name: str) -> Fit:
    """Give what fits a peer; without labels, one that needs them has no scores."""
    (found,) = find_peers([name])

    def fit(trial: Trial) -> Scorer:
        if found.needs_labels and not np.any(trial.y_train == ANOMALY):
            return lambda rows: np.full(len(rows), np.nan)
        return found.fit(trial.X_train, trial.y_train, seed=trial.seed)

    return fit


def run_study(
    given: argparse.Namespace, trials: Maker, fits: dict[str, Fit], named: str = ""
) -> pd.DataFrame:
    """Judge every detector on every trial: table, trial, seed, detector, auroc, ap."""
    rows, dropped = [], {}
    for table, made in chosen(given, trials, named):
        name = f"{table.collection}/{table.name}"
        for (trial_name, trial), (detector, fit) in (
            (trial, fit) for trial in made for fit in fits.items()
        ):
            try:
                scores = fit(trial)(trial.X_test)
            except OddshotError as error:
                dropped[name] = f"{detector}, {trial_name}: {error}"
                continue
            told = np.isfinite(scores).all()
            figures = [m(trial.y_test, scores) for m in (auroc, average_precision)] if told else []
            rows.append([name, trial_name, trial.seed, detector, *(figures or [np.nan] * 2)])
    found = pd.DataFrame(rows, columns=["table", "trial", "seed", "detector", *METRICS])
    for name, error in dropped.items():
        print(f"left out: {name}: {error}")
    found = found[~found["table"].isin(dropped)]
    names = sorted(found["table"].unique())
    print(f"{len(names)} tables, seeds {given.seeds}: {', '.join(names)}\n")
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        found.to_csv(given.out / f"{given.study}.csv", index=False)
    return found


def chosen(
    given: argparse.Namespace, trials: Maker, named: str
) -> Iterator[tuple[Table, list[tuple[str, Trial]]]]:
    """Give tables with their trials, so many of each folder, one of a family but for ``named``."""
    for folder in given.folders:
        refs = [ref for ref in load_collection(folder) if named in ref.name]
        families: set[str] = set()
        for index in np.random.default_rng(0).permutation(len(refs)):
            ref = refs[index]
            family = ref.name if named else ref.family
            if family in families or len(families) == given.tables:
                continue
            try:
                table = ref.load()
                made = [item for seed in given.seeds for item in trials(table, seed).items()]
            except OddshotError:
                continue  # too few rows of a kind for this study
            families.add(family)
            yield table, made


def contaminated(table: Table, *, seed: int, most: int = 600, fewest: int = 60) -> dict[str, Trial]:
    """Make a trial for every share of anomalies: normal rows and test part are always the same.

    Raises
    ------
    DataError
        If the training part has fewer than ``fewest`` anomalies.
    """
    truth = table.labels
    split = few_label_split(truth, k=0, seed=seed, rows=table.rows)
    kinds = truth[split.train_index]
    rng = np.random.default_rng(seed)
    normal, odd = (rng.permutation(split.train_index[kinds == kind]) for kind in (NORMAL, ANOMALY))
    if len(odd) < fewest:
        raise DataError(f"{table.name!r} has {len(odd)} anomalies to train on; {fewest} are needed")
    largest = SHARES[-1] / (1 - SHARES[-1])
    normal = normal[: min(most, int(len(odd) / largest))]
    rows = table.rows.to_numpy() if isinstance(table.rows, pd.DataFrame) else table.rows
    made = {}
    for share in SHARES:
        shown = np.concatenate([normal, odd[: round(share / (1 - share) * len(normal))]])
        made[f"{share:.0%}"] = Trial(
            "contaminated",
            table.name,
            table.family,
            table.collection,
            0,
            seed,
            rows[shown],
            np.full(len(shown), UNLABELLED, np.int8),
            rows[split.test_index],
            truth[split.test_index],
        )
    return made


def means(found: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean over tables: a row a trial, in the order of the study, and a column a detector."""
    by_table = found.groupby(["trial", "detector", "table"], sort=False)[metric].mean()
    return by_table.groupby(["trial", "detector"], sort=False).mean().unstack("detector")


def as_table(found: pd.DataFrame, detectors: list[str]) -> str:
    """Lay mean AUROC / AP out as Markdown."""
    auroc_of, ap_of = (means(found, metric) for metric in METRICS)
    rows = []
    for trial in found["trial"].unique():
        pairs = [(auroc_of.loc[trial, name], ap_of.loc[trial, name]) for name in detectors]
        rows.append([trial, *("" if np.isnan(a) else f"{a:.3f} / {p:.3f}" for a, p in pairs)])
    return markdown_table(["AUROC / AP", *detectors], rows)


def draw_contamination(found: pd.DataFrame, path: Path) -> None:
    """Draw means against the share of anomalies."""
    from figures import panels

    figure, axes = panels(2, width=4.4, height=3.4)
    for ax, (metric, name) in zip(
        axes, (("auroc", "AUROC"), ("ap", "average precision")), strict=True
    ):
        for (detector, values), (colour, marker) in zip(
            means(found, metric).items(),
            (("#0072B2", "o"), ("#56B4E9", "^"), ("#D55E00", "s"), ("#009E73", "D")),
            strict=True,
        ):
            width = 2.4 if detector == "AAE" else 1.5
            ax.plot(values.index, values, color=colour, marker=marker, lw=width, label=detector)
        ax.set(title=name, xlabel="unlabelled anomalies among the training rows")
        ax.tick_params(labelleft=True)
    axes[0].set_ylabel("mean over tables")
    axes[0].legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
