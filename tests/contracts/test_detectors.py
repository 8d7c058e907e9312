"""What holds for a detector, whatever the table and whatever is labelled."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.detectors.autoencoder import AAEDetector
from oddshot.detectors.base import AnomalyDetector
from oddshot.learners import LEARNERS
from small_priors import untrained_prior

ROWS, ODD = 120, 10


def numbers(rows: int = ROWS, *, seed: int = 0) -> np.ndarray:
    """Correlated columns; the first rows lie beside the others."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, 5)) @ np.random.default_rng(9).normal(size=(5, 5))
    table[:ODD] += rng.normal(3, 1, size=(min(ODD, rows), 5))
    return table


def mixed(rows: int = ROWS, *, seed: int = 0) -> pd.DataFrame:
    """Numbers, gaps, categories, truth values, dates, and columns that say nothing."""
    rng = np.random.default_rng(seed)
    amount = rng.lognormal(2, 1, rows)
    amount[:ODD] *= 40
    colour = rng.choice(["red", "green", "blue"], rows).astype(object)
    colour[: ODD // 2] = "ultraviolet"
    colour[ODD + 1 :: 9] = None
    return pd.DataFrame(
        {
            "amount": amount,
            "age": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(18, 90, rows)),
            "colour": colour,
            "size": pd.Categorical(rng.choice(["S", "M", "L"], rows), ["S", "M", "L"]),
            "member": rng.random(rows) < 0.3,
            "seen": pd.Timestamp("2024-03-01") + pd.to_timedelta(rng.integers(0, 9e6, rows), "s"),
            "customer_id": rng.permutation(rows) + 1000,
            "nothing": np.full(rows, np.nan),
            "always": 1.0,
        }
    )


def gaps(rows: int = ROWS, *, seed: int = 0) -> np.ndarray:
    table = numbers(rows, seed=seed)
    table[np.random.default_rng(seed).random(table.shape) < 0.15] = np.nan
    return table


def sparse(rows: int = ROWS, *, seed: int = 0) -> sp.csr_array:
    table = numbers(rows, seed=seed)
    return sp.csr_array(np.where(np.abs(table) > 1, table, 0))


