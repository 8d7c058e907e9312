import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from oddshot.data.blocks import ParquetBlocks, is_parquet, sample_places
from oddshot.errors import LabelError, SourceError

FRAME = pd.DataFrame(
    {
        "kg": np.arange(25) / 2,
        "colour": pd.Categorical(["red", "blue", None, "red", "blue"] * 5),
        "count": pd.array([1, None, 3, 4, 5] * 5, dtype="Int64"),
        "fraud": [1, None, 0, None, None] * 5,
    }
)


@pytest.fixture
def path(tmp_path):
    FRAME.to_parquet(tmp_path / "table.parquet", row_group_size=9)
    return tmp_path / "table.parquet"


def test_all_rows_come_once_in_their_order(path):
    blocks = ParquetBlocks(path, block_rows=4)
    frames = [*blocks.frames()]
    assert blocks.rows == 25
    assert blocks.columns == [*FRAME.columns]
    assert max(map(len, frames)) == 4
    found = pd.concat(frames, ignore_index=True)
    assert found["kg"].tolist() == FRAME["kg"].tolist()
    assert found["colour"].astype(object).tolist()[:2] == ["red", "blue"]


def test_some_rows_are_taken_by_their_places(path):
    places = np.array([0, 7, 8, 9, 24])
    taken = ParquetBlocks(path, block_rows=4).take(places)
    assert taken["kg"].tolist() == FRAME["kg"].iloc[places].tolist()
    assert taken["count"].isna().tolist() == FRAME["count"].isna().iloc[places].tolist()


def test_a_column_is_read_as_labels(path):
    blocks = ParquetBlocks(path)
    assert blocks.labels("fraud").tolist() == [1, -1, 0, -1, -1] * 5
    with pytest.raises(SourceError, match="no column 'fruad'; near it: 'fraud'"):
        blocks.labels("fruad")
    with pytest.raises(LabelError, match="kg"):
        blocks.labels("kg")


def test_new_columns_are_written_beside_the_old_ones(path, tmp_path):
    out = tmp_path / "out.parquet"
    scores = np.linspace(0, 1, 25)
    ParquetBlocks(path, block_rows=4).write_beside({"score": scores, "odd": scores > 0.5}, out)
    found = pd.read_parquet(out)
    assert [*found.columns] == [*FRAME.columns, "score", "odd"]
    np.testing.assert_array_equal(found["score"], scores)
    pd.testing.assert_series_equal(found["kg"], FRAME["kg"])
    old = parquet.ParquetFile(path).schema_arrow
    assert parquet.ParquetFile(out).schema_arrow.field("count") == old.field("count")
    assert {file.name for file in tmp_path.iterdir()} == {"table.parquet", "out.parquet"}


def test_words_may_come_after_a_block_of_gaps(path, tmp_path):
    words = np.array([None] * 9 + ["normal"] + [None] * 15, dtype=object)
    ParquetBlocks(path, block_rows=4).write_beside({"label": words}, tmp_path / "out.parquet")
    assert pd.read_parquet(tmp_path / "out.parquet")["label"].dropna().to_dict() == {9: "normal"}


def test_a_file_that_cannot_be_written_leaves_nothing(path, tmp_path):
    with pytest.raises(SourceError, match="cannot write"):
        ParquetBlocks(path).write_beside({"score": np.zeros(25)}, tmp_path / "no" / "out.parquet")
    with pytest.raises(ValueError, match="length"):
        ParquetBlocks(path).write_beside({"score": np.zeros(3)}, tmp_path / "out.parquet")
    assert {file.name for file in tmp_path.iterdir()} == {"table.parquet"}


def test_what_is_no_parquet_file_is_said(tmp_path, path):
    text = tmp_path / "table.csv"
    text.write_text("a,b\n1,2\n")
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(path.read_bytes()[:200])
    assert is_parquet(path)
    assert not is_parquet(text)
    assert not is_parquet(tmp_path)
    assert not is_parquet(tmp_path / "absent")
    for file in (text, damaged, tmp_path / "absent"):
        with pytest.raises(SourceError, match="cannot be read"):
            ParquetBlocks(file)


@pytest.mark.parametrize(
    ("given", "most", "expected"),
    [
        ((5, 0, 100), 50, (5, 0, 45)),  # anomaly, normal, unlabelled
        ((100, 0, 100), 40, (10, 0, 30)),
        ((5, 100, 100), 40, (5, 20, 15)),
        ((5, 3, 100), 40, (5, 3, 32)),
        ((0, 100, 0), 40, (0, 40, 0)),
        ((2, 3, 4), 40, (2, 3, 4)),
    ],
)
def test_labelled_rows_go_first_into_a_sample(given, most, expected):
    labels = np.repeat(np.array([1, 0, -1], dtype=np.int8), given)
    places = sample_places(labels, most=most, seed=0)
    assert (np.diff(places) > 0).all()
    found = labels[places]
    assert tuple(int((found == kind).sum()) for kind in (1, 0, -1)) == expected


def test_a_sample_is_drawn_by_its_seed_and_fairly():
    labels = np.full(50, -1, dtype=np.int8)
    np.testing.assert_array_equal(
        sample_places(labels, most=9, seed=3), sample_places(labels, most=9, seed=3)
    )
    drawn = np.concatenate([sample_places(labels, most=10, seed=s) for s in range(500)])
    counts = np.bincount(drawn, minlength=50)
    assert counts.min() > 60  # 100 expected, standard deviation 9
    assert counts.max() < 140
