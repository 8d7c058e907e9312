from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from oddshot.episodes import Table
from oddshot.errors import DataError, LabelError, SettingError, SourceError
from oddshot.evaluation.protocols import (
    adbench,
    dte,
    few_label,
    make_trial,
    novel_type,
    one_class,
)


def table(normal=90, anomalies=10, name="noise"):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array([0, 1], dtype=np.int8), [normal, anomalies])
    rows = pd.DataFrame(rng.normal(size=(len(labels), 3)), columns=list("abc"))
    return Table(name, rows, labels, family="noises", collection="made up")


@dataclass(frozen=True)
class Source:
    """A source with a training and a test part."""

    train: Table
    test: Table
    name: str = "noise"
    collection: str = "made up"
    family: str = "noises"

    def load(self):
        return self.test

    def load_split(self):
        return self.train, self.test


def test_few_label_keeps_names_and_shows_only_k_labels():
    trial = few_label(table(), k=3, seed=1)
    assert (trial.protocol, trial.table, trial.family, trial.collection, trial.k, trial.seed) == (
        "few-label",
        "noise",
        "noises",
        "made up",
        3,
        1,
    )
    assert list(trial.X_train.columns) == list("abc")
    assert (trial.y_train == 1).sum() == 3
    assert (trial.y_train == -1).sum() == 67
    assert trial.y_test.mean() == pytest.approx(0.1)


def test_few_label_leaves_no_copy_of_a_test_row_in_training():
    source = table()
    rows = pd.concat([source.rows] * 3, ignore_index=True)
    trial = few_label(replace(source, rows=rows, labels=np.tile(source.labels, 3)), k=1, seed=0)
    train = set(map(tuple, trial.X_train.to_numpy()))
    assert not train & set(map(tuple, trial.X_test.to_numpy()))


def test_one_class_shows_normal_rows_only():
    trial = one_class(table(), seed=1)
    assert set(trial.y_train) == {0}
    assert trial.y_test.sum() == 10
    assert trial.k == 0


def test_one_class_takes_given_parts_as_they_are():
    train = replace(table(200, 0), labels=None)
    test = table(50, 10)
    trial = one_class(Source(train, test), seed=5)
    assert trial.X_train.shape == (200, 3)
    assert (trial.y_train == 0).all()
    pd.testing.assert_frame_equal(trial.X_test, test.rows)
    capped = one_class(Source(train, test), seed=5, max_rows=30)
    assert (len(capped.X_train), len(capped.X_test), capped.y_test.sum()) == (30, 30, 5)


def test_a_source_without_parts_is_split():
    class Whole(Source):
        def load_split(self):
            raise SourceError("brings no split")

    trial = one_class(Whole(table(), table()), seed=1)
    assert (len(trial.X_train), len(trial.X_test)) == (63, 37)


def test_given_training_part_with_anomalies_loses_them():
    train = table(50, 5)
    trial = one_class(Source(train, table(50, 10)), seed=0)
    assert len(trial.X_train) == 50


def test_a_table_without_labels_or_one_kind_only_is_refused():
    with pytest.raises(LabelError, match="has no labels"):
        few_label(replace(table(), labels=None), k=0, seed=0)
    with pytest.raises(DataError, match="0 anomalies"):
        few_label(table(anomalies=0), k=0, seed=0)
    with pytest.raises(LabelError, match="both anomalies and normal rows"):
        one_class(table(anomalies=0), seed=0)


def test_a_trial_checks_its_shapes():
    trial = few_label(table(), k=3, seed=1)
    with pytest.raises(DataError, match="training rows, labels of shape"):
        replace(trial, y_train=trial.y_train[:5])
    with pytest.raises(DataError, match="2 in the test part"):
        replace(trial, X_test=trial.X_test[["a", "b"]])


