import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from oddshot.data.synthetic import ANOMALY_TYPES, plant, with_planted
from oddshot.data.tasks import EpisodeSettings, EpisodeStream, InMemory
from oddshot.episodes import ANOMALY, NORMAL, Table
from oddshot.errors import DataError, SettingError


def line(rows: int = 400, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    along = rng.normal(size=(rows, 1))
    return along @ np.array([[1.0, 2.0, -1.0]]) + 0.1 * rng.normal(size=(rows, 3)) + [5, 0, 100]


def off_the_line(rows: np.ndarray) -> np.ndarray:
    z = rows - [5, 0, 100]
    direction = np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    return np.linalg.norm(z - (z @ direction)[:, None] * direction, axis=1)


@pytest.mark.parametrize("kind", ANOMALY_TYPES)
def test_planted_rows_lie_off_the_others_and_the_seed_decides(kind):
    rows = line()
    odd = plant(rows, kind, 50, np.random.default_rng(3))
    assert odd.shape == (50, 3)
    near = NearestNeighbors(n_neighbors=1).fit(rows)
    assert np.median(near.kneighbors(odd)[0]) > 2 * np.median(near.kneighbors()[0])
    np.testing.assert_array_equal(odd, plant(rows, kind, 50, np.random.default_rng(3)))


def test_the_types_differ_as_their_names_say():
    rows = line()
    odd = {kind: plant(rows, kind, 200, np.random.default_rng(0)) for kind in ANOMALY_TYPES}
    low, high = rows.min(axis=0), rows.max(axis=0)
    inside = {kind: ((low <= o) & (o <= high)).mean() for kind, o in odd.items()}
    assert inside["dependency"] == 1.0
    assert np.median(off_the_line(odd["dependency"])) > 5 * np.median(off_the_line(rows))
    np.testing.assert_allclose(odd["global"].std(axis=0), (high - low) * 1.1 / 12**0.5, rtol=0.15)
    # a cluster is a cloud of its own, and local anomalies surround the rows
    assert np.linalg.norm(odd["cluster"].mean(axis=0) - rows.mean(axis=0)) > 0.3
    wider = np.median(off_the_line(odd["local"])) / np.median(off_the_line(rows))
    np.testing.assert_allclose(wider, 5**0.5, rtol=0.25)


def test_columns_keep_their_kind():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=100),
            "count": rng.integers(0, 1000, size=100),
            "flag": rng.integers(0, 2, size=100),
            "colour": rng.choice(["red", "blue"], size=100),
            "gap": np.where(np.arange(100) % 2 == 0, np.nan, rng.normal(size=100)),
        }
    )
    for kind in ANOMALY_TYPES:
        odd = plant(frame, kind, 40, np.random.default_rng(1))
        assert [*odd.columns] == [*frame.columns]
        assert set(odd["colour"]) <= {"red", "blue"}
        assert set(odd["flag"]) <= {0, 1}
        assert (odd["count"] % 1 == 0).all()
        assert 0 < odd["gap"].isna().sum() < 40


def test_a_table_gets_planted_anomalies_for_its_own():
    labels = (np.arange(400) < 100).astype(np.int8)
    table = with_planted(
        Table("t", line(), labels, "f", "c"), "global", 0.25, np.random.default_rng(0)
    )
    assert (table.name, table.family, table.collection) == ("t+global", "f", "c")
    assert (table.labels == ANOMALY).sum() == 100
    np.testing.assert_array_equal(table.rows[table.labels == NORMAL], line()[100:])


def test_a_stream_plants_as_often_as_it_is_told():
    labels = (np.arange(400) % 10 == 0).astype(np.int8)
    tables = [InMemory(Table("t", line(), labels))]

    def planted(share: float) -> int:
        stream = EpisodeStream(tables, seed=0, settings=EpisodeSettings(planted_share=share))
        return sum("+" in stream.episode(number).name for number in range(12))

    assert planted(0.0) == 0
    assert planted(1.0) == 12


def test_mistakes_are_named():
    with pytest.raises(SettingError, match="'odd'; choose one of local"):
        plant(line(), "odd", 3, np.random.default_rng(0))
    with pytest.raises(DataError, match="1 rows are too few"):
        plant(line(1), "local", 3, np.random.default_rng(0))
