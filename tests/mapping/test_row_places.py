import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oddshot.mapping.row_places import RowPlaces


class Colliding(RowPlaces):
    """Gives all rows the same checksum."""

    def _checksum(self, bits):
        return np.zeros(len(bits), dtype=np.uint64)


@pytest.mark.parametrize("made", [RowPlaces, Colliding])
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(0, 30), st.integers(1, 4))
def test_rows_are_found_as_one_by_one(made, seed, kept, sought, columns):
    rng = np.random.default_rng(seed)
    rows = rng.choice([0.0, -0.0, 1.0, 0.1, 1e300], size=(kept, columns))  # copies, and both zeros
    others = rng.choice([0.0, -0.0, 1.0, 0.1, 1e300], size=(sought, columns))
    contents = [row.tobytes() for row in rows]
    expected = [
        contents.index(row.tobytes()) if row.tobytes() in contents else -1 for row in others
    ]
    assert made(rows).of(others).tolist() == expected


def test_short_numbers_do_not_share_checksums():
    rows = np.stack(np.meshgrid(*[np.arange(32.0)] * 3), axis=-1).reshape(-1, 3)
    places = RowPlaces(rows)
    assert len(places._checksums) > 0.99 * len(rows)
    np.testing.assert_array_equal(places.of(rows), np.arange(len(rows)))
