import pandas as pd

from oddshot.mapping.encoding.encoder import Encoder


def test_a_constant_level_is_one_in_every_spelling() -> None:
    encoder = Encoder().fit(pd.DataFrame({"c": pd.Categorical([True, True]), "x": [1.5, 2.5]}))
    new = pd.DataFrame({"c": ["True", "1.0", "other"], "x": 1.5})
    assert encoder.transform(new, aside=True)[:, -1].tolist() == [0, 0, 1]
