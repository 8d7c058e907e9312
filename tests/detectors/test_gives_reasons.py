"""What `explain` and `importance` take, and which rows they look at."""

import numpy as np
import pandas as pd
import pytest

from oddshot import FewShotDetector
from oddshot.errors import DataError, SettingError
from small_priors import untrained_prior


@pytest.fixture(scope="module")
def rows():
    """Rows 0 to 9 are odd by their fee, less and less so; row 10 by its size alone."""
    found = np.random.default_rng(0).normal(size=(200, 3))
    found[:10, 1] = np.linspace(40, 10, 10)
    found[10, 2] = -30
    return pd.DataFrame(found, columns=["amount", "fee", "size"])


@pytest.fixture(scope="module")
def fitted(rows):
    return FewShotDetector(prior=untrained_prior(), contamination=0.05).fit(rows)


def test_importance_is_the_mean_size_of_contributions_to_the_anomalies(fitted, rows):
    flagged = rows[fitted.anomaly_score(rows) > fitted.threshold_]
    found = fitted.importance(rows)
    parts = [row.contributions for row in fitted.explain(flagged, changes=False)]
    expected = pd.Series(np.abs(parts).mean(axis=0), index=rows.columns)
    assert found.index.tolist() == expected.sort_values(ascending=False).index.tolist()
    np.testing.assert_allclose(found, expected[found.index], rtol=1e-6)
    assert found.index[0] == "fee"


def test_of_many_anomalies_some_from_the_oddest_to_the_least_odd_count(fitted, rows, monkeypatch):
    order = np.argsort(-fitted.anomaly_score(rows), kind="stable")
    flagged = int((fitted.anomaly_score(rows) > fitted.threshold_).sum())
    seen = []
    explainer = fitted._explainer()

    class Watched:
        def explain(self, some, *, changes):
            seen.extend(some.index)
            return explainer.explain(some, changes=changes)

    monkeypatch.setattr(fitted, "_explainer", Watched, raising=False)
    fitted.importance(rows, most=3)
    assert [seen[0], seen[-1], len(seen)] == [order[0], order[flagged - 1], 3]


def test_where_no_row_is_an_anomaly_all_count(fitted, rows):
    quiet = rows[fitted.anomaly_score(rows) < fitted.threshold_]
    found = fitted.importance(quiet, most=3)
    assert {*found.index} == {*rows.columns}
    assert found.iloc[0] > 0


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda d, rows: d.explain(rows[:0]), DataError, "X has no rows to explain"),
        (
            lambda d, rows: d.explain(rows.drop(columns="fee")),
            DataError,
            "X lacks 1 column that fit was given: 'fee'",
        ),
        (lambda d, rows: d.explain(rows, changes="no"), SettingError, "changes is 'no'"),
        (lambda d, rows: d.importance(rows, most=None), SettingError, "most is None"),
        (lambda d, rows: d.importance(rows, most=0), SettingError, "most is 0"),
    ],
)
def test_mistakes_are_named(fitted, rows, ask, error, words):
    with pytest.raises(error, match=words):
        ask(fitted, rows)


def test_images_have_no_columns_to_explain():
    images = np.random.default_rng(0).random((4, 28, 28))
    detector = FewShotDetector(prior="images").fit(images)
    for explained in (detector.explain, detector.importance):
        with pytest.raises(SettingError, match="takes tables only, and the prior reads images"):
            explained(images)
