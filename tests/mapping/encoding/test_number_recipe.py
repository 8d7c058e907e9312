import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from oddshot.mapping.encoding.encoder import Encoder
from small_frames import kind


@pytest.mark.parametrize(
    "name", ["id", "ID", "user_id", "customer-id", "Row ID", "index", "uuid", "userId", "bugID"]
)
def test_integers_that_differ_are_identifiers_if_named_so(name: str) -> None:
    assert kind([7, 3, 90], name) == "left out"
    assert kind([7, 3, 3], name) == "number"  # a customer that comes again
    assert kind([7.5, 3.1, 9.2], name) == "number"


@pytest.mark.parametrize("name", ["valid", "humid", "period", "indexed", "rowing", "paid"])
def test_other_names_are_no_identifiers(name: str) -> None:
    assert kind([7, 3, 90], name) == "number"


def test_matrices_are_numbers_whatever_they_look_like() -> None:
    X = np.column_stack([np.arange(50.0), np.arange(50.0)[::-1] ** 2])
    for rows in (X, X.astype(int), pd.DataFrame(X), sp.csr_matrix(X)):
        assert list(Encoder().fit(rows).kinds_.values()) == ["number", "number"]


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        (np.arange(20), "left out"),
        (np.arange(18), "number"),
        (np.arange(100) * 3, "number"),
        (np.r_[np.arange(50), np.arange(60, 110)], "left out"),
        (np.delete(np.arange(0, 10_000, 10), [7, 90]), "number"),
        (np.r_[np.arange(99), 5000], "number"),
        (np.r_[np.arange(99), 98], "number"),
        (np.arange(100) / 2, "number"),
    ],
)
def test_numbers_that_never_meet_name_rows(numbers, kind):
    rows = pd.DataFrame({"cycle": numbers, "x": np.arange(len(numbers)) % 5})
    assert Encoder().fit(rows).kinds_["cycle"] == kind
