import inspect

import numpy as np
import pytest

from oddshot import errors

TREE = {name: value for name, value in vars(errors).items() if inspect.isclass(value)}
ERRORS = [e for e in TREE.values() if issubclass(e, Exception) and not issubclass(e, Warning)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.__name__)
def test_every_error_hangs_on_the_tree_and_stands_in_its_drawing(error):
    assert issubclass(error, errors.OddshotError)
    assert issubclass(error, ValueError)
    assert error.__name__ in errors.__doc__
    assert str(error("what, value, remedy")) == "what, value, remedy"


@pytest.mark.parametrize("error", [errors.SourceError, errors.LabelError])
def test_what_is_wrong_with_data_is_a_data_error(error):
    assert issubclass(error, errors.DataError)


def test_ignored_labels_are_a_warning_and_no_error():
    assert issubclass(errors.LabelWarning, UserWarning)
    assert not issubclass(errors.LabelWarning, errors.OddshotError)


@pytest.mark.parametrize(
    ("value", "whole", "number"),
    [
        (3, True, True),
        (np.int8(3), True, True),
        (2.5, False, True),
        (np.float32(2.5), False, True),
        (float("nan"), False, False),
        (True, False, False),
        ("3", False, False),
        (np.timedelta64(1, "D"), False, False),
        (None, False, False),
    ],
)
def test_whole_numbers_and_numbers_are_told(value, whole, number):
    assert errors.is_whole(value) is whole
    assert errors.is_number(value) is number
