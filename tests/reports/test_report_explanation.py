import numpy as np
import pandas as pd

from oddshot.detectors.explanations.alternatives import CounterExample
from oddshot.detectors.explanations.explanation import Explanation, Explanations
from oddshot.reports.explanation import as_text


def test_cells_of_every_column_are_text_and_can_be_written(tmp_path):
    usual = CounterExample(3, {"amount": 103.0, "shop": "here"}, 0.2, ("amount", "shop"))
    row = Explanation(
        "r17", 3.0, 0.4, 2.0, ("amount", "shop"), (900.0, "there"), np.array([2.0, 0.6]), usual,
        None, None,
    )  # fmt: skip
    frame = as_text(Explanations((row,)))
    assert frame["value"].tolist() == ["900", "there"]
    assert frame["typical"].tolist() == ["103", "here"]
    assert frame["contribution"].tolist() == [2.0, 0.6]
    frame.to_parquet(tmp_path / "why.parquet")  # which refuses columns of several types
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "why.parquet"), frame)
