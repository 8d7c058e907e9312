"""Odd stretches of series: servers and advertisements (NAB), a water circuit (SKAB), broken bonds.

    python benchmarks/series.py ../shared/data [--parts nab,skab,bonds] [--limit N]

*nab* (Lavin and Ahmad 2015): every series with a labelled anomaly, seen as a whole, without a
label. A reading's score is the mean score of the windows that it lies in, for all contestants
alike. *skab* (Katser and Kozitsin 2020): the first 400 readings of a run are known to be normal and
learned from; the others are judged. The shipped prior has seen neither. *bonds*: made here, 3,000
normal readings of four sensors to learn from and 3,000 to judge; one sensor follows another, and
for four times 40 readings does not, though each of them looks as usual.

Contestants: `SeriesDetector`; PyOD's isolation forest and kNN on the same descriptions of windows;
the distance to the tenth nearest window of the same length, each standardised ("discord", as by a
matrix profile); `FewShotDetector` on single readings, and what principal components of readings
leave (all but a tenth of the variance kept), both smoothed over as many. Columns: AUROC and average
precision of readings; of NAB's labelled stretches how many are hit by as many peaks, at least a
window apart; else the share above a promised 1% where nothing is odd (of SKAB before the fault) and
where something is.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from oddshot import FewShotDetector, SeriesDetector
from oddshot.detectors.series import covering_means
from oddshot.evaluation.machine import machine
from oddshot.evaluation.peers import find_peers
from oddshot.mapping.windows import Windows
from oddshot.reports.tables import markdown_table

PEERS = ("iforest", "knn")
WINDOWS = {"nab": (24, 48, 96), "skab": (10, 30), "bonds": (24,)}
MADE, READINGS, BREAKS, LASTING = 10, 3000, 4, 40
LEARNED, ALPHA = 400, 0.01
MOST_SUBSEQUENCES = 2000


def main(arguments: list[str] | None = None) -> None:
    """Run the parts, then print a row for each contestant and window."""
    parser = argparse.ArgumentParser(description="Odd stretches of series.")
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--parts", default="nab,skab,bonds")
    parser.add_argument("--limit", type=int, help="only the first series")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {machine()}\n")
    for part in given.parts.split(","):
        runs = {"nab": nab, "skab": skab, "bonds": bonds}[part](given.data)
        found = [
            {"window": window, **record}
            for run in islice(runs, given.limit)
            for window in WINDOWS[part]
            for record in run(window)
        ]
        table = pd.DataFrame(found)
        means = table.groupby(["window", "contestant"], sort=False).mean()
        print(f"{part}, means over {len(found) // len(means)} series\n")
        rows = [
            [f"{contestant}, {window}", *(f"{value:.3f}" for value in values)]
            for (window, contestant), values in zip(means.index, means.to_numpy(), strict=True)
        ]
        print(markdown_table(["contestant, window", *means.columns], rows), flush=True)


def nab(data: Path) -> Iterator:
    """Give what runs on each series that has a labelled anomaly."""
    labelled = json.loads((data / "nab" / "combined_windows.json").read_text())
    for name, stretches in labelled.items():
        if not stretches:
            continue
        series = pd.read_csv(data / "nab" / name)
        times = pd.to_datetime(series["timestamp"])
        inside = [((times >= first) & (times <= last)).to_numpy() for first, last in stretches]

        def run(size: int, series: pd.DataFrame = series, inside: list = inside) -> Iterator:
            odd = np.any(inside, axis=0)
            described = Windows(size, time="timestamp").fit(series).of(series).rows
            unlabelled = np.full(len(described), -1, dtype=np.int8)
            detector = SeriesDetector(window=size, time="timestamp").fit(series)
            scores = {"Oddshot": detector.anomaly_score(series)}
            for peer in find_peers(PEERS):
                own = peer.fit(described, unlabelled, seed=0)(described)
                scores[f"{peer.name} on windows"] = covering_means(own, size)
            values = series[["value"]].to_numpy()
            scores["discord"] = covering_means(discord(values[:, 0], size), size)
            single = FewShotDetector(random_state=0).fit(values).anomaly_score(values)
            scores["Oddshot on readings"] = smoothed(single, size)
            for name, found in scores.items():
                yield {
                    "contestant": name,
                    "AUROC": roc_auc_score(odd, found),
                    "AP": average_precision_score(odd, found),
                    "hit": hits(found, inside, size),
                }

        yield run


def skab(data: Path) -> Iterator:
    """Give what runs on each run of the water circuit."""
    for path in sorted((data / "skab").glob("*.csv")):
        series = pd.read_csv(path, sep=";")
        odd = series["anomaly"].to_numpy()[LEARNED:] == 1
        if not odd.any():
            continue
        series = series.drop(columns=["anomaly", "changepoint"])
        quiet = np.arange(len(odd)) < np.argmax(odd)

        def run(
            size: int,
            series: pd.DataFrame = series,
            odd: np.ndarray = odd,
            quiet: np.ndarray = quiet,
        ) -> Iterator:
            return after_normal(series, odd, quiet, size, time="datetime")

        yield run


def bonds(_: Path) -> Iterator:
    """Give what runs on each made series, in which a sensor ceases to follow another."""
    for seed in range(MADE):
        first, second = (made(np.random.default_rng([seed, part]), part) for part in (0, 1))
        series, odd = pd.concat([first[0], second[0]], ignore_index=True), second[1]
        series["minute"] = np.arange(len(series))

        def run(size: int, series: pd.DataFrame = series, odd: np.ndarray = odd) -> Iterator:
            return after_normal(series, odd, ~odd, size, time="minute")

        yield run


def made(generator: np.random.Generator, breaks: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """Make readings of four sensors, and tell in which of them the second leaves the first."""
    odd = np.zeros(READINGS, dtype=bool)
    for start in generator.integers(LASTING, READINGS - 2 * LASTING, BREAKS * breaks):
        odd[start : start + LASTING] = True
    season = np.sin(np.arange(READINGS) * 2 * np.pi / 144)
    drawn = generator.normal(size=(3, READINGS + 19))
    smooth = [np.convolve(each, np.full(20, 20**-0.5), "valid") for each in drawn]
    flow, another = smooth[0] + season, smooth[1] + season
    noise, other = generator.normal(size=(2, READINGS))
    power = 0.8 * np.where(odd, another, flow) + 0.15 * noise
    return pd.DataFrame({"flow": flow, "power": power, "heat": smooth[2], "other": other}), odd


def after_normal(
    series: pd.DataFrame, odd: np.ndarray, quiet: np.ndarray, size: int, *, time: str
) -> Iterator:
    """Judge the last readings, which ``odd`` (n,) tells of, after all before them as normal."""
    known = len(series) - len(odd)
    first, rest = series.iloc[:known], series.iloc[known - size + 1 :]
    detector = SeriesDetector(window=size, time=time)
    detector.fit(first, np.zeros(known)).set_threshold(alpha=ALPHA)
    judged = {"Oddshot": (detector.anomaly_score(rest)[size - 1 :], detector.threshold_)}
    windows = Windows(size, time=time).fit(first)
    own, new = (windows.of(part).rows for part in (first, rest))
    for peer in find_peers(PEERS):
        score = peer.fit(own, np.zeros(len(own), dtype=np.int8), seed=0)
        found = covering_means(score(new), size)[size - 1 :]
        judged[f"{peer.name} on windows"] = found, above_most(covering_means(score(own), size))
    numbers = series.drop(columns=time).to_numpy()
    single = FewShotDetector(random_state=0).fit(numbers[:known], np.zeros(known))
    for name, score in (("Oddshot", single.anomaly_score), ("pca", left_over(numbers[:known]))):
        found = smoothed(score(numbers[known:]), size)
        judged[f"{name} on readings"] = found, above_most(smoothed(score(numbers[:known]), size))
    for name, (found, above) in judged.items():
        yield {
            "contestant": name,
            "AUROC": roc_auc_score(odd, found),
            "AP": average_precision_score(odd, found),
            "alarms": float((found[quiet] > above).mean()),
            "found": float((found[odd] > above).mean()),
        }


def above_most(scores: np.ndarray) -> float:
    """Give the score that the promised share of scores (n,) is above."""
    return float(np.quantile(scores, 1 - ALPHA))


def left_over(normal: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Learn principal components of readings (n, d); give what they leave of others."""
    scaler = StandardScaler().fit(normal)
    components = PCA(0.9).fit(scaler.transform(normal))

    def left(readings: np.ndarray) -> np.ndarray:
        scaled = scaler.transform(readings)
        told = components.inverse_transform(components.transform(scaled))
        return np.linalg.norm(scaled - told, axis=1)

    return left


