"""How thresholds, p-values, selections and probabilities do on labelled tables.

    python benchmarks/thresholds.py ../shared/data/adbench/classical --prior runs/without-classical

prints the default threshold's alarms, false alarms and F1 beside the best F1: contaminated without
labels, contaminated with three, five and twenty, and clean; one split a table, at most 2,500 rows,
means over tables. "Found": share of the anomalies that are flagged.

    python benchmarks/thresholds.py ../shared/data/adbench/classical \
        --prior runs/without-classical --promises
    python benchmarks/thresholds.py ../shared/data/oddbench --prior runs/fold0 --unseen-only \
        --tables 82 --promises

holds promises against what comes of them: false alarms at alpha, false discoveries at a rate, and
probabilities. Normal rows are drawn at random into 500 at most to learn from and 300 to be judged,
equal rows or not, because that is what the promises assume. The second command goes on in the same
file; both write a summary of all that is in it, and go on where they were stopped. "Looked at": of
the contaminated rows a person has looked at 20, picked by `suggest` one after the other, and has
said what they are.

    python benchmarks/thresholds.py FOLDER --prior PRIOR --few-rows

tells what share of new normal rows, and of anomalies, is flagged where the support is a few normal
rows: by the automatic threshold and at p <= 0.1; beside it the same where new rows are compared
with the support as its own rows are ("as its own"), and not with rows held out.

The prior must not have seen the tables.
"""

import argparse
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from figures import mean_and_interval
from sklearn.metrics import f1_score

from oddshot import FewShotDetector, OddshotError, Prior, suggest
from oddshot.data.collections import TableRef, load_collection
from oddshot.episodes import ANOMALY, NORMAL, UNLABELLED, Rows, Table
from oddshot.errors import CalibrationWarning
from oddshot.evaluation.protocols import Trial, few_label, one_class
from oddshot.reports.tables import markdown_table
from oddshot.thresholds.discoveries import discoveries

MOST_ROWS = 2500

LEARN, JUDGE, LEAST = 500, 300, 150  # normal rows
CONTAMINATION, BATCH_SHARE, LOOKS = 0.05, 0.1, 20
SUPPORTS = ("clean", "contaminated", "looked at")
ALPHAS, RATES = (0.01, 0.05, 0.1), (0.05, 0.1, 0.2)
BINS = 10
FEW, LEAST_NEW = (10, 20, 40, 100, 200), 20
FLAGGED = (
    "new normal, threshold",
    "new normal, p <= 0.1",
    "anomalies, threshold",
    "anomalies, p <= 0.1",
)
METHODS = {
    "own": "own rows, no refit",
    "given": "half kept back, given to `calibrate`",
    "split": '`calibrate(method="split")`',
    "cross": '`calibrate(method="cross")`',
}


def main(arguments: list[str] | None = None) -> None:
    """Print a line for each kind of support, or hold promises against what comes of them."""
    parser = argparse.ArgumentParser(description="Thresholds on labelled tables.")
    parser.add_argument("folder")
    parser.add_argument("--prior", default="default")
    parser.add_argument("--unseen-only", action="store_true", help="leave out what it has seen")
    parser.add_argument("--promises", action="store_true")
    parser.add_argument("--few-rows", action="store_true")
    parser.add_argument("--tables", type=int, help="so many at random, with --promises")
    parser.add_argument("--out", type=Path, default=Path("runs/thresholds"))
    given = parser.parse_args(arguments)
    prior = Prior.find(given.prior)
    refs = load_collection(given.folder)
    seen = [ref.name for ref in refs if ref.family in prior.seen_families]
    if seen and not given.unseen_only:
        raise SystemExit(f"the prior was trained on the family of {seen[0]}; give another")
    refs = [ref for ref in refs if ref.name not in seen]
    if given.promises:
        hold(refs, prior, tables=given.tables, out=given.out)
    elif given.few_rows:
        print(few_rows(refs, prior))
    else:
        print_default(refs, prior)


