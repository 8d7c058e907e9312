import numpy as np
import pandas as pd

from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.reports.detection import scored

NOTES = (
    ColumnNote("x", "number", True, ""),
    ColumnNote("id", "left out", False, "every value differs"),
)


def found(**changes):
    rows = pd.DataFrame({"x": [1.0, 2.0, 9.0, 3.0], "id": list("abcd")}, index=[7, 7, 8, 9])
    settings = {"source": "a.csv", "columns": NOTES, **changes}
    return scored(rows, np.array([0.1, 2.0, 3.0, 2.0]), 1.5, **settings)


def test_rows_and_columns_come_out_as_they_went_in():
    detection = found()
    assert list(detection.rows.columns) == ["x", "id", "anomaly_score", "anomaly", "anomaly_rank"]
    assert list(detection.rows.index) == [7, 7, 8, 9]
    assert list(detection.rows["x"]) == [1.0, 2.0, 9.0, 3.0]
    assert list(detection.rows["anomaly_rank"]) == [4, 2, 1, 3]
    assert list(detection.rows["anomaly"]) == [False, True, True, True]
    assert detection.flagged == 3


def test_top_rows_are_the_oddest_first_new_columns_in_front():
    top = found().top(2)
    assert list(top.columns) == ["anomaly_rank", "anomaly_score", "anomaly", "x", "id"]
    assert list(top["id"]) == ["c", "b"]


def test_what_is_told():
    told = "\n".join(found(labels=np.array([1, 0, -1, -1], dtype=np.int8), notes=["Mind."]).told())
    assert "a.csv: 4 rows; 1 of 2 columns used." in told
    assert "column 'id' (every value differs)" in told
    assert "1 known anomaly, 1 known normal row, 2 rows without a label" in told
    assert "Threshold 1.5: 3 rows score above it (75.0%)." in told
    assert "Mind.\nLabelled normal, though above the threshold, and called no anomaly: 1." in told
    assert "Labelled as anomalies, though not above the threshold, and called such: 1." in told


def test_of_many_columns_left_out_a_few_are_told():
    notes = [ColumnNote(f"c{n}", "left out", False, "one value only") for n in range(170)]
    told = found(columns=(*NOTES, *notes)).told()
    assert sum(line.startswith("Left out: column") for line in told) == 5
    assert told[6].startswith("And 166 more columns left out; detect --report")
    six = found(columns=(*NOTES, *notes[:5])).told()
    assert sum(line.startswith("Left out: column") for line in six) == 6


def test_few_rows_of_many_are_not_told_as_none():
    rows = pd.DataFrame({"x": np.zeros(6000)})
    scores = np.r_[3.0, 3.0, np.zeros(5998)]
    told = scored(rows, scores, 1.5, source="a", columns=NOTES).told()
    assert "Threshold 1.5: 2 rows score above it (under 0.1%)." in told


def test_a_row_that_is_known_to_be_an_anomaly_is_one():
    detection = found(labels=np.array([1, -1, -1, -1], dtype=np.int8))
    assert list(detection.rows["anomaly"]) == [True] * 4
    assert list(detection.rows["anomaly_rank"]) == [4, 2, 1, 3]
    assert detection.sureness()[0] == "known"


def test_a_row_that_is_known_to_be_normal_is_no_anomaly():
    detection = found(labels=np.array([-1, 0, 0, -1], dtype=np.int8))
    assert list(detection.rows["anomaly"]) == [False, False, False, True]
    assert list(detection.rows["anomaly_rank"]) == [4, 2, 1, 3]
    assert detection.flagged == 1
    assert detection.sureness().tolist() == ["", "", "", "clear"]


def test_without_columns_the_rows_are_images():
    labels = np.array([1, 0, -1, -1], dtype=np.int8)
    told = "\n".join(found(columns=(), labels=labels, source="nuts").told())
    assert "nuts: 4 images." in told
    assert "1 known normal image, 2 images without a label" in told
    assert "3 images score above it" in told
    assert "rows" not in told


def test_no_labels_are_told_only_where_the_detector_was_just_fitted():
    assert "Labels: none" in "\n".join(found(labels=np.full(4, -1, dtype=np.int8)).told())
    assert "Labels" not in "\n".join(found().told())


def test_a_column_of_the_user_is_never_replaced():
    rows = pd.DataFrame({"anomaly_score": [5, 6], "anomaly_score_2": [7, 8]})
    detection = scored(rows, np.array([0.0, 1.0]), 0.5, source="a", columns=())
    assert list(detection.rows["anomaly_score"]) == [5, 6]
    assert detection.score == "anomaly_score_3"
    assert "'anomaly_score_3'" in detection.notes[0]


def test_codes_for_gaps_are_told_of_the_rows_that_were_learned_from_alone():
    code = ColumnNote("x", "number", True, "-999 in 3 rows may stand for gaps", "code")
    unit = ColumnNote("id", "number", True, "read without kg", "unit")
    groups = ColumnNote("user", "number", True, "may name what rows belong to", "groups")
    later = "\n".join(found(columns=(code, unit, groups)).told())
    assert "kg" in later
    assert "-999" not in later
    assert "user" not in later
    learned = found(columns=(code, unit, groups), labels=np.full(4, -1, dtype=np.int8)).told()
    assert "Column 'user': may name what rows belong to." in learned
    assert "Column 'x': -999 in 3 rows may stand for gaps." in learned
