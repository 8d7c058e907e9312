import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.data import codes
from oddshot.data.codes import codes_among, holds_leading_zeros, lose_digits, whole_numbers


@pytest.mark.parametrize(
    ("cells", "whole"),
    [
        ([1, 2], True),
        ([1.0, np.nan], True),
        ([1.0, 2.5], False),
        ([np.nan, np.nan], False),
        ([True, False], False),
        (["1", "2"], False),
        ([10**30, 1], True),
    ],
)
def test_columns_of_whole_numbers(cells, whole):
    assert whole_numbers(pd.DataFrame({"c": cells})) == ["c"] * whole


@given(st.text('0159.,-/:" \nx', max_size=30))
def test_leading_zeros_are_found_wherever_they_stand(text):
    slow = re.search(r'(?:^|[,\n" ])0\d+(?:$|[,\n" ])', text) is not None
    assert holds_leading_zeros(text, ",") == slow


def test_leading_zeros_across_parts_are_found(monkeypatch):
    monkeypatch.setattr(codes, "PART", 2)
    assert holds_leading_zeros("10,20\n30,0077\n", ",")
    assert not holds_leading_zeros("10,20\n30,0.77\n", ",")


@pytest.mark.parametrize(
    ("cells", "are"),
    [
        (["7", "12", None], False),
        (["7", " 07"], True),
        (["12345678901234567", "12345678901234568"], True),
        (["1234567890123456", "1234567890123457"], False),
        (["1e20", "1.5"], False),
        (["+4930123456", " +31612345678", None], True),
        (["+4930123456", "-31612345678"], False),
        (["+4930123", "+4930124"], False),
        (["4E29", None, "3E11 "], True),
        (["4E29", "12"], False),
        (["4e29", "3e11"], False),
        (["1E+05", "2E+06"], False),
    ],
)
def test_texts_that_are_codes(cells, are):
    assert codes_among(pd.DataFrame({"c": cells})) == ({"c"} if are else set())


def test_large_numbers_beside_gaps_lose_digits():
    assert lose_digits(pd.DataFrame({"c": [1e17, np.nan]}))
    assert not lose_digits(pd.DataFrame({"c": [10**17, 1]}))
