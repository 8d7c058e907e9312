import numpy as np
import pandas as pd
import pytest

from oddshot.data.label_lists import read_label_list
from oddshot.errors import LabelError, SourceError

PAID = pd.DataFrame({"txn": [1, 2, 3, 4], "amount": [5, 5, 9, 7], "shop": ["a", "a", "b", "b"]})


def labels(listed, rows=PAID, **options):
    found = read_label_list(pd.DataFrame(listed), rows, table="paid.csv", **options)
    return found.labels(rows[found.column], "paid.csv").tolist()


@pytest.mark.parametrize(
    ("ids", "same"),
    [
        ([2.0, np.nan, 4.0], [2, 4]),
        (["2", " 4 "], [2, 4]),
        ([2, 4], ["2", "4"]),
        (["b"], ["b"]),
        ([2.0, 4.5, np.inf], ["2", "4.5"]),
        ([1e20, 2.0], [1e20, 2]),
    ],
)
def test_ids_meet_whatever_their_type(ids, same):
    rows = pd.DataFrame({"txn": [*same, same[0]], "amount": 1.5})
    assert labels({"txn": ids}, rows) == [1] * len(rows)


def test_labels_are_in_the_column_called_so_or_that_the_table_lacks():
    assert labels({"txn": [1, 3], "amount": [5, 9], "when": ["x", "y"], "fraud": [1, 0]}) == [
        *(1, -1, 0, -1)
    ]
    assert labels({"txn": [1, 3], "back": ["yes", "no"]}) == [1, -1, 0, -1]
    assert labels({"txn": [1, 3], "shop": ["a", "b"]}) == [1, -1, 1, -1]  # all are anomalies
    named = {"txn": [1, 3], "a": [0, 0], "b": [1, 0]}
    assert labels(named, label_column="b") == [1, -1, 0, -1]


def test_the_ids_are_in_the_column_that_tells_rows_apart_or_is_named():
    assert labels({"amount": [5, 9], "txn": [2, 3]}) == [-1, 1, 1, -1]
    assert labels({"amount": [5], "txn": [2]}, id_column="amount") == [1, 1, -1, -1]


def test_an_unknown_kind_is_no_label():
    assert labels({"txn": [1, 1, 2], "label": [None, 1, None]}) == [1, -1, -1, -1]


@pytest.mark.parametrize(
    ("listed", "options", "error", "message"),
    [
        (
            {"txn": [8, 9]},
            {},
            SourceError,
            r"no 'txn' in common: '8', '9' there, '1', '2', '3' here",
        ),
        ({"id": [1]}, {}, SourceError, "share no column to tell rows by; name the column of ids"),
        ({"amount": [5], "shop": ["a"]}, {}, SourceError, "share the columns 'amount', 'shop'; na"),
        ({"txn": [1, 1], "label": [1, 0]}, {}, LabelError, "two labels to txn '1': 0 and 1; keep"),
        ({"txn": [1], "a": [1], "b": [1]}, {}, SourceError, "may hold labels: 'a', 'b'; name one"),
        ({"txn": [1], "when": ["May"]}, {}, LabelError, "column 'when' holds 'May' in row 0"),
        ({"txn": [1]}, {"id_column": "tnx"}, SourceError, "no column 'tnx'; near it: 'txn'"),
        ({"txn": [1]}, {"label_column": "odd"}, SourceError, "no column 'odd'"),
    ],
)
def test_mistakes_are_told(listed, options, error, message):
    with pytest.raises(error, match=message):
        labels(listed, **options)


def test_a_file_is_called_by_its_name(tmp_path):
    (tmp_path / "back.csv").write_text("txn\n2\n7\n")
    found = read_label_list(tmp_path / "back.csv", PAID, table="paid.csv")
    assert found.told(PAID["txn"]).endswith("back.csv': 2 ids by 'txn', 1 of them not found.")
