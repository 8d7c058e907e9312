import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from oddshot.errors import DataError
from oddshot.thresholds.surprise import Surprise

# sums of eighths are exact, so that a mean of equal scores is that score
eighths = st.integers(-800, 800).map(lambda n: n / 8)
references = nps.arrays(np.float64, st.integers(1, 60), elements=eighths)


def counted(reference: np.ndarray, score: float) -> float:
    """Decades of one of the reference scores, by counting; ties count half."""
    above, equal = (reference > score).sum(), (reference == score).sum()
    return -np.log10((above + equal / 2 + 0.5) / (len(reference) + 1))


@given(references)
def test_reference_scores_are_counted(reference):
    found = Surprise().fit(reference).apply(reference)
    np.testing.assert_allclose(found, [counted(reference, s) for s in reference], rtol=1e-9)


@given(references, nps.arrays(np.float64, 20, elements=eighths))
def test_rankings_are_kept_and_nothing_is_negative(reference, scores):
    found = Surprise().fit(reference).apply(scores)
    assert (found >= 0).all()
    order = np.argsort(scores, kind="stable")
    rises, steps = np.diff(found[order]), np.diff(scores[order])
    assert (rises[steps == 0] == 0).all()
    assert (rises[steps > 0] >= 0).all()
    vast = found[order][1:] == 0  # so far below all of the reference that 0 is reached
    assert (rises[(steps > 0) & ~vast] > 0).all()


@pytest.mark.parametrize("count", [1, 3, 50, 999])  # of 2 rows none is the median
def test_the_median_row_has_a_surprise_of_0_3(count):
    reference = np.random.default_rng(0).normal(size=count)
    median = Surprise().fit(reference).apply(np.median(reference, keepdims=True))
    assert median == pytest.approx(0.301, abs=0.01)


def test_decades_hold_on_new_scores_and_go_on_along_an_exponential_tail():
    rng = np.random.default_rng(1)
    scale = Surprise().fit(rng.exponential(size=2000))
    new = rng.exponential(size=100_000)
    found = scale.apply(new)
    for decades in (0.3, 1, 2):
        assert np.mean(found >= decades) == pytest.approx(10**-decades, rel=0.3)
    beyond = np.array([12.0, 16.0, 20.0])  # an exponential has exp(-s): s / log(10) decades
    np.testing.assert_allclose(scale.apply(beyond), beyond / np.log(10), rtol=0.15)


def test_it_is_continuous_at_both_ends():
    reference = np.random.default_rng(2).normal(size=100)
    scale = Surprise().fit(reference)
    for end in (reference.min(), reference.max()):
        around = scale.apply(end + np.array([-1e-6, 0, 1e-6]))
        assert np.ptp(around) < 1e-4


@given(references, st.sampled_from([0.25, 8.0]), st.integers(-50, 50))
def test_the_unit_of_scores_does_not_matter(reference, unit, shift):
    scores = np.linspace(-120, 120, 9)
    expected = Surprise().fit(reference).apply(scores)
    if np.ptp(reference) == 0:
        return  # a single value has no unit of its own
    found = Surprise().fit(reference * unit + shift).apply(scores * unit + shift)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_rounding_errors_tie():
    reference = np.arange(100.0)
    scale = Surprise().fit(np.r_[reference, reference + 1e-13])
    assert scale.apply(np.array([50.0])) == scale.apply(np.array([50.0 + 1e-13]))


def test_ties_count_half():
    scale = Surprise().fit(np.repeat([0.0, 1.0], [90, 10]))
    low, high = scale.apply(np.array([0.0, 1.0]))
    assert low == pytest.approx(-np.log10(55.5 / 101))
    assert high == pytest.approx(-np.log10(5.5 / 101))


def test_one_score_or_equal_scores_still_rank():
    for reference in (np.array([3.0]), np.full(50, 3.0)):
        found = Surprise().fit(reference).apply(np.array([2.0, 3.0, 4.0]))
        assert found[1] == pytest.approx(-np.log10(0.5), abs=0.01)
        assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("count", [60, 130])
def test_a_tied_tail_keeps_its_direction_and_size(count):
    reference = np.r_[np.linspace(-1, 0, count * 4 // 5), np.full(count // 5, 0.1)]
    found = Surprise().fit(reference).apply(np.array([0.1, 0.2, 0.5]))
    assert (np.diff(found) > 0).all()
    assert found[-1] < 100


@pytest.mark.parametrize("scores", [[], [np.nan], [1.0, np.inf]])
def test_no_score_or_an_infinite_one_is_refused(scores):
    with pytest.raises(DataError, match="at least one reference score"):
        Surprise().fit(np.array(scores))


@given(references)
def test_decades_lead_back_to_the_score(reference):
    scale = Surprise().fit(reference)
    np.testing.assert_array_equal(scale.reference, np.sort(reference))
    for decades in (0.001, 0.31, 1.0, 2.5, 6.0):
        assert scale.apply(scale.scores_at(np.array([decades])))[0] == pytest.approx(decades)


@given(references, st.floats(3, 9))
def test_the_tail_comes_no_further_than_it_may(reference, most):
    free, held = Surprise().fit(reference), Surprise(most=most).fit(reference)
    scores = np.linspace(-300, 900, 50)
    found, expected = held.apply(scores), free.apply(scores)
    inside = scores <= reference.max()
    np.testing.assert_array_equal(found[inside], expected[inside])
    assert (found <= np.minimum(expected, most)).all()
    for decades in (0.31, 1.0, 2.5):
        assert held.apply(held.scores_at(np.array([decades])))[0] == pytest.approx(decades)
