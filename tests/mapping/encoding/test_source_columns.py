import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from oddshot.errors import DataError
from oddshot.mapping.encoding.encoder import Encoder
from small_frames import mixed_frame


def test_columns_are_found_by_name() -> None:
    frame = mixed_frame()
    encoder = Encoder().fit(frame)
    shuffled = frame[sorted(frame.columns)].assign(extra=1)
    np.testing.assert_array_equal(encoder.transform(shuffled), encoder.transform(frame))


def test_missing_columns_are_listed() -> None:
    encoder = Encoder().fit(mixed_frame())
    with pytest.raises(DataError, match=r"2 columns that fit was given: 'colour', 'kg'"):
        encoder.transform(mixed_frame().drop(columns=["kg", "colour"]))


def test_another_width_is_told_in_scikit_learns_words() -> None:
    encoder = Encoder().fit(np.random.default_rng(0).normal(size=(9, 4)))
    for rows in (np.ones((2, 3)), sp.csr_matrix(np.ones((2, 3))), pd.DataFrame(np.ones((2, 3)))):
        with pytest.raises(
            DataError,
            match="X has 3 features, but Encoder is expecting 4 features as input",
        ):
            encoder.transform(rows)


def test_rows_without_names_are_taken_by_position() -> None:
    X = np.random.default_rng(0).normal(size=(9, 3))
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    encoded = Encoder().fit(frame).transform(X)
    np.testing.assert_array_equal(encoded, Encoder().fit(X).transform(frame))
    np.testing.assert_array_equal(encoded, X)


def test_counted_columns_are_found_in_another_order_too() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)))
    encoder = Encoder().fit(frame)
    np.testing.assert_array_equal(encoder.transform(frame[[2, 0, 1]]), frame.to_numpy())


def test_columns_that_are_left_out_may_be_missing_later():
    rows = pd.DataFrame({"id": range(30), "x": [*range(10)] * 3, "same": 1})
    encoder = Encoder().fit(rows)
    np.testing.assert_array_equal(encoder.transform(rows[["x"]]), encoder.transform(rows))
    with pytest.raises(DataError, match="'x'"):
        encoder.transform(rows[["id", "same"]])
