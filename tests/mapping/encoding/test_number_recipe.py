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


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([-999] * 3, -999),
        ([65535] * 4, 65535),
        ([-999] * 2, None),  # too few
        ([-997] * 9, None),  # no code
        ([-9] * 9, None),  # not far
        ([-9.5] * 9, None),
    ],
)
def test_codes_for_gaps_far_outside_are_told(values: list[float], code: float | None) -> None:
    rows = pd.DataFrame({"temp": np.r_[np.linspace(10, 60, 80), values]})
    sparse = sp.csr_matrix(np.r_[np.zeros(40), rows["temp"]][:, None])
    for encoder in (Encoder().fit(rows), Encoder().fit(sparse)):
        restored = Encoder.from_state(*encoder.state())
        for note in (encoder.report()[0], restored.report()[0]):
            if code is None:
                assert (note.cause, note.reason) == ("", "")
            else:
                assert note.cause == "code"
                assert note.reason == (
                    f"{code} in {len(values)} rows, far outside of all other values, may stand for "
                    "gaps; if so, leave such cells empty"
                )


def test_values_of_flags_and_durations_are_no_codes() -> None:
    flags = pd.Series([-1.0, 0.0, 1.0] * 9 + [99.0] * 5)
    assert Encoder().fit(pd.DataFrame({"x": flags})).report()[0].cause == "code"
    assert Encoder().fit(pd.DataFrame({"x": flags[flags != 0]})).report()[0].cause == ""  # two else
    lasting = pd.DataFrame({"x": pd.to_timedelta(flags * 1e9)})
    assert Encoder().fit(lasting).report()[0].cause == ""
