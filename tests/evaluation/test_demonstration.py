import numpy as np

from oddshot.evaluation.demonstration import LABELS, demonstrate, rare_malignant


class Distance:
    """Distance from the mean; known anomalies are remembered as a direction."""

    def fit(self, X, y):
        X = np.asarray(X)
        self.mean, self.scale = X.mean(axis=0), X.std(axis=0)
        self.direction = (X[y == 1] - self.mean).sum(axis=0) / self.scale
        return self

    def anomaly_score(self, X):
        away = (np.asarray(X) - self.mean) / self.scale
        return np.abs(away).mean(axis=1) + np.maximum(away @ self.direction, 0)


def test_demo_data_is_mostly_benign_and_seeded():
    table = rare_malignant(0)
    assert 0.09 < table.labels.mean() < 0.11
    assert (rare_malignant(0).labels == table.labels).all()
    assert not rare_malignant(0).rows.equals(rare_malignant(1).rows)


def test_demo_averages_splits_and_keeps_the_first_one():
    ticks = []
    found = demonstrate(
        lambda seed: Distance(), seed=0, splits=2, progress=lambda *at: ticks.append(at)
    )
    assert len(found.runs) == 2 * (3 + len(LABELS))
    assert ticks[-1] == (6, 6)
    assert found.plain[0] in {"nearest neighbours", "isolation forest"}
    best = found.mean(found.plain[0], 0, "auroc")
    assert all(best >= found.mean(name, 0, "auroc") for name in found.plain)
    assert found.scored["malignant"].sum() == 12
    assert {f"anomaly_score_{k}_labels" for k in LABELS} < set(found.scored.columns)
    assert found.mean("Oddshot", 20, "auroc") > 0.9
