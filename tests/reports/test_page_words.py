import numpy as np
import pandas as pd
import pytest

from oddshot.reports.detection import scored
from oddshot.reports.evidence import Evidence, LabelEffect
from oddshot.reports.page_words import headline, labels_told, sure


def found(labels=None):
    rows = pd.DataFrame({"x": range(100)})
    scores = np.r_[3.5, 2.5, 1.5, 1.4, np.zeros(96)]
    return scored(rows, scores, 1.0, source="a", columns=("x",), labels=labels)


def test_headline():
    assert headline(found()) == "4 of 100 rows look odd"


def test_sureness_is_told_by_kind_and_known_anomalies_apart():
    labels = np.r_[1, np.full(99, -1)].astype(np.int8)
    lines = sure(found(labels), Evidence(rule="by chance", compared=99))
    assert [line.split(":")[0] for line in lines[:3]] == ["1 known", "1 likely", "2 worth a look"]
    assert "How the threshold was chosen: by chance." in lines
    assert "one in 100 cannot be counted" in lines[-1]
    assert sure(found(), Evidence())[0].startswith("1 clear: among 100 ordinary rows")


@pytest.mark.parametrize("labels", [None, np.full(100, -1, dtype=np.int8)])
def test_without_labels(labels):
    told = labels_told(found(labels), None)
    assert told == ([] if labels is None else [
        "No row had a label. A few labelled anomalies help a lot."
    ])  # fmt: skip


def test_what_labels_did():
    labels = np.r_[1, 1, 0, np.full(97, -1)].astype(np.int8)
    before = np.r_[60, 40, 1, np.delete(np.arange(1, 101), [59, 39, 0])]
    after = np.arange(1, 101)
    told = labels_told(found(labels), LabelEffect(before, after))
    assert told == [
        "2 known anomalies: 2 of them are above the threshold; the middle one is number 1 of 100.",
        "1 known normal rows: 1 of them are above the threshold; the middle one is number 3 of "
        "100.",
        "Without the labels, the middle known anomaly would be number 50.",
        "Of the 50 oddest rows, 49 are also among the 50 oddest without the labels; the labels "
        "brought in 1.",
    ]
