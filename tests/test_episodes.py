from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
import torch

from oddshot.episodes import Batch, Episode, MappedTask, SupportSummary, Table
from oddshot.errors import DataError, LabelError

ROWS = np.arange(8.0).reshape(4, 2)
LABELS = np.array([1, 0, -1, 0], dtype=np.int8)


def test_a_table_is_its_own_family_unless_told():
    assert Table("toy", ROWS).family == "toy"
    assert Table("toy", ROWS, LABELS, "toys").family == "toys"


@pytest.mark.parametrize("rows", [ROWS, ROWS.astype(np.float32), pd.DataFrame(ROWS)])
def test_rows_can_be_a_matrix_or_a_frame(rows):
    assert Table("toy", rows, LABELS).rows is rows
    assert len(Batch(rows, LABELS)) == 4


@pytest.mark.parametrize("rows", [ROWS[0], ROWS[None], pd.Series(ROWS[0])])
def test_a_table_has_rows_and_columns(rows):
    with pytest.raises(DataError, match=r"'toy' has \d dimension\(s\); give rows x columns"):
        Table("toy", rows)


@pytest.mark.parametrize("labels", [LABELS[:3], LABELS[:, None], np.zeros(0, np.int8)])
def test_every_row_has_one_label(labels):
    with pytest.raises(LabelError, match="'toy' has 4 rows but labels of shape"):
        Table("toy", ROWS, labels)
    with pytest.raises(LabelError, match="give one label a row"):
        Batch(ROWS, labels)


@pytest.mark.parametrize("wrong", [2, -2, 100])
def test_the_first_wrong_label_is_named(wrong):
    labels = LABELS.copy()
    labels[2:] = wrong
    with pytest.raises(LabelError, match=rf"'toy' holds the label {wrong} in row 2; write 1 for"):
        Table("toy", ROWS, labels)


def test_a_gap_is_no_label():
    with pytest.raises(LabelError, match="holds the label nan in row 1"):
        Batch(ROWS, np.array([1, np.nan, 0, 0]))


def test_a_query_needs_the_truth():
    support = Batch(ROWS, LABELS)
    truth = Batch(ROWS, np.abs(LABELS))
    assert Episode("toy#0", "toy", 0, support, truth).query is truth
    with pytest.raises(LabelError, match="'toy#0' has unlabelled query rows"):
        Episode("toy#0", "toy", 0, support, support)


def test_an_empty_query_is_fine():
    Episode("toy#0", "toy", 0, Batch(ROWS, LABELS), Batch(ROWS[:0], LABELS[:0]))


def mapped(**changes):
    rows = np.zeros((4, 3, 2), np.float32)
    summary = SupportSummary(np.zeros((3, 5), np.float32), np.zeros(2, np.float32))
    known = {"support_labels": LABELS, "query_labels": np.abs(LABELS)}
    values = {"support": rows, "query": rows, **known}
    return MappedTask(name="toy", family="", seed=0, summary=summary, **(values | changes))


def test_a_mapped_task_checks_both_parts():
    assert mapped().query.shape == (4, 3, 2)
    with pytest.raises(LabelError, match="'toy' has 4 rows"):
        mapped(support_labels=LABELS[:2])
    with pytest.raises(LabelError, match="'toy' has 4 rows"):
        mapped(query_labels=LABELS[:2])
    with pytest.raises(LabelError, match="task 'toy' has unlabelled query rows; a query needs"):
        mapped(query_labels=LABELS)
    with pytest.raises(DataError, match=r"support rows are \(3, 2\), query rows \(2, 2\)"):
        mapped(query=np.zeros((4, 2, 2), np.float32))


def test_a_mapped_task_holds_float32_and_int8_whatever_it_is_given():
    task = mapped()
    rows = task.support.astype(np.float64)
    summary = SupportSummary(task.summary.evidence.astype(np.float64), [0.0, 1.0])
    for given in (rows, rows.astype(int), rows.tolist(), torch.tensor(rows)):
        labels = [1, 0, True, 0.0]
        found = replace(task, support=given, query_labels=labels, summary=summary)
        kinds = (found.support, found.query_labels, found.summary.evidence, found.summary.table)
        assert [array.dtype for array in kinds] == ["f4", "i1", "f4", "f4"]
    assert replace(task).support is task.support


def test_what_is_no_rows_or_no_numbers_is_named():
    with pytest.raises(DataError, match=r"has query rows of shape \(4, 3\); give rows x coord"):
        mapped(query=np.zeros((4, 3)))
    with pytest.raises(DataError, match=r"support of task 'toy' cannot be read as numbers \(could"):
        mapped(support=[[["a"]]])
    with pytest.raises(DataError, match="support of task 'toy' cannot be read as numbers"):
        mapped(support=torch.zeros(4, 3, 2, requires_grad=True))
    with pytest.raises(LabelError, match=r"'toy' holds the label 0\.5 in row 1"):
        mapped(support_labels=[0, 0.5, 1, 0])


def test_values_are_frozen_and_copies_are_checked():
    task = mapped()
    with pytest.raises(FrozenInstanceError):
        task.name = "other"
    with pytest.raises(LabelError):
        replace(task, query_labels=LABELS[:1])
