import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.encoding.encoder import Encoder


@pytest.mark.parametrize("times", [1, 2])
def test_copies_of_rows_do_not_make_an_identifier_something_else(times: int) -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"kg": rng.normal(size=200)})
    rows["order"] = [f"A{i:05d}" for i in range(200)]
    rows["number"] = np.arange(5000, 5200)
    some = rows.sample(60 if times == 1 else 200, random_state=0)
    copied = pd.concat([rows, some], ignore_index=True)
    encoder = Encoder().fit(copied)
    assert encoder.kinds_ == {"kg": "number", "order": "left out", "number": "left out"}
    assert {note.reason for note in encoder.report() if not note.used} == {
        "identifier (200 different in 200 rows)",
        "identifier (a running number)",
    }
    other = rows.assign(kg=-rows["kg"])  # the same names on rows that differ
    kept = Encoder().fit(pd.concat([rows, other[:60]], ignore_index=True))
    assert kept.kinds_ == {"kg": "number", "order": "category", "number": "number"}


def test_cities_of_a_country_are_no_copies_of_each_other() -> None:
    rng = np.random.default_rng(0)
    city = rng.integers(0, 90, 200)
    rows = pd.DataFrame(
        {"city": [f"town {c}" for c in city], "country": [f"c{c % 3}" for c in city]}
    )
    assert Encoder().fit(rows).kinds_["city"] == "category"
