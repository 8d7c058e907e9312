import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.cells.truth_values import are_booleans, booleans_or_none, truth_or_none

TRUE = [True, np.bool_(True), "true", " TRUE ", "Y", "yes", 1, 1.0]
FALSE = [False, np.bool_(False), "False", "No", "n", 0, 0.0]
MISSING = ["NA", "", "null"]


@pytest.mark.parametrize("value", TRUE)
def test_true(value):
    assert truth_or_none(value) == 1.0


@pytest.mark.parametrize("value", FALSE)
def test_false(value):
    assert truth_or_none(value) == 0.0


@pytest.mark.parametrize("value", MISSING)
def test_missing(value):
    assert np.isnan(truth_or_none(value))


@pytest.mark.parametrize("value", ["maybe", 2, 0.5, None, np.nan, []])
def test_neither(value):
    assert truth_or_none(value) is None


@given(st.lists(st.sampled_from([*TRUE, *FALSE, *MISSING, "maybe", 2])))
def test_a_column_is_read_cell_by_cell_or_not_at_all(cells):
    one_by_one = [truth_or_none(cell) for cell in cells]
    read = booleans_or_none(cells)
    if None in one_by_one:
        assert read is None
    else:
        np.testing.assert_array_equal(read, one_by_one)


def test_numbers_alone_are_no_truth_values():
    assert are_booleans([True, "false", "NA"])
    assert not are_booleans([1, 0])
    assert not are_booleans(["NA", ""])
