import datetime

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from oddshot.detectors.fitted import kept_rows
from oddshot.detectors.fitted.kept_rows import KeptRows, rows_of_support, sampled_rows
from oddshot.errors import DataError
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.support import MOST_COPIES, draw_support


def keep(rows, labels, **settings):
    encoded = Encoder().fit(rows).transform(rows)
    support = draw_support(encoded, labels, seed=0, copies_once=True, **settings)
    found = rows_of_support(encoded, labels, support)
    return KeptRows.of(rows, labels, found, 0), support


@pytest.fixture
def mixed():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "number": np.where(rng.random(60) < 0.1, np.nan, rng.normal(size=60)),
            "whole": pd.array([*range(58), None, 3], dtype="Int64"),
            "level": rng.choice(["red", "blue"], 60, p=[0.7, 0.3]),
            "kind": pd.Categorical(rng.choice(["a", "b"], 60, p=[0.7, 0.3])),
            "day": pd.date_range("2024-01-01", periods=60),
            "odd objects": [3, "x", None, 3] * 15,
            "date": [datetime.date(2024, 1, 1 + i % 20) for i in range(60)],
            "nested": [[1, 2]] * 60,
            "constant": 7,
        }
    )


def labelled(count):
    labels = np.full(count, -1, np.int8)
    labels[:3], labels[3:8] = 1, 0
    return labels


def test_all_rows_of_a_small_table_are_kept_in_their_order(mixed):
    kept, _ = keep(mixed, labelled(60))
    assert kept.places.tolist() == [*range(60)]
    pd.testing.assert_frame_equal(kept.frame, mixed)
    assert np.array_equal(kept.labels, labelled(60))


def test_the_rows_of_the_support_are_found_in_a_large_one():
    rows = np.random.default_rng(0).integers(0, 9, (400, 3)).astype(float)
    kept, support = keep(rows, labelled(400), max_typical=50)
    chosen = kept.labels != 1
    assert (kept.labels == 1).sum() == 3
    assert (kept.labels == 0).sum() == 5
    assert (np.diff(kept.places) > 0).all()
    found = kept.frame.to_numpy()[chosen][:, support.columns]
    assert {*map(tuple, found)} == {*map(tuple, support.typical)}


def test_all_copies_are_kept_and_counted():
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.integers(0, 30, (300, 2)), np.tile([3, 30], (40, 1))]) + 0.0
    kept, support = keep(rows, np.full(340, -1, np.int8))
    assert kept.places.tolist() == [*range(340)]
    copies = support.copies
    for row, count in zip(support.typical, copies, strict=True):
        there = int((rows[:, support.columns] == row).all(axis=1).sum())
        assert count == (1 if there > MOST_COPIES else there)
    assert copies.sum() == 340
    shares = kept.rows_of(rows[:, support.columns], support.typical)
    assert sorted(np.concatenate(shares).tolist()) == [*range(340)]
    assert [len(share) for share in shares] == copies.tolist()


@pytest.mark.parametrize("most", [4000, 300])
def test_normal_rows_that_count_once_are_kept_as_often_as_they_were_there(most, monkeypatch):
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(2000, 2))
    rows[generator.permutation(2000)[:1000]] = 0
    rows = rows[generator.integers(0, 2000, 2000)]
    labels = np.zeros(2000, np.int8)
    drawn = draw_support(rows, labels, seed=0, copies_once=True, normal_once=True)
    kept = sampled_rows(rows, labels, rows, drawn, most=most)
    share = (kept.frame[kept.stand_for_all] == 0).all(axis=1).mean()
    assert share == pytest.approx((rows == 0).all(axis=1).mean(), abs=0.08)
    assert kept.stand_for_all.sum() == min(most, 2000)
    assert min(map(len, kept.rows_of(rows[kept.places][:, drawn.columns], drawn.typical))) > 0
    again = KeptRows.restored(*kept.state())
    np.testing.assert_array_equal(again.stand_for_all, kept.stand_for_all)
    told = pd.DataFrame(rows[:1] + 9)
    later = kept.with_labels(rows[kept.places], told, told.to_numpy(), np.array([0], np.int8))
    assert later.stand_for_all.sum() == kept.stand_for_all.sum() + 1
    monkeypatch.setattr(kept_rows, "MOST_CELLS", 600)  # of wide tables the sample alone
    few = sampled_rows(rows, labels, rows, drawn, most=most)
    assert len(few.frame) == few.stand_for_all.sum() == 300


def test_known_anomalies_go_first_where_few_rows_are_kept(monkeypatch):
    monkeypatch.setattr(kept_rows, "FEWEST", 10)
    monkeypatch.setattr(kept_rows, "MOST_CELLS", 20)
    kept, _ = keep(np.random.default_rng(0).normal(size=(100, 4)), labelled(100))
    assert len(kept.frame) == 10
    assert (kept.labels == 1).sum() == 3


