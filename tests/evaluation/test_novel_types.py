import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oddshot.data.omniglot import Characters
from oddshot.episodes import Table
from oddshot.errors import DataError, LabelError, SettingError, SourceError
from oddshot.evaluation.novel_types import (
    TypedTable,
    drawn_types,
    judge,
    judge_apart,
    novel_trial,
    nsl_kdd,
    planted,
    tables_with_types,
    types_to_show,
    with_named_types,
    with_planted_types,
)
from oddshot.evaluation.protocols import novel_type

DATA = Path(os.environ.get("ODDSHOT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def parts(normal=400, each=20):
    rng = np.random.default_rng(0)
    types = np.array([""] * normal + ["bent"] * each + ["burnt"] * each + ["cracked"] * each)
    rows = rng.normal(size=(len(types), 3))
    return Table("parts", rows, (types != "").astype(np.int8), family="p"), types


def test_the_training_part_holds_one_type_and_the_test_part_all():
    table, types = parts()
    known = {row.tobytes(): kind for row, kind in zip(table.rows, types, strict=True)}
    found = novel_type(table, types, seen="burnt", k=3, seed=1, share=0.05)
    trial = found.trial
    trained = [known[row.tobytes()] for row in trial.X_train]
    assert set(trained) == {"", "burnt"}
    assert {kind for kind, y in zip(trained, trial.y_train, strict=True) if y == 1} == {"burnt"}
    assert (trial.y_train == 1).sum() == 3
    assert set(trial.y_train) == {1, -1}
    assert found.types.tolist() == [known[row.tobytes()] for row in trial.X_test]
    assert found.new_types == ("bent", "cracked")
    assert (trial.protocol, trial.k, trial.family) == ("novel-type", 3, "p")


def test_parts_do_not_depend_on_k_and_labels_are_nested():
    table, types = parts()
    trials = [novel_type(table, types, seen="bent", k=k, seed=4).trial for k in (0, 1, 5)]
    for other in trials[1:]:
        np.testing.assert_array_equal(trials[0].X_train, other.X_train)
        np.testing.assert_array_equal(trials[0].X_test, other.X_test)
    assert np.all((trials[2].y_train == 1) | (trials[1].y_train != 1))


def test_types_are_thinned_and_rows_can_be_bounded():
    table, types = parts(normal=400, each=100)
    found = novel_type(table, types, seen="bent", k=1, seed=0, share=0.1, max_normal=200)
    rows = len(found.trial.X_train) + len(found.trial.X_test)
    assert rows <= 200 + 3 * 20
    assert (found.types == "").sum() == 60


def test_too_few_of_a_type_are_told():
    table, types = parts()
    with pytest.raises(DataError, match="choose a smaller k or another type"):
        novel_type(table, types, seen="bent", k=19, seed=0)
    with pytest.raises(DataError, match="choose a smaller k or another type"):
        novel_type(table, types, seen="melted", k=0, seed=0)
    with pytest.raises(DataError, match="do not go with"):
        novel_type(table, types[::-1], seen="bent", k=1, seed=0)


def test_each_type_is_judged_against_the_normal_rows_alone():
    table, types = parts()
    found = novel_type(table, types, seen="bent", k=1, seed=0)
    scores = np.select([found.types == "bent", found.types == "burnt"], [2.0, -1.0], 0.0)
    told = {one["type"]: one for one in judge(found, scores)}
    assert [told[kind]["auroc"] for kind in ("bent", "burnt", "cracked")] == [1.0, 0.0, 0.5]
    assert [told[kind]["novel"] for kind in ("bent", "burnt", "cracked")] == [False, True, True]


def test_unseen_types_count_alike_however_many_rows_they_have():
    table, types = parts()
    types = np.where(np.cumsum(types == "cracked") > 8, "burnt", types)
    found = novel_type(table, types, seen="bent", k=1, seed=0, share=0.1)
    scores = np.select([found.types == "bent", found.types == "burnt"], [2.0, -1.0], 0.0)
    apart = judge_apart(found, scores)
    assert apart["seen"] == (1.0, 1.0, 1.0)
    assert apart["unseen"].auroc == (0.0 + 0.5) / 2
    each = [one["ap_norm"] for one in judge(found, scores) if one["novel"]]
    assert apart["unseen"].ap_norm == pytest.approx(np.mean(each))


def test_types_with_few_rows_are_not_shown():
    table, types = parts()
    types = np.where(np.cumsum(types == "cracked") > 8, "burnt", types)
    assert types_to_show(TypedTable(table, types)) == ("bent", "burnt")
    assert types_to_show(table) == ("genuine", "local", "cluster", "global", "dependency")
    with pytest.raises(DataError, match=r"no type of anomaly has 15 rows .* its types: bent"):
        novel_trial(TypedTable(table, types), shown="", k=1, seed=0)


def test_where_types_are_not_known_they_are_planted_the_same_each_time():
    table, _ = parts()
    found, again = (novel_trial(table, shown="global", k=2, seed=seed) for seed in (1, 1))
    np.testing.assert_array_equal(found.trial.X_train, again.trial.X_train)
    assert found.new_types == ("cluster", "dependency", "genuine", "local")
    np.testing.assert_array_equal(planted(table).table.rows, planted(table).table.rows)


@pytest.mark.parametrize("typed", [False, True])
def test_all_rows_are_bounded_anomalies_among_them(typed):
    table, types = parts(normal=900, each=60)
    source = TypedTable(table, types) if typed else table
    trial = novel_trial(source, shown=types_to_show(source)[0], k=1, seed=0, max_rows=300).trial
    unbounded = novel_trial(source, shown=types_to_show(source)[0], k=1, seed=0).trial
    assert 200 < len(trial.X_train) + len(trial.X_test) <= 300
    assert len(unbounded.X_train) + len(unbounded.X_test) > 900


def test_types_are_named_by_a_column_that_detectors_do_not_see():
    rows = pd.DataFrame({"heat": [1.0, 2.0, 9.0, 8.0], "fault": ["fine", None, " burnt ", 7]})
    typed = with_named_types(Table("pumps", rows, np.array([0, 0, 1, 1], np.int8)), "fault")
    assert typed.types.tolist() == ["", "", "burnt", "7"]
    assert list(typed.load().rows) == ["heat"]
    assert (typed.name, typed.family, typed.collection) == ("pumps by fault", "pumps", "")
    with pytest.raises(SourceError, match="brings no split"):
        typed.load_split()


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (Table("t", pd.DataFrame({"a": [1]})), LabelError, "'t' has no labels"),
        (
            Table("t", pd.DataFrame({"a": [1]}), np.zeros(1, np.int8)),
            DataError,
            "'t' has no column 'fault' with the types of its anomalies; there are a",
        ),
        (
            Table("t", np.zeros((1, 2)), np.zeros(1, np.int8)),
            DataError,
            "there are no names of columns",
        ),
        (
            Table("t", pd.DataFrame({"fault": ["x", " "]}), np.ones(2, np.int8)),
            DataError,
            "column 'fault' of table 't' is empty in row 1, an anomaly",
        ),
    ],
)
def test_what_names_no_types_is_told(table, error, message):
    with pytest.raises(error, match=message):
        with_named_types(table, "fault")


