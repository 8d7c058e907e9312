from html.parser import HTMLParser

import numpy as np
import pandas as pd

from oddshot.mapping.encode import ColumnNote
from oddshot.reports.detection import scored
from oddshot.reports.page import detection_page

VOID = {"meta", "line", "rect", "br"}


class Checker(HTMLParser):
    """Collects tags, and complains where they do not close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def page(rows, scores, **changes):
    settings = {"source": "a.csv", "columns": (), **changes}
    return detection_page(scored(rows, np.asarray(scores, dtype=float), 1.0, **settings))


def test_page_is_well_formed_and_self_contained():
    text = page(pd.DataFrame({"x": range(200)}), np.linspace(0, 3, 200))
    checker = Checker()
    checker.feed(text)
    assert not checker.open
    assert not checker.links
    assert "script" not in checker.seen
    assert "http" not in text
    assert checker.seen.count("rect") > 10
    assert text.count('class="flagged"') == 50  # the 50 oddest of 133 flagged ones


def test_values_and_names_are_escaped():
    text = page(
        pd.DataFrame({"<b>name</b>": ["<script>alert(1)</script>", '"&"']}),
        [0.5, 2.0],
        source="<i>.csv",
    )
    assert "<script>" not in text
    assert "<b>name" not in text
    assert "<i>.csv" not in text
    assert "&lt;script&gt;" in text


def test_page_stays_small_whatever_the_table():
    wide = pd.DataFrame(np.zeros((5000, 200)), columns=[f"c{i}" for i in range(200)])
    text = page(wide, np.arange(5000))
    assert len(text) < 200_000
    assert "173 more columns are not shown" in text


def test_gaps_and_equal_scores_do_no_harm():
    rows = pd.DataFrame({"x": [None, 1.5], "t": [pd.NaT, pd.Timestamp("2024-01-01")]})
    text = page(rows, [0.0, 0.0])
    assert "NaT" not in text
    assert "nan" not in text


def test_images_are_called_so_and_have_no_columns():
    text = page(pd.DataFrame({"file": ["a.png", "b.png"]}), [0.0, 2.0])
    assert "The 2 oddest images" in text
    assert "Columns" not in text
    assert "rows" not in text
    note = ColumnNote("file", "text", False, "free text")
    text = page(pd.DataFrame({"file": ["a.png", "b.png"]}), [0.0, 2.0], columns=(note,))
    assert "The 2 oddest rows" in text
    assert "<h2>Columns</h2>" in text
    assert "free text" in text
