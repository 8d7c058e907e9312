import json

import numpy as np
import pandas as pd
import pytest

from oddshot.mapping.encoding.decode import decode
from oddshot.mapping.encoding.encoder import Encoder
from oddshot.mapping.encoding.open_ends import open_ends, without_open_ends

DAYS = pd.Series(pd.date_range("2020-01-01", periods=300, freq="3D"))


def with_end(end: str, every: int) -> pd.DataFrame:
    """Dates, and in one row of so many an end that is none."""
    written = DAYS.dt.strftime("%Y-%m-%d").astype(object)
    written[::every] = end
    return pd.DataFrame({"valid_to": written})


@pytest.mark.parametrize(
    "end",
    ["9999-12-31", "2999-12-31", "9999-12-31 23:59:59", "1900-01-01", "0001-01-01"],
)
@pytest.mark.parametrize("every", [2, 10])
def test_an_open_end_is_a_gap_and_leaves_the_dates_their_scale(end: str, every: int) -> None:
    rows, gaps = with_end(end, every), with_end("", every)
    encoder = Encoder().fit(rows)
    encoded = encoder.transform(rows)
    np.testing.assert_array_equal(encoded, Encoder().fit(gaps).transform(gaps))
    (note,) = encoder.report()
    assert (note.kind, note.cause) == ("date", "code")
    assert note.reason == (
        f"{end[:10]} in {300 // every} rows, far from all other dates, counts as a gap; gaps "
        "become the median and are flagged"
    )
    assert decode(encoder, encoded)["valid_to"].isna().sum() == 300 // every


def test_timestamps_and_other_notations_are_alike() -> None:
    rows = with_end("9999-12-31", 3)
    meant = Encoder().fit(rows).transform(rows)
    moments = pd.to_datetime(rows["valid_to"]).astype("datetime64[s]")
    for same in (moments, moments.dt.strftime("%d.%m.%Y"), moments.dt.date.astype(object)):
        frame = pd.DataFrame({"valid_to": same})
        np.testing.assert_array_equal(Encoder().fit(frame).transform(frame), meant)


def test_two_open_ends_are_both_gaps() -> None:
    rows = with_end("9999-12-31", 3)
    rows.iloc[1::3] = "1900-01-01"
    (note,) = Encoder().fit(rows).report()
    assert note.reason.startswith(
        "9999-12-31 in 100 rows and 1900-01-01 in 100 rows, far from all other dates, count as gaps"
    )


def test_a_saved_encoder_reads_them_as_gaps() -> None:
    rows = with_end("9999-12-31", 3)
    encoder = Encoder().fit(rows)
    settings, arrays = encoder.state()
    restored = Encoder.from_state(json.loads(json.dumps(settings)), arrays)
    np.testing.assert_array_equal(restored.transform(rows), encoder.transform(rows))
    assert restored.report() == encoder.report()


def test_without_what_was_found_a_saved_encoder_reads_dates() -> None:
    rows = with_end("9999-12-31", 3)
    settings, arrays = Encoder().fit(rows).state()
    del settings["columns"][0]["code"]  # as an older version saved it
    (old,) = Encoder.from_state(settings, arrays).recipes
    assert not np.isnan(old.days(rows["valid_to"])).any()


def test_a_few_such_dates_stay_odd() -> None:
    days = np.sort(np.r_[np.repeat(np.arange(19000.0, 19100), 20), [2932896.0] * 5])
    assert open_ends(days) == ()
    assert open_ends(np.r_[np.arange(19000.0, 19030), [2932896.0] * 2]) == ()


@pytest.mark.parametrize(
    "days",
    [
        np.r_[np.arange(9000.0, 9300), [9300.0 + 365 * 49] * 100],  # no fifty years
        np.r_[np.linspace(-60000, 9000, 300), [32000.0] * 100],  # nearer than others to each other
        np.r_[[9000.0, 9001.0], [2932896.0] * 100],  # two else
    ],
)
def test_other_dates_are_dates(days: np.ndarray) -> None:
    assert open_ends(days) == ()
    assert without_open_ends(days, ()) is days


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("code", ["99991231", "99999999", "00000000", "0", "19000101"])
def test_dates_as_numbers_stay_dates_beside_what_stands_for_none(code: str, as_text: bool) -> None:
    digits = DAYS.dt.strftime("%Y%m%d").astype(object)
    digits[::3] = code
    rows = pd.DataFrame({"valid_to": digits if as_text else digits.astype(np.int64)})
    gaps = pd.DataFrame({"valid_to": DAYS.where(DAYS.index % 3 > 0)})
    encoder = Encoder().fit(rows)
    meant = Encoder().fit(gaps).transform(gaps)
    restored = Encoder.from_state(*encoder.state())
    np.testing.assert_array_equal(encoder.transform(rows), meant)
    np.testing.assert_array_equal(restored.transform(rows), meant)
    (note,) = encoder.report()
    assert note.kind == "date"
    shown = code if as_text else str(int(code))
    is_date = code in ("99991231", "19000101")
    told = f"{code[:4]}-{code[4:6]}-{code[6:]} in 100 rows, far from all" if is_date else shown
    assert told in note.reason
    assert note.cause == ("code" if is_date else "words")


def test_codes_with_zeros_stay_codes() -> None:
    codes = pd.DataFrame({"zip": [*[f"{n:05}" for n in range(90000, 90300)], "00000"]})
    assert Encoder().fit(codes.assign(x=np.arange(301) % 7)).kinds_["zip"] == "left out"
