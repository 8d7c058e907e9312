from dataclasses import replace

import numpy as np
import pandas as pd

from oddshot.detectors.explanations.alternatives import Change, CounterExample
from oddshot.detectors.explanations.explanation import Explanation
from oddshot.mapping.encoding.column_note import ColumnNote
from oddshot.reports.detection import scored
from oddshot.reports.evidence import Evidence
from oddshot.reports.page_rows import (
    as_written,
    left_out,
    number_shown,
    oddest,
    reason_of,
    reasons,
    to_label,
)

USUAL = CounterExample(1, {"amount": 100.0, "shop": None}, 0.2, ("amount",))
ROW = Explanation(
    row=2,
    score=4.0,
    baseline=0.4,
    threshold=1.0,
    columns=("amount", "shop"),
    values=(250000.0, "<there>"),
    contributions=np.array([0.6, 3.0]),
    typical=USUAL,
    anomaly=None,
    change=Change({"amount": 140.0}, 0.9),
)


def found(**changes):
    rows = pd.DataFrame(
        {"amount": [1.0, 2.0, 250000.0], "shop": ["a", None, "<there>"], "fraud": [None, None, 1]}
    )
    notes = [ColumnNote(name, "number", True, "") for name in ("amount", "shop")]
    settings = {"source": "a", "columns": notes, **changes}
    return scored(rows, np.array([0.1, 1.2, 4.0]), 1.0, **settings)


def test_tables_that_scroll_are_regions_with_a_name():
    gone = [ColumnNote("shop", "text", False, "all texts differ")]
    for html, name in (
        (oddest(found(), Evidence(), 3), "The oddest rows"),
        (left_out(found(columns=gone)), "Columns that were left out, or need a word"),
    ):
        assert f'role="region" aria-label="{name}" tabindex="0"' in html
        assert f"<caption>{name}</caption>" in html


def test_reasons_are_drawn_largest_first_with_the_typical_row_beside():
    html = reasons(found(), as_written(found(), Evidence(explained={2: ROW})))
    assert html.index("<bdi>shop</bdi>") < html.index("<bdi>amount</bdi>")
    assert "<bdi>&lt;there&gt;</bdi></td><td><bdi>missing</bdi>" in html
    assert "<bdi>250,000</bdi></td><td><bdi>100</bdi></td>" in html
    assert "+3" in html
    change = "<bdi>amount</bdi> = <bdi>140</bdi> (score then 0.9)."
    assert f"Smallest change found that makes it normal: {change}" in html
    assert 'class="mark clear"' in html


def test_cards_tell_values_apart():
    usual = replace(USUAL, values={"amount": 1000.0, "shop": None})
    row = replace(ROW, values=(1000.04, "a"), typical=usual, change=Change({"amount": 1000.01}, 1))
    html = reasons(found(), as_written(found(), Evidence(explained={2: row})))
    assert "<bdi>1000.04</bdi></td><td><bdi>1000</bdi></td>" in html
    assert "= <bdi>1000.01</bdi> (score" in html


def test_names_and_cells_in_sentences_keep_their_direction_and_are_cut():
    name, long = "סכום \u2068x\u2069", "y" * 300
    usual = CounterExample(1, {name: "1", long: "<b>"}, 0.2, (name, long))
    row = replace(ROW, columns=(name, long), values=("2", "c"), typical=usual, change=None)
    html = reasons(found(), Evidence(explained={2: row}))
    assert "differs only in <bdi>סכום x</bdi> (<bdi>1</bdi>), <bdi title=" in html
    assert html.count("<bdi") == html.count("</bdi>")
    assert "(<bdi>&lt;b&gt;</bdi>)." in html


def test_a_mixture_has_no_single_reason():
    mixture = replace(ROW, contributions=np.zeros(2))
    assert "it is the mixture" in reasons(found(), Evidence(explained={2: mixture}))
    assert reason_of(mixture) == "no single column, but the mixture"
    assert reason_of(None) == ""
    usual = replace(mixture, score=0.5)
    assert reason_of(usual) == "nothing stands out"
    assert "<p>No column stands out.</p>" in reasons(found(), Evidence(explained={2: usual}))
    assert reason_of(ROW).startswith("<bdi>shop</bdi> = <bdi>&lt;there&gt;</bdi>, ")


def test_what_is_small_beside_the_main_reason_is_no_reason():
    assert "amount" not in reason_of(replace(ROW, contributions=np.array([0.046, 1.6])))


