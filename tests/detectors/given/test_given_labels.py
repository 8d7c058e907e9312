import inspect
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch
from sklearn.exceptions import DataConversionWarning

from oddshot import AAEDetector, FewShotDetector, SeriesDetector
from oddshot.detectors.scorers import roc_auc_scorer
from oddshot.episodes import GivenLabels
from oddshot.errors import LabelError, LabelWarning
from small_detectors import detector, few_labels, odd_among


@pytest.fixture(scope="module")
def plainly_labelled() -> FewShotDetector:
    return detector().fit(odd_among()[0], np.array([1, 1, -1, 0] + [-1] * 96))


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([1, 1, None, 0] + [None] * 96, id="list with gaps"),
        pytest.param([1.0, 1.0, np.nan, 0.0] + [np.nan] * 96, id="floats"),
        pytest.param(["anomaly", "yes", "", "Normal"] + ["?"] * 96, id="words"),
        pytest.param(np.array([1, 1, -1, 0] + [-1] * 96, dtype=object), id="objects"),
        pytest.param(pd.Series([1, 1, None, 0] + [None] * 96, dtype="Int64"), id="nullable"),
        pytest.param(
            pd.Series([True, True, None, False] + [None] * 96, dtype="boolean"), id="boolean"
        ),
        pytest.param(
            pd.Series([1, 1, -1, 0] + [-1] * 96, index=range(100, 0, -1)), id="other index"
        ),
        pytest.param(pl.Series([1, 1, None, 0] + [None] * 96), id="polars"),
        pytest.param(pa.chunked_array([[1, 1, None, 0], [None] * 96]), id="pyarrow"),
    ],
)
def test_labels_in_any_dress(labels, plainly_labelled):
    rows, _ = odd_among()
    expected = plainly_labelled.anomaly_score(rows)
    np.testing.assert_array_equal(detector().fit(rows, labels).anomaly_score(rows), expected)


def test_labels_in_a_column_of_their_own_are_taken_with_scikit_learns_warning(fitted):
    rows, _ = odd_among()
    with pytest.warns(DataConversionWarning, match="column-vector") as told:
        found = detector().fit(rows, few_labels()[:, None])
    assert told[0].filename == __file__
    np.testing.assert_array_equal(found.anomaly_score(rows), fitted.anomaly_score(rows))


@pytest.mark.parametrize("dtype", [int, float, object])
def test_a_target_that_is_no_label_is_ignored_with_a_warning(dtype):
    rows, _ = odd_among()
    target = (np.arange(100) % 4).astype(dtype)
    with pytest.warns(LabelWarning, match=r"y holds 2(\.0)? in row 2, which is no label"):
        found = detector().fit(rows, target)
    expected = detector().fit(rows).anomaly_score(rows)
    np.testing.assert_array_equal(found.anomaly_score(rows), expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones(5), "X has 100 rows but y has 5; give one label a row"),
        (["spam"] * 100, "column 'y' holds 'spam' in row 0; write 1 for an anomaly"),
        (np.ones((100, 2)), r"y cannot be read: y should be a 1d array, .*\(100, 2\)"),
        (1, "y cannot be read"),
        (np.ones(100) * 1j, "y cannot be read"),
        (torch.ones(100, requires_grad=True), r"y is a Tensor that cannot .* Use tensor\.detach"),
        (torch.ones(100, dtype=torch.bfloat16), "y is a Tensor of bfloat16.* by .float"),
        (np.zeros(100, dtype=[("a", int)]), "labels 'y' are an array of records"),
        (
            np.array([datetime(2020, 1, 1, tzinfo=UTC)] * 100, dtype=object),
            "column 'y' holds .* in row 0",
        ),
    ],
)
def test_wrong_labels(labels, message):
    with pytest.raises(LabelError, match=message):
        detector().fit(odd_among()[0], labels)


def test_predictions_given_as_labels_are_told():
    rows, truth = odd_among()
    with pytest.warns(LabelWarning, match=r"y holds 1 in 90 of 100 rows and -1 in the others"):
        detector().fit(rows, np.where(truth == 1, -1, 1))


def test_a_slip_among_labels_is_an_error():
    rows, _ = odd_among()
    y = few_labels().astype(float)
    y[17] = 2
    with pytest.raises(LabelError, match=r"2\.0 in row 17.*correct it"):
        detector().fit(rows, y)


