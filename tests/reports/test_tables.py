from io import StringIO

import pandas as pd
import pytest
from rich.console import Console

from oddshot.evaluation.results import Result
from oddshot.evaluation.summary import Summary, summarise
from oddshot.reports.tables import setting_title, summary_as_markdown, summary_for_terminal


def results(protocol="few-label", k=5, **cells):
    """Return results from {detector: [AUROC of table 0, 1, ...]}."""
    rows = [
        Result(protocol, f"t{i}", f"t{i}", "", k, 1, name, False, value, value / 2, value / 4, 1, 2)
        for name, values in cells.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame([{name: getattr(row, name) for name in Result.__slots__} for row in rows])


@pytest.fixture
def summary():
    return summarise(results(oddshot=[0.9, 0.8, 0.7], knn=[0.8, 0.6, 0.7]))


def shown(summary: Summary) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(summary_for_terminal(summary))
    return console.export_text()


def test_both_forms_show_the_same_cells(summary):
    text, markdown = shown(summary), summary_as_markdown(summary)
    for cell in ("0.800", "0.700", "83% / 83%", "+0.100 [+0.000, +0.200]"):
        assert cell in text
        assert cell in markdown
    assert "few-label, k = 5: 3 tables, 3 splits that every detector finished" in text
    assert "Machine: " in markdown
    assert "| fit s, median | score s, median |" in markdown


def test_markdown_tables_have_one_width(summary):
    lines = [line for line in summary_as_markdown(summary).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 4


def test_what_is_not_shown_is_said():
    frame = results(oddshot=[0.9, 0.8], knn=[0.8, 0.7], lof=[0.5, 0.5])
    frame.loc[frame["detector"] == "lof", ["error", "auroc"]] = ["Boom: a|b", float("nan")]
    frame.loc[(frame["detector"] == "oddshot") & (frame["table"] == "t1"), "seen"] = True
    markdown = summary_as_markdown(summarise(frame))
    assert "No run of few-label, k = 5 was finished by lof" in markdown
    assert (
        "2 splits that every compared detector finished (1 of 3 detectors finished none)"
    ) in markdown
    assert "lof failed 2 times, on t0, t1: Boom: a\\|b" in markdown
    assert "Not a fair test of oddshot: its prior has seen the families of 1 table: t1" in markdown


def test_what_labels_add_stands_beside_a_detector_that_also_runs_without():
    name = "novel-type unseen"
    frames = [
        results(name, k=0, oddshot=[0.9, 0.8]),
        results(name, k=5, oddshot=[0.8, 0.6], **{"extra-trees": [0.6, 0.5]}),
    ]
    markdown = summary_as_markdown(summarise(pd.concat(frames)))
    assert "## novel-type unseen, k = 5: 2 tables" in markdown
    assert markdown.count("labels add, AUROC") == 1
    (row,) = (line for line in markdown.splitlines() if "| 0.700 |" in line)
    assert "| -0.150 [-0.200, -0.100] | -0.075 [-0.100, -0.050] |" in row
    assert "on unseen types a loss is the price of the labels" in markdown


def test_a_left_out_domain_stands_in_title_and_remark():
    name = "leave-domain-out (medicine) few-label"
    assert setting_title(name, 5) == f"{name}, k = 5"
    markdown = summary_as_markdown(summarise(results(name, oddshot=[0.9], knn=[0.8])))
    assert "oddshot's prior has learned from none of their families" in markdown


def test_where_all_failed_there_is_no_table_but_a_remark():
    frame = results(oddshot=[0.9], knn=[0.8])
    frame[["error", "auroc"]] = ["Boom", float("nan")]
    text = shown(summarise(frame))
    assert "No run of few-label, k = 5 was finished by" in text
    assert "AUROC" not in text


def test_where_no_split_was_finished_by_all_a_remark_says_so():
    frame = results(oddshot=[0.9, 0.8], knn=[0.8, 0.7])
    frame.loc[[0, 3], ["error", "auroc"]] = ["Boom", float("nan")]
    summary = summarise(frame)
    told = (
        "No split of few-label, k = 5 was finished by all of knn, oddshot: nothing is compared "
        "there; compare fewer with --detectors"
    )
    assert told in shown(summary)
    assert told in summary_as_markdown(summary)


def test_detectors_that_failed_alike_share_a_line():
    frame = results(oddshot=[0.9, 0.8], knn=[0.8, 0.7], lof=[0.5, 0.5])
    failed = frame["detector"] != "oddshot"
    frame.loc[failed, ["error", "auroc"]] = ["Boom", float("nan")]
    assert "- knn, lof failed 2 times each, on t0, t1: Boom" in summary_as_markdown(
        summarise(frame)
    )


def test_failures_that_differ_by_numbers_alone_share_a_line():
    frame = results(oddshot=[0.9, 0.8], knn=[0.8, 0.7], lof=[0.5, 0.5])
    failed = frame["detector"] != "oddshot"
    frame.loc[failed, "auroc"] = float("nan")
    frame.loc[failed, "error"] = [
        f"DataError: k = 20, but there are {12.5 if table == 't0' else 1_007}"
        for table in frame.loc[failed, "table"]
    ]
    assert (
        "- knn, lof failed 2 times each, on t0, t1: DataError: k = 20, but there are 1007 "
        "(numbers vary)" in summary_as_markdown(summarise(frame))
    )
