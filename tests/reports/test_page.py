import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.reports.detection import scored
from oddshot.reports.evidence import Evidence, LabelEffect, RowMap
from oddshot.reports.page import detection_page

VOID = {"meta", "line", "rect", "br", "img", "circle", "path", "wbr"}
NOTES = (
    ColumnNote("x", "number", True, ""),
    ColumnNote("id", "text", False, "identifier (all differ)", "identifier"),
)


class Checker(HTMLParser):
    """Collects tags, attributes and headings, and complains where tags do not close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes, self.headings = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def detection(rows, scores, **changes):
    settings = {"source": "a.csv", "columns": NOTES, **changes}
    return scored(rows, np.asarray(scores, dtype=float), 1.0, **settings)


def checked(found, evidence=None, **settings):
    text = detection_page(found, evidence, **settings)
    checker = Checker()
    checker.feed(text)
    assert not checker.open
    return text, checker


@pytest.fixture
def table():
    return pd.DataFrame({"x": np.arange(200.0), "id": [f"no-{n}" for n in range(200)]})


def test_page_is_well_formed_and_self_contained(table):
    text, checker = checked(detection(table, np.linspace(0, 3, 200)))
    assert not [v for n, v in checker.attributes if n in {"src", "href"}]
    assert not [n for n, _ in checker.attributes if n.startswith("on") or n == "style"]
    assert "://" not in text
    assert checker.seen.count("script") == 1
    assert checker.seen.count("rect") > 10
    assert text.count("class=flagged") == 50  # the 50 oddest of 133 flagged ones
    assert checker.headings == [
        "133 of 200 rows look odd",
        "How sure is this?",
        "The 50 oddest of 133 odd rows",
        "Scores",
        "Columns",
    ]


def test_only_the_page_s_own_script_may_run(table):
    _, checker = checked(detection(table, np.linspace(0, 3, 200)))
    (policy,) = [v for n, v in checker.attributes if n == "content" and "default-src" in v]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy


def test_few_rows_are_shown_where_few_are_odd(table):
    text, _ = checked(detection(table, np.r_[[2.0, 3.0], np.zeros(198)]))
    assert "The 2 odd rows, and the next 13" in text
    assert "<dd>2</dd>" in text
    assert "<dt>clear cases</dt><dd>0</dd>" in text
    assert "Rows are counted from 0." in text


def test_identifiers_are_shown_and_columns_left_out_are_told(table):
    text, _ = checked(detection(table, np.linspace(0, 3, 200)))
    assert "<bdi>no-199</bdi>" in text
    assert "identifier (all differ)" in text


HOSTILE = ("<script>alert(1)</script>", '" onmouseover="alert(1)', "a&amp;b", "'; x", "\x00\ud800")


def test_values_and_names_are_escaped():
    cells = pd.Index(HOSTILE, dtype=object)
    rows = pd.DataFrame(dict.fromkeys(HOSTILE[:4], cells), index=cells, dtype=object)
    notes = tuple(ColumnNote(name, "text", True, HOSTILE[0]) for name in HOSTILE[:4])
    labels = np.array([1, 0, -1, -1, -1], dtype=np.int8)
    found = detection(
        rows, [5, 4, 3, 2, 1], columns=notes, source=HOSTILE[0], notes=HOSTILE, labels=labels
    )
    places = np.arange(5)
    evidence = Evidence(
        rule=HOSTILE[1],
        plane=RowMap(places, np.stack([places, places], axis=1).astype(float), 0.5),
        suggested=(2, 3),
        effect=LabelEffect(places[::-1] + 1, places + 1),
    )
    text, checker = checked(found, evidence)
    assert checker.seen.count("script") == 1
    assert not [n for n, _ in checker.attributes if n.startswith("on")]
    assert "&lt;script&gt;" in text
    assert "a&amp;amp;b" in text
    assert "␀?" in text
    assert text.encode("utf-8")


def test_page_stays_small_whatever_the_table():
    wide = pd.DataFrame(
        np.full((300, 300), "<&>" * 400, dtype=object), columns=[f"c{i}" * 50 for i in range(300)]
    )
    notes = [ColumnNote(name, "text", i % 2 == 0, "y" * 5000) for i, name in enumerate(wide)]
    text, _ = checked(detection(wide, np.arange(300), columns=notes, notes=["z" * 9999] * 99))
    assert len(text.encode()) < 1_500_000
    assert "290 more columns are not shown." in text
    assert "200 more columns need a word." in text


def test_gaps_and_equal_scores_do_no_harm():
    rows = pd.DataFrame({"x": [None, 1.5], "id": [pd.NaT, pd.Timestamp("2024-01-01")]})
    text, _ = checked(detection(rows, [0.0, 0.0]))
    assert "None of 2 rows looks odd" in text
    assert "NaT" not in text
    assert not re.search(r"\bnan\b", text)
    assert text.count('data-k="">missing<') == 2
    assert "2024-01-01<" in text


def test_no_rows_at_all():
    text, _ = checked(detection(pd.DataFrame({"x": []}), []))
    assert "No rows." in text


def test_images_are_called_so_and_have_no_columns():
    names = pd.DataFrame({"file": ["a.png", "b.png", "<i>.png"]})
    pictures = dict.fromkeys(range(3), "data:image/png;base64,AAAA")
    evidence = Evidence(pictures=pictures, ordinary=(0,), suggested=(1,))
    text, checker = checked(detection(names, [0.0, 2.0, 0.5], columns=()), evidence)
    assert "1 of 3 images looks odd" in text
    assert "The odd image, and the next 2" in text
    assert "<code>oddshot detect a.csv --labels TABLE</code>" in text
    assert "Columns" not in text
    assert "rows" not in text.partition("<h1>")[2].partition("<footer>")[0]
    assert checker.seen.count("img") == 5
    assert "&lt;i&gt;.png" in text


def test_what_is_told_of_the_threshold_is_told_once(table):
    rule = "at most 1% of normal rows are expected above it (from 200 rows)"
    found = detection(table, np.linspace(0, 3, 200), notes=[f"The threshold: {rule}.", "Mind."])
    text, _ = checked(found, Evidence(rule=rule, compared=200))
    assert text.count(rule) == 1
    assert "<li>Mind.</li>" in text
    assert "one in 201 cannot be counted" in text
