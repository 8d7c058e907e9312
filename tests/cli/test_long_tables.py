"""Files that are read in blocks, on the command line."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from oddshot import FewShotDetector
from oddshot.cli import app, long_tables
from oddshot.data.blocks import ParquetBlocks
from oddshot.data.text_blocks import DelimitedBlocks
from small_priors import untrained_prior

COUNT = 300


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prior")
    untrained_prior().save(folder)
    return str(folder)


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table that counts as long; 200 of its rows may be learned from."""
    monkeypatch.setattr(long_tables, "LONG", 250)
    monkeypatch.setattr(long_tables, "SAMPLE", 200)
    monkeypatch.setattr(ParquetBlocks.__init__, "__kwdefaults__", {"block_rows": 64})
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(COUNT, 3)), columns=["a", "b", "anomaly"])
    frame.iloc[:6] += 6
    frame["fraud"] = [1.0] * 3 + [np.nan] * (COUNT - 3)
    frame.to_parquet(tmp_path / "long.parquet")
    return frame


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_detect_learns_from_a_sample_and_scores_all(table, tmp_path, prior):
    out = tmp_path / "out.parquet"
    file = tmp_path / "long.parquet"
    said = run("detect", file, "--label-column", "fraud", "--out", out, "--prior", prior)
    found = pd.read_parquet(out)
    pd.testing.assert_frame_equal(found[[*table.columns]], table)
    assert [*found.columns[-3:]] == ["anomaly_score", "anomaly_2", "anomaly_rank"]
    assert sorted(found["anomaly_rank"]) == [*range(1, COUNT + 1)]
    assert set(np.argsort(found["anomaly_rank"])[:6]) == set(range(6))
    assert "Learned from 200 of 300 rows" in said
    assert "300 rows; 3 of 3 columns used" in said
    assert "Labels: 3 known anomalies, 0 known normal rows, 297 rows without a label." in said
    assert "the new one is called 'anomaly_2'" in said


def test_score_in_blocks_gives_what_score_gives(table, tmp_path, prior, monkeypatch):
    file, kept = tmp_path / "long.parquet", tmp_path / "kept"
    assert "Learned from 200 of 300 rows" in run("fit", file, "--out", kept, "--prior", prior)
    in_blocks = run("score", kept, file, "--out", tmp_path / "blocks.parquet")
    monkeypatch.setattr(long_tables, "LONG", COUNT)
    at_once = run("score", kept, file, "--out", tmp_path / "whole.parquet")
    assert in_blocks.replace("blocks.parquet", "whole.parquet") == at_once
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "blocks.parquet"), pd.read_parquet(tmp_path / "whole.parquet")
    )


def test_a_share_is_one_of_all_rows_though_labelled_ones_are_drawn_first(
    table, tmp_path, prior, monkeypatch
):
    monkeypatch.setattr(long_tables, "SAMPLE", 60)
    file, kept = tmp_path / "long.parquet", tmp_path / "kept"
    table["fraud"] = [1.0] * 6 + [np.nan] * (COUNT - 6)
    table.to_parquet(file)
    options = ("--label-column", "fraud", "--contamination", "0.1", "--prior", prior)
    run("fit", file, "--out", kept, *options)
    detector = FewShotDetector.load(kept)
    assert detector._fitted.support.drawn_for == pytest.approx((1, 294 / 54, 1))
    assert (len(detector._shown.known), len(detector._shown.raw)) == (6, 54 + 1)


def test_score_in_blocks_tells_what_moved_in_later_ones(table, tmp_path, prior, monkeypatch):
    file, kept, moved = (tmp_path / name for name in ("long.parquet", "kept", "moved.parquet"))
    table.assign(c=["x", "y"] * 150).to_parquet(file)
    run("fit", file, "--out", kept, "--prior", prior)
    later = table.assign(c=["x", "y"] * 32 + ["z"] * 236, d=0, a=table["a"] + 50)
    later.loc[:63, "a"] -= 50
    later.loc[100:, "b"] = np.nan
    later.to_parquet(moved)
    in_blocks = run("score", kept, moved, "--out", tmp_path / "blocks.parquet")
    assert "Not there at fit, and ignored: 'd'." in in_blocks
    assert "Column 'b' is empty in 66.7% of rows, 0.0% at fit." in in_blocks
    assert "Column 'c' holds what fit did not see in 79% of rows" in in_blocks
    assert "That is far more than the" in in_blocks
    monkeypatch.setattr(long_tables, "LONG", COUNT)
    at_once = run("score", kept, moved, "--out", tmp_path / "whole.parquet")
    assert in_blocks.replace("blocks.parquet", "whole.parquet") == at_once


