import json
import pickle

import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.cells import spellings
from oddshot.mapping.encoding.encoder import Encoder


def test_levels_stand_in_order_with_gaps_and_rarity() -> None:
    frame = pd.DataFrame({"c": ["b", "a", None, "b"]})
    encoder = Encoder().fit(frame)
    assert [what for _, what in encoder.encoded_names_] == ["= a", "= b", "missing", "rarity"]
    rare = -np.log10([0.25, 0.5, 0.25, 0.5 / 4])
    new = pd.DataFrame({"c": ["a", " b ", None, "never seen"]})
    np.testing.assert_allclose(
        encoder.transform(new),
        np.column_stack([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], rare]),
    )


def test_a_gap_that_fit_did_not_see_is_an_unseen_level() -> None:
    encoder = Encoder().fit(pd.DataFrame({"c": ["a", "b", "a"]}))
    gap, unseen = encoder.transform(pd.DataFrame({"c": [None, "z"]}))
    np.testing.assert_array_equal(gap, unseen)


def test_a_level_that_is_a_word_for_a_gap_is_told() -> None:
    drugs = ["none", "aspirin", "none", None]
    (note,) = Encoder().fit(pd.DataFrame({"drug": drugs})).report()
    assert note.cause == "words"
    assert note.reason.startswith("'none' is a level beside gaps; text files, as CSV, cannot tell")
    many = pd.DataFrame({"drug": [*drugs, *[f"drug {i:02}" for i in range(13)] * 2]})
    (note,) = Encoder().fit(many).report()
    assert "levels: their rarity is used" in note.reason
    assert "'none' is a level beside gaps" in note.reason
    (note,) = Encoder().fit(pd.DataFrame({"drug": drugs[:3] * 2 + ["insulin"]})).report()
    assert (note.cause, note.reason) == ("", "")


def test_many_levels_are_told_by_their_rarity() -> None:
    levels = np.repeat([f"l{i}" for i in range(5000)], 2).tolist() + ["common"] * 10_000
    encoder = Encoder().fit(pd.DataFrame({"c": levels}))
    assert encoder.encoded_names_ == [("c", "rarity")]
    new = pd.DataFrame({"c": ["common", "l7", "new"]})
    np.testing.assert_allclose(
        encoder.transform(new)[:, 0], -np.log10([0.5, 2 / 20_000, 0.5 / 20_000])
    )


def test_which_of_many_levels_it_is_stands_aside() -> None:
    levels = [f"l{i:02}" for i in range(13)] * 2
    encoder = Encoder().fit(pd.DataFrame({"c": levels}))
    new = pd.DataFrame({"c": ["l03", "never", " l12"]})
    encoded = encoder.transform(new, aside=True)
    np.testing.assert_array_equal(encoded[:, :1], encoder.transform(new))
    np.testing.assert_array_equal(encoded[:, 1], [3, 13, 12])
    assert encoder.aside_names_ == [("c", "level")]
    settings, arrays = encoder.state()
    again = Encoder.from_state(json.loads(json.dumps(settings)), arrays)
    np.testing.assert_array_equal(again.transform(new, aside=True), encoded)
    for column in settings["columns"]:
        column.pop("told_apart", None)  # as an older version saved it
    assert Encoder.from_state(settings, arrays).aside_names_ == []


def test_levels_survive_a_change_of_type() -> None:
    encoder = Encoder().fit(pd.DataFrame({"c": pd.Categorical([1, 2, 2, 3])}))
    meant = encoder.transform(pd.DataFrame({"c": [1, 2]}))
    for same in ([1.0, 2.0], ["1", "2 "], pd.Categorical(["1", "2"])):
        np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"c": same})), meant)
    assert meant[:, 0].tolist() == [1, 0]
    np.testing.assert_array_equal(encoder.transform(np.array([[1.0], [2.0]])), meant)


@pytest.mark.parametrize(
    "spellings",
    [
        ([True, False, True], ["True", "False", "True"], ["true", "false", "true"], [1, 0, 1]),
        ([1, 2, 3], [1.0, 2.0, 3.0], ["1.0", "2.0", "3.0"], ["1", "2", "3"]),
    ],
)
def test_a_level_is_one_in_every_spelling_whichever_came_first(spellings) -> None:
    frames = [pd.DataFrame({"c": pd.Categorical(cells)}) for cells in spellings]
    for first in frames:
        encoder = Encoder().fit(first)
        meant = encoder.transform(first)
        for other, cells in zip(frames, spellings, strict=True):
            np.testing.assert_array_equal(encoder.transform(other), meant)
            np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"c": cells})), meant)


