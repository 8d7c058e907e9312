from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from oddshot.reports.detection import scored
from oddshot.reports.evidence import Evidence, LabelEffect
from oddshot.reports.page_words import (
    headline,
    how_to_label,
    labels_told,
    meaning,
    sure,
    title_of_list,
)


def found(labels=None):
    rows = pd.DataFrame({"x": range(100)})
    scores = np.r_[3.5, 2.5, 1.5, 1.4, np.zeros(96)]
    return scored(rows, scores, 1.0, source="a", columns=("x",), labels=labels)


def test_headline():
    assert headline(found()) == "4 of 100 rows look odd"
    one = pd.DataFrame({"x": [1]})
    alone = scored(one, np.array([2.0]), 1.0, source="a", columns=("x",))
    assert headline(alone) == "The one row looks odd"
    assert (
        "among 1 ordinary row some are as odd"
        in sure(scored(one, np.array([0.2]), 0.1, source="a", columns=("x",)), Evidence())[0]
    )
    usual = scored(one, np.array([0.2]), 1.0, source="a", columns=("x",))
    assert headline(usual) == "The one row does not look odd"


def test_what_a_score_means_holds_for_rows_like_those_learned_from():
    assert "of rows like those it learned from, one in ten scores 1 or more" in meaning(found())
    learned = found(np.full(100, -1, dtype=np.int8))
    assert "it is: one in ten rows scores 1 or more, one in a hundred 2" in meaning(learned)


def test_sureness_is_told_by_kind_and_known_anomalies_apart():
    labels = np.r_[1, np.full(99, -1)].astype(np.int8)
    lines = sure(found(labels), Evidence(rule="by chance", compared=99))
    assert [line.split(":")[0] for line in lines[:3]] == ["1 known", "1 likely", "2 worth a look"]
    assert "How the threshold was chosen: by chance." in lines
    assert "one in 100 cannot be counted" in lines[-1]
    assert not [line for line in lines if line.startswith("None can be clearer")]
    assert sure(found(), Evidence())[0].startswith("1 clear: among 100 ordinary rows")


def test_why_no_verdict_is_clear():
    rows = pd.DataFrame({"x": range(1500)})
    scores = np.r_[5.0, 3.1, np.zeros(1498)]
    labels = np.r_[1, np.full(1499, -1)].astype(np.int8)
    told = sure(scored(rows, scores, 2.0, source="a", columns=("x",), labels=labels), Evidence())
    assert told[2] == (
        'None can be clearer: with 1,500 rows a score of 3.5 is needed for "likely", and 4.2 for '
        '"clear"; the highest of these is 3.1.'
    )
    assert told[3].startswith("Of rows that were learned from one is always the oddest")
    new = sure(scored(rows, scores, 2.0, source="a", columns=("x",)), Evidence())
    assert not any("learned from" in line for line in new)


@pytest.mark.parametrize(("highest", "written"), [(2.4783, "2.48"), (3.499, "3.499")])
def test_the_highest_score_is_told_as_in_the_table_and_below_what_is_needed(highest, written):
    rows = pd.DataFrame({"x": range(1581)})
    scores = np.r_[highest, np.zeros(1580)]
    (line,) = sure(scored(rows, scores, 2.0, source="a", columns=("x",)), Evidence())[1:]
    assert line.endswith(f"the highest of these is {written}.")


def test_the_oddest_row_that_was_learned_from_is_not_likely_for_that():
    rows = pd.DataFrame({"x": range(1500)})
    scores = np.r_[np.log10(1501), np.zeros(1499)]
    labels = np.full(1500, -1, np.int8)
    told = scored(rows, scores, 2.0, source="a", columns=("x",), labels=labels)
    assert told.sureness()[0] == "worth a look"


def test_a_threshold_for_images_speaks_of_images():
    rows = pd.DataFrame({"file": ["a.png", "b.png"]})
    images = scored(rows, np.array([0.1, 3.0]), 1.0, source="a", columns=())
    rule = "1% of the 2 rows given to fit are above it"
    assert "1% of the 2 images given to fit are above it" in sure(images, Evidence(rule=rule))[-1]


@pytest.mark.parametrize(
    ("shown", "title"),
    [
        (3, "The 3 oddest of 4 odd rows"),
        (4, "The 4 odd rows"),
        (9, "The 4 odd rows, and the next 5"),
    ],
)
def test_the_list_says_what_it_holds(shown, title):
    assert title_of_list(found(), shown) == title


def test_the_list_tells_normal_rows_from_the_next_ones():
    labels = np.r_[-1, 0, np.full(98, -1)].astype(np.int8)
    assert title_of_list(found(labels), 9) == "The 3 odd rows, and 6 more"
    rows = pd.DataFrame({"x": range(9)})
    nothing = scored(rows, np.zeros(9), 1.0, source="a", columns=("x",))
    assert title_of_list(nothing, 9) == "The oddest 9 rows"


@pytest.mark.parametrize(
    ("source", "column", "command"),
    [
        ("data/a b.csv", "fraud", "label &#x27;data/a b.csv&#x27; --label-column fraud</code>"),
        ("<x>.csv", None, "label &#x27;&lt;x&gt;.csv&#x27;</code>"),
        ("the table", None, "label FILE</code>"),
        ("standard input", None, "label FILE</code>"),
    ],
)
def test_the_command_for_labels_is_named(source, column, command):
    rows = pd.DataFrame({"x": range(9)})
    settings = {"source": source, "columns": ("x",), "label_column": column}
    assert command in how_to_label(scored(rows, np.zeros(9), 1.0, **settings))


def test_the_command_for_labels_keeps_options():
    rows = pd.DataFrame({"x": range(9)})
    settings = {"source": "a.csv", "columns": ("x",), "label_column": "fraud"}
    made = scored(rows, np.zeros(9), 1.0, **settings)
    options = ("--seed", "7", "--leave-out", "a b")
    told = how_to_label(replace(made, options=options))
    assert "label a.csv --label-column fraud --seed 7 --leave-out &#x27;a b&#x27;</code>" in told
    images = scored(rows, np.zeros(9), 1.0, source="nuts", columns=())
    told = how_to_label(replace(images, options=options[:2]))
    assert "detect nuts --labels TABLE --seed 7</code>" in told


@pytest.mark.parametrize("labels", [None, np.full(100, -1, dtype=np.int8)])
def test_without_labels(labels):
    told = labels_told(found(labels), None)
    assert told == ([] if labels is None else [
        "No row had a label. A few labelled anomalies help a lot."
    ])  # fmt: skip


def test_what_labels_did():
    labels = np.r_[1, 1, 0, np.full(97, -1)].astype(np.int8)
    before = np.r_[60, 40, 1, np.delete(np.arange(1, 101), [59, 39, 0])]
    after = np.arange(1, 101)
    told = labels_told(found(labels), LabelEffect(before, after))
    assert told == [
        "2 known anomalies: 2 of them above the threshold; the middle one is number 1 of 100.",
        "1 known normal row: above the threshold, number 3 of 100.",
        "Without the labels, the middle known anomaly would be number 50.",
        "Of the 50 oddest rows, 49 are also among the 50 oddest without the labels; the labels "
        "brought in 1.",
    ]
