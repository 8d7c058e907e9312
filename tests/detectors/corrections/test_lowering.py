import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.detectors.corrections.lowering import AGAINST, NOBODY, TYPICAL, Lowering
from oddshot.detectors.fitted.table import FittedTable
from oddshot.mapping.editions import Edition
from small_priors import untrained_prior

RNG = np.random.default_rng(0)
COUNT, CLUSTER, ODD = 300, 20, 8
BULK = RNG.normal(size=(COUNT, 3))


def cluster(rows, seed):
    """Rare rows that are normal: far off, but close together."""
    return np.random.default_rng(seed).normal(size=(rows, 3)) * 0.4 + [6, 6, 0]


def odd(rows, seed):
    """Anomalies: as far off, each in a direction of its own, but not in that of the cluster."""
    found = np.random.default_rng(seed).normal(size=(rows, 3))
    found /= np.linalg.norm(found, axis=1)[:, None]
    found[:, :2] = -np.abs(found[:, :2])
    return found * 7


ROWS = np.concatenate([BULK, cluster(CLUSTER, 1), odd(ODD, 2)])
FRESH = np.concatenate([cluster(30, 3), odd(30, 4), RNG.normal(size=(200, 3))])


def labelled(normal=0, known=0):
    """Labels of rows of the cluster, and of anomalies."""
    labels = np.full(len(ROWS), -1)
    labels[COUNT : COUNT + normal] = 0
    labels[COUNT + CLUSTER : COUNT + CLUSTER + known] = 1
    return labels


def fitted(labels, rows=ROWS, **settings):
    return FewShotDetector(prior=untrained_prior(), random_state=0, **settings).fit(rows, labels)


def lowering(detector):
    return detector._fitted._judge._lowering


def near(rows, others):
    """Likeness of every row to every other one, pair by pair."""
    spaces = [
        (a.astype(float), b.astype(float))
        for a, b in zip(rows.views.named().values(), others.views.named().values(), strict=True)
    ]
    found = np.zeros((len(rows), len(others)))
    for i in range(len(rows)):
        for j in range(len(others)):
            squares = [
                ((a[i] - b[j]) ** 2).sum() / np.exp(rows.fifths[i, s] + others.fifths[j, s])
                for s, (a, b) in enumerate(spaces)
            ]
            found[i, j] = np.exp(-np.mean(squares))
    return found


def balance(normal, known):
    return normal.sum(axis=1) / (normal.sum(axis=1) + NOBODY + AGAINST * known.sum(axis=1))


@pytest.mark.parametrize("known", [0, 3])
def test_scores_are_lowered_as_the_rows_nearby_say(known):
    detector = fitted(labelled(normal=10, known=known), novel=0.0)
    table = detector._fitted
    pool = table.pool(FRESH)
    before = table._judge.told(table._mapping.judge(pool), pool.rows)
    scale = lowering(detector)._scale
    normal = table._mapping.typical_rows_.seen[:10]
    anomalies = table._mapping.known_rows_.seen
    share = balance(near(pool.seen, normal), near(pool.seen, anomalies))
    strength = 1.0
    if known:
        alike, other = near(normal, normal), near(anomalies, anomalies)
        np.fill_diagonal(alike, 0)
        np.fill_diagonal(other, 0)
        of_normal = balance(alike, near(normal, anomalies))
        of_known = balance(near(anomalies, normal), other)
        pairs = [np.sign(a - b) for a in of_normal for b in of_known]
        strength = max(0.0, np.mean(pairs))
        assert strength > 0.5
    decades = scale.apply(before)
    expected = decades - strength * share * np.maximum(decades - TYPICAL, 0)
    found = scale.apply(lowering(detector).apply(before, pool))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (expected[:30] < decades[:30]).all()


def test_a_known_normal_row_is_judged_without_itself():
    """As a new row would be: one far from all others stays where it was."""
    lonely = np.array([[0.0, -9.0, 9.0]])
    rows = np.concatenate([ROWS, lonely])
    labels = np.append(labelled(normal=10), 0)
    detector = fitted(labels, rows)
    table = detector._fitted
    pool = table.pool(np.concatenate([lonely, lonely + 1e-3]))
    before = table._judge.told(table._mapping.judge(pool), pool.rows)
    after = lowering(detector).apply(before, pool)
    assert after[0] == before[0]
    assert after[1] < before[1]


@pytest.mark.parametrize(
    ("labels", "rows"),
    [
        (labelled(known=3), ROWS),
        (np.zeros(COUNT), BULK),
        (np.where(np.arange(len(ROWS)) < COUNT + CLUSTER, 0, 1), ROWS),
    ],
    ids=["none is normal", "all are", "all but known anomalies are"],
)
def test_without_a_mixture_nothing_changes(labels, rows):
    detector = fitted(labels, rows)
    table = detector._fitted
    pool = table.pool(FRESH)
    scores = table._judge.told(table._mapping.judge(pool), pool.rows)
    assert table._mapping.normal_among_unlabelled_ == 0
    assert lowering(detector).apply(scores, pool) is scores