def test_a_list_gives_labels_to_blocks(table, tmp_path, prior):
    table.assign(txn=[f"t{i:05d}" for i in range(COUNT)]).to_parquet(tmp_path / "long.parquet")
    (tmp_path / "back.csv").write_text("txn,label\nt00007,1\nt00009,0\nzz,1\n")
    options = ["--labels", tmp_path / "back.csv", "--prior", prior]
    said = run("detect", tmp_path / "long.parquet", "--out", tmp_path / "out.parquet", *options)
    assert "Learned from" in said
    assert "3 ids by 'txn', 1 of them not found" in said
    assert "1 known anomaly, 1 known normal row" in said


def test_categories_are_named_of_blocks_too(table, tmp_path, prior):
    rows = table.assign(code=np.arange(COUNT) % 5 * 100)
    rows.to_parquet(tmp_path / "long.parquet")
    options = ["--category", "code", "--prior", prior]
    run("fit", tmp_path / "long.parquet", "--out", tmp_path / "kept", *options)
    kinds = {n.column: n.kind for n in FewShotDetector.load(tmp_path / "kept").column_report_}
    assert kinds["code"] == "category"


def test_what_needs_all_rows_at_once_reads_them(table, tmp_path, prior):
    file = tmp_path / "long.parquet"
    for options in (["--out", tmp_path / "out.csv"], ["--top", 3], ["--fdr", 0.5]):
        said = run("detect", file, "--prior", prior, *options)
        assert "Learned from" not in said


def test_a_mistake_is_said_in_one_line(table, tmp_path):
    file, out = tmp_path / "long.parquet", tmp_path / "out.parquet"
    for options, message in (
        (["--label-column", "fruad"], "has no column 'fruad'"),
        (["--size", "28x28"], "holds no images"),
        (["--quality", "best"], "quality is 'best'"),
    ):
        result = CliRunner().invoke(app, ["detect", str(file), "--out", str(out), *options])
        assert result.exit_code == 2
        assert message in result.output
        assert not out.exists()


# Delimited text


@pytest.fixture
def text(table, tmp_path, monkeypatch):
    """The same table as CSV, which counts as long, too."""
    monkeypatch.setattr(long_tables, "LONG_BYTES", 1000)
    monkeypatch.setattr(DelimitedBlocks.__init__, "__kwdefaults__", {"block_rows": 64})
    file = tmp_path / "long.csv"
    table.assign(code=[f"{i:05d}" for i in range(COUNT)]).to_csv(file, index=False)
    return file


def test_a_long_csv_comes_back_as_written(text, tmp_path, prior):
    out = tmp_path / "out.csv"
    said = run("detect", text, "--label-column", "fraud", "--out", out, "--prior", prior)
    assert "Learned from 200 of 300 rows" in said
    before, after = text.read_text().splitlines(), out.read_text().splitlines()
    assert after[0] == before[0] + ",anomaly_score,anomaly_2,anomaly_rank"
    assert all(new.startswith(old + ",") for old, new in zip(before[1:], after[1:], strict=True))
    found = pd.read_csv(out)
    assert set(np.argsort(found["anomaly_rank"])[:6]) == set(range(6))
    again = run(
        "detect", out, "--label-column", "fraud", "--out", tmp_path / "2.csv", "--prior", prior
    )
    assert "Not learned from, for they look like results" in again


def test_a_long_csv_is_scored_as_one_that_is_read_at_once(text, tmp_path, prior, monkeypatch):
    kept = tmp_path / "kept"
    assert "Learned from 200 of 300 rows" in run("fit", text, "--out", kept, "--prior", prior)
    in_blocks = run("score", kept, text, "--out", tmp_path / "blocks.csv")
    monkeypatch.setattr(long_tables, "LONG_BYTES", 1_000_000)
    at_once = run("score", kept, text, "--out", tmp_path / "whole.csv")
    assert in_blocks.replace("blocks.csv", "whole.csv") == at_once
    assert (tmp_path / "blocks.csv").read_text() == (tmp_path / "whole.csv").read_text()


@pytest.mark.parametrize("name", ["bad.csv", "bad.parquet"])
def test_a_cell_that_cannot_be_read_is_told_by_file_and_row(text, table, tmp_path, prior, name):
    kept, bad = tmp_path / "kept", tmp_path / name
    run("fit", text, "--out", kept, "--prior", prior)
    cells = table.assign(code="00001", a=table["a"].astype(str))
    cells.loc[200, "a"] = "abc"
    cells.to_csv(bad, index=False) if name == "bad.csv" else cells.to_parquet(bad)
    result = CliRunner().invoke(app, ["score", str(kept), str(bad), "--out", f"{bad}.{name}"])
    assert result.exit_code == 2
    assert f"{name}: column 'a' holds 'abc' in row 200, where a number" in result.output
