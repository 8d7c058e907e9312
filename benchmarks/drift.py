"""Drift: false alarms, what is seen and how soon, and what a refreshed context gives back.

    python benchmarks/drift.py ../shared/data --prior runs/without-classical [--out runs/drift]

Four parts: `contexts` (quiet windows), `tables` (real tables, simulated shifts), `skab` (a water
circuit, 16 runs) and `nsl` (network connections, from easy to difficult). Each table, run and
repeat is kept in a file of `--out` as soon as it is done; a second call goes on from there. The
prior must not have seen the tables. Two plain peers stand beside `DriftMonitor`: Kolmogorov and
Smirnov's test of each column (chi-squared where it has levels) with Bonferroni's correction, and an
alarm on the mean score.
"""

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, ks_2samp, norm

from oddshot import FewShotDetector, Prior
from oddshot.data.collections import load_collection
from oddshot.evaluation.metrics import auroc

CONTEXT, WINDOW, QUIET, SHIFTED = 1000, 200, 10, 5
ALPHAS = (0.01, 0.05)
KEEPS = (0.0, 0.25, 1.0)
PEERS = ("Oddshot", "KS, Bonferroni", "mean score")
STEPS = ("21, other rows", "20", "18-19", "0-17")


class Data(NamedTuple):
    """A table, and which of its rows are anomalies."""

    name: str
    rows: pd.DataFrame
    odd: np.ndarray


Shift = Callable[[Any], Any]
Jobs = Iterator[tuple[str, Callable[[], list[dict[str, Any]]]]]


def main(arguments: list[str] | None = None) -> None:
    """Run what is not done yet, then print the figures."""
    parser = argparse.ArgumentParser(description="Drift on real tables.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--prior", default="default")
    parser.add_argument("--out", type=Path, default=Path("runs/drift"))
    parser.add_argument("--parts", default="contexts,tables,skab,nsl")
    parser.add_argument("--limit", type=int, help="only the first tables and runs")
    given = parser.parse_args(arguments)
    prior = Prior.find(given.prior)
    given.out.mkdir(parents=True, exist_ok=True)
    jobs = {"contexts": contexts, "tables": tables, "skab": skab_runs, "nsl": nsl_repeats}
    for part in given.parts.split(","):
        for name, run in [*jobs[part](given.data, prior)][: given.limit]:
            path = given.out / f"{part}-{name}.json"
            if not path.exists():
                began = time.perf_counter()
                path.write_text(json.dumps(run()))
                print(f"{part} {name}: {time.perf_counter() - began:.0f} s", flush=True)
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores\n")
    show(given.out)


def tables(data: Path, prior: Prior) -> Jobs:
    """See drift on each table."""
    for name, load in loaders(data, prior):
        yield name, lambda load=load: on_table(load(), prior)