def discord(values: np.ndarray, size: int) -> np.ndarray:
    """Distance of each standardised window (m,) to the tenth nearest one of a sample."""
    windows = sliding_window_view(values, size)
    spread = np.maximum(windows.std(axis=1, keepdims=True), 1e-9)
    shapes = (windows - windows.mean(axis=1, keepdims=True)) / spread
    sample = shapes[:: max(1, len(shapes) // MOST_SUBSEQUENCES)]
    return NearestNeighbors(n_neighbors=10).fit(sample).kneighbors(shapes)[0][:, -1]


def smoothed(scores: np.ndarray, size: int) -> np.ndarray:
    """Mean of each score (n,) and those around it."""
    return pd.Series(scores).rolling(size, center=True, min_periods=1).mean().to_numpy()


def hits(scores: np.ndarray, inside: list[np.ndarray], size: int) -> float:
    """Share of labelled stretches that one of as many peaks lies in."""
    left, hit = scores.copy(), np.zeros(len(inside), dtype=bool)
    apart = max(size, len(scores) // 50)
    for _ in inside:
        peak = int(np.argmax(left))
        hit |= [bool(stretch[peak]) for stretch in inside]
        left[max(peak - apart, 0) : peak + apart] = -np.inf
    return float(hit.mean())


if __name__ == "__main__":
    main()
