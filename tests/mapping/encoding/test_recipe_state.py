import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from oddshot.errors import DataError
from oddshot.mapping.encoding.encoder import Encoder
from small_frames import mixed_frame


@pytest.mark.parametrize("X", [mixed_frame(), np.random.default_rng(0).normal(size=(20, 3))])
def test_an_encoder_comes_back_from_json_and_arrays(X: Any) -> None:
    encoder = Encoder().fit(X)
    settings_, arrays = encoder.state()
    restored = Encoder.from_state(json.loads(json.dumps(settings_, allow_nan=False)), arrays)
    np.testing.assert_array_equal(restored.transform(X), encoder.transform(X))
    assert restored.report() == encoder.report()
    assert restored.encoded_names_ == encoder.encoded_names_
    assert restored.state()[0] == settings_
    np.testing.assert_array_equal(restored.state()[1]["numbers"], arrays["numbers"])
    assert (restored.feature_names_in_ is None) == isinstance(X, np.ndarray)


def test_decimal_commas_are_remembered():
    rows = pd.DataFrame({"price": [f"{n}.{n:03d},50" for n in range(1, 50)]})
    encoder = Encoder.from_state(*Encoder().fit(rows).state())
    seen = encoder.transform(pd.DataFrame({"price": ["6.257", "1,5"]}))
    assert seen[:, 0].tolist() == [6257.0, 1.5]


def test_what_stands_before_numbers_and_lengths_of_time_are_remembered():
    took = [f"{n}h {n % 7}m" for n in range(1, 50)]
    rows = pd.DataFrame({"price": [f"R$ {n},50" for n in range(1, 50)], "took": took})
    encoder = Encoder.from_state(*Encoder().fit(rows).state())
    seen = encoder.transform(pd.DataFrame({"price": ["R$ 6.257,00"], "took": ["PT36H"]}))
    assert seen[0, :2].tolist() == [6257.0, 1.5]
    with pytest.raises(DataError, match="'took' holds whole numbers, where durations"):
        encoder.transform(rows.assign(took=5))


def test_what_numbers_hold_is_remembered_and_was_not_asked_by_older_versions():
    rows = pd.DataFrame({"took": pd.to_timedelta([*range(30)], "h"), "kg": np.arange(30) / 7})
    settings_, arrays = Encoder().fit(rows).state()
    swapped = rows.assign(kg=rows["took"])
    with pytest.raises(DataError, match="'kg' holds durations, where numbers were learned"):
        Encoder.from_state(settings_, arrays).transform(swapped)
    for column in settings_["columns"]:
        del column["notation"]
    whole = rows.assign(took=range(30))
    assert Encoder.from_state(settings_, arrays).transform(whole)[3, 0] == 3.0
    assert Encoder.from_state(settings_, arrays).transform(swapped)[24, 1] == 1.0
