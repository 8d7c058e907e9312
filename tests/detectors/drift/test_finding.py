import json
from dataclasses import replace

import pytest

from oddshot.detectors.drift.columns import ColumnChange
from small_findings import quiet_finding

MOVED = ColumnChange("kg", "values", 0.001, 0.4, "median 1 before, 3 now")
MULTIPLIED = replace(MOVED, column="size", factor=1000.0)
LOST = ColumnChange("colour", "lost", 0.0, 1.0, "not among the new columns", lacking=True)


def drift(*columns, p=0.001):
    return replace(quiet_finding(), p=p, columns=columns)


def test_columns_count_as_moved_only_where_there_is_drift():
    assert quiet_finding().moved == ()
    assert replace(quiet_finding(), columns=(MOVED,)).moved == ()
    assert drift(MOVED, *quiet_finding().columns).moved == (MOVED,)


def test_a_lost_column_is_drift_whatever_the_p_value():
    assert drift(LOST, p=0.9).verdict == "drift: colour"


def test_a_verdict_names_three_columns_each_once():
    columns = [replace(MOVED, column=name) for name in "aabcde"]
    assert drift(*columns).verdict == "drift: a, b, c and 2 more columns"
    assert drift().verdict == "drift: the rows as a whole"


@pytest.mark.parametrize(
    ("flagged", "seen", "more"),
    [
        (0.04, 1000, False),  # three times 0.01, and 0.01 more, is usual
        (0.06, 1000, False),
        (0.07, 1000, True),
        (0.2, 10, False),  # of a few rows chance may flag as many
        (0.4, 10, True),
        (None, 1000, False),
    ],
)
def test_how_many_are_far_more_goes_by_the_rows(flagged, seen, more):
    found = replace(quiet_finding(), flagged=flagged, seen=seen)
    assert found.more_anomalies == more
    assert not replace(found, p=0.001).more_anomalies


def test_odder_rows_are_more_anomalies_unless_the_bulk_moved():
    odder = replace(quiet_finding(), p_more=0.001)
    assert (odder.verdict, odder.drifted) == ("more anomalies", False)
    assert replace(odder, p=0.001, columns=(MOVED,)).verdict == "drift: kg"


@pytest.mark.parametrize(
    ("found", "outdated"),
    [
        (quiet_finding(), False),
        (drift(MOVED), True),
        (drift(MULTIPLIED), False),
        (drift(MULTIPLIED, MOVED), True),
        (drift(LOST, p=0.9), False),
        (drift(LOST), True),  # something else moved, too
    ],
)
def test_old_rows_stay_where_what_moved_is_lost_or_only_multiplied(found, outdated):
    assert found.outdated == outdated


def test_factors_are_told_by_column():
    assert drift(MULTIPLIED, MOVED).factors == {"size": 1000.0}


def test_all_of_it_goes_into_json():
    told = json.loads(json.dumps(drift(MOVED, MOVED).to_dict()))
    assert (told["verdict"], told["moved"], told["drifted"]) == ("drift: kg", ["kg"], True)
    assert told["columns"][0]["column"] == "kg"


def test_it_is_told_in_a_line():
    assert str(quiet_finding()) == "quiet (p 0.4, effect 0.05, 2.0% flagged)"
    assert (
        repr(drift(LOST))
        == "<Drift: drift: colour (p 0.001, effect 0.05, 2.0% flagged); see to_dict()>"
    )
