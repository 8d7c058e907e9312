import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oddshot.errors import SettingError
from oddshot.evaluation.demonstration import LABELS, OWN, Demonstration, rare_malignant
from oddshot.reports import figures
from oddshot.reports.figures import draw_demo, draw_label_curves

pytest.importorskip("matplotlib", reason="the plot extra is not installed")

PNG = b"\x89PNG"


def demonstration():
    table = rare_malignant(0)
    runs = [("isolation forest", 0, 0.92), ("nearest neighbours", 0, 0.93)]
    runs += [(OWN, k, 0.94 + k / 500) for k in LABELS]
    frame = pd.DataFrame(runs, columns=["detector", "k", "auroc"])
    frame = frame.assign(split=0, ap=frame["auroc"] - 0.3, found=0.5)
    malignant = table.labels[:120] == 1
    scored = table.rows.iloc[:120].assign(
        malignant=malignant,
        **{f"anomaly_score_{k}_labels": range(120) + malignant * 5.0 * k for k in LABELS},
    )
    return Demonstration(table, frame, scored)


def curves():
    return pd.DataFrame(
        [
            ("few-label", k, "", table, 1, "", name, start + k / 100, start / 2 + k / 50, 0.1, "")
            for name, start in (("oddshot", 0.7), ("knn", 0.6), ("lof", 0.5))
            for k in (0, 5, 20)
            for table in ("a", "b")
        ],
        columns=[
            "protocol", "k", "collection", "table", "seed", "shown", "detector",
            "auroc", "ap", "ap_norm", "error",
        ],
    )  # fmt: skip


def drawn(results, monkeypatch):
    """Draw label curves on a figure that can be looked at."""
    figure = pytest.importorskip("matplotlib.figure").Figure()
    monkeypatch.setattr(figures, "draw_figure", lambda fill, path, size: fill(figure))
    draw_label_curves(results, Path("curves.png"))
    return figure


def test_demo_figure_is_a_png(tmp_path):
    draw_demo(demonstration(), tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(PNG)


def test_label_curves_are_a_png(tmp_path):
    draw_label_curves(curves(), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


def test_label_curves_are_over_the_same_splits_everywhere(monkeypatch):
    easy = curves().query("table == 'a'").assign(table="c", auroc=0.99)
    lacking = easy[(easy["k"] < 20) & (easy["detector"] != "lof")]  # not all of it was finished
    figure = drawn(pd.concat([curves(), lacking]), monkeypatch)
    assert figure.get_suptitle() == (
        "2 tables, 2 splits that every detector finished at every number of labels"
    )
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["oddshot"], [0.7, 0.75, 0.9])
    np.testing.assert_allclose(lines["lof"], [0.5, 0.55, 0.7])


def test_a_detector_without_runs_at_a_number_of_labels_has_no_point_there(monkeypatch):
    results = curves()
    figure = drawn(results[(results["detector"] != "lof") | (results["k"] != 5)], monkeypatch)
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["lof"], [0.5, np.nan, 0.7])
    np.testing.assert_allclose(lines["knn"], [0.6, 0.65, 0.8])


def test_where_no_split_is_shared_the_figure_says_so(monkeypatch):
    results = curves()
    figure = drawn(results[(results["table"] == "a") == (results["k"] == 5)], monkeypatch)
    assert figure.get_suptitle().startswith("0 tables, 0 splits that every detector finished")


def test_no_finished_run_no_curve(tmp_path):
    with pytest.raises(SettingError, match="no few-label run was finished"):
        draw_label_curves(curves().assign(error="Boom"), tmp_path / "curves.png")


def test_without_matplotlib_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingError, match=r"oddshot\[plot\]"):
        draw_label_curves(curves(), tmp_path / "curves.png")
