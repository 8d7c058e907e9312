import pandas as pd
import pytest

from oddshot.errors import SettingError
from oddshot.evaluation.machine import machine
from oddshot.evaluation.results import read_folders
from oddshot.evaluation.summary import summarise
from small_benchmarks import CHEAP, run, table


@pytest.mark.parametrize("added", [["content", "machine"], ["shown", "content", "machine"]])
def test_results_of_an_older_version_are_read_and_gone_on_with(tmp_path, added):
    before = run(tmp_path, ks=(1,), seeds=(1,)).assign(content="", machine="")
    before.drop(columns=added).to_csv(tmp_path / "results.csv", index=False)
    pd.testing.assert_frame_equal(read_folders([tmp_path]), before)
    now = run(tmp_path, ks=(1,), seeds=(1, 2))
    pd.testing.assert_frame_equal(now[now["seed"] == 1].reset_index(drop=True), before)
    assert (now[now["seed"] == 2]["machine"] == machine()).all()
    assert "not known of 4 runs by an older version" in summarise(now).machine


def test_results_with_unknown_columns_are_not_gone_on_with(tmp_path):
    before = run(tmp_path, ks=(1,), seeds=(1,))
    for other in (before.assign(more=1), before.drop(columns=["error", *before.columns[-3:]])):
        other.to_csv(tmp_path / "results.csv", index=False)
        with pytest.raises(SettingError, match="has other columns than this version writes"):
            run(tmp_path, ks=(1,), seeds=(1,))


def test_rows_of_a_table_that_has_changed_are_not_reported_as_those_of_the_new_one(tmp_path):
    asked = {"ks": (1,), "seeds": (1,)}
    run(tmp_path, **asked)
    changed = [table("a", seed=9), table("b", 1)]
    with pytest.raises(SettingError, match=r"of 1 table has changed .*: 'a'; restore it"):
        run(tmp_path, changed, **asked)
    with pytest.raises(SettingError, match="has changed"):  # other runs, which would stand beside
        run(tmp_path, changed, ks=(1,), seeds=(2,))
    assert len(run(tmp_path, [table("b", 1), table("c", 9)], **asked)) == 2 * len(CHEAP)

    file = tmp_path / "results.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if ",a," not in line))
    assert len(run(tmp_path, changed, **asked)) == 2 * len(CHEAP)


def test_folders_with_different_tables_of_one_name_are_not_reported_together(tmp_path):
    asked = {"ks": (1,), "seeds": (1,)}
    for folder, seed in (("one", 1), ("two", 2)):
        run(tmp_path / folder, [table("a", seed)], **asked)
    with pytest.raises(SettingError, match=r"one and .*two hold few-label on table 'a' with"):
        read_folders([tmp_path / "one", tmp_path / "two"])
    run(tmp_path / "dte", [table("a", 2)], protocols=("dte",), peers=("knn",), **asked)
    assert len(read_folders([tmp_path / "one", tmp_path / "dte"])) == len(CHEAP) + 1


def test_a_run_killed_in_its_first_line_starts_anew(tmp_path):
    (tmp_path / "results.csv").write_bytes(b"protocol,tab")
    assert len(run(tmp_path, ks=(1,), seeds=(1,))) == 4