def test_codes_and_levels_that_stand_side_by_side_stay_apart() -> None:
    levels = pd.DataFrame({"c": pd.Categorical(["1", "1.0", "01", "True"])})
    assert len(np.unique(Encoder().fit(levels).transform(levels), axis=0)) == 4


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (["01", "02", "02", "10"], [1, 2, 2, 10]),
        (["Y", "N", "N", "N"], [True, False, False, False]),
        (["yes", "no", "no", "no"], ["Y", "N", "n", "No"]),
        (["a", None, "b", "b"], ["a", "", "b", "b"]),
        (["a", "", "b", "b"], ["a", "null", "b ", "b"]),
        (["a", "none", "b", "b"], ["a", np.nan, "b", "b"]),
    ],
)
def test_a_level_is_one_however_other_programs_write_it(first, other):
    frame = pd.DataFrame({"c": pd.Categorical(first)})
    encoder = Encoder().fit(frame)
    meant = encoder.transform(frame)
    assert len(np.unique(meant, axis=0)) == len({*first})
    settings, arrays = encoder.state()
    for same in (encoder, Encoder.from_state(json.loads(json.dumps(settings)), arrays)):
        np.testing.assert_array_equal(same.transform(pd.DataFrame({"c": other})), meant)


def test_words_for_gaps_count_as_missing():
    encoder = Encoder().fit(pd.DataFrame({"c": ["a", "", "b", "a"], "k": ["x", "x", "x", "x"]}))
    assert ("c", "missing") in encoder.encoded_names_
    new = pd.DataFrame({"c": ["a", "", None, "n/a"], "k": ["x", "x", "-", None]})
    assert encoder.missing_shares(new) == {"c": 0.75, "k": 0.5}
    assert encoder.unseen_shares(new) == {"c": 0.0, "k": 0.5}


def test_a_word_for_gaps_beside_gaps_is_a_level_of_its_own():
    encoder = Encoder().fit(pd.DataFrame({"c": ["a", "N/A", None, "a"]}))
    assert ("c", "= N/A") in encoder.encoded_names_
    encoded = encoder.transform(pd.DataFrame({"c": ["N/A", None, "", "null"]}))
    assert len(np.unique(encoded, axis=0)) == 2
    np.testing.assert_array_equal(encoded[2:], encoded[[1, 1]])


def test_a_category_of_words_for_gaps_alone_is_empty():
    cells = pd.Categorical(["n/a", "none", "n/a", "none"])
    encoder = Encoder().fit(pd.DataFrame({"c": cells, "x": range(4)}))
    assert encoder.report()[0].reason == "all values are missing"


def test_what_an_older_version_saved_takes_words_for_levels():
    encoder = Encoder().fit(pd.DataFrame({"c": ["Y", "N", "N", None]}))
    settings, arrays = encoder.state()
    del settings["columns"][0]["by_meaning"]
    older = Encoder.from_state(settings, arrays)
    new = pd.DataFrame({"c": ["", "yes", "Y", None]})
    assert older.unseen_shares(new) == {"c": 0.5}
    assert older.missing_shares(new) == {"c": 0.25}
    assert encoder.unseen_shares(new) == {"c": 0.0}


def test_nested_values_at_scoring_are_an_unseen_level() -> None:
    encoder = Encoder().fit(pd.DataFrame({"c": ["a", "b", "a"]}))
    encoded = encoder.transform(pd.DataFrame({"c": ["a", {"no": 1}, ["b"]]}))
    assert encoded[:, 0].tolist() == [1, 0, 0]
    assert encoded[1, -1] == encoded[2, -1] == round(-np.log10(0.5 / 3), 12)


def test_what_stands_for_levels_is_made_once_and_not_pickled(monkeypatch):
    levels = [f"l{i}" for i in range(500)] * 2
    encoder = Encoder().fit(pd.DataFrame({"c": levels}))
    light = len(pickle.dumps(encoder))
    asked = []
    monkeypatch.setattr(spellings, "level_key", lambda name: asked.append(name) or name)
    for _ in range(9):
        encoder.transform(pd.DataFrame({"c": ["l3", "never"]}), aside=True)
    assert len(asked) <= 500 + 9 * 2
    assert len(pickle.dumps(encoder)) == light


@pytest.mark.parametrize(
    ("levels", "may_be"),
    [
        ([f"{i} mm or {i + 1} cm" for i in range(10, 40)], True),
        ([f"10.0.{i}.7" for i in range(30)], False),
        ([f"3c:{i:02}:9a:00:7f:01" for i in range(30)], False),
        ([f"{i:05}" for i in range(30)], False),
        (pd.Categorical(range(30)), False),
    ],
)
def test_levels_that_may_be_numbers_are_told(levels, may_be):
    encoder = Encoder().fit(pd.DataFrame({"c": levels}).iloc[[*range(30)] * 3])
    note = encoder.report()[0]
    assert (note.kind, note.cause) == ("category", "digits" if may_be else "")
    assert ("write them as such" in note.reason) == may_be
