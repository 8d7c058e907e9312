import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

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