def test_sparse_rows_are_kept_dense():
    rows = np.random.default_rng(0).poisson(0.5, (30, 4)).astype(float)
    kept, _ = keep(sp.csr_array(rows), labelled(30))
    assert np.array_equal(kept.frame.to_numpy(), rows[kept.places])
    assert not kept.named


def test_what_is_saved_is_encoded_as_before(mixed):
    kept, _ = keep(mixed, labelled(60))
    again = KeptRows.restored(*kept.state())
    assert np.array_equal(again.labels, kept.labels)
    assert np.array_equal(again.places, kept.places)
    assert list(again.frame) == list(mixed)
    encoder = Encoder().fit(mixed)
    assert np.array_equal(encoder.transform(again.frame), encoder.transform(mixed))


def test_texts_outside_what_was_saved_are_refused():
    frame = pd.DataFrame({"text": [f"text {i}" for i in range(300)]})
    nothing = np.full(300, -1)
    kept = KeptRows(frame, nothing.astype(np.int8), np.arange(300), 300)
    settings, arrays = kept.state()
    content = arrays["table"].tobytes()
    ends = np.cumsum([0, *frame["text"].str.len()])
    found = [kind for kind in ("<i4", "<i8") if ends.astype(kind).tobytes() in content]
    moved = ends + np.where((ends > 0) & (ends < ends[-1]), 2**30, 0)
    damaged = content.replace(ends.astype(found[-1]).tobytes(), moved.astype(found[-1]).tobytes())
    with pytest.raises(ValueError, match="offset"):
        KeptRows.restored(settings, {**arrays, "table": np.frombuffer(damaged, dtype=np.uint8)})


def test_columns_that_are_merely_counted_stay_so():
    rows = np.random.default_rng(0).normal(size=(30, 2))
    kept, _ = keep(rows, labelled(30))
    again = KeptRows.restored(*kept.state())
    assert not again.named
    assert list(again.aligned(rows)) == ["0", "1"]
    assert isinstance(again.named_as_given(again.aligned(rows)).columns, pd.RangeIndex)
    with pytest.raises(DataError, match="3 columns and the context 2"):
        again.aligned(np.ones((4, 3)))


def test_columns_are_found_as_the_encoder_finds_them():
    whole = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)))
    counted, _ = keep(whole, labelled(30))
    assert list(counted.aligned(whole[[2, 1, 0]])) == ["2", "1", "0"]
    assert list(counted.aligned(whole.set_axis([*"abc"], axis=1))) == ["0", "1", "2"]
    rows = whole[[1, 2]]
    named, _ = keep(rows, labelled(30))
    assert KeptRows.restored(*named.state()).named
    assert list(named.aligned(whole)) == ["0", "1", "2"]
    told = whole.set_axis([*"abc"], axis=1)[:1] + 99
    later = counted.with_labels(whole.to_numpy(), told, told.to_numpy(), np.array([1], np.int8))
    np.testing.assert_array_equal(later.frame.iloc[-1:], told)


def test_all_equal_rows_are_relabelled_and_new_rows_have_no_place():
    rows = np.repeat(np.arange(20.0)[:, None], 2, axis=0)
    kept, _ = keep(rows, np.full(40, -1, np.int8))
    told = np.array([[3.0], [99.0], [98.0]])
    labels = np.array([1, 0, 1], np.int8)
    later = kept.with_labels(rows, pd.DataFrame(told), told, labels)
    assert np.flatnonzero(later.labels[:40] == 1).tolist() == [6, 7]
    assert later.labels[40:].tolist() == [0, 1]
    assert later.places.tolist() == [*range(40), -1, -1]
    assert later.succession.tolist() == [*range(42)]


def test_a_categorical_column_stays_one_beside_numbers():
    account = 2**60 + 1
    rows = pd.DataFrame({"code": pd.Categorical([account, 7, 7, 8]), "x": [0.0, 1.0, 2.0, 3.0]})
    kept = KeptRows(rows, np.full(4, -1, np.int8), np.arange(4), 4)
    told = pd.DataFrame({"code": [7.0, np.nan], "x": [1.0, 9.0]})
    encoded, new = np.arange(8.0).reshape(4, 2), np.array([[2.0, 3.0], [99.0, 99.0]])
    later = kept.with_labels(encoded, told, new, np.zeros(2, np.int8))
    assert later.levels == kept.levels == ["code"]
    assert later.frame["code"].tolist()[:4] == [account, 7, 7, 8]
    known = kept.with_labels(encoded, told[:1], new[:1], np.zeros(1, np.int8))
    pd.testing.assert_frame_equal(known.frame, rows)


def test_columns_become_categorical_by_name():
    rows = pd.DataFrame({"code": [7, 8], "x": [0.0, 1.0]})
    kept = KeptRows(rows, np.full(2, -1, np.int8), np.arange(2), 2)
    assert kept.with_levels(["code"]).levels == ["code"]
    assert kept.with_levels([]) is kept
