import re

import numpy as np
import pandas as pd
import pytest

from oddshot.reports.detection import scored
from oddshot.reports.evidence import RowMap
from oddshot.reports.page_charts import BINS, HEIGHT, histogram, plane


def found(scores, threshold=1.0, **changes):
    rows = pd.DataFrame({"file": [f"<{n}>.png" for n in range(len(scores))]})
    return scored(rows, np.asarray(scores, float), threshold, source="a", columns=(), **changes)


def counted(svg):
    return sum(int(n.replace(",", "")) for n in re.findall(r"<title>([\d,]+) images: ", svg))


@pytest.mark.parametrize(
    "scores", [[0.0], [0.0] * 5000, np.linspace(0, 2, 50), [0.1] * 900 + [1e6], [3.0]]
)
def test_every_score_is_in_a_bar(scores):
    svg = histogram(found(scores))
    assert counted(svg) == len(scores)
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"><title>', svg)]
    assert 0 < min(heights) <= max(heights) <= HEIGHT
    assert svg.count("<rect") <= BINS


def test_a_single_row_is_seen_beside_many_and_far_scores_are_gathered():
    svg = histogram(found([0.1] * 9000 + [1e6]))
    assert "ten times as many" in svg
    assert "Higher ones are counted in the last bar." in svg
    assert "and more</title>" in svg
    assert min(float(h) for h in re.findall(r'height="([\d.]+)"><title>', svg)) > 5


def test_counts_beside_the_axis_have_room():
    def left(most):
        svg = histogram(found(np.r_[np.zeros(most), 3.0]))
        return float(re.search(r'class="axis" x1="([\d.]+)"', svg)[1])

    assert left(900) == 46
    assert left(20_000) >= 8 * len("10,000") + 6


def test_bars_above_the_threshold_are_coloured():
    svg = histogram(found([0.2, 0.4, 2.0], threshold=1.0))
    assert svg.count('class="odd"') == 1
    assert svg.count('class="usual"') == 2


@pytest.mark.parametrize("threshold", [0.001, 0.3, 1.0, 1.503, 2.9, 40.0])
def test_a_bin_ends_at_the_threshold(threshold):
    scores = np.r_[np.linspace(0, 3, 500), threshold, np.nextafter(threshold, 9)]
    svg = histogram(found(scores, threshold))
    odd = re.findall(r'class="odd" .*?<title>([\d,]+) images', svg)
    assert sum(int(n) for n in odd) == (scores > threshold).sum()
    assert counted(svg) == len(scores)


def test_the_map_names_odd_ones_and_marks_known_ones():
    detection = found([0.0, 2.0, 0.5], labels=np.array([0, 1, -1], dtype=np.int8))
    svg = plane(detection, RowMap(np.array([1, 2]), np.array([[0.0, 0.0], [1.0, 1.0]]), 0.25))
    assert svg.count('class="point"') == 2  # and in the legend
    assert "image &lt;1&gt;.png, score 2" in svg
    assert svg.count("h0/>") + svg.count('h0"/>') == 2  # and in the legend
    assert svg.count('<circle class="told"') == 2
    assert "known anomaly</li>" in svg
    assert "known normal" not in svg
    assert "2 of 3 are drawn" in svg
    assert "25% of all differences, so an odd image may well lie in the crowd" in svg


def test_a_map_of_all_differences_hides_none():
    svg = plane(found([0.0, 2.0]), RowMap(np.arange(2), np.eye(2), 1.0))
    assert "The two directions show 100% of all differences.</figcaption>" in svg
    assert 'aria-label="Map of the images: 1 odd one among 2"' in svg


def test_known_normal_ones_have_a_mark_of_their_own():
    detection = found([0.0, 2.0, 0.5], labels=np.array([0, 1, -1], dtype=np.int8))
    svg = plane(detection, RowMap(np.arange(3), np.eye(3)[:, :2], 0.25))
    assert svg.count('<circle class="told"') == svg.count('<path class="told"') == 2
    assert "known normal image</li>" in svg
    assert "known" not in plane(found([0.0, 2.0]), RowMap(np.arange(2), np.eye(2), 0.25))


def test_points_on_one_spot_are_drawn():
    where = RowMap(np.arange(3), np.zeros((3, 2)), 0.0)
    assert "nan" not in plane(found([0.0, 2.0, 0.5]), where)
