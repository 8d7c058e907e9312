import json

import numpy as np
import pytest

from oddshot.detectors.verdicts.calibration import Calibration, ThresholdRule


@pytest.fixture
def cross() -> Calibration:
    scores = (np.array([0.1, 2.0]), np.array([0.5]))
    return Calibration("cross", scores, clean=True, parts=(np.array([2, 0]), np.array([1])))


def test_what_it_can_promise(cross):
    assert cross.rows == 3
    assert cross.least_p_value == 0.25
    assert cross.promises(0.25)
    assert not cross.promises(0.2)
    assert str(cross) == "3 rows given to fit, held out part by part"
    assert repr(cross) == f"<Calibration: {cross}>"


@pytest.mark.parametrize("numbers", [None, np.ones((2, 4), np.float32)])
def test_it_comes_back_from_json_and_arrays(cross, numbers):
    for kept in (cross, Calibration("given", (np.array([1.0, 2.0]),), False, numbers=numbers)):
        meta, arrays = kept.state()
        again = Calibration.from_state(json.loads(json.dumps(meta)), arrays)
        assert (again.method, again.clean) == (kept.method, kept.clean)
        for name in ("scores", "parts"):
            for found, expected in zip(getattr(again, name), getattr(kept, name), strict=True):
                np.testing.assert_array_equal(found, expected)
        assert (again.numbers is None) == (kept.numbers is None)


@pytest.mark.parametrize(
    ("rule", "settings", "told"),
    [
        ("contamination", {"share": 0.02}, "about 2% of the rows given to fit are above it"),
        ("alpha", {"alpha": 0.001}, "at most 0.1% of normal rows are expected above it"),
        ("fdr", {"fdr": 0.1}, "at most 10% of the rows above it are expected to be normal"),
        ("budget", {"alerts": 20, "rows": 1000}, "at most 20 of 1,000 rows are expected above it"),
        ("f_beta", {"beta": 2.0}, "the best F2"),
        (
            "cost",
            {"false_alarm": 1.0, "miss": 50.0},
            "the least cost, a false alarm at 1 and a miss at 50",
        ),
        (
            "cost",
            {"false_alarm": 0.1, "miss": 2e6},
            "the least cost, a false alarm at 0.1 and a miss at 2000000",
        ),
        (
            "budget",
            {"alerts": 1_500_001, "rows": 20_000_000},
            "at most 1,500,001 of 20,000,000 rows are expected above it",
        ),
    ],
)
def test_rules_say_what_they_are(rule, settings, told):
    made = ThresholdRule(rule, settings, "9 rows")
    assert str(made) == f"{told} (from 9 rows)"
    assert ThresholdRule(**json.loads(json.dumps(made.state()))) == made
    unsure = ThresholdRule(rule, settings, "9 rows", promised=False)
    assert str(unsure).endswith("too few rows to promise it)")


def test_a_share_that_was_not_asked_for_is_said_to_be_so():
    made = ThresholdRule("contamination", {"share": 0.02}, "9 rows", automatic="scores")
    told = "about 2% of the rows given to fit are above it, chosen automatically (from 9 rows)"
    assert str(made) == told
    assert ThresholdRule(**json.loads(json.dumps(made.state()))) == made