def test_columns_that_tell_most_come_first_and_labels_are_shown_once():
    labels = np.array([-1, -1, 1], dtype=np.int8)
    html = oddest(found(labels=labels, label_column="fraud"), Evidence(explained={2: ROW}), 3)
    heads = [part.partition("</button>")[0] for part in html.split('<button type="button">')[1:]]
    assert heads == [
        "rank", "row", "score", "why", "sure", "label", "<bdi>shop</bdi>", "<bdi>amount</bdi>",
    ]  # fmt: skip
    assert "<td>anomaly</td>" in html
    assert 'class="mark known"' in html
    assert 'class="mark likely"' in html
    assert 'class="mark usual"' in html
    assert "Reasons are given for the oddest only" in html
    assert "not shown" not in html  # labels are


def test_identifiers_and_reasons_come_before_the_verdict():
    rows = pd.DataFrame({"amount": [1.0, 9.0], "shop": ["a", "b"], "key": ["k1", "k2"]})
    notes = [ColumnNote(name, "number", True, "") for name in ("amount", "shop")]
    notes.append(ColumnNote("key", "text", False, "identifier", "identifier"))
    table = scored(rows, np.array([0.1, 4.0]), 1.0, source="a", columns=notes)
    html = oddest(table, Evidence(explained={1: ROW}), 2)
    assert html.index("<bdi>key</bdi>") < html.index(">why<") < html.index(">sure<")


def test_a_known_anomaly_below_the_threshold_is_known():
    labels = np.array([1, -1, -1], dtype=np.int8)
    html = oddest(found(labels=labels), Evidence(), 3)
    assert html.count('class="mark known"') == 1
    assert 'class="mark usual"' not in html


def test_a_row_known_to_be_normal_hides_no_odd_one():
    scores = np.r_[np.linspace(9, 2, 30), np.zeros(70)]
    labels = np.r_[np.zeros(10), np.full(90, -1)].astype(np.int8)
    rows = pd.DataFrame({"x": range(100)})
    table = scored(rows, scores, 1.0, source="a", columns=("x",), labels=labels)
    assert number_shown(table) == 35
    assert number_shown(table, 20) == 20


def test_times_are_written_as_their_column_has_them():
    clocks = pd.to_datetime(["2024-01-06 04:07", "2024-01-07 00:00", "2024-01-08 10:00"])
    rows = pd.DataFrame({"amount": [1.0, 2.0, 3.0], "shop": clocks})
    notes = [ColumnNote(name, "number", True, "") for name in ("amount", "shop")]
    table = scored(rows, np.array([0.1, 1.2, 4.0]), 1.0, source="a", columns=notes)
    usual = replace(USUAL, values={"amount": 1.0, "shop": clocks[1]})
    change = Change({"shop": pd.Timestamp("2024-01-07 02:55:00"), "amount": 250000.0}, 0.9)
    row = replace(ROW, values=(3.0, clocks[2]), typical=usual, change=change)
    evidence = as_written(table, Evidence(explained={2: row}))
    html = oddest(table, evidence, 3) + reasons(table, evidence)
    assert "</span> 00:00" in html
    assert "</span> 10:00" in html
    day = '<bdi>shop</bdi> = <bdi><span class="whole">2024-01-07</span> 02:55</bdi> and '
    assert f"{day}<bdi>amount</bdi> = <bdi>250,000</bdi> (score" in html
    assert ":00:00" not in html
    text = scored(
        rows.assign(shop=["2024-01-06 04:07", None, "x"]),
        table.scores, 1.0, source="a", columns=notes,
    )  # fmt: skip
    assert day in reasons(text, as_written(text, Evidence(explained={2: row})))


def test_a_column_that_the_detector_did_not_see_is_shown():
    assert "<bdi>fraud</bdi>" in oddest(found(), Evidence(), 3)


def test_texts_that_are_read_as_numbers_are_sorted_as_such():
    rows = pd.DataFrame({"rate": ["10%", "5%", None], "shop": ["10 a", "x", "b"]})
    notes = [ColumnNote("rate", "number", True, ""), ColumnNote("shop", "category", True, "")]
    table = scored(rows, np.array([0.1, 1.2, 4.0]), 1.0, source="a", columns=notes)
    html = oddest(table, Evidence(), 3)
    assert '<td data-k="0.1"><bdi>10%</bdi></td>' in html
    assert '<td data-k="0.05"><bdi>5%</bdi></td>' in html
    assert "<td><bdi>10 a</bdi></td>" in html


def test_rows_to_label_keep_their_order():
    html = to_label(found(), Evidence(suggested=(1, 0)))
    assert html.index('data-k="1.2"') < html.index('data-k="0.1"')
    assert "<button" not in html


def test_every_column_used():
    assert left_out(found()) == "<p>Every column was used.</p>"
