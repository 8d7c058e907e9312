import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.errors import SettingError
from oddshot.thresholds.conformal import conformal_p_values
from oddshot.thresholds.discoveries import discoveries, least_discoveries, weighted_discoveries

ones = np.ones


def step_up(p_values, level):
    """Benjamini-Hochberg as it is defined: the largest r with r p-values of at most level r / n."""
    n = len(p_values)
    for r in range(n, 0, -1):
        if (p_values <= level * r / n * (1 + 1e-12)).sum() >= r:
            return p_values <= level * r / n * (1 + 1e-12)
    return np.zeros(n, dtype=bool)


def selected_one_by_one(scores, calibration, mine, others, level):
    """Weighted conformalised selection with deterministic pruning, row after row."""
    n, total = len(scores), others.sum()

    def p_value(row, weight, company):
        above = others[calibration >= scores[row]].sum()
        return (above + weight * (company >= scores[row])) / (total + weight)

    made, first = np.zeros(n, dtype=int), np.zeros(n, dtype=bool)
    for j in range(n):
        p = [0.0 if i == j else p_value(i, mine[j], scores[j]) for i in range(n)]
        made[j] = step_up(np.array(p), level).sum()
        first[j] = p_value(j, mine[j], scores[j]) <= level * made[j] / n
    best = [r for r in range(1, n + 1) if (first & (made <= r)).sum() >= r]
    return first & (made <= max(best)) if best else np.zeros(n, dtype=bool)


@given(
    st.lists(st.integers(1, 40).map(lambda i: i / 40), max_size=25),
    st.sampled_from([0.05, 0.1, 0.4]),
)
def test_discoveries_are_those_of_the_definition(p_values, level):
    p_values = np.array(p_values)
    np.testing.assert_array_equal(discoveries(p_values, level), step_up(p_values, level))


@given(st.integers(0, 2**31 - 1), st.sampled_from([0.1, 0.3]), st.booleans())
def test_weighted_selection_is_that_of_the_definition(seed, level, ties):
    rng = np.random.default_rng(seed)
    scores, calibration = rng.normal(1.5, size=12), rng.normal(size=30)
    if ties:
        scores, calibration = scores.round(), calibration.round()
    mine, others = rng.uniform(0.2, 3, 12), rng.uniform(0.2, 3, 30)
    found = weighted_discoveries(scores, calibration, mine, others, level)
    expected = selected_one_by_one(scores, calibration, mine, others, level)
    np.testing.assert_array_equal(found, expected)


def test_nothing_is_selected_of_nothing():
    assert discoveries(np.zeros(0), 0.1).shape == (0,)
    found = weighted_discoveries(np.zeros(0), np.zeros(3), ones(0), ones(3), 0.1)
    assert found.shape == (0,)


def rates(select, *, shift=0.0, draws=400, anomalies=5, level=0.2):
    """Mean false share of the selected, with its error, and share of anomalies selected."""
    rng = np.random.default_rng(0)
    false, power = [], []
    for _ in range(draws):
        places, new = rng.normal(size=150), rng.normal(shift, size=25)
        new[:anomalies] += 4
        selected = select(new, places, level)
        false.append(selected[anomalies:].sum() / max(selected.sum(), 1))
        power.append(selected[:anomalies].mean())
    return np.mean(false), 3 * np.std(false) / draws**0.5, np.mean(power)


def test_the_rate_holds():
    rate, error, power = rates(lambda new, old, q: discoveries(conformal_p_values(new, old), q))
    assert rate <= 0.2 * 20 / 25 + error
    assert power > 0.8


def test_the_rate_holds_under_a_shift_with_the_right_weights():
    def ratio(x):
        return np.exp(x - 0.5)  # of N(1, 1) against N(0, 1)

    def weighted(new, old, level):
        return weighted_discoveries(new, old, ratio(new), ratio(old), level)

    plain, _, _ = rates(lambda n, o, q: discoveries(conformal_p_values(n, o), q), shift=1.0)
    rate, error, _ = rates(weighted, shift=1.0, level=0.2)
    assert plain > 0.3
    assert rate <= 0.2 + error


@pytest.mark.parametrize(("rows", "batch"), [(99, 100), (50, 7), (1000, 10)])
@pytest.mark.parametrize("level", [0.05, 0.1])
def test_fewer_outstanding_rows_than_needed_are_never_selected(rows, batch, level):
    needed = least_discoveries(rows, batch, level)
    for standing_out in range(1, batch + 1):
        p_values = np.where(np.arange(batch) < standing_out, 1 / (rows + 1), 1.0)
        assert discoveries(p_values, level).any() == (standing_out >= needed)


def test_a_rate_that_is_none_is_refused():
    with pytest.raises(SettingError, match="the false discovery rate is 2; it must be a number"):
        discoveries(np.zeros(3), 2)