def duplicates(rows: int = ROWS, *, seed: int = 0) -> np.ndarray:
    table = numbers(rows, seed=seed)
    table[rows // 2 :: 2] = table[rows // 2]
    return table


def one_column(rows: int = ROWS, *, seed: int = 0) -> np.ndarray:
    table = np.random.default_rng(seed).normal(size=(rows, 1))
    table[:ODD] += 4
    return table


TABLES: dict[str, Callable[..., Any]] = {
    "array": numbers,
    "mixed": mixed,
    "csr": sparse,
    "polars": lambda rows=ROWS, *, seed=0: pl.from_pandas(mixed(rows, seed=seed)),
    "pyarrow": lambda rows=ROWS, *, seed=0: pa.Table.from_pandas(mixed(rows, seed=seed)),
    "gaps": gaps,
    "duplicates": duplicates,
    "one column": one_column,
    "float32": lambda rows=ROWS, *, seed=0: numbers(rows, seed=seed).astype(np.float32),
}


@dataclass(frozen=True)
class Case:
    """A table, what is labelled in it, rows that were not shown, and the fitted detector."""

    rows: Any
    labels: np.ndarray | None
    unseen: Any
    detector: AnomalyDetector


REGIMES = ("no labels", "anomalies", "anomalies and normals", "normals")


def labels_of(regime: str) -> np.ndarray | None:
    labels = np.full(ROWS, -1)
    if regime == "no labels":
        return None
    if regime == "normals":
        return np.zeros(ROWS, dtype=int)
    labels[:3] = 1
    if regime == "anomalies and normals":
        labels[ODD : ODD + 30] = 0
    return labels


KINDS: dict[str, Callable[[], AnomalyDetector]] = {
    "few-shot": lambda: FewShotDetector(prior=untrained_prior()),
    # of so few rows a fifth is much to leave out; what trimming is for has tests of its own
    "autoencoder": lambda: AAEDetector(steps=20, trim=0.0),
    "blend": lambda: AAEDetector(steps=20, reconstruction=1.0),
    **{n: lambda n=n: FewShotDetector(prior=untrained_prior(n)) for n in LEARNERS},
}


@cache
def fitted(kind: str, table: str, regime: str) -> Case:
    labels = labels_of(regime)
    # rows that are all known to be normal are those of another draw, odd ones left out
    rows = TABLES[table]()
    if regime == "normals":
        rows = take(TABLES[table](ROWS + ODD, seed=1), np.arange(ODD, ROWS + ODD))
    unseen = TABLES[table](60, seed=2)
    return Case(rows, labels, unseen, KINDS[kind]().fit(rows, labels))


def take(rows: Any, index: np.ndarray) -> Any:
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[index]
    return rows.take(index) if isinstance(rows, pa.Table) else rows[index]


FEW = [("array", regime) for regime in REGIMES]
FEW += [("mixed", "no labels"), ("mixed", "anomalies and normals")]
MANY = [*FEW, ("mixed", "anomalies"), ("mixed", "normals")]
MANY += [(t, r) for t in TABLES if t not in ("array", "mixed") for r in ("no labels", "anomalies")]
CASES = [("few-shot", *case) for case in MANY]
CASES += [("autoencoder", *case) for case in FEW]
CASES += [("autoencoder", table, "anomalies") for table in TABLES if table != "array"]
each_case = pytest.mark.parametrize(("kind", "table", "regime"), CASES)
few_cases = pytest.mark.parametrize(
    ("kind", "table", "regime"),
    [(kind, *case) for kind in ("few-shot", "autoencoder") for case in FEW]
    + [("blend", "mixed", "anomalies and normals")],
)
each_kind = pytest.mark.parametrize("kind", ["few-shot", "autoencoder"])


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@each_case
def test_scores_are_finite_and_not_negative(kind, table, regime):
    case = fitted(kind, table, regime)
    for rows in (case.rows, case.unseen):
        scores = case.detector.anomaly_score(rows)
        assert scores.shape == (rows.shape[0],)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()
        assert (scores >= 0).all()


@each_case
def test_the_faces_agree(kind, table, regime):
    case = fitted(kind, table, regime)
    scores = case.detector.anomaly_score(case.unseen)
    np.testing.assert_array_equal(case.detector.score_samples(case.unseen), -scores)
    decisions = case.detector.decision_function(case.unseen)
    np.testing.assert_array_equal(decisions, -scores - case.detector.offset_)
    verdicts = case.detector.predict(case.unseen)
    np.testing.assert_array_equal(verdicts, np.where(decisions < 0, -1, 1))
    assert case.detector.threshold_ == -case.detector.offset_
    np.testing.assert_array_equal(verdicts == -1, scores > case.detector.threshold_)


@each_case
def test_odd_rows_score_higher_and_typical_ones_near_0(kind, table, regime):
    case = fitted(kind, table, regime)
    scores = case.detector.anomaly_score(case.unseen)
    assert roc_auc_score(np.arange(60) < ODD, scores) > 0.75
    assert 0.1 < np.median(case.detector.anomaly_score(case.rows)) < 0.5
    assert scores[:ODD].max() > 1


@each_case
def test_the_automatic_threshold_flags_few_rows(kind, table, regime):
    case = fitted(kind, table, regime)
    flagged = (case.detector.predict(case.rows) == -1).mean()
    assert flagged <= 0.26
    assert 0.005 <= case.detector.contamination_ <= 0.25


@each_case
def test_a_row_scores_alike_alone_and_in_company(kind, table, regime):
    case = fitted(kind, table, regime)
    for rows in (case.rows, case.unseen):
        company = case.detector.anomaly_score(rows)
        alone = [case.detector.anomaly_score(take(rows, np.array([i]))) for i in range(0, 60, 7)]
        assert_same(np.concatenate(alone), company[:60:7])


@each_kind
def test_a_row_of_whole_numbers_scores_alike_alone_and_in_company(kind):
    rows, unseen = np.round(numbers()), np.round(numbers(seed=2))
    fit = KINDS[kind]().fit(rows, labels_of("anomalies"))
    company = fit.anomaly_score(unseen)
    assert_same(np.concatenate([fit.anomaly_score(row[None]) for row in unseen]), company)


@each_case
def test_scoring_changes_neither_the_detector_nor_the_rows(kind, table, regime):
    case = fitted(kind, table, regime)
    kept = copy.deepcopy(case.unseen)
    first = case.detector.anomaly_score(case.unseen)
    case.detector.predict(take(case.rows, np.arange(5)))
    np.testing.assert_array_equal(case.detector.anomaly_score(case.unseen), first)
    if isinstance(kept, pd.DataFrame):
        pd.testing.assert_frame_equal(case.unseen, kept)
    elif sp.issparse(kept):
        assert (case.unseen != kept).nnz == 0
    elif isinstance(kept, np.ndarray):
        np.testing.assert_array_equal(case.unseen, kept)
    else:
        assert case.unseen.equals(kept)


@each_case
def test_every_column_is_reported(kind, table, regime):
    case = fitted(kind, table, regime)
    report = case.detector.column_report_
    assert len(report) == case.rows.shape[1] == case.detector.n_features_in_
    named = table in ("mixed", "polars", "pyarrow")
    assert hasattr(case.detector, "feature_names_in_") == named
    if named:
        assert [note.column for note in report] == list(case.detector.feature_names_in_)
        why = {note.column: note.reason for note in report if not note.used}
        assert why.keys() == {"customer_id", "nothing", "always"}
        assert why["nothing"] == "all values are missing"


@few_cases
def test_it_comes_back_from_a_file_with_the_same_scores(kind, table, regime, tmp_path):
    case = fitted(kind, table, regime)
    case.detector.save(tmp_path / "saved")
    again = type(case.detector).load(tmp_path / "saved")
    expected = case.detector.anomaly_score(case.unseen)
    assert_same(again.anomaly_score(case.unseen), expected)
    np.testing.assert_array_equal(again.predict(case.unseen), case.detector.predict(case.unseen))
    assert again.column_report_ == case.detector.column_report_
    assert again.contamination_ == case.detector.contamination_


@few_cases
@pytest.mark.parametrize("again", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_score_alike(kind, table, regime, again):
    case = fitted(kind, table, regime)
    np.testing.assert_array_equal(
        again(case.detector).anomaly_score(case.unseen), case.detector.anomaly_score(case.unseen)
    )


@few_cases
def test_the_order_of_rows_does_not_matter(kind, table, regime):
    case = fitted(kind, table, regime)
    order = np.random.default_rng(0).permutation(ROWS)
    labels = None if case.labels is None else case.labels[order]
    other = KINDS[kind]().fit(take(case.rows, order), labels)
    assert_same(other.anomaly_score(case.unseen), case.detector.anomaly_score(case.unseen))
    assert other.threshold_ == pytest.approx(case.detector.threshold_, rel=1e-6)


@few_cases
def test_the_order_of_columns_does_not_matter(kind, table, regime):
    case = fitted(kind, table, regime)
    expected = case.detector.anomaly_score(case.unseen)
    order = np.random.default_rng(0).permutation(case.rows.shape[1])
    if table == "mixed":
        permuted, unseen = case.rows.iloc[:, order], case.unseen
        assert_same(case.detector.anomaly_score(case.unseen.iloc[:, order]), expected)
    else:
        permuted, unseen = case.rows[:, order], case.unseen[:, order]
    assert_same(KINDS[kind]().fit(permuted, case.labels).anomaly_score(unseen), expected)


@each_kind
@pytest.mark.parametrize(
    ("table", "regime"), [*FEW[:4], ("gaps", "anomalies"), ("duplicates", "anomalies")]
)
def test_the_unit_of_a_column_does_not_matter(kind, table, regime):
    case = fitted(kind, table, regime)
    unit = np.array([1000.0, 0.453, 1e-6, 9 / 5, 7.0])
    zero = np.array([0.0, -3.0, 1e-6, 32.0, 700.0])
    other = KINDS[kind]().fit(case.rows * unit + zero, case.labels)
    expected = case.detector.anomaly_score(case.unseen)
    assert_same(other.anomaly_score(case.unseen * unit + zero), expected)


@each_kind
def test_one_content_scores_alike_from_whatever_library(kind):
    expected = fitted(kind, "mixed", "anomalies").detector.anomaly_score(mixed(60, seed=2))
    for table in ("polars", "pyarrow"):
        case = fitted(kind, table, "anomalies")
        assert_same(case.detector.anomaly_score(case.unseen), expected)
        assert_same(case.detector.anomaly_score(mixed(60, seed=2)), expected)


@each_kind
def test_sparse_rows_score_like_dense_ones(kind):
    case = fitted(kind, "csr", "anomalies")
    dense = KINDS[kind]().fit(case.rows.toarray(), case.labels)
    expected = dense.anomaly_score(case.unseen.toarray())
    assert_same(case.detector.anomaly_score(case.unseen), expected)


@each_kind
def test_unseen_categories_gaps_and_extremes_can_be_scored(kind):
    case = fitted(kind, "mixed", "anomalies")
    odd = mixed(8, seed=3)
    odd["colour"] = ["plaid", None, "", "red", "red", "red", "red", "red"]
    odd.loc[3, "amount"] = np.inf
    odd.loc[4, "amount"] = -1e300
    odd.loc[5, ["amount", "age"]] = np.nan
    odd.loc[6, "seen"] = pd.NaT
    odd["size"] = odd["size"].cat.add_categories("XXL")
    odd.loc[7, "size"] = "XXL"
    scores = case.detector.anomaly_score(odd)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("regime", ["no labels", "anomalies"])
def test_any_learner_makes_a_detector(learner, regime):
    case = fitted(learner, "array", regime)
    scores = case.detector.anomaly_score(case.unseen)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    assert_same(case.detector.anomaly_score(case.unseen[7:8]), scores[7:8])
    np.testing.assert_array_equal(copy.deepcopy(case.detector).anomaly_score(case.unseen), scores)


@pytest.mark.parametrize(
    ("kind", "rows", "known"),
    [
        *(
            ("few-shot", *size)
            for size in ((2, 0), (3, 0), (3, 1), (5, 0), (5, 1), (5, 3), (12, 3))
        ),
        *(("autoencoder", *size) for size in ((3, 0), (5, 0), (5, 1), (12, 3), (20, 0))),
    ],
)
def test_tiny_tables(kind, rows, known):
    table = np.random.default_rng(0).normal(size=(rows, 3))
    labels = np.where(np.arange(rows) < known, 1, -1)
    scores = KINDS[kind]().fit(table, labels).anomaly_score(np.r_[table, 50 + table])
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()


@each_kind
def test_equal_rows_score_alike(kind):
    table = np.repeat(np.random.default_rng(0).normal(size=(30, 3)), 4, axis=0)
    scores = KINDS[kind]().fit(table).anomaly_score(table).reshape(30, 4)
    assert_same(scores, np.broadcast_to(scores[:, :1], scores.shape))


@each_kind
def test_both_zeros_are_one_number(kind):
    table = np.round(numbers())
    assert np.signbit(table[table == 0]).any()
    fit = KINDS[kind]().fit(table)
    np.testing.assert_array_equal(fit.anomaly_score(table + 0.0), fit.anomaly_score(table))
    order = np.random.default_rng(0).permutation(ROWS)
    assert_same(KINDS[kind]().fit(table[order]).anomaly_score(table), fit.anomaly_score(table))