def print_default(refs: list[TableRef], prior: Prior) -> None:
    """Print what the default threshold does."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for ref in refs:
        for kind, trial in trials(ref.load()):
            found.setdefault(kind, []).append(judge(trial, prior))
    print("support        tables  anomalies  flagged  of normal rows  found  F1    best F1")
    for kind, rows in found.items():
        share, flagged, false, hits, f1, best = np.mean(rows, axis=0)
        print(
            f"{kind:14} {len(rows):6}  {share:9.3f}  {flagged:7.3f}  {false:14.3f}"
            f"  {hits:.3f}  {f1:.3f}  {best:.3f}"
        )


def trials(table: Table) -> Iterator[tuple[str, Trial]]:
    """Give the table's trials, as far as it has the anomalies for them."""
    for kind, k in (
        ("no labels", 0),
        ("three labels", 3),
        ("five labels", 5),
        ("twenty labels", 20),
    ):
        try:
            yield kind, few_label(table, k=k, seed=1, max_rows=MOST_ROWS)
        except OddshotError as error:
            print(f"left out, {kind}: {error}")
    yield "clean", one_class(table, seed=1, max_rows=MOST_ROWS)


def judge(trial: Trial, prior: Prior) -> tuple[float, ...]:
    """Shares: of anomalies, flagged rows, false alarms, what is found; F1, the best there is."""
    detector = FewShotDetector(prior=prior, random_state=0).fit(trial.X_train, trial.y_train)
    scores, truth = detector.anomaly_score(trial.X_test), np.asarray(trial.y_test) == 1
    flagged = scores > detector.threshold_
    thresholds = np.quantile(scores, np.linspace(0.5, 0.999, 60))
    best = max(float(f1_score(truth, scores >= threshold)) for threshold in thresholds)
    return (
        float(truth.mean()),
        float(flagged.mean()),
        float(flagged[~truth].mean()),
        float(flagged[truth].mean()),
        float(f1_score(truth, flagged, zero_division=0.0)),
        best,
    )


def few_rows(refs: list[TableRef], prior: Prior) -> str:
    """Tabulate what is flagged after few normal rows."""
    found = [
        {"rows": count, **record}
        for ref in refs
        for table in [ref.load()]
        for count in FEW
        for record in judge_few(table, prior, count)
    ]
    lines = [
        [
            f"{count} x {part['columns'].median():.0f}, {part['table'].nunique()} tables, {how}",
            *(cell(part[name]) for name in FLAGGED),
        ]
        for (count, how), part in pd.DataFrame(found).groupby(["rows", "how"], sort=False)
    ]
    return markdown_table(["normal rows x columns (median)", *FLAGGED], lines)


def judge_few(table: Table, prior: Prior, count: int) -> Iterator[dict[str, object]]:
    """Learn from so many normal rows; give what is flagged of others, in both ways."""
    rng = np.random.default_rng([crc32(table.name.encode()), 2])
    normal = rng.permutation(np.flatnonzero(table.labels == NORMAL))
    odd = rng.permutation(np.flatnonzero(table.labels == ANOMALY))[:JUDGE]
    new = normal[count : count + JUDGE]
    if len(new) < LEAST_NEW:
        return
    rows, clean = take(table.rows, normal[:count]), np.zeros(count, dtype=np.int8)
    for how in ("held out", "as its own"):
        detector = FewShotDetector(prior=prior, random_state=0).fit(rows, clean)
        detector._fitted.spares_rows &= how == "held out"
        flagged = []
        for judged in (new, odd):
            scores = detector.anomaly_score(take(table.rows, judged))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CalibrationWarning)
                low = detector.p_values(take(table.rows, judged)) <= ALPHAS[-1]
            flagged += [float((scores > detector.threshold_).mean()), float(low.mean())]
        yield {
            "table": table.name,
            "how": how,
            "columns": table.rows.shape[1],
            **dict(zip(FLAGGED, flagged, strict=True)),
        }


