import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot import FewShotDetector
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.encoding.number import Number
from small_priors import untrained_prior

RNG = np.random.default_rng(0)
NEARLY_CONSTANT = np.where(RNG.random(400) < 0.99, -0.0614, RNG.normal(size=400))
TENTHS = RNG.choice([0.1, 0.2, 0.3, 1.7], 400)
TABLE = pd.DataFrame({"nearly": NEARLY_CONSTANT, "tenths": TENTHS, "size": RNG.normal(size=400)})


def number(*usual: float) -> Number:
    limits = (0.0, -9.0, 9.0, -9.0, 9.0)
    return Number("x", "number", *limits, missing=False, varies=True, usual=usual)


@given(
    st.lists(st.sampled_from([0.1, -2.5, 1e-9, 3e8 + 0.5]), min_size=1, unique=True),
    st.floats(-1, 1),
)
def test_what_differs_by_rounding_alone_is_the_usual_value(usual, share):
    usual = sorted(usual)
    near = np.array(usual) * (1 + 0.9e-6 * share)
    far = np.array(usual) * (1 + 3e-6)
    read = number(*usual)
    assert read.unrounded(near).tolist() == usual
    assert read.unrounded(far).tolist() == far.tolist()


def test_gaps_and_infinities_stay():
    given = np.array([np.nan, np.inf, -np.inf, 0.0])
    np.testing.assert_array_equal(number(0.5).unrounded(given), given)
    np.testing.assert_array_equal(number().unrounded(given), given)


def test_fractions_that_many_rows_hold_are_usual():
    nearly, tenths, size = Encoder().fit(TABLE).recipes
    assert (nearly.usual, tenths.usual, size.usual) == ((-0.0614,), (0.1, 0.2, 0.3, 1.7), ())


@pytest.mark.parametrize(
    "values",
    [
        np.repeat([1.0, 2.0, 5.0], 20),
        np.repeat([0.1, 0.1 * (1 + 1e-9), 7.0], 20),
        np.r_[0.5, 0.5, np.arange(98) + 0.25],
    ],
    ids=["whole numbers", "others next to it", "two rows"],
)
def test_other_values_are_not(values):
    (recipe,) = Encoder().fit(values[:, None]).recipes
    assert recipe.usual == ()


@pytest.mark.parametrize("matrix", [True, False])
def test_rows_in_single_precision_are_encoded_as_those_of_fit(matrix):
    rows = TABLE.to_numpy() if matrix else TABLE
    encoder = Encoder().fit(rows)
    settings, arrays = encoder.state()
    again = Encoder.from_state(json.loads(json.dumps(settings)), arrays)
    for loaded in (encoder, again):
        usual = loaded.transform(rows)[:, :2]
        single = loaded.transform(rows.astype(np.float32))[:, :2]
        of_many = np.column_stack([NEARLY_CONSTANT == -0.0614, TENTHS > 0])
        np.testing.assert_array_equal(single[of_many], usual[of_many])


def test_single_precision_makes_no_row_of_a_nearly_constant_column_odd():
    detector = FewShotDetector(prior=untrained_prior()).fit(TABLE[:200])
    rows = TABLE[200:]
    single = rows.astype(np.float32)
    np.testing.assert_allclose(
        detector.anomaly_score(single), detector.anomaly_score(rows), atol=1e-3
    )
    assert not detector.check_drift(single).drifted


@pytest.mark.parametrize(
    ("name", "degrees", "told"),
    [
        ("heading", np.linspace(0, 359, 90), True),
        ("Windrichtung", np.linspace(-180, 180, 90), True),
        ("heading", np.linspace(40, 359, 90), False),
        ("bearing", np.linspace(0, 400, 90), False),
        ("weight", np.linspace(0, 359, 90), False),
    ],
)
def test_directions_that_fill_a_turn_are_told(name, degrees, told):
    encoder = Encoder().fit(pd.DataFrame({name: degrees}))
    for (note,) in (encoder.report(), Encoder.from_state(*encoder.state()).report()):
        assert (note.cause == "angle") is told
        assert ("give its sine and cosine instead" in note.reason) is told