def contexts(data: Path, prior: Prior) -> Jobs:
    """Look at one quiet window of each of ten contexts of a table: these are independent."""
    for name, load in loaders(data, prior):

        def run(load: Callable[[], Data] = load) -> list[dict[str, Any]]:
            table = load()
            found = []
            for seed in range(10):
                order = np.random.default_rng([seed, 1]).permutation(len(table.rows))
                count = min(CONTEXT, len(order) // 2)
                size = min(WINDOW, len(order) - count)
                rows = table.rows.iloc[order[:count]]
                watched = Watched(rows, np.full(count, -1), prior, seed=seed)
                window = table.rows.iloc[order[count : count + size]]
                found.append({"table": table.name, **watched.judge(window, "quiet")})
            return found

        yield name, run


def loaders(data: Path, prior: Prior) -> Iterator[tuple[str, Callable[[], Data]]]:
    """Name classical tables, and three mixed ones, and how to read them."""
    for ref in load_collection(data / "adbench" / "classical"):
        if ref.family in prior.seen_families:
            raise SystemExit(f"the prior was trained on the family of {ref.name}; give another")

        def classical(ref: Any = ref) -> Data:
            table = ref.load()
            return Data(ref.name, pd.DataFrame(table.rows).add_prefix("c"), table.labels == 1)

        yield ref.name, classical
    yield "nsl_kdd", lambda: mostly_normal(nsl_kdd(data)[0])
    for name in ("adult", "german_credit"):

        def mixed(name: str = name) -> Data:
            rows = pd.read_csv(data / "mixed" / f"{name}.csv", header=None, skipinitialspace=True)
            rows = rows.add_prefix("c")
            rows = rows.sample(min(len(rows), 5000), random_state=0, ignore_index=True)
            return Data(name, rows, np.zeros(len(rows), bool))

        yield name, mixed


def on_table(data: Data, prior: Prior) -> list[dict[str, Any]]:
    """Quiet windows, windows with more anomalies, and windows that shifted; then AUROC."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(data.rows))
    count = min(CONTEXT, len(order) // 2)
    context, rest = order[:count], order[count:]
    size = min(WINDOW, len(rest) // 4)
    labels = np.full(count, -1)
    labels[np.flatnonzero(data.odd[context])[:5]] = 1
    rows = data.rows.iloc[context]
    watched = Watched(rows, labels, prior)
    found = []

    def windows(times: int, odd: float | None = None) -> Iterator[pd.DataFrame]:
        for _ in range(times):
            if odd is None:
                yield data.rows.iloc[rng.choice(rest, size, replace=False)]
                continue
            number = min(round(odd * size), int(data.odd[rest].sum()))
            anomalies = rng.choice(rest[data.odd[rest]], number, replace=False)
            normal = rng.choice(rest[~data.odd[rest]], size - number, replace=False)
            yield data.rows.iloc[np.concatenate([anomalies, normal])]

    shuffled = rng.permutation(rest)  # quiet windows share no row
    for start in range(0, min(QUIET * size, len(rest) - size + 1), size):
        found.append(watched.judge(data.rows.iloc[shuffled[start : start + size]], "quiet"))
    share = float(data.odd.mean())
    for more in (0.05, 0.10):
        if share:
            kind = f"{more:.0%} anomalies more"
            found += [watched.judge(window, kind) for window in windows(3, share + more)]
    for kind, column, shift in shifts(data.rows.iloc[order], rng):
        for window in windows(SHIFTED):
            found.append(watched.judge(shift(window), kind, column))
    if data.odd[rest].any():
        found += after_shift(data, rest, watched, rng)
    return [{"table": data.name, **record} for record in found]


def shifts(rows: pd.DataFrame, rng: np.random.Generator) -> Iterator[tuple[str, str, Shift]]:
    """Shifts of one column each: how it is called, which column, and what becomes of a window."""
    numbers = [c for c in rows if rows[c].dtype.kind in "iuf" and rows[c].nunique() > 10]
    levels = [c for c in rows if rows[c].dtype.kind not in "iuf"]
    if numbers:
        name = str(rng.choice(numbers))
        spread, middle = float(rows[name].std()), float(rows[name].median())

        def changed(change: Shift) -> Shift:
            return lambda window: window.assign(**{name: change(window[name].astype(float))})

        yield "mean + 1/2 sd", name, changed(lambda v: v + spread / 2)
        yield "mean + 1 sd", name, changed(lambda v: v + spread)
        yield "scale x 2", name, changed(lambda v: middle + 2 * (v - middle))
        yield "unit x 1000", name, changed(lambda v: 1000 * v)
        yield "20% missing", name, changed(lambda v: v.where(rng.random(len(v)) > 0.2))
    for share in (0.05, 0.2) if levels else ():
        level = str(rng.choice(levels))

        def renamed(window: Any, level: str = level, share: float = share) -> Any:
            return window.assign(
                **{level: window[level].mask(rng.random(len(window)) < share, "new")}
            )

        yield f"new category, {share:.0%}", level, renamed
    lost = str(rng.choice(rows.columns))
    yield "column lost", lost, lambda window: window.drop(columns=lost)


class Watched:
    """A detector, a monitor of its context, and the two peers."""

    def __init__(
        self,
        rows: pd.DataFrame,
        labels: np.ndarray,
        prior: Prior,
        *,
        block: int = 1,
        seed: int = 0,
    ) -> None:
        self.rows, self.labels = rows.reset_index(drop=True), labels
        self.detector = FewShotDetector(prior=prior, random_state=seed).fit(self.rows, labels)
        self.monitor = self.detector.drift_monitor(block=block)
        self.scores = self.detector.anomaly_score(self.rows)

    def judge(self, window: pd.DataFrame, kind: str, column: str = "") -> dict[str, Any]:
        """Ask all three whether a window drifted."""
        began = time.perf_counter()
        found = self.monitor.check(window)
        seconds = time.perf_counter() - began
        lost = not {*self.rows} <= {*window}
        return {
            "kind": kind,
            "Oddshot": 0.0 if found.drifted and lost else found.p,
            "KS, Bonferroni": 0.0 if lost else self.by_column(window),
            "mean score": 0.0 if lost else self.by_score(window),
            "more": found.p_more,
            "effect": found.effect,
            "named": bool(found.moved) and found.moved[0].column == column,
            "seconds": seconds,
        }

    def by_column(self, window: pd.DataFrame) -> float:
        """Least p-value of all columns, times their number."""
        least = 1.0
        for name in self.rows:
            old, new = self.rows[name].dropna(), window[name].dropna()
            if old.dtype.kind in "iuf":
                p = ks_2samp(old, new, method="asymp").pvalue if len(new) else 0.0
            else:
                counts = pd.crosstab(
                    np.repeat([0, 1], [len(old), len(new)]), np.concatenate([old, new])
                )
                p = chi2_contingency(counts, correction=False).pvalue
            least = min(least, float(p))
        return min(1.0, least * self.rows.shape[1])

    def by_score(self, window: pd.DataFrame) -> float:
        """One-sided z test of the mean score."""
        mean = self.detector.anomaly_score(window).mean()
        error = self.scores.std() * np.sqrt(1 / len(window) + 1 / len(self.scores))
        return float(norm.sf((mean - self.scores.mean()) / error))


def after_shift(
    data: Data, rest: np.ndarray, watched: Watched, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """AUROC before a strong shift, after it, and refreshed on 400 unlabelled rows after it."""
    rest = rng.permutation(rest)
    fresh, test = rest[: min(400, len(rest) // 2)], rest[min(400, len(rest) // 2) :][:1000]
    truth = data.odd[test].astype(np.int8)
    if not 0 < truth.sum() < len(truth):
        return []
    names = [c for c in data.rows if data.rows[c].dtype.kind in "iuf"]
    chosen = rng.choice(len(names), max(1, len(names) // 5), replace=False)
    moved = [names[i] for i in chosen]
    spread, middle = data.rows[moved].std(), data.rows[moved].median()
    strong: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
        "mean + 2 sd, a fifth of columns": lambda v: v + 2 * spread,
        "scale x 3, a fifth of columns": lambda v: middle + 3 * (v - middle),
        "unit x 1000, a fifth of columns": lambda v: 1000 * v,
        "a fifth of columns lost": lambda v: v * np.nan,
    }
    before = auroc(truth, watched.detector.anomaly_score(data.rows.iloc[test]))
    found = []
    for kind, change in strong.items():
        shifted = data.rows.copy()
        shifted[moved] = change(shifted[moved].astype(float))
        window = shifted.iloc[fresh]
        drift = watched.monitor.check(window)
        record = {"kind": kind, "auroc": before, "drifted": drift.drifted}
        record["after"] = auroc(truth, watched.detector.anomaly_score(shifted.iloc[test]))
        for keep in KEEPS:
            newer = watched.detector.refresh(window, keep=keep, factors=drift.factors)
            record[f"keep {keep:g}"] = auroc(truth, newer.anomaly_score(shifted.iloc[test]))
        fitted = FewShotDetector(prior=watched.detector.prior, random_state=0).fit(window)
        record["new rows alone"] = auroc(truth, fitted.anomaly_score(shifted.iloc[test]))
        found.append(record)
    return found


def skab_runs(data: Path, prior: Prior) -> Jobs:
    """Sixteen runs; the context is the start of each, before a valve is turned."""
    for path in sorted((data / "skab").glob("*.csv")):

        def run(path: Path = path) -> list[dict[str, Any]]:
            rows = pd.read_csv(path, sep=";")
            odd = rows.pop("anomaly").to_numpy() == 1
            rows = rows.drop(columns=["datetime", "changepoint"])
            start, size = 400, 60
            found = []
            for block in (1, 20):
                watched = Watched(rows[:start], np.zeros(start), prior, block=block)
                for first in range(start, len(rows) - size + 1, size):
                    window = slice(first, first + size)
                    kind = "after" if odd[:first].any() else "quiet"
                    kind = "anomalous" if odd[window].any() else kind
                    record = watched.judge(rows[window], kind)
                    found.append({"run": path.stem, "block": block, **record})
            turned = int(odd.argmax())
            truth, test = odd[turned:].astype(np.int8), rows[turned:]
            record = {"kind": "AUROC", "auroc": auroc(truth, watched.detector.anomaly_score(test))}
            fresh = rows[start:turned]
            for keep in KEEPS:
                newer = watched.detector.refresh(fresh, np.zeros(len(fresh)), keep=keep)
                record[f"keep {keep:g}"] = auroc(truth, newer.anomaly_score(test))
            return [*found, record]

        yield path.stem, run


def nsl_kdd(data: Path) -> tuple[Data, np.ndarray]:
    """Read connections, which are attacks, and how many of 21 learners got each right."""
    names = pd.read_csv(data / "nsl_kdd" / "field_names.csv", header=None)[0].tolist()
    rows = pd.read_csv(
        data / "nsl_kdd" / "train_20_percent.csv.gz", header=None, names=[*names, "type", "ease"]
    )
    odd = (rows.pop("type") != "normal").to_numpy()
    ease = rows.pop("ease").to_numpy()
    return Data("nsl_kdd", rows, odd), ease


def mostly_normal(data: Data) -> Data:
    """Six thousand normal rows, and attacks for a twentieth of all."""
    normal = np.flatnonzero(~data.odd)[:6000]
    attacks = np.flatnonzero(data.odd)[: len(normal) // 19]
    chosen = np.sort(np.concatenate([normal, attacks]))
    return Data(data.name, data.rows.iloc[chosen].reset_index(drop=True), data.odd[chosen])


def nsl_repeats(data: Path, prior: Prior) -> Jobs:
    """From connections that all learners get right to those that few do, a tenth of it attacks."""
    for repeat in range(5):

        def run(repeat: int = repeat) -> list[dict[str, Any]]:
            rng = np.random.default_rng(repeat)
            table, ease = nsl_kdd(data)
            step = np.select([ease == 21, ease == 20, ease >= 18], [0, 1, 2], 3)

            def draw(pool: np.ndarray, count: int) -> np.ndarray:
                pool = rng.permutation(pool)
                attacks = pool[table.odd[pool]][: count // 10]
                normal = pool[~table.odd[pool]][: count - len(attacks)]
                return rng.permutation(np.concatenate([normal, attacks]))

            context = draw(np.flatnonzero(step == 0), CONTEXT)
            labels = np.full(len(context), -1)
            labels[np.flatnonzero(table.odd[context])[:5]] = 1
            watched = Watched(table.rows.iloc[context], labels, prior)
            found = []
            for number, name in enumerate(STEPS):
                pool = np.setdiff1d(np.flatnonzero(step == number), context)
                window = draw(pool, 220)
                test = draw(np.setdiff1d(pool, window), 300)
                record = watched.judge(table.rows.iloc[window], name)
                truth, rows = table.odd[test].astype(np.int8), table.rows.iloc[test]
                record["auroc"] = auroc(truth, watched.detector.anomaly_score(rows))
                for keep in KEEPS:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        newer = watched.detector.refresh(table.rows.iloc[window], keep=keep)
                    record[f"keep {keep:g}"] = auroc(truth, newer.anomaly_score(rows))
                found.append({"repeat": repeat, **record})
            return found

        yield str(repeat), run


def show(out: Path) -> None:
    """Print what the files of a folder hold."""
    found = {
        part: pd.DataFrame(
            [r for path in sorted(out.glob(f"{part}-*.json")) for r in json.loads(path.read_text())]
        )
        for part in ("contexts", "tables", "skab", "nsl")
    }
    if len(found["contexts"]):
        show_contexts(found["contexts"])
    if len(found["tables"]):
        show_tables(found["tables"])
    if len(found["skab"]):
        show_skab(found["skab"])
    if len(found["nsl"]):
        kept = ["auroc", *(f"keep {keep:g}" for keep in KEEPS)]
        print("\nNSL-KDD: share of windows called drift at 0.01, effect, AUROC of the rows after")
        by_step = found["nsl"].assign(drift=lambda r: r["Oddshot"] <= 0.01).groupby("kind")
        print(markdown(by_step[["drift", "effect", *kept]].mean().loc[[*STEPS]]))


def show_contexts(found: pd.DataFrame) -> None:
    """Print how often quiet windows alarm, each beside a context of its own."""
    print(f"Share of quiet windows with p <= alpha, one in each of {len(found)} contexts\n")
    columns = {"Oddshot: drift": "Oddshot", "Oddshot: more anomalies": "more"}
    columns |= {peer: peer for peer in PEERS[1:]}
    alphas = (0.01, 0.05, 0.1, 0.2)
    rates = {
        f"{alpha} (standard error {np.sqrt(alpha * (1 - alpha) / len(found)):.3f})": {
            name: (found[column] <= alpha).mean() for name, column in columns.items()
        }
        for alpha in alphas
    }
    print(markdown(pd.DataFrame(rates).T) + "\n")


def show_tables(found: pd.DataFrame) -> None:
    """Alarms of all three; the named column; then AUROC."""
    windows = found[found["auroc"].isna()] if "auroc" in found else found
    lines = {}
    for kind, rows in windows.groupby("kind", sort=False):
        lines[kind] = {"tables": rows["table"].nunique(), "windows": len(rows)}
        for peer in PEERS:
            for alpha in ALPHAS:
                lines[kind][f"{peer}, {alpha}"] = (rows[peer] <= alpha).mean()
        lines[kind]["more anomalies, 0.01"] = (
            (rows["more"] <= 0.01) & (rows["Oddshot"] > 0.01)
        ).mean()
        lines[kind]["column named first"] = rows["named"].mean()
        lines[kind]["delay"] = first_alarms(rows).mean()
        lines[kind]["never"] = first_alarms(rows).isna().mean()
    quiet = windows[windows["kind"] == "quiet"]
    error = np.sqrt(0.01 * 0.99 / len(quiet))
    print(
        f"Share of windows that raise an alarm; {len(quiet)} quiet ones (standard error at 0.01: "
        f"{error:.3f}). Delay of Oddshot at 0.01, in windows, and share of tables without an alarm "
        f"in {SHIFTED} windows. Median {windows['seconds'].median():.2f} s a window.\n"
    )
    print(markdown(pd.DataFrame(lines).T))
    if "auroc" in found:
        kept = ["auroc", "after", *(f"keep {keep:g}" for keep in KEEPS), "new rows alone"]
        strong = found[found["auroc"].notna()].groupby("kind", sort=False)
        print("\nMean AUROC before a strong shift, after it, and refreshed on 400 rows after it\n")
        print(markdown(strong[["drifted", *kept]].mean()))


def first_alarms(rows: pd.DataFrame) -> pd.Series:
    """Count windows up to the first with an alarm, by table."""
    alarmed = rows["Oddshot"] <= 0.01
    number = rows.groupby("table").cumcount() + 1
    return number.where(alarmed).groupby(rows["table"]).min()


def show_skab(found: pd.DataFrame) -> None:
    """Print alarms before, while and after a valve was turned; then AUROC."""
    print("\nSKAB: share of windows of 60 rows that raise an alarm at 0.01\n")
    lines = {}
    for (block, kind), rows in found.groupby(["block", "kind"], sort=False):
        lines[f"block {block:g}, {kind}"] = {
            "windows": len(rows),
            **{peer: (rows[peer] <= 0.01).mean() for peer in PEERS},
            "effect": rows["effect"].median(),
        }
    print(markdown(pd.DataFrame(lines).T))
    kept = ["auroc", *(f"keep {keep:g}" for keep in KEEPS)]
    print("\nSKAB: AUROC from the turn on, and refreshed on the rows just before it\n")
    print(markdown(found.loc[found["kind"] == "AUROC", kept].mean().to_frame("mean").T))


def markdown(table: pd.DataFrame) -> str:
    """Write a table with three decimals."""
    head = ["", *map(str, table.columns)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, row in table.iterrows():
        cells = [f"{v:.3f}".removesuffix(".000") if float(v) >= 1 else f"{v:.3f}" for v in row]
        lines.append("| " + " | ".join([str(name), *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