@pytest.mark.parametrize("dtype", [int, bool, "uint8", float, object, str])
def test_masked_labels_are_unknown(dtype):
    rows, _ = odd_among()
    truth = np.r_[1, 1, 0, np.ones(97, int)].astype(dtype)
    y = np.ma.masked_array(truth, mask=np.arange(100) > 2)
    known = np.where(np.arange(100) < 3, [1, 1, 0] + [-1] * 97, -1)
    expected = detector().fit(rows, known).anomaly_score(rows)
    np.testing.assert_array_equal(detector().fit(rows, y).anomaly_score(rows), expected)


@pytest.mark.parametrize("index", [range(100), [f"r{i}" for i in range(100)]])
def test_labels_whose_index_is_that_of_the_table_shuffled_are_told(index):
    rows = pd.DataFrame(odd_among()[0], index=index)
    labels = pd.Series(few_labels(), index=index)
    with pytest.warns(LabelWarning, match=r"in another order.*; give y\.loc\[X\.index\]") as told:
        detector().fit(rows, labels.sample(frac=1, random_state=0))
    assert told[0].filename == __file__


def test_groups_and_labels_of_rows_to_judge_by_are_told_alike():
    rows = pd.DataFrame(odd_among()[0], index=[f"r{i}" for i in range(100)])
    groups = pd.Series(np.arange(100) // 2, index=rows.index)
    shuffled, made = groups.sample(frac=1, random_state=0), detector().fit(rows)
    for given in ((), (rows + 1,)):
        made.calibrate(*given, groups=groups)
        with pytest.warns(LabelWarning, match=r"give groups\.loc\[X\.index\], or gr") as told:
            made.calibrate(*given, groups=shuffled)
        assert told[0].filename == __file__
    truth = pd.Series(odd_among()[1], index=rows.index)
    with pytest.warns(LabelWarning, match=r"y has the index of X in another order"):
        roc_auc_scorer(made, rows, truth.sample(frac=1, random_state=0))


@pytest.mark.parametrize("index", [range(100, 200), [0] * 100, range(100)])
def test_another_index_or_a_repeated_one_says_nothing_of_order(index):
    detector().fit(pd.DataFrame(odd_among()[0]), pd.Series(few_labels(), index=index))


TOLD = r"says of all \d+ labelled rows what y says, and is learned from as any other; leave it out"


@pytest.mark.parametrize("make", [detector, lambda: AAEDetector(steps=5)], ids=["few-shot", "aae"])
def test_a_column_that_equals_the_labels_is_told(make):
    rows, truth = odd_among()
    with pytest.warns(LabelWarning, match="column 'also' " + TOLD) as told:
        make().fit(pd.DataFrame(rows).add_prefix("x").assign(also=truth), truth)
    assert [each.filename for each in told] == [__file__]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("fraud", 3),  # few are known, but the name says it
        ("x", 20),  # of each
    ],
)
def test_a_column_that_holds_more_labels_than_are_known_is_told(name, known):
    rows, _ = odd_among(200)
    truth = np.arange(200) < 60
    words = pd.Series(np.where(truth, "yes", "no"))
    labels = np.full(200, -1)
    labels[:known], labels[-known:] = 1, 0
    frame = pd.DataFrame(rows).add_prefix("x_").assign(**{name: words})
    with pytest.warns(LabelWarning, match=f"column '{name}' {TOLD}"):
        detector().fit(frame, labels)


def test_a_matrix_that_holds_the_labels_is_told():
    rows, truth = odd_among()
    both = np.column_stack([rows, truth])
    for matrix in (both, sp.csr_matrix(both)):
        with pytest.warns(LabelWarning, match="column '3' " + TOLD):
            detector().fit(matrix, truth)


def test_a_column_that_looks_like_labels_is_told_where_none_are_given():
    rows, truth = odd_among()
    frame = pd.DataFrame(rows).add_prefix("x").assign(fraud=truth)
    with pytest.warns(LabelWarning, match="column 'fraud' looks like labels.* give it as y, or"):
        detector().fit(frame)


def test_a_column_that_agrees_with_few_labels_may_be_chance():
    rows, truth = odd_among()
    labels = np.full(100, -1)
    labels[:3], labels[-3:] = 1, 0
    frame = pd.DataFrame(rows).add_prefix("x").assign(member=truth)
    detector().fit(frame, labels)
    detector().fit(frame.assign(member=1 - truth), truth)


@pytest.mark.parametrize("kind", [FewShotDetector, SeriesDetector, AAEDetector])
def test_types_let_labels_be_what_the_documentation_says(kind):
    public = [value for name, value in inspect.getmembers(kind, callable) if name[0] != "_"]
    asked = [inspect.signature(method).parameters.get("y") for method in public]
    given = [parameter.annotation for parameter in asked if parameter is not None]
    assert len(given) >= 3
    assert set(given) <= {GivenLabels, GivenLabels | None}
