import numpy as np
import pandas as pd

from small_detectors import detector, odd_among


def test_the_last_label_of_equal_rows_counts():
    rows, _ = odd_among()
    made = detector().fit(rows).partial_fit(rows[[0, 1, 0]], [1, 1, 0])
    once = detector().fit(rows).partial_fit(rows[[0, 1]], [0, 1])
    np.testing.assert_array_equal(made.anomaly_score(rows), once.anomaly_score(rows))
    np.testing.assert_array_equal(made._fitted.kept.labels, once._fitted.kept.labels)


def test_answers_need_no_columns_that_are_left_out():
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"row_id": range(60), "same": 1, "a": generator.normal(size=60)})
    made = detector().fit(rows)
    made.partial_fit(rows[["a"]].iloc[:2], [1, 0])
    assert made._fitted.kept.labels[:2].tolist() == [1, 0]
    new = pd.DataFrame({"a": [9.0]})
    made.partial_fit(new, [1])
    assert made.anomaly_score(new) > 0


def test_copies_of_what_is_found_to_be_an_anomaly_leave_the_typical_rows():
    """They are kept where rows repeat, until one of them is labelled."""
    rows = np.repeat(np.random.default_rng(0).normal(size=(60, 3)), 3, axis=0)
    told = np.where(np.arange(len(rows)) == 0, 1, -1)
    for made in (detector().fit(rows, told), detector().fit(rows).partial_fit(rows[:1], [1])):
        assert len(made._fitted.support.typical) == len(rows) - 3
