import copy

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
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


def table(rows: int, *, seed: int) -> pd.DataFrame:
    """Numbers and levels; some rows differ by what stands aside alone."""
    generator = np.random.default_rng(seed)
    numbers = pd.DataFrame(generator.normal(size=(rows, 3)), columns=[*"abc"])
    numbers.iloc[rows // 2 : rows // 2 + 4] = numbers.iloc[0].to_numpy()
    return numbers.assign(
        level=generator.choice([*"xyz"], rows), kind=generator.integers(9, size=rows)
    )


@pytest.fixture(scope="module")
def answered() -> FewShotDetector:
    """Two anomalies and a normal row are known from `fit`."""
    labels = np.full(120, -1)
    labels[[3, 4, 5]] = 1, 1, 0
    return detector().fit(table(120, seed=0), labels)


def taught(made: FewShotDetector, *calls: tuple[pd.DataFrame, list[int]]) -> FewShotDetector:
    made = copy.deepcopy(made)
    for rows, labels in calls:
        made.partial_fit(rows, labels)
    return made


@pytest.mark.parametrize("kind", ["anomalies", "normal", "mixed"])
def test_neither_order_nor_calls_matter(answered, kind):
    """Rows given to `fit`, among them such as are known, and others."""
    rows = pd.concat([table(120, seed=0)[:10], table(14, seed=1)], ignore_index=True)
    generator = np.random.default_rng(2)
    labels = {"anomalies": np.ones(24), "normal": np.zeros(24)}.get(kind, np.arange(24) % 2)
    labels = labels.astype(int)
    order = generator.permutation(24)
    wrong = order[:9]
    ways = [
        [(rows[::-1], labels[::-1])],
        [(rows.iloc[[at]], labels[[at]]) for at in order],
        [(rows[15:], labels[15:]), (rows[:15], labels[:15])],
        [(rows.iloc[wrong], 1 - labels[wrong]), (rows.iloc[order], labels[order])],
    ]
    expected = taught(answered, (rows, labels))
    seen = pd.concat([table(120, seed=0), table(14, seed=1), table(30, seed=3)])
    for calls in ways:
        made = taught(answered, *calls)
        np.testing.assert_array_equal(made.anomaly_score(seen), expected.anomaly_score(seen))
        assert made.threshold_ == expected.threshold_


def test_what_is_known_already_changes_no_score(answered):
    rows = table(120, seed=0)
    told = taught(answered, (rows[4:6], [1, 0]))
    np.testing.assert_array_equal(told.anomaly_score(rows), answered.anomaly_score(rows))
    back = taught(answered, (rows[4:5], [0]), (rows[4:5], [1]))
    np.testing.assert_array_equal(back.anomaly_score(rows), answered.anomaly_score(rows))
