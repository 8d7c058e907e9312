import numpy as np
import pandas as pd
import pytest

from oddshot.reports.page_cells import brief, cell, clock_of, safe, text_of


@pytest.mark.parametrize(
    ("value", "html"),
    [
        (3, '<td class="n" data-k="3.0">3</td>'),
        (np.int64(2024), '<td class="n" data-k="2024.0">2024</td>'),
        (1234567.8, '<td class="n" data-k="1234567.8">1,234,568</td>'),
        (99999.6, '<td class="n" data-k="99999.6">100,000</td>'),
        (np.float32(0.5), '<td class="n" data-k="0.5">0.5</td>'),
        (float("inf"), '<td class="n" data-k="Infinity">inf</td>'),
        (-np.inf, '<td class="n" data-k="-Infinity">-inf</td>'),
        (pd.NA, '<td class="gap" data-k="">missing</td>'),
        (pd.NaT, '<td class="gap" data-k="">missing</td>'),
        (None, '<td class="gap" data-k="">missing</td>'),
        (True, "<td><bdi>True</bdi></td>"),
        (np.True_, "<td><bdi>True</bdi></td>"),
        ("😀 שלום", "<td><bdi>😀 שלום</bdi></td>"),
        (pd.Timestamp("2024-03-01"), '<td><bdi><span class="whole">2024-03-01</span></bdi></td>'),
        ([1, 2], "<td><bdi>[1, 2]</bdi></td>"),
    ],
)
def test_cells(value, html):
    assert cell(value) == html


def test_long_texts_are_cut_before_they_are_escaped():
    html = brief("&" * 1000, most=10)
    assert html.endswith(">" + "&amp;" * 9 + "…</bdi>")
    assert html.count("&amp;") == 9 + 199


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("monthly order", "monthly order"),
        ("merchant_category", "merchant_<wbr>category"),
        ("<some>_<markup>", "&lt;some&gt;_&lt;markup&gt;"),
        ("Donaudampfschiff", "Donaudampfschiff"),
        ("x" * 30, "x" * 16 + "<wbr>" + "x" * 14),
    ],
)
def test_long_words_break_where_it_harms_least(text, html):
    assert brief(text) == f"<bdi>{html}</bdi>"


@pytest.mark.parametrize(
    ("column", "written"),
    [
        (["2024-01-06", "2024-01-07"], "2024-01-06"),
        (["2024-01-06", "2024-01-07 04:07"], "2024-01-06 00:00"),
        (["2024-01-06", "2024-01-07 04:07:30"], "2024-01-06 00:00:00"),
        (["2024-01-06 04:07+01:00", None], "2024-01-06 04:07+01:00"),
    ],
)
def test_a_column_s_times_are_written_alike(column, written):
    times = pd.Series(pd.to_datetime(column, format="mixed"))
    assert clock_of(times)(times[0]) == written


def test_what_is_no_time_is_left_alone_and_no_part_of_a_time_is_lost():
    assert clock_of(pd.Series([1.5]))(1.5) == 1.5
    assert clock_of(pd.Series(["2024-01-06"]))(pd.Timestamp("2024-01-06 04:07:30")).endswith(":30")


def test_what_no_file_can_hold_is_replaced():
    assert safe("a\x00b\x1bc\ud800") == "a␀b␛c?"
    assert safe("a\nb\tc") == "a␊b␉c"


def test_text_of_a_gap_is_empty():
    assert text_of(float("nan")) == ""
    assert text_of(0.123456) == "0.12346"
