import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.data.images import to_images
from oddshot.reports.detection import scored
from oddshot.reports.gathering import (
    MAX_EXPLAINED,
    ORDINARY,
    SUGGESTED,
    detection_report,
    gathered,
)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(160, 2)), columns=["size", "weight"])
    frame["shop"] = rng.choice(["here", "there"], size=160)
    frame.loc[:5, "size"] = 6.0
    frame.loc[10:20, "weight"] = np.nan
    return frame


@pytest.fixture(scope="module")
def labels():
    return np.r_[1, 1, np.full(150, -1), np.zeros(8)].astype(np.int8)


@pytest.fixture(scope="module")
def detector(rows, labels):
    return FewShotDetector().fit(rows, labels)


@pytest.fixture(scope="module")
def found(rows, labels, detector):
    scores = detector.anomaly_score(rows)
    return scored(
        rows, scores, detector.threshold_, source="a", columns=detector.column_report_,
        labels=labels,
    )  # fmt: skip


@pytest.fixture(scope="module")
def evidence(rows, detector, found):
    return gathered(detector, rows, found)


def test_the_oddest_rows_are_explained(found, evidence):
    assert [*evidence.explained] == found.order[:MAX_EXPLAINED].tolist()
    for place, row in evidence.explained.items():
        assert row.score == pytest.approx(found.scores[place])
    assert evidence.telling()[0] == "size"


def test_rows_to_label_have_none(labels, evidence):
    assert len(set(evidence.suggested)) == SUGGESTED
    assert (labels[[*evidence.suggested]] == -1).all()


def test_labels_are_compared_with_none(rows, found, evidence):
    plain = FewShotDetector().fit(rows).anomaly_score(rows)
    assert evidence.effect.before[np.argmax(plain)] == 1
    assert (evidence.effect.after == found.rows[found.rank]).all()


def test_the_rest(detector, evidence):
    assert evidence.rule == str(detector.threshold_rule_)
    assert evidence.compared == detector.calibration_.rows
    assert len(evidence.plane.places) == 160


def test_a_report_of_anything_the_detector_takes(rows, detector):
    page = detection_report(detector, rows, source="orders")
    assert "Oddshot report: orders" in page
    assert "What the labels did" not in page
    numbers = rows[["size", "weight"]].to_numpy()
    assert "Why these rows" in detection_report(FewShotDetector().fit(numbers), numbers)


def test_the_smallest_tables_have_a_report():
    numbers = np.array([[1.0], [2.0], [2.5], [9.0]])
    page = detection_report(FewShotDetector().fit(numbers), numbers)
    assert "1 of 4 rows looks odd" in page
    assert "Why these rows" not in page


def test_images_get_pictures():
    stack = np.random.default_rng(0).random((14, 28, 28)).round()
    stack[3] = 0
    page_of = FewShotDetector(prior="images").fit(stack)
    images = to_images(stack, channels=1)
    names = pd.DataFrame({"file": images.names})
    found = scored(names, page_of.anomaly_score(stack), 1.0, source="a", columns=())
    evidence = gathered(page_of, images, found)
    assert len(evidence.pictures) == 14
    assert len(evidence.ordinary) == ORDINARY
    assert not set(evidence.ordinary) & {3}
    assert len(evidence.suggested) == SUGGESTED
    assert "data:image/png" in detection_report(page_of, stack)
