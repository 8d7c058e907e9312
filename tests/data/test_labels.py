import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from oddshot.data.labels import WORDS, look_like_labels, may_look_like_labels, parse_labels
from oddshot.errors import LabelError

MEANT = np.array([1, 0, -1, 1], dtype=np.int8)


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, -1, 1],
        [1.0, 0.0, np.nan, 1.0],
        [True, False, None, True],
        ["1", " 0 ", "-1", "1.0"],
        ["Anomaly", "NORMAL", "", "outlier "],
        ["fraud", "no", "Unknown", "Y"],
        ["fraud", "ok", "", "Defective"],
        ["FAIL", "pass", None, "attack"],
        ["malicious", "legitimate", "n/a", "Not OK"],
        ["Chargeback", "genuine", None, "true positive"],
        ["TP", "FP", "", "tp"],
        ["positive", "Negative", "", "pathological"],
        ["case", "control", "unknown", "sick"],
        ["ja", "Nein", None, "J"],
        ["n.i.O.", "i.O.", "", "Ausschuss"],
        ["schlecht", "gut", "unknown", "fehlerhaft"],
        ["oui", "non", "", "défectueux"],
        ["sí", "no", "", "no conforme"],
        [b"yes", b"no", b"?", b"t"],
        [1, "normal", pd.NA, True],
        np.array([[1], [0], [-1], [1]], dtype=np.int64),
        np.array(["yes", "no", "nan", "yes"]),
        pd.Series([1, 0, None, 1], dtype="Int8"),
        pd.Series([True, False, None, True], dtype="boolean"),
        pd.Series(["y", "n", None, "y"], dtype="category"),
        pd.Series(["y", "n", None, "y"], dtype="string"),
        pd.DataFrame({"y": [1, 0, None, 1]}),
        pl.Series([1, 0, None, 1]),
        pl.Series(["yes", "no", None, "yes"]),
        pa.chunked_array([[True, False], [None, True]]),
        pd.Series([1, 0, -1, 1], index=[5, 5, 5, 5]),
    ],
)
def test_every_spelling_is_understood(values: object) -> None:
    labels = parse_labels(values)
    assert labels.dtype == np.int8
    np.testing.assert_array_equal(labels, MEANT)


def test_all_words_are_distinct_in_meaning() -> None:
    assert set(WORDS.values()) == {1, 0, -1}
    np.testing.assert_array_equal(parse_labels([w.upper() for w in WORDS]), list(WORDS.values()))


def test_no_values_give_no_labels() -> None:
    assert parse_labels([]).shape == (0,)


@pytest.mark.parametrize(
    ("values", "shown", "row"),
    [
        (["no", "maybe"], "'maybe'", 1),
        ([0, 1, 2], "2", 2),
        ([0.5, 1.0], "0.5", 0),
        ([0.0, np.inf], "inf", 1),
        (["setosa", "virginica"], "'setosa'", 0),
        ([1, [0]], "[0]", 1),
        (pd.Series(["yes", "perhaps"], dtype="category"), "'perhaps'", 1),
        ([1, 1 + 1j], "(1+1j)", 1),
    ],
)
def test_anything_else_is_named_with_its_row_and_the_remedy(
    values: object, shown: str, row: int
) -> None:
    with pytest.raises(LabelError) as caught:
        parse_labels(values, column="fraud")
    assert str(caught.value) == (
        f"column 'fraud' holds {shown} in row {row}; write 1 for an anomaly (or yes, anomaly, "
        "fraud, bad, defect, fault, fail, attack), 0 for normal (or no, normal, good, ok, pass, "
        "healthy, legit), leave it empty for unlabelled"
    )


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(LabelError) as caught:
        parse_labels(["x" * 10_000])
    assert len(str(caught.value)) < 300
    for said, label in (("anomaly (or ", 1), ("normal (or ", 0)):  # what it names can be read
        words = str(caught.value).split(said)[1].split(")")[0].split(", ")
        assert parse_labels(words).tolist() == [label] * len(words)


@pytest.mark.parametrize("shape", [(3, 2), (), (2, 1, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(LabelError, match="one label a row"):
        parse_labels(np.zeros(shape))


def test_a_million_labels_are_read() -> None:
    numbers = np.random.default_rng(0).integers(-1, 2, 1_000_000)
    words = pd.Series(np.array(["", " normal", "Yes"])[numbers + 1])
    assert (parse_labels(numbers) == numbers).all()
    assert (parse_labels(words) == numbers).all()


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("label ", [1, 0, 1], True),
        ("defect", ["yes", None, "no"], True),
        ("anything", [1, None, None, None, 0], True),
        ("Status", ["ok", "fraud", None, None, None], True),
        ("inspection", ["pass", "fail", "pass"], False),
        ("class", ["good", "bad", "good"], True),
        ("is_vip", [1, None, None, None, 1], False),
        ("member", [1, 0, 0, 1], False),
        ("label", ["red", "green", "blue"], False),
        ("label", [None, None], False),
        ("tags", [["x"], ["y"], None, None, None, None], False),
        ("label", [["x"], ["y"]], False),
    ],
)
def test_columns_that_look_like_labels(name, values, expected):
    assert look_like_labels(name, pd.Series(values)) is expected


def test_only_columns_that_may_look_like_labels_are_looked_at() -> None:
    frame = pd.DataFrame(
        {
            " Fraud ": [1, 0, 0, 0],
            "member": ["yes", "no", "no", "no"],
            "checked": ["yes", None, None, None],
            "empty": [None] * 4,
        }
    )
    assert may_look_like_labels(frame) == [0, 2]
    assert may_look_like_labels(frame.iloc[:, :0]) == []


@pytest.mark.parametrize("words", [["positive", "negative"], ["Case", "Control"]])
def test_groups_and_results_of_tests_are_labels_where_the_name_says_so(words):
    column = pd.Series([*words, None, None, None])
    assert not look_like_labels("antigen", column)
    assert look_like_labels("label", column)