def test_adbench_draws_small_tables_up_and_labels_a_share():
    trial = adbench(table(180, 20), la=10, seed=1)
    assert (len(trial.X_train), len(trial.X_test)) == (700, 300)
    assert (trial.y_train == 1).sum() == -(-trial.truth_train.sum() // 10)
    assert set(trial.y_train) == {-1, 1}
    assert trial.X_train.min().min() == 0
    assert trial.X_train.max().max() == pytest.approx(1)
    assert list(trial.X_train.columns) == list("abc")
    assert (adbench(table(180, 20), la=0, seed=1).y_train == -1).all()


def test_adbench_samples_large_tables_and_leaves_categories_alone():
    large = table(11_000, 1000)
    rows = large.rows.assign(colour="red")
    trial = adbench(replace(large, rows=rows), la=100, seed=2)
    assert len(trial.X_train) + len(trial.X_test) == 10_000
    assert (trial.y_train == 1).sum() == trial.truth_train.sum()
    assert list(trial.X_test.columns) == ["a", "b", "c", "colour"]
    assert set(trial.X_test["colour"]) == {"red"}


@pytest.mark.parametrize("as_frame", [True, False])
def test_adbench_scales_by_finite_numbers_and_leaves_infinities(as_frame):
    source = table(1500, 100)
    numbers = source.rows.to_numpy(copy=True)
    numbers[7, 0], numbers[8, 1] = np.inf, -np.inf
    rows = pd.DataFrame(numbers, columns=list("abc")) if as_frame else numbers
    trial = adbench(replace(source, rows=rows), la=5, seed=1)
    assert isinstance(trial.X_train, type(rows))
    train, test = np.asarray(trial.X_train), np.asarray(trial.X_test)
    both = np.concatenate([train, test])
    assert (both == np.inf).sum(0).tolist() == [1, 0, 0]
    assert (both == -np.inf).sum(0).tolist() == [0, 1, 0]
    assert not np.isnan(both).any()
    finite = np.where(np.isfinite(train), train, 0.5)
    np.testing.assert_allclose([finite.min(0), finite.max(0)], [[0] * 3, [1] * 3])


def test_adbench_refuses_what_is_no_percentage_and_what_cannot_be_split():
    with pytest.raises(SettingError, match="0 to 100 per cent"):
        adbench(table(), la=101, seed=0)
    with pytest.raises(DataError, match="too few rows"):
        adbench(table(anomalies=0), la=1, seed=0)


def test_dte_trains_on_the_first_half_of_the_normal_rows():
    source = table(91, 9)
    trial = dte(source, seed=4)
    pd.testing.assert_frame_equal(trial.X_train, source.rows.iloc[:46])
    assert (trial.y_train == 0).all()
    assert (len(trial.X_test), trial.y_test.sum()) == (54, 9)
    with pytest.raises(DataError, match="two are needed"):
        dte(table(0, 9), seed=0)


@pytest.mark.parametrize("protocol", ["few-label", "one-class", "adbench", "dte"])
def test_every_protocol_is_found_by_its_name_and_keeps_the_truth(protocol):
    trial = make_trial(protocol, table(), k=1, seed=0)
    assert trial.protocol == protocol
    assert trial.truth_train.shape == trial.y_train.shape
    with pytest.raises(SettingError, match="unknown protocol 'x'"):
        make_trial("x", table(), k=1, seed=0)
    with pytest.raises(SettingError, match=r"need types; make them by .*novel_trial"):
        make_trial("novel-type", table(), k=1, seed=0)
    with pytest.raises(SettingError, match=r"tables that .*left_out chooses"):
        make_trial("leave-domain-out", table(), k=1, seed=0)


@pytest.mark.parametrize("protocol", ["few-label", "one-class", "adbench", "dte"])
def test_labels_of_minus_one_are_told_alike_by_every_protocol(protocol):
    source = table()
    turned = np.where(source.labels == 1, -1, 1).astype(np.int8)  # as scikit-learn predicts
    told = r"row 90 has the label -1; .* 1 for an anomaly and 0 for normal \(-1 is unlabelled\)"
    with pytest.raises(LabelError, match=told):
        make_trial(protocol, replace(source, labels=turned), k=1, seed=0)


def test_groups_stand_on_one_side_where_a_protocol_knows_them():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 4)
    labels = np.repeat(np.arange(50) % 5 == 0, 4).astype(np.int8)
    table = Table("visits", np.column_stack([groups, rng.normal(size=200)]), labels, groups=groups)
    for trial in (few_label(table, k=2, seed=0), one_class(table, seed=0)):
        assert set(trial.X_train[:, 0]).isdisjoint(trial.X_test[:, 0])
    types = np.where(labels == 1, np.where(groups % 10 == 0, "bent", "burnt"), "")
    novel = novel_type(table, types, seen="bent", k=1, seed=0, share=0.5).trial
    assert set(novel.X_train[:, 0]).isdisjoint(novel.X_test[:, 0])
    for make in (lambda: adbench(table, la=5, seed=0), lambda: dte(table, seed=0)):
        with pytest.raises(SettingError, match="not by the groups of 'visits'"):
            make()
