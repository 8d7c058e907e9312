import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from oddshot.data.blocks import ParquetBlocks
from oddshot.data.nested import DEEPEST, MOST_FIELDS, flat_records, flat_table
from oddshot.data.sources import read_table

RECORDS = [
    {"id": 1, "card": {"token": "a", "days": 3}, "amount": {"value": 2.5}, "tags": ["x"]},
    {"id": 2, "card": {"token": "b", "days": 4}, "amount": {"value": 9.5}, "tags": []},
    {"id": 3, "card": None, "amount": {"value": 1.5}, "tags": []},
]
FLAT = ["id", "card.token", "card.days", "amount.value", "tags"]


def nested_to(depth):
    return {"a": nested_to(depth - 1)} if depth else 1


def test_flat_records_are_the_same_list():
    plain = [{"a": 1, "b": [1]}, {"b": None}]
    assert flat_records(plain) is plain


def test_an_object_that_is_missing_is_a_gap_in_all_of_its_columns():
    rows = pd.DataFrame(flat_records(RECORDS))
    assert list(rows) == FLAT
    assert rows["card.token"].tolist()[:2] == ["a", "b"]
    assert rows["card.token"].isna().tolist() == [False, False, True]
    deeper = flat_records([{"a": {"b": None}}, {"a": {"b": {"c": 1}}}])
    assert deeper == [{}, {"a.b.c": 1}]


def test_records_and_tables_of_arrow_give_the_same_columns(tmp_path):
    (tmp_path / "rows.jsonl").write_text(
        pd.DataFrame(RECORDS).to_json(orient="records", lines=True)
    )
    parquet.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "rows.parquet")
    lines, whole = (read_table(tmp_path / f"rows.{kind}").rows for kind in ("jsonl", "parquet"))
    blocks = ParquetBlocks(tmp_path / "rows.parquet", block_rows=2)
    in_blocks = pd.concat(blocks.frames(), ignore_index=True)
    assert list(lines) == list(whole) == list(in_blocks) == FLAT
    for rows in (lines, whole, in_blocks, blocks.take(np.array([0, 1, 2]))):
        assert rows["amount.value"].tolist() == [2.5, 9.5, 1.5]


def test_labels_in_blocks_may_lie_inside_an_object(tmp_path):
    rows = [{"id": i, "review": {"fraud": i % 2}} for i in range(4)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    found = ParquetBlocks(tmp_path / "rows.parquet").labels("review.fraud")
    assert found.tolist() == [0, 1, 0, 1]


def test_names_that_are_taken_stay_nested():
    taken = [{"a.b": 1, "a": {"b": 2}}]
    assert flat_records(taken) == taken
    twice = [{"a": {"b.c": 1, "b": {"c": 2}}}]
    assert flat_records(twice) == twice
    table = pa.Table.from_pylist(taken)
    assert flat_table(table).column_names == table.column_names


def test_keys_that_are_values_stay_nested():
    many = [{"id": 1, "seen": {f"user{i}": i for i in range(MOST_FIELDS + 1)}, "at": {"x": 1}}]
    assert list(flat_records(many)[0]) == ["id", "seen", "at.x"]
    assert flat_table(pa.Table.from_pylist(many)).column_names == ["id", "seen", "at.x"]


def test_what_lies_deep_stays_nested():
    deep = [{"a": nested_to(DEEPEST + 3)}]
    name, cell = next(iter(flat_records(deep)[0].items()))
    assert name.count("a") == DEEPEST + 1
    assert cell == nested_to(3)
    assert flat_table(pa.Table.from_pylist(deep)).column_names == [name]
    flat_records([{"a": nested_to(900)}])


def test_an_index_of_pandas_stays(tmp_path):
    frame = pd.DataFrame({"a": [{"b": 1}, {"b": 2}]}, index=pd.Index([7, 9], name="key"))
    frame.to_parquet(tmp_path / "rows.parquet")
    rows = read_table(tmp_path / "rows.parquet").rows
    assert rows["a.b"].tolist() == [1, 2]
    assert rows["key"].tolist() == [7, 9]