def test_a_folder_is_read_with_the_types_of_its_tables(tmp_path):
    pd.DataFrame({"heat": [1.0, 9.0], "fault": ["", "burnt"], "label": [0, 1]}).to_csv(
        tmp_path / "pumps.csv", index=False
    )
    (plain,) = tables_with_types(tmp_path)
    assert plain.name == "pumps"
    (typed,) = tables_with_types(tmp_path, types="fault")
    assert typed.kinds == ("burnt",)
    folder = tmp_path / "nsl"
    folder.mkdir()
    write_nsl_kdd(folder)
    assert tables_with_types(folder)[0].name == "nsl_kdd by category"
    assert tables_with_types(folder, types="type")[0].kinds == ("satan", "smurf")
    with pytest.raises(SettingError, match="types is 'fault'; of NSL-KDD choose 'category' or"):
        tables_with_types(folder, types="fault")


@pytest.mark.parametrize("named", [False, True])
def test_planting_keeps_normal_and_genuine_rows(named):
    table, _ = parts()
    if named:
        frame = pd.DataFrame(table.rows, columns=list("abc"))
        table = Table("parts", frame.assign(d="x"), table.labels)
    typed = with_planted_types(table, share=0.1, generator=np.random.default_rng(0), max_normal=100)
    counts = dict(zip(*np.unique(typed.types, return_counts=True), strict=True))
    assert counts["local"] == counts["global"] == counts["cluster"] == counts["dependency"] == 10
    assert (counts[""], counts["genuine"]) == (100, 60)
    assert typed.table.rows.shape == (200, table.rows.shape[1])
    assert np.array_equal(typed.table.labels == 1, typed.types != "")


