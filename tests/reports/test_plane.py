import numpy as np
import pandas as pd

from oddshot.data.images import to_images
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.reports.detection import scored
from oddshot.reports.plane import MAX_POINTS, row_map


def detection(frame, scores, **changes):
    notes = Encoder().fit(frame).report()
    return scored(frame, np.asarray(scores, float), 1.0, source="a", columns=notes, **changes)


def test_groups_lie_apart_and_a_far_value_does_not_set_the_plane():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 100)
    frame = pd.DataFrame(rng.normal(size=(200, 4)) + 8 * group[:, None], columns=[*"abcd"])
    frame["kind"] = np.where(group, "x", "y")
    frame.loc[0, "a"] = 1e300
    where = row_map(frame, detection(frame, np.r_[2.0, np.zeros(199)]))
    assert (where.places == np.arange(200)).all()
    side = where.points[:, 0] > where.points[:, 0].mean()
    assert (side[1:] == side[1]).sum() in (99, 100)
    assert 0.5 < where.share <= 1


def test_odd_and_labelled_rows_are_among_the_points():
    frame = pd.DataFrame({"a": np.arange(5000.0), "b": np.arange(5000.0)[::-1] % 7})
    scores, labels = np.zeros(5000), np.full(5000, -1, dtype=np.int8)
    scores[[17, 4000]], labels[[5, 6]] = 2, 0
    where = row_map(frame, detection(frame, scores, labels=labels))
    assert len(where.places) == len(np.unique(where.places)) == MAX_POINTS
    assert {5, 6, 17, 4000} <= set(where.places.tolist())


def test_one_column_makes_a_line_and_too_few_rows_no_map():
    frame = pd.DataFrame({"a": np.arange(30.0) ** 2, "text": "same"})
    where = row_map(frame, detection(frame, np.zeros(30)))
    assert where.points.shape == (30, 2)
    assert row_map(frame[:3], detection(frame[:3], np.zeros(3))) is None


def test_images():
    images = to_images(np.random.default_rng(0).random((9, 6, 5)))
    names = pd.DataFrame({"file": images.names})
    found = scored(names, np.zeros(9), 1.0, source="a", columns=())
    assert row_map(images, found).points.shape == (9, 2)
