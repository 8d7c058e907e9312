import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare, wilcoxon

from oddshot.errors import DataError
from oddshot.evaluation.ranks import compare_ranks


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.5, 0.9, size=40)
    noise = rng.normal(scale=0.01, size=(40, 2))
    return pd.DataFrame(
        {"worst": base - 0.2, "best": base, "twin": base + noise[:, 0], "near": base - 0.1}
    )


def test_ranks_and_tests_are_those_of_scipy(scores):
    found = compare_ranks(scores)
    assert list(found.ranks.index[2:]) == ["near", "worst"]
    assert found.ranks.sum() == pytest.approx(10)
    assert found.friedman == pytest.approx(friedmanchisquare(*scores.T.to_numpy()).pvalue)
    least = min(wilcoxon(scores[one] - scores[two]).pvalue for one, two in found.adjusted)
    assert min(found.adjusted.values()) == pytest.approx(6 * least)
    most = wilcoxon(scores["best"] - scores["twin"]).pvalue
    assert found.adjusted[found.ranks.index[0], found.ranks.index[1]] == pytest.approx(most)


def test_critical_difference_is_that_of_the_table_in_demsar():
    scores = pd.DataFrame(np.random.default_rng(1).uniform(size=(14, 4)), columns=list("abcd"))
    assert compare_ranks(scores).critical_difference == pytest.approx(
        2.569 * (20 / 84) ** 0.5, 1e-3
    )


def test_only_the_twins_are_joined(scores):
    (clique,) = compare_ranks(scores).cliques
    assert set(clique) == {"best", "twin"}


def test_equal_detectors_are_one_clique():
    same = pd.DataFrame({name: [0.5, 0.6, 0.7] for name in "abc"})
    found = compare_ranks(same)
    assert found.friedman == 1.0
    assert found.cliques == (("a", "b", "c"),)


def test_two_detectors_and_two_tables_are_enough_and_less_is_not():
    assert np.isnan(compare_ranks(pd.DataFrame({"a": [1.0, 0.8], "b": [0.5, 0.6]})).friedman)
    with pytest.raises(DataError, match="ranks needs two detectors"):
        compare_ranks(pd.DataFrame({"a": [1.0, 0.8]}))
    with pytest.raises(DataError, match=r"3 detectors on 1 table; .* and two tables"):
        compare_ranks(pd.DataFrame({"a": [1.0], "b": [0.5], "c": [0.7]}))
    with pytest.raises(DataError, match="on 0 tables"):
        compare_ranks(pd.DataFrame({"a": [np.nan], "b": [0.5]}))
