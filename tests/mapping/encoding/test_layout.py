import numpy as np
import pandas as pd

from oddshot.mapping.encoding.encoder import Encoder


def test_levels_are_found_where_they_are_written() -> None:
    few, many = ["a", "b", None, "a"] * 7, [f"l{i % 14}" for i in range(28)]
    encoder = Encoder().fit(pd.DataFrame({"few": few, "many": many, "x": range(28)}))
    (count, at, rarity), (more, place, other_rarity) = encoder.levels_at()
    encoded = encoder.transform(pd.DataFrame({"few": few, "many": many, "x": 1.0}), aside=True)
    assert (count, more) == (3, 14)
    assert encoded[:4, at].argmax(axis=1).tolist() == [0, 1, 2, 0]
    assert len(np.unique(encoded[:, place])) == 14
    names = encoder.encoded_names_
    assert (names[rarity], names[other_rarity]) == (("few", "rarity"), ("many", "rarity"))
