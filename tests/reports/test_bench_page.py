import re
import xml.dom.minidom

import numpy as np
import pandas as pd
import pytest

from oddshot.evaluation.published import Published
from oddshot.evaluation.summary import summarise
from oddshot.reports.bench_figures import difference_dots
from oddshot.reports.bench_page import bench_page

EVIL = "<script>alert('x')</script>&"


def results(detectors=("oddshot", "knn", EVIL), tables=6, protocols=None):
    rng = np.random.default_rng(0)
    protocols = protocols or [
        ("few-label", 0), ("few-label", 5), ("few-label irrelevant=0.3", 5), ("dte", 0)
    ]  # fmt: skip
    rows = [
        (protocol, f"{EVIL}{table}", "", "made up", k, 1, name, False,
         rng.uniform(0.5, 1), rng.uniform(0.1, 0.9), rng.uniform(), 0.3, 0.1, "", "", "")
        for protocol, k in protocols
        for table in range(tables)
        for name in detectors
    ]  # fmt: skip
    columns = [
        "protocol", "table", "family", "collection", "k", "seed", "detector", "seen",
        "auroc", "ap", "ap_norm", "fit_seconds", "score_seconds", "error", "shown", "machine",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def page():
    return bench_page(summarise(results()), title=f"Results {EVIL}")


def figures(page):
    for part in page.split("<svg")[1:]:
        yield xml.dom.minidom.parseString("<svg" + part.split("</svg>")[0] + "</svg>")


def test_it_holds_every_figure_and_all_of_them_are_sound(page):
    for heading in ("against the number of labels", "Robustness", "Mean rank by AUROC", "Seconds"):
        assert heading in page
    labels = [svg.documentElement.getAttribute("aria-label") for svg in figures(page)]
    assert sum(label.startswith("Mean rank") for label in labels) == 2 * 4
    assert sum("minus" in label for label in labels) == 4


def test_each_protocol_with_labels_has_curves_of_its_own():
    names = ("leave-domain-out (medicine) few-label", "novel-type seen", "novel-type unseen")
    protocols = [(name, k) for name in names for k in (0, 5)]
    protocols.append(("leave-domain-out (medicine) few-label duplicates=3", 5))
    page = bench_page(summarise(results(protocols=protocols)))
    for name in names:
        assert f"<h2>{name}: against the number of labels</h2>" in page
    assert page.count("labelled anomalies of the seen type") == 4
    assert "times that every anomaly occurs" in page


def test_names_cannot_break_out_and_nothing_is_fetched(page):
    assert "<script" not in page
    assert "http" not in page
    assert "src=" not in page
    assert "prefers-color-scheme: dark" in page


def test_published_figures_are_marked():
    summary = summarise(results(protocols=[("dte", 0)]))
    index = pd.MultiIndex.from_tuples(
        [("published", "kNN"), ("measured", "oddshot")], names=["kind", "detector"]
    )
    scores = pd.DataFrame({"auroc": [0.8, 0.7], "ap": [0.5, np.nan]}, index=index)
    page = bench_page(summary, published=[Published("A paper", ("a", "b"), True, scores)])
    assert 'class="theirs"><td>kNN</td><td>published</td>' in page
    assert "same 2 data sets" in page


@pytest.mark.parametrize("tables", [1, 60])
def test_one_detector_one_table_or_many_are_drawn_too(tables):
    assert "oddshot" in bench_page(summarise(results(("oddshot",), tables)))
    assert "minus knn" in bench_page(summarise(results(("oddshot", "knn"), tables)))
    assert "knn" in bench_page(summarise(results(("knn", "lof"), tables)))


def test_one_table_has_no_ranks_to_compare():
    one, two = (bench_page(summarise(results(tables=tables))) for tables in (1, 2))
    assert "Mean rank by" not in one
    assert "minus" in one
    assert "Mean rank by AUROC (Friedman p = " in two


def test_curves_are_over_splits_that_all_finished_at_every_number_of_labels():
    rows = results(protocols=[("few-label", 0), ("few-label", 5)], tables=3)
    easy = rows[rows["k"] == 0].assign(seed=2, auroc=1.0)  # a split with too few anomalies for k=5
    page = bench_page(summarise(pd.concat([rows, easy])))
    assert "3 tables, 3 splits that every detector finished at every one of these." in page
    curves = page.split("against the number of labels</h2>")[1].split("<h2>")[0]
    assert (
        curves
        == bench_page(summarise(rows))
        .split("against the number of labels</h2>")[1]
        .split("<h2>")[0]
    )


def test_nothing_finished_is_a_page_that_says_so():
    page = bench_page(summarise(results().assign(error="Boom")))
    assert "failed" in page
    assert "No run of" in page


def test_the_title_of_dots_has_room_where_tables_are_too_many_for_names():
    title = "AUROC, oddshot minus mine.py:detector: mean +0.008 [-0.008, +0.026]"
    values = pd.Series(np.linspace(-0.1, 0.2, 90), [f"t{i}" for i in range(90)])
    drawn = difference_dots(values, title=title)
    assert int(re.search(r'viewBox="0 0 (\d+) ', drawn)[1]) >= 7 * len(title)
    assert title in drawn
