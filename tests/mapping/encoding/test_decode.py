import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.encoding.decode import decode
from oddshot.mapping.encoding.encoder import Encoder


def there_and_back(rows: pd.DataFrame) -> pd.DataFrame:
    encoder = Encoder().fit(rows)
    return decode(encoder, encoder.transform(rows))


def test_every_kind_of_column_comes_back_as_it_was():
    days = pd.to_datetime(["2024-01-01 10:00", "2024-02-01 12:30", None, "2025-01-07 00:00"])
    rows = pd.DataFrame(
        {
            "kg": [1.5, np.nan, 2.0, 1.0],
            "on": [True, False, True, True],
            "day": days,
            "colour": ["red", None, "blue", "red"],
            "same": [1, 1, 1, 1],
            "text": ["no", "yes", "n/a", "no"],
        }
    )
    back = there_and_back(rows)
    assert back.columns.tolist() == ["kg", "on", "day", "colour", "text"]
    assert back["kg"].tolist() == [1.5, None, 2.0, 1.0]
    assert back["on"].tolist() == [True, False, True, True]
    assert back["day"].tolist() == [days[0], days[1], None, days[3]]
    assert back["colour"].tolist() == ["red", None, "blue", "red"]


def test_a_column_that_varies_by_its_gaps_alone_comes_back():
    assert there_and_back(pd.DataFrame({"a": [3.0, None, 3.0], "b": [1, 2, 3]}))["a"].tolist() == [
        3.0,
        None,
        3.0,
    ]


def test_levels_known_by_their_rarity_alone_are_named_as_far_as_that_goes():
    often = [level for level in "abcdefghijklm" for _ in range(2)]
    rows = pd.DataFrame({"zip": [*often, "once", "thrice", "thrice", "thrice"]})
    encoder = Encoder().fit(rows)
    asked = pd.DataFrame({"zip": ["a", "once", "thrice", "never"]})
    assert decode(encoder, encoder.transform(asked))["zip"].tolist() == [
        "one of 13 levels with 2 rows each",
        "once",
        "thrice",
        "a level not seen at fit",
    ]


def test_what_stands_aside_is_told():
    rows = pd.DataFrame({"zip": [*"abcdefghijklm"] * 2, "on": True, "volts": 5.0})
    encoder = Encoder().fit(rows)
    asked = pd.DataFrame({"zip": ["c", "never"], "on": [True, False], "volts": [6.0, 5.0]})
    back = decode(encoder, encoder.transform(asked, aside=True))
    assert back.to_dict("list") == {
        "zip": ["c", "a level not seen at fit"],
        "on": [True, "another value"],
        "volts": ["another value", 5.0],
    }


def test_an_unseen_level_is_said_to_be_one():
    encoder = Encoder().fit(pd.DataFrame({"colour": ["red", "blue", "red"]}))
    unseen = encoder.transform(pd.DataFrame({"colour": ["green"]}))
    assert decode(encoder, unseen)["colour"].tolist() == ["a level not seen at fit"]


@pytest.mark.parametrize("missing", [np.nan, 7.0])
def test_a_matrix_comes_back_under_the_places_of_its_columns(missing):
    matrix = np.array([[1.0, 2.0], [3.0, missing], [5.0, 6.0]])
    back = there_and_back(pd.DataFrame(matrix))
    assert back.columns.tolist() == ["0", "1"]
    assert back["1"].tolist() == [2.0, None if np.isnan(missing) else missing, 6.0]
