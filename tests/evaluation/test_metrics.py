import numpy as np
import pandas as pd
import pytest

from oddshot.errors import DataError
from oddshot.evaluation.metrics import (
    ap_norm,
    auroc,
    average_precision,
    figures,
    mean_ranks,
    paired_bootstrap,
    precision_at_n,
    win_rates,
)

TRUTH = np.array([0, 0, 0, 1, 1], dtype=np.int8)


def test_auroc_counts_pairs_and_ties_half():
    scores = np.array([0.1, 0.5, 0.9, 0.5, 1.0])
    pairs = [
        1.0 if a > n else 0.5 if a == n else 0.0
        for a in scores[TRUTH == 1]
        for n in scores[TRUTH == 0]
    ]
    assert auroc(TRUTH, scores) == pytest.approx(np.mean(pairs))


def test_average_precision_by_hand():
    scores = np.array([0.1, 0.2, 0.8, 0.5, 1.0])
    assert average_precision(TRUTH, scores) == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_all_figures_at_once():
    scores = np.array([0.1, 0.2, 0.8, 0.5, 1.0])
    precision = average_precision(TRUTH, scores)
    assert figures(TRUTH, scores) == (auroc(TRUTH, scores), precision, ap_norm(precision, 0.4))


def test_ap_norm_is_zero_by_chance_and_one_at_best():
    assert ap_norm(0.1, 0.1) == 0
    assert ap_norm(1.0, 0.1) == 1


def test_precision_at_n_does_not_depend_on_the_order_of_tied_rows():
    scores = np.array([0.5, 0.5, 0.1, 0.5, 1.0])
    order = np.array([3, 0, 1, 2, 4])
    first = precision_at_n(TRUTH, scores)
    assert first == precision_at_n(TRUTH[order], scores[order])
    assert first == pytest.approx((1 + 1 / 3) / 2)
    with pytest.raises(DataError, match="n = 9 of 5 rows"):
        precision_at_n(TRUTH, scores, 9)


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        (TRUTH, np.array([1.0, 2.0]), "labels but"),
        (TRUTH, np.array([1.0, 2.0, 3.0, np.nan, np.inf]), "2 scores are not finite"),
        (np.zeros(5, np.int8), np.arange(5.0), "0 of 5 rows are anomalies"),
    ],
)
def test_what_cannot_be_judged_is_refused(truth, scores, message):
    with pytest.raises(DataError, match=message):
        auroc(truth, scores)


def test_paired_bootstrap_covers_the_mean_difference_about_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        difference = np.random.default_rng(seed).normal(0.3, 1.0, size=60)
        interval = paired_bootstrap(difference, np.zeros(60), draws=500, seed=seed)
        covered += interval.low <= 0.3 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_paired_bootstrap_is_repeatable_and_honest_about_a_single_pair():
    first, second = np.array([0.9, 0.7, 0.8]), np.array([0.8, 0.75, 0.6])
    assert paired_bootstrap(first, second) == paired_bootstrap(first, second)
    single = paired_bootstrap([0.9], [0.8])
    assert np.isnan(single.low)
    assert np.isnan(single.high)
    assert str(single) == "+0.100"
    with pytest.raises(DataError):
        paired_bootstrap([], [])


def test_ranks_and_wins_share_ties():
    results = pd.DataFrame({"a": [0.9, 0.5, 0.5], "b": [0.8, 0.5, 0.9], "c": [0.1, 0.1, 0.1]})
    assert mean_ranks(results).to_dict() == pytest.approx({"a": 4.5 / 3, "b": 4.5 / 3, "c": 3.0})
    assert win_rates(results, of="a").to_dict() == pytest.approx({"b": 0.5, "c": 1.0})
