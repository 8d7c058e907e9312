"""What is seen of constants that change, of levels that never met, and of labels on levels.

    python benchmarks/levels.py ../shared/data [--parts constants,combinations,labels] [--prior P]

- constants: of all classical, oddbench and ovrbench tables those with a column that is constant in
  70% of the normal rows; how many of the other rows differ there. No prior enters.
- combinations: of NSL-KDD 2,000 normal connections are learned from; of other normal ones and of
  attacks, those that hold two levels which never met. Of the mixed tables (which have no
  anomalies) one half is learned from, the other judged. Then simulated shops, each of one chain,
  four of the columns noise: anomalies are of a wrong chain. "Coordinates alone": Oddshot as it was
  without a look at combinations; the others see one column a level.
- labels: simulated, the anomalies are the rows of two of 60 shops, four columns are noise; and the
  rarer attacks of NSL-KDD (probe, r2l, u2r), 200 among 2,000 normal ones. k are labelled.
  "Rarity alone": Oddshot as it was without knowing which level it is. CatBoost gets the
  categories as they are; "nearest known": by distance to the known anomalies, one column a level.

Anomalies to be found are never among the rows learned from. Figures are means over draws.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from catboost import CatBoostClassifier
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from sklearn.preprocessing import StandardScaler

from oddshot import FewShotDetector, Prior
from oddshot.data.collections import load_collection
from oddshot.data.sources import read_table
from oddshot.data.splits import one_class_split
from oddshot.detectors.corrections.raising import Raising
from oddshot.errors import DataError
from oddshot.evaluation.machine import machine
from oddshot.evaluation.metrics import auroc, average_precision
from oddshot.evaluation.novel_types import nsl_kdd
from oddshot.evaluation.protocols import take
from oddshot.mapping.combinations import Combinations
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.outside import BEGINS
from oddshot.reports.tables import markdown_table

RARE = ("probe", "r2l", "u2r")
CONTAMINATIONS = (0.0, 0.003, 0.01)
KNOWN = (1, 5, 20)
Score = Callable[[pd.DataFrame], np.ndarray]


def main(arguments: list[str] | None = None) -> None:
    """Run the parts, one table each."""
    parser = argparse.ArgumentParser(description="Constants, combinations and labels on levels.")
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--prior", default="runs/without-classical", help="unaware of NSL-KDD")
    parser.add_argument("--parts", default="constants,combinations,labels")
    parser.add_argument("--draws", type=int, default=4)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"machine: {machine()}\n")
    prior, parts = Prior.find(given.prior), given.parts.split(",")
    if "constants" in parts:
        print(constants(given.data), "\n")
    if "combinations" in parts:
        print(real_combinations(given.data, prior, given.draws), "\n")
        print(simulated_combinations(prior, given.draws), "\n")
    if "labels" in parts:
        print(labels_on_levels(given.data, prior, given.draws))


def constants(data: Path) -> str:
    """Count, by collection, the rows that differ where all normal rows are alike."""
    lines = []
    for folder in ("adbench/classical", "oddbench", "ovrbench"):
        found = []
        for ref in load_collection(data / folder):
            table = ref.load()
            try:
                split = one_class_split(table.labels, seed=0, rows=table.rows)
            except DataError:  # all normal rows are equal
                continue
            train, rows = (take(table.rows, at) for at in (split.train_index, split.test_index))
            truth = np.asarray(table.labels)[split.test_index]
            encoder = fitted_encoder(np.asarray(train))
            if encoder is None or not encoder.aside_names_:
                continue
            decades = [told for _, told in encoder.never_seen().values()]
            changed = encoder.transform(rows, aside=True)[:, len(encoder.encoded_names_) :]
            differs = (changed == 1).any(axis=1) & (min(decades) >= BEGINS)
            found.append(
                (differs[truth == 1].sum(), (truth == 1).sum(), differs[truth == 0].mean())
            )
        counts = np.array(found)
        broken = counts[counts[:, 0] > 0]
        lines.append(
            [folder, str(len(counts)), str(len(broken)), f"{counts[:, 0].sum():.0f}",
             f"{broken[:, 1].sum():.0f}", f"{100 * counts[:, 2].mean():.2f}%"]
        )  # fmt: skip
    return markdown_table(
        ["tables", "with a constant", "of which anomalies differ there", "anomalies that differ",
         "of all anomalies of these", "normal rows that differ, mean over tables"],
        lines,
    )  # fmt: skip


def fitted_encoder(rows: np.ndarray) -> Encoder | None:
    """Fit an encoder; ``None`` where no column varies."""
    return Encoder().fit(rows) if (rows != rows[0]).any() else None


def real_combinations(data: Path, prior: Prior, draws: int) -> str:
    """Tell how many real rows hold two levels that never met."""
    typed = nsl_kdd(data / "nsl_kdd")
    rows, kinds = typed.table.rows, typed.types
    records = []
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        normal, odd = (rng.permutation(np.flatnonzero((kinds == "") == side)) for side in (1, 0))
        train, new, attacks = normal[:2000], normal[2000:4000], odd[:1000]
        detector = FewShotDetector(prior=prior).fit(rows.iloc[train], np.zeros(2000, dtype=int))
        met, missed = (never_met(detector, rows.iloc[part]) for part in (new, attacks))
        low = without_combinations(detector)(rows.iloc[attacks]) < BEGINS
        judge, truth = rows.iloc[np.concatenate([new, attacks])], np.repeat([0, 1], [2000, 1000])
        scores = without_combinations(detector)(judge), detector.anomaly_score(judge)
        both = [auroc(truth, one) for one in scores]
        records.append([met.mean(), missed.mean(), (missed & low).sum() / low.sum(), *both])
    lines = [["NSL-KDD", *(f"{100 * v:.1f}%" for v in np.mean(records, axis=0)[:3]),
              *(f"{v:.4f}" for v in np.mean(records, axis=0)[3:])]]  # fmt: skip
    for path in sorted((data / "mixed").iterdir()):
        frame = read_table(path).rows
        frame = frame.sample(min(len(frame), 5000), random_state=0).reset_index(drop=True)
        half = len(frame) // 2
        detector = FewShotDetector(prior=prior).fit(frame[:half])
        share = never_met(detector, frame[half:]).mean()
        lines.append([path.stem, f"{100 * share:.2f}%", "", "", "", ""])
    return markdown_table(
        ["table", "normal rows", "attacks", "of attacks below 2 decades", "AUROC without", "with"],
        lines,
    )


def never_met(detector: FewShotDetector, rows: pd.DataFrame) -> np.ndarray:
    """Tell which rows hold two levels that never met."""
    table = detector._fitted
    encoded, raising = table.arranged(rows), table._judge._raising
    own = np.zeros(len(rows), dtype=bool)
    return raising._met.decades(raising._levels(encoded), own) > 0


def without_combinations(detector: FewShotDetector) -> Score:
    """Give the score of a detector as it was without a look at combinations."""

    def score(rows: pd.DataFrame) -> np.ndarray:
        table = copy.deepcopy(detector)._fitted
        none = Combinations().fit(np.zeros((1, 0), dtype=np.intp), np.zeros(0), np.ones(1))
        judges = [judge for judge, _ in table._of_new.judges(table)] if table.spares_rows else []
        for judge in (table, *judges):
            assert isinstance(judge._judge._raising, Raising)
            judge._judge._raising._met = none
            # both see rarities that no longer fit
            judge._judge._raising._dependencies = judge._judge._raising._bonds = None
        return detector._scale.apply(table.scored(rows))

    return score


def simulated_combinations(prior: Prior, draws: int) -> str:
    """Compare on shops and chains."""
    lines = []
    for levels in (8, 40):
        for contamination in CONTAMINATIONS:
            figures: dict[str, list[tuple[float, float]]] = {}
            for draw in range(draws):
                train, rows, truth = chains(levels, contamination, draw)
                labels = None if contamination else np.zeros(len(train), dtype=int)
                detector = FewShotDetector(prior=prior).fit(train, labels)
                contestants = {
                    "oddshot": detector.anomaly_score,
                    "coordinates alone": without_combinations(detector),
                    **dict(one_hot_peers(train)),
                }
                for name, score in contestants.items():
                    figures.setdefault(name, []).append(judged(truth, score(rows)))
            lines.append([str(levels), f"{100 * contamination:g}%", *map(shown, figures.values())])
    return markdown_table(["shops", "wrong in rows learned from", *figures], lines)


def chains(levels: int, contamination: float, draw: int) -> tuple[pd.DataFrame, ...]:
    """Rows to learn from and to judge, 1,500 each, and the truth of these, 5% wrong."""
    rng = np.random.default_rng(draw)
    shop = rng.integers(levels, size=3000)
    wrong = rng.random(3000) < np.repeat([contamination, 0.05], 1500)
    chain = np.where(wrong, shop + rng.integers(1, levels, size=3000), shop) * 7 % levels
    rows = pd.DataFrame(rng.normal(size=(3000, 4)), columns=[*"abcd"])
    rows = rows.assign(shop=named("shop", shop), chain=named("chain", chain))
    return rows[:1500], rows[1500:].reset_index(drop=True), wrong[1500:].astype(int)


def named(what: str, numbers: np.ndarray) -> list[str]:
    """Levels instead of numbers."""
    return [f"{what} {number}" for number in numbers]


def one_hot(train: pd.DataFrame) -> Score:
    """Learn to write rows with one column a level, standardised."""
    written = pd.get_dummies(train)
    scaler = StandardScaler().fit(written)
    return lambda rows: scaler.transform(
        pd.get_dummies(rows).reindex(columns=written.columns, fill_value=False)
    )


def one_hot_peers(train: pd.DataFrame) -> Iterator[tuple[str, Score]]:
    """Fit neighbours and isolation trees."""
    numbers = one_hot(train)
    for model in (KNN(n_neighbors=5), LOF(), IForest(random_state=0)):
        model.fit(numbers(train))
        yield (
            type(model).__name__,
            lambda rows, model=model: model.decision_function(numbers(rows)),
        )


def labels_on_levels(data: Path, prior: Prior, draws: int) -> str:
    """Compare with k labels on levels."""
    typed = nsl_kdd(data / "nsl_kdd")
    lines = []
    for source in ("shops", "NSL-KDD, rarer attacks"):
        for known in KNOWN:
            figures: dict[str, list[tuple[float, float]]] = {}
            for draw in range(draws):
                rng = np.random.default_rng(draw)
                if source == "shops":
                    train, odd, rows, truth = shops(rng)
                else:
                    train, odd, rows, truth = attacks(typed.table.rows, typed.types, rng)
                labels = np.full(len(train), -1)
                labels[rng.permutation(np.flatnonzero(odd))[:known]] = 1
                for name, score in labelled_contestants(train, labels, prior).items():
                    figures.setdefault(name, []).append(judged(truth, score(rows)))
            lines.append([source, str(known), *map(shown, figures.values())])
    return markdown_table(["anomalies", "k", *figures], lines)


def shops(rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]:
    """Rows and truth, to learn from and to judge."""
    shop = rng.integers(60, size=3000)
    rows = pd.DataFrame(rng.normal(size=(3000, 4)), columns=[*"abcd"])
    rows = rows.assign(shop=named("shop", shop))
    odd = np.isin(shop, (7, 21)).astype(int)
    return rows[:1500], odd[:1500], rows[1500:].reset_index(drop=True), odd[1500:]


def attacks(
    rows: pd.DataFrame, kinds: np.ndarray, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]:
    """2,000 normal connections and 200 of the rarer attacks each."""
    normal = rng.permutation(np.flatnonzero(kinds == ""))
    rare = rng.permutation(np.flatnonzero(np.isin(kinds, RARE)))
    truth = np.repeat([0, 1], [2000, 200])
    train, new = (
        np.concatenate([normal[2000 * i :][:2000], rare[200 * i :][:200]]) for i in (0, 1)
    )
    return rows.iloc[train], truth, rows.iloc[new], truth


def labelled_contestants(train: pd.DataFrame, labels: np.ndarray, prior: Prior) -> dict[str, Score]:
    """Fit Oddshot, the same without knowing which level it is, CatBoost, and nearest known."""
    encoder, numbers = Encoder().fit(train), one_hot(train)
    rarity = FewShotDetector(prior=prior).fit(encoder.transform(train), labels)
    known = numbers(train[labels == 1])
    categories = [c for c in train if not pd.api.types.is_numeric_dtype(train[c])]
    boosted = CatBoostClassifier(
        cat_features=categories,
        auto_class_weights="Balanced",
        verbose=False,
        thread_count=1,
        allow_writing_files=False,
    ).fit(train, labels == 1)

    def nearest(rows: pd.DataFrame) -> np.ndarray:
        squares = ((numbers(rows)[:, None] - known[None]) ** 2).sum(axis=2)
        return -squares.min(axis=1)

    return {
        "oddshot": FewShotDetector(prior=prior).fit(train, labels).anomaly_score,
        "rarity alone": lambda rows: rarity.anomaly_score(encoder.transform(rows)),
        "CatBoost": lambda rows: boosted.predict_proba(rows)[:, 1],
        "nearest known": nearest,
    }


def judged(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """AUROC and average precision."""
    return auroc(truth, scores), average_precision(truth, scores)


def shown(figures: list[tuple[float, float]]) -> str:
    """Write the means of both."""
    one, other = np.mean(figures, axis=0)
    return f"{one:.3f}/{other:.3f}"


if __name__ == "__main__":
    main()