def test_the_like_of_rejected_alarms_falls_below_the_threshold_and_anomalies_stay():
    bulk = np.random.default_rng(5).normal(size=(1000, 3))
    rows, new = np.concatenate([bulk, ROWS[COUNT:]]), FRESH[:60]
    truth = np.repeat([0, 1], 30)
    detector = FewShotDetector(random_state=0).fit(rows)
    ranking = detector.rank(rows)
    before = ranking.detector.predict(new) == -1
    told = ranking.add_labels(np.arange(1000, 1010), np.zeros(10)).detector
    after = told.predict(new) == -1
    assert before[truth == 0].mean() > 0.8
    assert after[truth == 0].mean() < 0.2
    assert after[truth == 1].mean() > 0.8
    assert roc_auc_score(truth, told.anomaly_score(new)) > 0.95
    spared = [d.anomaly_score(FRESH[60:]) > d.threshold_ for d in (detector, told)]
    assert spared[1].mean() < spared[0].mean() + 0.02  # of other normal rows


def test_known_anomalies_among_the_normal_rows_keep_their_like_up():
    labels = labelled()
    labels[COUNT : COUNT + CLUSTER : 2] = 0
    alone = fitted(labels)
    labels[COUNT + 1 : COUNT + CLUSTER : 2] = 1  # of the same cluster: nearness tells nothing
    both = fitted(labels)
    assert lowering(alone)._strength == 1
    assert lowering(fitted(labelled(normal=10, known=5)))._strength > 0.9
    assert lowering(both)._strength < 0.5
    assert both.anomaly_score(FRESH[:30]).mean() > alone.anomaly_score(FRESH[:30]).mean() + 0.3


@pytest.mark.parametrize("known", [0, 3])
def test_a_row_scores_alike_alone_and_in_company_and_by_several_threads(known):
    labels = labelled(normal=10, known=known)
    detector, threads = fitted(labels), fitted(labels, n_jobs=2)
    whole = detector.anomaly_score(FRESH)
    alone = [detector.anomaly_score(FRESH[at : at + 1])[0] for at in range(0, 90, 10)]
    np.testing.assert_allclose(alone, whole[:90:10], rtol=1e-6)
    np.testing.assert_allclose(threads.anomaly_score(FRESH), whole, rtol=1e-9)


@pytest.mark.parametrize("known", [0, 3])
def test_the_order_of_rows_does_not_matter(known):
    labels, order = labelled(normal=10, known=known), RNG.permutation(len(ROWS))
    found = fitted(labels[order], ROWS[order]).anomaly_score(FRESH)
    np.testing.assert_allclose(found, fitted(labels).anomaly_score(FRESH), atol=1e-4)


def test_the_automatic_threshold_flags_no_more_for_it():
    """Many rows that were lowered make the others stand out: the share to flag must not grow."""
    labels = labelled()
    labels[:200] = 0
    plain, told = fitted(labelled()), fitted(labels)
    assert told.contamination_ <= plain.contamination_
    found = told.set_threshold(contamination="auto").threshold_
    assert (told.anomaly_score(FRESH[60:]) > found).mean() < 0.03


def test_few_rows_are_held_out_with_their_labels():
    few = np.r_[0:30, COUNT : COUNT + CLUSTER]
    plain, told = (fitted(labelled(normal=n)[few], ROWS[few]) for n in (0, 12))
    assert told._fitted.spares_rows
    assert told.anomaly_score(FRESH[:30]).mean() < plain.anomaly_score(FRESH[:30]).mean()


def test_what_an_older_version_saved_scores_as_it_did(tmp_path):
    """It counted known normal rows as unlabelled ones, and remembers nothing else."""
    detector = fitted(labelled(normal=10, known=3))
    detector.save(tmp_path / "new")
    loaded = FewShotDetector.load(tmp_path / "new")
    np.testing.assert_allclose(loaded.anomaly_score(FRESH), detector.anomaly_score(FRESH))
    table = detector._fitted
    meta, arrays = table.state()
    assert meta.pop("edition") == Edition.NEWEST
    parts = {"support": {}, "encoder": {}}
    for name, array in arrays.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = array
    old = FittedTable.restored(table.prior, meta | {"seed": table.seed}, parts, threads=1)
    pool = old.pool(FRESH)
    scores = old._judge.told(old._mapping.judge(pool), pool.rows)
    assert old._judge._lowering.apply(scores, pool) is scores
    assert old._mapping.of_other(old.support).edition == 1
    assert old.state()[0]["edition"] == 1


def test_it_stands_on_a_scale_of_scores_before_it():
    detector = fitted(labelled(normal=10))
    table = detector._fitted
    own = table._judge.told(table._mapping.typical_, table.support.typical)
    made = Lowering(table._mapping, lowering(detector)._scale)
    np.testing.assert_array_equal(made._scale.reference, np.sort(own))


def test_one_normal_row_does_not_move_the_automatic_share_where_cells_are_absurd():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(900, 20))
    rows[np.arange(40), rng.integers(20, size=40)] = 1e3
    labels = np.full(900, -1)
    plain = fitted(labels, rows)
    labels[500] = 0
    assert fitted(labels, rows).contamination_ == pytest.approx(plain.contamination_, abs=0.004)
