from dataclasses import replace

import pytest

from oddshot.detectors.drift.columns import ColumnChange
from oddshot.reports.drift import advice, lines_of
from small_findings import quiet_finding


@pytest.fixture
def quiet():
    return quiet_finding()


def test_quiet(quiet):
    assert lines_of("May", quiet) == ["May: quiet (p 0.4, effect 0.05; 2.0% flagged, 1.0% at fit)"]


def test_more_anomalies(quiet):
    assert lines_of("May", replace(quiet, p_more=0.001))[0].startswith("May: more anomalies (")


def test_drift_tells_columns_and_how_many_rows_show_it(quiet):
    moved = tuple(ColumnChange(f"c{i}", "values", 0.002, 0.3, f"moved {i}") for i in range(7))
    found = lines_of("May", replace(quiet, p=0.002, effect=0.3, rows_needed=40, columns=moved))
    assert found[0].startswith("May: drift: c0, c1, c2 and 4 more columns (p 0.002, effect 0.30")
    assert "shows from 40 rows on; 200 were compared" in found[1]
    assert found[2] == "  c0: moved 0"
    assert found[-1] == "  and 2 more"


def test_lost_columns_leave_no_share_flagged(quiet):
    columns = (
        ColumnChange("kg", "lost", 0.0, 1.0, "not among the new columns"),
        ColumnChange("lb", "new column", 1.0, 0.0, ""),
    )
    found = lines_of("May", replace(quiet, columns=columns, flagged=None))
    assert found[0] == "May: drift: kg (of the other columns p 0.4, effect 0.05)"
    assert found[1:] == ["  kg: not among the new columns", "  new, and ignored: lb"]


def test_cells_that_cannot_be_read_are_told_even_where_they_are_few(quiet):
    stray = ColumnChange("kg", "unreadable", 0.4, 0.01, "2 of 200 cells cannot be read")
    assert lines_of("May", replace(quiet, columns=(stray,)))[1:] == [
        "  kg: 2 of 200 cells cannot be read"
    ]
    many = replace(stray, p=0.001)
    columns = (many, ColumnChange("kg", "missing", 0.001, 0.01, "missing in 9.0% of rows"))
    found = lines_of("May", replace(quiet, p=0.001, columns=columns))
    assert found[1:] == ["  kg: 2 of 200 cells cannot be read"]


def test_too_few_rows(quiet):
    assert "too few rows: 200 against 500" in lines_of("May", replace(quiet, least_p=0.02))[1]


def test_columns_whose_levels_are_all_new_are_left_out(quiet):
    change = ColumnChange("lot", "new levels", 0.001, 0.98, "'L9' in 100.0% of rows", renewed=True)
    found = replace(quiet, p=0.001, columns=(change,))
    (line,) = advice(found, "det", "may.csv", rows=200, normal=0)
    assert line.endswith("oddshot refresh det may.csv --leave-out lot --keep 0 --out NEWER")
