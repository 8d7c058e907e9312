import numpy as np
import pandas as pd
import pytest

from oddshot.errors import DataError
from small_detectors import detector


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 3)), r"X has 0 rows; give at least 1"),
        (np.zeros((1, 3)), r"X has 1 row; give at least 2"),
        (np.zeros((5, 0)), r"0 feature\(s\) \(shape=\(5, 0\)\) while a minimum of 1"),
        (np.arange(5.0), "Expected 2D array, got 1D array"),
        (np.zeros((2, 2, 2)), "dim 3"),
        (np.zeros((200, 512, 1, 1)), r"dim 4.* one pixel: give X\.reshape\(len\(X\), -1\)"),
        (np.zeros((200, 1, 1, 512)), r"dim 4.* one pixel: give X\.reshape\(len\(X\), -1\)"),
        (None, "X is None; give a table"),
        (np.eye(4) * 1j, "Complex data not supported"),
        (pd.DataFrame({"z": np.arange(9) * 1j}), "Complex data not supported: column 'z'"),
        (np.full((9, 2), np.nan), "no column is left .*all values are missing"),
        (np.ones((9, 2)), r"no column is left to learn from \('0': constant \(1\)"),
        ([[1, 2], [3]], "the rows have different lengths"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "several columns are named 'a'"),
    ],
)
def test_rows_that_cannot_be_fitted(rows, message):
    with pytest.raises(DataError, match=message):
        detector().fit(rows)


@pytest.mark.parametrize("method", ["anomaly_score", "score_samples", "predict"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 3)), r"X has 0 rows; give at least 1 .* shape=\(0, 3\)"),
        (pd.DataFrame(np.zeros((0, 3))), r"X has 0 rows; give at least 1"),
        (
            np.zeros((4, 2)),
            "X has 2 features, but FewShotDetector is expecting 3 features as input",
        ),
        (np.zeros(3), "Expected 2D array, got 1D array"),
        (np.ones((4, 3)) * 1j, "Complex data not supported"),
    ],
)
def test_rows_that_cannot_be_scored(fitted, method, rows, message):
    with pytest.raises(DataError, match=message):
        getattr(fitted, method)(rows)
