import numpy as np
import pandas as pd
import pytest

from oddshot.detectors.explanations.alternatives import Change, CounterExample
from oddshot.detectors.explanations.explanation import Explanation, Explanations
from oddshot.detectors.explanations.words import reasons, shown, told


def explained(**other) -> Explanation:
    usual = CounterExample(3, {"amount": 103.0, "shop": "here"}, 0.2, ("amount", "shop"))
    given = {
        "row": "r17",
        "score": 3.0,
        "baseline": 0.4,
        "threshold": 2.0,
        "columns": ("amount", "shop"),
        "values": (900.0, "there"),
        "contributions": np.array([2.0, 0.6]),
        "typical": usual,
        "anomaly": None,
        "change": None,
    }
    return Explanation(**{**given, **other})


def test_all_is_said_in_order():
    anomaly = CounterExample(None, {"amount": 870.0, "shop": "there"}, 2.9, ("amount",))
    change = Change({"amount": 140.0, "shop": "here"}, 1.9)
    assert told(explained(anomaly=anomaly, change=change)) == [
        "Row r17: anomaly score 3, above the threshold of 2. "
        "About one row in 1,000 scores as high.",
        "amount is 900 (+2); in the nearest typical row it is 103.",
        "shop is there (+0.6); in the nearest typical row it is here.",
        "The nearest typical row (at position 3 of those learned from) differs only in "
        "amount (103), shop (here).",
        "The nearest known anomaly differs only in amount (870).",
        "Smallest change found that makes it normal: amount = 140 and shop = here "
        "(score then 1.9).",
    ]


def test_nothing_is_said_of_changes_that_were_not_sought_or_are_not_needed():
    sentence = "No change of one or two columns was found that makes it normal."
    assert told(explained())[-1] == sentence
    assert sentence not in told(explained(), sought=False)
    assert sentence not in told(explained(score=1.0))


def test_small_and_negative_contributions_are_no_reasons():
    assert reasons(explained(contributions=np.array([0.004, -1.0]))) == []
    assert len(reasons(explained(contributions=np.array([1.6, 0.046])))) == 1
    assert len(reasons(explained(contributions=np.array([1.6, 0.17])))) == 2


def test_a_value_that_the_typical_row_has_too_is_said_to_be_so():
    same = explained(values=(103.0, "there"))
    assert reasons(same, top=1) == ["amount is 103 (+2), as in the nearest typical row."]


def test_values_that_differ_are_told_with_the_digits_that_differ():
    usual = CounterExample(3, {"amount": 1000.0, "shop": 5812350.5}, 0.2, ("amount", "shop"))
    change = Change({"amount": 1000.01, "shop": 5812351.5}, 1.9)
    close = explained(values=(np.float64(1000.04), 5812396.5), typical=usual, change=change)
    assert told(close)[1:] == [
        "amount is 1000.04 (+2); in the nearest typical row it is 1000.",
        "shop is 5812396 (+0.6); in the nearest typical row it is 5812350.",
        "The nearest typical row (at position 3 of those learned from) differs only in "
        "amount (1000), shop (5812350).",
        "Smallest change found that makes it normal: amount = 1000.01 and shop = 5812352 "
        "(score then 1.9).",
    ]
    rounded = explained(values=(103.0 + 1e-12, "there"))
    assert reasons(rounded, top=1) == ["amount is 103 (+2), as in the nearest typical row."]


def test_numbers_too_large_to_compare_are_told():
    assert reasons(explained(values=(10**400, "there")), top=1)[0].startswith("amount is 1000")


def test_a_twin_is_said_to_be_one():
    twin = CounterExample(None, {"amount": 900.0, "shop": "there"}, 0.2, ())
    assert "The nearest typical row is alike in all columns." in told(explained(typical=twin))


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (0.2, "At least half of all rows score as high."),
        (1.0, "About one row in 10 scores as high."),
        (2.4, "About one row in 250 scores as high."),
        (9.0, "Less than one row in 1,000,000 scores as high."),
        (3071.0, "Less than one row in 1,000,000 scores as high."),
    ],
)
def test_rarity_is_said_in_rows(score, words):
    assert told(explained(score=score))[0].endswith(words)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (1234567.0, "1234567"),
        (123456.78, "123457"),
        (1.5e15, "1.5e+15"),
        (np.float64(0.5), "0.5"),
        (7, "7"),
        (None, "missing"),
        (float("nan"), "missing"),
        (pd.NA, "missing"),
        (pd.NaT, "missing"),
        (pd.Timestamp("2024-03-01"), "2024-03-01"),
        (pd.Timestamp("2024-03-01 10:30"), "2024-03-01 10:30:00"),
        ("<script>", "<script>"),
        (True, "True"),
    ],
)
def test_cells_are_written_for_readers(value, text):
    assert shown(value) == text


def test_printed_an_explanation_says_so_and_its_repr_is_short():
    found = explained()
    assert str(found) == "\n".join(told(found, sought=False))
    assert repr(found) == "<Explanation of row r17: score 3, amount +2, shop +0.6>"
    several = Explanations((found,) * 12)
    assert str(several).startswith(f"{found}\n\n{found}")
    assert str(several).endswith("(and 2 more rows)")
    assert repr(several) == "<Explanations of 12 rows: print them, or see to_frame()>"


def test_decimals_are_written_as_in_the_table():
    assert shown(620.25, decimal=",") == "620,25"
    assert shown("1.018,10", decimal=",") == "1.018,10"
    assert told(explained(values=(900.5, "there"), score=3.25), decimal=",")[:3] == [
        "Row r17: anomaly score 3,25, above the threshold of 2. "
        "About one row in 1.800 scores as high.",
        "amount is 900,5 (+2); in the nearest typical row it is 103.",
        "shop is there (+0,6); in the nearest typical row it is here.",
    ]


def test_a_cell_that_ends_in_a_full_stop_ends_the_sentence():
    usual = CounterExample(3, {"amount": 103.0, "shop": "n.b."}, 0.2, ("shop",))
    found = explained(typical=usual, contributions=np.array([0.0, 1.0]))
    assert reasons(found) == ["shop is there (+1); in the nearest typical row it is n.b."]