def hold(refs: list[TableRef], prior: Prior, *, tables: int | None, out: Path) -> None:
    """Judge promises table by table, and summarise all that was judged so far."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "promises.csv"
    done = set(pd.read_csv(path)["table"]) if path.exists() else set()
    judged = 0
    order = np.random.default_rng(0).permutation(len(refs))
    for place in order:
        ref = refs[place]
        if judged == tables:
            break
        name = f"{ref.collection}/{ref.name}"
        table = ref.load()
        labels = np.asarray(table.labels)
        if (labels == NORMAL).sum() < 2 * LEAST or (labels == ANOMALY).sum() < 10:
            continue
        judged += 1
        if name in done:
            continue
        rows = pd.DataFrame(judge_promises(table, prior, crc32(name.encode())))
        rows.insert(0, "table", name)
        rows.to_csv(path, mode="a", header=not path.exists(), index=False)
        print(f"{judged} {name}", flush=True)
    summary = summarise(pd.read_csv(path))
    (out / "promises.md").write_text(summary)
    print(summary)


def judge_promises(table: Table, prior: Prior, seed: int) -> Iterator[dict[str, object]]:
    """Give what comes of each promise on a table, one value at a time."""
    rng = np.random.default_rng(seed)
    labels = np.asarray(table.labels)
    normal = rng.permutation(np.flatnonzero(labels == NORMAL))
    odd = rng.permutation(np.flatnonzero(labels == ANOMALY))
    learn = normal[: min(LEARN, len(normal) // 2)]
    test = normal[len(learn) :][:JUDGE]
    hidden = odd[: min(round(CONTAMINATION * len(learn)), len(odd) // 2)]
    unseen = odd[len(hidden) :][:JUDGE]
    both = rng.permutation(np.concatenate([learn, hidden]))
    batch = np.arange(len(test) + min(len(unseen), round(len(test) * BATCH_SHARE)))
    judged = take(table.rows, np.concatenate([test, unseen]))
    truth = np.arange(len(judged)) >= len(test)
    clean = rng.permutation(learn)
    unlabelled = np.full(len(both), UNLABELLED)
    for support, shown, given in (
        ("clean", clean, np.full(len(clean), NORMAL)),
        ("contaminated", both, unlabelled),
        ("looked at", both, answers(take(table.rows, both), np.isin(both, hidden), prior)),
    ):
        rows = take(table.rows, shown)
        half = len(shown) // 2
        whole = FewShotDetector(prior=prior, random_state=0).fit(rows, given)
        part = FewShotDetector(prior=prior, random_state=0)
        part.fit(take(rows, slice(half)), given[:half])
        detectors = {"own": whole, "given": part, "split": whole, "cross": whole}
        for method, detector in detectors.items():
            if method == "given":
                detector.calibrate(take(rows, slice(half, None)), given[half:])
            elif method != "own":
                detector.calibrate(method=method)
            for value in kept(detector, judged, truth, batch):
                yield {"support": support, "method": method, **value}
    if len(unseen) >= 10:
        given = np.where(np.isin(both, hidden[:5]), ANOMALY, UNLABELLED)
        detector = FewShotDetector(prior=prior, random_state=0).fit(take(table.rows, both), given)
        halves = [np.concatenate([test[i::2], unseen[i::2]]) for i in (0, 1)]
        yield from judge_probability(
            detector, [take(table.rows, h) for h in halves], [np.isin(h, unseen) for h in halves]
        )


def answers(rows: Rows, odd: np.ndarray, prior: Prior) -> np.ndarray:
    """Labels (n,) after a person has looked at some rows, always right."""
    ranking = FewShotDetector(prior=prior, random_state=0).fit(rows).rank(rows)
    labels = np.full(len(odd), UNLABELLED)
    for _ in range(LOOKS):
        (place,) = suggest(ranking, 1).positions
        labels[place] = ANOMALY if odd[place] else NORMAL
        ranking.add_labels([place], [int(labels[place])])
    return labels


def kept(
    detector: FewShotDetector, rows: Rows, truth: np.ndarray, batch: np.ndarray
) -> Iterator[dict[str, object]]:
    """Rates of error and of anomalies found, at every level that is promised."""
    p_values, scores = detector.p_values(rows), detector.anomaly_score(rows)
    for alpha in ALPHAS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CalibrationWarning)
            threshold = detector.set_threshold(alpha=alpha).threshold_
        for what, flagged in (("p", p_values <= alpha), ("threshold", scores > threshold)):
            yield {"what": f"{what} false", "level": alpha, "value": flagged[~truth].mean()}
            yield {"what": f"{what} found", "level": alpha, "value": flagged[truth].mean()}
    for rate in RATES:
        selected, odd = discoveries(p_values[batch], rate), truth[batch]
        false = (selected & ~odd).sum() / max(selected.sum(), 1)
        yield {"what": "fdr false", "level": rate, "value": false}
        yield {"what": "fdr found", "level": rate, "value": selected[odd].mean()}


def judge_probability(
    detector: FewShotDetector, halves: list[Rows], truths: list[np.ndarray]
) -> Iterator[dict[str, object]]:
    """Learn probabilities from one half of unseen rows, with labels, and judge the other half."""
    told, judged = halves
    share = float(truths[1].mean())
    yield probability_value("none", "brier", share * (1 - share))
    for method in ("platt", "beta", "isotonic"):
        detector.calibrate(told, truths[0].astype(int), probability=method)
        odd = detector.predict_proba(judged)[:, 1]
        yield probability_value(method, "brier", float(((odd - truths[1]) ** 2).mean()))
        places = np.minimum((odd * BINS).astype(int), BINS - 1)
        for place in np.unique(places):
            here = places == place
            for what, value in (
                ("rows", here.sum()),
                ("expected", odd[here].sum()),
                ("observed", truths[1][here].sum()),
            ):
                yield probability_value(method, what, float(value), level=place / BINS)


def probability_value(
    method: str, what: str, value: float, *, level: float = 0.0
) -> dict[str, object]:
    """Make a line of results."""
    return {
        "support": "probability",
        "method": method,
        "what": what,
        "level": level,
        "value": value,
    }


def take(rows: Rows, index: np.ndarray | slice) -> Rows:
    """Pick rows of a table."""
    return (
        rows.iloc[index].reset_index(drop=True) if isinstance(rows, pd.DataFrame) else rows[index]
    )


def summarise(found: pd.DataFrame) -> str:
    """Write the tables of the page of results."""
    promises, probability = (
        found[found["support"] != "probability"],
        found[found["support"] == "probability"],
    )
    lines = [
        f"{found['table'].nunique()} tables, mean over tables ± 95% sampling error. Machine: "
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}.",
        "",
    ]
    for title, what, levels in (
        ("Normal rows with p <= alpha", "p false", ALPHAS),
        ("Normal rows above `set_threshold(alpha=...)`", "threshold false", ALPHAS),
        ("Anomalies with p <= alpha", "p found", ALPHAS),
        ("False share of the selected, a tenth of the batch being anomalies", "fdr false", RATES),
        ("Share of the batch's anomalies selected", "fdr found", RATES),
    ):
        lines += [f"### {title}", "", "| support | rows | " + " | ".join(map(str, levels)) + " |"]
        lines += ["|---|---|" + "---:|" * len(levels)]
        for support in SUPPORTS:
            for method, told in METHODS.items():
                which = (promises["support"] == support) & (promises["method"] == method)
                here = promises[which & (promises["what"] == what)]
                cells = [cell(here.loc[here["level"] == level, "value"]) for level in levels]
                lines.append(f"| {support} | {told} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["### Anomalies with p <= alpha: difference from own rows, paired", ""]
    lines += ["| support | rows | " + " | ".join(map(str, ALPHAS)) + " |"]
    lines += ["|---|---|" + "---:|" * len(ALPHAS)]
    power = promises[promises["what"] == "p found"]
    power = power.pivot(index="table", columns=["support", "method", "level"], values="value")
    for support in power.columns.unique("support"):
        for method in ("given", "split", "cross"):
            cells = [cell(power[support, method, a] - power[support, "own", a]) for a in ALPHAS]
            lines.append(f"| {support} | {METHODS[method]} | " + " | ".join(cells) + " |")
    lines.append("")
    brier = probability[probability["what"] == "brier"]
    lines += ["### Brier score of `predict_proba`", "", "| method | Brier score |", "|---|---:|"]
    for method, rows in brier.groupby("method", sort=False):
        lines.append(f"| {method} | {cell(rows['value'])} |")
    lines += ["", "### Calibration curve, rows of all tables pooled", ""]
    totals = probability[probability["what"] != "brier"]
    totals = totals.groupby(["method", "level", "what"])["value"].sum().unstack()
    lines += ["| method | probability | rows | mean probability | share of anomalies |"]
    lines += ["|---|---|---:|---:|---:|"]
    for (method, level), row in totals.iterrows():
        lines.append(
            f"| {method} | {level:.1f} to {level + 1 / BINS:.1f} | {row['rows']:.0f} | "
            f"{row['expected'] / row['rows']:.3f} | {row['observed'] / row['rows']:.3f} |"
        )
    return "\n".join([*lines, ""])


def cell(values: pd.Series) -> str:
    """Write a mean with its sampling error."""
    if len(values) < 2:
        return f"{values.mean():.4f}"
    mean, half = mean_and_interval(values)
    return f"{mean:.4f} ± {half:.4f}"


if __name__ == "__main__":
    main()
