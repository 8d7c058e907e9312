"""Trees beside the head: what only an interaction of columns tells, from many labels."""

import pickle

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.detectors.corrections.second_opinion import (
    FEWEST,
    SecondOpinion,
    _folds,
    _ranks,
    asked_for,
)
from oddshot.mapping.editions import Edition
from oddshot.mapping.mapping import Mapping
from oddshot.mapping.row_places import RowPlaces
from oddshot.mapping.support import draw_support

ROWS, COLUMNS = 1200, 12


def interaction(seed: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose first two columns have opposite signs, but for one in ten."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, COLUMNS))
    X[:, 1] = np.abs(X[:, 1]) * -np.sign(X[:, 0])
    odd = rng.random(rows) < 0.1
    X[odd, 1] *= -1
    return X, odd.astype(int)


def known(odd: np.ndarray, count: int) -> np.ndarray:
    y = np.full(len(odd), -1)
    y[np.flatnonzero(odd)[:count]] = 1
    return y


def shift(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose anomalies are what the head finds by itself."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, COLUMNS))
    odd = rng.random(ROWS) < 0.1
    X[odd, :3] += 2
    return X, odd.astype(int)


@pytest.fixture(scope="module")
def table():
    return interaction(0)


@pytest.fixture(scope="module")
def detector(table):
    X, odd = table
    return FewShotDetector(random_state=0).fit(X, known(odd, 80))


def test_an_interaction_is_found_in_new_rows(detector):
    new, truth = interaction(1)
    assert detector._fitted._judge._opinion is not None
    assert roc_auc_score(truth, detector.anomaly_score(new)) > 0.8


def test_with_fewer_labels_the_head_judges_alone(table):
    X, odd = table
    few = FewShotDetector(random_state=0).fit(X, known(odd, FEWEST - 1))
    assert few._fitted._judge._opinion is None


def test_where_the_head_knows_it_nothing_changes(monkeypatch):
    X, odd = shift(0)
    with_trees = FewShotDetector(random_state=0).fit(X, known(odd, 60))
    assert with_trees._fitted._judge._opinion is None
    monkeypatch.setattr("oddshot.detectors.corrections.second_opinion.FEWEST", ROWS)
    alone = FewShotDetector(random_state=0).fit(X, known(odd, 60))
    np.testing.assert_array_equal(with_trees.anomaly_score(X), alone.anomaly_score(X))


def test_labels_that_say_nothing_are_not_believed():
    rng = np.random.default_rng(0)
    for seed in range(3):
        X = np.random.default_rng(seed).normal(size=(600, 8))
        y = np.full(600, -1)
        y[rng.permutation(600)[:FEWEST]] = 1
        assert FewShotDetector(random_state=0).fit(X, y)._fitted._judge._opinion is None


def test_scores_do_not_depend_on_order_company_units_or_threads(table, detector):
    X, odd = table
    new, _ = interaction(2, rows=50)
    scores = detector.anomaly_score(new)
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(len(X)), rng.permutation(COLUMNS)
    units = np.exp2(rng.integers(-4, 5, COLUMNS))
    other = FewShotDetector(random_state=0, n_jobs=2).fit(
        (X * units)[rows][:, columns], known(odd, 80)[rows]
    )
    np.testing.assert_allclose(other.anomaly_score((new * units)[:, columns]), scores, atol=1e-9)
    alone = [float(detector.anomaly_score(row[None])[0]) for row in new[:5]]
    np.testing.assert_allclose(alone, scores[:5], atol=1e-9)


def test_saved_pickled_or_told_later_it_says_the_same(table, detector, tmp_path):
    X, odd = table
    new, _ = interaction(3, rows=40)
    scores = detector.anomaly_score(new)
    detector.save(tmp_path / "kept")
    for other in (FewShotDetector.load(tmp_path / "kept"), pickle.loads(pickle.dumps(detector))):
        np.testing.assert_array_equal(other.anomaly_score(new), scores)
    later = FewShotDetector(random_state=0).fit(X, known(odd, 60))
    more = np.flatnonzero(odd)[60:80]
    later.partial_fit(X[more], np.ones(20, dtype=int))
    assert later._fitted._judge._opinion is not None
    assert np.corrcoef(later.anomaly_score(new), scores)[0, 1] > 0.9


def test_an_earlier_edition_has_none(table):
    X, odd = table
    support = draw_support(X, known(odd, 80).astype(np.int8), seed=0)
    for edition, asked in ((Edition.SECOND_OPINION - 1, False), (Edition.SECOND_OPINION, True)):
        mapping = Mapping(edition=edition).fit(support)
        assert asked_for(mapping) == asked


def test_rows_of_the_support_are_judged_by_trees_that_have_not_seen_them(table):
    X, odd = table
    mapping = Mapping().fit(draw_support(X, known(odd, 80).astype(np.int8), seed=0))
    support = mapping.support
    told = np.zeros(len(support.typical))
    opinion = SecondOpinion(mapping, told, np.zeros(len(support.known)))
    assert opinion.counts
    own = opinion.of_typical(told)
    np.testing.assert_array_equal(opinion.of(told, support.typical), own)
    truth = odd[RowPlaces(X).of(support.as_encoded(support.typical))]
    hidden = roc_auc_score(truth, own)
    assert 0.7 < hidden < 1  # anomalies that hide among them are found, though they were "typical"


def test_equal_rows_share_a_fold():
    rows = np.repeat(np.arange(30.0)[:, None], 3, axis=0)
    folds = _folds(rows, np.random.default_rng(0)).reshape(-1, 3)
    assert (folds == folds[:, :1]).all()
    assert np.bincount(folds[:, 0]).tolist() == [10, 10, 10]


def test_known_anomalies_that_are_equal_or_far_away_or_all_there_is():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = np.repeat([1, -1], [80, 220])
    equal, far = X.copy(), X.copy()
    equal[:80] = [9, 9, 9]
    far[:80] += 1e6
    for rows in (equal, far):
        scores = FewShotDetector(random_state=0).fit(rows, y).anomaly_score(rows)
        assert scores[:80].min() > np.quantile(scores[80:], 0.9)
    few = FewShotDetector(random_state=0).fit(X[:120], np.maximum(y[:120], 0))
    assert few._fitted._judge._opinion is None


def test_ranks_are_those_of_a_plain_count():
    rng = np.random.default_rng(0)
    known_scores, typical = rng.integers(0, 6, 20), rng.integers(0, 6, 30)
    plain = [
        np.mean([1.0 if k > t else 0.5 if k == t else 0.0 for t in typical]) for k in known_scores
    ]
    np.testing.assert_allclose(_ranks(known_scores, typical), plain)
