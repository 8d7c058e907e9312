import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oddshot import FewShotDetector
from oddshot.detectors.corrections.solitary import (
    HIGH,
    LEAST,
    MOST,
    OFTEN_SLOPE,
    OFTEN_START,
    OUTSIDE,
    SLOPE,
    START,
    Solitary,
    solitude,
)
from oddshot.detectors.fitted.table import FittedTable
from oddshot.mapping.coordinates.label_free import LABEL_FREE
from oddshot.mapping.editions import Edition
from oddshot.mapping.mapping import COORDINATES
from oddshot.thresholds.surprise import Surprise
from small_priors import untrained_prior

TYPICAL = np.linspace(0, 1, 999)


def coordinates(alone, centre=0.3):
    """Rows whose z by the distance to fifth neighbours is as given."""
    rows = np.zeros((len(alone), len(COORDINATES), 2), dtype=np.float32)
    for space in ("standard", "quantile", "whitened"):
        rows[:, LABEL_FREE.index(f"knn5_{space}"), 1] = alone
    rows[:, LABEL_FREE.index("mahalanobis_trimmed"), 0] = centre
    return rows


def decades(alone, centre=0.3, scores=0.5, typical=(0.0,)):
    """Surprise of rows that score alike, once they are raised."""
    scale = Surprise().fit(TYPICAL)
    solitary = Solitary(scale, coordinates(typical))
    return scale.apply(solitary.apply(np.full(len(alone), scores), coordinates(alone, centre)))


def clusters(rows=600, odd=20, seed=0):
    """Rows of eight clusters, and some between two of them."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).uniform(-10, 10, (8, 6))
    drawn = centres[rng.integers(0, 8, rows)] + rng.normal(size=(rows, 6))
    one = rng.integers(0, 8, odd)
    other = (one + rng.integers(1, 8, odd)) % 8
    between = (centres[one] + centres[other]) / 2 + rng.normal(size=(odd, 6))
    return np.r_[drawn, between], np.arange(rows + odd) >= rows


def test_solitude_is_the_mean_over_the_spaces():
    rows = coordinates([0.5, 2.0])
    rows[0, LABEL_FREE.index("knn5_quantile"), 1] = 2.0
    np.testing.assert_allclose(solitude(rows), [1.0, 2.0])


def test_rows_are_raised_by_what_is_above_the_start():
    found = decades([START - 0.1, START, START + 0.4])
    assert found[0] == found[1] == decades([0.0])[0]
    assert found[2] == pytest.approx(SLOPE * 0.4, abs=0.01)


def test_rows_need_be_less_far_where_several_are():
    often, seldom = np.r_[np.zeros(999), np.full(5, HIGH + 0.1)], np.r_[np.zeros(999), HIGH + 0.1]
    above = [OFTEN_START + 0.3]
    assert decades(above, typical=often)[0] == pytest.approx(OFTEN_SLOPE * 0.3, abs=0.01)
    assert decades(above, typical=seldom)[0] == decades([0.0])[0]


def test_they_end_in_order_and_sooner_where_rows_are_far_from_the_centre():
    inside = decades([2.0, 3.0])
    assert inside[0] < inside[1]
    assert inside[1] == pytest.approx(MOST, abs=0.01)
    assert decades([3.0], centre=OUTSIDE)[0] == pytest.approx(LEAST, abs=0.01)
    assert LEAST < decades([3.0], centre=1.0)[0] < MOST


def test_nothing_is_lowered():
    assert decades([3.0], scores=5.0)[0] > decades([3.0])[0]
    assert decades([3.0], scores=5.0)[0] == decades([0.0], scores=5.0)[0]


def test_rows_between_clusters_are_found_without_a_label():
    rows, odd = clusters()
    new, truth = clusters(seed=1)
    detector = FewShotDetector(random_state=0).fit(rows)
    assert roc_auc_score(odd, detector.anomaly_score(rows)) > 0.85
    assert roc_auc_score(truth, detector.anomaly_score(new)) > 0.85
    flagged = detector.predict(new) == -1
    assert flagged[truth].mean() > 0.5
    assert flagged[~truth].mean() < 0.05


@pytest.mark.parametrize(
    ("labels", "edition", "looks"),
    [
        ({}, Edition.SEES_SOLITUDE, True),
        ({}, Edition.SEES_SOLITUDE - 1, False),
        ({0: 0}, Edition.SEES_SOLITUDE, True),
        ({0: 1}, Edition.SEES_SOLITUDE, False),
        (dict.fromkeys(range(70), 0), Edition.SEES_SOLITUDE, False),
    ],
    ids=["nothing known", "an earlier edition", "one normal", "one anomaly", "all normal"],
)
def test_it_looks_where_there_is_no_other_hint(labels, edition, looks):
    rows, _ = clusters(60, 10)
    given = np.full(len(rows), -1, dtype=np.int8)
    given[list(labels)] = list(labels.values())
    made = FittedTable.fit(untrained_prior(), rows, given, seed=0, threads=1, edition=edition)
    assert (made._judge._solitary is not None) is looks


def test_known_normal_rows_bring_their_like_down():
    rows, odd = clusters()
    detector = FewShotDetector(random_state=0).fit(rows)
    alone = np.flatnonzero(odd)[detector.anomaly_score(rows[odd]).argmax()]
    like = rows[[alone]] + 0.01
    before = detector.anomaly_score(like)[0]
    detector.partial_fit(rows[[alone]], [0])
    assert detector.anomaly_score(like)[0] < before - 0.5
