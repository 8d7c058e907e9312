import numpy as np
import pandas as pd
import pytest

from oddshot.reports.page_cells import brief, cell, safe, text_of


@pytest.mark.parametrize(
    ("value", "html"),
    [
        (3, '<td class="n" data-k="3.0">3</td>'),
        (np.int64(2024), '<td class="n" data-k="2024.0">2024</td>'),
        (1234567.8, '<td class="n" data-k="1234567.8">1,234,568</td>'),
        (np.float32(0.5), '<td class="n" data-k="0.5">0.5</td>'),
        (float("inf"), '<td class="n" data-k="Infinity">inf</td>'),
        (-np.inf, '<td class="n" data-k="-Infinity">-inf</td>'),
        (pd.NA, '<td class="gap" data-k="">missing</td>'),
        (pd.NaT, '<td class="gap" data-k="">missing</td>'),
        (None, '<td class="gap" data-k="">missing</td>'),
        (True, "<td><bdi>True</bdi></td>"),
        (np.True_, "<td><bdi>True</bdi></td>"),
        ("😀 שלום", "<td><bdi>😀 שלום</bdi></td>"),
        (pd.Timestamp("2024-03-01"), "<td><bdi>2024-03-01</bdi></td>"),
        ([1, 2], "<td><bdi>[1, 2]</bdi></td>"),
    ],
)
def test_cells(value, html):
    assert cell(value) == html


def test_long_texts_are_cut_before_they_are_escaped():
    html = brief("&" * 1000, most=10)
    assert html.endswith(">" + "&amp;" * 9 + "…</bdi>")
    assert html.count("&amp;") == 9 + 199


def test_what_no_file_can_hold_is_replaced():
    assert safe("a\x00b\x1bc\ud800") == "a␀b␛c?"
    assert safe("a\nb\tc") == "a␊b␉c"


def test_text_of_a_gap_is_empty():
    assert text_of(float("nan")) == ""
    assert text_of(0.123456) == "0.12346"
