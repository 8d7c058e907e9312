import numpy as np
import pandas as pd

from oddshot.mapping.encoding.encoder import Encoder


def counted(rows: int = 80, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    town = [f"town {i}" for i in rng.integers(30, size=rows)]
    few = pd.Series([*"abcd", None])[rng.integers(5, size=rows)]
    return pd.DataFrame({"town": town, "x": rng.normal(size=rows), "few": few.to_numpy()})


def test_levels_are_counted_anew_without_some_rows():
    rows = counted()
    encoder = Encoder().fit(rows)
    encoded = encoder.transform(rows, aside=True)
    fewer = encoder.without(encoded[:20], np.ones(20))
    as_if = Encoder().fit(rows[20:])
    new = counted(seed=1)
    np.testing.assert_array_equal(fewer.transform(new), as_if.transform(new))
    written = fewer.transform(new, aside=True)
    rewritten = fewer.rewritten(encoder.transform(new, aside=True))
    np.testing.assert_array_equal(rewritten, written)
    np.testing.assert_array_equal(fewer.rewritten(written), written)
    np.testing.assert_array_equal(encoder.rewritten(encoded), encoded)


def test_a_level_of_which_no_row_is_left_was_never_seen():
    rows = pd.DataFrame({"few": [*"aaabbc"], "x": range(6)})
    encoder = Encoder().fit(rows)
    gone = encoder.transform(rows, aside=True)[[5]]
    fewer = encoder.without(gone, np.ones(1))
    written = fewer.transform(rows)
    np.testing.assert_array_equal(written[5], fewer.transform(rows.assign(few="d"))[5])
    assert fewer.unseen_shares(rows) == {"few": 1 / 6}
    assert encoder.unseen_shares(rows) == {"few": 0.0}
    assert encoder.without(gone, np.full(1, 9.0)).unseen_shares(rows) == {"few": 1 / 6}


def test_numbers_are_not_written_anew():
    rows = np.random.default_rng(0).normal(size=(20, 3))
    encoder = Encoder().fit(rows)
    assert encoder.rewritten(rows) is rows
    assert encoder.rarer == 0


def test_the_rarer_levels_are_the_more_a_row_counts_for_its_own():
    found = [Encoder().fit(counted(rows)).rarer for rows in (60, 200, 800)]
    assert found[0] > found[1] > found[2] > 0
    every = pd.DataFrame({"town": [f"town {i}" for i in range(20)] * 3, "x": range(60)})
    assert Encoder().fit(every).rarer == 0  # all are as rare