def test_a_table_without_truth_is_refused():
    with pytest.raises(LabelError, match="has no labels"):
        with_planted_types(
            Table("t", np.zeros((9, 2))), share=0.1, generator=np.random.default_rng(0)
        )


def write_nsl_kdd(folder):
    rows = [[0, "tcp", "normal", 21], [1, "udp", "smurf", 3], [2, "tcp", "satan", 9]]
    pd.DataFrame(rows).to_csv(folder / "train_20_percent.csv.gz", header=False, index=False)
    (folder / "field_names.csv").write_text("duration,continuous\nprotocol,symbolic\n")
    (folder / "attack_types.csv").write_text("smurf,dos\nsatan,probe\nnormal,normal\n")


def test_attacks_have_a_type_and_a_category(tmp_path):
    write_nsl_kdd(tmp_path)
    assert nsl_kdd(tmp_path).types.tolist() == ["", "dos", "probe"]
    typed = nsl_kdd(tmp_path, by="type")
    assert typed.types.tolist() == ["", "smurf", "satan"]
    assert list(typed.table.rows) == ["duration", "protocol"]
    assert typed.table.family == "network-connections"
    with pytest.raises(SettingError, match="by is 'colour'"):
        nsl_kdd(tmp_path, by="colour")
    with pytest.raises(SourceError, match="holds no NSL-KDD"):
        nsl_kdd(tmp_path / "elsewhere")


@pytest.mark.skipif(not (DATA / "nsl_kdd").is_dir(), reason=f"no NSL-KDD in {DATA}")
def test_nsl_kdd_has_four_categories():
    typed = nsl_kdd(DATA / "nsl_kdd")
    assert typed.kinds == ("dos", "probe", "r2l", "u2r")
    assert typed.table.rows.shape == (25192, 41)


def characters(count):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 2, size=(count, 4, 28, 28)).astype(np.uint8)
    return Characters(images, tuple(f"c{n}" for n in range(count)), ("some",) * count)


def test_drawn_characters_are_normal_rows_or_types_of_their_own():
    drawn = drawn_types(characters(9), normal=2, odd=3, generator=np.random.default_rng(0))
    assert drawn.table.rows.shape == (5 * 4, 784)
    assert set(np.unique(drawn.table.rows)) == {0.0, 255.0}
    assert (drawn.types == "").sum() == 2 * 4
    assert len(drawn.kinds) == 3
    np.testing.assert_array_equal(drawn.table.labels, drawn.types != "")
    of = {
        row.tobytes(): name
        for name, rows in zip(characters(9).names, characters(9).images, strict=True)
        for row in rows.reshape(4, -1)
    }
    for row, kind in zip(drawn.table.rows, drawn.types, strict=True):
        name = of[(row / 255).astype(np.uint8).tobytes()]
        assert kind == name or (kind == "" and name not in drawn.kinds)


def test_more_characters_than_there_are_cannot_be_drawn():
    with pytest.raises(SettingError, match="there are 4 characters"):
        drawn_types(characters(4), normal=2, odd=3, generator=np.random.default_rng(0))
