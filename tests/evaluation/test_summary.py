import numpy as np
import pandas as pd
import pytest

from oddshot.evaluation.machine import machine
from oddshot.evaluation.summary import shared_cells, summarise, tables_among


def made_up(scores):
    """Return results of one k from {detector: {(table, seed): auroc}}."""
    return pd.DataFrame(
        [
            {
                "protocol": "few-label",
                "table": name,
                "family": name,
                "collection": "",
                "k": 5,
                "seed": seed,
                "detector": detector,
                "seen": False,
                "auroc": value,
                "ap": value / 2,
                "ap_norm": value / 4,
                "fit_seconds": 1.0,
                "score_seconds": 0.5,
                "error": "failed" if np.isnan(value) else "",
                "shown": "",
                "machine": machine(),
            }
            for detector, cells in scores.items()
            for (name, seed), value in cells.items()
        ]
    )


def test_summary_averages_seeds_first_and_compares_shared_cells_only():
    results = made_up(
        {
            "oddshot": {("a", 1): 0.9, ("a", 2): 0.7, ("b", 1): 0.6, ("c", 1): 0.99},
            "knn": {("a", 1): 0.7, ("a", 2): 0.7, ("b", 1): 0.7, ("c", 1): float("nan")},
        }
    )
    (comparison,) = summarise(results).comparisons
    assert (comparison.tables, comparison.cells, comparison.left_out) == (2, 3, 1)
    scores = comparison.scores
    assert scores.loc["oddshot", "auroc"] == pytest.approx((0.8 + 0.6) / 2)
    assert scores.loc["oddshot", "auroc_median"] == pytest.approx(0.7)
    assert scores.loc["knn", "auroc_win"] == pytest.approx(0.5)
    assert scores["auroc_rank"].to_dict() == {"oddshot": 1.5, "knn": 1.5}
    interval = comparison.differences["knn", "auroc"]
    assert interval.mean == pytest.approx(0.0)
    assert interval.low == pytest.approx(-0.1)
    assert interval.high == pytest.approx(0.1)


def test_shared_cells_are_those_of_every_setting():
    more, fewer = {("a", 1): 0.9, ("a", 2): 0.5, ("b", 1): 0.6}, {("a", 1): 0.8, ("c", 1): 0.7}
    found = [summarise(made_up({"knn": cells})).comparisons[0] for cells in (more, fewer)]
    cells = shared_cells([comparison.by_cell for comparison in found])
    assert [cell[1:3] for cell in cells] == [("a", 1)]
    assert tables_among(found[0].by_cell.index) == found[0].tables == 2
    assert found[0].of("knn").to_dict() == pytest.approx({("", "a"): 0.7, ("", "b"): 0.6})
    assert found[0].of("knn", cells=cells).to_dict() == {("", "a"): 0.9}
    assert not len(shared_cells([]))


def test_seconds_are_medians_over_the_shared_cells():
    cells = [(name, seed) for name in "abc" for seed in (1, 2, 3)]
    results = made_up({name: dict.fromkeys([*cells, ("d", 1)], 0.7) for name in ("oddshot", "knn")})
    mine = results["detector"] == "oddshot"
    results.loc[mine & (results["table"] == "b"), "fit_seconds"] = [2.0, 3.0, 900.0]  # stalled once
    results.loc[mine & (results["table"] == "c"), "fit_seconds"] = 4.0
    results.loc[mine & (results["table"] == "d"), ["fit_seconds", "score_seconds"]] = 500.0
    results.loc[~mine & (results["table"] == "d"), ["auroc", "error"]] = [float("nan"), "failed"]
    scores = summarise(results).comparisons[0].scores
    assert scores["fit_seconds"].to_dict() == {"oddshot": 3.0, "knn": 1.0}
    assert scores["score_seconds"].to_dict() == {"oddshot": 0.5, "knn": 0.5}


def test_without_a_shared_cell_there_are_no_figures():
    nothing = float("nan")
    results = made_up(
        {"oddshot": {("a", 1): 0.9, ("b", 1): nothing}, "knn": {("a", 1): nothing, ("b", 1): 0.8}}
    )
    (comparison,) = summarise(results).comparisons
    assert (comparison.cells, comparison.left_out) == (0, 2)
    assert comparison.scores.index.tolist() == ["knn", "oddshot"]
    assert comparison.scores.columns.empty


def test_summary_without_the_reference_still_ranks():
    (comparison,) = summarise(made_up({"knn": {("a", 1): 0.7}, "lof": {("a", 1): 0.6}})).comparisons
    assert comparison.differences == {}
    assert comparison.scores.index.tolist() == ["knn", "lof"]


def test_summary_names_the_machine():
    assert "Python 3." in summarise(made_up({"knn": {("a", 1): 0.7}})).machine
