import numpy as np
import pandas as pd
import pytest

from oddshot.episodes import Table
from oddshot.errors import SettingError
from oddshot.evaluation.protocols import few_label, one_class
from oddshot.evaluation.robustness import Disturbance


def table(columns=4, names=False):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [180, 20])
    rows = rng.normal(size=(200, columns)) + 5
    return Table("t", pd.DataFrame(rows, columns=list("abcd")) if names else rows, labels)


def disturbed(text, k=10, seed=0, **settings):
    trial = few_label(table(**settings), k=k, seed=seed)
    return trial, Disturbance.parse(text).applied(trial)


def test_duplicates_multiply_anomalies_of_both_parts_and_add_no_label():
    before, after = disturbed("duplicates=3")
    assert after.truth_train.sum() == 3 * before.truth_train.sum()
    assert after.y_test.sum() == 3 * before.y_test.sum()
    assert (after.y_train == 1).sum() == 10
    assert len(after.X_train) == len(after.y_train) == len(before.X_train) + 2 * 14


@pytest.mark.parametrize("names", [False, True])
def test_irrelevant_columns_make_up_their_share_and_lie_in_range(names):
    before, after = disturbed("irrelevant=0.5", names=names)
    assert after.X_train.shape[1] == after.X_test.shape[1] == 8
    whole = np.asarray(after.X_train)
    assert whole.min() == np.asarray(before.X_train).min()
    assert whole.max() == np.asarray(before.X_train).max()
    kept = [c for c in range(8) if np.isin(whole[:, c], np.asarray(before.X_train)).all()]
    assert len(kept) == 4


def test_few_columns_get_at_least_one_irrelevant_one():
    assert disturbed("irrelevant=0.1")[1].X_train.shape[1] == 5


def test_wrong_labels_keep_their_number_and_have_their_share_on_average():
    wrong = []
    for seed in range(40):
        _, after = disturbed("label-errors=0.25", seed=seed)
        labelled = after.y_train == 1
        assert labelled.sum() == 10
        wrong.append((after.truth_train[labelled] == 0).mean())
    assert set(np.round(wrong, 1)) == {0.2, 0.3}
    assert np.mean(wrong) == pytest.approx(0.25, abs=0.03)


def test_the_same_seed_disturbs_alike():
    one, two = (disturbed("irrelevant=0.3")[1].X_train for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("noise=1", "unknown disturbance 'noise'"),
        ("irrelevant", "write a kind and an amount"),
        ("irrelevant=0.95", "from 0 to 0.9"),
        ("duplicates=1.5", "a whole number from 1"),
    ],
)
def test_what_cannot_be_done_is_refused(text, said):
    with pytest.raises(SettingError, match=said):
        Disturbance.parse(text)


def test_wrong_labels_need_labels():
    with pytest.raises(SettingError, match="needs labelled anomalies"):
        Disturbance("label-errors", 0.1).applied(one_class(table(), seed=0))
