from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddshot.data.splits import few_label_split, one_class_split, stratified_sample
from oddshot.errors import DataError, LabelError, SettingError


def truth(normal, anomalies):
    return np.repeat(np.array([0, 1], dtype=np.int8), [normal, anomalies])


@given(
    normal=st.integers(4, 200),
    anomalies=st.integers(4, 60),
    seed=st.integers(0, 5),
    distinct=st.integers(8, 40),
)
@settings(max_examples=60)
def test_few_label_parts_are_disjoint_complete_and_share_no_equal_row(
    normal, anomalies, seed, distinct
):
    labels = truth(normal, anomalies)
    copies = np.concatenate([np.arange(normal) % distinct, np.arange(anomalies) % distinct])
    rows = (copies + 1000.0 * labels)[:, None]
    split = few_label_split(labels, k=1, seed=seed, rows=rows)
    both = np.concatenate([split.train_index, split.test_index])
    assert sorted(both) == list(range(len(labels)))
    train, test = set(rows[split.train_index, 0]), set(rows[split.test_index, 0])
    assert not train & test
    for value in (0, 1):
        assert (labels[split.train_index] == value).any()
        assert (labels[split.test_index] == value).any()


def test_few_label_is_stratified_70_to_30():
    labels = truth(900, 100)
    split = few_label_split(labels, k=5, seed=3)
    assert len(split.train_index) == 700
    assert labels[split.train_index].sum() == 70
    assert (np.diff(split.train_index) > 0).all()


def test_labelled_anomalies_are_nested_and_nothing_else_is_labelled():
    labels = truth(200, 40)
    splits = [few_label_split(labels, k=k, seed=7) for k in (0, 1, 5, 20)]
    known = [set(split.train_index[split.y_train == 1]) for split in splits]
    assert [len(rows) for rows in known] == [0, 1, 5, 20]
    assert known[0] <= known[1] <= known[2] <= known[3]
    for split, rows in zip(splits, known, strict=True):
        assert set(np.unique(split.y_train)) <= {-1, 1}
        assert labels[list(rows)].all()
        assert (split.test_index == splits[0].test_index).all()


def test_seeds_choose_other_rows_and_one_seed_the_same():
    labels = truth(200, 40)
    first, again, other = (few_label_split(labels, k=5, seed=seed) for seed in (1, 1, 2))
    assert (first.train_index == again.train_index).all()
    assert (first.y_train == again.y_train).all()
    assert set(first.train_index) != set(other.train_index)


def test_equal_rows_of_a_frame_with_gaps_and_words_travel_together():
    rows = pd.DataFrame({"a": [None, 1.0] * 30, "b": ["x", "y", "z"] * 20})
    labels = (rows["b"] == "z").to_numpy(dtype=np.int8)
    split = few_label_split(labels, k=1, seed=0, rows=rows)
    text = rows["a"].map(str) + rows["b"]
    assert not set(text[split.train_index]) & set(text[split.test_index])


def test_anomalies_that_are_all_one_row_cannot_be_split():
    labels = truth(50, 5)
    rows = np.concatenate([np.arange(50.0), np.full(5, 99.0)])[:, None]
    with pytest.raises(DataError, match="5 anomalies, 1 of them different"):
        few_label_split(labels, k=1, seed=0, rows=rows)


def test_normal_rows_that_equal_anomalies_are_told():
    rows, labels = np.tile(np.arange(4.0), 25)[:, None], np.repeat(np.int8([0, 1]), [80, 20])
    told = r"holds 0 normal rows that equal no anomaly \(80 equal one\), 0 of them different"
    for split in (partial(few_label_split, k=1), one_class_split):
        with pytest.raises(DataError, match=told):
            split(labels, seed=0, rows=rows)
    rows[:80] = np.r_[np.zeros(60), np.arange(1, 21)][:, None]
    rows[80:] = 0  # 20 anomalies that 60 normal rows equal
    with pytest.raises(DataError, match="holds 20 anomalies, 1 of them different"):
        few_label_split(labels, k=1, seed=0, rows=rows)


def test_too_many_labels_are_refused_with_the_number_there_is():
    with pytest.raises(DataError, match=r"k = 9 .* holds only 7"):
        few_label_split(truth(50, 10), k=9, seed=0)


def test_unlabelled_rows_and_negative_k_are_refused():
    labels = truth(50, 10)
    labels[3] = -1
    with pytest.raises(LabelError, match="row 3 has the label -1"):
        few_label_split(labels, k=1, seed=0)
    with pytest.raises(SettingError, match="k = -1"):
        few_label_split(truth(50, 10), k=-1, seed=0)


def test_one_class_trains_on_normal_rows_only():
    labels = truth(100, 20)
    split = one_class_split(labels, seed=0)
    assert (labels[split.train_index] == 0).all()
    assert (split.y_train == 0).all()
    assert len(split.train_index) == 70
    assert labels[split.test_index].sum() == 20


def test_one_class_keeps_a_normal_row_that_equals_an_anomaly_out_of_training():
    labels = truth(20, 1)
    rows = np.arange(21.0)[:, None]
    rows[20] = rows[4]
    for seed in range(5):
        assert 4 in one_class_split(labels, seed=seed, rows=rows).test_index


def test_sample_keeps_the_share_of_anomalies_and_two_of_a_rare_kind():
    labels = truth(9000, 1000)
    kept = stratified_sample(labels, max_rows=500, seed=0)
    assert len(kept) == 500
    assert labels[kept].sum() == 50
    rare = stratified_sample(truth(9990, 10), max_rows=100, seed=0)
    assert truth(9990, 10)[rare].sum() == 2
    assert len(stratified_sample(labels, max_rows=None, seed=0)) == 10_000
    with pytest.raises(SettingError, match="max_rows = 3"):
        stratified_sample(labels, max_rows=3, seed=0)


def test_capped_split_uses_that_many_rows():
    split = few_label_split(truth(900, 100), k=5, seed=0, max_rows=200)
    assert len(split.train_index) + len(split.test_index) == 200


@pytest.mark.parametrize("split", [partial(few_label_split, k=1), one_class_split])
def test_groups_and_equal_rows_stand_on_one_side(split):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    labels = (rng.random(300) < 0.1).astype(np.int8)
    rows = rng.normal(size=(300, 2))
    rows[7] = rows[100]  # so groups 1 and 20 hang together
    labels[[7, 100]] = 0
    sides = set()
    for seed in range(20):
        found = split(labels, seed=seed, rows=rows, groups=groups)
        assert sorted([*found.train_index, *found.test_index]) == list(range(300))
        assert set(groups[found.train_index]).isdisjoint(groups[found.test_index])
        sides.add((1 in groups[found.train_index], 20 in groups[found.train_index]))
    assert {one == other for one, other in sides} == {True}


def test_too_few_groups_are_told():
    labels = truth(20, 4)
    with pytest.raises(DataError, match=r"holds 4 anomalies, 1 group; a split needs two"):
        few_label_split(labels, k=1, seed=0, groups=np.repeat(np.arange(6), 4))
    with pytest.raises(DataError, match=r"0 normal rows in no group with an anomaly \(20 are in"):
        one_class_split(labels, seed=0, groups=np.zeros(24, dtype=np.int64))
    with pytest.raises(DataError, match=r"2 rows but 24 labels"):
        one_class_split(labels, seed=0, groups=np.zeros(2, dtype=np.int64))
