"""A frame with a column of each kind, and what the encoder makes of columns."""

from typing import Any

import numpy as np
import pandas as pd

from oddshot.mapping.encoding.encoder import Encoder

N = 60


def mixed_frame(n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    colours = rng.choice(["red", "green", "blue"], n)
    return pd.DataFrame(
        {
            "kg": np.where(rng.random(n) < 0.2, np.nan, rng.normal(5, 2, n)),
            "count": rng.integers(0, 5, n),
            "ok": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
            "colour": pd.Series(np.where(rng.random(n) < 0.1, None, colours), dtype=object),
            "town": rng.choice([f"town {i}" for i in range(20)], n),
            "seen": pd.date_range("2024-01-01", periods=n, freq="7h"),
            "text": [f"row {i} says nothing new" for i in range(n)],
            "user_id": rng.permutation(n) * 3,
            "price": rng.normal(size=n).astype(str),
        }
    )


def kind(values: Any, name: str = "column") -> str:
    other = np.arange(len(values)) % 2
    encoder = Encoder().fit(pd.DataFrame({name: values, "other": other}))
    return encoder.kinds_[name]


def column(encoder: Encoder, X: Any, source: str, what: str) -> np.ndarray:
    return encoder.transform(X)[:, encoder.encoded_names_.index((source, what))]
