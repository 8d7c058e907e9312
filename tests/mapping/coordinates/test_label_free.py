import numpy as np
import pytest

from oddshot.mapping.coordinates.label_free import LABEL_FREE, LabelFree
from oddshot.mapping.support import draw_support
from oddshot.mapping.threading import BLOCK

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(80, 3))
LABELS = np.where(np.arange(80) < 3, 1, -1).astype(np.int8)
NEW = RNG.normal(size=(BLOCK + 20, 3))


def fitted(**settings):
    support = draw_support(ROWS, LABELS, seed=0)
    return support, LabelFree(**settings).fit(support, np.random.default_rng(0))


@pytest.fixture(scope="module")
def free():
    return fitted()


def arrays(seen):
    return {**seen.views.named(), "fifths": seen.fifths, "leaves": seen.leaves} | {
        "coordinates": seen.coordinates
    }


def assert_same(found, expected):
    for name, values in arrays(found).items():
        np.testing.assert_allclose(values, arrays(expected)[name], atol=1e-6, err_msg=name)


def test_everything_that_labels_need_is_seen(free):
    _, label_free = free
    seen = label_free.look(NEW)
    assert len(seen) == len(NEW)
    assert seen.coordinates.shape == (len(NEW), 2 * len(LABEL_FREE))
    assert seen.coordinates.dtype == np.float32
    assert len(label_free.typical_) == 77
    assert len(label_free.known_) == 3
    assert len(label_free.look(NEW[:0])) == 0


def test_rows_of_the_support_are_seen_as_they_were_there(free):
    support, label_free = free
    mixed = np.r_[NEW[:2], support.typical[[5, 0]], NEW[2:4], support.typical[[5]]]
    seen = label_free.look(mixed)
    assert_same(seen[np.array([2, 3, 6])], label_free.typical_[np.array([5, 0, 5])])
    assert_same(seen[np.array([0, 1, 4, 5])], label_free.look(NEW[:4]))
    assert label_free.places(mixed).tolist() == [-1, -1, 5, 0, -1, -1, 5]


def test_threads_and_blocks_change_nothing(free):
    _, label_free = free
    seen = label_free.look(NEW)
    for name, values in arrays(fitted(threads=3)[1].look(NEW)).items():
        np.testing.assert_array_equal(values, arrays(seen)[name])
    assert_same(label_free.look(NEW[BLOCK - 3 :]), seen[np.arange(BLOCK - 3, len(NEW))])


def test_blocks_can_be_left_out():
    _, some = fitted(left_out=("Subsets", "Isolation"))
    missing = [
        i
        for i, name in enumerate(LABEL_FREE)
        if name.startswith(("subset", "density")) or name == "isolation"
    ]
    assert len(missing) == 7
    for seen in (some.typical_, some.known_, some.look(NEW)):
        coordinates = seen.coordinates.reshape(len(seen), len(LABEL_FREE), 2)
        assert (coordinates[:, missing] == 0).all()
        assert (np.delete(coordinates, missing, axis=1).std(axis=0) > 0).all()
        assert seen.leaves.shape == (len(seen), 0)
    every = fitted()[1].look(NEW).coordinates.reshape(len(NEW), len(LABEL_FREE), 2)
    found = some.look(NEW).coordinates.reshape(len(NEW), len(LABEL_FREE), 2)
    rest = np.delete(np.arange(len(LABEL_FREE)), missing)
    np.testing.assert_allclose(found[:, rest], every[:, rest], atol=1e-5)
