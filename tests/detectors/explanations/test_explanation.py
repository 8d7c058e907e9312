import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.detectors.explanations.alternatives import CounterExample
from oddshot.detectors.explanations.explanation import Explanation, Explanations
from oddshot.errors import SettingError


def row(label, parts, *, score: float = 3.0) -> Explanation:
    typical = CounterExample(0, {"a": 1.0, "b": "x"}, 0.1, ("a",))
    parts = np.array(parts)
    return Explanation(
        label, score, score - parts.sum(), 2.0, ("a", "b"), (9.0, "y"), parts, typical, None, None
    )


@pytest.fixture
def found() -> Explanations:
    return Explanations((row("r1", [2.0, 0.5]), row("r2", [-0.5, 1.0], score=1.0)))


def test_it_is_a_sequence(found):
    assert len(found) == 2
    assert [one.row for one in found] == ["r1", "r2"]
    assert found[1].row == "r2"


def test_a_row_is_flagged_above_the_threshold(found):
    assert [one.flagged for one in found] == [True, False]


def test_top_names_what_makes_the_row_odd(found):
    assert found[0].top() == [("a", 9.0, 2.0), ("b", "y", 0.5)]
    assert found[1].top() == [("b", "y", 1.0)]
    assert found[0].top(1) == [("a", 9.0, 2.0)]


@pytest.mark.parametrize("number", [-1, 1.5, True, "all"])
def test_only_a_whole_number_of_columns_is_on_top(found, number):
    with pytest.raises(SettingError, match=f"number is {number!r}; it must be a whole number, 0"):
        found[0].top(number)
    with pytest.raises(SettingError, match=f"top is {number!r}"):
        found.to_frame(number)


def test_frame_has_a_line_for_each_row_and_column(found):
    frame = found.to_frame()
    assert frame["row"].tolist() == ["r1", "r1", "r2", "r2"]
    assert frame["column"].tolist() == ["a", "b", "b", "a"]
    assert frame["rank"].tolist() == [1, 2, 1, 2]
    assert frame["contribution"].tolist() == [2.0, 0.5, 1.0, -0.5]
    assert frame["typical"].tolist() == [1.0, "x", "x", 1.0]
    assert len(found.to_frame(top=1)) == 2


def test_importance_is_the_mean_absolute_contribution(found):
    expected = pd.Series([1.25, 0.75], index=["a", "b"], name="importance")
    pd.testing.assert_series_equal(found.importance(), expected)


def test_a_single_column_is_the_whole_reason():
    rows = np.random.default_rng(0).normal(size=(100, 1))
    found = FewShotDetector().fit(rows).explain(np.array([[9.0]]))[0]
    np.testing.assert_allclose(found.contributions, [found.score - found.baseline])


def test_a_notebook_shows_a_table_of_the_first_ten(found):
    html = found._repr_html_()
    assert html.count("<tr") == 5
    assert "see to_frame()" not in html
    many = Explanations((row("<b>", [2.0, 0.5]),) * 12)._repr_html_()
    assert many.count("<tr") == 21
    assert "&lt;b&gt;" in many
    assert many.endswith("<p>and 2 more rows: see to_frame()</p>")
