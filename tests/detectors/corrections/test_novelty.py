import numpy as np
import pytest

from oddshot import FewShotDetector
from oddshot.detectors.corrections.novelty import BOUND, Novelty, blind, bounded, without_labels
from oddshot.episodes import MappedTask, SupportSummary
from oddshot.errors import SettingError
from oddshot.mapping.coordinates.evidence import EVIDENCE, TABLE
from oddshot.mapping.coordinates.label_free import LABEL_FREE
from oddshot.mapping.mapping import COORDINATES
from small_priors import untrained_prior


def rows_of_two_types():
    """Many normal rows, a known type on the right of them, and a new one far above."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(220, 2))
    rows[:10] += [5, 0]
    new = rng.normal(size=(10, 2)) * 0.2 + [0, 9]
    labels = np.full(220, -1)
    labels[:5] = 1
    return rows, labels, new


@pytest.fixture(scope="module")
def fitted():
    rows, labels, _ = rows_of_two_types()
    fits = {
        novel: FewShotDetector(novel=novel).fit(rows, labels) for novel in (0.0, 0.5, "auto", 1.0)
    }
    return {**fits, "no labels": FewShotDetector().fit(rows[5:])}


def test_all_of_the_label_free_surprise_stays_where_asked(fitted):
    _, _, new = rows_of_two_types()
    tables = {name: detector._fitted for name, detector in fitted.items() if name != 0.0}
    raw = {}
    for name, table in tables.items():
        rows, coordinates, _ = table.seen(new)
        raw[name] = table._judge.told(coordinates, rows)
    plain = fitted["no labels"].anomaly_score(new)
    assert (raw[1.0] >= 0.99 * bounded(plain)).all()
    assert (raw[0.5] >= 0.99 * bounded(plain / 2)).all()
    assert (raw[1.0] >= raw[0.5]).all()
    assert (raw[1.0] >= raw["auto"]).all()


def test_the_known_type_is_still_found(fitted):
    rows, _, _ = rows_of_two_types()
    for novel in (0.0, "auto", 1.0):
        scores = fitted[novel].anomaly_score(rows)
        assert scores[5:10].min() > np.quantile(scores[10:], 0.95)


def test_it_is_saved_and_pickled(fitted, tmp_path):
    import pickle

    rows, _, new = rows_of_two_types()
    detector = fitted["auto"]
    detector.save(tmp_path / "kept")
    for again in (
        FewShotDetector.load(tmp_path / "kept"),
        pickle.loads(pickle.dumps(detector)),
    ):
        assert again.novel == "auto"
        np.testing.assert_allclose(again.anomaly_score(new), detector.anomaly_score(new))
        np.testing.assert_allclose(again.anomaly_score(rows), detector.anomaly_score(rows))


def test_without_known_anomalies_it_changes_nothing():
    rows, _, new = rows_of_two_types()
    some = [
        FewShotDetector(prior=untrained_prior(), novel=novel).fit(rows).anomaly_score(new)
        for novel in (0.0, 1.0)
    ]
    np.testing.assert_array_equal(*some)


@pytest.mark.parametrize("novel", ["much", -0.1, 1.5, None, True, float("nan")])
def test_what_it_cannot_be_is_refused(novel):
    with pytest.raises(SettingError, match="novel is"):
        Novelty.checked(novel)


def floored(novelty, typical, known, rows):
    """Floored scores of rows: the last column is what labels say, the first what is odd anyway."""
    floor = novelty.floor(typical[:, -1, 0], typical[:, 0, 0], known[:, 0, 0])
    return floor.apply(rows[:, -1, 0], rows[:, 0, 0])


def test_auto_trusts_the_label_free_view_as_far_as_it_ranks_known_anomalies():
    rng = np.random.default_rng(0)
    typical = rng.normal(size=(500, len(COORDINATES), 2)).astype(np.float32)
    known, new = typical[:5].copy(), typical[:3].copy()
    known[:, 0, 0], new[:, 0, 0], new[:, -1, 0] = 8, 8, -2
    lost = typical[:5].copy()
    lost[:, 0, 0] = -3  # as typical as can be
    trusting = floored(Novelty(), typical, known, new)
    doubting = floored(Novelty(), typical, lost, new)
    assert trusting.min() > 0.95 * BOUND
    assert doubting.max() < 0.1


def test_nothing_that_is_merely_odd_comes_before_what_looks_like_the_known_anomalies():
    rng = np.random.default_rng(0)
    typical = rng.normal(size=(500, len(COORDINATES), 2)).astype(np.float32)
    typical[:10, -1, 0] = 5  # copies of the known ones hide among the rows
    known, odd = typical[:5].copy(), typical[10:40].copy()
    known[:, 0, 0] = 5
    odd[:, 0, 0], odd[:, -1, 0] = np.linspace(2, 9, len(odd)), -2
    like_known, merely_odd = (floored(Novelty(1.0), typical, known, rows) for rows in (known, odd))
    assert merely_odd.max() < like_known.min()
    assert (np.diff(merely_odd) >= 0).all()
    assert merely_odd.min() > 1


def test_a_bound_keeps_the_order_and_what_lies_far_below():
    floor = np.linspace(0, 5, 200)
    found = bounded(floor)
    assert (np.diff(found) > 0).all()
    assert (found < BOUND).all()
    np.testing.assert_allclose(found[floor < 0.5], floor[floor < 0.5], rtol=0.01)
    assert bounded(np.array([1e300]))[0] == BOUND


def test_labels_are_forgotten_and_nothing_else():
    rng = np.random.default_rng(0)
    support = rng.normal(size=(6, len(COORDINATES), 2)).astype(np.float32)
    labels = np.array([1, 1, -1, -1, -1, -1], dtype=np.int8)
    evidence = np.ones((len(COORDINATES), len(EVIDENCE)), dtype=np.float32)
    summary = SupportSummary(evidence, np.ones(len(TABLE), dtype=np.float32))
    task = MappedTask("t", "f", 0, support, labels, support[:0], labels[:0], summary)
    free = without_labels(task)
    assert free.support_labels.tolist() == [-1] * 4
    gone = {
        name for name, value in zip(EVIDENCE, free.summary.evidence[0], strict=True) if not value
    }
    assert gone == {"known_rank", "known_decades", "known_z"}
    facts = dict(zip(TABLE, free.summary.table, strict=True))
    assert (facts["any_known"], facts["known"], facts["rows"]) == (0, 0, 1)
    assert task.summary.table.all()
    assert len(LABEL_FREE) < len(COORDINATES)


def test_a_blind_look_is_at_label_free_coordinates():
    seen = np.ones((3, len(COORDINATES), 2), dtype=np.float32)
    unseen = blind(seen)
    assert unseen[:, : len(LABEL_FREE)].all()
    assert not unseen[:, len(LABEL_FREE) :].any()
    assert seen.all()


def test_beyond_what_rows_can_show_labels_decide():
    rng = np.random.default_rng(0)
    typical = rng.normal(size=(50, len(COORDINATES), 2)).astype(np.float32)
    far = typical[:2].copy()
    far[:, 0, 0], far[:, -1, 0] = [400, 500], [40, 30]
    first, second = floored(Novelty(1.0), typical, far[:1], far).tolist()
    assert first > second > np.log10(51)
