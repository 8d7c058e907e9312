import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.tree import ExtraTreeRegressor

from oddshot.mapping.coordinates.supervised import CrossFitted, Logistic, Trees

RNG = np.random.default_rng(0)
TYPICAL, KNOWN = RNG.normal(size=(80, 3)), RNG.normal(size=(6, 3)) + 2
POINTS = np.r_[TYPICAL, KNOWN]
LABELS = np.repeat([0.0, 1.0], [80, 6])
NEW = RNG.normal(size=(30, 3)) * 2
ALIKE = np.ones(86)
WORTH = np.where(np.arange(86) < 20, 10.0, 1.0)  # the first typical rows count ten times


class Recorder:
    """Remembers what it was fitted on, and scores a row by whether it was there."""

    def fit(self, points, labels, seed, worth):
        self.points, self.labels, self.seed, self.worth = points, labels, seed, worth
        return self

    def scores(self, points):
        return (points[:, None] == self.points[None]).all(axis=2).any(axis=1).astype(float)


def test_no_typical_row_is_scored_by_a_model_that_has_seen_it():
    models = []
    halves = RNG.permutation(80) % 2
    crossed = CrossFitted(lambda: models.append(Recorder()) or models[-1])
    assert (crossed.fit(TYPICAL, KNOWN, halves, 5, WORTH[:80]) == 0).all()
    for half, model in enumerate(models):
        np.testing.assert_array_equal(model.points, np.r_[TYPICAL[halves == half], KNOWN])
        assert model.labels.tolist() == [0] * 40 + [1] * 6
        assert model.worth.tolist() == [*WORTH[:80][halves == half], *[1] * 6]
    assert models[0].seed != models[1].seed
    assert (crossed.scores(TYPICAL) == 0.5).all()  # the mean of both
    assert (crossed.scores(KNOWN) == 1).all()


@pytest.mark.parametrize("leaf", [1, 4])
def test_tree_scores_are_the_probabilities_of_scikit_learns_forest(leaf):
    """But for chance: with many trees the two differ as two seeds of one forest do."""
    rows = np.r_[TYPICAL, NEW]

    def forest(seed):
        made = ExtraTreesClassifier(
            400, class_weight="balanced", min_samples_leaf=leaf, random_state=seed
        )
        return made.fit(POINTS, LABELS).predict_proba(rows)[:, 1]

    found = Trees(leaf=leaf, trees=400).fit(POINTS, LABELS, 7, ALIKE).scores(rows)
    first, second = forest(0), forest(1)
    between_seeds = np.abs(first - second).mean()
    assert np.abs(found - first).mean() < 1.5 * between_seeds
    assert abs((found - first).mean()) < between_seeds


@pytest.mark.parametrize("worth", [ALIKE, WORTH], ids=["alike", "some more"])
def test_each_tree_is_the_one_that_scikit_learn_grows_from_its_seed(worth):
    totals = np.array([worth[kind == LABELS].sum() for kind in (0, 1)])
    weights = worth * (len(LABELS) / (2 * totals))[LABELS.astype(int)]
    seeds = np.random.RandomState(7)
    expected = []
    for _ in range(3):
        tree = ExtraTreeRegressor(
            max_features="sqrt",
            min_samples_leaf=4,
            random_state=seeds.randint(np.iinfo(np.int32).max),
        )
        expected.append(tree.fit(POINTS, LABELS, sample_weight=weights).predict(NEW))
    found = Trees(leaf=4, trees=3).fit(POINTS, LABELS, 7, worth).scores(NEW)
    np.testing.assert_array_equal(found, sum(expected) / 3)


def test_a_seed_grows_the_same_trees():
    one, again, other = (
        Trees(leaf=4, trees=5).fit(POINTS, LABELS, seed, ALIKE) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one.scores(NEW), again.scores(NEW))
    assert not np.array_equal(one.scores(NEW), other.scores(NEW))


@pytest.mark.parametrize("worth", [ALIKE, WORTH], ids=["alike", "some more"])
def test_logistic_scores_are_log_odds_with_both_classes_weighted_alike(worth):
    weights = worth * np.where(LABELS == 1, 0.5 / 6, 0.5 / worth[:80].sum()) * len(LABELS) / 10
    model = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(POINTS, LABELS, weights)
    found = Logistic(strength=0.1).fit(POINTS, LABELS, 0, worth).scores(NEW)
    np.testing.assert_allclose(found, model.decision_function(NEW), atol=1e-3)


@pytest.mark.parametrize("make", [lambda: Trees(leaf=4, trees=50), lambda: Logistic(strength=0.1)])
@pytest.mark.parametrize("known", [1, 6])
def test_rows_near_the_known_anomalies_score_high(make, known):
    crossed = CrossFitted(make)
    crossed.fit(TYPICAL, KNOWN[:known], np.arange(80) % 2, 0, ALIKE[:80])
    near = RNG.normal(size=(40, 3)) + KNOWN[:known].mean(axis=0)
    scores = crossed.scores(np.r_[RNG.normal(size=(40, 3)), near])
    assert roc_auc_score(np.repeat([0, 1], 40), scores) > 0.8


@pytest.mark.parametrize("make", [lambda: Trees(leaf=4, trees=5), lambda: Logistic(strength=0.1)])
def test_two_typical_rows_and_one_known_anomaly_are_enough(make):
    crossed = CrossFitted(make)
    own = crossed.fit(TYPICAL[:2], KNOWN[:1], np.array([1, 0]), 0, ALIKE[:2])
    assert np.isfinite(np.r_[own, crossed.scores(NEW)]).all()
