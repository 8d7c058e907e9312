from dataclasses import replace

import numpy as np
import pandas as pd

from oddshot.data.collections import load_collection
from oddshot.data.tasks import InMemory
from oddshot.episodes import Table
from oddshot.evaluation.contents import DIGITS, content_of
from oddshot.evaluation.novel_types import TypedTable

LABELS = np.array([0, 0, 1], dtype=np.int8)
FRAME = pd.DataFrame({"kg": [1.0, 2.0, 9.0], "colour": ["red", None, "blue"]})
TABLE = Table("pumps", FRAME, LABELS)


def test_a_file_counts_by_its_bytes(tmp_path):
    file = tmp_path / "a.csv"
    FRAME.assign(label=LABELS).to_csv(file, index=False)
    before = content_of(load_collection(tmp_path)[0])
    assert len(before) == DIGITS
    assert content_of(load_collection(tmp_path)[0]) == before
    FRAME.assign(label=LABELS[::-1]).to_csv(file, index=False)
    ref = load_collection(tmp_path)[0]
    assert content_of(ref) != before
    for named in ({"label_column": "label"}, {"group_column": "colour"}):
        assert content_of(load_collection(tmp_path, **named)[0]) != content_of(ref)
    file.unlink()
    assert content_of(ref) == ""


def test_cells_names_labels_and_types_count_and_nothing_else():
    same = replace(TABLE, name="fans", family="f", collection="c", notes=("n",))
    assert content_of(same) == content_of(InMemory(TABLE)) == content_of(TABLE)
    types = np.array(["", "", "burnt"])
    others = [
        TABLE,
        replace(TABLE, rows=FRAME.rename(columns={"kg": "lb"})),
        replace(TABLE, rows=FRAME.assign(kg=[1.0, 2.0, 9.5])),
        replace(TABLE, rows=FRAME.iloc[[1, 0, 2]]),
        replace(TABLE, labels=LABELS[::-1].copy()),
        replace(TABLE, labels=None),
        replace(TABLE, groups=np.array([0, 0, 1])),
        replace(TABLE, rows=FRAME[["kg"]].to_numpy()),
        TypedTable(TABLE, types),
        TypedTable(TABLE, np.array(["", "", "bent"])),
    ]
    assert len({content_of(other) for other in others}) == len(others)
    assert content_of(TypedTable(TABLE, types)) == content_of(TypedTable(same, types.copy()))


def test_what_cannot_be_read_has_no_content():
    class Broken:
        name = family = collection = "broken"

        def load(self):
            raise RuntimeError("no")

    assert content_of(Broken()) == ""
