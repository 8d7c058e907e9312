"""Groups of rows: read from whatever names them, and dealt into parts whole."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oddshot.detectors.given.groups import Groups
from oddshot.errors import DataError


@pytest.mark.parametrize(
    "given_as",
    [
        ["b", "a", "b", "c"],
        np.array([2.5, -1.0, 2.5, 7.0]),
        pd.Series(["y", "x", "y", "z"], index=[3, 1, 0, 2]),
        pd.Series(pd.Categorical(["y", "x", "y", "z"])),
        [("b", 1), ("a", 1), ("b", 1), ("b", 2)],
        pd.to_datetime(pd.Series(["2026-01-02", "2026-01-01", "2026-01-02", "2026-02-01"])),
    ],
)
def test_any_values_name_groups(given_as):
    assert Groups.of(given_as, rows=4).numbers.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 2], "X has 3 rows but groups has 2"),
        (["a", None, "b"], "groups is missing for 1 of 3 rows, first in row 1"),
        (["a", "b", float("nan")], "groups is missing for 1 of 3 rows, first in row 2"),
        (("a", np.nan, np.nan), "groups is missing for 2 of 3 rows, first in row 1"),
        (["a", pd.NaT, "b"], "groups is missing for 1 of 3 rows, first in row 1"),
        ([["a", "b"]] * 3, r"groups has the shape \(3, 2\)"),
        (np.ones((3, 2)), r"groups has the shape \(3, 2\)"),
        (7, r"groups has the shape \(\)"),
        (np.ma.array([1, 2, 2], mask=[0, 1, 1]), "groups is missing for 2 of 3 rows, first in row"),
        (np.ma.array(["a", "b", "b"], mask=[0, 0, 1]), "groups is missing for 1 of 3 rows"),
        (torch.ones(3, requires_grad=True), "groups is a Tensor that cannot be read"),
        (np.zeros(3, dtype=[("a", int)]), "groups is an array of records"),
    ],
)
def test_mistakes_are_named(groups, message):
    with pytest.raises(DataError, match=message):
        Groups.of(groups, rows=3)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.integers(2, 5), st.integers(0, 99))
def test_parts_are_whole_groups_and_hold_every_row_once(numbers, parts, seed):
    groups = Groups(np.array(numbers))
    order = np.random.default_rng(seed).permutation(len(numbers))[: max(len(numbers) * 3 // 4, 1)]
    kinds = len(set(groups.numbers[order].tolist()))
    if kinds < 2:
        with pytest.raises(DataError, match="are of one group"):
            groups.dealt(order, parts)
        return
    dealt = groups.dealt(order, parts)
    assert len(dealt) == min(parts, kinds)
    assert sorted(np.concatenate(dealt).tolist()) == sorted(order.tolist())
    held = [set(groups.numbers[part].tolist()) for part in dealt]
    assert sum(map(len, held)) == kinds
    largest = np.bincount(groups.numbers[order]).max()
    assert max(map(len, dealt)) <= len(order) / len(dealt) + largest
