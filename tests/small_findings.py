"""What a comparison of a window with a context may have found."""

from oddshot.detectors.drift.columns import ColumnChange
from oddshot.detectors.drift.finding import Drift


def quiet_finding() -> Drift:
    return Drift(
        rows=200,
        context_rows=500,
        seen=200,
        alpha=0.01,
        p=0.4,
        p_rows=0.3,
        p_columns=0.6,
        least_p=0.001,
        effect=0.05,
        least_effect=0.14,
        rows_needed=None,
        columns=(ColumnChange("kg", "values", 0.7, 0.03, "median 1 before, 1.1 now"),),
        flagged=0.02,
        promised=0.01,
        p_more=0.2,
        not_compared=(),
    )
