"""How the default threshold does on labelled tables: alarms, false alarms, F1 beside the best F1.

    python benchmarks/thresholds.py ../shared/data/adbench/classical --prior runs/without-classical

Contaminated without labels, contaminated with five, and clean supports; one split a table, at most
2,500 rows. Means over tables. The prior must not have seen the tables.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from sklearn.metrics import f1_score

from oddshot import FewShotDetector, OddshotError, Prior
from oddshot.data.collections import load_collection
from oddshot.evaluation.protocols import Trial, few_label, one_class

MOST_ROWS = 2500


def main() -> None:
    """Print a line for each kind of support."""
    parser = argparse.ArgumentParser(description="The default threshold on labelled tables.")
    parser.add_argument("folder")
    parser.add_argument("--prior", default="default")
    given = parser.parse_args()
    prior = Prior.find(given.prior)
    found: dict[str, list[tuple[float, ...]]] = {}
    for ref in load_collection(given.folder):
        if ref.family in prior.seen_families:
            raise SystemExit(f"the prior was trained on the family of {ref.name}; give another")
        for kind, trial in trials(ref.load()):
            found.setdefault(kind, []).append(judge(trial, prior))
    print("support        tables  anomalies  flagged  of normal rows  F1    best F1")
    for kind, rows in found.items():
        share, flagged, false, f1, best = np.mean(rows, axis=0)
        print(
            f"{kind:14} {len(rows):6}  {share:9.3f}  {flagged:7.3f}  {false:14.3f}"
            f"  {f1:.3f}  {best:.3f}"
        )


def trials(table: object) -> Iterator[tuple[str, Trial]]:
    """Give the table's three trials, as far as it has the anomalies for them."""
    for kind, k in (("no labels", 0), ("five labels", 5)):
        try:
            yield kind, few_label(table, k=k, seed=1, max_rows=MOST_ROWS)
        except OddshotError as error:
            print(f"left out, {kind}: {error}")
    yield "clean", one_class(table, seed=1, max_rows=MOST_ROWS)


def judge(trial: Trial, prior: Prior) -> tuple[float, ...]:
    """Share of anomalies, of flagged rows, of flagged normal rows; F1, and the best there is."""
    detector = FewShotDetector(prior=prior, random_state=0).fit(trial.X_train, trial.y_train)
    scores, truth = detector.anomaly_score(trial.X_test), np.asarray(trial.y_test) == 1
    flagged = scores > detector.threshold_
    thresholds = np.quantile(scores, np.linspace(0.5, 0.999, 60))
    best = max(float(f1_score(truth, scores >= threshold)) for threshold in thresholds)
    return (
        float(truth.mean()),
        float(flagged.mean()),
        float(flagged[~truth].mean()),
        float(f1_score(truth, flagged, zero_division=0.0)),
        best,
    )


if __name__ == "__main__":
    main()
